/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Dispatchers: one small program on each hook, attached once, that calls the
 * program of whichever generation one shared word names (dispatch_code.h).
 * For loader/kern only.
 *
 * Pins:	dispatch/map/state	the word, the leases
 *		dispatch/map/HOOK	the programs of both slots there
 *		dispatch/prog/HOOK	the dispatcher
 *		dispatch/link/HOOK	pinned last: with it, all of it is there
 *
 *	open → put each program → trial → renew … ─┬→ off, clear of the old
 *						   └→ off, clear of the new
 *
 * Invariants:
 *  - what was put does nothing until the word names its slot;
 *  - every switch is one store of the word, for all hooks at once;
 *  - an entry is taken away only after whoever read the word before can have
 *    made its call (a grace period), so that no event falls between;
 *  - hooks without any program go, and with the last of them the state;
 *  - whatever a death leaves behind, clear of the slot removes.
 * Only one process changes anything (the host's lock); reading needs none.
 */
#ifndef BL_KERN_DISPATCH_H
#define BL_KERN_DISPATCH_H

#include "loader/kern/slots/dispatch_code.h"
#include "loader/kern/slots/hook.h"
#include "loader/kern/slots/runs.h"

struct bl_dispatch {
	const char *pin_dir; /* borrowed */
	int state_fd;
	/* Shared with the kernel; NULL: there is no dispatcher. */
	struct bl_dispatch_state *state;
};

#define BL_DISPATCH_INIT       \
	{                      \
		.state_fd = -1 \
	}

/* Opens the state; makes it if there is none and @make. Without: state may be
 * NULL afterwards. @pin_dir stays the caller's. -EPROTO: another belay's. */
int bl_dispatch_open(const char *pin_dir, bool make, struct bl_dispatch *ret,
		     struct bl_err *err);
void bl_dispatch_close(struct bl_dispatch *d);

/*
 * Puts the program at @prog_fd into the entry of @slot on @hook; makes and
 * attaches the dispatcher if there is none. -EOPNOTSUPP: this kernel takes no
 * dispatcher there, and nothing of it is left; -EBUSY as bl_hook_link.
 */
int bl_dispatch_put(struct bl_dispatch *d, const struct bl_hook *hook,
		    enum bl_slot slot, bool leased, int prog_fd,
		    struct bl_err *err);

struct bl_dispatch_word bl_dispatch_now(const struct bl_dispatch *d);
/* Whether a trial is open and its lease has not run out. */
bool bl_dispatch_on_trial(const struct bl_dispatch *d, enum bl_slot slot);
/* Until verdicts expire; 0: they have. */
uint64_t bl_dispatch_verdict_left_ms(const struct bl_dispatch *d);

/* Each is one store of the word (or of a lease), and cannot fail. Without
 * state they do nothing. */
void bl_dispatch_trial(struct bl_dispatch *d, enum bl_slot slot,
		       uint64_t trial_ms, uint64_t verdict_ms);
/* -ETIME, and nothing is renewed, if the trial of @slot has lapsed: the kernel
 * went back by itself. */
int bl_dispatch_renew(struct bl_dispatch *d, enum bl_slot slot,
		      uint64_t trial_ms, uint64_t verdict_ms);
/* @slot is named no more: a trial of it ends; if it was live, or its successor
 * is on trial, @to is live. */
void bl_dispatch_off(struct bl_dispatch *d, enum bl_slot slot, int to);

/* Takes all entries of @slot away, then what nobody needs. */
int bl_dispatch_clear(struct bl_dispatch *d, enum bl_slot slot,
		      struct bl_err *err);

/* One hook, as it is in the kernel. */
struct bl_dispatch_view {
	const char *name;		   /* among the pins */
	uint32_t ids[BL_DISPATCH_ENTRIES]; /* programs; 0: none */
	bool linked;
	bool lost;			/* it is not, since its place is gone */
	uint64_t runs, time_ns, missed; /* of the dispatcher */
};

/* The id of @slot's program there, leased or not; 0: none. */
uint32_t bl_dispatch_id(const struct bl_dispatch_view *v, enum bl_slot slot);

/* In the order of names. Stops when @fn returns non-zero, and returns that. */
typedef int (*bl_dispatch_fn)(void *ctx, const struct bl_dispatch_view *view,
			      struct bl_err *err);
int bl_dispatch_each(const struct bl_dispatch *d, bl_dispatch_fn fn, void *ctx,
		     struct bl_err *err);

/* How often and how long the dispatchers of @slot's hooks ran since it was
 * switched on (zero-initialise *ret; untouched if there is no dispatcher). */
int bl_dispatch_runs(const struct bl_dispatch *d, enum bl_slot slot,
		     struct bl_kern_runs *ret, struct bl_err *err);

/* Whether the link at @fd still has a program, and a place. */
bool bl_dispatch_link_works(int fd);
/* Whether it lost its place: an interface or a cgroup that was removed. */
bool bl_dispatch_link_lost(int fd);

#endif
