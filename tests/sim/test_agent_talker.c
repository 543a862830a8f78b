/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The talker of an agent, a process that anybody may have taken over: what it has
 * of its host, and that the host is kept while it dies, and while it says and does
 * what it likes.
 *
 * Waits for what must come, however slow the machine; what does not come runs
 * into the test's time limit.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "canary/agent/partial.h"
#include "canary/agent/parts.h"
#include "loader/base/cleanup.h"
#include "loader/base/clock.h"
#include "loader/base/file.h"
#include "loader/bundle/bundle.h"
#include "loader/trust/fresh.h"
#include "tests/main.h"
#include "tests/support/agent_process.h"
#include "tests/support/talkers.h"
#include "tests/support/tuf.h"

#define NOTHING                                                         \
	"{\"v\":1,\"order\":\"none\",\"rollout\":\"\",\"digest\":\"\"," \
	"\"override\":\"\",\"reason\":\"\",\"probation_ms\":0,\"poll_ms\":%d}"
#define APPLY                                                                \
	"{\"v\":1,\"order\":\"apply\",\"rollout\":\"r1\",\"digest\":\"%s\"," \
	"\"override\":\"\",\"reason\":\"\",\"probation_ms\":0,\"poll_ms\":50}"

static struct agent_process a;
static char *order;

static void set_up(void)
{
	agent_set_up(&a);
}

static void tear_down(void)
{
	agent_tear_down(&a);
	free(order);
}

static void say_nothing(int poll_ms)
{
	a.liar.order = order = bl_path(NOTHING, poll_ms);
}

static void say_apply(void)
{
	a.liar.order = order = bl_path(APPLY, a.one.v2.digest);
}

START_TEST(a_talker_that_dies_is_followed_by_another_and_the_host_is_kept)
{
	pid_t first;

	say_nothing(50);
	agent_start(&a, a.liar.url);
	liar_polled_times(&a.liar, 2);
	first = agent_talker(&a);
	ck_assert_int_eq(kill(first, SIGKILL), 0);
	talkers_gone(first);
	agent_keeps(&a);
	liar_polled_again(&a.liar);
	ck_assert_int_ne(agent_talker(&a), first);
	/* It is the same host, and goes on counting. */
	ck_assert_ptr_null(strstr(a.liar.polled, "\"seq\":1,"));
	agent_end(&a);
}
END_TEST

START_TEST(a_talker_dies_in_a_download_and_the_next_one_goes_on)
{
	char range[BL_RANGE_LEN];

	a.liar.cut_at = 100;
	a.liar.script[0] = STALL;
	say_apply();
	agent_start(&a, a.liar.url);
	liar_polled(&a.liar, "fetching its bundle");
	ck_assert_int_eq(kill(agent_talker(&a), SIGKILL), 0);
	liar_polled(&a.liar, "\"state\":\"done\"");
	agent_end(&a);
	liar_range(&a.liar, 1, range);
	ck_assert_str_eq(range, "bytes=100-");
}
END_TEST

START_TEST(without_the_host_part_there_is_no_talker)
{
	pid_t pid;

	say_nothing(50);
	agent_start(&a, a.liar.url);
	liar_polled_times(&a.liar, 1);
	pid = agent_talker(&a);
	if (_i)
		agent_crash(&a);
	else
		agent_end(&a);
	talkers_gone(pid);
}
END_TEST

/* Of the talker's process; whoever it belongs to. */
static void read_proc(const char *name, struct bl_buf *ret)
{
	bl_autofree char *path =
		bl_path("/proc/%d/%s", (int)agent_talker(&a), name);

	ck_assert_int_eq(bl_file_read(path, 65536, ret, NULL), 0);
}

static void limited(const struct bl_buf *limits, const char *what,
		    unsigned long most)
{
	const char *at = strstr(bl_buf_str(limits), what);
	unsigned long soft = 1, hard = 1;

	ck_assert_ptr_nonnull(at);
	ck_assert_int_eq(sscanf(at + strlen(what), "%lu %lu", &soft, &hard), 2);
	ck_assert_uint_eq(soft, most);
	ck_assert_uint_eq(hard, most);
}

