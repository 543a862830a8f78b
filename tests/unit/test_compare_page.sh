#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The page of a comparison in a browser: check_page.py says what is asked of it.
set -u
build=$1
top=$(cd "$(dirname "$0")/../.." && pwd)
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
for tool in chromium chromedriver; do
	command -v "$tool" >/dev/null || {
		echo "skipped: $tool is not installed (scripts/setup)"
		exit 77
	}
done
/usr/bin/python3 -c 'import selenium' 2>/dev/null || {
	echo 'skipped: python3-selenium is not installed (scripts/setup)'
	exit 77
}
BELAY_TEST_DUMP=$tmp CK_RUN_CASE=dump "$build/tests/unit_compare_report" >"$tmp/log" ||
	{ cat "$tmp/log"; exit 1; }
# The browser keeps its profile and its caches in a home of its own.
mkdir "$tmp/home"
HOME=$tmp/home TMPDIR=$tmp /usr/bin/python3 -W ignore \
	"$top/tests/unit/check_page.py" "$tmp"
