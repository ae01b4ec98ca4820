# What the interop scripts of "seaworthy oci" have in common; they source it.
#
#	program, work       the program under test, and a folder that goes away
#	start_seaworthy     sets address to our own registry, freshly started
#	start_docker        sets address to Debian's docker-registry, which can delete
#	is WHAT COMMAND…    runs a command that must succeed; its output is in $work/out
#	says WHAT PATTERN   demands a line in that output
#	not WHAT STATUS COMMAND…   runs a command that must end with a status
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

program=$(realpath "${1:-bin/seaworthy}")
[ -x "$program" ] || { echo "there is no program at $program: make build" >&2; exit 1; }
work=$(mktemp -d)
servers=()
checks=0
cleanup() {
	for pid in "${servers[@]:+${servers[@]}}"; do kill "$pid" 2>/dev/null || true; done
	rm -rf "$work"
}
trap cleanup EXIT
export SEAWORTHY_CACHE_DIR=$work/cache HOME=$work XDG_CONFIG_HOME=$work/config SOURCE_DATE_EPOCH=1700000000

# skip NAME HOW says loudly that a peer is missing. With INTEROP_REQUIRED=1 that is a failure.
skip() {
	echo "*** SKIPPED: $1 is not here. $2" >&2
	exit "${INTEROP_REQUIRED:-0}"
}

# await LOG EXPRESSION waits for a server to say where it listens.
await() {
	for _ in $(seq 200); do
		address=$(sed -n "$2" "$1" | head -n 1)
		if [ -n "$address" ]; then return; fi
		kill -0 "${servers[-1]}" 2>/dev/null || break
		sleep 0.05
	done
	cat "$1" >&2
	exit 1
}

start_seaworthy() {
	: >"$work/seaworthy.log" # there before the server is, for await
	"$program" registry serve --addr 127.0.0.1:0 --dir "$work/seaworthy-registry" 2>"$work/seaworthy.log" &
	servers+=($!)
	await "$work/seaworthy.log" 's/^the registry is at //p'
}

start_docker() {
	cat >"$work/docker.yml" <<-YAML
		version: 0.1
		storage: {filesystem: {rootdirectory: $work/docker-registry}, delete: {enabled: true}}
		http: {addr: "127.0.0.1:0"}
		log: {level: info, accesslog: {disabled: true}}
	YAML
	: >"$work/docker.log"
	"$docker_registry" serve "$work/docker.yml" >"$work/docker.log" 2>&1 &
	servers+=($!)
	await "$work/docker.log" 's/.*listening on \(127[0-9.:]*\).*/\1/p'
}

is() {
	local what=$1
	shift
	checks=$((checks + 1))
	if ! "$@" >"$work/out" 2>"$work/err"; then
		echo "FAILED: $what: $*" >&2
		cat "$work/out" "$work/err" >&2
		exit 1
	fi
	echo "ok  $what"
}

says() {
	checks=$((checks + 1))
	if ! grep -Eq -- "$2" "$work/out"; then
		echo "FAILED: $1: no line like $2 in" >&2
		cat "$work/out" >&2
		exit 1
	fi
	echo "ok  $1"
}

not() {
	local what=$1 status=$2 got=0
	shift 2
	checks=$((checks + 1))
	"$@" >"$work/out" 2>"$work/err" || got=$?
	if [ "$got" != "$status" ]; then
		echo "FAILED: $what: $* ended with $got, not $status" >&2
		cat "$work/out" "$work/err" >&2
		exit 1
	fi
	echo "ok  $what"
}

# same WHAT A B demands that two words are equal.
same() {
	checks=$((checks + 1))
	if [ "$2" != "$3" ]; then
		echo "FAILED: $1: $2 is not $3" >&2
		exit 1
	fi
	echo "ok  $1"
}

done_well() { echo "$checks checks passed"; }
