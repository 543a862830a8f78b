/* SPDX-License-Identifier: Apache-2.0 */
/* The metrics of a host: what they say of it, and the file they come in. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "canary/agent/metrics_file.h"
#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/bundle/content.h"
#include "tests/main.h"
#include "tests/support/one_host.h"
#include "tests/support/prom_check.h"

static struct one_host one;
static struct bl_agent_counts counts;
static struct bl_buf text;

static void set_up(void)
{
	one_host_set_up(&one);
	memset(&counts, 0, sizeof(counts));
}

static void tear_down(void)
{
	bl_buf_free(&text);
	one_host_tear_down(&one);
}

static void measure(void)
{
	bl_autofree struct bl_host_status *s = calloc(1, sizeof(*s));
	struct bl_host_history h = { 0 };
	struct bl_agent_past past;
	const struct bl_agent_measured m = { .status = s,
					     .past = &past,
					     .counts = &counts };

	ck_assert_int_eq(bl_host_status(one.host, s, NULL), 0);
	ck_assert_int_eq(bl_host_history(one.host, 0, &h, NULL), 0);
	bl_agent_past_read(&h, &past);
	bl_host_history_free(&h);
	bl_buf_free(&text);
	ck_assert_int_eq(bl_agent_metrics(&m, &text), 0);
	prom_check(text.data);
}

static double value(const char *sample)
{
	return prom_value(text.data, sample);
}

START_TEST(a_bare_host_says_so)
{
	measure();
	ck_assert_double_eq(value("belay_live"), 0);
	ck_assert_double_eq(value("belay_trial_active"), 0);
	ck_assert_double_eq(value("belay_transactions_total"), 0);
	ck_assert_ptr_null(strstr(text.data, "belay_live_info"));
}
END_TEST

static enum bl_tick look_then_abort(void *ctx, const struct bl_trial_view *view,
				    struct bl_err *why)
{
	(void)ctx;
	(void)view;
	measure();
	bl_err_set(why, -ECANCELED, "seen enough");
	return BL_TICK_ABORT;
}

START_TEST(what_is_live_and_what_is_on_trial_and_how_it_ended)
{
	const struct bl_apply_opts opts = { .tick = look_then_abort };
	char info[256];

	one_host_apply(&one, &one.v1, NULL, BL_APPLY_COMMITTED);
	one_host_apply(&one, &one.v2, &opts, BL_APPLY_ROLLED_BACK);
	/* As the trial saw it. */
	ck_assert_double_eq(value("belay_trial_active"), 1);
	ck_assert_ptr_nonnull(
		strstr(text.data,
		       "belay_trial_info{name=\"fake\",version=\"2\",digest="));
	ck_assert_double_eq(
		value("belay_journal_transactions{outcome=\"open\"}"), 1);
	measure();
	snprintf(
		info, sizeof(info),
		"belay_live_info{name=\"fake\",version=\"1\",digest=\"%s\",content=\"\"}",
		one.v1.digest);
	ck_assert_double_eq(value(info), 1);
	ck_assert_double_eq(value("belay_live_healthy"), 1);
	ck_assert_double_gt(value("belay_live_since_timestamp_seconds"), 0);
	ck_assert_double_eq(value("belay_trial_active"), 0);
	ck_assert_double_eq(value("belay_transactions_total"), 2);
	ck_assert_double_eq(
		value("belay_journal_transactions{outcome=\"committed\"}"), 1);
	ck_assert_double_eq(
		value("belay_journal_transactions{outcome=\"rolled-back\"}"),
		1);
}
END_TEST

START_TEST(a_crash_is_counted_by_what_is_known_of_it)
{
	struct bl_host_txn txns[] = {
		{ .id = 9, .phase = "done" },
		{ .id = 8, .phase = "rolled-back", .attribution = "convicted" },
		{ .id = 7, .phase = "rolled-back", .attribution = "cut" },
		{ .id = 6, .phase = "rolled-back", .attribution = "convicted" },
		{ .id = 5, .phase = "trial" },
	};
	const struct bl_host_history h = { .txns = txns,
					   .count = BL_ARRAY_SIZE(txns) };
	struct bl_agent_past past;

	bl_agent_past_read(&h, &past);
	ck_assert_uint_eq(past.newest, 9);
	ck_assert_uint_eq(past.committed, 1);
	ck_assert_uint_eq(past.rolled_back, 3);
	ck_assert_uint_eq(past.open, 1);
	ck_assert_uint_eq(past.convicted, 2);
	ck_assert_uint_eq(past.cut, 1);
	ck_assert_uint_eq(past.suspect, 0);
}
END_TEST

