/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/etcd.h"

#include <arpa/inet.h>
#include <check.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "canary/store/etcd_wire.h"
#include "loader/base/cleanup.h"
#include "loader/base/clock.h"
#include "loader/base/file.h"
#include "loader/base/json.h"
#include "loader/base/proc.h"
#include "loader/net/fetch.h"
#include "tests/main.h"

#define SKIPPED	  77
#define STARTS	  5	 /* somebody else may take a port that was free */
#define PATIENCE  600000 /* ms; only against a hang */
#define CALL_MS	  20000
#define LOOK_MS	  50
#define EMPTY_KEY "AA==" /* the key of one NUL: "all" in a range */

void etcd_need(void)
{
	static const char *const argv[] = { "etcd", "--version", NULL };
	bl_autoproc struct bl_proc_result result = { 0 };

	if (bl_proc_run(argv, NULL, &result, NULL) == 0 && result.status == 0)
		return;
	printf("skipped: there is no etcd (Debian: etcd-server)\n");
	exit(SKIPPED);
}

static int take_port(unsigned *ret_port)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&a, &len), 0);
	*ret_port = ntohs(a.sin_port);
	return fd;
}

/* All at once, so that they differ. */
static void choose_ports(struct etcd *e)
{
	int fds[2 * ETCD_MEMBERS_MAX];
	unsigned i;

	for (i = 0; i < e->count; i++) {
		fds[2 * i] = take_port(&e->members[i].client_port);
		fds[2 * i + 1] = take_port(&e->members[i].peer_port);
	}
	for (i = 0; i < 2 * e->count; i++)
		close(fds[i]);
}

static char *client_url(const struct etcd *e, unsigned i)
{
	return bl_path("http%s://127.0.0.1:%u", e->tls_dir ? "s" : "",
		       e->members[i].client_port);
}

static void spawn(struct etcd *e, unsigned i)
{
	const char *tls = e->tls_dir ? e->tls_dir : "";
	bl_autofree char *name = bl_path("m%u", i);
	bl_autofree char *data = bl_path("%s/m%u", e->dir, i);
	bl_autofree char *log = bl_path("%s/m%u.log", e->dir, i);
	bl_autofree char *client = client_url(e, i);
	bl_autofree char *peer =
		bl_path("http://127.0.0.1:%u", e->members[i].peer_port);
	bl_autobuf struct bl_buf cluster = { 0 };
	bl_autoclose int out =
		open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	unsigned n;

	for (n = 0; n < e->count; n++)
		bl_buf_printf(&cluster, "%sm%u=http://127.0.0.1:%u",
			      n ? "," : "", n, e->members[n].peer_port);
	bl_autofree char *cert = bl_path("%s/controller.pem", tls);
	bl_autofree char *key = bl_path("%s/controller.key", tls);
	const char *const argv[] = {
		"etcd",
		"--name",
		name,
		"--data-dir",
		data,
		"--listen-client-urls",
		client,
		"--advertise-client-urls",
		client,
		"--listen-peer-urls",
		peer,
		"--initial-advertise-peer-urls",
		peer,
		"--initial-cluster",
		cluster.data,
		"--initial-cluster-token",
		e->dir,
		/* Leaders that change because a machine is busy are no test. */
		"--heartbeat-interval",
		"200",
		"--election-timeout",
		"2000",
		e->tls_dir ? "--cert-file" : NULL,
		cert,
		"--key-file",
		key,
		NULL,
	};
	ck_assert_int_eq(
		bl_proc_spawn(argv, -1, out, out, &e->members[i].pid, NULL), 0);
}

static bool call_text(const struct etcd *e, unsigned i, const char *method,
		      const char *path, const char *body, struct bl_buf *ret)
{
	BL_CLEANUP(bl_fetch_closep) struct bl_fetch *f = NULL;
	const char *dir = e->tls_dir ? e->tls_dir : "";
	bl_autofree char *at = client_url(e, i);
	bl_autofree char *url = bl_path("%s%s", at, path);
	bl_autofree char *ca = bl_path("%s/ca.pem", dir);
	const struct bl_fetch_tls tls = { .ca = e->tls_dir ? ca : NULL };
	const struct bl_fetch_request q = {
		.method = method,
		.url = url,
		.body = body,
		.len = strlen(body),
		.connect_ms = CALL_MS,
		.timeout_ms = CALL_MS,
		.answer_max = 1 << 20,
		.tls = &tls,
	};
	struct bl_fetch_head head;

	ck_assert_int_eq(bl_fetch_open(&f, NULL), 0);
	return bl_fetch_call(f, &q, &head, ret, NULL) == 0 &&
	       head.status == 200;
}

static bool call(const struct etcd *e, unsigned i, const char *method,
		 const char *path, const char *body, struct bl_json_doc *ret)
{
	bl_autobuf struct bl_buf answer = { 0 };

	return call_text(e, i, method, path, body, &answer) &&
	       bl_json_parse("etcd", bl_buf_str(&answer), answer.len, ret,
			     NULL) == 0;
}

static bool is_healthy(const struct etcd *e, unsigned i)
{
	bl_autojson_doc struct bl_json_doc doc = { 0 };
	const char *health;

	if (!e->members[i].pid || !call(e, i, "GET", "/health", "", &doc))
		return false;
	health = json_string_value(json_object_get(doc.root, "health"));
	return health && strcmp(health, "true") == 0;
}

