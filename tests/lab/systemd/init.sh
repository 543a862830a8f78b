#!/usr/bin/busybox sh
# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# How a lab VM gets systemd as its process 1 and can still be asked for a result:
# the kernel starts this (rdinit=), this starts the lab's init beside itself, and
# becomes systemd on the disk once that one has mounted it and runs its command,
# which is this as well.
#
# usage: init.sh		as process 1
#	 init.sh COMMAND…	as the lab's command: COMMAND on the disk, once
#				systemd listens
export PATH=/usr/bin:/bin
debian=/debian

if [ $$ = 1 ]; then
	# What runs in the background has /dev/null for its input.
	mount -t devtmpfs devtmpfs /dev
	sh /init </dev/console >/dev/console 2>&1 &
	until [ -e /.mounted ]; do
		sleep 0.1
	done
	cd $debian && mount --move . / && exec chroot . /lib/systemd/systemd
	exit 1 # a panic, which the lab tells
fi
# Whoever made the disk may have been anybody.
[ "$(stat -c %u $debian/etc/passwd)" = 0 ] || chown -R 0:0 $debian
: >/.mounted
until [ -S /proc/1/root/run/systemd/private ]; do
	sleep 0.1
done
exec chroot /proc/1/root "$@"
