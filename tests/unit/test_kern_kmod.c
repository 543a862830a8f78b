/* SPDX-License-Identifier: Apache-2.0 */
/* Kernel modules under a host's transaction, over a model of the kernel: what
 * is in it, and what a user is told. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bpf/event.h"
#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/host/words.h"
#include "tests/main.h"
#include "tests/support/twin_host.h"

static struct twin twin;
static struct bl_host *host;
static struct bl_apply_result res;
static struct bl_err err;

static void set_up(void)
{
	twin_set_up(&twin);
	host = twin_open(&twin);
	err = (struct bl_err){ 0 };
}

static void tear_down(void)
{
	bl_host_close(host);
	twin_tear_down(&twin);
}

static void apply_with(int version, const struct bl_apply_opts *opts,
		       enum bl_apply_outcome outcome)
{
	ck_assert_msg(!bl_host_apply(host, &twin.bundles[version], opts, &res,
				     &err),
		      "%s", err.text);
	ck_assert_msg(res.outcome == outcome, "outcome %d: %s", res.outcome,
		      res.reason);
}

static void apply(int version, enum bl_apply_outcome outcome)
{
	apply_with(version, NULL, outcome);
}

static struct bl_host_status status(void)
{
	struct bl_host_status s;

	ck_assert_msg(!bl_host_status(host, &s, &err), "%s", err.text);
	return s;
}

/* @version is live, in the kernel as committed, and no other module is. */
static void assert_live(int version)
{
	struct bl_host_status s = status();

	ck_assert_str_eq(s.live.digest, twin.bundles[version].digest);
	ck_assert_msg(s.healthy, "%s", s.problem);
	ck_assert(twin.kmod->now.loaded == (version != TWIN_E1));
	if (version == TWIN_E1)
		return;
	ck_assert(twin.kmod->now.armed);
	ck_assert(!twin.kmod->timed);
	ck_assert_uint_eq(twin.kmod->now.generation, s.live.number);
	ck_assert_str_eq(twin.kmod->now.tag, TWIN_TAG(version));
	ck_assert_int_eq(s.slots[!s.slot].kind, BL_KERN_SLOT_EMPTY);
}

static struct bl_host_txn last(void)
{
	struct bl_host_history h = { 0 };
	struct bl_host_txn t;

	ck_assert_int_eq(bl_host_history(host, 1, &h, &err), 0);
	ck_assert_uint_eq(h.count, 1);
	t = h.txns[0];
	bl_host_history_free(&h);
	return t;
}

START_TEST(one_module_takes_the_place_of_another)
{
	struct bl_host_txn t;

	apply(TWIN_M1, BL_APPLY_COMMITTED);
	assert_live(TWIN_M1);
	t = last();
	ck_assert_str_eq(t.strategy, "exchange");
	ck_assert_str_eq(t.tags, "belay_sensor:0101010101010101");
	ck_assert_int_eq(t.times.gap_us, -1); /* there was none before */
	ck_assert_int_le(res.gap_us, 0);
	apply(TWIN_M2, BL_APPLY_COMMITTED);
	assert_live(TWIN_M2);
	ck_assert_int_gt(last().times.gap_us, 0);
	ck_assert_int_eq(res.gap_us, last().times.gap_us);
	ck_assert_uint_eq(twin.kmod->silent, 0);
	ck_assert_uint_eq(twin.kmod->crowded, 0);
}
END_TEST

START_TEST(one_that_eats_the_kernels_memory_goes_back_before_it_is_gone)
{
	apply(TWIN_M1, BL_APPLY_COMMITTED);
	twin.kmod->leaks = 64 << 20;
	apply(TWIN_M2, BL_APPLY_ROLLED_BACK);
	ck_assert_ptr_nonnull(strstr(res.reason, "slabs grew by"));
	assert_live(TWIN_M1);
	/* They may be anybody's, so it may be tried again. */
	twin.kmod->leaks = 0;
	apply(TWIN_M2, BL_APPLY_COMMITTED);
}
END_TEST

