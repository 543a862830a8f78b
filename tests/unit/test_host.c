/* SPDX-License-Identifier: Apache-2.0 */
/* What a user of host.h relies on, over the fake kernel. Faults are in
 * tests/fault/test_host.c. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bpf/event.h"
#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/bundle/content.h"
#include "loader/host/host.h"
#include "loader/host/lock.h"
#include "tests/main.h"
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

START_TEST(status_follows_apply_and_rollback)
{
	struct bl_host_status s = one_host_status(&one);

	ck_assert_str_eq(s.live.digest, "");
	one_host_apply(&one, &one.v1, NULL, BL_APPLY_COMMITTED);
	one_host_apply(&one, &one.v2, NULL, BL_APPLY_COMMITTED);
	s = one_host_status(&one);
	ck_assert_str_eq(s.live.digest, one.v2.digest);
	ck_assert_str_eq(s.previous.digest, one.v1.digest);
	ck_assert_msg(s.healthy, "%s", s.problem);
	ck_assert_int_eq(s.slot, BL_SLOT_B);

	ck_assert_int_eq(bl_host_rollback(one.host, "noisy", &one.res, &err),
			 0);
	ck_assert_int_eq(one.res.outcome, BL_APPLY_COMMITTED);
	ck_assert_str_eq(one.res.digest, one.v1.digest);
	s = one_host_status(&one);
	ck_assert_str_eq(s.live.digest, one.v1.digest);
	ck_assert_str_eq(s.previous.digest, "");
	ck_assert_uint_eq(s.tombstones, 1);
	/* What was left is remembered, with the operator's words. */
	one_host_apply(&one, &one.v2, NULL, BL_APPLY_REFUSED);
	ck_assert_int_eq(one.res.refusal, BL_REFUSAL_TOMBSTONE);
	ck_assert_msg(strstr(one.res.reason, "noisy"), "%s", one.res.reason);

	ck_assert_int_eq(bl_host_rollback(one.host, NULL, &one.res, &err), 0);
	ck_assert_str_eq(one.res.digest, "");
	ck_assert_str_eq(one.res.was.digest, one.v1.digest);
	ck_assert_str_eq(one.res.now.digest, "");
	ck_assert(fake_slot_empty(&one.fake->slot[0]));
	ck_assert(fake_slot_empty(&one.fake->slot[1]));
	ck_assert_int_eq(bl_host_rollback(one.host, NULL, &one.res, &err), 0);
	ck_assert_int_eq(one.res.refusal, BL_REFUSAL_EMPTY);
}
END_TEST

static void spoil_drops(void)
{
	one.fake->drops_per_probe = 100;
}

static void spoil_runs(void)
{
	one.fake->missed_per_probe = 100;
}

static void spoil_links(void)
{
	one.fake->detach_after = 3;
}

static void spoil_log(void)
{
	one.fake->splat_after = 2;
}

static void spoil_time(void)
{
	one.fake->ns_per_run = BL_TRIAL_MAX_NS_PER_EVENT + 1;
	one.fake->events_per_probe = 100;
}

static void spoil_silence(void)
{
	one.fake->events_per_probe = 0;
}

static void (*const spoil[])(void) = { spoil_drops, spoil_runs, spoil_links,
				       spoil_log,   spoil_time, spoil_silence };

START_TEST(a_failed_trial_leaves_the_old_and_a_tombstone)
{
	one_host_apply(&one, &one.v1, NULL, BL_APPLY_COMMITTED);
	one.fake->probes = 0;
	spoil[_i]();
	one_host_apply(&one, &one.v2, NULL, BL_APPLY_ROLLED_BACK);
	ck_assert(one.res.tombstoned);
	ck_assert_str_ne(one.res.reason, "");
	ck_assert_str_eq(one.res.was.digest, one.v1.digest);
	ck_assert_str_eq(one.res.now.digest, one.v1.digest);
	ck_assert_str_eq(one.res.now.version, "1");
	ck_assert_str_eq(one_host_status(&one).live.digest, one.v1.digest);
	ck_assert(fake_slot_whole(&one.fake->slot[BL_SLOT_A]));
	ck_assert(fake_slot_empty(&one.fake->slot[BL_SLOT_B]));
}
END_TEST

/* It cannot refuse anything, and no program runs any more once it is live. */
static int broken_code, broken_before;

