/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A host transaction under every fault: each step of the kernel and of the
 * database fails once; the process dies before each step; the host goes down
 * before each step; recovery itself dies before each of its steps. After each,
 * I1 to I5 (loader/host/slot.h) must hold.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/host/host.h"
#include "loader/host/journal.h"
#include "tests/main.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fake_kern.h"
#include "tests/support/fake_vfs.h"
#include "tests/support/snapshot.h"

enum { V1, V2, V3, VERSIONS };

/* A process with the address sanitizer takes ten times as long to fork. What
 * that run is for are errors of memory, and every few steps show them. */
#ifdef __SANITIZE_ADDRESS__
#define STRIDE 6
#else
#define STRIDE 1
#endif

/* What a child did, for its parent. */
struct report {
	int code; /* of the call */
	struct bl_apply_result result;
	char text[512];
};

static struct fake_kern *fake;
static struct report *report;
static char dir[64], state_dir[96];
static struct bl_bundle bundles[VERSIONS];

static struct bl_host *host(void)
{
	struct bl_host_config config = { .state_dir = state_dir,
					 .ops = &fake_kern_ops,
					 .kern = fake,
					 .clock = &fake_clock };
	struct bl_host *h = NULL;
	struct bl_err err = { 0 };

	if (bl_host_open(&config, &h, &err))
		snprintf(report->text, sizeof(report->text), "%.500s",
			 err.text);
	return h;
}

static struct bl_journal *journal(void)
{
	bl_autofree char *path = bl_path("%s/journal.db", state_dir);
	struct bl_journal *j = NULL;

	return bl_journal_open(path, &j, NULL) ? NULL : j;
}

static void write_text(const char *name, const char *text)
{
	bl_autofree char *path = bl_path("%s/%s", dir, name);

	ck_assert_int_eq(bl_file_write(path, text, strlen(text), 0600, NULL),
			 0);
}

static void make_bundle(int version)
{
	bl_autofree char *manifest = bl_path("%s/manifest.json", dir);
	struct bl_err err = { 0 };
	char text[256];

	snprintf(text, sizeof(text), "object of version %d", version + 1);
	write_text("fake.bpf.o", text);
	snprintf(text, sizeof(text),
		 "{\"name\":\"fake\",\"version\":\"%d\","
		 "\"object\":\"fake.bpf.o\","
		 "\"trial\":{\"probation_ms\":500,\"max_drop_ratio\":0.01,"
		 "\"max_ns_per_event\":100000,\"min_events\":1}}",
		 version + 1);
	write_text("manifest.json", text);
	if (bl_bundle_build(manifest, &bundles[version], &err))
		ck_abort_msg("%s", err.text);
}

/*
 * What must hold at every instant, asked after every step of the kernel, in
 * the process that takes the step. The fake is quiet meanwhile.
 */
static void violated(const char *invariant, const char *step)
{
	if (!*fake->violation)
		snprintf(fake->violation, sizeof(fake->violation),
			 "%s does not hold after '%s' (step %u)", invariant,
			 step, fake->step);
}

static void watch_slot(struct bl_journal *j, const struct fake_slot *s,
		       const char *step)
{
	bl_autobuf struct bl_buf tags = { 0 };
	struct bl_journal_txn t;

	if (fake_slot_empty(s))
		return;
	if (bl_journal_get(j, s->programs_of, &t, NULL) != 1) {
		violated("I2 (intent is durable before the kernel changes)",
			 step);
		return;
	}
	if (!fake_slot_live(s))
		return;
	bl_journal_tags(j, t.row.id, &tags, NULL);
	if (!strstr(bl_buf_str(&tags), s->tag))
		violated("I2 (tags are durable before anything is attached)",
			 step);
	if (s->programs_of != s->content_of)
		violated("I4 (no programs with content of another generation)",
			 step);
	if (t.kind == BL_TXN_APPLY && !t.row.attempt)
		violated("I5 (an attempt is counted before it is made)", step);
	if (t.kind != BL_TXN_APPLY && t.row.attempt)
		violated("I5 (only a trial is an attempt)", step);
}

/* I1: whatever the journal calls live is whole in the kernel. Watched while
 * a host that had something keeps something. */
static bool watch_live;

static void watch(struct fake_kern *f, const char *step)
{
	static struct bl_journal *j; /* of this process, to its end */
	struct bl_journal_txn live;

	if (!j)
		j = journal();

	if (!j) {
		violated("the journal can be read", step);
		return;
	}
	for (int i = 0; i < BL_SLOT_COUNT; i++)
		watch_slot(j, &f->slot[i], step);
	if (watch_live && (bl_journal_live(j, &live, NULL) != 1 ||
			   !fake_slot_whole(&f->slot[live.row.slot]) ||
			   f->slot[live.row.slot].links != FAKE_PROGRAMS))
		violated("I1 (a known-good generation is attached)", step);
}

