#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The commands by which a fleet gets its certificates, as a person types them.
set -u
belay=$1/belay
tmp=$(mktemp -d)
controller=
trap '[ -z "$controller" ] || kill "$controller"; wait; rm -rf "$tmp"' EXIT
export BELAY_TLS_DIR=$tmp/tls
unset BELAY_CONTROLLER
failed=0

not_ok() {
	echo "NOT OK: $*"
	cat "$tmp/out"
	failed=1
}

# try STATUS COMMAND…: its output goes to out, and its status is as expected.
try() {
	local wanted=$1 status
	shift
	"$@" >"$tmp/out" 2>&1
	status=$?
	[ "$status" = "$wanted" ] || not_ok "$* ended with $status, not $wanted"
}

said() {
	grep -qF -- "$1" "$tmp/out" || not_ok "nothing was said of '$1'"
}

try 2 "$belay" controller --store "sqlite:$tmp/fleet.db" --listen 127.0.0.1:0
said 'belay controller init'
try 0 "$belay" controller init --address fleet.example
said 'keep ca.key'
try 2 "$belay" controller init
said 'there is an authority'
try 64 "$belay" controller --plaintext --listen 0.0.0.0:0
said 'plain HTTP goes no further'

: >"$tmp/controller"
(cd "$tmp" && ulimit -c "$(ulimit -Hc)" &&
	exec "$belay" controller --store "sqlite:$tmp/fleet.db" \
		--listen 127.0.0.1:0) >"$tmp/controller" 2>&1 &
controller=$!
until grep -q '^listening' "$tmp/controller"; do
	kill -0 "$controller" 2>/dev/null || { cat "$tmp/controller"; exit 1; }
	sleep 0.1
done
port=$(sed -n 's/^listening on 127\.0\.0\.1:\([0-9]*\).*/\1/p' "$tmp/controller")
export BELAY_CONTROLLER=https://127.0.0.1:$port

try 0 "$belay" host list
said 'no host has polled yet'
try 0 "$belay" host token web-1
token=$(cat "$tmp/out")
secret=${token#web-1.}
secret=${secret%%.*}
try 0 "$belay" host enroll - --tls-dir "$tmp/web-1" <<<"$token"
said 'this is host web-1'
said "now: belay agent --name web-1 --tls-dir $tmp/web-1"
try 1 "$belay" host enroll "$token" --tls-dir "$tmp/web-2"
said 'was used or never made'
try 64 "$belay" host enroll nonsense
said 'no token'
try 64 "$belay" host enroll - </dev/null
said 'there is no token on standard input'
# Nobody reads a token from the list of processes, from a log or from the store.
# Where the machine is slow it waits for its controller in vain; then once more.
for _ in 1 2 3 4 5 6 7 8 9; do
	kill -STOP "$controller"
	"$belay" host enroll "web-9.${secret}.${token##*.}" \
		--tls-dir "$tmp/web-9" >"$tmp/out" 2>&1 &
	enrolling=$!
	# First it is this shell's fork, then what was started, which has no words
	# for a moment, and at last without it.
	while :; do
		line=$(tr '\0' ' ' <"/proc/$enrolling/cmdline")
		case $line in
		*"$secret"*) ;;
		*'host enroll'*) break ;;
		'')
			state=$(sed 's/.*) //; s/ .*//' "/proc/$enrolling/stat")
			[ "$state" = Z ] || continue
			not_ok 'the token was never taken out of the list of processes'
			break
			;;
		esac
		sleep 0.05
	done
	kill -CONT "$controller"
	wait "$enrolling"
	! grep -qE 'timed? ?out|not answer' "$tmp/out" || continue
	break
done
said 'was used or never made'
for file in "$tmp/out" "$tmp/controller" "$tmp"/fleet.db*; do
	! grep -qaF "$secret" "$file" || not_ok "the token's secret is in $file"
done
for key in "$tmp"/tls/*.key "$tmp/web-1/host.key"; do
	said=$(sed '1d;$d' "$key" | head -n 1)
	! grep -qaF -e "$said" "$tmp/out" "$tmp/controller" "$tmp"/fleet.db* ||
		not_ok "$key is somewhere else, too"
	[ "$(stat -c %a "$key")" = 600 ] || not_ok "$key is not its owner's alone"
done
# The host's folder has no operator's certificate in it.
try 2 env BELAY_TLS_DIR="$tmp/web-1" "$belay" host list
said 'no certificate was shown'
try 0 "$belay" controller operator alice --out "$tmp/alice"
# Nobody's key is written over: not hers, nor that of the first operator.
for dir in "$tmp/alice" "$BELAY_TLS_DIR"; do
	try 2 "$belay" controller operator prometheus --viewer --out "$dir"
	said "there is an operator's key in $dir already"
done
try 0 env BELAY_TLS_DIR="$tmp/alice" "$belay" host list
# What was taken back is refused, and says why; its host can come again.
try 0 "$belay" host revoke --list
said 'no certificate was taken back'
try 0 "$belay" host revoke web-1 --reason 'stolen laptop'
said 'no host of that name was ever heard of'
said 'belay host token web-1'
try 2 "$belay" rollout list --tls-dir "$tmp/web-1"
said 'no certificate was shown'
try 0 "$belay" host token web-1
try 0 "$belay" host enroll "$(cat "$tmp/out")" --tls-dir "$tmp/web-1"
try 64 "$belay" host revoke
said 'the name is missing'
try 2 "$belay" host revoke --operator admin
said 'is the one that asks'
try 0 "$belay" host revoke --operator alice --reason 'left us'
try 2 env BELAY_TLS_DIR="$tmp/alice" "$belay" host list
said 'was taken back'
said 'left us'
try 0 "$belay" host revoke --list
said 'stolen laptop'
# Whom it is to know its controller by, it is told.
try 2 env BELAY_TLS_DIR="$tmp/nowhere" "$belay" host list
said 'there is no ca.pem'
# Nor has a core dump of it what it knew.
kill -ABRT "$controller"
wait "$controller" 2>/dev/null
[ $? = 134 ] || not_ok 'the controller did not abort'
controller=
for core in "$tmp"/core*; do
	[ ! -e "$core" ] || not_ok "$core was left"
done
exit "$failed"
