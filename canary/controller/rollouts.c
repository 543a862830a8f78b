/* SPDX-License-Identifier: Apache-2.0 */
/* What begins a rollout: its bundle, and the start. What operators do to one
 * that runs is in acts.c. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "canary/controller/controller.h"
#include "loader/base/cleanup.h"
#include "loader/base/clock.h"
#include "loader/base/text.h"
#include "loader/trust/order.h"

#define TRIES 16

static int by_age(const void *a, const void *b)
{
	const struct bl_stored_bundle *x = a, *y = b;

	return (x->stored_ms > y->stored_ms) - (x->stored_ms < y->stored_ms);
}

/* Hosts keep what they may return to, so that only a running rollout needs its
 * bundle here; the others stay for a while for whoever asks. */
static int drop_old(struct bl_store *store, const char *keep_digest,
		    struct bl_err *err)
{
	bl_autofree struct bl_stored_bundle *all = NULL;
	bl_autostore_list struct bl_store_list list = { 0 };
	struct bl_rollout active = { 0 };
	char id[BL_ROLLOUT_ID_LEN];
	int64_t revision = 0;
	size_t i, kept;
	int r = bl_store_list(store, "bundle/", &list, err);

	if (r < 0 || list.count <= BL_BUNDLES_KEPT)
		return r;
	all = calloc(list.count, sizeof(*all));
	if (!all)
		return bl_err_set(err, -ENOMEM, "out of memory");
	for (i = 0; !r && i < list.count; i++)
		r = bl_stored_bundle_read(&list.items[i], &all[i], err);
	if (!r)
		r = bl_fleet_active(store, id, err);
	if (!r && *id)
		r = bl_fleet_rollout(store, id, &active, &revision, err);
	if (r < 0)
		return r;
	qsort(all, list.count, sizeof(*all), by_age);
	kept = list.count;
	for (i = 0; !r && i < list.count && kept > BL_BUNDLES_KEPT; i++) {
		bl_autochange struct bl_change c = { 0 };

		if (strcmp(all[i].digest, keep_digest) == 0 ||
		    strcmp(all[i].digest, active.digest) == 0)
			continue;
		/* A rollout that starts meanwhile writes fleet/active. */
		if (revision)
			bl_change_expect(&c, revision, "rollout/%s", id);
		else
			bl_change_expect(&c, 0, "fleet/active");
		bl_change_remove(&c, "bundle/%s", all[i].digest);
		bl_change_remove(&c, "blob/%s", all[i].digest);
		r = bl_change_write(&c, store, err);
		kept--;
	}
	return r;
}

int bl_controller_store_bundle(struct bl_store *store,
			       const struct bl_bundle *bundle, int64_t now_ms,
			       struct bl_err *err)
{
	bl_autostore_item struct bl_store_item item = { 0 };
	bl_autofree char *blob = bl_path("blob/%s", bundle->digest);
	bl_autochange struct bl_change c = { 0 };
	struct bl_stored_bundle record = {
		.size = (int64_t)bundle->raw.len,
		.stored_ms = now_ms,
	};
	struct bl_err e = { 0 };
	int r = bl_fleet_get(store, &item, err, "bundle/", bundle->digest);

	if (r < 0 || item.revision)
		return r;
	if (!blob)
		return bl_err_set(err, -ENOMEM, "out of memory");
	bl_text_copy(record.digest, sizeof(record.digest), bundle->digest);
	bl_text_copy(record.name, sizeof(record.name), bundle->manifest.name);
	bl_text_copy(record.version, sizeof(record.version),
		     bundle->manifest.version);
	bl_change_expect(&c, 0, "bundle/%s", bundle->digest);
	bl_change_put(&c, bl_stored_bundle_json(&record), "bundle/%s",
		      bundle->digest);
	c.puts[c.put_count++] = (struct bl_store_put){ .key = blob,
						       .data = bundle->raw.data,
						       .len = bundle->raw.len };
	r = bl_change_write(&c, store, &e);
	if (r == -EAGAIN)
		return 0; /* somebody else stored the same */
	if (r < 0) {
		if (err)
			*err = e;
		return r;
	}
	/* That old ones could not be dropped now is no failure of this. */
	drop_old(store, bundle->digest, NULL);
	return 0;
}

static int check_tombstone(const struct bl_store_item *item,
			   const struct bl_start *start, struct bl_err *err)
{
	char when[BL_TIME_ISO_LEN];
	struct bl_tombstone t;
	int r;

	if (!item->revision || *start->override_reason)
		return 0;
	r = bl_tombstone_read(item, &t, err);
	if (r < 0)
		return r;
	bl_err_set(err, -EPERM, "this version was taken back on %s (%s): %s",
		   bl_clock_iso(t.at_ms, when), t.rollout, t.reason);
	bl_err_hint(err, "--override REASON starts it all the same");
	return -EPERM;
}

