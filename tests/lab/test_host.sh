#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# One host on real kernels: apply, a trial that fails, death in the trial,
# recovery, rollback, denial, a foreign object; and a kernel that cannot deny.
#
# usage: test_host.sh BUILD_DIR [KERNEL…]   (default: 6.1 and the oldest, 5.10)
set -euo pipefail

build=$(cd "$1" && pwd)
shift
here=$(cd "$(dirname "$0")" && pwd)
source=$(cd "$here/../.." && pwd)
belay=$build/belay
work=$build/tests/lab/host-bundles
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

bundle() { # bundle FILE NAME VERSION OBJECT [CONTENT]
	local dir=$work/$1 content=
	mkdir -p "$dir"
	cp "$4" "$dir/object.bpf.o"
	if [[ -n ${5:-} ]]; then
		cp "$5" "$dir/content.json"
		content='"content": "content.json",'
	fi
	printf '{"name": "%s", "version": "%s", "object": "object.bpf.o", %s
		"trial": {"probation_ms": 2000}}\n' "$2" "$3" "$content" \
		>"$dir/manifest.json"
	"$belay" bundle build "$dir/manifest.json" -o "$work/$1.bundle" >/dev/null
}

vm() { # vm KERNEL NAME SCENARIO [OPTION…]
	local kernel=$1 name=$2 scenario=$3 files=() b
	shift 3
	for b in "$work"/*.bundle; do
		files+=(--file "$b:/b/$(basename "$b")")
	done
	echo "== $kernel: $scenario"
	"$belay" lab run "$kernel" --name "$name-$kernel" --log-dir "$logs" \
		--deadline 280 "${files[@]}" --file "$work/shadow:/etc/shadow" \
		--file "$here/host/guest.sh:/b/guest.sh" \
		--file "$build/tests/lab/host/host_holder:/b/holder" "$@" \
		-- sh /b/guest.sh "$scenario" || {
		echo "FAIL: $kernel: $scenario"
		failed=1
	}
}

if [[ ${#kernels[@]} -eq 0 ]]; then
	for k in 6.1 5.10; do
		known "$k" && kernels+=("$k")
	done
fi
[[ ${#kernels[@]} -gt 0 ]] || skip "no kernels in the cache; run scripts/kernels"

rm -rf "$work"
mkdir -p "$work" "$logs"
echo 'root:!::' >"$work/shadow"
cat >"$work/deny.json" <<'JSON'
{ "contract": 1,
  "default": { "exec": "emit", "open": "ignore", "connect": "ignore" },
  "rules": [ { "id": "denied", "event": "exec", "prefix": "/tmp/denied/",
               "action": "deny" } ] }
JSON
content=$source/bpf/content.json
bundle v1 sensor 1.0 "$build/bpf/sensor.bpf.o" "$content"
bundle v3 sensor 3.0 "$build/bpf/sensor-v3.bpf.o" "$content"
bundle flood sensor 2.0 "$build/tests/faults/v2-flood.bpf.o" "$content"
bundle oob sensor 2.1 "$build/tests/faults/v2-oob.bpf.o" "$content"
bundle deny sensor 4.0 "$build/bpf/sensor.bpf.o" "$work/deny.json"
bundle prober1 prober 1 "$build/tests/lab/host/prober.bpf.o"
bundle prober2 prober 2 "$build/tests/lab/host/prober.bpf.o"
bundle tracer tracer 1.0 "$build/tests/lab/host/tracer.bpf.o"

scenario=full
for kernel in "${kernels[@]}"; do
	vm "$kernel" test-host "$scenario"
	scenario=short # what differs from kernel to kernel
done
vm "${kernels[0]}" test-host-no-lsm no-lsm --append lsm=capability
exit $failed
