#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# belay's host transaction over a kernel module: apply, exchange, refuse, die in
# the trial, reboot; over to eBPF and back; a module that brings the kernel down,
# in its trial and as last-good; what an exchange under load loses; remove. One
# processor: kmod/README.md.
#
# usage: test_host_kmod.sh BUILD_DIR [KERNEL…]   (default: 6.1)
# ROUNDS: exchanges under load (default: 3); with more than 3 also the boots of a
# last-good that brings the kernel down, until the host stays bare
set -euo pipefail

# shellcheck source=tests/lab/lib.sh
. "$(dirname "$0")/lib.sh"
open_lab "$1" host-kmod
shift
pick_kernels "6.1" "$@"
rounds=${ROUNDS:-3}

content=$source/bpf/content.json
deny() { # deny FILE EVENT HOW PATH: content that refuses it
	printf '{"contract": 1, "default": {"exec": "emit"}, "rules": [{"id": "no", "event": "%s", "%s": "%s", "action": "deny"}]}\n' \
		"$2" "$3" "$4" >"$work/$1.json"
}
echo '{"contract": 1, "default": {"connect": "emit"}, "rules": []}' >"$work/connects.json"
deny locks exec prefix /
deny denies open path /etc/shadow

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

# vm CODE SCENARIO…: one boot of the host; 2: the kernel ended it
vm() {
	local want=$1 code=0
	shift
	echo "== $kernel: $*"
	"$belay" lab run "$kernel" --name "test-host-kmod-$kernel" \
		--log-dir "$logs" --deadline 1500 \
		--disk "$work/$kernel.img:/var/lib/belay" \
		--pstore "$work/$kernel.pstore" "${bundles[@]}" \
		--file "$work/shadow:/etc/shadow" \
		--file "$here/host/common.sh:/b/common.sh" \
		--file "$here/host/kmod.sh:/b/kmod.sh" \
		-- sh /b/kmod.sh "$@" || code=$?
	[[ $code -eq $want ]] || fail "$kernel: $*: ended with $code, not $want"
}

for kernel in "${kernels[@]}"; do
	bundles=()
	if ! one=$(BELAY=$belay "$source/kmod/build" "$work/$kernel" "$kernel") ||
		! two=$(variant two kmod/sensor.h \
			's/\(BL_SENSOR_VERSION\) 1$/\1 2/') ||
		! bad=$(variant bad bpf/content.h \
			's/\(BL_CONTENT_CONTRACT\) .*/\1 99/') ||
		! bang=$(variant bang kmod/hooks.c \
			's/^\tif (never(content, BL_EVENT_EXEC)) {/\tBUG_ON(!strcmp(current->comm, "bang"));\n&/'); then
		fail "$kernel: the modules do not build"
		continue
	fi
	modules v1 1.0 "$one"
	modules v2 2.0 "$two"
	modules bad 4.0 "$bad"
	LC_ALL=C sed 's/vermagic=./vermagic=9/' "$one" >"$work/$kernel-foreign.ko"
	modules foreign 5.0 "$work/$kernel-foreign.ko"
	modules bang 6.0 "$bang"
	modules locks 7.0 "$one" "$work/locks.json"
	modules denies 8.0 "$one" "$work/denies.json"
	modules x1 9.0 "$one" "$work/connects.json"
	modules x2 9.1 "$two" "$work/connects.json"
	bundle ebpf sensor 3.0 "$build/bpf/sensor.bpf.o" "$content"
	run_guest "$kernel" test-exchange --deadline 1500 "${bundles[@]}" \
		--file "$build/tests/lab/host/host_exchange:/b/exchange" \
		-- /b/exchange /b/x1.bundle /b/x2.bundle "$rounds" 500
	vm 0 first
	vm 0 again
	vm 2 trial
	vm 0 convicted
	if ((rounds > 3)); then
		vm 2 live 1
		vm 2 live 2
		vm 2 live 3
		vm 0 bare
		vm 0 leave bare
	else
		vm 0 leave
	fi
done

exit $failed
