/* SPDX-License-Identifier: Apache-2.0 */
/* A warm start without a VM: QEMU's monitor, the job, saved states. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/lab/job.h"
#include "loader/lab/qmp.h"
#include "loader/lab/state.h"
#include "tests/main.h"

static struct bl_err err;

/* --- the monitor ---------------------------------------------------------- */

#define GREETING "{\"QMP\": {\"version\": {}, \"capabilities\": []}}\r\n"
#define FINE	 "{\"return\": {}}\r\n"
#define EVENT(s)                                                      \
	"{\"timestamp\": {\"seconds\": 1}, \"event\": \"MIGRATION\"," \
	" \"data\": {\"status\": \"" s "\"}}\r\n"

/* Asks @commands, feeds @said in pieces of @piece bytes, stops at a failure. */
static int feed(struct bl_qmp *q, unsigned commands, const char *said,
		size_t piece)
{
	bl_autobuf struct bl_buf out = { 0 };
	size_t len = strlen(said);
	int r = 0;

	*q = (struct bl_qmp){ 0 };
	err = (struct bl_err){ 0 };
	while (commands--)
		ck_assert_int_eq(bl_qmp_ask(q, "stop", NULL, &out), 0);
	for (size_t at = 0; !r && at < len; at += piece)
		r = bl_qmp_feed(q, said + at,
				len - at < piece ? len - at : piece, &err);
	return r;
}

START_TEST(answers_are_counted_however_they_are_cut)
{
	static const char said[] = GREETING FINE EVENT("setup") FINE
		"{\"event\": \"STOP\"}\n" EVENT("completed");
	struct bl_qmp q;

	for (size_t piece = 1; piece < sizeof(said); piece += 7) {
		ck_assert_int_eq(feed(&q, 3, said, piece), 0);
		ck_assert(q.greeted);
		ck_assert_uint_eq(q.owed, 1);
		ck_assert(!bl_qmp_idle(&q));
		ck_assert_int_eq(q.migration, BL_QMP_MIGRATED);
		ck_assert_int_eq(bl_qmp_feed(&q, FINE, strlen(FINE), &err), 0);
		ck_assert(bl_qmp_idle(&q));
		bl_qmp_free(&q);
	}
}
END_TEST

START_TEST(nothing_is_idle_before_the_greeting)
{
	struct bl_qmp q = { 0 };

	ck_assert(!bl_qmp_idle(&q));
	ck_assert_int_eq(feed(&q, 0, EVENT("failed"), 9), 0);
	ck_assert(!bl_qmp_idle(&q));
	ck_assert_int_eq(q.migration, BL_QMP_MIGRATION_FAILED);
	bl_qmp_free(&q);
}
END_TEST

static const struct {
	const char *said;
	int code;
	const char *text;
} hostile[] = {
	{ GREETING
	  "{\"error\": {\"class\": \"G\", \"desc\": \"no such cap\"}}\n",
	  -EREMOTEIO, "no such cap" },
	{ GREETING "{\"error\": 7}\n", -EREMOTEIO, "does not say why" },
	{ FINE, -EBADMSG, "nobody asked" }, /* before the greeting */
	{ GREETING FINE FINE, -EBADMSG, "nobody asked" },
	{ GREETING GREETING, -EBADMSG, "no answer" },
	{ "[]\n", -EBADMSG, "no answer" },
	{ "\n", -EBADMSG, "QEMU's monitor" },
	{ "{\"return\": {}\n", -EBADMSG, "QEMU's monitor" },
	{ "{\"return\": {}} x\n", -EBADMSG, "QEMU's monitor" },
	{ "[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]\n", -EBADMSG,
	  "nested deeper" },
	{ "\xff\xfe\n", -EBADMSG, "QEMU's monitor" },
};

START_TEST(what_is_no_answer_is_told)
{
	struct bl_qmp q;

	ck_assert_int_eq(feed(&q, 1, hostile[_i].said, 5), hostile[_i].code);
	ck_assert_msg(strstr(err.text, hostile[_i].text), "%s", err.text);
	bl_qmp_free(&q);
}
END_TEST

START_TEST(a_line_without_an_end_is_not_kept_for_ever)
{
	struct bl_qmp q = { 0 };
	char chunk[4096];
	size_t fed = 0;
	int r = 0;

	memset(chunk, ' ', sizeof(chunk));
	for (; !r && fed < 10u * BL_QMP_LINE_MAX; fed += sizeof(chunk))
		r = bl_qmp_feed(&q, chunk, sizeof(chunk), &err);
	ck_assert_int_eq(r, -EFBIG);
	ck_assert_uint_le(fed, BL_QMP_LINE_MAX + 2 * sizeof(chunk));
	bl_qmp_free(&q);
}
END_TEST

