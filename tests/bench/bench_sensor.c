/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an event costs: the kernel module beside the eBPF sensor, behind belay's
 * dispatchers and without, on one kernel, in one VM, by turns. Two VMs: one
 * whose clock counts instructions, one that counts time. guest_sensor.c
 * measures there, sensor_report.c makes the table and the JSON of it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/base/proc.h"
#include "loader/bundle/content.h"
#include "loader/lab/vm.h"
#include "tests/bench/bench.h"
#include "tests/bench/sensor_native.h"
#include "tests/bench/sensor_ops.h"
#include "tests/bench/sensor_report.h"

#define KERNEL	     "6.1"
#define TURNS	     3
#define COUNT	     "400" /* of each operation, a turn */
#define NO_PEERS     "scripts/peers could not fetch or build it"
#define MEM_MIB	     2048 /* bpftrace brings a compiler */
#define DEADLINE_MS  (8 * 60 * 1000)
#define FILES_MAX    32
#define NATIVE_TURNS 9
#define PREFIX_EVERY 10 /* every tenth is a folder, a network, a short domain */
#define NAME_EVERY   5	/* one of five is for a name in any folder */

static struct bl_vm_file files[FILES_MAX];
static size_t file_count;

static char *copy_of(const char *text)
{
	struct bl_err err = { .text = "out of memory" };
	char *copy = strdup(text);

	bench_need(copy ? 0 : -ENOMEM, &err);
	return copy;
}

static void add_file(const char *src, const char *dst)
{
	files[file_count++] = (struct bl_vm_file){ copy_of(src), copy_of(dst) };
}

/* --- content -------------------------------------------------------------- */

static int add_path_rule(struct bl_buf *b, enum bl_event_kind kind, unsigned i)
{
	static const char *const usual[] = { "/var/tmp/", "/var/spool/",
					     "/dev/shm/", "/media/" };
	const char *event = bl_event_kind_name(kind);
	unsigned nth = i / PREFIX_EVERY;

	if (i % NAME_EVERY == NAME_EVERY - 1)
		return bl_buf_printf(
			b,
			"{\"event\": \"%s\", \"name\": \"indicator-%u\", \"action\": \"emit\"},\n",
			event, i);
	if (i % PREFIX_EVERY)
		return bl_buf_printf(
			b,
			"{\"event\": \"%s\", \"path\": \"/srv/site-%u/bin/indicator-%u\", \"action\": \"emit\"},\n",
			event, i % 97, i);
	if (nth < BL_ARRAY_SIZE(usual))
		return bl_buf_printf(
			b,
			"{\"event\": \"%s\", \"prefix\": \"%s\", \"action\": \"emit\"},\n",
			event, usual[nth]);
	return bl_buf_printf(
		b,
		"{\"event\": \"%s\", \"prefix\": \"/opt/vendor-%u/cache/\", \"action\": \"emit\"},\n",
		event, nth);
}

static int add_net_rule(struct bl_buf *b, unsigned i)
{
	unsigned len = i % PREFIX_EVERY ? 32 : 24;

	return bl_buf_printf(
		b,
		"{\"event\": \"connect\", \"address\": \"10.%u.%u.%u/%u\", \"action\": \"emit\"},\n",
		i >> 16 & 255, i >> 8 & 255, len == 32 ? i & 255 : 0, len);
}

static int add_domain_rule(struct bl_buf *b, unsigned i)
{
	if (i % PREFIX_EVERY)
		return bl_buf_printf(
			b,
			"{\"event\": \"dns\", \"domain\": \"host-%u.site-%u.example\", \"action\": \"emit\"},\n",
			i, i % 97);
	return bl_buf_printf(
		b,
		"{\"event\": \"dns\", \"domain\": \"vendor-%u.example\", \"action\": \"emit\"},\n",
		i);
}

/* @count rules, the last of which names the target that is to be emitted. */
static int add_rules(struct bl_buf *b, enum bl_event_kind kind, unsigned count)
{
	static const char *const key[BL_EVENT_KINDS] = { "path", "path",
							 "address", "domain" };
	bool net = kind == BL_EVENT_CONNECT;
	int r = 0;

	/* A /24 is there once: those of every tenth rule of 256. */
	for (unsigned i = 0, n = 1; !r && n < count; i++) {
		if (net && i % PREFIX_EVERY == 0 && i % 256 >= PREFIX_EVERY)
			continue;
		if (net)
			r = add_net_rule(b, i);
		else if (kind == BL_EVENT_DNS)
			r = add_domain_rule(b, i);
		else
			r = add_path_rule(b, kind, i);
		n++;
	}
	return r ? r
		 : bl_buf_printf(
			   b,
			   "{\"event\": \"%s\", \"%s\": \"%s\", \"action\": \"emit\"}",
			   bl_event_kind_name(kind), key[kind],
			   sensor_targets[kind][SENSOR_EMITTED]);
}

static void add_content(enum bl_event_kind kind, const char *which)
{
	unsigned count = (unsigned)atoi(which);
	const char *name = bl_event_kind_name(kind);
	bl_autofree char *path =
		bl_path("%s/%s-%s.bin", bench_work(), name, which);
	bl_autofree char *dst = bl_path("/c/%s-%s.bin", name, which);
	bl_autobuf struct bl_buf json = { 0 }, bin = { 0 };
	struct bl_content_info info;
	struct bl_err err = { .text = "out of memory" };
	int r = path && dst ? 0 : -ENOMEM;

	if (!r)
		r = bl_buf_printf(
			&json,
			"{\"contract\": 1, \"default\": {\"%s\": \"%s\"}, \"rules\": [\n",
			name, strcmp(which, "all") ? "ignore" : "emit");
	if (!r && count)
		r = add_rules(&json, kind, count);
	if (!r)
		r = bl_buf_printf(&json, "]}\n");
	if (!r)
		r = bl_content_compile("content", bl_buf_str(&json), json.len,
				       &bin, &info, &err);
	if (!r && info.rules != count)
		r = bl_err_set(&err, -EINVAL, "%u rules, not %u", info.rules,
			       count);
	if (!r)
		r = bl_file_write(path, bin.data, bin.len, 0644, &err);
	bench_need(r, &err);
	add_file(path, dst);
}

