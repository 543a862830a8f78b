#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs inside a lab VM (busybox sh): a host's life with real kernels. Says what
# does not hold and goes on; exit status 1 if anything did not.
# usage: guest.sh full|short|held|probed|no-lsm
# shellcheck disable=SC1091
. /b/common.sh

live() { # live VERSION LINKS: healthy, in the journal and among the pins
	expect 0 belay status
	says "live      sensor $1 "
	says healthy
	links=$(ls /sys/fs/bpf/belay/*/link/* 2>/dev/null | wc -l)
	if [ "$links" -ne "$2" ]; then
		echo "FAIL: $links links are pinned, not $2"
		status=1
	fi
}

no_lsm() {
	step "deny rules on a kernel without BPF LSM"
	expect 1 belay apply /b/deny.bundle
	says refused
	says "without BPF LSM"
	expect 0 belay status
	says "nothing is live"

	step "nowhere to pin: could not be done is not rolled back"
	expect 2 belay apply /b/v1.bundle --pin-dir /tmp/pins
	says "not a BPF file system"
	says "mount -t bpf -o mode=0700"
	expect 0 belay history
	says "nothing was ever applied"
}

forward() {
	step "the first version"
	expect 0 belay apply /b/v1.bundle --probation 1
	live 1.0 3
	expect 0 belay apply /b/v1.bundle
	says "live already"

	step "its events"
	belay events --count 1000 --seconds 1 >/dev/null # of the trial
	/bin/busybox true
	: </etc/shadow
	expect 0 belay events --count 2 --seconds 5 --json
	says '/busybox"'
	says '"path":"/etc/shadow"'
	says '"generation":1'
	says '"rule":"passwords"'

	step "an update"
	expect 0 belay apply /b/v3.bundle --probation 1
	live 3.0 3
	: </etc/shadow
	expect 0 belay events --count 1000 --seconds 1 --json
	says '"sensor_version":3'
	says '"generation":2'
}

bad() {
	step "a version that loses events"
	# It ends as soon as that is seen.
	expect 1 belay apply /b/flood.bundle --probation 600
	says rolled-back
	says lost
	live 3.0 3
	expect 1 belay apply /b/flood.bundle
	says refused
	says "it failed here on"

	step "a version that the verifier rejects"
	expect 1 belay apply /b/oob.bundle
	says "program bl_open_field: "
	live 3.0 3

	step "killed in the trial"
	belay apply /b/v1.bundle --probation 3600 >/dev/null 2>&1 &
	pid=$!
	on_trial >/dev/null
	expect 0 belay history --limit 1
	says trial
	expect 2 belay apply /b/v1.bundle
	says "belay apply"
	kill -9 $pid
	wait $pid 2>/dev/null
	# Before anybody recovers: the old one is attached, the new one is not.
	links=$(ls /sys/fs/bpf/belay/*/link/* 2>/dev/null | wc -l)
	if [ "$links" -ne 3 ]; then
		echo "FAIL: $links links after the kill"
		status=1
	fi
	expect 0 belay recover
	says rolled-back
	live 3.0 3
	expect 0 belay recover
	says nothing

	step "interrupted in the trial"
	belay apply /b/v1.bundle --probation 3600 >/dev/null 2>&1 &
	pid=$!
	on_trial >/dev/null
	kill -INT $pid # background jobs of sh ignore it until we catch it
	wait $pid
	out="exit $?"
	says "exit 1"
	expect 0 belay history --limit 1
	says "stopped on request"
	live 3.0 3
}

# An agent applies and lives on. What it committed is the host's: whoever rolls
# it back takes it away, though the one that made it still runs.
held() {
	step "applied by a process that lives on, rolled back by another"
	mkdir -p /tmp/denied
	cp /bin/busybox /tmp/denied/busybox
	/b/holder /b/deny.bundle >/tmp/holder 2>&1 &
	pid=$!
	comes grep committed /tmp/holder
	out=$(cat /tmp/holder)
	says committed
	expect 126 /tmp/denied/busybox true
	expect 0 belay rollback
	expect 0 /tmp/denied/busybox true
	kill $pid
	wait $pid 2>/dev/null
}

# Events of perf: an agent keeps nothing of what it committed, or it would run
# out of descriptors one day.
probed() {
	step "probes, committed again and again by one process"
	expect 0 /b/holder /b/prober1.bundle /b/prober2.bundle
	says "committed 6, kept 0 descriptors"
	expect 0 belay status
	says "live      prober 2 "
	says healthy
	expect 0 belay rollback
	expect 0 belay rollback
}

back() {
	step "the pins are gone, as after a reboot"
	rm -r /sys/fs/bpf/belay
	expect 0 belay recover
	says restored
	live 3.0 3

	step "back"
	expect 0 belay rollback --reason 'ordered by the test'
	live 1.0 3
	expect 1 belay apply /b/v3.bundle
	says "ordered by the test"

	step "a version that denies"
	mkdir -p /tmp/denied
	cp /bin/busybox /tmp/denied/busybox
	expect 0 /tmp/denied/busybox true
	expect 0 belay apply /b/deny.bundle --probation 1
	live 4.0 5
	expect 126 /tmp/denied/busybox true
	expect 0 belay rollback
	expect 0 /tmp/denied/busybox true
	live 1.0 3

	step "somebody else's sensor"
	expect 0 belay apply /b/tracer.bundle --probation 1
	expect 0 belay status
	says "live      tracer 1.0 "
	says "not a belay sensor"
	if [ -e /sys/fs/bpf/tracer_counts ]; then
		echo "FAIL: its map is pinned outside of its slot"
		status=1
	fi
	expect 0 belay rollback

	step "back to nothing"
	expect 0 belay rollback
	says "rolled back to nothing"
	says "no sensor is live on this host now"
	expect 1 belay rollback
	says "nothing to roll back"
	expect 0 belay status
	says "nothing is live on this host"
	if [ -n "$(ls /sys/fs/bpf/belay)" ]; then
		echo "FAIL: pins are left: $(ls -R /sys/fs/bpf/belay)"
		status=1
	fi
	expect 0 belay history
	says "rolled back on request"
	echo "$out"
}

case $1 in
full)
	forward
	bad
	expect 0 belay history
	says "rolled-back"
	back
	held
	probed
	;;
short)
	forward
	back
	;;
held) held ;;
probed) probed ;;
no-lsm) no_lsm ;;
esac
step "done"
exit $status
