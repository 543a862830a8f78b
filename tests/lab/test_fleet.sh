#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A fleet of two real hosts on 6.1: a good version reaches both although the
# controller is killed on the way; one that loses events stops at the canary;
# it is not started again; an aborted one goes back to what ran before.
#
# usage: test_fleet.sh BUILD_DIR
set -uo pipefail

build=$1
belay=$build/belay
logs=$build/tests/lab/logs
source=$(cd "$(dirname "$0")/../.." && pwd)
dir=$(mktemp -d "${TMPDIR:-/tmp}/belay-fleet-XXXXXX")
kernel=6.1
hosts=2
pids=()
mkdir -p "$logs"

cleanup() {
	for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null; done
	wait 2>/dev/null
	rm -rf "$dir"
}
trap cleanup EXIT

fail() {
	echo "FAIL: $*"
	"$belay" host list
	"$belay" rollout list
	tail -n 5 "$dir"/*.log
	echo "consoles: $logs/test-fleet-*"
	exit 1
}

"$belay" lab kernels --json | jq -e \
	'[.. | objects | select(.release?) | select(.ready and (.release | startswith("6.1.")))] | length > 0' \
	>/dev/null || {
	echo "skipped: no 6.1 kernel in the cache; run scripts/kernels"
	[[ ,${BELAY_MUST_RUN:-}, == *,lab,* ]] && exit 1
	exit 77
}

bundle() { # NAME OBJECT [PROBATION_MS]
	cp "$2" "$dir/$1.bpf.o" && cp "$source/bpf/content.json" "$dir/" &&
		cat >"$dir/$1.json" <<-END &&
			{ "name": "belay-sensor", "version": "$1", "object": "$1.bpf.o",
			  "content": "content.json",
			  "trial": { "probation_ms": ${3:-3000} } }
		END
		"$belay" bundle build "$dir/$1.json" -o "$dir/$1.bundle" >/dev/null ||
		fail "bundle $1 does not build"
}
bundle v1 "$build/bpf/sensor.bpf.o"
bundle v2 "$build/tests/faults/ebpf/late.bpf.o" 600000
bundle v3 "$build/bpf/sensor-v3.bpf.o"
cat >"$dir/plan.json" <<-END
	{ "waves": [ { "hosts": 1, "soak_s": 3 }, { "percent": 100, "soak_s": 1 } ],
	  "trial_s": 1800, "silence_s": 900, "cap": 1 }
END
digest() { sha256sum "$dir/$1.bundle" | cut -d' ' -f1; }

controller() { # ADDRESS: starts it, sets controller_pid and BELAY_CONTROLLER
	# What an earlier one said must not be taken for this one's word.
	: >"$dir/controller.out"
	"$belay" controller --plaintext --store "sqlite:$dir/fleet.db" --listen "$1" \
		>"$dir/controller.out" 2>>"$dir/controller.log" &
	controller_pid=$!
	pids+=("$controller_pid")
	until grep -q '^listening' "$dir/controller.out"; do
		kill -0 "$controller_pid" 2>/dev/null || fail "controller"
		sleep 0.1
	done
	address=$(awk '{ sub(",", "", $3); print $3; exit }' "$dir/controller.out")
	export BELAY_CONTROLLER=http://$address
}
controller 127.0.0.1:0

for n in $(seq $hosts); do
	"$belay" lab run $kernel --name "test-fleet-web-$n" --log-dir "$logs" \
		--deadline 1500 --forward "${address##*:}" -- sh -c "
		(while :; do cat /etc/shadow; /bin/true; sleep 1; done) 2>/dev/null >&2 &
		exec belay agent --name web-$n --plaintext \
			--controller http://10.0.2.100:${address##*:}" \
		>"$dir/web-$n.log" 2>&1 &
	pids+=($!)
done
"$belay" host list --wait $hosts --timeout 1500 || fail "the hosts did not come"

status() { # FILTER: of the newest rollout; its exit status is another thing
	"$belay" rollout status --json >"$dir/status.json"
	jq -r "$1" "$dir/status.json"
}
live() { # hosts that run VERSION
	"$belay" host list --json |
		jq --arg d "$(digest "$1")" '[.hosts[] | select(.live == $d)] | length'
}
expect() { # WHAT GOT WANTED
	[[ $2 == "$3" ]] || fail "$1: $2 instead of $3"
	echo "ok: $1: $2"
}

echo "== a good version, and a controller that is killed on the way"
"$belay" rollout start "$dir/v1.bundle" --plan "$dir/plan.json" \
	--kernel $kernel --log-dir "$logs" || fail "v1 did not start"
for _ in $(seq 9000); do
	exposed=$(status .exposed)
	[[ $exposed == 0 ]] || break
	sleep 0.1
done
expect "exposed in the first wave" "$exposed" 1
kill -9 "$controller_pid"
sleep 2
controller "$address"
"$belay" rollout status --watch --timeout 1500 || fail "v1 is not done"
expect "hosts on v1" "$(live v1)" $hosts
for _ in $(seq 3000); do
	reporting=$("$belay" host list --json |
		jq '[.hosts[] | select(.events > 3)] | length')
	[[ $reporting != "$hosts" ]] || break
	sleep 0.2
done
"$belay" host list
expect "hosts with events" "$reporting" $hosts

echo "== a version that loses events"
# Healthy for eight seconds: a machine that is busy may take longer for the gate.
passed=
for _ in 1 2 3 4 5 6 7 8 9; do
	"$belay" check "$dir/v2.bundle" --kernel $kernel --json --quiet \
		--deadline 1200 --log-dir "$logs" >"$dir/v2.report" &&
		passed=1 && break
done
[[ $passed ]] || fail "the gate on v2"
"$belay" rollout start "$dir/v2.bundle" --plan "$dir/plan.json" \
	--checked "$dir/v2.report" || fail "v2 did not start"
"$belay" rollout status --wait --timeout 1500
expect "exit status of the rollout of v2" $? 1
expect "hosts that v2 reached" \
	"$(status .exposed)" 1
expect "hosts on v1" "$(live v1)" $hosts
"$belay" rollout start "$dir/v2.bundle" --checked "$dir/v2.report"
expect "exit status of starting v2 again" $? 1
"$belay" rollout start "$dir/v1.bundle" --checked "$dir/v2.report"
expect "exit status of a report about another bundle" $? 2

echo "== a good one, taken back by hand"
"$belay" check "$dir/v3.bundle" --kernel $kernel --json --quiet \
	--deadline 1200 \
	--log-dir "$logs" >"$dir/v3.report" || fail "the gate on v3"
"$belay" rollout start "$dir/v3.bundle" --plan "$dir/plan.json" \
	--checked "$dir/v3.report" || fail "v3 did not start"
"$belay" rollout status --wait --timeout 1500 || fail "v3 is not done"
expect "hosts on v3" "$(live v3)" $hosts
"$belay" rollout abort "$("$belay" rollout list --json | jq -r '.rollouts[0].id')" \
	--reason "by hand" || fail "abort"
"$belay" rollout status --wait --timeout 1500
expect "exit status of the aborted rollout" $? 1
expect "hosts on v1" "$(live v1)" $hosts
