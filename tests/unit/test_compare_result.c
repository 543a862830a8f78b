/* SPDX-License-Identifier: Apache-2.0 */
/* Results of a comparison: what is written is what is read, and what a file
 * that was edited or cut short gets to hear. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "canary/compare/document.h"
#include "canary/ledger/record.h"
#include "loader/base/cleanup.h"
#include "loader/base/text.h"
#include "tests/main.h"

static struct bl_err err;

/* A run with something in every member. */
static void fill(struct bl_compare_result *r)
{
	*r = (struct bl_compare_result){
		.fault = "null-dereference",
		.kernel = "6.1.0-50-cloud-amd64",
		.way = BL_COMPARE_B,
		.gate = { BL_COMPARE_REJECTED, "exercise", NULL },
		.stopped_by = BL_COMPARE_GATE,
		.past_gate = BL_COMPARE_BOOT_LOOP,
		.hosts = 3,
		.exposed = 1,
		.crashes = 1,
		.reboots = 1,
		.outage_ms = 6200,
		.recover_ms = 6201,
		.attributed = BL_COMPARE_BLAMED,
		.as_expected = true,
		.took_ms = 31007,
		.belay = "0.1.0",
		.variant = "0123",
	};
	ck_assert_int_eq(bl_compare_set(&r->gate.words, "it \"panics\"\n"), 0);
	ck_assert_int_eq(bl_compare_down(r, 0, 0), 0);
	ck_assert_int_eq(bl_compare_down(r, 1500, 1), 0);
	ck_assert_int_eq(bl_compare_down(r, 7700, 0), 0);
	ck_assert_int_eq(bl_compare_say(r, 1500, "host-1", "%s", "panic"), 0);
	ck_assert_int_eq(bl_compare_say(r, 9000, "", "all well"), 0);
	ck_assert_int_eq(bl_compare_evidence(r, "host-1", "pstore: RIP"), 0);
	ck_assert_int_eq(bl_compare_log(r, "host-1", "line\n</script>\n"), 0);
	ck_assert_int_eq(bl_compare_live(r, "good"), 0);
	ck_assert_int_eq(bl_compare_live(r, ""), 0);
}

static int parse_run(const char *text, struct bl_compare_result *ret)
{
	bl_autojson_doc struct bl_json_doc doc = { 0 };
	int r;

	err = (struct bl_err){ 0 };
	r = bl_json_parse("r.json", text, strlen(text), &doc, &err);
	return r ? r : bl_compare_result_read(&doc, doc.root, "", ret, &err);
}

START_TEST(a_run_is_read_as_it_was_written)
{
	bl_autocompare_result struct bl_compare_result before = { 0 };
	bl_autocompare_result struct bl_compare_result after = { 0 };
	bl_autofree char *text = NULL, *again = NULL;

	fill(&before);
	text = bl_compare_dump(bl_compare_result_json(&before));
	ck_assert_ptr_nonnull(text);
	ck_assert_msg(parse_run(text, &after) == 0, "%s", err.text);
	ck_assert_int_eq(after.way, BL_COMPARE_B);
	ck_assert_int_eq(after.past_gate, BL_COMPARE_BOOT_LOOP);
	ck_assert_int_eq(after.outage_ms, 6200);
	ck_assert_int_eq(after.recover_ms, 6201);
	ck_assert_int_eq(after.took_ms, 31007);
	ck_assert_int_eq(after.attributed, BL_COMPARE_BLAMED);
	ck_assert_uint_eq(after.down_count, 3);
	ck_assert_int_eq(after.down[2].t_ms, 7700);
	ck_assert_str_eq(after.logs[0].text, "line\n</script>\n");
	ck_assert_str_eq(after.gate.words, "it \"panics\"\n");
	/* Nothing else got lost: the second text has all that the first has. */
	again = bl_compare_dump(bl_compare_result_json(&after));
	ck_assert_str_eq(text, again);
	/* A person who reads the file sees the time that was meant. */
	ck_assert_ptr_nonnull(strstr(text, "\"outage_s\": 6.2,"));
}
END_TEST

