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

build=$(cd "$1" && pwd)
shift
belay=$build/belay
swaps=${BELAY_SWAPS:-100}
kernels=("$@")
failed=0

skip() {
	echo "skipped: $1"
	[[ ,${BELAY_MUST_RUN:-}, == *,lab,* ]] && exit 1
	exit 77
}

known() {
	"$belay" lab kernels --json | grep -q "\"release\": \"$1\."
}

if [[ ${#kernels[@]} -eq 0 ]]; then
	known 6.1 && kernels=(6.1)
fi
[[ ${#kernels[@]} -gt 0 ]] || skip "6.1 is not in the cache; run scripts/kernels"

vm() { # vm KERNEL CPUS WAYS; the deadline is only against a hang
	"$belay" lab run "$1" --name "test-swap-$3-$1" \
		--log-dir "$build/tests/lab/logs" --cpus "$2" \
		--deadline $((300 + swaps)) \
		--file "$build/bpf/sensor.bpf.o:/b/sensor.bpf.o" \
		--file "$build/tests/lab/host/host_loadswap:/b/loadswap" \
		-- /b/loadswap /b/sensor.bpf.o "$swaps" $((swaps / 20)) 2 "$3" || {
		echo "FAIL: $1: $3"
		failed=1
	}
}

# Links are attached by rewriting code that the other processor runs all the
# time, and two emulated ones do not always come out of that.
for kernel in "${kernels[@]}"; do
	echo "== $kernel"
	vm "$kernel" 2 dispatch
	vm "$kernel" 1 links
done
exit $failed
