/* SPDX-License-Identifier: Apache-2.0 */
/* What a controller remembers of polls, what it writes of them at once, and what
 * losing its memory costs. The schedules of test_rollout.c run over it, too. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "canary/controller/controller.h"
#include "canary/controller/polls.h"
#include "loader/base/text.h"
#include "tests/main.h"
#include "tests/support/poll_rig.h"

static int no_get(struct bl_store *store, const char *key,
		  struct bl_store_item *ret, struct bl_err *err)
{
	(void)store;
	(void)key;
	(void)ret;
	return bl_err_set(err, -EHOSTUNREACH, "nobody answers");
}

START_TEST(poll_that_says_nothing_new_reads_and_writes_nothing)
{
	unsigned i;

	poll_rig_poll_all(polling.polls);
	poll_rig_count();
	for (i = 0; i < 100; i++)
		ck_assert_int_eq(poll_rig_poll_now(polling.polls,
						   i % POLL_RIG_HOSTS),
				 0);
	ck_assert_uint_eq(polling.writes, 0);
	ck_assert_uint_eq(polling.reads, 0);
	/* Only what may have changed is looked at again, once for all. */
	polling.s.now_ms += BL_POLLS_FRESH_MS;
	poll_rig_poll_all(polling.polls);
	ck_assert_uint_eq(polling.reads, 1);
	ck_assert_uint_eq(polling.writes, 0);
}
END_TEST

START_TEST(polls_that_came_together_are_one_transaction)
{
	bl_autostore_list struct bl_store_list list = { 0 };
	unsigned i;

	poll_rig_count();
	for (i = 0; i < POLL_RIG_HOSTS; i++)
		ck_assert(!bl_polls_take(polling.polls, poll_rig_next_poll(i)));
	ck_assert_uint_eq(polling.writes, 0);
	bl_polls_commit(polling.polls);
	ck_assert_uint_eq(polling.writes, 1);
	ck_assert_int_eq(bl_store_list(polling.s.look, "host/", &list, NULL),
			 0);
	ck_assert_uint_eq(list.count, POLL_RIG_HOSTS);
}
END_TEST

START_TEST(I7_polls_that_came_together_share_the_cap)
{
	unsigned i;

	poll_rig_poll_all(polling.polls);
	poll_rig_roll_out(3);
	for (i = 0; i < POLL_RIG_HOSTS; i++)
		if (!bl_polls_take(polling.polls, poll_rig_next_poll(i)))
			ck_assert_uint_eq(sim_read(&polling.s).exposed, 0);
	bl_polls_commit(polling.polls);
	ck_assert_uint_eq(poll_rig_orders(), 3);
	ck_assert_uint_eq(sim_read(&polling.s).exposed, 3);
	ck_assert_uint_eq(sim_read(&polling.s).unconfirmed, 3);
	for (i = 0; i < POLL_RIG_HOSTS; i++)
		if (polling.jobs[i].order.kind == BL_ORDER_APPLY)
			sim_exposure(&polling.s, polling.jobs[i].host);
	/* Nor does anybody else get it by another controller's memory. */
	poll_rig_poll_all(polling.others);
	ck_assert_uint_eq(poll_rig_orders(), 3);
	ck_assert_uint_eq(sim_read(&polling.s).exposed, 3);
}
END_TEST

START_TEST(I7_one_that_was_faster_costs_nobody_anything)
{
	unsigned i;

	poll_rig_poll_all(polling.polls);
	poll_rig_roll_out(3);
	for (i = 0; i < POLL_RIG_HOSTS - 1; i++)
		bl_polls_take(polling.polls, poll_rig_next_poll(i));
	/* Another controller exposes a host between judging and writing. */
	ck_assert_int_eq(poll_rig_poll_now(polling.others, POLL_RIG_HOSTS - 1),
			 0);
	ck_assert_int_eq(polling.jobs[POLL_RIG_HOSTS - 1].order.kind,
			 BL_ORDER_APPLY);
	bl_polls_commit(polling.polls);
	for (i = 0; i < POLL_RIG_HOSTS; i++)
		ck_assert_int_eq(polling.jobs[i].r, 0);
	ck_assert_uint_eq(poll_rig_orders(), 3);
	ck_assert_uint_eq(sim_read(&polling.s).unconfirmed, 3);
	/* The order got lost, and the host asks us: what we remember of it is
	 * older than that. */
	polling.jobs[POLL_RIG_HOSTS - 1].order.kind = BL_ORDER_NONE;
	ck_assert_int_eq(poll_rig_poll_now(polling.polls, POLL_RIG_HOSTS - 1),
			 0);
	ck_assert_int_eq(polling.jobs[POLL_RIG_HOSTS - 1].order.kind,
			 BL_ORDER_APPLY);
	ck_assert_uint_eq(sim_read(&polling.s).unconfirmed, 3);
}
END_TEST

