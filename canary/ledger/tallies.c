/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>

#include "canary/ledger/fleet.h"
#include "loader/base/text.h"

/* As bl_strata_find has it: beyond the limit all are one. */
static size_t find(struct bl_tallies *t, uint64_t key)
{
	size_t i;

	for (i = 0; i < t->count; i++)
		if (t->keys[i] == key)
			return i;
	if (t->count == BL_STRATA_MAX)
		return BL_STRATA_MAX - 1;
	t->keys[i] = i == BL_STRATA_MAX - 1 ? 0 : key;
	t->sums[i].name = t->names[i];
	t->count++;
	return i;
}

struct bl_tally *bl_tallies_of(struct bl_tallies *t, const struct bl_plan *plan,
			       const struct bl_fleet_host *h)
{
	char name[BL_STRATUM_LEN];
	size_t i;

	bl_stratum_name(plan, h, name);
	i = find(t, bl_stratum_key(name));
	if (!*t->names[i] || t->keys[i])
		bl_text_copy(t->names[i], BL_STRATUM_LEN,
			     t->keys[i] ? name : "all others");
	return &t->sums[i];
}
