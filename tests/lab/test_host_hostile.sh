#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A host in surroundings that are against it: disk full, read-only, no BPF file
# system, too few privileges, a clock that is set back, a bundle that changes
# while it is read, foreign programs. See host/hostile.sh for the table.
#
# usage: test_host_hostile.sh BUILD_DIR [KERNEL]   (default: 6.1)
set -euo pipefail

build=$(cd "$1" && pwd)
kernel=${2:-6.1}
here=$(cd "$(dirname "$0")" && pwd)
source=$(cd "$here/../.." && pwd)
belay=$build/belay
work=$build/tests/lab/hostile-bundles
logs=$build/tests/lab/logs

skip() {
	echo "skipped: $1"
	[[ ,${BELAY_MUST_RUN:-}, == *,lab,* ]] && exit 1
	exit 77
}

bundle() { # bundle FILE NAME VERSION OBJECT [CONTENT [MORE]]
	local dir=$work/$1 content=${6:-}
	mkdir -p "$dir"
	cp "$4" "$dir/object.bpf.o"
	if [[ -n ${5:-} ]]; then
		cp "$5" "$dir/content.json"
		content='"content": "content.json",'
	fi
	printf '{"name": "%s", "version": "%s", %s "object": "object.bpf.o"}\n' \
		"$2" "$3" "$content" >"$dir/manifest.json"
	"$belay" bundle build "$dir/manifest.json" -o "$work/$1.bundle" >/dev/null
}

"$belay" lab kernels --json | grep -q "\"release\": \"$kernel\." ||
	skip "no kernel $kernel in the cache; run scripts/kernels"

rm -rf "$work"
mkdir -p "$work" "$logs"
echo 'root:!::' >"$work/shadow"
content=$source/bpf/content.json
bundle v1 sensor 1.0 "$build/bpf/sensor.bpf.o" "$content"
bundle v3 sensor 3.0 "$build/bpf/sensor-v3.bpf.o" "$content"
bundle tracer tracer 1.0 "$build/tests/lab/host/tracer.bpf.o"
bundle xdp filter 1.0 "$build/tests/lab/host/xdp.bpf.o" "" \
	'"programs": {"pass_all": {"interface": "lo"}},'
files=()
for b in "$work"/*.bundle; do
	files+=(--file "$b:/b/$(basename "$b")")
done
"$belay" lab run "$kernel" --name "test-hostile-$kernel" --log-dir "$logs" \
	--deadline 280 "${files[@]}" --disk "$work/state.img:/var/lib/belay" \
	--file "$work/shadow:/etc/shadow" \
	--file "$build/tests/lab/host/host_less:/b/less" \
	--file "$here/host/common.sh:/b/common.sh" \
	--file "$here/host/hostile.sh:/b/hostile.sh" \
	-- sh /b/hostile.sh
