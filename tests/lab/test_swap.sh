#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Swaps under load, counted by number: dispatch loses and doubles nothing,
# overlap loses nothing and marks what it doubles; what detach-then-attach
# loses stands beside it.
#
# usage: test_swap.sh BUILD_DIR [KERNEL…]   (default: 6.1; 5.10 flips as well, but
# does not always come out of whole updates on two emulated processors)
# BELAY_SWAPS=N: N flips, and N/20 whole updates of each kind (default: 100)
set -euo pipefail

# shellcheck source=tests/lab/lib.sh
. "$(dirname "$0")/lib.sh"
open_lab "$1" swap
shift
pick_kernels 6.1 "$@"
swaps=${BELAY_SWAPS:-100}

vm() { # vm KERNEL CPUS WAYS; the deadline is only against a hang
	run_guest "$1" "test-swap-$3" --cpus "$2" --deadline $((1500 + 10 * swaps)) \
		--file "$build/bpf/sensor.bpf.o:/b/sensor.bpf.o" \
		--file "$build/tests/lab/host/host_loadswap:/b/loadswap" \
		-- /b/loadswap /b/sensor.bpf.o "$swaps" $((swaps / 20)) 2 "$3"
}

# Links are attached by rewriting code that the other processor runs all the
# time, and two emulated ones do not always come out of that.
for kernel in "${kernels[@]}"; do
	echo "== $kernel"
	vm "$kernel" 2 dispatch
	vm "$kernel" 1 links
done
exit $failed
