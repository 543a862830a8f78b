/* SPDX-License-Identifier: Apache-2.0 */
/* The API as strangers see it, and polls that come late, twice or from the
 * wrong agent. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "canary/controller/api.h"
#include "canary/controller/controller.h"
#include "loader/base/cleanup.h"
#include "loader/base/text.h"
#include "tests/main.h"
#include "tests/support/sim_fleet.h"

static struct sim s;

static void set_up(void)
{
	sim_start(&s, 5, 3);
}

static void tear_down(void)
{
	sim_end(&s);
}

static const struct {
	const char *method, *path, *body;
	unsigned status;
} requests[] = {
	{ "GET", "/v1/hosts", NULL, 200 },
	{ "GET", "/v1/rollouts", NULL, 200 },
	{ "GET", "/", NULL, 404 },
	{ "GET", "/v1/hosts/", NULL, 404 },
	{ "GET", "/v1/rollouts/r9", NULL, 404 },
	{ "GET", "/v1/rollouts/../hosts", NULL, 404 },
	{ "DELETE", "/v1/hosts", NULL, 405 },
	{ "POST", "/v1/hosts/a/poll", "{}", 400 },
	{ "POST", "/v1/hosts/a/poll", "", 400 },
	{ "POST", "/v1/hosts/../poll", "{}", 404 },
	{ "POST", "/v1/hosts/-a/poll", "{}", 404 },
	{ "POST", "/v1/hosts/a%2fb/poll", "{}", 404 },
	{ "POST", "/v1/hosts/a/b/poll", "{}", 404 },
	{ "POST", "/v1/hosts//poll", "{}", 404 },
	{ "POST", "/v1/rollouts", "{\"digest\":\"xyz\"}", 400 },
	{ "POST", "/v1/rollouts", "{\"digest\":1}", 400 },
	{ "POST", "/v1/rollouts", "[[[[[[[[[[[[[[[[[[[[", 400 },
	{ "POST", "/v1/rollouts/r1/abort", "{}", 404 },
	{ "POST", "/v1/rollouts/r1/abort", "{\"x\":1}", 400 },
	{ "GET", "/v1/bundles/aaaa", NULL, 404 },
};

START_TEST(strangers_get_their_status)
{
	bl_autobuf struct bl_buf body = { 0 };

	ck_assert_uint_eq(sim_request(&s, requests[_i].method,
				      requests[_i].path, requests[_i].body,
				      &body),
			  requests[_i].status);
	if (requests[_i].status != 200)
		ck_assert_ptr_nonnull(strstr(body.data, "\"error\":\""));
	/* Nothing of it made a host. */
	bl_buf_free(&body);
	sim_request(&s, "GET", "/v1/hosts", NULL, &body);
	ck_assert_ptr_null(strstr(body.data, "\"a\""));
}
END_TEST

/* Who may ask for what: 401 for nobody, 403 for the wrong one. */
static const struct {
	const char *method, *path;
	unsigned nobody, host, operator_;
} rights[] = {
	{ "GET", "/v1/hosts", 401, 403, 200 },
	{ "GET", "/v1/rollouts", 401, 403, 200 },
	{ "GET", "/v1/rollouts/r9", 401, 403, 404 },
	{ "POST", "/v1/rollouts", 401, 403, 400 },
	{ "POST", "/v1/rollouts/r9/abort", 401, 403, 404 },
	{ "POST", "/v1/rollouts/r9/approve", 401, 403, 404 },
	{ "POST", "/v1/rollouts/r9/pause", 401, 403, 404 },
	{ "POST", "/v1/rollouts/r9/resume", 401, 403, 404 },
	{ "POST", "/v1/hosts/web-1/poll", 401, 400, 403 },
	{ "GET", "/v1/bundles/aaaa", 401, 404, 404 },
	{ "PUT", "/v1/bundles/aaaa", 401, 403, 415 },
	{ "POST", "/v1/tokens", 401, 403, 409 },
	{ "POST", "/v1/renew", 401, 409, 409 },
	{ "POST", "/v1/hosts/web-1/revoke", 401, 403, 409 },
	{ "POST", "/v1/operators/bob/revoke", 401, 403, 409 },
	{ "GET", "/v1/revoked", 401, 403, 200 },
	/* What makes a host of somebody; 409: without TLS there is none. */
	{ "POST", "/v1/enroll", 409, 409, 409 },
	{ "GET", "/v1/ca", 409, 409, 409 },
	{ "GET", "/nowhere", 404, 404, 404 },
};

