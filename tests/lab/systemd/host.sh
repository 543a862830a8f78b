#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs inside a lab VM whose process 1 is systemd, for tests/lab/test_systemd.sh.
# usage: host.sh first|next
# shellcheck disable=SC1091,SC2154
. /b/common.sh
export PATH=/usr/sbin:/usr/bin
tls=/var/lib/belay-controller/tls

uptime_s() {
	sed 's/\..*//' /proc/uptime
}
# until_ok COMMAND…: two minutes at most.
until_ok() {
	end=$(($(uptime_s) + 120))
	while [ "$(uptime_s)" -lt $end ]; do
		"$@" >/tmp/last 2>&1 && return 0
		sleep 0.2
	done
	fail "$* did not come: $(cat /tmp/last; belay history; journalctl -b --no-pager -n 30 -o short-monotonic)"
	exit 1 # the rest is about that
}
is() { # WHAT GOT WANTED
	if [ "$2" = "$3" ]; then
		echo "   $1: $2"
	else
		fail "$1 is $2, not $3"
	fi
}
prop() { # UNIT PROPERTY
	systemctl show --value -p "$2" "$1"
}
field() { # PID NAME
	sed -n "s/^$2:[[:space:]]*//p" "/proc/$1/status" | tr '\t' ' '
}
number() { # EXPRESSION: of sed, in what belay status says
	belay status | sed -n "s/$1/\1/p"
}
sent() {
	number '^events  *\([0-9]*\) sent, 0 lost.*'
}
lease() {
	number '^lease  *\([0-9]*\) s left.*'
}
operator() { # as whoever set the controller up
	runuser -u belay-controller -- env BELAY_TLS_DIR=$tls "$@"
}

reports() { # DIGEST: the controller heard of the host that it runs that
	operator belay host list | grep -q "^web-1 .* $1 "
}
running() {
	[ "$(systemctl is-system-running)" = running ]
}
is_live() { # VERSION
	out=$(belay status) || return 1
	case $out in
	"live "*" $1 "*healthy*) return 0 ;;
	esac
	return 1
}
another() { # PID: of the agent is not that one
	pid=$(prop belay-agent MainPID)
	[ "$pid" != 0 ] && [ "$pid" != "$1" ]
}
active() {
	[ "$(systemctl is-active belay-agent)" = active ]
}
programs() { # which are attached, by number
	belay status | awk '/ dispatch | overlap / { print $1, $2, $3 }'
}
guard_is() { # armed or not, by the kernel
	case $1:$(cat /sys/class/watchdog/watchdog0/state) in
	armed:active | stopped:inactive) return 0 ;;
	esac
	return 1
}
guarded() { # it refuses files to a program of that name
	! /tmp/busybox_x cat /dev/null 2>/dev/null
}
renewed() {
	before=$(lease)
	sleep 1
	[ "$(lease)" -gt "$before" ]
}
kept() { # VERSION: still attached as it was, which is in $ids
	is_live "$1" || fail "$out"
	[ "$(programs)" = "$ids" ] || fail "not $ids is attached: $(programs)"
}

