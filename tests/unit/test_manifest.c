/* SPDX-License-Identifier: Apache-2.0 */
/* The manifest: what a person who made a mistake gets to read. */
#include <errno.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/bundle/manifest.h"
#include "tests/main.h"

#define HEAD "{\"name\": \"n\", \"version\": \"1\",\n\"object\": \"o\""
#define TWIN "{\"name\": \"n\", \"version\": \"1\",\n\"modules\": ["

static struct bl_manifest m;
static struct bl_err err;

static int parse(const char *text)
{
	m = (struct bl_manifest){ .name = "untouched" };
	err = (struct bl_err){ 0 };
	return bl_manifest_parse("m.json", text, strlen(text), &m, &err);
}

START_TEST(reads_all_of_it)
{
	ck_assert_int_eq(
		parse("{\"name\": \"my-sensor\", \"version\": \"1.2+git\","
		      "\"object\": \"a.bpf.o\", \"content\": \"c.json\","
		      "\"trial\": {\"probation_ms\": 0, \"min_events\": 0,"
		      "\"max_drop_ratio\": 0.25, \"max_ns_per_event\": 7}}"),
		0);
	ck_assert_str_eq(m.name, "my-sensor");
	ck_assert_str_eq(m.version, "1.2+git");
	ck_assert_str_eq(m.object, "a.bpf.o");
	ck_assert_str_eq(m.content, "c.json");
	ck_assert_uint_eq(m.trial.probation_ms, 0);
	ck_assert_uint_eq(m.trial.min_events, 0);
	ck_assert_double_eq(m.trial.max_drop_ratio, 0.25);
	ck_assert_uint_eq(m.trial.max_ns_per_event, 7);
}
END_TEST

START_TEST(reads_modules_in_the_place_of_an_object)
{
	ck_assert_int_eq(parse(TWIN "\"b.ko\", \"a.ko\"],"
				    "\"content\": \"c.json\"}"),
			 0);
	ck_assert_str_eq(m.object, "");
	ck_assert_str_eq(m.content, "c.json");
	ck_assert_uint_eq(m.modules.count, 2);
	ck_assert_str_eq(m.modules.file[0], "b.ko");
	ck_assert_str_eq(m.modules.file[1], "a.ko");
	ck_assert_uint_eq(m.trial.probation_ms, BL_TRIAL_PROBATION_MS);
	ck_assert_int_eq(parse(HEAD "}"), 0);
	ck_assert_uint_eq(m.modules.count, 0);
}
END_TEST

START_TEST(leaves_the_trial_its_defaults)
{
	ck_assert_int_eq(parse(HEAD ", \"trial\": {\"min_events\": 9}}"), 0);
	ck_assert_str_eq(m.content, "");
	ck_assert_uint_eq(m.trial.min_events, 9);
	ck_assert_uint_eq(m.trial.probation_ms, BL_TRIAL_PROBATION_MS);
	ck_assert_double_eq(m.trial.max_drop_ratio, BL_TRIAL_MAX_DROP_RATIO);
	ck_assert_uint_eq(m.trial.max_ns_per_event, BL_TRIAL_MAX_NS_PER_EVENT);
}
END_TEST

START_TEST(reads_what_the_exercise_must_show)
{
	ck_assert_int_eq(
		parse(HEAD
		      ", \"exercise\": {\"expect\": [\"connect\", \"exec\"],"
		      "\"max_drop_ratio\": 1, \"max_ns_per_event\": 500,"
		      "\"max_memory_bytes\": 4096}}"),
		0);
	ck_assert(m.exercise.expect_given);
	ck_assert_uint_eq(m.exercise.expect, BL_EXPECT(BL_EVENT_CONNECT) |
						     BL_EXPECT(BL_EVENT_EXEC));
	ck_assert_double_eq(m.exercise.max_drop_ratio, 1);
	ck_assert_uint_eq(m.exercise.max_ns_per_event, 500);
	ck_assert_uint_eq(m.exercise.max_memory_bytes, 4096);
}
END_TEST

/* An empty list is an answer; no list leaves it to the content. */
START_TEST(leaves_the_exercise_its_defaults)
{
	ck_assert_int_eq(parse(HEAD "}"), 0);
	ck_assert(!m.exercise.expect_given);
	ck_assert_double_eq(m.exercise.max_drop_ratio,
			    BL_EXERCISE_MAX_DROP_RATIO);
	ck_assert_uint_eq(m.exercise.max_ns_per_event,
			  BL_EXERCISE_MAX_NS_PER_EVENT);
	ck_assert_uint_eq(m.exercise.max_memory_bytes,
			  BL_EXERCISE_MAX_MEMORY_BYTES);
	ck_assert_int_eq(parse(HEAD ", \"exercise\": {\"expect\": []}}"), 0);
	ck_assert(m.exercise.expect_given);
	ck_assert_uint_eq(m.exercise.expect, 0);
	ck_assert_uint_eq(m.exercise.max_memory_bytes,
			  BL_EXERCISE_MAX_MEMORY_BYTES);
}
END_TEST

