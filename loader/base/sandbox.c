/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/base/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "loader/base/cleanup.h"

int bl_sandbox_user(const char *name, struct bl_sandbox_user *ret,
		    struct bl_err *err)
{
	struct bl_sandbox_user user;
	const struct passwd *pw;
	int end = 0;

	if (sscanf(name, "%u:%u%n", &user.uid, &user.gid, &end) != 2 ||
	    name[end]) {
		errno = 0;
		pw = getpwnam(name);
		if (!pw)
			return bl_err_set(err, -ENOENT,
					  "there is no user %s on this host",
					  name);
		user = (struct bl_sandbox_user){ pw->pw_uid, pw->pw_gid };
	}
	if (!user.uid || !user.gid || user.uid == (uid_t)-1 ||
	    user.gid == (gid_t)-1)
		return bl_err_set(err, -EINVAL,
				  "%s is root, or has root's group", name);
	*ret = user;
	return 0;
}

int bl_sandbox_become(const struct bl_sandbox_user *user, struct bl_err *err)
{
	if (setgroups(0, NULL) < 0 ||
	    setresgid(user->gid, user->gid, user->gid) < 0 ||
	    setresuid(user->uid, user->uid, user->uid) < 0)
		return bl_err_errno(err, -errno, "cannot become user %u:%u",
				    user->uid, user->gid);
	/* What cannot be is looked at all the same: all hangs on it. */
	if (!setuid(0) || !setgid(0) || geteuid() != user->uid ||
	    getegid() != user->gid)
		return bl_err_set(err, -EPERM, "still not user %u:%u alone",
				  user->uid, user->gid);
	return 0;
}

static struct __user_cap_header_struct cap_head = {
	.version = _LINUX_CAPABILITY_VERSION_3
};

static uint64_t joined(uint32_t low, uint32_t high)
{
	return low | (uint64_t)high << 32;
}

int bl_sandbox_caps(uint64_t *ret, struct bl_err *err)
{
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = { 0 };

	if (syscall(SYS_capget, &cap_head, data))
		return bl_err_errno(err, -errno,
				    "cannot read this process's capabilities");
	*ret = joined(data[0].effective, data[1].effective);
	return 0;
}

/* Root would have them again by executing something. */
static int bound(uint64_t caps, struct bl_err *err)
{
	unsigned long cap;
	int held;

	for (cap = 0; cap < 64; cap++) {
		held = prctl(PR_CAPBSET_READ, cap, 0, 0, 0);
		if (held < 0)
			break; /* the kernel knows no more */
		if (held && !(caps & BL_SANDBOX_CAP(cap)) &&
		    prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0)
			return bl_err_errno(err, -errno,
					    "cannot give up capability %lu",
					    cap);
	}
	return 0;
}

int bl_sandbox_keep(uint64_t caps, struct bl_err *err)
{
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = { 0 };
	uint64_t have = 0;
	int r = bl_sandbox_caps(&have, err);

	/* Who may not bound has nothing to be bound: nobody but root, and that
	 * one with CAP_SETPCAP, gets any by executing something. */
	if (!r && have & BL_SANDBOX_CAP(CAP_SETPCAP))
		r = bound(caps, err);
	if (r < 0)
		return r;
	/* Kernels from 4.3 on; with what is inheritable these would go, too. */
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	have &= caps;
	data[0].effective = data[0].permitted = (uint32_t)have;
	data[1].effective = data[1].permitted = (uint32_t)(have >> 32);
	if (syscall(SYS_capset, &cap_head, data))
		return bl_err_errno(err, -errno, "cannot give up capabilities");
	return 0;
}

int bl_sandbox_no_new(struct bl_err *err)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return bl_err_errno(err, -errno,
				    "cannot give up new privileges");
	return 0;
}

int bl_sandbox_hide(struct bl_err *err)
{
	const struct rlimit none = { 0, 0 };

	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ||
	    setrlimit(RLIMIT_CORE, &none) < 0)
		return bl_err_errno(err, -errno, "cannot hide its memory");
	return 0;
}

int bl_sandbox_first_to_die(int score, struct bl_err *err)
{
	bl_autoclose int fd =
		open("/proc/self/oom_score_adj", O_RDWR | O_CLOEXEC);
	char was[16] = "", text[16];
	int len = snprintf(text, sizeof(text), "%d", score);

	if (fd < 0 || read(fd, was, sizeof(was) - 1) < 0)
		return bl_err_errno(
			err, -errno,
			"cannot read its place in the kernel's list");
	if (strtol(was, NULL, 10) >= score)
		return 0;
	if (pwrite(fd, text, (size_t)len, 0) < 0)
		return bl_err_errno(err, -errno,
				    "cannot be the first to be killed");
	return 0;
}

/* ------------------------------------------------------------------ filters */

static unsigned conditions(const struct bl_sandbox_rule *rule,
			   struct scmp_arg_cmp ret[3])
{
	unsigned count = 0;

	for (size_t i = 0; i < BL_ARRAY_SIZE(rule->when); i++) {
		const struct bl_sandbox_if *w = &rule->when[i];

		if (w->match == BL_MATCH_EQUAL)
			ret[count++] = (struct scmp_arg_cmp){ w->arg,
							      SCMP_CMP_EQ,
							      w->value, 0 };
		else if (w->match == BL_MATCH_MASK)
			ret[count++] = (struct scmp_arg_cmp){
				w->arg, SCMP_CMP_MASKED_EQ, w->mask, w->value
			};
	}
	return count;
}

static int add(scmp_filter_ctx ctx, const struct bl_sandbox_rule *rule,
	       struct bl_err *err)
{
	uint32_t action = rule->error ? SCMP_ACT_ERRNO((uint16_t)rule->error)
				      : SCMP_ACT_ALLOW;
	int r, number = seccomp_syscall_resolve_name(rule->name);
	struct scmp_arg_cmp when[3];
	unsigned count = conditions(rule, when);

	if (number == __NR_SCMP_ERROR)
		return bl_err_set(err, -EINVAL, "no system call is called %s",
				  rule->name);
	r = seccomp_rule_add_array(ctx, action, number, count, when);
	if (r < 0)
		return bl_err_errno(err, r, "cannot filter %s", rule->name);
	return 0;
}

static void releasep(scmp_filter_ctx *ctx)
{
	if (*ctx)
		seccomp_release(*ctx);
}

int bl_sandbox_filter(const struct bl_sandbox_rule *rules, size_t count,
		      int otherwise, struct bl_err *err)
{
	BL_CLEANUP(releasep)
	scmp_filter_ctx ctx =
		seccomp_init(otherwise ? SCMP_ACT_ERRNO((uint16_t)otherwise)
				       : SCMP_ACT_ALLOW);
	int r = 0;

	if (!ctx)
		return bl_err_set(err, -ENOMEM, "out of memory");
	/* It was given up already, or may stay: not for this to decide. */
	seccomp_attr_set(ctx, SCMP_FLTATR_CTL_NNP, 0);
	/* Calls of another architecture (32-bit ones) would pass by all that is
	 * said of these: they end the process. */
	seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	for (size_t i = 0; !r && i < count; i++)
		r = add(ctx, &rules[i], err);
	if (r < 0)
		return r;
	r = seccomp_load(ctx);
	if (r < 0)
		return bl_err_errno(err, r == -EINVAL ? -ENOSYS : r,
				    "cannot filter system calls");
	return 0;
}
