/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bench/sensor_native.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/bundle/content.h"
#include "loader/kern/sensor.h"
#include "tests/bench/bench.h"
#include "tests/bench/sensor_ops.h"

#define OBJECT	    BENCH_BUILD "/tests/bench/native.bpf.o"
#define PROGRAM	    BENCH_BUILD "/tests/bench/guest_exec"
#define BATCH	    250 /* calls of getppid() */
#define BATCHES	    400
#define CALLS	    (BATCH * BATCHES)
#define EXECS	    400 /* a turn */
#define TURNS_MAX   64
#define NS_TO_REACH 70

static const char *const sizes[] = { "0", "100", "100000" };

#define SIZES BL_ARRAY_SIZE(sizes)

/* One way to be called. */
static const struct way {
	enum bl_event_kind kind;
	const char *program, *nothing; /* its names in native.bpf.c */
	const char *how;
} ways[] = {
	{ BL_EVENT_OPEN, "bl_native_open", "bl_native_no_open",
	  "what bl_open does, with the file of the running program, at the tracepoint sys_enter of getppid(): time of the calls, less that with a program that does nothing" },
	{ BL_EVENT_EXEC, "bl_exec", "bl_native_no_exec",
	  "bl_exec at its tracepoint, by the kernel's run time statistics, less that of a program that does nothing; an exec has just thrown the caches away" },
};

static char why[256];

/* --- one sensor ----------------------------------------------------------- */

struct loaded {
	struct bpf_object *object;
	struct bpf_link *link;
	int program;
};

static void unload(struct loaded *l)
{
	bpf_link__destroy(l->link);
	bpf_object__close(l->object);
	*l = (struct loaded){ 0 };
}

static int quiet(enum libbpf_print_level level, const char *format, va_list ap)
{
	(void)level;
	(void)format;
	(void)ap;
	return 0;
}

static int load(const char *name, const struct bl_buf *content,
		struct loaded *ret)
{
	struct bpf_program *p, *wanted = NULL;
	struct bl_err err = { 0 };
	int r;

	libbpf_set_print(quiet);
	ret->object = bpf_object__open_file(OBJECT, NULL);
	if (!ret->object)
		return bl_err_errno(&err, -errno, "open");
	bpf_object__for_each_program (p, ret->object) {
		bool it = strcmp(bpf_program__name(p), name) == 0;

		bpf_program__set_autoload(p, it);
		wanted = it ? p : wanted;
	}
	r = wanted ? bl_sensor_prepare(ret->object, name, 1, content->data,
				       content->len, &err)
		   : -ENOENT;
	if (!r)
		r = bpf_object__load(ret->object);
	if (!r)
		r = bl_sensor_fill(ret->object, content->data, &err);
	if (!r) {
		ret->link = bpf_program__attach(wanted);
		r = ret->link ? 0 : -errno;
	}
	if (!r)
		ret->program = bpf_program__fd(wanted);
	if (r)
		snprintf(why, sizeof(why), "the kernel refuses %s: %s", name,
			 strerror(-r));
	return r;
}

/* Of a sensor whose content reports nothing, a filtered event is what was
 * seen. */
static int filtered(const struct loaded *l, uint64_t *ret)
{
	struct bl_stats s = { 0 };
	struct bl_err err = { 0 };
	int fd = bpf_object__find_map_fd_by_name(l->object, BL_MAP_STATS);
	int r = bl_sensor_stats(fd, &s, &err);

	if (r || s.emitted || s.dropped || s.torn || s.denied)
		return -EIO;
	*ret = s.ignored;
	return 0;
}

/* --- time ----------------------------------------------------------------- */

static double now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* Batches are shorter than a turn of the scheduler; the lower quarter of them is
 * taken, as what comes on top is somebody else's. */
