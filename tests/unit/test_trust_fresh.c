/* SPDX-License-Identifier: Apache-2.0 */
/* When a host asks for metadata again, what it notes of how that went, and what
 * people are told of it. */
#include <string.h>
#include <unistd.h>

#include "loader/base/cleanup.h"
#include "loader/base/clock.h"
#include "loader/base/file.h"
#include "loader/trust/fresh.h"
#include "tests/main.h"
#include "tests/support/tuf.h"

#define NOW_MS	(TUF_NOW * INT64_C(1000))
#define HOUR_MS (3600 * INT64_C(1000))
#define DAY_MS	(24 * HOUR_MS)

static struct tuf tuf;
static struct bl_tuf host;
static struct bl_fresh fresh;
static struct bl_err err;
static char *dir;
static int64_t now_ms;
static uint32_t chance; /* of every draw another one */

static void set_up(void)
{
	const char *root;

	tuf_open(&tuf);
	dir = bl_test_tmpdir();
	root = tuf_get(&tuf, "metadata/1.root.json");
	ck_assert_int_eq(
		bl_trust_state_save_root(dir, root, strlen(root), &err), 0);
	ck_assert_int_eq(bl_tuf_open(dir, &host, &err), 0);
	now_ms = NOW_MS;
	chance = 12345;
}

static void tear_down(void)
{
	bl_tuf_close(&host);
	tuf_close(&tuf);
	ck_assert_int_eq(bl_file_rmtree(dir, NULL), 0);
	free(dir);
}

static int refresh(void)
{
	chance = chance * 1664525u + 1013904223u;
	err = (struct bl_err){ 0 };
	return bl_fresh_refresh(&host, &tuf.fetcher, now_ms, &chance, &fresh,
				&err);
}

/* The role's body expires so long after now. */
static void set_expiry(json_t *body, int64_t ms)
{
	char when[BL_TIME_ISO_LEN];
	bl_autofree char *text = NULL;

	text = bl_path("%.19sZ", bl_clock_iso(now_ms + ms, when));
	json_object_set_new(body, "expires", json_string(text));
}

static void publish_timestamp(int64_t lasts_ms)
{
	tuf_bump(tuf.timestamp);
	set_expiry(tuf.timestamp, lasts_ms);
	tuf_write(&tuf, tuf.timestamp, "timestamp", TUF_KEY(TUF_TIMESTAMP));
}

/* ------------------------------------------------------------------ deciding */

/* As it was @age ago, when it had @left more. */
static struct bl_fresh known(int64_t age, int64_t left, int64_t failures)
{
	struct bl_fresh f = { .refreshed_ms = NOW_MS - age,
			      .since_ms = NOW_MS - age,
			      .failures = failures };

	for (int i = 0; i < BL_META_ROLES; i++) {
		f.role[i].version = 1;
		f.role[i].expires_s = (NOW_MS + 100 * DAY_MS) / 1000;
	}
	f.role[BL_META_TIMESTAMP].expires_s = (NOW_MS + left) / 1000;
	return f;
}

static const struct {
	const char *what;
	int64_t age, left, failures, min, max;
} waits[] = {
	{ "half of what is left", 0, 2 * HOUR_MS, 0, 48 * 60000, HOUR_MS },
	{ "a day at most", 0, 90 * DAY_MS, 0, 19 * HOUR_MS, DAY_MS },
	{ "a day from the last", 20 * HOUR_MS, 90 * DAY_MS, 0, 3 * HOUR_MS,
	  4 * HOUR_MS },
	{ "a day ago", DAY_MS, 90 * DAY_MS, 0, 0, 0 },
	{ "expired", HOUR_MS, -1000, 0, 0, 0 },
	{ "a clock set back", -HOUR_MS, DAY_MS, 0, 0, 0 },
	{ "not all the time", 0, 3000, 0, BL_FRESH_MIN_MS, BL_FRESH_MIN_MS },
	{ "one failure", HOUR_MS, DAY_MS, 1, BL_FRESH_MIN_MS, 35000 },
	{ "two failures", HOUR_MS, DAY_MS, 2, BL_FRESH_MIN_MS, 65000 },
	{ "many failures", HOUR_MS, DAY_MS, 60, BL_FRESH_MIN_MS,
	  BL_FRESH_RETRY_MAX_MS },
	{ "many failures and little left", HOUR_MS, 4 * 60000, 60,
	  BL_FRESH_MIN_MS, 65000 },
	{ "many failures and expired", HOUR_MS, -DAY_MS, 60, BL_FRESH_MIN_MS,
	  BL_FRESH_RETRY_MAX_MS },
};

