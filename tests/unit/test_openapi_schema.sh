#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Real requests and answers of the API against openapi.json: check_openapi.py.
set -u
build=$1
top=$(cd "$(dirname "$0")/../.." && pwd)
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
/usr/bin/python3 -c 'import jsonschema' 2>/dev/null || {
	echo 'skipped: python3-jsonschema is not installed (scripts/setup)'
	exit 77
}
BELAY_TEST_DUMP=$tmp CK_RUN_CASE=dump "$build/tests/unit_openapi" >"$tmp/log" ||
	{ cat "$tmp/log"; exit 1; }
/usr/bin/python3 -W ignore "$top/tests/unit/check_openapi.py" \
	"$top/canary/controller/openapi.json" "$tmp/answers.ndjson"
