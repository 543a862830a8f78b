/* SPDX-License-Identifier: Apache-2.0 */
/* Guests that wake up instead of booting: the same in all that counts. */
#include <glob.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "loader/base/cleanup.h"
#include "loader/base/clock.h"
#include "loader/base/file.h"
#include "loader/lab/catalog.h"
#include "loader/lab/identity.h"
#include "loader/lab/job.h"
#include "loader/lab/vm.h"
#include "tests/main.h"

#define VMS_MAX	    16
#define DEADLINE_MS 800000
#define HANG_MS	    5000
/* A busy host upsets clocks, and such a boot is not saved; or is too slow to wake
 * a guest up in time. */
#define TRIES 60

static struct bl_catalog catalog;
static struct bl_err err;
static char *cache, *states; /* of this test program alone */
static char *dir;

static const char *const nothing[] = { "true", NULL };

/* The kernels are the host's, what is saved goes to a folder of our own. */
static void make_cache(void)
{
	bl_autofree char *host = bl_path_cache();
	bl_autofree char *kernels = bl_path("%s/kernels", host);
	bl_autofree char *link = NULL;

	cache = bl_test_tmpdir();
	states = bl_path("%s/states", cache);
	link = bl_path("%s/kernels", cache);
	if (symlink(kernels, link) < 0 || setenv("BELAY_CACHE", cache, 1) < 0)
		abort();
}

static void remove_cache(void)
{
	bl_file_rmtree(cache, NULL);
	free(states);
	free(cache);
}

static void set_up(void)
{
	err = (struct bl_err){ 0 };
	dir = bl_test_tmpdir();
}

static void tear_down(void)
{
	bl_file_rmtree(dir, NULL);
	free(dir);
}

static const struct bl_kernel *own_kernel(void)
{
	const struct bl_kernel *k = NULL;

	ck_assert_msg(bl_catalog_pick(&catalog, "6.1", &k, &err) == 0, "%s",
		      err.text);
	return k;
}

static struct bl_vm_spec spec_of(const char *name, const char *const *argv)
{
	return (struct bl_vm_spec){ .kernel = own_kernel(),
				    .name = name,
				    .log_dir = dir,
				    .argv = argv,
				    .warm = true,
				    .deadline_ms = DEADLINE_MS };
}

static struct bl_vm_result run(const struct bl_vm_spec *s)
{
	struct bl_vm_result res = { 0 };

	ck_assert_msg(bl_vm_run(s, &res, &err) == 0, "%s", err.text);
	return res;
}

/* Runs it to its end, whatever its outcome was, and says whether it woke up. */
static bool wakes(const struct bl_vm_spec *s)
{
	struct bl_vm_result res = run(s);
	bool warm = res.warm;

	ck_assert_msg(res.outcome == BL_VM_EXITED, "%s", res.reason);
	ck_assert_int_eq(res.exit_status, 0);
	bl_vm_result_free(&res);
	return warm;
}

/* After this, guests on @k wake up. */
static void have_state(const struct bl_kernel *k)
{
	struct bl_vm_spec s = spec_of("have-state", nothing);

	s.kernel = k;
	for (int i = 0; i < TRIES; i++)
		if (wakes(&s))
			return;
	ck_abort_msg("%s is never saved", k->release);
}

/* Of one that woke up; one that boots saves a state for the next. */
static struct bl_vm_result run_warm(const struct bl_vm_spec *s)
{
	struct bl_vm_result res = { 0 };

	for (int i = 0; i < TRIES; i++) {
		bl_vm_result_free(&res);
		res = run(s);
		if (res.warm)
			return res;
	}
	ck_abort_msg("%s never wakes up", s->kernel->release);
}

/* Of one that wakes up and never ends, with as much time as it takes to begin. */
static struct bl_vm_result run_to_deadline(struct bl_vm_spec *s)
{
	struct bl_vm_result res = { 0 };

