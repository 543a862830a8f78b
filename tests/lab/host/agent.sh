#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs inside a lab VM (busybox sh): a host of a fleet, with its agent. With
# VERSION the agent is killed, once after the first version was committed and once
# in the trial of that one; the next agent begins when the kernel has gone back by
# itself, of which the events tell.
# usage: agent.sh NAME TOKEN CONTROLLER [VERSION DELAY_MS]
# shellcheck disable=SC1091
. /b/common.sh
name=$1 token=$2 controller=$3 version=${4:-} delay_ms=${5:-0}

# There is something to see, all the time.
(while :; do
	cat /etc/shadow
	/bin/true
	sleep 1
done) >/dev/null 2>&1 &

until echo "$token" | belay host enroll - --controller "$controller" --tls-dir /tls; do
	sleep 2
done

start() {
	belay agent --name "$name" --tls-dir /tls --controller "$controller" &
	agent=$!
}

die() {
	kill -9 $agent
	wait $agent 2>/dev/null
}

# until_status WORDS: belay status says them.
until_status() {
	until belay status --json 2>/dev/null | tr -d ' \n' | grep -q "$1"; do
		sleep 0.5
	done
}

pause() {
	sleep "$((delay_ms / 1000)).$(printf '%03d' $((delay_ms % 1000)))"
}

now() {
	date -u +%Y-%m-%dT%H:%M:%S
}

# Events that the old version's programs saw between two times.
seen_between() {
	sed -n 's/.*"time":"\([^."]*\).*"sensor_version":1,.*/\1/p' /tmp/events |
		while read -r time; do
			if expr "$time" \> "$1" \& "$time" \< "$2" >/dev/null; then
				echo "$time"
			fi
		done | wc -l
}

start
[ "$version" ] || {
	wait $agent
	exit
}

until_status '"live":{'
pause
die
step "agent killed after a commit"
start

until_status '"tried":{.*"version":"'"$version"'"'
pause
die
from=$(now)
step "agent killed in a trial"
# Longer than a lease lasts that nobody renews. Nothing of belay runs meanwhile.
sleep 9
n=0
for _ in $(seq 1 100); do
	to=$(now)
	belay events --count 100000 --seconds 2 --json >>/tmp/events
	n=$(seen_between "$from" "$to")
	[ "$n" -eq 0 ] || break
done
if [ "$n" -gt 0 ]; then
	step "the kernel went back by itself: $n events seen by the old version"
else
	fail "the old version saw nothing from $from to $to"
fi
start
wait $agent
