#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What runs belay at boot: it is installed where it is looked for, systemd takes
# it, and the script for other inits ends as it says.
set -u
build=$1
script=$(cd "$(dirname "$0")/../.." && pwd)/loader/host/boot/belay-recover.sh
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
failed=0

ok() { # ok WHAT COMMAND…
	local what=$1
	shift
	if "$@" >"$tmp/log" 2>&1; then
		echo "ok: $what"
	else
		echo "NOT OK: $what"
		cat "$tmp/log"
		failed=1
	fi
}

ok 'it is installed' cmake --install "$build" --prefix "$tmp/usr"
units=$tmp/usr/lib/systemd/system
ok 'the command is' test -x "$tmp/usr/bin/belay"
ok 'the script is' test -x "$tmp/usr/lib/belay/belay-recover.sh"
ok 'the units run the one that was installed' \
	test "$(grep -h '^ExecStart=' "$units"/*.service | grep -c "=$tmp/usr/bin/belay ")" = 2
ok 'recover comes before pstore is emptied' \
	grep -q '^Before=systemd-pstore.service' "$units/belay-recover.service"
if command -v systemd-analyze >/dev/null; then
	# It says what it does not like and ends with 0 for some of that.
	verify() {
		systemd-analyze verify --man=no "$units"/*.service 2>&1 |
			grep -E '/belay-[a-z]+\.service|^belay-|cycle' && return 1
		return 0
	}
	ok 'systemd takes the units' verify
else
	echo 'skipped: no systemd-analyze here, so nobody read the units'
fi

ok 'the script is one of sh' sh -n "$script"
if [ ! -e /var/lib/belay/journal.db ]; then
	ok 'a host without belay has nothing to recover' \
		env BELAY=/nonexistent sh "$script"
fi
exit "$failed"
