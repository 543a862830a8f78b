#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# One host on real kernels: apply, a trial that fails, death in the trial,
# recovery, rollback, denial, a foreign object; and a kernel that cannot deny.
#
# usage: test_host.sh BUILD_DIR [KERNEL…]   (default: 6.1 and the oldest, 5.10)
set -euo pipefail

# shellcheck source=tests/lab/lib.sh
. "$(dirname "$0")/lib.sh"
open_lab "$1" host
shift
pick_kernels "6.1 5.10" "$@"

vm() { # vm KERNEL NAME SCENARIO [OPTION…]
	local kernel=$1 name=$2 scenario=$3
	shift 3
	echo "== $kernel: $scenario"
	run_guest "$kernel" "$name" --deadline 1500 "${bundles[@]}" \
		--file "$work/shadow:/etc/shadow" \
		--file "$here/host/common.sh:/b/common.sh" \
		--file "$here/host/guest.sh:/b/guest.sh" \
		--file "$build/tests/lab/host/host_holder:/b/holder" "$@" \
		-- sh /b/guest.sh "$scenario"
}

cat >"$work/deny.json" <<'JSON'
{ "contract": 1,
  "default": { "exec": "emit", "open": "ignore", "connect": "ignore" },
  "rules": [ { "id": "denied", "event": "exec", "prefix": "/tmp/denied/",
               "action": "deny" } ] }
JSON
content=$source/bpf/content.json
trial='"trial": {"probation_ms": 2000},'
bundle v1 sensor 1.0 "$build/bpf/sensor.bpf.o" "$content" "$trial"
bundle v3 sensor 3.0 "$build/bpf/sensor-v3.bpf.o" "$content" "$trial"
bundle flood sensor 2.0 "$build/tests/faults/ebpf/event-flood.bpf.o" "$content" "$trial"
bundle oob sensor 2.1 "$build/tests/faults/ebpf/oob-read.bpf.o" "$content" "$trial"
bundle deny sensor 4.0 "$build/bpf/sensor.bpf.o" "$work/deny.json" "$trial"
bundle prober1 prober 1 "$build/tests/lab/host/prober.bpf.o" "" "$trial"
bundle prober2 prober 2 "$build/tests/lab/host/prober.bpf.o" "" "$trial"
bundle tracer tracer 1.0 "$build/tests/lab/host/tracer.bpf.o" "" "$trial"

scenario=full
for kernel in "${kernels[@]}"; do
	vm "$kernel" test-host "$scenario"
	scenario=short # what differs from kernel to kernel
done
vm "${kernels[0]}" test-host-no-lsm no-lsm --append lsm=capability
exit $failed