static int breaks_programs(const struct one_host *o, struct bl_err *e)
{
	int code = fake_slot_live(&o->fake->slot[BL_SLOT_B]) ? broken_code
							     : broken_before;

	return code ? bl_err_set(e, code, "cannot run a program") : 0;
}

static int breaks_for_good(const struct one_host *o, struct bl_err *e)
{
	o->fake->no_retire = fake_slot_live(&o->fake->slot[BL_SLOT_B]);
	return breaks_programs(o, e);
}

static const struct {
	int code, before;
	bool tombstoned;
} breaks[] = {
	{ -EREMOTEIO, 0, true },
	{ -EAGAIN, 0, false }, /* the test could not be made */
	{ -EREMOTEIO, -EREMOTEIO, false },
};

START_TEST(what_only_observes_is_asked_for_the_host_as_well)
{
	one_host_apply(&one, &one.v1, NULL, BL_APPLY_COMMITTED);
	broken_code = breaks[_i].code;
	broken_before = breaks[_i].before;
	one.usable = breaks_programs;
	one_host_apply(&one, &one.v2, NULL, BL_APPLY_ROLLED_BACK);
	ck_assert_int_eq(one.res.tombstoned, breaks[_i].tombstoned);
	ck_assert_msg(strstr(one.res.reason, "cannot run a program"), "%s",
		      one.res.reason);
	ck_assert_str_eq(one_host_status(&one).live.digest, one.v1.digest);
	ck_assert(fake_slot_empty(&one.fake->slot[BL_SLOT_B]));
}
END_TEST

/* What refuses everything refuses belay as well: that is no excuse. */
START_TEST(a_lease_that_cannot_be_renewed_is_no_news_on_a_broken_host)
{
	one_host_apply(&one, &one.v1, NULL, BL_APPLY_COMMITTED);
	one.fake->no_renew = true;
	broken_code = _i ? -EPERM : 0;
	broken_before = 0;
	one.usable = breaks_programs;
	one_host_apply(&one, &one.v2, NULL, BL_APPLY_ROLLED_BACK);
	ck_assert_int_eq(one.res.tombstoned, _i);
	ck_assert_msg(strstr(one.res.reason,
			     _i ? "cannot run a program" : "renew the lease"),
		      "%s", one.res.reason);
}
END_TEST

/* As long as it refuses, nobody goes back; recover does, and knows why. */
START_TEST(who_cannot_go_back_says_why_it_has_to)
{
	struct bl_recover_result rec;
	struct bl_host_status s;

	one_host_apply(&one, &one.v1, NULL, BL_APPLY_COMMITTED);
	broken_code = -EPERM;
	broken_before = 0;
	one.usable = breaks_for_good;
	ck_assert_int_eq(bl_host_apply(one.host, &one.v2, NULL, &one.res, &err),
			 -EPERM);
	ck_assert_msg(strstr(err.text, "cannot run a program; undo it: no way"),
		      "%s", err.text);
	one.fake->no_retire = false;
	err = (struct bl_err){ 0 };
	ck_assert_msg(!bl_host_recover(one.host, &rec, &err), "%s", err.text);
	s = one_host_status(&one);
	ck_assert_str_eq(s.live.digest, one.v1.digest);
	ck_assert_uint_eq(s.tombstones, 1);
}
END_TEST

START_TEST(what_makes_a_host_usable_again_may_stay)
{
	one_host_apply(&one, &one.v1, NULL, BL_APPLY_COMMITTED);
	broken_code = 0;
	broken_before = -EREMOTEIO;
	one.usable = breaks_programs;
	one_host_apply(&one, &one.v2, NULL, BL_APPLY_COMMITTED);
}
END_TEST

START_TEST(a_self_test_that_was_interrupted_ends_the_trial)
{
	one_host_apply(&one, &one.v1, NULL, BL_APPLY_COMMITTED);
	broken_code = -ECANCELED;
	broken_before = 0;
	one.usable = breaks_programs;
	one_host_apply(&one, &one.v2, NULL, BL_APPLY_ROLLED_BACK);
	ck_assert(!one.res.tombstoned);
}
END_TEST

