/* SPDX-License-Identifier: Apache-2.0 */
/* What an agent and a controller say to each other: what one takes it writes
 * again in the same words. Every input is tried as both. */
#include <string.h>

#include "canary/ledger/protocol.h"
#include "loader/base/cleanup.h"
#include "tests/fuzz/fuzz.h"

unsigned fuzz_accepted;

static void as_poll(const char *text, size_t len)
{
	struct bl_poll p = { 0 }, again = { 0 };
	bl_autofree char *out = NULL;
	bl_autofree char *out2 = NULL;
	struct bl_err err = { 0 };
	int r = bl_poll_parse(text, len, &p, &err);

	FUZZ_CHECK_ERR(r, &err);
	if (r)
		return;
	fuzz_accepted++;
	FUZZ_CHECK(!*p.live || bl_digest_valid(p.live));
	FUZZ_CHECK(p.sample_count <= BL_SAMPLE_MAX);
	out = bl_json_dump(bl_poll_json(&p));
	FUZZ_CHECK(out);
	FUZZ_CHECK(bl_poll_parse(out, strlen(out), &again, &err) == 0);
	out2 = bl_json_dump(bl_poll_json(&again));
	FUZZ_CHECK(out2 && strcmp(out, out2) == 0);
}

static void as_order(const char *text, size_t len)
{
	struct bl_order o = { 0 }, again = { 0 };
	bl_autofree char *out = NULL;
	bl_autofree char *out2 = NULL;
	struct bl_err err = { 0 };
	int r = bl_order_parse(text, len, &o, &err);

	FUZZ_CHECK_ERR(r, &err);
	if (r)
		return;
	fuzz_accepted++;
	FUZZ_CHECK(!*o.digest || bl_digest_valid(o.digest));
	FUZZ_CHECK(o.kind != BL_ORDER_APPLY || *o.digest);
	out = bl_json_dump(bl_order_json(&o));
	FUZZ_CHECK(out);
	FUZZ_CHECK(bl_order_parse(out, strlen(out), &again, &err) == 0);
	out2 = bl_json_dump(bl_order_json(&again));
	FUZZ_CHECK(out2 && strcmp(out, out2) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	as_poll((const char *)data, size);
	as_order((const char *)data, size);
	return 0;
}
