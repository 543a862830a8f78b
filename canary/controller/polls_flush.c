/* SPDX-License-Identifier: Apache-2.0 */
/* Who was heard, written down for many hosts at once. */
#include <errno.h>
#include <string.h>

#include "canary/controller/polls.h"
#include "canary/controller/polls_own.h"
#include "loader/base/cleanup.h"

/* How long what nothing depends on may be unwritten. */
#define IDLE_MS 3000
/* Counters (events, drops, a sample) are for people to look at: those of so
 * many hosts are written at once, and how often. */
#define COUNTERS_HOSTS 100
#define COUNTERS_MS    1000
/* What a host's record may take; most are a hundredth of that. */
#define RECORD_BYTES (32u * 1024)

static int write_shards(struct bl_polls *p, const unsigned *shards, size_t n,
			struct bl_err *err)
{
	bl_autochange struct bl_change c = { 0 };
	char key[BL_HEARD_KEY_LEN];
	int64_t revision = 0;
	size_t i;
	int r;

	for (i = 0; i < n; i++) {
		bl_heard_key(shards[i], key);
		bl_change_expect(&c, p->heard.revisions[shards[i]], "%s", key);
		bl_change_put(&c, json_incref(p->heard.shards[shards[i]]), "%s",
			      key);
	}
	r = bl_change_write_at(&c, p->store, &revision, err);
	for (i = 0; !r && i < n; i++) {
		p->heard.revisions[shards[i]] = revision;
		p->stale[shards[i]] = false;
	}
	return r;
}

/* Up to BL_STORE_TXN_MAX at once: a shard may be large. */
static int write_stale(struct bl_polls *p, struct bl_err *err)
{
	unsigned shards[BL_STORE_TXN_MAX], i = 0;
	int r = 0;

	while (!r && i < BL_HEARD_SHARDS) {
		size_t n = 0;

		for (; i < BL_HEARD_SHARDS && n < BL_STORE_TXN_MAX; i++)
			if (p->stale[i])
				shards[n++] = i;
		if (n)
			r = write_shards(p, shards, n, err);
	}
	return r;
}

static int note_all(struct bl_polls *p, int64_t now_ms, struct bl_err *err)
{
	const struct bl_known_host *h;
	size_t i;

	for (i = 0; i < BL_KNOWN_BUCKETS; i++)
		for (h = p->known.buckets[i]; h; h = h->next) {
			if (!h->heard)
				continue;
			if (bl_heard_note(&p->heard, h->host.name,
					  h->host.heard_ms, now_ms) < 0)
				return bl_err_set(err, -ENOMEM,
						  "out of memory");
			p->stale[h->shard] = true;
		}
	return 0;
}

static void note_written(struct bl_polls *p)
{
	struct bl_known_host *h;
	size_t i;

	for (i = 0; i < BL_KNOWN_BUCKETS; i++)
		for (h = p->known.buckets[i]; h; h = h->next)
			if (h->heard && !p->stale[h->shard]) {
				h->heard = false;
				h->written_ms = h->host.heard_ms;
			}
}

static int write_heard(struct bl_polls *p, int64_t now_ms, struct bl_err *err)
{
	struct bl_err e = { 0 };
	int r = note_all(p, now_ms, &e);

	if (!r)
		r = write_stale(p, &e);
	if (r == -EAGAIN) {
		/* Another controller's hosts are in there, too. */
		r = bl_heard_load(p->store, now_ms, &p->heard, &e);
		if (!r)
			r = write_stale(p, &e);
	}
	note_written(p);
	if (!r)
		p->unwritten_ms = p->refresh_ms = 0;
	if (r < 0 && r != -EAGAIN) {
		if (err)
			*err = e;
		return r;
	}
	return 0; /* the next time is soon */
}

/* Or the clock was set back. */
static bool counters_due(const struct bl_known_host *h)
{
	return !h->stale && (h->host.heard_ms < h->counted_ms ||
			     h->host.heard_ms - h->counted_ms >= IDLE_MS);
}

static bool counters_fit(const struct bl_change *c)
{
	return c->put_count < COUNTERS_HOSTS &&
	       c->bytes + RECORD_BYTES <= BL_STORE_MANY_BYTES;
}

static void add_counters(struct bl_change *c, const struct bl_known_host *h)
{
	bl_change_expect(c, h->host_revision, "host/%s", h->host.name);
	bl_change_put(c, bl_fleet_host_json(&h->host), "host/%s", h->host.name);
}

static int write_counters(struct bl_polls *p, struct bl_err *err)
{
	struct bl_known_host *hosts[COUNTERS_HOSTS], *h;
	bl_autochange struct bl_change c = { 0 };
	struct bl_known *k = &p->known;
	struct bl_err e = { 0 };
	int64_t revision = 0;
	size_t i, n = 0;
	int r;

	for (i = 0; i < BL_KNOWN_BUCKETS && counters_fit(&c); i++) {
		for (h = k->buckets[k->cursor]; h && counters_fit(&c);
		     h = h->next) {
			if (!counters_due(h))
				continue;
			add_counters(&c, h);
			hosts[n++] = h;
		}
		k->cursor = (k->cursor + 1) % BL_KNOWN_BUCKETS;
	}
	if (!n)
		return 0;
	r = bl_change_write_at(&c, p->store, &revision, &e);
	for (i = 0; i < n; i++) {
		h = hosts[i];
		if (r < 0) {
			/* Another controller heard from one of them. */
			bl_known_host_forget(k, h->host.name);
			continue;
		}
		h->host_revision = revision;
		h->counted_ms = h->host.heard_ms;
	}
	if (r < 0 && r != -EAGAIN && err)
		*err = e;
	return r == -EAGAIN ? 0 : r;
}

int bl_polls_flush(struct bl_polls *p, int64_t now_ms, bool all,
		   struct bl_err *err)
{
	int64_t since_ms = now_ms - p->unwritten_ms;
	int r = 0;

	bl_polls_commit(p);
	if (p->unwritten_ms &&
	    (all || since_ms < 0 || since_ms >= p->refresh_ms / 2))
		r = write_heard(p, now_ms, err);
	if (r < 0 || (!all && now_ms >= p->counters_ms &&
		      now_ms - p->counters_ms < COUNTERS_MS))
		return r;
	p->counters_ms = now_ms;
	return write_counters(p, err);
}
