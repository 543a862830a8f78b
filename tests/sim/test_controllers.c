/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two controllers at once on one store, as processes with real sockets, one of
 * them killed now and then and started again. Agents poll whichever they come
 * upon. At every look the ledger's sums are what recounting gives, the cap
 * holds, and nobody tries what is not written (I7); in the end all have it.
 *
 * The clock is the real one, so the plan's deadlines are hours: nothing here
 * depends on how fast a machine is.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "canary/agent/agent.h"
#include "canary/controller/controller.h"
#include "canary/controller/http.h"
#include "canary/wire/client.h"
#include "loader/base/cleanup.h"
#include "loader/base/clock.h"
#include "loader/base/file.h"
#include "tests/main.h"
#include "tests/support/etcd.h"

#define HOSTS	    10
#define CAP	    3
#define CONTROLLERS 2
#define HOUR_MS	    (3600 * INT64_C(1000))
#define KILL_EVERY  40 /* polls */
#define KILLS	    10
#define THINK_MS    5
#define WORK_POLLS  2 /* how long a trial takes */

static struct etcd etcd;
static char *dir, *url;
static struct bl_store *look;
static bool forked; /* a child: `look` is its parent's */
static char digest[BL_DIGEST_HEX], id[BL_ROLLOUT_ID_LEN];
static unsigned asserted, max_counted;
static uint64_t random_state = 88172645463325252ULL;

static struct controller {
	pid_t pid;
	struct bl_client *client;
} controllers[CONTROLLERS];

static struct host {
	char name[16], live[BL_DIGEST_HEX];
	struct bl_agent agent;
	unsigned work_left;
} hosts[HOSTS];

static unsigned draw(unsigned below)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (unsigned)(random_state % below);
}

/*
 * A store that thinks before it writes, so that the others are sure to have
 * been there between a controller's reading and its writing.
 */
struct slow_store {
	struct bl_store head;
	struct bl_store *under;
};

static struct bl_store *under(struct bl_store *head)
{
	return ((struct slow_store *)head)->under;
}

static int slow_get(struct bl_store *head, const char *key,
		    struct bl_store_item *ret, struct bl_err *err)
{
	return bl_store_get(under(head), key, ret, err);
}

static int slow_list(struct bl_store *head, const char *prefix, int64_t since,
		     struct bl_store_list *ret, struct bl_err *err)
{
	return bl_store_changed(under(head), prefix, since, ret, err);
}

static int slow_count(struct bl_store *head, const char *prefix, size_t *ret,
		      struct bl_err *err)
{
	return bl_store_count(under(head), prefix, ret, err);
}

static int slow_txn(struct bl_store *head,
		    const struct bl_store_compare *compares,
		    size_t compare_count, const struct bl_store_put *puts,
		    size_t put_count, int64_t *ret_revision, struct bl_err *err)
{
	bl_clock_sleep_ms(THINK_MS);
	return bl_store_txn_at(under(head), compares, compare_count, puts,
			       put_count, ret_revision, err);
}

static int slow_revision(struct bl_store *head, int64_t *ret,
			 struct bl_err *err)
{
	return bl_store_revision(under(head), ret, err);
}

static const struct bl_store_ops slow_ops = { .get = slow_get,
					      .list = slow_list,
					      .count = slow_count,
					      .txn = slow_txn,
					      .revision = slow_revision };

/* The controller's process: says its port, then serves until it is killed. */
static void serve(int out)
{
	struct sockaddr_storage address;
	struct slow_store store = { .head = { &slow_ops } };
	struct bl_http *http = NULL;
	const char *listens;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (bl_http_address("127.0.0.1:0", false, &address, NULL) < 0 ||
	    bl_store_open(url, &store.under, NULL) < 0 ||
	    bl_http_start(&address, &store.head, NULL, &http, NULL) < 0)
		_exit(1);
	listens = bl_http_listens(http);
	if (write(out, listens, strlen(listens)) < 0)
		_exit(1);
	close(out);
	for (;;) {
		bl_http_tick(http, NULL);
		bl_clock_sleep_ms(10);
	}
}

static void start(struct controller *c)
{
	char listens[64] = "";
	bl_autofree char *at = NULL;
	int fds[2];

	ck_assert_int_eq(pipe(fds), 0);
	c->pid = fork();
	if (c->pid == 0)
		serve(fds[1]);
	close(fds[1]);
	ck_assert_int_gt(read(fds[0], listens, sizeof(listens) - 1), 0);
	close(fds[0]);
	at = bl_path("http://%s", listens);
	ck_assert_int_eq(bl_client_open(at, false, &c->client, NULL), 0);
}

static void end(struct controller *c)
{
	bl_client_close(c->client);
	kill(c->pid, SIGKILL);
	waitpid(c->pid, NULL, 0);
	*c = (struct controller){ 0 };
}

