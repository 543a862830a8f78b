/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an update costs one host: from staged to live, back again, the load, and
 * the agent at rest; what an exchange of kernel modules costs (where there are
 * headers of the kernel). One VM with a disk of its own for the journal; what
 * guest_host.c measures there, by the guest's clock.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/base/proc.h"
#include "loader/bundle/bundle.h"
#include "loader/host/host.h"
#include "loader/lab/vm.h"
#include "tests/bench/bench.h"

#define KERNEL	    "6.12"
#define TURNS	    5
#define REST_S	    "20"
#define SWAPS	    "4" /* whole updates under load, of each kind */
#define EXCHANGES   "8"
#define PACE	    "500" /* connects a second, meanwhile */
#define INDICATORS  100000
#define MEM_MIB	    1024
#define DEADLINE_MS (60 * 60 * 1000)
#define SAMPLES_MAX 1024

#define SWITCH_MS   50 /* to reach, with INDICATORS */
#define ROLLBACK_MS 100
#define AGENT_KIB   16384

static const struct {
	const char *key, *what, *unit;
	double to_reach;
	const char *how;
} rows[] = {
	{ "update_live_ms", "update: from staged to live", "ms", 0,
	  "another sensor and its content in the idle slot, then in use: journal write, switch of all hooks" },
	{ "content_live_ms", "content: from staged to live", "ms", SWITCH_MS,
	  "the same sensor with other 100,000 indicators" },
	{ "update_load_ms", "update: from begun to staged", "ms", 0,
	  "journal, load through the verifier, content, pins, dispatchers" },
	{ "content_load_ms", "content: from begun to staged", "ms", 0,
	  "the same with 100,000 indicators to fill in" },
	{ "rollback_ms", "rollback of a trial", "ms", ROLLBACK_MS,
	  "from the decision until the old version is alone: switch, journal, new one retired" },
	{ "ordered_ms", "rollback of what was committed", "ms", 0,
	  "belay rollback: the version before is loaded anew, then in use" },
	{ "agent_rss_kib", "agent at rest, resident", "KiB", AGENT_KIB,
	  "belay agent without a controller, VmRSS" },
	{ "agent_cpu_percent", "agent at rest, processor", "%", 0,
	  "of one CPU under emulation, its children included, over " REST_S
	  " s" },
};

static void put(const char *name, const struct bl_buf *b)
{
	bl_autofree char *path = bl_path("%s/%s", bench_work(), name);
	struct bl_err err = { 0 };

	bench_need(path ? bl_file_write(path, b->data, b->len, 0644, &err)
			: -ENOMEM,
		   &err);
}

/* @rules of them, and one that lets every exec be reported. */
static void write_content(const char *name, unsigned rules, char mark)
{
	bl_autobuf struct bl_buf b = { 0 };
	struct bl_err err = { 0 };
	int r = bl_buf_printf(
		&b,
		"{\"contract\": 1, \"default\": {\"exec\": \"emit\", \"open\": \"ignore\", \"connect\": \"emit\"}, \"rules\": [\n");

	for (unsigned i = 0; !r && i < rules; i++)
		r = bl_buf_printf(
			&b,
			"{\"event\": \"open\", \"path\": \"/srv/%c/%u/indicator-%u\", \"action\": \"emit\"}%s\n",
			mark, i % 97, i, i + 1 < rules ? "," : "]}");
	bench_need(r, &err);
	put(name, &b);
}