START_TEST(whoever_applies_one_is_told_of_the_gap)
{
	bl_autobuf struct bl_buf text = { 0 };

	apply(TWIN_M1, BL_APPLY_COMMITTED);
	ck_assert_int_eq(bl_words_apply(&text, &twin.bundles[0].manifest, &res,
					false),
			 0);
	ck_assert_ptr_null(strstr(bl_buf_str(&text), "no sensor was called"));
	apply(TWIN_M2, BL_APPLY_COMMITTED);
	ck_assert_int_eq(bl_words_apply(&text, &twin.bundles[1].manifest, &res,
					false),
			 0);
	ck_assert_ptr_nonnull(
		strstr(bl_buf_str(&text),
		       "ms, as one module was exchanged for the other"));
}
END_TEST

START_TEST(one_that_loses_events_goes_and_the_old_one_is_back)
{
	apply(TWIN_M1, BL_APPLY_COMMITTED);
	memcpy(twin.kmod->lossy, TWIN_TAG(TWIN_M2), BL_KERN_TAG_LEN);
	twin.kmod->drops_of_8 = 4;
	apply(TWIN_M2, BL_APPLY_ROLLED_BACK);
	ck_assert_ptr_nonnull(strstr(res.reason, "lost "));
	ck_assert(res.tombstoned);
	assert_live(TWIN_M1);
	ck_assert_int_gt(last().times.gap_us, 0);
	ck_assert_int_gt(last().times.gap_back_us, 0);
	ck_assert_int_eq(res.gap_back_us, last().times.gap_back_us);
}
END_TEST

START_TEST(one_that_takes_no_content_goes_and_nobody_is_convicted)
{
	apply(TWIN_M1, BL_APPLY_COMMITTED);
	memcpy(twin.kmod->refuses, TWIN_TAG(TWIN_M2), BL_KERN_TAG_LEN);
	apply(TWIN_M2, BL_APPLY_ROLLED_BACK);
	ck_assert_ptr_nonnull(strstr(res.reason, "it does not take it"));
	ck_assert(!res.tombstoned);
	assert_live(TWIN_M1);
	/* It never came, and from the old one's end to its return is one gap. */
	ck_assert_int_eq(last().times.gap_us, -1);
	ck_assert_int_gt(last().times.gap_back_us, 0);
}
END_TEST

/* Whoever finds it cannot tell how long nothing was called. */
START_TEST(a_gap_that_nobody_saw_begin_is_not_measured)
{
	struct bl_recover_result rec;
	bool open = true;

	apply(TWIN_M1, BL_APPLY_COMMITTED);
	bl_host_close(host);
	for (unsigned n = 1; open; n++) {
		int status;
		pid_t pid;

		fake_kern_calm(twin.kern);
		pid = fork();
		ck_assert_int_ge(pid, 0);
		if (!pid) {
			host = twin_open(&twin);
			twin.kern->die_at = n;
			bl_host_apply(host, &twin.bundles[TWIN_M2], NULL, &res,
				      &err);
			_exit(0);
		}
		ck_assert_int_eq(waitpid(pid, &status, 0), pid);
		ck_assert_msg(WEXITSTATUS(status) == FAKE_DIED,
			      "the hooks were never out");
		fake_kern_process_died(twin.kern);
		fake_kmod_process_died(twin.kmod);
		fake_kern_calm(twin.kern);
		open = twin.kmod->now.armed;
		host = twin_open(&twin);
		ck_assert_int_eq(bl_host_recover(host, &rec, &err), 0);
		if (open)
			bl_host_close(host);
	}
	assert_live(TWIN_M1);
	ck_assert_str_eq(last().phase, "rolled-back");
	ck_assert_int_eq(last().times.gap_us, -1);
	ck_assert_int_eq(last().times.gap_back_us, -1);
}
END_TEST

