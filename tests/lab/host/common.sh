# shellcheck shell=sh disable=SC2034
# SPDX-License-Identifier: Apache-2.0
# What the guests' scripts of a host's life have in common (busybox sh). Says
# what does not hold and goes on; $status is 1 if anything did not.
status=0

fail() {
	echo "FAIL: $*"
	status=1
}

# expect CODE COMMAND…: runs it, keeps what it says in $out.
expect() {
	want=$1
	shift
	out=$("$@" 2>&1)
	code=$?
	[ $code -eq "$want" ] || fail "$* ended with $code, not $want: $out"
}

says() { # says WHAT: $out must contain it
	case $out in
	*"$1"*) ;;
	*) fail "'$1' is not in: $out" ;;
	esac
}

live() { # live VERSION: in the journal, and in the kernel as committed
	expect 0 belay status
	says "live      sensor $1 "
	says healthy
}

# Runs nothing: a host may be locked out.
step() {
	read -r uptime _ </proc/uptime
	echo "-- $uptime s: $*"
}

# comes COMMAND…: waits until it succeeds; what does not come in minutes fails.
comes() {
	for _ in $(seq 1 3000); do
		"$@" >/dev/null 2>&1 && return
		sleep 0.1
	done
	fail "$* did not come"
	return 1
}

runs() { # runs PID: and is no zombie
	grep -q '^State:.[^Z]' "/proc/$1/status" 2>/dev/null
}

# The number of the trial that is under way, once there is one. With $pid: or that
# process has ended.
on_trial() {
	for _ in $(seq 1 3000); do
		[ -z "${pid:-}" ] || runs "$pid" || break
		out=$(belay status --json)
		case $out in
		*'"trial": {'*)
			echo "$out" | sed -n '/"trial"/,$s/.*"txn": \([0-9]*\).*/\1/p' |
				head -n 1
			return
			;;
		esac
		sleep 0.1
	done
	echo "FAIL: no trial: $out" >&2
}