/* @kind: how the manifest names @object, "object": "%s" or the like. */
static void write_bundle_of(const char *kind, const char *name,
			    const char *object, const char *version,
			    unsigned rules)
{
	bl_autofree char *copy = bl_path("%s/code", bench_work());
	bl_autofree char *manifest = bl_path("%s/manifest.json", bench_work());
	bl_autofree char *out = bl_path("%s/%s", bench_work(), name);
	const char *argv[] = { BENCH_BELAY, "bundle", "build", manifest,
			       "-o",	    out,      NULL };
	bl_autobuf struct bl_buf bytes = { 0 };
	bl_autobuf struct bl_buf text = { 0 };
	struct bl_err err = { 0 };

	bench_need(copy && manifest && out ? 0 : -ENOMEM, &err);
	bench_need(bl_file_read(object, BL_OBJECT_MAX, &bytes, &err), &err);
	put("code", &bytes);
	write_content("content.json", rules, version[0]);
	bench_need(
		bl_buf_printf(
			&text,
			"{\"name\": \"sensor\", \"version\": \"%s\", %s, \"content\": \"content.json\"}\n",
			version, kind),
		&err);
	put("manifest.json", &text);
	bench_need(bench_command(argv, &err), &err);
}

static void write_bundle(const char *name, const char *object,
			 const char *version, unsigned rules)
{
	write_bundle_of("\"object\": \"code\"", name, object, version, rules);
}

/* The numbers behind "@@KEY " in @output. */
static unsigned samples(const char *output, const char *key,
			double ret[static SAMPLES_MAX])
{
	bl_autofree char *mark = bl_path("@@%s ", key);
	const char *at = output;
	unsigned n = 0;

	while (mark && n < SAMPLES_MAX && (at = strstr(at, mark))) {
		at += strlen(mark);
		ret[n++] = strtod(at, NULL);
	}
	return n;
}

static void report(const char *output, const char *release)
{
	static double values[SAMPLES_MAX];

	for (size_t i = 0; i < BL_ARRAY_SIZE(rows); i++) {
		unsigned n = samples(output, rows[i].key, values);
		bl_autofree char *what =
			bl_path("%s (%s)", rows[i].what, release);

		if (!n || !what)
			continue;
		bench_add(
			&(struct bench_value){ .what = what,
					       .unit = rows[i].unit,
					       .better = "lower",
					       .value = bench_median(values, n),
					       .to_reach = rows[i].to_reach,
					       .how = rows[i].how });
	}
}

static void run(const struct bl_kernel *kernel)
{
	static const char *const names[] = { "a.bundle", "b.bundle",
					     "big-a.bundle", "big-b.bundle" };
	bl_autofree char *disk_path = bl_path("%s/disk.img", bench_work());
	BL_CLEANUP(bl_vm_result_free) struct bl_vm_result res = { 0 };
	struct bl_vm_disk disk = { disk_path, BL_HOST_STATE_DIR };
	char turns[12], dst[4][32];
	const char *argv[] = { "/b/guest_host", turns,	REST_S, dst[0],
			       dst[1],		dst[2], dst[3], NULL };
	struct bl_vm_file files[5] = { { BENCH_BUILD "/tests/bench/guest_host",
					 "/b/guest_host" } };
	bl_autofree char *src[4] = { 0 };
	struct bl_err err = { 0 };
	struct bl_vm_spec spec = {
		.kernel = kernel,
		.name = "bench-host",
		.log_dir = bench_work(),
		.argv = argv,
		.files = files,
		.file_count = BL_ARRAY_SIZE(files),
		.mem_mib = MEM_MIB,
		.deadline_ms = DEADLINE_MS,
		.disks = &disk,
		.disk_count = 1,
		.output_fd = -1,
	};

	for (int i = 0; i < 4; i++) {
		src[i] = bl_path("%s/%s", bench_work(), names[i]);
		snprintf(dst[i], sizeof(dst[i]), "/b/%s", names[i]);
		files[i + 1] = (struct bl_vm_file){ src[i], dst[i] };
	}
	snprintf(turns, sizeof(turns), "%u", bench_runs(TURNS));
	fprintf(stderr, "one VM of %s, minutes\n", kernel->release);
	setenv("BELAY_GUEST_BINARY", BENCH_BELAY, 0);
	bench_need(bl_vm_run(&spec, &res, &err), &err);
	if (res.outcome != BL_VM_EXITED || res.exit_status ||
	    !strstr(bl_buf_str(&res.output), "@@end")) {
		bl_err_set(&err, -EIO, "the guest: %s %d %s\n%s",
			   bl_vm_outcome_name(res.outcome), res.exit_status,
			   res.reason, bl_buf_str(&res.output));
		bench_need(-EIO, &err);
	}
	report(bl_buf_str(&res.output), kernel->release);
}

