#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The two parts of an agent on real kernels: an update through a fleet of one host,
# over TLS; what the kernel says each part may; and what a talker is refused.
#
# usage: test_parts.sh BUILD_DIR [KERNEL…]   (default: 6.1 and 5.10)
set -euo pipefail

# shellcheck source=tests/lab/lib.sh
. "$(dirname "$0")/lib.sh"
open_lab "$1" parts
shift
pick_kernels "6.1 5.10" "$@"

bundle sensor sensor 1.0 "$build/bpf/sensor.bpf.o" "$source/bpf/content.json" \
	'"trial": {"probation_ms": 1000},'
for kernel in "${kernels[@]}"; do
	echo "== $kernel"
	run_guest "$kernel" test-parts --deadline 1500 "${bundles[@]}" \
		--file "$build/tests/lab/host/host_parts:/bin/host_parts" \
		--file "$here/host/common.sh:/b/common.sh" \
		--file "$here/host/parts.sh:/b/parts.sh" -- sh /b/parts.sh
done
exit $failed
