/* SPDX-License-Identifier: Apache-2.0 */
/* Which watchdog guards a trial, and that none is armed outside of one; over
 * devices that are a model. The real ones: tests/lab/test_host_trial.sh. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/host/trial/watchdog.h"
#include "tests/main.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fake_kern.h"

#define HARD                                                     \
	{                                                        \
		"watchdog0", "iTCO_wdt", false, false, false, "" \
	}
#define HARD_KEPT                                                   \
	{                                                           \
		"watchdog0", "iTCO_wdt", false, true, false, KEEPER \
	}
#define HARD_LEFT                                               \
	{                                                       \
		"watchdog0", "iTCO_wdt", false, true, false, "" \
	}
#define SOFT_NOWAY                                                      \
	{                                                               \
		"watchdog1", "Software Watchdog", true, false, true, "" \
	}
#define HARD_NOWAY                                              \
	{                                                       \
		"watchdog0", "iTCO_wdt", false, false, true, "" \
	}
#define SOFT                                                             \
	{                                                                \
		"watchdog1", "Software Watchdog", true, false, false, "" \
	}
#define KEEPER "systemd (process 1)"

static struct {
	struct bl_guard_device devices[2];
	size_t count;
	bool has_soft, loaded, cannot_arm, holder_dies, others_soft;
	unsigned armed, arms, pings, disarms, seconds;
	bool stays;
	char name[BL_GUARD_NAME_LEN];
} model;

static int on_list(void *ctx, struct bl_guard_device *ret, struct bl_err *err)
{
	const struct bl_guard_device soft = SOFT;
	size_t n = model.count;

	(void)ctx;
	(void)err;
	memcpy(ret, model.devices, n * sizeof(*ret));
	if (model.loaded)
		ret[n++] = soft;
	return (int)n;
}

static int on_load(void *ctx, struct bl_err *err)
{
	(void)ctx;
	if (model.others_soft)
		return 1;
	if (!model.has_soft)
		return bl_err_set(err, -ENOENT, "no such module");
	model.loaded = true;
	return 0;
}

static void on_unload(void *ctx)
{
	(void)ctx;
	ck_assert_uint_eq(model.armed, 0);
	ck_assert(!model.others_soft);
	model.loaded = false;
}

static int on_arm(void *ctx, const char *name, unsigned seconds, bool stay,
		  struct bl_err *err)
{
	(void)ctx;
	if (model.cannot_arm)
		return bl_err_set(err, -EBUSY, "somebody was faster");
	snprintf(model.name, sizeof(model.name), "%s", name);
	model.seconds = seconds;
	model.stays = stay;
	model.armed = 1;
	model.arms++;
	return 0;
}

static int on_ping(void *ctx)
{
	(void)ctx;
	model.pings++;
	if (!model.holder_dies)
		return 0;
	model.holder_dies = false;
	return -EPIPE;
}

static int on_disarm(void *ctx, struct bl_err *err)
{
	(void)ctx;
	(void)err;
	model.armed = 0;
	model.disarms++;
	return 0;
}

static const struct bl_guard_ops fake_guard = {
	.list = on_list,
	.load_soft = on_load,
	.unload_soft = on_unload,
	.arm = on_arm,
	.ping = on_ping,
	.disarm = on_disarm,
};

static const struct {
	struct bl_guard_device devices[2];
	size_t count;
	bool has_soft;
	bool guarded;
	const char *armed; /* "": none */
	const char *words;
} hosts[] = {
	{ { HARD, SOFT }, 2, true, true, "watchdog0", "iTCO_wdt" },
	{ { SOFT, HARD }, 2, true, true, "watchdog0", "iTCO_wdt" },
	{ { SOFT }, 1, false, true, "watchdog1", "softdog" },
	{ { HARD_KEPT }, 1, true, true, "", "kept by " KEEPER ": iTCO_wdt" },
	{ { HARD_KEPT, SOFT }, 2, true, true, "watchdog1", "softdog" },
	/* Whoever had it is dead: it would end the trial. */
	{ { HARD_LEFT }, 1, true, true, "watchdog0", "iTCO_wdt" },
	{ { SOFT, HARD_LEFT }, 2, true, true, "watchdog0", "iTCO_wdt" },
	{ { HARD_NOWAY, HARD_KEPT }, 2, true, true, "", "kept by " KEEPER },
	{ { HARD_NOWAY }, 1, true, true, "watchdog1", "softdog" },
	{ { HARD_NOWAY },
	  1,
	  false,
	  false,
	  "",
	  "none: watchdog0 (iTCO_wdt) could not be stopped again (nowayout); "
	  "softdog: no such module" },
	{ { SOFT }, 0, true, true, "watchdog1", "softdog" },
	{ { SOFT },
	  0,
	  false,
	  false,
	  "",
	  "none: this host has no watchdog; softdog: no such module" },
};