START_TEST(events_and_polls_are_counted_by_kind)
{
	const struct bl_event open = { .kind = BL_EVENT_OPEN,
				       .action = BL_ACTION_DENY };
	const struct bl_event exec = { .kind = BL_EVENT_EXEC,
				       .action = BL_ACTION_EMIT };

	bl_agent_count_event(&counts, &open);
	bl_agent_count_event(&counts, &exec);
	bl_agent_count_event(&counts, &exec);
	bl_agent_count_event(NULL, &exec);
	bl_agent_count_poll(&counts, -ECONNREFUSED, 0);
	bl_agent_count_poll(&counts, 0, 5000);
	/* Given up for one that had more to say. */
	bl_agent_count_poll(&counts, -ECANCELED, 6000);
	measure();
	ck_assert_double_eq(
		value("belay_agent_events_total{kind=\"open\",action=\"deny\"}"),
		1);
	ck_assert_double_eq(
		value("belay_agent_events_total{kind=\"exec\",action=\"report\"}"),
		2);
	ck_assert_double_eq(value("belay_agent_polls_total{result=\"failed\"}"),
			    1);
	ck_assert_double_eq(value("belay_agent_heard_timestamp_seconds"), 5);
}
END_TEST

/* The sensor's counters, and the lease of what can refuse. */
START_TEST(what_was_lost_and_when_the_lease_ends)
{
	bl_autofree struct bl_host_status *s = calloc(1, sizeof(*s));
	struct bl_agent_past past = { 0 };
	const struct bl_agent_measured m = { .status = s, .past = &past };
	struct bl_kern_staged *programs = &s->slots[0].programs;

	strcpy(s->live.digest, "d");
	s->sample = (struct bl_kern_sample){ .sensor = true,
					     .seen = 100,
					     .events = 40,
					     .drops = 3,
					     .torn = 2,
					     .missed = 1,
					     .denied = 7 };
	programs->count = 1;
	programs->program[0].lease = BL_LEASE_KEPT;
	s->slots[0].verdict_left_ms = 12500;
	ck_assert_int_eq(bl_agent_metrics(&m, &text), 0);
	prom_check(text.data);
	ck_assert_double_eq(value("belay_sensor_operations_total"), 100);
	ck_assert_double_eq(value("belay_sensor_lost_total{reason=\"ring\"}"),
			    3);
	ck_assert_double_eq(value("belay_sensor_denied_total"), 7);
	ck_assert_double_eq(value("belay_verdict_lease_seconds"), 12.5);
	ck_assert_ptr_null(strstr(text.data, "belay_agent_events_total"));
	programs->program[0].lease = BL_LEASE_NONE;
	bl_buf_free(&text);
	ck_assert_int_eq(bl_agent_metrics(&m, &text), 0);
	ck_assert_ptr_null(strstr(text.data, "belay_verdict_lease"));
}
END_TEST

START_TEST(when_metadata_expires_and_whether_it_is_refreshed)
{
	struct bl_fresh fresh = {
		.role[BL_META_ROOT] = { 1, 90000 },
		.role[BL_META_TIMESTAMP] = { 12, 4600 },
		.refreshed_ms = 900000,
		.failures = 3,
	};
	struct bl_agent_measured m = { .fresh = &fresh, .now_ms = 1000000 };

	ck_assert_int_eq(bl_agent_metrics(&m, &text), 0);
	prom_check(text.data);
	ck_assert_double_eq(
		value("belay_trust_expires_seconds{role=\"timestamp\"}"), 3600);
	ck_assert_double_eq(value("belay_trust_refresh_good"), 0);
	ck_assert_double_eq(value("belay_trust_refresh_failures"), 3);
	ck_assert_double_eq(value("belay_trust_refreshed_timestamp_seconds"),
			    900);
	/* What is not there does not expire. */
	ck_assert_ptr_null(strstr(text.data, "role=\"targets\""));
	fresh.failures = 0;
	m.now_ms = 4700000;
	bl_buf_free(&text);
	ck_assert_int_eq(bl_agent_metrics(&m, &text), 0);
	ck_assert_double_eq(value("belay_trust_refresh_good"), 1);
	ck_assert_double_eq(
		value("belay_trust_expires_seconds{role=\"timestamp\"}"), -100);
	m.fresh = NULL;
	bl_buf_free(&text);
	ck_assert_int_eq(bl_agent_metrics(&m, &text), 0);
	ck_assert_ptr_null(strstr(text.data, "belay_trust"));
}
END_TEST