START_TEST(I7_death_in_a_transaction_is_made_up_for_by_the_store)
{
	unsigned i;

	poll_rig_poll_all(polling.polls);
	poll_rig_roll_out(3);
	poll_rig_count();
	polling.fails = -EIO;
	polling.fails_after = _i;
	for (i = 0; i < POLL_RIG_HOSTS; i++)
		bl_polls_take(polling.polls, poll_rig_next_poll(i));
	bl_polls_commit(polling.polls);
	/* Who was in it is told nothing; it was in it, or it was not. */
	for (i = 0; i < POLL_RIG_HOSTS; i++)
		if (polling.jobs[i].r < 0) {
			ck_assert_int_eq(polling.jobs[i].r, -EIO);
			polling.jobs[i].order.kind = BL_ORDER_NONE;
		}
	ck_assert_uint_eq(poll_rig_orders(), 0);
	ck_assert_uint_eq(sim_read(&polling.s).exposed, _i ? 3 : 0);
	poll_rig_poll_all(polling.polls);
	ck_assert_uint_eq(poll_rig_orders(), 3);
	ck_assert_uint_eq(sim_read(&polling.s).exposed, 3);
}
END_TEST

START_TEST(order_is_never_given_from_memory_alone)
{
	unsigned i;

	poll_rig_poll_all(polling.polls);
	poll_rig_roll_out(3);
	poll_rig_poll_all(polling.polls);
	ck_assert_uint_eq(poll_rig_orders(), 3);
	/* Aborted by another controller's operator, this very moment. */
	sim_abort(&polling.s);
	poll_rig_poll_all(polling.polls);
	ck_assert_uint_eq(poll_rig_orders(), 0);
	for (i = 0; i < POLL_RIG_HOSTS; i++)
		if (*polling.jobs[i].order.rollout)
			ck_assert_int_eq(polling.jobs[i].order.kind,
					 BL_ORDER_ROLLBACK);
}
END_TEST

START_TEST(host_that_was_elsewhere_meanwhile_is_read_again)
{
	poll_rig_poll_all(polling.polls);
	/* It says something new to another controller, and takes it back. */
	bl_text_copy(polling.jobs[0].poll.role,
		     sizeof(polling.jobs[0].poll.role), "db");
	ck_assert_int_eq(poll_rig_poll_now(polling.others, 0), 0);
	polling.jobs[0].poll.role[0] = '\0';
	poll_rig_count();
	ck_assert_int_eq(poll_rig_poll_now(polling.polls, 0), 0);
	ck_assert_uint_ge(polling.reads, 1);
	ck_assert_uint_eq(polling.writes, 1);
}
END_TEST

/* The one controller exposes it by a poll that was long on its way, while the
 * other one answers from memory, and there is no room for another host. */
START_TEST(host_that_a_late_poll_exposed_elsewhere_is_told)
{
	struct bl_polls_job late;

	poll_rig_poll_all(polling.polls);
	poll_rig_poll_all(polling.others);
	ck_assert_int_eq(poll_rig_poll_now(polling.polls, 0), 0);
	late = *poll_rig_next_poll(0);
	ck_assert_int_eq(poll_rig_poll_now(polling.others, 0), 0);
	poll_rig_roll_out(_i ? 2 : 1);
	polling.s.now_ms += BL_POLLS_FRESH_MS;
	late.now_ms = polling.s.now_ms;
	if (_i) /* that one looked at the rollout before */
		ck_assert_int_eq(poll_rig_poll_now(polling.others, 1), 0);
	if (!bl_polls_take(polling.polls, &late))
		bl_polls_commit(polling.polls);
	ck_assert_int_eq(late.r, 0);
	ck_assert_int_eq(late.order.kind, BL_ORDER_APPLY);
	polling.s.now_ms += BL_POLLS_FRESH_MS;
	ck_assert_int_eq(poll_rig_poll_now(polling.others, 0), 0);
	ck_assert_int_eq(polling.jobs[0].order.kind, BL_ORDER_APPLY);
	ck_assert_uint_eq(sim_read(&polling.s).exposed, _i ? 2 : 1);
}
END_TEST