START_TEST(never_and_no_crash_and_no_result_are_told_apart_from_nothing)
{
	bl_autocompare_result struct bl_compare_result before = { 0 };
	bl_autocompare_result struct bl_compare_result after = { 0 };
	bl_autofree char *text = NULL;

	fill(&before);
	before.recover_ms = BL_COMPARE_NEVER;
	before.attributed = BL_COMPARE_NO_CRASH;
	ck_assert_int_eq(bl_compare_set(&before.failed, "no VM"), 0);
	text = bl_compare_dump(bl_compare_result_json(&before));
	ck_assert_msg(parse_run(text, &after) == 0, "%s", err.text);
	ck_assert_int_eq(after.recover_ms, BL_COMPARE_NEVER);
	ck_assert_int_eq(after.attributed, BL_COMPARE_NO_CRASH);
	ck_assert_str_eq(after.failed, "no VM");
}
END_TEST

/* In a good text @from is changed to @to. */
static const struct {
	const char *from, *to, *message;
} mistakes[] = {
	{ "\"recover_s\": 6.201,", "", "required key 'recover_s' is missing" },
	{ "\"attributed\": true,", "", "required key 'attributed' is missing" },
	{ "\"failed\": null,", "", "required key 'failed' is missing" },
	{ "\"hosts\": 3,", "", "required key 'hosts' is missing" },
	{ "\"lost\": 0", "\"lost\": 4", "r.json:17: lost: more hosts" },
	{ "\"exposed\": 1", "\"exposed\": 4", "exposed: more hosts" },
	{ "\"exposed\": 1", "\"exposed\": 99", "99 is outside 0 to 64" },
	{ "\"exposed\"", "\"expsoed\"", "expsoed: unknown key" },
	{ "\"way\": \"B\"", "\"way\": \"D\"",
	  "way: A, B or C was expected: D" },
	{ "\"stopped_by\": \"gate\"", "\"stopped_by\": \"luck\"",
	  "stopped_by: unknown word: luck" },
	{ "\"boot-loop\"", "\"reboot\"",
	  "past_gate.stopped_by: unknown word: reboot" },
	{ "\"rejected\"", "\"bad\"", "gate.verdict: unknown verdict: bad" },
	{ "7700", "700", "down: times must ascend" },
	{ "7700", "7700.5", "down: pairs [ms, hosts down] were expected" },
	{ "7700,\n   0", "7700,\n   9",
	  "down: more hosts down than there are" },
	{ "\"name\": \"host-1\",", "", "logs[0]" },
	{ "\"host\": \"host-1\",", "", "timeline[0]" },
	{ "\"outage_s\": 6.2", "\"outage_s\": -1", "outage_s: -1 is outside" },
	{ "\"outage_s\": 6.2", "\"outage_s\": null", "outage_s: a number" },
};

START_TEST(a_mistake_is_named_and_changes_nothing)
{
	bl_autocompare_result struct bl_compare_result good = { 0 };
	struct bl_compare_result ret = { .hosts = 77 };
	bl_autofree char *text = NULL;
	bl_autofree char *bad = NULL;
	const char *at;

	fill(&good);
	text = bl_compare_dump(bl_compare_result_json(&good));
	at = strstr(text, mistakes[_i].from);
	ck_assert_msg(at != NULL, "no %s in %s", mistakes[_i].from, text);
	ck_assert_int_ge(asprintf(&bad, "%.*s%s%s", (int)(at - text), text,
				  mistakes[_i].to,
				  at + strlen(mistakes[_i].from)),
			 0);
	ck_assert_int_eq(parse_run(bad, &ret), -EBADMSG);
	ck_assert_msg(strstr(err.text, mistakes[_i].message) != NULL,
		      "'%s' is not in '%s'", mistakes[_i].message, err.text);
	ck_assert_uint_eq(ret.hosts, 77);
	ck_assert_ptr_null(ret.logs);
}
END_TEST

