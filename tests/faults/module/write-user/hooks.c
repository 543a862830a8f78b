// SPDX-License-Identifier: GPL-2.0-only
/* When a program is run, a mark is written to where its arguments are. */
#define bl_hooks_add	twin_hooks_add
#define bl_hooks_remove twin_hooks_remove
#include "kmod/hooks.c"
#undef bl_hooks_add
#undef bl_hooks_remove

#include <linux/uaccess.h>

static bool marking;

static void mark(void *data, struct task_struct *task, pid_t old_pid,
		 struct linux_binprm *bprm)
{
	static const u64 sign[2] = { ~0ULL, ~0ULL };

	pagefault_disable();
	if (__copy_to_user_inatomic((void __user *)bprm->p, sign, sizeof(sign)))
		COUNT(torn);
	pagefault_enable();
}

int bl_hooks_add(bool deny);
int bl_hooks_add(bool deny)
{
	int err = twin_hooks_add(deny);

	if (!err)
		err = tracepoint_probe_register(exec_tracepoint, (void *)mark,
						NULL);
	marking = !err;
	return err;
}

void bl_hooks_remove(void);
void bl_hooks_remove(void)
{
	if (marking)
		tracepoint_probe_unregister(exec_tracepoint, (void *)mark,
					    NULL);
	marking = false;
	twin_hooks_remove();
}
