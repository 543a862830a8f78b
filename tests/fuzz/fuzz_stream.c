/* SPDX-License-Identifier: Apache-2.0 */
/* What comes from a guest that may be dying: in whatever pieces it arrives, it
 * means the same, and no output is made up or lost. */
#include <string.h>

#include "loader/lab/stream.h"
#include "tests/fuzz/fuzz.h"

#define MARK "0123456789abcdef0123456789abcdef01234567"

unsigned fuzz_accepted;

_Static_assert(sizeof(MARK) == BL_STREAM_MARK_LEN + 1, "a whole mark");

static void feed(const uint8_t *data, size_t size, size_t piece,
		 struct bl_stream *s, struct bl_buf *out)
{
	size_t at, take;

	memcpy(s->mark, MARK, sizeof(MARK));
	for (at = 0; at < size; at += take) {
		take = piece < size - at ? piece : size - at;
		FUZZ_CHECK(bl_stream_feed(s, data + at, take, out) == 0);
	}
	FUZZ_CHECK(bl_stream_flush(s, out) == 0);
	FUZZ_CHECK(out->len <= size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bl_stream whole = { 0 }, pieces = { 0 };
	struct bl_buf out = { 0 }, out2 = { 0 };

	feed(data, size, size, &whole, &out);
	feed(data, size, size ? 1 + data[0] % 50 : 1, &pieces, &out2);
	fuzz_accepted += whole.state == BL_STREAM_ENDED;
	FUZZ_CHECK(whole.state == pieces.state);
	FUZZ_CHECK(whole.exit_status == pieces.exit_status);
	FUZZ_CHECK(strcmp(whole.fail, pieces.fail) == 0);
	FUZZ_CHECK(whole.state != BL_STREAM_ENDED ||
		   (whole.exit_status >= 0 && whole.exit_status <= 255));
	FUZZ_CHECK(whole.state != BL_STREAM_BOOTING || out.len == 0);
	FUZZ_CHECK(out.len == out2.len &&
		   memcmp(bl_buf_str(&out), bl_buf_str(&out2), out.len) == 0);
	bl_stream_free(&whole);
	bl_stream_free(&pieces);
	bl_buf_free(&out);
	bl_buf_free(&out2);
	return 0;
}
