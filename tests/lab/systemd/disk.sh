#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A disk with a small Debian on it whose init is systemd, made of what this machine
# has installed: systemd with its units as they are, busybox for the rest. What
# belay installs is in /srv/belay, as a package would bring it.
#
# usage: disk.sh BUILD_DIR KERNEL_RELEASE MODULES_DIR DISK FILE…	FILEs go to /b
set -euo pipefail

build=$1 release=$2 modules=$3 disk=$4
shift 4
root=$(mktemp -d "${TMPDIR:-/tmp}/belay-debian-XXXXXX")
trap 'rm -rf "$root"' EXIT

programs=(
	/lib/systemd/systemd
	/lib/systemd/systemd-{journald,modules-load,pstore,random-seed,remount-fs}
	/lib/systemd/systemd-{shutdown,sysctl,update-utmp,user-sessions}
	/bin/{systemctl,journalctl,systemd-sysusers,systemd-tmpfiles}
	/bin/kmod /bin/mount /bin/umount /usr/bin/install /sbin/runuser
)
pam=/lib/x86_64-linux-gnu/security

put() { # put OPTION FILE…: below /usr, wherever this machine has it
	local option=$1 file to
	shift
	for file; do
		to=$root/usr/${file#/}
		to=${to/#"$root/usr/usr/"/"$root/usr/"}
		[[ -e $to || -L $to ]] && continue
		mkdir -p "${to%/*}"
		cp "$option" "$file" "$to"
	done
}

mkdir -p "$root"/{b,dev,proc,run,srv,sys,tmp,root,usr/{bin,sbin,lib,lib64}} \
	"$root"/{etc/{default,pam.d},var/{lib,log,tmp}}
for dir in bin sbin lib lib64; do
	ln -s "usr/$dir" "$root/$dir"
done
put -L "${programs[@]}" "$pam"/pam_{rootok,permit}.so
mapfile -t files < <(dpkg -L systemd | grep -E \
	-e '^(/usr)?/lib/systemd/system/.' \
	-e '^/usr/lib/(tmpfiles|sysusers|sysctl|modules-load)\.d/.')
for file in "${files[@]}"; do
	[[ -d $file && ! -L $file ]] || put -P "$file"
done
# Nobody logs in, and there is no D-Bus.
rm -f "$root"/usr/lib/systemd/system/{getty.target.wants/*,*/systemd-logind.service}
for name in modprobe insmod; do
	ln -s ../bin/kmod "$root/usr/sbin/$name"
done
cp "$(command -v busybox)" "$root/usr/bin/busybox"
for name in $(busybox --list); do
	[[ -e $root/usr/sbin/$name || -e $root/usr/bin/$name ]] ||
		ln -s busybox "$root/usr/bin/$name"
done

DESTDIR=$root/srv/belay cmake --install "$build" --prefix /usr >/dev/null
mapfile -t files < <(ldd "${programs[@]}" "$build/belay" |
	awk '/=> \// { print $3 } /^\t\/lib64/ { print $1 }' | sort -u)
put -L "${files[@]}"

dir=$root/usr/lib/modules/$release
mkdir -p "$dir"
find -L "$modules" \( -name 'softdog.ko*' -o -name 'watchdog.ko*' \) \
	-exec cp {} "$dir" \;
cp "$modules"/modules.{order,builtin} "$dir"
PATH=$PATH:/sbin depmod -b "$root/usr" "$release" 2>/dev/null ||
	PATH=$PATH:/sbin depmod -b "$root" "$release"

cp "$@" "$root/b"

cd "$root/etc"
echo 'root:x:0:0:root:/root:/bin/sh' >passwd
echo 'nobody:x:65534:65534:nobody:/:/bin/false' >>passwd
printf 'root:x:0:\nnogroup:x:65534:\n' >group
(umask 077 && echo 'root:*:19000:0:99999:7:::' >shadow && : >gshadow)
printf 'passwd: files\ngroup: files\nhosts: files\n' >nsswitch.conf
printf 'auth sufficient pam_rootok.so\n%s required pam_permit.so\n%s\n' \
	account 'session required pam_permit.so' >pam.d/other
echo '127.0.0.1 localhost' >hosts
echo lab >hostname
echo 00000000000000000000000000000b31 >machine-id
printf 'ID=debian\nPRETTY_NAME="the lab"\n' >os-release

rm -f "$disk"
truncate -s 256M "$disk"
# The features that 5.10 can mount, as of loader/lab/lasting.c.
PATH=$PATH:/sbin mke2fs -q -F -t ext4 -O none,has_journal,ext_attr,dir_index \
	-O filetype,extent,64bit,flex_bg,sparse_super,large_file,extra_isize \
	-d "$root" "$disk"
