#!/usr/bin/env bash
# Runs the official conformance suite of the OCI distribution specification against "seaworthy registry serve":
# once as for version 1.1, once as for the next version with every optional API and sparse manifests, and both
# again through access rules with tokens.
#
#	interop/oci-conformance.sh [PROGRAM]     PROGRAM is bin/seaworthy by default
#
# The suite is built, unmodified, in .cache/oci-conformance. Without it, and without a network to get it, this says
# so and succeeds; with CONFORMANCE_REQUIRED=1 it fails then.
set -euo pipefail
cd "$(dirname "$0")/.."

program=$(realpath "${1:-bin/seaworthy}")
suite=github.com/opencontainers/distribution-spec/conformance
version=v0.0.0-20260730175803-fee21197eb94
cache=$PWD/.cache/oci-conformance
mkdir -p "$cache"

if [ ! -x "$cache/conformance-$version" ]; then
	source=$(cd "$cache" && go mod download -json "$suite@$version" 2>/dev/null | sed -n 's/^\t"Dir": "\(.*\)",\{0,1\}$/\1/p') || true
	if [ -z "$source" ] || ! (cd "$source" && GOFLAGS=-mod=mod CGO_ENABLED=0 go build -o "$cache/conformance-$version" .); then
		echo "*** SKIPPED: the conformance suite ($suite@$version) cannot be had" >&2
		exit "${CONFORMANCE_REQUIRED:-0}"
	fi
fi

work=$(mktemp -d)
server=
cleanup() {
	[ -z "$server" ] || kill "$server" 2>/dev/null || true
	rm -rf "$work"
}
trap cleanup EXIT

cat >"$work/access.yaml" <<'YAML'
users: users
rules:
  - repositories: ["conformance/**"]
    users: [conformance]
    actions: [pull, push, delete, mount-from]
YAML
# The password is "conformance", with the lowest cost there is.
echo 'conformance:$2a$04$CqILlL6FqJZEgi2MRxfyeOo.oCfpQhg0m6VBmqlt8MwTAQBaBhmyW' >"$work/users"

# start [FLAG…] starts the server on a new folder, and sets server and address.
start() {
	rm -rf "$work/registry"
	"$program" registry serve --addr 127.0.0.1:0 --dir "$work/registry" "$@" 2>"$work/log" &
	server=$!
	for _ in $(seq 200); do
		address=$(sed -n 's/^the registry is at //p' "$work/log")
		if [ -n "$address" ]; then return; fi
		kill -0 "$server" 2>/dev/null || break
		sleep 0.05
	done
	cat "$work/log" >&2
	exit 1
}

stop() {
	kill "$server"
	wait "$server" || { echo "the server ended badly" >&2; exit 1; }
	server=
}

failed=0
# round NAME [VARIABLE=VALUE…] runs the suite once.
round() {
	local name=$1
	shift
	echo "== $name"
	if (cd "$work" && env OCI_REGISTRY="$address" OCI_TLS=disabled OCI_RESULTS_DIR="$work/results" "$@" \
		"$cache/conformance-$version" >"$work/report" 2>&1); then
		tail -n 8 "$work/report"
	else
		failed=1
		cat "$work/report"
		cp -r "$work/results" "$cache/failed-$name" 2>/dev/null || true
	fi
}

all=(OCI_VERSION=dev OCI_API_BLOBS_UPLOAD_CANCEL=true OCI_API_MANIFESTS_TAG_PARAM=true
	OCI_API_BLOBS_DIGEST_HEADER=true OCI_API_MANIFESTS_DIGEST_HEADER=true OCI_DATA_SPARSE=true)
login=(OCI_USERNAME=conformance OCI_PASSWORD=conformance)

start
round 1.1 OCI_VERSION=1.1
round dev "${all[@]}"
stop
start --auth "$work/access.yaml"
round 1.1-with-tokens OCI_VERSION=1.1 "${login[@]}"
round dev-with-tokens "${all[@]}" "${login[@]}"
stop
exit "$failed"
