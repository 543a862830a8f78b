/* SPDX-License-Identifier: Apache-2.0 */
#include "canary/agent/parts.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/futex.h>
#include <linux/netlink.h>
#include <malloc.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "canary/wire/pki_dir.h"
#include "loader/base/cleanup.h"
#include "loader/trust/metadata.h"

/* Since Linux 5.17; glibc names what it maps. */
#define SET_VMA 0x53564d41

#define ALLOW(call)               \
	{                         \
		call, 0,          \
		{                 \
			{         \
				0 \
			}         \
		}                 \
	}
#define DENY(call)                \
	{                         \
		call, EPERM,      \
		{                 \
			{         \
				0 \
			}         \
		}                 \
	}
#define IS(n, what)                        \
	{                                  \
		BL_MATCH_EQUAL, n, what, 0 \
	}
#define BITS(n, of, what)                  \
	{                                  \
		BL_MATCH_MASK, n, what, of \
	}
/* The kernel takes an int's 32 bits; what is denied must not pass by the others. */
#define IS_INT(n, what) BITS(n, 0xffffffff, what)
#define SOCKET(family, type, protocol)                                     \
	{                                                                  \
		"socket", 0,                                               \
		{                                                          \
			IS(0, family), BITS(1, 0xf, type), IS(2, protocol) \
		}                                                          \
	}
#define FUTEX(what)                                                \
	{                                                          \
		"futex", 0,                                        \
		{                                                  \
			BITS(1, 0xffffffff & FUTEX_CMD_MASK, what) \
		}                                                  \
	}
#define WRITES (O_ACCMODE | O_CREAT | O_TRUNC | O_APPEND)

/* ------------------------------------------------------------ the host part */

/*
 * What a host transaction and the keeper need, on one kernel or another:
 *
 *	SYS_ADMIN	timing of programs (BPF_ENABLE_STATS), programs and BTF by
 *			their number; on 5.10 also some of what BPF is for
 *	BPF, PERFMON	maps, programs, their attachment (from 5.8 on)
 *	NET_ADMIN	XDP, tc, cgroup and netfilter hooks
 *	SYS_RESOURCE	locked memory for maps below 5.11
 *	SYSLOG		what the kernel says in a trial, and in pstore
 *	SYS_MODULE	kernel modules: where its unit leaves it that one
 *	SETUID, SETGID	to start a talker as its user, again when one has died,
 *			and to end one that does not go
 *
 * As root it owns what it writes, so it needs no DAC_OVERRIDE but for metrics,
 * whose folder is another program's.
 */
static const uint64_t host_caps =
	BL_SANDBOX_CAP(CAP_SYS_ADMIN) | BL_SANDBOX_CAP(CAP_BPF) |
	BL_SANDBOX_CAP(CAP_PERFMON) | BL_SANDBOX_CAP(CAP_NET_ADMIN) |
	BL_SANDBOX_CAP(CAP_SYS_RESOURCE) | BL_SANDBOX_CAP(CAP_SYSLOG) |
	BL_SANDBOX_CAP(CAP_SYS_MODULE);
static const uint64_t fleet_caps = BL_SANDBOX_CAP(CAP_SETUID) |
				   BL_SANDBOX_CAP(CAP_SETGID);

/*
 * What neither the host part nor what it executes has any business with. Not a
 * list of all that it may: an owner's probes (--check, --probe) are programs of
 * his, which inherit it. For those, and since the keeper proves every few
 * seconds that this host can run a program and connect to itself, it cannot be
 * without execve and socket; raw and packet sockets it can be without.
 */
