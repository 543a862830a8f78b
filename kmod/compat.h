/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * All that differs between the kernels that the module is built for.
 * kmod/differences counts it; README.md tells about it.
 */
#ifndef BL_KMOD_COMPAT_H
#define BL_KMOD_COMPAT_H

#include <linux/ftrace.h>
#include <linux/version.h>

/* What an ftrace callback is given; registers in it, with SAVE_REGS. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(5, 11, 0)
#define bl_ftrace_regs pt_regs
static inline struct pt_regs *bl_regs_of(struct pt_regs *regs)
{
	return regs;
}
#else
#define bl_ftrace_regs ftrace_regs
static inline struct pt_regs *bl_regs_of(struct ftrace_regs *regs)
{
	return ftrace_get_regs(regs);
}
#endif

#endif
