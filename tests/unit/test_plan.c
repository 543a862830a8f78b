/* SPDX-License-Identifier: Apache-2.0 */
/* Plans: what a person who made a mistake gets to read, and how many hosts a
 * wave is. */
#include <stdlib.h>
#include <string.h>

#include "canary/decide/plan.h"
#include "loader/base/cleanup.h"
#include "tests/main.h"

static struct bl_plan plan;
static struct bl_err err;

static int parse(const char *text)
{
	err = (struct bl_err){ 0 };
	plan = (struct bl_plan){ 0 };
	return bl_plan_parse("p.json", text, strlen(text), &plan, &err);
}

START_TEST(reads_all_and_defaults_the_rest)
{
	ck_assert_int_eq(
		parse("{\"waves\":[{\"hosts\":2,\"soak_s\":7},{\"percent\":12.5}],"
		      "\"soak_s\":3,\"cap\":4,\"trial_s\":60,\"silence_s\":9,"
		      "\"gone_s\":100,\"probation_s\":5}"),
		0);
	ck_assert_uint_eq(plan.wave_count, 2);
	ck_assert_uint_eq(plan.waves[0].hosts, 2);
	ck_assert_int_eq(plan.waves[0].soak_ms, 7000);
	ck_assert_double_eq(plan.waves[1].percent, 12.5);
	ck_assert_int_eq(plan.waves[1].soak_ms, 3000);
	ck_assert_uint_eq(plan.cap, 4);
	ck_assert_int_eq(plan.trial_ms, 60000);
	ck_assert_int_eq(plan.silence_ms, 9000);
	ck_assert_int_eq(plan.gone_ms, 100000);
	ck_assert_int_eq(plan.probation_ms, 5000);
	ck_assert_int_eq(parse("{\"waves\":[{\"hosts\":1}]}"), 0);
	ck_assert_uint_gt(plan.cap, 0);
	ck_assert_int_gt(plan.silence_ms, 0);
}
END_TEST

START_TEST(reads_what_decides)
{
	ck_assert_int_eq(
		parse("{\"waves\":[{\"names\":[\"web-*\",\"db-1\"]},{\"per_stratum\":2},"
		      "{\"percent\":100,\"gate\":true}],\"strata\":[\"series\",\"label:zone\"],"
		      "\"p0_percent\":0.1,\"alpha\":1e-6,\"beta\":0.01,"
		      "\"ladder_percent\":[50,2],\"guards\":{\"drop_ratio\":10},\"soak_s\":40,"
		      "\"freeze\":[\"Fri 16:00 - Mon 06:00\"],\"leave_out\":[\"old-*\"]}"),
		0);
	ck_assert_str_eq(plan.strata[1], "label:zone");
	ck_assert_double_eq(plan.p0_percent, 0.1);
	ck_assert_double_eq(plan.alpha, 1e-6);
	ck_assert(plan.waves[2].gate && !plan.waves[1].gate);
	ck_assert_double_eq(bl_plan_rate(&plan, 0), 0.5);
	ck_assert_double_eq(bl_plan_rate(&plan, 2), 0.02);
	ck_assert(plan.guarded[BL_GUARD_DROP_RATIO]);
	ck_assert(!plan.guarded[BL_GUARD_MEMORY]);
	ck_assert(bl_plan_names_has(&plan, &plan.waves[0].names, "web-12"));
	ck_assert(bl_plan_names_has(&plan, &plan.waves[0].names, "db-1"));
	ck_assert(!bl_plan_names_has(&plan, &plan.waves[0].names, "db-12"));
	ck_assert(!bl_plan_names_has(&plan, &plan.waves[0].names, "old-1"));
	ck_assert(bl_plan_names_has(&plan, &plan.left_out, "old-1"));
}
END_TEST

