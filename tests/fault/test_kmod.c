/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A host whose sensor is a kernel module, under faults: a step of the kernel (of
 * either kind) or of the update fails, or the process dies before it. Of the
 * steps every second is tried, with sanitizers every seventh, from another one
 * on in each scenario; BELAY_CRASH_STRIDE=1 tries them all. After one recovery
 * the host is at the old version or the new one, and nothing else of belay is in
 * the kernel. What does not hold for modules is I1: in an exchange, and after a
 * death in it until somebody recovers, none is in.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "tests/main.h"
#include "tests/support/snapshot.h"
#include "tests/support/twin_host.h"

#ifdef __SANITIZE_ADDRESS__
#define STRIDE 7
#else
#define STRIDE 2
#endif

#define NOTHING (-1)

static struct twin twin;
static struct bl_apply_result *told; /* by the process that acted */

static int apply(struct bl_host *h, int version, struct bl_err *err)
{
	return bl_host_apply(h, &twin.bundles[version], NULL, told, err);
}

static int m1(struct bl_host *h, struct bl_err *err)
{
	return apply(h, TWIN_M1, err);
}

static int m2(struct bl_host *h, struct bl_err *err)
{
	return apply(h, TWIN_M2, err);
}

/* It loses half of its events. */
static int m3_bad(struct bl_host *h, struct bl_err *err)
{
	memcpy(twin.kmod->lossy, TWIN_TAG(TWIN_M3), BL_KERN_TAG_LEN);
	twin.kmod->drops_of_8 = 4;
	return apply(h, TWIN_M3, err);
}

static int e1(struct bl_host *h, struct bl_err *err)
{
	return apply(h, TWIN_E1, err);
}

static int rollback(struct bl_host *h, struct bl_err *err)
{
	return bl_host_rollback(h, NULL, told, err);
}

static int recover(struct bl_host *h, struct bl_err *err)
{
	struct bl_recover_result rec;

	return bl_host_recover(h, &rec, err);
}

static const struct scenario {
	int (*before[2])(struct bl_host *h, struct bl_err *err);
	bool reboot;
	int (*action)(struct bl_host *h, struct bl_err *err);
	int old, new;
} scenarios[] = {
	{ { NULL }, false, m1, NOTHING, TWIN_M1 },
	{ { m1 }, false, m2, TWIN_M1, TWIN_M2 },
	{ { m1 }, false, m3_bad, TWIN_M1, TWIN_M1 },
	{ { m1, m2 }, false, rollback, TWIN_M2, TWIN_M1 },
	{ { m1 }, false, rollback, TWIN_M1, NOTHING },
	{ { m1 }, true, recover, TWIN_M1, TWIN_M1 },
	{ { e1 }, false, m1, TWIN_E1, TWIN_M1 },
	{ { m1 }, false, e1, TWIN_M1, TWIN_E1 },
	{ { e1 }, false, m3_bad, TWIN_E1, TWIN_E1 },
};

/* --- the begin of a scenario, again and again ------------------------------ */

static const char *const parts[] = { "module.ko", "content.bin", "record.json",
				     "tried" };
#define PARTS BL_ARRAY_SIZE(parts)

static struct {
	struct snapshot host;
	struct fake_kmod kmod;
	struct bl_buf part[BL_SLOT_COUNT][PARTS];
	bool there[BL_SLOT_COUNT][PARTS];
} begin;

static char *part_path(int slot, size_t i)
{
	return bl_path("%s/%s/%s", twin.module_dir, slot ? "b" : "a", parts[i]);
}

static struct snapshot_host snapshot_of(void)
{
	return (struct snapshot_host){ .fake = twin.kern,
				       .state_dir = twin.state_dir,
				       .bundles = twin.bundles,
				       .bundle_count = TWIN_VERSIONS };
}

static void keep_begin(void)
{
	struct snapshot_host h = snapshot_of();

	snapshot_take(&h, &begin.host);
	begin.kmod = *twin.kmod;
	for (int slot = 0; slot < BL_SLOT_COUNT; slot++)
		for (size_t i = 0; i < PARTS; i++) {
			bl_autofree char *path = part_path(slot, i);

			begin.there[slot][i] = !bl_file_read(
				path, 1 << 20, &begin.part[slot][i], NULL);
		}
}

static void write_part(int slot, size_t i)
{
	bl_autofree char *path = part_path(slot, i);
	bl_autofree char *dir =
		bl_path("%s/%s", twin.module_dir, slot ? "b" : "a");
	const struct bl_buf *b = &begin.part[slot][i];
	FILE *f;

	ck_assert_int_eq(bl_file_mkdirs(dir, 0700, NULL), 0);
	f = fopen(path, "w");
	ck_assert_ptr_nonnull(f);
	ck_assert_uint_eq(fwrite(bl_buf_str(b), 1, b->len, f), b->len);
	ck_assert_int_eq(fclose(f), 0);
}

static void back_to_begin(void)
{
	struct snapshot_host h = snapshot_of();

	snapshot_restore(&h, &begin.host);
	*twin.kmod = begin.kmod;
	ck_assert_int_eq(bl_file_rmtree(twin.module_dir, NULL), 0);
	for (int slot = 0; slot < BL_SLOT_COUNT; slot++)
		for (size_t i = 0; i < PARTS; i++)
			if (begin.there[slot][i])
				write_part(slot, i);
}