static const struct {
	const char *text, *message;
} mistakes[] = {
	{ HEAD ",\n\"contnt\": \"c\"}",
	  "m.json:3: contnt: unknown key (known: name, version, object, modules, content, trial, exercise, state, programs)" },
	{ HEAD ",\n\"exercise\": {\n\"max_drops\": 1}}",
	  "m.json:4: exercise.max_drops: unknown key (known: expect, max_drop_ratio, max_ns_per_event, max_memory_bytes)" },
	{ HEAD ",\n\"exercise\": {\"max_drop_ratio\": 1.01}}",
	  "m.json:3: exercise.max_drop_ratio: 1.01 is outside 0 to 1" },
	{ HEAD ",\n\"exercise\": {\"max_ns_per_event\": 0}}",
	  "m.json:3: exercise.max_ns_per_event: 0 is outside 1 to 1000000000" },
	{ HEAD ",\n\"exercise\": {\"max_memory_bytes\": 0}}",
	  "m.json:3: exercise.max_memory_bytes: 0 is outside 1 to 1099511627776" },
	{ HEAD ",\n\"state\": {\n\"counts\": \"kept\"}}",
	  "m.json:4: state.counts: not a word for a map (known: keep, reset, migrate)" },
	{ HEAD ",\n\"state\": {\"counts\": 1}}",
	  "m.json:3: state.counts: not a word for a map (known: keep, reset, migrate)" },
	{ HEAD ",\n\"state\": {\"a map\": \"keep\"}}",
	  "m.json:3: state: 'a map' is no name of a map (at most 63 letters, digits, _ and dots)" },
	{ HEAD ",\n\"exercise\": {\"expect\": [\n\"open\",\n\"exce\"]}}",
	  "m.json:5: exercise.expect[1]: no kind of event (known: exec, open, connect, dns)" },
	{ HEAD ",\n\"exercise\": {\"expect\": [null]}}",
	  "m.json:3: exercise.expect[0]: no kind of event (known: exec, open, connect, dns)" },
	{ HEAD ",\n\"exercise\": {\"expect\": \"open\"}}",
	  "m.json:3: exercise.expect: an array was expected, this is a string" },
	{ HEAD
	  ",\n\"exercise\": {\"expect\": [\"open\",\"open\",\"open\",\"open\",\"open\"]}}",
	  "m.json:3: exercise.expect: 5 elements is outside 0 to 4" },
	{ HEAD ",\n\"exercise\": true}",
	  "m.json:3: exercise: an object was expected, this is true" },
	{ HEAD ",\n\"trial\": {\n\"probation\": 1}}",
	  "m.json:4: trial.probation: unknown key (known: probation_ms, max_drop_ratio, max_ns_per_event, min_events, max_memory_bytes, max_cpu_ratio)" },
	{ HEAD ",\n\"trial\": {\"max_drop_ratio\": 1.5}}",
	  "m.json:3: trial.max_drop_ratio: 1.5 is outside 0 to 1" },
	{ HEAD ",\n\"trial\": {\"max_drop_ratio\": -0.5}}",
	  "m.json:3: trial.max_drop_ratio: -0.5 is outside 0 to 1" },
	{ HEAD ",\n\"trial\": {\"probation_ms\": 86400001}}",
	  "m.json:3: trial.probation_ms: 86400001 is outside 0 to 86400000" },
	{ HEAD ",\n\"trial\": {\"probation_ms\": \"1s\"}}",
	  "m.json:3: trial.probation_ms: a whole number was expected, this is a string" },
	{ HEAD ",\n\"trial\": []}",
	  "m.json:3: trial: an object was expected, this is an array" },
	{ HEAD ",\n\"content\": \"o\"}",
	  "m.json:3: content: object and content have the same name" },
	{ HEAD ",\n\"content\": \"content.bin\"}",
	  "m.json:3: content: the name 'content.bin' is taken by the bundle itself" },
	{ "{\"name\": \"n\", \"version\": \"1\",\n\"object\": \"digests.json\"}",
	  "m.json:2: object: the name 'digests.json' is taken by the bundle itself" },
	{ "{\"name\": \"n\",\n\"version\": \"1\"}",
	  "m.json:1: required key 'object' is missing (or 'modules', for a kernel module)" },
	{ HEAD ",\n\"modules\": [\"a.ko\"]}",
	  "m.json:3: modules: a bundle has an object or modules, not both" },
	{ TWIN "]}", "m.json:2: modules: 0 elements is outside 1 to 16" },
	{ TWIN "\"a.ko\",\n\"b.ko\",\n\"a.ko\"]}",
	  "m.json:4: modules[2]: 'a.ko' is named twice" },
	{ TWIN "\"a.ko\", 1]}",
	  "m.json:2: modules[1]: no name of a file of at most 99 bytes" },
	{ TWIN "\"../a.ko\"]}",
	  "m.json:2: modules[0]: '../a.ko' is not a plain name (letters, digits and . _ + -, beginning with none of . -)" },
	{ TWIN "\"content.bin\"]}",
	  "m.json:2: modules[0]: the name 'content.bin' is taken by the bundle itself" },
	{ TWIN "\"a.ko\"],\n\"content\": \"a.ko\"}",
	  "m.json:3: content: a module and the content have the same name" },
	{ TWIN "\"a.ko\"],\n\"state\": {}}",
	  "m.json:3: state: a kernel module has no maps that could be kept" },
	{ TWIN "\"a.ko\"],\n\"programs\": {}}",
	  "m.json:3: programs: a kernel module has no programs to speak of" },
	{ "{\"name\": \"n\", \"object\": \"o\",\n\"version\": \"1 2\"}",
	  "m.json:2: version: '1 2' is not a plain name (letters, digits and . _ + -, beginning with none of . -)" },
	{ "[]", "m.json:1: an object was expected, this is an array" },
};

