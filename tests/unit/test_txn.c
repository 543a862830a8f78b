/* SPDX-License-Identifier: Apache-2.0 */
/* The state table of a host transaction, asked in whole. */
#include "loader/host/txn.h"
#include "tests/main.h"

#define EACH(kind, phase, event)                                          \
	for (enum bl_txn_kind kind = 0; kind < BL_TXN_KINDS; kind++)      \
		for (enum bl_phase phase = 0; phase < BL_PHASES; phase++) \
			for (enum bl_txn_event event = 0;                 \
			     event < BL_TXN_EVENTS; event++)

static bool committed(enum bl_phase p)
{
	return p == BL_PHASE_COMMITTED || p == BL_PHASE_DONE;
}

/* Runs a transaction whose every action succeeds; counts what it does. */
struct walk {
	unsigned actions[BL_ACT_RETIRE_NEW + 1];
	unsigned order[BL_ACT_RETIRE_NEW + 1]; /* of the last such action */
	unsigned commits, attempts;
	enum bl_phase end;
};

static struct walk walk(enum bl_txn_kind kind, enum bl_phase phase,
			enum bl_txn_event first)
{
	struct walk w = { 0 };
	enum bl_txn_event event = first;

	for (unsigned n = 1; !bl_phase_closed(phase) && n < 20; n++) {
		struct bl_txn_step step;

		if (event == BL_TXN_OK) {
			enum bl_txn_action a = bl_txn_action(kind, phase);

			w.actions[a]++;
			w.order[a] = n;
		}
		step = bl_txn_next(kind, phase, event);
		w.commits += step.commit;
		w.attempts += step.attempt;
		phase = step.phase;
		event = BL_TXN_OK;
	}
	w.end = phase;
	return w;
}

START_TEST(every_kind_commits_once_and_retires_the_old_after_it)
{
	struct walk w = walk((enum bl_txn_kind)_i, BL_PHASE_INTENT, BL_TXN_OK);

	ck_assert_int_eq(w.end, BL_PHASE_DONE);
	ck_assert_uint_eq(w.commits, 1);
	ck_assert_uint_eq(w.actions[BL_ACT_STAGE], 1);
	ck_assert_uint_eq(w.actions[BL_ACT_PERSIST], 1);
	ck_assert_uint_eq(w.actions[BL_ACT_RETIRE_OLD], 1);
	ck_assert_uint_eq(w.actions[BL_ACT_RETIRE_NEW], 0);
	ck_assert_uint_gt(w.order[BL_ACT_RETIRE_OLD], w.order[BL_ACT_PERSIST]);
	/* Live exactly once, by a trial or without one. */
	ck_assert_uint_eq(w.actions[BL_ACT_TRY] + w.actions[BL_ACT_ATTACH], 1);
}
END_TEST

START_TEST(only_an_apply_is_tried_counted_and_convicted)
{
	EACH(kind, phase, event)
	{
		struct bl_txn_step s = bl_txn_next(kind, phase, event);

		if (kind == BL_TXN_APPLY)
			continue;
		ck_assert(!s.tombstone);
		ck_assert(!s.attempt);
	}
	ck_assert_uint_eq(walk(BL_TXN_APPLY, BL_PHASE_INTENT, 0).attempts, 1);
	ck_assert_uint_eq(
		walk(BL_TXN_ROLLBACK, BL_PHASE_INTENT, 0).actions[BL_ACT_TRY],
		0);
}
END_TEST

START_TEST(a_transaction_found_open_ends_whatever_it_was)
{
	EACH(kind, phase, event)
	{
		struct walk w;

		if (event != BL_TXN_FOUND && event != BL_TXN_FOUND_BOOT)
			continue;
		w = walk(kind, phase, event);
		ck_assert(bl_phase_closed(w.end));
		/* The durable commit decides, and nothing after it. */
		ck_assert_int_eq(w.end == BL_PHASE_DONE, committed(phase));
		ck_assert_uint_eq(w.commits, 0);
	}
}
END_TEST

START_TEST(nothing_but_the_last_good_step_commits)
{
	EACH(kind, phase, event)
	{
		struct bl_txn_step s = bl_txn_next(kind, phase, event);

		ck_assert_int_eq(s.commit, phase == BL_PHASE_COMMITTING &&
						   event == BL_TXN_OK);
		/* Once committed there is no way back in the table. */
		if (committed(phase))
			ck_assert(committed(s.phase));
	}
}
END_TEST

START_TEST(who_is_convicted)
{
	static const struct {
		enum bl_phase phase;
		enum bl_txn_event event;
		bool tombstone;
	} cases[] = {
		{ BL_PHASE_TRIAL, BL_TXN_BAD, true },
		{ BL_PHASE_TRIAL, BL_TXN_FOUND_BOOT, true },
		{ BL_PHASE_COMMITTING, BL_TXN_FOUND_BOOT, true },
		/* The loader's death is not the sensor's fault. */
		{ BL_PHASE_TRIAL, BL_TXN_FOUND, false },
		{ BL_PHASE_TRIAL, BL_TXN_ABORT, false },
		{ BL_PHASE_TRIAL, BL_TXN_FAILED, false },
		/* Before the trial nothing of it ran. */
		{ BL_PHASE_INTENT, BL_TXN_FOUND_BOOT, false },
		{ BL_PHASE_STAGED, BL_TXN_FOUND_BOOT, false },
		/* A power cycle of a healthy host changes nothing. */
		{ BL_PHASE_COMMITTED, BL_TXN_FOUND_BOOT, false },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		ck_assert_int_eq(bl_txn_next(BL_TXN_APPLY, cases[i].phase,
					     cases[i].event)
					 .tombstone,
				 cases[i].tombstone);
}
END_TEST

START_TEST(names_can_be_read_back)
{
	for (enum bl_phase p = 0; p < BL_PHASES; p++)
		ck_assert_int_eq(bl_phase_by_name(bl_phase_name(p)), (int)p);
	for (enum bl_txn_kind k = 0; k < BL_TXN_KINDS; k++)
		ck_assert_int_eq(bl_txn_kind_by_name(bl_txn_kind_name(k)),
				 (int)k);
	ck_assert_int_eq(bl_phase_by_name("doen"), -1);
	ck_assert_int_eq(bl_phase_by_name(NULL), -1);
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *suite = suite_create("txn");
	TCase *tc = tcase_create("table");

	tcase_add_loop_test(
		tc, every_kind_commits_once_and_retires_the_old_after_it, 0,
		BL_TXN_KINDS);
	tcase_add_test(tc, only_an_apply_is_tried_counted_and_convicted);
	tcase_add_test(tc, a_transaction_found_open_ends_whatever_it_was);
	tcase_add_test(tc, nothing_but_the_last_good_step_commits);
	tcase_add_test(tc, who_is_convicted);
	tcase_add_test(tc, names_can_be_read_back);
	suite_add_tcase(suite, tc);
	return suite;
}
