/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent as a process, on a host over the fake kernel: what it says to its
 * controller and when, what becomes of a bundle when it is killed in the middle
 * of it, and that it keeps its host while a controller hangs, while what speaks
 * to the controller dies, and while that says what it likes.
 *
 * Waits for what must come, however slow the machine; what does not come runs
 * into the test's time limit.
 */
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "canary/agent/daemon.h"
#include "canary/agent/partial.h"
#include "canary/agent/parts.h"
#include "canary/controller/controller.h"
#include "canary/controller/http.h"
#include "loader/base/cleanup.h"
#include "loader/base/cli.h"
#include "loader/base/clock.h"
#include "loader/base/file.h"
#include "tests/main.h"
#include "tests/support/liar.h"
#include "tests/support/one_host.h"
#include "tests/support/talkers.h"

#define NOTHING                                                         \
	"{\"v\":1,\"order\":\"none\",\"rollout\":\"\",\"digest\":\"\"," \
	"\"override\":\"\",\"reason\":\"\",\"probation_ms\":0,\"poll_ms\":%d}"
#define APPLY                                                                \
	"{\"v\":1,\"order\":\"apply\",\"rollout\":\"r1\",\"digest\":\"%s\"," \
	"\"override\":\"\",\"reason\":\"\",\"probation_ms\":0,\"poll_ms\":50}"

#define ROLLBACK                                                                \
	"{\"v\":1,\"order\":\"rollback\",\"rollout\":\"r1\",\"digest\":\"%s\"," \
	"\"override\":\"\",\"reason\":\"no\",\"probation_ms\":0,\"poll_ms\":50}"

static struct one_host one;
static struct liar liar;
static char *order, *order_back;
static pid_t agent;
static struct bl_err err;

/* What an agent is begun with. */
struct birth {
	char url[512];
	char program[256]; /* the talker */
	int64_t interval_ms;
};

static _Atomic unsigned *notes; /* of all agents; shared with them */

static void note(void *ctx, const char *text)
{
	(void)ctx;
	(*notes)++;
	fprintf(stderr, "agent: %s\n", text);
}

_Noreturn static void run_agent(const struct birth *b)
{
	const struct bl_host_config config = { .state_dir = one.state_dir,
					       .ops = &fake_kern_ops,
					       .kern = one.fake };
	struct bl_daemon_opts opts = { .config = &config,
				       .recovered = "",
				       .program = b->program,
				       .state_dir = one.state_dir,
				       .url = b->url,
				       .name = "web-1",
				       .interval_ms = b->interval_ms,
				       .note = note };
	/* Where the tests are root, there is this user. */
	const struct bl_parts_opts parts = { .user = "nobody", .fleet = true };
	struct bl_recover_result recovered = { 0 };

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	bl_cli_catch_signals();
	if (bl_parts_begin(&parts, &opts.user, &err) < 0 ||
	    bl_host_open(&config, &opts.host, &err) < 0 ||
	    bl_host_recover(opts.host, &recovered, &err) < 0 ||
	    bl_daemon_run(&opts, &err) < 0) {
		fprintf(stderr, "agent: %s\n", err.text);
		_exit(1);
	}
	bl_host_close(opts.host);
	_exit(0);
}

/*
 * Agents are forked where there was never a thread: of a process with threads a
 * child may inherit a lock that one of them holds (under sanitizers that of the
 * allocator, which no fork takes care of) and wait for ever.
 */
static struct nursery {
	pid_t pid;
	int births, news; /* struct birth in; pid_t, then its status out */
} nursery;

_Noreturn static void nurse(int births, int news)
{
	struct birth b;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (read(births, &b, sizeof(b)) == sizeof(b)) {
		int status = 0;
		pid_t pid = fork();

		if (!pid)
			run_agent(&b);
		if (write(news, &pid, sizeof(pid)) != sizeof(pid) ||
		    waitpid(pid, &status, 0) != pid ||
		    write(news, &status, sizeof(status)) != sizeof(status))
			_exit(1);
	}
	_exit(0);
}

static void open_nursery(void)
{
	int births[2], news[2];

	ck_assert_int_eq(pipe(births), 0);
	ck_assert_int_eq(pipe(news), 0);
	nursery = (struct nursery){ fork(), births[1], news[0] };
	if (!nursery.pid) {
		close(births[1]);
		close(news[0]);
		nurse(births[0], news[1]);
	}
	close(births[0]);
	close(news[1]);
}

