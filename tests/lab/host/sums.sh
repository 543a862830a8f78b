#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs inside a lab VM (busybox sh), with an ext4 at /disk: rules for digests of
# programs. Says what does not hold and goes on; exit status 1 if anything did
# not.
# usage: sums.sh KERNEL
# shellcheck disable=SC1091
. /b/common.sh

# content FILE ACTION DIGEST…: rules for these; beside them connects are said,
# which a trial makes some of
content() {
	file=$1
	action=$2
	shift 2
	comma=
	echo '{ "contract": 1, "default": { "connect": "emit" }, "rules": [' >"$file"
	for digest; do
		echo "$comma { \"id\": \"known\", \"event\": \"exec\"," \
			"\"sha256\": \"$digest\", \"action\": \"$action\" }" >>"$file"
		comma=,
	done
	echo '] }' >>"$file"
}

digest() {
	sha256sum "$1" | cut -d ' ' -f 1
}

# Of the live sensor, into $value. Asking is one program more, and the shell
# does the rest: on a tmpfs each program is hashed whenever it runs.
counter() { # counter NAME
	belay status --json >/b/status
	value=
	while read -r key rest; do
		[ -n "$value" ] || [ "$key" != "\"$1\":" ] || value=${rest%,}
	done </b/status
}

# found N WHAT: so many events of the rule since it was asked last
found() {
	belay events --count 100 --seconds 1 --json >/b/events 2>/dev/null
	n=0
	while read -r line; do
		case $line in
		*'"rule":"known"'*) n=$((n + 1)) ;;
		esac
	done </b/events
	[ $n -eq "$1" ] || fail "$2: $n events, not $1"
}

# hashed N TIMES FILE: so many files more are hashed while FILE runs TIMES times
hashed() {
	counter hashed
	before=$value
	counter hashed
	idle=$value
	i=0
	while [ $i -lt "$2" ]; do
		"$3" || fail "$3 did not run"
		i=$((i + 1))
	done
	counter hashed
	n=$((value - idle - (idle - before)))
	[ $n -eq "$1" ] || fail "$3: hashed $n times in $2 runs, not $1"
}

# Says nothing: what the shell is, by another name and with more behind it.
mkdir -p /disk/other /t
cp /bin/busybox /disk/true
echo known >>/disk/true
cp /disk/true /t/true
printf '#!/bin/sh\n:\n' >/disk/script
chmod +x /disk/script
content /b/emit.json emit "$(digest /disk/true)" "$(digest /disk/script)"
expect 0 belay apply /b/v1.bundle

if [ "$1" = 5.10 ]; then
	step "a kernel that hashes nothing for programs"
	expect 1 belay apply /b/emit.json
	says "its content has sha256 rules, and this kernel has no bpf_ima_file_hash"
	says "Linux 5.18 or later"
	expect 0 belay status
	says healthy
	exit $status
fi

step "what is known is reported, once hashed"
expect 0 belay apply /b/emit.json
hashed 1 1 /disk/true
hashed 0 5 /disk/true
found 6 "a known program"
/disk/script
found 1 "a known script"

step "another file, another content"
cp /disk/true /disk/other/true
/disk/other/true
found 1 "a copy"
echo >>/disk/other/true
/disk/other/true
found 0 "a longer one"
/b/mapper /disk/true
hashed 1 1 /disk/true
found 0 "one byte of it is another, by way of memory"
/b/mapper /disk/true
hashed 1 1 /disk/true
found 1 "and back"

step "where the kernel does not say what changed"
hashed 2 2 /t/true
found 2 "on a tmpfs"
/b/mapper /t/true
/t/true
found 0 "changed on a tmpfs"

step "an interpreter"
printf '#!/disk/true\n' >/disk/asks
chmod +x /disk/asks
/disk/asks
found 1 "the interpreter of a script that nobody knows"

step "too large"
cp /bin/busybox /disk/other/true
truncate -s 65M /disk/other/true
counter unhashed
[ "$value" = 0 ] || fail "$value programs were not hashed"
/disk/other/true
counter unhashed
[ "$value" = 1 ] || fail "of one that is too large, unhashed is $value"
expect 0 belay status
says "1 programs ran that were not: no rule for a digest looked at them"

if [ -e /b/served ]; then
	step "served by a process"
	insmod /b/fuse.ko || fail "no FUSE"
	mkdir /served
	/b/served /disk/true /served || fail "nothing is served"
	counter unhashed
	before=$value
	/served/true || fail "what is served did not run"
	found 0 "what a process serves"
	counter unhashed
	[ "$value" = $((before + 1)) ] ||
		fail "what a process serves: unhashed $((value - before)) times"
fi

step "refused"
content /b/deny.json deny "$(digest /disk/true)" "$(digest /disk/script)"
expect 0 belay apply /b/deny.json
denied=4
# First: nobody has yet asked for its interpreter, which is not known then.
if [ -e /b/binfmt_misc.ko ]; then
	binfmt=/proc/sys/fs/binfmt_misc
	{ insmod /b/binfmt_misc.ko && mount -t binfmt_misc none $binfmt; } ||
		fail "no binfmt_misc"
	echo ':known:E::kn::/disk/true:C' >$binfmt/register
	echo "nobody knows it" >/disk/file.kn
	chmod +x /disk/file.kn
	expect 126 sh -c /disk/file.kn
	denied=5
fi
expect 126 sh -c /disk/true
expect 126 sh -c /disk/script
expect 126 sh -c /disk/asks
/b/mapper /disk/true
expect 0 sh -c /disk/true
/b/mapper /disk/true
expect 126 sh -c /disk/true
counter denied
[ "$value" = $denied ] || fail "denied: $value"
found $denied "refused"

step "back to content without digests"
expect 0 belay rollback
expect 0 belay rollback
expect 0 sh -c /disk/true
expect 0 belay status
says healthy

step "done"
exit $status
