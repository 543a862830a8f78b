/* SPDX-License-Identifier: Apache-2.0 */
/* What is asked for of a file over HTTP, and what comes of it, as strangers on
 * either side may say it. */
#include <errno.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/net/range.h"
#include "tests/main.h"

static const struct {
	const char *header;
	enum bl_range_ask ask;
	size_t at, len; /* of ten bytes */
} asked[] = {
	{ NULL, BL_RANGE_WHOLE, 0, 10 },
	{ "bytes=0-", BL_RANGE_PART, 0, 10 },
	{ "bytes=4-", BL_RANGE_PART, 4, 6 },
	{ "bytes=9-", BL_RANGE_PART, 9, 1 },
	{ "Bytes=9-", BL_RANGE_PART, 9, 1 },
	{ "bytes=2-5", BL_RANGE_PART, 2, 4 },
	{ "bytes=2-999999999999", BL_RANGE_PART, 2, 8 },
	{ "bytes=10-", BL_RANGE_BEYOND, 0, 0 },
	{ "bytes=10-20", BL_RANGE_BEYOND, 0, 0 },
	{ "bytes=18446744073709551615-", BL_RANGE_BEYOND, 0, 0 },
	/* Not understood is answered with the whole. */
	{ "", BL_RANGE_WHOLE, 0, 10 },
	{ "bytes=", BL_RANGE_WHOLE, 0, 10 },
	{ "bytes=-3", BL_RANGE_WHOLE, 0, 10 },
	{ "bytes=5-2", BL_RANGE_WHOLE, 0, 10 },
	{ "bytes=1-2,4-5", BL_RANGE_WHOLE, 0, 10 },
	{ "bytes=1-2 ", BL_RANGE_WHOLE, 0, 10 },
	{ "bytes= 1-", BL_RANGE_WHOLE, 0, 10 },
	{ "bytes=+1-", BL_RANGE_WHOLE, 0, 10 },
	{ "lines=1-", BL_RANGE_WHOLE, 0, 10 },
	{ "bytes=18446744073709551616-", BL_RANGE_WHOLE, 0, 10 },
};

START_TEST(a_part_is_asked_for)
{
	size_t at = 77, len = 77;

	ck_assert_int_eq(bl_range_asked(asked[_i].header, 10, &at, &len),
			 asked[_i].ask);
	ck_assert_uint_eq(at, asked[_i].at);
	ck_assert_uint_eq(len, asked[_i].len);
}
END_TEST

START_TEST(nothing_has_no_part)
{
	size_t at, len;

	ck_assert_int_eq(bl_range_asked("bytes=0-", 0, &at, &len),
			 BL_RANGE_BEYOND);
	ck_assert_int_eq(bl_range_asked(NULL, 0, &at, &len), BL_RANGE_WHOLE);
	ck_assert_uint_eq(len, 0);
}
END_TEST

static const char *const wrong[] = {
	"",
	"bytes",
	"bytes */10",
	"bytes 0-9/*",
	"bytes 5-4/10",
	"bytes 0-10/10",
	"bytes 0-9/10 ",
	"bytes 0-9",
	"bytes -1-9/10",
	"bytes 0-99999999999999999999/99999999999999999999",
	"lines 0-9/10",
};

START_TEST(a_part_whose_sums_are_wrong_is_none)
{
	struct bl_range r = { 1, 2, 3 };

	ck_assert_int_eq(bl_range_read(wrong[_i], &r), -EINVAL);
	ck_assert_uint_eq(r.at, 1);
}
END_TEST

START_TEST(what_one_side_writes_the_other_reads)
{
	const struct bl_range part = { 5, 5, 10 }, none = { 0, 0, 10 };
	char text[BL_RANGE_LEN];
	struct bl_range r;

	bl_range_write(&part, text);
	ck_assert_str_eq(text, "bytes 5-9/10");
	ck_assert_int_eq(bl_range_read(text, &r), 0);
	ck_assert_mem_eq(&r, &part, sizeof(r));
	bl_range_write(&none, text);
	ck_assert_str_eq(text, "bytes */10");
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *s = suite_create("range");
	TCase *t = tcase_create("range");

	tcase_add_loop_test(t, a_part_is_asked_for, 0,
			    (int)BL_ARRAY_SIZE(asked));
	tcase_add_test(t, nothing_has_no_part);
	tcase_add_loop_test(t, a_part_whose_sums_are_wrong_is_none, 0,
			    (int)BL_ARRAY_SIZE(wrong));
	tcase_add_test(t, what_one_side_writes_the_other_reads);
	suite_add_tcase(s, t);
	return s;
}
