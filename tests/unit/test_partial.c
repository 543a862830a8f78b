/* SPDX-License-Identifier: Apache-2.0 */
/* A bundle that came in part: what answers mean for it, and what of it is kept,
 * used and dropped. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "canary/agent/partial.h"
#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/bundle/bundle.h"
#include "tests/main.h"

#define TEXT "what a bundle may be"
#define LEN  (sizeof(TEXT) - 1)

static char *top, *dir, *path;
static char digest[BL_DIGEST_HEX], other[BL_DIGEST_HEX];
static struct bl_partial p;
static struct bl_err err;

static void set_up(void)
{
	top = bl_test_tmpdir();
	dir = bl_path("%s/incoming", top);
	ck_assert_int_eq(bl_digest(TEXT, LEN, digest), 0);
	ck_assert_int_eq(bl_digest("", 0, other), 0);
	path = bl_path("%s/%s.part", dir, digest);
	ck_assert_msg(!bl_partial_open(dir, digest, &p, &err), "%s", err.text);
}

static void tear_down(void)
{
	bl_partial_close(&p);
	bl_file_rmtree(top, NULL);
	free(top);
	free(dir);
	free(path);
}

#define TOO_MANY "67108865"

static const struct {
	size_t have;
	struct bl_fetch_head head;
	enum bl_partial_step step;
	size_t total;
} answers[] = {
	{ 0, { .status = 200, .length = 10 }, BL_PARTIAL_AFRESH, 10 },
	{ 0, { .status = 200, .length = -1 }, BL_PARTIAL_AFRESH, 0 },
	/* It was not understood that only a part was wanted. */
	{ 5, { .status = 200, .length = 10 }, BL_PARTIAL_AFRESH, 10 },
	{ 5, { 206, 5, "", "bytes 5-9/10", 0 }, BL_PARTIAL_APPEND, 10 },
	{ 0, { 206, 10, "", "bytes 0-9/10", 0 }, BL_PARTIAL_APPEND, 10 },
	{ 5, { 206, 6, "", "bytes 4-9/10", 0 }, BL_PARTIAL_WRONG, 0 },
	{ 5, { 206, 4, "", "bytes 6-9/10", 0 }, BL_PARTIAL_WRONG, 0 },
	{ 5, { 206, 3, "", "bytes 5-7/10", 0 }, BL_PARTIAL_WRONG, 0 },
	{ 5, { 206, 5, "", "bytes 5-9/*", 0 }, BL_PARTIAL_WRONG, 0 },
	{ 5, { 206, 5, "", "", 0 }, BL_PARTIAL_WRONG, 0 },
	{ 5, { .status = 204, .length = 0 }, BL_PARTIAL_WRONG, 0 },
	{ 0,
	  { .status = 200, .length = BL_BUNDLE_MAX },
	  BL_PARTIAL_AFRESH,
	  BL_BUNDLE_MAX },
	{ 0,
	  { .status = 200, .length = BL_BUNDLE_MAX + 1 },
	  BL_PARTIAL_TOO_LARGE,
	  0 },
	{ 5,
	  { 206, 5, "", "bytes 5-67108864/" TOO_MANY, 0 },
	  BL_PARTIAL_TOO_LARGE,
	  0 },
};

START_TEST(an_answer_is_what_its_head_says)
{
	size_t total = 77;

	ck_assert_int_eq(bl_partial_judge(answers[_i].have, &answers[_i].head,
					  &total),
			 answers[_i].step);
	ck_assert_uint_eq(total, answers[_i].total);
}
END_TEST

static int add(const char *data, size_t len)
{
	return bl_partial_add(&p, data, len, &err);
}

static void open_again(void)
{
	bl_partial_close(&p);
	ck_assert_msg(!bl_partial_open(dir, digest, &p, &err), "%s", err.text);
}

static void expect_whole(void)
{
	bl_autobuf struct bl_buf data = { 0 };

	ck_assert_msg(!bl_partial_whole(&p, &data, &err), "%s", err.text);
	ck_assert_uint_eq(data.len, LEN);
	ck_assert_mem_eq(data.data, TEXT, LEN);
}

START_TEST(what_came_is_there_for_the_next_life)
{
	bl_autobuf struct bl_buf data = { 0 };

	ck_assert_int_eq(add(TEXT, 4), 0);
	ck_assert_int_eq(add(TEXT + 4, 3), 0);
	ck_assert_int_eq(bl_partial_whole(&p, &data, &err), -EBADMSG);
	ck_assert_ptr_null(data.data);
	open_again();
	ck_assert_uint_eq(p.have, 7);
	ck_assert_int_eq(add(TEXT + 7, LEN - 7), 0);
	expect_whole();
	open_again();
	expect_whole();
}
END_TEST

START_TEST(what_was_dropped_has_not_come)
{
	ck_assert_int_eq(add("something else", 14), 0);
	ck_assert_uint_eq(p.came, 14);
	ck_assert_int_eq(bl_partial_clear(&p, &err), 0);
	ck_assert_uint_eq(p.came, 0);
	ck_assert_int_eq(add(TEXT, LEN), 0);
	ck_assert_uint_eq(p.have, LEN);
	ck_assert_uint_eq(p.came, LEN);
	expect_whole();
}
END_TEST

