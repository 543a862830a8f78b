/* SPDX-License-Identifier: Apache-2.0 */
/* Bundles that people build: the way round, the same bytes, their mistakes. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <utime.h>

#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/bundle/bundle.h"
#include "loader/bundle/content.h"
#include "tests/main.h"
#include "tests/support/built.h"
#include "tests/support/hostile.h"
#include "tests/support/ko.h"

static char *dir;
static struct bl_bundle bundle;
static struct bl_err err;

static void setup(void)
{
	dir = bl_test_tmpdir();
	hostile_write_inputs(dir);
}

static void teardown(void)
{
	bl_bundle_free(&bundle);
	ck_assert_int_eq(bl_file_rmtree(dir, NULL), 0);
	free(dir);
}

static int build_in(const char *folder, struct bl_bundle *ret)
{
	bl_autofree char *path = bl_path("%s/manifest.json", folder);

	err = (struct bl_err){ 0 };
	return bl_bundle_build(path, ret, &err);
}

static void put(const char *name, const char *text)
{
	bl_autofree char *path = bl_path("%s/%s", dir, name);

	ck_assert_int_eq(bl_file_write(path, text, strlen(text), 0644, NULL),
			 0);
}

static void assert_same(const struct bl_buf *a, const struct bl_buf *b)
{
	ck_assert_uint_eq(a->len, b->len);
	ck_assert_int_eq(memcmp(bl_buf_str(a), bl_buf_str(b), a->len), 0);
}

START_TEST(what_was_built_is_what_is_opened)
{
	bl_autofree char *file = bl_path("%s/out.bundle", dir);
	bl_autofree char *object = bl_path("%s/sensor.bpf.o", dir);
	BL_CLEANUP(bl_bundle_free) struct bl_bundle again = { 0 };
	bl_autobuf struct bl_buf o = { 0 };
	char hex[BL_DIGEST_HEX];

	ck_assert_int_eq(build_in(dir, &bundle), 0);
	ck_assert_int_eq(bl_file_write(file, bundle.raw.data, bundle.raw.len,
				       0644, NULL),
			 0);
	ck_assert_int_eq(bl_bundle_open(file, &again, &err), 0);
	ck_assert_str_eq(again.manifest.name, "probe");
	ck_assert_str_eq(again.manifest.version, "1.0");
	ck_assert_uint_eq(again.manifest.trial.probation_ms, 250);
	ck_assert_uint_eq(again.manifest.trial.min_events, BL_TRIAL_MIN_EVENTS);
	ck_assert_int_eq(bl_file_read(object, BL_OBJECT_MAX, &o, NULL), 0);
	assert_same(&again.object, &o);
	assert_same(&again.raw, &bundle.raw);
	assert_same(&again.content_bin, &bundle.content_bin);
	ck_assert_str_eq(again.digest, bundle.digest);
	ck_assert_int_eq(bl_digest(again.raw.data, again.raw.len, hex), 0);
	ck_assert_str_eq(again.digest, hex);
	ck_assert(bl_bundle_is(again.raw.data, again.raw.len));
}
END_TEST

START_TEST(content_is_carried_with_what_it_compiles_to)
{
	bl_autobuf struct bl_buf bin = { 0 };

	ck_assert_int_eq(build_in(dir, &bundle), 0);
	ck_assert_uint_gt(bundle.content_json.len, 0);
	ck_assert_int_eq(bl_content_compile("c", bundle.content_json.data,
					    bundle.content_json.len, &bin, NULL,
					    NULL),
			 0);
	assert_same(&bundle.content_bin, &bin);
}
END_TEST

START_TEST(an_object_may_come_without_content)
{
	put("manifest.json", "{\"name\":\"a\",\"version\":\"1\","
			     "\"object\":\"sensor.bpf.o\"}");
	ck_assert_int_eq(build_in(dir, &bundle), 0);
	ck_assert_str_eq(bundle.manifest.content, "");
	ck_assert_uint_eq(bundle.content_json.len, 0);
	ck_assert_uint_eq(bundle.content_bin.len, 0);
	ck_assert_uint_gt(bundle.object.len, 0);
}
END_TEST

START_TEST(same_input_gives_same_digest_anywhere)
{
	bl_autofree char *other = bl_path("%s/deep/er", dir);
	bl_autofree char *object = bl_path("%s/deep/er/sensor.bpf.o", dir);
	BL_CLEANUP(bl_bundle_free) struct bl_bundle b = { 0 };
	const struct utimbuf old = { 1000000000, 1000000000 };

	ck_assert_int_eq(build_in(dir, &bundle), 0);
	ck_assert_int_eq(bl_file_mkdirs(other, 0700, NULL), 0);
	hostile_write_inputs(other);
	ck_assert_int_eq(utime(object, &old), 0);
	ck_assert_int_eq(chmod(object, 0600), 0);
	ck_assert_int_eq(setenv("TZ", "Asia/Kathmandu", 1), 0);
	tzset();
	ck_assert_int_eq(build_in(other, &b), 0);
	ck_assert_str_eq(bundle.digest, b.digest);
	assert_same(&bundle.raw, &b.raw);
}
END_TEST

START_TEST(any_change_of_input_changes_the_digest)
{
	static const char *const files[] = { "manifest.json", "content.json",
					     "sensor.bpf.o" };
	size_t i;

	ck_assert_int_eq(build_in(dir, &bundle), 0);
	for (i = 0; i < BL_ARRAY_SIZE(files); i++) {
		bl_autofree char *path = bl_path("%s/%s", dir, files[i]);
		BL_CLEANUP(bl_bundle_free) struct bl_bundle b = { 0 };
		bl_autobuf struct bl_buf text = { 0 };

		ck_assert_int_eq(bl_file_read(path, 1 << 20, &text, NULL), 0);
		ck_assert_int_eq(bl_buf_add(&text, "\n", 1), 0);
		ck_assert_int_eq(bl_file_write(path, text.data, text.len, 0644,
					       NULL),
				 0);
		ck_assert_int_eq(build_in(dir, &b), 0);
		ck_assert_str_ne(bundle.digest, b.digest);
	}
}
END_TEST

START_TEST(mistake_in_content_names_its_line)
{
	put("content.json", "{\"contract\": 1,\n\"rules\": [\n"
			    "{\"event\": \"open\", \"paht\": \"/a\"}]}\n");
	ck_assert_int_eq(build_in(dir, &bundle), -EBADMSG);
	ck_assert_ptr_nonnull(strstr(err.text, "content.json:3:"));
	ck_assert_ptr_nonnull(strstr(err.text, "paht"));
	ck_assert_ptr_null(bundle.raw.data);
}
END_TEST

START_TEST(missing_object_is_named)
{
	put("manifest.json", "{\"name\":\"a\",\"version\":\"1\","
			     "\"object\":\"gone.o\"}");
	ck_assert_int_eq(build_in(dir, &bundle), -ENOENT);
	ck_assert_ptr_nonnull(strstr(err.text, "gone.o"));
}
END_TEST

/* A name in a manifest may lead to a pipe that nobody will ever write to. */
START_TEST(what_is_no_file_is_refused_and_not_waited_for)
{
	static const char *const names[] = { "sensor.bpf.o", "content.json" };

	for (size_t i = 0; i < BL_ARRAY_SIZE(names); i++) {
		bl_autofree char *path = bl_path("%s/%s", dir, names[i]);
		bl_autofree char *away = bl_path("%s/away", dir);

		ck_assert_int_eq(rename(path, away), 0);
		ck_assert_int_eq(mkfifo(path, 0600), 0);
		ck_assert_int_eq(build_in(dir, &bundle), -EINVAL);
		ck_assert_ptr_nonnull(strstr(err.text, names[i]));
		ck_assert_ptr_nonnull(strstr(err.text, "not a regular file"));
		ck_assert_int_eq(rename(away, path), 0);
	}
	ck_assert_int_eq(build_in(dir, &bundle), 0);
}
END_TEST

