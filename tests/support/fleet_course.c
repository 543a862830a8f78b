/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/fleet_course.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "canary/ledger/ledger.h"
#include "loader/base/cleanup.h"
#include "loader/base/clock.h"

#define LOOK_MS 50

void fleet_follow(const char *id, const struct fleet_act *acts, size_t count,
		  bool (*until)(const struct bl_rollout *r),
		  struct fleet_course *ret)
{
	unsigned hosts = fleet.agent_count + fleet.vm_count;
	uint64_t start_ms = bl_clock_mono_ms();
	struct bl_rollout r;
	size_t done = 0;

	*ret = (struct fleet_course){ 0 };
	for (;;) {
		fleet_look(id, &r);
		fleet_vms_run();
		ck_assert_msg(bl_clock_mono_ms() - start_ms < FLEET_PATIENCE_MS,
			      "%s does not end: %u of %u exposed, see %s", id,
			      r.exposed, hosts, fleet.dir);
		/* There is no operator who would let it go on. */
		ck_assert_msg(!*r.id || !r.paused_ms, "%s is held: %s", id,
			      r.paused_reason);
		while (*r.id && done < count &&
		       (r.state != BL_ROLLOUT_RUNNING ||
			r.exposed * 100 >= acts[done].percent * hosts))
			acts[done++].fn();
		if (*r.id && bl_rollout_returns(&r) && !ret->exposed_at_stop)
			ret->exposed_at_stop = r.exposed;
		if (*r.id && (!bl_rollout_open(&r) || (until && until(&r))))
			break;
		bl_clock_sleep_ms(LOOK_MS);
	}
	ret->state = r.state;
	memcpy(ret->reason, r.reason, sizeof(ret->reason));
	ret->took_ms = bl_clock_mono_ms() - start_ms;
}

void fleet_halted(const char *id, struct fleet_halt *ret)
{
	bl_autofleet struct bl_fleet f = { 0 };
	int64_t exposed_ms = 0, back_ms = 0, bad_ms = 0;
	size_t i;

	*ret = (struct fleet_halt){ 0 };
	ck_assert_int_eq(
		bl_fleet_load(fleet.look, id, bl_clock_wall_ms(), &f, NULL), 0);
	for (i = 0; i < f.exposure_count; i++) {
		const struct bl_exposure *e = &f.exposures[i];

		ret->states[e->state]++;
		if (e->exposed_ms > exposed_ms)
			exposed_ms = e->exposed_ms;
		if (e->state == BL_EXPOSURE_FAILED &&
		    (!bad_ms || e->changed_ms < bad_ms))
			bad_ms = e->changed_ms;
		if (e->state == BL_EXPOSURE_BACK && e->changed_ms > back_ms)
			back_ms = e->changed_ms;
	}
	ret->decided_ms = bad_ms ? f.rollout.stop_ms - bad_ms : 0;
	ret->exposed = (unsigned)f.exposure_count;
	ret->last_exposed_ms = exposed_ms - f.rollout.stop_ms;
	ret->last_back_ms = back_ms - f.rollout.stop_ms;
}

unsigned fleet_without(const struct fleet_halt *h)
{
	return h->states[BL_EXPOSURE_BACK] + h->states[BL_EXPOSURE_FAILED] +
	       h->states[BL_EXPOSURE_UNDECIDED];
}

unsigned fleet_cap_held(const struct etcd *e, const char *prefix,
			const char *id)
{
	bl_autofree char *key = bl_path("rollout/%s", id);
	bl_autofree struct bl_rollout *r = calloc(1, sizeof(*r));
	int64_t revision = 0;
	unsigned n;

	ck_assert_ptr_nonnull(r);
	for (n = 0;; n++) {
		bl_autostore_item struct bl_store_item item = { 0 };

		if (!etcd_was(e, prefix, key, revision, &item))
			break;
		revision = item.revision - 1;
		/* As a store names it. */
		free(item.key);
		item.key = bl_path("%s", key);
		ck_assert_int_eq(bl_rollout_read(&item, r, NULL), 0);
		ck_assert_msg(
			r->unconfirmed <= r->plan.cap,
			"I7: %s at revision %lld: %u exposed, the cap is %u",
			id, (long long)item.revision, r->unconfirmed,
			r->plan.cap);
	}
	ck_assert_uint_gt(n, 0);
	return n;
}
