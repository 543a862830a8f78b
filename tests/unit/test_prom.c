/* SPDX-License-Identifier: Apache-2.0 */
/* Metrics as Prometheus reads them, with what strangers put into labels. */
#include <string.h>

#include "canary/wire/prom.h"
#include "loader/base/cleanup.h"
#include "tests/main.h"
#include "tests/support/prom_check.h"

static struct bl_prom p;
static struct bl_buf text;

static void set_up(void)
{
	p = (struct bl_prom){ 0 };
	text = (struct bl_buf){ 0 };
}

static void tear_down(void)
{
	bl_buf_free(&text);
}

START_TEST(a_family_is_its_help_its_type_and_its_samples)
{
	bl_prom_family(&p, BL_PROM_COUNTER, "belay_polls_total", "Polls.");
	bl_prom_add(&p, 3, "answer", "none", "code", "200");
	bl_prom_add(&p, 1e15, "answer", "apply", "code", "200");
	bl_prom_family(&p, BL_PROM_GAUGE, "belay_left_seconds", "Left.");
	bl_prom_sample(&p, 0.25, NULL);
	ck_assert_int_eq(bl_prom_end(&p, &text), 0);
	ck_assert_str_eq(text.data,
			 "# HELP belay_polls_total Polls.\n"
			 "# TYPE belay_polls_total counter\n"
			 "belay_polls_total{answer=\"none\",code=\"200\"} 3\n"
			 "belay_polls_total{answer=\"apply\",code=\"200\"} "
			 "1e+15\n"
			 "# HELP belay_left_seconds Left.\n"
			 "# TYPE belay_left_seconds gauge\n"
			 "belay_left_seconds 0.25\n");
	prom_check(text.data);
}
END_TEST

/* A name may be made of anything; it stays one label of one line. */
START_TEST(a_label_says_what_it_likes_and_ends_where_it_ends)
{
	bl_prom_family(&p, BL_PROM_GAUGE, "belay_info", "What it is.");
	bl_prom_add(&p, 1, "name", "a\"} 7\n# TYPE x gauge\\\r\x01\xff");
	ck_assert_int_eq(bl_prom_end(&p, &text), 0);
	ck_assert_ptr_nonnull(strstr(text.data,
				     "belay_info{name=\"a\\\"} 7\\n# TYPE x "
				     "gauge\\\\???\"} 1\n"));
	prom_check(text.data);
}
END_TEST

START_TEST(a_histogram_adds_up)
{
	static const double bounds[] = { 0.001, 0.5 };
	static const uint64_t counts[] = { 2, 0, 5 };
	const struct bl_prom_histogram h = { bounds, counts, 2, 12.5 };

	bl_prom_family(&p, BL_PROM_HISTOGRAM, "belay_took_seconds", "Took.");
	bl_prom_histogram(&p, &h, "op", "get");
	bl_prom_histogram(&p, &h, "op", "txn");
	ck_assert_int_eq(bl_prom_end(&p, &text), 0);
	prom_check(text.data);
	ck_assert_double_eq(
		prom_value(text.data,
			   "belay_took_seconds_bucket{op=\"get\",le=\"0.5\"}"),
		2);
	ck_assert_double_eq(
		prom_value(text.data,
			   "belay_took_seconds_bucket{op=\"txn\",le=\"+Inf\"}"),
		7);
	ck_assert_double_eq(prom_value(text.data,
				       "belay_took_seconds_sum{op=\"txn\"}"),
			    12.5);
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *s = suite_create("prom");
	TCase *t = tcase_create("prom");

	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_add_test(t, a_family_is_its_help_its_type_and_its_samples);
	tcase_add_test(t, a_label_says_what_it_likes_and_ends_where_it_ends);
	tcase_add_test(t, a_histogram_adds_up);
	suite_add_tcase(s, t);
	return s;
}
