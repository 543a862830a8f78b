/* SPDX-License-Identifier: Apache-2.0 */
/* What GET /metrics says is what happened. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "canary/controller/http.h"
#include "canary/controller/meter.h"
#include "canary/ledger/ledger.h"
#include "canary/ledger/record.h"
#include "canary/wire/client.h"
#include "loader/base/cleanup.h"
#include "loader/base/clock.h"
#include "tests/main.h"
#include "tests/support/prom_check.h"
#include "tests/support/sim_fleet.h"

static struct sim s;
static struct bl_meter *meter;
static struct bl_store *under;

/* A simulated fleet whose store is measured. */
static void set_up(void)
{
	bl_autofree char *dir = bl_test_tmpdir();
	bl_autofree char *url = bl_path("sqlite:%s/fleet.db", dir);
	struct bl_store *look;

	ck_assert_int_eq(bl_meter_new(&meter), 0);
	ck_assert_int_eq(bl_store_open(url, &under, NULL), 0);
	ck_assert_int_eq(bl_store_open(url, &look, NULL), 0);
	sim_start_on(&s, 11, 6, bl_meter_store(meter, under), look);
	s.plan.waves[0].soak_ms = 0;
	bl_file_rmtree(dir, NULL);
}

static void tear_down(void)
{
	sim_end(&s);
	bl_store_close(under);
	bl_meter_free(meter);
}

