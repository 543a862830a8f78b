#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The tables of what crosses a boundary name limits and headers that are there.
set -u
cd "$(dirname "$0")/../.." || exit 1
failed=0
limits=0

for room in loader canary; do
	table=$(sed -n '/^## What crosses a boundary/,/^## /p' "$room/README.md" | grep '^|')
	[ -n "$table" ] || { echo "$room/README.md has no table"; failed=1; }
	for name in $(grep -oE '`BL_[A-Z0-9_]+`' <<<"$table" | tr -d '`' | sort -u); do
		limits=$((limits + 1))
		grep -rqE "#define $name\b" loader canary bpf --include='*.h' || {
			echo "$room/README.md: no header defines $name"
			failed=1
		}
		# A limit that nobody asks is none.
		grep -rqE "(^|[^#A-Z_])$name\b" loader canary bpf --include='*.c' ||
			grep -rE "\b$name\b" loader canary bpf --include='*.h' |
			grep -vq "#define $name\b" || {
			echo "$room/README.md: nothing asks for $name"
			failed=1
		}
	done
	for header in $(grep -oE '`[a-z_/]+\.h`' <<<"$table" | tr -d '`' | sort -u); do
		[ -f "$room/$header" ] || [ -f "$header" ] || {
			echo "$room/README.md: there is no $header"
			failed=1
		}
	done
done
[ "$limits" -ge 50 ] || { echo "only $limits limits were looked at"; failed=1; }
exit "$failed"
