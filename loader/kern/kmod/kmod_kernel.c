/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/kern/kmod/kmod_kernel.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "kmod/abi.h"
#include "loader/base/cleanup.h"
#include "loader/base/clock.h"
#include "loader/base/file.h"
#include "loader/kern/exercise.h"
#include "loader/kern/kmod/kmod.h"
#include "loader/kern/kmod/kmod_ring.h"

#define MODULE	    "/sys/module/" BL_KMOD_NAME
#define VMALLOCINFO "/proc/vmallocinfo"
#define OWNER	    "[" BL_KMOD_NAME "]" /* in the name of a function */

static void facts(void *ctx, struct bl_kmod_facts *ret)
{
	(void)ctx;
	bl_kmod_facts_of(NULL, ret);
}

/* 0 for what is not there: another module of its name need not have it. */
static uint64_t number(const char *path)
{
	bl_autobuf struct bl_buf text = { 0 };
	unsigned long long v = 0;

	if (!bl_file_read(path, 64, &text, NULL))
		sscanf(bl_buf_str(&text), "%llu", &v);
	return v;
}

/* As the kernel keeps it; "" if it does not. */
static void tag(char ret[static BL_KERN_TAG_LEN])
{
	bl_autobuf struct bl_buf note = { 0 };
	const size_t id = sizeof(Elf64_Nhdr) + 4; /* behind "GNU" */

	*ret = 0;
	if (bl_file_read(MODULE "/notes/.note.gnu.build-id", 256, &note,
			 NULL) ||
	    note.len < id + (BL_KERN_TAG_LEN - 1) / 2)
		return;
	for (size_t i = 0; i < (BL_KERN_TAG_LEN - 1) / 2; i++)
		snprintf(ret + 2 * i, 3, "%02x",
			 (unsigned char)note.data[id + i]);
}

static int now(void *ctx, struct bl_kmod_now *ret, struct bl_err *err)
{
	struct bl_kmod_now n = { .loaded = bl_kmod_loaded() };

	(void)ctx;
	(void)err;
	if (n.loaded) {
		n.generation =
			(uint32_t)number(MODULE "/parameters/generation");
		n.armed = number(BL_KMOD_SYSFS "/armed") == 1;
		tag(n.tag);
	}
	*ret = n;
	return 0;
}

static int load(void *ctx, const char *path, const char *params,
		struct bl_err *err)
{
	(void)ctx;
	return bl_kmod_load(path, params, err);
}

static int unload(void *ctx, struct bl_err *err)
{
	(void)ctx;
	return bl_kmod_unload(err);
}

static void holder(void *ctx, char ret[static BL_GUARD_WORDS_LEN])
{
	(void)ctx;
	bl_guard_holder(BL_KMOD_NAME, ret);
}

static int content(void *ctx, const void *bin, size_t len, struct bl_err *err)
{
	(void)ctx;
	return bl_kmod_content(bin, len, err);
}

static int arm(void *ctx, bool armed, struct bl_err *err)
{
	(void)ctx;
	return bl_kmod_arm(armed, err);
}

static int lease(void *ctx, uint64_t ms, struct bl_err *err)
{
	(void)ctx;
	return bl_kmod_lease(ms, err);
}

static int lease_left(void *ctx, uint64_t *ret_ms, struct bl_err *err)
{
	(void)ctx;
	return bl_kmod_lease_left(ret_ms, err);
}

static int time_hooks(void *ctx, bool on, struct bl_err *err)
{
	(void)ctx;
	return bl_kmod_time(on, err);
}

/* Areas that functions of the module asked for: its rings, large content, and
 * whatever else it took. What it takes of the slab allocator the kernel does not
 * tell apart. */
static uint64_t vmalloc_bytes(void)
{
	bl_autofclose FILE *f = fopen(VMALLOCINFO, "re");
	uint64_t sum = 0;
	char line[512];

	while (f && fgets(line, sizeof(line), f)) {
		unsigned long long bytes;

		/* "0x…-0x…   12288 cpu_make+0x4e/0xa0 [belay_sensor] pages=…" */
		if (strstr(line, OWNER) &&
		    sscanf(line, "%*s %llu", &bytes) == 1)
			sum += bytes;
	}
	return sum;
}

static int counts(void *ctx, struct bl_kmod_counts *ret, struct bl_err *err)
{
	struct bl_kmod_counts c = { 0 };
	int r = bl_kmod_stats(&c.stats, err);

	(void)ctx;
	if (!r)
		r = bl_kmod_times(&c.runs, &c.run_ns, err);
	if (r)
		return r;
	c.memory_bytes = number(MODULE "/coresize") + vmalloc_bytes();
	*ret = c;
	return 0;
}

static uint64_t slabs(void *ctx)
{
	bl_autofclose FILE *f = fopen("/proc/meminfo", "re");
	unsigned long long kib = 0;
	char line[128];

	(void)ctx;
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "SUnreclaim: %llu kB", &kib) == 1)
			break;
	return kib * 1024;
}

static int open_reader(void *ctx, void **ret, struct bl_err *err)
{
	struct bl_kmod_reader *reader;
	int r = bl_kmod_reader_open(&reader, err);

	(void)ctx;
	if (!r)
		*ret = reader;
	return r;
}

static void close_reader(void *ctx, void *reader)
{
	(void)ctx;
	bl_kmod_reader_close(reader);
}

static int read_events(void *ctx, void *reader, int timeout_ms, bl_event_fn fn,
		       void *fn_ctx, struct bl_err *err)
{
	(void)ctx;
	return bl_kmod_reader_events(reader, timeout_ms, fn, fn_ctx, err);
}

static void say(void *ctx, const char *line)
{
	bl_autoclose int fd = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);

	(void)ctx;
	/* For whoever reads a crash: that it cannot be said ends nothing. */
	if (fd >= 0)
		(void)!write(fd, line, strlen(line));
}

static void stir(void *ctx)
{
	(void)ctx;
	bl_exercise(NULL);
}

static uint64_t clock_us(void *ctx)
{
	struct timespec t;

	(void)ctx;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void sleep_ms(void *ctx, unsigned ms)
{
	(void)ctx;
	bl_clock_sleep_ms(ms);
}

const struct bl_kmod_kernel bl_kmod_this = {
	.facts = facts,
	.now = now,
	.load = load,
	.unload = unload,
	.holder = holder,
	.content = content,
	.arm = arm,
	.lease = lease,
	.lease_left = lease_left,
	.time = time_hooks,
	.counts = counts,
	.slabs = slabs,
	.open = open_reader,
	.close = close_reader,
	.read = read_events,
	.say = say,
	.stir = stir,
	.clock_us = clock_us,
	.sleep_ms = sleep_ms,
};
