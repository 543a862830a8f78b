#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs inside a lab VM (busybox sh) with a disk at /var/lib/belay: a host in
# surroundings that are against it. Whatever they are: a clear error, the live
# generation stays attached, its events flow, the journal can be read.
# shellcheck disable=SC1091,SC2154
. /b/common.sh
state=/var/lib/belay
chmod 700 $state

# row CODE WORDS COMMAND…: what it ends with, and what it must say.
row() {
	row_code=$1
	row_words=$2
	shift 2
	expect "$row_code" "$@"
	says "$row_words"
}

# The generation that was live before is live, and reports.
unchanged() {
	live 3.0
	belay events --count 100000 --seconds 0.2 >/dev/null # what came before
	: </etc/shadow
	expect 0 belay events --count 1 --seconds 5
	says /etc/shadow
	expect 0 belay history
	says "sensor 3.0"
}

seen_by() { # seen_by VERSION: a reader has an event of it
	: </etc/shadow
	grep "\"sensor_version\":$1" /tmp/events
}

disk_full() {
	step "disk full"
	dd if=/dev/zero of=$state/fill bs=4k >/dev/null 2>&1
	row 2 "No space left on device" belay apply /b/v1.bundle --override test
	# It can be looked at all the same.
	live 3.0
	expect 0 belay history
	says "sensor 3.0"
	# Who began to read then goes on when there is room, over an update.
	belay events --json >/tmp/events 2>&1 &
	reader=$!
	comes seen_by 3
	rm $state/fill
	expect 0 belay apply /b/v1.bundle --override test --probation 0.5
	comes seen_by 1
	kill -INT $reader
	wait $reader
	expect 0 belay rollback
	unchanged
	# Room for a part of what it writes: old or new, and healthy.
	for room in 32 140 180 300; do
		dd if=/dev/zero of=$state/room bs=1k count=$room >/dev/null 2>&1
		dd if=/dev/zero of=$state/fill bs=1k >/dev/null 2>&1
		rm $state/room
		belay apply /b/v1.bundle --override test --probation 0.5 >/tmp/out 2>&1
		code=$?
		out="$room KiB left: exit $code: $(cat /tmp/out)"
		rm $state/fill
		case $code in
		0) says committed && break ;;
		1) says "disk is full" ;;
		*) says "o space left" ;;
		esac
		unchanged
	done
	expect 0 belay apply /b/v3.bundle --probation 0.5 --override full
	unchanged
}

read_only() {
	step "read-only file system"
	mount -o remount,ro $state
	row 2 "Read-only file system" belay apply /b/v1.bundle --override test
	unchanged
	mount -o remount,rw $state
	unchanged
}

no_bpffs() {
	step "no BPF file system"
	mount -t tmpfs none /sys/fs/bpf
	# As often as recovery tries; then it waits before the next one.
	for _ in 1 2 3; do
		row 1 "not a BPF file system" belay recover
	done
	row 2 "mount -t bpf" belay apply /b/v1.bundle --override test
	umount /sys/fs/bpf
	unchanged
}

privileges() {
	step "too few privileges"
	row 2 "belongs to root" /b/less nobody belay apply /b/v1.bundle --override test
	row 2 "Permission denied" /b/less nobody belay status
	row 2 "no CAP_SYS_ADMIN" /b/less bpf belay apply /b/v1.bundle --override test
	unchanged
}

clock_back() {
	step "the clock is set back by an hour in a trial"
	belay apply /b/v1.bundle --override test --confirm manual --within 5 \
		--probation 1 >/tmp/apply 2>&1 &
	pid=$!
	on_trial >/dev/null
	now=$(date +%s)
	date -s "@$((now - 3600))" >/dev/null
	wait $pid
	out="exit $?: $(cat /tmp/apply)"
	says "exit 1"
	says "nobody confirmed it within 5 s"
	unchanged
	expect 0 belay apply /b/v1.bundle --override test --probation 1
	expect 0 belay rollback --reason 'an hour ago'
	# Newest first, by what happened and not by what the clock said.
	expect 0 belay history --limit 3
	says "rollback"
	out=$(belay history --limit 3 | sed -n '3,5s/  .*//p' | tr '\n' ' ')
	first=${out%% *}
	expect 0 test "$out" = "$first $((first - 1)) $((first - 2)) "
	out=$(belay history | sed -n '/not to be tried again/{n;p}')
	says "an hour ago"
	date -s "@$now" >/dev/null
	unchanged
}

changing() {
	step "a bundle that changes while it is read"
	one=$(belay bundle inspect /b/v1.bundle --json | grep -m 1 '^  "digest"')
	other=$(belay bundle inspect /b/v3.bundle --json |
		grep -m 1 '^  "digest"')
	(while :; do
		cat /b/v1.bundle >/tmp/x.bundle
		cat /b/v3.bundle >/tmp/x.bundle
	done) &
	writer=$!
	whole=0
	for _ in $(seq 1 30); do
		belay bundle inspect /tmp/x.bundle --json >/tmp/out 2>&1
		code=$?
		out="exit $code: $(cat /tmp/out)"
		case $code in
		0)
			whole=$((whole + 1))
			case $out in
			*"$one"* | *"$other"*) ;;
			*) says "one of two digests" ;;
			esac
			;;
		*) says "belay: " ;;
		esac
	done
	belay apply /tmp/x.bundle --override change --probation 0.5 \
		>/tmp/out 2>&1
	code=$?
	kill $writer
	wait $writer 2>/dev/null
	echo "$whole of 30 were whole; apply ended with $code"
	expect 0 belay status
	says healthy
	case $out in *"live      sensor 1.0 "*) expect 0 belay rollback ;; esac
	unchanged
}

foreign() {
	step "a foreign program on the same hooks"
	expect 0 belay apply /b/tracer.bundle --probation 0.5 \
		--state-dir /tmp/other --pin-dir /sys/fs/bpf/other
	expect 0 belay apply /b/v1.bundle --override test --probation 0.5
	expect 0 belay rollback
	unchanged
	step "and on one that takes only one"
	expect 0 belay apply /b/xdp.bundle --probation 0.5 \
		--state-dir /tmp/third --pin-dir /sys/fs/bpf/third
	row 1 "holds this hook and shares it not" belay apply /b/xdp.bundle
	says "program "
	unchanged
}

expect 0 belay apply /b/v3.bundle --probation 0.5
unchanged
disk_full
read_only
no_bpffs
privileges
clock_back
changing
foreign
step "done"
exit $status