/* A bundle and a rollout of it, as an operator would make them. */
static void start_rollout(void)
{
	struct bl_bundle bundle = { 0 };
	struct bl_start s = { .digest = digest, .override_reason = "" };
	unsigned i;

	bl_plan_default(&s.plan);
	s.plan.cap = CAP;
	s.plan.trial_ms = s.plan.silence_ms = 10 * HOUR_MS;
	for (i = 0; i < s.plan.wave_count; i++)
		s.plan.waves[i].soak_ms = 0;
	ck_assert_int_eq(bl_digest("v2", 2, digest), 0);
	memcpy(bundle.digest, digest, sizeof(digest));
	snprintf(bundle.manifest.name, sizeof(bundle.manifest.name), "sensor");
	snprintf(bundle.manifest.version, sizeof(bundle.manifest.version), "2");
	ck_assert_int_eq(bl_buf_add(&bundle.raw, "v2", 2), 0);
	ck_assert_int_eq(bl_controller_store_bundle(look, &bundle,
						    bl_clock_wall_ms(), NULL),
			 0);
	bl_bundle_free(&bundle);
	ck_assert_int_eq(
		bl_controller_start(look, &s, bl_clock_wall_ms(), id, NULL), 0);
}

static void set_up_fleet(void)
{
	unsigned i;

	ck_assert_int_eq(bl_store_open(url, &look, NULL), 0);
	for (i = 0; i < HOSTS; i++) {
		struct bl_poll *p = &hosts[i].agent.poll;

		snprintf(hosts[i].name, sizeof(hosts[i].name), "web-%u", i);
		snprintf(p->boot, sizeof(p->boot), "boot-%u", i);
		snprintf(p->session, sizeof(p->session), "session-%u", i);
		snprintf(p->kernel, sizeof(p->kernel), "6.1.0-sim");
	}
	start_rollout();
	for (i = 0; i < CONTROLLERS; i++)
		start(&controllers[i]);
}

static void tear_down_fleet(void)
{
	unsigned i;

	for (i = 0; i < CONTROLLERS; i++)
		end(&controllers[i]);
	bl_store_close(look);
	free(url);
}

static void set_up_sqlite(void)
{
	dir = bl_test_tmpdir();
	url = bl_path("sqlite:%s/s.db", dir);
	set_up_fleet();
}

static void tear_down_sqlite(void)
{
	tear_down_fleet();
	bl_file_rmtree(dir, NULL);
	free(dir);
}

static void set_up_etcd(void)
{
	etcd_start(&etcd, 1);
	url = etcd_url(&etcd, "fleet");
	set_up_fleet();
}

static void tear_down_etcd(void)
{
	tear_down_fleet();
	etcd_stop(&etcd);
}

/* One reading of the whole ledger. */
static void assert_ledger(const char *trying)
{
	bl_autofleet struct bl_fleet f = { 0 };
	const struct bl_exposure *e;
	unsigned counted = 0;
	int64_t before, after;
	size_t i;

	/* Of several lists: only what did not change in between. */
	ck_assert_int_eq(bl_store_revision(look, &before, NULL), 0);
	ck_assert_int_eq(bl_fleet_load(look, id, bl_clock_wall_ms(), &f, NULL),
			 0);
	ck_assert_int_eq(bl_store_revision(look, &after, NULL), 0);
	if (trying) {
		e = bl_fleet_exposure_find(&f, trying);
		ck_assert_msg(e, "I7: %s tries what is not written", trying);
	}
	if (before != after)
		return;
	for (i = 0; i < f.exposure_count; i++)
		counted += f.exposures[i].counted;
	ck_assert_uint_eq(counted, f.rollout.unconfirmed);
	ck_assert_uint_eq(f.exposure_count, f.rollout.exposed);
	ck_assert_msg(counted <= CAP, "I7: %u are exposed, the cap is %d",
		      counted, CAP);
	max_counted = counted > max_counted ? counted : max_counted;
	asserted++;
}

static void work(struct host *h)
{
	if (h->agent.busy == BL_AGENT_NOTHING || h->work_left-- > 0)
		return;
	ck_assert_int_eq(h->agent.busy, BL_AGENT_APPLY);
	memcpy(h->live, digest, sizeof(digest));
	bl_agent_finish(&h->agent, BL_AGENT_DONE, "", h->live);
}

static void poll_once(struct host *h, struct controller *c)
{
	bl_autofree char *path = bl_path("/v1/hosts/%s/poll", h->name);
	bl_autobuf struct bl_buf answer = { 0 };
	bl_autofree char *body = NULL;
	struct bl_order order;
	struct bl_poll poll;
	enum bl_agent_do task;

	bl_agent_poll(&h->agent, &poll);
	body = bl_json_dump(bl_poll_json(&poll));
	/* Lost, contended, killed in the middle: the next one will do. */
	if (bl_client_call(c->client, "POST", path, NULL, body, strlen(body),
			   BL_CLIENT_TIMEOUT_MS, &answer, NULL) < 0)
		return;
	ck_assert_int_eq(bl_order_parse(answer.data, answer.len, &order, NULL),
			 0);
	task = bl_agent_take(&h->agent, &order);
	ck_assert_msg(task != BL_AGENT_ROLLBACK,
		      "a good version was taken back: %s", order.reason);
	if (task != BL_AGENT_APPLY)
		return;
	h->work_left = WORK_POLLS;
	if (!forked)
		assert_ledger(h->name);
}

