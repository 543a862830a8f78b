/* SPDX-License-Identifier: Apache-2.0 */
#include "canary/ledger/strata.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/base/text.h"

/* "6.1.0-44-cloud-amd64" is of the series 6.1. */
static void series(const char *kernel, char *ret, size_t size)
{
	size_t dots = 0, n;

	for (n = 0; kernel[n] && n + 1 < size; n++)
		if (kernel[n] == '.' && ++dots == 2)
			break;
	snprintf(ret, size, "%.*s", (int)n, kernel);
}

static const char *label(const struct bl_fleet_host *h, const char *key)
{
	size_t len = strlen(key);
	unsigned i;

	for (i = 0; i < h->label_count; i++)
		if (strncmp(h->labels[i], key, len) == 0 &&
		    h->labels[i][len] == '=')
			return h->labels[i];
	return "";
}

static const char *fact(const struct bl_fleet_host *h, const char *name,
			char *buf, size_t size)
{
	if (strcmp(name, "kernel") == 0)
		return h->kernel;
	if (strcmp(name, "arch") == 0)
		return h->arch;
	if (strcmp(name, "os") == 0)
		return h->os;
	if (strcmp(name, "role") == 0)
		return h->role;
	if (strncmp(name, "label:", 6) == 0)
		return label(h, name + 6);
	series(h->kernel, buf, size);
	return buf;
}

void bl_stratum_name(const struct bl_plan *plan, const struct bl_fleet_host *h,
		     char ret[static BL_STRATUM_LEN])
{
	size_t used = 0;
	unsigned i;

	ret[0] = '\0';
	for (i = 0; i < plan->stratum_facts && used < BL_STRATUM_LEN; i++) {
		char buf[BL_FACT_LEN];
		const char *text = fact(h, plan->strata[i], buf, sizeof(buf));

		if (*text)
			used += (size_t)snprintf(ret + used,
						 BL_STRATUM_LEN - used, "%s%s",
						 used ? " / " : "", text);
	}
	if (!used)
		bl_text_copy(ret, BL_STRATUM_LEN, "all hosts");
}

uint64_t bl_stratum_key(const char *name)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325); /* FNV-1a */

	for (; *name; name++)
		h = (h ^ (unsigned char)*name) * UINT64_C(0x100000001b3);
	return h ? h : 1;
}

struct bl_stratum *bl_strata_find(struct bl_rollout *r, uint64_t key)
{
	unsigned i;

	for (i = 0; i < r->stratum_count; i++)
		if (r->strata[i].key == key)
			return &r->strata[i];
	/* The last one is for all that found no room: those beyond the limit
	 * are one stratum. */
	return r->stratum_count == BL_STRATA_MAX ? &r->strata[BL_STRATA_MAX - 1]
						 : NULL;
}

struct bl_stratum *bl_strata_take(struct bl_rollout *r, uint64_t key)
{
	struct bl_stratum *s = bl_strata_find(r, key);

	if (s)
		return s;
	s = &r->strata[r->stratum_count++];
	*s = (struct bl_stratum){ .key = r->stratum_count == BL_STRATA_MAX
						 ? 0
						 : key };
	return s;
}

bool bl_strata_allow(const struct bl_rollout *r, const struct bl_stratum *s)
{
	const struct bl_wave *w = &r->plan.waves[r->wave];

	if (!s)
		return true;
	if (!s->good && s->exposed > s->bad && (r->wave > 0 || !w->hosts))
		return false;
	if (w->per_stratum && !r->widened)
		return s->exposed < w->per_stratum + s->bad;
	return true;
}

bool bl_strata_admit(const struct bl_rollout *r, const char *host)
{
	const struct bl_wave *w = &r->plan.waves[r->wave];

	if (bl_plan_names_has(&r->plan, &r->plan.left_out, host))
		return false;
	return !w->names.count || r->widened ||
	       bl_plan_names_has(&r->plan, &w->names, host);
}

static bool is_bad(enum bl_exposure_state state)
{
	return state > BL_EXPOSURE_COMMITTED && state != BL_EXPOSURE_UNDECIDED;
}

void bl_strata_move(struct bl_stratum *s, enum bl_exposure_state from,
		    enum bl_exposure_state to)
{
	if (from == BL_EXPOSURE_COMMITTED && to != from) {
		assert(s->good > 0);
		s->good--;
	}
	/* Another one takes its place. */
	if (to == BL_EXPOSURE_UNDECIDED) {
		assert(s->exposed > s->good + s->bad);
		s->exposed--;
	}
	if (is_bad(to) && !is_bad(from))
		s->bad++;
	if (to == BL_EXPOSURE_COMMITTED && from != to)
		s->good++;
}