START_TEST(mistake_names_line_and_field)
{
	ck_assert_int_eq(parse(mistakes[_i].text), -EBADMSG);
	ck_assert_str_eq(err.text, mistakes[_i].message);
	ck_assert_str_eq(m.name, "untouched");
}
END_TEST

static const char *const bad_names[] = { "/etc/passwd", "../o", "a/b",
					 ".",		"..",	".hidden",
					 "-rf",		"a b",	"" };

START_TEST(a_file_is_never_a_path)
{
	char text[256];

	snprintf(text, sizeof(text),
		 "{\"name\":\"n\",\"version\":\"1\",\"object\":\"%s\"}",
		 bad_names[_i]);
	ck_assert_int_eq(parse(text), -EBADMSG);
	ck_assert_ptr_nonnull(strstr(err.text, "m.json:1: object:"));
}
END_TEST

START_TEST(reads_what_becomes_of_the_maps)
{
	ck_assert_int_eq(parse(HEAD ", \"state\": {\"counts\": \"keep\","
				    "\"peers\": \"migrate\","
				    "\"cache\": \"reset\"}}"),
			 0);
	ck_assert_uint_eq(m.state.count, 3);
	ck_assert_str_eq(m.state.rules[1].map, "peers");
	ck_assert_int_eq(m.state.rules[0].word, BL_CARRY_KEEP);
	ck_assert_int_eq(m.state.rules[1].word, BL_CARRY_MIGRATE);
	ck_assert_int_eq(m.state.rules[2].word, BL_CARRY_RESET);
	ck_assert_int_eq(parse(HEAD "}"), 0);
	ck_assert_uint_eq(m.state.count, 0);
}
END_TEST

START_TEST(more_maps_than_the_limit)
{
	bl_autobuf struct bl_buf text = { 0 };
	int i;

	ck_assert_int_eq(bl_buf_printf(&text, HEAD ", \"state\": {"), 0);
	for (i = 0; i < BL_CARRY_RULES_MAX; i++)
		ck_assert_int_eq(bl_buf_printf(&text, "\"m%d\": \"keep\",", i),
				 0);
	ck_assert_int_eq(bl_buf_printf(&text, "\"m%d\": \"keep\"}}", i), 0);
	ck_assert_int_eq(parse(text.data), -EBADMSG);
	ck_assert_msg(strstr(err.text, "more than the limit of 64 maps"), "%s",
		      err.text);
}
END_TEST

START_TEST(beyond_the_limit)
{
	bl_autofree char *text = malloc(BL_MANIFEST_MAX + 2);

	ck_assert_ptr_nonnull(text);
	memset(text, ' ', BL_MANIFEST_MAX + 1);
	text[BL_MANIFEST_MAX + 1] = '\0';
	memcpy(text, HEAD "}", sizeof(HEAD));
	ck_assert_int_eq(parse(text), -EFBIG);
	text[BL_MANIFEST_MAX] = '\0';
	ck_assert_int_eq(parse(text), 0);
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *s = suite_create("manifest");
	TCase *t = tcase_create("strict");

	tcase_add_test(t, reads_all_of_it);
	tcase_add_test(t, reads_modules_in_the_place_of_an_object);
	tcase_add_test(t, leaves_the_trial_its_defaults);
	tcase_add_test(t, reads_what_the_exercise_must_show);
	tcase_add_test(t, leaves_the_exercise_its_defaults);
	tcase_add_loop_test(t, mistake_names_line_and_field, 0,
			    (int)BL_ARRAY_SIZE(mistakes));
	tcase_add_loop_test(t, a_file_is_never_a_path, 0,
			    (int)BL_ARRAY_SIZE(bad_names));
	tcase_add_test(t, reads_what_becomes_of_the_maps);
	tcase_add_test(t, more_maps_than_the_limit);
	tcase_add_test(t, beyond_the_limit);
	suite_add_tcase(s, t);
	return s;
}
