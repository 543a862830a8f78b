#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs inside a lab VM, for tests/lab/test_crash.sh: belay itself, with a real
# sensor, is killed at its Nth system call, and so is the recovery after that;
# then a recovery that nobody kills must leave one whole generation and nothing
# else.
# usage: crash.sh POINTS	(of each kind of transaction; 0: every call)
. /b/common.sh
points=$1
killed=0

field() { # field NAME: the first of that name in the JSON in $out
	echo "$out" | sed -n "s/^ *\"$1\": \"*\([^\",]*\).*/\1/p" | head -n 1
}

objects() {
	/b/objects bl_ | sort
}

# What the kernel frees, it frees after grace periods.
only_one_generation() {
	for _ in $(seq 1 3000); do
		[ "$(objects)" = "$clean" ] && return
		sleep 0.1
	done
	echo "FAIL: $*: left in the kernel: $(objects | tr '\n' ' ')"
	status=1
}

check() { # check WHAT: after a recovery
	expect 0 belay recover
	says nothing
	expect 0 belay status --json
	says '"healthy": true'
	live=$(field version)
	generation=$(field generation)
	case $live in 1.0 | 3.0) ;; *)
		echo "FAIL: $*: '$live' is live"
		status=1
		;;
	esac
	idle=b
	[ "$(field slot)" = a ] || idle=a
	out=$(find /sys/fs/bpf/belay/$idle -type f 2>/dev/null)
	if [ -n "$out" ]; then
		echo "FAIL: $*: pins of the idle slot: $out"
		status=1
	fi
	only_one_generation "$@"
	belay events --count 1000 --seconds 0 >/dev/null 2>&1
	: </etc/shadow
	expect 0 belay events --count 1 --seconds 60 --json
	says "\"generation\":$generation,"
}

apply_other() {
	other=1
	[ "$live" = 3.0 ] || other=3
	echo "belay apply /b/v$other.bundle --override test"
}

forward() { # to a state from which there is a way back
	expect 0 belay apply /b/v1.bundle --override test
	expect 0 belay apply /b/v3.bundle --override test
}

# sweep NAME: its command from $command, and $prepare before each.
sweep() {
	at=0 every=1 n=0
	while :; do
		eval "$prepare"
		# shellcheck disable=SC2046 # words of a command
		out=$(/b/killer $at $(eval "$command") 2>&1) || {
			echo "FAIL: $1: killer: $out"
			status=1
			return
		}
		case $at:$out in
		0:*) # how many there are
			calls=${out##*calls }
			[ "$points" -eq 0 ] || every=$((calls / points))
			at=$((every / 2 + 1))
			check "$1, not killed"
			continue
			;;
		*killed*) ;;
		*) break ;;
		esac
		n=$((n + 1)) killed=$((killed + 1))
		# At another place each time.
		out=$(/b/killer $((at * 7 % 211 + 1)) belay recover 2>&1)
		case $out in *killed*) killed=$((killed + 1)) ;; esac
		expect 0 belay recover
		check "$1, killed at call $at"
		at=$((at + every))
	done
	check "$1, at its end"
	step "$1: killed at $n of $calls calls"
}

# As many as the first one alone has: what was before it is freed some time later.
expect 0 belay apply /b/v1.bundle --override test
clean=$(objects)
expect 0 belay apply /b/v3.bundle --override test
live=3.0
for _ in $(seq 1 3000); do
	[ "$(objects | wc -l)" -gt "$(echo "$clean" | wc -l)" ] || break
	sleep 0.1
done
clean=$(objects)
step "begin: $(echo "$clean" | grep -c prog) programs"

prepare='' command=apply_other
sweep apply

# shellcheck disable=SC2016 # for eval
prepare='[ "$live" = 3.0 ] || forward' command='echo belay rollback'
sweep rollback

step "$killed crash points on $(uname -r)"
exit $status