/* One way of a swap, as host_loadswap tells it. */
struct gap {
	unsigned swaps;
	unsigned long long sent, rate, lost, doubled;
};

static struct gap gap_of(const char *output, const char *way)
{
	bl_autofree char *mark = bl_path("\n%s: ", way);
	const char *at = mark ? strstr(output, mark) : NULL;
	struct gap g = { 0 };
	struct bl_err err = { 0 };

	if (!at ||
	    sscanf(at + strlen(mark),
		   "%u swaps in %llu connects (%llu a second): %llu lost, %llu doubled",
		   &g.swaps, &g.sent, &g.rate, &g.lost, &g.doubled) != 5) {
		bl_err_set(&err, -EPROTO, "the guest says nothing of %s:\n%s",
			   way, output);
		bench_need(-EPROTO, &err);
	}
	return g;
}

/* What nobody saw while generations gave way to each other, under load. */
static void gaps(const struct bl_kernel *kernel)
{
	static const char script[] =
		"echo; /b/loadswap /b/sensor.bpf.o 20 \"$1\" 2 dispatch && /b/loadswap /b/sensor.bpf.o 20 \"$1\" 2 links";
	static const struct bl_vm_file files[] = {
		{ BENCH_BUILD "/bpf/sensor.bpf.o", "/b/sensor.bpf.o" },
		{ BENCH_BUILD "/tests/lab/host/host_loadswap", "/b/loadswap" },
	};
	BL_CLEANUP(bl_vm_result_free) struct bl_vm_result res = { 0 };
	bl_autofree char *what =
		bl_path("lost in a swap under load (%s)", kernel->release);
	const char *argv[] = { "sh", "-c", script, "sh", SWAPS, NULL };
	struct bl_vm_spec spec = { .kernel = kernel,
				   .name = "bench-host-gap",
				   .log_dir = bench_work(),
				   .argv = argv,
				   .files = files,
				   .file_count = BL_ARRAY_SIZE(files),
				   .deadline_ms = DEADLINE_MS,
				   .output_fd = -1 };
	struct bl_err err = { 0 };
	struct gap ours, theirs;
	const char *output;

	bench_need(what ? bl_vm_run(&spec, &res, &err) : -ENOMEM, &err);
	output = bl_buf_str(&res.output);
	ours = gap_of(output, "dispatch, whole updates");
	theirs = gap_of(output, "detach, then attach");
	bench_add(&(struct bench_value){
		.what = what,
		.unit = "events",
		.better = "lower",
		.value = (double)ours.lost / ours.swaps,
		.peer = "detach, then attach",
		.peer_value = (double)theirs.lost / theirs.swaps,
		.how = SWAPS
		" whole updates by dispatch against as many of the peer, two threads that connect all the time, every connect numbered" });
}

/* --- kernel modules -------------------------------------------------------- */

static char *build_module(const struct bl_kernel *kernel)
{
	const char *argv[] = { BENCH_SOURCE "/kmod/build", bench_work(),
			       kernel->release, NULL };
	struct bl_err err = { 0 };

	setenv("BELAY", BENCH_BELAY, 1);
	bench_need(bl_proc_check(argv, NULL, &err), &err);
	return bl_path("%s/%s/kmod/belay_sensor.ko", bench_work(),
		       kernel->release);
}