static void start(const struct scenario *s)
{
	struct bl_err err = { 0 };
	struct bl_host *h = twin_open(&twin);

	for (size_t i = 0; i < BL_ARRAY_SIZE(s->before) && s->before[i]; i++)
		ck_assert_msg(!s->before[i](h, &err), "%s", err.text);
	bl_host_close(h);
	if (s->reboot)
		twin_reboot(&twin);
	keep_begin();
}

/* --- what must hold -------------------------------------------------------- */

static bool is_live(const struct bl_host_status *s, int version)
{
	return version == NOTHING
		       ? !*s->live.digest
		       : !strcmp(s->live.digest, twin.bundles[version].digest);
}

static void check_kernel(const struct bl_host_status *s, int version)
{
	const struct fake_kmod *k = twin.kmod;
	bool module = version >= 0 && version != TWIN_E1;

	ck_assert_msg(version == NOTHING || s->healthy, "%s", s->problem);
	ck_assert(k->now.loaded == module);
	ck_assert(k->now.armed == module);
	if (module) {
		ck_assert(k->has_content);
		ck_assert_str_eq(k->now.tag, TWIN_TAG(version));
		ck_assert_uint_eq(k->now.generation, s->live.number);
	}
	for (int i = 0; i < BL_SLOT_COUNT; i++) {
		bool lives = version == TWIN_E1 && (int)s->slot == i;

		ck_assert(fake_slot_empty(&twin.kern->slot[i]) == !lives);
		if (version == NOTHING || (int)s->slot != i)
			ck_assert_int_eq(s->slots[i].kind, BL_KERN_SLOT_EMPTY);
	}
	ck_assert_uint_eq(k->silent, 0);
	ck_assert_uint_eq(k->crowded, 0);
}

/* One recovery brings it to old or new, and a second one finds nothing. */
static int check_recovers(const struct scenario *s)
{
	struct bl_recover_result rec;
	struct bl_host_status status;
	struct bl_err err = { 0 };
	struct bl_host *h;
	int version;

	fake_kern_calm(twin.kern);
	h = twin_open(&twin);
	ck_assert_msg(!bl_host_recover(h, &rec, &err), "%s", err.text);
	ck_assert_msg(rec.outcome != BL_RECOVER_BARE, "%s", rec.reason);
	ck_assert_int_eq(bl_host_recover(h, &rec, &err), 0);
	ck_assert_int_eq(rec.outcome, BL_RECOVER_NOTHING);
	ck_assert_msg(!bl_host_status(h, &status, &err), "%s", err.text);
	version = is_live(&status, s->new) ? s->new : s->old;
	ck_assert(is_live(&status, version));
	check_kernel(&status, version);
	bl_host_close(h);
	return version;
}

/* The action in a process of its own. Whether it lived to its end. */
static bool run(const struct scenario *s)
{
	int status;
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (!pid) {
		struct bl_host *h = twin_open(&twin);

		s->action(h, NULL);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	ck_assert_msg(!WEXITSTATUS(status) || WEXITSTATUS(status) == FAKE_DIED,
		      "status %d", WEXITSTATUS(status));
	fake_kern_process_died(twin.kern);
	fake_kmod_process_died(twin.kmod);
	return !WEXITSTATUS(status);
}

static void set_up(void)
{
	twin_set_up(&twin);
	told = mmap(NULL, sizeof(*told), PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert(told != MAP_FAILED);
}

static void tear_down(void)
{
	snapshot_free(&begin.host);
	for (int slot = 0; slot < BL_SLOT_COUNT; slot++)
		for (size_t i = 0; i < PARTS; i++)
			bl_buf_free(&begin.part[slot][i]);
	munmap(told, sizeof(*told));
	twin_tear_down(&twin);
}

static unsigned stride(void)
{
	const char *text = getenv("BELAY_CRASH_STRIDE");
	unsigned n = text ? (unsigned)strtoul(text, NULL, 10) : STRIDE;

	return n ? n : 1;
}

/* Where the sweep of a scenario begins: each has other steps. */
static unsigned first_step(int sweep)
{
	return (unsigned)sweep % stride() + 1;
}

START_TEST(a_failing_step_leads_to_old_or_new)
{
	const struct scenario *s = &scenarios[_i];
	unsigned n;

	start(s);
	for (n = first_step(_i);; n += stride()) {
		bool failed;

		back_to_begin();
		twin.kern->fail_at = n;
		ck_assert(run(s));
		failed = *twin.kern->failed_step;
		check_recovers(s);
		if (!failed)
			break;
	}
	ck_assert_uint_gt(n, 4);
}
END_TEST

START_TEST(a_death_at_a_step_leads_to_old_or_new)
{
	const struct scenario *s = &scenarios[_i];
	bool old = false, new = false;
	unsigned n;

	start(s);
	for (n = first_step(_i + 1);; n += stride()) {
		bool lived;
		int version;

		back_to_begin();
		twin.kern->die_at = n;
		lived = run(s);
		version = check_recovers(s);
		old |= version == s->old;
		new |= version == s->new;
		if (lived)
			break;
	}
	/* Further apart, they may all lie on one side of the commit. */
	if (stride() <= 2)
		ck_assert(old && new);
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *s = suite_create("kmod");
	TCase *t = tcase_create("faults");
	int count = (int)BL_ARRAY_SIZE(scenarios);

	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_add_loop_test(t, a_failing_step_leads_to_old_or_new, 0, count);
	tcase_add_loop_test(t, a_death_at_a_step_leads_to_old_or_new, 0, count);
	suite_add_tcase(s, t);
	return s;
}
