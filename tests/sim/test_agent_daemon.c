/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent as a process, on a host over the fake kernel: what it says to its
 * controller and when, what becomes of a bundle when it is killed in the middle
 * of it, and that it keeps its host while a controller hangs. Of its talker:
 * test_agent_talker.c.
 *
 * Waits for what must come, however slow the machine; what does not come runs
 * into the test's time limit.
 */
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "canary/agent/partial.h"
#include "canary/controller/controller.h"
#include "canary/controller/http.h"
#include "loader/base/cleanup.h"
#include "loader/base/clock.h"
#include "loader/base/file.h"
#include "tests/main.h"
#include "tests/support/agent_process.h"

#define NOTHING                                                         \
	"{\"v\":1,\"order\":\"none\",\"rollout\":\"\",\"digest\":\"\"," \
	"\"override\":\"\",\"reason\":\"\",\"probation_ms\":0,\"poll_ms\":%d}"
#define APPLY                                                                \
	"{\"v\":1,\"order\":\"apply\",\"rollout\":\"r1\",\"digest\":\"%s\"," \
	"\"override\":\"\",\"reason\":\"\",\"probation_ms\":0,\"poll_ms\":50}"

#define ROLLBACK                                                                \
	"{\"v\":1,\"order\":\"rollback\",\"rollout\":\"r1\",\"digest\":\"%s\"," \
	"\"override\":\"\",\"reason\":\"no\",\"probation_ms\":0,\"poll_ms\":50}"

static struct agent_process a;
static char *order, *order_back;
static struct bl_err err;

static void set_up(void)
{
	agent_set_up(&a);
}

static void tear_down(void)
{
	agent_tear_down(&a);
	free(order);
	free(order_back);
}

static void say_nothing(int poll_ms)
{
	a.liar.order = order = bl_path(NOTHING, poll_ms);
}

static void say_apply(void)
{
	a.liar.order = order = bl_path(APPLY, a.one.v2.digest);
}

static void asked(unsigned count)
{
	while (a.liar.count < count)
		bl_clock_sleep_ms(10);
}

START_TEST(what_is_known_is_not_said_again)
{
	say_nothing(0);
	agent_start(&a, a.liar.url);
	/* Nothing goes on: it may be kept waiting. */
	liar_polled(&a.liar, "\r\nPrefer: wait=");
	liar_polled(&a.liar, "\r\nIf-None-Match: \"liar\"\r\n");
	agent_end(&a);
	/* It learned the answer once. */
	ck_assert_uint_eq(a.liar.polls, a.liar.known + 1);
}
END_TEST

START_TEST(while_something_goes_on_it_does_not_wait)
{
	say_nothing(50);
	agent_start(&a, a.liar.url);
	liar_polled_times(&a.liar, 3);
	agent_end(&a);
	ck_assert_ptr_null(strstr(a.liar.polled, "Prefer: wait"));
	ck_assert_ptr_nonnull(strstr(a.liar.polled, "If-None-Match: \"liar\""));
}
END_TEST

/* However often it failed, and however rarely it comes when nobody is in a
 * hurry: the time limit is less than what it would wait. */
START_TEST(while_something_goes_on_it_comes_back_soon)
{
	say_nothing(50);
	agent_start_with(&a, BL_TEST_BUILD_DIR "/belay", a.liar.url, 3600000);
	liar_polled_times(&a.liar, 2);
	liar_lies_to_polls(&a.liar, BUSY, 25);
	liar_polled_again(&a.liar);
	agent_end(&a);
}
END_TEST

/* What it says to every poll, to all of which its neighbour has an answer. */
static const enum lie troubles[] = { BROKEN, STRANGER, NOWHERE, WEB };

