/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Power cuts: a VM with its journal on a real ext4 updates in a loop and is
 * killed at a random moment; the next boot with the same disk is asked what it
 * found, updates again, and is killed in its turn. What must hold after each:
 *
 *  - the journal opens, recovery succeeds, a second one finds nothing to do;
 *  - what is live is the newest version that was committed, and if belay had
 *    said "committed" before the cut, it is that one or a newer one;
 *  - it is complete in the kernel (healthy), and its events flow;
 *  - no transaction is open: one that was is rolled back, or done if its
 *    commit had reached the disk. Only one that was in its trial counts as an
 *    attempt, and has a tombstone.
 *
 * What a cut takes: all that the guest's memory held, pages it had not written
 * back and ext4's open transaction. What it does not take (lab/lasting.h): what
 * the guest had written to the disk without a flush. A disk that loses what is
 * in its own cache is harder than this; the calls of fsync are held against it
 * in tests/fault/test_crash.c, which fails each, but not the writes' order.
 *
 * The moments are drawn from a seed, which is printed; how long an update takes
 * on this machine is measured in the first boot.
 *
 *	BELAY_POWER_CUTS=N	how many (30)
 *	BELAY_POWER_SEED=N	of the moments
 *	BELAY_POWER_KERNEL=K	5.10, which boots fastest
 *	BELAY_POWER_DIR=D	keeps the disks there and goes on with them
 */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/base/cli.h"
#include "loader/base/clock.h"
#include "loader/base/file.h"
#include "loader/base/term.h"
#include "loader/lab/catalog.h"
#include "loader/lab/vm.h"
#include "tests/main.h"

#define HOSTS	    2	   /* at a time */
#define DEADLINE_MS 600000 /* of a boot: only against a hang */
#define CUTS	    30
#define POLL_MS	    20
/* Its probation alone; what seems shorter was not heard in time. */
#define UPDATE_MIN_MS 300

/* What a boot said, by word. */
enum word { RECOVER, AGAIN, EVENT, STATUS, HISTORY, APPLY, APPLIED, WORDS };
static const char *const words[WORDS] = { "recover", "again",	"event",
					  "status",  "history", "apply",
					  "applied" };

struct host {
	unsigned index;
	char *disk;
	struct bl_vm *vm;
	unsigned boots, cuts, wanted;
	size_t read; /* bytes of the output */
	json_t *said[WORDS];
	int code[WORDS];
	uint64_t update_ms; /* how long one takes; 0: not known yet */
	uint64_t began_ms;  /* the one that runs now */
	uint64_t cut_ms;    /* 0: not yet */
	/* The last transaction that belay said was committed. */
	json_int_t told;
};

static struct bl_catalog catalog;
static struct bl_err err;
static struct host hosts[HOSTS];
static struct bl_progress progress;
static uint64_t chance; /* the state of the generator */
static unsigned wanted, cuts, kept, finished;
static unsigned in_phase[3]; /* intent or staged, trial, committing */
static char *dir;

/* splitmix64 */
static uint64_t draw(uint64_t below)
{
	uint64_t z = chance += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return (z ^ z >> 31) % below;
}

static unsigned long number_of(const char *name, unsigned long otherwise)
{
	const char *text = getenv(name);

	return text && *text ? strtoul(text, NULL, 10) : otherwise;
}

/* --- what a boot found ---------------------------------------------------- */

static const char *text_of(const json_t *v, const char *key)
{
	const char *s = json_string_value(json_object_get(v, key));

	return s ? s : "";
}

static json_int_t number_in(const json_t *v, const char *key)
{
	return json_integer_value(json_object_get(v, key));
}

/* Keeps what there is of a host that came back wrong, and fails. */
static void violation(const struct host *h, const char *what)
{
	const struct bl_vm_result *res = bl_vm_result(h->vm);
	bl_autofree char *output =
		bl_path("%s/violation-%u.output", dir, h->index);

	bl_file_write(output, bl_buf_str(&res->output), res->output.len, 0600,
		      NULL);
	bl_progress_end(&progress);
	ck_abort_msg("after cut %u: %s\n  disk %s\n  console %s\n  output %s",
		     cuts, what, h->disk, res->log_path, output);
}

