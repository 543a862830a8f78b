#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The model of the ledger (ledger.pml), searched whole: no order of steps and
# deaths breaks I7. And the same model with a mistake in it, which must be
# found: a model that takes everything proves nothing.
set -u
model=$(cd "$(dirname "$0")" && pwd)/ledger.pml
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp" || exit 1
command -v spin >/dev/null || {
	echo 'skipped: spin is not installed (scripts/setup)'
	exit 77
}
failed=0

# search NAME [OPTION…]: builds the model and searches it into NAME.log.
search() {
	local name=$1
	shift
	{ spin "$@" -a "$model" && gcc -O2 -DSAFETY -DCOLLAPSE -o pan pan.c &&
		./pan -m10000; } >"$name.log" 2>&1 ||
		{ cat "$name.log"; echo "NOT OK: $name: could not be searched"; failed=1; }
}

# holds NAME [OPTION…]: no assertion fails, and every step of it was taken, or it
# proves less than it says.
holds() {
	search "$@"
	grep -q 'errors: 0' "$1.log" &&
		! grep -q 'search depth too small\|out of memory' "$1.log" ||
		{ cat "$1.log"; echo "NOT OK: $1: it does not hold in the model"; failed=1; }
	! grep 'state [0-9]' "$1.log" | grep -vE '"-end-"|[0-9] states' ||
		{ echo "NOT OK: $1: steps of the model are never taken"; failed=1; }
}

# With an operator who pauses and resumes: two hosts, or it takes minutes.
paused=(-DHOSTS=2 -DCAP=1 -DPAUSES=1)
holds right
holds paused "${paused[@]}"

# wrong NAME WORDS [OPTION…]: the model with the mistake NAME, found by that
# assertion.
wrong() {
	search "$1" "-D$1" "${@:3}"
	grep -qF "assertion violated $2" "$1.log" ||
		{ cat "$1.log"; echo "NOT OK: $1 was not found out"; failed=1; }
}

wrong NO_CAS '(open=='
wrong TOLD_FIRST '(exposure[me]!='
wrong PAUSE_APART ' !(paused)' "${paused[@]}"
wrong PAUSE_UNREAD ' !(paused)' "${paused[@]}"

grep -h 'states, stored' right.log paused.log
exit "$failed"
