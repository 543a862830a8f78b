#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs inside a lab VM (busybox sh): a host whose sensor is a kernel module.
# usage: kmod.sh first|again|trial|convicted|live N|bare|leave [bare]
# shellcheck disable=SC1091,SC2154
. /b/common.sh

loaded() { # loaded NUMBER: that generation is in the kernel; 0: none
	have=0
	[ -e /sys/module/belay_sensor ] &&
		have=$(cat /sys/module/belay_sensor/parameters/generation)
	[ "$have" = "$1" ] || fail "generation $have is in the kernel, not $1"
}

bang() {
	sync
	cp /bin/busybox /tmp/bang
	/tmp/bang true
	sleep 600
	echo "FAIL: it did not go down"
	exit 1
}

# The journal's number of what is live.
number() {
	belay status --json | sed -n '/"live"/,/}/s/.*"generation": \([0-9]*\).*/\1/p' |
		head -n 1
}

exec_of() { # exec_of GENERATION: a reader has seen one of it
	/bin/busybox true
	grep "\"generation\":$1," /tmp/events
}

committed() {
	step "v1, then v2 in its place"
	expect 0 belay apply /b/v1.bundle --probation 1
	live 1.0
	says exchange
	loaded "$(number)"
	# Another process reads, and must not be in the way.
	belay events --json >/tmp/events &
	reader=$!
	comes exec_of 1
	expect 0 belay apply /b/v2.bundle --probation 1
	says "committed: sensor 2.0"
	says "no sensor was called for"
	live 2.0
	loaded "$(number)"
	expect 0 belay history --limit 1 --json
	says '"strategy": "exchange"'
	echo "$out" | grep '"gap_ms"'
	comes exec_of 2
	kill -INT $reader
	wait $reader
	out=$(cat /tmp/events)
	says '"generation":1,'
	says '"generation":2,'
}

refused() {
	step "a module that does not take its content"
	expect 1 belay apply /b/bad.bundle --probation 1
	echo "$out"
	live 2.0
	loaded "$(number)"
	step "a bundle without a module for this kernel"
	expect 1 belay apply /b/foreign.bundle
	says "none of its modules was built for this kernel"
	live 2.0
}

refuses() {
	step "one that locks the host out does not pass"
	expect 1 belay apply /b/locks.bundle --probation 1
	says "this host cannot be used while it is live"
	says "it will not be tried here again"
	expect 0 cat /proc/uptime
	live 2.0
	step "one that refuses does so on a lease"
	expect 0 belay apply /b/denies.bundle --probation 1
	says "nothing renews their lease here"
	expect 1 cat /etc/shadow
	echo 0 >/sys/class/misc/belay_sensor/lease_ms
	expect 0 cat /etc/shadow
	expect 0 belay status
	says "expired: allows"
	expect 0 belay rollback
	live 2.0
	expect 0 cat /etc/shadow
}

killed() {
	step "killed in the trial"
	was=$(number)
	belay apply /b/v1.bundle --override 'a test' --probation 3600 \
		>/tmp/apply 2>&1 &
	pid=$!
	txn=$(on_trial)
	loaded "$txn"
	expect 0 belay status
	says "out of the kernel while the one on trial is in"
	kill -9 $pid
	wait $pid
	loaded "$txn"
	expect 0 belay recover
	says "rolled-back: belay died in phase trial"
	live 2.0
	loaded "$was"
}

kept_again() { # by the journal, too
	out=$(belay status --json)
	case $out in *'"trial"'*) return 1 ;; esac
	[ "$(cat /sys/module/belay_sensor/parameters/generation)" = "$was" ]
}

kept() {
	step "killed in the trial: the keeper brings it back"
	was=$(number)
	belay agent >/tmp/agent 2>&1 &
	agent=$!
	sleep 1
	belay apply /b/v1.bundle --override 'a test' --probation 3600 \
		>/tmp/apply 2>&1 &
	pid=$!
	txn=$(on_trial)
	kill -9 $pid
	wait $pid
	comes kept_again
	live 2.0
	loaded "$was"
	kill $agent
	wait $agent
}

mixed() {
	step "from a module to programs and back: they overlap"
	expect 0 belay apply /b/ebpf.bundle --probation 1
	live 3.0
	says dispatch
	loaded 0
	expect 0 belay rollback
	live 2.0
	loaded "$(number)"
	expect 0 belay events --seconds 1 --json
	says '"event":"exec"'
}

case $1 in
first)
	committed
	refused
	refuses
	killed
	kept
	mixed
	;;
again)
	step "after a reboot"
	loaded 0
	expect 0 belay recover
	says restored
	live 2.0
	loaded "$(number)"
	expect 0 belay rollback
	live 1.0
	;;
trial)
	step "the module brings the kernel down, in its trial"
	belay apply /b/bang.bundle --probation 3600 >/tmp/apply 2>&1 &
	on_trial >/dev/null
	bang
	;;
convicted)
	step "the boot after it"
	expect 0 belay recover
	live 1.0
	expect 0 belay history --limit 2
	says "in phase trial; convicted: "
	expect 1 belay apply /b/bang.bundle
	says "it failed here on"
	expect 0 belay apply /b/bang.bundle --override 'a test' --probation 1
	live 6.0
	;;
live)
	step "boot $2 of a version that brings the kernel down"
	expect 0 belay recover
	loaded "$(number)"
	bang
	;;
bare)
	step "after three boots that it took down: the host stays up"
	expect 1 belay recover
	says "3 boots in a row failed, or were taken down by it"
	loaded 0
	;;
leave)
	[ "${2:-}" = bare ] || {
		expect 0 belay recover
		loaded "$(number)"
	}
	step "nothing is left"
	expect 0 belay remove --yes
	loaded 0
	[ ! -e /run/belay ] || fail "/run/belay is there: $(find /run/belay)"
	[ -z "$(find /var/lib/belay -type f)" ] ||
		fail "there is: $(find /var/lib/belay)"
	;;
esac
exit $status
