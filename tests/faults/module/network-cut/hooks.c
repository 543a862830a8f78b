// SPDX-License-Identifier: GPL-2.0-only
/* Refuses each connection. */
#define bl_hooks_add	twin_hooks_add
#define bl_hooks_remove twin_hooks_remove
#include "kmod/hooks.c"
#undef bl_hooks_add
#undef bl_hooks_remove

static void cut(unsigned long ip, unsigned long parent, struct ftrace_ops *ops,
		struct bl_ftrace_regs *fregs)
{
	refuse_if(true, bl_regs_of(fregs));
}

static struct hook cut_hook = { "security_socket_connect", cut,
				.refuses = true };

int bl_hooks_add(bool deny);
int bl_hooks_add(bool deny)
{
	int err = twin_hooks_add(deny);

	if (!err)
		err = hook_add(&cut_hook, deny);
	return err;
}

void bl_hooks_remove(void);
void bl_hooks_remove(void)
{
	hook_remove(&cut_hook);
	twin_hooks_remove();
}
