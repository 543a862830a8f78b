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
 * INLINE_MAX is written in chunks before its transaction, which is where they
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
#include "canary/store/etcd_client.h"
#include "canary/store/store.h"
#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/bundle/digest.h"

#define LAYOUT	   "1"
#define PREFIX_MAX 64
#define INLINE_MAX (64u * 1024) /* times BL_STORE_TXN_MAX: below 1.5 MiB */
#define PAGE	   512
#define TRIES	   8
#define KEY_MAX	   BL_ETCD_KEY_MAX

struct etcd_store {
	struct bl_store head;
	struct bl_etcd_client *client;
	char prefix[PREFIX_MAX + 1];
	unsigned page;
};

static void key_of(const struct etcd_store *s, const char *key,
		   char ret[static KEY_MAX])
{
	snprintf(ret, KEY_MAX, "%s/k/%s", s->prefix, key);
}

/* Where all chunks of @key are. */
static int folder_of(const struct etcd_store *s, const char *key,
		     char ret[static KEY_MAX], struct bl_err *err)
{
	char hash[BL_DIGEST_HEX];
	int r = bl_digest(key, strlen(key), hash);

	if (r < 0)
		return bl_err_errno(err, r, "cannot make a digest");
	snprintf(ret, KEY_MAX, "%s/c/%s/", s->prefix, hash);
	return 0;
}