static double value(const struct bl_buf *text, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
static double value(const struct bl_buf *text, const char *fmt, ...)
{
	char sample[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(sample, sizeof(sample), fmt, ap);
	va_end(ap);
	return prom_value(text->data, sample);
}

static void scrape(struct bl_buf *ret)
{
	bl_buf_free(ret);
	ck_assert_int_eq(bl_metrics_text(s.look, meter, s.now_ms, ret), 0);
	prom_check(ret->data);
}

/* As often as it is stored. */
static void assert_decisions(const struct bl_buf *text)
{
	unsigned counts[BL_DECISION_KINDS] = { 0 };
	bl_autojson json_t *all = NULL;
	const json_t *list, *d;
	enum bl_decision_kind k;
	size_t i;

	ck_assert_int_eq(bl_fleet_decisions_json(s.look, s.id, &all, NULL), 0);
	list = json_object_get(all, "decisions");
	ck_assert_uint_gt(json_array_size(list), 0);
	json_array_foreach (list, i, d)
		for (k = 0; k < BL_DECISION_KINDS; k++)
			counts[k] += strcmp(bl_decision_name(k),
					    json_string_value(json_object_get(
						    d, "kind"))) == 0;
	for (k = BL_DECISION_WAIT + 1; k < BL_DECISION_KINDS; k++)
		ck_assert_double_eq(value(text,
					  "belay_decisions_total{kind=\"%s\"}",
					  bl_decision_name(k)),
				    counts[k]);
}

START_TEST(a_good_rollout_is_counted_as_it_went)
{
	bl_autobuf struct bl_buf text = { 0 };

	sim_rollout(&s, "v1", SIM_GOOD);
	scrape(&text);
	ck_assert_double_eq(value(&text, "belay_exposures_total"), 0);
	ck_assert_int_eq(sim_run_over(&s, 600000), BL_ROLLOUT_DONE);
	scrape(&text);
	ck_assert_double_eq(value(&text, "belay_exposures_total"), 6);
	/* Each host says that its trial began, and how it ended. */
	ck_assert_double_ge(value(&text, "belay_reports_total"), 6);
	ck_assert_double_le(value(&text, "belay_reports_total"), 12);
	assert_decisions(&text);
	ck_assert_double_eq(value(&text, "belay_hosts"), 6);
	ck_assert_double_eq(
		value(&text,
		      "belay_rollout_hosts{rollout=\"r1\",state=\"committed\"}"),
		6);
	ck_assert_double_eq(
		value(&text,
		      "belay_rollout_state{rollout=\"r1\",state=\"done\"}"),
		1);
	ck_assert_double_eq(
		value(&text, "belay_rollout_unconfirmed_hosts{rollout=\"r1\"}"),
		0);
	ck_assert_double_gt(
		value(&text,
		      "belay_store_operation_duration_seconds_count{operation=\"txn\"}"),
		12);
}
END_TEST

START_TEST(a_bad_version_is_seen_as_it_stops)
{
	bl_autobuf struct bl_buf text = { 0 };

	sim_rollout(&s, "v1", SIM_FAILS);
	ck_assert_int_eq(sim_run_over(&s, 600000), BL_ROLLOUT_STOPPED);
	scrape(&text);
	assert_decisions(&text);
	ck_assert_double_eq(
		value(&text, "belay_decisions_total{kind=\"stop\"}"), 1);
	ck_assert_double_eq(
		value(&text,
		      "belay_rollout_hosts{rollout=\"r1\",state=\"failed\"}"),
		value(&text, "belay_exposures_total"));
	ck_assert_double_eq(
		value(&text,
		      "belay_rollout_state{rollout=\"r1\",state=\"stopped\"}"),
		1);
}
END_TEST

/* Who is faster than us costs a conflict and no second exposure. */
START_TEST(what_was_not_written_is_not_counted)
{
	bl_autobuf struct bl_buf text = { 0 };

	s.chaos.other_controller = 300;
	sim_rollout(&s, "v1", SIM_GOOD);
	ck_assert_int_eq(sim_run_over(&s, 600000), BL_ROLLOUT_DONE);
	scrape(&text);
	ck_assert_uint_gt(s.interrupted, 0);
	ck_assert_double_gt(value(&text, "belay_store_conflicts_total"), 0);
	ck_assert_double_eq(value(&text, "belay_exposures_total"), 6);
	assert_decisions(&text);
}
END_TEST

static int fails(struct bl_store *store, const char *prefix, size_t *ret,
		 struct bl_err *err)
{
	(void)store;
	(void)prefix;
	(void)ret;
	return bl_err_set(err, -EHOSTUNREACH, "nobody answers");
}

START_TEST(a_store_that_is_away_is_told_not_an_error)
{
	const struct bl_store_ops ops = { .count = fails };
	struct bl_store away = { .ops = &ops };
	bl_autobuf struct bl_buf text = { 0 };

	ck_assert_int_eq(bl_metrics_text(&away, meter, s.now_ms, &text), 0);
	prom_check(text.data);
	ck_assert_double_eq(value(&text, "belay_store_up"), 0);
	ck_assert_double_ge(value(&text, "belay_exposures_total"), 0);
	ck_assert_ptr_null(strstr(text.data, "belay_hosts"));
}
END_TEST

/* A store that fails with a code of its own. */
struct failing {
	struct bl_store head;
	int r;
};

static int cannot_get(struct bl_store *store, const char *key,
		      struct bl_store_item *ret, struct bl_err *err)
{
	const struct failing *f = (const struct failing *)store;

	(void)key;
	(void)ret;
	return bl_err_set(err, f->r, "the store does not answer");
}

static const struct {
	int r;
	unsigned others; /* what anything else is answered with */
} failures[] = {
	{ -EHOSTUNREACH, 503 },
	{ -EBUSY, 503 }, /* a file that another process holds */
	{ -EAGAIN, 503 },
	{ -EIO, 500 },
};

/* By the API, as who has a certificate: whether it was taken back is asked for
 * in the store that is away. */
START_TEST(a_store_that_is_away_is_told_to_who_has_a_certificate)
{
	static const struct bl_store_ops ops = { .get = cannot_get };
	static const struct bl_peer viewer = { BL_ROLE_VIEWER, "eve", "", 0 };
	static const struct bl_peer host = { BL_ROLE_HOST, "web-1", "", 0 };
	struct failing away = { { .ops = &ops }, failures[_i].r };
	struct bl_request q = { .method = "GET",
				.path = "/metrics",
				.peer = &viewer,
				.meter = meter };
	struct bl_response a;

	bl_api_handle(&away.head, &q, s.now_ms, &a);
	ck_assert_uint_eq(a.status, 200);
	prom_check(a.body.data);
	ck_assert_double_eq(value(&a.body, "belay_store_up"), 0);
	ck_assert_double_ge(value(&a.body, "belay_exposures_total"), 0);
	bl_buf_free(&a.body);
	q.path = "/v1/hosts";
	bl_api_handle(&away.head, &q, s.now_ms, &a);
	ck_assert_uint_eq(a.status, failures[_i].others);
	ck_assert_uint_eq(a.retry_s != 0, a.status == 503);
	bl_buf_free(&a.body);
	q = (struct bl_request){ .method = "POST",
				 .path = "/v1/hosts/web-1/poll",
				 .content_type = "application/json",
				 .peer = &host };
	bl_api_handle(&away.head, &q, s.now_ms, &a);
	ck_assert_uint_eq(a.status, failures[_i].others);
	ck_assert_uint_eq(a.retry_s != 0, a.status == 503);
	bl_buf_free(&a.body);
}
END_TEST

/* Of the store, as it would be written by bl_revoke. */
static void take_back(const char *key)
{
	const struct bl_revoked revoked = { .generation = 1,
					    .by = "admin",
					    .reason = "gone" };
	bl_autochange struct bl_change c = { 0 };

	bl_change_put(&c, bl_revoked_json(&revoked), "%s", key);
	ck_assert_int_eq(bl_change_write(&c, under, NULL), 0);
}

START_TEST(who_was_taken_back_is_given_no_metrics)
{
	static const struct bl_peer viewer = { BL_ROLE_VIEWER, "eve", "", 0 };
	const struct bl_request q = { .method = "GET",
				      .path = "/metrics",
				      .peer = &viewer,
				      .meter = meter };
	struct bl_response a;

	take_back("revoked/operator/eve");
	bl_api_handle(s.look, &q, s.now_ms, &a);
	ck_assert_uint_eq(a.status, 401);
	bl_buf_free(&a.body);
}
END_TEST

static void ask(const char *method, const char *path,
		const struct bl_peer *peer, unsigned status)
{
	const struct bl_request q = { .method = method,
				      .path = path,
				      .content_type = "application/json",
				      .peer = peer };
	struct bl_response a;

	bl_api_handle(s.look, &q, s.now_ms, &a);
	ck_assert_uint_eq(a.status, status);
	bl_meter_answer(meter, &a);
	bl_buf_free(&a.body);
}

START_TEST(who_is_refused_is_counted_where_it_asked)
{
	static const struct bl_peer nobody = { BL_ROLE_NOBODY, "", "", 0 };
	static const struct bl_peer host = { BL_ROLE_HOST, "web-1", "", 0 };
	static const char poll[] = "/v1/hosts/web-1/poll";
	bl_autobuf struct bl_buf text = { 0 };
	struct bl_response before = { 0 };

	take_back("revoked/host/web-1");
	ask("POST", poll, &nobody, 401);
	ask("POST", poll, &host, 401);
	ask("GET", "/v1/hosts", &host, 403);
	/* Before the body is read, likewise. */
	ck_assert(!bl_api_allows("POST", poll, &nobody, &before));
	bl_meter_answer(meter, &before);
	bl_buf_free(&before.body);
	scrape(&text);
	ck_assert_double_eq(
		value(&text, "belay_polls_total{answer=\"refused\"}"), 3);
	ck_assert_double_eq(
		value(&text,
		      "belay_http_requests_total{method=\"POST\",path=\"/v1/hosts/{name}/poll\",code=\"401\"}"),
		3);
	ck_assert_double_eq(
		value(&text,
		      "belay_http_requests_total{method=\"GET\",path=\"/v1/hosts\",code=\"403\"}"),
		1);
	ck_assert_ptr_null(strstr(text.data, "path=\"\""));
}
END_TEST

static const struct bl_store_ops *full_under;

static int post(struct bl_client *c, const char *host, const char *body)
{
	bl_autofree char *path = bl_path("/v1/hosts/%s/poll", host);
	bl_autobuf struct bl_buf ignored = { 0 };

	return bl_client_call(c, "POST", path, NULL, body, strlen(body), 10000,
			      &ignored, NULL);
}

START_TEST(a_real_server_counts_what_it_answers)
{
	static const char poll[] =
		"{\"v\":1,\"boot\":\"b\",\"session\":\"s\",\"seq\":1,"
		"\"kernel\":\"6.1\",\"arch\":\"x86_64\",\"os\":\"\","
		"\"live\":\"\",\"events\":0,\"drops\":0}";
	BL_CLEANUP(bl_client_closep) struct bl_client *c = NULL;
	bl_autobuf struct bl_buf text = { 0 };
	struct sockaddr_storage address;
	bl_autofree char *url = NULL;
	struct bl_store *store = NULL;
	struct bl_http *http = NULL;

	unsetenv("BELAY_CONTROLLER");
	ck_assert_int_eq(bl_store_open("sqlite::memory:", &store, NULL), 0);
	ck_assert_int_eq(bl_http_address("127.0.0.1:0", false, &address, NULL),
			 0);
	ck_assert_int_eq(bl_http_start(&address, store, NULL, &http, NULL), 0);
	url = bl_path("http://%s", bl_http_listens(http));
	ck_assert_int_eq(bl_client_open(url, false, &c, NULL), 0);
	ck_assert_int_eq(post(c, "web-1", poll), 0);
	ck_assert_int_lt(post(c, "web-1", poll), 0); /* twice */
	ck_assert_int_lt(post(c, "web-2", "{}"), 0);
	ck_assert_int_eq(bl_http_tick(http, NULL), 0);
	ck_assert_int_eq(bl_client_call(c, "GET", "/metrics", NULL, NULL, 0,
					10000, &text, NULL),
			 0);
	prom_check(text.data);
	ck_assert_double_eq(value(&text, "belay_polls_total{answer=\"none\"}"),
			    1);
	ck_assert_double_eq(
		value(&text, "belay_polls_total{answer=\"refused\"}"), 2);
	ck_assert_double_eq(
		value(&text,
		      "belay_http_requests_total{method=\"POST\",path=\"/v1/hosts/{name}/poll\",code=\"409\"}"),
		1);
	ck_assert_double_ge(value(&text, "belay_http_connections"), 1);
	ck_assert_double_eq(value(&text, "belay_hosts"), 1);
	ck_assert_double_eq(value(&text, "belay_ticks_total{result=\"good\"}"),
			    1);
	bl_http_stop(http);
	bl_store_close(store);
}
END_TEST

/* As a full disk: reads go on, and what one request waits for. */
static int heard_cannot_be_written(struct bl_store *store,
				   const struct bl_store_compare *compares,
				   size_t count,
				   const struct bl_store_put *puts,
				   size_t put_count, int64_t *ret_revision,
				   struct bl_err *err)
{
	if (put_count && strncmp(puts[0].key, "heard/", 6) == 0)
		return bl_err_set(err, -ENOSPC, "the disk is full");
	return full_under->txn(store, compares, count, puts, put_count,
			       ret_revision, err);
}

START_TEST(what_cannot_be_written_in_the_background_is_counted_and_told)
{
	BL_CLEANUP(bl_client_closep) struct bl_client *c = NULL;
	bl_autobuf struct bl_buf text = { 0 };
	struct sockaddr_storage address;
	bl_autofree char *url = NULL;
	struct bl_store *store = NULL;
	struct bl_http *http = NULL;
	struct bl_store_ops full;
	struct bl_err err = { 0 };
	unsigned seq;

	unsetenv("BELAY_CONTROLLER");
	ck_assert_int_eq(bl_store_open("sqlite::memory:", &store, NULL), 0);
	full_under = store->ops;
	full = *full_under;
	full.txn = heard_cannot_be_written;
	store->ops = &full;
	ck_assert_int_eq(bl_http_address("127.0.0.1:0", false, &address, NULL),
			 0);
	ck_assert_int_eq(bl_http_start(&address, store, NULL, &http, NULL), 0);
	url = bl_path("http://%s", bl_http_listens(http));
	ck_assert_int_eq(bl_client_open(url, false, &c, NULL), 0);
	ck_assert_uint_eq(bl_http_unwritten(http, &err), 0);
	/* Written some seconds after they came, for all hosts at once. */
	for (seq = 1; !bl_http_unwritten(http, &err); seq++) {
		bl_autofree char *poll = bl_path(
			"{\"v\":1,\"boot\":\"b\",\"session\":\"s\",\"seq\":%u,"
			"\"kernel\":\"6.1\",\"arch\":\"x86_64\",\"os\":\"\","
			"\"live\":\"\",\"events\":0,\"drops\":0}",
			seq);

		ck_assert_int_eq(post(c, "web-1", poll), 0);
		bl_clock_sleep_ms(50);
	}
	ck_assert_str_eq(err.text, "the disk is full");
	ck_assert_int_eq(bl_client_call(c, "GET", "/metrics", NULL, NULL, 0,
					10000, &text, NULL),
			 0);
	prom_check(text.data);
	ck_assert_double_ge(
		value(&text, "belay_background_write_failures_total"), 1);
	bl_http_stop(http);
	bl_store_close(store);
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *suite = suite_create("metrics");
	TCase *t = tcase_create("metrics");

	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_add_test(t, a_good_rollout_is_counted_as_it_went);
	tcase_add_test(t, a_bad_version_is_seen_as_it_stops);
	tcase_add_test(t, what_was_not_written_is_not_counted);
	tcase_add_test(t, a_store_that_is_away_is_told_not_an_error);
	tcase_add_loop_test(
		t, a_store_that_is_away_is_told_to_who_has_a_certificate, 0,
		BL_ARRAY_SIZE(failures));
	tcase_add_test(t, who_was_taken_back_is_given_no_metrics);
	tcase_add_test(t, who_is_refused_is_counted_where_it_asked);
	tcase_add_test(t, a_real_server_counts_what_it_answers);
	tcase_add_test(
		t,
		what_cannot_be_written_in_the_background_is_counted_and_told);
	suite_add_tcase(suite, t);
	return suite;
}