/* Each says what it makes of what is here. */
static int attempts;

static int gives_more(void *ctx, struct bl_partial *q, struct bl_err *e)
{
	attempts++;
	return bl_partial_add(q, TEXT + q->have, ctx ? 1 : LEN - q->have, e);
}

static int has_no_more(void *ctx, struct bl_partial *q, struct bl_err *e)
{
	attempts++;
	return q->have ? bl_err_set(e, *(const int *)ctx, "not that")
		       : bl_partial_add(q, TEXT, LEN, e);
}

START_TEST(what_is_something_else_is_asked_for_once_more_and_no_more)
{
	static const int codes[] = { -ERANGE, -EBADMSG };
	bl_autobuf struct bl_buf data = { 0 };

	ck_assert_int_eq(add("what else", 9), 0);
	ck_assert_int_eq(bl_partial_gain(&p, has_no_more, (void *)&codes[_i],
					 &data, &err),
			 0);
	ck_assert_int_eq(attempts, 2);
	ck_assert_uint_eq(data.len, LEN);
	ck_assert_int_eq(bl_partial_clear(&p, &err), 0);
	attempts = 0;
	bl_buf_free(&data);
	ck_assert_int_eq(bl_partial_gain(&p, gives_more, &attempts, &data,
					 &err),
			 -EBADMSG);
	ck_assert_int_eq(attempts, 1);
	ck_assert_uint_eq(p.have, 0);
}
END_TEST

START_TEST(more_than_a_bundle_may_have_is_not_kept)
{
	/* Nobody said how long it would be. */
	ck_assert_int_eq(add("x", 1), 0);
	p.have = BL_BUNDLE_MAX;
	ck_assert_int_eq(add("x", 1), -EFBIG);
	ck_assert_int_eq(truncate(path, (off_t)BL_BUNDLE_MAX + 1), 0);
	open_again();
	ck_assert_uint_eq(p.have, 0);
}
END_TEST

static bool is_there(const char *name)
{
	bl_autofree char *at = bl_path("%s/%s", dir, name);

	return access(at, F_OK) == 0;
}

static void leave(const char *name)
{
	bl_autofree char *at = bl_path("%s/%s", dir, name);

	ck_assert_int_eq(bl_file_write(at, "x", 1, 0600, NULL), 0);
}

START_TEST(those_of_other_digests_are_removed_and_nothing_else)
{
	bl_autofree char *old = bl_path("%s.part", other);
	bl_autofree char *longer = bl_path("%s.part.txt", other);

	leave(old);
	leave(longer);
	leave("notes.part");
	leave("notes");
	ck_assert_int_eq(add(TEXT, 4), 0);
	open_again();
	ck_assert(!is_there(old));
	ck_assert(is_there(longer));
	ck_assert(is_there("notes.part"));
	ck_assert(is_there("notes"));
	ck_assert_uint_eq(p.have, 4);
	bl_partial_remove(dir, digest);
	ck_assert_int_ne(access(path, F_OK), 0);
}
END_TEST

START_TEST(what_is_no_file_is_not_written_through)
{
	struct bl_partial q = { 0 };

	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(symlink("/dev/null", path), 0);
	ck_assert_int_eq(bl_partial_open(dir, digest, &q, &err), -ELOOP);
	ck_assert_ptr_nonnull(strstr(err.text, path));
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(mkfifo(path, 0600), 0);
	ck_assert_int_eq(bl_partial_open(dir, digest, &q, &err), -EINVAL);
	bl_partial_close(&q);
}
END_TEST

/* A file that may not grow stands for a disk that is full. */
START_TEST(no_room_is_told_with_how_much_it_needs)
{
	const struct rlimit limit = { 8, 8 };

	signal(SIGXFSZ, SIG_IGN);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	p.total = LEN;
	ck_assert_int_eq(add(TEXT, LEN), -EFBIG);
	ck_assert_ptr_nonnull(strstr(err.text, path));
	ck_assert_str_eq(err.hint, "it needs 20 bytes, 12 more");
	/* What there was room for stays. */
	ck_assert_uint_eq(p.have, 8);

	/* Who says that it is smaller than what is there is not repeated. */
	p.total = 5;
	err = (struct bl_err){ 0 };
	ck_assert_int_eq(add(TEXT, LEN), -EFBIG);
	ck_assert_str_eq(err.hint, "");
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *s = suite_create("partial");
	TCase *t = tcase_create("partial");

	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_add_loop_test(t, an_answer_is_what_its_head_says, 0,
			    (int)BL_ARRAY_SIZE(answers));
	tcase_add_test(t, what_came_is_there_for_the_next_life);
	tcase_add_test(t, what_was_dropped_has_not_come);
	tcase_add_loop_test(
		t, what_is_something_else_is_asked_for_once_more_and_no_more, 0,
		2);
	tcase_add_test(t, more_than_a_bundle_may_have_is_not_kept);
	tcase_add_test(t, those_of_other_digests_are_removed_and_nothing_else);
	tcase_add_test(t, what_is_no_file_is_not_written_through);
	tcase_add_test(t, no_room_is_told_with_how_much_it_needs);
	suite_add_tcase(s, t);
	return s;
}
