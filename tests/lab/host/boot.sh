#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs inside a lab VM (busybox sh): one boot of a host whose disk is at
# /var/lib/belay and whose pstore lasts. Says what does not hold and goes on; the
# exit status is 1 if anything did not. Many of these boots end in a crash.
# usage: boot.sh SCENARIO
# shellcheck disable=SC1091
. /b/common.sh

# until_says WHAT COMMAND…: as often as it takes, minutes at most.
until_says() {
	what=$1
	shift
	for _ in $(seq 1 1000); do
		out=$("$@" 2>&1)
		case $out in *"$what"*) return 0 ;; esac
		sleep 0.3
	done
	says "$what"
}

# The kernel stands still in a program of the live or tried version, until its
# own watchdog has had enough.
hang() {
	echo 1 >/proc/sys/kernel/watchdog_thresh
	echo 1 >/proc/sys/kernel/softlockup_panic
	cp /bin/busybox /tmp/hang
	step "the kernel hangs in the sensor"
	/tmp/hang true
	sleep 600
	echo "FAIL: it did not hang"
	exit 1
}

trial() { # trial BUNDLE: begun, and goes on without us
	belay apply "/b/$1.bundle" --probation 3600 >/tmp/trial 2>&1 &
	until_says '"phase": "trial"' belay history --limit 1 --json
}

objects() {
	/b/objects bl_ bd_ belay
}

# The boot script for other inits, as a host without systemd would run it.
recover() { # recover CODE
	umount /sys/fs/pstore
	expect "$1" sh /b/belay-recover.sh
	[ -e /var/lib/belay/journal.db ] || return # nothing to do for it
	grep -q ' /sys/fs/pstore pstore ' /proc/mounts || {
		echo "FAIL: pstore is not mounted"
		status=1
	}
}

case $1 in
first)
	step "the first boot of this host"
	recover 0
	expect 0 belay apply /b/v1.bundle --probation 1
	live 1.0
	;;

hang-in-trial)
	trial hang
	hang
	;;

convicted)
	step "the boot after it"
	recover 0
	says "sensor 1.0 "
	live 1.0
	expect 0 belay history
	says "in phase trial; convicted: watchdog: BUG: soft lockup"
	says "_bl_hang+0x"
	expect 0 belay history --json
	says '"attribution": "convicted"'
	out=$(cat /var/lib/belay/evidence/*/dmesg-*)
	says "Kernel panic"
	[ -z "$(ls /sys/fs/pstore)" ] || {
		echo "FAIL: pstore fills up: $(ls /sys/fs/pstore)"
		status=1
	}
	expect 1 belay apply /b/hang.bundle
	says "it failed here on"
	expect 0 belay recover
	says "nothing to recover"

	[ -e /b/oob_kmod.ko ] || exit $status
	step "a module that is none of ours crashes in a trial"
	[ $status = 0 ] || exit 1
	insmod /b/oob_kmod.ko
	trial v3
	echo "20 /bin/sh" >/proc/belay_oob
	sleep 600
	exit 1
	;;

suspect)
	step "the boot after it"
	expect 0 belay recover --json
	says '"outcome": "restored"'
	live 1.0
	expect 0 belay history
	says "in phase trial; suspect: BUG: kernel NULL pointer dereference"
	says "[oob_kmod]; none of its programs is named"
	expect 1 belay apply /b/v3.bundle
	says "it failed here on"
	;;

leave)
	step "the keeper"
	expect 0 belay recover
	belay agent >/tmp/agent 2>&1 &
	pid=$!
	until_says "sensor 1.0 (" cat /tmp/agent
	expect 2 belay agent # one is enough
	says "keeps this host already"
	echo "resident: $(grep VmRSS /proc/$pid/status)"
	kb=$(grep VmRSS /proc/$pid/status | tr -dc 0-9)
	[ "$kb" -lt 16384 ] || {
		echo "FAIL: the agent has $kb KiB resident"
		status=1
	}
	step "somebody takes the pins away"
	rm -r /sys/fs/bpf/belay
	until_says "is live again" cat /tmp/agent
	live 1.0
	expect 2 belay remove --yes
	says "belay agent"
	live 1.0
	kill $pid
	wait $pid
	out="exit $?"
	says "exit 0"

	step "a clean leave"
	out=$(objects)
	says "prog bl_open"
	expect 0 belay remove --yes
	says "removed: sensor 1.0 "
	expect 0 ls -A /var/lib/belay
	# The folder is a mount point: it stays, and so does what mke2fs made.
	[ "$out" = lost+found ] || {
		echo "FAIL: files are left: $out"
		status=1
	}
	[ ! -e /sys/fs/bpf/belay ] || {
		echo "FAIL: pins are left: $(find /sys/fs/bpf)"
		status=1
	}
	# The kernel lets go of programs behind our back.
	for _ in $(seq 1 1000); do
		[ -n "$(objects)" ] || break
		sleep 0.3
	done
	[ -z "$(objects)" ] || {
		echo "FAIL: still in the kernel: $(objects)"
		status=1
	}
	expect 0 belay remove --yes
	says "there is nothing of belay on this host"
	expect 0 belay recover
	says "nothing to recover"
	;;

cycle)
	# Cut at any moment from here on.
	expect 0 belay recover
	live 1.0
	[ $status = 0 ] || exit 1
	echo up
	[ "$2" != trial ] || belay apply /b/v3.bundle --probation 3600 \
		--override 'of the test' >/dev/null 2>&1
	sleep 3600
	;;

cycled)
	expect 0 belay recover
	live 1.0
	expect 0 belay history
	echo "$out"
	# Only what was on trial is buried, and only by a cut in its trial.
	expect 0 belay history --json
	case $out in
	*'"kind": "rollback"'*)
		echo "FAIL: it went back by itself"
		status=1
		;;
	esac
	;;

bad-last-good)
	step "a version that will hang is committed"
	expect 0 belay apply /b/hang.bundle --probation 1 --override 'of the test'
	live 2.0
	hang
	;;

hang-after-restore)
	expect 0 belay recover
	says restored
	live 2.0
	[ $status = 0 ] || exit 1
	hang
	;;

bare)
	step "it took three boots down"
	recover 1
	says "not recovered"
	says "3 boots in a row failed, or were taken down by it"
	says "convicted: "
	expect 1 belay status
	says "sensor 2.0"
	out=$(objects)
	[ -z "$out" ] || {
		echo "FAIL: something is loaded: $out"
		status=1
	}
	/bin/true || status=1 # the host can be used
	step "the way out"
	expect 0 belay apply /b/v1.bundle --probation 1
	live 1.0
	;;
*)
	echo "FAIL: what is $1?"
	status=1
	;;
esac
[ $status = 0 ] && echo "$1: as it should be"
exit $status
