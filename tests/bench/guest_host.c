/* SPDX-License-Identifier: Apache-2.0 */
/*
 * In the guest of bench_host: one host's transactions, timed. Prints a line
 * "@@WHAT VALUE" for each measurement, and "@@end" after the last.
 *
 * usage: guest_host TURNS SECONDS A.bundle B.bundle BIG_A.bundle BIG_B.bundle
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/base/proc.h"
#include "loader/host/host.h"

#define TICKS_BEFORE_ABORT 3 /* probes: the trial is well under way */
#define AGENT_START_S	   5

static struct bl_host *host;
static struct bl_err err;

static void die(const char *what)
{
	printf("guest_host: %s: %s\n", what, err.text);
	exit(1);
}

static void say(const char *what, double value)
{
	printf("@@%s %.3f\n", what, value);
	fflush(stdout);
}

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

struct trial {
	unsigned ticks;
	bool abort;
	double decided_ms;
};

static enum bl_tick tick(void *ctx, const struct bl_trial_view *view,
			 struct bl_err *why)
{
	struct trial *t = ctx;

	(void)view;
	(void)why;
	if (!t->abort || ++t->ticks < TICKS_BEFORE_ABORT)
		return BL_TICK_GO_ON;
	t->decided_ms = now_ms();
	return BL_TICK_ABORT;
}

static enum bl_apply_outcome apply(const struct bl_bundle *b, struct trial *t)
{
	struct bl_apply_opts opts = {
		.probation_ms = t->abort ? 60000 : 1,
		.override_reason = "a bench",
		.tick = tick,
		.ctx = t,
	};
	struct bl_apply_result res = { 0 };

	if (bl_host_apply(host, b, &opts, &res, &err))
		die("apply");
	if (res.outcome == BL_APPLY_REFUSED) {
		snprintf(err.text, sizeof(err.text), "%s", res.reason);
		die("apply");
	}
	return res.outcome;
}

static void committed(const struct bl_bundle *b, const char *kind)
{
	struct bl_host_history h = { 0 };
	struct trial t = { 0 };
	char what[64];

	if (apply(b, &t) != BL_APPLY_COMMITTED)
		die("it was not committed");
	if (bl_host_history(host, 1, &h, &err) || h.count != 1)
		die("history");
	snprintf(what, sizeof(what), "%s_load_ms", kind);
	say(what, (double)h.txns->times.staged_ms);
	snprintf(what, sizeof(what), "%s_live_ms", kind);
	say(what, (double)(h.txns->times.live_ms - h.txns->times.staged_ms));
	bl_host_history_free(&h);
}

/* From the decision until the old one is alone again: an upper bound, for the
 * switch is the first thing that happens. */
static void rolled_back(const struct bl_bundle *b)
{
	struct trial t = { .abort = true };

	if (apply(b, &t) != BL_APPLY_ROLLED_BACK)
		die("it was not rolled back");
	say("rollback_ms", now_ms() - t.decided_ms);
}

static void ordered_back(void)
{
	struct bl_apply_result res = { 0 };
	double start = now_ms();

	if (bl_host_rollback(host, "a bench", &res, &err) ||
	    res.outcome != BL_APPLY_COMMITTED)
		die("rollback");
	say("ordered_ms", now_ms() - start);
}

static void open_bundle(const char *path, struct bl_bundle *ret)
{
	if (bl_bundle_open(path, ret, &err))
		die(path);
}

/* The number behind @key in a file of lines "KEY: NUMBER …". */
static double field(const char *path, const char *key)
{
	bl_autobuf struct bl_buf b = { 0 };
	const char *at;

	if (bl_file_read(path, 1 << 16, &b, &err))
		die(path);
	at = strstr(bl_buf_str(&b), key);
	return at ? strtod(at + strlen(key), NULL) : -1;
}

/* Seconds of processor time of @pid, its children's too. */
static double cpu_s(pid_t pid)
{
	bl_autofree char *path = bl_path("/proc/%d/stat", pid);
	bl_autobuf struct bl_buf b = { 0 };
	unsigned long long user, system, of_user, of_system;
	const char *at;

	if (bl_file_read(path, 1 << 12, &b, &err))
		die(path);
	at = strrchr(bl_buf_str(&b), ')');
	if (!at ||
	    sscanf(at,
		   ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu %llu %llu",
		   &user, &system, &of_user, &of_system) != 4)
		die("processor time of the agent");
	return (double)(user + system + of_user + of_system) /
	       (double)sysconf(_SC_CLK_TCK);
}

static void agent_at_rest(unsigned seconds)
{
	static const char *const argv[] = { "belay", "agent", NULL };
	bl_autofree char *status = NULL;
	double before;
	int how;
	pid_t pid;

	if (bl_proc_spawn(argv, -1, 1, 1, &pid, &err))
		die("agent");
	status = bl_path("/proc/%d/status", pid);
	sleep(AGENT_START_S);
	before = cpu_s(pid);
	sleep(seconds);
	say("agent_cpu_percent", (cpu_s(pid) - before) * 100 / seconds);
	say("agent_rss_kib", field(status, "VmRSS:"));
	kill(pid, SIGTERM);
	if (waitpid(pid, &how, 0) != pid || how) {
		snprintf(err.text, sizeof(err.text), "ended with %x", how);
		die("agent");
	}
}

int main(int argc, char **argv)
{
	struct bl_bundle b[4] = { 0 };
	struct bl_host_config config = { 0 };
	unsigned turns, i;

	if (argc != 7)
		return 64;
	turns = (unsigned)atoi(argv[1]);
	for (i = 0; i < 4; i++)
		open_bundle(argv[3 + i], &b[i]);
	if (bl_host_open(&config, &host, &err))
		die("open");
	for (i = 0; i < turns; i++) {
		committed(&b[0], i ? "update" : "first");
		committed(&b[1], "update");
		rolled_back(&b[0]);
		committed(&b[0], "update");
		ordered_back();
		committed(&b[2], i ? "content" : "first");
		committed(&b[3], "content");
	}
	for (i = 0; i < 4; i++)
		bl_bundle_free(&b[i]);
	bl_host_close(host);
	agent_at_rest((unsigned)atoi(argv[2]));
	puts("@@end");
	return 0;
}