static void make(int i)
{
	memset(&model, 0, sizeof(model));
	memcpy(model.devices, hosts[i].devices, sizeof(model.devices));
	model.count = hosts[i].count;
	model.has_soft = hosts[i].has_soft;
}

START_TEST(the_best_there_is_guards_the_trial)
{
	struct bl_watchdog w = { .ops = &fake_guard };
	struct bl_err err = { 0 };
	int r;

	make(_i);
	ck_assert_int_eq(bl_watchdog_prepare(&w, BL_WATCHDOG_AUTO, &err), 0);
	ck_assert_uint_eq(model.arms, 0);
	ck_assert_int_eq(bl_watchdog_arm(&w, &err), 0);
	ck_assert_int_eq(w.guarded, hosts[_i].guarded);
	ck_assert_str_eq(model.name, hosts[_i].armed);
	ck_assert_msg(!strncmp(w.words, hosts[_i].words,
			       strlen(hosts[_i].words)),
		      "%s", w.words);
	bl_watchdog_release(&w);
	ck_assert_uint_eq(model.armed, 0);
	ck_assert(!model.loaded);

	w = (struct bl_watchdog){ .ops = &fake_guard };
	r = bl_watchdog_prepare(&w, BL_WATCHDOG_REQUIRE, &err);
	ck_assert_int_eq(r, hosts[_i].guarded ? 0 : -EOPNOTSUPP);
	bl_watchdog_release(&w);
}
END_TEST

START_TEST(what_another_holds_unseen_guards_as_well)
{
	const struct bl_guard_device d = HARD_LEFT;
	struct bl_watchdog w = { .ops = &fake_guard };
	struct bl_err err = { 0 };

	make(0);
	model.devices[0] = d;
	model.count = 1;
	model.cannot_arm = true;
	ck_assert_int_eq(bl_watchdog_prepare(&w, BL_WATCHDOG_REQUIRE, &err), 0);
	ck_assert_int_eq(bl_watchdog_arm(&w, &err), 0);
	ck_assert(w.guarded);
	ck_assert_str_eq(w.words, "kept by another process: iTCO_wdt");
	bl_watchdog_release(&w);
	ck_assert_uint_eq(model.disarms, 0);
}
END_TEST

START_TEST(a_softdog_that_somebody_else_loaded_stays)
{
	const struct bl_guard_device d = SOFT_NOWAY;
	struct bl_watchdog w = { .ops = &fake_guard };

	make(0);
	model.devices[0] = d;
	model.count = 1;
	model.others_soft = true;
	ck_assert_int_eq(bl_watchdog_prepare(&w, BL_WATCHDOG_AUTO, NULL), 0);
	ck_assert(!w.guarded);
	bl_watchdog_release(&w); /* on_unload fails it */
	ck_assert(!w.loaded);
}
END_TEST

static const struct {
	struct bl_guard_device device;
	const char *words; /* of the trial */
	unsigned stopped;
} lefts[] = {
	{ HARD_LEFT, "iTCO_wdt", 1 },
	/* Not the one of the trial; its owner may have meant it. */
	{ HARD_LEFT, "softdog", 0 },
	{ HARD_LEFT, "kept by systemd (process 1): iTCO_wdt", 0 },
	{ HARD_KEPT, "iTCO_wdt", 0 },
	{ HARD, "iTCO_wdt", 0 },
};

