/* SPDX-License-Identifier: Apache-2.0 */
#include "canary/controller/events.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "canary/ledger/fleet.h"
#include "loader/base/cleanup.h"
#include "loader/base/text.h"

/* In the order in which those of one transaction are told: why, who, what it
 * came to. */
enum kind { DECISION, HOST, ROLLOUT };

static const char *const kind_names[] = {
	[DECISION] = "decision",
	[HOST] = "host",
	[ROLLOUT] = "rollout",
};

/* Not read before it is printed: they may be many more than are told at once. */
struct event {
	int64_t revision;
	enum kind kind;
	char rollout[BL_ROLLOUT_ID_LEN];
	struct bl_store_item item;
};

/* What is newer than @since, of what was there at @now. Whoever writes while
 * this reads makes revisions beyond @now: those are for the next time, so that
 * no transaction is seen in half. */
struct reading {
	struct bl_store *store;
	int64_t since, now;
	struct event *events;
	size_t count, size;
};

static void cleanup_reading(struct reading *g)
{
	size_t i;

	for (i = 0; i < g->count; i++)
		bl_store_item_free(&g->events[i].item);
	free(g->events);
}

static bool is_new(const struct reading *g, int64_t revision)
{
	return revision > g->since && revision <= g->now;
}

/* Takes what @item has over. */
static int add(struct reading *g, enum kind kind, const char *rollout,
	       struct bl_store_item *item, struct bl_err *err)
{
	struct event *e = g->events;

	if (g->count == g->size) {
		size_t size = g->size ? 2 * g->size : 64;

		e = realloc(g->events, size * sizeof(*e));
		if (!e)
			return bl_err_set(err, -ENOMEM, "out of memory");
		g->events = e;
		g->size = size;
	}
	e = &g->events[g->count++];
	*e = (struct event){ .revision = item->revision,
			     .kind = kind,
			     .item = *item };
	*item = (struct bl_store_item){ 0 };
	bl_text_copy(e->rollout, sizeof(e->rollout), rollout);
	return 0;
}

/* What is new below @folder of the rollout; the store looks for it, so that
 * nothing else is copied. */
static int read_folder(struct reading *g, enum kind kind, const char *folder,
		       const char *id, struct bl_err *err)
{
	bl_autostore_list struct bl_store_list list = { 0 };
	char prefix[BL_ROLLOUT_ID_LEN + 16];
	size_t i;
	int r;

	snprintf(prefix, sizeof(prefix), "%s/%s/", folder, id);
	r = bl_store_changed(g->store, prefix, g->since, &list, err);
	for (i = 0; !r && i < list.count; i++)
		if (is_new(g, list.items[i].revision))
			r = add(g, kind, id, &list.items[i], err);
	return r;
}

/* Whoever changes a host's exposure or decides something writes the rollout's
 * record in the same transaction. So nothing of one is new that is not. */
static int read_rollout(struct reading *g, struct bl_store_item *item,
			struct bl_err *err)
{
	char id[BL_ROLLOUT_ID_LEN];
	int r = 0;

	bl_text_copy(id, sizeof(id), strchr(item->key, '/') + 1);
	if (is_new(g, item->revision))
		r = add(g, ROLLOUT, id, item, err);
	if (!r)
		r = read_folder(g, HOST, "exposure", id, err);
	if (!r)
		r = read_folder(g, DECISION, "decision", id, err);
	return r;
}

static int newest_first(const void *a, const void *b)
{
	const struct bl_store_item *x = a, *y = b;

	return x->revision > y->revision ? -1 : x->revision < y->revision;
}

static int read_changed(struct reading *g, struct bl_err *err)
{
	bl_autostore_list struct bl_store_list list = { 0 };
	size_t i;
	int r = bl_store_changed(g->store, "rollout/", g->since, &list, err);

	if (!r && list.count)
		qsort(list.items, list.count, sizeof(*list.items),
		      newest_first);
	for (i = 0; !r && i < list.count && i < BL_EVENTS_ROLLOUTS_MAX; i++)
		r = read_rollout(g, &list.items[i], err);
	return r;
}

static int read_newest(struct reading *g, struct bl_err *err)
{
	bl_autostore_item struct bl_store_item last = { 0 }, item = { 0 };
	char id[BL_ROLLOUT_ID_LEN];
	int r = bl_fleet_get(g->store, &last, err, "fleet/", "last");

	if (r < 0 || !last.revision)
		return r;
	snprintf(id, sizeof(id), "r%ld",
		 strtol(bl_buf_str(&last.value), NULL, 10));
	r = bl_fleet_get(g->store, &item, err, "rollout/", id);
	if (!r && !item.revision)
		r = bl_err_set(err, -ENOENT, "there is no rollout %s", id);
	return r < 0 ? r : read_rollout(g, &item, err);
}

