/* SPDX-License-Identifier: Apache-2.0 */
/* Hosts that were given up as silent and are heard of again: what is shown of
 * them is what they are. sim_step asserts I6 and I7 after every step. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "canary/operator/watch.h"
#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "tests/main.h"
#include "tests/support/sim_fleet.h"

#define MINUTE_MS 60000

static struct sim s;

static void set_up(void)
{
	sim_start(&s, 11, 4);
	s.plan.p0_percent = 0.1;
	s.plan.ladder_count = 3;
	s.plan.waves[0].soak_ms = 60000;
	sim_run_ms(&s, 2000);
	sim_rollout(&s, "v1", SIM_GOOD);
}

static void tear_down(void)
{
	sim_end(&s);
}

/* The first host that is exposed, as soon as it has reached @state. */
static struct sim_host *first(enum bl_exposure_state state)
{
	struct sim_host *h = NULL;
	unsigned i;

	while (!h) {
		sim_step(&s);
		for (i = 0; i < s.host_count; i++)
			if (s.hosts[i].trials)
				h = &s.hosts[i];
	}
	while (sim_exposure(&s, h->name) != state)
		sim_step(&s);
	return h;
}

/* Lets nothing of it through until it is given up. */
static void mute_until_silent(struct sim_host *h)
{
	h->mute = true;
	while (sim_exposure(&s, h->name) != BL_EXPOSURE_SILENT)
		sim_step(&s);
}

/* What an operator reads in the row of @host. */
static void assert_shown(const struct sim_host *host, const char *words,
			 const char *never)
{
	bl_autofree char *path = bl_path("/v1/rollouts/%s", s.id);
	bl_autobuf struct bl_buf body = { 0 };
	bl_autofree char *text = NULL;
	bl_autojson json_t *doc = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);
	char *row;

	ck_assert_ptr_nonnull(f);
	ck_assert_uint_eq(sim_request(&s, "GET", path, NULL, &body), 200);
	doc = json_loadb(body.data, body.len, 0, NULL);
	ck_assert_ptr_nonnull(doc);
	bl_watch_print(doc, f, false, 0);
	ck_assert_int_eq(fclose(f), 0);
	row = strstr(text, host->name);
	ck_assert_ptr_nonnull(row);
	row[strcspn(row, "\n")] = '\0';
	ck_assert_msg(strstr(row, words), "%s", row);
	ck_assert_msg(!strstr(row, never), "%s", row);
}

START_TEST(host_that_is_heard_of_again_and_keeps_it_is_shown_so)
{
	struct sim_host *h =
		first(_i ? BL_EXPOSURE_COMMITTED : BL_EXPOSURE_TRIAL);

	mute_until_silent(h);
	assert_shown(h, "SILENT: may still run it", "keeps");
	h->mute = false;
	sim_run_ms(&s, 5000);
	assert_shown(h, "was given up, keeps it", "SILENT");
	/* For the sums it is bad all the same (I6). */
	ck_assert_int_eq(sim_exposure(&s, h->name), BL_EXPOSURE_SILENT);
	ck_assert_uint_eq(sim_read(&s).unconfirmed, 0);
}
END_TEST

START_TEST(host_that_comes_back_after_the_end_is_shown_as_it_is)
{
	struct sim_host *h = first(BL_EXPOSURE_TRIAL);

	/* It goes down in its trial, and comes back when all is over. */
	sim_kill_agent(&s, h, true, 30 * MINUTE_MS);
	mute_until_silent(h);
	ck_assert_int_eq(sim_run_over(&s, 20 * MINUTE_MS), BL_ROLLOUT_DONE);
	assert_shown(h, "SILENT: may still run it", "failed");
	if (_i) { /* and does not know what it was at */
		free(h->record);
		h->record = NULL;
	}
	h->mute = false;
	sim_run_ms(&s, 31 * MINUTE_MS);
	assert_shown(h, "failed, runs the old version", "SILENT");
	ck_assert_uint_eq(sim_read(&s).unconfirmed, 0);
	ck_assert_int_eq(sim_read(&s).state, BL_ROLLOUT_DONE);
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *suite = suite_create("late");
	TCase *tc = tcase_create("late");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_loop_test(
		tc, host_that_is_heard_of_again_and_keeps_it_is_shown_so, 0, 2);
	tcase_add_loop_test(
		tc, host_that_comes_back_after_the_end_is_shown_as_it_is, 0, 2);
	suite_add_tcase(suite, tc);
	return suite;
}