typedef int (*action_fn)(struct bl_host *h, struct bl_apply_result *ret,
			 struct bl_err *err);

/* Runs @action in a process of its own. Whether it lived to its end. */
static bool run(action_fn action)
{
	int status;
	pid_t pid;

	*report = (struct report){ 0 };
	pid = fork();
	if (!pid) {
		struct bl_err err = { 0 };
		struct bl_host *h = host();

		report->code = h ? action(h, &report->result, &err) : -EIO;
		if (*err.text)
			snprintf(report->text, sizeof(report->text), "%.500s",
				 err.text);
		bl_host_close(h);
		_exit(0);
	}
	ck_assert_int_gt(pid, 0);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	fake_kern_process_died(fake);
	ck_assert_msg(WIFEXITED(status) && (WEXITSTATUS(status) == 0 ||
					    WEXITSTATUS(status) == FAKE_DIED),
		      "the child ended with status %#x", status);
	if (*fake->violation)
		ck_abort_msg("%s", fake->violation);
	return WEXITSTATUS(status) == 0;
}

static int apply(struct bl_host *h, int version, struct bl_apply_result *ret,
		 struct bl_err *err)
{
	return bl_host_apply(h, &bundles[version], NULL, ret, err);
}

static int apply_v1(struct bl_host *h, struct bl_apply_result *ret,
		    struct bl_err *err)
{
	return apply(h, V1, ret, err);
}

static int apply_v2(struct bl_host *h, struct bl_apply_result *ret,
		    struct bl_err *err)
{
	return apply(h, V2, ret, err);
}

static int apply_v3(struct bl_host *h, struct bl_apply_result *ret,
		    struct bl_err *err)
{
	return apply(h, V3, ret, err);
}

/* It loses most of its events. */
static int apply_v2_bad(struct bl_host *h, struct bl_apply_result *ret,
			struct bl_err *err)
{
	fake->drops_per_probe = 100;
	return apply(h, V2, ret, err);
}

static int rollback(struct bl_host *h, struct bl_apply_result *ret,
		    struct bl_err *err)
{
	return bl_host_rollback(h, "ordered by the test", ret, err);
}

static int recover(struct bl_host *h, struct bl_apply_result *ret,
		   struct bl_err *err)
{
	struct bl_recover_result rec = { 0 };
	int r = bl_host_recover(h, &rec, err);

	if (!r && rec.outcome == BL_RECOVER_BARE)
		return bl_err_set(err, -EIO, "bare: %s", rec.reason);
	ret->txn = rec.txn;
	ret->tombstoned = rec.tombstoned;
	return r;
}

struct scenario {
	const char *name;
	action_fn before[2]; /* make the start, from an empty host */
	bool reboot;	     /* and then the host is rebooted */
	action_fn action;
	/* Versions that may be live afterwards: -1 is nothing. */
	int old, new;
};

static const struct scenario scenarios[] = {
	{ "the first apply", { NULL }, false, apply_v1, -1, V1 },
	{ "an update", { apply_v1 }, false, apply_v2, V1, V2 },
	{ "an update that fails its trial",
	  { apply_v1 },
	  false,
	  apply_v2_bad,
	  V1,
	  V1 },
	{ "a rollback", { apply_v1, apply_v2 }, false, rollback, V2, V1 },
	{ "a rollback to nothing", { apply_v1 }, false, rollback, V1, -1 },
	{ "a restore after a reboot", { apply_v1 }, true, recover, V1, V1 },
	{ "an update after a reboot", { apply_v1 }, true, apply_v2, V1, V2 },
};

static struct snapshot_host here;
static struct snapshot begin; /* the start of the scenario */

static void start(const struct scenario *s)
{
	watch_live = false;
	memset(fake->slot, 0, sizeof(fake->slot));
	ck_assert_int_eq(bl_file_rmtree(state_dir, NULL), 0);
	ck_assert_int_eq(bl_file_mkdirs(state_dir, 0700, NULL), 0);
	fake_kern_calm(fake);
	for (int i = 0; i < 2 && s->before[i]; i++) {
		ck_assert(run(s->before[i]));
		ck_assert_msg(!report->code, "%s", report->text);
		ck_assert_int_eq(report->result.outcome, BL_APPLY_COMMITTED);
		fake_kern_calm(fake);
	}
	if (s->reboot)
		fake_kern_reboot(fake);
	snapshot_take(&here, &begin);
	watch_live = s->old >= 0 && s->new >= 0 && !s->reboot;
}

