/* SPDX-License-Identifier: Apache-2.0 */
#include "canary/ledger/pairs.h"

#include <stdlib.h>
#include <string.h>

#include "canary/ledger/strata.h"
#include "loader/base/cleanup.h"
#include "loader/base/text.h"

static bool wanted(const struct bl_rollout *r)
{
	bool guarded = false;
	size_t i;

	for (i = 0; i < BL_GUARD_METRICS; i++) {
		guarded |= r->plan.guarded[i];
		if (r->pairs[i].pairs >= BL_PAIRS_MAX)
			return false;
	}
	return guarded;
}

static uint64_t key_of(const struct bl_plan *plan,
		       const struct bl_fleet_host *h)
{
	char name[BL_STRATUM_LEN];

	bl_stratum_name(plan, h, name);
	return bl_stratum_key(name);
}

/* A number for a pair of names that neither chose. */
static uint64_t draw(const char *rollout, const char *host, const char *other)
{
	uint64_t h = bl_stratum_key(rollout) * 3 + bl_stratum_key(host) * 5 +
		     bl_stratum_key(other) * 7;

	h = (h ^ (h >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	h = (h ^ (h >> 27)) * UINT64_C(0x94d049bb133111eb);
	return h ^ (h >> 31);
}

static bool used(const struct bl_fleet *f, const char *host)
{
	size_t i;

	for (i = 0; i < f->exposure_count; i++)
		if (strcmp(f->exposures[i].other, host) == 0)
			return true;
	return false;
}

/* It runs something else, measured, and polls. */
static bool can_be_other(const struct bl_fleet *f,
			 const struct bl_fleet_host *h, uint64_t stratum)
{
	return h->metrics.known && !bl_fleet_exposure_find(f, h->name) &&
	       strcmp(h->live, f->rollout.digest) != 0 &&
	       f->view.now_ms - h->heard_ms <= f->rollout.plan.silence_ms &&
	       key_of(&f->rollout.plan, h) == stratum && !used(f, h->name);
}

static bool find_other(const struct bl_fleet *f, const struct bl_exposure *e,
		       size_t *ret)
{
	uint64_t stratum = strtoull(e->stratum, NULL, 16), best = UINT64_MAX;
	bool found = false;
	size_t i;

	for (i = 0; i < f->host_count; i++) {
		uint64_t n = draw(f->rollout.id, e->host, f->hosts[i].name);

		if (n >= best || !can_be_other(f, &f->hosts[i], stratum))
			continue;
		best = n;
		*ret = i;
		found = true;
	}
	return found;
}

bool bl_pairs_next(const struct bl_fleet *f, size_t *ret_exposure,
		   size_t *ret_other)
{
	const struct bl_rollout *r = &f->rollout;
	size_t i, other;

	if (r->state != BL_ROLLOUT_RUNNING || !wanted(r) || !f->view.waiting)
		return false;
	for (i = 0; i < f->exposure_count; i++) {
		const struct bl_exposure *e = &f->exposures[i];
		const struct bl_fleet_host *h =
			bl_fleet_host_find(f, e->host, NULL);

		if (*e->other || e->state != BL_EXPOSURE_COMMITTED || !h ||
		    !h->metrics.known || strcmp(h->live, r->digest) != 0 ||
		    f->view.now_ms - e->changed_ms < BL_PAIRS_AFTER_MS ||
		    !find_other(f, e, &other))
			continue;
		*ret_exposure = i;
		*ret_other = other;
		return true;
	}
	return false;
}

void bl_pairs_take(struct bl_rollout *r, struct bl_exposure *e,
		   const struct bl_fleet_host *h,
		   const struct bl_fleet_host *other)
{
	unsigned known = h->metrics.known & other->metrics.known;
	enum bl_guard_metric m;

	bl_text_copy(e->other, sizeof(e->other), other->name);
	memset(e->worse, 0, sizeof(e->worse));
	for (m = 0; m < BL_GUARD_METRICS; m++) {
		bool worse;

		e->worse[m] = '-';
		if (!r->plan.guarded[m] || !(known & 1u << m))
			continue;
		worse = bl_guard_worse(m, h->metrics.value[m],
				       other->metrics.value[m],
				       r->plan.guard_percent[m]);
		e->worse[m] = worse ? 'w' : 'n';
		r->pairs[m].pairs++;
		r->pairs[m].worse += worse;
	}
}
