#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs inside a lab VM (busybox sh): who confirms a trial, what ends it, what
# guards it. usage: trial.sh soft|hard, trial.sh again WATCHDOG
# shellcheck disable=SC1091
. /b/common.sh

# start OPTION…: a trial of v1 in another process; $pid, $txn.
start() {
	belay apply /b/v1.bundle --override 'a test' --probation 3600 "$@" \
		>/tmp/apply 2>&1 &
	pid=$!
	txn=$(on_trial)
}

ended() { # ended CODE: the trial of start
	wait $pid
	code=$?
	out=$(cat /tmp/apply)
	if [ $code -ne "$1" ]; then
		echo "FAIL: the trial ended with $code, not $1: $out"
		status=1
	fi
}

guard() { # guard WORDS: that guarded one of the last two, and is armed no more
	expect 0 belay history --limit 2 --json
	says "\"watchdog\": \"$1"
	if grep -q '^active' /sys/class/watchdog/*/state 2>/dev/null; then
		echo "FAIL: a watchdog is armed outside of a trial"
		status=1
	fi
}

confirmed() {
	step "a person confirms, and everybody else can look meanwhile"
	start --confirm=manual --within 1h --probation 1
	expect 1 belay confirm --txn 99
	says "no transaction 99"
	expect 0 belay history --limit 1
	says trial
	expect 0 belay events --seconds 1
	expect 2 belay apply /b/v1.bundle
	says "(belay apply) since"
	expect 0 belay status
	says "waits for 'belay confirm' until"
	expect 0 belay confirm --txn "$txn"
	says "confirmed: sensor 1.0"
	ended 0
	says committed
	live 1.0
	expect 1 belay confirm --txn "$txn"
	says "is over: committed"
	expect 0 belay rollback
	live 3.0

	step "nobody confirms"
	start --confirm=manual --within 2 --probation 1
	ended 1
	says "nobody confirmed it within 2 s"
	live 3.0
}

interrupted() {
	step "the terminal is gone"
	start
	kill -HUP $pid
	ended 1
	says "stopped on request during the trial (SIGHUP)"
	live 3.0
}

killed() {
	step "killed in the trial: the watchdog does not restart the host"
	start --watchdog-timeout 5
	if ! grep -q '^active' /sys/class/watchdog/*/state; then
		echo "FAIL: no watchdog is armed in a trial"
		status=1
	fi
	kill -9 $pid
	ended 137
	expect 1 belay confirm
	says "is gone"
	sleep 8
	guard "$1"
	expect 0 belay recover
	says "rolled-back: belay died in phase trial"
	live 3.0
}

probed() {
	step "a probe of the user's own"
	expect 1 belay apply /b/v1.bundle --override 'a test' --probation 1 \
		--probe 'true' --probe "echo no \$BELAY_PHASE; exit 7"
	says "ended with status 7: no trial"
	says "it will not be tried here again"
	expect 1 belay apply /b/v1.bundle --override 'a test' --probation 1 \
		--probe '/no/such/tool'
	says "could not be run"
	expect 0 belay apply /b/v1.bundle --override 'a test' --probation 1 \
		--probe "[ \$BELAY_TXN -gt 0 ]" --probe "sleep 1"
	expect 0 belay rollback
	live 3.0
}

hang() {
	step "belay lives and does not go on: the watchdog restarts the host"
	start --watchdog=require --watchdog-timeout 5
	sync
	kill -STOP $pid
	sleep 600
	echo "FAIL: the host was not restarted"
	exit 1
}

again() {
	step "after the restart"
	expect 0 belay recover
	says restored
	live 3.0
	guard "$1"
	expect 0 belay history
	says "the host went down in phase trial"
	expect 1 belay apply /b/v1.bundle
	says "it failed here on"
}

bare() {
	step "no watchdog, and none to be had"
	mv /lib/modules /lib/away
	expect 0 belay apply /b/v3.bundle --probation 1
	says "no watchdog: a hang in this trial would not be noticed"
	guard "none: this host has no watchdog"
	expect 1 belay apply /b/v1.bundle --watchdog=require
	says "a watchdog is required"
	live 3.0
	expect 0 belay rollback
	mv /lib/away /lib/modules
}

case $1 in
soft)
	bare
	expect 0 belay apply /b/v3.bundle --probation 1 --override 'a test'
	guard softdog
	if grep -q softdog /proc/modules; then
		echo "FAIL: softdog is left"
		status=1
	fi
	confirmed
	interrupted
	probed
	killed softdog
	[ $status -eq 0 ] || exit 1
	hang
	;;
hard)
	expect 0 belay apply /b/v3.bundle --probation 1
	guard i6300ESB
	[ $status -eq 0 ] || exit 1
	hang
	;;
again) again "$2" ;;
esac
step "done"
exit $status