START_TEST(everybody_may_do_what_is_theirs)
{
	static const struct bl_peer peers[] = {
		{ BL_ROLE_NOBODY, "", "", 0 },
		{ BL_ROLE_HOST, "web-1", "", 0 },
		{ BL_ROLE_OPERATOR, "admin", "", 0 },
	};
	const unsigned wanted[] = { rights[_i].nobody, rights[_i].host,
				    rights[_i].operator_ };
	size_t i;

	for (i = 0; i < BL_ARRAY_SIZE(peers); i++) {
		const struct bl_request q = {
			.method = rights[_i].method,
			.path = rights[_i].path,
			.content_type = "application/json",
			.body = "{}",
			.len = 2 * !strcmp("POST", rights[_i].method),
			.peer = &peers[i]
		};
		struct bl_response a;

		bl_api_handle(s.store, &q, s.now_ms, &a);
		ck_assert_msg(a.status == wanted[i], "%s %s as %s: %u, not %u",
			      q.method, q.path, peers[i].name, a.status,
			      wanted[i]);
		bl_buf_free(&a.body);
	}
}
END_TEST

/* Whatever the table will have: who only looks changes nothing. */
START_TEST(a_viewer_sees_what_operators_see_and_changes_nothing)
{
	const unsigned viewer = 1u << BL_ROLE_VIEWER;
	const unsigned operator_ = 1u << BL_ROLE_OPERATOR;
	struct bl_api_route r;
	unsigned seen = 0;
	size_t i;

	for (i = 0; bl_api_route(i, &r); i++) {
		bool looks = strcmp(r.method, "GET") == 0;

		if (r.roles == ~0u)
			continue;
		ck_assert_msg(
			!(r.roles & viewer) || (looks && r.roles & operator_),
			"%s %s%s", r.method, r.before, r.after ? r.after : "");
		seen += (r.roles & viewer) != 0;
	}
	ck_assert_uint_ge(seen, 5);
}
END_TEST

START_TEST(bodies_have_limits_and_types)
{
	static char big[BL_API_BODY_MAX + 1];
	struct bl_request q = { .method = "POST",
				.path = "/v1/hosts/a/poll",
				.content_type = "text/plain",
				.body = "{}",
				.len = 2 };
	struct bl_response a;

	bl_api_handle(s.store, &q, s.now_ms, &a);
	ck_assert_uint_eq(a.status, 415);
	bl_buf_free(&a.body);
	q.content_type = "application/json";
	q.body = big;
	q.len = BL_POLL_BYTES_MAX + 1;
	bl_api_handle(s.store, &q, s.now_ms, &a);
	ck_assert_uint_eq(a.status, 413);
	bl_buf_free(&a.body);
	ck_assert_uint_eq(bl_api_body_max("GET", "/v1/hosts"), 0);
	ck_assert_uint_eq(bl_api_body_max("POST", "/nowhere"), 0);
}
END_TEST

/* What x is answered to its next poll, having been answered @etag before. */
static unsigned poll_again(struct bl_poll *p, const char *etag,
			   struct bl_response *ret)
{
	bl_autofree char *body = NULL;
	struct bl_request q = { .method = "POST",
				.path = "/v1/hosts/x/poll",
				.content_type = "application/json",
				.if_none_match = etag };

