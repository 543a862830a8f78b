/* SPDX-License-Identifier: Apache-2.0 */
/* belay bundle as scripts call it: exit codes, JSON, and nothing half done. */
#include <jansson.h>
#include <string.h>
#include <unistd.h>

#include "loader/base/cleanup.h"
#include "loader/base/cli.h"
#include "loader/base/file.h"
#include "loader/base/proc.h"
#include "loader/bundle/digest.h"
#include "tests/main.h"
#include "tests/support/hostile.h"

static char *dir;
static struct bl_proc_result res;

static void setup(void)
{
	dir = bl_test_tmpdir();
	hostile_write_inputs(dir);
}

static void teardown(void)
{
	bl_proc_result_free(&res);
	ck_assert_int_eq(bl_file_rmtree(dir, NULL), 0);
	free(dir);
}

/* Runs "belay bundle ARGS" in the folder of the inputs; its exit status. */
static int bundle(const char *args)
{
	const struct bl_proc_opts o = { .cwd = dir, .timeout_ms = 600000 };
	bl_autofree char *line =
		bl_path("%s/belay bundle %s", BL_TEST_BUILD_DIR, args);
	const char *const argv[] = { "sh", "-c", line, NULL };

	bl_proc_result_free(&res);
	ck_assert_int_eq(bl_proc_run(argv, &o, &res, NULL), 0);
	return res.status;
}

static void assert_says(const char *what)
{
	ck_assert_msg(strstr(bl_buf_str(&res.out), what), "\"%s\" lacks \"%s\"",
		      bl_buf_str(&res.out), what);
}

static void put(const char *name, const char *text)
{
	bl_autofree char *path = bl_path("%s/%s", dir, name);

	ck_assert_int_eq(bl_file_write(path, text, strlen(text), 0644, NULL),
			 0);
}

static bool exists(const char *name)
{
	bl_autofree char *path = bl_path("%s/%s", dir, name);

	return access(path, F_OK) == 0;
}

/* The digest that the last command printed as JSON. */
static void json_digest(char ret[static BL_DIGEST_HEX])
{
	json_t *v = json_loadb(res.out.data, res.out.len, 0, NULL);
	const char *digest = json_string_value(json_object_get(v, "digest"));

	ck_assert_msg(bl_digest_valid(digest), "%s", res.out.data);
	memcpy(ret, digest, BL_DIGEST_HEX);
	json_decref(v);
}

START_TEST(build_inspect_and_verify_agree)
{
	bl_autofree char *verify = NULL;
	char built[BL_DIGEST_HEX], seen[BL_DIGEST_HEX];

	ck_assert_int_eq(bundle("build manifest.json -o a.bundle --json"),
			 BL_EXIT_OK);
	json_digest(built);
	ck_assert_int_eq(bundle("inspect --json a.bundle"), BL_EXIT_OK);
	json_digest(seen);
	ck_assert_str_eq(built, seen);
	ck_assert_int_eq(bundle("inspect a.bundle"), BL_EXIT_OK);
	assert_says("probe 1.0");
	assert_says("sensor.bpf.o");
	verify = bl_path("verify a.bundle --digest %s", built);
	ck_assert_int_eq(bundle(verify), BL_EXIT_OK);
	assert_says(built);
	ck_assert_int_eq(bundle("verify a.bundle --json"), BL_EXIT_OK);
	json_digest(seen);
	ck_assert_str_eq(built, seen);
}
END_TEST

START_TEST(another_digest_is_a_rejection)
{
	ck_assert_int_eq(bundle("build manifest.json -o a.bundle"), 0);
	ck_assert_int_eq(bundle("verify a.bundle --digest "
				"00000000000000000000000000000000"
				"00000000000000000000000000000000"),
			 BL_EXIT_REJECTED);
	assert_says("another one: its digest is");
}
END_TEST

START_TEST(what_is_no_bundle_is_a_rejection)
{
	ck_assert_int_eq(bundle("verify manifest.json"), BL_EXIT_REJECTED);
	assert_says("manifest.json is not a bundle");
	ck_assert_int_eq(bundle("inspect sensor.bpf.o"), BL_EXIT_REJECTED);
}
END_TEST

START_TEST(what_cannot_be_read_is_undecided)
{
	ck_assert_int_eq(bundle("verify gone.bundle"), BL_EXIT_UNDECIDED);
	assert_says("gone.bundle");
	ck_assert_int_eq(bundle("inspect ."), BL_EXIT_UNDECIDED);
	ck_assert_int_eq(bundle("build gone.json -o a.bundle"),
			 BL_EXIT_UNDECIDED);
	ck_assert(!exists("a.bundle"));
}
END_TEST