static int fail(const struct etcd_store *s, int r, struct bl_err *err)
{
	/* Swept or compacted away TRIES times: somebody is very busy. */
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

static int read_range(struct etcd_store *s, const struct bl_etcd_range *q,
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
static int unwrap(struct etcd_store *s, struct bl_store_item *item,
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
	r = folder_of(s, item->key, folder, err);
	if (!r)
		r = bl_etcd_chunks_read(s->client, folder, &c, revision, &whole,
					err);
	if (r < 0)
		return r;
	bl_buf_free(v);
	*v = whole;
	return 0;
}

static int get_once(struct etcd_store *s, const char *key,
		    struct bl_store_item *ret, struct bl_err *err)
{
	BL_CLEANUP(bl_etcd_answer_free) struct bl_etcd_answer a = { 0 };
	char k[KEY_MAX];
	int r;

	key_of(s, key, k);
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
	struct etcd_store *s = (struct etcd_store *)head;
	struct bl_err e = { 0 };
	int i, r = -ESTALE;

	for (i = 0; r == -ESTALE && i < TRIES; i++)
		r = get_once(s, key, ret, &e);
	if (r == -ENOENT)
		return bl_err_set(err, r, "the store has no %s", key);
	if (r < 0 && err)
		*err = e;
	return r < 0 ? fail(s, r, err) : 0;
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

static int list_once(struct etcd_store *s, const char *prefix, int64_t since,
		     struct bl_store_list *ret, struct bl_err *err)
{
	BL_CLEANUP(bl_store_list_free) struct bl_store_list list = { 0 };
	char at[KEY_MAX + 1], end[KEY_MAX];
	int64_t revision = 0;
	size_t len, i;
	bool more;
	int r = 0;

	key_of(s, prefix, at);
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
	struct etcd_store *s = (struct etcd_store *)head;
	struct bl_err e = { 0 };
	int i, r = -ESTALE;

	for (i = 0; r == -ESTALE && i < TRIES; i++)
		r = list_once(s, prefix, since, ret, &e);
	if (r < 0 && err)
		*err = e;
	return r < 0 ? fail(s, r, err) : 0;
}

/* One transaction in the making. */
struct txn {
	json_t *compares, *then, *otherwise;
	size_t chunked; /* values of it */
};

static void txn_free(struct txn *t)
{
	json_decref(t->compares);
	json_decref(t->then);
	json_decref(t->otherwise);
}

static int add_inline(struct txn *t, const char *key,
		      const struct bl_store_put *p)
{
	bl_autobuf struct bl_buf value = { 0 };

	if (bl_buf_add(&value, "i", 1) < 0 ||
	    bl_buf_add(&value, p->len ? p->data : "", p->len) < 0)
		return -ENOMEM;
	return bl_etcd_add_op(t->then, BL_ETCD_PUT,
			      bl_etcd_put_json(key, value.data, value.len));
}

static int add_chunked(struct txn *t, const char *key, const char *folder,
		       const struct bl_etcd_chunked *c)
{
	char text[128], first[KEY_MAX], end[KEY_MAX];
	char from[KEY_MAX + BL_ETCD_CHUNK_NAME], to[sizeof(from)];

	snprintf(text, sizeof(text), "c%s %lu %llu", c->name, c->chunks,
		 c->size);
	bl_etcd_chunk_key(folder, c->name, 0, first);
	snprintf(from, sizeof(from), "%s%s/", folder, c->name);
	bl_etcd_end(from, to);
	bl_etcd_end(folder, end);
	t->chunked++;
	/* What is there already is before and behind what is ours. */
	if (json_array_append_new(t->compares, bl_etcd_present_json(first)) <
		    0 ||
	    bl_etcd_add_op(t->then, BL_ETCD_PUT,
			   bl_etcd_put_json(key, text, strlen(text))) < 0 ||
	    bl_etcd_add_op(t->then, BL_ETCD_DELETE,
			   bl_etcd_delete_json(folder, from)) < 0 ||
	    bl_etcd_add_op(t->then, BL_ETCD_DELETE,
			   bl_etcd_delete_json(to, end)) < 0)
		return -ENOMEM;
	return bl_etcd_add_op(t->otherwise, BL_ETCD_RANGE,
			      bl_etcd_range_json(&(struct bl_etcd_range){
				      .key = first,
				      .key_len = strlen(first),
				      .count_only = true }));
}

/* @sweep: the value that it replaces may have chunks. */
static int add_put(struct etcd_store *s, struct txn *t,
		   const struct bl_store_put *p, bool sweep, struct bl_err *err)
{
	char key[KEY_MAX], folder[KEY_MAX], end[KEY_MAX];
	struct bl_etcd_chunked c;
	bool large = p->data && p->len > INLINE_MAX;
	int r = folder_of(s, p->key, folder, err);

	if (!r && large)
		r = bl_etcd_chunks_write(s->client, folder, p->data, p->len, &c,
					 err);
	if (r < 0)
		return r;
	key_of(s, p->key, key);
	bl_etcd_end(folder, end);
	if (large)
		r = add_chunked(t, key, folder, &c);
	else if (p->data)
		r = add_inline(t, key, p);
	else
		r = bl_etcd_add_op(t->then, BL_ETCD_DELETE,
				   bl_etcd_delete_json(key, NULL));
	if (!r && !large && sweep)
		r = bl_etcd_add_op(t->then, BL_ETCD_DELETE,
				   bl_etcd_delete_json(folder, end));
	return r < 0 ? bl_err_set(err, -ENOMEM, "out of memory") : 0;
}

/* -ESTALE: chunks of ours were swept away before they counted. */
static int txn_once(struct etcd_store *s,
		    const struct bl_store_compare *compares,
		    size_t compare_count, const struct bl_store_put *puts,
		    size_t put_count, int64_t *ret_revision, struct bl_err *err)
{
	BL_CLEANUP(bl_etcd_answer_free) struct bl_etcd_answer a = { 0 };
	BL_CLEANUP(txn_free)
	struct txn t = { json_array(), json_array(), json_array(), 0 };
	char key[KEY_MAX];
	size_t i;
	int r = 0;

	for (i = 0; i < compare_count; i++) {
		key_of(s, compares[i].key, key);
		if (json_array_append_new(
			    t.compares, bl_etcd_unchanged_json(
						key, compares[i].revision)) < 0)
			return bl_err_set(err, -ENOMEM, "out of memory");
	}
	for (i = 0; !r && i < put_count; i++)
		r = add_put(s, &t, &puts[i], put_count <= BL_STORE_TXN_MAX,
			    err);
	if (r < 0)
		return r;
	r = bl_etcd_client_call(s->client, BL_ETCD_WRITE, "kv/txn",
				bl_etcd_txn_json(json_incref(t.compares),
						 json_incref(t.then),
						 json_incref(t.otherwise)),
				&a, err);
	if (r < 0)
		return r;
	if (a.succeeded) {
		*ret_revision = a.revision;
		return 0;
	}
	for (i = 0; i < t.chunked; i++)
		if (i >= a.count_count || a.counts[i] == 0)
			return bl_err_set(err, -ESTALE, "chunks were lost");
	return bl_err_set(err, -EAGAIN, "%s was changed by somebody else",
			  compare_count ? compares[0].key : "a key");
}

static int etcd_txn(struct bl_store *head,
		    const struct bl_store_compare *compares,
		    size_t compare_count, const struct bl_store_put *puts,
		    size_t put_count, int64_t *ret_revision, struct bl_err *err)
{
	struct etcd_store *s = (struct etcd_store *)head;
	struct bl_err e = { 0 };
	int i, r = -ESTALE;

	for (i = 0; r == -ESTALE && i < TRIES; i++)
		r = txn_once(s, compares, compare_count, puts, put_count,
			     ret_revision, &e);
	if (r < 0 && err)
		*err = e;
	return r < 0 ? fail(s, r, err) : 0;
}

static int etcd_count(struct bl_store *head, const char *prefix, size_t *ret,
		      struct bl_err *err)
{
	struct etcd_store *s = (struct etcd_store *)head;
	BL_CLEANUP(bl_etcd_answer_free) struct bl_etcd_answer a = { 0 };
	char key[KEY_MAX], end[KEY_MAX];
	int r;

	key_of(s, prefix, key);
	bl_etcd_end(key, end);
	r = read_range(s,
		       &(struct bl_etcd_range){ .key = key,
						.key_len = strlen(key),
						.end = end,
						.count_only = true },
		       &a, err);
	if (r < 0)
		return fail(s, r, err);
	*ret = (size_t)a.count;
	return 0;
}

static int etcd_revision(struct bl_store *head, int64_t *ret,
			 struct bl_err *err)
{
	struct etcd_store *s = (struct etcd_store *)head;
	BL_CLEANUP(bl_etcd_answer_free) struct bl_etcd_answer a = { 0 };
	char key[KEY_MAX];
	int r;

	key_of(s, "", key);
	r = read_range(s,
		       &(struct bl_etcd_range){ .key = key,
						.key_len = strlen(key),
						.count_only = true },
		       &a, err);
	if (r < 0)
		return fail(s, r, err);
	*ret = a.revision;
	return 0;
}

static void etcd_close(struct bl_store *head)
{
	struct etcd_store *s = (struct etcd_store *)head;

	bl_etcd_client_close(s->client);
	free(s);
}

static const struct bl_store_ops etcd_ops = {
	.get = etcd_get,
	.list = etcd_list,
	.count = etcd_count,
	.txn = etcd_txn,
	.revision = etcd_revision,
	.close = etcd_close,
};

/* Marks an etcd that has no layout with ours; two may try at once. */
static int check_layout(struct etcd_store *s, struct bl_err *err)
{
	char key[PREFIX_MAX + 16];
	int i, r = 0;

	snprintf(key, sizeof(key), "%s/layout", s->prefix);
	for (i = 0; !r && i < TRIES; i++) {
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

	return len > 0 && len <= PREFIX_MAX && text[len - 1] != '/' &&
	       strspn(text, "abcdefghijklmnopqrstuvwxyz"
			    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/") == len;
}

static int open_client(struct etcd_store *s, const char *text,
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
			prefix, PREFIX_MAX);
	snprintf(s->prefix, sizeof(s->prefix), "%s", prefix);
	s->page = opts && opts->page ? opts->page : PAGE;
	return bl_etcd_client_open(&o, &s->client, err);
}

int bl_store_etcd_open(const char *text, const struct bl_store_etcd_opts *opts,
		       struct bl_store **ret, struct bl_err *err)
{
	struct etcd_store *s = calloc(1, sizeof(*s));
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
