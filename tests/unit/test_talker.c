/* SPDX-License-Identifier: Apache-2.0 */
/* The talker's second thread, and what it answers whoever waits for a bundle. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "canary/agent/talker_own.h"
#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "tests/main.h"
#include "tests/support/liar.h"

static struct bl_talker_opts opts;
static struct bl_talker talker = { .opts = &opts,
				   .lock = PTHREAD_MUTEX_INITIALIZER,
				   .work = PTHREAD_COND_INITIALIZER,
				   .next = { .fd = -1 } };
static struct bl_err err;
static int host;

static void set_up(void)
{
	signal(SIGPIPE, SIG_IGN);
	ck_assert_int_eq(bl_pair_make(&host, &opts.pair, &err), 0);
	ck_assert_int_eq(bl_talker_fetches(&talker, &err), 0);
}

static char came[4096];
static size_t came_len;

/* What the host part waits for, and what came by the pipe; it takes as long as the
 * test may. */
static struct bl_pair_msg fetched(uint64_t number, size_t have)
{
	struct bl_pair_fetch f = { .number = number, .have = have };
	struct bl_pair_msg m;
	ssize_t n;
	int fds[2];

	ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
	memset(f.digest, 'a', BL_DIGEST_HEX - 1);
	bl_talker_fetch(&talker, &f, fds[1]);
	came_len = 0;
	while ((n = read(fds[0], came + came_len, sizeof(came) - came_len)) > 0)
		came_len += (size_t)n;
	close(fds[0]);
	do
		ck_assert_int_eq(bl_pair_receive(host, BL_PAIR_TALKER, &m, NULL,
						 &err),
				 0);
	while (m.head.kind != BL_PAIR_FETCHED);
	ck_assert_uint_eq(m.fetched.number, number);
	return m;
}

/* Nor is it the last word: the next one is tried. */
START_TEST(a_fetch_that_cannot_begin_is_answered_with_the_reason)
{
	struct bl_pair_msg m;

	opts.url = "nowhere";
	m = fetched(1, 0);
	ck_assert_int_eq(m.fetched.result, -EINVAL);
	ck_assert_ptr_nonnull(strstr(m.fetched.why, "nowhere"));
	opts.url = "http://127.0.0.1:1";
	m = fetched(2, 0);
	ck_assert_int_lt(m.fetched.result, 0);
	ck_assert_ptr_null(strstr(m.fetched.why, "nowhere"));
}
END_TEST

static const char blob[] = "what a bundle may be";

START_TEST(what_is_behind_what_is_here_comes_by_the_pipe)
{
	struct liar liar;
	struct bl_pair_msg m;

	liar_start(&liar, blob, sizeof(blob));
	/* Also from one who gives the whole, whatever he is asked. */
	if (_i)
		liar.script[0] = DEAF;
	opts.url = liar.url;
	m = fetched(1, 5);
	ck_assert_int_eq(m.fetched.result, 0);
	ck_assert_uint_eq(came_len, sizeof(blob) - 5);
	ck_assert_mem_eq(came, blob + 5, came_len);
	/* It ends where what is here ends, or before. */
	if (_i)
		liar.script[1] = DEAF;
	m = fetched(2, sizeof(blob) + 1);
	ck_assert_int_eq(m.fetched.result, -ERANGE);
	ck_assert_uint_eq(came_len, 0);
	liar_stop(&liar);
}
END_TEST

/* Who asks for the same again has found that it was damaged. */
START_TEST(what_is_asked_for_again_comes_from_another_controller)
{
	struct liar one, two;
	bl_autofree char *urls = NULL;

	liar_start(&one, blob, sizeof(blob));
	liar_start(&two, blob, sizeof(blob));
	urls = bl_path("%s,%s", one.url, two.url);
	opts.url = urls;
	ck_assert_int_eq(fetched(1, 0).fetched.result, 0);
	ck_assert_int_eq(fetched(2, 0).fetched.result, 0);
	ck_assert_uint_eq(one.count, 1);
	ck_assert_uint_eq(two.count, 1);
	liar_stop(&one);
	liar_stop(&two);
}
END_TEST

/* It waits in a write, and is not asked to end: the pipe is. */
START_TEST(a_pipe_that_is_closed_ends_a_fetch)
{
	struct bl_pair_fetch f = { .number = 1 };
	struct bl_pair_msg m;
	struct liar liar;
	int fds[2];

	liar_start(&liar, blob, sizeof(blob));
	liar.script[0] = ENDLESS;
	opts.url = liar.url;
	ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
	memset(f.digest, 'a', BL_DIGEST_HEX - 1);
	bl_talker_fetch(&talker, &f, fds[1]);
	ck_assert_int_eq(read(fds[0], came, 1), 1);
	close(fds[0]);
	do
		ck_assert_int_eq(bl_pair_receive(host, BL_PAIR_TALKER, &m, NULL,
						 &err),
				 0);
	while (m.head.kind != BL_PAIR_FETCHED);
	ck_assert_int_eq(m.fetched.result, -EPIPE);
	liar_stop(&liar);
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *s = suite_create("talker");
	TCase *t = tcase_create("talker");

	tcase_add_checked_fixture(t, set_up, NULL);
	tcase_add_test(t,
		       a_fetch_that_cannot_begin_is_answered_with_the_reason);
	tcase_add_loop_test(t, what_is_behind_what_is_here_comes_by_the_pipe, 0,
			    2);
	tcase_add_test(t,
		       what_is_asked_for_again_comes_from_another_controller);
	tcase_add_test(t, a_pipe_that_is_closed_ends_a_fetch);
	suite_add_tcase(s, t);
	return s;
}
