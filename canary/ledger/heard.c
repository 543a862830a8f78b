/* SPDX-License-Identifier: Apache-2.0 */
#include "canary/ledger/heard.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "loader/base/cleanup.h"

void bl_heard_free(struct bl_heard *h)
{
	unsigned i;

	for (i = 0; i < BL_HEARD_SHARDS; i++)
		json_decref(h->shards[i]);
	*h = (struct bl_heard){ 0 };
}

/* FNV-1a: it decides nothing but which record is written. */
unsigned bl_heard_shard(const char *host)
{
	uint32_t h = 2166136261u;

	while (*host)
		h = (h ^ (unsigned char)*host++) * 16777619u;
	return (h ^ h >> 16) % BL_HEARD_SHARDS;
}

void bl_heard_key(unsigned shard, char ret[static BL_HEARD_KEY_LEN])
{
	snprintf(ret, BL_HEARD_KEY_LEN, BL_HEARD_PREFIX "%02x", shard);
}

int64_t bl_heard_later(int64_t a_ms, int64_t b_ms, int64_t now_ms)
{
	int64_t later_ms = a_ms > b_ms ? a_ms : b_ms;
	int64_t earlier_ms = a_ms > b_ms ? b_ms : a_ms;
	int64_t most_ms = now_ms + BL_HEARD_AHEAD_MS;

	return later_ms > most_ms && earlier_ms && earlier_ms <= most_ms
		       ? earlier_ms
		       : later_ms;
}

int bl_heard_note(struct bl_heard *h, const char *host, int64_t ms,
		  int64_t now_ms)
{
	json_t **shard = &h->shards[bl_heard_shard(host)];
	json_t *known = json_object_get(*shard, host);

	if (known) {
		ms = bl_heard_later(json_integer_value(known), ms, now_ms);
		return json_integer_set(known, ms) < 0 ? -ENOMEM : 0;
	}
	if (!*shard)
		*shard = json_object();
	return json_object_set_new(*shard, host, json_integer(ms)) < 0 ? -ENOMEM
								       : 0;
}

static int read_shard(const struct bl_store_item *item, int64_t now_ms,
		      struct bl_heard *h, struct bl_err *err)
{
	bl_autojson_doc struct bl_json_doc doc = { 0 };
	const char *name = item->key + strlen(BL_HEARD_PREFIX), *host;
	unsigned long shard = strtoul(name, NULL, 16);
	json_t *v;
	int r = bl_json_parse(item->key, bl_buf_str(&item->value),
			      item->value.len, &doc, err);

	if (r < 0)
		return bl_err_wrap(err, r, "store");
	if (shard >= BL_HEARD_SHARDS || !json_is_object(doc.root))
		return bl_err_set(err, -EBADMSG, "store: %s is not belay's",
				  item->key);
	json_object_foreach (doc.root, host, v) {
		if (!json_is_integer(v) || bl_heard_shard(host) != shard)
			return bl_err_set(
				err, -EBADMSG,
				"store: %s: '%s' does not belong there",
				item->key, host);
		if (bl_heard_note(h, host, json_integer_value(v), now_ms) < 0)
			return bl_err_set(err, -ENOMEM, "out of memory");
	}
	h->revisions[shard] = item->revision;
	if (item->revision > h->read)
		h->read = item->revision;
	return 0;
}

int bl_heard_load(struct bl_store *store, int64_t now_ms, struct bl_heard *h,
		  struct bl_err *err)
{
	bl_autostore_list struct bl_store_list list = { 0 };
	size_t i;
	int r = bl_store_changed(store, BL_HEARD_PREFIX, h->read, &list, err);

	for (i = 0; !r && i < list.count; i++)
		r = read_shard(&list.items[i], now_ms, h, err);
	return r;
}

int64_t bl_heard_ms(const struct bl_heard *h, const char *host)
{
	return json_integer_value(
		json_object_get(h->shards[bl_heard_shard(host)], host));
}
