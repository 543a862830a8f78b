#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The sensor on real kernels: its events against what was done, denial, and the
# faults that the demo shows. One VM per kernel.
#
# usage: test_sensor.sh BUILD_DIR [KERNEL…]   (default: the oldest, the newest)
set -uo pipefail

build=$1
shift
belay=$build/belay
probe=$build/tests/lab/guest/sensor_probe
faults=$build/tests/faults
logs=$build/tests/lab/logs
failed=0
mkdir -p "$logs"

releases() {
	"$belay" lab kernels --json | awk -F'"' '
		$2 == "ready" { ready = $3 ~ /true/ }
		$2 == "release" && ready { print $4 }'
}

# In the guest: what must pass, and what must not.
in_guest='
p=/usr/bin/sensor_probe
status=0
$p load /o/sensor.bpf.o || status=1
$p load /o/event-flood.bpf.o || status=1
$p flood /o/event-flood.bpf.o || status=1
$p oob /o/oob-read.bpf.o || status=1
$p events /o/sensor.bpf.o || status=1
$p stress /o/sensor.bpf.o || status=1
exit $status'

mapfile -t set < <(releases)
[[ ${#set[@]} -lt 2 ]] || set=("${set[0]}" "${set[-1]}")
[[ $# -gt 0 ]] && set=("$@")
if [[ ${#set[@]} -eq 0 ]]; then
	echo "skipped: no kernels in the cache; run scripts/kernels"
	[[ ,${BELAY_MUST_RUN:-}, == *,lab,* ]] && exit 1
	exit 77
fi
for kernel in "${set[@]}"; do
	echo "== $kernel"
	"$belay" lab run "$kernel" --name "test-sensor-$kernel" \
		--log-dir "$logs" --deadline 1500 \
		--file "$probe:/usr/bin/sensor_probe" \
		--file "$build/bpf/sensor.bpf.o:/o/sensor.bpf.o" \
		--file "$faults/ebpf/event-flood.bpf.o:/o/event-flood.bpf.o" \
		--file "$faults/ebpf/oob-read.bpf.o:/o/oob-read.bpf.o" \
		-- sh -c "$in_guest" || {
		echo "FAIL: $kernel"
		failed=1
	}
done

# Where tasks are preempted inside the sensor.
echo "== 6.12 preempt=full"
"$belay" lab run 6.12 --name test-sensor-preempt --log-dir "$logs" \
	--deadline 1500 --append preempt=full \
	--file "$build/bpf/sensor.bpf.o:/o/sensor.bpf.o" \
	-- "$probe" stress /o/sensor.bpf.o || {
	echo "FAIL: 6.12 preempt=full"
	failed=1
}

# The module: fine with content that asks for what there is, and then not.
echo "== oob_kmod"
here=$(dirname "$0")
if ! ko=$(BELAY=$belay "$here/../faults/oob_kmod/build" "$faults"); then
	echo "FAIL: oob_kmod does not build"
	exit 1
fi
kmod() { # kmod COMMANDS: in a VM with the module loaded
	"$belay" lab run 6.1 --name test-oob-kmod --log-dir "$logs" \
		--deadline 1500 --file "$ko:/oob_kmod.ko" \
		-- sh -c "insmod /oob_kmod.ko && $1" 2>&1
}
if ! out=$(kmod 'echo "19 /bin/sh" >/proc/belay_oob && echo survived') ||
	[[ $out != *survived* ]]; then
	echo "FAIL: oob_kmod, harmless content: $out"
	failed=1
fi
out=$(kmod 'echo "20 /bin/sh" >/proc/belay_oob; echo survived')
if [[ $? -ne 2 || $out == *survived* || $out != *panic* ]]; then
	echo "FAIL: oob_kmod, 21st field: $out"
	failed=1
fi
echo "$out"
exit $failed