START_TEST(an_override_forces_and_a_success_forgives)
{
	struct bl_host_tombstone tomb;
	struct bl_apply_opts force = { .override_reason = "fixed the disk" };
	struct bl_host_history h;

	one.fake->drops_per_probe = 100;
	one_host_apply(&one, &one.v1, NULL, BL_APPLY_ROLLED_BACK);
	one_host_apply(&one, &one.v1, NULL, BL_APPLY_REFUSED);
	one.fake->drops_per_probe = 0;
	one_host_apply(&one, &one.v1, &force, BL_APPLY_COMMITTED);
	ck_assert_int_eq(
		bl_host_tombstoned(one.host, one.v1.digest, &tomb, &err), 0);
	ck_assert_int_eq(bl_host_history(one.host, 0, &h, &err), 0);
	ck_assert_uint_eq(h.count, 2);
	ck_assert_uint_eq(h.txns[0].attempt, 2);
	ck_assert_msg(strstr(h.txns[0].reason, "fixed the disk"), "%s",
		      h.txns[0].reason);
	bl_host_history_free(&h);
}
END_TEST

START_TEST(what_is_live_is_not_applied_again)
{
	one_host_apply(&one, &one.v1, NULL, BL_APPLY_COMMITTED);
	one_host_apply(&one, &one.v1, NULL, BL_APPLY_REFUSED);
	ck_assert_int_eq(one.res.refusal, BL_REFUSAL_LIVE);
}
END_TEST

static unsigned ticks;
static enum bl_tick stop_at_third(void *ctx, const struct bl_trial_view *view,
				  struct bl_err *why)
{
	(void)ctx;
	ck_assert_uint_eq(view->probation_ms, 5000);
	if (++ticks < 3)
		return BL_TICK_GO_ON;
	bl_err_set(why, -ECANCELED, "the third was too many");
	return BL_TICK_ABORT;
}

START_TEST(a_tick_can_stop_the_trial_without_a_verdict)
{
	struct bl_apply_opts opts = { .tick = stop_at_third,
				      .probation_ms = 5000 };

	one_host_apply(&one, &one.v1, NULL, BL_APPLY_COMMITTED);
	one_host_apply(&one, &one.v2, &opts, BL_APPLY_ROLLED_BACK);
	ck_assert(!one.res.tombstoned);
	ck_assert_str_eq(one_host_status(&one).live.digest, one.v1.digest);
	one_host_apply(&one, &one.v2, NULL, BL_APPLY_COMMITTED);
}
END_TEST

START_TEST(deny_rules_need_a_kernel_that_can_deny)
{
	BL_CLEANUP(bl_bundle_free) struct bl_bundle denies = { 0 };

	one_host_bundle(&one, "3",
			"{\"contract\":1,\"rules\":[{\"event\":\"exec\","
			"\"prefix\":\"/tmp/\",\"action\":\"deny\"}]}",
			&denies);
	one.fake->no_lsm = true;
	one_host_apply(&one, &denies, NULL, BL_APPLY_REFUSED);
	ck_assert_int_eq(one.res.refusal, BL_REFUSAL_UNSUPPORTED);
	ck_assert(fake_slot_empty(&one.fake->slot[0]));
	one_host_apply(&one, &one.v1, NULL, BL_APPLY_COMMITTED);
	one.fake->no_lsm = false;
	one_host_apply(&one, &denies, NULL, BL_APPLY_COMMITTED);
}
END_TEST

static void fail_after_the_switch(struct fake_kern *f, const char *step)
{
	if (!strcmp(step, "switch for good"))
		f->fail_at = f->step + 1;
}

/* The old slot would not go, later it did: that is no news about why the
 * operator ordered it. */
START_TEST(what_is_finished_later_keeps_its_reason)
{
	struct bl_recover_result rec;
	struct bl_host_history h;

	one_host_apply(&one, &one.v1, NULL, BL_APPLY_COMMITTED);
	one_host_apply(&one, &one.v2, NULL, BL_APPLY_COMMITTED);
	fake_kern_calm(one.fake);
	one.fake->watch = fail_after_the_switch;
	ck_assert_int_eq(bl_host_rollback(one.host, "noisy", &one.res, &err),
			 0);
	ck_assert_int_eq(one.res.outcome, BL_APPLY_COMMITTED);
	ck_assert_str_ne(one.res.reason, "");
	ck_assert_int_eq(bl_host_recover(one.host, &rec, &err), 0);
	ck_assert_int_eq(rec.outcome, BL_RECOVER_FINISHED);
	ck_assert_int_eq(bl_host_history(one.host, 1, &h, &err), 0);
	ck_assert_str_eq(h.txns[0].phase, "done");
	ck_assert_str_eq(h.txns[0].reason, "noisy");
	bl_host_history_free(&h);
}
END_TEST

