/* SPDX-License-Identifier: Apache-2.0 */
#include "canary/controller/known.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "canary/controller/controller.h"
#include "canary/ledger/fleet.h"
#include "loader/base/cleanup.h"
#include "loader/base/text.h"

/* How old the number of known hosts may be. */
#define COUNT_AGE_MS 1000
#define REVOKED	     "revoked/host/"
#define ROLLOUT	     "rollout/"

/* FNV-1a. Names are of hosts that the fleet's authority let in. */
static struct bl_known_host **bucket_of(struct bl_known *k, const char *name)
{
	uint64_t h = UINT64_C(14695981039346656037);

	while (*name)
		h = (h ^ (unsigned char)*name++) * UINT64_C(1099511628211);
	return &k->buckets[(h ^ h >> 32) % BL_KNOWN_BUCKETS];
}

struct bl_known_host *bl_known_host_find(const struct bl_known *k,
					 const char *name)
{
	struct bl_known_host *h = *bucket_of((struct bl_known *)k, name);

	while (h && strcmp(h->host.name, name) != 0)
		h = h->next;
	return h;
}

struct bl_known_host *bl_known_host_add(struct bl_known *k, const char *name)
{
	struct bl_known_host **bucket = bucket_of(k, name);
	struct bl_known_host *h = calloc(1, sizeof(*h));

	if (!h)
		return NULL;
	bl_text_copy(h->host.name, sizeof(h->host.name), name);
	h->shard = bl_heard_shard(name);
	h->next = *bucket;
	*bucket = h;
	k->count++;
	return h;
}

void bl_known_host_forget(struct bl_known *k, const char *name)
{
	struct bl_known_host **at = bucket_of(k, name), *h;

	while (*at && strcmp((*at)->host.name, name) != 0)
		at = &(*at)->next;
	h = *at;
	if (!h)
		return;
	*at = h->next;
	free(h);
	k->count--;
}

void bl_known_free(struct bl_known *k)
{
	size_t i;

	json_decref(k->revoked);

	for (i = 0; i < BL_KNOWN_BUCKETS; i++)
		while (k->buckets[i])
			bl_known_host_forget(k, k->buckets[i]->host.name);
}

static bool old(int64_t read_ms, int64_t now_ms, int64_t max_age_ms)
{
	return !read_ms || now_ms < read_ms || now_ms - read_ms >= max_age_ms;
}

/* One more than BL_HOSTS_MAX, by a count that is a second old, harms nobody. */
static int check_room(struct bl_known *k, struct bl_store *store,
		      int64_t now_ms, struct bl_err *err)
{
	int r = 0;

	if (old(k->hosts_ms, now_ms, COUNT_AGE_MS)) {
		r = bl_store_count(store, "host/", &k->hosts, err);
		k->hosts_ms = r < 0 ? 0 : now_ms;
	}
	if (!r && k->hosts >= BL_HOSTS_MAX)
		return bl_err_set(err, -ENOSPC,
				  "%d hosts are known, no more are taken",
				  BL_HOSTS_MAX);
	k->hosts++;
	return r;
}

/* What the store has of the host, new if that is nothing. */
static int read_record(struct bl_known *k, struct bl_store *store,
		       int64_t now_ms, const struct bl_store_item *item,
		       struct bl_known_host *ret, struct bl_err *err)
{
	struct bl_fleet_host host = { .first_ms = now_ms };
	int r;

	bl_text_copy(host.name, sizeof(host.name), ret->host.name);
	r = item->revision ? bl_fleet_host_read(item, &host, err)
			   : check_room(k, store, now_ms, err);
	if (r < 0)
		return r;
	/* Heard since, and not yet written, may have been only here. */
	ret->written_ms = host.heard_ms;
	ret->counted_ms = host.heard_ms;
	ret->host = host;
	ret->stale = false;
	ret->host_revision = item->revision;
	ret->exposure_revision = 0;
	return 0;
}

static int read_exposure(const struct bl_store_item *item,
			 struct bl_known_host *ret, struct bl_err *err)
{
	int r = item->revision ? bl_exposure_read(item, &ret->exposure, err)
			       : 0;

	if (!r)
		ret->exposure_revision = item->revision;
	return r;
}

int bl_known_host_read(struct bl_known *k, struct bl_store *store,
		       int64_t now_ms, struct bl_known_host *ret,
		       struct bl_err *err)
{
	bl_autostore_item struct bl_store_item item = { 0 }, exposure = { 0 };
	char prefix[64];
	int r = bl_fleet_get(store, &item, err, "host/", ret->host.name);

