#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Content updates on real kernels: belay apply CONTENT and what it says; old or
# new for every event, never a mix, while content goes back and forth; 100,000
# indicators.
#
# usage: test_content.sh BUILD_DIR [KERNEL…]   (default: 6.12 and the oldest, 5.10)
set -euo pipefail

build=$(cd "$1" && pwd)
shift
here=$(cd "$(dirname "$0")" && pwd)
source=$(cd "$here/../.." && pwd)
belay=$build/belay
work=$build/tests/lab/content-bundles
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

if [[ ${#kernels[@]} -eq 0 ]]; then
	for k in 6.12 5.10; do
		known "$k" && kernels+=("$k")
	done
fi
[[ ${#kernels[@]} -gt 0 ]] || skip "no kernels in the cache; run scripts/kernels"

rm -rf "$work"
mkdir -p "$work" "$logs"
cp "$build/bpf/sensor.bpf.o" "$work/sensor.bpf.o"
cp "$source/bpf/content.json" "$work/content.json"
printf '{"name": "sensor", "version": "1.0", "object": "sensor.bpf.o",
	"content": "content.json", "trial": {"probation_ms": 300,
	"max_drop_ratio": 0.01, "max_ns_per_event": 100000000}}\n' \
	>"$work/manifest.json"
"$belay" bundle build "$work/manifest.json" -o "$work/v1.bundle" >/dev/null
sed 's/"id": "passwords"/"id": "secrets"/' "$work/content.json" \
	>"$work/secrets.json"
printf '{"contract": 1, "rules": [ {"event": "open"} ]}\n' \
	>"$work/mistake.json"
echo 'root:!::' >"$work/shadow"

for kernel in "${kernels[@]}"; do
	echo "== $kernel"
	"$belay" lab run "$kernel" --name "test-content-$kernel" \
		--log-dir "$logs" --deadline 240 --cpus 2 \
		--file "$work/v1.bundle:/b/v1.bundle" \
		--file "$work/secrets.json:/b/secrets.json" \
		--file "$work/mistake.json:/b/mistake.json" \
		--file "$work/shadow:/etc/shadow" \
		--file "$here/host/content.sh:/b/content.sh" \
		--file "$build/tests/lab/host/host_swapper:/b/swapper" \
		-- sh /b/content.sh "$(sha256sum <"$work/secrets.json" |
			cut -c1-12)" || {
		echo "FAIL: $kernel"
		failed=1
	}
done
exit $failed