START_TEST(odd_events_change_nothing)
{
	struct bl_qmp q;

	ck_assert_int_eq(feed(&q, 0,
			      GREETING
			      "{\"event\": 1}\n{\"event\": \"MIGRATION\"}\n"
			      "{\"event\": \"MIGRATION\", \"data\": []}\n"
			      "{\"event\": \"MIGRATION\","
			      " \"data\": {\"status\": 3}}\n"
			      "{\"event\": \"SHUTDOWN\","
			      " \"data\": {\"status\": \"completed\"}}\n",
			      3),
			 0);
	ck_assert_int_eq(q.migration, BL_QMP_NOT_MIGRATED);
	bl_qmp_free(&q);
}
END_TEST

/* --- the job -------------------------------------------------------------- */

START_TEST(a_job_is_as_long_as_it_says)
{
	char memory[2 * BL_JOB_HEADER] = { 0 };
	size_t len = 77;

	ck_assert_int_eq(bl_job_length(memory, sizeof(memory), &len), -EBADMSG);
	ck_assert_int_eq(bl_job_header(memory, BL_JOB_HEADER), 0);
	ck_assert_int_eq(bl_job_length(memory, sizeof(memory), &len), 0);
	ck_assert_uint_eq(len, BL_JOB_HEADER);
	/* One byte more than there is. */
	ck_assert_int_eq(bl_job_header(memory, BL_JOB_HEADER + 1), 0);
	ck_assert_int_eq(bl_job_length(memory, sizeof(memory), &len), -EBADMSG);
	ck_assert_int_eq(bl_job_length(memory, 100, &len), -EBADMSG);
	ck_assert_uint_eq(len, BL_JOB_HEADER);
	ck_assert_int_eq(bl_job_header(memory,
				       BL_JOB_BYTES - BL_JOB_HEADER + 1),
			 -EFBIG);
}
END_TEST

static const char *const bad_lengths[] = {
	"belay job 1\n\n",
	"belay job 1\n-1\n",
	"belay job 1\n99999999999\n",
	"belay job 1\n18446744073709551617\n",
	"belay job 1\n12",
	"belay job 2\n0\n",
	"belay job 1\n0x10\n",
};

START_TEST(a_job_with_a_bad_header_is_none)
{
	char memory[BL_JOB_HEADER + 1] = { 0 };
	size_t len;

	memcpy(memory, bad_lengths[_i], strlen(bad_lengths[_i]));
	ck_assert_int_eq(bl_job_length(memory, sizeof(memory), &len), -EBADMSG);
}
END_TEST

START_TEST(a_go_brings_time_and_chance)
{
	unsigned char seed[BL_JOB_SEED], got[BL_JOB_SEED] = { 0 };
	char line[BL_JOB_GO_MAX], cut[BL_JOB_GO_MAX];
	int64_t wall = 0;

	for (size_t i = 0; i < sizeof(seed); i++)
		seed[i] = (unsigned char)(i * 9);
	bl_job_go(line, 1700000000123, seed);
	ck_assert_int_eq(line[strlen(line) - 1], '\n');
	ck_assert_int_eq(bl_job_read_go(line, &wall, got), 0);
	ck_assert_int_eq(wall, 1700000000123);
	ck_assert_mem_eq(got, seed, sizeof(seed));
	/* Cut off anywhere it is no go; without its newline it still is. */
	for (size_t n = 0; n + 1 < strlen(line); n++) {
		snprintf(cut, sizeof(cut), "%.*s", (int)n, line);
		ck_assert_int_eq(bl_job_read_go(cut, &wall, got), -EBADMSG);
	}
	strcat(strcpy(cut, line), "x");
	ck_assert_int_eq(bl_job_read_go(cut, &wall, got), -EBADMSG);
	ck_assert_int_eq(bl_job_read_go("go -1 00", &wall, got), -EBADMSG);
	memcpy(line, "go 99999999999999999999", 23);
	ck_assert_int_eq(bl_job_read_go(line, &wall, got), -EBADMSG);
}
END_TEST

/* --- states --------------------------------------------------------------- */

#define PAGES 64u
#define PAGE  4096u

static char *dir, *root, *console;
static struct bl_state_id id;

static void set_up(void)
{
	err = (struct bl_err){ 0 };
	dir = bl_test_tmpdir();
	root = bl_path("%s/states", dir);
	console = bl_path("%s/console.log", dir);
	ck_assert_int_eq(bl_file_write(console, "booted\n", 7, 0644, &err), 0);
	id = (struct bl_state_id){ root, "6.1.0", "made of this\n" };
}

