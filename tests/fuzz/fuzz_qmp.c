/* SPDX-License-Identifier: Apache-2.0 */
/* What QEMU's monitor says: in whatever pieces it comes, it means the same, and
 * no more is answered than was asked. */
#include <string.h>

#include "loader/lab/qmp.h"
#include "tests/fuzz/fuzz.h"

unsigned fuzz_accepted;

#define ASKED 3

static int feed(const uint8_t *data, size_t size, size_t piece,
		struct bl_qmp *q)
{
	struct bl_err err = { 0 };
	size_t at, take;
	int r = 0;

	q->owed = ASKED;
	for (at = 0; at < size && r == 0; at += take) {
		take = piece < size - at ? piece : size - at;
		r = bl_qmp_feed(q, data + at, take, &err);
		FUZZ_CHECK_ERR(r, &err);
	}
	FUZZ_CHECK(q->owed <= ASKED);
	FUZZ_CHECK(q->greeted || q->owed == ASKED);
	FUZZ_CHECK(!bl_qmp_idle(q) || q->greeted);
	FUZZ_CHECK(r < 0 || q->held.len <= BL_QMP_LINE_MAX);
	return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bl_qmp whole = { 0 }, pieces = { 0 };
	int r = feed(data, size, size, &whole);
	int r2 = feed(data, size, size ? 1 + data[0] % 50 : 1, &pieces);

	fuzz_accepted += r == 0 && whole.greeted;
	FUZZ_CHECK(r == r2);
	FUZZ_CHECK(whole.greeted == pieces.greeted);
	FUZZ_CHECK(whole.owed == pieces.owed);
	FUZZ_CHECK(whole.migration == pieces.migration);
	bl_qmp_free(&whole);
	bl_qmp_free(&pieces);
	return 0;
}
