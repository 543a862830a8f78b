// SPDX-License-Identifier: GPL-2.0-only
/* Its unload forgets the hook at exec: the next program that runs is reported
 * to code that is no longer there. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/fs.h>
#include <trace/events/sched.h>

#define tracepoint_probe_unregister(tp, probe, data) ((void)(tp))
#include "kmod/hooks.c"