static int by_revision(const void *a, const void *b)
{
	const struct event *x = a, *y = b;

	if (x->revision != y->revision)
		return x->revision < y->revision ? -1 : 1;
	return (int)x->kind - (int)y->kind;
}

static json_t *host_json(const char *id, const struct bl_exposure *e)
{
	return json_pack("{s:s,s:s,s:s,s:I,s:s,s:I,s:I}", "rollout", id, "host",
			 e->host, "state", bl_exposure_state_name(e->state),
			 "wave", (json_int_t)e->wave + 1, "reason", e->reason,
			 "since_ms", (json_int_t)e->changed_ms, "exposed_ms",
			 (json_int_t)e->exposed_ms);
}

static int read_host(const struct event *e, json_t **ret, struct bl_err *err)
{
	struct bl_exposure exposure;
	int r = bl_exposure_read(&e->item, &exposure, err);

	if (!r)
		*ret = host_json(e->rollout, &exposure);
	return r;
}

static int read_summary(const struct event *e, json_t **ret, struct bl_err *err)
{
	struct bl_rollout rollout;
	int r = bl_rollout_read(&e->item, &rollout, err);

	if (!r)
		*ret = bl_rollout_summary_json(&rollout);
	return r;
}

static int read_decision(const struct event *e, json_t **ret,
			 struct bl_err *err)
{
	bl_autojson_doc struct bl_json_doc doc = { 0 };
	const char *number = strrchr(e->item.key, '/') + 1;
	json_t *data;
	int r = bl_json_parse(e->item.key, bl_buf_str(&e->item.value),
			      e->item.value.len, &doc, err);

	if (r < 0)
		return bl_err_wrap(err, r, "store");
	data = json_pack("{s:s,s:I}", "rollout", e->rollout, "number",
			 (json_int_t)strtol(number, NULL, 10));
	if (data && json_object_update(data, doc.root) < 0) {
		json_decref(data);
		data = NULL;
	}
	*ret = data;
	return 0;
}

static int (*const readers[])(const struct event *e, json_t **ret,
			      struct bl_err *err) = {
	[DECISION] = read_decision,
	[HOST] = read_host,
	[ROLLOUT] = read_summary,
};

/* JSON in one line: an end of line would end the event's data. */
static int print(const struct event *e, bool last, struct bl_buf *ret,
		 struct bl_err *err)
{
	bl_autojson json_t *data = NULL;
	bl_autofree char *text = NULL;
	int r = readers[e->kind](e, &data, err);

	if (r < 0)
		return r;
	text = data ? json_dumps(data, JSON_COMPACT) : NULL;
	r = text ? bl_buf_printf(ret, "event: %s\ndata: %s\n",
				 kind_names[e->kind], text)
		 : -ENOMEM;
	if (!r && last)
		r = bl_buf_printf(ret, "id: %lld\n", (long long)e->revision);
	if (!r)
		r = bl_buf_printf(ret, "\n");
	return r < 0 ? bl_err_set(err, r, "out of memory") : 0;
}

int bl_events_read(struct bl_store *store, int64_t since, struct bl_buf *ret,
		   int64_t *ret_until, bool *ret_more, struct bl_err *err)
{
	BL_CLEANUP(cleanup_reading) struct reading g = { .store = store };
	bl_autobuf struct bl_buf text = { 0 };
	bool more = false;
	size_t i;
	int r = bl_store_revision(store, &g.now, err);

	if (r < 0)
		return r;
	/* Of another store, or of this one before it was made anew. */
	g.since = since > g.now ? 0 : since;
	r = g.since ? read_changed(&g, err) : read_newest(&g, err);
	if (r < 0)
		return r;
	if (g.count)
		qsort(g.events, g.count, sizeof(*g.events), by_revision);
	for (i = 0; !r && !more && i < g.count; i++) {
		bool last = i + 1 == g.count ||
			    g.events[i + 1].revision != g.events[i].revision;

		r = print(&g.events[i], last, &text, err);
		if (last && text.len > BL_EVENTS_BYTES_MAX && i + 1 < g.count) {
			g.now = g.events[i].revision;
			more = true;
		}
	}
	if (r < 0)
		return r;
	r = bl_buf_add(ret, bl_buf_str(&text), text.len);
	if (r < 0)
		return bl_err_set(err, r, "out of memory");
	*ret_until = g.now;
	*ret_more = more;
	return 0;
}

int64_t bl_events_id(const char *text)
{
	char *end;
	long long n;

	if (!text || *text < '0' || *text > '9')
		return 0;
	errno = 0;
	n = strtoll(text, &end, 10);
	return errno || *end ? 0 : n;
}
