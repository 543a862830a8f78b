#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Reports against their schemas: JSON's is ours, SARIF's is that of OASIS; the
# rules of a report know every check that the gate makes.
set -u
build=$1
top=$(cd "$(dirname "$0")/../.." && pwd)
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
/usr/bin/python3 -c 'import jsonschema' 2>/dev/null || {
	echo 'skipped: python3-jsonschema is not installed (scripts/setup)'
	exit 77
}
failed=0

BELAY_TEST_DUMP=$tmp CK_RUN_CASE=dump "$build/tests/unit_gate_report_forms" >"$tmp/log" ||
	{ cat "$tmp/log"; failed=1; }

# What the command itself writes about files that need no kernel.
printf '{ "contract": 1, "default": {}, "rules": [ { "id": 7 } ] }' >"$tmp/bad.content"
mkdir "$tmp/own"
"$build/belay" check "$tmp/bad.content" --json >"$tmp/own/content.json"
[ $? = 1 ] || { echo 'NOT OK: malformed content is rejected'; failed=1; }
head -c 4000 "$build/tests/lab/objects/oob.bpf.o" >"$tmp/cut.bpf.o"
"$build/belay" check "$tmp/cut.bpf.o" --json >"$tmp/own/cut.json"
[ $? = 1 ] || { echo 'NOT OK: an object cut short is rejected'; failed=1; }
for file in "$tmp"/own/*.json; do
	/usr/bin/python3 - "$top/loader/gate/report/report.schema.json" "$file" <<-'PY' || failed=1
		import json, sys, jsonschema
		schema, report = (json.load(open(path)) for path in sys.argv[1:])
		jsonschema.Draft202012Validator(schema).validate(report)
	PY
done
/usr/bin/python3 -W ignore "$top/tests/unit/check_reports.py" "$top" "$tmp" || failed=1

# Each check that the gate names has its place in reports.
names=$(cat "$top"/loader/gate/*.c "$top"/loader/gate/*/*.c | tr '\n\t' '  ' |
	grep -oE '(\.check = \(char \*\)|BL_VERDICT_[A-Z]+, *)"[a-z_-]+"' |
	grep -oE '"[a-z_-]+"' | sort -u)
[ "$(wc -w <<<"$names")" -ge 8 ] || { echo 'NOT OK: no check was found'; failed=1; }
for name in $names; do
	grep -qE "^\s*\{ $name," "$top/loader/gate/report/report_checks.c" ||
		{ echo "NOT OK: report_checks.c does not know $name"; failed=1; }
done
exit $failed
