/* SPDX-License-Identifier: Apache-2.0 */
/* A baseline that is accepted is sorted, each pair once, every cost known; it
 * is the same when written and read again, and any report can be held against
 * it: at least one finding, and never a pass for what nobody verified. */
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/gate/budget.h"
#include "tests/fuzz/fuzz.h"

unsigned fuzz_accepted;

static void add(struct bl_report *r, const char *program, const char *kernel,
		uint64_t insns)
{
	struct bl_report_kernel k = { .name = (char *)kernel };
	struct bl_finding f = { .status = BL_STATUS_ACCEPTED,
				.effort.insns = insns,
				.check = (char *)"verifier",
				.program = (char *)program,
				.kernel = (char *)kernel };

	FUZZ_CHECK(bl_report_add_kernel(r, &k) == 0);
	FUZZ_CHECK(bl_report_add(r, &f) == 0);
}

static void check_against(const struct bl_baseline *b)
{
	struct bl_budget_limits limits = BL_BUDGET_LIMITS;
	bl_autobaseline struct bl_baseline merged = { 0 };
	bl_autoreport struct bl_report report = { 0 };
	struct bl_err err = { 0 };
	const struct bl_baseline_entry *e = b->entries;
	size_t i;
	int r;

	FUZZ_CHECK(bl_report_init(&report, "in", "object") == 0);
	FUZZ_CHECK(bl_budget_check(b, &limits, &report) == 0);
	FUZZ_CHECK(report.count > 0);
	FUZZ_CHECK(bl_report_verdict(&report, NULL) != BL_VERDICT_PASS);
	if (!b->count)
		return;
	add(&report, e[0].program, e[b->count - 1].kernel, 200);
	add(&report, "p", "6.1.0-57-cloud-amd64", 100);
	FUZZ_CHECK(bl_budget_check(b, &limits, &report) == 0);
	r = bl_baseline_merge(b, &report, &merged, &err);
	FUZZ_CHECK_ERR(r, &err);
	FUZZ_CHECK(r == 0 && merged.count > 0);
	for (i = 1; i < merged.count; i++)
		FUZZ_CHECK(bl_baseline_find(&merged, merged.entries[i].program,
					    merged.entries[i].kernel) ==
			   &merged.entries[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	bl_autobaseline struct bl_baseline b = { 0 }, again = { 0 };
	bl_autobuf struct bl_buf text = { 0 };
	bl_autobuf struct bl_buf text2 = { 0 };
	struct bl_err err = { 0 };
	int r = bl_baseline_parse("in", (const char *)data, size, &b, &err);
	size_t i;

	FUZZ_CHECK_ERR(r, &err);
	FUZZ_CHECK(r == 0 || !b.entries);
	if (r)
		return 0;
	fuzz_accepted++;
	for (i = 0; i < b.count; i++) {
		const struct bl_baseline_entry *e = &b.entries[i];

		FUZZ_CHECK(e->effort.insns > 0 && *e->program && *e->kernel);
		FUZZ_CHECK(bl_baseline_find(&b, e->program, e->kernel) == e);
		FUZZ_CHECK(strcmp(bl_baseline_kernel(&b, e->kernel),
				  e->kernel) == 0);
	}
	FUZZ_CHECK(bl_baseline_print(&b, &text) == 0);
	FUZZ_CHECK(bl_baseline_parse("again", text.data, text.len, &again,
				     &err) == 0);
	FUZZ_CHECK(bl_baseline_print(&again, &text2) == 0);
	FUZZ_CHECK(strcmp(text.data, text2.data) == 0);
	check_against(&b);
	return 0;
}
