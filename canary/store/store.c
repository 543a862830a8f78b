/* SPDX-License-Identifier: Apache-2.0 */
#include "canary/store/store.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "loader/base/cleanup.h"

void bl_store_item_free(struct bl_store_item *item)
{
	free(item->key);
	bl_buf_free(&item->value);
	*item = (struct bl_store_item){ 0 };
}

void bl_store_list_free(struct bl_store_list *list)
{
	size_t i;

	for (i = 0; i < list->count; i++)
		bl_store_item_free(&list->items[i]);
	free(list->items);
	*list = (struct bl_store_list){ 0 };
}

/* What follows @scheme in @url; NULL if it is another, or nothing follows. */
static const char *behind(const char *url, const char *scheme)
{
	size_t len = strlen(scheme);

	return strncmp(url, scheme, len) == 0 && url[len] ? url + len : NULL;
}

int bl_store_open(const char *url, struct bl_store **ret, struct bl_err *err)
{
	const char *path = behind(url, "sqlite:");
	const char *urls = behind(url, "etcd:");

	if (path)
		return bl_store_sqlite_open(path, ret, err);
	if (urls)
		return bl_store_etcd_open(urls, NULL, ret, err);
	bl_err_set(err, -EINVAL, "'%s' names no store", url);
	bl_err_hint(err, "a store is sqlite:FILE or etcd:URL[,URL…]");
	return -EINVAL;
}

void bl_store_close(struct bl_store *s)
{
	if (s)
		s->ops->close(s);
}

static bool key_valid(const char *key)
{
	size_t len = strlen(key);

	return len > 0 && len <= BL_STORE_KEY_MAX;
}

int bl_store_get(struct bl_store *s, const char *key, struct bl_store_item *ret,
		 struct bl_err *err)
{
	assert(key_valid(key));
	return s->ops->get(s, key, ret, err);
}

static int get_each(struct bl_store *s, const char *const *keys, size_t count,
		    struct bl_store_item *ret, struct bl_err *err)
{
	struct bl_err e = { 0 };
	size_t i;
	int r = 0;

	for (i = 0; i < count && (!r || r == -ENOENT); i++)
		r = s->ops->get(s, keys[i], &ret[i], &e);
	if (r < 0 && r != -ENOENT && err)
		*err = e;
	return r == -ENOENT ? 0 : r;
}

int bl_store_get_many(struct bl_store *s, const char *const *keys, size_t count,
		      struct bl_store_item *ret, struct bl_err *err)
{
	size_t i;
	int r;

	assert(count <= BL_STORE_MANY_MAX);
	for (i = 0; i < count; i++) {
		assert(key_valid(keys[i]));
		ret[i] = (struct bl_store_item){ 0 };
	}
	if (!count)
		return 0;
	r = s->ops->get_many ? s->ops->get_many(s, keys, count, ret, err)
			     : get_each(s, keys, count, ret, err);
	for (i = 0; r < 0 && i < count; i++)
		bl_store_item_free(&ret[i]);
	return r;
}

int bl_store_list(struct bl_store *s, const char *prefix,
		  struct bl_store_list *ret, struct bl_err *err)
{
	return bl_store_changed(s, prefix, 0, ret, err);
}

int bl_store_changed(struct bl_store *s, const char *prefix, int64_t since,
		     struct bl_store_list *ret, struct bl_err *err)
{
	assert(key_valid(prefix));
	return s->ops->list(s, prefix, since, ret, err);
}

int bl_store_count(struct bl_store *s, const char *prefix, size_t *ret,
		   struct bl_err *err)
{
	assert(key_valid(prefix));
	return s->ops->count(s, prefix, ret, err);
}

int bl_store_txn(struct bl_store *s, const struct bl_store_compare *compares,
		 size_t compare_count, const struct bl_store_put *puts,
		 size_t put_count, struct bl_err *err)
{
	int64_t ignored;

	return bl_store_txn_at(s, compares, compare_count, puts, put_count,
			       &ignored, err);
}

int bl_store_txn_at(struct bl_store *s, const struct bl_store_compare *compares,
		    size_t compare_count, const struct bl_store_put *puts,
		    size_t put_count, int64_t *ret_revision, struct bl_err *err)
{
	size_t i, bytes = 0;

	assert(compare_count <= BL_STORE_MANY_MAX);
	assert(put_count <= BL_STORE_MANY_MAX);
	assert(compare_count > 0 || put_count > 0);
	for (i = 0; i < put_count; i++) {
		assert(key_valid(puts[i].key));
		if (puts[i].len > BL_STORE_VALUE_MAX)
			return bl_err_set(
				err, -EFBIG,
				"the value of %s is larger than the limit of %u bytes",
				puts[i].key, BL_STORE_VALUE_MAX);
		bytes += puts[i].len;
	}
	if (put_count > BL_STORE_TXN_MAX && bytes > BL_STORE_MANY_BYTES)
		return bl_err_set(
			err, -EFBIG,
			"a transaction of %zu values has %zu bytes, more than the limit of %u",
			put_count, bytes, BL_STORE_MANY_BYTES);
	return s->ops->txn(s, compares, compare_count, puts, put_count,
			   ret_revision, err);
}

int bl_store_revision(struct bl_store *s, int64_t *ret, struct bl_err *err)
{
	return s->ops->revision(s, ret, err);
}