	for (s->deadline_ms = HANG_MS; s->deadline_ms < DEADLINE_MS;
	     s->deadline_ms *= 2) {
		bl_vm_result_free(&res);
		res = run(s);
		if (res.warm && res.output.len)
			break;
	}
	return res;
}

static void have_no_state(void)
{
	ck_assert_int_eq(bl_file_rmtree(states, &err), 0);
}

static size_t saved(void)
{
	bl_autofree char *pattern = bl_path("%s/*", states);
	size_t n;
	glob_t g;

	n = glob(pattern, 0, NULL, &g) == 0 ? g.gl_pathc : 0;
	globfree(&g);
	return n;
}

/* The one folder of a saved machine; NULL if there is not exactly one. */
static char *state_dir(void)
{
	bl_autofree char *pattern = bl_path("%s/*", states);
	char *path = NULL;
	glob_t g;

	if (glob(pattern, 0, NULL, &g) == 0 && g.gl_pathc == 1)
		path = strdup(g.gl_pathv[0]);
	globfree(&g);
	return path;
}

static bool log_has(const struct bl_vm_result *res, const char *text)
{
	bl_autobuf struct bl_buf log = { 0 };

	ck_assert_int_eq(bl_file_read(res->log_path, 1 << 24, &log, &err), 0);
	return memmem(log.data, log.len, text, strlen(text)) != NULL;
}

/* --- the same as a boot --------------------------------------------------- */

START_TEST(a_guest_that_woke_up_answers_as_one_that_booted)
{
	const char *const argv[] = {
		"sh", "-c",
		"uname -r; cat /data/blob; cat /proc/cmdline\n"
		"cut -d' ' -f1-3 /proc/mounts; ls -a / /usr/bin /.belay\n"
		"head -n 1 /sys/kernel/security/lsm; ls /sys/class/net\n"
		"cat /proc/sys/kernel/hostname; env\n"
		"belay --help >/dev/null || echo no belay\n"
		"read -r x && echo input; exit 37",
		NULL
	};
	bl_autofree char *blob = bl_path("%s/blob", dir);
	struct bl_vm_file file = { blob, "/data/blob" };
	const char *const all = "all";
	bl_autofree const struct bl_kernel **list = NULL;
	size_t n = 0;

	ck_assert_int_eq(bl_file_write(blob, "one\0two\xff", 8, 0644, &err), 0);
	ck_assert_int_eq(bl_catalog_select(&catalog, &all, 1, &list, &n, &err),
			 0);
	for (size_t i = 0; i < n; i++) {
		struct bl_vm_spec s = spec_of("answer", argv);
		struct bl_vm_result cold, warm;

		s.kernel = list[i];
		s.files = &file;
		s.file_count = 1;
		warm = run_warm(&s);
		ck_assert(log_has(&warm, "Linux version"));
		ck_assert_uint_gt(warm.boot_ms, 0);
		s.warm = false;
		cold = run(&s);
		ck_assert(!cold.warm);
		ck_assert_int_eq(warm.outcome, BL_VM_EXITED);
		ck_assert_int_eq(warm.exit_status, 37);
		ck_assert_int_eq(cold.exit_status, 37);
		ck_assert_uint_gt(cold.output.len, 100);
		ck_assert_msg(cold.output.len == warm.output.len &&
				      memcmp(cold.output.data, warm.output.data,
					     cold.output.len) == 0,
			      "%s\nbooted:\n%s\nwoke up:\n%s", list[i]->release,
			      cold.output.data, warm.output.data);
		bl_vm_result_free(&cold);
		bl_vm_result_free(&warm);
	}
}
END_TEST