/* The reader of its events is slow: the module is in use for a while. */
START_TEST(one_that_is_in_use_is_waited_for)
{
	apply(TWIN_M1, BL_APPLY_COMMITTED);
	twin.kmod->busy = 7;
	apply(TWIN_M2, BL_APPLY_COMMITTED);
	assert_live(TWIN_M2);
	ck_assert_uint_eq(twin.kmod->busy, 0);
}
END_TEST

START_TEST(one_that_stays_in_use_goes_on_as_before)
{
	apply(TWIN_M1, BL_APPLY_COMMITTED);
	twin.kmod->busy = 1000000;
	apply(TWIN_M2, BL_APPLY_ROLLED_BACK);
	ck_assert_ptr_nonnull(strstr(res.reason, "somebody reads its events"));
	twin.kmod->busy = 0;
	assert_live(TWIN_M1);
}
END_TEST

static enum bl_tick hold_on(void *ctx, const struct bl_trial_view *view,
			    struct bl_err *why)
{
	(void)ctx;
	(void)view;
	(void)why;
	twin.kmod->busy = 1000000;
	return BL_TICK_GO_ON;
}

/* A stopped reader of the one on trial, which fails. */
START_TEST(one_that_failed_and_stays_in_use_is_silent_and_says_who_holds_it)
{
	struct bl_apply_opts opts = { .tick = hold_on };
	struct bl_recover_result rec;

	apply(TWIN_M1, BL_APPLY_COMMITTED);
	memcpy(twin.kmod->lossy, TWIN_TAG(TWIN_M2), BL_KERN_TAG_LEN);
	twin.kmod->drops_of_8 = 4;
	snprintf(twin.kmod->holder, sizeof(twin.kmod->holder),
		 "belay (process 42)");
	ck_assert_int_eq(bl_host_apply(host, &twin.bundles[TWIN_M2], &opts,
				       &res, &err),
			 -EBUSY);
	ck_assert_ptr_nonnull(strstr(err.text, "no sensor is called: "));
	ck_assert_ptr_nonnull(
		strstr(err.text, "belay (process 42) reads its events"));
	ck_assert(!twin.kmod->now.armed);
	ck_assert(!status().healthy);
	ck_assert_int_eq(bl_host_recover(host, &rec, &err), -EBUSY);
	ck_assert_ptr_nonnull(strstr(err.text, "belay (process 42)"));
	twin.kmod->busy = 0;
	ck_assert_int_eq(bl_host_recover(host, &rec, &err), 0);
	assert_live(TWIN_M1);
}
END_TEST

START_TEST(programs_and_modules_give_way_to_each_other)
{
	apply(TWIN_M1, BL_APPLY_COMMITTED);
	apply(TWIN_E1, BL_APPLY_COMMITTED);
	assert_live(TWIN_E1);
	ck_assert_int_eq(last().times.gap_us, -1); /* they overlap */
	apply(TWIN_M2, BL_APPLY_COMMITTED);
	assert_live(TWIN_M2);
	ck_assert(fake_slot_empty(&twin.kern->slot[0]));
	ck_assert(fake_slot_empty(&twin.kern->slot[1]));
	ck_assert_int_eq(bl_host_rollback(host, NULL, &res, &err), 0);
	assert_live(TWIN_E1);
	ck_assert_int_eq(bl_host_rollback(host, NULL, &res, &err), 0);
	assert_live(TWIN_M1);
	ck_assert_int_eq(bl_host_rollback(host, NULL, &res, &err), 0);
	ck_assert(!twin.kmod->now.loaded);
}
END_TEST

/* The trial of the other kind fails: what was live was never away. */
START_TEST(a_trial_beside_the_live_one_leaves_it_alone)
{
	apply(TWIN_E1, BL_APPLY_COMMITTED);
	memcpy(twin.kmod->refuses, TWIN_TAG(TWIN_M1), BL_KERN_TAG_LEN);
	apply(TWIN_M1, BL_APPLY_ROLLED_BACK);
	assert_live(TWIN_E1);
	*twin.kmod->refuses = 0;
	apply(TWIN_M2, BL_APPLY_COMMITTED);
	twin.kern->drops_per_probe = 4;
	apply(TWIN_E1, BL_APPLY_ROLLED_BACK);
	twin.kern->drops_per_probe = 0;
	assert_live(TWIN_M2);
}
END_TEST

