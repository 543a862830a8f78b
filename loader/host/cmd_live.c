/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/host/cmd_live.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "loader/base/cli.h"

#define LOG_EVERY_MS 10000 /* in a log, while nothing changes */

/* Whole seconds, as a person counts them. */
static unsigned seconds(uint64_t ms)
{
	return (unsigned)((ms + 999) / 1000);
}

static void start(struct bl_live *live, const struct bl_trial_view *view)
{
	uint64_t ms = view->within_ms ? view->within_ms : view->probation_ms;

	if (!view->guarded && strcmp(view->watchdog, "off") != 0)
		fprintf(stderr,
			"no watchdog: a hang in this trial would not be noticed by this host (%s)\n",
			view->watchdog);
	bl_progress_start(&live->progress, "trial, seconds", seconds(ms));
}

/* A terminal redraws its line; a log gets what is new, and a sign of life. */
static bool due(struct bl_live *live, const struct bl_trial_view *view,
		bool waits)
{
	bool changed = waits != live->waits ||
		       view->confirmed != live->confirmed;

	if (isatty(STDERR_FILENO) == 1)
		return true;
	if (view->elapsed_ms && !changed &&
	    view->elapsed_ms < live->shown_ms + LOG_EVERY_MS)
		return false;
	live->shown_ms = view->elapsed_ms;
	return true;
}

static void show(struct bl_live *live, const struct bl_trial_view *view)
{
	bool waits = view->within_ms && !view->confirmed &&
		     view->elapsed_ms >= view->probation_ms;
	const struct bl_kern_sample *s = &view->sample;
	unsigned done = seconds(view->elapsed_ms);
	char word[96] = "";

	if (!live->progress.title)
		start(live, view);
	if (done > live->progress.total)
		done = live->progress.total;
	if (view->confirmed)
		snprintf(word, sizeof(word), "confirmed; ");
	else if (waits && view->confirm == BL_CONFIRM_MANUAL)
		snprintf(word, sizeof(word),
			 "waits for 'belay confirm --txn %" PRIu64 "'; ",
			 view->txn);
	if (due(live, view, waits))
		bl_progress_step(&live->progress, done,
				 "%s%u programs attached, %" PRIu64
				 " events, %" PRIu64 " lost",
				 word, s->attached, s->events, bl_kern_lost(s));
	live->waits = waits;
	live->confirmed = view->confirmed;
}

enum bl_tick bl_live_tick(void *ctx, const struct bl_trial_view *view,
			  struct bl_err *why)
{
	int sig = bl_cli_interrupted();

	show(ctx, view);
	if (!sig)
		return BL_TICK_GO_ON;
	bl_err_set(why, -ECANCELED,
		   "stopped on request during the trial (SIG%s)",
		   sigabbrev_np(sig));
	return BL_TICK_ABORT;
}

void bl_live_end(struct bl_live *live)
{
	if (live->progress.title)
		bl_progress_end(&live->progress);
}