static double calls_ns(void)
{
	static double took[BATCHES];

	for (int batch = 0; batch < BATCHES; batch++) {
		double start = now_ns();

		for (int i = 0; i < BATCH; i++)
			syscall(SYS_getppid);
		took[batch] = (now_ns() - start) / BATCH;
	}
	bench_median(took, BATCHES); /* sorts */
	return took[BATCHES / 4];
}

/* What the kernel says that one run of it took. */
static double execs_ns(const struct loaded *l)
{
	struct bpf_prog_info info = { 0 };
	uint32_t len = sizeof(info);
	int stats = bpf_enable_stats(BPF_STATS_RUN_TIME);
	int r = stats < 0 ? -errno : sensor_ops_execs(PROGRAM, EXECS);

	if (!r)
		r = bpf_obj_get_info_by_fd(l->program, &info, &len);
	if (stats >= 0)
		close(stats);
	if (r || !info.run_cnt)
		return -1;
	return (double)info.run_time_ns / (double)info.run_cnt;
}

/* -errno, and why, when it cannot be. */
static int turn(const struct way *w, const char *name,
		const struct bl_buf *content, double *ret_ns)
{
	bool nothing = name == w->nothing;
	struct loaded l = { 0 };
	uint64_t events = 0;
	int r = load(name, content, &l);

	if (!r) {
		*ret_ns = w->kind == BL_EVENT_EXEC ? execs_ns(&l) : calls_ns();
		r = *ret_ns < 0 ? -EIO : filtered(&l, &events);
		if (!r && !nothing &&
		    events < (w->kind == BL_EVENT_EXEC ? EXECS : CALLS))
			r = -EIO;
		if (r)
			snprintf(why, sizeof(why),
				 "%s did not see the events, or reported some",
				 name);
	}
	unload(&l);
	return r;
}

/* --- all of it ------------------------------------------------------------ */

static json_t *not_measured(const struct way *w)
{
	return json_pack("{s:s, s:b, s:s}", "event",
			 bl_event_kind_name(w->kind), "measured", 0, "why",
			 why);
}

static int measure(const struct way *w, const char *work, unsigned turns,
		   double ret[SIZES])
{
	static double with[SIZES][TURNS_MAX], without[TURNS_MAX];
	struct bl_err err = { 0 };
	int r = 0;

	for (unsigned t = 0; !r && t < turns; t++)
		for (size_t i = 0; !r && i < SIZES; i++) {
			bl_autofree char *path =
				bl_path("%s/%s-%s.bin", work,
					bl_event_kind_name(w->kind), sizes[i]);
			bl_autobuf struct bl_buf content = { 0 };

			r = path ? bl_file_read(path, BL_CONTENT_BIN_MAX,
						&content, &err)
				 : -ENOMEM;
			if (!r && !i)
				r = turn(w, w->nothing, &content, &without[t]);
			if (!r)
				r = turn(w, w->program, &content, &with[i][t]);
		}
	for (size_t i = 0; !r && i < SIZES; i++)
		ret[i] = bench_median(with[i], turns) -
			 bench_median(without, turns);
	return r;
}

json_t *sensor_native_measure(const char *work, unsigned turns)
{
	json_t *cases = json_array();
	struct utsname name;

	if (!cases || uname(&name))
		return NULL;
	for (size_t i = 0; i < BL_ARRAY_SIZE(ways); i++) {
		const struct way *w = &ways[i];
		double ns[SIZES];

		if (measure(w, work, turns, ns)) {
			json_array_append_new(cases, not_measured(w));
			continue;
		}
		for (size_t k = 0; k < SIZES; k++)
			json_array_append_new(
				cases,
				json_pack("{s:s, s:b, s:i, s:f, s:s}", "event",
					  bl_event_kind_name(w->kind),
					  "measured", 1, "indicators",
					  atoi(sizes[k]), "ns", ns[k], "how",
					  w->how));
	}
	return json_pack("{s:s, s:i, s:o}", "kernel", name.release, "to_reach",
			 NS_TO_REACH, "cases", cases);
}