START_TEST(it_is_asked_for_in_time_and_not_too_often)
{
	struct bl_fresh f =
		known(waits[_i].age, waits[_i].left, waits[_i].failures);
	int64_t least = INT64_MAX, most = 0;

	for (uint64_t n = 0; n < 10000; n++) {
		uint32_t random = (uint32_t)(n * 2654435761u);
		int64_t ms = bl_fresh_wait_ms(&f, NOW_MS, random);

		least = ms < least ? ms : least;
		most = ms > most ? ms : most;
	}
	ck_assert_msg(least >= waits[_i].min && most <= waits[_i].max,
		      "%s: %lld to %lld", waits[_i].what, (long long)least,
		      (long long)most);
	/* Hosts that were started together part. */
	if (waits[_i].max > waits[_i].min)
		ck_assert_int_gt(most - least,
				 (waits[_i].max - waits[_i].min) / 2);
}
END_TEST

START_TEST(nothing_is_there_yet_so_it_is_asked_for_at_once)
{
	struct bl_fresh f = { .role[BL_META_ROOT] = { 1, TUF_NOW + 1 } };

	ck_assert_int_eq(bl_fresh_wait_ms(&f, NOW_MS, 7), 0);
	ck_assert_int_eq(bl_fresh_first(&f), BL_META_ROLES);
}
END_TEST

static const struct {
	enum bl_meta_kind kind;
	int64_t left;
	enum bl_fresh_state state;
} states[] = {
	{ BL_META_TIMESTAMP, 30 * HOUR_MS, BL_FRESH_GOOD },
	{ BL_META_TIMESTAMP, 5 * HOUR_MS, BL_FRESH_SOON },
	{ BL_META_TIMESTAMP, 0, BL_FRESH_EXPIRED },
	{ BL_META_SNAPSHOT, 3 * DAY_MS, BL_FRESH_GOOD },
	{ BL_META_SNAPSHOT, DAY_MS, BL_FRESH_SOON },
	{ BL_META_TARGETS, 8 * DAY_MS, BL_FRESH_GOOD },
	{ BL_META_TARGETS, 6 * DAY_MS, BL_FRESH_SOON },
	{ BL_META_ROOT, 29 * DAY_MS, BL_FRESH_SOON },
	{ BL_META_ROOT, -1000, BL_FRESH_EXPIRED },
};

START_TEST(what_expires_first_is_named)
{
	struct bl_fresh f = known(DAY_MS, 40 * HOUR_MS, 0);
	enum bl_meta_kind which;

	f.role[states[_i].kind].expires_s = (NOW_MS + states[_i].left) / 1000;
	ck_assert_int_eq(bl_fresh_state(&f, NOW_MS, &which), states[_i].state);
	if (states[_i].state != BL_FRESH_GOOD)
		ck_assert_int_eq(which, states[_i].kind);
}
END_TEST

/* A repository may renew every hour: a quarter of what it gives is soon. */
START_TEST(soon_is_what_it_is_for_that_repository)
{
	struct bl_fresh f = known(30 * 60000, 30 * 60000, 0);
	enum bl_meta_kind which;

	ck_assert_int_eq(bl_fresh_state(&f, NOW_MS, &which), BL_FRESH_GOOD);
	ck_assert_int_eq(bl_fresh_state(&f, NOW_MS + 16 * 60000, &which),
			 BL_FRESH_SOON);
}
END_TEST

/* ------------------------------------------------------------------- the note */

START_TEST(what_went_well_and_what_did_not_is_there_for_the_next_life)
{
	struct bl_fresh read = { 0 };

	ck_assert_msg(refresh() == 0, "%s", err.text);
	ck_assert_int_eq(fresh.refreshed_ms, NOW_MS);
	ck_assert_int_eq(fresh.failures, 0);
	ck_assert_int_gt(fresh.next_ms, NOW_MS);
	ck_assert_int_eq(bl_fresh_read(dir, &read, &err), 0);
	ck_assert_mem_eq(&read, &fresh, sizeof(fresh));

	now_ms += HOUR_MS;
	tuf_put(&tuf, "metadata/timestamp.json", "<html>\x1b[2J\"Log in\"");
	ck_assert_int_eq(refresh(), BL_TRUST_MALFORMED);
	ck_assert_int_eq(bl_fresh_read(dir, &read, &err), 0);
	ck_assert_int_eq(read.refreshed_ms, NOW_MS);
	ck_assert_int_eq(read.failed_ms, now_ms);
	ck_assert_int_eq(read.failures, 1);
	ck_assert_str_eq(read.fault, "malformed");
	ck_assert_msg(strstr(read.why, "timestamp.json"), "%s", read.why);
	ck_assert_str_ne(read.hint, "");
	ck_assert_int_eq(read.role[BL_META_TIMESTAMP].version, 1);

	publish_timestamp(DAY_MS);
	ck_assert_msg(refresh() == 0, "%s", err.text);
	ck_assert_int_eq(bl_fresh_noted(dir, &read, &err), 0);
	ck_assert_int_eq(read.failures, 0);
	ck_assert_str_eq(read.why, "");
	ck_assert_int_eq(read.since_ms, now_ms);
	ck_assert_int_eq(read.role[BL_META_TIMESTAMP].version, 2);
}
END_TEST

