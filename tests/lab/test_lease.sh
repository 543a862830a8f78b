#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Leases on real kernels: a loader that is killed in a trial, a generation that
# refuses everything (LSM, cgroup, XDP) while nobody keeps the host, and what has
# no lease.
#
# usage: test_lease.sh BUILD_DIR [KERNEL…]   (default: the newest and 5.10)
set -euo pipefail

# shellcheck source=tests/lab/lib.sh
. "$(dirname "$0")/lib.sh"
open_lab "$1" lease
shift
pick_kernels "7.3 5.10" "$@"

verdicts() { # verdicts FILE OBJECT PROGRAMS
	bundle "$1" "$1" 1 "$build/tests/lab/host/verdicts-$2.bpf.o" "" \
		"\"programs\": $3, \"trial\": {\"probation_ms\": 500},"
}

# What the kernel must go back to refuses whatever happens to us.
verdicts guard guard '{"guard": {"lease": false}}'
verdicts beside guard '{"guard": {"lease": false, "strategy": "overlap"}}'
verdicts no-guard no_guard '{"guard": {"lease": false}}'
verdicts leased guard '{}'
verdicts deny deny_all '{"no_connect4": {"cgroup": "/"},
	"no_packet": {"cgroup": "/"}, "frame": {"interface": "lo"}}'
replace='"interface": "lo", "strategy": "replace"'
verdicts pass xdp_pass_all "{\"frame\": {$replace, \"lease\": false}}"
verdicts drop xdp_drop_pings "{\"frame\": {$replace, \"lease\": false}}"
verdicts drop-all xdp_drop_all "{\"frame\": {$replace, \"lease\": false}}"
verdicts drop-kept xdp_drop_all '{"frame": {"interface": "lo"}}'
verdicts drop-leased xdp_drop_all "{\"frame\": {$replace}}"

scenario=full
for kernel in "${kernels[@]}"; do
	echo "== $kernel"
	run_guest "$kernel" test-lease --deadline 1500 "${bundles[@]}" \
		--file "$here/host/common.sh:/b/common.sh" \
		--file "$here/host/lease.sh:/b/lease.sh" -- sh /b/lease.sh $scenario
	scenario=short # what differs from kernel to kernel
done
exit $failed
