/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Repositories over HTTP: what a mirror can do to who asks it, and the error
 * that answers.
 *
 * Nothing here depends on how fast a machine is: what is called slow never
 * comes, and what comes has half a minute.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/base/clock.h"
#include "loader/base/file.h"
#include "loader/trust/fault.h"
#include "loader/trust/mirror.h"
#include "tests/main.h"
#include "tests/support/liar.h"

#define SIZE 300000

static struct liar liar;
static char blob[SIZE], *dir;
static struct bl_err err;

static void set_up(void)
{
	for (size_t i = 0; i < SIZE; i++)
		blob[i] = (char)('a' + i % 26);
	err = (struct bl_err){ 0 };
	dir = bl_test_tmpdir();
	liar_start(&liar, blob, SIZE);
}

static void tear_down(void)
{
	liar_stop(&liar);
	ck_assert_int_eq(bl_file_rmtree(dir, NULL), 0);
	free(dir);
}

/* What comes of "metadata/timestamp.json" of at most @max bytes. */
static int fetch(const char *url, size_t max, uint64_t file_ms,
		 struct bl_buf *ret)
{
	const struct bl_mirror_opts opts = { .url = url, .file_ms = file_ms };
	BL_CLEANUP(bl_mirror_closep) struct bl_mirror *m = NULL;

	err = (struct bl_err){ 0 };
	ck_assert_msg(bl_mirror_open(&opts, &m, &err) == 0, "%s", err.text);
	return bl_mirror_fetch(m, "metadata/timestamp.json", max, ret, &err);
}

START_TEST(a_file_comes_whole_and_from_below_the_url)
{
	bl_autobuf struct bl_buf b = { 0 };
	bl_autofree char *url = bl_path("%s/a/b/", liar.url);

	ck_assert_msg(fetch(url, SIZE, 0, &b) == 0, "%s", err.text);
	ck_assert_uint_eq(b.len, SIZE);
	ck_assert_mem_eq(b.data, blob, SIZE);
	ck_assert_ptr_nonnull(
		strstr(liar.asked[0], "GET /a/b/metadata/timestamp.json HTTP"));
}
END_TEST

/* What a mirror does, and what answers. */
static const struct {
	enum lie lie;
	size_t max;
	uint64_t file_ms; /* 0: as ever */
	int code;
	const char *said;
} attacks[] = {
	{ ENDLESS, 1000, 0, BL_TRUST_ENDLESS, "more than 1000 bytes" },
	{ ENDLESS, 0, 0, BL_TRUST_ENDLESS, "more than 0 bytes" },
	{ HUGE, 0, 0, BL_TRUST_ENDLESS, "more than 0 bytes" },
	{ HONEST, SIZE - 1, 0, BL_TRUST_ENDLESS, "more than 299999 bytes" },
	{ LONG, 19999, 0, BL_TRUST_ENDLESS, "more than 19999 bytes" },
	{ HANG, 16, 500, BL_TRUST_SLOW, "did not come in" },
	{ STALL, 16, 500, BL_TRUST_SLOW, "did not come in" },
	{ ELSEWHERE, SIZE, 0, BL_TRUST_REDIRECT, "302" },
	{ NOWHERE, SIZE, 0, -ENOENT, "404" },
	{ BROKEN, SIZE, 0, -EPROTO, "500" },
	{ GATEWAY, SIZE, 0, -EPROTO, "502" },
	{ STRANGER, SIZE, 0, -EPROTO, "401" },
	{ BUSY, SIZE, 0, -EPROTO, "503" },
	{ CUT, SIZE, 0, -EREMOTEIO, "timestamp.json" },
};

START_TEST(what_a_mirror_does_has_an_answer_of_its_own)
{
	bl_autobuf struct bl_buf b = { 0 };
	int r;

	liar.header = "";
	liar.script[0] = attacks[_i].lie;
	liar.cut_at = attacks[_i].max / 2;
	r = fetch(liar.url, attacks[_i].max, attacks[_i].file_ms, &b);
	ck_assert_msg(r == attacks[_i].code, "%d: %s", r, err.text);
	ck_assert_msg(strstr(err.text, attacks[_i].said), "%s", err.text);
	ck_assert_uint_eq(b.len, 0);
	/* It went nowhere else. */
	ck_assert_uint_le(liar.count, 1);
}
END_TEST

START_TEST(a_thousand_small_files_have_a_time_together)
{
	const struct bl_mirror_opts opts = { .url = liar.url, .all_ms = 1 };
	BL_CLEANUP(bl_mirror_closep) struct bl_mirror *m = NULL;
	bl_autobuf struct bl_buf b = { 0 };

	ck_assert_int_eq(bl_mirror_open(&opts, &m, &err), 0);
	bl_clock_sleep_ms(2);
	ck_assert_int_eq(bl_mirror_fetch(m, "metadata/2.root.json", SIZE, &b,
					 &err),
			 BL_TRUST_SLOW);
	ck_assert_uint_eq(liar.count, 0);
}
END_TEST

START_TEST(only_urls_of_a_folder_and_no_plain_http_elsewhere)
{
	static const struct {
		const char *url;
		bool plaintext;
		int code;
	} urls[] = {
		{ "https://mirror.example/belay", false, 0 },
		{ "http://127.0.0.1:1/", false, 0 },
		{ "http://mirror.example/belay", false, -EPERM },
		{ "http://mirror.example/belay", true, 0 },
		{ "ftp://mirror.example/belay", false, -EINVAL },
		{ "file:///etc", false, -EINVAL },
		{ "https://mirror.example/belay?x=1", false, -EINVAL },
		{ "https://mirror.example/#a", false, -EINVAL },
		{ "https://who:secret@mirror.example/", false, -EINVAL },
		{ "https://", false, -EINVAL },
	};

	for (size_t i = 0; i < BL_ARRAY_SIZE(urls); i++) {
		const struct bl_mirror_opts opts = {
			.url = urls[i].url, .plaintext = urls[i].plaintext
		};
		struct bl_mirror *m = NULL;
		int r = bl_mirror_open(&opts, &m, &err);

		ck_assert_msg(r == urls[i].code, "%s: %d", urls[i].url, r);
		bl_mirror_close(m);
	}
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *suite = suite_create("trust mirror");
	TCase *tc = tcase_create("mirror");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, a_file_comes_whole_and_from_below_the_url);
	tcase_add_loop_test(tc, what_a_mirror_does_has_an_answer_of_its_own, 0,
			    BL_ARRAY_SIZE(attacks));
	tcase_add_test(tc, a_thousand_small_files_have_a_time_together);
	tcase_add_test(tc, only_urls_of_a_folder_and_no_plain_http_elsewhere);
	suite_add_tcase(suite, tc);
	return suite;
}