/* Somebody else may have refreshed; and nobody goes by a note. */
static int stopped(void *ctx, const char *name, size_t max, struct bl_buf *ret,
		   struct bl_err *e)
{
	/* Behind the root, which is asked for first. */
	return strstr(name, "root.json")
		       ? tuf.fetcher.fetch(ctx, name, max, ret, e)
		       : bl_err_set(e, -ECANCELED, "%s: it ends", name);
}

START_TEST(what_is_stopped_has_not_failed)
{
	const struct bl_tuf_fetcher f = { stopped, tuf.fetcher.ctx };
	struct bl_fresh before = { 0 }, after = { 0 };

	ck_assert_msg(refresh() == 0, "%s", err.text);
	before = fresh;
	now_ms += HOUR_MS;
	ck_assert_int_eq(bl_fresh_refresh(&host, &f, now_ms, &chance, &fresh,
					  &err),
			 -ECANCELED);
	ck_assert_mem_eq(&fresh, &before, sizeof(fresh));
	ck_assert_int_eq(bl_fresh_read(dir, &after, &err), 0);
	ck_assert_mem_eq(&after, &before, sizeof(after));
}
END_TEST

START_TEST(what_is_told_is_what_is_trusted_whatever_the_note_says)
{
	bl_autofree char *path = bl_path("%s/" BL_FRESH_FILE, dir);
	struct bl_fresh read = { 0 };

	ck_assert_int_eq(bl_fresh_noted(dir, &read, &err), -ENOENT);
	ck_assert_int_eq(bl_fresh_read(dir, &read, &err), 0);
	ck_assert_int_eq(bl_fresh_first(&read), BL_META_ROLES);
	ck_assert_int_eq(refresh(), 0);
	publish_timestamp(DAY_MS);
	ck_assert_int_eq(bl_tuf_refresh(&host, &tuf.fetcher, TUF_NOW, &err), 0);
	ck_assert_int_eq(bl_fresh_read(dir, &read, &err), 0);
	ck_assert_int_eq(read.role[BL_META_TIMESTAMP].version, 2);
	/* One that is damaged is said to be, and replaced by the next. */
	ck_assert_int_eq(bl_file_write(path, "{", 1, 0644, &err), 0);
	ck_assert_int_eq(bl_fresh_read(dir, &read, &err), -EBADMSG);
	ck_assert_int_eq(refresh(), 0);
	ck_assert_int_eq(bl_fresh_read(dir, &read, &err), 0);
}
END_TEST

START_TEST(a_host_without_a_root_asks_nobody)
{
	bl_autofree char *path = bl_path("%s/" BL_TRUST_ROOT_FILE, dir);
	struct bl_fresh read = { .failures = 5 };

	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(bl_fresh_read(dir, &read, &err), -ENOENT);
	ck_assert_int_eq(read.failures, 5);
}
END_TEST

/* ------------------------------------------------------------------- a week */

static size_t fetched;

static int counted(void *ctx, const char *name, size_t max, struct bl_buf *ret,
		   struct bl_err *e)
{
	(void)ctx;
	fetched++;
	return tuf.fetcher.fetch(tuf.fetcher.ctx, name, max, ret, e);
}

/* So long, with the repository's online keys renewing every @renew_ms; and what
 * the host asks for, with every chance another one. */
static unsigned live(int64_t for_ms, int64_t lasts_ms, int64_t renew_ms,
		     int64_t away_from, int64_t away_until)
{
	const struct bl_tuf_fetcher f = { counted, NULL };
	int64_t end = now_ms + for_ms, begun = now_ms, renewed = 0;
	unsigned count = 0;

	while (now_ms < end) {
		bool away = now_ms - begun >= away_from &&
			    now_ms - begun < away_until;
		const struct bl_tuf_fetcher nobody = { bl_tuf_from_dir, "/no" };
		int r;

		if (!renewed || now_ms - renewed >= renew_ms) {
			publish_timestamp(lasts_ms);
			renewed = now_ms;
		}
		/* Until it asks, all is good. */
		if (count)
			ck_assert_int_eq(
				bl_tuf_offline(&host, now_ms / 1000, &err), 0);
		chance = chance * 1664525u + 1013904223u;
		r = bl_fresh_refresh(&host, away ? &nobody : &f, now_ms,
				     &chance, &fresh, &err);
		ck_assert_msg(away ? r < 0 : r == 0, "%s", err.text);
		ck_assert_int_gt(fresh.next_ms, now_ms);
		now_ms = fresh.next_ms;
		count++;
	}
	return count;
}

