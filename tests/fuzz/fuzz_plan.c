/* SPDX-License-Identifier: Apache-2.0 */
/* A plan that is accepted has waves of at least one host that never pass the
 * fleet, and never shrink where they are counted in the same way; it is the
 * same plan when written and read again. */
#include <string.h>

#include "canary/decide/plan.h"
#include "loader/base/cleanup.h"
#include "tests/fuzz/fuzz.h"

unsigned fuzz_accepted;

static void check_waves(const struct bl_plan *p, unsigned fleet)
{
	unsigned i, size, before = 0;

	for (i = 0; i < p->wave_count; i++) {
		if (p->waves[i].per_stratum || p->waves[i].names.count)
			continue; /* strata and names say how many */
		size = bl_plan_wave_size(p, i, fleet);
		FUZZ_CHECK(size <= fleet);
		FUZZ_CHECK(size >= before ||
			   !p->waves[i].hosts != !p->waves[i - 1].hosts);
		FUZZ_CHECK(!fleet || size > 0);
		before = size;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	bl_autofree char *text = NULL;
	bl_autofree char *text2 = NULL;
	struct bl_plan plan = { 0 }, again = { 0 };
	struct bl_err err = { 0 };
	int r = bl_plan_parse("in", (const char *)data, size, &plan, &err);

	FUZZ_CHECK_ERR(r, &err);
	FUZZ_CHECK(r == 0 || plan.wave_count == 0);
	if (r)
		return 0;
	fuzz_accepted++;
	FUZZ_CHECK(plan.wave_count > 0 && plan.wave_count <= BL_PLAN_WAVES_MAX);
	FUZZ_CHECK(plan.cap > 0);
	FUZZ_CHECK(plan.trial_ms > 0 && plan.silence_ms > 0);
	FUZZ_CHECK(plan.p0_percent <= 0 ||
		   bl_plan_rate(&plan, plan.wave_count) >
			   plan.p0_percent / 100);
	check_waves(&plan, 0);
	check_waves(&plan, 1);
	check_waves(&plan, 7);
	check_waves(&plan, BL_PLAN_HOSTS_MAX);
	text = bl_json_dump(bl_plan_json(&plan));
	FUZZ_CHECK(text);
	FUZZ_CHECK(bl_plan_parse("again", text, strlen(text), &again, &err) ==
		   0);
	text2 = bl_json_dump(bl_plan_json(&again));
	FUZZ_CHECK(text2 && strcmp(text, text2) == 0);
	return 0;
}
