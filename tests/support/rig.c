/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/rig.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "tests/main.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fake_vfs.h"

struct rig rig;

static struct bl_host *host(void)
{
	struct bl_host_config config = { .state_dir = rig.state_dir,
					 .pstore_dir = rig.pstore_dir,
					 .ops = &fake_kern_ops,
					 .kern = rig.fake,
					 .clock = &fake_clock };
	struct bl_host *h = NULL;
	struct bl_err err = { 0 };

	if (bl_host_open(&config, &h, &err))
		snprintf(rig.report->text, sizeof(rig.report->text), "%.500s",
			 err.text);
	return h;
}

static struct bl_journal *journal(void)
{
	bl_autofree char *path = bl_path("%s/journal.db", rig.state_dir);
	struct bl_journal *j = NULL;

	return bl_journal_open(path, &j, NULL) ? NULL : j;
}

static void copy_part(const char *name)
{
	bl_autofree char *from = bl_path("%s/%s", rig.state_dir, name);
	bl_autofree char *to = bl_path("%s/peek/%s", rig.dir, name);
	bl_autobuf struct bl_buf b = { 0 };
	bl_autofclose FILE *f = fopen(to, "w");

	/* A file that is not there is an empty one. */
	bl_file_read(from, SIZE_MAX, &b, NULL);
	ck_assert_ptr_nonnull(f);
	ck_assert_uint_eq(fwrite(bl_buf_str(&b), 1, b.len, f), b.len);
}

/* What the journal says to whoever opens it now, without opening it. */
static struct bl_journal *peek(void)
{
	bl_autofree char *dir = bl_path("%s/peek", rig.dir);
	bl_autofree char *path = bl_path("%s/journal.db", dir);
	struct bl_journal *j = NULL;
	struct bl_err err = { 0 };

	ck_assert_int_eq(bl_file_rmtree(dir, NULL), 0);
	ck_assert_int_eq(bl_file_mkdirs(dir, 0700, NULL), 0);
	copy_part("journal.db");
	copy_part("journal.db-wal");
	ck_assert_msg(!bl_journal_open(path, &j, &err), "%s", err.text);
	return j;
}

static void write_text(const char *name, const char *text)
{
	bl_autofree char *path = bl_path("%s/%s", rig.dir, name);

	ck_assert_int_eq(bl_file_write(path, text, strlen(text), 0600, NULL),
			 0);
}

#define CONTENT(id)                                      \
	"{\"contract\":1,\"rules\":[{\"id\":\"" id "\"," \
	"\"event\":\"open\",\"path\":\"/a\",\"action\":\"emit\"}]}"
static const char other_content[] = CONTENT("b");

static void make_bundle(int version)
{
	bl_autofree char *manifest = bl_path("%s/manifest.json", rig.dir);
	struct bl_err err = { 0 };
	char text[256];

	if (version == RIG_CONTENT) {
		if (bl_bundle_with_content(&rig.bundles[RIG_V1], "other.json",
					   other_content, strlen(other_content),
					   &rig.bundles[version], &err))
			ck_abort_msg("%s", err.text);
		return;
	}
	write_text("content.json", CONTENT("a"));
	snprintf(text, sizeof(text), "object of version %d", version + 1);
	write_text("fake.bpf.o", text);
	snprintf(text, sizeof(text),
		 "{\"name\":\"fake\",\"version\":\"%d\","
		 "\"object\":\"fake.bpf.o\",\"content\":\"content.json\","
		 "\"trial\":{\"probation_ms\":500,\"max_drop_ratio\":0.01,"
		 "\"max_ns_per_event\":100000,\"min_events\":1}}",
		 version + 1);
	write_text("manifest.json", text);
	if (bl_bundle_build(manifest, &rig.bundles[version], &err))
		ck_abort_msg("%s", err.text);
}

/*
 * What must hold at every instant, asked after every step of the kernel, in
 * the process that takes the step. The fake is quiet meanwhile.
 */