START_TEST(object_beyond_the_limit_is_refused)
{
	bl_autofree char *path = bl_path("%s/sensor.bpf.o", dir);

	ck_assert_int_eq(truncate(path, (off_t)BL_OBJECT_MAX + 1), 0);
	ck_assert_int_eq(build_in(dir, &bundle), -EFBIG);
	ck_assert_ptr_nonnull(strstr(err.text, "sensor.bpf.o"));
	ck_assert_int_eq(truncate(path, (off_t)BL_OBJECT_MAX), 0);
	ck_assert_int_eq(build_in(dir, &bundle), 0);
}
END_TEST

/* Before it is shipped, and whoever built it. */
START_TEST(a_map_that_the_object_does_not_have_is_named)
{
	static const struct {
		const char *state, *says;
	} rows[] = {
		{ "{\"same\": \"keep\", \"ext_at_end\": \"migrate\"}", NULL },
		{ "{\"smae\": \"keep\"}",
		  "manifest.json: state.smae: the object has no such map (it has: " },
		{ "{\"same_ring\": \"keep\"}",
		  "state.same_ring: \"keep\" cannot be done with this ringbuf" },
		{ "{\".bss\": \"keep\"}",
		  "state..bss: \"keep\" cannot be done with this array: global variables begin anew" },
	};
	bl_autobuf struct bl_buf object = { 0 };
	bl_autofree char *path = bl_path("%s/sensor.bpf.o", dir);

	built_object("abi", &object);
	ck_assert_int_eq(
		bl_file_write(path, object.data, object.len, 0644, NULL), 0);
	for (size_t i = 0; i < BL_ARRAY_SIZE(rows); i++) {
		bl_autofree char *manifest =
			bl_path("{\"name\": \"n\", \"version\": \"1\","
				"\"object\": \"sensor.bpf.o\", \"state\": %s}",
				rows[i].state);

		put("manifest.json", manifest);
		bl_bundle_free(&bundle);
		ck_assert_int_eq(build_in(dir, &bundle),
				 rows[i].says ? -EBADMSG : 0);
		if (rows[i].says)
			ck_assert_msg(strstr(err.text, rows[i].says), "%s",
				      err.text);
	}
}
END_TEST

