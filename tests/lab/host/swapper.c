/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Updates the content of the live sensor back and forth while a thread opens
 * files as fast as it can, each with a number in its name. Two contents give
 * the two folders of these files different rules, in different places of their
 * lists. Every number must come back once, and with the rule that the content
 * of its event's generation has for its folder: old or new, never a mix.
 *
 * usage: swapper BUNDLE ROUNDS RULES
 *	BUNDLE	a sensor with any content, of which manifest and object are used
 *	ROUNDS	content updates
 *	RULES	indicators beside those that are watched, in both contents
 */
#include <bpf/bpf.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "loader/base/cleanup.h"
#include "loader/bundle/content.h"
#include "loader/host/host.h"

#define FOLDER	   "/watched"
#define OPENS_MAX  2000000
#define ROUNDS_MAX 1000
#define AHEAD_MAX  2000 /* opens that nobody has read: half a ring */
#define PROBATION  300	/* ms */

/* What an open came back as. */
struct seen {
	uint32_t generation, rule;
	uint32_t times;
};

static struct seen seen[OPENS_MAX];
static atomic_uint opened, read_back;
static atomic_bool stop;

/* The content of each generation: its bundle's binary form. */
static struct bl_buf contents[2];
static struct {
	uint32_t generation;
	int content;
} committed[ROUNDS_MAX + 2];
static int committed_count;

static struct bl_host *host;
static struct bl_err err;

static void __attribute__((noreturn)) give_up(const char *what)
{
	printf("FAIL: %s: %s\n", what, err.text);
	exit(1);
}

/* --- the two contents ----------------------------------------------------- */

/* The rules of the two folders, with other names and, since other rules lie
 * before them, other numbers. */
static const char *const rules[2] = {
	"{\"id\":\"a0\",\"event\":\"open\",\"prefix\":\"" FOLDER "0/\","
	"\"action\":\"emit\"},\n"
	"{\"id\":\"a1\",\"event\":\"open\",\"prefix\":\"" FOLDER "1/\","
	"\"action\":\"emit\"}",
	"{\"event\":\"open\",\"path\":\"/nobody/opens/this\","
	"\"action\":\"emit\"},\n"
	"{\"id\":\"b1\",\"event\":\"open\",\"prefix\":\"" FOLDER "1/\","
	"\"action\":\"emit\"},\n"
	"{\"id\":\"b0\",\"event\":\"open\",\"prefix\":\"" FOLDER "0/\","
	"\"action\":\"emit\"}",
};

/* Executions are reported, so that a trial sees events without the opens. */
static int write_content(int which, unsigned more, struct bl_buf *ret)
{
	int r = bl_buf_printf(ret,
			      "{\"contract\":1,\"default\":"
			      "{\"exec\":\"emit\"},\"rules\":[\n%s",
			      rules[which]);

	for (unsigned i = 0; !r && i < more; i++)
		r = bl_buf_printf(ret,
				  ",\n{\"event\":\"open\",\"path\":"
				  "\"/indicator/%d/%u\",\"action\":\"emit\"}",
				  which, i);
	return r ? r : bl_buf_printf(ret, "]}\n");
}

/* --- opening, and reading what comes of it -------------------------------- */

static void *open_files(void *ctx)
{
	char path[64];

	(void)ctx;
	while (!atomic_load(&stop)) {
		unsigned n = atomic_load(&opened);
		int fd;

		if (n == OPENS_MAX)
			break;
		if (n - atomic_load(&read_back) > AHEAD_MAX) {
			usleep(1000);
			continue;
		}
		snprintf(path, sizeof(path), FOLDER "%u/%u", n % 2, n);
		fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
		if (fd < 0) {
			printf("FAIL: %s cannot be opened\n", path);
			exit(1);
		}
		close(fd);
		unlink(path);
		atomic_store(&opened, n + 1);
	}
	return NULL;
}

static int on_event(void *ctx, const struct bl_event *e, size_t len)
{
	unsigned folder, n;

	(void)ctx;
	(void)len;
	if (e->kind != BL_EVENT_OPEN ||
	    sscanf(e->path.path, FOLDER "%u/%u", &folder, &n) != 2 ||
	    n >= OPENS_MAX)
		return 0;
	seen[n].generation = e->generation;
	seen[n].rule = e->rule;
	if (!seen[n].times++)
		atomic_fetch_add(&read_back, 1);
	return 0;
}

static void drain(void)
{
	for (int i = 0; i < 20; i++)
		bl_host_events(host, 50, on_event, NULL, NULL);
}

/* --- the updates ---------------------------------------------------------- */

static void keep(uint64_t generation, int which)
{
	committed[committed_count].generation = (uint32_t)generation;
	committed[committed_count++].content = which;
}

