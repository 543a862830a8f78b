/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/gate/content/vital.h"

#include "loader/base/cleanup.h"

#define BOOT	 "the host does not boot"
#define SHELL	 "no login gets a shell and no script runs"
#define LIBRARY	 "no dynamically linked program starts"
#define SSHD	 "nobody reaches the host over SSH"
#define LOGIN	 "nobody can log in or become root"
#define BELAY	 "belay cannot take this content back"
#define ACCOUNTS "no user has a name, and nobody can log in"
#define DEVICE	 "programs do not start"
#define KERNEL	 "system services and belay cannot run"
#define NETWORK	 "the host has no network"

/* Opening a program comes before executing it: both are needed. */
#define RUN  (BL_VITAL_EXEC | BL_VITAL_OPEN)
#define READ BL_VITAL_OPEN

#define X86 "/usr/lib/x86_64-linux-gnu/"
#define ARM "/usr/lib/aarch64-linux-gnu/"

const struct bl_vital bl_vitals[] = {
	{ "/usr/sbin/init", RUN, BOOT },
	{ "/usr/lib/systemd/systemd", RUN, BOOT },
	{ "/usr/lib/systemd/systemd-executor", RUN, BOOT },
	{ "/usr/lib/systemd/systemd-journald", RUN, BOOT },
	{ "/usr/lib/systemd/systemd-udevd", RUN, BOOT },
	{ "/usr/lib/systemd/systemd-shutdown", RUN, BOOT },
	{ "/usr/lib/systemd/systemd-modules-load", RUN, BOOT },
	{ "/usr/lib/systemd/systemd-networkd", RUN, NETWORK },
	{ "/usr/lib/systemd/systemd-resolved", RUN, NETWORK },
	{ "/usr/lib/systemd/systemd-logind", RUN, LOGIN },
	{ "/usr/lib/systemd/system/multi-user.target", READ, BOOT },
	{ "/usr/lib/systemd/system/sysinit.target", READ, BOOT },
	{ "/etc/systemd/system.conf", READ, BOOT },
	{ "/etc/fstab", READ, BOOT },
	{ "/usr/bin/systemctl", RUN, BOOT },
	{ "/usr/bin/udevadm", RUN, BOOT },
	{ "/usr/bin/kmod", RUN, BOOT },
	{ "/usr/bin/mount", RUN, BOOT },
	{ "/usr/sbin/runit-init", RUN, BOOT },
	{ "/usr/sbin/openrc-init", RUN, BOOT },
	{ "/usr/bin/dbus-daemon", RUN, BOOT },
	{ "/usr/bin/dbus-broker", RUN, BOOT },
	{ "/usr/bin/dbus-broker-launch", RUN, BOOT },

	{ "/usr/bin/sh", RUN, SHELL },
	{ "/usr/bin/dash", RUN, SHELL },
	{ "/usr/bin/bash", RUN, SHELL },
	{ "/usr/bin/busybox", RUN, SHELL },
	{ "/usr/bin/zsh", RUN, SHELL },
	{ "/usr/bin/env", RUN, SHELL },
	{ "/etc/profile", READ, SHELL },

	{ X86 "ld-linux-x86-64.so.2", RUN, LIBRARY },
	{ X86 "ld-2.31.so", RUN, LIBRARY },
	{ "/usr/lib64/ld-linux-x86-64.so.2", RUN, LIBRARY },
	{ ARM "ld-linux-aarch64.so.1", RUN, LIBRARY },
	{ "/usr/lib/ld-linux-aarch64.so.1", RUN, LIBRARY },
	{ "/usr/lib/ld-musl-x86_64.so.1", RUN, LIBRARY },
	{ "/usr/lib/ld-musl-aarch64.so.1", RUN, LIBRARY },
	{ X86 "libc.so.6", READ, LIBRARY },
	{ X86 "libc-2.31.so", READ, LIBRARY },
	{ "/usr/lib64/libc.so.6", READ, LIBRARY },
	{ "/usr/lib/libc.so.6", READ, LIBRARY },
	{ ARM "libc.so.6", READ, LIBRARY },
	{ X86 "libcrypto.so.3", READ, SSHD },
	{ X86 "libpam.so.0.85.1", READ, LOGIN },
	{ "/etc/ld.so.cache", READ, LIBRARY },
	{ "/etc/ld.so.conf", READ, LIBRARY },

	{ "/usr/sbin/sshd", RUN, SSHD },
	{ "/usr/bin/sshd", RUN, SSHD },
	{ "/usr/lib/openssh/sshd-session", RUN, SSHD },
	{ "/usr/libexec/openssh/sshd-session", RUN, SSHD },
	{ "/usr/lib/openssh/sshd-auth", RUN, SSHD },
	{ "/etc/ssh/sshd_config", READ, SSHD },
	{ "/etc/ssh/ssh_host_ed25519_key", READ, SSHD },
	{ "/etc/ssh/ssh_host_rsa_key", READ, SSHD },
	{ "/etc/ssh/moduli", READ, SSHD },
	{ "/root/.ssh/authorized_keys", READ, SSHD },

	{ "/usr/bin/login", RUN, LOGIN },
	{ "/usr/sbin/agetty", RUN, LOGIN },
	{ "/usr/bin/agetty", RUN, LOGIN },
	{ "/usr/bin/su", RUN, LOGIN },
	{ "/usr/bin/sudo", RUN, LOGIN },
	{ "/usr/sbin/unix_chkpwd", RUN, LOGIN },
	{ "/usr/sbin/sulogin", RUN, LOGIN },
	{ X86 "security/pam_unix.so", READ, LOGIN },
	{ "/usr/lib64/security/pam_unix.so", READ, LOGIN },
	{ "/etc/pam.d/sshd", READ, LOGIN },
	{ "/etc/pam.d/login", READ, LOGIN },
	{ "/etc/pam.d/common-auth", READ, LOGIN },
	{ "/etc/pam.d/system-auth", READ, LOGIN },
	{ "/etc/sudoers", READ, LOGIN },
	{ "/etc/login.defs", READ, LOGIN },
	{ "/etc/securetty", READ, LOGIN },
	{ "/etc/shells", READ, LOGIN },

	{ "/etc/passwd", READ, ACCOUNTS },
	{ "/etc/shadow", READ, ACCOUNTS },
	{ "/etc/group", READ, ACCOUNTS },
	{ "/etc/gshadow", READ, ACCOUNTS },
	{ "/etc/nsswitch.conf", READ, ACCOUNTS },

	{ "/usr/bin/belay", RUN, BELAY },
	{ "/usr/sbin/belay", RUN, BELAY },
	{ "/usr/local/bin/belay", RUN, BELAY },
	{ "/usr/local/sbin/belay", RUN, BELAY },
	{ "/var/lib/belay", READ, BELAY },
	{ "/var/lib/belay/journal.db", READ, BELAY },
	{ "/sys/fs/bpf/belay", READ, BELAY },
	{ "/sys/fs/bpf/belay/a/prog", READ, BELAY },
	{ "/sys/fs/bpf/belay/b/link", READ, BELAY },
	{ "/sys/kernel/btf/vmlinux", READ, BELAY },
	{ "/proc/sys/kernel/random/boot_id", READ, BELAY },

	{ "/dev/null", READ, DEVICE },
	{ "/dev/zero", READ, DEVICE },
	{ "/dev/urandom", READ, DEVICE },
	{ "/dev/console", READ, BOOT },
	{ "/dev/kmsg", READ, BOOT },
	{ "/dev/tty", READ, LOGIN },
	{ "/dev/tty1", READ, LOGIN },
	{ "/dev/ptmx", READ, SSHD },
	{ "/dev/pts/0", READ, SSHD },
	{ "/dev/vda1", READ, BOOT },

	{ "/proc/1/stat", READ, KERNEL },
	{ "/proc/1000/stat", READ, KERNEL },
	{ "/proc/1000/fd", READ, KERNEL },
	{ "/proc/1000/mountinfo", READ, KERNEL },
	{ "/proc/cmdline", READ, BOOT },
	{ "/proc/meminfo", READ, KERNEL },
	{ "/proc/sys/kernel/osrelease", READ, KERNEL },
	{ "/sys/fs/cgroup", READ, KERNEL },
	{ "/sys/fs/cgroup/system.slice/cgroup.procs", READ, KERNEL },
	{ "/run/systemd/journal", READ, KERNEL },
	{ "/run/udev/data", READ, BOOT },
	{ "/etc/resolv.conf", READ, NETWORK },
	{ "/etc/hosts", READ, NETWORK },
};

const size_t bl_vital_count = BL_ARRAY_SIZE(bl_vitals);
