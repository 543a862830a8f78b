/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which hosts are alike, and who of them may have a version now.
 *
 * A host's stratum is the line of its facts that the plan names ("6.1.0-44 /
 * x86_64 / Debian 12 / web"); facts that it does not report are left out. A
 * rollout keeps three sums for each stratum that was exposed, in the record
 * that every exposure changes, so that they are as true as the cap's.
 *
 * Invariants:
 *  - coverage before width: while a stratum has no good host, at most one of it
 *    is in a trial, but in a first wave that says how many hosts it is;
 *  - in a wave of each stratum none gets more than the wave says, with one for
 *    each that was bad, unless the wave was widened.
 *
 * Pure: no I/O, no clock.
 */
#ifndef BL_CANARY_STRATA_H
#define BL_CANARY_STRATA_H

#include "canary/ledger/record.h"

#define BL_STRATUM_LEN 256

void bl_stratum_name(const struct bl_plan *plan, const struct bl_fleet_host *h,
		     char ret[static BL_STRATUM_LEN]);
/* What stands for the name in records; never 0. */
uint64_t bl_stratum_key(const char *name);

/* The sums of the stratum: its own, those that it shares with others when a
 * rollout has BL_STRATA_MAX of them, or NULL if it has none yet. */
struct bl_stratum *bl_strata_find(struct bl_rollout *r, uint64_t key);
/* The same, made if it is missing. */
struct bl_stratum *bl_strata_take(struct bl_rollout *r, uint64_t key);

/* Whether one more host of @s (NULL: none was exposed yet) may be exposed, as
 * far as strata go. */
bool bl_strata_allow(const struct bl_rollout *r, const struct bl_stratum *s);

/* Whether the plan lets @host have it in the present wave. */
bool bl_strata_admit(const struct bl_rollout *r, const char *host);

/* An exposure of @s went from one state to another. */
void bl_strata_move(struct bl_stratum *s, enum bl_exposure_state from,
		    enum bl_exposure_state to);

#endif