static const struct bl_sandbox_rule host_rules[] = {
	/* other processes */
	DENY("process_vm_readv"),
	DENY("process_vm_writev"),
	DENY("kcmp"),
	DENY("pidfd_getfd"),
	DENY("process_madvise"),
	/* the kernel's place, and the machine's */
	DENY("kexec_load"),
	DENY("kexec_file_load"),
	DENY("reboot"),
	DENY("iopl"),
	DENY("ioperm"),
	DENY("swapon"),
	DENY("swapoff"),
	DENY("acct"),
	DENY("quotactl"),
	DENY("syslog"),
	/* what is where */
	DENY("mount"),
	DENY("umount2"),
	DENY("pivot_root"),
	DENY("chroot"),
	DENY("move_mount"),
	DENY("open_tree"),
	DENY("fsopen"),
	DENY("fsconfig"),
	DENY("fsmount"),
	DENY("mount_setattr"),
	DENY("open_by_handle_at"),
	DENY("unshare"),
	DENY("setns"),
	DENY("mknod"),
	DENY("mknodat"),
	/* clocks and names */
	DENY("settimeofday"),
	DENY("clock_settime"),
	DENY("clock_adjtime"),
	DENY("adjtimex"),
	DENY("sethostname"),
	DENY("setdomainname"),
	/* large, rarely used, often broken */
	DENY("add_key"),
	DENY("request_key"),
	DENY("keyctl"),
	DENY("userfaultfd"),
	DENY("io_uring_setup"),
	DENY("io_uring_enter"),
	DENY("io_uring_register"),
	DENY("personality"),
	DENY("uselib"),
	DENY("vmsplice"),
	{ "socket", EPERM, { IS_INT(0, AF_PACKET) } },
	{ "socket", EPERM, { IS_INT(0, AF_VSOCK) } },
	{ "socket", EPERM, { IS_INT(0, AF_ALG) } },
	{ "socket", EPERM, { IS_INT(0, AF_KEY) } },
	{ "socket", EPERM, { IS_INT(0, AF_BLUETOOTH) } },
	{ "socket", EPERM, { IS_INT(0, AF_INET), BITS(1, 0xf, SOCK_RAW) } },
	{ "socket", EPERM, { IS_INT(0, AF_INET6), BITS(1, 0xf, SOCK_RAW) } },
#ifndef __SANITIZE_ADDRESS__
	/* Its checker of leaks stops the process that way. */
	DENY("ptrace"),
#endif
};

static const struct bl_sandbox_rule module_rules[] = {
	DENY("init_module"),
	DENY("finit_module"),
	DENY("delete_module"),
};

static int confine_host(const struct bl_parts_opts *opts, struct bl_err *err)
{
	struct bl_sandbox_rule
		rules[BL_ARRAY_SIZE(host_rules) + BL_ARRAY_SIZE(module_rules)];
	size_t count = BL_ARRAY_SIZE(host_rules);
	uint64_t caps = 0;
	int r;

	r = bl_sandbox_keep(
		host_caps | (opts->fleet ? fleet_caps : 0) |
			(opts->files ? BL_SANDBOX_CAP(CAP_DAC_OVERRIDE) : 0),
		err);
	if (!r)
		r = bl_sandbox_no_new(err);
#ifndef __SANITIZE_ADDRESS__
	if (!r)
		r = bl_sandbox_hide(err);
#endif
	if (!r)
		r = bl_sandbox_caps(&caps, err);
	if (r < 0)
		return r;
	memcpy(rules, host_rules, sizeof(host_rules));
	if (!(caps & BL_SANDBOX_CAP(CAP_SYS_MODULE))) {
		memcpy(rules + count, module_rules, sizeof(module_rules));
		count += BL_ARRAY_SIZE(module_rules);
	}
	return bl_sandbox_filter(rules, count, 0, err);
}

/* ----------------------------------------------------------------- the key */

static int share_file(int dir, const struct bl_sandbox_user *user,
		      struct bl_err *err)
{
	bl_autoclose int fd =
		openat(dir, "host.key",
		       O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat st;

	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0 || fstat(fd, &st) < 0)
		return bl_err_errno(err, -errno, "cannot look at host.key");
	if (!S_ISREG(st.st_mode) || st.st_nlink != 1 || st.st_uid)
		return bl_err_set(err, -EPERM,
				  "host.key is not a file of root's alone");
	if (st.st_gid == user->gid && (st.st_mode & 07777) == 0640)
		return 0;
	/* The mode that lets the group in last. */
	if (fchmod(fd, 0600) < 0 || fchown(fd, (uid_t)-1, user->gid) < 0 ||
	    fchmod(fd, 0640) < 0)
		return bl_err_errno(err, -errno, "cannot share host.key");
	return 0;
}

int bl_parts_share_key(const char *tls_dir, const struct bl_sandbox_user *user,
		       struct bl_err *err)
{
	const char *path = bl_pki_dir(tls_dir);
	bl_autoclose int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stat st;
	int r;

