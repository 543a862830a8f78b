/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A host transaction under every fault: each step of the kernel and of the
 * database fails once; the process dies before each step; the host goes down
 * before each step; recovery itself dies before each of its steps. After each,
 * I1 to I5 (loader/host/slot.h) must hold.
 */
#include <string.h>

#include "tests/main.h"
#include "tests/support/rig.h"

/* A process with the address sanitizer takes ten times as long to fork. What
 * that run is for are errors of memory, and every few steps show them. */
#ifdef __SANITIZE_ADDRESS__
#define STRIDE 6
#else
#define STRIDE 1
#endif

static void check_failures(const struct rig_scenario *s, bool sticky)
{
	unsigned n;

	rig_start(s);
	for (n = 1;; n += STRIDE) {
		rig_restore_begin();
		rig.fake->fail_at = n;
		rig.fake->sticky = sticky;
		rig.fake->watch = rig_watch;
		ck_assert_msg(rig_run(s->action), "%s, step %u", s->name, n);
		if (!*rig.fake->failed_step)
			break;
		rig_check_told(s);
		fake_kern_calm(rig.fake);
		rig_check_recovery(s);
		if (n % 4 == 1)
			rig_check_usable();
	}
	ck_assert_msg(!rig.report->code, "%s: %s", s->name, rig.report->text);
	ck_assert_uint_gt(n, 8);
	fake_kern_calm(rig.fake);
	ck_assert_int_eq(rig_check_recovery(s), s->new);
}

START_TEST(every_failing_step)
{
	check_failures(&rig_scenarios[_i], false);
}
END_TEST

/* A disk that dies stays dead, and a kernel that refuses goes on refusing. */
START_TEST(everything_fails_from_a_step_on)
{
	check_failures(&rig_scenarios[_i], true);
}
END_TEST

static void check_deaths(const struct rig_scenario *s, bool reboot)
{
	unsigned n;

	rig_start(s);
	for (n = 1;; n += STRIDE) {
		enum bl_txn_kind kind = BL_TXN_APPLY;
		int phase, version;
		bool before;

		rig_restore_begin();
		rig.fake->die_at = n;
		rig.fake->watch = rig_watch;
		if (rig_run(s->action))
			break;
		phase = rig_open_phase(&kind);
		before = s->new >= 0 && rig_tombstoned(s->new);
		if (reboot) {
			fake_kern_reboot(rig.fake);
			rig.fake->watch = NULL; /* I1: nothing survives that */
		}
		fake_kern_calm(rig.fake);
		version = rig_check_recovery(s);
		/* I4, and when it is which: the durable commit decides. */
		rig_check_decided(s, kind, phase, version);
		rig_check_convicted(s, kind, phase, before, reboot);
		rig_check_usable();
	}
	ck_assert_uint_gt(n, 8);
}

START_TEST(death_of_the_process_before_every_step)
{
	check_deaths(&rig_scenarios[_i], false);
}
END_TEST

START_TEST(the_host_goes_down_before_every_step)
{
	check_deaths(&rig_scenarios[_i], true);
}
END_TEST

/* I3: recovery that dies anywhere is finished by the next one. */
static void recovery_dies(const struct rig_scenario *s, unsigned at,
			  bool reboot)
{
	struct snapshot found = { 0 };

	snapshot_take(&rig.host, &found);
	for (unsigned n = 1;; n += STRIDE) {
		snapshot_restore(&rig.host, &found);
		fake_kern_calm(rig.fake);
		rig.fake->die_at = n;
		if (rig_run(rig_recover)) {
			ck_assert_msg(!rig.report->code, "step %u, then %u: %s",
				      at, n, rig.report->text);
			break;
		}
		if (reboot)
			fake_kern_reboot(rig.fake);
		fake_kern_calm(rig.fake);
		rig_check_recovery(s);
	}
	snapshot_free(&found);
}

/* Every seventh death of the update or rollback, and for each of them every
 * death of its recovery. */
START_TEST(death_of_recovery_before_every_step)
{
	const struct rig_scenario *s = &rig_scenarios[_i / 2 ? 3 : 1];
	bool reboot = _i % 2;

	rig_start(s);
	for (unsigned n = 1;; n += 7 * STRIDE) {
		rig_restore_begin();
		rig.fake->die_at = n;
		if (rig_run(s->action))
			break;
		if (reboot)
			fake_kern_reboot(rig.fake);
		recovery_dies(s, n, reboot);
	}
}
END_TEST

/* The same, but nothing dies: from a step of recovery on everything fails, as
 * on a disk that is full. What is live must still be there when it is not. */
static void recovery_fails(const struct rig_scenario *s)
{
	struct snapshot found = { 0 };

	snapshot_take(&rig.host, &found);
	for (unsigned n = 1;; n += STRIDE) {
		snapshot_restore(&rig.host, &found);
		fake_kern_calm(rig.fake);
		rig.fake->fail_at = n;
		rig.fake->sticky = true;
		rig.fake->watch = rig_watch;
		ck_assert_msg(rig_run(rig_recover), "%s, step %u", s->name, n);
		if (!*rig.fake->failed_step)
			break;
		fake_kern_calm(rig.fake);
		rig_check_recovery(s);
	}
	snapshot_free(&found);
}

START_TEST(failure_of_recovery_from_every_step_on)
{
	const struct rig_scenario *s = &rig_scenarios[_i ? 3 : 1];

	rig_start(s);
	for (unsigned n = 1;; n += 7 * STRIDE) {
		rig_restore_begin();
		rig.fake->die_at = n;
		if (rig_run(s->action))
			break;
		recovery_fails(s);
	}
}
END_TEST

static void set_up(void)
{
	rig_set_up(true);
}

Suite *bl_test_suite(void)
{
	Suite *suite = suite_create("host: faults");
	TCase *tc = tcase_create("faults");
	int count = rig_scenario_count;

	tcase_add_checked_fixture(tc, set_up, rig_tear_down);
	tcase_add_loop_test(tc, every_failing_step, 0, count);
	tcase_add_loop_test(tc, everything_fails_from_a_step_on, 0, count);
	tcase_add_loop_test(tc, death_of_the_process_before_every_step, 0,
			    count);
	tcase_add_loop_test(tc, the_host_goes_down_before_every_step, 0, count);
	tcase_add_loop_test(tc, death_of_recovery_before_every_step, 0, 4);
	tcase_add_loop_test(tc, failure_of_recovery_from_every_step_on, 0, 2);
	suite_add_tcase(suite, tc);
	return suite;
}
