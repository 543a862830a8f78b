/* SPDX-License-Identifier: Apache-2.0 */
/* Text for people: tables that line up, no colour where none is wanted. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "loader/base/cleanup.h"
#include "loader/base/term.h"
#include "tests/main.h"

static char text[4096];

/* What @t prints to a file that is no terminal. */
static const char *printed(const struct bl_table *t, const char *indent)
{
	FILE *f = tmpfile();
	size_t n;

	ck_assert_ptr_nonnull(f);
	bl_table_print(t, f, indent);
	rewind(f);
	n = fread(text, 1, sizeof(text) - 1, f);
	text[n] = '\0';
	fclose(f);
	return text;
}

START_TEST(columns_line_up_in_characters_not_bytes)
{
	bl_autotable struct bl_table *t = bl_table_new(3);

	bl_table_row(t);
	bl_table_cell(t, BL_STYLE_PLAIN, "kernel");
	bl_table_cell(t, BL_STYLE_PLAIN, "grün");
	bl_table_cell(t, BL_STYLE_PLAIN, "n");
	bl_table_row(t);
	bl_table_cell(t, BL_STYLE_GOOD, "6.1");
	bl_table_cell(t, BL_STYLE_BAD, "%s", "größer");
	bl_table_cell(t, BL_STYLE_PLAIN, "%d", 1000);
	ck_assert_str_eq(printed(t, "  "), "  kernel  grün    n\n"
					   "  ------  ------  ----\n"
					   "  6.1     größer  1000\n");
}
END_TEST

START_TEST(a_missing_cell_is_empty_and_one_too_many_is_dropped)
{
	bl_autotable struct bl_table *t = bl_table_new(2);

	bl_table_cell(t, BL_STYLE_PLAIN, "before any row");
	bl_table_row(t);
	bl_table_cell(t, BL_STYLE_PLAIN, "a");
	bl_table_cell(t, BL_STYLE_PLAIN, "b");
	bl_table_cell(t, BL_STYLE_PLAIN, "too many");
	bl_table_row(t);
	bl_table_row(t);
	bl_table_cell(t, BL_STYLE_PLAIN, "x");
	bl_table_cell(t, BL_STYLE_PLAIN, "y");
	ck_assert_str_eq(printed(t, ""), "a  b\n-  -\n   \nx  y\n");
}
END_TEST

START_TEST(an_empty_table_prints_nothing)
{
	bl_autotable struct bl_table *t = bl_table_new(2);

	ck_assert_str_eq(printed(t, ""), "");
}
END_TEST

START_TEST(colour_is_for_terminals_that_want_it)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY);
	bl_autofclose FILE *tty = NULL;
	bl_autofclose FILE *file = tmpfile();

	ck_assert_int_ge(master, 0);
	ck_assert_int_eq(grantpt(master), 0);
	ck_assert_int_eq(unlockpt(master), 0);
	tty = fopen(ptsname(master), "r+");
	ck_assert_ptr_nonnull(tty);
	unsetenv("NO_COLOR");
	setenv("TERM", "xterm", 1);
	ck_assert(bl_term_colour(tty));
	ck_assert(!bl_term_colour(file));
	setenv("NO_COLOR", "1", 1);
	ck_assert(!bl_term_colour(tty));
	setenv("NO_COLOR", "", 1); /* no-color.org: set and not empty */
	ck_assert(bl_term_colour(tty));
	setenv("TERM", "dumb", 1);
	ck_assert(!bl_term_colour(tty));
	ck_assert_str_eq(bl_style(false, BL_STYLE_BAD), "");
	ck_assert_str_eq(bl_style_end(false), "");
	ck_assert_uint_eq(bl_term_columns(file), 80);
	close(master);
}
END_TEST

/* Standard error into a file or a terminal; returns what to read from. */
static int capture(bool terminal)
{
	int fds[2];

	if (!terminal) {
		ck_assert_int_eq(pipe(fds), 0);
	} else {
		fds[0] = posix_openpt(O_RDWR | O_NOCTTY);
		ck_assert_int_ge(fds[0], 0);
		ck_assert_int_eq(grantpt(fds[0]), 0);
		ck_assert_int_eq(unlockpt(fds[0]), 0);
		fds[1] = open(ptsname(fds[0]), O_RDWR | O_NOCTTY);
	}
	ck_assert_int_eq(dup2(fds[1], STDERR_FILENO), STDERR_FILENO);
	return fds[0];
}

START_TEST(progress_in_a_log_is_one_line_a_step)
{
	struct bl_progress p;
	int fd = capture(false);
	ssize_t n;

	bl_progress_start(&p, "boot", 2);
	bl_progress_tick(&p);
	bl_progress_step(&p, 1, "6.1 %s", "ready");
	bl_progress_step(&p, 2, "6.12 ready");
	bl_progress_end(&p);
	n = read(fd, text, sizeof(text) - 1);
	ck_assert_int_gt(n, 0);
	text[n] = '\0';
	ck_assert_str_eq(text, "boot: 1/2 6.1 ready\nboot: 2/2 6.12 ready\n");
}
END_TEST

START_TEST(progress_that_is_soon_over_is_not_shown)
{
	int fd = capture(true);
	struct bl_progress p;

	bl_progress_start(&p, "quick", 1);
	bl_progress_step(&p, 1, "done");
	bl_progress_end(&p);
	ck_assert_int_eq(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	ck_assert_int_lt(read(fd, text, sizeof(text)), 0);
	ck_assert_int_eq(errno, EAGAIN);
}
END_TEST

START_TEST(progress_on_a_terminal_keeps_to_its_line)
{
	static char title[1000];
	int fd = capture(true);
	struct bl_progress p;
	ssize_t n;

	memset(title, 'T', sizeof(title) - 1);
	bl_progress_start(&p, title, 3);
	p.start_ms -= 2 * BL_PROGRESS_QUIET_MS;
	bl_progress_step(&p, 5, "more than all");
	n = read(fd, text, sizeof(text) - 1);
	ck_assert_int_gt(n, 0);
	text[n] = '\0';
	ck_assert_ptr_null(strchr(text, '\n'));
	/* \r, ESC [ K and at most 79 columns */
	ck_assert_int_le(n, 4 + 79);
	p.title = "short";
	p.drawn_ms = 0;
	bl_progress_tick(&p);
	n = read(fd, text, sizeof(text) - 1);
	text[n] = '\0';
	ck_assert_ptr_nonnull(strstr(text, "short [####"));
	ck_assert_ptr_nonnull(strstr(text, "5/3 "));
	bl_progress_end(&p);
	n = read(fd, text, sizeof(text) - 1);
	text[n] = '\0';
	ck_assert_str_eq(text, "\r\033[K");
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *s = suite_create("term");
	TCase *t = tcase_create("term");

	tcase_add_test(t, columns_line_up_in_characters_not_bytes);
	tcase_add_test(t, a_missing_cell_is_empty_and_one_too_many_is_dropped);
	tcase_add_test(t, an_empty_table_prints_nothing);
	tcase_add_test(t, colour_is_for_terminals_that_want_it);
	tcase_add_test(t, progress_in_a_log_is_one_line_a_step);
	tcase_add_test(t, progress_that_is_soon_over_is_not_shown);
	tcase_add_test(t, progress_on_a_terminal_keeps_to_its_line);
	suite_add_tcase(s, t);
	return s;
}
