#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs inside a lab VM (busybox sh), for tests/lab/test_lease.sh. What it waits
# for has a generous deadline; what it asserts is what becomes of the host when
# nobody is left to look after it.
# usage: lease.sh full|short
# shellcheck disable=SC1091
. /b/common.sh

# A second, without starting anything or opening anything.
mkfifo /tmp/never
exec 3<>/tmp/never
exec 9>/dev/null # nor can that be opened any more, later
second() {
	read -r -t 1 _ <&3
}

# until_usable COMMAND…: how long it took is in $took; minutes are too long.
until_usable() {
	took=0
	until "$@" 2>&9; do
		took=$((took + 1))
		[ $took -le 600 ] || return 1
		second
	done
	return 0
}

uptime() { # in $up, whole seconds
	read -r up _ </proc/uptime
	up=${up%.*}
}

can_open() { # not with ":", whose failure ends a shell
	read -r _ </etc/passwd
}
cannot_open() {
	! can_open
}
withheld() {
	grep -q 'and refuses nothing' /tmp/agent
}
can_connect() { # refused by the port is refused by nobody
	case $(/bin/busybox nc 127.0.0.1 9 2>&1 </dev/null) in
	*refused*) return 0 ;;
	esac
	return 1
}
can_ping() {
	/bin/busybox ping -c 1 -W 60 127.0.0.1 >/dev/null 2>&1
}
cannot_ping() {
	! /bin/busybox ping -c 1 -W 2 127.0.0.1 >/dev/null 2>&1
}
guarded() {
	! /tmp/busybox_x cat /dev/null 2>/dev/null
}

not_guarded() {
	! guarded
}
nothing_left() {
	[ -z "$(ls /sys/fs/bpf/belay)" ] ||
		fail "pins are left: $(ls -R /sys/fs/bpf/belay)"
}

cp /bin/busybox /tmp/busybox_x
cp /bin/busybox /tmp/busybox_arm
/bin/busybox ip link set lo up 2>/dev/null || /bin/busybox ifconfig lo up

step "what a belay without dispatchers left gives way to one with"
expect 0 belay apply /b/beside.bundle
# Whether this kernel could check a signature, by its own types: 7.3 can.
kernel=unable
! grep -q keyring_id /sys/kernel/btf/vmlinux || kernel=able
expect 0 belay status --json
says '"by": "not-asked"'
says "\"kernel\": \"$kernel\""
expect 0 belay status
says 'kernel signature: not used'
says "overlap"
guarded || fail "the guard does not refuse"
expect 0 belay apply /b/guard.bundle

step "killed in the trial: the kernel goes back by itself"
expect 0 belay status
says "lsm/file_open"
says "dispatch"
says "no lease"
guarded || fail "the guard does not refuse"
belay apply /b/no-guard.bundle --probation 3600 >/dev/null 2>&1 &
pid=$!
until_usable not_guarded || fail "the trial did not begin"
# Long enough for a lease that nobody renews to run out.
for _ in 1 2 3 4 5 6 7; do second; done
guarded && fail "the lease of a trial under way ran out"
kill -9 $pid
wait $pid 2>/dev/null
until_usable guarded || fail "no process is left, and the old one does not run"
echo "   the old one runs again, $took s after the kill"
expect 0 belay recover
says rolled-back
guarded || fail "the guard is gone after recover"
expect 0 belay rollback
guarded || fail "the guard before it is not back"
expect 0 belay rollback
guarded && fail "the guard refuses after it left"
nothing_left

step "nothing may be opened, run, connected or received, and nobody is there"
can_connect || fail "no way to connect even before"
can_ping || fail "no answer even before"
# Its lease may be over before it is told to, where the machine is slow.
for try in 1 2 3 4 5 6 7 8 9; do
	expect 0 belay apply /b/deny.bundle --override 'the lease'
	says "its deny rules stop in 15 s"
	says "start belay agent"
	uptime
	begun=$up
	can_open && can_connect && can_ping ||
		fail "it refuses before it was told to"
	/tmp/busybox_arm cat /dev/null 2>/dev/null
	can_open 2>&9 || break
	uptime
	if [ $((up - begun)) -lt 5 ] || [ $try = 9 ]; then
		fail "the LSM programs do not refuse"
		break
	fi
	expect 0 belay rollback
done
until_usable can_open || fail "still locked out after $took s"
can_connect || fail "no way to connect"
can_ping || fail "no answer"
echo "   usable again after $took s"
expect 0 belay status
says "expired: allows"
says "nobody renews it"
says "cgroup_connect4//"
says "xdp/lo"
# The keeper itself can do nothing then: it stops renewing, gives the generation
# a second chance, and withholds the lease from it after that.
if [ "$1" = full ]; then
	step "an agent does not keep what makes the host useless"
	belay agent >/tmp/agent 2>&1 &
	agent=$!
	until_usable cannot_open || fail "the agent does not renew the lease"
	# Twice a lease, with no more than a blink between.
	until_usable can_open || fail "still locked out after $took s"
	echo "   usable again after $took s, with the agent alive"
	until_usable withheld || fail "the agent goes on: $(cat /tmp/agent)"
	kill -9 $agent
	wait $agent 2>/dev/null
	out=$(cat /tmp/agent)
	says "cannot be used"
	can_open || fail "locked out again"
fi
expect 0 belay rollback
nothing_left

step "a trial in which the host cannot be used"
expect 1 belay apply /b/drop-kept.bundle
says "rolled-back"
says "this host cannot be used while it is live"
can_ping || fail "frames are dropped though it was rolled back"
nothing_left

step "replaced, without a lease: back when somebody looks"
expect 1 belay apply /b/drop-leased.bundle
says refused
says "without a dispatcher it has no lease"
expect 0 belay apply /b/pass.bundle
expect 0 belay status
says replace
belay apply /b/drop.bundle --probation 3600 >/dev/null 2>&1 &
pid=$!
on_trial >/dev/null
until_usable cannot_ping || fail "the trial did not begin"
kill -9 $pid
wait $pid 2>/dev/null
cannot_ping || fail "a replaced program is gone by itself: is there a lease?"
expect 0 belay recover
says rolled-back
can_ping || fail "the old program is not back"
expect 1 belay apply /b/drop-all.bundle
says "this host cannot be used while it is live"
says "it will not be tried here again"
can_ping || fail "frames are dropped though it was rolled back"
expect 0 belay apply /b/drop.bundle
cannot_ping || fail "the new program is not there"
expect 0 belay rollback
can_ping || fail "the old program is not back"
expect 0 belay rollback
nothing_left

if [ "$1" = full ]; then
	step "kept by an agent"
	expect 0 belay apply /b/leased.bundle
	belay agent >/tmp/agent 2>&1 &
	agent=$!
	# Longer than a lease lasts that is not renewed.
	for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17; do second; done
	until_usable guarded ||
		fail "the agent does not renew the lease: $(cat /tmp/agent)"
	expect 0 belay status
	says "renews it"
	kill -9 $agent
	wait $agent 2>/dev/null
	until_usable not_guarded || fail "refuses after $took s without the agent"
	echo "   allowed after $took s without it"
	expect 0 belay rollback
	nothing_left
fi
step "done"
exit $status
