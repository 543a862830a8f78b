/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store in etcd, through its v3 JSON gateway. A key is the key of the
 * store's behind a prefix, so that several fleets (and others) can share one
 * etcd:
 *
 *	PREFIX/layout		"1"
 *	PREFIX/k/KEY		the value behind an 'i'; or behind a 'c' how
 *				many chunks of which name it has
 *	PREFIX/c/HASH/NAME/N	a chunk; HASH is the key's, NAME is drawn
 *
 * etcd takes requests of 1.5 MiB, a bundle may have 64 MiB: what is larger than
 * INLINE_MAX (etcd_txn.c) is written in chunks before its transaction, which is where they
 * begin to count. That transaction wants the first chunk to be there, and takes
 * the chunks of what was there before away; a range is taken away at once, so
 * the first chunk stands for all. A controller that dies in between leaves
 * chunks that nobody reads, until that key is written again or removed.
 *
 * Reading several pages, or chunks, is reading at one revision. If etcd drops
 * that meanwhile (compaction) the reading begins anew.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "canary/store/etcd_chunks.h"
#include "canary/store/etcd_own.h"
#include "canary/store/store.h"
#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/bundle/digest.h"

#define LAYOUT	"1"
#define PAGE	512
#define KEY_MAX BL_ETCD_KEY_MAX

void bl_etcd_key_of(const struct bl_etcd_store *s, const char *key,
		    char ret[static KEY_MAX])
{
	snprintf(ret, KEY_MAX, "%s/k/%s", s->prefix, key);
}

int bl_etcd_folder_of(const struct bl_etcd_store *s, const char *key,
		      char ret[static KEY_MAX], struct bl_err *err)
{
	char hash[BL_DIGEST_HEX];
	int r = bl_digest(key, strlen(key), hash);

	if (r < 0)
		return bl_err_errno(err, r, "cannot make a digest");
	snprintf(ret, KEY_MAX, "%s/c/%s/", s->prefix, hash);
	return 0;
}

int bl_etcd_store_fail(const struct bl_etcd_store *s, int r, struct bl_err *err)
{
	/* Swept or compacted away BL_ETCD_TRIES times: somebody is very busy. */
	if (r == -ESTALE) {
		r = -EAGAIN;
		if (err)
			err->code = r;
	}
	if (r == -ENOSPC)
		bl_err_hint(
			err,
			"its history is full: run etcd with --auto-compaction-retention=1h, then etcdctl defrag and etcdctl alarm disarm");
	return bl_err_wrap(err, r, "store %s", s->prefix);
}

static int read_range(struct bl_etcd_store *s, const struct bl_etcd_range *q,
		      struct bl_etcd_answer *ret, struct bl_err *err)
{
	return bl_etcd_client_call(s->client, BL_ETCD_READ, "kv/range",
				   bl_etcd_range_json(q), ret, err);
}

static int damaged(const char *key, struct bl_err *err)
{
	return bl_err_set(err, -EBADMSG, "what stands for %s is not belay's",
			  key);
}

/* Makes what etcd has into what the store has: key and value. */
static int unwrap(struct bl_etcd_store *s, struct bl_store_item *item,
		  int64_t revision, struct bl_err *err)
{
	size_t before = strlen(s->prefix) + strlen("/k/");
	struct bl_buf *v = &item->value, whole = { 0 };
	struct bl_etcd_chunked c;
	char folder[KEY_MAX];
	int r;

	if (strlen(item->key) <= before || !v->len)
		return damaged(item->key, err);
	memmove(item->key, item->key + before, strlen(item->key + before) + 1);
	if (v->data[0] == 'i') {
		memmove(v->data, v->data + 1, v->len);
		v->len--;
		return 0;
	}
	if (sscanf(v->data, "c%16[0-9a-f] %lu %llu", c.name, &c.chunks,
		   &c.size) != 3 ||
	    c.size > BL_STORE_VALUE_MAX)
		return damaged(item->key, err);
	r = bl_etcd_folder_of(s, item->key, folder, err);
	if (!r)
		r = bl_etcd_chunks_read(s->client, folder, &c, revision, &whole,
					err);
	if (r < 0)
		return r;
	bl_buf_free(v);
	*v = whole;
	return 0;
}