/* The same, and the rollout is over before the other one is polled again: what
 * is open tells nothing of it, before and after. */
START_TEST(rollout_that_began_and_ended_between_two_looks_is_looked_at)
{
	struct bl_polls_job late;
	unsigned i;

	poll_rig_poll_all(polling.polls);
	poll_rig_poll_all(polling.others);
	ck_assert_int_eq(poll_rig_poll_now(polling.polls, 0), 0);
	late = *poll_rig_next_poll(0);
	ck_assert_int_eq(poll_rig_poll_now(polling.others, 0), 0);
	poll_rig_roll_out(1);
	polling.s.now_ms += BL_POLLS_FRESH_MS;
	late.now_ms = polling.s.now_ms;
	if (!bl_polls_take(polling.polls, &late))
		bl_polls_commit(polling.polls);
	ck_assert_int_eq(late.order.kind, BL_ORDER_APPLY);
	sim_abort(&polling.s);
	for (i = 0; i < 100 && sim_read(&polling.s).state != BL_ROLLOUT_ABORTED;
	     i++) {
		polling.s.now_ms += 1000;
		ck_assert_int_ge(bl_controller_tick(polling.s.store_under,
						    polling.s.now_ms, NULL),
				 0);
	}
	ck_assert_int_eq(sim_read(&polling.s).state, BL_ROLLOUT_ABORTED);
	ck_assert_int_eq(poll_rig_poll_now(polling.others, 0), 0);
	ck_assert_int_eq(polling.jobs[0].order.kind, BL_ORDER_ROLLBACK);
}
END_TEST

START_TEST(poll_that_comes_twice_is_known_without_reading)
{
	struct bl_polls_job again;

	poll_rig_poll_all(polling.polls);
	again = polling.jobs[0];
	poll_rig_count();
	ck_assert(bl_polls_take(polling.polls, &again));
	ck_assert_int_eq(again.r, -ESTALE);
	ck_assert_uint_eq(polling.reads, 0);
	ck_assert_int_eq(poll_rig_poll_now(polling.polls, 0), 0);
}
END_TEST

/* When the store knows of a host, as the decision sees it. */
static int64_t heard_ms(unsigned i)
{
	bl_autofleet struct bl_fleet f = { 0 };
	const struct bl_fleet_host *h;

	ck_assert_int_eq(bl_fleet_load(polling.s.look, polling.s.id,
				       polling.s.now_ms, &f, NULL),
			 0);
	h = bl_fleet_host_find(&f, polling.jobs[i].host, NULL);
	ck_assert_ptr_nonnull(h);
	return h->heard_ms;
}

START_TEST(I6_lost_memory_costs_less_than_the_slack_of_silence)
{
	int64_t slack_ms, end_ms;

	poll_rig_poll_all(polling.polls);
	poll_rig_roll_out(POLL_RIG_HOSTS);
	poll_rig_poll_all(polling.polls);
	slack_ms = bl_decision_slack_ms(&polling.s.plan);
	poll_rig_count();
	/* Nothing but signs of life, and flushes as the server makes them; at
	 * no moment does the store know less than that. */
	for (end_ms = polling.s.now_ms + 10000; polling.s.now_ms < end_ms;
	     polling.s.now_ms += 100) {
		if (polling.s.now_ms % 500 == 0)
			poll_rig_poll_all(polling.polls);
		ck_assert_int_eq(bl_polls_flush(polling.polls, polling.s.now_ms,
						false, NULL),
				 0);
		ck_assert_int_lt(polling.s.now_ms - heard_ms(_i),
				 500 + slack_ms);
	}
	/* One write for many hosts, not one for each. */
	ck_assert_uint_lt(polling.writes, 10000 / 500 * POLL_RIG_HOSTS / 2);
}
END_TEST