static unsigned running(void)
{
	unsigned i, n = 0;

	for (i = 0; i < HOSTS; i++)
		n += strcmp(hosts[i].live, digest) == 0;
	return n;
}

static enum bl_rollout_state state(void)
{
	struct bl_rollout r;
	int64_t revision;

	ck_assert_int_eq(bl_fleet_rollout(look, id, &r, &revision, NULL), 0);
	return r.state;
}

/* Who is going to poll next, and whom: nobody knows. The one that is killed may
 * be in the middle of a poll that was posted to it just before. */
START_TEST(two_controllers_at_once_do_no_harm)
{
	unsigned i, round;

	for (round = 0; state() == BL_ROLLOUT_RUNNING; round++) {
		struct host *h = &hosts[draw(HOSTS)];
		struct controller *c = &controllers[draw(CONTROLLERS)];
		pid_t busy = 0;

		if (round % KILL_EVERY == KILL_EVERY - 1 &&
		    round / KILL_EVERY < KILLS) {
			/* Both are busy with the same host when one dies. */
			busy = fork();
			if (busy == 0) {
				/* That connection is its parent's, too. */
				struct controller mine = { 0 };

				forked = true;
				if (bl_client_open(bl_client_url(c->client),
						   false, &mine.client,
						   NULL) == 0)
					poll_once(h, &mine);
				_exit(0);
			}
			bl_clock_sleep_ms(draw(4));
			kill(c->pid, SIGKILL);
			waitpid(busy, NULL, 0);
			h->agent.poll.seq += 2;
			end(c);
			start(c);
		}
		poll_once(h, c);
		work(h);
		if (round % 8 == 0)
			assert_ledger(NULL);
	}
	ck_assert_int_eq(state(), BL_ROLLOUT_DONE);
	for (i = 0; i < HOSTS; i++)
		ck_assert_str_eq(hosts[i].live, digest);
	ck_assert_uint_eq(running(), HOSTS);
	/* It was looked at, and the cap was reached. */
	ck_assert_uint_gt(asserted, 5);
	ck_assert_uint_eq(max_counted, CAP);
}
END_TEST

/* Polls of all hosts at the same moment, at both: the cap is not passed by
 * those who read the same sums. */
START_TEST(a_rush_on_both_does_not_pass_the_cap)
{
	pid_t pids[HOSTS * CONTROLLERS];
	unsigned i, n, tries;
	struct bl_rollout r = { 0 };
	int64_t revision;

	/* The first wave is one host; open it wide. */
	for (tries = 0; r.wave == 0 || r.target < CAP + 2; tries++) {
		struct host *h = &hosts[tries % HOSTS];

		poll_once(h, &controllers[tries % CONTROLLERS]);
		work(h);
		ck_assert_int_eq(
			bl_fleet_rollout(look, id, &r, &revision, NULL), 0);
	}
	for (i = 0; i < HOSTS * CONTROLLERS; i++) {
		pids[i] = fork();
		if (pids[i])
			continue;
		forked = true;
		struct controller mine = { 0 };
		struct host *h = &hosts[(i * 3 + i / HOSTS) % HOSTS];

		/* Posted to both: one of the two comes twice. */
		if (bl_client_open(bl_client_url(controllers[i / HOSTS].client),
				   false, &mine.client, NULL) == 0)
			for (n = 0; n < 3; n++)
				poll_once(h, &mine);
		_exit(0);
	}
	for (i = 0; i < HOSTS * CONTROLLERS; i++)
		waitpid(pids[i], NULL, 0);
	asserted = 0;
	while (!asserted)
		assert_ledger(NULL);
	ck_assert_uint_eq(max_counted, CAP);
}
END_TEST

static void add_all(TCase *t)
{
	tcase_add_test(t, two_controllers_at_once_do_no_harm);
	tcase_add_test(t, a_rush_on_both_does_not_pass_the_cap);
}

Suite *bl_test_suite(void)
{
	Suite *suite = suite_create("controllers");
	TCase *sqlite = tcase_create("sqlite");
	TCase *on_etcd = tcase_create("etcd");

	etcd_need();
	tcase_add_checked_fixture(sqlite, set_up_sqlite, tear_down_sqlite);
	add_all(sqlite);
	suite_add_tcase(suite, sqlite);
	tcase_add_checked_fixture(on_etcd, set_up_etcd, tear_down_etcd);
	add_all(on_etcd);
	suite_add_tcase(suite, on_etcd);
	return suite;
}
