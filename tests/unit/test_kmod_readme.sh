#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What kmod/README.md counts is what the sources hold, today.
set -euo pipefail
cd "$(dirname "$0")/../../kmod"

table=$(./differences)
[[ $(wc -l <<<"$table") -gt 2 ]] || { echo "FAIL: kmod/differences counts nothing"; exit 1; }
if [[ $(<README.md) != *"$table"* ]]; then
	printf 'FAIL: kmod/README.md does not hold what kmod/differences says:\n%s\n' "$table"
	exit 1
fi
