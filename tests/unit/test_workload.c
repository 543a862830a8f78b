/* SPDX-License-Identifier: Apache-2.0 */
/* The workload counts what it did, and aims at what the content reports: what
 * is expected of a sensor is never more than it was shown. */
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "loader/base/buf.h"
#include "loader/base/cleanup.h"
#include "loader/bundle/content.h"
#include "loader/kern/ask/workload.h"
#include "tests/main.h"

#define BIT(kind) (1u << (kind))
/* Nobody is asked unless content is about it. */
#define ALL	  (BIT(BL_EVENT_KINDS) - 1 - BIT(BL_EVENT_DNS))

static struct bl_workload w;
static struct bl_workload_done done;

static void begin(void)
{
	bl_workload_init(&w);
	done = (struct bl_workload_done){ 0 };
}

static void aim(const char *json)
{
	bl_autobuf struct bl_buf bin = { 0 };
	struct bl_err err = { 0 };

	if (bl_content_compile("c", json, strlen(json), &bin, NULL, &err))
		ck_abort_msg("%s", err.text);
	bl_workload_aim(&w, bin.data, &done);
}

START_TEST(its_targets_are_there)
{
	begin();
	ck_assert_uint_gt(w.path_count, 0);
	for (unsigned i = 0; i < w.path_count; i++)
		ck_assert_int_eq(access(w.paths[i], F_OK), 0);
	ck_assert_int_eq(access(w.command, X_OK), 0);
	for (unsigned i = 0; i < w.path_count; i++)
		for (unsigned k = 0; k < i; k++)
			ck_assert_str_ne(w.paths[i], w.paths[k]);
}
END_TEST

START_TEST(counts_what_it_did)
{
	begin();
	w.execs = 9;
	w.opens = 7;
	w.connects = 5;
	w.forks = 11;
	bl_workload_round(&w, &done);
	bl_workload_round(&w, &done);
	ck_assert_uint_eq(done.ops[BL_EVENT_EXEC], 18);
	ck_assert_uint_eq(done.ops[BL_EVENT_OPEN], 14);
	ck_assert_uint_eq(done.ops[BL_EVENT_CONNECT], 10);
	ck_assert_uint_eq(done.forks, 22);
	for (unsigned i = 0; i < 18; i++)
		ck_assert_uint_gt(done.execs[i], 1);
	ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1); /* none is left */
}
END_TEST

START_TEST(what_cannot_be_done_is_not_counted)
{
	begin();
	strcpy(w.command, "/nonexistent");
	strcpy(w.paths[0], "/nonexistent");
	w.path_count = 1;
	bl_workload_round(&w, &done);
	ck_assert_uint_eq(done.ops[BL_EVENT_EXEC], 0);
	ck_assert_uint_eq(done.ops[BL_EVENT_OPEN], 0);
	begin();
	w.command[0] = '\0';
	w.path_count = 0;
	bl_workload_round(&w, &done);
	ck_assert_uint_eq(done.ops[BL_EVENT_EXEC], 0);
	ck_assert_uint_eq(done.ops[BL_EVENT_OPEN], 0);
	ck_assert_uint_gt(done.ops[BL_EVENT_CONNECT], 0);
}
END_TEST

START_TEST(execs_have_a_limit)
{
	begin();
	done.ops[BL_EVENT_EXEC] = BL_WORKLOAD_EXECS_MAX - 1;
	bl_workload_round(&w, &done);
	ck_assert_uint_eq(done.ops[BL_EVENT_EXEC], BL_WORKLOAD_EXECS_MAX);
}
END_TEST

static struct {
	uint64_t rests, last, longest;
} bursts;

static uint64_t all_done(void)
{
	uint64_t n = 0;

	for (unsigned k = 0; k < BL_EVENT_KINDS; k++)
		n += done.ops[k];
	return n;
}

static void note_rest(void *ctx)
{
	uint64_t now = all_done();

	(void)ctx;
	bursts.rests++;
	if (now - bursts.last > bursts.longest)
		bursts.longest = now - bursts.last;
	bursts.last = now;
}

