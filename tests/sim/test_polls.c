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
#include "tests/support/sim_fleet.h"

#define HOSTS 30
#define MANY  110 /* more than are written at once */

static struct sim s; /* for its store, its clock and its rollouts */
static struct bl_polls *polls, *others;
static struct bl_polls_job jobs[MANY];

/* What is asked of the store, and when it fails. */
static const struct bl_store_ops *real_ops;
static struct bl_store_ops ops;
static unsigned reads, writes;
static int fails; /* an errno, for the next transaction */
static bool fails_after;

static int count_get(struct bl_store *store, const char *key,
		     struct bl_store_item *ret, struct bl_err *err)
{
	reads++;
	return real_ops->get(store, key, ret, err);
}

static int no_get(struct bl_store *store, const char *key,
		  struct bl_store_item *ret, struct bl_err *err)
{
	(void)store;
	(void)key;
	(void)ret;
	return bl_err_set(err, -EHOSTUNREACH, "nobody answers");
}

static int count_txn(struct bl_store *store,
		     const struct bl_store_compare *compares, size_t count,
		     const struct bl_store_put *puts, size_t put_count,
		     int64_t *ret_revision, struct bl_err *err)
{
	int told = fails, r = 0;

	writes++;
	fails = 0;
	if (!told || fails_after)
		r = real_ops->txn(store, compares, count, puts, put_count,
				  ret_revision, err);
	return told ? bl_err_set(err, told, "told to fail") : r;
}

static void set_up(void)
{
	sim_start(&s, 1, 0);
	real_ops = s.store_under->ops;
	ops = *real_ops;
	ops.get = count_get;
	s.store_under->ops = &ops;
	ck_assert_int_eq(bl_polls_open(s.store_under, &polls, NULL), 0);
	ck_assert_int_eq(bl_polls_open(s.store_under, &others, NULL), 0);
	memset(jobs, 0, sizeof(jobs));
}

static void tear_down(void)
{
	bl_polls_close(polls);
	bl_polls_close(others);
	s.store_under->ops = real_ops;
	sim_end(&s);
}

/* Transactions are counted, and one of them may fail. */
static void count(void)
{
	ops.txn = count_txn;
	reads = writes = 0;
}

static struct bl_polls_job *next_poll(unsigned i)
{
	struct bl_polls_job *job = &jobs[i];

	snprintf(job->host, sizeof(job->host), "web-%02u", i);
	snprintf(job->poll.boot, sizeof(job->poll.boot), "boot-%u", i);
	snprintf(job->poll.session, sizeof(job->poll.session), "life-%u", i);
	/* A stratum of its own: in each, one may try it at first. */
	if (!*job->poll.role)
		snprintf(job->poll.role, sizeof(job->poll.role), "role-%u", i);
	job->poll.seq++;
	job->now_ms = s.now_ms;
	return job;
}

static int poll_now(struct bl_polls *p, unsigned i)
{
	struct bl_polls_job *job = next_poll(i);

	if (!bl_polls_take(p, job))
		bl_polls_commit(p);
	return job->r;
}

static void poll_all(struct bl_polls *p)
{
	unsigned i;

	for (i = 0; i < HOSTS; i++)
		ck_assert_int_eq(poll_now(p, i), 0);
}

static unsigned orders(void)
{
	unsigned i, n = 0;

	for (i = 0; i < HOSTS; i++)
		n += jobs[i].order.kind == BL_ORDER_APPLY;
	return n;
}

/* A rollout to everybody, @cap at a time, that may begin. */
static void roll_out(unsigned cap)
{
	s.plan.cap = cap;
	s.plan.waves[0] = (struct bl_wave){ .percent = 100 };
	s.plan.wave_count = 1;
	s.plan.ladder_count = 0;
	sim_rollout(&s, "v1", SIM_GOOD);
	bl_controller_tick(s.store_under, s.now_ms, NULL);
	bl_polls_forget_rollouts(polls);
}

START_TEST(poll_that_says_nothing_new_reads_and_writes_nothing)
{
	unsigned i;

	poll_all(polls);
	count();
	for (i = 0; i < 100; i++)
		ck_assert_int_eq(poll_now(polls, i % HOSTS), 0);
	ck_assert_uint_eq(writes, 0);
	ck_assert_uint_eq(reads, 0);
	/* Only what may have changed is looked at again, once for all. */
	s.now_ms += BL_POLLS_FRESH_MS;
	poll_all(polls);
	ck_assert_uint_eq(reads, 1);
	ck_assert_uint_eq(writes, 0);
}
END_TEST

