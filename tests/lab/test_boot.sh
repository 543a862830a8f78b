#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A host over its boots, on a real kernel, with a real file system and what the
# dying kernel leaves: a crash in a trial (convicted, suspect), power cuts, a
# last-good version that takes the host down; the keeper; a clean leave.
#
# usage: test_boot.sh BUILD_DIR [CYCLES]   CYCLES: power cuts, default 8
set -uo pipefail

# shellcheck source=tests/lab/lib.sh
. "$(dirname "$0")/lib.sh"
open_lab "$1" boot
cycles=${2:-8}
# hang is for kernels with bpf_loop; the cuts are as fast as the kernel boots.
kernel=6.1
oldest=5.10
files=()

new_host() { # new_host NAME KERNEL
	host=$1 on=$2
	rm -f "$work/$host".{disk,pstore}
}

vm() { # vm SCENARIO [ARG…]: one boot of the host; its JSON in $work/out
	"$belay" lab run "$on" --name "test-boot-$host" --log-dir "$logs" \
		--disk "$work/$host.disk:/var/lib/belay" \
		--pstore "$work/$host.pstore" --deadline 1500 "${files[@]}" \
		--json -- sh /b/boot.sh "$@" >"$work/out" 2>"$work/err"
}

fell() { # fell WORDS: with all that the boot said
	fail "$*"
	jq -r .output "$work/out" 2>/dev/null
	cat "$work/err"
}

boot() { # boot OUTCOME SCENARIO [ARG…]
	local want=$1 got
	shift
	echo "== $host: $*"
	vm "$@"
	got=$(jq -r '.outcome + " " + (.exit_status | tostring)' "$work/out")
	[[ $got == "$want" ]] || fell "$*: the boot ended in '$got', not '$want'"
	jq -r .output "$work/out" | grep -E 'FAIL|^-- [0-9]|resident' || true
}

# cut N: one boot, and the power goes at a moment that chance chooses: in every
# second one while the kernel or recovery may still be at work, in every fourth
# in a trial.
cut() {
	local n=$1 pid trial='' up=0
	((n % 4 == 3)) && trial=trial
	rm -f "$logs/test-boot-$host.console.log" # of the boot before
	"$belay" lab run "$on" --name "test-boot-$host" --log-dir "$logs" \
		--disk "$work/$host.disk:/var/lib/belay" \
		--pstore "$work/$host.pstore" --deadline 1500 "${files[@]}" \
		-- sh /b/boot.sh cycle $trial >"$work/out" 2>"$work/err" &
	pid=$!
	if ((n % 2)); then
		for _ in $(seq 9000); do
			grep -q '^up' "$work/out" && up=1 && break
			kill -0 "$pid" 2>/dev/null || break
			sleep 0.1
		done
		((up)) || fell "cut $n: it did not come up: $(cat "$work/out")"
		sleep "$((RANDOM % 2)).$((RANDOM % 10))"
	else
		# Not before the kernel is there, else nothing is tried.
		for _ in $(seq 9000); do
			grep -qs 'EXT4-fs.*mounted' \
				"$logs/test-boot-$host.console.log" && break
			sleep 0.05
		done
		sleep "0.$((RANDOM % 10))"
	fi
	kill -9 "$pid" 2>/dev/null
	wait "$pid" 2>/dev/null
	grep FAIL "$work/out" && failed=1
	# QEMU dies with it; the disk is free only then.
	for _ in $(seq 6000); do
		pgrep -f "path=$logs/test-boot-$host.console.log" >/dev/null || break
		sleep 0.1
	done
}

known "$kernel" || skip "no kernel $kernel in the cache; run scripts/kernels"
known "$oldest" || oldest=$kernel

content=$source/bpf/content.json
bundle v1 sensor 1.0 "$build/bpf/sensor.bpf.o" "$content"
bundle v3 sensor 3.0 "$build/bpf/sensor-v3.bpf.o" "$content"
bundle hang sensor 2.0 "$build/tests/faults/ebpf/hang.bpf.o" "$content"
files+=("${bundles[@]}" --file "$here/host/common.sh:/b/common.sh")
files+=(--file "$here/host/boot.sh:/b/boot.sh"
	--file "$source/loader/host/boot/belay-recover.sh:/b/belay-recover.sh"
	--file "$build/tests/lab/host/host_objects:/b/objects")

new_host crash "$kernel"
boot 'exited 0' first
boot 'panic null' hang-in-trial
if module=$(BELAY=$belay "$source/tests/faults/oob_kmod/build" "$work" \
	"$kernel" 2>/dev/null); then
	files+=(--file "$module:/b/oob_kmod.ko")
	boot 'panic null' convicted
	boot 'exited 0' suspect
else
	echo 'skipped: no headers to build oob_kmod with, so nobody is suspect'
	boot 'exited 0' convicted
fi
boot 'exited 0' leave

new_host cuts "$oldest"
boot 'exited 0' first
echo "== cuts: $cycles power cuts"
for n in $(seq "$cycles"); do cut "$n"; done
boot 'exited 0' cycled

new_host bare "$kernel"
boot 'panic null' bad-last-good
for _ in 1 2 3; do boot 'panic null' hang-after-restore; done
boot 'exited 0' bare
exit $failed
