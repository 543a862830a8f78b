#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Signed updates against another implementation of the same specification: what
# belay writes, python3-tuf's client takes, and the other way round; through new
# keys of every role, and not when one byte is another.
set -u
build=$1
belay=$build/belay
top=$(cd "$(dirname "$0")/../.." && pwd)
if [ "$(id -u)" = 0 ]; then cache=/var/cache/belay
else cache=${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/belay; fi
export PYTHONPATH=${BELAY_CACHE:-$cache}/python-tuf PYTHONDONTWRITEBYTECODE=1
unset http_proxy HTTP_PROXY https_proxy HTTPS_PROXY all_proxy ALL_PROXY
tmp=$(mktemp -d)
controllers=()
trap 'kill "${controllers[@]}" 2>/dev/null; wait; rm -rf "$tmp"' EXIT
cd "$tmp" || exit 1
export BELAY_TLS_DIR=$tmp/tls
failed=0 done=0

# Without it nothing here was shown, and that is no pass.
/usr/bin/python3 -c 'import tuf.ngclient' 2>out || {
	echo "NOT OK: python3-tuf cannot be loaded from $PYTHONPATH: run scripts/setup"
	cat out
	exit 1
}

not_ok() {
	echo "NOT OK: $*"
	cat out
	failed=1
}

# try STATUS COMMAND…: its output goes to out, and its status is as expected.
try() {
	local wanted=$1 status
	shift
	"$@" >out 2>&1
	status=$?
	done=$((done + 1))
	[ "$status" = "$wanted" ] || not_ok "$* ended with $status, not $wanted"
}

said() {
	grep -qF -- "$1" out || not_ok "nothing was said of '$1'"
}

python() {
	/usr/bin/python3 "$top/tests/sim/python_tuf.py" "$@"
}

# A host of python3-tuf's: new each time, or the one that was there.
home() {
	mkdir "$1" && cp "$2/metadata/1.root.json" "$1/root.json"
}

# spoil FILE TEXT OTHER: one of the same length, in place.
spoil() {
	sed -i "s/$2/$3/" "$1"
}

# controller NAME OPTION…: starts one that serves repo, its port to $port.
controller() {
	local name=$1
	shift
	: >"$name.log"
	"$belay" controller --listen 127.0.0.1:0 --store "sqlite:$tmp/$name.db" \
		--trust-repo repo "$@" >"$name.log" 2>&1 &
	controllers+=($!)
	until port=$(grep -o 'listening on 127\.0\.0\.1:[0-9]*' "$name.log"); do
		kill -0 "${controllers[-1]}" 2>/dev/null || { cat "$name.log"; exit 1; }
		sleep 0.1
	done
	port=${port##*:}
}

cp "$build/bpf/sensor.bpf.o" "$top/bpf/content.json" . || exit 1
# The first is the longest: what is longer than was signed is refused for that.
content=', "content": "content.json"'
for v in 1 2 3; do
	echo "{\"name\": \"s\", \"version\": \"$v\", \"object\": \"sensor.bpf.o\"$content}" >m.json
	content=
	try 0 "$belay" bundle build m.json -o "s-$v.bundle"
done

# --- belay writes, python3-tuf reads -------------------------------------------

try 0 "$belay" trust init repo --keys keys --root-keys 3 --root-threshold 2 \
	--release-keys 2 --release-threshold 2
home old repo
try 0 "$belay" bundle sign s-1.bundle s-2.bundle --repo repo --keys keys
home early repo
try 0 python read repo early s-1.bundle s-1.bundle
said '"serial": 2'
try 0 "$belay" trust assign repo s-1.bundle web-1 'db-*' --keys keys
try 0 python read repo early fleet/s-1.bundle
said '"hosts": ["web-1", "db-*"]'
try 1 python read repo early s-3.bundle
said 'not listed'
for role in root targets snapshot timestamp fleet; do
	try 0 "$belay" trust rotate repo --keys keys --role "$role"
	try 0 python read repo early s-2.bundle s-2.bundle
done
try 0 "$belay" bundle sign s-3.bundle --repo repo --keys keys
try 0 "$belay" trust renew repo --keys keys
# One that slept through all of it.
try 0 python read repo old s-3.bundle s-3.bundle
try 0 python read repo old fleet/s-1.bundle

# --- and from belay's own server -------------------------------------------------
home through repo
home slow repo
cp old/root.json slow/root.json
controller plain --plaintext
plain=http://127.0.0.1:$port/v1/trust
try 0 python fetch "$plain" through s-3.bundle s-3.bundle
# One that knows the first root only asks for the next until there is none.
try 0 python fetch "$plain" slow fleet/s-1.bundle
said '"hosts": ["web-1", "db-*"]'
try 1 python fetch "$plain" through s-4.bundle
said 'not listed'
try 0 "$belay" trust renew repo --keys keys --role targets
try 0 python fetch "$plain" through s-2.bundle s-2.bundle
try 0 "$belay" controller init --address 127.0.0.1
controller tls
tls=https://127.0.0.1:$port/v1/trust
home shown repo
try 0 python fetch "$tls" shown s-3.bundle s-3.bundle tls operator
try 1 python fetch "$tls" shown s-3.bundle s-3.bundle tls
said '401 Client Error'
# What the server's disk was made to say is refused by who asks.
home wary repo
cp repo/metadata/timestamp.json kept.json
spoil repo/metadata/timestamp.json '"version":' '"versiom":'
try 1 python fetch "$tls" wary s-3.bundle s-3.bundle tls operator
cp kept.json repo/metadata/timestamp.json
stored=$(echo repo/targets/*.s-3.bundle)
cp "$stored" kept.bundle
printf X | dd of="$stored" bs=1 seek=1000 conv=notrunc 2>out
try 1 python fetch "$tls" wary s-3.bundle s-3.bundle tls operator
said 'LengthOrHashMismatchError'
cp kept.bundle "$stored"
try 0 python fetch "$tls" wary s-3.bundle s-3.bundle tls operator

cp -r repo bad
spoil bad/metadata/timestamp.json '"version":' '"versiom":'
try 1 python read bad old s-3.bundle
home new repo
cp repo/metadata/timestamp.json timestamp.old
try 0 "$belay" trust renew repo --keys keys
try 0 python read repo new s-3.bundle
cp timestamp.old repo/metadata/timestamp.json
try 1 python read repo new s-3.bundle
said 'BadVersionNumberError'

# --- python3-tuf writes, belay reads --------------------------------------------

mkdir other
try 0 python write "$tmp/other/repo" "$tmp/s-1.bundle" s-1.bundle
home host other/repo
try 0 "$belay" bundle verify s-1.bundle --trust host --repo other/repo
said "signed by the role 'targets'"
try 0 "$belay" bundle verify s-1.bundle --trust host
try 1 "$belay" bundle verify s-2.bundle --trust host --repo other/repo
said 'no role that may speak of this target'
try 1 "$belay" bundle verify s-2.bundle --trust host --repo other/repo --as s-1.bundle
said 'an arbitrary package'

try 0 python release "$tmp/other/repo" "$tmp/s-2.bundle" nightly/s-2.bundle
try 0 python release "$tmp/other/repo" "$tmp/s-3.bundle" bin-3.bundle
try 0 "$belay" bundle verify s-2.bundle --trust host --repo other/repo --as nightly/s-2.bundle
said "signed by the role 'nightly'"
try 0 "$belay" bundle verify s-3.bundle --trust host --repo other/repo --as bin-3.bundle
said "signed by the role 'bins'"
# The nightly role lists it, and may not.
try 1 "$belay" bundle verify s-1.bundle --trust host --repo other/repo --as not-nightly.bundle
said 'no role that may speak of this target'

home slept other/repo
for _ in 1 2; do
	try 0 python rotate "$tmp/other/repo"
	try 0 "$belay" bundle verify s-1.bundle --trust host --repo other/repo
done
try 0 "$belay" bundle verify s-1.bundle --trust slept --repo other/repo
try 0 "$belay" trust status slept --json
said '"version": 3'

cp host/trusted.json kept
# A mirror that keeps a root back keeps the host at the old keys.
cp -r other/repo other/gap
rm other/gap/metadata/2.root.json
home gap other/gap
try 1 "$belay" bundle verify s-1.bundle --trust gap --repo other/gap
said 'who wrote this does not hold the keys'
spoil other/repo/metadata/5.snapshot.json '"version": 5' '"version": 6'
home fresh other/repo
try 1 "$belay" bundle verify s-1.bundle --trust fresh --repo other/repo
said 'mix and match'
cmp -s kept host/trusted.json || not_ok 'a host changed what it trusts'

[ "$failed" = 0 ] && echo "$done steps, each taken as it should be"
exit "$failed"