START_TEST(polls_that_came_together_are_one_transaction)
{
	bl_autostore_list struct bl_store_list list = { 0 };
	unsigned i;

	count();
	for (i = 0; i < HOSTS; i++)
		ck_assert(!bl_polls_take(polls, next_poll(i)));
	ck_assert_uint_eq(writes, 0);
	bl_polls_commit(polls);
	ck_assert_uint_eq(writes, 1);
	ck_assert_int_eq(bl_store_list(s.look, "host/", &list, NULL), 0);
	ck_assert_uint_eq(list.count, HOSTS);
}
END_TEST

START_TEST(I7_polls_that_came_together_share_the_cap)
{
	unsigned i;

	poll_all(polls);
	roll_out(3);
	for (i = 0; i < HOSTS; i++)
		if (!bl_polls_take(polls, next_poll(i)))
			ck_assert_uint_eq(sim_read(&s).exposed, 0);
	bl_polls_commit(polls);
	ck_assert_uint_eq(orders(), 3);
	ck_assert_uint_eq(sim_read(&s).exposed, 3);
	ck_assert_uint_eq(sim_read(&s).unconfirmed, 3);
	for (i = 0; i < HOSTS; i++)
		if (jobs[i].order.kind == BL_ORDER_APPLY)
			sim_exposure(&s, jobs[i].host);
	/* Nor does anybody else get it by another controller's memory. */
	poll_all(others);
	ck_assert_uint_eq(orders(), 3);
	ck_assert_uint_eq(sim_read(&s).exposed, 3);
}
END_TEST

START_TEST(I7_one_that_was_faster_costs_nobody_anything)
{
	unsigned i;

	poll_all(polls);
	roll_out(3);
	for (i = 0; i < HOSTS - 1; i++)
		bl_polls_take(polls, next_poll(i));
	/* Another controller exposes a host between judging and writing. */
	ck_assert_int_eq(poll_now(others, HOSTS - 1), 0);
	ck_assert_int_eq(jobs[HOSTS - 1].order.kind, BL_ORDER_APPLY);
	bl_polls_commit(polls);
	for (i = 0; i < HOSTS; i++)
		ck_assert_int_eq(jobs[i].r, 0);
	ck_assert_uint_eq(orders(), 3);
	ck_assert_uint_eq(sim_read(&s).unconfirmed, 3);
	/* The order got lost, and the host asks us: what we remember of it is
	 * older than that. */
	jobs[HOSTS - 1].order.kind = BL_ORDER_NONE;
	ck_assert_int_eq(poll_now(polls, HOSTS - 1), 0);
	ck_assert_int_eq(jobs[HOSTS - 1].order.kind, BL_ORDER_APPLY);
	ck_assert_uint_eq(sim_read(&s).unconfirmed, 3);
}
END_TEST

START_TEST(I7_death_in_a_transaction_is_made_up_for_by_the_store)
{
	unsigned i;

	poll_all(polls);
	roll_out(3);
	count();
	fails = -EIO;
	fails_after = _i;
	for (i = 0; i < HOSTS; i++)
		bl_polls_take(polls, next_poll(i));
	bl_polls_commit(polls);
	/* Who was in it is told nothing; it was in it, or it was not. */
	for (i = 0; i < HOSTS; i++)
		if (jobs[i].r < 0) {
			ck_assert_int_eq(jobs[i].r, -EIO);
			jobs[i].order.kind = BL_ORDER_NONE;
		}
	ck_assert_uint_eq(orders(), 0);
	ck_assert_uint_eq(sim_read(&s).exposed, _i ? 3 : 0);
	poll_all(polls);
	ck_assert_uint_eq(orders(), 3);
	ck_assert_uint_eq(sim_read(&s).exposed, 3);
}
END_TEST

START_TEST(order_is_never_given_from_memory_alone)
{
	unsigned i;

	poll_all(polls);
	roll_out(3);
	poll_all(polls);
	ck_assert_uint_eq(orders(), 3);
	/* Aborted by another controller's operator, this very moment. */
	sim_abort(&s);
	poll_all(polls);
	ck_assert_uint_eq(orders(), 0);
	for (i = 0; i < HOSTS; i++)
		if (*jobs[i].order.rollout)
			ck_assert_int_eq(jobs[i].order.kind, BL_ORDER_ROLLBACK);
}
END_TEST