static int get_once(struct bl_etcd_store *s, const char *key,
		    struct bl_store_item *ret, struct bl_err *err)
{
	BL_CLEANUP(bl_etcd_answer_free) struct bl_etcd_answer a = { 0 };
	char k[KEY_MAX];
	int r;

	bl_etcd_key_of(s, key, k);
	r = read_range(
		s, &(struct bl_etcd_range){ .key = k, .key_len = strlen(k) },
		&a, err);
	if (r < 0)
		return r;
	if (!a.items.count)
		return -ENOENT;
	r = unwrap(s, &a.items.items[0], a.revision, err);
	if (r < 0)
		return r;
	*ret = a.items.items[0];
	a.items.items[0] = (struct bl_store_item){ 0 };
	return 0;
}

static int etcd_get(struct bl_store *head, const char *key,
		    struct bl_store_item *ret, struct bl_err *err)
{
	struct bl_etcd_store *s = (struct bl_etcd_store *)head;
	struct bl_err e = { 0 };
	int i, r = -ESTALE;

	for (i = 0; r == -ESTALE && i < BL_ETCD_TRIES; i++)
		r = get_once(s, key, ret, &e);
	if (r == -ENOENT)
		return bl_err_set(err, r, "the store has no %s", key);
	if (r < 0 && err)
		*err = e;
	return r < 0 ? bl_etcd_store_fail(s, r, err) : 0;
}

static int get_many_once(struct bl_etcd_store *s, const char *const *keys,
			 size_t count, struct bl_store_item *ret,
			 struct bl_err *err)
{
	BL_CLEANUP(bl_etcd_answer_free) struct bl_etcd_answer a = { 0 };
	json_t *then = json_array();
	char key[KEY_MAX];
	size_t i, k = 0;
	int r = 0;

	for (i = 0; !r && i < count; i++) {
		bl_etcd_key_of(s, keys[i], key);
		r = bl_etcd_add_op(
			then, BL_ETCD_RANGE,
			bl_etcd_range_json(&(struct bl_etcd_range){
				.key = key, .key_len = strlen(key) }));
	}
	if (r < 0) {
		json_decref(then);
		return bl_err_set(err, r, "out of memory");
	}
	r = bl_etcd_client_call(
		s->client, BL_ETCD_READ, "kv/txn",
		bl_etcd_txn_json(json_array(), then, json_array()), &a, err);
	/* What is there comes in the order in which it was asked for. */
	for (i = 0; !r && i < count && k < a.items.count; i++) {
		bl_etcd_key_of(s, keys[i], key);
		if (strcmp(a.items.items[k].key, key) != 0)
			continue;
		r = unwrap(s, &a.items.items[k], a.revision, err);
		if (r < 0)
			break;
		ret[i] = a.items.items[k];
		a.items.items[k++] = (struct bl_store_item){ 0 };
	}
	if (!r && k < a.items.count)
		r = damaged(a.items.items[k].key, err);
	return r;
}

static int etcd_get_many(struct bl_store *head, const char *const *keys,
			 size_t count, struct bl_store_item *ret,
			 struct bl_err *err)
{
	struct bl_etcd_store *s = (struct bl_etcd_store *)head;
	struct bl_err e = { 0 };
	int i, r = -ESTALE;
	size_t k;

	for (i = 0; r == -ESTALE && i < BL_ETCD_TRIES; i++) {
		for (k = 0; k < count; k++)
			bl_store_item_free(&ret[k]);
		r = get_many_once(s, keys, count, ret, &e);
	}
	if (r < 0 && err)
		*err = e;
	return r < 0 ? bl_etcd_store_fail(s, r, err) : 0;
}

