/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A rollout as an operator sees it: the belay command against a controller that
 * is a process, with hosts that poll it over HTTP and whose trials are this
 * test's to end. What is asserted is what people read, and the exit statuses
 * that their scripts go by.
 *
 * The clock is the real one and the plan's deadlines are hours: nothing here
 * depends on how fast a machine is.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "canary/agent/agent.h"
#include "canary/wire/client.h"
#include "loader/base/cleanup.h"
#include "loader/base/clock.h"
#include "loader/base/file.h"
#include "loader/base/proc.h"
#include "loader/bundle/bundle.h"
#include "loader/gate/finding.h"
#include "loader/gate/report/report_json.h"
#include "tests/main.h"
#include "tests/support/hostile.h"

#define BELAY	 BL_TEST_BUILD_DIR "/belay"
#define HOSTS	 6
#define WORDS	 24
#define DIR_MODE 0644

static char *dir, *url, *bundle, *report, *plan;
static pid_t controller;
static struct bl_client *client;
static char digest[BL_DIGEST_HEX];
static struct bl_proc_result said; /* by the last command */

static struct host {
	char name[16], live[BL_DIGEST_HEX], old[BL_DIGEST_HEX];
	struct bl_agent agent;
	bool fails; /* its next trial does */
} hosts[HOSTS];

static void write_text(const char *path, const char *text)
{
	ck_assert_int_eq(
		bl_file_write(path, text, strlen(text), DIR_MODE, NULL), 0);
}

/* A bundle, and a report of the gate that accepts it. */
static void make_bundle(void)
{
	BL_CLEANUP(bl_bundle_free) struct bl_bundle b = { 0 };
	bl_autofree char *manifest = bl_path("%s/manifest.json", dir);
	bl_autofree char *text = NULL;
	bl_autoreport struct bl_report r = { 0 };

	hostile_write_inputs(dir);
	ck_assert_int_eq(bl_bundle_build(manifest, &b, NULL), 0);
	bundle = bl_path("%s/v2.bundle", dir);
	report = bl_path("%s/v2.json", dir);
	plan = bl_path("%s/plan.json", dir);
	ck_assert_int_eq(bl_file_write(bundle, b.raw.data, b.raw.len, DIR_MODE,
				       NULL),
			 0);
	memcpy(digest, b.digest, sizeof(digest));
	ck_assert_int_eq(bl_report_init(&r, bundle, "bundle"), 0);
	memcpy(r.digest, b.digest, sizeof(r.digest));
	ck_assert_int_eq(
		bl_report_add_kernel(&r,
				     &(struct bl_report_kernel){
					     .name = "6.1", .log_path = "" }),
		0);
	ck_assert_int_eq(bl_report_add(&r,
				       &(struct bl_finding){
					       .verdict = BL_VERDICT_PASS,
					       .status = BL_STATUS_ACCEPTED,
					       .check = "verifier",
					       .program = "on_exec",
					       .kernel = "6.1",
				       }),
			 0);
	text = bl_report_to_json(&r);
	write_text(report, text);
	write_text(plan,
		   "{\"waves\":[{\"hosts\":1},{\"hosts\":2,\"gate\":true},"
		   "{\"percent\":100}],\"soak_s\":0,\"trial_s\":36000,"
		   "\"silence_s\":36000,\"gone_s\":36000,\"cap\":2}");
}

static void start_controller(void)
{
	bl_autofree char *store = bl_path("sqlite:%s/fleet.db", dir);
	const char *argv[] = { BELAY, "controller", "--plaintext", "--store",
			       store, "--listen",   "127.0.0.1:0", NULL };
	char line[128] = "", port[16];
	int fds[2];

	ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
	ck_assert_int_eq(bl_proc_spawn(argv, -1, fds[1], STDERR_FILENO,
				       &controller, NULL),
			 0);
	close(fds[1]);
	ck_assert_int_gt(read(fds[0], line, sizeof(line) - 1), 0);
	close(fds[0]);
	ck_assert_int_eq(sscanf(line, "listening on 127.0.0.1:%15[0-9]", port),
			 1);
	url = bl_path("http://127.0.0.1:%s", port);
	setenv("BELAY_CONTROLLER", url, 1);
	ck_assert_int_eq(bl_client_open(NULL, false, &client, NULL), 0);
}

