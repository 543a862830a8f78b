/* SPDX-License-Identifier: Apache-2.0 */
#include "canary/store/etcd_wire.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/base/text.h"

#define BASE64 sodium_base64_VARIANT_ORIGINAL

/* What the gateway passes on of gRPC's codes. */
enum grpc {
	GRPC_CANCELLED = 1,
	GRPC_UNKNOWN = 2,
	GRPC_INVALID = 3,
	GRPC_DEADLINE = 4,
	GRPC_DENIED = 7,
	GRPC_EXHAUSTED = 8,
	GRPC_RANGE = 11,
	GRPC_UNAVAILABLE = 14,
	GRPC_UNAUTHENTICATED = 16,
};

static json_t *base64_json(const void *data, size_t len)
{
	size_t size = sodium_base64_encoded_len(len, BASE64);
	bl_autofree char *text = malloc(size);

	if (!text)
		return NULL;
	sodium_bin2base64(text, size, data, len, BASE64);
	return json_stringn_nocheck(text, size - 1);
}

static json_t *number_json(int64_t n)
{
	return json_sprintf("%lld", (long long)n);
}

/* Sets a member of an object that may be NULL; the object, or NULL. */
static json_t *with(json_t *obj, const char *key, json_t *value)
{
	if (obj && json_object_set_new_nocheck(obj, key, value) == 0)
		return obj;
	if (!obj)
		json_decref(value);
	json_decref(obj);
	return NULL;
}

static json_t *with_key(json_t *obj, const char *name, const char *key)
{
	return with(obj, name, base64_json(key, strlen(key)));
}

json_t *bl_etcd_range_json(const struct bl_etcd_range *q)
{
	json_t *v = with(json_object(), "key", base64_json(q->key, q->key_len));

	if (q->end)
		v = with_key(v, "range_end", q->end);
	if (q->revision)
		v = with(v, "revision", number_json(q->revision));
	if (q->since)
		v = with(v, "min_mod_revision", number_json(q->since + 1));
	if (q->limit)
		v = with(v, "limit", number_json(q->limit));
	if (q->count_only)
		v = with(v, "count_only", json_true());
	return v;
}

json_t *bl_etcd_put_json(const char *key, const void *data, size_t len)
{
	return with(with_key(json_object(), "key", key), "value",
		    base64_json(data, len));
}

json_t *bl_etcd_delete_json(const char *key, const char *end)
{
	json_t *v = with_key(json_object(), "key", key);

	return end ? with_key(v, "range_end", end) : v;
}

json_t *bl_etcd_unchanged_json(const char *key, int64_t revision)
{
	json_t *v = with_key(json_object(), "key", key);

	v = with(v, "target", json_string("MOD"));
	v = with(v, "result", json_string("EQUAL"));
	return with(v, "mod_revision", number_json(revision));
}

json_t *bl_etcd_present_json(const char *key)
{
	json_t *v = with_key(json_object(), "key", key);

	v = with(v, "target", json_string("CREATE"));
	v = with(v, "result", json_string("GREATER"));
	return with(v, "create_revision", number_json(0));
}

int bl_etcd_add_op(json_t *list, enum bl_etcd_op op, json_t *request)
{
	static const char *const names[] = {
		[BL_ETCD_PUT] = "request_put",
		[BL_ETCD_DELETE] = "request_delete_range",
		[BL_ETCD_RANGE] = "request_range",
	};
	json_t *v = with(json_object(), names[op], request);

	return json_array_append_new(list, v) < 0 ? -ENOMEM : 0;
}

json_t *bl_etcd_txn_json(json_t *compares, json_t *then, json_t *otherwise)
{
	json_t *v = with(json_object(), "compare", compares);

	return with(with(v, "success", then), "failure", otherwise);
}

void bl_etcd_answer_free(struct bl_etcd_answer *a)
{
	bl_store_list_free(&a->items);
	*a = (struct bl_etcd_answer){ 0 };
}

/* A number that may be left out, or stand as a string. */
static int read_number(const json_t *v, int64_t *ret)
{
	const char *text = json_string_value(v);
	char *end;
	long long n;

	if (!v || json_is_integer(v)) {
		*ret = json_integer_value(v);
		return 0;
	}
	if (!text || !*text)
		return -EBADMSG;
	errno = 0;
	n = strtoll(text, &end, 10);
	if (errno || *end)
		return -EBADMSG;
	*ret = n;
	return 0;
}

static int read_base64(const json_t *v, struct bl_buf *ret)
{
	size_t len = json_string_length(v), used = 0;

	if (v && !json_is_string(v))
		return -EBADMSG;
	if (bl_buf_reserve(ret, len + 1) < 0)
		return -ENOMEM;
	if (len && sodium_base642bin((unsigned char *)ret->data, len,
				     json_string_value(v), len, NULL, &used,
				     NULL, BASE64) != 0)
		return -EBADMSG;
	ret->data[used] = '\0';
	ret->len = used;
	return 0;
}

