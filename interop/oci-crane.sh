#!/usr/bin/env bash
# crane, unmodified, against our registry, and against what our verbs wrote; and the other way round.
#
#	interop/oci-crane.sh [PROGRAM]     PROGRAM is bin/seaworthy by default
#
# crane is the one in $PATH, or $CRANE. Without it, this says so and succeeds; with INTEROP_REQUIRED=1 it fails then.
. "$(dirname "$0")/oci.bash"

crane=${CRANE:-$(command -v crane || true)}
[ -n "$crane" ] || skip crane "go install github.com/google/go-containerregistry/cmd/crane@v0.22.1, or set CRANE"
echo "crane $("$crane" version)"
start_seaworthy
at=$address

"$program" demo image "$work/app" >/dev/null
digest=$("$program" oci digest "$work/app")

# crane pushes, pulls, copies, lists; what it says must be what we say.
is "crane push" "$crane" push "$work/app" "$at/crane/app:1"
same "crane digest is ours" "$("$crane" digest "$at/crane/app:1")" "$digest"
is "crane manifest" "$crane" manifest "$at/crane/app:1"
same "crane manifest is our manifest --raw" "$(sha256sum <"$work/out")" "$("$program" oci manifest --raw "$at/crane/app:1" | sha256sum)"
same "crane config is our config --raw" "$("$crane" config "$at/crane/app:1" | sha256sum)" "$("$program" oci config --raw "$at/crane/app:1" | sha256sum)"
is "crane ls" "$crane" ls "$at/crane/app"
says "it lists the tag" '^1$'
is "crane catalog" "$crane" catalog "$at"
says "it lists the repository" '^crane/app$'
is "crane pull, docker archive" "$crane" pull "$at/crane/app:1" "$work/crane.tar"
is "ours validates crane's archive" "$program" oci validate "$work/crane.tar"
is "crane pull, layout" "$crane" pull --format oci "$at/crane/app:1" "$work/crane-layout"
is "ours validates crane's layout" "$program" oci validate "$work/crane-layout"
is "crane validate" "$crane" validate --remote "$at/crane/app:1"
is "crane copy" "$crane" copy "$at/crane/app:1" "$at/crane/copy:1"
is "crane tag" "$crane" tag "$at/crane/app:1" two
is "crane append" "$crane" append -b "$at/crane/app:1" -f <(tar -C "$work" -cf - app/oci-layout) -t "$at/crane/appended:1"
is "ours validates what crane appended" "$program" oci validate "$at/crane/appended:1"
is "crane mutate" "$crane" mutate "$at/crane/app:1" --label k=v -t "$at/crane/mutated:1"
is "crane index append" "$crane" index append -m "$at/crane/app:1" -m "$at/crane/mutated:1" -t "$at/crane/index:1"
is "ours validates crane's index" "$program" oci validate "$at/crane/index:1"
is "crane delete" "$crane" delete "$at/crane/mutated@$("$crane" digest "$at/crane/mutated:1")"

# Ours writes, crane reads.
is "oci push" "$program" oci push "$at/ours/app:1" "$work/app"
is "crane validates it" "$crane" validate --remote "$at/ours/app:1"
tar -C "$work" -cf "$work/layer.tar" app/oci-layout
is "oci mutate" "$program" oci mutate "$at/ours/app:1" --label k=v --annotation a=b --append "$work/layer.tar" --tag changed
is "crane validates what it changed" "$crane" validate --remote "$at/ours/app:changed"
is "crane sees the label" "$crane" config "$at/ours/app:changed"
says "it is there" '"k":"v"'
is "oci copy of an index" "$program" oci copy "$at/crane/index:1" "$at/ours/index:1"
is "crane validates the copy" "$crane" validate --remote "$at/ours/index:1"
is "oci pull, docker archive" "$program" oci pull "$at/ours/app:1" "$work/ours.tar" --format docker-archive
is "crane validates our archive" "$crane" validate --tarball "$work/ours.tar"
is "crane pushes our archive" "$crane" push "$work/ours.tar" "$at/ours/again:1"
is "oci pull, layout" "$program" oci pull "$at/ours/app:1" "$work/ours-layout"
is "crane pushes our layout" "$crane" push "$work/ours-layout" "$at/ours/layout:1"
same "and it is the same image" "$("$crane" digest "$at/ours/layout:1")" "$digest"

# What refers to it: attached by ours, listed by ours.
echo '{}' >"$work/bill.json"
is "oci attach" "$program" oci attach "$at/ours/app:1" "$work/bill.json" --type application/spdx+json
bill=$(cat "$work/out")
is "crane reads what was attached" "$crane" manifest "$bill"
says "with its subject" "\"subject\":.*$digest"
# A signature as cosign used to make it: a tag that crane writes.
is "crane writes a .sig tag" "$crane" append --oci-empty-base -f "$work/layer.tar" -t "$at/ours/app:${digest/:/-}.sig"
is "oci discover" "$program" oci discover "$at/ours/app:1"
says "the bill" '── bill  application/spdx.json'
says "the signature at the tag" '── signature .*[.]sig[)]'
done_well
