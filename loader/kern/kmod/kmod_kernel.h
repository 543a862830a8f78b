/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What kern_kmod.c does to a kernel: the seam below which the module is. The
 * real one is kmod.c and kmod_ring.c; tests have a model. One module at a time,
 * under its one name.
 *
 * All: 0, or -errno with err set.
 */
#ifndef BL_KERN_KMOD_KERNEL_H
#define BL_KERN_KMOD_KERNEL_H

#include <stdbool.h>
#include <stdint.h>

#include "bpf/event.h"
#include "loader/base/err.h"
#include "loader/kern/guard.h"
#include "loader/kern/kmod/kmod_refusal.h"
#include "loader/kern/ops.h"

/* The module that is in the kernel now. */
struct bl_kmod_now {
	bool loaded, armed;
	uint32_t generation;	   /* that it was loaded with */
	char tag[BL_KERN_TAG_LEN]; /* of its build id; "": it shows none */
};

struct bl_kmod_counts {
	struct bl_stats stats;
	uint64_t runs, run_ns; /* while it was timed */
	uint64_t memory_bytes; /* itself, and what it took of vmalloc */
};

struct bl_kmod_kernel {
	/* What tells why a module would not be taken; of the module nothing. */
	void (*facts)(void *ctx, struct bl_kmod_facts *ret);
	int (*now)(void *ctx, struct bl_kmod_now *ret, struct bl_err *err);
	int (*load)(void *ctx, const char *path, const char *params,
		    struct bl_err *err);
	int (*unload)(void *ctx, struct bl_err *err); /* -EBUSY */
	/* Who keeps it from that, for people; "" if that is not to be found. */
	void (*holder)(void *ctx, char ret[static BL_GUARD_WORDS_LEN]);
	int (*content)(void *ctx, const void *bin, size_t len,
		       struct bl_err *err);
	int (*arm)(void *ctx, bool armed, struct bl_err *err);
	int (*lease)(void *ctx, uint64_t ms, struct bl_err *err);
	int (*lease_left)(void *ctx, uint64_t *ret_ms, struct bl_err *err);
	int (*time)(void *ctx, bool on, struct bl_err *err);
	int (*counts)(void *ctx, struct bl_kmod_counts *ret,
		      struct bl_err *err);
	/* Events: as kmod_ring.h. */
	int (*open)(void *ctx, void **ret_reader, struct bl_err *err);
	void (*close)(void *ctx, void *reader);
	int (*read)(void *ctx, void *reader, int timeout_ms, bl_event_fn fn,
		    void *fn_ctx, struct bl_err *err);
	/* Slabs that cannot be reclaimed, whoever took them; 0: not known. */
	uint64_t (*slabs)(void *ctx);
	/* Puts a line into the kernel's log, where a crash leaves it. */
	void (*say)(void *ctx, const char *line);
	/* A little of what a module is called for, whatever comes of it. */
	void (*stir)(void *ctx);
	uint64_t (*clock_us)(void *ctx);
	void (*sleep_ms)(void *ctx, unsigned ms);
};

/* The machine's own; its ctx is NULL. */
extern const struct bl_kmod_kernel bl_kmod_this;

#endif