	if (dir < 0 && errno == ENOENT)
		return 0;
	if (dir < 0 || fstat(dir, &st) < 0)
		return bl_err_errno(err, -errno, "cannot look at %s", path);
	r = share_file(dir, user, err);
	/* To pass, not to list; a folder that others may pass is left alone. */
	if (!r && !(st.st_mode & S_IXOTH) &&
	    (st.st_gid != user->gid || !(st.st_mode & S_IXGRP)) &&
	    (fchown(dir, (uid_t)-1, user->gid) < 0 ||
	     fchmod(dir, (st.st_mode & 0700) | S_IXGRP) < 0))
		r = bl_err_errno(err, -errno, "cannot let it pass");
	if (r < 0)
		bl_err_wrap(err, r, "%s, for the talker", path);
	if (r == -EPERM)
		bl_err_hint(
			err,
			"what this runs in does not let it: as root, chgrp %u %s %s/host.key; chmod 710 %s; chmod 640 %s/host.key",
			user->gid, path, path, path, path);
	return r;
}

static int find_user(const struct bl_parts_opts *opts,
		     struct bl_sandbox_user *ret, struct bl_err *err)
{
	const char *name = opts->user ? opts->user : BL_PARTS_USER;
	int r;

	*ret = (struct bl_sandbox_user){ 0 };
	if (!opts->fleet || geteuid())
		return 0;
	r = bl_sandbox_user(name, ret, err);
	if (r < 0)
		bl_err_hint(
			err,
			"what speaks to the network must not be root: make one (useradd --system --user-group %s, or systemd-sysusers), or name another with --user",
			BL_PARTS_USER);
	return r ? r : bl_parts_share_key(opts->tls_dir, ret, err);
}

int bl_parts_begin(const struct bl_parts_opts *opts,
		   struct bl_sandbox_user *ret, struct bl_err *err)
{
	struct bl_sandbox_user user;
	int r = find_user(opts, &user, err);

	if (!r)
		r = confine_host(opts, err);
	if (!r)
		*ret = user;
	return r;
}

/* --------------------------------------------------------------- the talker */

/*
 * All that it may: what libcurl, GnuTLS and the resolver of glibc do, with
 * threads and without processes. Files are only read; sockets are those of the
 * internet, and the one by which glibc asks for this host's addresses. No socket
 * of other programs on this host (AF_UNIX): D-Bus and its like are out of reach.
 */
