#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# In the guest of scripts/record: attaches the recorder, then boots the Debian
# that came along, as process 1 of a namespace of its own and with its own root,
# so that paths are those of a host. Prints what was recorded.
mkdir -p /debian /out
mount -t tmpfs -o size=90%,mode=755 tmpfs /debian
tar -x -f /debian.tar -C /debian || exit 1
rm /debian.tar
mkfifo /debian/record/say
sensor_record /sensor.bpf.o /debian/record/say /out &
recorder=$!
until [ -e /out/ready ]; do
	kill -0 $recorder 2>/dev/null || exit 1
	sleep 0.1
done
unshare -m -p -f --propagation private sh -c \
	'cd /debian && mount --move . / && exec chroot . /sbin/init' &
wait $recorder || exit 1
for part in boot package compile; do
	echo "== $part"
	cat /out/$part
done
echo "== end"