/* Whether it ended by itself, as it does when somebody has its port. */
static bool has_ended(struct etcd *e, unsigned i)
{
	if (waitpid(e->members[i].pid, NULL, WNOHANG) <= 0)
		return false;
	e->members[i].pid = 0;
	return true;
}

static bool serves(struct etcd *e)
{
	uint64_t end_ms = bl_clock_mono_ms() + PATIENCE;
	unsigned i = 0;

	while (i < e->count) {
		if (!e->members[i].pid || has_ended(e, i))
			return false;
		if (is_healthy(e, i))
			i++;
		else
			bl_clock_sleep_ms(LOOK_MS);
		ck_assert_msg(bl_clock_mono_ms() < end_ms,
			      "etcd does not come up: see %s", e->dir);
	}
	return true;
}

void etcd_start(struct etcd *e, unsigned members)
{
	etcd_start_tls(e, members, NULL);
}

void etcd_start_tls(struct etcd *e, unsigned members, const char *tls_dir)
{
	unsigned i, start;

	for (start = 0; start < STARTS; start++) {
		*e = (struct etcd){ .count = members,
				    .dir = bl_test_tmpdir(),
				    .tls_dir = tls_dir };
		choose_ports(e);
		for (i = 0; i < members; i++)
			spawn(e, i);
		if (serves(e))
			return;
		etcd_stop(e);
	}
	ck_abort_msg("etcd did not start %d times", STARTS);
}

void etcd_kill(struct etcd *e, unsigned member)
{
	pid_t pid = e->members[member].pid;

	e->members[member].pid = 0;
	if (!pid)
		return;
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

void etcd_stop(struct etcd *e)
{
	unsigned i;

	for (i = 0; i < e->count; i++)
		etcd_kill(e, i);
	bl_file_rmtree(e->dir, NULL);
	free(e->dir);
	e->dir = NULL;
}

void etcd_restart(struct etcd *e, unsigned member)
{
	ck_assert_int_eq(e->members[member].pid, 0);
	spawn(e, member);
}

void etcd_wait(struct etcd *e)
{
	uint64_t end_ms = bl_clock_mono_ms() + PATIENCE;
	unsigned i;

	for (;;) {
		for (i = 0; i < e->count; i++)
			if (is_healthy(e, i))
				return;
		ck_assert_msg(bl_clock_mono_ms() < end_ms,
			      "etcd does not come back: see %s", e->dir);
		bl_clock_sleep_ms(LOOK_MS);
	}
}

unsigned etcd_leader(struct etcd *e)
{
	uint64_t end_ms = bl_clock_mono_ms() + PATIENCE;
	unsigned i;

	for (i = 0;; i = (i + 1) % e->count) {
		bl_autojson_doc struct bl_json_doc doc = { 0 };
		const char *leader, *self;

		ck_assert_msg(bl_clock_mono_ms() < end_ms,
			      "no member leads: see %s", e->dir);
		if (!e->members[i].pid ||
		    !call(e, i, "POST", "/v3/maintenance/status", "{}", &doc))
			continue;
		leader = json_string_value(json_object_get(doc.root, "leader"));
		self = json_string_value(json_object_get(
			json_object_get(doc.root, "header"), "member_id"));
		if (leader && self && strcmp(leader, self) == 0)
			return i;
	}
}

char *etcd_url(const struct etcd *e, const char *prefix)
{
	struct bl_buf url = { 0 };
	unsigned i;

	bl_buf_printf(&url, "etcd:");
	for (i = 0; i < e->count; i++) {
		bl_autofree char *at = client_url(e, i);

		bl_buf_printf(&url, "%s%s", i ? "," : "", at);
	}
	bl_buf_printf(&url, "#%s", prefix);
	return url.data;
}

bool etcd_was(const struct etcd *e, const char *prefix, const char *key,
	      int64_t revision, struct bl_store_item *ret)
{
	BL_CLEANUP(bl_etcd_answer_free) struct bl_etcd_answer a = { 0 };
	bl_autofree char *at = bl_path("%s/k/%s", prefix, key);
	const struct bl_etcd_range q = { .key = at,
					 .key_len = strlen(at),
					 .revision = revision };
	bl_autojson json_t *obj = bl_etcd_range_json(&q);
	bl_autofree char *body = json_dumps(obj, JSON_COMPACT);
	bl_autobuf struct bl_buf text = { 0 };

	ck_assert(call_text(e, 0, "POST", "/v3/kv/range", body, &text));
	ck_assert_int_eq(
		bl_etcd_answer_read(bl_buf_str(&text), text.len, &a, NULL), 0);
	if (!a.items.count)
		return false;
	/* The store's mark of a value that is in one piece. */
	ck_assert_int_eq(*bl_buf_str(&a.items.items[0].value), 'i');
	*ret = a.items.items[0];
	memmove(ret->value.data, ret->value.data + 1, ret->value.len--);
	a.items.items[0] = (struct bl_store_item){ 0 };
	return true;
}

bool etcd_compact(struct etcd *e)
{
	bl_autojson_doc struct bl_json_doc now = { 0 }, done = { 0 };
	bl_autofree char *body = NULL;

	if (!call(e, 0, "POST", "/v3/kv/range",
		  "{\"key\":\"" EMPTY_KEY "\",\"count_only\":true}", &now))
		return false;
	body = bl_path(
		"{\"revision\":\"%s\"}",
		json_string_value(json_object_get(
			json_object_get(now.root, "header"), "revision")));
	return call(e, 0, "POST", "/v3/kv/compaction", body, &done);
}
