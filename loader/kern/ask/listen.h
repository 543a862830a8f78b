/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A workload, and what was heard of it, whatever kind of sensor it is that is
 * exercised. For loader/kern only.
 *
 *	driver (a process of its own)      this process
 *	furnish, aim
 *	"ready"  ────────────────────────► drain, source.go: counters are read
 *	         ◄──────────────────────── "go"
 *	a burst, "burst"  ───────────────► drain
 *	         ◄──────────────────────── "go on"
 *	…, a round is over, "round"  ────► source.round
 *	end      ────────────────────────► drain
 *
 * Events are also read as they come. No burst is more than the smallest ring holds
 * of it (BL_WORKLOAD_BURST), so what finds a ring full is not our being late.
 *
 * The source brings the events and its own counters; here are the driver, whose
 * events are whose, and the kernel's log.
 */
#ifndef BL_KERN_LISTEN_H
#define BL_KERN_LISTEN_H

#include <stdint.h>

#include "loader/base/err.h"
#include "loader/kern/facts.h"
#include "loader/kern/ops.h"

#define BL_LISTEN_ROUNDS    8
#define BL_LISTEN_SCALE_MAX 64

struct bl_listen_source {
	const void *content; /* what its rules report (binary form); NULL: all */
	uint32_t generation; /* events of others are not its own */
	/* Becomes readable when there may be events; -1: there are none. */
	int fd;
	/* Gives what there is to @fn, not much more than 65536 at a time. */
	int (*drain)(void *ctx, bl_event_fn fn, void *arg, struct bl_err *err);
	/* It counts from here on. */
	int (*go)(void *ctx, struct bl_err *err);
	int (*round)(void *ctx, struct bl_err *err); /* one is over */
	void *ctx;
};

/*
 * Fills in of *x what the workload did, what was shown of it and how long it
 * took, and, also when it fails, the splats of the meantime. @scale: times
 * BL_LISTEN_ROUNDS; 0 counts as 1. -ETIMEDOUT, -ECHILD, -ENOMEM, or what the
 * source failed with.
 */
int bl_listen(const struct bl_listen_source *source, unsigned scale,
	      struct bl_facts_exercise *x, struct bl_err *err);

/* Of what was sampled round by round; sorts it. 0: nothing was. */
uint64_t bl_listen_median(uint64_t *samples, unsigned count);

#endif