	p->seq++;
	body = bl_json_dump(bl_poll_json(p));
	ck_assert_ptr_nonnull(body);
	q.body = body;
	q.len = strlen(body);
	bl_api_handle(s.store, &q, s.now_ms, ret);
	return ret->status;
}

START_TEST(answer_that_is_known_is_left_out_and_an_order_never)
{
	struct bl_poll p = { .boot = "boot", .session = "one" };
	char etag[BL_ETAG_LEN];
	struct bl_response a;
	struct bl_order order;

	ck_assert_uint_eq(poll_again(&p, NULL, &a), 200);
	ck_assert_int_eq(bl_order_parse(a.body.data, a.body.len, &order, NULL),
			 0);
	ck_assert_int_eq(order.kind, BL_ORDER_NONE);
	bl_text_copy(etag, sizeof(etag), a.etag);
	bl_buf_free(&a.body);
	ck_assert_uint_eq(poll_again(&p, etag, &a), 304);
	ck_assert_uint_eq(a.body.len, 0);
	ck_assert_str_eq(a.etag, etag);
	ck_assert_uint_eq(poll_again(&p, "\"another\"", &a), 200);
	bl_buf_free(&a.body);
	/* While something goes on it is to come more often: another answer. */
	s.hosts[0].mute = s.hosts[1].mute = s.hosts[2].mute = true;
	sim_rollout(&s, "v1", SIM_GOOD);
	ck_assert_uint_eq(poll_again(&p, etag, &a), 200);
	ck_assert_str_ne(a.etag, etag);
	bl_text_copy(etag, sizeof(etag), a.etag);
	bl_buf_free(&a.body);
	bl_controller_tick(s.store, s.now_ms, NULL);
	ck_assert_uint_eq(poll_again(&p, etag, &a), 200);
	ck_assert_str_eq(a.etag, "");
	ck_assert_int_eq(bl_order_parse(a.body.data, a.body.len, &order, NULL),
			 0);
	ck_assert_int_eq(order.kind, BL_ORDER_APPLY);
	bl_buf_free(&a.body);
}
END_TEST

START_TEST(bundle_is_checked_whole_before_it_is_kept)
{
	char path[128], digest[BL_DIGEST_HEX];
	struct bl_request q = { .method = "PUT",
				.path = path,
				.content_type = "application/octet-stream",
				.body = "not a bundle",
				.len = 12 };
	struct bl_response a;

	sim_digest("something else", digest);
	snprintf(path, sizeof(path), "/v1/bundles/%s", digest);
	bl_api_handle(s.store, &q, s.now_ms, &a);
	ck_assert_uint_eq(a.status, 400);
	ck_assert_ptr_nonnull(strstr(a.body.data, "damaged"));
	bl_buf_free(&a.body);
	sim_digest("not a bundle", digest);
	snprintf(path, sizeof(path), "/v1/bundles/%s", digest);
	bl_api_handle(s.store, &q, s.now_ms, &a);
	ck_assert_uint_eq(a.status, 400);
	bl_buf_free(&a.body);
	q = (struct bl_request){ .method = "GET", .path = path };
	bl_api_handle(s.store, &q, s.now_ms, &a);
	ck_assert_uint_eq(a.status, 404);
	bl_buf_free(&a.body);
}
END_TEST

static int post(struct bl_poll *p, struct bl_order *ret)
{
	return bl_controller_poll(s.store, "x", p, s.now_ms, ret, NULL);
}

