/* SPDX-License-Identifier: Apache-2.0 */
/* The fleet, read from the store: all of it, or what changed since. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "canary/ledger/fleet.h"
#include "loader/base/cleanup.h"

void bl_fleet_free(struct bl_fleet *f)
{
	free(f->exposures);
	free(f->exposure_revisions);
	free(f->hosts);
	free(f->host_revisions);
	free(f->view_hosts);
	free(f->tallies);
	bl_heard_free(&f->heard);
	*f = (struct bl_fleet){ 0 };
}

/* Records of one kind, by name, and what is needed to read more of them. */
struct records {
	const char *prefix;
	size_t size;
	int (*read)(const struct bl_store_item *item, void *ret,
		    struct bl_err *err);
	void **all;
	int64_t **revisions;
	size_t *count;
	int64_t *newest; /* revision that was read */
};

/* Where a record of @name is, or would be. Its first member is its name. */
static size_t place_of(const struct records *q, const char *name, bool *ret_is)
{
	size_t low = 0, high = *q->count;

	*ret_is = false;
	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int c = strcmp(name, (const char *)*q->all + mid * q->size);

		if (c == 0) {
			*ret_is = true;
			return mid;
		}
		if (c < 0)
			high = mid;
		else
			low = mid + 1;
	}
	return low;
}

/* Makes room for @more and moves what is there apart, from the back, so that
 * each new one has a place; both are sorted. */
static int make_room(const struct records *q, const struct bl_store_list *list,
		     size_t more, struct bl_err *err)
{
	size_t before = strlen(q->prefix), end = *q->count, i = list->count;
	size_t room = *q->count + more;
	void *all = reallocarray(*q->all, room + 1, q->size);
	int64_t *revisions;

	if (all)
		*q->all = all;
	revisions = reallocarray(*q->revisions, room + 1, sizeof(*revisions));
	if (revisions)
		*q->revisions = revisions;
	if (!all || !revisions)
		return bl_err_set(err, -ENOMEM, "out of memory");
	while (more && i-- > 0) {
		const char *name = list->items[i].key + before;
		bool is;
		size_t at = place_of(q, name, &is);

		if (is)
			continue;
		memmove((char *)all + (at + more) * q->size,
			(char *)all + at * q->size, (end - at) * q->size);
		memmove(revisions + at + more, revisions + at,
			(end - at) * sizeof(*revisions));
		end = at;
		*q->count = at; /* what is looked at next is before it */
		more--;
		snprintf((char *)all + (at + more) * q->size, q->size, "%s",
			 name);
	}
	*q->count = room;
	return 0;
}

static int read_changed(struct bl_store *store, const struct records *q,
			struct bl_err *err)
{
	bl_autostore_list struct bl_store_list list = { 0 };
	size_t before = strlen(q->prefix), more = 0, i;
	bool is;
	int r = bl_store_changed(store, q->prefix, *q->newest, &list, err);

	if (r < 0)
		return r;
	for (i = 0; i < list.count; i++) {
		place_of(q, list.items[i].key + before, &is);
		more += !is;
	}
	r = make_room(q, &list, more, err);
	for (i = 0; !r && i < list.count; i++) {
		const struct bl_store_item *item = &list.items[i];
		size_t at = place_of(q, item->key + before, &is);

		r = q->read(item, (char *)*q->all + at * q->size, err);
		(*q->revisions)[at] = item->revision;
		if (item->revision > *q->newest)
			*q->newest = item->revision;
	}
	return r;
}

/* What was removed does not say so: then all is read again. */
static int read_all(struct bl_store *store, const struct records *q,
		    struct bl_err *err)
{
	bool again = *q->newest;
	size_t there = 0;
	int r = read_changed(store, q, err);

	if (!r && again)
		r = bl_store_count(store, q->prefix, &there, err);
	if (r < 0 || !again || there >= *q->count)
		return r;
	*q->newest = 0;
	*q->count = 0;
	return read_changed(store, q, err);
}

static int read_exposure(const struct bl_store_item *item, void *ret,
			 struct bl_err *err)
{
	return bl_exposure_read(item, ret, err);
}

static int read_host(const struct bl_store_item *item, void *ret,
		     struct bl_err *err)
{
	return bl_fleet_host_read(item, ret, err);
}

/* Where clocks are a little apart, one that another controller heard a moment
 * ago is heard now: the decision takes what is to come for nothing. */
static int64_t merge_heard(const struct bl_fleet_host *h, int64_t noted_ms,
			   int64_t now_ms)
{
	int64_t ms = bl_heard_later(h->heard_ms, noted_ms, now_ms);

	return ms > now_ms && ms <= now_ms + BL_HEARD_AHEAD_MS ? now_ms : ms;
}

int bl_fleet_load_hosts(struct bl_store *store, int64_t now_ms,
			struct bl_fleet *f, struct bl_err *err)
{
	const struct records hosts = {
		.prefix = "host/",
		.size = sizeof(*f->hosts),
		.read = read_host,
		.all = (void **)&f->hosts,
		.revisions = &f->host_revisions,
		.count = &f->host_count,
		.newest = &f->hosts_newest,
	};
	size_t i;
	int r = read_all(store, &hosts, err);

	if (!r)
		r = bl_heard_load(store, now_ms, &f->heard, err);
	for (i = 0; !r && i < f->host_count; i++) {
		struct bl_fleet_host *h = &f->hosts[i];

		h->heard_ms =
			merge_heard(h, bl_heard_ms(&f->heard, h->name), now_ms);
	}
	return r;
}

static int load_exposures(struct bl_store *store, struct bl_fleet *f,
			  struct bl_err *err)
{
	char prefix[BL_ROLLOUT_ID_LEN + 16];
	const struct records exposures = {
		.prefix = prefix,
		.size = sizeof(*f->exposures),
		.read = read_exposure,
		.all = (void **)&f->exposures,
		.revisions = &f->exposure_revisions,
		.count = &f->exposure_count,
		.newest = &f->exposures_newest,
	};

	snprintf(prefix, sizeof(prefix), "exposure/%s/", f->rollout.id);
	return read_all(store, &exposures, err);
}

static int load_listening(struct bl_store *store, int64_t now_ms,
			  struct bl_listening *ret, struct bl_err *err)
{
	bl_autostore_item struct bl_store_item item = { 0 };
	int r = bl_fleet_get(store, &item, err, "fleet/", "listening");

	if (r < 0)
		return r;
	*ret = (struct bl_listening){ now_ms, now_ms, 0 };
	return item.revision ? bl_listening_read(&item, ret, err) : 0;
}

int bl_fleet_refresh(struct bl_store *store, const char *id, int64_t now_ms,
		     struct bl_fleet *f, struct bl_err *err)
{
	int r;

	if (strcmp(f->rollout.id, id) != 0)
		bl_fleet_free(f);
	r = bl_fleet_rollout(store, id, &f->rollout, &f->rollout_revision, err);
	if (!r)
		r = load_exposures(store, f, err);
	if (!r)
		r = bl_fleet_load_hosts(store, now_ms, f, err);
	if (!r)
		r = load_listening(store, now_ms, &f->listening, err);
	if (!r)
		r = bl_fleet_view(f, now_ms, err);
	if (r < 0)
		bl_fleet_free(f); /* half of it is new */
	return r;
}

int bl_fleet_load(struct bl_store *store, const char *id, int64_t now_ms,
		  struct bl_fleet *ret, struct bl_err *err)
{
	bl_fleet_free(ret);
	return bl_fleet_refresh(store, id, now_ms, ret, err);
}