/* As the kernel sees it. */
START_TEST(a_talker_may_nothing)
{
	bl_autobuf struct bl_buf status = { 0 }, limits = { 0 }, score = { 0 };

	say_nothing(50);
	agent_start(&a, a.liar.url);
	liar_polled_times(&a.liar, 1);
	read_proc("status", &status);
	read_proc("limits", &limits);
	read_proc("oom_score_adj", &score);
	agent_end(&a);
	ck_assert_ptr_nonnull(
		strstr(bl_buf_str(&status), "CapPrm:\t0000000000000000"));
	ck_assert_ptr_nonnull(
		strstr(bl_buf_str(&status), "CapEff:\t0000000000000000"));
	ck_assert_ptr_nonnull(strstr(bl_buf_str(&status), "NoNewPrivs:\t1"));
	ck_assert_ptr_nonnull(strstr(bl_buf_str(&status), "Seccomp:\t2"));
	ck_assert_ptr_null(strstr(bl_buf_str(&status), "Uid:\t0\t"));
	ck_assert_ptr_null(strstr(bl_buf_str(&status), "Gid:\t0\t"));
	limited(&limits, "Max open files", BL_PARTS_TALKER_FILES);
	limited(&limits, "Max locked memory", 0);
#ifndef __SANITIZE_ADDRESS__
	limited(&limits, "Max address space", BL_PARTS_TALKER_MEMORY);
#endif
	ck_assert_int_ge(atoi(bl_buf_str(&score)), BL_PARTS_TALKER_SCORE);
}
END_TEST

START_TEST(whatever_a_talker_says_the_host_is_kept)
{
	bl_autofree char *path = bl_path("%s/evil", a.one.dir);
	bl_autofree char *text =
		bl_path("#!/bin/sh\ncd %s\n%s\n", a.one.dir, talkers_evil[_i]);

	talkers_messages(a.one.dir, a.one.v2.digest);
	ck_assert_int_eq(bl_file_write(path, text, strlen(text), 0755, NULL),
			 0);
	agent_start_with(&a, path, a.liar.url, 100);
	agent_keeps(&a);
	ck_assert_uint_lt(a.notes->count, 200);
	ck_assert(!a.notes->dirty);
	agent_end(&a);
	a.one.host = one_host_open(&a.one);
	ck_assert_str_eq(one_host_status(&a.one).live.digest, a.one.v1.digest);
}
END_TEST

/* Its standard error is not the host part's. */
START_TEST(what_a_talker_prints_is_told_as_the_talkers_on_lines_of_their_own)
{
	static const char text[] =
		"#!/bin/sh\nprintf 'no \\033[31mway\\nlast words' >&2\n";
	bl_autofree char *path = bl_path("%s/evil", a.one.dir);

	ck_assert_int_eq(bl_file_write(path, text, strlen(text), 0755, NULL),
			 0);
	agent_start_with(&a, path, a.liar.url, 100);
	agent_noted(&a, "talker: no  [31mway");
	agent_noted(&a, "talker: last words");
	ck_assert(!a.notes->dirty);
	agent_end(&a);
}
END_TEST

/* In the talker's place, what a shell cannot do. */
static void start_evil(const char *what)
{
	bl_autofree char *path = bl_path("%s/evil", a.one.dir);
	bl_autofree char *text = bl_path(
		"#!/bin/sh\nexec python3 %s/tests/sim/evil_talker.py %s %s \"$@\"\n",
		BL_TEST_SOURCE_DIR, what, a.one.dir);

	talkers_messages(a.one.dir, a.one.v2.digest);
	ck_assert_int_eq(bl_file_write(path, text, strlen(text), 0755, NULL),
			 0);
	agent_start_with(&a, path, a.liar.url, 100);
}

/* All that is in the folder of what is on its way. */
static size_t on_disk(void)
{
	bl_autofree char *dir = bl_path("%s/" BL_PARTIAL_DIR, a.one.state_dir);
	bl_autoclosedir DIR *d = opendir(dir);
	const struct dirent *e;
	struct stat st;
	size_t sum = 0;

	while (d && (e = readdir(d)))
		if (!fstatat(dirfd(d), e->d_name, &st, 0) &&
		    S_ISREG(st.st_mode))
			sum += (size_t)st.st_size;
	return sum;
}

/* Of many that it could keep it has none that is a file, or a large pipe. */
static void holds_no_file(void)
{
	for (size_t i = 0; i < BL_ARRAY_SIZE(a.notes->line); i++)
		if (a.notes->line[i].there)
			ck_assert_ptr_null(strstr(a.notes->line[i].text,
						  "holds something else"));
}

START_TEST(a_talker_that_sends_without_end_fills_no_disk)
{
	start_evil("flood");
	agent_noted(&a, "talker: sent more");
	agent_noted(&a, "a bundle has at most");
	ck_assert_uint_le(on_disk(), BL_BUNDLE_MAX);
	agent_keeps(&a);
	agent_end(&a);
	ck_assert_uint_le(on_disk(), BL_BUNDLE_MAX);
	holds_no_file();
}
END_TEST

START_TEST(what_a_talker_keeps_open_is_no_file_and_leads_nowhere)
{
	start_evil("hoard");
	agent_noted(&a, "talker: 3 are closed");
	agent_keeps(&a);
	agent_end(&a);
	ck_assert_uint_le(on_disk(), BL_BUNDLE_MAX);
	holds_no_file();
}
END_TEST

