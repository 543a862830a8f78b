/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One controller on one core, 10,000 agents on the other, over SQLite and over a
 * real etcd: polls that say nothing new, a rollout in which all of them report,
 * one that is stopped, and what 10,000 connections take. README.md says what a
 * turn of each is.
 *
 * Rates are of wall time. Beside each stands what the controller's processor
 * time would allow: on a machine that others use, too, or where the agents are
 * the slower half, the wall tells less than that.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "canary/controller/api.h"
#include "canary/controller/controller.h"
#include "loader/base/cleanup.h"
#include "loader/base/clock.h"
#include "tests/bench/bench.h"
#include "tests/bench/fleet_load.h"
#include "tests/bench/fleet_tls.h"
#include "tests/support/etcd.h"

#define AGENTS	   10000
#define TLS_AGENTS 1000
#define IDLE_US	   2000000
#define TURNS	   5
#define FEW	   500 /* polls of a turn in process */
#define HALT_AFTER 500
#define HALT_CAP   200
#define QUIET_US   2000000
#define AGAIN_US   500000

struct controller {
	pid_t pid;
	unsigned port;
};

static const char *store_name;
static char *store_url;

/* The controller's core is 0; what measures it has the last one. */
static void pin(int core)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(core, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

static int last_core(void)
{
	return (int)sysconf(_SC_NPROCESSORS_ONLN) - 1;
}

static void give_up(const char *what)
{
	struct bl_err err = { 0 };

	bl_err_set(&err, -EIO, "%s", what);
	bench_need(-EIO, &err);
}

static void run_belay(int out, const char *tls_dir)
{
	const char *const argv[] = { BENCH_BELAY,
				     "controller",
				     "--listen",
				     "127.0.0.1:0",
				     "--store",
				     store_url,
				     tls_dir ? "--tls-dir" : "--plaintext",
				     tls_dir,
				     NULL };

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	pin(0);
	dup2(out, STDOUT_FILENO);
	execv(argv[0], (char *const *)argv);
	_exit(127);
}

static struct controller start(const char *tls_dir)
{
	struct controller c = { 0 };
	char line[256] = "", *colon;
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		give_up("no pipe");
	c.pid = fork();
	if (c.pid == 0)
		run_belay(fds[1], tls_dir);
	close(fds[1]);
	if (read(fds[0], line, sizeof(line) - 1) <= 0)
		give_up("the controller did not start");
	close(fds[0]);
	colon = strchr(line, ':');
	c.port = colon ? (unsigned)strtoul(colon + 1, NULL, 10) : 0;
	return c;
}

static void stop(struct controller *c)
{
	kill(c->pid, SIGTERM);
	waitpid(c->pid, NULL, 0);
}

static double rss_mib(const struct controller *c)
{
	char path[64], line[256];
	double kib = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)c->pid);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "VmRSS: %lf", &kib) == 1)
			break;
	if (f)
		fclose(f);
	return kib / 1024;
}

/* Processor time of it, in seconds. */
static double cpu_s(const struct controller *c)
{
	unsigned long user = 0, system = 0;
	char path[64], text[1024] = "", *at;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)c->pid);
	f = fopen(path, "re");
	if (f && fgets(text, sizeof(text), f)) {
		at = strrchr(text, ')');
		if (at)
			sscanf(at + 1,
			       " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu",
			       &user, &system);
	}
	if (f)
		fclose(f);
	return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

static void row(const char *what, const char *unit, const char *better,
		double value, double to_reach, const char *how)
{
	char text[128];

	snprintf(text, sizeof(text), "%s: %s", store_name, what);
	bench_add(&(struct bench_value){ .what = text,
					 .unit = unit,
					 .better = better,
					 .value = value,
					 .to_reach = to_reach,
					 .how = how });
}

static bool everybody_polled(const struct fleet_load *l, void *ctx)
{
	(void)ctx;
	return l->same + l->full >= l->count;
}

static bool time_is_over(const struct fleet_load *l, void *ctx)
{
	(void)l;
	return fleet_now_us() >= *(uint64_t *)ctx;
}

static void idle(struct fleet_load *l, const struct controller *c)
{
	double wall[TURNS], cpu[TURNS];
	unsigned i;

	for (i = 0; i < TURNS; i++) {
		uint64_t begun = fleet_now_us(), end = begun + IDLE_US;
		double before = cpu_s(c);

		l->same = l->full = 0;
		fleet_load_run(l, time_is_over, &end);
		if (l->full)
			give_up("a poll that says nothing new was answered whole");
		wall[i] = (double)l->same * 1e6 /
			  (double)(fleet_now_us() - begun);
		cpu[i] = (double)l->same / (cpu_s(c) - before);
	}
	row("idle polls", "/s", "higher", bench_median(wall, TURNS), 10000,
	    "10,000 agents, 304; median of turns of 2 s");
	row("idle polls, of the controller's processor time", "/s", "higher",
	    bench_median(cpu, TURNS), 10000, "the same turns");
	row("with 10,000 agents connected", "MiB", "lower", rss_mib(c), 1024,
	    "resident, plain HTTP, after those polls");
}

