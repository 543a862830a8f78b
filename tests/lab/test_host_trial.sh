#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The trial on a host, on real kernels: confirmed by a person or by nobody,
# probes of the user's own, a terminal that is gone; and a host that stands
# still in it, is restarted by its watchdog and goes back.
#
# usage: test_host_trial.sh BUILD_DIR   (6.1 with softdog, 6.12 with i6300esb)
set -euo pipefail

# shellcheck source=tests/lab/lib.sh
. "$(dirname "$0")/lib.sh"
open_lab "$1" trial

# vm KERNEL NAME SCENARIO [OPTION…]: a guest; how it ended is in $out.
vm() {
	local kernel=$1 name=$2 scenario=$3
	shift 3
	echo "== $kernel: $scenario"
	code=0
	# shellcheck disable=SC2086 # two words of a scenario
	out=$("$belay" lab run "$kernel" --name "$name-$kernel" \
		--log-dir "$logs" --deadline 1500 "$@" \
		"${bundles[@]}" \
		--file "$here/host/common.sh:/b/common.sh" \
		--file "$here/host/trial.sh:/b/trial.sh" \
		-- sh /b/trial.sh $scenario 2>&1) || code=$?
	printf '%s\n' "$out"
}

ended() { # ended CODE WORDS
	[[ $code -eq $1 && $out == *"$2"* ]] || fail "ended with $code"
}

# guarded KERNEL DEVICE [OPTION…]: a life that ends in a hang, and the next one.
guarded() {
	local kernel=$1 device=$2 disk=$work/$1.img words=softdog
	shift 2
	[[ $device == soft ]] || words=i6300ESB
	vm "$kernel" test-trial "$device" --disk "$disk:/var/lib/belay" "$@"
	ended 2 rebooted
	vm "$kernel" test-trial-again "again $words" \
		--disk "$disk:/var/lib/belay"
	ended 0 "-- "
}

dir=$(modules_of 6.1)
[[ -n $dir ]] || skip "no kernel 6.1 in the cache; run scripts/kernels"
content=$source/bpf/content.json
bundle v1 sensor 1.0 "$build/bpf/sensor.bpf.o" "$content"
bundle v3 sensor 3.0 "$build/bpf/sensor-v3.bpf.o" "$content"

# What modprobe needs to find softdog.
release=$(basename "$(dirname "$dir")")
drivers=kernel/drivers/watchdog
printf '%s/softdog.ko: %s/watchdog.ko\n%s/watchdog.ko:\n' \
	$drivers $drivers $drivers >"$work/modules.dep"

guarded 6.1 soft --file "$work/modules.dep:/lib/modules/$release/modules.dep" \
	--file "$dir/$drivers/softdog.ko:/lib/modules/$release/$drivers/softdog.ko" \
	--file "$dir/$drivers/watchdog.ko:/lib/modules/$release/$drivers/watchdog.ko"
if [[ -n $(modules_of 6.12) ]]; then
	guarded 6.12 hard --watchdog hard
fi
exit $failed
