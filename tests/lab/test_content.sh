#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Content updates on real kernels: belay apply CONTENT and what it says; old or
# new for every event, never a mix, while content goes back and forth; 100,000
# indicators.
#
# usage: test_content.sh BUILD_DIR [KERNEL…]   (default: 6.12 and the oldest, 5.10)
set -euo pipefail

# shellcheck source=tests/lab/lib.sh
. "$(dirname "$0")/lib.sh"
open_lab "$1" content
shift
pick_kernels "6.12 5.10" "$@"

content=$source/bpf/content.json
bundle v1 sensor 1.0 "$build/bpf/sensor.bpf.o" "$content" '"trial": {
	"probation_ms": 300, "max_drop_ratio": 0.01,
	"max_ns_per_event": 100000000},'
sed 's/"id": "passwords"/"id": "secrets"/' "$content" \
	>"$work/secrets.json"
printf '{"contract": 1, "rules": [ {"event": "open"} ]}\n' \
	>"$work/mistake.json"

digest=$(sha256sum <"$work/secrets.json" | cut -c1-12)
for kernel in "${kernels[@]}"; do
	echo "== $kernel"
	run_guest "$kernel" test-content --deadline 1500 --cpus 2 "${bundles[@]}" \
		--file "$work/secrets.json:/b/secrets.json" \
		--file "$work/mistake.json:/b/mistake.json" \
		--file "$work/shadow:/etc/shadow" \
		--file "$here/host/common.sh:/b/common.sh" \
		--file "$here/host/content.sh:/b/content.sh" \
		--file "$build/tests/lab/host/host_swapper:/b/swapper" \
		-- sh /b/content.sh "$digest"
done
exit $failed
