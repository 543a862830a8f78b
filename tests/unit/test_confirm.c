/* SPDX-License-Identifier: Apache-2.0 */
/* Who has the last word about a trial, over the fake kernel: what another
 * shell says while apply works, and what becomes of a trial nobody speaks
 * for. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/host/host.h"
#include "loader/host/journal/journal_trial.h"
#include "loader/host/lock.h"
#include "tests/main.h"
#include "tests/support/fake_clock.h"
#include "tests/support/one_host.h"

static struct one_host one;
static struct bl_confirm_result said;
static struct bl_host_status seen; /* by the other shell */
static struct bl_err err;

/* What happens during the trial, and when. */
static struct {
	void (*act)(void);
	uint64_t at_ms;	  /* of the trial */
	uint64_t last_ms; /* that the trial came to */
	enum bl_tick say;
} plan;

static enum bl_tick on_tick(void *ctx, const struct bl_trial_view *view,
			    struct bl_err *why)
{
	(void)ctx;
	(void)why;
	plan.last_ms = view->elapsed_ms;
	if (view->elapsed_ms < plan.at_ms)
		return BL_TICK_GO_ON;
	if (plan.act)
		plan.act();
	plan.act = NULL;
	return plan.say;
}

static void confirm(uint64_t txn)
{
	BL_CLEANUP(bl_host_closep) struct bl_host *other = one_host_open(&one);

	ck_assert_msg(!bl_host_confirm(other, txn, &said, &err), "%s",
		      err.text);
}

static void confirm_any(void)
{
	confirm(0);
}

static void confirm_twice(void)
{
	confirm(0);
	ck_assert_int_eq(said.outcome, BL_CONFIRMED);
	confirm(2);
}

static void confirm_wrong(void)
{
	confirm(77);
}

static void confirm_old(void)
{
	confirm(1);
}

static void look(void)
{
	BL_CLEANUP(bl_host_closep) struct bl_host *other = one_host_open(&one);

	ck_assert(!bl_host_status(other, &seen, &err));
}

static void lose_events(void)
{
	one.fake->drops_per_probe = 100;
}

static struct bl_apply_opts opts;

/* v1 is live, v2 is tried with @confirm. */
static void try(enum bl_confirm confirmation, void (*act)(void), uint64_t at_ms)
{
	opts = (struct bl_apply_opts){ .confirm = confirmation,
				       .within_ms = 600000,
				       .tick = on_tick };
	plan.act = act;
	plan.at_ms = at_ms;
	plan.say = BL_TICK_GO_ON;
}

/* Version 1 is live. */
static void set_up(void)
{
	one_host_set_up(&one);
	one_host_apply(&one, &one.v1, NULL, BL_APPLY_COMMITTED);
	said = (struct bl_confirm_result){ 0 };
}

static void tear_down(void)
{
	one_host_tear_down(&one);
}

START_TEST(a_trial_that_a_person_confirms_is_committed)
{
	struct bl_host_history h;

	try(BL_CONFIRM_MANUAL, confirm_any, 300000);
	one_host_apply(&one, &one.v2, &opts, BL_APPLY_COMMITTED);
	ck_assert_int_eq(said.outcome, BL_CONFIRMED);
	ck_assert_uint_eq(said.txn, 2);
	ck_assert_str_eq(said.tried.digest, one.v2.digest);
	/* The probes went on until then, and not for long after. */
	ck_assert_uint_ge(plan.last_ms, 300000);
	ck_assert_uint_le(plan.last_ms, 300000 + 2 * BL_HOST_PROBE_MS);
	ck_assert(!bl_host_history(one.host, 1, &h, &err));
	ck_assert_str_eq(h.txns[0].confirm, "manual");
	ck_assert_int_ne(h.txns[0].confirmed_ms, 0);
	bl_host_history_free(&h);
}
END_TEST

START_TEST(a_confirmation_does_not_shorten_the_probation)
{
	try(BL_CONFIRM_MANUAL, confirm_any, 0);
	one_host_apply(&one, &one.v2, &opts, BL_APPLY_COMMITTED);
	ck_assert_uint_eq(plan.last_ms, ONE_HOST_PROBATION_MS);
}
END_TEST