static void put_ko(const char *name, const struct ko *ko)
{
	bl_autofree char *path = bl_path("%s/%s", dir, name);
	bl_autobuf struct bl_buf file = { 0 };

	ko_make(ko, &file);
	ck_assert_int_eq(bl_file_write(path, file.data, file.len, 0644, NULL),
			 0);
}

static void put_modules(void)
{
	put("manifest.json", "{\"name\":\"twin\",\"version\":\"1\","
			     "\"modules\":[\"b.ko\",\"a.ko\"],"
			     "\"content\":\"content.json\"}");
	put_ko("a.ko", &(struct ko){ .vermagic = "6.1.0-56 SMP ",
				     .build_bytes = 20,
				     .build = 1 });
	put_ko("b.ko", &(struct ko){ .vermagic = "6.12.95 SMP ",
				     .build_bytes = 20,
				     .build = 2 });
}

START_TEST(modules_come_in_the_place_of_an_object)
{
	BL_CLEANUP(bl_bundle_free) struct bl_bundle again = { 0 };
	bl_autobuf struct bl_buf a = { 0 };
	bl_autofree char *path = bl_path("%s/a.ko", dir);

	put_modules();
	ck_assert_int_eq(build_in(dir, &bundle), 0);
	ck_assert_int_eq(bl_bundle_parse("again", bundle.raw.data,
					 bundle.raw.len, &again, &err),
			 0);
	ck_assert_uint_eq(again.manifest.modules.count, 2);
	ck_assert_uint_eq(again.object.len, 0);
	ck_assert_int_eq(bl_file_read(path, BL_MODULE_MAX, &a, NULL), 0);
	assert_same(&again.modules[1], &a);
	assert_same(&again.modules[0], &bundle.modules[0]);
	ck_assert_uint_eq(again.modules[2].len, 0);
	ck_assert_uint_gt(again.content_bin.len, 0);
}
END_TEST

START_TEST(a_module_that_is_a_pipe_is_refused_and_not_waited_for)
{
	bl_autofree char *path = bl_path("%s/a.ko", dir);

	put_modules();
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(mkfifo(path, 0600), 0);
	ck_assert_int_eq(build_in(dir, &bundle), -EINVAL);
	ck_assert_ptr_nonnull(strstr(err.text, "a.ko is not a regular file"));
}
END_TEST

