#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs inside a lab VM (busybox sh): what becomes of a sensor's maps when other
# versions take its place. Exit status 1 if anything did not hold.
# shellcheck disable=SC1091,SC2154
. /b/common.sh
map=/b/map
many=9000 # entries: more than are copied at once
cpus=$(grep -c ^processor /proc/cpuinfo)

pin() { # pin NAME: of the live version
	echo "/sys/fs/bpf/belay/$slot/map/$1"
}

live() { # live VERSION
	expect 0 belay status --json
	says "\"version\": \"$1\""
	says '"healthy": true'
	case $out in
	*'"slot": "a"'*) slot=a ;;
	*) slot=b ;;
	esac
}

holds() { # holds NAME KEY WORDS…: an entry of a map of the live version
	name=$1 key=$2
	shift 2
	expect 0 $map get "$(pin "$name")" "$key"
	if [ "$out" != "$*" ]; then
		echo "FAIL: ${name}[$key] is '$out', not '$*'"
		status=1
	fi
}

per_cpu() { # per_cpu N: for each CPU a line, of a value of two words
	cpu=0
	while [ $cpu -lt "$cpus" ]; do
		echo "$(($1 + cpu)) $(($1 + cpu))"
		cpu=$((cpu + 1))
	done
}

# Entries that no program of the sensor touches, with numbers that it would not
# come to.
fill() {
	expect 0 $map put "$(pin counts)" 7 700
	expect 0 $map put "$(pin forks_by_processor)" 3 300
	expect 0 $map fill "$(pin peers)" "$many"
	expect 0 $map fill "$(pin peers_by_processor)" "$many"
	expect 0 $map fill "$(pin slots)" "$many"
	expect 0 $map put "$(pin nets)" 24,10 240
	expect 0 $map put "$(pin nets)" 8,10 80
}

step() {
	echo "-- $(cut -d' ' -f1 /proc/uptime) s: $*"
}

step "the first version counts"
expect 0 belay apply /b/v1.bundle
live 1
fill
expect 0 $map id "$(pin counts)"
id=$out

step "a version that cannot take over all of it is refused, nothing is touched"
before=$(ls -R /sys/fs/bpf/belay)
expect 1 belay apply /b/v2-silent.bundle
says "refused: "
says "map peers: one kernel map cannot be both: "
says '{"peers": "migrate"}'
expect 1 belay apply /b/v2-silent.bundle --json
says '"refusal": "state"'
if [ "$before" != "$(ls -R /sys/fs/bpf/belay)" ]; then
	echo "FAIL: the refusal touched pins"
	status=1
fi
expect 0 belay history --json
case $out in
*2-silent*)
	echo "FAIL: a refused version is in the history"
	status=1
	;;
esac

step "with a word for each it keeps what is the same, and migrates what grew"
expect 0 belay apply /b/v2.bundle
says "maps: kept counts, forks_by_processor, sockets; migrated peers, peers_by_processor, nets, slots"
live 2
says '"peers": "migrated"'
expect 0 $map id "$(pin counts)"
if [ "$out" != "$id" ]; then
	echo "FAIL: counts is another map"
	status=1
fi
holds counts 7 700 700
holds forks_by_processor 3 "$(per_cpu 300)"
for m in peers peers_by_processor slots; do
	expect 0 $map grown "$(pin $m)" "$many"
done
holds nets 24,10 240 0 0
holds nets 8,10 80 0 0
expect 0 $map put "$(pin peers)" 19999 630

step "what counted before counts on"
expect 0 $map get "$(pin counts)" 0
was=${out% *}
for _ in 1 2 3 4 5; do /bin/busybox true; done
expect 0 $map get "$(pin counts)" 0
if [ "${out% *}" -le "$was" ]; then
	echo "FAIL: counts[0] was $was and is ${out% *} after five forks"
	status=1
fi

step "an incompatible version is refused, and goes with a word"
expect 1 belay apply /b/v3-silent.bundle
says "map counts: incompatible: value struct count: "
says '{"counts": "reset"}'
live 2
holds counts 7 700 700
expect 0 belay apply /b/v3.bundle
says "maps: kept forks_by_processor, peers, peers_by_processor, nets, slots, sockets; begun empty counts"
live 3
expect 1 $map get "$(pin counts)" 7
holds peers 9 9 0 0
holds peers 19999 630 630 630

step "back to the second, which begins empty where it must"
expect 0 belay rollback
says "maps: kept forks_by_processor, peers, peers_by_processor, nets, slots, sockets; begun empty counts"
live 2
expect 1 $map get "$(pin counts)" 7
holds peers 19999 630 630 630

step "and to the first"
expect 0 $map put "$(pin counts)" 7 770
expect 0 belay rollback
says "maps: kept counts, forks_by_processor, sockets; begun empty peers, peers_by_processor, nets, slots"
live 1
holds counts 7 770 770
expect 1 $map get "$(pin peers)" 9
holds forks_by_processor 3 "$(per_cpu 300)"

step "killed in a trial: the old one has its maps, the kept ones as they are"
fill
belay apply /b/v2.bundle --override 'a test' --probation 3600 >/dev/null 2>&1 &
pid=$!
on_trial >/dev/null
expect 0 belay history --limit 1
says trial
expect 0 $map put "$(pin counts)" 7 777 # both see it
kill -9 $pid
wait $pid 2>/dev/null
expect 0 belay recover
live 1
holds counts 7 777 777
holds peers 9 9

step "a program is lost: the repair keeps the maps"
rm /sys/fs/bpf/belay/"$slot"/prog/count_exits
expect 0 belay recover
says restored
live 1
says '"counts": "kept"'
holds counts 7 777 777

step "done"
exit $status
