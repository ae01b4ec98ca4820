#!/bin/bash
# Verifies the published vectors and npm's provenance where there is no network interface at all, not even loopback's.
# Usage: interop/offline.sh [bin/seaworthy]
set -euo pipefail
cd "$(dirname "$0")/.."

program=$(realpath "${1:-bin/seaworthy}")
data=../shared/data/sigstore
[ -x "$program" ] || { echo "there is no program at $program: make build" >&2; exit 1; }
if [ ! -d "$data/vectors" ] || ! unshare -rn true 2>/dev/null; then
	echo "*** SKIPPED: $data/vectors or the right to make a network namespace is not here" >&2
	exit "${INTEROP_REQUIRED:-0}"
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export HOME=$work
github=https://token.actions.githubusercontent.com
beacon=https://github.com/sigstore-conformance/extremely-dangerous-public-oidc-beacon/.github/workflows/extremely-dangerous-oidc-beacon.yml@refs/heads/main
checks=0

for dir in "$data"/vectors/*/; do
	who=(--certificate-identity "$beacon" --certificate-oidc-issuer "$github")
	if [ -f "$dir/key.pub" ]; then who=(--key "$dir/key.pub"); fi
	if [ -f "$dir/trusted_root.json" ]; then who+=(--trusted-root "$dir/trusted_root.json"); fi
	status=0
	unshare -rn "$program" verify "$data/vectors/a.txt" --bundle "$dir/bundle.sigstore.json" "${who[@]}" >"$work/out" 2>"$work/err" || status=$?
	case $dir,$status in
	*_fail/,0) echo "FAIL: $dir was verified" >&2; exit 1 ;;
	*_fail/,1 | *_fail/,12 | *,0) ;;
	*) echo "FAIL: $dir ended with $status" >&2; cat "$work/err" >&2; exit 1 ;;
	esac
	checks=$((checks + 1))
done
unshare -rn "$program" verify "$data/npm-sigstore-2.0.0-provenance.sigstore.json" --certificate-oidc-issuer "$github" \
	--certificate-identity https://github.com/sigstore/sigstore-js/.github/workflows/release.yml@refs/heads/main >"$work/out"
grep -q 'pkg:npm/sigstore@2.0.0' "$work/out"
echo "offline: $((checks + 1)) checks passed"
