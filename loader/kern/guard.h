/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The watchdogs of this machine: devices that restart it if nobody speaks up in
 * time. loader/host knows them only through struct bl_guard_ops;
 * bl_guard_kernel is the real one, tests have another.
 *
 * Opening a device starts it, and a device whose holder dies without a word
 * restarts the host. That belay was killed must not do that where its trial falls
 * back by itself. So a small process of its own holds the device and speaks up
 * only when belay does; it stops the device when belay is done, or gone. What
 * is left to restart the host is what it is for: a kernel that hangs, or a
 * belay that lives and does not go on.
 *
 * Where the trial goes on without belay (a kernel module, a link that was given
 * another program), its death is a reason: the device is let run, and either the
 * next belay goes back in time and stops it, or the next boot goes back.
 */
#ifndef BL_KERN_GUARD_H
#define BL_KERN_GUARD_H

#include <stdbool.h>
#include <stddef.h>

#include "loader/base/err.h"

#define BL_GUARD_DEVICES_MAX 16
#define BL_GUARD_NAME_LEN    32
#define BL_GUARD_WORDS_LEN   64

/* As the kernel shows it to whoever has not opened it. */
struct bl_guard_device {
	char name[BL_GUARD_NAME_LEN];	   /* "watchdog0" */
	char identity[BL_GUARD_WORDS_LEN]; /* the driver's words for itself */
	bool soft;	  /* the kernel's own timer: no help if that stands */
	bool active;	  /* it runs */
	bool unstoppable; /* nowayout: once started it never stops */
	/* "systemd (process 1)"; "": nobody, as far as can be seen from here */
	char holder[BL_GUARD_WORDS_LEN];
};

struct bl_guard_ops {
	/* At most BL_GUARD_DEVICES_MAX of them; how many, or -errno. */
	int (*list)(void *ctx, struct bl_guard_device *ret, struct bl_err *err);
	/* Makes the kernel have its own timer as a device (1: somebody had
	 * loaded it before, and may need it), and takes it away again. */
	int (*load_soft)(void *ctx, struct bl_err *err);
	void (*unload_soft)(void *ctx);
	/* Starts @name with a time of about @seconds, as near as it can, or
	 * takes over what nobody holds. @stay: it runs on when belay is gone.
	 * -ERANGE if the time is too short to be kept, -EBUSY: somebody has it. */
	int (*arm)(void *ctx, const char *name, unsigned seconds, bool stay,
		   struct bl_err *err);
	/* -errno: nobody holds it any more; arm it again. */
	int (*ping)(void *ctx);
	int (*disarm)(void *ctx, struct bl_err *err);
	void *ctx;
};

/* Which process has /dev/@device open, for people. "" if that cannot be found
 * out. Reads all of /proc. */
void bl_guard_holder(const char *device, char ret[static BL_GUARD_WORDS_LEN]);

/* One armed device for each process. */
extern const struct bl_guard_ops bl_guard_kernel;

#endif