static int read_item(const json_t *kv, struct bl_store_item *ret)
{
	BL_CLEANUP(bl_store_item_free) struct bl_store_item item = { 0 };
	bl_autobuf struct bl_buf key = { 0 };
	int r = read_base64(json_object_get(kv, "key"), &key);

	if (!r)
		r = read_base64(json_object_get(kv, "value"), &item.value);
	if (!r)
		r = read_number(json_object_get(kv, "mod_revision"),
				&item.revision);
	if (r < 0)
		return r;
	/* No key of ours is empty, has a NUL in it or was never written. */
	if (!key.len || strlen(key.data) != key.len || item.revision <= 0)
		return -EBADMSG;
	item.key = BL_TAKE(key.data);
	*ret = item;
	item = (struct bl_store_item){ 0 };
	return 0;
}

/* Behind those that are there. */
static int read_items(const json_t *kvs, struct bl_store_list *ret)
{
	size_t i, n = json_array_size(kvs);
	int r = kvs && !json_is_array(kvs) ? -EBADMSG : 0;
	struct bl_store_item *items;

	if (r < 0 || !n)
		return r;
	items = reallocarray(ret->items, ret->count + n, sizeof(*items));
	if (!items)
		return -ENOMEM;
	ret->items = items;
	for (i = 0; !r && i < n; i++) {
		items[ret->count] = (struct bl_store_item){ 0 };
		r = read_item(json_array_get(kvs, i), &items[ret->count++]);
	}
	return r;
}

/* Only those of reads are of use; other operations count as 0. */
static int read_responses(const json_t *responses, struct bl_etcd_answer *ret)
{
	const json_t *v;
	size_t i;
	int r = 0;

	json_array_foreach (responses, i, v) {
		if (i == BL_STORE_MANY_MAX)
			break;
		const json_t *range = json_object_get(v, "response_range");

		r = read_number(json_object_get(range, "count"),
				&ret->counts[i]);
		if (!r)
			r = read_items(json_object_get(range, "kvs"),
				       &ret->items);
		if (r < 0)
			break;
		ret->count_count = i + 1;
	}
	return r;
}

int bl_etcd_answer_read(const char *text, size_t len,
			struct bl_etcd_answer *ret, struct bl_err *err)
{
	BL_CLEANUP(bl_etcd_answer_free) struct bl_etcd_answer a = { 0 };
	bl_autojson_doc struct bl_json_doc doc = { 0 };
	int r = bl_json_parse("etcd's answer", text, len, &doc, err);

	if (r < 0)
		return r;
	r = read_number(json_object_get(json_object_get(doc.root, "header"),
					"revision"),
			&a.revision);
	/* etcd begins at 1: an answer without is none. */
	if (!r && a.revision <= 0)
		r = -EBADMSG;
	if (!r)
		r = read_number(json_object_get(doc.root, "count"), &a.count);
	if (!r && a.count < 0)
		r = -EBADMSG;
	if (!r)
		r = read_items(json_object_get(doc.root, "kvs"), &a.items);
	if (!r)
		r = read_responses(json_object_get(doc.root, "responses"), &a);
	if (r == -ENOMEM)
		return bl_err_set(err, r, "out of memory");
	if (r < 0)
		return bl_err_set(err, r,
				  "the answer is not one that etcd gives");
	a.succeeded = json_is_true(json_object_get(doc.root, "succeeded"));
	a.more = json_is_true(json_object_get(doc.root, "more"));
	*ret = a;
	a = (struct bl_etcd_answer){ 0 };
	return 0;
}

static int errno_of(int64_t code, const char *words)
{
	switch (code) {
	case GRPC_CANCELLED:
	case GRPC_UNKNOWN:
	case GRPC_DEADLINE:
	case GRPC_UNAVAILABLE:
		return -EHOSTUNREACH;
	case GRPC_DENIED:
	case GRPC_UNAUTHENTICATED:
		return -EACCES;
	case GRPC_RANGE:
		return strstr(words, "compacted") ? -ESTALE : -EPROTO;
	case GRPC_INVALID:
		return strstr(words, "too large") ? -EFBIG : -EPROTO;
	case GRPC_EXHAUSTED:
		if (strstr(words, "space exceeded"))
			return -ENOSPC;
		return strstr(words, "larger than max") ? -EFBIG
							: -EHOSTUNREACH;
	default:
		return -EPROTO;
	}
}

int bl_etcd_failure_read(long status, const char *text, size_t len,
			 struct bl_err *err)
{
	bl_autojson json_t *obj =
		json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
	const json_t *said = json_object_get(obj, "error");
	char words[BL_ERR_TEXT_MAX / 2];
	int64_t code = 0;

	if (!json_is_string(said) ||
	    read_number(json_object_get(obj, "code"), &code) < 0) {
		bl_err_set(err, -EPROTO, "it answered %ld and is no etcd",
			   status);
		bl_err_hint(
			err,
			"belay wants etcd 3.4 or newer, at the URL where its clients go");
		return -EPROTO;
	}
	bl_text_copy(words, sizeof(words), json_string_value(said));
	return bl_err_set(err, errno_of(code, words), "%s", words);
}