static void committed_on_x(struct bl_poll *p)
{
	struct bl_order order;

	s.hosts[0].mute = s.hosts[1].mute = s.hosts[2].mute = true;
	s.plan.waves[0].soak_ms = 60000;
	sim_rollout(&s, "v1", SIM_GOOD);
	bl_controller_tick(s.store, s.now_ms, NULL);
	*p = (struct bl_poll){ .seq = 1 };
	bl_text_copy(p->boot, sizeof(p->boot), "boot");
	bl_text_copy(p->session, sizeof(p->session), "one");
	ck_assert_int_eq(post(p, &order), 0);
	bl_controller_tick(s.store, s.now_ms, NULL);
	p->seq++;
	ck_assert_int_eq(post(p, &order), 0);
	ck_assert_int_eq(order.kind, BL_ORDER_APPLY);
	/* Its answer got lost: the same again, and no second exposure. */
	p->seq++;
	ck_assert_int_eq(post(p, &order), 0);
	ck_assert_int_eq(order.kind, BL_ORDER_APPLY);
	ck_assert_uint_eq(sim_read(&s).exposed, 1);
	p->seq++;
	memcpy(p->live, s.digest, sizeof(p->live));
	p->work.order = BL_ORDER_APPLY;
	p->work.state = BL_WORK_DONE;
	bl_text_copy(p->work.rollout, sizeof(p->work.rollout), s.id);
	ck_assert_int_eq(post(p, &order), 0);
	ck_assert_int_eq(sim_exposure(&s, "x"), BL_EXPOSURE_COMMITTED);
}

START_TEST(late_poll_changes_nothing)
{
	struct bl_poll p, late;
	struct bl_order order;

	committed_on_x(&p);
	/* Sent before the trial, it says that the old version runs. */
	late = p;
	late.seq = 2;
	late.live[0] = '\0';
	late.work = (struct bl_work){ 0 };
	ck_assert_int_eq(post(&late, &order), -ESTALE);
	ck_assert_int_eq(sim_exposure(&s, "x"), BL_EXPOSURE_COMMITTED);
	ck_assert_int_eq(post(&p, &order), -ESTALE); /* twice is late too */
	p.seq++;
	ck_assert_int_eq(post(&p, &order), 0);
}
END_TEST

START_TEST(host_that_leaves_the_version_is_a_failure)
{
	struct bl_order order;
	struct bl_poll p;

	committed_on_x(&p);
	p.seq++;
	p.live[0] = '\0';
	if (_i) /* its agent lost its record, too */
		p.work = (struct bl_work){ 0 };
	ck_assert_int_eq(post(&p, &order), 0);
	ck_assert_int_eq(sim_exposure(&s, "x"), BL_EXPOSURE_FAILED);
	bl_controller_tick(s.store, s.now_ms, NULL);
	ck_assert_int_eq(sim_read(&s).state, BL_ROLLOUT_STOPPED);
	ck_assert_ptr_nonnull(strstr(sim_read(&s).reason, "by itself"));
}
END_TEST

START_TEST(two_agents_of_one_name_are_told_so)
{
	struct bl_order order;
	struct bl_poll p, q;
	struct bl_err err = { 0 };

	committed_on_x(&p);
	q = p;
	bl_text_copy(q.session, sizeof(q.session), "two");
	q.seq = 1;
	ck_assert_int_eq(post(&q, &order), 0); /* a restarted agent, maybe */
	p.seq++;
	ck_assert_int_eq(bl_controller_poll(s.store, "x", &p, s.now_ms, &order,
					    &err),
			 -ESTALE);
	ck_assert_ptr_nonnull(strstr(err.text, "another agent"));
	/* The other one is gone for good: the name is free again. */
	s.now_ms += BL_NAME_FREE_MS;
	ck_assert_int_eq(post(&p, &order), 0);
	q.seq++;
	ck_assert_int_eq(post(&q, &order), -ESTALE);
}
END_TEST

/* Something happens between what a decision was made from and its writing:
 * just before a transaction that writes @marker somewhere. */
static struct {
	const char *marker;
	void (*happens)(void);
	bool happened;
} between;
static struct bl_poll polls[2];
static struct bl_store_ops ops;
static const struct bl_store_ops *real_ops;