/* Moves the items of @from behind those of @to. */
static int move_items(struct bl_store_list *to, struct bl_store_list *from)
{
	size_t n = to->count + from->count;
	struct bl_store_item *items =
		reallocarray(to->items, n ? n : 1, sizeof(*items));

	if (!items)
		return -ENOMEM;
	to->items = items;
	if (from->count)
		memcpy(items + to->count, from->items,
		       from->count * sizeof(*items));
	to->count = n;
	from->count = 0;
	return 0;
}

static int list_once(struct bl_etcd_store *s, const char *prefix, int64_t since,
		     struct bl_store_list *ret, struct bl_err *err)
{
	BL_CLEANUP(bl_store_list_free) struct bl_store_list list = { 0 };
	char at[KEY_MAX + 1], end[KEY_MAX];
	int64_t revision = 0;
	size_t len, i;
	bool more;
	int r = 0;

	bl_etcd_key_of(s, prefix, at);
	bl_etcd_end(at, end);
	len = strlen(at);
	do {
		BL_CLEANUP(bl_etcd_answer_free) struct bl_etcd_answer a = { 0 };
		const struct bl_etcd_range q = { .key = at,
						 .key_len = len,
						 .end = end,
						 .revision = revision,
						 .since = since,
						 .limit = s->page };

		r = read_range(s, &q, &a, err);
		if (r < 0)
			return r;
		revision = revision ? revision : a.revision;
		more = a.more && a.items.count;
		if (more) {
			/* Behind the last key: it and a NUL. */
			const char *last = a.items.items[a.items.count - 1].key;

			if (strlen(last) >= KEY_MAX)
				return damaged(last, err);
			len = strlen(last) + 1;
			memcpy(at, last, len);
		}
		for (i = 0; !r && i < a.items.count; i++)
			r = unwrap(s, &a.items.items[i], revision, err);
		if (r < 0)
			return r;
		if (move_items(&list, &a.items) < 0)
			return bl_err_set(err, -ENOMEM, "out of memory");
	} while (more);
	*ret = list;
	list = (struct bl_store_list){ 0 };
	return 0;
}

static int etcd_list(struct bl_store *head, const char *prefix, int64_t since,
		     struct bl_store_list *ret, struct bl_err *err)
{
	struct bl_etcd_store *s = (struct bl_etcd_store *)head;
	struct bl_err e = { 0 };
	int i, r = -ESTALE;

	for (i = 0; r == -ESTALE && i < BL_ETCD_TRIES; i++)
		r = list_once(s, prefix, since, ret, &e);
	if (r < 0 && err)
		*err = e;
	return r < 0 ? bl_etcd_store_fail(s, r, err) : 0;
}

static int etcd_count(struct bl_store *head, const char *prefix, size_t *ret,
		      struct bl_err *err)
{
	struct bl_etcd_store *s = (struct bl_etcd_store *)head;
	BL_CLEANUP(bl_etcd_answer_free) struct bl_etcd_answer a = { 0 };
	char key[KEY_MAX], end[KEY_MAX];
	int r;

	bl_etcd_key_of(s, prefix, key);
	bl_etcd_end(key, end);
	r = read_range(s,
		       &(struct bl_etcd_range){ .key = key,
						.key_len = strlen(key),
						.end = end,
						.count_only = true },
		       &a, err);
	if (r < 0)
		return bl_etcd_store_fail(s, r, err);
	*ret = (size_t)a.count;
	return 0;
}

static int etcd_revision(struct bl_store *head, int64_t *ret,
			 struct bl_err *err)
{
	struct bl_etcd_store *s = (struct bl_etcd_store *)head;
	BL_CLEANUP(bl_etcd_answer_free) struct bl_etcd_answer a = { 0 };
	char key[KEY_MAX];
	int r;

	bl_etcd_key_of(s, "", key);
	r = read_range(s,
		       &(struct bl_etcd_range){ .key = key,
						.key_len = strlen(key),
						.count_only = true },
		       &a, err);
	if (r < 0)
		return bl_etcd_store_fail(s, r, err);
	*ret = a.revision;
	return 0;
}

static void etcd_close(struct bl_store *head)
{
	struct bl_etcd_store *s = (struct bl_etcd_store *)head;

	bl_etcd_client_close(s->client);
	free(s);
}