static void set_up(void)
{
	unsigned i;

	dir = bl_test_tmpdir();
	setenv("NO_COLOR", "1", 1);
	make_bundle();
	start_controller();
	for (i = 0; i < HOSTS; i++) {
		struct host *h = &hosts[i];
		struct bl_poll *p = &h->agent.poll;

		*h = (struct host){ 0 };
		snprintf(h->name, sizeof(h->name), "web-%u", i);
		snprintf(p->boot, sizeof(p->boot), "boot-%u", i);
		snprintf(p->session, sizeof(p->session), "session-%u", i);
		snprintf(p->kernel, sizeof(p->kernel), "6.1.0-44-cloud-amd64");
		snprintf(p->arch, sizeof(p->arch), "x86_64");
		ck_assert_int_eq(bl_digest("v1", 2, h->live), 0);
		memcpy(p->live, h->live, sizeof(p->live));
	}
}

static void tear_down(void)
{
	bl_proc_result_free(&said);
	bl_client_close(client);
	kill(controller, SIGTERM);
	waitpid(controller, NULL, 0);
	bl_file_rmtree(dir, NULL);
	free(dir);
	free(url);
	free(bundle);
	free(report);
	free(plan);
}

/* Its work ends with its next poll. */
static void work(struct host *h)
{
	if (h->agent.busy == BL_AGENT_ROLLBACK) {
		memcpy(h->live, h->old, sizeof(h->live));
		bl_agent_finish(&h->agent, BL_AGENT_DONE, "", h->live);
	} else if (h->agent.busy == BL_AGENT_APPLY && h->fails) {
		bl_agent_finish(&h->agent, BL_AGENT_FAILED,
				"drops above the limit", h->live);
	} else if (h->agent.busy == BL_AGENT_APPLY) {
		memcpy(h->old, h->live, sizeof(h->old));
		memcpy(h->live, digest, sizeof(h->live));
		bl_agent_finish(&h->agent, BL_AGENT_DONE, "", h->live);
	}
}

static void poll_host(struct host *h)
{
	bl_autofree char *path = bl_path("/v1/hosts/%s/poll", h->name);
	bl_autobuf struct bl_buf answer = { 0 };
	bl_autofree char *body = NULL;
	struct bl_err err = { 0 };
	struct bl_order order;
	struct bl_poll poll;

	bl_agent_poll(&h->agent, &poll);
	body = bl_json_dump(bl_poll_json(&poll));
	ck_assert_msg(bl_client_call(client, "POST", path, NULL, body,
				     strlen(body), BL_CLIENT_TIMEOUT_MS,
				     &answer, &err) == 0,
		      "%s", err.text);
	ck_assert_int_eq(bl_order_parse(answer.data, answer.len, &order, NULL),
			 0);
	bl_agent_take(&h->agent, &order);
}

static void poll_all(void)
{
	unsigned i;

	for (i = 0; i < HOSTS; i++) {
		poll_host(&hosts[i]);
		work(&hosts[i]);
	}
}

static unsigned running(void)
{
	unsigned i, n = 0;

	for (i = 0; i < HOSTS; i++)
		n += strcmp(hosts[i].live, digest) == 0;
	return n;
}

/* The only one that runs it: whoever polled first when the wave began. */
static const char *the_one(void)
{
	unsigned i = 0;

	ck_assert_uint_eq(running(), 1);
	while (strcmp(hosts[i].live, digest) != 0)
		i++;
	return hosts[i].name;
}

/* Runs "belay WORD…" and asserts on its exit status. */
__attribute__((sentinel)) static void belay(int status, ...)
{
	const char *argv[WORDS] = { BELAY };
	struct bl_proc_opts opts = { 0 };
	struct bl_err err = { 0 };
	size_t n = 1;
	va_list ap;

	va_start(ap, status);
	do {
		ck_assert_uint_lt(n, WORDS);
		argv[n] = va_arg(ap, const char *);
	} while (argv[n++]);
	va_end(ap);
	bl_proc_result_free(&said);
	ck_assert_msg(bl_proc_run(argv, &opts, &said, &err) == 0, "%s",
		      err.text);
	ck_assert_msg(said.status == status, "belay %s %s ended with %d: %s",
		      argv[1], argv[2], said.status, bl_buf_str(&said.out));
}