START_TEST(a_reboot_brings_last_good_back)
{
	struct bl_recover_result rec;

	apply(TWIN_M1, BL_APPLY_COMMITTED);
	apply(TWIN_M2, BL_APPLY_COMMITTED);
	twin_reboot(&twin);
	ck_assert(!status().healthy);
	ck_assert_int_eq(bl_host_recover(host, &rec, &err), 0);
	ck_assert_int_eq(rec.outcome, BL_RECOVER_RESTORED);
	assert_live(TWIN_M2);
}
END_TEST

/* /run need not be a tmpfs: what another boot left is not what is there. */
START_TEST(slots_of_another_boot_are_empty)
{
	bl_autofree char *path = bl_path("%s/a/record.json", twin.module_dir);
	static const char other[] =
		"{\"boot_id\": \"00000000-0000-0000-0000-000000000000\","
		"\"number\": 1, \"tag\": \"0101010101010101\","
		"\"denies\": false}";
	struct bl_recover_result rec;

	apply(TWIN_M1, BL_APPLY_COMMITTED);
	fake_kern_reboot(twin.kern);
	fake_kmod_reboot(twin.kmod);
	ck_assert_int_eq(bl_file_write(path, other, strlen(other), 0600, NULL),
			 0);
	ck_assert_int_eq(status().slots[0].kind, BL_KERN_SLOT_EMPTY);
	ck_assert_int_eq(bl_host_recover(host, &rec, &err), 0);
	ck_assert_int_eq(rec.outcome, BL_RECOVER_RESTORED);
	assert_live(TWIN_M1);
}
END_TEST

START_TEST(one_that_somebody_took_out_is_brought_back)
{
	struct bl_recover_result rec;

	apply(TWIN_M1, BL_APPLY_COMMITTED);
	fake_kmod_reboot(twin.kmod); /* rmmod */
	ck_assert_int_eq(bl_host_recover(host, &rec, &err), 0);
	ck_assert_int_eq(rec.outcome, BL_RECOVER_RESTORED);
	assert_live(TWIN_M1);
}
END_TEST

/* Nothing is touched of what belay did not load. */
START_TEST(a_stranger_of_its_name_is_in_the_way)
{
	twin.kmod->now = (struct bl_kmod_now){ .loaded = true, .armed = true };
	apply(TWIN_M1, BL_APPLY_REFUSED);
	ck_assert_int_eq(res.refusal, BL_REFUSAL_UNSUPPORTED);
	ck_assert_ptr_nonnull(strstr(res.reason, "that belay did not load"));
	ck_assert(twin.kmod->now.armed);
	apply(TWIN_E1, BL_APPLY_COMMITTED);
	ck_assert(twin.kmod->now.armed);
}
END_TEST

static const struct {
	const char *release, *lockdown;
	bool sig_enforced, modules_disabled, unprivileged;
	const char *says;
} kernels[] = {
	{ .release = "6.12.0-fake",
	  .says = "none of its modules was built for this kernel, 6.12.0-fake (but for 6.1.0-fake)" },
	{ .sig_enforced = true, .says = "takes signed modules only" },
	{ .lockdown = "integrity", .says = "is locked down" },
	{ .modules_disabled = true, .says = "takes no more modules" },
	{ .unprivileged = true, .says = "only root can load modules" },
};