static void lose_a_link(struct fake_kern *f, const char *step)
{
	struct fake_slot *s = &f->slot[BL_SLOT_A];

	if (!strcmp(step, "switch to the trial"))
		s->entries--;
}

/* What is expected is what was loaded, not what the first look found. */
START_TEST(a_link_lost_before_the_first_look_is_missed)
{
	one.fake->watch = lose_a_link;
	one_host_apply(&one, &one.v1, NULL, BL_APPLY_ROLLED_BACK);
	ck_assert_msg(strstr(one.res.reason, "2 of 3"), "%s", one.res.reason);
}
END_TEST

static void update_meanwhile(struct fake_kern *f, const char *step)
{
	struct bl_apply_result other;
	struct bl_host *h;

	if (strcmp(step, "events") != 0)
		return;
	f->watch = NULL;
	h = one_host_open(&one);
	ck_assert_int_eq(bl_host_apply(h, &one.v2, NULL, &other, &err), 0);
	ck_assert_int_eq(other.outcome, BL_APPLY_COMMITTED);
	bl_host_close(h);
}

static int count_event(void *ctx, const struct bl_event *e, size_t len)
{
	(void)e;
	(void)len;
	++*(unsigned *)ctx;
	return 0;
}

START_TEST(a_reader_goes_on_over_an_update_by_another)
{
	unsigned count = 0;
	int r;

	one_host_apply(&one, &one.v1, NULL, BL_APPLY_COMMITTED);
	one.fake->watch = update_meanwhile;
	r = bl_host_events(one.host, 0, count_event, &count, &err);
	ck_assert_msg(r >= 0, "%s", err.text);
	ck_assert_str_eq(one_host_status(&one).live.digest, one.v2.digest);
	fake_kern_ops.exercise(one.fake, NULL);
	ck_assert_int_gt(bl_host_events(one.host, 0, count_event, &count, &err),
			 0);
}
END_TEST

/* An event has a number; the name is for whoever reads it. */
START_TEST(a_generation_has_the_names_of_its_rules)
{
	BL_CLEANUP(bl_bundle_free) struct bl_bundle named = { 0 }, b = { 0 };

	one_host_bundle(&one, "3",
			"{\"contract\":1,\"rules\":[{\"event\":\"open\","
			"\"id\":\"shadow\",\"path\":\"/etc/shadow\","
			"\"action\":\"emit\"}]}",
			&named);
	one_host_apply(&one, &one.v1, NULL, BL_APPLY_COMMITTED);
	one_host_apply(&one, &named, NULL, BL_APPLY_COMMITTED);
	ck_assert_int_eq(bl_host_bundle(one.host, 2, &b, &err), 0);
	ck_assert_str_eq(bl_content_rule_name(b.content_bin.data, 0), "shadow");
	ck_assert_int_eq(bl_host_bundle(one.host, 77, &one.v2, &err), -ENOENT);
}
END_TEST

START_TEST(two_at_once_one_works_the_other_is_told)
{
	struct bl_recover_result rec;
	bl_autofree char *path = bl_path("%s/lock", one.state_dir);
	bl_autoclose int fd = -1;

	ck_assert_int_eq(
		bl_lock_take(path, "apply", 1721361540000, &fd, NULL, &err), 0);
	one_host_apply(&one, &one.v1, NULL, BL_APPLY_REFUSED);
	ck_assert_int_eq(one.res.refusal, BL_REFUSAL_BUSY);
	ck_assert_msg(strstr(one.res.reason, "2024-07-19T03:59:00"), "%s",
		      one.res.reason);
	ck_assert_int_eq(bl_host_recover(one.host, &rec, &err), 0);
	ck_assert_int_eq(rec.outcome, BL_RECOVER_BUSY);
	/* An answer is no error. */
	ck_assert_str_eq(err.text, "");
	ck_assert_int_eq(one_host_status(&one).busy_pid, getpid());
	ck_assert_str_eq(one_host_status(&one).busy_what, "apply");
	close(BL_TAKE_FD(fd));
	ck_assert_int_eq(one_host_status(&one).busy_pid, 0);
	one_host_apply(&one, &one.v1, NULL, BL_APPLY_COMMITTED);
}
END_TEST

