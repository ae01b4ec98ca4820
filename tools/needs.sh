#!/usr/bin/env bash
# needs.sh PROGRAM:PACKAGE… sees to it that programs are there. As root on Debian it installs what is missing;
# elsewhere it says what to install and lets the work go on: the tests that want the program skip, and say so.
set -euo pipefail

# Debian keeps the programs of PostgreSQL's server out of the PATH.
there() { command -v "$1" >/dev/null || compgen -G "/usr/lib/postgresql/*/bin/$1" >/dev/null; }

missing=()
for need in "$@"; do
	there "${need%%:*}" || missing+=("${need##*:}")
done
[ ${#missing[@]} -eq 0 ] && exit 0

if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
	echo "installing ${missing[*]}"
	export DEBIAN_FRONTEND=noninteractive
	if { apt-get install -qq -y --no-install-recommends "${missing[@]}" ||
		{ apt-get update -qq && apt-get install -qq -y --no-install-recommends "${missing[@]}"; }; } >/dev/null 2>&1; then
		exit 0
	fi
fi
echo "*** MISSING: ${missing[*]}. Some tests will be skipped. Install with: apt-get install ${missing[*]}" >&2
