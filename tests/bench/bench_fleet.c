/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One controller on one core, 10,000 agents on the other, over SQLite and over a
 * real etcd, that one with its data on this disk and in memory: polls that say
 * nothing new, a rollout in which all of them report, one in which all of them are
 * in their trials, one that is stopped, and what 10,000 connections take.
 * README.md says what a turn of each is. --only sqlite, tls, etcd, etcd-memory.
 *
 * Rates are of wall time. Beside each stands what the controller's processor
 * time would allow, and how much of the time it was ready and its core was
 * somebody else's: on a machine that others use, too, or where the agents and etcd,
 * which share the other core, are the slower half, the wall tells less than that.
 */
#include <check.h>
#include <errno.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "canary/controller/api.h"
#include "canary/controller/controller.h"
#include "loader/base/cleanup.h"
#include "loader/base/clock.h"
#include "loader/base/file.h"
#include "tests/bench/bench.h"
#include "tests/bench/fleet_controller.h"
#include "tests/bench/fleet_load.h"
#include "tests/bench/fleet_tls.h"
#include "tests/support/etcd.h"

#define AGENTS	    10000
#define MEMORY	    "/dev/shm"
#define MEMORY_DIR  MEMORY "/belay-bench-fleet"
#define IDLE_US	    2000000
#define TURNS	    5
#define TRIAL_TURNS 3
#define FEW	    500 /* polls of a turn in process */
#define HALT_AFTER  500
#define HALT_CAP    200
#define QUIET_US    2000000
#define AGAIN_US    500000

static const char *store_name;
static char *store_url;

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

/* What a rate is measured over. */
struct span {
	const struct fleet_controller *c;
	uint64_t begun_us;
	double cpu_s, kept_s;
};

static struct span begin(const struct fleet_controller *c)
{
	return (struct span){ c, fleet_now_us(), fleet_controller_cpu_s(c),
			      fleet_controller_kept_s(c) };
}

/* Rows of the median of @turns. */
struct rate {
	double wall[TURNS], cpu[TURNS], kept[TURNS];
	unsigned turns;
};

static void end(const struct span *s, unsigned long count, struct rate *r)
{
	double wall = (double)(fleet_now_us() - s->begun_us) / 1e6;
	double cpu = fleet_controller_cpu_s(s->c) - s->cpu_s;

	r->wall[r->turns] = (double)count / wall;
	r->cpu[r->turns] = cpu > 0 ? (double)count / cpu : 0;
	r->kept[r->turns] =
		(fleet_controller_kept_s(s->c) - s->kept_s) / wall * 100;
	r->turns++;
}

static void rate_rows(const char *what, struct rate *r, double to_reach,
		      const char *how)
{
	char text[96];

	row(what, "/s", "higher", bench_median(r->wall, r->turns), to_reach,
	    how);
	snprintf(text, sizeof(text), "%s, of the controller's processor time",
		 what);
	row(text, "/s", "higher", bench_median(r->cpu, r->turns), to_reach,
	    "the same");
	snprintf(text, sizeof(text), "%s, its core was somebody else's", what);
	row(text, "%", "lower", bench_median(r->kept, r->turns), 0,
	    "of the same time: it was ready and did not run");
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

static void idle(struct fleet_load *l, const struct fleet_controller *c)
{
	struct rate rate = { 0 };

	while (rate.turns < TURNS) {
		uint64_t end_us = fleet_now_us() + IDLE_US;
		struct span span = begin(c);

		l->same = l->full = 0;
		fleet_load_run(l, time_is_over, &end_us);
		if (l->full)
			give_up("a poll that says nothing new was answered whole");
		end(&span, l->same, &rate);
	}
	rate_rows("idle polls", &rate, 10000,
		  "10,000 agents, 304; median of turns of 2 s");
	row("with 10,000 agents connected", "MiB", "lower",
	    fleet_controller_rss_mib(c), 1024,
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
					&err)) == -EEXIST) {
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

static bool some_told(const struct fleet_load *l, void *ctx)
{
	(void)ctx;
	return l->reports >= l->count / 10;
}

static void reports(struct fleet_load *l, const struct fleet_controller *c)
{
	struct rate rate = { 0 };
	unsigned long before;
	struct span span;

	roll_out(l, "good", AGENTS);
	/* One of each stratum comes first, and then all of the others. */
	fleet_load_run(l, some_told, NULL);
	before = l->orders + l->reports;
	span = begin(c);
	fleet_load_run(l, everybody_told, NULL);
	end(&span, l->orders + l->reports - before, &rate);
	rate_rows(
		"reports", &rate, 2000,
		"a rollout to 10,000 hosts: exposed, in trial, done; once, in this order for each, between polls of those that wait");
}

static bool everybody_exposed(const struct fleet_load *l, void *ctx)
{
	(void)ctx;
	return l->exposed >= l->count;
}

/* Each is told its order again. */
static void trials(struct fleet_load *l, const struct fleet_controller *c)
{
	struct rate rate = { 0 };

	roll_out(l, "slow", AGENTS);
	fleet_load_run(l, some_told, NULL);
	l->lingers = true;
	fleet_load_run(l, everybody_exposed, NULL);
	while (rate.turns < TRIAL_TURNS) {
		uint64_t end_us = fleet_now_us() + IDLE_US;
		struct span span = begin(c);

		l->same = l->full = 0;
		fleet_load_run(l, time_is_over, &end_us);
		end(&span, l->same + l->full, &rate);
	}
	l->lingers = false;
	fleet_load_run(l, everybody_told, NULL);
	rate_rows(
		"polls of hosts in their trials", &rate, 0,
		"9,000 of 10,000 are, and get their order again; median of turns of 2 s");
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
		.turns = TURNS,
		.how = "parsed, judged, answered; no HTTP" });
	bl_polls_close(ours.polls);
	bl_store_close(ours.store);
	bl_store_close(theirs.store);
}