START_TEST(what_a_dead_trial_left_running_is_stopped)
{
	make(0);
	model.devices[0] = lefts[_i].device;
	model.count = 1;
	model.stays = true;
	bl_watchdog_stop_left(&fake_guard, lefts[_i].words);
	ck_assert_uint_eq(model.stays, !lefts[_i].stopped);
	ck_assert_uint_eq(model.arms, lefts[_i].stopped);
	ck_assert_uint_eq(model.disarms, lefts[_i].stopped);
	ck_assert_uint_eq(model.armed, 0);
}
END_TEST

START_TEST(off_is_off)
{
	struct bl_watchdog w = { .ops = &fake_guard };

	make(0);
	ck_assert_int_eq(bl_watchdog_prepare(&w, BL_WATCHDOG_OFF, NULL), 0);
	ck_assert_int_eq(bl_watchdog_arm(&w, NULL), 0);
	bl_watchdog_ping(&w);
	bl_watchdog_release(&w);
	ck_assert_uint_eq(model.arms + model.pings + model.disarms, 0);
	ck_assert_str_eq(w.words, "off");
}
END_TEST

START_TEST(one_that_cannot_be_armed_matters_if_it_is_required)
{
	struct bl_watchdog w = { .ops = &fake_guard };
	struct bl_err err = { 0 };

	make(0);
	model.cannot_arm = true;
	ck_assert_int_eq(bl_watchdog_prepare(&w, BL_WATCHDOG_AUTO, &err), 0);
	ck_assert_int_eq(bl_watchdog_arm(&w, &err), 0);
	ck_assert(!w.guarded);
	ck_assert_str_eq(w.words, "none: somebody was faster");
	bl_watchdog_release(&w);
	ck_assert_uint_eq(model.disarms, 0);

	ck_assert_int_eq(bl_watchdog_prepare(&w, BL_WATCHDOG_REQUIRE, &err), 0);
	ck_assert_int_eq(bl_watchdog_arm(&w, &err), -EBUSY);
}
END_TEST

START_TEST(it_runs_on_without_belay_only_where_the_trial_does)
{
	struct bl_watchdog w = { .ops = &fake_guard, .stay = _i };

	make(0);
	ck_assert_int_eq(bl_watchdog_prepare(&w, BL_WATCHDOG_AUTO, NULL), 0);
	ck_assert_int_eq(bl_watchdog_arm(&w, NULL), 0);
	ck_assert_int_eq(model.stays, _i);
	model.holder_dies = true;
	bl_watchdog_ping(&w);
	ck_assert_int_eq(model.stays, _i);
	bl_watchdog_release(&w);
	ck_assert_uint_eq(model.disarms, 1);
}
END_TEST

/* Else it would restart a healthy host. */
START_TEST(a_holder_that_was_killed_is_replaced)
{
	struct bl_watchdog w = { .ops = &fake_guard };

	make(0);
	ck_assert_int_eq(bl_watchdog_prepare(&w, BL_WATCHDOG_AUTO, NULL), 0);
	ck_assert_int_eq(bl_watchdog_arm(&w, NULL), 0);
	ck_assert_uint_eq(model.seconds, 60);
	bl_watchdog_ping(&w);
	ck_assert_uint_eq(model.arms, 1);
	model.holder_dies = true;
	bl_watchdog_ping(&w);
	ck_assert_uint_eq(model.arms, 2);
	bl_watchdog_release(&w);
	ck_assert_uint_eq(model.disarms, 1);
}
END_TEST

/* In a host's trial. */

static unsigned armed_in_trial;

static enum bl_tick on_tick(void *ctx, const struct bl_trial_view *view,
			    struct bl_err *why)
{
	(void)ctx;
	(void)why;
	ck_assert(view->guarded);
	ck_assert_str_eq(view->watchdog, "softdog");
	armed_in_trial += model.armed;
	return BL_TICK_GO_ON;
}

