#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A host of the fleet in its microVM (busybox sh), from one boot to the next:
# what is below /var/lib lasts, everything else does not. What begins with @ is
# for the runner (line.h); the rest is what the agent and the kernel say.
#
# usage: guest.sh A|B|C NAME PORT [LIFE]
#	A	no belay: the module is loaded at boot, and whenever PORT says that
#		there is another version
#	B, C	belay agent; PORT is its controller
#	LIFE	agent-loop: the agent dies again and again once a version called
#		*agent-loop* is live
way=$1 name=$2 port=$3 life=${4:-}
host=10.0.2.100
disk=/var/lib/belay

# When memory runs out this script is spared, as the first process of a real host
# is; what it runs like this is not.
mortal() {
	(
		echo 0 >/proc/self/oom_score_adj
		exec "$@"
	)
}

# What the last kernel of this host said before it went down. Who is to read it
# next finds it where it was, unless nobody is.
remains() {
	for file in /sys/fs/pstore/dmesg-*; do
		grep -qaE 'BUG:|Oops:|Kernel panic|lockup' "$file" 2>/dev/null ||
			continue
		grep -aE 'BUG:|Oops:|RIP: 0010|Kernel panic|lockup|Comm: |Modules linked|belay|bpf_prog' \
			"$file" | head -n 40 |
			belay compare line "@remains ${file##*/}"
		[ "$way" != A ] || rm "$file"
	done
}

history() {
	belay history --limit 4 --json 2>/dev/null | belay compare line @history
}

# load VERSION: as an init script or modprobe does it.
load() {
	echo "@load $1"
	if [ -e /sys/module/belay_sensor ]; then
		echo 0 >/sys/class/misc/belay_sensor/armed
		rmmod belay_sensor
	fi
	# shellcheck disable=SC2046  # parameters are words
	if ! mortal insmod "/c/$1.ko" $(cat "/c/$1.params"); then
		echo "@refused $1"
		return
	fi
	[ ! -s "/c/$1.bin" ] ||
		dd if="/c/$1.bin" of=/dev/belay_sensor bs=64M count=1 \
			2>/dev/null || echo "@refused the content of $1"
	echo "@loaded $1"
}

# Seen from outside: whether this host can be used.
beat() {
	while :; do
		belay compare beat
		sleep 0.5
	done
}

# The ordinary life of a machine.
live() {
	n=0
	while :; do
		n=$((n + 1))
		ls /etc
		cat /etc/shadow
		# Nobody is there; what counts is that somebody tried.
		nc -w 1 10.0.2.77 $((8000 + n % 10)) </dev/null
		sleep 0.5
	done >/dev/null 2>&1
}

# Whether another version is to be run: the runner says which, at PORT.
wanted() {
	nc -w 2 $host "$port" </dev/null 2>/dev/null
}

pushed() {
	version=$(cat $disk/current 2>/dev/null || echo v1)
	load "$version"
	beat &
	live &
	while :; do
		want=$(wanted)
		if [ -n "$want" ] && [ "$want" != "$version" ]; then
			version=$want
			echo "$version" >$disk/current
			sync
			load "$version"
		fi
		sleep 0.3
	done
}

# The agent dies as soon as that version is live here, whoever starts it again.
loop() {
	while :; do
		if belay status --json | grep -q '"version": ".*agent-loop'; then
			killall -9 agent
			echo "@killed agent"
		fi
		sleep 1
	done 2>/dev/null
}

agent() {
	ln -sf /usr/bin/belay /tmp/agent
	while :; do
		mortal /tmp/agent agent --name "$name" --plaintext --interval 0.5 \
			--controller "http://$host:$port" --watchdog auto \
			--watchdog-timeout 15s 2>&1
		echo "@ended agent"
		sleep 0.5
	done | while read -r line; do
		echo "$line"
		case $line in
		# Also what is live once more, after one that died in a trial or
		# could do nothing in it.
		*': apply '* | *': rollback '* | *' is live'*) history ;;
		esac
	done
}

# The version before. Machines that boot all at once are slow, and so is it then.
first() {
	for _ in 1 2 3; do
		belay apply /c/v1.bundle --probation 1 --watchdog off \
			--override 'a host that boots is slow' \
			>/tmp/apply 2>&1 && touch $disk/live
		cat /tmp/apply
		[ ! -e $disk/live ] || return
	done
}

kept() {
	belay recover 2>&1 | sed 's/^/recover: /'
	[ -e $disk/live ] || first
	history
	beat &
	live &
	[ "$life" != agent-loop ] || loop &
	agent
}

echo -1000 >/proc/self/oom_score_adj
echo '@boot'
echo 'root:*:19900:0:99999:7:::' >/etc/shadow
remains
if [ "$way" = A ]; then pushed; else kept; fi