/* Hosts take no signed order of a rollout that began before the last one
 * (order.h, O4): a clock that was set back must not make this one look old. */
static int begin_after(struct bl_store *store, long last,
		       struct bl_rollout *rollout, struct bl_err *err)
{
	bl_autostore_item struct bl_store_item item = { 0 };
	char id[BL_ROLLOUT_ID_LEN];
	struct bl_rollout before;
	int64_t ahead_ms;
	int r;

	snprintf(id, sizeof(id), "r%ld", last);
	r = bl_fleet_get(store, &item, err, "rollout/", id);
	if (r < 0 || !item.revision)
		return r;
	r = bl_rollout_read(&item, &before, err);
	if (r < 0)
		return r;
	ahead_ms = before.start_ms - rollout->start_ms;
	if (ahead_ms >= 0 && ahead_ms < BL_TOLD_AHEAD_MS)
		rollout->start_ms = before.start_ms + 1;
	return 0;
}

static int start_once(struct bl_store *store, const struct bl_start *start,
		      int64_t now_ms, char ret_id[static BL_ROLLOUT_ID_LEN],
		      struct bl_err *err)
{
	bl_autostore_item struct bl_store_item bundle = { 0 },
					       tombstone = { 0 }, last = { 0 };
	struct bl_rollout rollout = { .plan = start->plan,
				      .state = BL_ROLLOUT_RUNNING,
				      .start_ms = now_ms };
	bl_autochange struct bl_change c = { 0 };
	struct bl_stored_bundle stored;
	char id[BL_ROLLOUT_ID_LEN];
	long number;
	int r = bl_fleet_get(store, &bundle, err, "bundle/", start->digest);

	if (!r && !bundle.revision)
		r = bl_err_set(err, -ENOENT, "there is no bundle %s here",
			       start->digest);
	if (!r)
		r = bl_stored_bundle_read(&bundle, &stored, err);
	if (!r)
		r = bl_fleet_get(store, &tombstone, err, "tombstone/",
				 start->digest);
	if (!r)
		r = check_tombstone(&tombstone, start, err);
	if (!r)
		r = bl_fleet_active(store, id, err);
	if (!r && *id) {
		r = bl_err_set(err, -EEXIST, "rollout %s is not over", id);
		bl_err_hint(
			err,
			"wait for it (belay rollout status %s --wait) or end it (belay rollout abort %s)",
			id, id);
	}
	if (!r)
		r = bl_fleet_get(store, &last, err, "fleet/", "last");
	if (r < 0)
		return r;
	number = strtol(bl_buf_str(&last.value), NULL, 10) + 1;
	r = begin_after(store, number - 1, &rollout, err);
	if (r < 0)
		return r;
	snprintf(rollout.id, sizeof(rollout.id), "r%ld", number);
	bl_text_copy(rollout.digest, sizeof(rollout.digest), start->digest);
	bl_text_copy(rollout.name, sizeof(rollout.name), stored.name);
	bl_text_copy(rollout.version, sizeof(rollout.version), stored.version);
	bl_text_copy(rollout.override_reason, sizeof(rollout.override_reason),
		     start->override_reason);
	bl_change_expect(&c, bundle.revision, "bundle/%s", start->digest);
	bl_change_expect(&c, tombstone.revision, "tombstone/%s", start->digest);
	bl_change_expect(&c, last.revision, "fleet/last");
	bl_change_expect(&c, 0, "fleet/active");
	bl_change_put(&c, json_integer(number), "fleet/last");
	bl_change_put(&c, json_string(rollout.id), "fleet/active");
	bl_change_put(&c, bl_rollout_json(&rollout), "rollout/%s", rollout.id);
	r = bl_change_write(&c, store, err);
	if (!r)
		memcpy(ret_id, rollout.id, sizeof(rollout.id));
	return r;
}

int bl_controller_start(struct bl_store *store, const struct bl_start *start,
			int64_t now_ms, char ret_id[static BL_ROLLOUT_ID_LEN],
			struct bl_err *err)
{
	struct bl_err e;
	int i, r;

	if (!bl_digest_valid(start->digest))
		return bl_err_set(err, -EINVAL, "'%s' is not a digest",
				  start->digest);
	for (i = 0, r = -EAGAIN; r == -EAGAIN && i < TRIES; i++) {
		e = (struct bl_err){ 0 };
		r = start_once(store, start, now_ms, ret_id, &e);
	}
	if (r == -EAGAIN)
		return bl_controller_contended("the rollout", err);
	if (r < 0 && err)
		*err = e;
	return r;
}
