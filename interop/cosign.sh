#!/bin/bash
# Signs with seaworthy and verifies with cosign v3, and the other way round: files and images, with keys, and without
# them through the authorities of seaworthy up. Usage: interop/cosign.sh [bin/seaworthy]; cosign is $COSIGN or in PATH.
set -euo pipefail
cd "$(dirname "$0")/.."

program=$(realpath "${1:-bin/seaworthy}")
[ -x "$program" ] || { echo "there is no program at $program: make build" >&2; exit 1; }
cosign=${COSIGN:-$(command -v cosign || true)}
if [ -z "$cosign" ]; then
	echo "*** SKIPPED: cosign is not here. go install github.com/sigstore/cosign/v3/cmd/cosign@v3.1.3" >&2
	exit "${INTEROP_REQUIRED:-0}"
fi
work=$(mktemp -d)
server=
cleanup() {
	if [ -n "$server" ]; then kill "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true; fi
	rm -rf "$work"
}
trap cleanup EXIT
export HOME=$work/home COSIGN_PASSWORD=interop SEAWORTHY_PASSWORD=interop
mkdir "$HOME"
checks=0

# is WHAT COMMAND… runs a command that must succeed; no WHAT COMMAND… one that must not.
is() {
	local what=$1
	shift
	if ! "$@" >"$work/out" 2>"$work/err"; then
		echo "FAIL: $what: $*" >&2
		cat "$work/out" "$work/err" >&2
		exit 1
	fi
	checks=$((checks + 1))
}
no() {
	local what=$1
	shift
	if "$@" >"$work/out" 2>"$work/err"; then
		echo "FAIL: $what should have been refused: $*" >&2
		exit 1
	fi
	checks=$((checks + 1))
}

cd "$work"
echo "something to sign" >file
echo "something else" >other
"$cosign" signing-config create --no-default-fulcio --no-default-oidc --no-default-rekor --no-default-tsa --out nobody.json

# Keys. cosign's verify-blob does not verify P-384 and Ed25519 signatures over files, its own neither, so those go one way.
for kind in ecdsa-p256 rsa-3072 ecdsa-p384 ed25519; do
	is "keygen $kind" "$program" keygen --kind "$kind" --name "$kind"
	is "cosign reads the $kind key" "$cosign" public-key --key "$kind.key"
	is "cosign signs with it" "$cosign" sign-blob --yes --key "$kind.key" --signing-config nobody.json --bundle "$kind.cosign.json" file
	is "we verify" "$program" verify file --bundle "$kind.cosign.json" --key "$kind.pub"
	no "another file" "$program" verify other --bundle "$kind.cosign.json" --key "$kind.pub"
	is "we sign" "$program" sign file --key "$kind.key" --bundle "$kind.json"
	is "we verify that" "$program" verify file --bundle "$kind.json" --key "$kind.pub"
	case $kind in
	ecdsa-p256 | rsa-3072) is "cosign verifies" "$cosign" verify-blob --insecure-ignore-tlog --key "$kind.pub" --bundle "$kind.json" file ;;
	esac
done
is "cosign makes a key" "$cosign" generate-key-pair --output-key-prefix theirs
is "we sign with cosign's key" "$program" sign file --key theirs.key --bundle theirs.json
is "cosign verifies" "$cosign" verify-blob --insecure-ignore-tlog --key theirs.pub --bundle theirs.json file

# Authorities and a registry of our own.
"$program" up --dir "$work/up" --addr 127.0.0.1:0 >"$work/up.log" 2>&1 &
server=$!
for _ in $(seq 200); do
	address=$(sed -n 's|^ready at http://\([^ ]*\) .*|\1|p' "$work/up.log")
	if [ -n "$address" ]; then break; fi
	kill -0 "$server" 2>/dev/null || { cat "$work/up.log" >&2; exit 1; }
	sleep 0.05
done
root=$work/up/trusted_root.json config=$work/up/signing_config.json
who=(--trusted-root "$root" --certificate-identity you@example.com --certificate-oidc-issuer "http://$address/oidc")
token() { curl -fsS "http://$address/oidc/token?email=you@example.com"; }

