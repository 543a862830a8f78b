/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "canary/store/etcd_chunks.h"
#include "canary/store/etcd_own.h"
#include "loader/base/cleanup.h"

#define INLINE_MAX (64u * 1024) /* times BL_STORE_TXN_MAX: below 1.5 MiB */
#define KEY_MAX	   BL_ETCD_KEY_MAX

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
static int add_put(struct bl_etcd_store *s, struct txn *t,
		   const struct bl_store_put *p, bool sweep, struct bl_err *err)
{
	char key[KEY_MAX], folder[KEY_MAX], end[KEY_MAX];
	struct bl_etcd_chunked c = { 0 };
	bool large = p->data && p->len > INLINE_MAX;
	int r = bl_etcd_folder_of(s, p->key, folder, err);

	if (!r && large)
		r = bl_etcd_chunks_write(s->client, folder, p->data, p->len, &c,
					 err);
	if (r < 0)
		return r;
	bl_etcd_key_of(s, p->key, key);
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

/*
 * A transaction without operations is answered by the member that is asked, from
 * what it has: it takes it for one whose reads all say that this will do
 * (isTxnSerializable, 3.4). One that counts the first key does not say so, and is
 * answered as of now.
 */
static int add_reading(struct txn *t, const char *key)
{
	return bl_etcd_add_op(t->then, BL_ETCD_RANGE,
			      bl_etcd_range_json(&(struct bl_etcd_range){
				      .key = key,
				      .key_len = strlen(key),
				      .count_only = true }));
}

/* -ESTALE: chunks of ours were swept away before they counted. */
static int txn_once(struct bl_etcd_store *s,
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
		bl_etcd_key_of(s, compares[i].key, key);
		if (json_array_append_new(
			    t.compares, bl_etcd_unchanged_json(
						key, compares[i].revision)) < 0)
			return bl_err_set(err, -ENOMEM, "out of memory");
	}
	for (i = 0; !r && i < put_count; i++)
		r = add_put(s, &t, &puts[i], put_count <= BL_STORE_TXN_MAX,
			    err);
	if (!put_count && add_reading(&t, key) < 0)
		r = bl_err_set(err, -ENOMEM, "out of memory");
	if (r < 0)
		return r;
	r = bl_etcd_client_call(
		s->client, put_count ? BL_ETCD_WRITE : BL_ETCD_READ, "kv/txn",
		bl_etcd_txn_json(json_incref(t.compares), json_incref(t.then),
				 json_incref(t.otherwise)),
		&a, err);
	if (r < 0)
		return r;
	if (a.succeeded) {
		if (put_count)
			*ret_revision = a.revision;
		return 0;
	}
	for (i = 0; i < t.chunked; i++)
		if (i >= a.count_count || a.counts[i] == 0)
			return bl_err_set(err, -ESTALE, "chunks were lost");
	return bl_err_set(err, -EAGAIN, "%s was changed by somebody else",
			  compare_count ? compares[0].key : "a key");
}

int bl_etcd_store_txn(struct bl_store *head,
		      const struct bl_store_compare *compares,
		      size_t compare_count, const struct bl_store_put *puts,
		      size_t put_count, int64_t *ret_revision,
		      struct bl_err *err)
{
	struct bl_etcd_store *s = (struct bl_etcd_store *)head;
	struct bl_err e = { 0 };
	int i, r = -ESTALE;

	for (i = 0; r == -ESTALE && i < BL_ETCD_TRIES; i++)
		r = txn_once(s, compares, compare_count, puts, put_count,
			     ret_revision, &e);
	if (r < 0 && err)
		*err = e;
	return r < 0 ? bl_etcd_store_fail(s, r, err) : 0;
}