START_TEST(a_long_log_keeps_both_ends_and_says_what_is_gone)
{
	bl_autocompare_result struct bl_compare_result r = { 0 };
	size_t size = 10 * BL_COMPARE_TEXT_MAX, i;
	bl_autofree char *log = malloc(size + 1), *text = NULL;

	/* Three bytes each, so that a cut would fall into one. */
	for (i = 0; i + 3 <= size; i += 3)
		memcpy(log + i, "\xe2\x82\xac", 3);
	log[i] = '\0';
	memcpy(log, "BEGIN", 5);
	memcpy(log + i - 3, "END", 3);
	ck_assert_int_eq(bl_compare_log(&r, "console", log), 0);
	ck_assert_uint_le(strlen(r.logs[0].text), BL_COMPARE_TEXT_MAX);
	ck_assert_int_eq(strncmp(r.logs[0].text, "BEGIN", 5), 0);
	ck_assert_str_eq(r.logs[0].text + strlen(r.logs[0].text) - 3, "END");
	ck_assert_ptr_nonnull(strstr(r.logs[0].text, "bytes are left out"));
	text = bl_compare_dump(bl_compare_result_json(&r));
	ck_assert_ptr_nonnull(text);
}
END_TEST

START_TEST(strange_bytes_and_endless_lists_do_not_spoil_the_file)
{
	bl_autocompare_result struct bl_compare_result r = { 0 }, after = { 0 };
	bl_autofree char *text = NULL;
	unsigned i;

	fill(&r);
	ck_assert_int_eq(bl_compare_log(&r, "raw", "a\x1b[31m\xff\xc3"), 0);
	for (i = 0; i < 2 * BL_COMPARE_TIMELINE_MAX; i++)
		ck_assert_int_eq(bl_compare_say(&r, 9001, "h", "line %u", i),
				 0);
	for (i = 0; i < 2 * BL_COMPARE_DOWN_MAX; i++)
		ck_assert_int_eq(bl_compare_down(&r, 8000 + i, i % 2), 0);
	ck_assert_str_eq(r.logs[1].text, "a?[31m??");
	ck_assert_uint_eq(r.timeline_count, BL_COMPARE_TIMELINE_MAX);
	ck_assert_ptr_nonnull(strstr(
		r.timeline[BL_COMPARE_TIMELINE_MAX - 1].text, "left out"));
	text = bl_compare_dump(bl_compare_result_json(&r));
	ck_assert_msg(parse_run(text, &after) == 0, "%s", err.text);
	ck_assert_int_eq(after.down[after.down_count - 1].t_ms,
			 8000 + 2 * BL_COMPARE_DOWN_MAX - 1);
}
END_TEST

/* Most hosts stay up for long: that is two points, not one for each beat. */
START_TEST(a_height_that_stays_is_two_points)
{
	bl_autocompare_result struct bl_compare_result r = { 0 };
	unsigned i;

	for (i = 0; i <= 100; i++)
		ck_assert_int_eq(bl_compare_down(&r, 250 * i, i >= 50), 0);
	ck_assert_uint_eq(r.down_count, 4);
	ck_assert_int_eq(r.down[1].t_ms, 250 * 49);
	ck_assert_int_eq(r.down[2].t_ms, 250 * 50);
	ck_assert_int_eq(r.down[3].t_ms, 250 * 100);
}
END_TEST

