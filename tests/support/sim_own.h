/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of the simulated fleet share: for sim_*.c only. */
#ifndef BL_TESTS_SIM_OWN_H
#define BL_TESTS_SIM_OWN_H

#include "tests/support/sim_fleet.h"

uint64_t sim_rnd(struct sim *s);
bool sim_chance(struct sim *s, unsigned per_mille);
void sim_poll_host(struct sim *s, struct sim_host *h);

/* A store over s->store_under, with accidents; NULL: out of memory. */
struct bl_store *sim_wild_store(struct sim *s);

#endif
