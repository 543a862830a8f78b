#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# belay killed at its system calls on real kernels: apply, rollback, and the
# recovery after each.
#
# usage: test_crash.sh BUILD_DIR [KERNEL…]   (default: 6.1 and the oldest, 5.10)
# BELAY_CRASH_POINTS=N: of each kind of transaction (default 5; 0: every call)
set -euo pipefail

build=$(cd "$1" && pwd)
shift
here=$(cd "$(dirname "$0")" && pwd)
source=$(cd "$here/../.." && pwd)
belay=$build/belay
work=$build/tests/lab/crash-bundles
points=${BELAY_CRASH_POINTS:-5}
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

bundle() { # bundle NAME VERSION OBJECT
	cp "$3" "$work/object.bpf.o"
	printf '{"name": "sensor", "version": "%s", "object": "object.bpf.o",
		"content": "content.json", "trial": {"probation_ms": 300,
		"max_drop_ratio": 0.5, "max_ns_per_event": 100000000}}\n' \
		"$2" >"$work/manifest.json"
	"$belay" bundle build "$work/manifest.json" -o "$work/$1" >/dev/null
}

if [[ ${#kernels[@]} -eq 0 ]]; then
	for k in 6.1 5.10; do
		known "$k" && kernels+=("$k")
	done
fi
[[ ${#kernels[@]} -gt 0 ]] || skip "no kernels in the cache; run scripts/kernels"

rm -rf "$work"
mkdir -p "$work"
cp "$source/bpf/content.json" "$work/content.json"
echo 'root:!::' >"$work/shadow"
bundle v1.bundle 1.0 "$build/bpf/sensor.bpf.o"
bundle v3.bundle 3.0 "$build/bpf/sensor-v3.bpf.o"

deadline=(--deadline 600)
[[ $points != 0 ]] || deadline=()
for kernel in "${kernels[@]}"; do
	echo "== $kernel"
	"$belay" lab run "$kernel" --name "test-crash-$kernel" \
		--log-dir "$build/tests/lab/logs" "${deadline[@]}" \
		--file "$work/v1.bundle:/b/v1.bundle" \
		--file "$work/v3.bundle:/b/v3.bundle" \
		--file "$work/shadow:/etc/shadow" \
		--file "$here/host/common.sh:/b/common.sh" \
		--file "$here/host/crash.sh:/b/crash.sh" \
		--file "$build/tests/lab/host/host_killer:/b/killer" \
		--file "$build/tests/lab/host/host_objects:/b/objects" \
		-- sh /b/crash.sh "$points" || {
		echo "FAIL: $kernel"
		failed=1
	}
done
exit $failed
