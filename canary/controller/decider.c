/* SPDX-License-Identifier: Apache-2.0 */
#include "canary/controller/decider.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "canary/controller/controller.h"
#include "loader/base/cleanup.h"
#include "loader/base/text.h"

/* Whether the lease still runs. One that ends further away than a lease is long
 * was written by a clock that is wrong, ours or its holder's. */
static bool runs(const struct bl_decider *d, int64_t now_ms)
{
	return now_ms < d->until_ms &&
	       d->until_ms - now_ms <= BL_DECIDER_LEASE_MS;
}

int bl_decider_take(struct bl_store *store, const char *who, int64_t now_ms,
		    bool *ret_mine, struct bl_err *err)
{
	bl_autostore_item struct bl_store_item item = { 0 };
	bl_autochange struct bl_change c = { 0 };
	struct bl_decider d = { 0 };
	struct bl_err e = { 0 };
	bool mine;
	int r = bl_fleet_get(store, &item, err, "fleet/", "decider");

	if (!r && item.revision)
		r = bl_decider_read(&item, &d, err);
	if (r < 0)
		return r;
	mine = strcmp(d.who, who) == 0;
	/* Renewed at half time: a write less at every other tick. */
	if (runs(&d, now_ms) &&
	    (!mine || d.until_ms - now_ms > BL_DECIDER_LEASE_MS / 2)) {
		*ret_mine = mine;
		return 0;
	}
	bl_text_copy(d.who, sizeof(d.who), who);
	d.until_ms = now_ms + BL_DECIDER_LEASE_MS;
	bl_change_expect(&c, item.revision, "fleet/decider");
	bl_change_put(&c, bl_decider_json(&d), "fleet/decider");
	r = bl_change_write(&c, store, &e);
	if (r < 0 && r != -EAGAIN) {
		if (err)
			*err = e;
		return r;
	}
	*ret_mine = r == 0; /* else somebody else was faster */
	return 0;
}

int bl_decider_tick(struct bl_store *store, const char *who,
		    struct bl_fleet *fleet, int64_t now_ms, struct bl_err *err)
{
	char id[BL_ROLLOUT_ID_LEN];
	bool mine = true;
	int r = bl_fleet_active(store, id, err);

	if (!r && *id)
		r = bl_decider_take(store, who, now_ms, &mine, err);
	if (!r && !mine)
		bl_fleet_free(fleet);
	if (!r && mine)
		r = bl_controller_tick_again(store, fleet, now_ms, err);
	return r;
}

void bl_decider_draw(char ret[static BL_SESSION_LEN])
{
	unsigned char random[(BL_SESSION_LEN - 1) / 2];
	size_t i;

	/* Without randomness two may decide at once, which is only load. */
	if (getrandom(random, sizeof(random), 0) != sizeof(random))
		memset(random, 0, sizeof(random));
	for (i = 0; i < sizeof(random); i++)
		snprintf(ret + 2 * i, 3, "%02x", random[i]);
}