START_TEST(host_that_was_elsewhere_meanwhile_is_read_again)
{
	poll_all(polls);
	/* It says something new to another controller, and takes it back. */
	bl_text_copy(jobs[0].poll.role, sizeof(jobs[0].poll.role), "db");
	ck_assert_int_eq(poll_now(others, 0), 0);
	jobs[0].poll.role[0] = '\0';
	count();
	ck_assert_int_eq(poll_now(polls, 0), 0);
	ck_assert_uint_ge(reads, 1);
	ck_assert_uint_eq(writes, 1);
}
END_TEST

/* The one controller exposes it by a poll that was long on its way, while the
 * other one answers from memory, and there is no room for another host. */
START_TEST(host_that_a_late_poll_exposed_elsewhere_is_told)
{
	struct bl_polls_job late;

	poll_all(polls);
	poll_all(others);
	ck_assert_int_eq(poll_now(polls, 0), 0);
	late = *next_poll(0);
	ck_assert_int_eq(poll_now(others, 0), 0);
	roll_out(_i ? 2 : 1);
	s.now_ms += BL_POLLS_FRESH_MS;
	late.now_ms = s.now_ms;
	if (_i) /* that one looked at the rollout before */
		ck_assert_int_eq(poll_now(others, 1), 0);
	if (!bl_polls_take(polls, &late))
		bl_polls_commit(polls);
	ck_assert_int_eq(late.r, 0);
	ck_assert_int_eq(late.order.kind, BL_ORDER_APPLY);
	s.now_ms += BL_POLLS_FRESH_MS;
	ck_assert_int_eq(poll_now(others, 0), 0);
	ck_assert_int_eq(jobs[0].order.kind, BL_ORDER_APPLY);
	ck_assert_uint_eq(sim_read(&s).exposed, _i ? 2 : 1);
}
END_TEST

START_TEST(poll_that_comes_twice_is_known_without_reading)
{
	struct bl_polls_job again;

	poll_all(polls);
	again = jobs[0];
	count();
	ck_assert(bl_polls_take(polls, &again));
	ck_assert_int_eq(again.r, -ESTALE);
	ck_assert_uint_eq(reads, 0);
	ck_assert_int_eq(poll_now(polls, 0), 0);
}
END_TEST

/* When the store knows of a host, as the decision sees it. */
static int64_t heard_ms(unsigned i)
{
	bl_autofleet struct bl_fleet f = { 0 };
	const struct bl_fleet_host *h;

	ck_assert_int_eq(bl_fleet_load(s.look, s.id, s.now_ms, &f, NULL), 0);
	h = bl_fleet_host_find(&f, jobs[i].host, NULL);
	ck_assert_ptr_nonnull(h);
	return h->heard_ms;
}

START_TEST(I6_lost_memory_costs_less_than_the_slack_of_silence)
{
	int64_t slack_ms, end_ms;

	poll_all(polls);
	roll_out(HOSTS);
	poll_all(polls);
	slack_ms = bl_decision_slack_ms(&s.plan);
	count();
	/* Nothing but signs of life, and flushes as the server makes them; at
	 * no moment does the store know less than that. */
	for (end_ms = s.now_ms + 10000; s.now_ms < end_ms; s.now_ms += 100) {
		if (s.now_ms % 500 == 0)
			poll_all(polls);
		ck_assert_int_eq(bl_polls_flush(polls, s.now_ms, false, NULL),
				 0);
		ck_assert_int_lt(s.now_ms - heard_ms(_i), 500 + slack_ms);
	}
	/* One write for many hosts, not one for each. */
	ck_assert_uint_lt(writes, 10000 / 500 * HOSTS / 2);
}
END_TEST

START_TEST(I6_poll_at_the_last_moment_is_written_with_its_host)
{
	poll_all(polls);
	roll_out(HOSTS);
	poll_all(polls);
	/* Nobody flushed for long; a verdict may be under way. */
	s.now_ms += s.plan.silence_ms;
	count();
	ck_assert_int_eq(poll_now(polls, 0), 0);
	ck_assert_uint_eq(writes, 1);
	ck_assert_int_eq(heard_ms(0), s.now_ms);
}
END_TEST

