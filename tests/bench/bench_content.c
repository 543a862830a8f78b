/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What content of 100,000 and of 1,000,000 rules costs on the way to a kernel:
 * to compile, to judge, to read its bundle, and to fill a map as large. Beside
 * jansson, which only reads the same JSON.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/base/json.h"
#include "loader/bundle/bundle.h"
#include "loader/bundle/content.h"
#include "tests/bench/bench.h"

#define BATCH 4096 /* buckets, as loader/kern does */

static const char *dir;

static void need_ok(int r, const char *what)
{
	struct bl_err err = { 0 };

	snprintf(err.text, sizeof(err.text), "%s", what);
	bench_need(r, &err);
}

/* Eight paths and two addresses of ten, each with a name. */
static void write_rules(unsigned count, struct bl_buf *ret)
{
	char rule[192];
	int r = bl_buf_printf(
		ret,
		"{\"contract\": 1, \"default\": {\"exec\": \"emit\"}, \"rules\": [\n");

	for (unsigned i = 0; !r && i < count; i++) {
		const char *comma = i + 1 < count ? "," : "]}";

		if (i % 5 == 4)
			snprintf(
				rule, sizeof(rule),
				"{\"id\": \"ioc-%u\", \"event\": \"connect\", \"address\": \"11.%u.%u.%u\", \"action\": \"emit\"}%s\n",
				i, i >> 16, i >> 8 & 255, i & 255, comma);
		else
			snprintf(
				rule, sizeof(rule),
				"{\"id\": \"ioc-%u\", \"event\": \"open\", \"path\": \"/srv/data/%u/%08x/secret-%u\", \"action\": \"emit\"}%s\n",
				i, i % 97, i * 2654435761u, i, comma);
		r = bl_buf_add(ret, rule, strlen(rule));
	}
	need_ok(r, "out of memory");
}

static int compile(void *ctx, struct bl_err *err)
{
	const struct bl_buf *json = ctx;
	bl_autobuf struct bl_buf bin = { 0 };

	return bl_content_compile("bench", json->data, json->len, &bin, NULL,
				  err);
}

static int read_json(void *ctx, struct bl_err *err)
{
	const struct bl_buf *json = ctx;
	bl_autojson_doc struct bl_json_doc doc = { 0 };

	return bl_json_parse("bench", json->data, json->len, &doc, err);
}

/* The most memory that a process has in which @fn runs. It begins with what we
 * have: so this comes before anything that leaves a large heap behind. */
static double peak_mb(bench_fn fn, void *ctx)
{
	struct rusage usage;
	int status;
	pid_t pid;

	fflush(NULL);
	malloc_trim(0);
	pid = fork();
	if (!pid)
		_exit(fn(ctx, NULL) ? 1 : 0);
	need_ok(pid < 0 || wait4(pid, &status, 0, &usage) < 0 || status ? -1
									: 0,
		"a process for it failed");
	return (double)usage.ru_maxrss / 1024;
}

/* --- into a kernel's map -------------------------------------------------- */

struct map {
	int fd;
	const struct bl_content_bucket *buckets;
	unsigned count;
};

static int fill_batches(void *ctx, struct bl_err *err)
{
	const struct map *m = ctx;
	static unsigned keys[BATCH];
	unsigned n;

	for (unsigned at = 0; at < m->count; at += n) {
		n = m->count - at < BATCH ? m->count - at : BATCH;
		for (unsigned i = 0; i < n; i++)
			keys[i] = at + i;
		if (bpf_map_update_batch(m->fd, keys, &m->buckets[at], &n,
					 NULL))
			return bl_err_errno(err, -errno, "fill");
	}
	return 0;
}

static int fill_singly(void *ctx, struct bl_err *err)
{
	const struct map *m = ctx;

	for (unsigned i = 0; i < m->count; i++)
		if (bpf_map_update_elem(m->fd, &i, &m->buckets[i], BPF_ANY))
			return bl_err_errno(err, -errno, "fill");
	return 0;
}