/* Every moment of the world's activity is told once, by whoever was in charge
 * of it: an update loses no event and doubles none. */
static uint64_t last_ts, told, generations;
static int hear(void *ctx, const struct bl_event *e, size_t len)
{
	(void)ctx;
	(void)len;
	ck_assert_msg(e->ts_ns == last_ts + 1, "event %lu comes after %lu",
		      (unsigned long)e->ts_ns, (unsigned long)last_ts);
	last_ts = e->ts_ns;
	generations |= 1ULL << e->generation;
	told++;
	return 0;
}

/* Dispatched, the old sees nothing from the switch on; overlapping, it sees all
 * until it goes; and one made by a belay without dispatchers gives way to one
 * with. */
static const struct {
	unsigned old_overlapping, new_overlapping;
	uint64_t generations;
} swaps[] = {
	{ 0, 0, 1 << 2 },
	{ FAKE_PROGRAMS, FAKE_PROGRAMS, 1 << 1 | 1 << 2 },
	{ FAKE_PROGRAMS, 0, 1 << 1 | 1 << 2 },
	{ 1, 1, 1 << 2 },
};

START_TEST(no_event_is_lost_or_doubled_by_an_update)
{
	struct bl_apply_opts opts = { .on_event = hear };

	one.fake->overlapping = swaps[_i].old_overlapping;
	last_ts = told = generations = 0;
	one_host_apply(&one, &one.v1, NULL, BL_APPLY_COMMITTED);
	last_ts = one.fake->activity;
	one.fake->overlapping = swaps[_i].new_overlapping;
	one_host_apply(&one, &one.v2, &opts, BL_APPLY_COMMITTED);
	fake_kern_ops.exercise(one.fake, NULL);
	ck_assert_int_ge(bl_host_events(one.host, 0, hear, NULL, &err), 0);
	ck_assert_uint_gt(told, 20);
	ck_assert_uint_eq(last_ts, one.fake->activity);
	ck_assert_uint_eq(generations, swaps[_i].generations);
}
END_TEST

START_TEST(a_reboot_restores_and_is_no_attempt)
{
	struct bl_recover_result rec;
	struct bl_host_history h;

	one_host_apply(&one, &one.v1, NULL, BL_APPLY_COMMITTED);
	for (int boot = 0; boot < 5; boot++) {
		fake_kern_reboot(one.fake);
		ck_assert(!one_host_status(&one).healthy);
		ck_assert_int_eq(bl_host_recover(one.host, &rec, &err), 0);
		ck_assert_int_eq(rec.outcome, BL_RECOVER_RESTORED);
		ck_assert_str_eq(rec.digest, one.v1.digest);
		ck_assert(one_host_status(&one).healthy);
	}
	ck_assert_int_eq(bl_host_history(one.host, 1, &h, &err), 0);
	ck_assert_uint_eq(h.txns[0].attempt, 0);
	ck_assert_uint_eq(h.tombstone_count, 0);
	bl_host_history_free(&h);
}
END_TEST

START_TEST(a_host_that_cannot_restore_comes_up_bare_and_says_so)
{
	struct bl_recover_result rec;
	struct bl_host_history h;
	bl_autofree char *bundle =
		bl_path("%s/bundles/%s", one.state_dir, one.v1.digest);

	one_host_apply(&one, &one.v1, NULL, BL_APPLY_COMMITTED);
	fake_kern_reboot(one.fake);
	ck_assert_int_eq(unlink(bundle), 0);
	ck_assert_int_eq(bl_host_recover(one.host, &rec, &err), 0);
	ck_assert_int_eq(rec.outcome, BL_RECOVER_BARE);
	ck_assert_msg(strstr(rec.reason, "bundles/"), "%s", rec.reason);
	/* Not for ever, either: three tries, whatever asks. */
	ck_assert_int_eq(bl_file_write(bundle, one.v1.raw.data, one.v1.raw.len,
				       0600, NULL),
			 0);
	for (int i = 0; i < 6; i++) {
		fake_kern_calm(one.fake);
		one.fake->fail_at = 7; /* the load */
		ck_assert_int_eq(bl_host_recover(one.host, &rec, &err), 0);
		ck_assert_int_eq(rec.outcome, BL_RECOVER_BARE);
	}
	ck_assert_int_eq(bl_host_history(one.host, 0, &h, &err), 0);
	ck_assert_uint_eq(h.count, 4);
	bl_host_history_free(&h);
	/* The way out. */
	fake_kern_calm(one.fake);
	one_host_apply(&one, &one.v1, NULL, BL_APPLY_COMMITTED);
	ck_assert(one_host_status(&one).healthy);
}
END_TEST

