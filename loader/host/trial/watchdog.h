/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The watchdog for the length of a trial: a host that hangs in it restarts, and
 * `belay recover` finds the trial and goes back.
 *
 *	r = bl_watchdog_prepare(&w, mode, err);	before anything is touched
 *	r = bl_watchdog_arm(&w, err);		as the trial begins
 *	bl_watchdog_ping(&w);			at every probe
 *	bl_watchdog_disarm(&w);			as it ends, whatever it came to
 *	bl_watchdog_release(&w);
 *
 * Never armed outside of a trial. A device that somebody else keeps (systemd's
 * RuntimeWatchdogSec) guards the host as well; one that cannot be stopped again
 * is not started. Without any, softdog is loaded for the time of the trial.
 * When belay dies it is stopped by whoever holds it, as the kernel ends the trial
 * by itself; where it does not (stay), it runs until the next belay has gone back.
 */
#ifndef BL_HOST_WATCHDOG_H
#define BL_HOST_WATCHDOG_H

#include "loader/host/host.h"
#include "loader/kern/guard.h"

enum bl_watchdog_choice {
	BL_WATCHDOG_ARM,    /* start this one, or take it over */
	BL_WATCHDOG_KEPT,   /* somebody else speaks up for this one */
	BL_WATCHDOG_UNFIT,  /* this one cannot be stopped again */
	BL_WATCHDOG_ABSENT, /* there is none */
};

/*
 * Which of @count devices to use, *ret_index of them unless ABSENT. One that
 * runs and that nobody holds comes first: it would end the trial. Hardware
 * before the kernel's own timer, one that can be armed before one that is kept.
 * Pure.
 */
enum bl_watchdog_choice
bl_watchdog_choose(const struct bl_guard_device *devices, size_t count,
		   size_t *ret_index);

struct bl_watchdog {
	const struct bl_guard_ops *ops; /* NULL: there is none here */
	enum bl_watchdog_mode mode;
	uint64_t timeout_ms; /* 0: BL_WATCHDOG_MS */
	/* The trial does not end with belay: nor does its watchdog then. Set
	 * before it is armed. */
	bool stay;
	bool chosen, armed, guarded, loaded;
	bool taken; /* it ran, and nobody seemed to hold it */
	char name[BL_GUARD_NAME_LEN];
	char device[BL_GUARD_WORDS_LEN]; /* what it calls itself */
	/* For the journal and for people: "softdog", "kept by systemd (process
	 * 1): iTCO_wdt", "none: why", "off". */
	char words[BL_WATCHDOG_LEN];
};

/* w->ops and timeout_ms set, else zero. -EOPNOTSUPP: it is required, and there is none. */
int bl_watchdog_prepare(struct bl_watchdog *w, enum bl_watchdog_mode mode,
			struct bl_err *err);
/* Fails only if it is required. */
int bl_watchdog_arm(struct bl_watchdog *w, struct bl_err *err);
void bl_watchdog_ping(struct bl_watchdog *w);
void bl_watchdog_disarm(struct bl_watchdog *w);
void bl_watchdog_release(struct bl_watchdog *w);

/* The device that guarded the trial of a belay that died, by its words in the
 * journal: stops it, if it runs and nobody holds it. Best effort. */
void bl_watchdog_stop_left(const struct bl_guard_ops *ops, const char *words);

#endif
