/* SPDX-License-Identifier: Apache-2.0 */
/* What a person sees while belay apply waits for the end of a trial. */
#ifndef BL_HOST_CMD_LIVE_H
#define BL_HOST_CMD_LIVE_H

#include "loader/base/term.h"
#include "loader/host/host.h"

/* Zero-initialise. */
struct bl_live {
	struct bl_progress progress;
	bool waits, confirmed; /* as last shown */
	uint64_t shown_ms;     /* of the trial */
};

/* For bl_apply_opts, with a struct bl_live as its context: shows how the trial
 * stands, and ends it on a signal. */
enum bl_tick bl_live_tick(void *ctx, const struct bl_trial_view *view,
			  struct bl_err *why);

/* Takes the line off the terminal. */
void bl_live_end(struct bl_live *live);

#endif