START_TEST(I6_poll_at_the_last_moment_is_written_with_its_host)
{
	poll_rig_poll_all(polling.polls);
	poll_rig_roll_out(POLL_RIG_HOSTS);
	poll_rig_poll_all(polling.polls);
	/* Nobody flushed for long; a verdict may be under way. */
	polling.s.now_ms += polling.s.plan.silence_ms;
	poll_rig_count();
	ck_assert_int_eq(poll_rig_poll_now(polling.polls, 0), 0);
	ck_assert_uint_eq(polling.writes, 1);
	ck_assert_int_eq(heard_ms(0), polling.s.now_ms);
}
END_TEST

START_TEST(two_controllers_write_down_whom_they_heard)
{
	unsigned i;

	poll_rig_poll_all(polling.polls);
	poll_rig_roll_out(1);
	for (i = 0; i < 3; i++) {
		polling.s.now_ms += 4000;
		/* Each of them hears the half, and then the other half. */
		for (unsigned h = 0; h < POLL_RIG_HOSTS; h++)
			ck_assert_int_eq(
				poll_rig_poll_now((h + i) % 2 ? polling.polls
							      : polling.others,
						  h),
				0);
		ck_assert_int_eq(bl_polls_flush(polling.polls, polling.s.now_ms,
						true, NULL),
				 0);
		ck_assert_int_eq(bl_polls_flush(polling.others,
						polling.s.now_ms, true, NULL),
				 0);
		for (unsigned h = 0; h < POLL_RIG_HOSTS; h++)
			ck_assert_int_eq(heard_ms(h), polling.s.now_ms);
	}
}
END_TEST

START_TEST(store_that_does_not_answer_is_no_reason_to_guess)
{
	poll_rig_poll_all(polling.polls);
	polling.s.now_ms += BL_POLLS_FRESH_MS;
	polling.ops.get = no_get;
	ck_assert_int_eq(poll_rig_poll_now(polling.polls, 0), -EHOSTUNREACH);
	ck_assert_int_lt(bl_polls_busy(polling.polls, polling.s.now_ms, NULL),
			 0);
	polling.ops.get = polling.real_ops->get;
	ck_assert_int_eq(poll_rig_poll_now(polling.polls, 0), 0);
	ck_assert_int_eq(bl_polls_busy(polling.polls, polling.s.now_ms, NULL),
			 0);
}
END_TEST

/* Polls of an hour ahead, a flush of those, and the clock is right again. */
static void jump_there_and_back(int64_t ms)
{
	unsigned i;

	polling.s.now_ms += ms;
	bl_controller_tick(polling.s.store_under, polling.s.now_ms, NULL);
	for (i = 0; i < 4; i++) {
		poll_rig_poll_all(polling.polls);
		poll_rig_poll_all(polling.others);
		ck_assert_int_eq(bl_polls_flush(polling.polls, polling.s.now_ms,
						true, NULL),
				 0);
		ck_assert_int_eq(bl_polls_flush(polling.others,
						polling.s.now_ms, true, NULL),
				 0);
		polling.s.now_ms += 500;
	}
	polling.s.now_ms -= ms;
}

/* A second controller merges what the first one wrote, and the other way. */
START_TEST(clock_that_is_set_back_makes_nobody_silent)
{
	static const int64_t jumps_ms[] = { 700, 5000, 3600000 };
	bl_autofleet struct bl_fleet f = { 0 };
	int64_t end_ms;
	unsigned turn = 0;

	poll_rig_poll_all(polling.polls);
	poll_rig_roll_out(POLL_RIG_HOSTS);
	poll_rig_poll_all(polling.polls);
	jump_there_and_back(jumps_ms[_i]);
	for (end_ms = polling.s.now_ms + 4 * polling.s.plan.silence_ms;
	     polling.s.now_ms < end_ms;) {
		polling.s.now_ms += 500;
		poll_rig_poll_all(turn++ / 8 % 2 ? polling.others
						 : polling.polls);
		ck_assert_int_eq(bl_polls_flush(polling.polls, polling.s.now_ms,
						false, NULL),
				 0);
		ck_assert_int_eq(bl_polls_flush(polling.others,
						polling.s.now_ms, false, NULL),
				 0);
		/* As the server's, which keeps what it read. */
		ck_assert_int_eq(bl_controller_tick_again(polling.s.store_under,
							  &f, polling.s.now_ms,
							  NULL),
				 0);
		bl_polls_forget_rollouts(polling.polls);
		for (unsigned i = 0; i < POLL_RIG_HOSTS; i++)
			ck_assert_int_ne(sim_exposure(&polling.s,
						      polling.jobs[i].host),
					 BL_EXPOSURE_SILENT);
	}
	ck_assert_int_le(heard_ms(0), polling.s.now_ms);
	ck_assert_int_ge(heard_ms(0),
			 polling.s.now_ms - polling.s.plan.silence_ms);
}
END_TEST