START_TEST(no_two_guests_have_the_same_clock_or_chance)
{
	const char *const argv[] = {
		"sh", "-c",
		"date +%s; cat /proc/sys/kernel/random/boot_id\n"
		"head -c 16 /dev/urandom | od -An -tx1",
		NULL
	};
	struct bl_vm_spec s = spec_of("chance", argv);
	struct bl_vm_result a, b;
	int64_t began, said;

	began = bl_clock_wall_ms() / 1000;
	a = run_warm(&s);
	b = run_warm(&s);
	said = strtoll(bl_buf_str(&a.output), NULL, 10);
	ck_assert_int_ge(said, began);
	ck_assert_int_le(said, bl_clock_wall_ms() / 1000);
	ck_assert_uint_gt(a.output.len, 80);
	/* Neither line: not even a boot id is shared. */
	ck_assert_str_ne(strchr(a.output.data, '\n'),
			 strchr(b.output.data, '\n'));
	ck_assert_str_ne(strrchr(a.output.data, '-'),
			 strrchr(b.output.data, '-'));
	bl_vm_result_free(&a);
	bl_vm_result_free(&b);
}
END_TEST

START_TEST(a_large_job_and_a_program_come_through)
{
	/* The last line replaces a file that the guest has already. */
	const char *const argv[] = {
		"bash", "-c",
		"echo $BASH_VERSION; wc -c </large; sum /large; cat /etc/hosts",
		NULL
	};
	bl_autofree char *large = bl_path("%s/large", dir);
	bl_autofree char *hosts = bl_path("%s/hosts", dir);
	bl_autobuf struct bl_buf data = { 0 };
	struct bl_vm_file files[] = { { large, "/large" },
				      { hosts, "/etc/hosts" },
				      { "/bin/bash", "/usr/local/bin/bash" } };
	const char *const with_path[] = { "/usr/local/bin/bash", argv[1],
					  argv[2], NULL };
	struct bl_vm_spec s = spec_of("large", with_path);
	struct bl_vm_result warm, cold;

	for (unsigned i = 0; i < 20u << 18; i++)
		ck_assert_int_eq(bl_buf_add(&data, &i, sizeof(i)), 0);
	ck_assert_int_eq(bl_file_write(large, data.data, data.len, 0644, &err),
			 0);
	ck_assert_int_eq(bl_file_write(hosts, "mine\n", 5, 0644, &err), 0);
	s.files = files;
	s.file_count = BL_ARRAY_SIZE(files);
	warm = run_warm(&s);
	ck_assert_int_eq(warm.outcome, BL_VM_EXITED);
	ck_assert_int_eq(warm.exit_status, 0);
	ck_assert_ptr_nonnull(strstr(bl_buf_str(&warm.output), "\n20971520\n"));
	ck_assert_ptr_nonnull(strstr(warm.output.data, "\nmine\n"));
	s.warm = false;
	cold = run(&s);
	ck_assert_str_eq(warm.output.data, bl_buf_str(&cold.output));
	bl_vm_result_free(&warm);
	bl_vm_result_free(&cold);
}
END_TEST

/* --- ends ----------------------------------------------------------------- */

START_TEST(panic_hang_and_loss_of_a_guest_that_woke_up_are_told_apart)
{
	const char *const panic[] = {
		"sh", "-c", "echo so far; sleep 1; echo c >/proc/sysrq-trigger",
		NULL
	};
	const char *const hang[] = { "sh", "-c", "echo so far; sleep 1000",
				     NULL };
	const char *const lost[] = { "sh", "-c",
				     "echo so far; sleep 1; poweroff -f",
				     NULL };
	const char *const *const argv[] = { panic, hang, lost };
	static const enum bl_vm_outcome want[] = { BL_VM_PANIC, BL_VM_HANG,
						   BL_VM_LOST };
	size_t before;

	have_state(own_kernel());
	before = saved();
	for (size_t i = 0; i < BL_ARRAY_SIZE(argv); i++) {
		struct bl_vm_spec s = spec_of("end", argv[i]);
		struct bl_vm_result res;

		res = want[i] == BL_VM_HANG ? run_to_deadline(&s)
					    : run_warm(&s);
		ck_assert_msg(res.outcome == want[i], "%s: %s",
			      bl_vm_outcome_name(res.outcome), res.reason);
		ck_assert_str_eq(bl_buf_str(&res.output), "so far\n");
		ck_assert(log_has(&res, "Linux version"));
		if (want[i] == BL_VM_PANIC) {
			ck_assert_str_eq(res.reason,
					 "Kernel panic - not syncing: "
					 "sysrq triggered crash");
			ck_assert(log_has(&res, res.reason));
		}
		bl_vm_result_free(&res);
	}
	/* None of it is the state's fault. */
	ck_assert_uint_eq(saved(), before);
}
END_TEST

