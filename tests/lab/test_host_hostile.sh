#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A host in surroundings that are against it: disk full, read-only, no BPF file
# system, too few privileges, a clock that is set back, a bundle that changes
# while it is read, foreign programs. See host/hostile.sh for the table.
#
# usage: test_host_hostile.sh BUILD_DIR [KERNEL]   (default: 6.1)
set -euo pipefail

# shellcheck source=tests/lab/lib.sh
. "$(dirname "$0")/lib.sh"
open_lab "$1" hostile
kernel=${2:-6.1}
known "$kernel" || skip "no kernel $kernel in the cache; run scripts/kernels"

content=$source/bpf/content.json
bundle v1 sensor 1.0 "$build/bpf/sensor.bpf.o" "$content"
bundle v3 sensor 3.0 "$build/bpf/sensor-v3.bpf.o" "$content"
bundle tracer tracer 1.0 "$build/tests/lab/host/tracer.bpf.o"
bundle xdp filter 1.0 "$build/tests/lab/host/xdp.bpf.o" "" \
	'"programs": {"pass_all": {"interface": "lo"}},'
run_guest "$kernel" test-hostile --deadline 1500 "${bundles[@]}" \
	--disk "$work/state.img:/var/lib/belay" \
	--file "$work/shadow:/etc/shadow" \
	--file "$build/tests/lab/host/host_less:/b/less" \
	--file "$here/host/common.sh:/b/common.sh" \
	--file "$here/host/hostile.sh:/b/hostile.sh" \
	-- sh /b/hostile.sh
exit $failed
