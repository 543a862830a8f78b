/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When to ask again: hosts that started together part, and those whose
 * controller is gone, or has too much to do, do not all come back at once. Pure;
 * @random is any number, drawn for this call.
 *
 * The bounds are far below any plan's silence_s: a controller that is busy must
 * not make hosts look dead.
 */
#ifndef BL_CANARY_BACKOFF_H
#define BL_CANARY_BACKOFF_H

#include <stdint.h>

#define BL_BACKOFF_MIN_MS     50
#define BL_BACKOFF_FIRST_MS   250
#define BL_BACKOFF_MAX_MS     5000
#define BL_RETRY_AFTER_MAX_MS 10000

/* @ms, a tenth more or less. */
int64_t bl_jitter_ms(int64_t ms, uint32_t random);

/*
 * After so many @failures in a row (1 or more): anything up to a window that
 * begins with BL_BACKOFF_FIRST_MS and doubles each time, up to
 * BL_BACKOFF_MAX_MS, or @interval_ms if that is longer. If the other side said
 * when to come again (@asked_ms; 0: it did not), no sooner than that, nor all at
 * that moment: the window is at least as long again. What it asks for counts up
 * to BL_RETRY_AFTER_MAX_MS.
 */
int64_t bl_backoff_ms(int64_t interval_ms, unsigned failures, int64_t asked_ms,
		      uint32_t random);

#endif
