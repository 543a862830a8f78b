#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What the README promises: the demo runs and ends as it says.
#
# usage: test_demo.sh BUILD_DIR
set -uo pipefail

export BELAY_BUILD=$1
top=$(cd "$(dirname "$0")/../.." && pwd)

if ! "$1/belay" lab kernels --json | grep -q '"ready": true'; then
	echo "skipped: no kernels in the cache; run scripts/kernels"
	exit 77
fi
"$top/scripts/demo" || exit 1
jq -e '.hosts == 6 and .exposed_to_bad == 1 and .rolled_back == 1 and
	.lost_ebpf == 0 and .lost_kmod == 1 and .events_seen > 0 and
	.seconds > 0' "$1/demo/result.json" >/dev/null || {
	echo "result.json is not as expected:"
	cat "$1/demo/result.json"
	exit 1
}
