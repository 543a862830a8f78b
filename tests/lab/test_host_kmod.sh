#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# belay's host transaction over a kernel module: apply, exchange, refuse, die in
# the trial, reboot, remove; and over to eBPF and back. One processor:
# kmod/README.md.
#
# usage: test_host_kmod.sh BUILD_DIR [KERNEL…]   (default: 6.1)
set -euo pipefail

# shellcheck source=tests/lab/lib.sh
. "$(dirname "$0")/lib.sh"
open_lab "$1" host-kmod
shift
pick_kernels "6.1" "$@"

content=$source/bpf/content.json
modules() { # modules FILE VERSION KO [CONTENT]
	local dir=$work/$1
	mkdir -p "$dir"
	cp "$3" "$dir/belay_sensor.ko"
	cp "${4:-$content}" "$dir/content.json"
	printf '{"name": "sensor", "version": "%s", "modules": ["belay_sensor.ko"], "content": "content.json"}\n' \
		"$2" >"$dir/manifest.json"
	"$belay" bundle build "$dir/manifest.json" -o "$work/$1.bundle" >/dev/null
	bundles+=(--file "$work/$1.bundle:/b/$1.bundle")
}

# variant NAME FILE SED: the module with one change, for $kernel; where it is.
variant() {
	local tree=$work/$kernel-$1
	mkdir -p "$tree"
	cp -r "$source/kmod" "$source/bpf" "$tree"
	sed -i "$3" "$tree/$2"
	cmp -s "$source/$2" "$tree/$2" && return 1
	BELAY=$belay "$tree/kmod/build" "$tree/out" "$kernel"
}

vm() { # vm SCENARIO: one boot of the host
	echo "== $kernel: $1"
	run_guest "$kernel" test-host-kmod --deadline 150 \
		--disk "$work/$kernel.img:/var/lib/belay" "${bundles[@]}" \
		--file "$here/host/common.sh:/b/common.sh" \
		--file "$here/host/kmod.sh:/b/kmod.sh" \
		-- sh /b/kmod.sh "$1"
}

for kernel in "${kernels[@]}"; do
	bundles=()
	foreign=5.10
	[[ $kernel != 5.10 ]] || foreign=6.1
	if ! one=$(BELAY=$belay "$source/kmod/build" "$work/$kernel" "$kernel") ||
		! two=$(variant two kmod/sensor.h \
			's/\(BL_SENSOR_VERSION\) 1$/\1 2/') ||
		! bad=$(variant bad bpf/content.h \
			's/\(BL_CONTENT_CONTRACT\) .*/\1 99/') ||
		! other=$(BELAY=$belay "$source/kmod/build" "$work/$foreign" \
			"$foreign"); then
		fail "$kernel: the modules do not build"
		continue
	fi
	modules v1 1.0 "$one"
	modules v2 2.0 "$two"
	modules bad 4.0 "$bad"
	modules foreign 5.0 "$other"
	bundle ebpf sensor 3.0 "$build/bpf/sensor.bpf.o" "$content"
	for scenario in first again bare; do
		vm "$scenario"
	done
done

exit $failed
