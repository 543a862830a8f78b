/* SPDX-License-Identifier: Apache-2.0 */
/* Who of two controllers decides: one, until it does not renew. */
#include <string.h>
#include <unistd.h>

#include "canary/controller/decider.h"
#include "loader/base/cleanup.h"
#include "tests/main.h"
#include "tests/support/sim_fleet.h"

#define START_MS 1000000

static struct bl_store *store;

static void set_up(void)
{
	unlink(":memory:"); /* of a belay that made one */
	ck_assert_int_eq(bl_store_open("sqlite::memory:", &store, NULL), 0);
}

static void tear_down(void)
{
	bl_store_close(store);
}

static bool decides(const char *who, int64_t now_ms)
{
	bool mine = false;

	ck_assert_int_eq(
		bl_decider_take(store, who, START_MS + now_ms, &mine, NULL), 0);
	return mine;
}

START_TEST(store_in_memory_leaves_no_file)
{
	ck_assert(decides("a", 0));
	ck_assert_int_lt(access(":memory:", F_OK), 0);
}
END_TEST

START_TEST(one_decides_as_long_as_it_renews)
{
	int64_t t;

	ck_assert(decides("a", 0));
	for (t = 0; t < 10 * BL_DECIDER_LEASE_MS; t += 500) {
		ck_assert(decides("a", t));
		ck_assert(!decides("b", t + 250));
	}
}
END_TEST

START_TEST(next_one_has_it_when_the_lease_is_over)
{
	ck_assert(decides("a", 0));
	ck_assert(!decides("b", BL_DECIDER_LEASE_MS - 1));
	ck_assert(decides("b", BL_DECIDER_LEASE_MS));
	/* Whoever was paused finds that out. */
	ck_assert(!decides("a", BL_DECIDER_LEASE_MS + 1));
}
END_TEST

/* A controller whose clock was a year ahead has died. */
START_TEST(lease_from_a_wrong_clock_holds_up_nobody)
{
	ck_assert(decides("a", 365 * 24 * 3600 * INT64_C(1000)));
	ck_assert(decides("b", 0));
	ck_assert(!decides("c", 1));
}
END_TEST

START_TEST(holding_it_is_no_write_at_every_tick)
{
	int64_t before, after;

	ck_assert(decides("a", 0));
	ck_assert_int_eq(bl_store_revision(store, &before, NULL), 0);
	ck_assert(decides("a", BL_DECIDER_LEASE_MS / 2 - 1));
	ck_assert(!decides("b", BL_DECIDER_LEASE_MS / 2 - 1));
	ck_assert_int_eq(bl_store_revision(store, &after, NULL), 0);
	ck_assert_int_eq(after, before);
	ck_assert(decides("a", BL_DECIDER_LEASE_MS / 2));
	ck_assert_int_eq(bl_store_revision(store, &after, NULL), 0);
	ck_assert_int_gt(after, before);
}
END_TEST

/* Two tick; the rollout of a fleet goes its way by the one that has the lease,
 * and by the other when that one is no more. */
START_TEST(rollout_goes_on_by_the_next_one)
{
	struct bl_fleet fleets[2] = { 0 };
	struct sim s;
	const char *who = "a";
	int64_t end_ms;

	sim_start(&s, 3, 4);
	sim_run_ms(&s, 2000);
	sim_rollout(&s, "v1", SIM_GOOD);
	/* The simulation's own controller answers polls only. */
	s.no_ticks = true;
	end_ms = s.now_ms + 180000;
	while (s.now_ms < end_ms && sim_read(&s).state == BL_ROLLOUT_RUNNING) {
		sim_step(&s);
		if (sim_running(&s) >= 2)
			who = "b"; /* "a" was killed */
		ck_assert_int_eq(bl_decider_tick(s.store, who,
						 &fleets[*who - 'a'], s.now_ms,
						 NULL),
				 0);
	}
	ck_assert_int_eq(sim_read(&s).state, BL_ROLLOUT_DONE);
	ck_assert_uint_eq(sim_running(&s), 4);
	ck_assert_str_eq(who, "b");
	bl_fleet_free(&fleets[0]);
	bl_fleet_free(&fleets[1]);
	sim_end(&s);
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *suite = suite_create("decider");
	TCase *t = tcase_create("lease");

	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_add_test(t, store_in_memory_leaves_no_file);
	tcase_add_test(t, one_decides_as_long_as_it_renews);
	tcase_add_test(t, next_one_has_it_when_the_lease_is_over);
	tcase_add_test(t, lease_from_a_wrong_clock_holds_up_nobody);
	tcase_add_test(t, holding_it_is_no_write_at_every_tick);
	tcase_add_test(t, rollout_goes_on_by_the_next_one);
	suite_add_tcase(suite, t);
	return suite;
}
