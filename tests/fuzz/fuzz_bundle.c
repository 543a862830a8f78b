/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bundle that is accepted is packed again into the same members. Bytes that
 * are no zstd file are taken for a tar archive and put into one, so that what
 * lies behind the compression is reached.
 */
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/bundle/archive.h"
#include "loader/bundle/bundle.h"
#include "loader/bundle/content.h"
#include "tests/fuzz/fuzz.h"

#define ZSTD_BLOCK_MAX (128 * 1024)

unsigned fuzz_accepted;

/* A zstd frame of blocks that are stored as they are (RFC 8878, 3.1.1). */
static void store_zstd(const uint8_t *data, size_t size, struct bl_buf *out)
{
	static const uint8_t head[] = { 0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x58 };
	size_t take;

	FUZZ_CHECK(bl_buf_add(out, head, sizeof(head)) == 0);
	do {
		uint32_t h;

		take = size > ZSTD_BLOCK_MAX ? ZSTD_BLOCK_MAX : size;
		h = (uint32_t)take << 3 | (take == size);
		FUZZ_CHECK(bl_buf_add(out, &h, 3) == 0);
		FUZZ_CHECK(bl_buf_add(out, data, take) == 0);
		data += take;
		size -= take;
	} while (size);
}

static void check_same(const struct bl_buf *a, const struct bl_buf *b)
{
	FUZZ_CHECK(a->len == b->len);
	FUZZ_CHECK(memcmp(bl_buf_str(a), bl_buf_str(b), a->len) == 0);
}

static void check_accepted(const struct bl_bundle *b, const struct bl_buf *raw)
{
	bl_autoarchive struct bl_archive members = { 0 };
	bl_autobuf struct bl_buf packed = { 0 };
	BL_CLEANUP(bl_bundle_free) struct bl_bundle again = { 0 };

	check_same(&b->raw, raw);
	FUZZ_CHECK(bl_digest_valid(b->digest));
	FUZZ_CHECK(!b->manifest.content[0] == !b->content_bin.len);
	FUZZ_CHECK(bl_archive_unpack("a", raw->data, raw->len, &members,
				     NULL) == 0);
	FUZZ_CHECK(bl_archive_pack(&members, &packed, NULL) == 0);
	FUZZ_CHECK(bl_bundle_parse("again", packed.data, packed.len, &again,
				   NULL) == 0);
	check_same(&b->object, &again.object);
	FUZZ_CHECK(!b->object.data || !b->manifest.modules.count);
	for (size_t i = 0; i < BL_MODULES_MAX; i++)
		check_same(&b->modules[i], &again.modules[i]);
	check_same(&b->content_json, &again.content_json);
	check_same(&b->content_bin, &again.content_bin);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	BL_CLEANUP(bl_bundle_free) struct bl_bundle b = { 0 };
	bl_autobuf struct bl_buf raw = { 0 };
	struct bl_err err = { 0 };
	int r;

	if (bl_bundle_is(data, size))
		FUZZ_CHECK(bl_buf_add(&raw, data, size) == 0);
	else
		store_zstd(data, size, &raw);
	r = bl_bundle_parse("in", raw.data, raw.len, &b, &err);
	FUZZ_CHECK_ERR(r, &err);
	if (r) {
		FUZZ_CHECK(!b.raw.data && !b.object.data && !b.modules[0].data);
		return 0;
	}
	fuzz_accepted++;
	check_accepted(&b, &raw);
	return 0;
}