static void tear_down(void)
{
	bl_file_rmtree(dir, NULL);
	free(console);
	free(root);
	free(dir);
}

/* A memory with one page of data in the middle, one of zeroes before it. */
static int make_ram(void)
{
	int fd = memfd_create("ram", MFD_CLOEXEC);
	char page[PAGE] = { 0 };

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, PAGES * PAGE), 0);
	ck_assert_int_eq(pwrite(fd, page, PAGE, 30 * PAGE), PAGE);
	memset(page, 0xcc, PAGE);
	ck_assert_int_eq(pwrite(fd, page, PAGE, 31 * PAGE), PAGE);
	ck_assert_int_eq(pwrite(fd, "end", 3, (off_t)PAGES * PAGE - 3), 3);
	return fd;
}

static struct bl_state_writer *begin(const struct bl_state_id *which)
{
	struct bl_state_writer *w = NULL;
	bl_autoclose int ram = make_ram();
	int device = -1;

	ck_assert_msg(bl_state_begin(which, &w, &device, &err) == 0, "%s",
		      err.text);
	ck_assert_int_eq(write(device, "devices", 7), 7);
	ck_assert_int_eq(bl_state_fill(w, ram, PAGES * PAGE, console, &err), 0);
	return w;
}

static void save(const struct bl_state_id *which)
{
	struct bl_state_writer *w = begin(which);

	ck_assert_msg(bl_state_commit(&w, &err) == 0, "%s", err.text);
	ck_assert_ptr_null(w);
}

static bool there(const struct bl_state_id *which)
{
	struct bl_state s;

	if (bl_state_open(which, console, &s, NULL) < 0)
		return false;
	bl_state_close(&s);
	return true;
}

/* How many names the folder of states has. */
static unsigned names(void)
{
	bl_autoclosedir DIR *d = opendir(root);
	const struct dirent *e;
	unsigned n = 0;

	while (d && (e = readdir(d)))
		n += strcmp(e->d_name, ".") != 0 &&
		     strcmp(e->d_name, "..") != 0;
	return n;
}

START_TEST(what_was_saved_comes_back)
{
	bl_autoclose int ram = make_ram();
	bl_autobuf struct bl_buf said = { 0 };
	char want[PAGE], got[PAGE];
	struct bl_state s;
	struct stat st;

	ck_assert(!there(&id));
	save(&id);
	ck_assert_int_eq(bl_file_write(console, "", 0, 0644, &err), 0);
	ck_assert_int_eq(bl_state_open(&id, console, &s, &err), 0);
	for (off_t i = 0; i < PAGES; i++) {
		ck_assert_int_eq(pread(ram, want, PAGE, i * PAGE), PAGE);
		ck_assert_int_eq(pread(s.ram, got, PAGE, i * PAGE), PAGE);
		ck_assert_mem_eq(got, want, PAGE);
	}
	ck_assert_int_eq(fstat(s.ram, &st), 0);
	ck_assert_int_eq(st.st_size, PAGES * PAGE);
	ck_assert_int_le(st.st_blocks * 512, 4 * PAGE); /* zeroes are holes */
	ck_assert_int_eq(pread(s.device, got, PAGE, 0), 7);
	ck_assert_int_eq(bl_file_read(console, 100, &said, &err), 0);
	ck_assert_str_eq(said.data, "booted\n");
	ck_assert_uint_gt(bl_state_bytes(root, "6.1.0"), 0);
	ck_assert_uint_eq(bl_state_bytes(root, "6.1"), 0);
	bl_state_close(&s);
}
END_TEST

START_TEST(anything_else_it_was_made_of_is_another_state)
{
	struct bl_state_id other = id;

	save(&id);
	other.identity = "made of that\n";
	ck_assert(!there(&other));
	other = id;
	other.release = "6.1.1";
	ck_assert(!there(&other));
	ck_assert(there(&id));
}
END_TEST

static const char *const damages[] = {
	"truncate -s -4096 ram",
	"printf x | dd of=ram bs=1 seek=9000 conv=notrunc 2>/dev/null",
	"rm ram",
	"ln -sf /etc/passwd device",
	": >device",
	"printf x >>console",
	"printf x >>identity",
	": >identity",
	"rm identity",
};

START_TEST(a_damaged_state_is_none_and_goes)
{
	char script[512];

	save(&id);
	snprintf(script, sizeof(script), "cd %s/6.1.0.* && %s", root,
		 damages[_i]);
	ck_assert_int_eq(system(script), 0);
	ck_assert(!there(&id));
	ck_assert_uint_eq(names(), 0);
	save(&id);
	ck_assert(there(&id));
}
END_TEST

