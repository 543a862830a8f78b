#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# belay compare without a lab: what it says to a person who gets it wrong, and
# reports made of runs that are there.
#
# usage: test_compare_cli.sh BUILD_DIR
set -u
belay=$1/belay
top=$(cd "$(dirname "$0")/../.." && pwd)
dir=$(mktemp -d "${TMPDIR:-/tmp}/belay-compare-XXXXXX")
trap 'rm -rf "$dir"' EXIT
bad=0

# says CODE TEXT ARG…: it ends with CODE and says TEXT.
says() {
	local want=$1 text=$2 out code=0
	shift 2
	out=$("$belay" compare "$@" 2>&1) || code=$?
	[[ $code == "$want" && $out == *"$text"* ]] || {
		echo "compare $*: ended with $code, not $want, or does not say '$text': $out"
		bad=1
	}
}

cp "$top/tests/faults/catalog.json" "$dir/"
here=(--faults-dir "$dir" --out "$dir/out")
says 0 'example: belay compare' --help
says 64 "unknown" --no-such-option
says 64 "--way is A, B or C, not 'D'" --way D
says 64 "there is no fault 'luck'" "${here[@]}" --fault luck
says 64 "'6.1' is more than expected" "${here[@]}" 6.1
says 2 'scripts/compare-all' --faults-dir "$dir/none"
sed 's/"verifier"/"verfier"/' "$dir/catalog.json" >"$dir/bad.json"
says 2 'names no line that stops a fault' "${here[@]}" --catalog "$dir/bad.json"

# Two runs that are there: one as expected, one not.
run() { # run FAULT WAY PAST AS_EXPECTED
	mkdir -p "$dir/out/runs"
	cat >"$dir/out/runs/$1.6.1.0-1.$2.json" <<-END
		{ "fault": "$1", "kernel": "6.1.0-1", "way": "$2", "failed": null,
		  "gate": { "verdict": "rejected", "check": "verifier", "words": "no" },
		  "stopped_by": "verifier", "past_gate": { "stopped_by": "$3" },
		  "hosts": 3, "exposed": 1, "lost": 0, "crashes": 0, "reboots": 0,
		  "outage_s": 0, "recover_s": 0, "attributed": null,
		  "as_expected": $4, "live_after": [ "1", "1", "1" ],
		  "down": [ [ 0, 0 ], [ 9000, 0 ] ], "timeline": [], "logs": [],
		  "evidence": [], "seconds": 12.5, "belay": "0.1.0",
		  "variant": "abc" }
	END
}
run null-dereference C verifier true
says 0 'Null dereference' "${here[@]}" --report-only
for file in compare.json compare.md compare.html; do
	[[ -s $dir/out/$file ]] || { echo "there is no $file"; bad=1; }
done
run oob-read C trial false
says 1 '"oob-read"' "${here[@]}" --report-only --json
echo '{ "fault": "x" }' >"$dir/out/runs/oob-write.6.1.0-1.C.json"
says 2 'oob-write.6.1.0-1.C.json' "${here[@]}" --report-only
exit "$bad"