/* A plan of before says what it said: nothing widens, nothing is tolerated. */
START_TEST(waves_alone_are_a_plan_without_tests)
{
	ck_assert_int_eq(parse("{\"waves\":[{\"hosts\":1},{\"percent\":50}]}"),
			 0);
	ck_assert_uint_eq(plan.ladder_count, 0);
	ck_assert_double_eq(bl_plan_rate(&plan, 0), 0);
	ck_assert_double_eq(plan.p0_percent, 0);
	/* Who tolerates a rate gets the rates above it to look for. */
	ck_assert_int_eq(
		parse("{\"waves\":[{\"hosts\":1}],\"p0_percent\":0.1}"), 0);
	ck_assert_uint_eq(plan.ladder_count, 3);
	ck_assert_double_eq(plan.ladder_percent[2], 1);
}
END_TEST

/* What the controller stores is what it reads back. */
START_TEST(survives_its_own_json)
{
	struct bl_plan before;
	char *text;

	ck_assert_int_eq(
		parse("{\"waves\":[{\"names\":[\"a\",\"b*\"]},{\"per_stratum\":1},"
		      "{\"hosts\":2},{\"percent\":33.3,\"soak_s\":41},"
		      "{\"percent\":100,\"soak_s\":0,\"gate\":true}],\"cap\":3,\"alpha\":0.007,"
		      "\"p0_percent\":0.03,\"ladder_percent\":[20,0.7],"
		      "\"strata\":[\"os\"],\"guards\":{\"memory\":33.3},\"soak_s\":99,"
		      "\"freeze\":[\"Sun 00:00 - Mon 00:30\","
		      "\"2026-02-28 12:00 - 2028-02-29 24:00\"],"
		      "\"leave_out\":[\"*\"],\"undecided\":\"stop\"}"),
		0);
	before = plan;
	text = bl_json_dump(bl_plan_json(&before));
	ck_assert_ptr_nonnull(text);
	ck_assert_int_eq(parse(text), 0);
	free(text);
	ck_assert_mem_eq(&plan, &before, sizeof(plan));
}
END_TEST

static const struct {
	const char *text, *message;
} mistakes[] = {
	{ "{}", "p.json:1: required key 'waves' is missing" },
	{ "{\"waves\":[]}", "p.json:1: waves: 0 elements is outside 1 to 16" },
	{ "{\"waves\":[{}]}",
	  "p.json:1: waves[0]: a wave has one of 'hosts', 'percent', 'per_stratum' and 'names', this one has none" },
	{ "{\"waves\":[{\"hosts\":1,\n\"percent\":1}]}",
	  "p.json:1: waves[0]: a wave has one of 'hosts', 'percent', 'per_stratum' and 'names', this one has two" },
	{ "{\"waves\":[{\"hosts\":1},\n{\"hosts\":1}]}",
	  "p.json:2: waves[1]: waves are totals: 1 hosts come after 1 hosts" },
	{ "{\"waves\":[{\"percent\":50},{\"percent\":20}]}",
	  "p.json:1: waves[1]: waves are totals: 20 percent comes after 50 percent" },
	{ "{\"waves\":[{\"percent\":0}]}",
	  "p.json:1: waves[0]: a wave of 0 percent exposes nobody" },
	{ "{\"waves\":[{\"percent\":101}]}",
	  "p.json:1: waves[0].percent: 101 is outside 0 to 100" },
	{ "{\"waves\":[{\"hosts\":1}],\n\"cap\":0}",
	  "p.json:2: cap: 0 is outside 1 to 1000000" },
	{ "{\"waves\":[{\"hosts\":1}],\"silense_s\":3}",
	  "p.json:1: silense_s: unknown key (known: waves, trial_s, silence_s, soak_s, cap, gone_s, probation_s, strata, p0_percent, alpha, beta, ladder_percent, guards, freeze, undecided, leave_out)" },
	{ "{\"waves\":[{\"hosts\":1}],\n\"undecided\":\"good\"}",
	  "p.json:2: undecided: 'good' is neither pause nor stop" },
	{ "{\"waves\":[{\"hosts\":1},{\"names\":[\"a\"]}]}",
	  "p.json:1: waves[1]: only the first wave may be of names" },
	{ "{\"waves\":[{\"names\":[\"a b\"]}]}",
	  "p.json:1: waves[0]: element 0 is not a host's name, or the beginning of one and a *" },
	{ "{\"waves\":[{\"per_stratum\":2},{\"per_stratum\":2}]}",
	  "p.json:1: waves[1]: waves are totals: 2 of each stratum come after 2" },
	{ "{\"waves\":[{\"percent\":2},{\"per_stratum\":2}]}",
	  "p.json:1: waves[1]: a wave of each stratum comes before those by percent" },
	{ "{\"waves\":[{\"hosts\":1}],\n\"strata\":[\"distro\"]}",
	  "p.json:2: strata: element 0 is not kernel, series, arch, os, role or label:KEY" },
	{ "{\"waves\":[{\"hosts\":1}],\n\"p0_percent\":1,\"ladder_percent\":[20,1]}",
	  "p.json:2: ladder_percent: element 1: rates are percents that fall, to above p0_percent (1)" },
	{ "{\"waves\":[{\"hosts\":1}],\n\"p0_percent\":20}",
	  "p.json:2: p0_percent: tolerating 20 percent wants a ladder_percent above it" },
	{ "{\"waves\":[{\"hosts\":1}],\n\"alpha\":0}",
	  "p.json:2: alpha: 0 is outside 1e-12 to 0.5" },
	{ "{\"waves\":[{\"hosts\":1}],\n\"guards\":{\"latency\":3}}",
	  "p.json:2: guards: 'latency' is not time_per_event, drop_ratio, events_more, events_fewer, memory or agent_cpu" },
	{ "{\"waves\":[{\"hosts\":1},\n{\"percent\":100}],\"soak_s\":39,\"guards\":{\"memory\":3}}",
	  "p.json:1: waves[0]: guards are measured after the commit: soak_s must be 40 or more in all waves but the last" },
	{ "{\"waves\":[{\"hosts\":1}],\n\"freeze\":[\"Friday\"]}",
	  "p.json:2: freeze: element 0 is neither like 'Fri 16:00 - Mon 06:00' nor like '2026-12-23 00:00 - 2027-01-02 00:00' (UTC)" },
	{ "{\"waves\":[{\"hosts\":1}],\"trial_s\":5,\"probation_s\":5}",
	  "p.json:1: probation_s (5) must be below trial_s (5), or every host is late" },
};

