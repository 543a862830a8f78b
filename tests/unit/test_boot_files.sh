#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What runs belay at boot: it is installed where it is looked for, systemd takes
# it and finds nothing that could be given up, and the script for other inits ends
# as it says.
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
	test "$(grep -h '^ExecStart=' "$units"/*.service | grep -c "=$tmp/usr/bin/belay ")" = 3
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
	# In tenths: 3.0. What is left of the agent is what it is for.
	for unit in agent controller; do
		ok "little could be taken from the $unit" \
			systemd-analyze security --no-pager --offline=true \
			--threshold=30 "$units/belay-$unit.service"
		# The same words, as a figure.
		systemd-analyze security --no-pager --offline=true \
			"$units/belay-$unit.service" 2>/dev/null | tail -n 1
	done
else
	echo 'NOT OK: no systemd-analyze here, so nobody read the units'
	failed=1
fi
# What a taken-over talker could have of this host: canary/agent/parts.c does the
# rest, and the host part outlives it.
for line in LimitNPROC=32 TasksMax=128 MemoryMax=2G OOMPolicy=continue; do
	ok "the agent's unit says $line" \
		grep -qx "$line" "$units/belay-agent.service"
done
for unit in agent controller; do
	ok "systemd never gives the $unit up" \
		grep -qx 'StartLimitIntervalSec=0' "$units/belay-$unit.service"
done
# What it does not like it leaves out, and ends with 0.
mkdir -p "$tmp/root/etc"
ok 'systemd makes the users' systemd-sysusers --root="$tmp/root" \
	"$tmp/usr/lib/sysusers.d/belay.conf"
for user in belay-agent belay-controller; do
	ok "$user is one" grep -q "^$user:x:[1-9]" "$tmp/root/etc/passwd"
done
ok 'the controller is not root' \
	grep -qx 'User=belay-controller' "$units/belay-controller.service"
ok 'the controller has no capability' \
	grep -qx 'CapabilityBoundingSet=' "$units/belay-controller.service"

ok 'the script is one of sh' sh -n "$script"
if [ ! -e /var/lib/belay/journal.db ]; then
	ok 'a host without belay has nothing to recover' \
		env BELAY=/nonexistent sh "$script"
fi
exit "$failed"