START_TEST(a_lost_journal_takes_no_guard_away)
{
	one_host_apply(&one, &one.v1, NULL, BL_APPLY_COMMITTED);
	bl_host_close(one.host);
	one.host = NULL;
	ck_assert_int_eq(bl_file_rmtree(one.state_dir, NULL), 0);
	one.host = one_host_open(&one);
	one.fake->drops_per_probe = 100;
	one_host_apply(&one, &one.v2, NULL, BL_APPLY_ROLLED_BACK);
	ck_assert(fake_slot_whole(&one.fake->slot[BL_SLOT_A]));
	one.fake->drops_per_probe = 0;
	one_host_apply(&one, &one.v1, NULL, BL_APPLY_COMMITTED);
	ck_assert(fake_slot_empty(&one.fake->slot[BL_SLOT_A]));
	ck_assert(fake_slot_whole(&one.fake->slot[BL_SLOT_B]));
}
END_TEST

START_TEST(a_journal_of_somebody_else_is_not_touched)
{
	struct bl_host_config config = { .ops = &fake_kern_ops,
					 .kern = one.fake };
	bl_autofree char *path = bl_path("%s/journal.db", one.dir);
	struct bl_host *h = NULL;

	one_host_write(&one, "journal.db",
		       "this is no database, whatever its name says,"
		       " and it is longer than a header, which would"
		       " be 100 bytes of magic and numbers.");
	config.state_dir = one.dir;
	ck_assert_int_eq(bl_host_open(&config, &h, &err), -EBADMSG);
	ck_assert_ptr_null(h);
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *suite = suite_create("host");
	TCase *tc = tcase_create("host");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, status_follows_apply_and_rollback);
	tcase_add_loop_test(tc, a_failed_trial_leaves_the_old_and_a_tombstone,
			    0, BL_ARRAY_SIZE(spoil));
	tcase_add_loop_test(tc,
			    what_only_observes_is_asked_for_the_host_as_well, 0,
			    BL_ARRAY_SIZE(breaks));
	tcase_add_loop_test(
		tc, a_lease_that_cannot_be_renewed_is_no_news_on_a_broken_host,
		0, 2);
	tcase_add_test(tc, who_cannot_go_back_says_why_it_has_to);
	tcase_add_test(tc, what_makes_a_host_usable_again_may_stay);
	tcase_add_test(tc, a_self_test_that_was_interrupted_ends_the_trial);
	tcase_add_test(tc, an_override_forces_and_a_success_forgives);
	tcase_add_test(tc, what_is_live_is_not_applied_again);
	tcase_add_test(tc, a_tick_can_stop_the_trial_without_a_verdict);
	tcase_add_test(tc, deny_rules_need_a_kernel_that_can_deny);
	tcase_add_test(tc, what_is_finished_later_keeps_its_reason);
	tcase_add_test(tc, a_link_lost_before_the_first_look_is_missed);
	tcase_add_test(tc, a_reader_goes_on_over_an_update_by_another);
	tcase_add_test(tc, a_generation_has_the_names_of_its_rules);
	tcase_add_test(tc, two_at_once_one_works_the_other_is_told);
	tcase_add_loop_test(tc, no_event_is_lost_or_doubled_by_an_update, 0,
			    BL_ARRAY_SIZE(swaps));
	tcase_add_test(tc, a_reboot_restores_and_is_no_attempt);
	tcase_add_test(tc,
		       a_host_that_cannot_restore_comes_up_bare_and_says_so);
	tcase_add_test(tc, a_lost_journal_takes_no_guard_away);
	tcase_add_test(tc, a_journal_of_somebody_else_is_not_touched);
	suite_add_tcase(suite, tc);
	return suite;
}