static void violated(const char *invariant, const char *step)
{
	if (!*rig.fake->violation)
		snprintf(rig.fake->violation, sizeof(rig.fake->violation),
			 "%s does not hold after '%s' (step %u)", invariant,
			 step, rig.fake->step);
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

static bool live_whole(const struct bl_journal_txn *live)
{
	return fake_slot_kept(&rig.fake->slot[live->row.slot]);
}

/*
 * I1: a generation that was committed is whole in the kernel, and stays so if
 * the process dies: the one that the journal calls live or, until the kernel is
 * told of the commit, the one before.
 */
static bool guarded(struct bl_journal *j)
{
	for (int i = 0; i < BL_SLOT_COUNT; i++) {
		const struct fake_slot *s = &rig.fake->slot[i];
		struct bl_journal_txn t;

		if (fake_slot_kept(s) &&
		    bl_journal_get(j, s->programs_of, &t, NULL) == 1 &&
		    (t.phase == BL_PHASE_DONE || t.phase == BL_PHASE_COMMITTED))
			return true;
	}
	return false;
}

/* Watched while a host that had something keeps something. */
static bool watch_live;

void rig_watch(struct fake_kern *f, const char *step)
{
	static struct bl_journal *j; /* of this process, to its end */

	if (!j)
		j = journal();

	if (!j) {
		violated("the journal can be read", step);
		return;
	}
	for (int i = 0; i < BL_SLOT_COUNT; i++)
		watch_slot(j, &f->slot[i], step);
	if (watch_live && !guarded(j))
		violated("I1 (a known-good generation is attached)", step);
}

pid_t rig_spawn(rig_action action)
{
	pid_t pid;

	*rig.report = (struct rig_report){ 0 };
	pid = fork();
	if (!pid) {
		struct bl_err err = { 0 };
		struct bl_host *h;

		if (rig.in_child)
			rig.in_child();
		h = host();
		rig.report->code = h ? action(h, &rig.report->result, &err)
				     : -EIO;
		if (*err.text)
			snprintf(rig.report->text, sizeof(rig.report->text),
				 "%.500s", err.text);
		bl_host_close(h);
		_exit(0);
	}
	ck_assert_int_gt(pid, 0);
	return pid;
}

bool rig_reap(int status, bool killed)
{
	fake_kern_process_died(rig.fake);
	if (*rig.fake->violation)
		ck_abort_msg("%s", rig.fake->violation);
	if (killed && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
		return false;
	ck_assert_msg(WIFEXITED(status) && (WEXITSTATUS(status) == 0 ||
					    WEXITSTATUS(status) == FAKE_DIED),
		      "the child ended with status %#x", status);
	return WEXITSTATUS(status) == 0;
}

bool rig_run(rig_action action)
{
	pid_t pid = rig_spawn(action);
	int status;

	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return rig_reap(status, false);
}

static int apply(struct bl_host *h, int version, struct bl_apply_result *ret,
		 struct bl_err *err)
{
	return bl_host_apply(h, &rig.bundles[version], NULL, ret, err);
}

int rig_apply_v1(struct bl_host *h, struct bl_apply_result *ret,
		 struct bl_err *err)
{
	return apply(h, RIG_V1, ret, err);
}

int rig_apply_v2(struct bl_host *h, struct bl_apply_result *ret,
		 struct bl_err *err)
{
	return apply(h, RIG_V2, ret, err);
}

int rig_apply_v3(struct bl_host *h, struct bl_apply_result *ret,
		 struct bl_err *err)
{
	return apply(h, RIG_V3, ret, err);
}

int rig_apply_v2_bad(struct bl_host *h, struct bl_apply_result *ret,
		     struct bl_err *err)
{
	rig.fake->drops_per_probe = 100;
	return apply(h, RIG_V2, ret, err);
}

int rig_apply_v2_forced(struct bl_host *h, struct bl_apply_result *ret,
			struct bl_err *err)
{
	struct bl_apply_opts opts = { .override_reason = "the test says so" };

	rig.fake->drops_per_probe = 0;
	return bl_host_apply(h, &rig.bundles[RIG_V2], &opts, ret, err);
}

int rig_apply_content(struct bl_host *h, struct bl_apply_result *ret,
		      struct bl_err *err)
{
	BL_CLEANUP(bl_bundle_free) struct bl_bundle b = { 0 };
	char onto[BL_DIGEST_HEX];
	struct bl_apply_opts opts = { .onto = onto };
	int r = bl_host_with_content(h, "other.json", other_content,
				     strlen(other_content), &b, onto, err);

	return r ? r : bl_host_apply(h, &b, &opts, ret, err);
}

int rig_rollback(struct bl_host *h, struct bl_apply_result *ret,
		 struct bl_err *err)
{
	return bl_host_rollback(h, "ordered by the test", ret, err);
}

int rig_recover(struct bl_host *h, struct bl_apply_result *ret,
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

const struct rig_scenario rig_scenarios[] = {
	{ "the first apply", { NULL }, false, rig_apply_v1, RIG_NOTHING, RIG_V1 },
	{ "an update", { rig_apply_v1 }, false, rig_apply_v2, RIG_V1, RIG_V2 },
	{ "an update that fails its trial",
	  { rig_apply_v1 },
	  false,
	  rig_apply_v2_bad,
	  RIG_V1,
	  RIG_V1 },
	{ "a rollback",
	  { rig_apply_v1, rig_apply_v2 },
	  false,
	  rig_rollback,
	  RIG_V2,
	  RIG_V1 },
	{ "a rollback to nothing",
	  { rig_apply_v1 },
	  false,
	  rig_rollback,
	  RIG_V1,
	  RIG_NOTHING },
	{ "an update out of the second slot",
	  { rig_apply_v1, rig_apply_v2 },
	  false,
	  rig_apply_v3,
	  RIG_V2,
	  RIG_V3 },
	{ "an update that is forced",
	  { rig_apply_v1, rig_apply_v2_bad },
	  false,
	  rig_apply_v2_forced,
	  RIG_V1,
	  RIG_V2 },
	{ "a restore after a reboot",
	  { rig_apply_v1 },
	  true,
	  rig_recover,
	  RIG_V1,
	  RIG_V1 },
	{ "an update after a reboot",
	  { rig_apply_v1 },
	  true,
	  rig_apply_v2,
	  RIG_V1,
	  RIG_V2 },
	{ "a content update",
	  { rig_apply_v1 },
	  false,
	  rig_apply_content,
	  RIG_V1,
	  RIG_CONTENT },
};

const int rig_scenario_count = BL_ARRAY_SIZE(rig_scenarios);

void rig_start(const struct rig_scenario *s)
{
	watch_live = false;
	memset(rig.fake->slot, 0, sizeof(rig.fake->slot));
	rig.fake->named = -1;
	ck_assert_int_eq(bl_file_rmtree(rig.state_dir, NULL), 0);
	ck_assert_int_eq(bl_file_mkdirs(rig.state_dir, 0700, NULL), 0);
	fake_kern_calm(rig.fake);
	for (size_t i = 0; i < BL_ARRAY_SIZE(s->before) && s->before[i]; i++) {
		ck_assert(rig_run(s->before[i]));
		ck_assert_msg(!rig.report->code, "%s", rig.report->text);
		ck_assert_int_eq(rig.report->result.outcome,
				 s->before[i] == rig_apply_v2_bad
					 ? BL_APPLY_ROLLED_BACK
					 : BL_APPLY_COMMITTED);
		fake_kern_calm(rig.fake);
	}
	if (s->reboot)
		fake_kern_reboot(rig.fake);
	snapshot_take(&rig.host, &rig.begin);
	watch_live = s->old >= 0 && s->new >= 0 && !s->reboot;
}

void rig_restore_begin(void)
{
	snapshot_restore(&rig.host, &rig.begin);
}

int rig_live(struct bl_journal_txn *ret)
{
	struct bl_journal *j = peek();
	int r, version = -1;

	r = bl_journal_live(j, ret, NULL);
	ck_assert_int_ge(r, 0);
	for (int i = 0; r && i < RIG_VERSIONS; i++)
		if (!strcmp(ret->row.digest, rig.bundles[i].digest))
			version = i;
	ck_assert_msg(!r || version >= 0, "an unknown digest is live");
	bl_journal_close(j);
	return version;
}

int rig_open_phase(enum bl_txn_kind *ret_kind)
{
	struct bl_journal *j = peek();
	struct bl_journal_txn t;
	int r;

	r = bl_journal_open_txn(j, &t, NULL);
	bl_journal_close(j);
	ck_assert_int_ge(r, 0);
	if (r)
		*ret_kind = t.kind;
	return r ? (int)t.phase : -1;
}

bool rig_tombstoned(int version)
{
	struct bl_host_tombstone t;
	struct bl_journal *j = peek();
	int r = bl_journal_tombstone(j, rig.bundles[version].digest, &t, NULL);

	bl_journal_close(j);
	return r == 1;
}

void rig_check_live_whole(void)
{
	struct bl_journal_txn live = { 0 };
	int version = rig_live(&live);
	struct bl_journal *j = peek();

	ck_assert_msg(version < 0 || guarded(j),
		      "I1: a known-good generation is not attached");
	bl_journal_close(j);
}

int rig_check_old_or_new(const struct rig_scenario *s)
{
	struct bl_journal_txn live = { 0 };
	int version = rig_live(&live);

	ck_assert_msg(version == s->old || version == s->new,
		      "I4: version %d is live after step %u", version + 1,
		      rig.fake->step);
	for (int i = 0; i < BL_SLOT_COUNT; i++) {
		const struct fake_slot *slot = &rig.fake->slot[i];

		if (version < 0 || live.row.slot != (enum bl_slot)i) {
			ck_assert_msg(fake_slot_empty(slot),
				      "I4: something is left in slot %d", i);
			continue;
		}
		ck_assert_msg(live_whole(&live),
			      "I4: the live generation is not whole");
		ck_assert_msg(
			slot->programs_of == live.row.id,
			"I4: the kernel has another generation than the journal");
	}
	return version;
}

int rig_check_recovery(const struct rig_scenario *s)
{
	struct fake_slot after[BL_SLOT_COUNT];
	int version;

	ck_assert(rig_run(rig_recover));
	ck_assert_msg(!rig.report->code, "I3: recover: %s", rig.report->text);
	version = rig_check_old_or_new(s);
	memcpy(after, rig.fake->slot, sizeof(after));
	ck_assert(rig_run(rig_recover));
	ck_assert_msg(!rig.report->code && !rig.report->result.txn,
		      "I3: a second recovery found something to do");
	ck_assert_msg(!memcmp(after, rig.fake->slot, sizeof(after)),
		      "I3: a second recovery changed the kernel");
	return version;
}

void rig_check_decided(const struct rig_scenario *s, enum bl_txn_kind kind,
		       int phase, int version)
{
	if (kind == BL_TXN_RESTORE)
		ck_assert_int_eq(version, s->old);
	else if (phase == BL_PHASE_COMMITTED)
		ck_assert_int_eq(version, s->new);
	else if (phase >= 0 && kind == BL_TXN_APPLY)
		ck_assert_int_eq(version, s->old);
	/* A rollback that was ordered comes about all the same. */
	else if (phase >= 0 && s->action == rig_rollback)
		ck_assert_int_eq(version, s->new);
}

void rig_check_convicted(const struct rig_scenario *s, enum bl_txn_kind kind,
			 int phase, bool before, bool reboot)
{
	bool down = reboot && kind == BL_TXN_APPLY &&
		    (phase == BL_PHASE_TRIAL || phase == BL_PHASE_COMMITTING);

	if (s->action == rig_apply_v1 || s->action == rig_apply_v2)
		ck_assert_msg(
			(rig_tombstoned(s->new) && !before) == down,
			"I5: died in phase %s, and version %d has %s tombstone",
			phase < 0 ? "none" : bl_phase_name(phase), s->new + 1,
			down ? "no" : "a");
}

void rig_check_clean(void)
{
	bl_autofree char *path = bl_path("%s/bundles", rig.state_dir);
	bl_autoclosedir DIR *dir = opendir(path);
	struct dirent *e;

	ck_assert_ptr_nonnull(dir);
	while ((e = readdir(dir)))
		ck_assert_msg(e->d_name[0] == '.' || bl_digest_valid(e->d_name),
			      "%s/%s is left over", path, e->d_name);
}

void rig_check_told(const struct rig_scenario *s)
{
	struct bl_journal_txn live;
	int version;

	if (s->action == rig_recover || rig.report->code)
		return;
	version = rig_live(&live);
	if (rig.report->result.outcome == BL_APPLY_COMMITTED)
		ck_assert_int_eq(version, s->new);
	else
		ck_assert_msg(version == s->old, "%s: said it went back",
			      s->name);
}

static int apply_spare(struct bl_host *h, struct bl_apply_result *ret,
		       struct bl_err *err)
{
	return apply(h, RIG_SPARE, ret, err);
}

void rig_check_usable(void)
{
	fake_kern_calm(rig.fake);
	rig.fake->drops_per_probe = 0;
	ck_assert(rig_run(apply_spare));
	ck_assert_msg(!rig.report->code, "%s", rig.report->text);
	ck_assert_msg(rig.report->result.outcome == BL_APPLY_COMMITTED, "%s",
		      rig.report->result.reason);
}

void rig_set_up(bool faults)
{
	snprintf(rig.dir, sizeof(rig.dir), "%s/belay-fault-XXXXXX",
		 access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
	ck_assert_ptr_nonnull(mkdtemp(rig.dir));
	snprintf(rig.state_dir, sizeof(rig.state_dir), "%s/state", rig.dir);
	rig.fake = fake_kern_new();
	rig.report = mmap(NULL, sizeof(*rig.report), PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert(rig.fake && rig.report != MAP_FAILED);
	rig.fake->overlapping = 1; /* both kinds of steps */
	if (faults)
		ck_assert_int_eq(fake_vfs_register(rig.fake), 0);
	for (int i = 0; i < RIG_VERSIONS; i++)
		make_bundle(i);
	rig.host = (struct snapshot_host){ rig.fake, rig.state_dir, rig.bundles,
					   RIG_VERSIONS };
}

void rig_tear_down(void)
{
	for (int i = 0; i < RIG_VERSIONS; i++)
		bl_bundle_free(&rig.bundles[i]);
	bl_file_rmtree(rig.dir, NULL);
	munmap(rig.report, sizeof(*rig.report));
	snapshot_free(&rig.begin);
	fake_kern_free(rig.fake);
}