/* Whom it makes wait is itself, by the clock. */
START_TEST(a_talker_that_orders_without_end_is_held_up)
{
	start_evil("orders");
	agent_noted(&a, "held up");
	agent_keeps(&a);
	agent_end(&a);
	agent_noted(&a, "talker: is held up");
}
END_TEST

/* What happens on the host is read, by the agent's process. */
static void reads_events(void)
{
	int live = 0;

	for (int i = 0; i < BL_SLOT_COUNT; i++) {
		volatile struct fake_slot *s = &a.one.fake->slot[i];

		if (!s->live)
			continue;
		live++;
		s->events += 8;
		while (s->read < s->events)
			bl_clock_sleep_ms(10);
	}
	ck_assert_int_eq(live, 1);
}

/* A byte at a time: the host is kept, and its agent ends when it is told to. */
START_TEST(a_talker_that_drips_holds_nobody_up)
{
	start_evil("drip");
	agent_noted(&a, "talker: drips");
	reads_events();
	agent_keeps(&a);
	agent_end(&a);
	holds_no_file();
	a.one.host = one_host_open(&a.one);
	ck_assert_str_eq(one_host_status(&a.one).live.digest, a.one.v1.digest);
}
END_TEST

/* A host that asks for metadata: it has a root. */
static void give_root(void)
{
	bl_autofree char *dir = bl_path("%s/trust", a.one.state_dir);
	const char *root;
	struct tuf tuf;

	tuf_open(&tuf);
	json_object_set_new(tuf.root, "expires",
			    json_string("2199-01-01T00:00:00Z"));
	tuf_write(&tuf, tuf.root, "root", TUF_ROOT_KEYS);
	root = tuf_get(&tuf, "metadata/1.root.json");
	ck_assert_int_eq(bl_file_mkdirs(dir, 0700, NULL), 0);
	ck_assert_int_eq(
		bl_trust_state_save_root(dir, root, strlen(root), NULL), 0);
	tuf_close(&tuf);
}

/* With O_APPEND on it all would be written behind the end, where nothing may. */
START_TEST(what_a_talker_sets_on_a_file_of_metadata_no_other_one_has)
{
	give_root();
	start_evil("append");
	agent_noted(&a, "what is wanted");
	agent_end(&a);
	agent_noted(&a, "talker: writes what is wanted");
}
END_TEST

START_TEST(a_refresh_that_ends_with_its_agent_has_not_failed)
{
	bl_autofree char *dir = bl_path("%s/trust", a.one.state_dir);
	struct bl_fresh f = { .failures = 0 };

	give_root();
	start_evil("append");
	/* Now it waits for the next file, which never comes. */
	agent_noted(&a, "what is wanted");
	agent_end(&a);
	ck_assert_int_eq(bl_fresh_noted(dir, &f, NULL), -ENOENT);
}
END_TEST

/* It waits for news, and not for ever: who sends it again does not begin anew. */
START_TEST(an_order_that_comes_with_each_poll_is_refused_all_the_same)
{
	give_root();
	start_evil("again");
	agent_noted(&a, "refused: ");
	agent_end(&a);
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *s = suite_create("agent_talker");
	TCase *t = tcase_create("agent_talker");

	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_add_test(
		t,
		a_talker_that_dies_is_followed_by_another_and_the_host_is_kept);
	tcase_add_test(t, a_talker_dies_in_a_download_and_the_next_one_goes_on);
	tcase_add_loop_test(t, without_the_host_part_there_is_no_talker, 0, 2);
	tcase_add_test(t, a_talker_may_nothing);
	tcase_add_loop_test(t, whatever_a_talker_says_the_host_is_kept, 0,
			    TALKERS_EVIL);
	tcase_add_test(
		t,
		what_a_talker_prints_is_told_as_the_talkers_on_lines_of_their_own);
	tcase_add_test(t, a_talker_that_sends_without_end_fills_no_disk);
	tcase_add_test(t,
		       what_a_talker_keeps_open_is_no_file_and_leads_nowhere);
	tcase_add_test(t, a_talker_that_orders_without_end_is_held_up);
	tcase_add_test(t, a_talker_that_drips_holds_nobody_up);
	tcase_add_test(
		t, what_a_talker_sets_on_a_file_of_metadata_no_other_one_has);
	tcase_add_test(t, a_refresh_that_ends_with_its_agent_has_not_failed);
	tcase_add_test(
		t, an_order_that_comes_with_each_poll_is_refused_all_the_same);
	suite_add_tcase(s, t);
	return s;
}
