#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs inside a lab VM (busybox sh): everything that the module must stand.
# usage: guest.sh ROUNDS full|short    /k: the module, and one of another kernel
status=0
twins=/usr/bin/kmod_twins
ko=/k/belay_sensor.ko

try() {
	echo "-- $(cut -d' ' -f1 /proc/uptime) s: $*"
	"$twins" "$@" || {
		echo "FAIL: $*"
		status=1
	}
}

# Nothing of it is left in the kernel.
clean() {
	mount -t debugfs debugfs /sys/kernel/debug 2>/dev/null
	hooks=/sys/kernel/debug/tracing/enabled_functions
	if [ ! -e $hooks ] || grep -E "security_|ip6?_send_skb" $hooks; then
		echo "FAIL: a hook is left behind, or nobody can tell"
		status=1
	fi
	if grep belay /proc/modules || [ -e /sys/class/misc/belay_sensor ]; then
		echo "FAIL: it is still there"
		status=1
	fi
	if dmesg | grep -E 'BUG|WARNING|Oops|Call Trace|Redzone|Poison'; then
		echo "FAIL: the kernel complains"
		status=1
	fi
}

# refused WHY: it is not loaded, and that is what a person reads.
refused() {
	out=$("$twins" insert "${2:-$ko}")
	code=$?
	case $code:$out in
	3:*"$1"*) ;;
	*)
		echo "FAIL: ended with $code and does not say '$1': $out"
		status=1
		;;
	esac
}

try compare /o/sensor.bpf.o $ko "$2"
[ "$2" != full ] || try hostile $ko
try load $ko "$1"
[ "$1" -lt 2 ] || try cycle $ko "$1"
clean

# Last, as none of it can be taken back. Signatures first hide a lockdown.
cmp -s $ko /k/foreign.ko ||
	refused "built for another kernel" /k/foreign.ko
mount -t securityfs securityfs /sys/kernel/security 2>/dev/null
if echo integrity >/sys/kernel/security/lockdown; then
	refused "locked down and takes signed modules only (integrity)"
fi
echo 1 >/sys/module/module/parameters/sig_enforce
refused "takes signed modules only (module.sig_enforce)"
echo 1 >/proc/sys/kernel/modules_disabled
refused "takes no more modules"
exit $status