static void document(struct bl_compare *c)
{
	bl_autocompare_result struct bl_compare_result run = { 0 };

	*c = (struct bl_compare){ .made = "2026-11-26", .belay = "0.1.0" };
	bl_text_copy(c->kernels[c->kernel_count++], BL_COMPARE_KERNEL_MAX,
		     "6.1.0-50-cloud-amd64");
	c->faults = json_pack("[{s:s,s:s,s:{s:s}},{s:s}]", "id",
			      "null-dereference", "title", "Null", "ebpf",
			      "none", "no pointer is null", "id", "other");
	fill(&run);
	ck_assert_int_eq(bl_compare_add(c, &run), 0);
	ck_assert_ptr_null(run.logs);
	fill(&run);
	run.way = BL_COMPARE_A;
	run.lost = 3;
	run.exposed = 3;
	run.attributed = BL_COMPARE_NOT_BLAMED;
	ck_assert_int_eq(bl_compare_add(c, &run), 0);
	fill(&run);
	bl_text_copy(run.fault, sizeof(run.fault), "other");
	run.way = BL_COMPARE_A;
	run.lost = 3;
	ck_assert_int_eq(bl_compare_set(&run.failed, "no VM started"), 0);
	ck_assert_int_eq(bl_compare_add(c, &run), 0);
}

START_TEST(a_document_is_read_as_it_was_written)
{
	bl_autocompare struct bl_compare before = { 0 }, after = { 0 };
	bl_autofree char *text = NULL, *again = NULL;

	document(&before);
	before.overhead = json_pack("{s:f}", "ns", 61.25);
	text = bl_compare_dump(bl_compare_json(&before));
	ck_assert_ptr_nonnull(text);
	ck_assert_msg(bl_compare_parse("c.json", text, strlen(text), &after,
				       &err) == 0,
		      "%s", err.text);
	again = bl_compare_dump(bl_compare_json(&after));
	ck_assert_str_eq(text, again);
	ck_assert_ptr_nonnull(bl_compare_find(&after, "null-dereference",
					      "6.1.0-50-cloud-amd64",
					      BL_COMPARE_B));
	ck_assert_str_eq(bl_compare_fault_none(json_array_get(after.faults, 0),
					       BL_COMPARE_C),
			 "no pointer is null");
	ck_assert_ptr_null(bl_compare_fault_none(
		json_array_get(after.faults, 0), BL_COMPARE_A));
}
END_TEST

/* I6: what could not be run is in no number. */
START_TEST(a_run_that_could_not_be_made_is_counted_as_that_only)
{
	bl_autocompare struct bl_compare c = { 0 };
	struct bl_compare_total t;

	document(&c);
	bl_compare_sum(&c, NULL, BL_COMPARE_A, &t);
	ck_assert_uint_eq(t.runs, 2);
	ck_assert_uint_eq(t.failed, 1);
	ck_assert_uint_eq(t.hosts, 3);
	ck_assert_uint_eq(t.lost, 3);
	ck_assert_uint_eq(t.crashed, 1);
	ck_assert_uint_eq(t.blamed, 0);
	bl_compare_sum(&c, "6.1.0-50-cloud-amd64", BL_COMPARE_B, &t);
	ck_assert_uint_eq(t.lost, 0);
	ck_assert_uint_eq(t.rejected, 1);
	bl_compare_sum(&c, "another", BL_COMPARE_B, &t);
	ck_assert_uint_eq(t.runs, 0);
}
END_TEST

START_TEST(a_run_made_again_takes_the_place_of_the_first)
{
	bl_autocompare_result struct bl_compare_result run = { 0 };
	bl_autocompare struct bl_compare c = { 0 };
	struct bl_compare_total t;

	document(&c);
	fill(&run);
	run.reboots = 9;
	ck_assert_int_eq(bl_compare_add(&c, &run), 0);
	ck_assert_uint_eq(c.run_count, 3);
	bl_compare_sum(&c, NULL, BL_COMPARE_B, &t);
	ck_assert_uint_eq(t.reboots, 9);
}
END_TEST