static int disturbed_txn(struct bl_store *store,
			 const struct bl_store_compare *compares, size_t count,
			 const struct bl_store_put *puts, size_t put_count,
			 int64_t *ret_revision, struct bl_err *err)
{
	bool found = false;
	size_t i;

	for (i = 0; i < put_count; i++)
		found |= puts[i].data &&
			 memmem(puts[i].data, puts[i].len, between.marker,
				strlen(between.marker));
	if (found && !between.happened) {
		between.happened = true;
		between.happens();
	}
	return real_ops->txn(store, compares, count, puts, put_count,
			     ret_revision, err);
}

static void disturb(const char *marker, void (*happens)(void))
{
	between.marker = marker;
	between.happens = happens;
	between.happened = false;
	real_ops = s.store_under->ops;
	ops = *real_ops;
	ops.txn = disturbed_txn;
	s.store_under->ops = &ops;
}

static void undisturbed(void)
{
	s.store_under->ops = real_ops;
	ck_assert(between.happened); /* else this test says nothing */
}

static enum bl_order_kind post_as(const char *name, struct bl_poll *p)
{
	struct bl_order order;

	p->seq++;
	ck_assert_int_eq(bl_controller_poll(s.store_under, name, p, s.now_ms,
					    &order, NULL),
			 0);
	return order.kind;
}

static void says(struct bl_poll *p, enum bl_work_state state)
{
	p->work.order = BL_ORDER_APPLY;
	p->work.state = state;
	bl_text_copy(p->work.rollout, sizeof(p->work.rollout), s.id);
	if (state == BL_WORK_DONE)
		memcpy(p->live, s.digest, sizeof(p->live));
}

static void x_polls(void)
{
	post_as("x", &polls[0]);
}

static void y_commits(void)
{
	says(&polls[1], BL_WORK_DONE);
	post_as("y", &polls[1]);
}

static void y_is_exposed(void)
{
	ck_assert_int_eq(post_as("y", &polls[1]), BL_ORDER_APPLY);
}

/* The ledger's sums are what counting gives. */
static void assert_sums(void)
{
	bl_autofleet struct bl_fleet f = { 0 };
	unsigned counted = 0;
	size_t i;

	ck_assert_int_eq(bl_fleet_load(s.store_under, s.id, s.now_ms, &f, NULL),
			 0);
	for (i = 0; i < f.exposure_count; i++)
		counted += f.exposures[i].counted;
	ck_assert_uint_eq(counted, f.rollout.unconfirmed);
	ck_assert_uint_eq(f.exposure_count, f.rollout.exposed);
}

/* Hosts x and y, the first wave is both of them. */
static void two_hosts(void)
{
	unsigned i;

	s.plan.waves[0] = (struct bl_wave){ .hosts = 2, .soak_ms = 3000 };
	sim_rollout(&s, "v1", SIM_GOOD);
	for (i = 0; i < 2; i++) {
		polls[i] = (struct bl_poll){ 0 };
		bl_text_copy(polls[i].boot, sizeof(polls[i].boot), "boot");
		bl_text_copy(polls[i].session, sizeof(polls[i].session), "one");
		post_as(i ? "y" : "x", &polls[i]);
	}
	bl_controller_tick(s.store, s.now_ms, NULL);
	ck_assert_int_eq(post_as("x", &polls[0]), BL_ORDER_APPLY);
}

START_TEST(I7_commit_between_a_verdict_and_its_writing)
{
	two_hosts();
	y_is_exposed();
	says(&polls[0], BL_WORK_FAILED);
	post_as("x", &polls[0]);
	disturb("\"stopping\"", y_commits);
	bl_controller_tick(s.store_under, s.now_ms, NULL);
	undisturbed();
	assert_sums();
	ck_assert_int_eq(sim_read(&s).state, BL_ROLLOUT_STOPPING);
	ck_assert_int_eq(post_as("y", &polls[1]), BL_ORDER_ROLLBACK);
}
END_TEST

