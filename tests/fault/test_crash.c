/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Death at every system call of a host transaction, and every call on files
 * that fails. What test_host.c does at each step that the model of a kernel
 * knows, this does by ptrace to the real thing: SQLite's own writes, syncs and
 * locks, the kept bundles, the lock of the host; the steps of the fake kernel
 * are calls among them (crash_point). After each, I1 to I5.
 *
 * BELAY_CRASH_STRIDE=N takes every Nth point: scripts/test each 7th, scripts/soak
 * crash all of them. The sums are printed. CK_RUN_CASE=killed, down or fails runs
 * one way of breaking; tests/CMakeLists.txt says which with sanitizers.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "loader/base/cleanup.h"
#include "tests/main.h"
#include "tests/support/crash.h"
#include "tests/support/rig.h"

/* Primes, so that they do not keep step with loops of the loader. */
#define STRIDE 97 /* a look, for who builds all day */

/* Fewer calls, or points at every 7th or less, mean that the harness is broken,
 * not that the loader got better. */
#define CALLS_MIN  3000
#define POINTS_MIN 1000

/* Recovery is killed too: after the first death in each phase, and after every
 * Nth death. */
#define RECOVERY_EVERY 24

/* The host is tried out after every Nth point. */
#define USABLE_EVERY 5

/* Of one way of breaking; in shared memory, since each test runs in a process
 * of its own. */
static struct sum {
	unsigned points, of, sweeps;
} * killed, *down, *failed;

static unsigned stride;

/* A step of the fake kernel is a system call of whoever takes it. */
static void point(struct fake_kern *fake, const char *step)
{
	(void)fake;
	(void)step;
	crash_point();
}

/* Runs @action as @plan says. Whether it lived to its end. */
static bool follow(rig_action action, const struct crash_plan *plan,
		   struct crash_seen *ret)
{
	pid_t pid;
	int r;

	rig.in_child = crash_begin;
	rig.fake->watch = point;
	pid = rig_spawn(action);
	r = crash_follow(pid, plan, ret);
	rig.in_child = NULL;
	rig.fake->watch = NULL;
	ck_assert_msg(!r, "ptrace: %s", strerror(-r));
	return rig_reap(ret->status, ret->killed);
}

/* I1, for a scenario in which something stays live throughout. */
static void check_guarded(const struct rig_scenario *s)
{
	if (s->old >= 0 && s->new >= 0 && !s->reboot)
		rig_check_live_whole();
}

/* --- killed --------------------------------------------------------------- */

/* Where the points of a sweep begin: each has others. */
static unsigned first_point(struct sum *sum)
{
	return sum->sweeps++ % stride + 1;
}

/* I3: recovery that is killed anywhere is finished by the next one. */
static void kill_recovery(const struct rig_scenario *s, bool reboot,
			  struct sum *sum)
{
	struct snapshot found = { 0 };
	struct crash_seen seen;

	snapshot_take(&rig.host, &found);
	for (unsigned n = first_point(sum);; n += stride) {
		const struct crash_plan plan = { .kill_at = n };

		snapshot_restore(&rig.host, &found);
		if (follow(rig_recover, &plan, &seen))
			break;
		sum->points++;
		if (reboot)
			fake_kern_reboot(rig.fake);
		else
			check_guarded(s);
		rig_check_recovery(s);
	}
	sum->of += seen.calls;
	snapshot_restore(&rig.host, &found);
	snapshot_free(&found);
}

/* In which phases death was seen. */
struct phases {
	bool seen[BL_TXN_KINDS][BL_PHASES];
};

static bool first_of(struct phases *p, enum bl_txn_kind kind, int phase)
{
	bool first = phase >= 0 && !p->seen[kind][phase];

	if (first)
		p->seen[kind][phase] = true;
	return first;
}

static void check_death(const struct rig_scenario *s, bool reboot,
			struct phases *phases, struct sum *sum)
{
	enum bl_txn_kind kind = BL_TXN_APPLY;
	int phase = rig_open_phase(&kind), version;
	bool before = s->new >= 0 && rig_tombstoned(s->new);

	if (reboot)
		fake_kern_reboot(rig.fake);
	else
		check_guarded(s);
	if (first_of(phases, kind, phase) || sum->points % RECOVERY_EVERY == 0)
		kill_recovery(s, reboot, sum);
	version = rig_check_recovery(s);
	rig_check_decided(s, kind, phase, version);
	rig_check_convicted(s, kind, phase, before, reboot);
	if (sum->points % USABLE_EVERY)
		return;
	rig_check_usable();
	rig_check_clean();
}

static void check_deaths(const struct rig_scenario *s, bool reboot,
			 struct sum *sum)
{
	struct phases phases = { 0 };
	struct crash_seen seen;

