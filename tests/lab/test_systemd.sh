#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The units under a live systemd, which is process 1 of a lab VM: belay is installed
# as its documents say, keeps a host and is one of a fleet; what the units take from
# it, it does not miss; and the next boot of that host.
#
# usage: test_systemd.sh BUILD_DIR [KERNEL…]   (default: 6.1)
set -euo pipefail

# shellcheck source=tests/lab/lib.sh
. "$(dirname "$0")/lib.sh"
open_lab "$1" systemd
shift
pick_kernels 6.1 "$@"
[[ -x /lib/systemd/systemd ]] && dpkg -L systemd >/dev/null 2>&1 ||
	skip "no Debian package systemd here; run scripts/setup"

content=$source/bpf/content.json
bundle v1 sensor 1.0 "$build/bpf/sensor.bpf.o" "$content" \
	'"trial": {"probation_ms": 500},'
# Its trial lasts until somebody dies in it.
bundle slow sensor 2.0 "$build/bpf/sensor-v3.bpf.o" "$content" \
	'"trial": {"probation_ms": 600000},'
bundle v3 sensor 3.0 "$build/bpf/sensor-v3.bpf.o" "$content" \
	'"trial": {"probation_ms": 500},'
bundle guard guard 1.0 "$build/tests/lab/host/verdicts-guard.bpf.o" "" \
	'"trial": {"probation_ms": 500},'

boot() { # boot SCENARIO: of the host whose disk is $disk
	echo "== $kernel: $1"
	run_guest "$kernel" "test-systemd-$1" --deadline 400 --mem 768 \
		--append 'rdinit=/b/init systemd.log_target=kmsg' \
		--disk "$disk:/debian" --file "$here/systemd/init.sh:/b/init" \
		-- sh /b/init sh /b/host.sh "$1"
}

for kernel in "${kernels[@]}"; do
	disk=$work/$kernel.disk
	read -r release modules < <("$belay" lab kernels --json | jq -r \
		--arg k "$kernel." 'map(select(.release | startswith($k)))[-1]
			| .release + " " + .modules_dir')
	"$here/systemd/disk.sh" "$build" "$release" "$modules" "$disk" \
		"$here/host/common.sh" "$here/systemd/host.sh" \
		"$build/tests/lab/host/host_parts" "$work"/*.bundle
	boot first
	((failed)) || boot next
done
exit $failed
