/* SPDX-License-Identifier: Apache-2.0 */
/* Who is not to blame: for a trial that others spoiled, for a lock that somebody
 * only asks about, for a commit while somebody looks. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bpf/event.h"
#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/host/host.h"
#include "loader/host/lock.h"
#include "tests/main.h"
#include "tests/support/fake_clock.h"
#include "tests/support/one_host.h"

static struct one_host one;
static struct bl_err err;

static void set_up(void)
{
	one_host_set_up(&one);
}

static void tear_down(void)
{
	one_host_tear_down(&one);
}

START_TEST(a_driver_that_fails_meanwhile_ends_the_trial_and_convicts_nobody)
{
	one_host_apply(&one, &one.v1, NULL, BL_APPLY_COMMITTED);
	one.fake->probes = 0;
	one.fake->splat_after = 2;
	one.fake->splat_elsewhere = true;
	one_host_apply(&one, &one.v2, NULL, BL_APPLY_ROLLED_BACK);
	ck_assert(!one.res.tombstoned);
	ck_assert_msg(strstr(one.res.reason, "BUG: a bug that was injected"),
		      "%s", one.res.reason);
	one.fake->splat_after = 0;
	one_host_apply(&one, &one.v2, NULL, BL_APPLY_COMMITTED);
}
END_TEST

/* belay events | less */
START_TEST(a_reader_that_stalls_ends_the_trial_and_convicts_nobody)
{
	bl_autofree char *path = bl_path("%s/reader", one.state_dir);
	bl_autoclose int fd = -1;

	one_host_apply(&one, &one.v1, NULL, BL_APPLY_COMMITTED);
	one.fake->drops_per_probe = 100;
	ck_assert_int_eq(bl_lock_take(path, "events", 0, &fd, NULL, &err), 0);
	one_host_apply(&one, &one.v2, NULL, BL_APPLY_ROLLED_BACK);
	ck_assert(!one.res.tombstoned);
	ck_assert_msg(strstr(one.res.reason, "was not read in time"), "%s",
		      one.res.reason);
	/* Without it, there is nobody else to blame. */
	close(BL_TAKE_FD(fd));
	one_host_apply(&one, &one.v2, NULL, BL_APPLY_ROLLED_BACK);
	ck_assert(one.res.tombstoned);
}
END_TEST

static int take_long(void *ctx, const struct bl_event *e, size_t len)
{
	(void)e;
	(void)len;
	fake_clock.sleep_ms(ctx, 100);
	return 0;
}

START_TEST(who_takes_events_slowly_convicts_nobody)
{
	struct bl_apply_opts opts = { .on_event = take_long };

	one_host_apply(&one, &one.v1, NULL, BL_APPLY_COMMITTED);
	one.fake->drops_per_probe = 100;
	one_host_apply(&one, &one.v2, &opts, BL_APPLY_ROLLED_BACK);
	ck_assert(!one.res.tombstoned);
}
END_TEST

/* As events come while belay waits. */
static void busy_sleep(void *ctx, uint64_t ms)
{
	ck_assert_uint_le(ms, BL_HOST_DRAIN_MS);
	fake_clock.sleep_ms(ctx, ms);
}

START_TEST(a_ring_on_trial_is_emptied_between_probes)
{
	struct bl_host_clock clock = fake_clock;
	struct bl_host_config config = { .state_dir = one.state_dir,
					 .ops = &fake_kern_ops,
					 .kern = one.fake,
					 .clock = &clock };

	clock.sleep_ms = busy_sleep;
	bl_host_close(one.host);
	ck_assert_int_eq(bl_host_open(&config, &one.host, &err), 0);
	one_host_apply(&one, &one.v1, NULL, BL_APPLY_COMMITTED);
}
END_TEST

static int asking_fd;
static void answered(int signal)
{
	(void)signal;
	close(asking_fd);
}

/* belay status, at the moment of an apply. */
START_TEST(who_only_asks_for_the_owner_is_none)
{
	const struct itimerval soon = { .it_value.tv_usec = 300000 };
	bl_autofree char *path = bl_path("%s/lock", one.state_dir);
	struct bl_lock_owner owner = { .pid = -1 };
	bl_autoclose int fd = -1;

	one_host_apply(&one, &one.v1, NULL,
		       BL_APPLY_COMMITTED); /* leaves its note */
	asking_fd = open(path, O_RDONLY | O_CLOEXEC);
	ck_assert_int_eq(flock(asking_fd, LOCK_SH), 0);
	/* As long as it asks, nobody is named who is long done. */
	ck_assert_int_eq(bl_lock_take(path, "apply", 0, &fd, &owner, &err),
			 -EBUSY);
	ck_assert_int_eq(owner.pid, 0);
	signal(SIGALRM, answered);
	setitimer(ITIMER_REAL, &soon, NULL);
	ck_assert_msg(!bl_lock_take(path, "apply", 0, &fd, &owner, &err), "%s",
		      err.text);
}
END_TEST

/* Both slots were looked at, and then another belay commits. */
static unsigned looks;
static int inspect_late(void *kern, enum bl_slot slot,
			struct bl_kern_slot_state *ret, struct bl_err *why)
{
	BL_CLEANUP(bl_host_closep) struct bl_host *other = NULL;
	int r = fake_kern_ops.inspect(kern, slot, ret, why);