START_TEST(two_controllers_write_down_whom_they_heard)
{
	unsigned i;

	poll_all(polls);
	roll_out(1);
	for (i = 0; i < 3; i++) {
		s.now_ms += 4000;
		/* Each of them hears the half, and then the other half. */
		for (unsigned h = 0; h < HOSTS; h++)
			ck_assert_int_eq(
				poll_now((h + i) % 2 ? polls : others, h), 0);
		ck_assert_int_eq(bl_polls_flush(polls, s.now_ms, true, NULL),
				 0);
		ck_assert_int_eq(bl_polls_flush(others, s.now_ms, true, NULL),
				 0);
		for (unsigned h = 0; h < HOSTS; h++)
			ck_assert_int_eq(heard_ms(h), s.now_ms);
	}
}
END_TEST

START_TEST(store_that_does_not_answer_is_no_reason_to_guess)
{
	poll_all(polls);
	s.now_ms += BL_POLLS_FRESH_MS;
	ops.get = no_get;
	ck_assert_int_eq(poll_now(polls, 0), -EHOSTUNREACH);
	ck_assert_int_lt(bl_polls_busy(polls, s.now_ms, NULL), 0);
	ops.get = count_get;
	ck_assert_int_eq(poll_now(polls, 0), 0);
	ck_assert_int_eq(bl_polls_busy(polls, s.now_ms, NULL), 0);
}
END_TEST

/* Polls of an hour ahead, a flush of those, and the clock is right again. */
static void jump_there_and_back(int64_t ms)
{
	unsigned i;

	s.now_ms += ms;
	bl_controller_tick(s.store_under, s.now_ms, NULL);
	for (i = 0; i < 4; i++) {
		poll_all(polls);
		poll_all(others);
		ck_assert_int_eq(bl_polls_flush(polls, s.now_ms, true, NULL),
				 0);
		ck_assert_int_eq(bl_polls_flush(others, s.now_ms, true, NULL),
				 0);
		s.now_ms += 500;
	}
	s.now_ms -= ms;
}

/* A second controller merges what the first one wrote, and the other way. */
START_TEST(clock_that_is_set_back_makes_nobody_silent)
{
	static const int64_t jumps_ms[] = { 700, 5000, 3600000 };
	bl_autofleet struct bl_fleet f = { 0 };
	int64_t end_ms;
	unsigned turn = 0;

	poll_all(polls);
	roll_out(HOSTS);
	poll_all(polls);
	jump_there_and_back(jumps_ms[_i]);
	for (end_ms = s.now_ms + 4 * s.plan.silence_ms; s.now_ms < end_ms;) {
		s.now_ms += 500;
		poll_all(turn++ / 8 % 2 ? others : polls);
		ck_assert_int_eq(bl_polls_flush(polls, s.now_ms, false, NULL),
				 0);
		ck_assert_int_eq(bl_polls_flush(others, s.now_ms, false, NULL),
				 0);
		/* As the server's, which keeps what it read. */
		ck_assert_int_eq(bl_controller_tick_again(s.store_under, &f,
							  s.now_ms, NULL),
				 0);
		bl_polls_forget_rollouts(polls);
		for (unsigned i = 0; i < HOSTS; i++)
			ck_assert_int_ne(sim_exposure(&s, jobs[i].host),
					 BL_EXPOSURE_SILENT);
	}
	ck_assert_int_le(heard_ms(0), s.now_ms);
	ck_assert_int_ge(heard_ms(0), s.now_ms - s.plan.silence_ms);
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

	for (i = 0; i < MANY; i++) {
		for (k = 0; k < BL_SAMPLE_MAX; k++)
			memset(jobs[i].poll.sample[k], 1, BL_SAMPLE_LEN - 1);
		jobs[i].poll.sample_count = BL_SAMPLE_MAX;
		ck_assert_int_eq(poll_now(polls, i), 0);
	}
	s.now_ms += 5000;
	for (i = 0; i < MANY; i++) {
		jobs[i].poll.events = 7;
		ck_assert_int_eq(poll_now(polls, i), 0);
	}
	for (i = 0; i < 3; i++) {
		ck_assert_int_eq(bl_polls_flush(polls, s.now_ms, false, NULL),
				 0);
		s.now_ms += 1000;
	}
	ck_assert_int_eq(bl_store_list(s.look, "host/", &list, NULL), 0);
	ck_assert_uint_eq(list.count, MANY);
	for (i = 0; i < MANY; i++) {
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

	tcase_add_checked_fixture(t, set_up, tear_down);
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