static int live_version(struct bl_journal_txn *ret)
{
	struct bl_journal *j = journal();
	int r, version = -1;

	ck_assert_ptr_nonnull(j);
	r = bl_journal_live(j, ret, NULL);
	ck_assert_int_ge(r, 0);
	for (int i = 0; r && i < VERSIONS; i++)
		if (!strcmp(ret->row.digest, bundles[i].digest))
			version = i;
	ck_assert_msg(!r || version >= 0, "an unknown digest is live");
	bl_journal_close(j);
	return version;
}

/*
 * I4: old or new, complete, and nothing else in the kernel; and the journal
 * says the same. Returns the version.
 */
static int check_old_or_new(const struct scenario *s)
{
	struct bl_journal_txn live = { 0 };
	int version = live_version(&live);

	ck_assert_msg(version == s->old || version == s->new,
		      "I4: version %d is live after step %u", version + 1,
		      fake->step);
	for (int i = 0; i < BL_SLOT_COUNT; i++) {
		const struct fake_slot *slot = &fake->slot[i];

		if (version < 0 || live.row.slot != (enum bl_slot)i) {
			ck_assert_msg(fake_slot_empty(slot),
				      "I4: something is left in slot %d", i);
			continue;
		}
		ck_assert_msg(fake_slot_whole(slot) &&
				      slot->links == FAKE_PROGRAMS,
			      "I4: the live generation is not whole");
		ck_assert_msg(
			slot->programs_of == live.row.id,
			"I4: the kernel has another generation than the journal");
	}
	return version;
}

/* After any fault: one recovery brings the host to old or new, and a second
 * one finds nothing to do (I3). */
static int check_recovery(const struct scenario *s)
{
	struct fake_slot after[BL_SLOT_COUNT];
	int version;

	ck_assert(run(recover));
	ck_assert_msg(!report->code, "I3: recover: %s", report->text);
	version = check_old_or_new(s);
	memcpy(after, fake->slot, sizeof(after));
	ck_assert(run(recover));
	ck_assert_msg(!report->code && !report->result.txn,
		      "I3: a second recovery found something to do");
	ck_assert_msg(!memcmp(after, fake->slot, sizeof(after)),
		      "I3: a second recovery changed the kernel");
	return version;
}

/* The host is not stuck: something good can still be applied. */
static void check_usable(void)
{
	fake_kern_calm(fake);
	fake->drops_per_probe = 0;
	ck_assert(run(apply_v3));
	ck_assert_msg(!report->code, "%s", report->text);
	ck_assert_msg(report->result.outcome == BL_APPLY_COMMITTED, "%s",
		      report->result.reason);
}

static void check_failures(const struct scenario *s, bool sticky)
{
	unsigned n;

	start(s);
	for (n = 1;; n += STRIDE) {
		int version;

		snapshot_restore(&here, &begin);
		fake->fail_at = n;
		fake->sticky = sticky;
		fake->watch = watch;
		ck_assert_msg(run(s->action), "%s, step %u", s->name, n);
		if (!*fake->failed_step)
			break;
		/* What the call says is what happened. */
		if (s->action != recover && !report->code) {
			struct bl_journal_txn live;

			version = live_version(&live);
			if (report->result.outcome == BL_APPLY_COMMITTED)
				ck_assert_int_eq(version, s->new);
			else
				ck_assert_msg(
					version == s->old,
					"%s, step %u (%s): said it went back",
					s->name, n, fake->failed_step);
		}
		fake_kern_calm(fake);
		check_recovery(s);
		if (n % 4 == 1)
			check_usable();
	}
	ck_assert_msg(!report->code, "%s: %s", s->name, report->text);
	ck_assert_uint_gt(n, 8);
	fake_kern_calm(fake);
	ck_assert_int_eq(check_recovery(s), s->new);
}

START_TEST(every_failing_step)
{
	check_failures(&scenarios[_i], false);
}
END_TEST

/* A disk that dies stays dead, and a kernel that refuses goes on refusing. */
START_TEST(everything_fails_from_a_step_on)
{
	check_failures(&scenarios[_i], true);
}
END_TEST

/* The phase in which the transaction was left, from the journal. */
static int open_phase(enum bl_txn_kind *ret_kind)
{
	struct bl_journal *j = journal();
	struct bl_journal_txn t;
	int r;

	ck_assert_ptr_nonnull(j);
	r = bl_journal_open_txn(j, &t, NULL);
	bl_journal_close(j);
	ck_assert_int_ge(r, 0);
	if (r)
		*ret_kind = t.kind;
	return r ? (int)t.phase : -1;
}

static bool tombstoned(int version)
{
	struct bl_host_tombstone t;
	struct bl_journal *j = journal();
	int r = bl_journal_tombstone(j, bundles[version].digest, &t, NULL);

	bl_journal_close(j);
	return r == 1;
}

