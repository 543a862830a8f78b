/* SPDX-License-Identifier: Apache-2.0 */
#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/lab/guest/probe.h"

/*
 * Threads that open, each, a file of its own: every event must carry the path
 * of the thread that caused it, and every operation must be accounted for. With
 * preempt=full on one processor they interrupt each other inside the sensor.
 */
#define STRESS_THREADS 6
#define STRESS_OPENS   3000
static struct {
	pthread_t thread;
	char path[200];
	uint32_t tid;
	unsigned seen;
} stress[STRESS_THREADS];
static unsigned wrong, finished;

static void *stress_thread(void *arg)
{
	unsigned n = (uintptr_t)arg, i;

	__atomic_store_n(&stress[n].tid, syscall(SYS_gettid), __ATOMIC_RELEASE);
	for (i = 0; i < STRESS_OPENS; i++)
		close(open(stress[n].path, O_RDONLY | O_CLOEXEC));
	__atomic_add_fetch(&finished, 1, __ATOMIC_RELEASE);
	return NULL;
}

static int on_stress(void *ctx, void *data, size_t len)
{
	const struct bl_event *e = data;
	unsigned i;

	(void)ctx;
	if (!bl_event_ok(data, len))
		wrong++;
	if (e->kind != BL_EVENT_OPEN)
		return 0;
	for (i = 0; i < STRESS_THREADS; i++)
		if (__atomic_load_n(&stress[i].tid, __ATOMIC_ACQUIRE) == e->pid)
			break;
	if (i == STRESS_THREADS)
		return 0;
	if (strcmp(e->path.path, stress[i].path) != 0)
		wrong++;
	stress[i].seen++;
	return 0;
}

/* Each a path of another depth and length: "/t/b-123456/…". */
static void make_file(unsigned n)
{
	char *path = stress[n].path;
	unsigned depth;

	strcpy(path, "/t");
	for (depth = 0; depth < 3 + n; depth++) {
		sprintf(path + strlen(path), "/%c-%.*s", 'a' + n, 5 + (int)n,
			"0123456789");
		MUST(!mkdir(path, 0755));
	}
	strcat(path, "/file");
	MUST(!touch(path));
}

static uint64_t misses(const char *program)
{
	struct bpf_prog_info info = { 0 };
	uint32_t len = sizeof(info);
	struct bpf_program *prog;

	prog = bpf_object__find_program_by_name(obj, program);
	MUST(prog &&
	     !bpf_obj_get_info_by_fd(bpf_program__fd(prog), &info, &len));
	return info.recursion_misses;
}

int stress_mode(const char *path)
{
	const unsigned opens = STRESS_THREADS * STRESS_OPENS;
	unsigned i, total = 0;
	uint64_t skipped;
	struct bl_stats s;

	MUST(!mkdir("/t", 0755) || errno == EEXIST);
	MUST(!mount("t", "/t", "tmpfs", 0, NULL));
	for (i = 0; i < STRESS_THREADS; i++)
		make_file(i);
	start(path, true, on_stress);
	for (i = 0; i < STRESS_THREADS; i++)
		MUST(!pthread_create(&stress[i].thread, NULL, stress_thread,
				     (void *)(uintptr_t)i));
	while (__atomic_load_n(&finished, __ATOMIC_ACQUIRE) < STRESS_THREADS)
		ring_buffer__poll(ring, 50);
	for (i = 0; i < STRESS_THREADS; i++)
		pthread_join(stress[i].thread, NULL);
	drain();
	s = stats();
	for (i = 0; i < STRESS_THREADS; i++)
		total += stress[i].seen;
	skipped = misses("bl_open");
	printf("stress: %u events of %u opens, %u wrong, skipped %lu; seen %llu emitted %llu ignored %llu dropped %llu torn %llu\n",
	       total, opens, wrong, skipped, s.seen, s.emitted, s.ignored,
	       s.dropped, s.torn);
	CHECK(!wrong);
	CHECK(total <= opens);
	/* The kernel skips a program in which another task was preempted. */
	CHECK(total + s.dropped + s.torn + skipped >= opens);
	/* None is seen that is not accounted for. */
	CHECK(s.seen == s.emitted + s.ignored + s.dropped + s.torn);
	return 0;
}