/* --- states that are no good ---------------------------------------------- */

/* Makes a damaged state pass for what was saved. */
static void reseal(const char *state)
{
	static const char *const files[] = { "ram", "device", "console" };
	bl_autofree char *path = bl_path("%s/identity", state);
	bl_autobuf struct bl_buf text = { 0 };

	ck_assert_int_eq(bl_file_read(path, 1 << 20, &text, &err), 0);
	text.len = (size_t)(strstr(text.data, "saved ram") - text.data);
	for (size_t i = 0; i < BL_ARRAY_SIZE(files); i++) {
		bl_autofree char *file = bl_path("%s/%s", state, files[i]);
		struct stat st;

		ck_assert_int_eq(stat(file, &st), 0);
		bl_buf_printf(&text, "saved %s", files[i]);
		bl_identity_stat(&text, &st);
		bl_buf_add(&text, "\n", 1);
	}
	ck_assert_int_eq(bl_file_write(path, text.data, text.len, 0600, &err),
			 0);
}

static const struct {
	const char *what;
	bool sealed;
} damages[] = {
	{ "truncate -s 1M ram", false },
	{ "rm device", false },
	{ "truncate -s 1000 device", true }, /* QEMU refuses it */
	{ "truncate -s 0 ram && truncate -s 512M ram", true }, /* all zeroes */
};

START_TEST(a_damaged_state_costs_a_boot_and_heals)
{
	bl_autofree char *state = NULL;
	char script[512];
	struct bl_vm_spec s = spec_of("damaged", nothing);
	struct bl_vm_result res;

	have_no_state();
	have_state(s.kernel);
	state = state_dir();
	ck_assert_ptr_nonnull(state);
	snprintf(script, sizeof(script), "cd %s && %s", state,
		 damages[_i].what);
	ck_assert_int_eq(system(script), 0);
	if (damages[_i].sealed)
		reseal(state);
	res = run(&s);
	ck_assert_msg(res.outcome == BL_VM_EXITED, "%s", res.reason);
	ck_assert(!res.warm);
	ck_assert(log_has(&res, "Linux version"));
	bl_vm_result_free(&res);
	have_state(s.kernel);
}
END_TEST

START_TEST(two_at_once_save_one_state)
{
	struct bl_vm_spec s[2] = { spec_of("first", nothing),
				   spec_of("second", nothing) };
	bl_autofree char *state = NULL;
	struct bl_vm *vms[2];
	size_t ended = 0, woke = 0;

	have_no_state();
	for (size_t i = 0; i < 2; i++)
		ck_assert_int_eq(bl_vm_start(&s[i], &vms[i], &err), 0);
	while (ended < 2) {
		int r = bl_vm_poll(vms, 2, -1, &err);

		ck_assert_msg(r > 0, "%s", err.text);
		ended += (size_t)r;
	}
	for (size_t i = 0; i < 2; i++) {
		ck_assert_int_eq(bl_vm_state(vms[i]), BL_VM_EXITED);
		bl_vm_free(vms[i]);
	}
	have_state(own_kernel());
	state = state_dir();
	ck_assert_ptr_nonnull(state);
	/* And two wake up from it. */
	for (int i = 0; i < TRIES && woke < 2; i++) {
		for (size_t k = 0; k < 2; k++)
			ck_assert_int_eq(bl_vm_start(&s[k], &vms[k], &err), 0);
		for (ended = 0; ended < 2;)
			ended += (size_t)bl_vm_poll(vms, 2, -1, &err);
		woke = 0;
		for (size_t k = 0; k < 2; k++) {
			woke += bl_vm_result(vms[k])->warm;
			bl_vm_free(vms[k]);
		}
	}
	ck_assert_uint_eq(woke, 2);
}
END_TEST