static const struct bl_store_ops etcd_ops = {
	.get = etcd_get,
	.get_many = etcd_get_many,
	.list = etcd_list,
	.count = etcd_count,
	.txn = bl_etcd_store_txn,
	.revision = etcd_revision,
	.close = etcd_close,
};

/* Marks an etcd that has no layout with ours; two may try at once. */
static int check_layout(struct bl_etcd_store *s, struct bl_err *err)
{
	char key[BL_ETCD_PREFIX_MAX + 16];
	int i, r = 0;

	snprintf(key, sizeof(key), "%s/layout", s->prefix);
	for (i = 0; !r && i < BL_ETCD_TRIES; i++) {
		BL_CLEANUP(bl_etcd_answer_free) struct bl_etcd_answer a = { 0 };
		json_t *compares = json_array(), *then = json_array();

		json_array_append_new(compares, bl_etcd_unchanged_json(key, 0));
		bl_etcd_add_op(then, BL_ETCD_PUT,
			       bl_etcd_put_json(key, LAYOUT, strlen(LAYOUT)));
		r = bl_etcd_client_call(
			s->client, BL_ETCD_WRITE_AGAIN, "kv/txn",
			bl_etcd_txn_json(compares, then, json_array()), &a,
			err);
		bl_etcd_answer_free(&a);
		if (!r)
			r = read_range(s,
				       &(struct bl_etcd_range){
					       .key = key,
					       .key_len = strlen(key) },
				       &a, err);
		if (r < 0 || !a.items.count)
			continue;
		if (strcmp(bl_buf_str(&a.items.items[0].value), LAYOUT) == 0)
			return 0;
		return bl_err_set(
			err, -EBADMSG,
			"it has layout %.20s, this belay (%s) knows layout %s",
			bl_buf_str(&a.items.items[0].value), BL_VERSION,
			LAYOUT);
	}
	return r < 0 ? r : damaged(key, err);
}

static bool prefix_valid(const char *text)
{
	size_t len = strlen(text);

	return len > 0 && len <= BL_ETCD_PREFIX_MAX && text[len - 1] != '/' &&
	       strspn(text, "abcdefghijklmnopqrstuvwxyz"
			    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/") == len;
}

static int open_client(struct bl_etcd_store *s, const char *text,
		       const struct bl_store_etcd_opts *opts,
		       struct bl_err *err)
{
	bl_autofree char *urls = strdup(text);
	struct bl_etcd_client_opts o = {
		.urls = urls,
		.timeout_ms = opts && opts->timeout_ms ? opts->timeout_ms
						       : BL_ETCD_TIMEOUT_MS,
		.tls = { .ca = getenv("BELAY_ETCD_CA"),
			 .cert = getenv("BELAY_ETCD_CERT"),
			 .key = getenv("BELAY_ETCD_KEY") },
	};
	char *hash = urls ? strchr(urls, '#') : NULL;
	const char *prefix = hash ? hash + 1 : "belay";

	if (!urls)
		return bl_err_set(err, -ENOMEM, "out of memory");
	if (hash)
		*hash = '\0';
	if (!prefix_valid(prefix))
		return bl_err_set(
			err, -EINVAL,
			"'%s' is no prefix for keys: 1 to %d of A-Z a-z 0-9 . _ - /, not ending with /",
			prefix, BL_ETCD_PREFIX_MAX);
	snprintf(s->prefix, sizeof(s->prefix), "%s", prefix);
	s->page = opts && opts->page ? opts->page : PAGE;
	return bl_etcd_client_open(&o, &s->client, err);
}

int bl_store_etcd_open(const char *text, const struct bl_store_etcd_opts *opts,
		       struct bl_store **ret, struct bl_err *err)
{
	struct bl_etcd_store *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return bl_err_set(err, -ENOMEM, "out of memory");
	s->head.ops = &etcd_ops;
	r = open_client(s, text, opts, err);
	if (!r)
		r = check_layout(s, err);
	if (r < 0) {
		etcd_close(&s->head);
		return r;
	}
	*ret = &s->head;
	return 0;
}
