#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Leases on real kernels: a loader that is killed in a trial, a generation that
# refuses everything (LSM, cgroup, XDP) while nobody keeps the host, and what has
# no lease.
#
# usage: test_lease.sh BUILD_DIR [KERNEL…]   (default: the newest and 5.10)
set -euo pipefail

build=$(cd "$1" && pwd)
shift
here=$(cd "$(dirname "$0")" && pwd)
belay=$build/belay
work=$build/tests/lab/lease-bundles
logs=$build/tests/lab/logs
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

bundle() { # bundle FILE OBJECT PROGRAMS
	local dir=$work/$1
	mkdir -p "$dir"
	cp "$build/tests/lab/host/verdicts-$2.bpf.o" "$dir/object.bpf.o"
	printf '{"name": "%s", "version": "1", "object": "object.bpf.o",
		"programs": %s, "trial": {"probation_ms": 500}}\n' "$1" "$3" \
		>"$dir/manifest.json"
	"$belay" bundle build "$dir/manifest.json" -o "$work/$1.bundle" >/dev/null
}

if [[ ${#kernels[@]} -eq 0 ]]; then
	for k in 7.3 5.10; do
		known "$k" && kernels+=("$k")
	done
fi
[[ ${#kernels[@]} -gt 0 ]] || skip "no kernels in the cache; run scripts/kernels"

rm -rf "$work"
mkdir -p "$work" "$logs"
# What the kernel must go back to refuses whatever happens to us.
bundle guard guard '{"guard": {"lease": false}}'
bundle beside guard '{"guard": {"lease": false, "strategy": "overlap"}}'
bundle no-guard no_guard '{"guard": {"lease": false}}'
bundle leased guard '{}'
bundle deny deny_all '{"no_connect4": {"cgroup": "/"},
	"no_packet": {"cgroup": "/"}, "frame": {"interface": "lo"}}'
replace='"interface": "lo", "strategy": "replace"'
bundle pass xdp_pass_all "{\"frame\": {$replace, \"lease\": false}}"
bundle drop xdp_drop_all "{\"frame\": {$replace, \"lease\": false}}"
bundle drop-kept xdp_drop_all '{"frame": {"interface": "lo"}}'
bundle drop-leased xdp_drop_all "{\"frame\": {$replace}}"

scenario=full
for kernel in "${kernels[@]}"; do
	files=()
	for b in "$work"/*.bundle; do
		files+=(--file "$b:/b/$(basename "$b")")
	done
	echo "== $kernel"
	"$belay" lab run "$kernel" --name "test-lease-$kernel" \
		--log-dir "$logs" --deadline 280 "${files[@]}" \
		--file "$here/host/lease.sh:/b/lease.sh" -- sh /b/lease.sh $scenario || {
		echo "FAIL: $kernel"
		failed=1
	}
	scenario=short # what differs from kernel to kernel
done
exit $failed