	if (++looks == BL_SLOT_COUNT) {
		other = one_host_open(&one);
		ck_assert_int_eq(
			bl_host_apply(other, &one.v2, NULL, &one.res, &err), 0);
		ck_assert_int_eq(one.res.outcome, BL_APPLY_COMMITTED);
	}
	return r;
}

START_TEST(a_commit_while_status_looks_is_no_damage)
{
	struct bl_kern_ops ops = fake_kern_ops;
	const struct bl_host_config config = { .state_dir = one.state_dir,
					       .ops = &ops,
					       .kern = one.fake,
					       .clock = &fake_clock };
	struct bl_host_status s;

	one_host_apply(&one, &one.v1, NULL, BL_APPLY_COMMITTED);
	bl_host_close(one.host);
	ops.inspect = inspect_late;
	ck_assert_int_eq(bl_host_open(&config, &one.host, &err), 0);
	looks = 0;
	s = one_host_status(&one);
	ck_assert_str_eq(s.live.version, "2");
	ck_assert_msg(s.healthy, "%s", s.problem);
}
END_TEST

/* An event that comes to the old one while the new one is committed. */
static bool persisted, retired, late, late_told;
static int persist_with_event(void *kern, enum bl_slot slot, struct bl_err *why)
{
	late = persisted = slot == BL_SLOT_B;
	return fake_kern_ops.persist(kern, slot, why);
}

static int note_retired(void *kern, enum bl_slot slot, struct bl_err *why)
{
	int r = fake_kern_ops.retire(kern, slot, why);

	retired |= persisted && slot == BL_SLOT_A;
	return r;
}

/* As a ring that is open: what is left in it can be read when its slot is gone.
 */
static int late_events(void *kern, enum bl_slot slot, int timeout_ms,
		       bl_event_fn fn, void *ctx, struct bl_err *why)
{
	const struct bl_event e = { .size = sizeof(e), .generation = 1 };

	if (slot != BL_SLOT_A || !late || !fn)
		return fake_kern_ops.events(kern, slot, timeout_ms, fn, ctx,
					    why);
	late = false;
	fn(ctx, &e, sizeof(e));
	return 1;
}

static int take_late(void *ctx, const struct bl_event *e, size_t len)
{
	(void)ctx;
	(void)e;
	(void)len;
	late_told |= persisted;
	/* It may take a minute for it, and the lease has five seconds. */
	ck_assert(!persisted || retired);
	return 0;
}

START_TEST(who_takes_events_slowly_does_not_hold_up_a_commit)
{
	struct bl_kern_ops ops = fake_kern_ops;
	const struct bl_host_config config = { .state_dir = one.state_dir,
					       .ops = &ops,
					       .kern = one.fake,
					       .clock = &fake_clock };
	struct bl_apply_opts opts = { .on_event = take_late };

	one.fake->overlapping = _i ? FAKE_PROGRAMS : 0;
	one_host_apply(&one, &one.v1, NULL, BL_APPLY_COMMITTED);
	bl_host_close(one.host);
	ops.persist = persist_with_event;
	ops.retire = note_retired;
	ops.events = late_events;
	ck_assert_int_eq(bl_host_open(&config, &one.host, &err), 0);
	one_host_apply(&one, &one.v2, &opts, BL_APPLY_COMMITTED);
	ck_assert(late_told);
}
END_TEST

/* Who had it before and was killed has left its note; who has it now has not come
 * to write one. */
START_TEST(who_was_killed_is_not_taken_for_the_owner)
{
	const struct itimerval soon = { .it_value.tv_usec = 300000 };
	bl_autofree char *path = bl_path("%s/lock", one.state_dir);
	struct bl_lock_owner owner = { .pid = -1 };
	bl_autoclose int fd = -1;
	pid_t pid = fork();

	if (!pid)
		_exit(bl_lock_take(path, "apply", 0, &fd, NULL, NULL) != 0);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	asking_fd = open(path, O_RDWR | O_CLOEXEC);
	ck_assert_int_eq(flock(asking_fd, LOCK_EX | LOCK_NB), 0);
	ck_assert_int_eq(bl_lock_query(path, &owner, &err), 0);
	ck_assert_int_eq(owner.pid, 0);
	signal(SIGALRM, answered);
	setitimer(ITIMER_REAL, &soon, NULL);
	ck_assert_msg(!bl_lock_take(path, "apply", 0, &fd, &owner, &err), "%s",
		      err.text);
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *suite = suite_create("blame");
	TCase *tc = tcase_create("blame");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(
		tc,
		a_driver_that_fails_meanwhile_ends_the_trial_and_convicts_nobody);
	tcase_add_test(tc,
		       a_reader_that_stalls_ends_the_trial_and_convicts_nobody);
	tcase_add_test(tc, who_takes_events_slowly_convicts_nobody);
	tcase_add_test(tc, a_ring_on_trial_is_emptied_between_probes);
	tcase_add_test(tc, who_only_asks_for_the_owner_is_none);
	tcase_add_test(tc, who_was_killed_is_not_taken_for_the_owner);
	tcase_add_test(tc, a_commit_while_status_looks_is_no_damage);
	tcase_add_loop_test(
		tc, who_takes_events_slowly_does_not_hold_up_a_commit, 0, 2);
	suite_add_tcase(suite, tc);
	return suite;
}
