/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/fake_kmod.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "bpf/event.h"
#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/object/modfile.h"

struct fake_kmod *fake_kmod_new(struct fake_kern *world)
{
	struct fake_kmod *fake = mmap(NULL, sizeof(*fake),
				      PROT_READ | PROT_WRITE,
				      MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (fake == MAP_FAILED)
		return NULL;
	fake->world = world;
	fake->lease_ms = UINT64_MAX;
	fake->facts.privileged = true;
	snprintf(fake->facts.release, sizeof(fake->facts.release),
		 FAKE_RELEASE);
	return fake;
}

void fake_kmod_free(struct fake_kmod *fake)
{
	munmap(fake, sizeof(*fake));
}

void fake_kmod_process_died(struct fake_kmod *fake)
{
	fake->readers = 0;
}

static void unloaded(struct fake_kmod *fake)
{
	fake->now = (struct bl_kmod_now){ 0 };
	fake->denies = fake->has_content = fake->timed = false;
	fake->seen = fake->read = 0;
	fake->lease_ms = UINT64_MAX;
}

void fake_kmod_reboot(struct fake_kmod *fake)
{
	fake->readers = 0;
	unloaded(fake);
}

static int step(struct fake_kmod *fake, const char *name, struct bl_err *err)
{
	int r = fake_kern_step(fake->world, name);

	fake->clock_us += 1000;
	return r ? bl_err_set(err, r, "injected: %s", name) : 0;
}

/* What its hooks saw since somebody looked last. */
static void settle(struct fake_kmod *fake)
{
	if (fake->now.armed && fake->has_content)
		fake->seen += fake->world->activity - fake->since;
	fake->since = fake->world->activity;
}

static uint64_t lost(const struct fake_kmod *fake)
{
	return strcmp(fake->now.tag, fake->lossy) != 0
		       ? 0
		       : fake->seen * fake->drops_of_8 / 8;
}

static void facts(void *ctx, struct bl_kmod_facts *ret)
{
	const struct fake_kmod *fake = ctx;

	*ret = fake->facts;
}

static int now(void *ctx, struct bl_kmod_now *ret, struct bl_err *err)
{
	struct fake_kmod *fake = ctx;
	int r = step(fake, "look for the module", err);

	if (!r)
		*ret = fake->now;
	return r;
}

static int load(void *ctx, const char *path, const char *params,
		struct bl_err *err)
{
	struct fake_kmod *fake = ctx;
	bl_autobuf struct bl_buf file = { 0 };
	struct bl_modfile m;
	int arm, denies, r = step(fake, "load the module", err);

