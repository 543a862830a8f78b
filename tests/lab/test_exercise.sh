#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Exercise and swap on real kernels: a good sensor is seen to be good, with and
# without content of its own; one that loses events is caught before any host
# has it; an exchange of versions loses no operation. One VM per kernel.
#
# usage: test_exercise.sh BUILD_DIR [KERNEL…]   (default: the oldest, the newest)
set -uo pipefail

build=$1
shift
source=$(cd "$(dirname "$0")/../.." && pwd)
belay=$build/belay
logs=$build/tests/lab/logs
failed=0
mkdir -p "$logs"

releases() {
	"$belay" lab kernels --json |
		jq -r '.. | objects | select(.ready == true and .release?) | .release'
}

mapfile -t set < <(releases)
[[ ${#set[@]} -lt 2 ]] || set=("${set[0]}" "${set[-1]}")
[[ $# -gt 0 ]] && set=("$@")
if [[ ${#set[@]} -eq 0 ]]; then
	echo "skipped: no kernels in the cache; run scripts/kernels"
	[[ ,${BELAY_MUST_RUN:-}, == *,lab,* ]] && exit 1
	exit 77
fi

# In the guest, each under a heading.
in_guest='
run() { echo "== $1"; shift; gate_probe "$@" || echo "FAIL: status $?"; }
run plain exercise /o/sensor.bpf.o
run content exercise /o/sensor.bpf.o /o/content.json
run flood exercise /o/event-flood.bpf.o
run foreign exercise /o/tracer.bpf.o
run swap swap /o/sensor.bpf.o /o/sensor-v3.bpf.o
run swap-foreign swap /o/sensor.bpf.o /o/tracer.bpf.o
'

part() { # part NAME: what the guest said under that heading
	awk -v name="== $1" '/^== / { on = $0 == name; next } on' <<<"$out"
}

# expect NAME PATTERN…: each is found; a pattern that begins with ! is not.
expect() {
	local name=$1 said pattern
	said=$(part "$name")
	shift
	for pattern in "$@" '!^FAIL'; do
		if [[ $pattern == !* ]]; then
			! grep -qE -- "${pattern#!}" <<<"$said"
		else
			grep -qE -- "$pattern" <<<"$said"
		fi && continue
		echo "FAIL: $kernel: $name: '$pattern' in:"
		echo "$said"
		failed=1
	done
}

for kernel in "${set[@]}"; do
	echo "== $kernel"
	out=$("$belay" lab run "$kernel" --name "test-exercise-$kernel" \
		--log-dir "$logs" --deadline 1500 \
		--file "$build/tests/lab/guest/gate_probe:/usr/bin/gate_probe" \
		--file "$build/bpf/sensor.bpf.o:/o/sensor.bpf.o" \
		--file "$build/bpf/sensor-v3.bpf.o:/o/sensor-v3.bpf.o" \
		--file "$build/tests/faults/ebpf/event-flood.bpf.o:/o/event-flood.bpf.o" \
		--file "$build/tests/lab/host/tracer.bpf.o:/o/tracer.bpf.o" \
		--file "$source/bpf/content.json:/o/content.json" \
		-- sh -c "$in_guest") || {
		echo "FAIL: $kernel: the guest"
		failed=1
	}
	echo "$out"
	# 5.10 has no program that hashes.
	programs=11
	[[ $kernel != 5.10.* ]] || programs=9
	for name in plain content; do
		expect "$name" "^pass attach: attached and detached: $programs programs" \
			'^pass exercise: saw .* exec, .* open, .* connect.* in ' \
			'!exercised:' '!^(reject|undecided|warn)'
	done
	expect flood '^reject exercise: lost [0-9]+ of [0-9]+ events' \
		'!^undecided'
	expect foreign '^pass attach' '^pass exercise: .* attached programs ran' \
		'!^(reject|undecided)'
	expect swap '^pass swap: exchanged 2 times under .* none lost' \
		'!^(reject|undecided|warn)'
	expect swap-foreign '^warn swap: not rehearsed: only belay' \
		'!^(reject|undecided)'
done
exit $failed