static void watch(struct fake_kern *fake, const char *step)
{
	(void)fake;
	/* Loading may take its time, and so may what follows the trial. */
	if (!strcmp(step, "load") || !strcmp(step, "pin link"))
		ck_assert_msg(!model.armed, "armed at '%s'", step);
	if (!strcmp(step, "attach"))
		ck_assert_msg(model.armed, "not armed at '%s'", step);
}

START_TEST(it_is_armed_for_the_length_of_the_trial)
{
	bl_autofree char *dir = bl_test_tmpdir();
	bl_autofree char *state = bl_path("%s/state", dir);
	bl_autofree char *object = bl_path("%s/o", dir);
	bl_autofree char *manifest = bl_path("%s/m.json", dir);
	static const char text[] =
		"{\"name\":\"n\",\"version\":\"1\",\"object\":\"o\"}";
	BL_CLEANUP(bl_host_closep) struct bl_host *host = NULL;
	BL_CLEANUP(bl_bundle_free) struct bl_bundle bundle = { 0 };
	struct fake_kern *fake = fake_kern_new();
	const struct bl_host_config config = { .state_dir = state,
					       .ops = &fake_kern_ops,
					       .kern = fake,
					       .clock = &fake_clock,
					       .guard = &fake_guard };
	struct bl_apply_opts opts = { .tick = on_tick,
				      .watchdog = BL_WATCHDOG_REQUIRE,
				      .watchdog_ms = 7001 };
	struct bl_host_history h;
	struct bl_apply_result res;
	struct bl_err err = { 0 };

	ck_assert(!bl_file_write(object, "o", 1, 0600, NULL));
	ck_assert(!bl_file_write(manifest, text, strlen(text), 0600, NULL));
	ck_assert(!bl_bundle_build(manifest, &bundle, &err));
	ck_assert_msg(!bl_host_open(&config, &host, &err), "%s", err.text);

	/* Required and not there: nothing is touched. */
	memset(&model, 0, sizeof(model));
	ck_assert(!bl_host_apply(host, &bundle, &opts, &res, &err));
	ck_assert_int_eq(res.outcome, BL_APPLY_REFUSED);
	ck_assert_int_eq(res.refusal, BL_REFUSAL_UNSUPPORTED);
	ck_assert_msg(strstr(res.reason, "no watchdog"), "%s", res.reason);
	ck_assert(fake_slot_empty(&fake->slot[0]));

	model.has_soft = true;
	fake->watch = watch;
	ck_assert(!bl_host_apply(host, &bundle, &opts, &res, &err));
	ck_assert_msg(res.outcome == BL_APPLY_COMMITTED, "%s", res.reason);
	ck_assert_uint_ge(armed_in_trial, 40);
	ck_assert_uint_ge(model.pings, 40);
	ck_assert_uint_eq(model.arms, 1);
	ck_assert_uint_eq(model.disarms, 1);
	ck_assert_uint_eq(model.seconds, 8);
	ck_assert(!model.loaded);
	ck_assert(!bl_host_history(host, 1, &h, &err));
	ck_assert_str_eq(h.txns[0].watchdog, "softdog");
	bl_host_history_free(&h);
	bl_file_rmtree(dir, NULL);
	fake_kern_free(fake);
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *suite = suite_create("watchdog");
	TCase *tc = tcase_create("choice");

	tcase_add_loop_test(tc, the_best_there_is_guards_the_trial, 0,
			    BL_ARRAY_SIZE(hosts));
	tcase_add_test(tc, what_another_holds_unseen_guards_as_well);
	tcase_add_test(tc, a_softdog_that_somebody_else_loaded_stays);
	tcase_add_loop_test(tc, what_a_dead_trial_left_running_is_stopped, 0,
			    BL_ARRAY_SIZE(lefts));
	tcase_add_test(tc, off_is_off);
	tcase_add_test(tc, one_that_cannot_be_armed_matters_if_it_is_required);
	tcase_add_loop_test(
		tc, it_runs_on_without_belay_only_where_the_trial_does, 0, 2);
	tcase_add_test(tc, a_holder_that_was_killed_is_replaced);
	tcase_add_test(tc, it_is_armed_for_the_length_of_the_trial);
	suite_add_tcase(suite, tc);
	return suite;
}