/* So that a ring of a page is never full of what a reader had no time for. */
START_TEST(it_rests_after_each_burst_and_at_the_end)
{
	begin();
	w.rest = note_rest;
	w.opens = 3 * BL_WORKLOAD_BURST + 1;
	w.connects = 2 * BL_WORKLOAD_BURST;
	bl_workload_round(&w, &done);
	ck_assert_uint_ge(done.ops[BL_EVENT_OPEN], BL_WORKLOAD_BURST);
	ck_assert_uint_le(bursts.longest, BL_WORKLOAD_BURST);
	ck_assert_uint_eq(bursts.last, all_done());
}
END_TEST

START_TEST(without_content_all_is_reported)
{
	begin();
	bl_workload_aim(&w, NULL, &done);
	ck_assert_uint_eq(done.visible, ALL);
	ck_assert_uint_eq(done.reports, ALL);
}
END_TEST

START_TEST(it_aims_at_what_the_content_reports)
{
	unsigned all;

	begin();
	all = w.path_count;
	aim("{\"contract\":1,\"default\":{\"exec\":\"emit\",\"connect\":\"emit\"},"
	    "\"rules\":[{\"event\":\"open\",\"path\":\"/etc/passwd\","
	    "\"action\":\"emit\"},{\"event\":\"connect\","
	    "\"address\":\"127.0.0.0/8\",\"action\":\"ignore\"},"
	    "{\"event\":\"connect\",\"address\":\"10.0.0.0/8\","
	    "\"action\":\"ignore\"}]}");
	ck_assert_uint_gt(all, 1);
	ck_assert_uint_eq(w.path_count, 1);
	ck_assert_str_eq(w.paths[0], "/etc/passwd");
	ck_assert_uint_eq(w.peer_count, 3);
	for (unsigned i = 0; i < w.peer_count; i++)
		ck_assert(w.peers[i][0] != 127 && w.peers[i][0] != 10);
	ck_assert_uint_eq(done.visible, ALL);
	ck_assert_uint_eq(done.reports, ALL);
}
END_TEST

/* Then it goes on as it was: the operations happen, nothing is expected. */
START_TEST(what_the_content_does_not_report_is_not_visible)
{
	unsigned paths, peers;

	begin();
	paths = w.path_count;
	peers = w.peer_count;
	aim("{\"contract\":1,\"default\":{},\"rules\":["
	    "{\"event\":\"open\",\"path\":\"/nowhere\",\"action\":\"emit\"},"
	    "{\"event\":\"exec\",\"prefix\":\"/\",\"action\":\"deny\"}]}");
	ck_assert_uint_eq(done.visible, 0);
	ck_assert_uint_eq(done.reports,
			  BIT(BL_EVENT_OPEN) | BIT(BL_EVENT_EXEC));
	ck_assert_uint_eq(w.path_count, paths);
	ck_assert_uint_eq(w.peer_count, peers);
}
END_TEST

/* Where it may (root in a guest): files that rules name, seen by nobody else. */
START_TEST(furnished_files_are_its_own)
{
	struct stat st;
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		if (bl_workload_furnish())
			_exit(77);
		_exit(stat("/etc/passwd", &st) || st.st_size);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	if (WEXITSTATUS(status) != 77)
		ck_assert_int_eq(WEXITSTATUS(status), 0);
	ck_assert_int_eq(stat("/etc/passwd", &st), 0);
	ck_assert_uint_gt(st.st_size, 0);
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *s = suite_create("workload");
	TCase *t = tcase_create("workload");

	tcase_add_test(t, its_targets_are_there);
	tcase_add_test(t, counts_what_it_did);
	tcase_add_test(t, what_cannot_be_done_is_not_counted);
	tcase_add_test(t, execs_have_a_limit);
	tcase_add_test(t, it_rests_after_each_burst_and_at_the_end);
	tcase_add_test(t, without_content_all_is_reported);
	tcase_add_test(t, it_aims_at_what_the_content_reports);
	tcase_add_test(t, what_the_content_does_not_report_is_not_visible);
	tcase_add_test(t, furnished_files_are_its_own);
	suite_add_tcase(s, t);
	return s;
}