if [ "$1" = first ]; then
	until_ok running
	step "belay is installed"
	cp -a /srv/belay/. /
	expect 0 systemd-sysusers
	says "Creating user 'belay-agent'"
	says "Creating user 'belay-controller'"
	expect 0 systemctl enable --now belay-recover.service belay-agent.service
	is "the agent" "$(systemctl is-active belay-agent)" active
	expect 0 belay status
	says "nothing is live"

	step "a version, from outside of the unit"
	expect 0 belay apply /b/v1.bundle
	is_live 1.0 || fail "$out"
	guard_is stopped || fail "a watchdog is armed"
	expect 0 belay history --limit 1 --json
	says '"watchdog": "softdog"'
	ids=$(programs)

	step "the agent is stopped, and started: nothing is lost"
	before=$(sent)
	expect 0 systemctl stop belay-agent
	is "how it ended" "$(prop belay-agent Result)" success
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		cat /etc/shadow >/dev/null
	done
	expect 0 systemctl start belay-agent
	[ "$(sent)" -ge $((before + 10)) ] || fail "$before sent, then $(sent)"
	kept 1.0
	expect 0 systemctl restart belay-agent
	kept 1.0

	step "it is killed, and systemd starts it, however often"
	for _ in 1 2 3 4 5 6; do
		last=$(prop belay-agent MainPID)
		expect 0 systemctl kill -s KILL belay-agent
		until_ok another "$last"
	done
	until_ok active
	kept 1.0

	step "what can refuse has its lease renewed"
	cp /bin/busybox /tmp/busybox_x
	expect 0 belay apply /b/guard.bundle
	until_ok renewed
	guarded || fail "it does not refuse"

	step "the controller, as its unit says"
	sed -n 's/^#\t//p' /usr/lib/systemd/system/belay-controller.service |
		sed 's/NAME/localhost/' >/tmp/commands
	expect 0 sh -e /tmp/commands
	expect 0 systemctl enable --now belay-controller
	expect 0 operator belay host token web-1
	token=$out
	pid=$(prop belay-controller MainPID)
	is "its user" "$(stat -c %U "/proc/$pid")" belay-controller
	is "its user's number" "$(field "$pid" Uid | cut -d' ' -f 1)" \
		"$(id -u belay-controller)"
	for set in CapPrm CapEff CapBnd CapAmb; do
		is "its $set" "$(field "$pid" $set)" 0000000000000000
	done
	is "its folder" "$(stat -c '%a %U' /var/lib/belay-controller)" \
		"700 belay-controller"

	step "a host of its fleet"
	expect 0 belay host enroll "$token" --controller https://localhost:7443
	metrics=/var/lib/prometheus/node-exporter
	mkdir -p $metrics
	cat >/etc/default/belay <<-END
		BELAY_AGENT_ARGS="--name web-1 --controller https://localhost:7443 --interval 0.5 --metrics-file $metrics/belay.prom"
	END
	expect 0 systemctl restart belay-agent
	expect 0 operator belay host list --wait 1 --timeout 120
	says web-1
	until_ok test -s $metrics/belay.prom
	pid=$(prop belay-agent MainPID)
	# SETGID SETUID NET_ADMIN SYS_ADMIN SYSLOG PERFMON BPF
	is "the host part's CapBnd" "$(field "$pid" CapBnd)" 000000c4002010c0
	talker=$(grep -lx belay-talker /proc/[0-9]*/comm | sed 's|/proc/||; s|/.*||')
	is "the talker's user" "$(stat -c %U "/proc/$talker")" belay-agent
	is "the talker's CapEff" "$(field "$talker" CapEff)" 0000000000000000

	step "it dies in a trial, with all of its processes"
	expect 0 operator /b/host_parts seed sqlite:/var/lib/belay-controller/fleet.db \
		/b/slow.bundle
	until_ok guard_is armed
	expect 0 systemctl kill -s KILL belay-agent
	until_ok is_live 1.0
	until_ok guard_is stopped
	expect 0 belay history --limit 1
	echo "   $out"
	expect 1 operator belay rollout status --wait --timeout 120

	step "and takes a good one"
	expect 0 operator /b/host_parts seed sqlite:/var/lib/belay-controller/fleet.db \
		/b/v3.bundle
	expect 0 operator belay rollout status --wait --timeout 120
	is_live 3.0 || fail "$out"
	guarded && fail "what it replaced still refuses"
	sync
else
	until_ok running
	step "the next boot of it"
	is "recover" "$(systemctl is-active belay-recover) $(prop belay-recover Result)" \
		"active success"
	out=$(journalctl -b --no-pager -u belay-recover -o cat)
	says "sensor 3.0"
	recovered=$(prop belay-recover ExecMainExitTimestampMonotonic)
	[ "$recovered" -le "$(prop sysinit.target ActiveEnterTimestampMonotonic)" ] ||
		fail "sysinit.target did not wait for it"
	is_live 3.0 || fail "$out"
	is "the agent" "$(systemctl is-active belay-agent)" active
	digest=$(number '^live  *sensor 3.0  *\([0-9a-f]*\).*')
	until_ok reports "$digest"

	step "it hangs, and systemd ends it"
	mkdir -p /run/systemd/system/belay-agent.service.d
	printf '[Service]\nWatchdogSec=10\n' \
		>/run/systemd/system/belay-agent.service.d/soon.conf
	systemctl daemon-reload
	expect 0 systemctl restart belay-agent
	ids=$(programs)
	last=$(prop belay-agent MainPID)
	kill -STOP "$last"
	until_ok another "$last"
	until_ok active
	out=$(journalctl -b --no-pager -o cat)
	says "belay-agent.service: Watchdog timeout"
	kept 3.0
fi
# The unit lets it do all that it does.
out=$(journalctl -b --no-pager -o cat -u belay-agent -u belay-controller \
	-u belay-recover | grep -i -e 'not permitted' -e denied -e read-only)
is "what was refused to them" "$out" ""
expect 0 systemctl list-units --failed --no-legend --no-pager
is "what failed" "$out" ""
[ $status = 0 ] || journalctl -b --no-pager -o short-monotonic -n 60
exit $status