/* A file system of our own: as root, or as what passes for it. */
static bool small_disk(const char *at, const char *options)
{
	if (unshare(CLONE_NEWNS) < 0 &&
	    unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
		return false;
	mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
	return mount("small", at, "tmpfs", 0, options) == 0;
}

START_TEST(a_full_disk_is_no_error)
{
	struct bl_vm_spec s = spec_of("full", nothing);

	have_no_state();
	ck_assert_int_eq(mkdir(states, 0755), 0);
	if (!small_disk(states, "size=1m")) {
		fprintf(stderr, "not tested: a full disk needs a mount\n");
		return;
	}
	ck_assert(!wakes(&s));
	ck_assert(!wakes(&s));
	{
		bl_autofree char *left =
			bl_path("ls -A %s | wc -l | grep -qx 0", states);

		ck_assert_int_eq(system(left), 0);
	}
	umount(states);
}
END_TEST

/* --- cold all the same ---------------------------------------------------- */

START_TEST(what_a_state_cannot_do_runs_cold)
{
	bl_autofree char *large = bl_path("%s/large", dir);
	struct bl_vm_file file = { large, "/large" };
	const char *const size[] = { "sh", "-c",
				     "test $(wc -c </large) = 67108864", NULL };
	struct bl_vm_result res;
	struct bl_vm_spec s;

	have_state(own_kernel());
	ck_assert_int_eq(bl_file_write(large, "", 0, 0644, &err), 0);
	ck_assert_int_eq(truncate(large, BL_JOB_BYTES), 0);
	s = spec_of("large", size);
	s.files = &file;
	s.file_count = 1;
	ck_assert(!wakes(&s));
	s = spec_of("cpus", nothing);
	s.cpus = 2;
	ck_assert(!wakes(&s));
	s = spec_of("append", nothing);
	s.append = "quiet";
	ck_assert(!wakes(&s));
	setenv("BELAY_LAB_WARM", "0", 1);
	s = spec_of("off", nothing);
	ck_assert(!wakes(&s));
	unsetenv("BELAY_LAB_WARM");
	res = run_warm(&s);
	bl_vm_result_free(&res);
	s.mem_mib = 600; /* another machine, another state */
	ck_assert(!wakes(&s));
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *s = suite_create("lab_warm");
	TCase *t = tcase_create("warm");

	if (bl_catalog_load(&catalog, &err) < 0) {
		fprintf(stderr, "skipped: %s; %s\n", err.text, err.hint);
		exit(77);
	}
	/* This program is not belay; the guest gets the one built with it. */
	setenv("BELAY_GUEST_BINARY", BL_TEST_BUILD_DIR "/belay", 1);
	tcase_add_unchecked_fixture(t, make_cache, remove_cache);
	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_add_test(t, a_guest_that_woke_up_answers_as_one_that_booted);
	tcase_add_test(t, no_two_guests_have_the_same_clock_or_chance);
	tcase_add_test(t, a_large_job_and_a_program_come_through);
	tcase_add_test(
		t, panic_hang_and_loss_of_a_guest_that_woke_up_are_told_apart);
	tcase_add_test(t, what_a_state_cannot_do_runs_cold);
	tcase_add_loop_test(t, a_damaged_state_costs_a_boot_and_heals, 0,
			    (int)BL_ARRAY_SIZE(damages));
	tcase_add_test(t, two_at_once_save_one_state);
	tcase_add_test(t, a_full_disk_is_no_error);
	suite_add_tcase(s, t);
	return s;
}