static void expect(const char *words)
{
	ck_assert_msg(strstr(bl_buf_str(&said.out), words),
		      "nothing was said of '%s': %s", words,
		      bl_buf_str(&said.out));
}

/* Lets hosts poll until the rollout's status is said in these words. */
static void until(const char *words)
{
	static const char *const argv[] = { BELAY, "rollout", "status", NULL };

	for (;;) {
		poll_all();
		bl_proc_result_free(&said);
		ck_assert_int_eq(bl_proc_run(argv, &(struct bl_proc_opts){ 0 },
					     &said, NULL),
				 0);
		if (strstr(bl_buf_str(&said.out), words))
			return;
		bl_clock_sleep_ms(50);
	}
}

/* Whoever has an order may be told now; nobody else is after it. */
static void assert_nobody_new(unsigned has_it)
{
	unsigned i;

	for (i = 0; i < 3; i++)
		poll_all();
	ck_assert_uint_eq(running(), has_it);
}

static void start_rollout(void)
{
	poll_all();
	belay(0, "rollout", "start", bundle, "--checked", report, "--plan",
	      plan, NULL);
	expect("rollout r1 started: probe 1.0 ");
	expect("belay rollout status r1 --watch");
}

START_TEST(before_there_is_anything_it_is_said_what_to_do)
{
	belay(2, "rollout", "status", NULL);
	expect("no rollout was ever started here");
	expect("'belay rollout start BUNDLE' starts one");
	belay(2, "rollout", "explain", NULL);
	expect("no rollout was ever started here");
	belay(0, "rollout", "list", NULL);
	expect("no rollout was ever started here");
	belay(0, "host", "list", NULL);
	expect("no host has polled yet");
	belay(0, "rollout", "plan", plan, NULL);
	expect("no host is there that this plan is for");
}
END_TEST

/* One rule for every verb that takes a plan: 2 where it cannot be read, as with
 * a bundle, and 64 where it is wrong. */
START_TEST(plan_that_cannot_be_read_is_not_a_wrong_one)
{
	bl_autofree char *none = bl_path("%s/none.json", dir);
	bl_autofree char *wrong = bl_path("%s/wrong.json", dir);

	ck_assert_int_eq(bl_file_write(wrong, "{}", 2, 0600, NULL), 0);
	belay(2, "rollout", "plan", none, NULL);
	expect("none.json");
	belay(2, "rollout", "start", none, NULL);
	belay(2, "rollout", "start", bundle, "--plan", none, NULL);
	expect("none.json");
	belay(2, "simulate", none, NULL);
	belay(64, "rollout", "plan", wrong, NULL);
	expect("waves");
	belay(64, "rollout", "start", bundle, "--plan", wrong, NULL);
	belay(64, "simulate", wrong, NULL);
}
END_TEST

START_TEST(plan_whose_first_hosts_are_not_there_says_so)
{
	static const char text[] =
		"{\"waves\":[{\"names\":[\"db-*\"]},{\"percent\":100}]}";
	bl_autofree char *names = bl_path("%s/names.json", dir);

	poll_all();
	ck_assert_int_eq(
		bl_file_write(names, text, sizeof(text) - 1, 0600, NULL), 0);
	belay(0, "rollout", "plan", names, NULL);
	expect("no host is there that wave 1 names: it waits for one");
}
END_TEST

static const char *const acts[] = { "approve", "pause", "resume", "abort" };

START_TEST(rollout_that_is_not_there_is_named)
{
	belay(2, "rollout", acts[_i], "r9", NULL);
	expect("there is no rollout r9");
	expect("'belay rollout list' shows them");
	belay(2, "rollout", acts[_i], "no/name", NULL);
	expect("'no/name' is not a rollout");
	belay(64, "rollout", acts[_i], NULL);
	expect("the ID of a rollout (see 'belay rollout list') is missing");
	belay(64, "rollout", acts[_i], "r1", "r2", NULL);
	expect("'r2' is more than expected");
	belay(64, "rollout", acts[_i], "r1", "--reason", "", NULL);
	expect("--reason wants 1 to 255 bytes");
	belay(0, "rollout", acts[_i], "--help", NULL);
	expect("example: belay rollout ");
	expect("--reason TEXT");
}
END_TEST