START_TEST(an_agent_leaves_a_controller_that_is_none)
{
	bl_autofree char *urls = NULL;
	struct liar other;

	say_nothing(50);
	liar_start(&other, a.one.v2.raw.data, a.one.v2.raw.len);
	other.order = order;
	liar_lies_to_polls(&other, troubles[_i], UINT_MAX);
	urls = bl_path("%s,%s", a.liar.url, other.url);
	/* Whichever it draws first. */
	agent_start(&a, urls);
	liar_polled_again(&a.liar);
	liar_lies_to_polls(&other, HONEST, 0);
	liar_lies_to_polls(&a.liar, troubles[_i], UINT_MAX);
	liar_polled_again(&other);
	agent_end(&a);
	liar_stop(&other);
}
END_TEST

/* The connection, the controller and the agent itself fail on the way. */
START_TEST(a_bundle_comes_however_often_it_is_interrupted)
{
	bl_autofree char *part = NULL;
	char range[BL_RANGE_LEN];
	unsigned i;

	part = bl_path("%s/" BL_PARTIAL_DIR "/%s.part", a.one.state_dir,
		       a.one.v2.digest);
	a.liar.cut_at = 40;
	a.liar.script[0] = CUT;
	for (i = 1; i < LIAR_REQUESTS; i++)
		a.liar.script[i] = BUSY;
	say_apply();
	agent_start(&a, a.liar.url);
	asked(2);
	/* An operator reads it in the list of hosts. */
	liar_polled(&a.liar, "waits for its bundle: not now");
	agent_crash(&a);
	ck_assert_int_eq(access(part, F_OK), 0);
	for (i = 0; i < LIAR_REQUESTS; i++)
		a.liar.script[i] = HONEST;
	agent_start(&a, a.liar.url);
	liar_polled(&a.liar, "\"state\":\"done\"");
	agent_end(&a);
	for (i = 1; i < a.liar.count; i++) {
		liar_range(&a.liar, i, range);
		ck_assert_str_eq(range, "bytes=40-");
	}
	a.one.host = one_host_open(&a.one);
	ck_assert_str_eq(one_host_status(&a.one).live.digest, a.one.v2.digest);
	/* It is where it belongs, and not here any more. */
	ck_assert_int_ne(access(part, F_OK), 0);
}
END_TEST

START_TEST(told_to_end_while_it_waits_it_has_not_failed)
{
	unsigned i;

	for (i = 0; i < LIAR_REQUESTS; i++)
		a.liar.script[i] = BUSY;
	say_apply();
	agent_start(&a, a.liar.url);
	liar_polled(&a.liar, "waits for its bundle");
	agent_end(&a);
	for (i = 0; i < LIAR_REQUESTS; i++)
		a.liar.script[i] = HONEST;
	agent_start(&a, a.liar.url);
	liar_polled(&a.liar, "\"state\":\"done\"");
	agent_end(&a);
}
END_TEST

START_TEST(how_far_it_is_is_told_and_the_next_life_goes_on_from_there)
{
	bl_autofree char *words = bl_path("fetching its bundle: %zu %%",
					  100 * 100 / a.one.v2.raw.len / 5 * 5);
	char range[BL_RANGE_LEN];

	a.liar.cut_at = 100;
	a.liar.script[0] = STALL;
	say_apply();
	agent_start(&a, a.liar.url);
	liar_polled(&a.liar, words);
	/* It does not wait for the deadline of its fetch. */
	agent_end(&a);
	agent_start(&a, a.liar.url);
	liar_polled(&a.liar, "\"state\":\"done\"");
	agent_end(&a);
	liar_range(&a.liar, 1, range);
	ck_assert_str_eq(range, "bytes=100-");
}
END_TEST

/* Taken back before its bundle came: there is nothing to go back from. */
START_TEST(told_to_go_back_while_it_waits_it_is_back)
{
	unsigned i;

	for (i = 0; i < LIAR_REQUESTS; i++)
		a.liar.script[i] = BUSY;
	say_apply();
	agent_start(&a, a.liar.url);
	liar_polled(&a.liar, "waits for its bundle");
	order_back = bl_path(ROLLBACK, a.one.v2.digest);
	a.liar.order = order_back;
	liar_polled(&a.liar, "\"order\":\"rollback\",\"state\":\"done\"");
	agent_end(&a);
}
END_TEST

