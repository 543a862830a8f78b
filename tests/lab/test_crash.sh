#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# belay killed at its system calls on real kernels: apply, rollback, and the
# recovery after each.
#
# usage: test_crash.sh BUILD_DIR [KERNEL…]   (default: 6.1 and the oldest, 5.10)
# BELAY_CRASH_POINTS=N: of each kind of transaction (default 5; 0: every call)
set -euo pipefail

# shellcheck source=tests/lab/lib.sh
. "$(dirname "$0")/lib.sh"
open_lab "$1" crash
shift
pick_kernels "6.1 5.10" "$@"
points=${BELAY_CRASH_POINTS:-5}

content=$source/bpf/content.json
trial='"trial": {"probation_ms": 300, "max_drop_ratio": 0.5,
	"max_ns_per_event": 100000000},'
bundle v1 sensor 1.0 "$build/bpf/sensor.bpf.o" "$content" "$trial"
bundle v3 sensor 3.0 "$build/bpf/sensor-v3.bpf.o" "$content" "$trial"

deadline=(--deadline 1500)
[[ $points != 0 ]] || deadline=()
for kernel in "${kernels[@]}"; do
	echo "== $kernel"
	run_guest "$kernel" test-crash "${deadline[@]}" "${bundles[@]}" \
		--file "$work/shadow:/etc/shadow" \
		--file "$here/host/common.sh:/b/common.sh" \
		--file "$here/host/crash.sh:/b/crash.sh" \
		--file "$build/tests/lab/host/host_killer:/b/killer" \
		--file "$build/tests/lab/host/host_objects:/b/objects" \
		-- sh /b/crash.sh "$points"
done
exit $failed