START_TEST(a_bundle_of_modules_takes_other_content)
{
	static const char json[] = "{\"contract\": 1, \"rules\": []}";
	BL_CLEANUP(bl_bundle_free) struct bl_bundle other = { 0 };

	put_modules();
	ck_assert_int_eq(build_in(dir, &bundle), 0);
	ck_assert_int_eq(bl_bundle_with_content(&bundle, "new.json", json,
						sizeof(json) - 1, &other, &err),
			 0);
	assert_same(&other.modules[0], &bundle.modules[0]);
	assert_same(&other.modules[1], &bundle.modules[1]);
	ck_assert_str_ne(other.digest, bundle.digest);
}
END_TEST

START_TEST(modules_that_no_host_could_choose_from_are_refused)
{
	put_modules();
	put_ko("b.ko", &(struct ko){ .vermagic = "6.1.0-56 PREEMPT ",
				     .build_bytes = 20 });
	ck_assert_int_eq(build_in(dir, &bundle), -EBADMSG);
	ck_assert_ptr_nonnull(strstr(
		err.text, "b.ko and a.ko are both for the kernel 6.1.0-56"));
	put_ko("b.ko", &(struct ko){ .name = "vfat",
				     .vermagic = "6.12.95 SMP ",
				     .build_bytes = 20 });
	ck_assert_int_eq(build_in(dir, &bundle), -EBADMSG);
	ck_assert_ptr_nonnull(strstr(
		err.text,
		"b.ko: the module in it is called vfat; belay drives belay_sensor"));
	put("b.ko", "not one");
	ck_assert_int_eq(build_in(dir, &bundle), -EBADMSG);
	ck_assert_ptr_nonnull(strstr(err.text, "b.ko is no kernel module"));
	ck_assert_ptr_null(bundle.raw.data);
}
END_TEST

START_TEST(digest_is_sha256_and_nothing_else_is_one)
{
	char hex[BL_DIGEST_HEX];

	ck_assert_int_eq(bl_digest("abc", 3, hex), 0);
	ck_assert_str_eq(hex, "ba7816bf8f01cfea414140de5dae2223"
			      "b00361a396177a9cb410ff61f20015ad");
	ck_assert(bl_digest_valid(hex));
	ck_assert_int_eq(bl_digest(NULL, 0, hex), 0);
	ck_assert_str_eq(hex, "e3b0c44298fc1c149afbf4c8996fb924"
			      "27ae41e4649b934ca495991b7852b855");
	ck_assert(!bl_digest_valid(NULL));
	ck_assert(!bl_digest_valid(""));
	hex[63] = '\0';
	ck_assert(!bl_digest_valid(hex));
	memset(hex, 'a', 64);
	ck_assert(bl_digest_valid(hex));
	hex[7] = 'A';
	ck_assert(!bl_digest_valid(hex));
	hex[7] = '/';
	ck_assert(!bl_digest_valid(hex));
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *s = suite_create("bundle");
	TCase *t = tcase_create("build");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, what_was_built_is_what_is_opened);
	tcase_add_test(t, content_is_carried_with_what_it_compiles_to);
	tcase_add_test(t, an_object_may_come_without_content);
	tcase_add_test(t, same_input_gives_same_digest_anywhere);
	tcase_add_test(t, any_change_of_input_changes_the_digest);
	tcase_add_test(t, mistake_in_content_names_its_line);
	tcase_add_test(t, missing_object_is_named);
	tcase_add_test(t, what_is_no_file_is_refused_and_not_waited_for);
	tcase_add_test(t, object_beyond_the_limit_is_refused);
	tcase_add_test(t, a_map_that_the_object_does_not_have_is_named);
	tcase_add_test(t, modules_come_in_the_place_of_an_object);
	tcase_add_test(t,
		       a_module_that_is_a_pipe_is_refused_and_not_waited_for);
	tcase_add_test(t, a_bundle_of_modules_takes_other_content);
	tcase_add_test(t, modules_that_no_host_could_choose_from_are_refused);
	tcase_add_test(t, digest_is_sha256_and_nothing_else_is_one);
	suite_add_tcase(s, t);
	return s;
}