static const struct {
	const char *text, *message;
} bad_documents[] = {
	{ "[]", "an object was expected" },
	{ "{}", "required key 'overhead' is missing" },
	{ "{\"schema\":2,\"overhead\":null}", "2 is outside 1 to 1" },
	{ "{\"schema\":1,\"made\":\"m\",\"belay\":\"b\",\"kernels\":[7],"
	  "\"faults\":[],\"runs\":[],\"overhead\":null}",
	  "kernels: a list of names" },
	{ "{\"schema\":1,\"made\":\"m\",\"belay\":\"b\",\"kernels\":[],"
	  "\"faults\":[{}],\"runs\":[],\"overhead\":null}",
	  "faults[0]: a fault needs an 'id'" },
	{ "{\"schema\":1,\"made\":\"m\",\"belay\":\"b\",\"kernels\":[],"
	  "\"faults\":[],\"runs\":[{}],\"overhead\":null}",
	  "runs[0]: required key 'failed' is missing" },
	{ "{\"schema\":1,\"made\":\"m\",\"belay\":\"b\",\"kernels\":[],"
	  "\"faults\":[],\"runs\":[],\"overhead\":7}",
	  "overhead: an object was expected" },
};

START_TEST(a_bad_document_is_refused)
{
	const char *text = bad_documents[_i].text;
	struct bl_compare ret = { .run_count = 77 };

	err = (struct bl_err){ 0 };
	ck_assert_int_eq(bl_compare_parse("c.json", text, strlen(text), &ret,
					  &err),
			 -EBADMSG);
	ck_assert_msg(strstr(err.text, bad_documents[_i].message) != NULL,
		      "'%s' is not in '%s'", bad_documents[_i].message,
		      err.text);
	ck_assert_uint_eq(ret.run_count, 77);
}
END_TEST

START_TEST(a_run_of_an_unlisted_fault_or_made_twice_is_refused)
{
	bl_autocompare struct bl_compare c = { 0 }, ret = { 0 };
	bl_autofree char *text = NULL, *twice = NULL;
	json_t *v;

	document(&c);
	v = bl_compare_json(&c);
	json_array_append(json_object_get(v, "runs"),
			  json_array_get(json_object_get(v, "runs"), 0));
	twice = bl_compare_dump(v);
	ck_assert_int_eq(bl_compare_parse("c.json", twice, strlen(twice), &ret,
					  &err),
			 -EBADMSG);
	ck_assert_ptr_nonnull(strstr(err.text, "before this"));
	json_array_remove(c.faults, 1);
	text = bl_compare_dump(bl_compare_json(&c));
	ck_assert_int_eq(bl_compare_parse("c.json", text, strlen(text), &ret,
					  &err),
			 -EBADMSG);
	ck_assert_ptr_nonnull(strstr(err.text, "none of the faults"));
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *s = suite_create("compare_result");
	TCase *run = tcase_create("run"), *all = tcase_create("document");

	tcase_add_test(run, a_run_is_read_as_it_was_written);
	tcase_add_test(
		run,
		never_and_no_crash_and_no_result_are_told_apart_from_nothing);
	tcase_add_loop_test(run, a_mistake_is_named_and_changes_nothing, 0,
			    BL_ARRAY_SIZE(mistakes));
	tcase_add_test(run, a_long_log_keeps_both_ends_and_says_what_is_gone);
	tcase_add_test(run,
		       strange_bytes_and_endless_lists_do_not_spoil_the_file);
	tcase_add_test(run, a_height_that_stays_is_two_points);
	suite_add_tcase(s, run);
	tcase_add_test(all, a_document_is_read_as_it_was_written);
	tcase_add_test(all,
		       a_run_that_could_not_be_made_is_counted_as_that_only);
	tcase_add_test(all, a_run_made_again_takes_the_place_of_the_first);
	tcase_add_loop_test(all, a_bad_document_is_refused, 0,
			    BL_ARRAY_SIZE(bad_documents));
	tcase_add_test(all,
		       a_run_of_an_unlisted_fault_or_made_twice_is_refused);
	suite_add_tcase(s, all);
	return s;
}