static const struct bl_sandbox_rule talker_rules[] = {
	SOCKET(AF_INET, SOCK_STREAM, 0),
	SOCKET(AF_INET, SOCK_STREAM, IPPROTO_TCP),
	SOCKET(AF_INET, SOCK_DGRAM, 0),
	SOCKET(AF_INET, SOCK_DGRAM, IPPROTO_UDP),
	SOCKET(AF_INET6, SOCK_STREAM, 0),
	SOCKET(AF_INET6, SOCK_STREAM, IPPROTO_TCP),
	SOCKET(AF_INET6, SOCK_DGRAM, 0),
	SOCKET(AF_INET6, SOCK_DGRAM, IPPROTO_UDP),
	{ "socket", 0, { IS(0, AF_NETLINK), IS(2, NETLINK_ROUTE) } },
	/* No O_NOTIFICATION_PIPE (O_EXCL) by it. */
	{ "pipe2", 0, { BITS(1, 0xffffffff & ~(O_CLOEXEC | O_NONBLOCK), 0) } },
	/* One of datagrams could be sent to any socket by its name. */
	{ "socketpair", 0, { IS(0, AF_UNIX), BITS(1, 0xf, SOCK_STREAM) } },
	/* Not SO_LINGER: a socket that is sent over the pair is closed by the host
	 * part, which would wait for as long as that says. */
	{ "setsockopt", 0, { IS(1, SOL_SOCKET), IS(2, SO_KEEPALIVE) } },
	{ "setsockopt", 0, { IS(1, IPPROTO_TCP), IS(2, TCP_NODELAY) } },
	{ "setsockopt", 0, { IS(1, IPPROTO_TCP), IS(2, TCP_KEEPIDLE) } },
	{ "setsockopt", 0, { IS(1, IPPROTO_TCP), IS(2, TCP_KEEPINTVL) } },
	{ "setsockopt", 0, { IS(1, IPPROTO_TCP), IS(2, TCP_KEEPCNT) } },
	{ "setsockopt", 0, { IS(1, IPPROTO_IP), IS(2, IP_RECVERR) } },
	{ "setsockopt", 0, { IS(1, IPPROTO_IPV6), IS(2, IPV6_RECVERR) } },
	{ "open", 0, { BITS(1, WRITES, O_RDONLY) } },
	{ "openat", 0, { BITS(2, WRITES, O_RDONLY) } },
	{ "clone", 0, { BITS(0, CLONE_THREAD, CLONE_THREAD) } },
	/* Its flags lie in memory, where no filter sees them: glibc takes the
	 * one above instead. */
	{ "clone3", ENOSYS, { { 0 } } },
	{ "mmap", 0, { BITS(2, PROT_EXEC, 0) } },
	{ "mmap", 0, { BITS(2, PROT_WRITE, 0) } },
	{ "mprotect", 0, { BITS(2, PROT_EXEC, 0) } },
	{ "prctl", 0, { IS(0, PR_SET_NAME) } },
	{ "prctl", 0, { IS(0, SET_VMA) } },
	{ "prlimit64", 0, { IS(0, 0), IS(2, 0) } },
	/* No locks: what others on this host wait for is theirs. */
	{ "fcntl", 0, { IS(1, F_DUPFD) } },
	{ "fcntl", 0, { IS(1, F_DUPFD_CLOEXEC) } },
	{ "fcntl", 0, { IS(1, F_GETFD) } },
	{ "fcntl", 0, { IS(1, F_SETFD) } },
	{ "fcntl", 0, { IS(1, F_GETFL) } },
	{ "fcntl", 0, { IS(1, F_SETFL) } },
	/* Not those of priorities (CVE-2014-3153, CVE-2021-3347). */
	FUTEX(FUTEX_WAIT),
	FUTEX(FUTEX_WAKE),
	FUTEX(FUTEX_REQUEUE),
	FUTEX(FUTEX_CMP_REQUEUE),
	FUTEX(FUTEX_WAKE_OP),
	FUTEX(FUTEX_WAIT_BITSET),
	FUTEX(FUTEX_WAKE_BITSET),
	{ "ioctl", 0, { IS(1, FIONREAD) } },
	{ "ioctl", 0, { IS(1, FIONBIO) } },
	ALLOW("access"),
	ALLOW("bind"),
	ALLOW("brk"),
	ALLOW("clock_getres"),
	ALLOW("clock_gettime"),
	ALLOW("clock_nanosleep"),
	ALLOW("close"),
	ALLOW("connect"),
	ALLOW("dup"),
	ALLOW("epoll_create1"),
	ALLOW("epoll_ctl"),
	ALLOW("epoll_pwait"),
	ALLOW("epoll_wait"),
	ALLOW("eventfd2"),
	ALLOW("exit"),
	ALLOW("exit_group"),
	ALLOW("faccessat"),
	ALLOW("faccessat2"),
	ALLOW("fstat"),
	ALLOW("fstatfs"),
	ALLOW("getcwd"),
	ALLOW("getdents64"),
	ALLOW("getegid"),
	ALLOW("geteuid"),
	ALLOW("getgid"),
	ALLOW("getpeername"),
	ALLOW("getpid"),
	ALLOW("getppid"),
	ALLOW("getrandom"),
	ALLOW("getrlimit"),
	ALLOW("getrusage"),
	ALLOW("getsockname"),
	ALLOW("getsockopt"),
	ALLOW("gettid"),
	ALLOW("gettimeofday"),
	ALLOW("getuid"),
	ALLOW("lseek"),
	ALLOW("lstat"),
	ALLOW("madvise"),
	ALLOW("mremap"),
	ALLOW("munmap"),
	ALLOW("nanosleep"),
	ALLOW("newfstatat"),
	ALLOW("poll"),
	ALLOW("ppoll"),
	ALLOW("pread64"),
	ALLOW("pselect6"),
	ALLOW("pwrite64"),
	ALLOW("read"),
	ALLOW("readlink"),
	ALLOW("readlinkat"),
	ALLOW("readv"),
	ALLOW("recvfrom"),
	ALLOW("recvmmsg"),
	ALLOW("recvmsg"),
	ALLOW("restart_syscall"),
	ALLOW("rseq"),
	ALLOW("rt_sigaction"),
	ALLOW("rt_sigprocmask"),
	ALLOW("rt_sigreturn"),
	ALLOW("sched_getaffinity"),
	ALLOW("sched_yield"),
	ALLOW("select"),
	ALLOW("sendmmsg"),
	ALLOW("sendmsg"),
	ALLOW("sendto"),
	ALLOW("set_robust_list"),
	ALLOW("shutdown"),
	ALLOW("sigaltstack"),
	ALLOW("stat"),
	ALLOW("statx"),
	ALLOW("sysinfo"),
	ALLOW("time"),
	ALLOW("uname"),
	ALLOW("write"),
	ALLOW("writev"),
};

