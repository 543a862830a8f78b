/* SPDX-License-Identifier: Apache-2.0 */
/* What an etcd (or what stands where one should) answers. Every input is tried
 * as a success and as a failure. */
#include <errno.h>
#include <string.h>

#include "canary/store/etcd_wire.h"
#include "loader/base/cleanup.h"
#include "tests/fuzz/fuzz.h"

unsigned fuzz_accepted;

static void as_answer(const char *text, size_t len)
{
	BL_CLEANUP(bl_etcd_answer_free) struct bl_etcd_answer a = { 0 };
	struct bl_err err = { 0 };
	int r = bl_etcd_answer_read(text, len, &a, &err);
	size_t i;

	FUZZ_CHECK_ERR(r, &err);
	if (r)
		return;
	fuzz_accepted++;
	FUZZ_CHECK(a.revision > 0);
	FUZZ_CHECK(a.count_count <= BL_STORE_MANY_MAX);
	for (i = 0; i < a.items.count; i++) {
		FUZZ_CHECK(*a.items.items[i].key);
		FUZZ_CHECK(a.items.items[i].revision > 0);
		FUZZ_CHECK(
			bl_buf_str(
				&a.items.items[i]
					 .value)[a.items.items[i].value.len] ==
			'\0');
	}
}

static void as_failure(const char *text, size_t len)
{
	struct bl_err err = { 0 };
	int r = bl_etcd_failure_read(500, text, len, &err);

	FUZZ_CHECK(r < 0);
	FUZZ_CHECK_ERR(r, &err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	as_answer((const char *)data, size);
	as_failure((const char *)data, size);
	return 0;
}