/* Starts a rollout to everybody at once, by this process's own store; agents poll
 * on until the one before is over. */
static void roll_out(struct fleet_load *l, const char *name, unsigned cap)
{
	struct bl_bundle bundle = { 0 };
	struct bl_start start = { .override_reason = "" };
	char digest[BL_DIGEST_HEX], id[BL_ROLLOUT_ID_LEN];
	struct bl_store *store = NULL;
	struct bl_err err = { 0 };
	int r;

	bl_plan_default(&start.plan);
	start.plan.waves[0] = (struct bl_wave){ .percent = 100 };
	start.plan.wave_count = 1;
	start.plan.ladder_count = 0;
	start.plan.cap = cap;
	start.digest = digest;
	bench_need(bl_digest(name, strlen(name), digest), &err);
	memcpy(bundle.digest, digest, sizeof(digest));
	snprintf(bundle.manifest.name, sizeof(bundle.manifest.name), "bench");
	snprintf(bundle.manifest.version, sizeof(bundle.manifest.version), "%s",
		 name);
	bench_need(bl_buf_add(&bundle.raw, name, strlen(name)), &err);
	bench_need(bl_store_open(store_url, &store, &err), &err);
	bench_need(bl_controller_store_bundle(store, &bundle,
					      bl_clock_wall_ms(), &err),
		   &err);
	while ((r = bl_controller_start(store, &start, bl_clock_wall_ms(), id,
					&err)) == -EBUSY) {
		uint64_t end_us = fleet_now_us() + AGAIN_US;

		fleet_load_run(l, time_is_over, &end_us);
	}
	bench_need(r, &err);
	fleet_load_rollout(l, digest);
	bl_bundle_free(&bundle);
	bl_store_close(store);
}

static bool everybody_told(const struct fleet_load *l, void *ctx)
{
	(void)ctx;
	return l->reports >= 2ul * l->count;
}

static bool half_told(const struct fleet_load *l, void *ctx)
{
	(void)ctx;
	return l->reports >= l->count / 10;
}

static void reports(struct fleet_load *l, const struct controller *c)
{
	unsigned long reports;
	uint64_t begun;
	double cpu, s;

	roll_out(l, "good", AGENTS);
	/* One of each stratum comes first, and then all of the others. */
	fleet_load_run(l, half_told, NULL);
	begun = fleet_now_us();
	cpu = cpu_s(c);
	reports = l->orders + l->reports;
	fleet_load_run(l, everybody_told, NULL);
	reports = l->orders + l->reports - reports;
	s = (double)(fleet_now_us() - begun) / 1e6;
	row("reports", "/s", "higher", (double)reports / s, 2000,
	    "a rollout to 10,000 hosts: exposed, in trial, done; once, in this order for each, between polls of those that wait");
	row("reports, of the controller's processor time", "/s", "higher",
	    (double)reports / (cpu_s(c) - cpu), 2000, "the same");
}

static bool enough_exposed(const struct fleet_load *l, void *ctx)
{
	(void)ctx;
	return l->exposed >= HALT_AFTER;
}

static bool no_more_come(const struct fleet_load *l, void *ctx)
{
	uint64_t now = fleet_now_us();

	(void)ctx;
	return l->failed_us && now - l->failed_us > QUIET_US &&
	       now - l->last_order_us > QUIET_US && l->back + 1 >= l->exposed;
}

static void halt(struct fleet_load *l)
{
	unsigned i;

	/* By the cap there are others to come when the bad one reports. */
	roll_out(l, "bad", HALT_CAP);
	fleet_load_run(l, enough_exposed, NULL);
	for (i = 0; i < l->count && l->fails < 0; i++)
		if (l->agents[i].order == BL_ORDER_APPLY &&
		    l->agents[i].state == BL_WORK_GOING)
			l->fails = (int)i;
	fleet_load_run(l, no_more_come, NULL);
	if (l->exposed >= l->count)
		give_up("everybody was exposed before it could be stopped");
	row("the first bad report to the last new exposure", "ms", "lower",
	    l->last_order_us > l->failed_us
		    ? (double)(l->last_order_us - l->failed_us) / 1e3
		    : 0,
	    1000,
	    "a wave of 10,000 under way, 200 at a time; all that were exposed went back");
}

/* The same polls with and without what the controller remembers, in process. */
struct in_process {
	struct bl_store *store;
	struct bl_polls *polls; /* NULL: without */
	int64_t seq;
	char session;
};

