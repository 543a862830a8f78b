/* SPDX-License-Identifier: Apache-2.0 */
/* Errors and byte strings: the ground that every other test stands on. */
#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "loader/base/buf.h"
#include "loader/base/err.h"
#include "tests/main.h"

START_TEST(wrapping_reads_from_the_outside_in)
{
	struct bl_err err = { 0 };

	ck_assert_int_eq(bl_err_errno(&err, -ENOENT, "cannot open %s", "a"),
			 -ENOENT);
	bl_err_hint(&err, "make %s", "it");
	ck_assert_int_eq(bl_err_wrap(&err, -ENOENT, "apply %s", "b"), -ENOENT);
	ck_assert_str_eq(err.text,
			 "apply b: cannot open a: No such file or directory");
	ck_assert_str_eq(err.hint, "make it");
	ck_assert_int_eq(err.code, -ENOENT);
}
END_TEST

START_TEST(a_new_error_drops_the_old_hint)
{
	struct bl_err err = { 0 };

	bl_err_set(&err, -EIO, "one");
	bl_err_hint(&err, "hint of one");
	bl_err_set(&err, -EPERM, "two");
	ck_assert_str_eq(err.hint, "");
	ck_assert_int_eq(err.code, -EPERM);
}
END_TEST

START_TEST(nobody_listening_still_gets_the_code)
{
	ck_assert_int_eq(bl_err_set(NULL, -EIO, "x"), -EIO);
	ck_assert_int_eq(bl_err_errno(NULL, -EIO, "x"), -EIO);
	ck_assert_int_eq(bl_err_wrap(NULL, -EIO, "x"), -EIO);
	bl_err_hint(NULL, "x");
}
END_TEST

START_TEST(too_long_is_cut_and_closed)
{
	char big[2 * BL_ERR_TEXT_MAX];
	struct bl_err err = { 0 };

	memset(big, 'a', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	bl_err_errno(&err, -EIO, "%s", big);
	ck_assert_uint_eq(strlen(err.text), BL_ERR_TEXT_MAX - 1);
	bl_err_wrap(&err, -EIO, "%s", big);
	ck_assert_uint_eq(strlen(err.text), BL_ERR_TEXT_MAX - 1);
	bl_err_hint(&err, "%s", big);
	ck_assert_uint_eq(strlen(err.hint), BL_ERR_HINT_MAX - 1);
}
END_TEST

/* Names in errors come out of files that strangers wrote. */
START_TEST(no_control_character_reaches_the_terminal)
{
	struct bl_err err = { 0 };

	bl_err_set(&err, -EBADMSG, "key '%s'",
		   "\033]0;owned\a-\033[2J\r-\b-\177");
	ck_assert_str_eq(err.text, "key '?]0;owned?-?[2J?-?-?'");
	bl_err_set(&err, -EBADMSG, "log:\n\tline, größer, 日本");
	ck_assert_str_eq(err.text, "log:\n\tline, größer, 日本");
	bl_err_wrap(&err, -EBADMSG, "\033[1m");
	bl_err_hint(&err, "\033[1m");
	ck_assert_ptr_null(strchr(err.text, '\033'));
	ck_assert_ptr_null(strchr(err.hint, '\033'));
	bl_err_set(&err, -EBADMSG, "\xc2\x9b\x32K \xc2\xb5 \xc3\x9b");
	ck_assert_str_eq(err.text, "??2K \xc2\xb5 \xc3\x9b");
	bl_err_errno(&err, -EIO, "\033");
	ck_assert_int_eq(err.text[0], '?');
}
END_TEST

START_TEST(a_buffer_keeps_bytes_and_closes_them)
{
	bl_autobuf struct bl_buf b = { 0 };
	size_t i;

	ck_assert_str_eq(bl_buf_str(&b), "");
	for (i = 0; i < 5000; i++)
		ck_assert_int_eq(bl_buf_add(&b, "\0x", 2), 0);
	ck_assert_uint_eq(b.len, 10000);
	for (i = 0; i < b.len; i++)
		ck_assert_int_eq(b.data[i], i % 2 ? 'x' : '\0');
	ck_assert_int_eq(b.data[b.len], '\0');
	ck_assert_int_eq(bl_buf_printf(&b, "%d-%s", 42, "end"), 0);
	ck_assert_str_eq(b.data + 10000, "42-end");
}
END_TEST

START_TEST(a_buffer_refuses_what_no_memory_has)
{
	bl_autobuf struct bl_buf b = { 0 };

	ck_assert_int_eq(bl_buf_add(&b, "abc", 3), 0);
	ck_assert_int_eq(bl_buf_reserve(&b, SIZE_MAX), -ENOMEM);
	ck_assert_int_eq(bl_buf_reserve(&b, SIZE_MAX / 4 + 1), -ENOMEM);
	ck_assert_uint_eq(b.len, 3);
	ck_assert_str_eq(b.data, "abc");
	bl_buf_free(&b);
	ck_assert_uint_eq(b.len, 0);
	ck_assert_int_eq(bl_buf_add(&b, NULL, 0), 0);
	ck_assert_str_eq(bl_buf_str(&b), "");
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *s = suite_create("err");
	TCase *t = tcase_create("err and buf");

	tcase_add_test(t, wrapping_reads_from_the_outside_in);
	tcase_add_test(t, a_new_error_drops_the_old_hint);
	tcase_add_test(t, nobody_listening_still_gets_the_code);
	tcase_add_test(t, too_long_is_cut_and_closed);
	tcase_add_test(t, no_control_character_reaches_the_terminal);
	tcase_add_test(t, a_buffer_keeps_bytes_and_closes_them);
	tcase_add_test(t, a_buffer_refuses_what_no_memory_has);
	suite_add_tcase(s, t);
	return s;
}
