#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Rules for digests of programs on real kernels: what is found and what is not,
# hashed once where the kernel says that nothing changed, refused, and where
# a kernel cannot.
#
# usage: test_sums.sh BUILD_DIR [KERNEL…]   (default: 6.1, the newest and 5.10)
set -euo pipefail

# shellcheck source=tests/lab/lib.sh
. "$(dirname "$0")/lib.sh"
open_lab "$1" sums
shift
pick_kernels "6.1 7.3 5.10" "$@"

bundle v1 sensor 1.0 "$build/bpf/sensor.bpf.o" "$source/bpf/content.json" \
	'"trial": { "probation_ms": 300, "max_drop_ratio": 0.01,
	"max_ns_per_event": 100000000, "max_cpu_ratio": 1 },'
for kernel in "${kernels[@]}"; do
	echo "== $kernel"
	rm -f "$work/disk"
	more=()
	if [[ $kernel == 6.1* ]]; then
		# Modules there that its insmod can read.
		modules=$(modules_of 6.1)
		more=(--file "$modules/kernel/fs/fuse/fuse.ko:/b/fuse.ko"
			--file "$modules/kernel/fs/binfmt_misc.ko:/b/binfmt_misc.ko"
			--file "$build/tests/lab/host/host_served:/b/served")
	fi
	run_guest "$kernel" test-sums --deadline 240 "${bundles[@]}" \
		--disk "$work/disk:/disk" \
		--file "$here/host/common.sh:/b/common.sh" \
		--file "$here/host/sums.sh:/b/sums.sh" \
		--file "$build/tests/lab/host/host_mapper:/b/mapper" "${more[@]}" \
		-- sh /b/sums.sh "$kernel"
done
exit $failed