static const struct {
	const char *path;
	bool good;
} names[] = {
	{ "/a/belay.prom", true }, { "b.prom", true },
	{ "/a/belay.txt", false }, { "/a/.prom", false },
	{ ".prom", false },	   { "", false },
	{ "/a/prom", false },	   { "x.promx", false },
};

START_TEST(the_collector_reads_names_of_one_kind)
{
	ck_assert_int_eq(bl_metrics_file_named(names[_i].path), names[_i].good);
}
END_TEST

static void note(void *ctx, const char *words)
{
	(void)words;
	(*(unsigned *)ctx)++;
}

START_TEST(the_file_is_there_whole_for_others_and_goes_with_the_agent)
{
	bl_autofree char *path = bl_path("%s/belay.prom", one.dir);
	bl_autofree char *beside = bl_path("%s.new", path);
	const struct bl_host_config config = { .state_dir = one.state_dir,
					       .ops = &fake_kern_ops,
					       .kern = one.fake };
	unsigned notes = 0;
	const struct bl_metrics_file_opts opts = { .path = path,
						   .config = &config,
						   .counts = &counts,
						   .note = note,
						   .note_ctx = &notes };
	struct bl_metrics_file *m = NULL;
	struct bl_err err = { 0 };
	struct stat st;

	one_host_apply(&one, &one.v1, NULL, BL_APPLY_COMMITTED);
	/* A life before died while it wrote. */
	ck_assert_int_eq(bl_file_write(beside, "half", 4, 0600, NULL), 0);
	umask(077);
	ck_assert_msg(bl_metrics_file_start(&opts, &m, &err) == 0, "%s",
		      err.text);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 0777, 0644);
	ck_assert_int_eq(access(beside, F_OK), -1);
	ck_assert_int_eq(bl_file_read(path, 1 << 20, &text, NULL), 0);
	prom_check(text.data);
	ck_assert_double_eq(value("belay_live"), 1);
	ck_assert_double_eq(value("belay_host_readable"), 1);
	ck_assert_double_gt(value("belay_agent_resident_memory_bytes"), 0);
	ck_assert_uint_eq(notes, 0);
	bl_metrics_file_stop(m);
	ck_assert_int_eq(access(path, F_OK), -1);
}
END_TEST

START_TEST(a_folder_that_is_not_there_is_said_at_once)
{
	bl_autofree char *path = bl_path("%s/none/belay.prom", one.dir);
	const struct bl_host_config config = { .state_dir = one.state_dir,
					       .ops = &fake_kern_ops,
					       .kern = one.fake };
	const struct bl_metrics_file_opts opts = { .path = path,
						   .config = &config };
	struct bl_metrics_file *m = NULL;
	struct bl_err err = { 0 };

	ck_assert_int_eq(bl_metrics_file_start(&opts, &m, &err), -ENOENT);
	ck_assert_ptr_nonnull(strstr(err.text, path));
	ck_assert_ptr_null(m);
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *s = suite_create("agent_metrics");
	TCase *t = tcase_create("agent_metrics");

	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_add_test(t, a_bare_host_says_so);
	tcase_add_test(t, what_is_live_and_what_is_on_trial_and_how_it_ended);
	tcase_add_test(t, a_crash_is_counted_by_what_is_known_of_it);
	tcase_add_test(t, events_and_polls_are_counted_by_kind);
	tcase_add_test(t, what_was_lost_and_when_the_lease_ends);
	tcase_add_test(t, when_metadata_expires_and_whether_it_is_refreshed);
	tcase_add_loop_test(t, the_collector_reads_names_of_one_kind, 0,
			    (int)BL_ARRAY_SIZE(names));
	tcase_add_test(
		t, the_file_is_there_whole_for_others_and_goes_with_the_agent);
	tcase_add_test(t, a_folder_that_is_not_there_is_said_at_once);
	suite_add_tcase(s, t);
	return s;
}