START_TEST(a_mistake_builds_nothing)
{
	put("manifest.json", "{\"name\": \"a\",\n\"versoin\": \"1\"}");
	ck_assert_int_eq(bundle("build manifest.json -o a.bundle"),
			 BL_EXIT_REJECTED);
	assert_says("manifest.json:2: versoin: unknown key");
	ck_assert(!exists("a.bundle"));
}
END_TEST

START_TEST(a_place_that_cannot_be_written_is_undecided)
{
	ck_assert_int_eq(bundle("build manifest.json -o no/such/a.bundle"),
			 BL_EXIT_UNDECIDED);
	assert_says("no/such/a.bundle");
}
END_TEST

static const char *const inputs[] = { "manifest.json", "sensor.bpf.o",
				      "./content.json" };

START_TEST(an_input_is_never_replaced)
{
	bl_autofree char *path = bl_path("%s/%s", dir, inputs[_i]);
	bl_autofree char *args =
		bl_path("build manifest.json -o %s", inputs[_i]);
	bl_autobuf struct bl_buf before = { 0 }, after = { 0 };

	ck_assert_int_eq(bl_file_read(path, 1 << 20, &before, NULL), 0);
	ck_assert_int_eq(bundle(args), BL_EXIT_USAGE);
	assert_says("would replace");
	ck_assert_int_eq(bl_file_read(path, 1 << 20, &after, NULL), 0);
	ck_assert_uint_eq(before.len, after.len);
	ck_assert_mem_eq(before.data, after.data, before.len);
}
END_TEST

static const char *const misuse[] = {
	"build",
	"build manifest.json",
	"build manifest.json -o",
	"build manifest.json -o a b",
	"build -x manifest.json",
	"verify",
	"verify a --digest abc",
	"verify a --output b",
	"inspect a b",
	"frobnicate",
};

START_TEST(wrong_usage_is_64_and_says_where_help_is)
{
	ck_assert_int_eq(bundle(misuse[_i]), BL_EXIT_USAGE);
	assert_says("--help");
}
END_TEST

START_TEST(help_shows_an_example)
{
	static const char *const verbs[] = { "--help", "build --help",
					     "inspect --help",
					     "verify --help" };
	size_t i;

	for (i = 0; i < BL_ARRAY_SIZE(verbs); i++) {
		ck_assert_int_eq(bundle(verbs[i]), BL_EXIT_OK);
		assert_says("example: belay bundle");
	}
}
END_TEST

/* The bundle is signed, and hosts look for it: in what it came is no matter. */
START_TEST(bundle_in_an_archive_is_signed_as_the_bundle)
{
	bl_autofree char *start =
		bl_path("build manifest.json -o web.oci && "
			"%s/belay trust init repo --keys keys",
			BL_TEST_BUILD_DIR);

	ck_assert_int_eq(bundle(start), 0);
	ck_assert_int_eq(bundle("sign web.oci --repo repo --keys keys"), 0);
	assert_says("  web.bundle  serial ");
	ck_assert_int_eq(bundle("verify web.oci --trust keys --repo repo"), 0);
	assert_says(" as web.bundle");
	ck_assert_int_eq(bundle("build manifest.json -o web.bundle"), 0);
	ck_assert_int_eq(bundle("verify web.bundle --trust keys"), 0);
	assert_says(" as web.bundle");
	/* It is the same target, not a second one. */
	ck_assert_int_eq(bundle("sign web.bundle --repo repo --keys keys"), 0);
	ck_assert_int_eq(
		bundle("sign web.bundle --withdraw --repo repo --keys keys"),
		0);
	ck_assert_int_eq(bundle("verify web.oci --trust keys --repo repo"),
			 BL_EXIT_REJECTED);
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *s = suite_create("bundle_cli");
	TCase *t = tcase_create("verbs");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, build_inspect_and_verify_agree);
	tcase_add_test(t, another_digest_is_a_rejection);
	tcase_add_test(t, what_is_no_bundle_is_a_rejection);
	tcase_add_test(t, what_cannot_be_read_is_undecided);
	tcase_add_test(t, a_mistake_builds_nothing);
	tcase_add_test(t, a_place_that_cannot_be_written_is_undecided);
	tcase_add_loop_test(t, an_input_is_never_replaced, 0,
			    BL_ARRAY_SIZE(inputs));
	tcase_add_loop_test(t, wrong_usage_is_64_and_says_where_help_is, 0,
			    (int)BL_ARRAY_SIZE(misuse));
	tcase_add_test(t, bundle_in_an_archive_is_signed_as_the_bundle);
	tcase_add_test(t, help_shows_an_example);
	suite_add_tcase(s, t);
	return s;
}
