#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# tests/ATTACKS.md is what the tests have, row by row; each attack that issue and
# design name is tried by one; and there are sixty at least.
set -u
cd "$(dirname "$0")/../.." || exit 1
page=$(tests/unit/attacks.py) || exit 1
if ! diff tests/ATTACKS.md <(printf '%s\n' "$page"); then
	echo "tests/ATTACKS.md is not what the tests say; write it again:"
	echo "  tests/unit/attacks.py > tests/ATTACKS.md"
	exit 1
fi
rows=$(grep -c '^- ' tests/ATTACKS.md)
[ "$rows" -ge 60 ] || { echo "only $rows attacks are left"; exit 1; }