static void appear(struct fleet_load *l, const struct fleet_controller *c)
{
	uint64_t begun = fleet_now_us();

	fleet_load_open(l, c->port, AGENTS);
	l->same = l->full = 0;
	fleet_load_run(l, everybody_polled, NULL);
	row("10,000 agents come for the first time", "s", "lower",
	    (double)(fleet_now_us() - begun) / 1e6, 0,
	    "connected, read, written");
}

static void measure(void)
{
	struct fleet_controller c;
	struct fleet_load l;

	c = fleet_controller_start(store_url, NULL);
	appear(&l, &c);
	idle(&l, &c);
	reports(&l, &c);
	trials(&l, &c);
	halt(&l);
	fleet_load_close(&l);
	fleet_controller_stop(&c);
}

static void over_tls(void)
{
	bl_autofree char *dir = bl_path("%s/tls", bench_work());
	struct bl_err err = { 0 };
	struct fleet_controller c;
	struct fleet_tls t;
	double before;

	bench_need(fleet_tls_init(dir, &err), &err);
	c = fleet_controller_start(store_url, dir);
	before = fleet_controller_rss_mib(&c);
	bench_need(fleet_tls_open(&t, dir, c.port, AGENTS, &err), &err);
	if (fleet_tls_ended(&t))
		give_up("the first connections ended before the last one began");
	row("with 10,000 agents connected over TLS", "MiB", "lower",
	    fleet_controller_rss_mib(&c), 1024,
	    "resident, with a certificate each way, after polls of all; one host's, so without what is remembered of each");
	row("a connection over TLS", "KiB", "lower",
	    (fleet_controller_rss_mib(&c) - before) * 1024 / AGENTS, 0,
	    "of these");
	row("a handshake over TLS", "ms", "lower", t.took_s * 1e3 / AGENTS, 0,
	    "both sides of it, one after the other, with a poll each");
	fleet_tls_close(&t);
	fleet_controller_stop(&c);
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

static void on_sqlite(void)
{
	bl_autofree char *beside = bl_path("sqlite:%s/beside.db", bench_work());

	store_name = "sqlite";
	store_url = bl_path("sqlite:%s/fleet.db", bench_work());
	if (bench_wants("sqlite")) {
		beside_none(beside);
		measure();
	}
	if (bench_wants("tls"))
		over_tls();
	free(store_url);
}

/* On the agents' core, its files under @dir. */
static void on_etcd(const char *name, const char *dir, bool beside)
{
	struct etcd etcd = { 0 };
	bl_autofree char *url = NULL;

	setenv("TMPDIR", dir, 1);
	etcd_start(&etcd, 1);
	store_name = name;
	store_url = etcd_url(&etcd, "bench");
	url = etcd_url(&etcd, "beside");
	if (beside)
		beside_none(url);
	measure();
	free(store_url);
	etcd_stop(&etcd);
}

static bool is_memory(const char *dir)
{
	struct statfs fs;

	return statfs(dir, &fs) == 0 && fs.f_type == TMPFS_MAGIC;
}

static void remove_memory(void)
{
	bl_file_rmtree(MEMORY_DIR, NULL);
}

/* What tests start etcd and dial with asserts, and may do so in a test only. */
START_TEST(all_stores)
{
	struct bl_err err = { 0 };

	if (is_memory(bench_work()))
		fprintf(stderr,
			"%s is in memory: no figure of this run is of a disk\n",
			bench_work());
	on_sqlite();
	if (bench_wants("etcd"))
		on_etcd("etcd", bench_work(), true);
	if (!bench_wants("etcd-memory"))
		return;
	if (!is_memory(MEMORY)) {
		fprintf(stderr, MEMORY
			" is not in memory: no figures without a disk\n");
		return;
	}
	remove_memory();
	atexit(remove_memory);
	bench_need(bl_file_mkdirs(MEMORY_DIR, 0700, &err), &err);
	on_etcd("etcd in memory", MEMORY_DIR, false);
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
	fleet_pin(last_core());
	tcase_add_test(t, all_stores);
	suite_add_tcase(suite, t);
	srunner_set_fork_status(runner, CK_NOFORK);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : bench_close();
}