	if (!r)
		r = bl_file_read(path, 1 << 20, &file, err);
	if (!r)
		r = bl_modfile_read(path, file.data, file.len, &m, err);
	if (r)
		return r;
	if (fake->now.loaded)
		return bl_err_set(err, -EEXIST, "loaded already");
	if (!bl_modfile_fits(&m, fake->facts.release))
		return bl_err_set(err, -ENOEXEC, "of another kernel");
	if (sscanf(params, "arm=%d generation=%u deny=%d", &arm,
		   &fake->now.generation, &denies) != 3)
		return bl_err_set(err, -EINVAL, "parameters: %s", params);
	fake->now.loaded = true;
	fake->now.armed = arm;
	fake->denies = denies;
	fake->since = fake->world->activity;
	memcpy(fake->now.tag, m.tag, sizeof(fake->now.tag));
	return 0;
}

static int unload(void *ctx, struct bl_err *err)
{
	struct fake_kmod *fake = ctx;
	int r = step(fake, "unload the module", err);

	if (r)
		return r;
	if (fake->readers || fake->busy) {
		fake->busy -= fake->busy > 0;
		return bl_err_set(err, -EBUSY, "somebody reads its events");
	}
	unloaded(fake);
	return 0;
}

static void holder(void *ctx, char ret[static BL_GUARD_WORDS_LEN])
{
	const struct fake_kmod *fake = ctx;

	snprintf(ret, BL_GUARD_WORDS_LEN, "%s", fake->holder);
}

static int content(void *ctx, const void *bin, size_t len, struct bl_err *err)
{
	struct fake_kmod *fake = ctx;
	int r = step(fake, "give content", err);

	if (r)
		return r;
	if (!bin || !len || !strcmp(fake->now.tag, fake->refuses))
		return bl_err_set(err, -EBADMSG, "it does not take it");
	fake->has_content = true;
	return 0;
}

static int arm(void *ctx, bool armed, struct bl_err *err)
{
	struct fake_kmod *fake = ctx;
	int r = step(fake, armed ? "hooks in" : "hooks out", err);

	if (r)
		return r;
	settle(fake);
	if (armed && !fake->has_content)
		fake->silent++;
	fake->now.armed = armed;
	return 0;
}

static int lease(void *ctx, uint64_t ms, struct bl_err *err)
{
	struct fake_kmod *fake = ctx;
	int r = step(fake, "renew the lease", err);

	if (!r)
		fake->lease_ms = ms;
	return r;
}

static int lease_left(void *ctx, uint64_t *ret_ms, struct bl_err *err)
{
	const struct fake_kmod *fake = ctx;

	(void)err;
	*ret_ms = fake->lease_ms;
	return 0;
}

static int time_hooks(void *ctx, bool on, struct bl_err *err)
{
	struct fake_kmod *fake = ctx;
	int r = step(fake, "time its hooks", err);

	if (!r)
		fake->timed = on;
	return r;
}

static int counts(void *ctx, struct bl_kmod_counts *ret, struct bl_err *err)
{
	struct fake_kmod *fake = ctx;
	int r = step(fake, "counters", err);

	if (r)
		return r;
	settle(fake);
	*ret = (struct bl_kmod_counts){
		.stats = { .seen = fake->seen,
			   .emitted = fake->seen - lost(fake),
			   .dropped = lost(fake) },
		.runs = fake->timed ? fake->seen : 0,
		.run_ns = fake->timed ? fake->seen * 1000 : 0,
		.memory_bytes = 1 << 20,
	};
	return 0;
}

static uint64_t slabs(void *ctx)
{
	const struct fake_kmod *fake = ctx;

	return FAKE_SLABS + fake->leaks * fake->seen;
}

static int open_reader(void *ctx, void **ret, struct bl_err *err)
{
	struct fake_kmod *fake = ctx;

	if (!fake->now.loaded)
		return bl_err_set(err, -ENOENT, "no device");
	if (fake->readers)
		return bl_err_set(err, -EBUSY, "somebody else reads");
	fake->readers++;
	*ret = fake;
	return 0;
}

static void close_reader(void *ctx, void *reader)
{
	struct fake_kmod *fake = ctx;

	(void)reader;
	fake->readers--;
}

static int read_events(void *ctx, void *reader, int timeout_ms, bl_event_fn fn,
		       void *fn_ctx, struct bl_err *err)
{
	struct fake_kmod *fake = ctx;
	uint64_t until;
	int count = 0;

	(void)reader;
	(void)timeout_ms;
	(void)err;
	settle(fake);
	until = fake->seen - lost(fake);
	while (fake->read < until) {
		struct bl_event e = { .size = sizeof(e),
				      .generation = fake->now.generation,
				      .ts_ns = ++fake->read };

		count++;
		if (fn(fn_ctx, &e, sizeof(e)))
			break;
	}
	return count;
}

static void say(void *ctx, const char *line)
{
	struct fake_kmod *fake = ctx;

	snprintf(fake->said, sizeof(fake->said), "%s", line);
}

static void stir(void *ctx)
{
	struct fake_kmod *fake = ctx;

	fake->stirred++;
	if (fake->now.loaded)
		fake->crowded++;
}

static uint64_t clock_us(void *ctx)
{
	const struct fake_kmod *fake = ctx;

	return fake->clock_us;
}

static void sleep_ms(void *ctx, unsigned ms)
{
	struct fake_kmod *fake = ctx;

	fake->clock_us += ms * 1000ULL;
}

const struct bl_kmod_kernel fake_kmod_kernel = {
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
