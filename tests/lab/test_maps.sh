#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The gate's estimate of what maps take, against what real kernels charge and
# use. One VM per kernel.
#
# usage: test_maps.sh BUILD_DIR [KERNEL…]   (default: every kernel)
set -uo pipefail

build=$1
shift
belay=$build/belay
logs=$build/tests/lab/logs
failed=0
mkdir -p "$logs"

releases() {
	"$belay" lab kernels --json | awk -F'"' '
		$2 == "ready" { ready = $3 ~ /true/ }
		$2 == "release" && ready { print $4 }'
}

mapfile -t set < <(releases)
[[ $# -gt 0 ]] && set=("$@")
if [[ ${#set[@]} -eq 0 ]]; then
	echo "skipped: no kernels in the cache; run scripts/kernels"
	[[ ,${BELAY_MUST_RUN:-}, == *,lab,* ]] && exit 1
	exit 77
fi
for kernel in "${set[@]}"; do
	echo "== $kernel"
	"$belay" lab run "$kernel" --name "test-maps-$kernel" \
		--log-dir "$logs" --deadline 1500 \
		--file "$build/tests/lab/objects/maps.bpf.o:/o/maps.bpf.o" \
		-- "$build/tests/lab/guest/maps_probe" /o/maps.bpf.o || {
		echo "FAIL: $kernel"
		failed=1
	}
done
exit "$failed"