static int filter_talker(struct bl_err *err)
{
	struct bl_sandbox_rule rules[BL_ARRAY_SIZE(talker_rules) + 1];
	/* To itself alone: abort() does. */
	const struct bl_sandbox_rule self = { "tgkill",
					      0,
					      { IS(0, (uint64_t)getpid()) } };

	memcpy(rules, talker_rules, sizeof(talker_rules));
	rules[BL_ARRAY_SIZE(talker_rules)] = self;
	return bl_sandbox_filter(rules, BL_ARRAY_SIZE(rules), EPERM, err);
}

/*
 * However it is used, this much of the machine is the most that it is. Threads are
 * counted by user, and only a unit knows that this user is one talker: the one of
 * belay has LimitNPROC.
 */
static int limit_talker(struct bl_err *err)
{
	static const struct {
		int what;
		rlim_t most;
	} limits[] = {
#ifndef __SANITIZE_ADDRESS__
		/* Its shadow alone is terabytes. */
		{ RLIMIT_AS, BL_PARTS_TALKER_MEMORY },
#endif
		/* It has no file to write; memory for metadata, of that size. */
		{ RLIMIT_FSIZE, BL_META_TARGETS_MAX },
		{ RLIMIT_NOFILE, BL_PARTS_TALKER_FILES },
		/* The unit's is for maps of the host part. */
		{ RLIMIT_MEMLOCK, 0 },
	};
	pthread_attr_t small;
	size_t i;
	int r;

	signal(SIGXFSZ, SIG_IGN);
	/* Each thread would have 64 MiB of addresses for malloc, and 8 of stack. */
	mallopt(M_ARENA_MAX, 1);
	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, BL_PARTS_TALKER_STACK);
	r = pthread_setattr_default_np(&small);
	pthread_attr_destroy(&small);
	for (i = 0; !r && i < BL_ARRAY_SIZE(limits); i++) {
		const struct rlimit l = { limits[i].most, limits[i].most };

		if (setrlimit((__rlimit_resource_t)limits[i].what, &l) < 0)
			r = errno;
	}
	if (r)
		return bl_err_errno(err, -r, "cannot limit the talker");
	return bl_sandbox_first_to_die(BL_PARTS_TALKER_SCORE, err);
}

int bl_parts_confine_talker(const struct bl_sandbox_user *user,
			    const char *tls_dir, struct bl_err *err)
{
	const char *dir = bl_pki_dir(tls_dir);
	int r = 0;

	/* As root it reaches what lies below the state folder, and as its user it
	 * stays there. A fleet without TLS has no such folder. */
	if (chdir(dir) < 0 && (errno != ENOENT || chdir("/") < 0))
		return bl_err_errno(err, -errno, "cannot go to %s", dir);
	r = limit_talker(err);
	/* The rest of what it could execute is given up while that may be. */
	if (!r && user)
		r = bl_sandbox_keep(fleet_caps, err);
	if (!r && user)
		r = bl_sandbox_become(user, err);
	if (!r)
		r = bl_sandbox_keep(0, err);
	if (!r)
		r = bl_sandbox_no_new(err);
	if (!r)
		r = bl_sandbox_hide(err);
	if (r < 0)
		return r;
	/* Becoming another user has undone what was set before. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		return bl_err_errno(err, -errno,
				    "cannot end with the host part");
	return filter_talker(err);
}
