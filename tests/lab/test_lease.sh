#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Leases on real kernels: a loader that is killed in a trial, and generations
# that refuse everything (LSM, cgroup, XDP) while nobody keeps the host.
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

bundle() { # bundle OBJECT PROGRAMS
	local dir=$work/$1
	mkdir -p "$dir"
	cp "$build/tests/lab/host/verdicts-$1.bpf.o" "$dir/object.bpf.o"
	printf '{"name": "%s", "version": "1", "object": "object.bpf.o",
		"programs": %s, "trial": {"probation_ms": 500}}\n' "$1" "$2" \
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
# The one that the kernel must go back to refuses whatever happens to us.
bundle guard '{"guard": {"lease": false}}'
bundle no_guard '{"guard": {"lease": false}}'
bundle lsm_all '{}'
bundle cgroup_all '{"no_connect4": {"cgroup": "/"}, "no_packet": {"cgroup": "/"}}'
bundle xdp_all '{"no_frame": {"interface": "lo"}}'
cp -r "$work/guard" "$work/guard_leased"
printf '{"name": "guard", "version": "2", "object": "object.bpf.o",
	"trial": {"probation_ms": 500}}\n' >"$work/guard_leased/manifest.json"
"$belay" bundle build "$work/guard_leased/manifest.json" \
	-o "$work/guard_leased.bundle" >/dev/null
cp -r "$work/xdp_all" "$work/xdp_replace"
printf '{"name": "xdp_all", "version": "2", "object": "object.bpf.o",
	"programs": {"no_frame": {"interface": "lo", "strategy": "replace"}},
	"trial": {"probation_ms": 500}}\n' >"$work/xdp_replace/manifest.json"
"$belay" bundle build "$work/xdp_replace/manifest.json" \
	-o "$work/xdp_replace.bundle" >/dev/null

for kernel in "${kernels[@]}"; do
	files=()
	for b in "$work"/*.bundle; do
		files+=(--file "$b:/b/$(basename "$b")")
	done
	echo "== $kernel"
	"$belay" lab run "$kernel" --name "test-lease-$kernel" \
		--log-dir "$logs" --deadline 280 "${files[@]}" \
		--file "$here/host/lease.sh:/b/lease.sh" -- sh /b/lease.sh || {
		echo "FAIL: $kernel"
		failed=1
	}
done
exit $failed
