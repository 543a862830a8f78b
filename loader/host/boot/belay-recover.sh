#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# For hosts whose init is not systemd: run it early in every boot, as root, after
# the local file systems are there (from /etc/init.d, a runit or OpenRC service,
# or /etc/rc.local), and before whatever needs the sensor.
#
# Mounts the BPF file system and pstore where they are missing, then runs
# `belay recover`. BELAY names another belay.
#
# exit status: 0 the host is as it was committed
#              1 it came up bare: the committed sensor could not be brought back
#              2 it could not be told (no belay, nowhere to pin, journal broken)
belay=${BELAY:-belay}

# mount_at TYPE FOLDER OPTIONS: unless something of that type is there.
mount_at() {
	while read -r _ folder type _; do
		[ "$folder $type" = "$2 $1" ] && return 0
	done </proc/mounts
	[ -d "$2" ] && mount -t "$1" -o "$3" "$1" "$2"
}

[ -e /var/lib/belay/journal.db ] || exit 0 # nothing was ever applied here
mount_at bpf /sys/fs/bpf mode=0700 || {
	echo "belay-recover: cannot mount a BPF file system on /sys/fs/bpf" >&2
	exit 2
}
# Without it nobody can say whose fault a crash was; that is no reason to stop.
mount_at pstore /sys/fs/pstore rw 2>/dev/null || :
command -v "$belay" >/dev/null 2>&1 || {
	echo "belay-recover: there is no $belay in $PATH" >&2
	exit 2
}
exec "$belay" recover