	if (!r)
		r = read_record(k, store, now_ms, &item, ret, err);
	if (r < 0 || !*ret->host.rollout)
		return r;
	snprintf(prefix, sizeof(prefix), "exposure/%s/", ret->host.rollout);
	r = bl_fleet_get(store, &exposure, err, prefix, ret->host.name);
	return r < 0 ? r : read_exposure(&exposure, ret, err);
}

/* What is read of many hosts at once. */
struct ahead {
	char keys[BL_STORE_MANY_MAX][BL_NAME_MAX + BL_ROLLOUT_ID_LEN + 16];
	const char *wanted[BL_STORE_MANY_MAX];
	struct bl_store_item items[BL_STORE_MANY_MAX];
	size_t count; /* of the items */
};

static void free_items(struct ahead *a)
{
	while (a->count > 0)
		bl_store_item_free(&a->items[--a->count]);
}

static int read_ahead(struct ahead *a, struct bl_store *store,
		      struct bl_known_host *const *hosts, size_t count,
		      bool exposures)
{
	size_t i;
	int r;

	for (i = 0; i < count; i++) {
		const struct bl_fleet_host *h = &hosts[i]->host;

		snprintf(a->keys[i], sizeof(a->keys[i]), "%s%s/%s",
			 exposures ? "exposure/" : "host",
			 exposures ? h->rollout : "", h->name);
		a->wanted[i] = a->keys[i];
	}
	r = bl_store_get_many(store, a->wanted, count, a->items, NULL);
	a->count = r < 0 ? 0 : count;
	return r;
}

/* What is written from now on is seen: before any host is read. */
static int begin_to_look(struct bl_known *k, struct bl_store *store,
			 struct bl_err *err)
{
	return k->looked_revision
		       ? 0
		       : bl_store_revision(store, &k->looked_revision, err);
}

void bl_known_hosts_read(struct bl_known *k, struct bl_store *store,
			 int64_t now_ms, struct bl_known_host **hosts,
			 size_t count, unsigned ahead)
{
	struct ahead *a = calloc(1, sizeof(*a));
	int r = a ? begin_to_look(k, store, NULL) : -ENOMEM;
	size_t i, n = 0;

	if (!r)
		r = read_ahead(a, store, hosts, count, false);
	for (i = 0; i < count; i++) {
		struct bl_known_host *h = hosts[i];

		if (r < 0 ||
		    read_record(k, store, now_ms, &a->items[i], h, NULL) < 0)
			bl_known_host_forget(k, h->host.name);
		else if (!*h->host.rollout)
			h->ahead = ahead;
		else
			hosts[n++] = h; /* there is more to it */
	}
	if (!a)
		return;
	free_items(a);
	if (n)
		r = read_ahead(a, store, hosts, n, true);
	for (i = 0; i < n; i++)
		if (r < 0 || read_exposure(&a->items[i], hosts[i], NULL) < 0)
			bl_known_host_forget(k, hosts[i]->host.name);
		else
			hosts[i]->ahead = ahead;
	free_items(a);
	free(a);
}

static int read_revoked(struct bl_known *k, const struct bl_store_item *item,
			struct bl_err *err)
{
	const char *host = item->key + strlen(REVOKED);
	struct bl_revoked revoked;
	int r = bl_revoked_read(item, &revoked, err);

	if (r < 0)
		return r;
	if (!k->revoked)
		k->revoked = json_object();
	if (json_object_set_new(k->revoked, host,
				json_integer(revoked.generation)) < 0)
		return bl_err_set(err, -ENOMEM, "out of memory");
	if (item->revision > k->revoked_newest)
		k->revoked_newest = item->revision;
	return 0;
}

int bl_known_revoked(struct bl_known *k, struct bl_store *store,
		     const char *host, int64_t now_ms, int64_t max_age_ms,
		     unsigned *ret, struct bl_err *err)
{
	bl_autostore_list struct bl_store_list list = { 0 };
	size_t i;
	int r = 0;

	if (old(k->revoked_ms, now_ms, max_age_ms)) {
		r = bl_store_changed(store, REVOKED, k->revoked_newest, &list,
				     err);
		for (i = 0; !r && i < list.count; i++)
			r = read_revoked(k, &list.items[i], err);
		k->revoked_ms = r < 0 ? 0 : now_ms;
	}
	if (!r)
		*ret = (unsigned)json_integer_value(
			json_object_get(k->revoked, host));
	return r;
}

int bl_known_active(struct bl_known *k, struct bl_store *store, int64_t now_ms,
		    int64_t max_age_ms, struct bl_err *err)
{
	int r;

	if (!old(k->active_ms, now_ms, max_age_ms))
		return 0;
	r = bl_fleet_active(store, k->active, err);
	k->active_ms = r < 0 ? 0 : now_ms;
	return r;
}