/* As many hosts as fit by number do not by their size: each record is as large
 * as characters that JSON escapes make it. */
START_TEST(hosts_with_large_records_are_written_in_several_turns)
{
	bl_autostore_list struct bl_store_list list = { 0 };
	struct bl_fleet_host host;
	size_t bytes = 0;
	unsigned i, k;

	for (i = 0; i < POLL_RIG_MANY; i++) {
		for (k = 0; k < BL_SAMPLE_MAX; k++)
			memset(polling.jobs[i].poll.sample[k], 1,
			       BL_SAMPLE_LEN - 1);
		polling.jobs[i].poll.sample_count = BL_SAMPLE_MAX;
		ck_assert_int_eq(poll_rig_poll_now(polling.polls, i), 0);
	}
	polling.s.now_ms += 5000;
	for (i = 0; i < POLL_RIG_MANY; i++) {
		polling.jobs[i].poll.events = 7;
		ck_assert_int_eq(poll_rig_poll_now(polling.polls, i), 0);
	}
	for (i = 0; i < 3; i++) {
		ck_assert_int_eq(bl_polls_flush(polling.polls, polling.s.now_ms,
						false, NULL),
				 0);
		polling.s.now_ms += 1000;
	}
	ck_assert_int_eq(bl_store_list(polling.s.look, "host/", &list, NULL),
			 0);
	ck_assert_uint_eq(list.count, POLL_RIG_MANY);
	for (i = 0; i < POLL_RIG_MANY; i++) {
		bytes += list.items[i].value.len;
		ck_assert_int_eq(
			bl_fleet_host_read(&list.items[i], &host, NULL), 0);
		ck_assert_int_eq(host.events, 7);
	}
	ck_assert_uint_gt(bytes, BL_STORE_MANY_BYTES);
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *suite = suite_create("polls");
	TCase *t = tcase_create("memory");

	tcase_add_checked_fixture(t, poll_rig_set_up, poll_rig_tear_down);
	tcase_add_test(t, poll_that_says_nothing_new_reads_and_writes_nothing);
	tcase_add_test(t, polls_that_came_together_are_one_transaction);
	tcase_add_test(t, I7_polls_that_came_together_share_the_cap);
	tcase_add_test(t, I7_one_that_was_faster_costs_nobody_anything);
	tcase_add_loop_test(
		t, I7_death_in_a_transaction_is_made_up_for_by_the_store, 0, 2);
	tcase_add_test(t, order_is_never_given_from_memory_alone);
	tcase_add_test(t, host_that_was_elsewhere_meanwhile_is_read_again);
	tcase_add_loop_test(t, host_that_a_late_poll_exposed_elsewhere_is_told,
			    0, 2);
	tcase_add_test(t, poll_that_comes_twice_is_known_without_reading);
	tcase_add_test(
		t, rollout_that_began_and_ended_between_two_looks_is_looked_at);
	tcase_add_loop_test(
		t, I6_lost_memory_costs_less_than_the_slack_of_silence, 0, 3);
	tcase_add_test(t, I6_poll_at_the_last_moment_is_written_with_its_host);
	tcase_add_test(t, two_controllers_write_down_whom_they_heard);
	tcase_add_test(t, store_that_does_not_answer_is_no_reason_to_guess);
	tcase_add_loop_test(t, clock_that_is_set_back_makes_nobody_silent, 0,
			    3);
	tcase_add_test(t,
		       hosts_with_large_records_are_written_in_several_turns);
	suite_add_tcase(suite, t);
	return suite;
}
