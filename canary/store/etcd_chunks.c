/* SPDX-License-Identifier: Apache-2.0 */
#include "canary/store/etcd_chunks.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "loader/base/cleanup.h"

#define PAGE 8 /* chunks of one request */

void bl_etcd_end(const char *prefix, char ret[static BL_ETCD_KEY_MAX])
{
	size_t len = strlen(prefix);

	memcpy(ret, prefix, len + 1);
	ret[len - 1]++;
}

void bl_etcd_chunk_key(const char *folder, const char *name, unsigned long n,
		       char ret[static BL_ETCD_KEY_MAX])
{
	snprintf(ret, BL_ETCD_KEY_MAX, "%s%s/%06lu", folder, name, n);
}

static int draw_name(char ret[static BL_ETCD_CHUNK_NAME], struct bl_err *err)
{
	unsigned char random[BL_ETCD_CHUNK_NAME / 2];
	size_t i;

	if (getrandom(random, sizeof(random), 0) != sizeof(random))
		return bl_err_errno(err, -errno, "cannot draw a name");
	for (i = 0; i < sizeof(random); i++)
		snprintf(ret + 2 * i, 3, "%02x", random[i]);
	return 0;
}

int bl_etcd_chunks_write(struct bl_etcd_client *client, const char *folder,
			 const void *data, size_t len,
			 struct bl_etcd_chunked *ret, struct bl_err *err)
{
	struct bl_etcd_chunked c = { .size = len };
	char key[BL_ETCD_KEY_MAX];
	size_t done = 0;
	int r = draw_name(c.name, err);

	while (!r && done < len) {
		BL_CLEANUP(bl_etcd_answer_free) struct bl_etcd_answer a = { 0 };
		size_t n = len - done < BL_ETCD_CHUNK_BYTES
				   ? len - done
				   : BL_ETCD_CHUNK_BYTES;

		bl_etcd_chunk_key(folder, c.name, c.chunks++, key);
		r = bl_etcd_client_call(
			client, BL_ETCD_WRITE_AGAIN, "kv/put",
			bl_etcd_put_json(key, (const char *)data + done, n), &a,
			err);
		done += n;
	}
	if (!r)
		*ret = c;
	return r;
}

int bl_etcd_chunks_read(struct bl_etcd_client *client, const char *folder,
			const struct bl_etcd_chunked *c, int64_t revision,
			struct bl_buf *ret, struct bl_err *err)
{
	char at[BL_ETCD_KEY_MAX], name[BL_ETCD_KEY_MAX], end[BL_ETCD_KEY_MAX];
	bl_autobuf struct bl_buf value = { 0 };
	unsigned long n = 0;
	size_t i;
	int r;

	snprintf(name, sizeof(name), "%s%s/", folder, c->name);
	bl_etcd_end(name, end);
	while (n < c->chunks && value.len <= c->size) {
		BL_CLEANUP(bl_etcd_answer_free) struct bl_etcd_answer a = { 0 };

		bl_etcd_chunk_key(folder, c->name, n, at);
		r = bl_etcd_client_call(
			client, BL_ETCD_READ, "kv/range",
			bl_etcd_range_json(
				&(struct bl_etcd_range){ .key = at,
							 .key_len = strlen(at),
							 .end = end,
							 .revision = revision,
							 .limit = PAGE }),
			&a, err);
		if (r < 0)
			return r;
		for (i = 0; i < a.items.count; i++)
			if (bl_buf_add(&value,
				       bl_buf_str(&a.items.items[i].value),
				       a.items.items[i].value.len) < 0)
				return bl_err_set(err, -ENOMEM,
						  "out of memory");
		n += a.items.count;
		if (!a.items.count)
			break;
	}
	if (n != c->chunks || value.len != c->size)
		return bl_err_set(err, -EBADMSG,
				  "%lu of %lu chunks of it are there", n,
				  c->chunks);
	*ret = value;
	value = (struct bl_buf){ 0 };
	return 0;
}
