/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When to ask again: hosts that started together part, and those whose
 * controller is gone, or has too much to do, do not all come back at once. Pure;
 * @random is any number, drawn for this call.
 *
 * While something goes on a host stays away for at most half of the plan's
 * silence_s, whatever its own interval and whatever it is asked for: a controller
 * that is busy must not make hosts look dead. That follows from what it said
 * last of how often to come, a BL_PLAN_POLLS-th of silence_s at most.
 */
#ifndef BL_CANARY_BACKOFF_H
#define BL_CANARY_BACKOFF_H

#include <stdint.h>

#include "canary/decide/plan.h"

#define BL_BACKOFF_MIN_MS     50
#define BL_BACKOFF_FIRST_MS   250
#define BL_BACKOFF_MAX_MS     5000
#define BL_RETRY_AFTER_MAX_MS 10000
/* A window, and so much as a Retry-After before it, make the half. */
#define BL_BACKOFF_POLLS (BL_PLAN_POLLS / 4)

/* @ms, a tenth more or less. */
int64_t bl_jitter_ms(int64_t ms, uint32_t random);

/*
 * After so many @failures in a row (1 or more): anything up to a window that
 * begins with BL_BACKOFF_FIRST_MS and doubles each time, up to
 * BL_BACKOFF_MAX_MS, or @interval_ms if that is longer; while something goes on
 * (@poll_ms of the last answer; 0: nothing does) up to BL_BACKOFF_POLLS times
 * that, if it is shorter. If the other side said when to come again (@asked_ms;
 * 0: it did not), no sooner than that, nor all at that moment: the window is at
 * least as long again. What it asks for counts up to BL_RETRY_AFTER_MAX_MS, and
 * while something goes on up to the limit of the window.
 */
int64_t bl_backoff_ms(int64_t interval_ms, int64_t poll_ms, unsigned failures,
		      int64_t asked_ms, uint32_t random);

#endif
