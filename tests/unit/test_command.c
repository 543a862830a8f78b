/* SPDX-License-Identifier: Apache-2.0 */
/* A user's own probes: real processes, and time that the test passes in. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "loader/base/cleanup.h"
#include "loader/base/clock.h"
#include "loader/base/file.h"
#include "loader/host/host.h"
#include "loader/host/trial/command.h"
#include "tests/main.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fake_kern.h"

#define PATIENCE_MS 600000 /* only against a hang */

static struct bl_err err;

static struct bl_commands *start(const char *const *texts, size_t count)
{
	const struct bl_commands_spec spec = {
		.texts = texts, .count = count, .digest = "d1", .txn = 7
	};
	struct bl_commands *c = NULL;

	ck_assert_msg(!bl_commands_new(&spec, &c, &err), "%s", err.text);
	return c;
}

static const struct bl_command *get(const struct bl_commands *c, size_t i)
{
	size_t count;
	const struct bl_command *list = bl_commands_list(c, &count);

	ck_assert_uint_lt(i, count);
	return &list[i];
}

/* Until the @i-th has ended @runs times; for them no time passes. */
static const struct bl_command *wait_for(struct bl_commands *c, size_t i,
					 unsigned runs)
{
	uint64_t end = bl_clock_mono_ms() + PATIENCE_MS;

	while (get(c, i)->runs < runs) {
		ck_assert_msg(bl_clock_mono_ms() < end, "it does not end");
		bl_commands_step(c, 0);
		bl_clock_sleep_ms(1);
	}
	return get(c, i);
}

static const struct {
	const char *text;
	enum bl_command_end end;
	int status;
	const char *line;
} runs[] = {
	{ "true", BL_COMMAND_GOOD, 0, "" },
	{ "echo one; echo two >&2; exit 3", BL_COMMAND_BAD, 3, "two" },
	{ "printf 'no newline'; false", BL_COMMAND_BAD, 1, "no newline" },
	{ "kill -9 $$", BL_COMMAND_BAD, 137, "" },
	/* As an agent's filter ends what it started, and a shell tells of it. */
	{ "kill -SYS $$", BL_COMMAND_BROKEN, 159, "32-bit" },
	{ "sh -c 'echo x; kill -SYS $$'; exit $?", BL_COMMAND_BROKEN, 159,
	  "32-bit" },
	{ "/no/such/tool", BL_COMMAND_BROKEN, 127, "/no/such/tool" },
	{ "/dev/null", BL_COMMAND_BROKEN, 126, "/dev/null" },
	{ "read x", BL_COMMAND_BAD, 1, "" }, /* nothing to read */
	{ "i=0; while [ $i -lt 40000 ]; do echo $i; i=$((i+1)); done",
	  BL_COMMAND_GOOD, 0, "39999" },
	{ "[ $BELAY_DIGEST.$BELAY_TXN.$BELAY_PHASE = d1.7.trial ]",
	  BL_COMMAND_GOOD, 0, "" },
	{ "[ \"$HOME_OF_TEST\" = kept ]", BL_COMMAND_GOOD, 0, "" },
};

START_TEST(a_command_is_judged_by_its_status)
{
	BL_CLEANUP(bl_commands_freep) struct bl_commands *c = NULL;
	const struct bl_command *cmd;

	setenv("BELAY_TXN", "of somebody else", 1);
	setenv("HOME_OF_TEST", "kept", 1);
	c = start(&runs[_i].text, 1);
	cmd = wait_for(c, 0, 1);
	ck_assert_int_eq(cmd->end, runs[_i].end);
	ck_assert_int_eq(cmd->status, runs[_i].status);
	ck_assert_msg(strstr(cmd->line, runs[_i].line), "%s", cmd->line);
}
END_TEST

START_TEST(they_run_in_turns)
{
	static const char *const texts[] = { "true", "exit 0", ":" };
	BL_CLEANUP(bl_commands_freep) struct bl_commands *c = start(texts, 3);

	wait_for(c, 2, 2);
	ck_assert_uint_ge(get(c, 0)->runs, 2);
	ck_assert_uint_ge(get(c, 1)->runs, 2);
	ck_assert_uint_le(get(c, 0)->runs, 3);
}
END_TEST

/* The process that the @run-th run of the command wrote down. */
static pid_t grandchild(struct bl_commands *c, const char *path, int run)
{
	uint64_t end = bl_clock_mono_ms() + PATIENCE_MS;
	bl_autobuf struct bl_buf text = { 0 };

	int pid = 0, lines = 0;
	const char *p;

	while (lines < run) {
		ck_assert_msg(bl_clock_mono_ms() < end, "it does not start");
		bl_commands_step(c, 0);
		bl_clock_sleep_ms(1);
		bl_buf_free(&text);
		bl_file_read(path, 64, &text, NULL);
		lines = 0;
		for (p = bl_buf_str(&text); strchr(p, '\n');
		     p = strchr(p, '\n') + 1, lines++)
			pid = atoi(p);
	}
	return pid;
}

