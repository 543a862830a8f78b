/* SPDX-License-Identifier: Apache-2.0 */
/* Whether the lease of what can refuse is renewed (I8), and what a usable host
 * is. */
#include <errno.h>
#include <string.h>
#include <sys/resource.h>

#include "loader/base/cleanup.h"
#include "loader/base/selftest.h"
#include "loader/host/boot/keep.h"
#include "tests/main.h"

#define LEASE 15000
#define TURN  3000

/* A host that is used, turn by turn: '.' usable, '-' not. What comes of it:
 * 'r' renewed, 'w' not, 'h' withheld. */
static const struct {
	const char *host, *want;
} days[] = {
	{ "......", "rrrrrr" },
	/* A short standstill, over before the lease was. */
	{ "..---...", "rrwwwrrr" },
	/* It came back once the lease had run out: it is tried once more. */
	{ "..-----...", "rrwwwwwrrr" },
	/* ... and lost again at once: the lease is what it was. */
	{ "..-----.-----...", "rrwwwwwrwwwwwhhh" },
	/* A host that was never usable is not the generation's work. */
	{ "--------..", "wwwwwwwwrr" },
	/* Twice, with more than a minute of good work in between, is chance. */
	{ "..-----........................-----..",
	  "rrwwwwwrrrrrrrrrrrrrrrrrrrrrrrrwwwwwrr" },
	/* Withheld, and unusable for another reason later. */
	{ "..-----.-----.-.", "rrwwwwwrwwwwwhwh" },
};

START_TEST(what_makes_the_host_useless_is_not_renewed_for_long_I8)
{
	struct bl_keep k = { 0 };
	uint64_t now = 1000;

	ck_assert_uint_eq(strlen(days[_i].host), strlen(days[_i].want));
	for (const char *p = days[_i].host; *p; p++, now += TURN) {
		static const char names[] = "rwh";
		char got = names[bl_keep_next(&k, now, LEASE, 7, *p == '.')];

		ck_assert_msg(got == days[_i].want[p - days[_i].host],
			      "turn %d of %s: %c", (int)(p - days[_i].host),
			      days[_i].host, got);
	}
}
END_TEST

/* Loses the host right after each renewal; returns how long it is withheld. */
static uint64_t lose_again(struct bl_keep *k, uint64_t *now)
{
	uint64_t from;

	*now += TURN;
	ck_assert_int_eq(bl_keep_next(k, *now, LEASE, 7, false), BL_KEEP_WAIT);
	*now += LEASE;
	from = *now;
	while (bl_keep_next(k, *now, LEASE, 7, true) == BL_KEEP_WITHHOLD)
		*now += TURN;
	return *now - from;
}

START_TEST(what_is_withheld_gets_another_chance_less_and_less_often)
{
	uint64_t now = 1000, pause = BL_KEEP_PAUSE_MS;
	struct bl_keep k = { 0 };

	ck_assert_int_eq(bl_keep_next(&k, now, LEASE, 7, true), BL_KEEP_RENEW);
	ck_assert_uint_eq(lose_again(&k, &now), 0);
	for (int i = 0; i < 10; i++) {
		ck_assert_uint_eq(lose_again(&k, &now), pause);
		pause = 2 * pause < BL_KEEP_PAUSE_MAX_MS ? 2 * pause
							 : BL_KEEP_PAUSE_MAX_MS;
	}
	/* A good while: what comes then is the first time. */
	for (uint64_t end = now + 2 * BL_KEEP_SOON_MS; now < end; now += TURN)
		ck_assert_int_eq(bl_keep_next(&k, now, LEASE, 7, true),
				 BL_KEEP_RENEW);
	ck_assert_uint_eq(lose_again(&k, &now), 0);
	ck_assert_uint_eq(lose_again(&k, &now), BL_KEEP_PAUSE_MS);
}
END_TEST

START_TEST(another_generation_begins_anew)
{
	struct bl_keep k = { 0 };
	uint64_t now = 1000;

	for (const char *p = "..xxxxx.xxxxx.."; *p; p++, now += TURN)
		bl_keep_next(&k, now, LEASE, 7, *p == '.');
	ck_assert_int_eq(bl_keep_next(&k, now, LEASE, 7, true),
			 BL_KEEP_WITHHOLD);
	ck_assert_int_eq(bl_keep_next(&k, now, LEASE, 8, true), BL_KEEP_RENEW);
}
END_TEST

START_TEST(this_host_can_be_used)
{
	struct bl_err err = { 0 };

	ck_assert_msg(!bl_selftest(NULL, &err), "%s", err.text);
	ck_assert_msg(!bl_selftest("exit 0", &err), "%s", err.text);
}
END_TEST

/* That there was no descriptor says nothing about the host. */
START_TEST(a_self_test_that_could_not_be_made_says_so)
{
	struct rlimit was, none;
	struct bl_err err = { 0 };
	int r;

	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &was), 0);
	none = was;
	none.rlim_cur = 0;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	r = bl_selftest(NULL, &err);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &was), 0);
	ck_assert_int_eq(r, -EAGAIN);
	ck_assert_str_ne(err.text, "");
}
END_TEST

START_TEST(the_owners_check_decides_too)
{
	struct bl_err err = { 0 };

	ck_assert_int_lt(bl_selftest("echo no gateway; exit 3", &err), 0);
	ck_assert_msg(strstr(err.text, "no gateway"), "%s", err.text);
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *s = suite_create("keep");
	TCase *t = tcase_create("keep");

	tcase_add_loop_test(
		t, what_makes_the_host_useless_is_not_renewed_for_long_I8, 0,
		(int)BL_ARRAY_SIZE(days));
	tcase_add_test(
		t, what_is_withheld_gets_another_chance_less_and_less_often);
	tcase_add_test(t, another_generation_begins_anew);
	tcase_add_test(t, this_host_can_be_used);
	tcase_add_test(t, a_self_test_that_could_not_be_made_says_so);
	tcase_add_test(t, the_owners_check_decides_too);
	suite_add_tcase(s, t);
	return s;
}