START_TEST(what_this_kernel_would_not_take_is_refused_before)
{
	struct bl_kmod_facts *f = &twin.kmod->facts;

	if (kernels[_i].release)
		snprintf(f->release, sizeof(f->release), "%s",
			 kernels[_i].release);
	if (kernels[_i].lockdown)
		snprintf(f->lockdown, sizeof(f->lockdown), "%s",
			 kernels[_i].lockdown);
	f->sig_enforced = kernels[_i].sig_enforced;
	f->modules_disabled = kernels[_i].modules_disabled;
	f->privileged = !kernels[_i].unprivileged;
	apply(TWIN_M1, BL_APPLY_REFUSED);
	ck_assert_int_eq(res.refusal, BL_REFUSAL_UNSUPPORTED);
	ck_assert_msg(strstr(res.reason, kernels[_i].says), "%s", res.reason);
	ck_assert(!twin.kmod->now.loaded);
	ck_assert_uint_eq(res.txn, 0);
}
END_TEST

START_TEST(a_folder_that_others_may_write_is_not_loaded_from)
{
	ck_assert_int_eq(bl_file_mkdirs(twin.module_dir, 0700, NULL), 0);
	ck_assert_int_eq(chmod(twin.module_dir, 0777), 0);
	ck_assert_int_lt(bl_host_apply(host, &twin.bundles[TWIN_M1], NULL, &res,
				       &err),
			 0);
	ck_assert_ptr_nonnull(strstr(err.text, "only this user may write"));
	ck_assert(!twin.kmod->now.loaded);
}
END_TEST

/* --- leases --------------------------------------------------------------- */

START_TEST(one_that_can_refuse_does_so_on_a_lease)
{
	static const char denying[] =
		"{\"contract\":1,\"rules\":[{\"id\":\"d\",\"event\":\"open\","
		"\"path\":\"/d\",\"action\":\"deny\"}]}";
	BL_CLEANUP(bl_bundle_free) struct bl_bundle b = { 0 };

	twin_bundle(&twin, TWIN_M1, denying, &b);
	ck_assert_int_eq(bl_host_apply(host, &b, NULL, &res, &err), 0);
	ck_assert_int_eq(res.outcome, BL_APPLY_COMMITTED);
	ck_assert(twin.kmod->denies);
	ck_assert(res.lapses); /* nobody keeps this host */
	ck_assert_uint_eq(twin.kmod->lease_ms, BL_KERN_VERDICT_LEASE_MS);
	twin.kmod->lease_ms = 1;
	ck_assert_uint_eq(status().slots[0].verdict_left_ms, 1);
	ck_assert_int_eq(bl_host_renew(host, &err), 0);
	ck_assert_uint_eq(twin.kmod->lease_ms, BL_KERN_VERDICT_LEASE_MS);
}
END_TEST

START_TEST(one_that_only_observes_may_refuse_nothing)
{
	apply(TWIN_M1, BL_APPLY_COMMITTED);
	ck_assert(!twin.kmod->denies);
	ck_assert(!res.lapses);
	ck_assert_uint_eq(twin.kmod->lease_ms, 0);
	ck_assert_int_eq(status().slots[0].programs.program[0].lease,
			 BL_LEASE_NONE);
}
END_TEST

/* --- during the trial ----------------------------------------------------- */

static enum bl_tick look_at_trial(void *ctx, const struct bl_trial_view *view,
				  struct bl_err *why)
{
	struct bl_host_status s = status();
	int *looks = ctx;

	(void)why;
	if (!view->elapsed_ms)
		return BL_TICK_GO_ON;
	++*looks;
	ck_assert(s.gave_way);
	ck_assert(s.healthy);
	/* In the log and on disk, as a crash from here on is the new one's. */
	ck_assert_ptr_nonnull(
		strstr(twin.kmod->said, "belay: module of generation "));
	ck_assert_int_ge(last().times.live_ms, 0);
	ck_assert_int_gt(last().times.gap_us, 0);
	ck_assert_uint_eq(s.trial.txn, view->txn);
	ck_assert_uint_eq(twin.kmod->now.generation, view->txn);
	ck_assert(twin.kmod->timed);
	return BL_TICK_GO_ON;
}

START_TEST(status_tells_where_the_live_one_is_meanwhile)
{
	int looks = 0;
	struct bl_apply_opts opts = { .tick = look_at_trial, .ctx = &looks };

	apply(TWIN_M1, BL_APPLY_COMMITTED);
	apply_with(TWIN_M2, &opts, BL_APPLY_COMMITTED);
	ck_assert_int_gt(looks, 0);
	ck_assert(!status().gave_way);
}
END_TEST