static void set_up(void)
{
	unsetenv("BELAY_CONTROLLER");
	unsetenv("NOTIFY_SOCKET");
	one_host_set_up(&one);
	one.fake->refuses = true; /* what can refuse has a lease */
	one_host_apply(&one, &one.v1, NULL, BL_APPLY_COMMITTED);
	bl_host_close(one.host);
	one.host = NULL;
	notes = mmap(NULL, sizeof(*notes), PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(notes, MAP_FAILED);
	open_nursery();
	liar_start(&liar, one.v2.raw.data, one.v2.raw.len);
}

static void tear_down(void)
{
	close(nursery.births);
	close(nursery.news);
	ck_assert_int_eq(waitpid(nursery.pid, NULL, 0), nursery.pid);
	liar_stop(&liar);
	one_host_tear_down(&one);
	munmap((void *)notes, sizeof(*notes));
	free(order);
	free(order_back);
}

/* In a process of its own, as it is on a host. */
static void start_with(const char *program, const char *url,
		       int64_t interval_ms)
{
	struct birth b = { .interval_ms = interval_ms };

	ck_assert_uint_lt(strlen(url), sizeof(b.url));
	ck_assert_uint_lt(strlen(program), sizeof(b.program));
	strcpy(b.url, url);
	strcpy(b.program, program);
	ck_assert_int_eq(write(nursery.births, &b, sizeof(b)), sizeof(b));
	ck_assert_int_eq(read(nursery.news, &agent, sizeof(agent)),
			 sizeof(agent));
}

static void start_rarely(const char *url, int64_t interval_ms)
{
	start_with(BL_TEST_BUILD_DIR "/belay", url, interval_ms);
}

static void start(const char *url)
{
	start_rarely(url, 100);
}

static int kill_agent(int signal)
{
	int status;

	ck_assert_int_eq(kill(agent, signal), 0);
	ck_assert_int_eq(read(nursery.news, &status, sizeof(status)),
			 sizeof(status));
	return status;
}

static void end(void)
{
	int status = kill_agent(SIGTERM);

	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0,
		      "it ended with %#x", status);
}

static void crash(void)
{
	kill_agent(SIGKILL);
	fake_kern_process_died(one.fake);
}

static void say_nothing(int poll_ms)
{
	liar.order = order = bl_path(NOTHING, poll_ms);
}

static void say_apply(void)
{
	liar.order = order = bl_path(APPLY, one.v2.digest);
}

static void asked(unsigned count)
{
	while (liar.count < count)
		bl_clock_sleep_ms(10);
}

START_TEST(what_is_known_is_not_said_again)
{
	say_nothing(0);
	start(liar.url);
	/* Nothing goes on: it may be kept waiting. */
	liar_polled(&liar, "\r\nPrefer: wait=");
	liar_polled(&liar, "\r\nIf-None-Match: \"liar\"\r\n");
	end();
	/* It learned the answer once. */
	ck_assert_uint_eq(liar.polls, liar.known + 1);
}
END_TEST

START_TEST(while_something_goes_on_it_does_not_wait)
{
	say_nothing(50);
	start(liar.url);
	liar_polled(&liar, "\"seq\":3,");
	end();
	ck_assert_ptr_null(strstr(liar.polled, "Prefer: wait"));
	ck_assert_ptr_nonnull(strstr(liar.polled, "If-None-Match: \"liar\""));
}
END_TEST

/* However often it failed, and however rarely it comes when nobody is in a
 * hurry: the time limit is less than what it would wait. */
START_TEST(while_something_goes_on_it_comes_back_soon)
{
	say_nothing(50);
	start_rarely(liar.url, 3600000);
	liar_polled(&liar, "\"seq\":2,");
	liar_lies_to_polls(&liar, BUSY, 25);
	liar_polled_again(&liar);
	end();
}
END_TEST

/* What it says to every poll, to all of which its neighbour has an answer. */
static const enum lie troubles[] = { BROKEN, STRANGER, NOWHERE, WEB };

START_TEST(an_agent_leaves_a_controller_that_is_none)
{
	bl_autofree char *urls = NULL;
	struct liar other;

	say_nothing(50);
	liar_start(&other, one.v2.raw.data, one.v2.raw.len);
	other.order = order;
	liar_lies_to_polls(&other, troubles[_i], UINT_MAX);
	urls = bl_path("%s,%s", liar.url, other.url);
	/* Whichever it draws first. */
	start(urls);
	liar_polled_again(&liar);
	liar_lies_to_polls(&other, HONEST, 0);
	liar_lies_to_polls(&liar, troubles[_i], UINT_MAX);
	liar_polled_again(&other);
	end();
	liar_stop(&other);
}
END_TEST