START_TEST(what_nobody_confirms_goes_back_and_may_be_tried_again)
{
	try(BL_CONFIRM_MANUAL, NULL, 0);
	one_host_apply(&one, &one.v2, &opts, BL_APPLY_ROLLED_BACK);
	ck_assert_str_eq(one.res.reason, "nobody confirmed it within 10 min");
	ck_assert(!one.res.tombstoned);
	ck_assert_str_eq(one.res.now.digest, one.v1.digest);
	ck_assert(fake_slot_empty(&one.fake->slot[BL_SLOT_B]));
	confirm(2);
	ck_assert_int_eq(said.outcome, BL_CONFIRM_OVER);
	ck_assert_msg(strstr(said.reason, "rolled back: nobody confirmed"),
		      "%s", said.reason);
	one_host_apply(&one, &one.v2, NULL, BL_APPLY_COMMITTED);
}
END_TEST

/* The time for it cannot be shorter than the probation. */
START_TEST(within_is_at_least_the_probation)
{
	try(BL_CONFIRM_MANUAL, confirm_any, ONE_HOST_PROBATION_MS - 250);
	opts.within_ms = 1;
	one_host_apply(&one, &one.v2, &opts, BL_APPLY_COMMITTED);
}
END_TEST

START_TEST(probes_go_on_while_it_waits)
{
	try(BL_CONFIRM_MANUAL, lose_events, 100000);
	one_host_apply(&one, &one.v2, &opts, BL_APPLY_ROLLED_BACK);
	ck_assert(one.res.tombstoned);
	ck_assert_msg(strstr(one.res.reason, "lost"), "%s", one.res.reason);
}
END_TEST

START_TEST(status_says_what_waits_for_whom)
{
	try(BL_CONFIRM_MANUAL, look, 2000);
	one_host_apply(&one, &one.v2, &opts, BL_APPLY_ROLLED_BACK);
	ck_assert_uint_eq(seen.trial.txn, 2);
	ck_assert_str_eq(seen.trial.tried.digest, one.v2.digest);
	ck_assert_int_eq(seen.trial.confirm, BL_CONFIRM_MANUAL);
	ck_assert_int_gt(seen.trial.until_ms, 0);
	ck_assert_int_eq(seen.trial.confirmed_ms, 0);
	ck_assert_str_eq(seen.live.digest, one.v1.digest);
	look();
	ck_assert_uint_eq(seen.trial.txn, 0);
}
END_TEST

static const struct {
	enum bl_confirm confirm;
	void (*act)(void);
	enum bl_confirm_outcome outcome;
	const char *says;
	enum bl_apply_outcome then; /* becomes of the trial */
} words[] = {
	{ BL_CONFIRM_AUTO, confirm_any, BL_CONFIRM_NOTHING, "confirms itself",
	  BL_APPLY_COMMITTED },
	{ BL_CONFIRM_REMOTE, confirm_any, BL_CONFIRM_NOTHING,
	  "by its controller", BL_APPLY_ROLLED_BACK },
	{ BL_CONFIRM_MANUAL, confirm_wrong, BL_CONFIRM_WRONG,
	  "no transaction 77; the open one is 2", BL_APPLY_ROLLED_BACK },
	{ BL_CONFIRM_MANUAL, confirm_old, BL_CONFIRM_OVER,
	  "transaction 1 is over: committed", BL_APPLY_ROLLED_BACK },
	{ BL_CONFIRM_MANUAL, confirm_twice, BL_CONFIRMED, "",
	  BL_APPLY_COMMITTED },
};

START_TEST(only_what_waits_can_be_confirmed)
{
	try(words[_i].confirm, words[_i].act, 500);
	one_host_apply(&one, &one.v2, &opts, words[_i].then);
	ck_assert_int_eq(said.outcome, words[_i].outcome);
	ck_assert_msg(strstr(said.reason, words[_i].says), "%s", said.reason);
}
END_TEST

START_TEST(nothing_waits_on_a_quiet_host)
{
	confirm(0);
	ck_assert_int_eq(said.outcome, BL_CONFIRM_NOTHING);
	confirm(9);
	ck_assert_int_eq(said.outcome, BL_CONFIRM_WRONG);
}
END_TEST

START_TEST(a_caller_confirms_by_its_tick)
{
	try(BL_CONFIRM_REMOTE, NULL, 5000);
	plan.say = BL_TICK_CONFIRM;
	one_host_apply(&one, &one.v2, &opts, BL_APPLY_COMMITTED);
	ck_assert_uint_le(plan.last_ms, 5000 + 2 * BL_HOST_PROBE_MS);
}
END_TEST

START_TEST(a_tick_confirms_nothing_that_is_a_persons)
{
	try(BL_CONFIRM_MANUAL, NULL, 5000);
	plan.say = BL_TICK_CONFIRM;
	one_host_apply(&one, &one.v2, &opts, BL_APPLY_ROLLED_BACK);
}
END_TEST

