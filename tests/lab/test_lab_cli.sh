#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# belay lab at the command line: exit codes, words for people, nothing left over.
set -u
belay=$1/belay
"$belay" lab kernels >/dev/null 2>&1 || { echo 'skipped: no lab kernels'; exit 77; }
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
failed=0

ok() { # ok WHAT CONDITION…
	local what=$1
	shift
	if "$@"; then echo "ok: $what"; else echo "NOT OK: $what"; failed=1; fi
}
status_is() { # status_is N CMD…: runs it, keeps its streams in out and err
	local want=$1 got
	shift
	"$@" >"$tmp/out" 2>"$tmp/err"
	got=$?
	[ "$got" = "$want" ] || { echo "status $got, not $want: $*"; cat "$tmp/err"; false; }
}
says() { grep -qF -- "$1" "$tmp/err" || { cat "$tmp/err"; false; }; }
# QEMUs of this test's VM $1 that are still there (their log's path is unique)
left() { pgrep -f "path=$tmp/$1.console.log" >/dev/null; }
run() { "$belay" lab run "$@"; }

ok 'no kernel is wrong usage' status_is 64 run -- true
ok 'no command is wrong usage' status_is 64 run 6.1
ok 'a bad number is wrong usage' status_is 64 run 6.1 --mem 12x -- true
ok '... and says what is allowed' says 'from 128 to'
ok 'an unknown option is wrong usage' status_is 64 run 6.1 --frob -- true
ok 'a watchdog of no kind is wrong usage' status_is 64 run 6.1 --watchdog big -- true
ok '... and says which there are' says 'hard or soft'
ok 'five disks are wrong usage' status_is 64 run 6.1 --disk a --disk b --disk c \
	--disk d --disk e -- true
ok 'an unknown kernel is undecided' status_is 2 run 4.4 -- true
ok '... and names the known' says '6.1.'
ok 'an empty cache is undecided' status_is 2 env BELAY_CACHE="$tmp" "$belay" lab run 6.1 -- true
ok '... and says what to run' says 'scripts/kernels'
ok 'a file that is not there is undecided' status_is 2 run 6.1 --file /nonexistent:/x -- true
ok '... and is named' says '/nonexistent'

printf '#!/bin/bash\necho "$BASH_VERSION $# $2"; cat /in; exit 9\n' >"$tmp/script"
chmod +x "$tmp/script"
echo content >"$tmp/in"
ok "a script of the host runs, its status passes" \
	status_is 9 run 6.1 --name script --log-dir "$tmp" --file "$tmp/in:/in" \
	-- "$tmp/script" -- 'a b'
ok '... with its interpreter, words and files' grep -qx '5\..* 2 a b' "$tmp/out"
ok '... with the files' grep -qx content "$tmp/out"
ok '... and its console log' grep -q 'Linux version' "$tmp/script.console.log"

ok 'a panic gives 2' status_is 2 run 6.1 --name crash --log-dir "$tmp" \
	-- sh -c 'echo c >/proc/sysrq-trigger'
ok '... named' says 'panic: '
ok '... with its log' says "$tmp/crash.console.log"

# Interrupted, belay says so and leaves no QEMU; killed, it leaves none either.
for sig in INT TERM KILL; do
	"$belay" lab run 6.1 --name "sig$sig" --log-dir "$tmp" --deadline 1500 \
		-- sleep 1000 >/dev/null 2>"$tmp/err" &
	pid=$!
	for _ in $(seq 6000); do
		left "sig$sig" && [ -s "$tmp/sig$sig.console.log" ] && break
		sleep 0.1
	done
	ok "a VM runs before SIG$sig" left "sig$sig"
	kill -"$sig" "$pid"
	wait "$pid" 2>/dev/null
	got=$?
	for _ in $(seq 6000); do
		left "sig$sig" || break
		sleep 0.1
	done
	ok "no QEMU after SIG$sig" eval "! left sig$sig"
	if [ "$sig" != KILL ]; then
		ok "... and a status of 2" [ "$got" = 2 ]
		ok '... and words' says 'interrupted'
	fi
done
exit $failed
