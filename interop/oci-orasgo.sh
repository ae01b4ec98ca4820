#!/usr/bin/env bash
# An unmodified oras-go client (v2.6.4, in interop/orasgo, a module of its own) pushes, pulls and discovers against our
# registry, and finds what "seaworthy oci attach" has attached there and, through the fallback tag, in docker-registry.
#
#	interop/oci-orasgo.sh [PROGRAM]     PROGRAM is bin/seaworthy by default
#
# Without oras-go, and without a network to get it, this says so and succeeds; with INTEROP_REQUIRED=1 it fails then.
. "$(dirname "$0")/oci.bash"

gopath=$(HOME=$(getent passwd "$(id -u)" | cut -d: -f6) go env GOMODCACHE)
export GOMODCACHE=$gopath GOFLAGS=-mod=mod CGO_ENABLED=0
(cd interop/orasgo && go test -c -o "$work/orasgo.test" . 2>"$work/err") ||
	{ cat "$work/err" >&2; skip oras-go "it is fetched by: cd interop/orasgo && go mod download"; }
start_seaworthy
cd "$work"
"$program" demo image app >/dev/null
echo '{}' >bill.json

# round NAME ADDRESS has oras-go find what we attached.
round() {
	is "$1: oci push" "$program" oci push "$2/app:1" app
	is "$1: oci attach" "$program" oci attach "$2/app:1" bill.json --type application/spdx+json
	is "$1: oras-go finds it" env REGISTRY="$2" SUBJECT=app EXPECT=application/spdx+json "$work/orasgo.test" -test.v -test.run TestFindsWhatOthersAttached
	says "$1: it ran" '^--- PASS: TestFinds'
}

is "oras-go pushes, pulls, discovers, copies and deletes" env REGISTRY="$address" "$work/orasgo.test" -test.v -test.run TestPushPullDiscover
says "it ran" '^--- PASS: TestPushPullDiscover'
is "ours discovers what oras-go attached" "$program" oci discover "$address/orasgo/other:1"
says "the bill" '└── bill  application/spdx'
says "what is on the bill" '^    └── artifact  application/vnd.example.signature'
is "ours validates what oras-go pushed" "$program" oci validate -r "$address/orasgo/other:1"
round "our registry" "$address"
docker_registry=${DOCKER_REGISTRY:-$(command -v docker-registry || true)}
if [ -n "$docker_registry" ]; then
	start_docker
	round "docker-registry" "$address"
else
	echo "*** SKIPPED: docker-registry is not here. apt-get install docker-registry, or set DOCKER_REGISTRY" >&2
fi
done_well
