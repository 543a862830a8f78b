/* SPDX-License-Identifier: Apache-2.0 */
/* An operator's call while others write: it is made again, then told to come
 * later, and never that it conflicts with what it does not. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "canary/controller/api.h"
#include "loader/base/cleanup.h"
#include "tests/main.h"
#include "tests/support/sim_fleet.h"

static struct sim s;
static struct bl_store_ops ops;
static const struct bl_store_ops *real_ops;
static struct {
	int r;		/* of a transaction that is lost */
	unsigned times; /* the first ones are */
	unsigned seen;
} lost;

static int losing_txn(struct bl_store *store,
		      const struct bl_store_compare *compares, size_t count,
		      const struct bl_store_put *puts, size_t put_count,
		      int64_t *ret_revision, struct bl_err *err)
{
	if (lost.seen++ < lost.times)
		return bl_err_set(err, lost.r, "rollout/r1 was changed");
	return real_ops->txn(store, compares, count, puts, put_count,
			     ret_revision, err);
}

static void set_up(void)
{
	sim_start(&s, 7, 2);
	sim_run_ms(&s, 1000);
	sim_rollout(&s, "v1", SIM_GOOD);
	real_ops = s.store_under->ops;
	ops = *real_ops;
	ops.txn = losing_txn;
	s.store_under->ops = &ops;
}

static void tear_down(void)
{
	s.store_under->ops = real_ops;
	sim_end(&s);
}

static unsigned call(const char *path, const char *body, unsigned *ret_retry_s,
		     struct bl_buf *ret_body)
{
	const struct bl_request q = { .method = "POST",
				      .path = path,
				      .content_type = "application/json",
				      .body = body,
				      .len = strlen(body) };
	struct bl_response a;

	bl_api_handle(s.store_under, &q, s.now_ms, &a);
	*ret_retry_s = a.retry_s;
	bl_buf_free(ret_body);
	*ret_body = a.body;
	return a.status;
}

static const struct {
	int r;
	unsigned times, status;
	const char *says;
} moments[] = {
	{ -EAGAIN, 3, 200, "\"paused\":{" },
	{ -EAGAIN, 1000, 503, "others change r1 all the time" },
	{ -EBUSY, 1, 503, "was changed" }, /* the store waited itself */
};

START_TEST(call_that_others_were_faster_than_is_made_again_then_told_to_wait)
{
	bl_autobuf struct bl_buf body = { 0 };
	unsigned retry_s;

	lost.r = moments[_i].r;
	lost.times = moments[_i].times;
	lost.seen = 0;
	ck_assert_uint_eq(call("/v1/rollouts/r1/pause", "{}", &retry_s, &body),
			  moments[_i].status);
	ck_assert_msg(strstr(body.data, moments[_i].says), "%s", body.data);
	ck_assert_uint_eq(retry_s != 0, moments[_i].status == 503);
	/* Within a bound. */
	ck_assert_uint_lt(lost.seen, 100);
}
END_TEST

START_TEST(a_start_beside_a_rollout_conflicts_whatever_the_store_does)
{
	bl_autobuf struct bl_buf body = { 0 };
	char start[128];
	unsigned retry_s;

	lost.times = 0;
	snprintf(start, sizeof(start), "{\"digest\":\"%s\"}", s.digest);
	ck_assert_uint_eq(call("/v1/rollouts", start, &retry_s, &body), 409);
	ck_assert_uint_eq(retry_s, 0);
	ck_assert_msg(strstr(body.data, "rollout r1 is not over"), "%s",
		      body.data);
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *suite = suite_create("moment");
	TCase *tc = tcase_create("moment");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_loop_test(
		tc,
		call_that_others_were_faster_than_is_made_again_then_told_to_wait,
		0, BL_ARRAY_SIZE(moments));
	tcase_add_test(
		tc, a_start_beside_a_rollout_conflicts_whatever_the_store_does);
	suite_add_tcase(suite, tc);
	return suite;
}
