#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs inside a lab VM (busybox sh), for tests/lab/test_lease.sh. What it waits
# for has a generous deadline; what it asserts is what becomes of the host when
# nobody is left to look after it.
status=0

fail() {
	echo "FAIL: $*"
	status=1
}

expect() { # expect CODE COMMAND…: keeps what it says in $out
	want=$1
	shift
	out=$("$@" 2>&1)
	code=$?
	[ $code -eq "$want" ] || fail "$* ended with $code, not $want: $out"
}

says() {
	case $out in
	*"$1"*) ;;
	*) fail "'$1' is not in: $out" ;;
	esac
}

step() {
	read -r now _ </proc/uptime
	echo "-- $now s: $*"
}

# A second, without starting anything or opening anything.
mkfifo /tmp/never
exec 3<>/tmp/never
second() {
	read -r -t 1 _ <&3
}

# until_usable SECONDS COMMAND…: how long it took is in $took.
until_usable() {
	limit=$1
	shift
	took=0
	until "$@" 2>/dev/null; do
		took=$((took + 1))
		[ $took -le "$limit" ] || return 1
		second
	done
	return 0
}

can_open() { # not with ":", whose failure ends a shell
	read -r _ </etc/passwd
}
can_connect() { # refused by the port is refused by nobody
	case $(/bin/busybox nc 127.0.0.1 9 2>&1 </dev/null) in
	*refused*) return 0 ;;
	esac
	return 1
}
can_ping() {
	/bin/busybox ping -c 1 -W 1 127.0.0.1 >/dev/null 2>&1
}
guarded() {
	! /tmp/busybox_x cat /dev/null 2>/dev/null
}

cp /bin/busybox /tmp/busybox_x
cp /bin/busybox /tmp/busybox_arm
/bin/busybox ip link set lo up 2>/dev/null || /bin/busybox ifconfig lo up

step "killed in the trial: the kernel goes back by itself"
expect 0 belay apply /b/guard.bundle
expect 0 belay status
says "lsm/file_open"
says "dispatch"
says "no lease"
guarded || fail "the guard does not refuse"
belay apply /b/no_guard.bundle --probation 100 >/dev/null 2>&1 &
pid=$!
took=0
while guarded && [ $took -lt 60 ]; do
	took=$((took + 1))
	second
done
guarded && fail "the trial did not begin"
# Long enough for a lease that nobody renews to run out.
for _ in 1 2 3 4; do second; done
guarded && fail "the lease of a trial under way ran out"
kill -9 $pid
wait $pid 2>/dev/null
until_usable 30 guarded || fail "no process is left, and the old one does not run"
echo "   the old one runs again, $took s after the kill"
expect 0 belay recover
says rolled-back
guarded || fail "the guard is gone after recover"
expect 0 belay rollback
guarded && fail "the guard refuses after it left"
[ -z "$(ls /sys/fs/bpf/belay)" ] || fail "pins are left: $(ls -R /sys/fs/bpf/belay)"

step "LSM: nothing may be opened, run or connected, and nobody is there"
expect 0 belay apply /b/lsm_all.bundle
says "its deny rules stop in 15 s"
says "start belay agent"
can_open || fail "it refuses before it was told to"
/tmp/busybox_arm cat /dev/null 2>/dev/null
can_open && fail "it does not refuse"
until_usable 30 can_open || fail "still locked out after $took s"
echo "   usable again after $took s"
expect 0 belay status
says "expired: allows"
says "nobody renews it"
expect 0 belay rollback

step "cgroup: no connection, no packet, and nobody is there"
can_connect || fail "no way to connect even before"
expect 0 belay apply /b/cgroup_all.bundle
can_connect && fail "it does not refuse"
until_usable 30 can_connect || fail "still locked out after $took s"
echo "   usable again after $took s"
expect 0 belay status
says "cgroup_connect4//"
expect 0 belay rollback

step "XDP: no frame on the loopback device, and nobody is there"
can_ping || fail "no answer even before"
expect 0 belay apply /b/xdp_all.bundle
can_ping && fail "it does not refuse"
until_usable 30 can_ping || fail "still locked out after $took s"
echo "   usable again after $took s"

step "what cannot have a lease must say so"
expect 1 belay apply /b/xdp_replace.bundle
says refused
says "without a dispatcher it has no lease"

# The keeper itself cannot connect to itself then: it stops renewing, gives the
# generation a second chance, and withholds the lease from it after that.
useless() {
	step "an agent does not keep what makes the host useless"
	belay agent >/tmp/agent 2>&1 &
	agent=$!
	until_usable 30 sh -c '! /bin/busybox ping -c 1 -W 1 127.0.0.1 >/dev/null 2>&1' ||
		fail "the agent does not renew the lease: $(cat /tmp/agent)"
	until_usable 30 can_ping || fail "still locked out after $took s"
	echo "   usable again after $took s, with the agent alive"
	until_usable 90 grep -q 'refuses nothing any more' /tmp/agent ||
		fail "the agent goes on: $(cat /tmp/agent)"
	grep -q 'cannot be used: cannot connect to itself' /tmp/agent ||
		fail "it does not say why: $(cat /tmp/agent)"
	can_ping || fail "locked out again"
	kill $agent
	wait $agent 2>/dev/null
}
case $(uname -r) in
5.10*) ;; # two leases long; once is enough
*) useless ;;
esac
expect 0 belay rollback

step "kept by an agent"
expect 0 belay apply /b/guard_leased.bundle
belay agent --name here >/tmp/agent 2>&1 &
agent=$!
until_usable 30 guarded ||
	fail "the agent does not renew the lease: $(cat /tmp/agent)"
for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17; do second; done
guarded || fail "the lease ran out though the agent renews it"
expect 0 belay status
says "renews it"
kill -9 $agent
wait $agent 2>/dev/null
until_usable 30 sh -c '/tmp/busybox_x cat /dev/null 2>/dev/null' ||
	fail "it still refuses after $took s without the agent"
echo "   allows again after $took s"
expect 0 belay rollback
[ -z "$(ls /sys/fs/bpf/belay)" ] || fail "pins are left: $(ls -R /sys/fs/bpf/belay)"
step "done"
exit $status