static void add_exchange(const char *output, const char *release)
{
	static const char mark[] = "exchange, whole updates: ";
	bl_autofree char *lost = bl_path(
		"lost in an exchange of modules under load (%s)", release);
	bl_autofree char *none = bl_path(
		"no sensor called in an exchange of modules (%s)", release);
	static const char how[] = EXCHANGES
		" whole updates of a module; a thread connects " PACE
		" times a second, every connect numbered; the clock counts instructions";
	const char *at = strstr(output, mark);
	unsigned long long sent = 0, all = 0;
	struct bl_err err = { 0 };
	unsigned swaps = 0;
	double ms = 0;

	if (!at ||
	    sscanf(at + strlen(mark),
		   "%u swaps in %llu connects (%*u a second): %llu lost, %*u doubled; none called for %lf ms",
		   &swaps, &sent, &all, &ms) != 4) {
		bl_err_set(&err, -EPROTO, "the guest says nothing of it:\n%s",
			   output);
		bench_need(-EPROTO, &err);
	}
	bench_add(&(struct bench_value){ .what = lost,
					 .unit = "events",
					 .better = "lower",
					 .value = (double)all / swaps,
					 .how = how });
	bench_add(&(struct bench_value){ .what = none,
					 .unit = "ms",
					 .better = "lower",
					 .value = ms,
					 .how = how });
}

/* One is out before the other is in: what that costs. By instructions, so that
 * what else this machine does is not in it. */
static void exchange(const struct bl_kernel *kernel)
{
	static const char modules[] = "\"modules\": [\"code\"]";
	bl_autofree char *ko = build_module(kernel);
	bl_autofree char *one = bl_path("%s/m1.bundle", bench_work());
	bl_autofree char *two = bl_path("%s/m2.bundle", bench_work());
	BL_CLEANUP(bl_vm_result_free) struct bl_vm_result res = { 0 };
	const struct bl_vm_file files[] = {
		{ one, "/b/m1.bundle" },
		{ two, "/b/m2.bundle" },
		{ BENCH_BUILD "/tests/lab/host/host_exchange", "/b/exchange" },
	};
	const char *argv[] = { "/b/exchange", "/b/m1.bundle", "/b/m2.bundle",
			       EXCHANGES,     PACE,	      NULL };
	struct bl_vm_spec spec = { .kernel = kernel,
				   .name = "bench-host-exchange",
				   .log_dir = bench_work(),
				   .argv = argv,
				   .files = files,
				   .file_count = BL_ARRAY_SIZE(files),
				   .icount = true,
				   .deadline_ms = DEADLINE_MS,
				   .output_fd = -1 };
	struct bl_err err = { 0 };

	bench_need(ko && one && two ? 0 : -ENOMEM, &err);
	write_bundle_of(modules, "m1.bundle", ko, "1", 100);
	write_bundle_of(modules, "m2.bundle", ko, "2", 100);
	bench_need(bl_vm_run(&spec, &res, &err), &err);
	add_exchange(bl_buf_str(&res.output), kernel->release);
}

int main(int argc, char **argv)
{
	BL_CLEANUP(bl_catalog_free) struct bl_catalog catalog = { 0 };
	static const char object[] = BENCH_BUILD "/bpf/sensor.bpf.o";
	static const char other[] = BENCH_BUILD "/bpf/sensor-v3.bpf.o";
	const struct bl_kernel *kernel;
	struct bl_err err = { 0 };

	bench_open("host", argc, argv);
	bench_need(bl_catalog_load(&catalog, &err), &err);
	bench_need(bl_catalog_pick(&catalog, bench_kernel(KERNEL), &kernel,
				   &err),
		   &err);
	write_bundle("a.bundle", object, "1", 100);
	write_bundle("b.bundle", other, "3", 100);
	write_bundle("big-a.bundle", object, "4", INDICATORS);
	write_bundle("big-b.bundle", object, "5", INDICATORS);
	run(kernel);
	gaps(kernel);
	if (kernel->headers_dir)
		exchange(kernel);
	return bench_close();
}