static void bench_fill(const char *what, const struct bl_buf *json)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_RDONLY_PROG);
	bl_autobuf struct bl_buf bin = { 0 };
	struct map m = { 0 };
	struct bl_err err = { 0 };

	bench_need(bl_content_compile("bench", json->data, json->len, &bin,
				      NULL, &err),
		   &err);
	m.buckets = bl_content_buckets(bin.data);
	m.count = bl_content_header(bin.data)->bucket_count;
	m.fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "bench", 4,
			      sizeof(*m.buckets), m.count, &opts);
	if (m.fd < 0) {
		printf("%s: left out: this kernel makes no map here: %s\n",
		       what, strerror(errno));
		return;
	}
	bench_compare(&(struct bench_pair){
		.what = what,
		.ours = fill_batches,
		.ours_ctx = &m,
		.peer = "one system call for each bucket",
		.theirs = fill_singly,
		.theirs_ctx = &m,
		.turns = 5,
		.how = "the compiled table into an array map of this machine's kernel; the map is there already" });
	close(m.fd);
}

/* --- commands ------------------------------------------------------------- */

static void put(const char *name, const void *data, size_t len)
{
	bl_autofree char *path = bl_path("%s/%s", dir, name);
	struct bl_err err = { 0 };

	bench_need(bl_file_write(path, data, len, 0644, &err), &err);
}

static void bench_commands(const struct bl_buf *json)
{
	static const char manifest_text[] =
		"{\"name\":\"bench\",\"version\":\"1\","
		"\"object\":\"sensor.bpf.o\",\"content\":\"content.json\"}\n";
	bl_autofree char *manifest = bl_path("%s/manifest.json", dir);
	bl_autofree char *content = bl_path("%s/content.json", dir);
	bl_autofree char *bundle = bl_path("%s/a.bundle", dir);
	bl_autofree char *unpack = bl_path(
		"zstd -dqc %s | tar -xO | sha256sum >/dev/null", bundle);
	const char *check_argv[] = { BENCH_BELAY, "check", content, NULL };
	const char *build_argv[] = { BENCH_BELAY, "bundle", "build", manifest,
				     "-o",	  bundle,   NULL };
	const char *verify_argv[] = { BENCH_BELAY, "bundle", "verify", bundle,
				      NULL };
	const char *unpack_argv[] = { "sh", "-c", unpack, NULL };
	bl_autobuf struct bl_buf object = { 0 };
	struct bl_err err = { 0 };

	bench_need(bl_file_read(BENCH_BUILD "/bpf/sensor.bpf.o", BL_OBJECT_MAX,
				&object, &err),
		   &err);
	put("manifest.json", manifest_text, sizeof(manifest_text) - 1);
	put("sensor.bpf.o", object.data, object.len);
	put("content.json", json->data, json->len);
	bench_compare(&(struct bench_pair){
		.what = "check CONTENT, 100,000 rules",
		.ours = bench_command,
		.ours_ctx = check_argv,
		.to_reach_ms = 5000,
		.turns = 5,
		.how = "belay check content.json, every rule looked up and judged, recordings played" });
	bench_compare(&(struct bench_pair){ .what = "build, 100,000 rules",
					    .ours = bench_command,
					    .ours_ctx = build_argv,
					    .turns = 5,
					    .how = "belay bundle build" });
	bench_compare(&(struct bench_pair){
		.what = "verify, 100,000 rules",
		.ours = bench_command,
		.ours_ctx = verify_argv,
		.peer = "zstd -d | tar -x | sha256sum",
		.theirs = bench_command,
		.theirs_ctx = unpack_argv,
		.turns = 5,
		.how = "the bundle just built; ours also compiles the content again and compares, the peer does not" });
}

static void bench_rules(unsigned count, const char *what, const char *memory,
			const char *fill, bool commands)
{
	bl_autobuf struct bl_buf json = { 0 };

	write_rules(count, &json);
	bench_add(&(struct bench_value){
		.what = memory,
		.unit = "MB",
		.better = "lower",
		.value = peak_mb(compile, &json),
		.how = "the most that a process has that holds the text and compiles it" });
	bench_compare(&(struct bench_pair){
		.what = what,
		.ours = compile,
		.ours_ctx = &json,
		.peer = "jansson reads the JSON",
		.theirs = read_json,
		.theirs_ctx = &json,
		.turns = 5,
		.how = "in process, from the text in memory; the peer makes a tree of values of it and nothing more" });
	bench_fill(fill, &json);
	if (commands)
		bench_commands(&json);
}

int main(int argc, char **argv)
{
	bench_open("content", argc, argv);
	dir = bench_work();
	bench_rules(100000, "compile, 100,000 rules", "memory, 100,000 rules",
		    "fill a map, 100,000 rules", true);
	bench_rules(1000000, "compile, 1,000,000 rules",
		    "memory, 1,000,000 rules", "fill a map, 1,000,000 rules",
		    false);
	return bench_close();
}
