#!/usr/bin/env bash
# Every verb of "seaworthy oci" with Debian's docker-registry as the far side: it has no referrers API, and deletes
# by digest only. Then what is there is copied to our own registry and back.
#
#	interop/oci-docker-registry.sh [PROGRAM]     PROGRAM is bin/seaworthy by default
#
# docker-registry is the one in $PATH, or $DOCKER_REGISTRY. Without it, this says so and succeeds; with
# INTEROP_REQUIRED=1 it fails then.
. "$(dirname "$0")/oci.bash"

docker_registry=${DOCKER_REGISTRY:-$(command -v docker-registry || true)}
[ -n "$docker_registry" ] || skip docker-registry "apt-get install docker-registry, or set DOCKER_REGISTRY"
"$docker_registry" --version
start_docker
far=$address
start_seaworthy
own=$address
cd "$work"

"$program" demo image app >/dev/null
digest=$("$program" oci digest app)
fallback=${digest/:/-}
echo '{}' >bill.json
echo '{"messageSignature":{}}' >bundle.json
echo 'hello' >notes.txt
echo 'sig' >sig
tar -cf layer.tar notes.txt
bundle=application/vnd.dev.sigstore.bundle.v0.3+json

# everywhere REGISTRY runs every verb against one registry.
everywhere() {
	local at=$1
	is "push, a layout" "$program" oci push "$at/app:1" app
	is "push again, when everything is there" "$program" oci push "$at/app:1" app
	is "ls" "$program" oci ls "$at/app"
	says "the tag" '^1$'
	is "catalog" "$program" oci catalog "$at"
	says "the repository" '^app$'
	is "digest" "$program" oci digest "$at/app:1"
	says "the same" "^$digest\$"
	is "manifest" "$program" oci manifest "$at/app:1"
	is "manifest --raw" "$program" oci manifest "$at/app:1" --raw
	same "its digest" "sha256:$(sha256sum <out | cut -d' ' -f1)" "$digest"
	is "config" "$program" oci config "$at/app:1"
	is "discover, nothing" "$program" oci discover "$at/app:1"
	says "it says so" '^nothing refers to '
	not "what is not there" 5 "$program" oci digest "$at/app:9"

	is "attach a bundle" "$program" oci attach "$at/app:1" bundle.json --type "$bundle"
	is "attach a bill" "$program" oci attach "$at/app:1" bill.json --type application/spdx+json
	local bill
	bill=$(cat out)
	is "attach a signature to the bill" "$program" oci attach "$bill" bundle.json --type "$bundle"
	is "write cosign's .sig tag" "$program" oci push "$at/app:$fallback.sig" sig --type application/vnd.dev.cosign.simplesigning.v1+json
	is "discover, one tree" "$program" oci discover "$at/app:1"
	tree=$(sed 1d out)
	cat out
	says "the bundle" '^[├└]── signature  application/vnd.dev.sigstore.bundle'
	says "the bill" '^[├└]── bill  application/spdx'
	says "the signature on the bill" '^[│ ]   └── signature  application/vnd.dev.sigstore.bundle'
	says "the .sig tag" '[(]tag sha256-[0-9a-f]{64}[.]sig[)]'
	for format in table json dot; do is "discover -o $format" "$program" oci discover "$at/app:1" -o "$format"; done

	is "copy -r, to another repository" "$program" oci copy -r "$at/app:1" "$at/copied:2"
	is "discover the copy" "$program" oci discover "$at/copied:2"
	same "the same tree" "$(sed 1d out)" "$tree"
	is "validate -r" "$program" oci validate -r "$at/copied:2"
	says "everything" '^5 manifests, .* 0 problems$'

	is "push, files" "$program" oci push "$at/files:1" notes.txt:text/plain bill.json:application/json
	is "pull, files" "$program" oci pull "$at/files:1" "files-$at" --format files
	same "the same bytes" "$(cat "files-$at/notes.txt")" hello
	is "pull -r, layout" "$program" oci pull -r "$at/app:1" "layout-$at"
	is "discover in the layout" "$program" oci discover "oci-dir:layout-$at:1"
	same "the same tree there, but for how it was found" "$(sed 1d out | grep -c '── ')" 4
	is "pull -r, archive" "$program" oci pull -r "$at/app:1" "oci-$at.tar" --format archive
	is "push -r, archive" "$program" oci push -r "$at/fromarchive:1" "oci-$at.tar"
	is "discover what came from the archive" "$program" oci discover "$at/fromarchive:1"
	same "the same tree once more" "$(sed 1d out)" "$tree"
	is "pull, docker archive" "$program" oci pull "$at/app:1" "docker-$at.tar" --format docker-archive
	is "push, docker archive" "$program" oci push "$at/fromdocker:1" "docker-$at.tar"
	is "validate it" "$program" oci validate "$at/fromdocker:1"

	is "tag" "$program" oci tag "$at/app:1" two
	is "mutate" "$program" oci mutate "$at/app:1" --label k=v --annotation a=b --append layer.tar --tag changed
	is "validate what was changed" "$program" oci validate "$at/app:changed"
	is "delete a tag" "$program" oci delete "$at/app:two"
	not "it is gone" 5 "$program" oci digest "$at/app:two"
	is "the image under its other tag is not" "$program" oci digest "$at/app:1"
	is "delete a manifest" "$program" oci delete "$at/app@$("$program" oci digest "$at/app:changed")"
	not "it is gone too" 5 "$program" oci digest "$at/app:changed"
	is "delete a referrer" "$program" oci delete "$bill"
	is "discover without it" "$program" oci discover "$at/app:1" -o json
	says "two are left" '"count": 2'
}

echo "== docker-registry at $far"
everywhere "$far"
echo "== our own registry at $own"
everywhere "$own"
echo "== from one to the other"
is "copy -r, to our own" "$program" oci copy -r "$far/copied:2" "$own/came:2"
is "discover it there" "$program" oci discover "$own/came:2"
same "the same tree" "$(sed 1d out)" "$tree"
is "copy -r, back" "$program" oci copy -r "$own/came:2" "$far/returned:2"
is "discover it there" "$program" oci discover "$far/returned:2"
same "the same tree" "$(sed 1d out)" "$tree"
done_well