	rig_start(s);
	for (unsigned n = first_point(sum);; n += stride) {
		const struct crash_plan plan = { .kill_at = n };

		rig_restore_begin();
		if (follow(s->action, &plan, &seen))
			break;
		sum->points++;
		check_death(s, reboot, &phases, sum);
	}
	sum->of += seen.calls;
	ck_assert_msg(!rig.report->code, "%s: %s", s->name, rig.report->text);
	ck_assert_int_eq(rig_check_recovery(s), s->new);
}

START_TEST(the_process_is_killed_at_every_system_call)
{
	check_deaths(&rig_scenarios[_i], false, killed);
}
END_TEST

START_TEST(the_host_goes_down_at_every_system_call)
{
	check_deaths(&rig_scenarios[_i], true, down);
}
END_TEST

static void tell(const struct sum *sum, const char *what, unsigned points_min)
{
	printf("%u %s of %u calls, 0 violations\n", sum->points, what, sum->of);
	ck_assert_uint_ge(sum->of, CALLS_MIN);
	if (stride <= 7)
		ck_assert_uint_ge(sum->points, points_min);
}

START_TEST(deaths_of_the_process_were_many)
{
	tell(killed, "crash points (process)", POINTS_MIN);
}
END_TEST

START_TEST(deaths_of_the_host_were_many)
{
	tell(down, "crash points (host)", POINTS_MIN);
}
END_TEST

/* --- fails ---------------------------------------------------------------- */

static const struct {
	int code;
	bool sticky;
} disks[] = {
	{ -EIO, false },
	{ -ENOSPC, false },
	{ -ENOSPC, true }, /* full, and stays so until somebody sees to it */
};

/* An error says what is wrong; a result, what became of it. */
static void check_clear(const struct rig_scenario *s, const char *call)
{
	const struct rig_report *r = rig.report;

	if (r->code)
		ck_assert_msg(*r->text, "%s, %s: failed without a word",
			      s->name, call);
	else if (r->result.outcome != BL_APPLY_COMMITTED)
		ck_assert_msg(*r->result.reason, "%s, %s: no reason", s->name,
			      call);
	rig_check_told(s);
}

static void check_failures(const struct rig_scenario *s, int code, bool sticky)
{
	struct crash_seen seen;

	rig_start(s);
	for (unsigned n = first_point(failed);; n += stride) {
		const struct crash_plan plan = { .fail_at = n,
						 .code = code,
						 .sticky = sticky };

		rig_restore_begin();
		ck_assert(follow(s->action, &plan, &seen));
		if (!seen.failed)
			break;
		failed->points++;
		check_clear(s, seen.first);
		check_guarded(s);
		rig_check_recovery(s);
		if (failed->points % USABLE_EVERY)
			continue;
		rig_check_usable();
		rig_check_clean();
	}
	failed->of += seen.on_files;
	ck_assert_int_eq(rig_check_recovery(s), s->new);
}

START_TEST(every_call_on_files_fails)
{
	size_t disk = (size_t)_i % BL_ARRAY_SIZE(disks);

	check_failures(&rig_scenarios[(size_t)_i / BL_ARRAY_SIZE(disks)],
		       disks[disk].code, disks[disk].sticky);
}
END_TEST

START_TEST(failures_were_many)
{
	tell(failed, "failures injected", POINTS_MIN / 3);
}
END_TEST

static void set_up(void)
{
	rig_set_up(false);
}

static struct sum *shared_sum(void)
{
	struct sum *sum = mmap(NULL, sizeof(*sum), PROT_READ | PROT_WRITE,
			       MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (sum == MAP_FAILED)
		exit(1);
	return sum;
}

/* A case for each way of breaking. */
static void way(Suite *suite, const char *name, const TTest *test, int count,
		const TTest *end)
{
	TCase *tc = tcase_create(name);

	/* Only against a hang. */
	tcase_set_timeout(tc, 3600);
	tcase_add_checked_fixture(tc, set_up, rig_tear_down);
	tcase_add_loop_test(tc, test, 0, count);
	tcase_add_test(tc, end);
	suite_add_tcase(suite, tc);
}

Suite *bl_test_suite(void)
{
	Suite *suite = suite_create("host: killed at every system call");
	const char *text = getenv("BELAY_CRASH_STRIDE");
	int count = rig_scenario_count;

	stride = text ? (unsigned)strtoul(text, NULL, 10) : STRIDE;
	if (!stride)
		exit(64);
	if (!crash_possible()) {
		printf("skipped: no process can be followed here (ptrace): %s\n",
		       strerror(errno));
		exit(77);
	}
	killed = shared_sum();
	down = shared_sum();
	failed = shared_sum();
	way(suite, "killed", the_process_is_killed_at_every_system_call, count,
	    deaths_of_the_process_were_many);
	way(suite, "down", the_host_goes_down_at_every_system_call, count,
	    deaths_of_the_host_were_many);
	way(suite, "fails", every_call_on_files_fails,
	    count * (int)BL_ARRAY_SIZE(disks), failures_were_many);
	return suite;
}
