/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a feed of a million indicators costs on its way to content: time and
 * memory, of a thousand events with a thousand attributes each, and of a few as
 * large as an event may be. Domains, addresses, names of files and whole paths,
 * the last two of two rules each: as many rules as content holds. Beside jansson,
 * which only reads the same JSON.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/base/json.h"
#include "loader/bundle/digest.h"
#include "loader/import/misp.h"
#include "tests/bench/bench.h"

#define INDICATORS  1000000U
#define BUDGET_MB   512 /* as loader/import/README.md states */
#define WHEN	    1590000000
#define UUID_FORMAT "00000000-0000-0000-0000-%012u"

static const char *dir;
static char digest[BL_DIGEST_HEX];

/* Not durable: a thousand of these would take minutes. */
static void write_file(const char *name, const struct bl_buf *text)
{
	bl_autofree char *path = bl_path("%s/%s", dir, name);
	struct bl_err err = { .text = "the feed cannot be written" };
	FILE *f = path ? fopen(path, "w") : NULL;
	bool ok = f && fwrite(text->data, 1, text->len, f) == text->len;

	if (f && fclose(f) != 0)
		ok = false;
	bench_need(ok ? 0 : -1, &err);
}

static void add(struct bl_buf *b, const char *text)
{
	struct bl_err err = { .text = "out of memory" };

	bench_need(bl_buf_add(b, text, strlen(text)), &err);
}

/* Of two hundred: 120 domains, 71 addresses, 4 names, 5 paths. */
static const char *write_value(unsigned n, char *ret, size_t size)
{
	unsigned sort = n % 200;

	if (sort < 120) {
		snprintf(ret, size, "host-%u.example-%u.test", n, n % 977);
		return "domain";
	}
	if (sort < 191) {
		snprintf(ret, size, "%u.%u.%u.%u", 11 + (n >> 24),
			 n >> 16 & 255, n >> 8 & 255, n & 255);
		return "ip-dst";
	}
	snprintf(ret, size, "%sdropper-%u.bin", sort < 195 ? "" : "/tmp/.x/",
		 n);
	return "filename";
}

/* An attribute as MISP writes it, with all of its keys. */
static void add_attribute(struct bl_buf *b, unsigned n, bool first)
{
	char text[512], value[64];
	const char *type = write_value(n, value, sizeof(value));

	snprintf(
		text, sizeof(text),
		"%s\n{\"uuid\":\"11111111-0000-0000-0000-%012u\",\"type\":\"%s\",\"category\":\"Network activity\",\"to_ids\":true,\"disable_correlation\":false,\"deleted\":false,\"comment\":\"\",\"timestamp\":\"%d\",\"value\":\"%s\"}",
		first ? "" : ",", n, type, WHEN, value);
	add(b, text);
}

static void write_event(unsigned event, unsigned from, unsigned count)
{
	bl_autobuf struct bl_buf b = { 0 };
	char text[256];
	unsigned i;

	snprintf(text, sizeof(text),
		 "{\"Event\":{\"uuid\":\"" UUID_FORMAT
		 "\",\"timestamp\":\"%d\",\"Attribute\":[",
		 event, WHEN);
	add(&b, text);
	for (i = 0; i < count; i++)
		/* By a number that is prime to 2^20: in no order. */
		add_attribute(&b, (from + i) * 2654435761U & 0xfffff, !i);
	add(&b, "]}}");
	snprintf(text, sizeof(text), UUID_FORMAT ".json", event);
	write_file(text, &b);
}

static void write_feed(unsigned events)
{
	bl_autobuf struct bl_buf b = { 0 };
	char text[128];
	unsigned i;

	for (i = 0; i < events; i++) {
		snprintf(text, sizeof(text),
			 "%s\"" UUID_FORMAT "\":{\"timestamp\":\"%d\"}",
			 i ? "," : "{", i, WHEN);
		add(&b, text);
		write_event(i, i * (INDICATORS / events), INDICATORS / events);
	}
	add(&b, "}");
	bl_digest(b.data, b.len, digest);
	write_file("manifest.json", &b);
}

static int read_peer(void *ctx, struct bl_err *err)
{
	unsigned events = *(const unsigned *)ctx, i;
	int r = 0;

	for (i = 0; !r && i < events; i++) {
		bl_autojson_doc struct bl_json_doc doc = { 0 };
		bl_autofree char *path =
			bl_path("%s/" UUID_FORMAT ".json", dir, i);

		r = bl_json_load(path, BL_MISP_EVENT_MAX, &doc, err);
	}
	return r;
}

/* The most memory that the command has, which reads, writes and compiles. */
static double peak_mb(const char *const *argv)
{
	struct bl_err err = { .text = "belay content import failed" };
	struct rusage usage = { 0 };
	int status = -1;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (!pid) {
		if (freopen("/dev/null", "w", stdout) &&
		    freopen("/dev/null", "w", stderr))
			execv(argv[0], (char *const *)argv);
		_exit(127);
	}
	bench_need(pid < 0 || wait4(pid, &status, 0, &usage) < 0 || status ? -1
									   : 0,
		   &err);
	return (double)usage.ru_maxrss / 1024;
}

static void bench_feed(unsigned events, const char *what, const char *memory)
{
	bl_autofree char *out = bl_path("%s/out.json", dir);
	const char *const argv[] = { BENCH_BELAY, "content",  "import",
				     "misp",	  dir,	      "--sha256",
				     digest,	  "--output", out,
				     NULL };

	write_feed(events);
	bench_add(&(struct bench_value){
		.what = memory,
		.unit = "MB",
		.better = "lower",
		.to_reach = BUDGET_MB,
		.value = peak_mb(argv),
		.how = "the most that belay content import misp has, from the first event to content that has been compiled" });
	bench_compare(&(struct bench_pair){
		.what = what,
		.ours = bench_command,
		.ours_ctx = (void *)argv,
		.peer = "jansson reads the JSON",
		.theirs = read_peer,
		.theirs_ctx = &events,
		.turns = 3,
		.how = "the command, from a folder to content of all rules that it can hold on the disk; the peer reads the events one by one, in process, and makes nothing of them" });
}

int main(int argc, char **argv)
{
	bench_open("misp", argc, argv);
	dir = bench_work();
	bench_feed(1000, "import, 1,000 events of 1,000",
		   "memory, 1,000 events of 1,000");
	bench_feed(10, "import, 10 events of 100,000",
		   "memory, 10 events of 100,000");
	return bench_close();
}