/* --- the VMs -------------------------------------------------------------- */

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

/* What scripts/peers left for this kernel; without, each is absent with a
 * reason. */
static void add_peers(const struct bl_kernel *kernel,
		      struct sensor_report *report)
{
	const char *dir = getenv("BENCH_PEERS");
	bl_autofree char *lib = bl_path("%s/lib", dir ? dir : "");
	bl_autofree char *bpftrace = bl_path("%s/bpftrace", dir ? dir : "");
	bl_autofree char *sysdig = bl_path("%s/sysdig", dir ? dir : "");
	bl_autofree char *scap =
		bl_path("%s/%s/scap.ko", dir ? dir : "", kernel->release);
	bl_autofree char *none =
		bl_path("%s/%s/scap.why", dir ? dir : "", kernel->release);
	bl_autobuf struct bl_buf why = { 0 };

	if (access(bpftrace, R_OK) == 0)
		add_file(bpftrace, "/p/bpftrace");
	else
		sensor_report_absent(report, "bpftrace", NO_PEERS);
	if (access(scap, R_OK) == 0 && access(sysdig, R_OK) == 0) {
		add_file(sysdig, "/p/sysdig");
		add_file(scap, "/p/scap.ko");
	} else if (bl_file_read(none, 4096, &why, NULL) == 0) {
		sensor_report_absent(report, "sysdig", bl_buf_str(&why));
	} else {
		sensor_report_absent(report, "sysdig", NO_PEERS);
	}
	/* Where the image looks for their libraries. */
	setenv("LD_LIBRARY_PATH", lib, 1);
}

static void run(const struct bl_kernel *kernel, enum sensor_clock clock,
		struct sensor_report *report)
{
	bool icount = clock == SENSOR_INSTRUCTIONS;
	BL_CLEANUP(bl_vm_result_free) struct bl_vm_result res = { 0 };
	char turns[12];
	const char *argv[] = {
		"/b/guest_sensor",    turns,	       COUNT, "/b/sensor.bpf.o",
		"/b/belay_sensor.ko", "/b/guest_exec", NULL
	};
	struct bl_err err = { 0 };
	const struct bl_vm_spec spec = {
		.kernel = kernel,
		.name = icount ? "bench-sensor-icount" : "bench-sensor-time",
		.log_dir = bench_work(),
		.argv = argv,
		.files = files,
		.file_count = file_count,
		.mem_mib = MEM_MIB,
		.deadline_ms = DEADLINE_MS,
		.icount = icount,
		.append = "nokaslr norandmaps",
		.output_fd = -1,
	};

	snprintf(turns, sizeof(turns), "%u", bench_runs(TURNS));
	fprintf(stderr, "one VM of %s that counts %s, minutes\n",
		kernel->release, icount ? "instructions" : "time");
	bench_need(bl_vm_run(&spec, &res, &err), &err);
	if (res.outcome != BL_VM_EXITED || res.exit_status) {
		bl_err_set(&err, -EIO, "the guest: %s %d %s\n%s",
			   bl_vm_outcome_name(res.outcome), res.exit_status,
			   res.reason, bl_buf_str(&res.output));
		bench_need(-EIO, &err);
	}
	bench_need(sensor_report_read(report, clock, bl_buf_str(&res.output),
				      &err),
		   &err);
}

int main(int argc, char **argv)
{
	static const char *const contents[] = { "0", "all", "100", "100000" };
	BL_CLEANUP(bl_catalog_free) struct bl_catalog catalog = { 0 };
	static struct sensor_report report;
	bl_autofree char *module = NULL;
	const struct bl_kernel *kernel;
	struct bl_err err = { 0 };

	bench_open("sensor", argc, argv);
	bench_need(bl_catalog_load(&catalog, &err), &err);
	bench_need(bl_catalog_pick(&catalog, bench_kernel(KERNEL), &kernel,
				   &err),
		   &err);
	setenv("BELAY_GUEST_BINARY", BENCH_BELAY, 0);
	module = build_module(kernel);
	add_file(BENCH_BUILD "/tests/bench/guest_sensor", "/b/guest_sensor");
	add_file(BENCH_BUILD "/tests/bench/guest_exec", "/b/guest_exec");
	add_file(BENCH_BUILD "/bpf/sensor.bpf.o", "/b/sensor.bpf.o");
	add_file(module, "/b/belay_sensor.ko");
	for (int k = 0; k < BL_EVENT_KINDS; k++)
		for (size_t i = 0; i < BL_ARRAY_SIZE(contents); i++)
			add_content((enum bl_event_kind)k, contents[i]);
	report.kernel = kernel->release;
	add_peers(kernel, &report);
	report.native = sensor_native_measure(bench_work(), NATIVE_TURNS);
	run(kernel, SENSOR_INSTRUCTIONS, &report);
	run(kernel, SENSOR_NS, &report);
	sensor_report_write(&report);
	return bench_close();
}
