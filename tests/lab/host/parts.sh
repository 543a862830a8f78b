#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs inside a lab VM (busybox sh), for tests/lab/test_parts.sh: a controller, a
# host of its fleet and a rollout to it, all of them here; and what the two parts
# of the agent may.
# shellcheck disable=SC1091,SC2154
. /b/common.sh

tls=/var/lib/belay/tls
dead=
until_ok() { # COMMAND…
	for _ in $(seq 1 600); do
		"$@" >/dev/null 2>&1 && return 0
		sleep 0.1
	done
	fail "$* did not come: $(cat /tmp/agent /tmp/controller)"
	return 1
}
field() { # PID NAME
	sed -n "s/^$2:[[:space:]]*//p" "/proc/$1/status" | tr '\t' ' '
}
is() { # WHAT GOT WANTED
	if [ "$2" = "$3" ]; then
		echo "   $1: $2"
	else
		fail "$1 is $2, not $3"
	fi
}
find_talker() {
	talker=$(grep -lx belay-talker /proc/[0-9]*/comm 2>/dev/null |
		sed 's|/proc/||; s|/.*||; q')
	[ -n "$talker" ] && [ "$talker" != "$dead" ]
}
listening() {
	grep -q ^listening /tmp/controller
}
is_live() {
	belay status --json | grep -q '"healthy": true'
}
gone() {
	[ ! -d "/proc/$1" ]
}

/bin/busybox ip link set lo up 2>/dev/null || /bin/busybox ifconfig lo up

chmod 600 /etc/shadow
step "a fleet"
expect 0 belay controller init --tls-dir /c
expect 0 host_parts seed sqlite:/c/fleet.db /b/sensor.bundle
belay controller --store sqlite:/c/fleet.db --tls-dir /c >/tmp/controller 2>&1 &
until_ok listening
expect 0 belay host token web-1 --tls-dir /c
expect 0 belay host enroll "$out" --tls-dir $tls
is "the key" "$(stat -c '%a %U %G' $tls/host.key)" "640 root belay-agent"
is "its folder" "$(stat -c '%a %U %G' $tls)" "710 root belay-agent"

step "an update, end to end"
(while :; do cat /etc/shadow; /bin/true; sleep 1; done) >/dev/null 2>&1 &
belay agent --name web-1 --interval 0.2 >/tmp/agent 2>&1 &
agent=$!
until_ok is_live
live 1.0
is "the state folder" "$(stat -c '%a %U' /var/lib/belay)" "700 root"

step "the host part"
find_talker
is Uid "$(field $agent Uid)" "0 0 0 0"
is NoNewPrivs "$(field $agent NoNewPrivs)" 1
is Seccomp "$(field $agent Seccomp)" 2
# SETGID SETUID NET_ADMIN SYS_MODULE SYS_ADMIN SYS_RESOURCE SYSLOG PERFMON BPF
is CapEff "$(field $agent CapEff)" 000000c4012110c0
is CapBnd "$(field $agent CapBnd)" 000000c4012110c0

step "the talker"
is Uid "$(field "$talker" Uid)" "990 990 990 990"
is Gid "$(field "$talker" Gid)" "990 990 990 990"
is Groups "$(field "$talker" Groups)" ""
is NoNewPrivs "$(field "$talker" NoNewPrivs)" 1
is Seccomp "$(field "$talker" Seccomp)" 2
# It executes nothing, so it needs no bounds for that.
for set in CapInh CapPrm CapEff CapAmb; do
	is $set "$(field "$talker" $set)" 0000000000000000
done
for fd in "/proc/$talker/fd"/*; do
	case $(readlink "$fd") in
	/dev/null | /tmp/agent | socket:* | pipe:* | anon_inode:*) ;;
	'') ;; # closed by now
	*) fail "it holds $(readlink "$fd")" ;;
	esac
done
grep -q BEGIN "/proc/$talker/cmdline" && fail "its key is in the list of processes"

step "what a talker may not"
expect 0 host_parts try $tls
echo "$out"

step "one that is killed is followed by another, and the host is kept"
dead=$talker
kill -9 "$dead"
until_ok find_talker
live 1.0
grep -q 'the talker ended (signal 9)' /tmp/agent || fail "$(cat /tmp/agent)"

step "without the host part there is none"
kill -9 $agent
until_ok gone "$talker"
live 1.0
exit $status
