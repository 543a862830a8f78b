/* SPDX-License-Identifier: Apache-2.0 */
/* What many polls cost together: orders that are given again, hosts that nobody
 * remembers. */
#include <string.h>

#include "canary/controller/controller.h"
#include "loader/base/text.h"
#include "tests/main.h"
#include "tests/support/poll_rig.h"

/* All that came together, of hosts in their trials. */
static void take_all(struct bl_polls *p)
{
	struct bl_polls_job *all[POLL_RIG_HOSTS];
	unsigned i;

	for (i = 0; i < POLL_RIG_HOSTS; i++)
		all[i] = poll_rig_next_poll(i);
	bl_polls_ahead(p, all, POLL_RIG_HOSTS);
	for (i = 0; i < POLL_RIG_HOSTS; i++)
		bl_polls_take(p, all[i]);
	bl_polls_commit(p);
	for (i = 0; i < POLL_RIG_HOSTS; i++)
		ck_assert_int_eq(polling.jobs[i].r, 0);
}

START_TEST(orders_are_given_again_after_one_look_for_all_of_them)
{
	poll_rig_poll_all(polling.polls);
	poll_rig_roll_out(POLL_RIG_HOSTS);
	poll_rig_poll_all(polling.polls);
	ck_assert_uint_eq(poll_rig_orders(), POLL_RIG_HOSTS);
	poll_rig_count();
	take_all(polling.polls);
	ck_assert_uint_eq(poll_rig_orders(), POLL_RIG_HOSTS);
	ck_assert_uint_eq(polling.asked, 1);
	ck_assert_uint_eq(polling.writes, 0);
	ck_assert_uint_eq(polling.reads, 0);
}
END_TEST

/* What is asked for one host is not enough for another one. */
START_TEST(order_that_is_given_again_with_others_is_looked_at_for_itself)
{
	unsigned i;

	poll_rig_poll_all(polling.polls);
	poll_rig_roll_out(POLL_RIG_HOSTS);
	poll_rig_poll_all(polling.polls);
	/* Another controller hears of its end. */
	bl_text_copy(polling.jobs[3].poll.work.rollout,
		     sizeof(polling.jobs[3].poll.work.rollout), polling.s.id);
	polling.jobs[3].poll.work.order = BL_ORDER_APPLY;
	polling.jobs[3].poll.work.state = BL_WORK_FAILED;
	ck_assert_int_eq(poll_rig_poll_now(polling.others, 3), 0);
	memset(&polling.jobs[3].poll.work, 0,
	       sizeof(polling.jobs[3].poll.work));
	take_all(polling.polls);
	for (i = 0; i < POLL_RIG_HOSTS; i++)
		ck_assert_int_eq(polling.jobs[i].order.kind,
				 i == 3 ? BL_ORDER_NONE : BL_ORDER_APPLY);
}
END_TEST

START_TEST(hosts_that_nobody_remembers_are_read_at_once)
{
	poll_rig_poll_all(polling.others);
	poll_rig_roll_out(POLL_RIG_HOSTS);
	bl_polls_forget_rollouts(polling.others);
	poll_rig_poll_all(polling.others);
	ck_assert_uint_eq(poll_rig_orders(), POLL_RIG_HOSTS);
	poll_rig_count();
	take_all(polling.polls);
	/* Hosts, exposures, and what there is of the rollout. */
	ck_assert_uint_lt(polling.reads, 6);
	ck_assert_uint_eq(poll_rig_orders(), POLL_RIG_HOSTS);
	ck_assert_uint_eq(sim_read(&polling.s).exposed, POLL_RIG_HOSTS);
}
END_TEST

/* By a poll that was refused meanwhile, say. */
START_TEST(what_was_read_ahead_is_for_that_poll_only)
{
	struct bl_polls_job *all[POLL_RIG_HOSTS], *job = poll_rig_next_poll(0);
	unsigned i;

	poll_rig_poll_all(polling.others);
	for (i = 0; i < POLL_RIG_HOSTS; i++)
		all[i] = poll_rig_next_poll(i);
	bl_polls_ahead(polling.polls, all, POLL_RIG_HOSTS);
	poll_rig_roll_out(POLL_RIG_HOSTS);
	bl_polls_forget_rollouts(polling.others);
	ck_assert_int_eq(poll_rig_poll_now(polling.others, 0), 0);
	ck_assert_int_eq(job->order.kind, BL_ORDER_APPLY);
	job = poll_rig_next_poll(0);
	bl_polls_ahead(polling.polls, &job, 1);
	if (!bl_polls_take(polling.polls, job))
		bl_polls_commit(polling.polls);
	ck_assert_int_eq(job->r, 0);
	ck_assert_int_eq(job->order.kind, BL_ORDER_APPLY);
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *suite = suite_create("polls_many");
	TCase *t = tcase_create("many");

	tcase_add_checked_fixture(t, poll_rig_set_up, poll_rig_tear_down);
	tcase_add_test(t,
		       orders_are_given_again_after_one_look_for_all_of_them);
	tcase_add_test(
		t,
		order_that_is_given_again_with_others_is_looked_at_for_itself);
	tcase_add_test(t, hosts_that_nobody_remembers_are_read_at_once);
	tcase_add_test(t, what_was_read_ahead_is_for_that_poll_only);
	suite_add_tcase(suite, t);
	return suite;
}