static void holds(const struct host *h, bool it_does, const char *what)
{
	if (!it_does)
		violation(h, what);
}

/* The newest apply that is done; NULL if there is none. */
static const json_t *newest_done(const json_t *transactions)
{
	size_t i;
	json_t *t;

	json_array_foreach (transactions, i, t)
		if (!strcmp(text_of(t, "kind"), "apply") &&
		    !strcmp(text_of(t, "phase"), "done"))
			return t;
	return NULL;
}

static bool has_tombstone(const json_t *history, const char *digest)
{
	size_t i;
	json_t *t;

	json_array_foreach (json_object_get(history, "tombstones"), i, t)
		if (!strcmp(text_of(t, "digest"), digest))
			return true;
	return false;
}

/* One that the cut came upon. */
static void check_interrupted(const struct host *h, const json_t *t)
{
	static const char *const phases[] = { "intent", "staged", "trial",
					      "committing", "rolling-back" };
	const char *reason = text_of(t, "reason");
	const char *at = strstr(reason, "went down in phase ");
	bool tried = at && (strstr(at, "trial") || strstr(at, "committing"));
	unsigned i;

	if (strcmp(text_of(t, "phase"), "rolled-back") != 0 || !at)
		return;
	for (i = 0; i < BL_ARRAY_SIZE(phases); i++)
		if (strstr(at, phases[i]))
			break;
	in_phase[i < 2 ? 0 : i == 2 ? 1 : 2]++;
	holds(h, number_in(t, "attempt") == tried,
	      "what was cut in its trial, and only that, is an attempt");
	holds(h, has_tombstone(h->said[HISTORY], text_of(t, "digest")) == tried,
	      "what was cut in its trial, and only that, has a tombstone");
}

static void check_history(const struct host *h, const json_t *live)
{
	const json_t *list = json_object_get(h->said[HISTORY], "transactions");
	const json_t *newest = newest_done(list);
	json_int_t told = h->told;
	size_t i;
	json_t *t;

	holds(h, json_is_array(list), "the history can be read");
	json_array_foreach (list, i, t) {
		const char *phase = text_of(t, "phase");

		holds(h,
		      !strcmp(phase, "done") || !strcmp(phase, "rolled-back"),
		      "no transaction is open");
		if (number_in(t, "txn") > told &&
		    !strcmp(text_of(t, "kind"), "apply"))
			check_interrupted(h, t);
	}
	holds(h, newest || !told, "what was committed is in the journal");
	holds(h, !newest || number_in(newest, "txn") >= told,
	      "what belay said was committed is not undone");
	holds(h,
	      !strcmp(newest ? text_of(newest, "digest") : "",
		      text_of(live, "digest")),
	      "the newest committed version is live");
	if (newest && number_in(newest, "txn") > told)
		finished++;
	else
		kept++;
}

static void check_boot(const struct host *h)
{
	const json_t *status = h->said[STATUS];
	const json_t *live = json_object_get(status, "live");

	holds(h, h->code[RECOVER] == 0, "recovery succeeds");
	holds(h, h->code[AGAIN] == 0 && !number_in(h->said[AGAIN], "txn"),
	      "a second recovery finds nothing to do");
	holds(h, h->code[STATUS] == 0 && status, "the status can be read");
	if (h->boots > 1)
		check_history(h, live);
	if (!json_is_object(live))
		return;
	holds(h, json_is_true(json_object_get(status, "healthy")),
	      "what is live is complete");
	holds(h,
	      number_in(h->said[EVENT], "generation") ==
		      number_in(live, "generation"),
	      "events of what is live flow");
}

/* --- one boot ------------------------------------------------------------- */

static void forget(struct host *h)
{
	for (int i = 0; i < WORDS; i++) {
		json_decref(h->said[i]);
		h->said[i] = NULL;
		h->code[i] = -1;
	}
	h->read = 0;
	h->cut_ms = 0;
}