/* --- events --------------------------------------------------------------- */

struct seen {
	uint64_t of[8]; /* by generation */
};

static int note(void *ctx, const struct bl_event *event, size_t len)
{
	struct seen *seen = ctx;

	ck_assert_uint_ge(len, BL_EVENT_FIXED);
	seen->of[event->generation % 8]++;
	return 0;
}

/* Whatever a module counted is read by whoever applied the next one. */
START_TEST(no_event_that_was_sent_is_lost_in_an_exchange)
{
	struct seen seen = { { 0 } };
	struct bl_apply_opts opts = { .on_event = note, .ctx = &seen };

	apply(TWIN_M1, BL_APPLY_COMMITTED);
	twin.kern->activity += 100;
	apply_with(TWIN_M2, &opts, BL_APPLY_COMMITTED);
	ck_assert_uint_eq(twin.kmod->readers, 0);
	ck_assert_uint_ge(seen.of[1], 100);
	ck_assert_uint_eq(seen.of[2], twin.kmod->read);
	ck_assert_uint_eq(twin.kmod->read, twin.kmod->seen);
}
END_TEST

START_TEST(a_reader_stays_one_and_lets_go_when_the_hooks_are_out)
{
	struct seen seen = { { 0 } };

	apply(TWIN_M1, BL_APPLY_COMMITTED);
	twin.kern->activity += 5;
	ck_assert_int_gt(bl_host_events(host, 100, note, &seen, &err), 0);
	ck_assert_uint_eq(twin.kmod->readers, 1);
	twin.kmod->now.armed = false;
	bl_host_events(host, 100, note, &seen, &err);
	ck_assert_uint_eq(twin.kmod->readers, 0);
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *s = suite_create("kern_kmod");
	TCase *t = tcase_create("host");

	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_add_test(t, one_module_takes_the_place_of_another);
	tcase_add_test(
		t,
		one_that_eats_the_kernels_memory_goes_back_before_it_is_gone);
	tcase_add_test(t, whoever_applies_one_is_told_of_the_gap);
	tcase_add_test(t, one_that_loses_events_goes_and_the_old_one_is_back);
	tcase_add_test(t,
		       one_that_takes_no_content_goes_and_nobody_is_convicted);
	tcase_add_test(t, a_gap_that_nobody_saw_begin_is_not_measured);
	tcase_add_test(t, one_that_is_in_use_is_waited_for);
	tcase_add_test(t, one_that_stays_in_use_goes_on_as_before);
	tcase_add_test(
		t,
		one_that_failed_and_stays_in_use_is_silent_and_says_who_holds_it);
	tcase_add_test(t, programs_and_modules_give_way_to_each_other);
	tcase_add_test(t, a_trial_beside_the_live_one_leaves_it_alone);
	tcase_add_test(t, a_reboot_brings_last_good_back);
	tcase_add_test(t, slots_of_another_boot_are_empty);
	tcase_add_test(t, one_that_somebody_took_out_is_brought_back);
	tcase_add_test(t, a_stranger_of_its_name_is_in_the_way);
	tcase_add_loop_test(t,
			    what_this_kernel_would_not_take_is_refused_before,
			    0, (int)BL_ARRAY_SIZE(kernels));
	tcase_add_test(t, a_folder_that_others_may_write_is_not_loaded_from);
	tcase_add_test(t, one_that_can_refuse_does_so_on_a_lease);
	tcase_add_test(t, one_that_only_observes_may_refuse_nothing);
	tcase_add_test(t, status_tells_where_the_live_one_is_meanwhile);
	tcase_add_test(t, no_event_that_was_sent_is_lost_in_an_exchange);
	tcase_add_test(t,
		       a_reader_stays_one_and_lets_go_when_the_hooks_are_out);
	suite_add_tcase(s, t);
	return s;
}