/* It and what it started are gone, for good. */
static void check_killed(pid_t pid)
{
	int st = 0;

	ck_assert_int_eq(waitpid(pid, &st, 0), pid);
	ck_assert(WIFSIGNALED(st) && WTERMSIG(st) == SIGKILL);
}

START_TEST(what_does_not_end_in_time_is_killed_with_all_it_started)
{
	bl_autofree char *dir = bl_test_tmpdir();
	bl_autofree char *path = bl_path("%s/pid", dir);
	char text[256];
	const char *const texts[] = { text };
	struct bl_commands *c;
	pid_t pid;

	/* What loses its parent becomes ours, so that we can wait for it. */
	ck_assert(!prctl(PR_SET_CHILD_SUBREAPER, 1));
	snprintf(text, sizeof(text),
		 "sleep 1000 & echo $! >>%s; echo so far; wait", path);
	c = start(texts, 1);
	pid = grandchild(c, path, 1);
	bl_commands_step(c, BL_COMMAND_TIMEOUT_MS - 1);
	ck_assert_uint_eq(get(c, 0)->runs, 0);
	bl_commands_step(c, BL_COMMAND_TIMEOUT_MS);
	ck_assert_int_eq(get(c, 0)->end, BL_COMMAND_LATE);
	check_killed(pid);
	/* And the trial's end ends the one that runs. */
	pid = grandchild(c, path, 2);
	bl_commands_free(c);
	check_killed(pid);
	bl_file_rmtree(dir, NULL);
}
END_TEST

/* With a host: the fake kernel's trial, in which time passes slowly. */

static void slow_sleep(void *ctx, uint64_t ms)
{
	fake_clock.sleep_ms(ctx, ms);
	bl_clock_sleep_ms(1);
}

static const struct {
	const char *texts[2];
	enum bl_apply_outcome outcome;
	bool tombstoned;
	const char *says;
} trials[] = {
	{ { "true", "echo fine" }, BL_APPLY_COMMITTED, false, "" },
	{ { "true", "echo it is down; exit 4" },
	  BL_APPLY_ROLLED_BACK,
	  true,
	  "probe 'echo it is down; exit 4' ended with status 4: it is down" },
	{ { "true", "/no/such/tool" },
	  BL_APPLY_ROLLED_BACK,
	  false,
	  "probe '/no/such/tool' could not be run: " },
};

START_TEST(each_has_ended_well_before_a_trial_is_good)
{
	bl_autofree char *dir = bl_test_tmpdir();
	bl_autofree char *state = bl_path("%s/state", dir);
	bl_autofree char *object = bl_path("%s/o", dir);
	bl_autofree char *manifest = bl_path("%s/m.json", dir);
	static const char text[] =
		"{\"name\":\"n\",\"version\":\"1\",\"object\":\"o\","
		"\"trial\":{\"probation_ms\":0}}";
	BL_CLEANUP(bl_host_closep) struct bl_host *host = NULL;
	BL_CLEANUP(bl_bundle_free) struct bl_bundle bundle = { 0 };
	struct bl_host_clock clock = fake_clock;
	struct fake_kern *fake = fake_kern_new();
	const struct bl_host_config config = { .state_dir = state,
					       .ops = &fake_kern_ops,
					       .kern = fake,
					       .clock = &clock };
	const struct bl_apply_opts opts = { .commands = trials[_i].texts,
					    .command_count = 2,
					    .command_timeout_ms = 1u << 31 };
	struct bl_apply_result res;

	clock.sleep_ms = slow_sleep;
	ck_assert(!bl_file_write(object, "o", 1, 0600, NULL));
	ck_assert(!bl_file_write(manifest, text, strlen(text), 0600, NULL));
	ck_assert_msg(!bl_bundle_build(manifest, &bundle, &err), "%s",
		      err.text);
	ck_assert_msg(!bl_host_open(&config, &host, &err), "%s", err.text);
	ck_assert_msg(!bl_host_apply(host, &bundle, &opts, &res, &err), "%s",
		      err.text);
	ck_assert_msg(res.outcome == trials[_i].outcome, "%s", res.reason);
	ck_assert_int_eq(res.tombstoned, trials[_i].tombstoned);
	/* No pass, and no conviction: the fleet is told that, too. */
	ck_assert_int_eq(res.undecided, res.outcome == BL_APPLY_ROLLED_BACK &&
						!trials[_i].tombstoned);
	ck_assert_msg(!strncmp(res.reason, trials[_i].says,
			       strlen(trials[_i].says)),
		      "%s", res.reason);
	bl_file_rmtree(dir, NULL);
	fake_kern_free(fake);
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *suite = suite_create("command");
	TCase *tc = tcase_create("runs");

	tcase_add_loop_test(tc, a_command_is_judged_by_its_status, 0,
			    BL_ARRAY_SIZE(runs));
	tcase_add_test(tc, they_run_in_turns);
	tcase_add_test(tc,
		       what_does_not_end_in_time_is_killed_with_all_it_started);
	tcase_add_loop_test(tc, each_has_ended_well_before_a_trial_is_good, 0,
			    BL_ARRAY_SIZE(trials));
	suite_add_tcase(suite, tc);
	return suite;
}