START_TEST(mistake_names_line_and_field)
{
	ck_assert_int_lt(parse(mistakes[_i].text), 0);
	ck_assert_str_eq(err.text, mistakes[_i].message);
}
END_TEST

static const struct {
	unsigned hosts, fleet, size;
	double percent;
} sizes[] = {
	{ 1, 0, 0, 0 },	     { 1, 6, 1, 0 },	  { 9, 6, 6, 0 },
	{ 0, 6, 3, 50 },     { 0, 7, 4, 50 },	  { 0, 1, 1, 0.1 },
	{ 0, 0, 0, 50 },     { 0, 1000, 1, 0.1 }, { 0, 1001, 2, 0.1 },
	{ 0, 3, 1, 33.333 }, { 0, 10, 10, 100 },  { 0, 10, 7, 70 },
	{ 0, 10, 3, 30 },
};

START_TEST(wave_sizes)
{
	struct bl_plan p = { .wave_count = 1 };

	p.waves[0].hosts = sizes[_i].hosts;
	p.waves[0].percent = sizes[_i].percent;
	ck_assert_uint_eq(bl_plan_wave_size(&p, 0, sizes[_i].fleet),
			  sizes[_i].size);
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *s = suite_create("plan");
	TCase *t = tcase_create("plan");

	tcase_add_test(t, reads_all_and_defaults_the_rest);
	tcase_add_test(t, reads_what_decides);
	tcase_add_test(t, waves_alone_are_a_plan_without_tests);
	tcase_add_test(t, survives_its_own_json);
	tcase_add_loop_test(t, mistake_names_line_and_field, 0,
			    (int)BL_ARRAY_SIZE(mistakes));
	tcase_add_loop_test(t, wave_sizes, 0, (int)BL_ARRAY_SIZE(sizes));
	suite_add_tcase(s, t);
	return s;
}