/* A trial as a process leaves it that dies. */
static struct bl_journal *left_open(void)
{
	bl_autofree char *path = bl_path("%s/journal.db", one.state_dir);
	struct bl_journal_txn txn = { .kind = BL_TXN_APPLY,
				      .row.slot = BL_SLOT_B };
	struct bl_journal_step step = { .phase = BL_PHASE_TRIAL };
	struct bl_journal_trial trial = { .confirm = BL_CONFIRM_MANUAL };
	struct bl_journal *j = NULL;

	memcpy(txn.row.digest, one.v2.digest, sizeof(txn.row.digest));
	ck_assert(!bl_journal_open(path, &j, &err));
	ck_assert_msg(!bl_journal_begin(j, &txn, &trial.txn, &err), "%s",
		      err.text);
	step.txn = trial.txn;
	ck_assert(!bl_journal_write(j, &step, &err));
	ck_assert(!bl_journal_trial_open(j, &trial, &err));
	return j;
}

START_TEST(a_trial_whose_belay_died_cannot_be_confirmed)
{
	struct bl_recover_result rec;

	bl_journal_close(left_open());
	confirm(0);
	ck_assert_int_eq(said.outcome, BL_CONFIRM_GONE);
	ck_assert_msg(strstr(said.reason, "belay recover"), "%s", said.reason);
	ck_assert(!bl_host_recover(one.host, &rec, &err));
	ck_assert_int_eq(rec.outcome, BL_RECOVER_ROLLED_BACK);
	confirm(0);
	ck_assert_int_eq(said.outcome, BL_CONFIRM_NOTHING);
}
END_TEST

START_TEST(a_confirmation_and_its_end_exclude_each_other)
{
	struct bl_journal *j = left_open();

	ck_assert_int_eq(bl_journal_trial_confirm(j, 2, 5, &err), 1);
	ck_assert_int_eq(bl_journal_trial_close(j, 2, 6, &err), 0);
	bl_journal_close(j);
	j = left_open();
	ck_assert_int_eq(bl_journal_trial_close(j, 3, 6, &err), 1);
	ck_assert_int_eq(bl_journal_trial_confirm(j, 3, 5, &err), 0);
	bl_journal_close(j);
}
END_TEST

static int held_fd = -1;
static unsigned naps;

/* Whoever recovers is done while we wait. */
static void nap(void *ctx, uint64_t ms)
{
	fake_clock.sleep_ms(ctx, ms);
	if (++naps == 3)
		close(BL_TAKE_FD(held_fd));
}

START_TEST(who_only_looks_is_waited_for)
{
	bl_autofree char *path = bl_path("%s/lock", one.state_dir);
	struct bl_host_clock clock = fake_clock;
	struct bl_host_config config = { .state_dir = one.state_dir,
					 .ops = &fake_kern_ops,
					 .kern = one.fake,
					 .clock = &clock };

	clock.sleep_ms = nap;
	bl_host_close(one.host);
	ck_assert_int_eq(bl_host_open(&config, &one.host, &err), 0);
	ck_assert_int_eq(bl_lock_take(path, "recover", 1721361540000, &held_fd,
				      NULL, &err),
			 0);
	one_host_apply(&one, &one.v2, NULL, BL_APPLY_COMMITTED);
	ck_assert_uint_ge(naps, 3);
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *suite = suite_create("confirm");
	TCase *tc = tcase_create("trial");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, a_trial_that_a_person_confirms_is_committed);
	tcase_add_test(tc, a_confirmation_does_not_shorten_the_probation);
	tcase_add_test(tc,
		       what_nobody_confirms_goes_back_and_may_be_tried_again);
	tcase_add_test(tc, within_is_at_least_the_probation);
	tcase_add_test(tc, probes_go_on_while_it_waits);
	tcase_add_test(tc, status_says_what_waits_for_whom);
	tcase_add_loop_test(tc, only_what_waits_can_be_confirmed, 0,
			    BL_ARRAY_SIZE(words));
	tcase_add_test(tc, nothing_waits_on_a_quiet_host);
	tcase_add_test(tc, a_caller_confirms_by_its_tick);
	tcase_add_test(tc, a_tick_confirms_nothing_that_is_a_persons);
	tcase_add_test(tc, a_trial_whose_belay_died_cannot_be_confirmed);
	tcase_add_test(tc, a_confirmation_and_its_end_exclude_each_other);
	tcase_add_test(tc, who_only_looks_is_waited_for);
	suite_add_tcase(suite, tc);
	return suite;
}