static void boot(struct host *h)
{
	const struct bl_vm_disk disk = { h->disk, "/var/lib/belay" };
	bl_autofree char *name = bl_path("power-%u", h->index);
	bl_autofree char *tag = bl_path("%u.%u", h->index, ++h->boots);
	bl_autofree char *shadow = bl_path("%s/shadow", dir);
	const char *const argv[] = { "sh", "/b/guest.sh", tag, NULL };
	const struct bl_vm_file files[] = {
		{ BL_TEST_SOURCE_DIR "/tests/lab/power/guest.sh",
		  "/b/guest.sh" },
		{ BL_TEST_BUILD_DIR "/bpf/sensor.bpf.o", "/b/object.bpf.o" },
		{ shadow, "/etc/shadow" },
	};
	const char *wish = getenv("BELAY_POWER_KERNEL");
	struct bl_vm_spec s = { .name = name,
				.log_dir = dir,
				.argv = argv,
				.files = files,
				.file_count = BL_ARRAY_SIZE(files),
				.disks = &disk,
				.disk_count = 1,
				.deadline_ms = DEADLINE_MS };

	forget(h);
	ck_assert_msg(!bl_file_write(shadow, "root:!::\n", 9, 0600, &err), "%s",
		      err.text);
	ck_assert_msg(!bl_catalog_pick(&catalog, wish && *wish ? wish : "5.10",
				       &s.kernel, &err),
		      "%s", err.text);
	ck_assert_msg(!bl_vm_start(&s, &h->vm, &err), "%s", err.text);
}

/* An update began, or ended: how long they take, and when to cut. */
static void updates(struct host *h, enum word w)
{
	uint64_t now = bl_clock_mono_ms();

	if (w == APPLY) {
		h->began_ms = now;
	} else {
		holds(h, h->code[APPLIED] == 0 || h->code[APPLIED] == 1,
		      "an update is committed or rolled back");
		if (!strcmp(text_of(h->said[APPLIED], "outcome"), "committed"))
			h->told = number_in(h->said[APPLIED], "txn");
		/* The longest: two lines that come at once tell nothing. */
		if (now - h->began_ms > h->update_ms)
			h->update_ms = now - h->began_ms;
	}
	if (h->update_ms >= UPDATE_MIN_MS && !h->cut_ms)
		h->cut_ms = now + draw(3 * h->update_ms);
}

/* One line of the guest's. */
static void heard(struct host *h, const char *line, size_t len)
{
	bl_autofree char *text = strndup(line, len);
	int code, skip = 0;
	char word[16];

	if (!text || sscanf(text, "@%15s %d %n", word, &code, &skip) < 2)
		return;
	for (int w = 0; w < WORDS; w++) {
		if (strcmp(word, words[w]) != 0)
			continue;
		json_decref(h->said[w]);
		h->said[w] = json_loads(text + skip, 0, NULL);
		h->code[w] = code;
		if (w == HISTORY)
			check_boot(h);
		if (w == APPLY || w == APPLIED)
			updates(h, (enum word)w);
	}
}

static void listen(struct host *h)
{
	const struct bl_buf *out = &bl_vm_result(h->vm)->output;
	const char *end;

	while (h->read < out->len &&
	       (end = memchr(out->data + h->read, '\n', out->len - h->read))) {
		const char *line = out->data + h->read;

		h->read += (size_t)(end - line) + 1;
		heard(h, line, (size_t)(end - line));
	}
}

static void tell_progress(void)
{
	uint64_t spent = bl_clock_mono_ms() - progress.start_ms;

	bl_progress_step(&progress, cuts,
			 "%u as before, %u new, %" PRIu64 " s to go", kept,
			 finished, spent * (wanted - cuts) / cuts / 1000);
}

/* What the next run with this folder must know: see BELAY_POWER_DIR. */
static void remember(const struct host *h)
{
	bl_autofree char *path = bl_path("%s/host-%u", dir, h->index);
	bl_autofree char *text = bl_path("%u %lld %" PRIu64 "\n", h->boots,
					 (long long)h->told, h->update_ms);

	ck_assert_msg(!bl_file_write(path, text, strlen(text), 0600, &err),
		      "%s", err.text);
}

