#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The recipes for CI without a kernel: the action has the shape that GitHub
# documents, and gate.sh passes on what belay says. What it does with kernels is
# in tests/lab/test_ci.sh.
set -u
build=$1
top=$(cd "$(dirname "$0")/../.." && pwd)
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
/usr/bin/python3 -c 'import yaml' 2>/dev/null || {
	echo 'skipped: python3-yaml is not installed (scripts/setup)'
	exit 77
}
failed=0
ok() { # ok WHAT CONDITION…
	local what=$1
	shift
	if "$@"; then echo "ok: $what"; else echo "NOT OK: $what"; failed=1; fi
}
# gate STATUS ARG…: gate.sh in a folder of its own gives STATUS.
gate() {
	local want=$1 got=0
	shift
	(cd "$tmp" && env -u GITHUB_STEP_SUMMARY -u GITHUB_OUTPUT BELAY="$build/belay" \
		"$top/scripts/ci/gate.sh" "$@") >"$tmp/out" 2>"$tmp/err" || got=$?
	[ "$got" = "$want" ] || { echo "status $got, not $want"; cat "$tmp/out" "$tmp/err"; false; }
}

ok 'the action has the documented shape' \
	/usr/bin/python3 "$top/tests/unit/check_action.py" "$top/scripts/ci/action.yml"
ok 'no file is wrong usage' gate 64
ok 'help is help' gate 0 --help
ok '... with an example' grep -q 'example: ' "$tmp/out"
printf '{ "contract": 1, "default": {}, "rules": [ { "id": 7 } ] }' >"$tmp/bad.json"
ok 'malformed content is rejected' gate 1 bad.json
ok '... and told in every form' test -s "$tmp/belay-report/report.json" -a \
	-s "$tmp/belay-report/report.sarif" -a -s "$tmp/belay-report/report.xml" -a \
	-s "$tmp/belay-report/report.md"
ok '... on standard output, too' grep -q '^rejected: ' "$tmp/out"
ok 'a file that is not there is undecided' gate 2 nothing.bpf.o
ok '... and leaves no report of an earlier run' test ! -e "$tmp/belay-report/report.json"
exit $failed