static void check_deaths(const struct scenario *s, bool reboot)
{
	unsigned n;

	start(s);
	for (n = 1;; n += STRIDE) {
		enum bl_txn_kind kind = BL_TXN_APPLY;
		int phase, version;
		bool before;

		snapshot_restore(&here, &begin);
		fake->die_at = n;
		fake->watch = watch;
		if (run(s->action))
			break;
		phase = open_phase(&kind);
		before = s->new >= 0 && tombstoned(s->new);
		if (reboot) {
			fake_kern_reboot(fake);
			fake->watch = NULL; /* I1: nothing survives that */
		}
		fake_kern_calm(fake);
		version = check_recovery(s);
		/* I4, and when it is which: the durable commit decides. */
		if (kind == BL_TXN_RESTORE)
			ck_assert_int_eq(version, s->old);
		else if (phase == BL_PHASE_COMMITTED)
			ck_assert_int_eq(version, s->new);
		else if (phase >= 0 && kind == BL_TXN_APPLY)
			ck_assert_int_eq(version, s->old);
		/* A rollback that was ordered comes about all the same. */
		else if (phase >= 0 && s->action == rollback)
			ck_assert_int_eq(version, s->new);
		/* I5: only a host that went down in a trial convicts. */
		if (s->action == apply_v1 || s->action == apply_v2)
			ck_assert_int_eq(tombstoned(s->new) && !before,
					 reboot && kind == BL_TXN_APPLY &&
						 (phase == BL_PHASE_TRIAL ||
						  phase ==
							  BL_PHASE_COMMITTING));
		check_usable();
	}
	ck_assert_uint_gt(n, 8);
}

START_TEST(death_of_the_process_before_every_step)
{
	check_deaths(&scenarios[_i], false);
}
END_TEST

START_TEST(the_host_goes_down_before_every_step)
{
	check_deaths(&scenarios[_i], true);
}
END_TEST

/* I3: recovery that dies anywhere is finished by the next one. */
static void recovery_dies(const struct scenario *s, unsigned at, bool reboot)
{
	struct snapshot found = { 0 };

	snapshot_take(&here, &found);
	for (unsigned n = 1;; n += STRIDE) {
		snapshot_restore(&here, &found);
		fake_kern_calm(fake);
		fake->die_at = n;
		if (run(recover)) {
			ck_assert_msg(!report->code, "step %u, then %u: %s", at,
				      n, report->text);
			break;
		}
		if (reboot)
			fake_kern_reboot(fake);
		fake_kern_calm(fake);
		check_recovery(s);
	}
	snapshot_free(&found);
}

/* Every seventh death of the update or rollback, and for each of them every
 * death of its recovery. */
START_TEST(death_of_recovery_before_every_step)
{
	const struct scenario *s = &scenarios[_i / 2 ? 3 : 1];
	bool reboot = _i % 2;

	start(s);
	for (unsigned n = 1;; n += 7 * STRIDE) {
		snapshot_restore(&here, &begin);
		fake->die_at = n;
		if (run(s->action))
			break;
		if (reboot)
			fake_kern_reboot(fake);
		recovery_dies(s, n, reboot);
	}
}
END_TEST

static void set_up(void)
{
	snprintf(dir, sizeof(dir), "%s/belay-fault-XXXXXX",
		 access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(state_dir, sizeof(state_dir), "%s/state", dir);
	fake = fake_kern_new();
	report = mmap(NULL, sizeof(*report), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert(fake && report != MAP_FAILED);
	ck_assert_int_eq(fake_vfs_register(fake), 0);
	for (int i = 0; i < VERSIONS; i++)
		make_bundle(i);
	here = (struct snapshot_host){ fake, state_dir, bundles, VERSIONS };
}

static void tear_down(void)
{
	for (int i = 0; i < VERSIONS; i++)
		bl_bundle_free(&bundles[i]);
	bl_file_rmtree(dir, NULL);
	munmap(report, sizeof(*report));
	snapshot_free(&begin);
	fake_kern_free(fake);
}

Suite *bl_test_suite(void)
{
	Suite *suite = suite_create("host: faults");
	TCase *tc = tcase_create("faults");
	int count = BL_ARRAY_SIZE(scenarios);

	tcase_set_timeout(tc, 240);
	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_loop_test(tc, every_failing_step, 0, count);
	tcase_add_loop_test(tc, everything_fails_from_a_step_on, 0, count);
	tcase_add_loop_test(tc, death_of_the_process_before_every_step, 0,
			    count);
	tcase_add_loop_test(tc, the_host_goes_down_before_every_step, 0, count);
	tcase_add_loop_test(tc, death_of_recovery_before_every_step, 0, 4);
	suite_add_tcase(suite, tc);
	return suite;
}
