/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/kern/privilege.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

static int effective(uint64_t *ret)
{
	struct __user_cap_header_struct head = {
		.version = _LINUX_CAPABILITY_VERSION_3
	};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = { 0 };

	if (syscall(SYS_capget, &head, data))
		return -errno;
	*ret = data[0].effective | (uint64_t)data[1].effective << 32;
	return 0;
}

/*
 * CAP_BPF and CAP_PERFMON load and attach (5.8), and CAP_SYS_ADMIN does too;
 * but only CAP_SYS_ADMIN may switch on what times the programs of a trial.
 */
int bl_privilege_check(struct bl_err *err)
{
	uint64_t caps = 0;
	int r = effective(&caps);

	if (r)
		return bl_err_errno(err, r, "read this process's capabilities");
	if (caps >> CAP_SYS_ADMIN & 1)
		return 0;
	bl_err_set(
		err, -EPERM,
		"this process has no CAP_SYS_ADMIN, and without it the kernel does not time programs on trial (CAP_BPF and CAP_PERFMON are not enough)");
	bl_err_hint(err, "run it as root");
	return -EPERM;
}