START_TEST(a_host_is_kept_while_its_controller_hangs)
{
	struct pollfd hung = { .events = POLLIN };
	unsigned i;

	for (i = 0; i < LIAR_REQUESTS; i++)
		a.liar.script[i] = HANG;
	hung.fd = a.liar.hung;
	agent_start(&a, a.liar.url);
	ck_assert_int_eq(poll(&hung, 1, -1), 1);
	agent_keeps(&a);
	/* The one that hangs did not end before. */
	ck_assert_uint_eq(a.liar.hang_count, 1);
	agent_end(&a);
}
END_TEST

/* The real controller, to which the dead one is a neighbour. */
START_TEST(a_rollout_goes_through_though_one_of_two_controllers_is_dead)
{
	struct bl_start s = { .digest = a.one.v2.digest,
			      .override_reason = "" };
	char id[BL_ROLLOUT_ID_LEN], dead[64];
	bl_autofree char *urls = NULL;
	struct sockaddr_storage address;
	bl_autofree char *db = bl_path("sqlite:%s/fleet.db", a.one.dir);
	struct bl_store *store = NULL, *look = NULL;
	struct bl_http *http = NULL;
	struct bl_rollout r = { 0 };
	int64_t revision;
	size_t hosts = 0;
	unsigned i;

	close(liar_listen(dead));
	ck_assert_int_eq(bl_store_open(db, &store, NULL), 0);
	ck_assert_int_eq(bl_store_open(db, &look, NULL), 0);
	ck_assert_int_eq(bl_http_address("127.0.0.1:0", false, &address, NULL),
			 0);
	ck_assert_int_eq(bl_controller_store_bundle(store, &a.one.v2,
						    bl_clock_wall_ms(), NULL),
			 0);
	bl_plan_default(&s.plan);
	for (i = 0; i < s.plan.wave_count; i++)
		s.plan.waves[i].soak_ms = 0;
	ck_assert_msg(!bl_controller_start(store, &s, bl_clock_wall_ms(), id,
					   &err),
		      "%s", err.text);
	ck_assert_int_eq(bl_http_start(&address, store, NULL, &http, NULL), 0);
	urls = bl_path("%s,http://%s", dead, bl_http_listens(http));
	agent_start(&a, urls);
	while (r.state != BL_ROLLOUT_DONE || !hosts) {
		ck_assert_msg(!bl_http_tick(http, &err), "%s", err.text);
		bl_clock_sleep_ms(20);
		ck_assert_int_eq(
			bl_fleet_rollout(look, id, &r, &revision, NULL), 0);
		ck_assert_int_eq(bl_store_count(look, "host/", &hosts, NULL),
				 0);
		ck_assert_msg(r.state == BL_ROLLOUT_RUNNING ||
				      r.state == BL_ROLLOUT_DONE,
			      "%s", r.reason);
	}
	agent_end(&a);
	bl_http_stop(http);
	bl_store_close(store);
	bl_store_close(look);
	a.one.host = one_host_open(&a.one);
	ck_assert_str_eq(one_host_status(&a.one).live.digest, a.one.v2.digest);
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *s = suite_create("agent_daemon");
	TCase *t = tcase_create("agent_daemon");

	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_add_test(t, what_is_known_is_not_said_again);
	tcase_add_test(t, while_something_goes_on_it_does_not_wait);
	tcase_add_test(t, while_something_goes_on_it_comes_back_soon);
	tcase_add_loop_test(t, an_agent_leaves_a_controller_that_is_none, 0,
			    (int)BL_ARRAY_SIZE(troubles));
	tcase_add_test(t, a_bundle_comes_however_often_it_is_interrupted);
	tcase_add_test(t, told_to_end_while_it_waits_it_has_not_failed);
	tcase_add_test(
		t, how_far_it_is_is_told_and_the_next_life_goes_on_from_there);
	tcase_add_test(t, told_to_go_back_while_it_waits_it_is_back);
	tcase_add_test(t, a_host_is_kept_while_its_controller_hangs);
	tcase_add_test(
		t,
		a_rollout_goes_through_though_one_of_two_controllers_is_dead);
	suite_add_tcase(s, t);
	return s;
}
