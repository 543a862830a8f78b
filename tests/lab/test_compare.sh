#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# belay compare on a few faults: pushed to all hosts, the module takes them down
# for good; under belay the one host that got it comes back by itself and blames
# it; eBPF loses none. What was run is not run again.
#
# usage: test_compare.sh BUILD_DIR [KERNEL]
set -uo pipefail

# shellcheck source=tests/lab/lib.sh
. "$(dirname "$0")/lib.sh"
open_lab "$1" compare
kernel=${2:-6.1}
pushed=(null-dereference oob-read)
kept=(null-dereference oob-read event-flood)
out=$work/out

known "$kernel" || skip "no kernel $kernel in the cache; run scripts/kernels"
"$belay" lab kernels --json |
	jq -e --arg k "$kernel." 'any(.[]; (.release | startswith($k)) and
		.headers_dir != null)' >/dev/null ||
	skip "no headers of kernel $kernel in the cache; run scripts/kernels"
BELAY=$belay "$source/tests/faults/collect" "$build" "$work/faults" "$kernel" \
	"${kept[@]}" || { fail "the faults do not build"; exit 1; }

compare() { # compare WAY… -- FAULT…
	local args=()
	while [[ $1 != -- ]]; do
		args+=(--way "$1")
		shift
	done
	shift
	for fault; do args+=(--fault "$fault"); done
	"$belay" compare --kernel "$kernel" --faults-dir "$work/faults" \
		--out "$out" --json "${args[@]}" >"$work/compare.json"
}

# holds WHAT FILTER: of the runs of all faults, as they are now.
holds() {
	jq -e "[.runs[]] | $2" "$out/compare.json" >/dev/null || fail "$1"
}

compare A -- "${pushed[@]}"
compare B C -- "${kept[@]}"
code=$?
[[ $code -le 1 ]] || fail "belay compare ended with $code"
jq -r '.runs[] | [.fault, .way, "gate " + .gate.verdict, .past_gate.stopped_by,
	"lost \(.lost)", "crashes \(.crashes)", .failed // ""] | @tsv' "$out/compare.json"

holds "a run is missing or could not be made" \
	'length == 8 and all(.failed == null and .hosts == 3)'
holds "A: pushed to all, it did not take all hosts down for good" \
	'map(select(.way == "A")) | length == 2 and
	 all(.exposed == 3 and .lost == 3 and .stopped_by == "never")'
holds "B, C: the gate let something through" \
	'map(select(.way != "A")) | all(.gate.verdict == "rejected")'
holds "B, C: more than one host got it" \
	'map(select(.way != "A")) | all(.exposed <= 1)'
holds "B, C: a host was lost" 'map(select(.way != "A")) | all(.lost == 0)'
holds "B: a crash took more than one boot, or was laid to another version" \
	'map(select(.way == "B" and .crashes > 0)) | length == 2 and
	 all(.crashes == 1 and .attributed == true and .recover_s != null)'
holds "B: what crashed left no evidence" \
	'map(select(.way == "B" and .crashes > 0)) |
	 all([.evidence[].text] | any(contains("convicted")))'
holds "C: a host was down" \
	'map(select(.way == "C")) | all(.crashes == 0)'
grep -q 'Null dereference' "$out/compare.md" || fail "the Markdown says nothing"
[[ -s $out/compare.html ]] || fail "there is no page"

echo "== the same again"
before=$(stat -c %y "$out"/runs/*)
compare A -- "${pushed[@]}"
compare B C -- "${kept[@]}"
[[ $(stat -c %y "$out"/runs/*) == "$before" ]] || fail "it was all run again"
exit $failed