static int poll_few(void *ctx, struct bl_err *err)
{
	struct in_process *p = ctx;
	unsigned i;

	p->seq++;
	for (i = 0; i < FEW; i++) {
		char path[64], body[512];
		struct bl_request q = { .method = "POST",
					.path = path,
					.content_type = "application/json",
					.body = body,
					.polls = p->polls };
		struct bl_response a;

		snprintf(path, sizeof(path), "/v1/hosts/%c-%u/poll", p->session,
			 i);
		q.len = (size_t)snprintf(
			body, sizeof(body),
			"{\"v\":1,\"boot\":\"b\",\"session\":\"%c\",\"seq\":%lld,"
			"\"kernel\":\"6.1.0-44-cloud-amd64\","
			"\"arch\":\"x86_64\",\"os\":\"Debian 12\","
			"\"live\":\"\",\"events\":1,\"drops\":0}",
			p->session, (long long)p->seq);
		bl_api_handle(p->store, &q, bl_clock_wall_ms(), &a);
		bl_buf_free(&a.body);
		if (a.status != 200)
			return bl_err_set(err, -EIO, "a poll was answered %u",
					  a.status);
	}
	return p->polls ? bl_polls_flush(p->polls, bl_clock_wall_ms(), false,
					 err)
			: 0;
}

/* On a store of its own: its hosts are in nobody's fleet. */
static void beside_none(const char *url)
{
	struct in_process ours = { .session = 'm' },
			  theirs = { .session = 'n' };
	struct bl_err err = { 0 };
	char what[96];

	snprintf(what, sizeof(what), "%s: 500 idle polls, in process",
		 store_name);
	bench_need(bl_store_open(url, &ours.store, &err), &err);
	bench_need(bl_store_open(url, &theirs.store, &err), &err);
	bench_need(bl_polls_open(ours.store, &ours.polls, &err), &err);
	bench_need(poll_few(&ours, &err), &err); /* they become known */
	bench_need(poll_few(&theirs, &err), &err);
	bench_compare(&(struct bench_pair){
		.what = what,
		.ours = poll_few,
		.ours_ctx = &ours,
		.peer = "without memory",
		.theirs = poll_few,
		.theirs_ctx = &theirs,
		.turns = 2 * TURNS + 1,
		.how = "parsed, judged, answered; no HTTP" });
	bl_polls_close(ours.polls);
	bl_store_close(ours.store);
	bl_store_close(theirs.store);
}

static void appear(struct fleet_load *l, const struct controller *c)
{
	uint64_t begun = fleet_now_us();

	fleet_load_open(l, c->port, AGENTS);
	l->same = l->full = 0;
	fleet_load_run(l, everybody_polled, NULL);
	row("10,000 agents come for the first time", "s", "lower",
	    (double)(fleet_now_us() - begun) / 1e6, 0,
	    "connected, read, written");
}

static void measure(const char *beside)
{
	struct controller c;
	struct fleet_load l;

	beside_none(beside);
	c = start(NULL);
	appear(&l, &c);
	idle(&l, &c);
	reports(&l, &c);
	halt(&l);
	fleet_load_close(&l);
	stop(&c);
}

static void over_tls(void)
{
	bl_autofree char *dir = bl_path("%s/tls", bench_work());
	struct bl_err err = { 0 };
	struct controller c;
	struct fleet_tls t;
	double before;

	bench_need(fleet_tls_init(dir, &err), &err);
	c = start(dir);
	before = rss_mib(&c);
	bench_need(fleet_tls_open(&t, dir, c.port, TLS_AGENTS, &err), &err);
	if (fleet_tls_ended(&t))
		give_up("the first connections ended before the last one began");
	row("a connection over TLS", "KiB", "lower",
	    (rss_mib(&c) - before) * 1024 / TLS_AGENTS, 1024 * 1024.0 / AGENTS,
	    "resident, with a certificate each way, after a poll; of 1,000; goal: 10,000 in 1 GiB");
	row("a handshake over TLS", "ms", "lower", t.took_s * 1e3 / TLS_AGENTS,
	    0, "both sides of it, one after the other, with a poll each");
	fleet_tls_close(&t);
	stop(&c);
}

static void allow_files(void)
{
	struct rlimit files;

	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	if (files.rlim_cur < AGENTS + 100)
		give_up("10,000 agents want more open files than ulimit -Hn");
}

/* What tests start etcd and dial with asserts, and may do so in a test only. */
START_TEST(both_stores)
{
	struct etcd etcd = { 0 };
	char *beside;

	store_name = "sqlite";
	store_url = bl_path("sqlite:%s/fleet.db", bench_work());
	beside = bl_path("sqlite:%s/beside.db", bench_work());
	measure(beside);
	over_tls();
	free(store_url);
	free(beside);
	store_name = "etcd";
	etcd_start(&etcd, 1);
	store_url = etcd_url(&etcd, "bench");
	beside = etcd_url(&etcd, "beside");
	measure(beside);
	free(store_url);
	free(beside);
	etcd_stop(&etcd);
}
END_TEST

int main(int argc, char **argv)
{
	Suite *suite = suite_create("bench");
	TCase *t = tcase_create("fleet");
	SRunner *runner = srunner_create(suite);
	int failed;

	bench_open("fleet", argc, argv);
	allow_files();
	pin(last_core());
	tcase_add_test(t, both_stores);
	suite_add_tcase(suite, t);
	srunner_set_fork_status(runner, CK_NOFORK);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : bench_close();
}