/* The connection, the controller and the agent itself fail on the way. */
START_TEST(a_bundle_comes_however_often_it_is_interrupted)
{
	bl_autofree char *part = NULL;
	char range[BL_RANGE_LEN];
	unsigned i;

	part = bl_path("%s/" BL_PARTIAL_DIR "/%s.part", one.state_dir,
		       one.v2.digest);
	liar.cut_at = 40;
	liar.script[0] = CUT;
	for (i = 1; i < LIAR_REQUESTS; i++)
		liar.script[i] = BUSY;
	say_apply();
	start(liar.url);
	asked(2);
	/* An operator reads it in the list of hosts. */
	liar_polled(&liar, "waits for its bundle: not now");
	crash();
	ck_assert_int_eq(access(part, F_OK), 0);
	for (i = 0; i < LIAR_REQUESTS; i++)
		liar.script[i] = HONEST;
	start(liar.url);
	liar_polled(&liar, "\"state\":\"done\"");
	end();
	for (i = 1; i < liar.count; i++) {
		liar_range(&liar, i, range);
		ck_assert_str_eq(range, "bytes=40-");
	}
	one.host = one_host_open(&one);
	ck_assert_str_eq(one_host_status(&one).live.digest, one.v2.digest);
	/* It is where it belongs, and not here any more. */
	ck_assert_int_ne(access(part, F_OK), 0);
}
END_TEST

START_TEST(told_to_end_while_it_waits_it_has_not_failed)
{
	unsigned i;

	for (i = 0; i < LIAR_REQUESTS; i++)
		liar.script[i] = BUSY;
	say_apply();
	start(liar.url);
	liar_polled(&liar, "waits for its bundle");
	end();
	for (i = 0; i < LIAR_REQUESTS; i++)
		liar.script[i] = HONEST;
	start(liar.url);
	liar_polled(&liar, "\"state\":\"done\"");
	end();
}
END_TEST

START_TEST(how_far_it_is_is_told_and_the_next_life_goes_on_from_there)
{
	bl_autofree char *words = bl_path("fetching its bundle: %zu %%",
					  100 * 100 / one.v2.raw.len / 5 * 5);
	char range[BL_RANGE_LEN];

	liar.cut_at = 100;
	liar.script[0] = STALL;
	say_apply();
	start(liar.url);
	liar_polled(&liar, words);
	/* It does not wait for the deadline of its fetch. */
	end();
	start(liar.url);
	liar_polled(&liar, "\"state\":\"done\"");
	end();
	liar_range(&liar, 1, range);
	ck_assert_str_eq(range, "bytes=100-");
}
END_TEST

/* Taken back before its bundle came: there is nothing to go back from. */
START_TEST(told_to_go_back_while_it_waits_it_is_back)
{
	unsigned i;

	for (i = 0; i < LIAR_REQUESTS; i++)
		liar.script[i] = BUSY;
	say_apply();
	start(liar.url);
	liar_polled(&liar, "waits for its bundle");
	order_back = bl_path(ROLLBACK, one.v2.digest);
	liar.order = order_back;
	liar_polled(&liar, "\"order\":\"rollback\",\"state\":\"done\"");
	end();
}
END_TEST

/* What can refuse has its lease renewed. */
static void kept_from_now_on(void)
{
	one.fake->verdict_ms = 0;
	while (!*(volatile uint64_t *)&one.fake->verdict_ms)
		bl_clock_sleep_ms(10);
}

START_TEST(a_host_is_kept_while_its_controller_hangs)
{
	struct pollfd hung = { .events = POLLIN };
	unsigned i;

	for (i = 0; i < LIAR_REQUESTS; i++)
		liar.script[i] = HANG;
	hung.fd = liar.hung;
	start(liar.url);
	ck_assert_int_eq(poll(&hung, 1, -1), 1);
	kept_from_now_on();
	/* The one that hangs did not end before. */
	ck_assert_uint_eq(liar.hang_count, 1);
	end();
}
END_TEST

static pid_t the_talker(void)
{
	pid_t pid;

	while (!(pid = talkers_child(agent)))
		bl_clock_sleep_ms(10);
	return pid;
}

START_TEST(a_talker_that_dies_is_followed_by_another_and_the_host_is_kept)
{
	pid_t first;

	say_nothing(50);
	start(liar.url);
	liar_polled(&liar, "\"seq\":2,");
	first = the_talker();
	ck_assert_int_eq(kill(first, SIGKILL), 0);
	talkers_gone(first);
	kept_from_now_on();
	liar_polled_again(&liar);
	ck_assert_int_ne(the_talker(), first);
	/* It is the same host, and goes on counting. */
	ck_assert_ptr_null(strstr(liar.polled, "\"seq\":1,"));
	end();
}
END_TEST

