#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# State across versions on real kernels: kept, migrated, reset, refused; on the
# way back; after a death in the trial.
#
# usage: test_state.sh BUILD_DIR [KERNEL…]   (default: 6.12 and the oldest, 5.10)
set -euo pipefail

# shellcheck source=tests/lab/lib.sh
. "$(dirname "$0")/lib.sh"
open_lab "$1" state
shift
pick_kernels "6.12 5.10" "$@"

release() { # release FILE VERSION OBJECT WORDS
	bundle "$1" state "$2" "$build/tests/lab/objects/state-v$3.bpf.o" "" \
		"\"state\": $4, \"trial\": {\"probation_ms\": 300},"
}

migrate='{"peers": "migrate", "peers_by_processor": "migrate",
	"nets": "migrate", "slots": "migrate"}'
release v1 1 1 '{}'
release v2-silent 2-silent 2 '{}'
release v2 2 2 "$migrate"
release v3-silent 3-silent 3 '{}'
release v3 3 3 '{"counts": "reset"}'

for kernel in "${kernels[@]}"; do
	echo "== $kernel"
	run_guest "$kernel" test-state --deadline 1500 --cpus 2 "${bundles[@]}" \
		--file "$here/host/common.sh:/b/common.sh" \
		--file "$here/host/state.sh:/b/state.sh" \
		--file "$build/tests/lab/host/host_map:/b/map" -- sh /b/state.sh
done
exit $failed