START_TEST(a_host_is_fresh_for_a_week_and_asks_little)
{
	unsigned count;

	fetched = 0;
	count = live(7 * DAY_MS, 2 * DAY_MS, DAY_MS, 0, 0);
	ck_assert_uint_ge(count, 7);
	ck_assert_uint_le(count, 20);
	/* The next root, which is not there, and the timestamp; what has not
	 * changed is not fetched again. */
	ck_assert_uint_le(fetched, 2 * count + 2);
}
END_TEST

START_TEST(a_host_is_fresh_with_a_repository_of_minutes)
{
	unsigned count = live(HOUR_MS, 10 * 60000, 60000, 0, 0);

	ck_assert_uint_le(count, 60 * 60 / 150);
}
END_TEST

/* More than a day without a controller is survived by half of two days. */
START_TEST(a_host_stays_fresh_over_a_controller_that_is_away)
{
	unsigned count = live(7 * DAY_MS, 2 * DAY_MS, 6 * HOUR_MS, 2 * DAY_MS,
			      2 * DAY_MS + 30 * HOUR_MS);

	/* It asked, all that time, and not like mad. */
	ck_assert_uint_ge(count, 40);
	ck_assert_uint_le(count, 400);
}
END_TEST

/* ---------------------------------------------------------- hostile controllers */

static char *trusted(void)
{
	bl_autofree char *path = bl_path("%s/" BL_TRUST_FILE, dir);
	struct bl_buf b = { 0 };

	ck_assert_int_eq(bl_file_read(path, BL_TRUST_FILE_MAX, &b, NULL), 0);
	return b.data;
}

/* It keeps the fleet at a timestamp, for days: expiry ends that. */
START_TEST(who_keeps_metadata_back_is_found_out_by_its_expiry)
{
	bl_autofree char *before = NULL, *after = NULL;
	enum bl_meta_kind which;
	int64_t until;
	unsigned asked = 0;

	publish_timestamp(2 * DAY_MS);
	ck_assert_int_eq(refresh(), 0);
	until = fresh.role[BL_META_TIMESTAMP].expires_s * 1000;
	before = trusted();
	while (now_ms < until) {
		ck_assert_int_eq(refresh(), 0);
		/* Sooner and sooner; never past the moment that counts. */
		ck_assert_int_lt(fresh.next_ms, until + BL_FRESH_MIN_MS);
		now_ms = fresh.next_ms;
		asked++;
	}
	ck_assert_uint_le(asked, 50);
	ck_assert_int_eq(refresh(), BL_TRUST_EXPIRED);
	ck_assert_str_eq(fresh.fault, "expired");
	ck_assert_int_eq(bl_fresh_state(&fresh, now_ms, &which),
			 BL_FRESH_EXPIRED);
	ck_assert_int_eq(which, BL_META_TIMESTAMP);
	after = trusted();
	ck_assert_str_eq(before, after);
	/* It never gives up. */
	for (int i = 0; i < 100; i++) {
		now_ms = fresh.next_ms;
		ck_assert_int_eq(refresh(), BL_TRUST_EXPIRED);
		ck_assert_int_le(fresh.next_ms - now_ms, BL_FRESH_RETRY_MAX_MS);
	}
	publish_timestamp(DAY_MS);
	ck_assert_msg(refresh() == 0, "%s", err.text);
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *s = suite_create("trust fresh");
	TCase *t = tcase_create("fresh");

	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_set_timeout(t, 120);
	tcase_add_loop_test(t, it_is_asked_for_in_time_and_not_too_often, 0,
			    BL_ARRAY_SIZE(waits));
	tcase_add_test(t, nothing_is_there_yet_so_it_is_asked_for_at_once);
	tcase_add_loop_test(t, what_expires_first_is_named, 0,
			    BL_ARRAY_SIZE(states));
	tcase_add_test(t, soon_is_what_it_is_for_that_repository);
	tcase_add_test(
		t, what_went_well_and_what_did_not_is_there_for_the_next_life);
	tcase_add_test(t, what_is_stopped_has_not_failed);
	tcase_add_test(t,
		       what_is_told_is_what_is_trusted_whatever_the_note_says);
	tcase_add_test(t, a_host_without_a_root_asks_nobody);
	tcase_add_test(t, a_host_is_fresh_for_a_week_and_asks_little);
	tcase_add_test(t, a_host_is_fresh_with_a_repository_of_minutes);
	tcase_add_test(t, a_host_stays_fresh_over_a_controller_that_is_away);
	tcase_add_test(t, who_keeps_metadata_back_is_found_out_by_its_expiry);
	suite_add_tcase(s, t);
	return s;
}