START_TEST(a_talker_dies_in_a_download_and_the_next_one_goes_on)
{
	char range[BL_RANGE_LEN];

	liar.cut_at = 100;
	liar.script[0] = STALL;
	say_apply();
	start(liar.url);
	liar_polled(&liar, "fetching its bundle");
	ck_assert_int_eq(kill(the_talker(), SIGKILL), 0);
	liar_polled(&liar, "\"state\":\"done\"");
	end();
	liar_range(&liar, 1, range);
	ck_assert_str_eq(range, "bytes=100-");
}
END_TEST

START_TEST(without_the_host_part_there_is_no_talker)
{
	pid_t pid;

	say_nothing(50);
	start(liar.url);
	liar_polled(&liar, "\"seq\":1,");
	pid = the_talker();
	if (_i)
		crash();
	else
		end();
	talkers_gone(pid);
}
END_TEST

/* Of the talker's process, as the kernel sees it. */
START_TEST(a_talker_may_nothing)
{
	bl_autofree char *path = NULL;
	bl_autobuf struct bl_buf text = { 0 };

	say_nothing(50);
	start(liar.url);
	liar_polled(&liar, "\"seq\":1,");
	path = bl_path("/proc/%d/status", (int)the_talker());
	ck_assert_int_eq(bl_file_read(path, 65536, &text, NULL), 0);
	end();
	ck_assert_ptr_nonnull(
		strstr(bl_buf_str(&text), "CapPrm:\t0000000000000000"));
	ck_assert_ptr_nonnull(
		strstr(bl_buf_str(&text), "CapEff:\t0000000000000000"));
	ck_assert_ptr_nonnull(strstr(bl_buf_str(&text), "NoNewPrivs:\t1"));
	ck_assert_ptr_nonnull(strstr(bl_buf_str(&text), "Seccomp:\t2"));
	ck_assert_ptr_null(strstr(bl_buf_str(&text), "Uid:\t0\t"));
	ck_assert_ptr_null(strstr(bl_buf_str(&text), "Gid:\t0\t"));
}
END_TEST

START_TEST(whatever_a_talker_says_the_host_is_kept)
{
	bl_autofree char *path = bl_path("%s/evil", one.dir);
	bl_autofree char *text =
		bl_path("#!/bin/sh\ncd %s\n%s\n", one.dir, talkers_evil[_i]);

	talkers_messages(one.dir, one.v2.digest);
	ck_assert_int_eq(bl_file_write(path, text, strlen(text), 0755, NULL),
			 0);
	start_with(path, liar.url, 100);
	kept_from_now_on();
	ck_assert_uint_lt(*notes, 200);
	end();
	one.host = one_host_open(&one);
	ck_assert_str_eq(one_host_status(&one).live.digest, one.v1.digest);
}
END_TEST

/* The real controller, to which the dead one is a neighbour. */
START_TEST(a_rollout_goes_through_though_one_of_two_controllers_is_dead)
{
	struct bl_start s = { .digest = one.v2.digest, .override_reason = "" };
	char id[BL_ROLLOUT_ID_LEN], dead[64];
	bl_autofree char *urls = NULL;
	struct sockaddr_storage address;
	bl_autofree char *db = bl_path("sqlite:%s/fleet.db", one.dir);
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
	ck_assert_int_eq(bl_controller_store_bundle(store, &one.v2,
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
	start(urls);
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
	end();
	bl_http_stop(http);
	bl_store_close(store);
	bl_store_close(look);
	one.host = one_host_open(&one);
	ck_assert_str_eq(one_host_status(&one).live.digest, one.v2.digest);
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
		a_talker_that_dies_is_followed_by_another_and_the_host_is_kept);
	tcase_add_test(t, a_talker_dies_in_a_download_and_the_next_one_goes_on);
	tcase_add_loop_test(t, without_the_host_part_there_is_no_talker, 0, 2);
	tcase_add_test(t, a_talker_may_nothing);
	tcase_add_loop_test(t, whatever_a_talker_says_the_host_is_kept, 0,
			    TALKERS_EVIL);
	tcase_add_test(
		t,
		a_rollout_goes_through_though_one_of_two_controllers_is_dead);
	suite_add_tcase(s, t);
	return s;
}