START_TEST(gate_waits_for_approval_and_is_opened_once)
{
	bl_autofree char *committed = NULL;

	start_rollout();
	/* With the ID, to be copied. */
	until("wave 2 waits for an operator (belay rollout approve r1)");
	committed = bl_path("%s  committed", the_one());
	expect(committed);
	expect("exposed 1, unconfirmed 0 (cap 2)");
	assert_nobody_new(1);
	belay(2, "rollout", "status", "r1", NULL);
	belay(0, "rollout", "approve", "r1", "--reason", "looks good", NULL);
	expect("rollout r1: wave 2 may begin");
	until("  done  ");
	ck_assert_uint_eq(running(), HOSTS);
	belay(0, "rollout", "status", "r1", NULL);
	belay(0, "rollout", "explain", NULL);
	expect("approve  wave 2 may begin: looks good\n");
	expect("next     wave 2 is 2 of 6 hosts\n");
	expect("done     6 hosts took it\n");
	expect("of 5 decisions, and none came out otherwise");
	belay(2, "rollout", "approve", "r1", NULL);
	expect("rollout r1 is done: there is nothing to approve");
}
END_TEST

START_TEST(paused_rollout_says_so_and_why_everywhere)
{
	start_rollout();
	until("wave 2 waits");
	belay(0, "rollout", "pause", "r1", "--reason", "the disks are slow",
	      NULL);
	expect("rollout r1 is paused, no other host gets it: the disks are slow");
	expect("belay rollout resume r1");
	/* The first reason stays. */
	belay(0, "rollout", "pause", "r1", "--reason", "why not", NULL);
	expect("the disks are slow");
	belay(0, "rollout", "approve", "r1", NULL);
	expect("not before 'belay rollout resume r1'");
	/* Said twice, it opens no other. */
	belay(0, "rollout", "approve", "r1", NULL);
	expect("wave 2 may begin");
	assert_nobody_new(1);
	belay(2, "rollout", "status", NULL);
	expect("  paused  ");
	expect("s ago: the disks are slow");
	expect("paused: no other host gets it (belay rollout resume r1)");
	belay(2, "rollout", "status", "--json", NULL);
	expect("\"reason\": \"the disks are slow\"");
	expect("\"state\": \"running\"");
	belay(0, "rollout", "list", NULL);
	expect("paused");
	belay(0, "rollout", "resume", "r1", NULL);
	expect("rollout r1 goes on: ");
	until("  done  ");
	expect("6 hosts took it");
	belay(0, "rollout", "explain", "r1", NULL);
	expect("pause    the disks are slow\n");
	expect("resume   no reason was given\n");
	belay(2, "rollout", "pause", "r1", NULL);
	expect("rollout r1 is done: there is nothing to pause");
	belay(2, "rollout", "resume", "r1", NULL);
	expect("there is nothing to resume");
}
END_TEST

START_TEST(aborted_rollout_takes_all_back_and_is_not_started_again)
{
	start_rollout();
	belay(0, "rollout", "approve", "r1", NULL);
	expect("wave 2 may begin"); /* the gate, not the wave that is next */
	while (running() < 3)
		until("rollout r1");
	belay(0, "rollout", "abort", "r1", "--reason", "page faults", NULL);
	expect("belay rollout status r1 --wait");
	until("  aborted  ");
	ck_assert_uint_eq(running(), 0);
	expect("aborted: page faults");
	expect("belay rollout explain r1");
	belay(1, "rollout", "status", NULL);
	belay(0, "rollout", "abort", "r1", NULL);
	expect("rollout r1 is aborted");
	belay(2, "rollout", "pause", "r1", NULL);
	expect("rollout r1 is aborted: there is nothing to pause");
	belay(0, "rollout", "explain", "r1", NULL);
	expect("abort    page faults\n");
	expect("end      every exposed host is back\n");
	belay(1, "rollout", "start", bundle, "--checked", report, NULL);
	expect("this version was taken back on ");
	expect("--override REASON starts it all the same");
	belay(0, "rollout", "start", bundle, "--checked", report, "--override",
	      "it was the disks", NULL);
	expect("rollout r2 started");
	belay(2, "rollout", "start", bundle, "--checked", report, "--override",
	      "again", NULL);
	expect("rollout r2 is not over");
	expect("belay rollout abort r2");
}
END_TEST