START_TEST(I7_exposure_between_an_abort_and_its_writing)
{
	two_hosts();
	disturb("\"aborting\"", y_is_exposed);
	ck_assert_int_eq(sim_act(&s, s.id, BL_DECISION_ABORT), 0);
	undisturbed();
	assert_sums();
	ck_assert_uint_eq(sim_read(&s).exposed, 2);
	ck_assert_int_eq(post_as("y", &polls[1]), BL_ORDER_ROLLBACK);
}
END_TEST

static void aborts(void)
{
	ck_assert_int_eq(sim_act(&s, s.id, BL_DECISION_ABORT), 0);
}

START_TEST(I7_abort_between_an_exposure_and_its_writing)
{
	two_hosts();
	disturb("\"exposed\":2", aborts);
	ck_assert_int_eq(post_as("y", &polls[1]), BL_ORDER_NONE);
	undisturbed();
	assert_sums();
	ck_assert_uint_eq(sim_read(&s).exposed, 1);
}
END_TEST

static void next_life_polls(void)
{
	struct bl_poll p = polls[0];

	bl_text_copy(p.session, sizeof(p.session), "two");
	p.seq = 0;
	post_as("x", &p);
}

/* The last words of an agent's last life do not undo the first of its next. */
START_TEST(new_session_between_a_poll_and_its_writing)
{
	struct bl_order order;

	two_hosts();
	bl_text_copy(polls[0].kernel, BL_FACT_LEN, "6.12"); /* to be written */
	disturb("\"one\"", next_life_polls);
	polls[0].seq++;
	ck_assert_int_eq(bl_controller_poll(s.store_under, "x", &polls[0],
					    s.now_ms, &order, NULL),
			 -ESTALE);
	undisturbed();
}
END_TEST

/* A silent host polls between the view and the verdict: it is not silent. */
START_TEST(poll_at_the_last_moment_counts)
{
	struct bl_poll p;
	int64_t end_ms;

	committed_on_x(&p);
	for (end_ms = s.now_ms + s.plan.silence_ms; s.now_ms < end_ms;
	     s.now_ms += 500)
		bl_controller_tick(s.store, s.now_ms, NULL);
	s.now_ms += s.plan.silence_ms / 8 + 1000;
	polls[0] = p;
	disturb("\"silent\"", x_polls);
	bl_controller_tick(s.store_under, s.now_ms, NULL);
	undisturbed();
	ck_assert_int_eq(sim_exposure(&s, "x"), BL_EXPOSURE_COMMITTED);
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *suite = suite_create("api");
	TCase *t = tcase_create("api");

	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_add_loop_test(t, strangers_get_their_status, 0,
			    (int)BL_ARRAY_SIZE(requests));
	tcase_add_loop_test(t, everybody_may_do_what_is_theirs, 0,
			    (int)BL_ARRAY_SIZE(rights));
	tcase_add_test(t, a_viewer_sees_what_operators_see_and_changes_nothing);
	tcase_add_test(t, bodies_have_limits_and_types);
	tcase_add_test(t, answer_that_is_known_is_left_out_and_an_order_never);
	tcase_add_test(t, bundle_is_checked_whole_before_it_is_kept);
	tcase_add_test(t, late_poll_changes_nothing);
	tcase_add_loop_test(t, host_that_leaves_the_version_is_a_failure, 0, 2);
	tcase_add_test(t, two_agents_of_one_name_are_told_so);
	tcase_add_test(t, poll_at_the_last_moment_counts);
	tcase_add_test(t, I7_commit_between_a_verdict_and_its_writing);
	tcase_add_test(t, I7_exposure_between_an_abort_and_its_writing);
	tcase_add_test(t, I7_abort_between_an_exposure_and_its_writing);
	tcase_add_test(t, new_session_between_a_poll_and_its_writing);
	suite_add_tcase(suite, t);
	return suite;
}
