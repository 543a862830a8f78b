/* SPDX-License-Identifier: Apache-2.0 */
/* The talker's second thread, and what it answers whoever waits for a bundle. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "canary/agent/talker_own.h"
#include "loader/base/cleanup.h"
#include "tests/main.h"

static struct bl_talker_opts opts;
static struct bl_talker talker = { .opts = &opts,
				   .lock = PTHREAD_MUTEX_INITIALIZER,
				   .work = PTHREAD_COND_INITIALIZER,
				   .next = { .fd = -1 } };
static struct bl_err err;
static int host;

static void set_up(void)
{
	ck_assert_int_eq(bl_pair_make(&host, &opts.pair, &err), 0);
	ck_assert_int_eq(bl_talker_fetches(&talker, &err), 0);
}

/* What the host part waits for; it takes as long as the test may. */
static struct bl_pair_msg fetched(uint64_t number)
{
	struct bl_pair_fetch f = { .number = number };
	struct bl_pair_msg m;

	memset(f.digest, 'a', BL_DIGEST_HEX - 1);
	bl_talker_fetch(&talker, &f, open("/dev/null", O_RDWR | O_CLOEXEC));
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
	m = fetched(1);
	ck_assert_int_eq(m.fetched.result, -EINVAL);
	ck_assert_ptr_nonnull(strstr(m.fetched.why, "nowhere"));
	opts.url = "http://127.0.0.1:1";
	m = fetched(2);
	ck_assert_int_lt(m.fetched.result, 0);
	ck_assert_ptr_null(strstr(m.fetched.why, "nowhere"));
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *s = suite_create("talker");
	TCase *t = tcase_create("talker");

	tcase_add_checked_fixture(t, set_up, NULL);
	tcase_add_test(t,
		       a_fetch_that_cannot_begin_is_answered_with_the_reason);
	suite_add_tcase(s, t);
	return s;
}