START_TEST(bad_host_stops_it_in_a_pause_too_and_explain_tells_who)
{
	start_rollout();
	while (hosts[0].agent.busy != BL_AGENT_APPLY) {
		poll_host(&hosts[0]);
		bl_clock_sleep_ms(50);
	}
	belay(0, "rollout", "pause", "r1", NULL);
	expect("1 host was exposed already and may end the trial");
	hosts[0].fails = true;
	work(&hosts[0]);
	until("  stopped  ");
	ck_assert_uint_eq(running(), 0);
	expect("host web-0 failed: drops above the limit");
	belay(1, "rollout", "status", NULL);
	belay(0, "rollout", "explain", NULL);
	expect("stop     host web-0 failed: drops above the limit\n");
	expect("6.1.0-44-cloud-amd64 / x86_64  0     1    0     5");
	expect("made again from what was stored: 2 of 4 decisions, and none");
	belay(0, "rollout", "explain", "--json", NULL);
	expect("\"kind\": \"stop\"");
}
END_TEST

/* Adds to @text, until @words are in it. */
static void read_until(int fd, const char *words, char *text, size_t size)
{
	size_t len = strlen(text);

	while (!strstr(text, words)) {
		ssize_t n = read(fd, text + len, size - 1 - len);

		ck_assert_msg(n > 0, "it ended: %s", text);
		len += (size_t)n;
		text[len] = '\0';
	}
}

/* A line for each change, where there is no terminal. */
START_TEST(watch_ends_with_ctrl_c_and_goes_without_harm)
{
	static const char *const argv[] = { BELAY, "rollout", "status",
					    "--watch", NULL };
	bl_autofree char *committed = NULL;
	char text[8192] = "";
	int fds[2], status;
	pid_t pid;

	start_rollout();
	ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
	ck_assert_int_eq(bl_proc_spawn(argv, -1, fds[1], fds[1], &pid, NULL),
			 0);
	close(fds[1]);
	/* What was before it looked is no change to it. */
	read_until(fds[0], "wave 1", text, sizeof(text));
	until("wave 2 waits");
	belay(0, "rollout", "pause", "r1", NULL);
	read_until(fds[0], "rollout paused", text, sizeof(text));
	committed = bl_path("host %s: committed", the_one());
	ck_assert_ptr_nonnull(strstr(text, committed));
	ck_assert_int_eq(kill(pid, SIGINT), 0);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), 2); /* it is not over */
	close(fds[0]);
	belay(2, "rollout", "status", "--wait", "--timeout", "100ms", NULL);
	expect("not over within 100 ms");
	belay(64, "rollout", "status", "--watch", "--json", NULL);
	expect("--watch is for people");
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *suite = suite_create("operator");
	TCase *t = tcase_create("operator");

	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_add_test(t, before_there_is_anything_it_is_said_what_to_do);
	tcase_add_test(t, plan_that_cannot_be_read_is_not_a_wrong_one);
	tcase_add_test(t, plan_whose_first_hosts_are_not_there_says_so);
	tcase_add_loop_test(t, rollout_that_is_not_there_is_named, 0,
			    (int)BL_ARRAY_SIZE(acts));
	tcase_add_test(t, gate_waits_for_approval_and_is_opened_once);
	tcase_add_test(t, paused_rollout_says_so_and_why_everywhere);
	tcase_add_test(t,
		       aborted_rollout_takes_all_back_and_is_not_started_again);
	tcase_add_test(t,
		       bad_host_stops_it_in_a_pause_too_and_explain_tells_who);
	tcase_add_test(t, watch_ends_with_ctrl_c_and_goes_without_harm);
	suite_add_tcase(suite, t);
	return suite;
}
