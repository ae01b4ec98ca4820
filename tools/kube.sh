#!/usr/bin/env bash
# kube.sh builds kube-apiserver, kubectl and etcd from their Go modules, for the tests against a real API server
# (make test-kube). They are kept outside the repository, in $SEAWORTHY_KUBE (default ~/.cache/seaworthy-kube), and
# built again only when their modules, this script or the Go version change. kube.sh -where prints that folder.
#
# When they cannot be built it says why and exits with 1, or with 0 when SEAWORTHY_KUBE_OPTIONAL is set.
set -euo pipefail
cd "$(dirname "$0")/kube"

out=${SEAWORTHY_KUBE:-${XDG_CACHE_HOME:-$HOME/.cache}/seaworthy-kube}
if [ "${1:-}" = -where ]; then
	echo "$out"
	exit
fi

# give_up says what stands in the way, and what it means for the one who asked.
give_up() {
	echo "*** no API server to test with: $*" >&2
	if [ -n "${SEAWORTHY_KUBE_OPTIONAL:-}" ]; then
		echo "*** SEAWORTHY_KUBE_OPTIONAL is set: going on without" >&2
		exit 0
	fi
	echo "*** set SEAWORTHY_KUBE_OPTIONAL=1 to go on without, or SEAWORTHY_KUBE to a folder that has kube-apiserver, kubectl and etcd" >&2
	exit 1
}

version=$(awk '$1 == "require" && $2 == "k8s.io/kubernetes" { print $3 }' go.mod)
stamp=$({ go env GOVERSION GOOS GOARCH && cat go.mod go.sum etcd/go.mod etcd/go.sum etcd/main.go ../kube.sh; } | sha256sum | cut -d' ' -f1)

# there: they are what would be built, or somebody put others there, without a stamp.
there() {
	[ -x "$out/kube-apiserver" ] && [ -x "$out/kubectl" ] && [ -x "$out/etcd" ] &&
		{ [ ! -e "$out/stamp" ] || [ "$(cat "$out/stamp")" = "$stamp" ]; }
}
there && exit 0

mkdir -p "$out" || give_up "cannot make $out"
if command -v flock >/dev/null; then
	exec 9>"$out/lock"
	flock 9 # another make may be at it
	there && exit 0
fi

# Modules, compiled packages and programs come to about 4 GB.
need=$((5 * 1024 * 1024))
for dir in "$out" "$(go env GOCACHE)"; do
	mkdir -p "$dir"
	free=$(df -Pk "$dir" | awk 'NR == 2 { print $4 }')
	[ "$free" -ge "$need" ] || give_up "$dir has $((free / 1024)) MiB free, building takes $((need / 1024))"
done

echo "building kube-apiserver $version, kubectl and etcd into $out: once, about 8 minutes on two cores"
fetch() { # FOLDER PACKAGE…
	(cd "$1" && shift && go list -deps "$@" >/dev/null) || give_up "their Go modules cannot be fetched"
}
fetch . k8s.io/kubernetes/cmd/kube-apiserver k8s.io/kubernetes/cmd/kubectl
fetch etcd .
flags="-s -w -X k8s.io/component-base/version.gitVersion=$version -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=$(cut -d. -f2 <<<"$version")"
build() { # FOLDER PACKAGE PROGRAM LINKER-FLAGS
	echo "  $3 ($SECONDS s)"
	(cd "$1" && CGO_ENABLED=0 go build -trimpath -ldflags="$4" -o "$out/$3.new" "$2") || give_up "$3 does not build"
	mv "$out/$3.new" "$out/$3"
}
echo unfinished >"$out/stamp"
build etcd . etcd "-s -w"
build . k8s.io/kubernetes/cmd/kubectl kubectl "$flags"
build . k8s.io/kubernetes/cmd/kube-apiserver kube-apiserver "$flags"
echo "$stamp" >"$out/stamp"
echo "built in $SECONDS s"
