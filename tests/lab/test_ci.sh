#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The shell recipe for CI on one real kernel: reports, baseline, exit status.
# usage: test_ci.sh BUILD_DIR [KERNEL]   (default: 6.1)
set -u
build=$1 kernel=${2:-6.1}
top=$(cd "$(dirname "$0")/../.." && pwd)
"$build/belay" lab kernels >/dev/null 2>&1 || { echo 'skipped: no lab kernels'; exit 77; }
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
failed=0
out=$tmp/out
ok() { # ok WHAT CONDITION…
	local what=$1
	shift
	if "$@"; then echo "ok: $what"; else echo "NOT OK: $what"; failed=1; fi
}
# gate STATUS FILE [VARIABLE=VALUE]…: the recipe gives STATUS.
gate() {
	local want=$1 file=$2 got=0
	shift 2
	: >"$tmp/output"
	: >"$tmp/summary"
	env BELAY="$build/belay" BELAY_OUT="$out" GITHUB_OUTPUT="$tmp/output" \
		GITHUB_STEP_SUMMARY="$tmp/summary" "$@" \
		"$top/scripts/ci/gate.sh" "$file" -k "$kernel" --profile trusted --quiet \
		--deadline 1200 \
		>"$tmp/text" 2>"$tmp/err" || got=$?
	[ "$got" = "$want" ] || { echo "status $got, not $want"; cat "$tmp/text" "$tmp/err"; false; }
}
json() { jq -e "$@" >/dev/null; } # json FILTER FILE

objects=$build/tests/lab/objects sensor=$build/bpf/sensor.bpf.o
ok 'an object that reads out of bounds is rejected' gate 1 "$objects/oob.bpf.o"
ok '... the job is told so' grep -qx 'verdict=rejected' "$tmp/output"
ok '... its page shows the comment' cmp -s "$tmp/summary" "$out/report.md"
ok '... which has the line' grep -qF 'oob.bpf.c:38' "$out/report.md"
ok '... and what to do' grep -q '^> Nothing limits the index' "$out/report.md"
ok 'SARIF has an error at that line' json '[.runs[0].results[]
	| select(.level == "error").locations[0].physicalLocation
	| select(.region.startLine == 38).artifactLocation.uri]
	== ["tests/lab/objects/oob.bpf.c"]' "$out/report.sarif"
ok 'JUnit has its failures' grep -q '<testsuites .* failures="[1-9][0-9]*" errors="0"' "$out/report.xml"
ok 'JSON has the verdict' json '.verdict == "rejected"' "$out/report.json"
ok 'the console is kept' test -n "$(find "$out/logs" -name '*.console.log')"

base=$tmp/baseline.json
ok 'a good one is accepted' gate 0 "$sensor" BELAY_BASELINE="$base"
ok '... and leaves a baseline to commit' test -s "$base"
cp "$base" "$tmp/first"
ok '... which the next run keeps' gate 0 "$sensor" BELAY_BASELINE="$base"
ok '... as it is' cmp -s "$base" "$tmp/first"
# As if every program had cost one instruction before.
sed -E 's/("insns": )[0-9]+/\11/' "$tmp/first" >"$base"
ok 'growth beyond the baseline is rejected' gate 1 "$sensor" BELAY_BASELINE="$base"
ok '... and shown as a cost' grep -q '| program | kernel | cost |' "$out/report.md"

ok 'without a kernel nothing is decided' gate 2 "$sensor" BELAY_CACHE="$tmp/empty"
ok '... and the job is told so' grep -qx 'verdict=undecided' "$tmp/output"
exit $failed
