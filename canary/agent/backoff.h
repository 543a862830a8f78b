/* SPDX-License-Identifier: Apache-2.0 */
/* When to ask again: hosts that started together part, and those whose
 * controller is gone do not hammer at its door. */
#ifndef BL_CANARY_BACKOFF_H
#define BL_CANARY_BACKOFF_H

#include <stdint.h>

#define BL_BACKOFF_MAX_MS 5000

/* @ms, a tenth more or less by chance. */
int64_t bl_jitter_ms(int64_t ms);

/* After so many @failures in a row: from a quarter of a second on, doubled each
 * time, up to BL_BACKOFF_MAX_MS or the interval if that is longer. Pure. */
int64_t bl_backoff_ms(int64_t interval_ms, unsigned failures);

#endif