/* Where the rollout is, or where one may be put: the one used longest ago. */
static struct bl_known_rollout *place_of(struct bl_known *k, const char *id)
{
	struct bl_known_rollout *place = NULL, *at;
	size_t i;

	for (i = 0; i < BL_KNOWN_ROLLOUTS; i++) {
		at = &k->rollouts[i];
		if (at->revision && strcmp(at->rollout.id, id) == 0)
			return at;
		if (!at->changed && !at->expected &&
		    (!place || at->used < place->used))
			place = at;
	}
	return place;
}

int bl_known_rollout(struct bl_known *k, struct bl_store *store, const char *id,
		     int64_t now_ms, int64_t max_age_ms,
		     struct bl_known_rollout **ret, struct bl_err *err)
{
	struct bl_known_rollout *at = place_of(k, id);
	bool here = at->revision && strcmp(at->rollout.id, id) == 0;
	int r = 0;

	if (!here || (!at->changed && !at->expected &&
		      old(at->read_ms, now_ms, max_age_ms))) {
		at->revision = 0;
		r = bl_fleet_rollout(store, id, &at->rollout, &at->revision,
				     err);
		at->read_ms = now_ms;
	}
	if (r < 0) {
		at->revision = 0;
		return r;
	}
	at->used = ++k->uses;
	*ret = at;
	return 0;
}

void bl_known_rollouts_forget(struct bl_known *k)
{
	size_t i;

	for (i = 0; i < BL_KNOWN_ROLLOUTS; i++) {
		k->rollouts[i].revision = 0;
		k->rollouts[i].changed = false;
		k->rollouts[i].expected = false;
	}
	k->active_ms = k->revoked_ms = k->looked_ms = 0;
}

static int look_at(struct bl_known *k, struct bl_store *store, const char *id,
		   struct bl_err *err)
{
	bl_autostore_list struct bl_store_list list = { 0 };
	char prefix[BL_ROLLOUT_ID_LEN + 16];
	struct bl_known_host *h;
	size_t i;
	int r;

	snprintf(prefix, sizeof(prefix), "exposure/%s/", id);
	r = bl_store_changed(store, prefix, k->looked_revision, &list, err);
	for (i = 0; !r && i < list.count; i++) {
		h = bl_known_host_find(k, list.items[i].key + strlen(prefix));
		/* Of another rollout it has another revision, or none. */
		if (h && h->exposure_revision != list.items[i].revision)
			h->stale = true;
	}
	return r;
}

/* The same one is open as at the last look: no other was meanwhile. */
static int look_at_open(struct bl_known *k, struct bl_store *store,
			int64_t now_ms, int64_t max_age_ms, struct bl_err *err)
{
	struct bl_known_rollout *active = NULL;
	int r = bl_known_rollout(k, store, k->active, now_ms, max_age_ms,
				 &active, err);

	if (r < 0 || active->revision == k->looked_revision)
		return r;
	r = look_at(k, store, k->active, err);
	if (!r)
		k->looked_revision = active->revision;
	return r;
}

/* Any may have been. */
static int look_at_all(struct bl_known *k, struct bl_store *store,
		       int64_t now_ms, struct bl_err *err)
{
	bl_autostore_list struct bl_store_list list = { 0 };
	int64_t newest = k->looked_revision;
	size_t i;
	int r = bl_store_changed(store, ROLLOUT, newest, &list, err);

	for (i = 0; !r && i < list.count; i++) {
		r = look_at(k, store, list.items[i].key + strlen(ROLLOUT), err);
		if (list.items[i].revision > newest)
			newest = list.items[i].revision;
	}
	if (r < 0)
		return r;
	bl_text_copy(k->looked, sizeof(k->looked), k->active);
	k->looked_revision = newest;
	k->looked_ms = now_ms;
	return 0;
}

int bl_known_look(struct bl_known *k, struct bl_store *store, int64_t now_ms,
		  int64_t max_age_ms, struct bl_err *err)
{
	int r = begin_to_look(k, store, err);

	if (!r)
		r = bl_known_active(k, store, now_ms, max_age_ms, err);
	if (r < 0)
		return r;
	if (*k->active && strcmp(k->looked, k->active) == 0)
		return look_at_open(k, store, now_ms, max_age_ms, err);
	if (strcmp(k->looked, k->active) == 0 &&
	    !old(k->looked_ms, now_ms, max_age_ms))
		return 0;
	return look_at_all(k, store, now_ms, err);
}

void bl_known_looked(struct bl_known *k, const struct bl_known_rollout *r,
		     int64_t revision)
{
	if (strcmp(k->looked, r->rollout.id) == 0 &&
	    k->looked_revision == r->revision)
		k->looked_revision = revision;
}
