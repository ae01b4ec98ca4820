#!/usr/bin/env bash
# fuzz.sh runs every fuzz target of the module for FUZZTIME (5s). With FUZZ_BUDGET=SECONDS it starts no further
# target after that time, and says which were left out.
set -euo pipefail

fuzztime=${FUZZTIME:-5s}
budget=${FUZZ_BUDGET:-0}
ran=0
left=()

# fuzz runs one target. What it finds is kept in testdata/fuzz and must fail again as a plain test: a machine
# that is too busy for the fuzzer to end in time is no finding.
fuzz() {
	local said
	if said=$(go test -run='^$' -fuzz="^$2\$" -fuzztime="$fuzztime" -fuzzminimizetime=5x "$1" </dev/null 2>&1); then
		tail -n 2 <<<"$said"
		return
	fi
	if go test -run="^$2\$" "$1" </dev/null >/dev/null 2>&1; then
		echo "*** the fuzzer failed, but nothing it found does:"
		tail -n 8 <<<"$said"
		return
	fi
	echo "$said"
	echo "*** $1 $2 fails; the input is in its folder, under testdata/fuzz" >&2
	exit 1
}

# go test -list prints the names of a package's targets and then "ok  PACKAGE".
names=()
while read -r first second _; do
	case $first in
	Fuzz*) names+=("$first") ;;
	ok)
		for name in ${names[@]+"${names[@]}"}; do
			if [ "$budget" -gt 0 ] && [ "$SECONDS" -ge "$budget" ]; then
				left+=("$second.$name")
				continue
			fi
			echo "== $second $name"
			fuzz "$second" "$name"
			ran=$((ran + 1))
		done
		names=()
		;;
	esac
done < <(go test -list '^Fuzz' ./...)

echo "fuzzed $ran targets for $fuzztime each"
if [ ${#left[@]} -gt 0 ]; then
	echo "*** NOT FUZZED, no time left: ${left[*]}"
fi
if [ "$ran" = 0 ]; then
	echo "no fuzz target was run: that cannot be right" >&2
	exit 1
fi
