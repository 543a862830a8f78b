/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A feed of MISP: a manifest's names are safe as files' names; whatever an
 * event says, what becomes of it compiles, each indicator has met one fate, and
 * the same event gives the same bytes.
 */
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/bundle/digest.h"
#include "loader/import/misp.h"
#include "tests/fuzz/fuzz.h"

unsigned fuzz_accepted;

static void as_manifest(const char *text, size_t size)
{
	bl_automisp struct bl_misp_manifest m = { 0 };
	struct bl_err err = { 0 };
	char digest[BL_DIGEST_HEX];
	size_t i;
	int r;

	FUZZ_CHECK(bl_digest(text, size, digest) == 0);
	r = bl_misp_manifest_read("in", text, size, digest, &m, &err);
	FUZZ_CHECK_ERR(r, &err);
	if (!r)
		fuzz_accepted++;
	for (i = 0; i < m.count; i++) {
		FUZZ_CHECK(bl_name_valid(m.events[i].uuid));
		FUZZ_CHECK(m.events[i].timestamp >= 0);
		FUZZ_CHECK(!i ||
			   m.events[i - 1].timestamp >= m.events[i].timestamp);
	}
}

static void check_counts(const struct bl_iocs *set, unsigned rules)
{
	uint64_t all = 0;
	unsigned i, k;

	FUZZ_CHECK(set->rules == rules);
	for (i = 0; i < set->type_count; i++)
		for (k = 0; k < BL_IOC_FATES; k++)
			all += set->types[i].fates[k];
	FUZZ_CHECK(all == set->count);
}

static int as_event(const char *text, size_t size, enum bl_action action,
		    struct bl_buf *ret)
{
	static const struct bl_misp_event said = {
		"5f1a0c2e-1111-4222-8333-0123456789ab", 1590000000
	};
	static const char rules[] =
		"{\"contract\":1,\"rules\":[{\"event\":\"connect\",\"address\":"
		"\"10.0.0.0/8\",\"action\":\"ignore\"},{\"event\":\"open\","
		"\"prefix\":\"/usr/\",\"action\":\"ignore\"}]}";
	const struct bl_iocs_base base = { "base", rules, sizeof(rules) - 1 };
	bl_autoiocs struct bl_iocs set = { .action = action };
	struct bl_content_info info = { 0 };
	struct bl_err err = { 0 };
	int r = bl_misp_event_read("in", text, size, &said, &set, &err);

	FUZZ_CHECK_ERR(r, &err);
	if (r)
		return r;
	r = bl_iocs_write(&set, &base, ret, &info, &err);
	FUZZ_CHECK_ERR(r, &err);
	FUZZ_CHECK(r == 0);
	check_counts(&set, info.rules - 2);
	return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	bl_autobuf struct bl_buf one = { 0 }, two = { 0 }, deny = { 0 };
	const char *text = (const char *)data;

	as_manifest(text, size);
	if (as_event(text, size, BL_ACTION_EMIT, &one))
		return 0;
	fuzz_accepted++;
	FUZZ_CHECK(as_event(text, size, BL_ACTION_EMIT, &two) == 0);
	FUZZ_CHECK(one.len == two.len && !memcmp(one.data, two.data, one.len));
	FUZZ_CHECK(as_event(text, size, BL_ACTION_DENY, &deny) == 0);
	return 0;
}
