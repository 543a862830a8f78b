#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# State across versions on real kernels: kept, migrated, reset, refused; on the
# way back; after a death in the trial.
#
# usage: test_state.sh BUILD_DIR [KERNEL…]   (default: 6.12 and the oldest, 5.10)
set -euo pipefail

build=$(cd "$1" && pwd)
shift
here=$(cd "$(dirname "$0")" && pwd)
belay=$build/belay
work=$build/tests/lab/state-bundles
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

bundle() { # bundle FILE RELEASE VERSION WORDS
	local dir=$work/$1
	mkdir -p "$dir"
	cp "$build/tests/lab/objects/state-v$3.bpf.o" "$dir/object.bpf.o"
	printf '{"name": "state", "version": "%s", "object": "object.bpf.o",
		"state": %s, "trial": {"probation_ms": 300}}\n' "$2" "$4" \
		>"$dir/manifest.json"
	"$belay" bundle build "$dir/manifest.json" -o "$work/$1.bundle" >/dev/null
}

if [[ ${#kernels[@]} -eq 0 ]]; then
	for k in 6.12 5.10; do
		known "$k" && kernels+=("$k")
	done
fi
[[ ${#kernels[@]} -gt 0 ]] || skip "no kernels in the cache; run scripts/kernels"

rm -rf "$work"
mkdir -p "$work" "$logs"
migrate='{"peers": "migrate", "peers_by_processor": "migrate",
	"nets": "migrate", "slots": "migrate"}'
bundle v1 1 1 '{}'
bundle v2-silent 2-silent 2 '{}'
bundle v2 2 2 "$migrate"
bundle v3-silent 3-silent 3 '{}'
bundle v3 3 3 '{"counts": "reset"}'

for kernel in "${kernels[@]}"; do
	files=()
	for b in "$work"/*.bundle; do
		files+=(--file "$b:/b/$(basename "$b")")
	done
	echo "== $kernel"
	"$belay" lab run "$kernel" --name "test-state-$kernel" \
		--log-dir "$logs" --deadline 200 --cpus 2 "${files[@]}" \
		--file "$here/host/state.sh:/b/state.sh" \
		--file "$build/tests/lab/host/host_map:/b/map" \
		-- sh /b/state.sh || {
		echo "FAIL: $kernel"
		failed=1
	}
done
exit $failed