static void recall(struct host *h)
{
	bl_autofree char *path = bl_path("%s/host-%u", dir, h->index);
	bl_autobuf struct bl_buf b = { 0 };
	long long told = 0;

	if (!bl_file_read(path, 4096, &b, NULL) &&
	    sscanf(bl_buf_str(&b), "%u %lld %" SCNu64, &h->boots, &told,
		   &h->update_ms) == 3)
		h->told = told;
}

static void power_off(struct host *h)
{
	bl_vm_free(h->vm);
	h->vm = NULL;
	remember(h);
}

/* Moves a host on that runs. One more boot than cuts: each cut is looked at. */
static void move_on(struct host *h)
{
	listen(h);
	if (bl_vm_state(h->vm) != BL_VM_RUNNING)
		violation(h, bl_vm_result(h->vm)->reason);
	if (h->cuts == h->wanted && h->said[HISTORY]) {
		power_off(h);
	} else if (h->cut_ms && bl_clock_mono_ms() >= h->cut_ms) {
		power_off(h);
		h->cuts++;
		cuts++;
		tell_progress();
		boot(h);
	}
}

static bool run_all(void)
{
	struct bl_vm *vms[HOSTS];
	unsigned running = 0;

	for (int i = 0; i < HOSTS; i++) {
		vms[i] = hosts[i].vm;
		running += vms[i] != NULL;
	}
	if (!running || bl_cli_interrupted())
		return false;
	if (bl_vm_poll(vms, HOSTS, POLL_MS, &err) < 0)
		return false;
	for (int i = 0; i < HOSTS; i++)
		if (hosts[i].vm)
			move_on(&hosts[i]);
	bl_progress_tick(&progress);
	return true;
}

START_TEST(a_host_whose_power_is_cut_has_the_old_or_the_new)
{
	uint64_t began = bl_clock_mono_ms();
	uint64_t seed = number_of("BELAY_POWER_SEED", began);

	chance = seed;
	wanted = (unsigned)number_of("BELAY_POWER_CUTS", CUTS);
	printf("seed %" PRIu64 "\n", seed);
	fflush(stdout);
	bl_progress_start(&progress, "power cuts", wanted);
	for (unsigned i = 0; i < HOSTS; i++) {
		hosts[i].index = i;
		hosts[i].disk = bl_path("%s/disk-%u", dir, i);
		hosts[i].wanted = (wanted + i) / HOSTS;
		recall(&hosts[i]);
		if (hosts[i].wanted)
			boot(&hosts[i]);
	}
	while (run_all())
		;
	bl_progress_end(&progress);
	printf("%u power cuts: %u came back with the version before, %u with the new one; of those that were undone %u were before the trial, %u in it, %u at its commit; 0 violations; %" PRIu64
	       " s\n",
	       cuts, kept, finished, in_phase[0], in_phase[1], in_phase[2],
	       (bl_clock_mono_ms() - began) / 1000);
	ck_assert_msg(cuts == wanted, "interrupted");
}
END_TEST

static void set_up(void)
{
	const char *keep = getenv("BELAY_POWER_DIR");

	bl_cli_catch_signals();
	dir = bl_path("%s", keep ? keep : BL_TEST_BUILD_DIR "/tests/lab/power");
	if (!keep)
		ck_assert(!bl_file_rmtree(dir, &err));
	ck_assert_msg(!bl_file_mkdirs(dir, 0700, &err), "%s", err.text);
}

static void tear_down(void)
{
	for (int i = 0; i < HOSTS; i++) {
		bl_vm_free(hosts[i].vm);
		forget(&hosts[i]);
		free(hosts[i].disk);
	}
	free(dir);
}

Suite *bl_test_suite(void)
{
	Suite *suite = suite_create("power cuts");
	TCase *tc = tcase_create("power");

	if (bl_catalog_load(&catalog, &err) < 0) {
		fprintf(stderr, "skipped: %s\n", err.text);
		exit(77);
	}
	setenv("BELAY_GUEST_BINARY", BL_TEST_BUILD_DIR "/belay", 1);
	tcase_set_timeout(tc, 0);
	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, a_host_whose_power_is_cut_has_the_old_or_the_new);
	suite_add_tcase(suite, tc);
	return suite;
}