static void apply(const struct bl_bundle *b, const char *onto, int which)
{
	struct bl_apply_opts opts = { .probation_ms = PROBATION,
				      .override_reason = "a test",
				      .onto = onto,
				      .on_event = on_event };
	struct bl_apply_result res = { 0 };

	if (bl_host_apply(host, b, &opts, &res, &err))
		give_up("apply");
	if (res.outcome != BL_APPLY_COMMITTED) {
		printf("FAIL: not committed: %s\n", res.reason);
		exit(1);
	}
	keep(res.txn, which);
}

/* As belay apply CONTENT does it. */
static void update(int which, const struct bl_buf *json)
{
	BL_CLEANUP(bl_bundle_free) struct bl_bundle b = { 0 };
	char onto[BL_DIGEST_HEX];

	if (bl_host_with_content(host, "content", json->data, json->len, &b,
				 onto, &err))
		give_up("content");
	if (!contents[which].len &&
	    bl_buf_add(&contents[which], b.content_bin.data, b.content_bin.len))
		give_up("memory");
	apply(&b, onto, which);
}

/* --- what must hold ------------------------------------------------------- */

static int content_of(uint32_t generation)
{
	for (int i = 0; i < committed_count; i++)
		if (committed[i].generation == generation)
			return committed[i].content;
	return -1;
}

static bool right(const struct seen *s, unsigned n)
{
	int which = content_of(s->generation);
	const char *name;

	if (which < 0)
		return false;
	name = bl_content_rule_name(contents[which].data, s->rule);
	return name[0] == "ab"[which] && name[1] == (n % 2 ? '1' : '0');
}

static int judge(void)
{
	unsigned count = atomic_load(&opened), lost = 0, doubled = 0, mixed = 0;

	for (unsigned n = 0; n < count; n++) {
		lost += !seen[n].times;
		doubled += seen[n].times > 1;
		if (seen[n].times && !right(&seen[n], n) && !mixed++)
			printf("open %u: generation %u, rule %u\n", n,
			       seen[n].generation, seen[n].rule);
	}
	printf("%u opens over %d content updates: %u lost, %u doubled, %u with a rule of another content\n",
	       count, committed_count - 1, lost, doubled, mixed);
	return lost || doubled || mixed || count < 100;
}

static void tell_times(void)
{
	struct bl_host_history h = { 0 };
	int64_t worst = 0;

	if (bl_host_history(host, (size_t)committed_count - 1, &h, &err))
		give_up("history");
	for (size_t i = 0; i < h.count; i++) {
		const struct bl_host_times *t = &h.txns[i].times;

		if (t->live_ms - t->staged_ms > worst)
			worst = t->live_ms - t->staged_ms;
	}
	printf("from staged to live: at most %" PRId64 " ms; strategy %s\n",
	       worst, h.count ? h.txns[0].strategy : "");
	bl_host_history_free(&h);
}

int main(int argc, char **argv)
{
	BL_CLEANUP(bl_bundle_free) struct bl_bundle base = { 0 };
	struct bl_buf json[2] = { 0 };
	struct bl_host_config config = { 0 };
	int rounds = argc == 4 ? atoi(argv[2]) : 0;
	pthread_t opener;

	if (rounds < 1 || rounds > ROUNDS_MAX)
		return 64;
	setvbuf(stdout, NULL, _IOLBF, 0);
	/*
	 * Held to the end, so that the trials do not switch it on and off: each
	 * time the kernel rewrites the code that runs around every program (a
	 * static branch in __bpf_prog_enter), and on 5.10 two emulated CPUs that
	 * are just there sometimes stay there for good.
	 */
	if (bpf_enable_stats(BPF_STATS_RUN_TIME) < 0)
		give_up("statistics");
	mkdir(FOLDER "0", 0700);
	mkdir(FOLDER "1", 0700);
	if (write_content(0, (unsigned)atoi(argv[3]), &json[0]) ||
	    write_content(1, (unsigned)atoi(argv[3]), &json[1]))
		give_up("memory");
	if (bl_bundle_open(argv[1], &base, &err) ||
	    bl_host_open(&config, &host, &err))
		give_up("open");
	apply(&base, NULL, 0);
	update(0, &json[0]);
	committed_count = 0; /* nothing was opened before */
	{
		struct bl_host_status s;

		if (bl_host_status(host, &s, &err))
			give_up("status");
		keep(s.live.number, 0);
	}
	if (pthread_create(&opener, NULL, open_files, NULL))
		give_up("thread");
	for (int i = 1; i <= rounds; i++)
		update(i % 2, &json[i % 2]);
	atomic_store(&stop, true);
	pthread_join(opener, NULL);
	drain();
	tell_times();
	return judge();
}
