/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a feed of a million indicators costs on its way to content: time and
 * memory, of a thousand events with a thousand attributes each, and of a few as
 * large as an event may be; and what comes of it: its size, and the kernel memory
 * of a rule. Of addresses alone; and of digests, domains, hostnames, addresses,
 * names of files and whole paths, the last two of two rules each: as many rules as
 * content holds. Beside jansson, which only reads the same JSON. Time is a processor's,
 * not the wall's: the same on a machine that has other work, or nearly.
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
#include "loader/bundle/content.h"
#include "loader/bundle/digest.h"
#include "loader/import/misp.h"
#include "tests/bench/bench.h"

#define INDICATORS  1000000U
#define BUDGET_MB   512 /* as loader/import/README.md states */
#define WHEN	    1590000000
#define UUID_FORMAT "00000000-0000-0000-0000-%012u"
#define TURNS	    5
#define TURNS_MAX   64

struct feed {
	const char *name; /* --only, and the end of its rows' names */
	unsigned events;
	bool mixed;
};

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

/* Of two hundred: 60 digests, 45 domains, 15 hostnames, 71 addresses, 4 names,
 * 5 paths. */
static const char *write_value(unsigned n, bool mixed, char *ret, size_t size)
{
	unsigned sort = mixed ? n % 200 : 120;
	char sum[BL_DIGEST_HEX];

	if (sort < 60) {
		bl_digest(&n, sizeof(n), sum);
		snprintf(ret, size, "%s", sum);
		return "sha256";
	}
	if (sort < 120) {
		snprintf(ret, size, "host-%u.example-%u.test", n, n % 977);
		return sort < 105 ? "domain" : "hostname";
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
static void add_attribute(struct bl_buf *b, unsigned n, bool mixed, bool first)
{
	char text[512], value[BL_DIGEST_HEX];
	const char *type = write_value(n, mixed, value, sizeof(value));

	snprintf(
		text, sizeof(text),
		"%s\n{\"uuid\":\"11111111-0000-0000-0000-%012u\",\"type\":\"%s\",\"category\":\"Network activity\",\"to_ids\":true,\"disable_correlation\":false,\"deleted\":false,\"comment\":\"\",\"timestamp\":\"%d\",\"value\":\"%s\"}",
		first ? "" : ",", n, type, WHEN, value);
	add(b, text);
}

static void write_event(unsigned event, unsigned from, unsigned count,
			bool mixed)
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
		add_attribute(&b, (from + i) * 2654435761U & 0xfffff, mixed,
			      !i);
	add(&b, "]}}");
	snprintf(text, sizeof(text), UUID_FORMAT ".json", event);
	write_file(text, &b);
}

static void write_feed(const struct feed *feed)
{
	unsigned events = feed->events, count = INDICATORS / events, i;
	bl_autobuf struct bl_buf b = { 0 };
	char text[128];

	for (i = 0; i < events; i++) {
		snprintf(text, sizeof(text),
			 "%s\"" UUID_FORMAT "\":{\"timestamp\":\"%d\"}",
			 i ? "," : "{", i, WHEN);
		add(&b, text);
		write_event(i, i * count, count, feed->mixed);
	}
	add(&b, "}");
	bl_digest(b.data, b.len, digest);
	write_file("manifest.json", &b);
}

/* --- turns ---------------------------------------------------------------- */

static double processor_ms(const struct rusage *u)
{
	return (double)(u->ru_utime.tv_sec + u->ru_stime.tv_sec) * 1e3 +
	       (double)(u->ru_utime.tv_usec + u->ru_stime.tv_usec) / 1e3;
}

/* Reads every event, and makes nothing of it. */
static double peer_ms(unsigned events)
{
	struct rusage before, after;
	struct bl_err err = { 0 };

	getrusage(RUSAGE_SELF, &before);
	for (unsigned i = 0; i < events; i++) {
		bl_autojson_doc struct bl_json_doc doc = { 0 };
		bl_autofree char *path =
			bl_path("%s/" UUID_FORMAT ".json", dir, i);

		bench_need(bl_json_load(path, BL_MISP_EVENT_MAX, &doc, &err),
			   &err);
	}
	getrusage(RUSAGE_SELF, &after);
	return processor_ms(&after) - processor_ms(&before);
}

/* The command, which reads, writes and compiles: what it took of a processor, and
 * the most memory that it had. */
static double import_ms(const char *out, double *ret_peak_mb)
{
	const char *const argv[] = { BENCH_BELAY, "content",  "import",
				     "misp",	  dir,	      "--sha256",
				     digest,	  "--output", out,
				     NULL };
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
	*ret_peak_mb = (double)usage.ru_maxrss / 1024;
	return processor_ms(&usage);
}

/* --- rows ----------------------------------------------------------------- */

static void add_row(const struct feed *feed, const char *what, const char *unit,
		    double value, double to_reach, const char *how)
{
	bl_autofree char *row = bl_path("%s, %s", what, feed->name);

	bench_add(&(struct bench_value){ .what = row,
					 .unit = unit,
					 .better = "lower",
					 .value = value,
					 .to_reach = to_reach,
					 .how = how });
}

/* What came of it, compiled once more: how large, and for how many rules. */
static void add_result(const struct feed *feed, const char *out)
{
	bl_autobuf struct bl_buf json = { 0 }, bin = { 0 };
	struct bl_content_info info;
	struct bl_err err = { 0 };

	bench_need(bl_file_read(out, BL_CONTENT_JSON_MAX, &json, &err), &err);
	bench_need(bl_content_compile(out, bl_buf_str(&json), json.len, &bin,
				      &info, &err),
		   &err);
	add_row(feed, "rules", "rules", info.rules, 0,
		"paths and names are for exec and for open");
	add_row(feed, "content.json", "MB", (double)json.len / 1e6, 0,
		"as the command wrote it");
	add_row(feed, "content.bin", "MB", (double)bin.len / 1e6, 0,
		"the same, compiled: with the names of its rules");
	add_row(feed, "kernel memory of a rule", "bytes",
		(double)info.buckets * sizeof(struct bl_content_bucket) /
			info.rules,
		0, "all values of the map bl_content_slots, for each rule");
}

static void bench_feed(const struct feed *feed)
{
	static double ours[TURNS_MAX], theirs[TURNS_MAX];
	bl_autofree char *out = bl_path("%s/out.json", dir);
	bl_autofree char *what = bl_path("import, %s", feed->name);
	unsigned turns = bench_runs(TURNS);
	double peak_mb = 0, most_mb = 0;

	if (!bench_wants(feed->name))
		return;
	turns = turns < TURNS_MAX ? turns : TURNS_MAX;
	write_feed(feed);
	for (unsigned i = 0; i < turns; i++) {
		ours[i] = import_ms(out, &peak_mb);
		theirs[i] = peer_ms(feed->events);
		most_mb = peak_mb > most_mb ? peak_mb : most_mb;
	}
	bench_timed(
		&(struct bench_pair){
			.what = what,
			.peer = "jansson reads the JSON",
			.how = "a processor's time of the command, from a folder to content of all rules that it can hold on the disk; the peer reads the events one by one, in process, and makes nothing of them" },
		ours, theirs, turns);
	add_row(feed, "memory", "MB", most_mb, BUDGET_MB,
		"the most that belay content import misp has, from the first event to content that has been compiled");
	add_result(feed, out);
}

int main(int argc, char **argv)
{
	static const struct feed feeds[] = {
		{ "mixed", 1000, true },
		{ "addresses", 1000, false },
		{ "mixed in 10 events", 10, true },
	};

	bench_open("misp", argc, argv);
	dir = bench_work();
	for (size_t i = 0; i < BL_ARRAY_SIZE(feeds); i++)
		bench_feed(&feeds[i]);
	return bench_close();
}