is "we sign without a key" "$program" sign file --signing-config "$config" --identity-token "$(token)" --bundle keyless.json
is "cosign verifies" "$cosign" verify-blob "${who[@]}" --bundle keyless.json file
no "cosign refuses another file" "$cosign" verify-blob "${who[@]}" --bundle keyless.json other
is "cosign signs without a key" "$cosign" sign-blob --yes --signing-config "$config" --trusted-root "$root" --identity-token "$(token)" --bundle keyless.cosign.json file
is "we verify" "$program" verify file "${who[@]}" --bundle keyless.cosign.json
no "we refuse another root" "$program" verify file --certificate-identity you@example.com --certificate-oidc-issuer "http://$address/oidc" --bundle keyless.cosign.json
is "we sign with a key, logged" "$program" sign file --key ecdsa-p256.key --signing-config "$config" --bundle logged.json
is "cosign verifies" "$cosign" verify-blob --trusted-root "$root" --key ecdsa-p256.pub --bundle logged.json file

# Images, each signed by one and verified by both.
echo '{"spdxVersion":"SPDX-2.3"}' >bill.json
is "an image" "$program" demo image app
http=(--allow-http-registry)
for by in ours theirs; do
	image=$address/interop/$by:1
	is "push" "$program" oci push "$image" app
	if [ $by = ours ]; then
		is "sign" "$program" sign "$image" --signing-config "$config" --identity-token "$(token)"
		is "sign with a key" "$program" sign "$image" --key ecdsa-p256.key -a build=42 --legacy
		is "attest" "$program" attest "$image" --predicate bill.json --type spdx --signing-config "$config" --identity-token "$(token)"
		is "attest with a key" "$program" attest "$image" --predicate bill.json --type spdx --key ecdsa-p256.key --legacy
	else
		is "cosign sign" "$cosign" sign --yes "${http[@]}" --signing-config "$config" --trusted-root "$root" --identity-token "$(token)" "$image"
		is "cosign sign with a key" "$cosign" sign --yes "${http[@]}" --key ecdsa-p256.key --signing-config nobody.json -a build=42 "$image"
		is "cosign sign as of old" "$cosign" sign --yes "${http[@]}" --key ecdsa-p256.key --new-bundle-format=false --use-signing-config=false --tlog-upload=false -a build=42 "$image"
		is "cosign attest" "$cosign" attest --yes "${http[@]}" --predicate bill.json --type spdxjson --signing-config "$config" --trusted-root "$root" --identity-token "$(token)" "$image"
		is "cosign attest with a key, as of old" "$cosign" attest --yes "${http[@]}" --predicate bill.json --type spdxjson --key ecdsa-p256.key --new-bundle-format=false --use-signing-config=false --tlog-upload=false "$image"
	fi
	is "cosign verifies" "$cosign" verify "${http[@]}" "${who[@]}" "$image"
	is "cosign verifies the key" "$cosign" verify "${http[@]}" --insecure-ignore-tlog --key ecdsa-p256.pub -a build=42 "$image"
	is "cosign verifies the tag" "$cosign" verify "${http[@]}" --insecure-ignore-tlog --new-bundle-format=false --key ecdsa-p256.pub -a build=42 "$image"
	is "cosign verifies the attestation" "$cosign" verify-attestation "${http[@]}" "${who[@]}" --type spdxjson "$image"
	is "we verify" "$program" verify "$image" "${who[@]}"
	is "we verify the key" "$program" verify "$image" --key ecdsa-p256.pub -o json
	grep -q '"format": "cosign signature"' out || { echo "FAIL: the tag of $by is not among what was verified" >&2; exit 1; }
	is "we verify the attestation" "$program" verify "$image" "${who[@]}" --type spdx
	is "we verify the attestation with a key" "$program" verify "$image" --key ecdsa-p256.pub --type spdx -o json
	grep -q '"format": "cosign attestation"' out || { echo "FAIL: the .att tag of $by is not among what was verified" >&2; exit 1; }
	no "somebody else's key" "$program" verify "$image" --key theirs.pub
	no "somebody else" "$program" verify "$image" --trusted-root "$root" --certificate-identity me@example.com --certificate-oidc-issuer "http://$address/oidc"
done
echo "cosign: $checks checks passed"