START_TEST(of_two_that_save_one_wins)
{
	struct bl_state_writer *a = begin(&id), *b = begin(&id);

	ck_assert_uint_eq(names(), 2);
	ck_assert(!there(&id)); /* half made, it is nowhere */
	ck_assert_int_eq(bl_state_commit(&a, &err), 0);
	ck_assert_int_lt(bl_state_commit(&b, &err), 0);
	ck_assert_ptr_null(b);
	ck_assert_uint_eq(names(), 1);
	ck_assert(there(&id));
}
END_TEST

START_TEST(what_is_half_made_goes_when_its_maker_is_gone)
{
	struct bl_state_id other = id;
	struct bl_state_writer *alive = begin(&id);
	bl_autofree char *orphan = bl_path("%s/.saving-000000", root);

	ck_assert_int_eq(mkdir(orphan, 0700), 0);
	other.identity = "another";
	save(&other);
	ck_assert_int_ne(access(orphan, F_OK), 0);
	/* Whose maker lives stays, and is completed. */
	ck_assert_int_eq(bl_state_commit(&alive, &err), 0);
	ck_assert(there(&id));
	alive = begin(&other);
	bl_state_abort(&alive);
	ck_assert_uint_eq(names(), 2);
}
END_TEST

/* The one saved first of those of its kernel, unless it was used since. */
START_TEST(the_last_used_are_kept)
{
	struct bl_state_id a = id, b = id, c = id, other = id;

	a.identity = "a";
	b.identity = "b";
	c.identity = "c";
	other.release = "5.10.0";
	save(&other);
	save(&a);
	usleep(20000);
	save(&b);
	usleep(20000);
	ck_assert(there(&a));
	usleep(20000);
	save(&c);
	ck_assert(there(&a));
	ck_assert(there(&c));
	ck_assert(!there(&b));
	ck_assert(there(&other));
	bl_state_forget(&a);
	ck_assert(!there(&a));
}
END_TEST

START_TEST(who_has_it_open_keeps_it)
{
	char text[8] = "";
	struct bl_state s;

	save(&id);
	ck_assert_int_eq(bl_state_open(&id, console, &s, &err), 0);
	bl_state_forget(&id);
	ck_assert_int_eq(pread(s.device, text, 7, 0), 7);
	ck_assert_str_eq(text, "devices");
	bl_state_close(&s);
}
END_TEST

START_TEST(where_nothing_can_be_written_nothing_is_saved)
{
	struct bl_state_id nowhere = id;
	struct bl_state_writer *w = NULL;
	int device = -1;

	nowhere.root = "/proc/states";
	ck_assert_int_lt(bl_state_begin(&nowhere, &w, &device, &err), 0);
	ck_assert_ptr_null(w);
	ck_assert_int_eq(device, -1);
	ck_assert(!there(&nowhere));
	bl_state_abort(&w);
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *s = suite_create("lab_warm");
	TCase *t = tcase_create("monitor");

	tcase_add_test(t, answers_are_counted_however_they_are_cut);
	tcase_add_test(t, nothing_is_idle_before_the_greeting);
	tcase_add_loop_test(t, what_is_no_answer_is_told, 0,
			    (int)BL_ARRAY_SIZE(hostile));
	tcase_add_test(t, a_line_without_an_end_is_not_kept_for_ever);
	tcase_add_test(t, odd_events_change_nothing);
	suite_add_tcase(s, t);

	t = tcase_create("job");
	tcase_add_test(t, a_job_is_as_long_as_it_says);
	tcase_add_loop_test(t, a_job_with_a_bad_header_is_none, 0,
			    (int)BL_ARRAY_SIZE(bad_lengths));
	tcase_add_test(t, a_go_brings_time_and_chance);
	suite_add_tcase(s, t);

	t = tcase_create("state");
	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_add_test(t, what_was_saved_comes_back);
	tcase_add_test(t, anything_else_it_was_made_of_is_another_state);
	tcase_add_loop_test(t, a_damaged_state_is_none_and_goes, 0,
			    (int)BL_ARRAY_SIZE(damages));
	tcase_add_test(t, of_two_that_save_one_wins);
	tcase_add_test(t, what_is_half_made_goes_when_its_maker_is_gone);
	tcase_add_test(t, the_last_used_are_kept);
	tcase_add_test(t, who_has_it_open_keeps_it);
	tcase_add_test(t, where_nothing_can_be_written_nothing_is_saved);
	suite_add_tcase(s, t);
	return s;
}
