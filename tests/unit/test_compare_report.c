/* SPDX-License-Identifier: Apache-2.0 */
/* The reports of a comparison. With BELAY_TEST_DUMP=DIR the case "dump" writes
 * them there, for test_compare_page.sh and for a person to look at. */
#include <pty.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "canary/compare/cell.h"
#include "canary/compare/report.h"
#include "canary/ledger/record.h"
#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/base/text.h"
#include "tests/main.h"
#include "tests/support/compare_fixture.h"

static struct bl_compare c;

static void set_up(void)
{
	compare_fixture(&c);
}

static void tear_down(void)
{
	bl_compare_free(&c);
}

static char *print(int (*form)(const struct bl_compare *, FILE *))
{
	char *text = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);

	ck_assert_int_eq(form(&c, f), 0);
	ck_assert_int_eq(fclose(f), 0);
	return text;
}

static void dump(const char *dir, const char *name, const char *text)
{
	bl_autofree char *path = bl_path("%s/%s", dir, name);
	struct bl_err err;

	ck_assert_msg(bl_file_write(path, text, strlen(text), 0644, &err) == 0,
		      "%s", err.text);
}

START_TEST(writes_all_forms_for_others_to_look_at)
{
	const char *dir = getenv("BELAY_TEST_DUMP");
	bl_autofree char *text = print(bl_compare_print_text);
	bl_autofree char *markdown = print(bl_compare_print_markdown);
	bl_autofree char *page = print(bl_compare_print_page);
	bl_autofree char *json = bl_compare_dump(bl_compare_json(&c));

	ck_assert_ptr_nonnull(json);
	if (!dir)
		return;
	dump(dir, "compare.txt", text);
	dump(dir, "compare.md", markdown);
	dump(dir, "compare.html", page);
	dump(dir, "compare.json", json);
}
END_TEST

/* One fault on one kernel, with what a report must not hide or believe. */
static void small(void)
{
	bl_autocompare_result struct bl_compare_result r = { 0 };
	unsigned way;

	c = (struct bl_compare){ .made = "m", .belay = "b" };
	bl_text_copy(c.kernels[c.kernel_count++], BL_COMPARE_KERNEL_MAX,
		     "5.10.0-1-cloud-amd64");
	c.faults = json_pack("[{s:s,s:s,s:s},{s:s,s:s,s:{s:s},s:{s:s}}]", "id",
			     "f", "number", "7", "title",
			     "A | title <b>@you</b>", "id", "g", "number", "8",
			     "module", "none", "there is no such module",
			     "ebpf", "since", "5.17");
	for (way = 0; way < BL_COMPARE_WAYS; way++) {
		r = (struct bl_compare_result){
			.fault = "f",
			.kernel = "5.10.0-1-cloud-amd64",
			.way = way,
			.hosts = 3,
			.as_expected = true,
			.past_gate = BL_COMPARE_TRIAL,
			.stopped_by = BL_COMPARE_TRIAL,
			.belay = "b",
		};
		ck_assert_int_eq(bl_compare_add(&c, &r), 0);
	}
}

static struct bl_compare_result *run_of(enum bl_compare_way way)
{
	return (struct bl_compare_result *)(uintptr_t)bl_compare_find(
		&c, "f", "5.10.0-1-cloud-amd64", way);
}

static void has(const char *text, const char *what)
{
	ck_assert_msg(strstr(text, what) != NULL, "no '%s' in:\n%s", what,
		      text);
}

static void has_not(const char *text, const char *what)
{
	ck_assert_msg(strstr(text, what) == NULL, "'%s' in:\n%s", what, text);
}

static const struct {
	struct bl_compare_result run;
	enum bl_compare_ending ending;
	const char *stop, *past, *harm;
} runs[] = {
	{ { .past_gate = BL_COMPARE_VERIFIER,
	    .stopped_by = BL_COMPARE_GATE,
	    .gate = { BL_COMPARE_REJECTED, "policy", NULL } },
	  BL_COMPARE_HELD,
	  "gate: policy",
	  "verifier",
	  "no host down" },
	{ { .past_gate = BL_COMPARE_BOOT_LOOP,
	    .stopped_by = BL_COMPARE_BOOT_LOOP,
	    .crashes = 1,
	    .reboots = 1,
	    .outage_ms = 6200,
	    .recover_ms = 6200 },
	  BL_COMPARE_RECOVERED,
	  "boot-loop",
	  "",
	  "1 crash, back in 6.2 s" },
	{ { .past_gate = BL_COMPARE_TRIAL,
	    .stopped_by = BL_COMPARE_TRIAL,
	    .outage_ms = 125000,
	    .recover_ms = 125000 },
	  BL_COMPARE_RECOVERED,
	  "trial",
	  "",
	  "back in 2 min 05 s" },
	{ { .past_gate = BL_COMPARE_NOWHERE,
	    .stopped_by = BL_COMPARE_NOWHERE,
	    .lost = 2,
	    .recover_ms = BL_COMPARE_NEVER },
	  BL_COMPARE_LOST,
	  "never",
	  "",
	  "2 of 3 lost" },
	/* A host that is lost is lost, whatever is said to have stopped it. */
	{ { .past_gate = BL_COMPARE_TRIAL,
	    .stopped_by = BL_COMPARE_TRIAL,
	    .lost = 1,
	    .recover_ms = BL_COMPARE_NEVER },
	  BL_COMPARE_LOST,
	  "trial",
	  "",
	  "1 of 3 lost" },
	/* A sensor that sees nothing kills nobody, and is no success. */
	{ { .past_gate = BL_COMPARE_NOWHERE, .stopped_by = BL_COMPARE_NOWHERE },
	  BL_COMPARE_GOES_ON,
	  "never",
	  "",
	  "no host down" },
	{ { .past_gate = BL_COMPARE_UNAFFECTED,
	    .stopped_by = BL_COMPARE_UNAFFECTED },
	  BL_COMPARE_NO_EFFECT,
	  "unaffected",
	  "",
	  "no host down" },
	{ { .failed = (char *)"no VM", .lost = 3 },
	  BL_COMPARE_NOT_DONE,
	  "undecided",
	  "",
	  "" },
};

START_TEST(a_run_ends_as_its_numbers_say)
{
	struct bl_compare_cell cell = { .why = "" };
	struct bl_compare_result run = runs[_i].run;
	char words[BL_COMPARE_WORDS_MAX];

	run.hosts = 3;
	cell.run = &run;
	cell.ending = bl_compare_ending(&run);
	ck_assert_str_eq(bl_compare_ending_name(cell.ending),
			 bl_compare_ending_name(runs[_i].ending));
	bl_compare_cell_stop(&cell, words, sizeof(words));
	ck_assert_str_eq(words, runs[_i].stop);
	ck_assert_str_eq(bl_compare_cell_past(&cell), runs[_i].past);
	bl_compare_cell_harm(&cell, words, sizeof(words));
	ck_assert_str_eq(words, runs[_i].harm);
}
END_TEST

START_TEST(no_run_is_not_a_good_run)
{
	struct bl_compare_cell cell;
	const json_t *g;

	small();
	g = json_array_get(c.faults, 1);
	bl_compare_cell(&c, g, c.kernels[0], BL_COMPARE_A, &cell);
	ck_assert_int_eq(cell.ending, BL_COMPARE_NO_VARIANT);
	ck_assert_str_eq(cell.why, "there is no such module");
	/* 5.10 is before 5.17, which is what this variant needs; 6.1 is not. */
	bl_compare_cell(&c, g, c.kernels[0], BL_COMPARE_C, &cell);
	ck_assert_int_eq(cell.ending, BL_COMPARE_NO_VARIANT);
	bl_compare_cell(&c, g, "6.1.0-37", BL_COMPARE_C, &cell);
	ck_assert_int_eq(cell.ending, BL_COMPARE_NOT_RUN);
	bl_compare_free(&c);
}
END_TEST

START_TEST(the_headline_counts_what_was_run_and_nothing_else)
{
	char words[BL_COMPARE_WORDS_MAX];

	small();
	run_of(BL_COMPARE_A)->lost = 3;
	bl_compare_headline(&c, NULL, words, sizeof(words));
	ck_assert_str_eq(words, "A lost 3 of 3 hosts, B 0 of 3, C 0 of 3");
	ck_assert_int_eq(bl_compare_set(&run_of(BL_COMPARE_C)->failed, "x"), 0);
	bl_compare_headline(&c, NULL, words, sizeof(words));
	ck_assert_str_eq(words, "A lost 3 of 3 hosts, B 0 of 3");
	bl_compare_headline(&c, "another kernel", words, sizeof(words));
	ck_assert_str_eq(words, "");
	bl_compare_free(&c);
}
END_TEST

START_TEST(the_text_says_what_could_not_be_run_and_what_was_not_expected)
{
	bl_autofree char *text = NULL;

	small();
	ck_assert_int_eq(bl_compare_set(&run_of(BL_COMPARE_B)->failed,
					"host-2 did not start\nmore"),
			 0);
	run_of(BL_COMPARE_C)->as_expected = false;
	text = print(bl_compare_print_text);
	has(text, "? undecided");
	has(text,
	    "could not run f on 5.10.0-1-cloud-amd64 in way B: host-2 did not start\n");
	has(text, "no host down (!)");
	has(text, "A lost 0 of 3 hosts, C 0 of 3.\n");
	has_not(text, "\033[");
	bl_compare_free(&c);
}
END_TEST

START_TEST(a_narrow_terminal_gets_a_table_that_fits)
{
	static const unsigned widths[] = { 60, 80, 120, 200 };
	struct winsize size = { .ws_row = 50, .ws_col = widths[_i] };
	bl_autobuf struct bl_buf seen = { 0 };
	int ends[2], n;
	char part[4096];
	unsigned column = 0;
	bool table = false;
	const char *p;
	pid_t pid;

	compare_fixture(&c);
	ck_assert_int_eq(openpty(&ends[0], &ends[1], NULL, NULL, &size), 0);
	setenv("NO_COLOR", "1", 1);
	pid = fork();
	if (pid == 0) {
		FILE *f = fdopen(ends[1], "w");

		close(ends[0]);
		bl_compare_print_text(&c, f);
		fclose(f);
		_exit(0);
	}
	close(ends[1]);
	while ((n = (int)read(ends[0], part, sizeof(part))) > 0)
		ck_assert_int_eq(bl_buf_add(&seen, part, (size_t)n), 0);
	close(ends[0]);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	/* The tables: from the first kernel to the empty line before the legend
	 * no line is longer than the terminal. */
	for (p = bl_buf_str(&seen); *p; p++) {
		if (strncmp(p, "\n+ stopped", 10) == 0)
			break;
		if (*p == '\r')
			continue;
		column = *p == '\n' ? 0
				    : column + (((unsigned char)*p & 0xc0) !=
						0x80);
		table |= *p == '\n';
		if (column > widths[_i])
			ck_abort_msg("%u columns: %.*s", column, 40, p - 40);
	}
	ck_assert(table);
	has(bl_buf_str(&seen), "verifier");
	has(bl_buf_str(&seen), _i == 3 ? "back in" : "X never");
	bl_compare_free(&c);
}
END_TEST

START_TEST(markdown_keeps_strangers_words_out_of_its_markup)
{
	bl_autofree char *text = NULL;

	small();
	run_of(BL_COMPARE_A)->lost = 3;
	text = print(bl_compare_print_markdown);
	has(text, "A lost 3 of 3 hosts, B 0 of 3, C 0 of 3. A host");
	has(text, "❌ trial<br>3 of 3 lost |");
	has_not(text, "<b>");
	has_not(text, " | title");
	bl_compare_free(&c);
}
END_TEST

START_TEST(nothing_in_the_data_ends_the_pages_script)
{
	bl_autofree char *page = NULL;
	const char *data, *end, *p;

	compare_fixture(&c);
	page = print(bl_compare_print_page);
	data = strstr(page, "id=\"data\">");
	ck_assert_ptr_nonnull(data);
	data += strlen("id=\"data\">");
	end = strstr(data, "</script>");
	ck_assert_ptr_nonnull(end);
	for (p = data; p < end; p++)
		if (strchr("<>&", *p) || strncmp(p, "\xe2\x80\xa8", 3) == 0)
			ck_abort_msg("'%.20s' is in the data", p);
	has(data, "\\u003c/script\\u003e");
	/* It is whole: the last thing in it, and what follows it. */
	ck_assert_int_eq(end[-1], '}');
	has(end, "</html>");
	has_not(page, "@@");
	bl_compare_free(&c);
}
END_TEST

START_TEST(the_page_asks_nobody_for_anything)
{
	static const char *const never[] = {
		"http://", "https://",	" src=", "@import",	     "url(",
		"fetch(",  "innerHTML", "eval(", "<link rel=\"style"
	};
	bl_autofree char *page = NULL;
	size_t i;

	small();
	page = print(bl_compare_print_page);
	/* The name of the language of drawings is an address that nobody asks. */
	for (i = 0; i < BL_ARRAY_SIZE(never); i++) {
		char *at = page;

		while ((at = strstr(at, never[i]))) {
			ck_assert_msg(strncmp(at, "http://www.w3.org/2000/svg",
					      26) == 0,
				      "%.60s", at);
			at++;
		}
	}
	has(page, "Content-Security-Policy");
	bl_compare_free(&c);
}
END_TEST

START_TEST(the_cost_of_an_event_is_in_every_form)
{
	bl_autofree char *text = NULL, *markdown = NULL;

	compare_fixture(&c);
	text = print(bl_compare_print_text);
	markdown = print(bl_compare_print_markdown);
	has(text, "instructions, filtered: 1.24, to reach 1.30");
	has(markdown, "| exec, filtered | 100000 |");
	bl_compare_free(&c);
	small();
	c.overhead = json_pack("{s:s}", "cases", "of another kind");
	free(markdown);
	markdown = print(bl_compare_print_markdown);
	has_not(markdown, "What an event costs");
	bl_compare_free(&c);
}
END_TEST

START_TEST(a_goal_that_was_not_measured_is_not_told_as_zero)
{
	bl_autofree char *text = NULL;

	small();
	c.overhead = json_pack("{s:[{s:s, s:n, s:f, s:n, s:s}]}", "goals",
			       "what", "eBPF / module", "value", "to_reach",
			       1.3, "reached", "why", "exec: lost");
	text = print(bl_compare_print_text);
	has(text, "eBPF / module: not measured: exec: lost\n");
	has_not(text, "to reach 1.30");
	bl_compare_free(&c);
}
END_TEST

START_TEST(a_comparison_of_nothing_is_reported_as_that)
{
	bl_autofree char *text = NULL, *markdown = NULL, *page = NULL;

	c = (struct bl_compare){ .made = "m", .belay = "b" };
	text = print(bl_compare_print_text);
	markdown = print(bl_compare_print_markdown);
	page = print(bl_compare_print_page);
	has_not(text, " lost 0");
	has(markdown, "Nothing was run yet.");
	has(page, "\"headline\":\"\"");
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *s = suite_create("compare_report");
	TCase *cells = tcase_create("cells"), *forms = tcase_create("forms");
	TCase *t = tcase_create("dump");

	tcase_add_loop_test(cells, a_run_ends_as_its_numbers_say, 0,
			    BL_ARRAY_SIZE(runs));
	tcase_add_test(cells, no_run_is_not_a_good_run);
	tcase_add_test(cells,
		       the_headline_counts_what_was_run_and_nothing_else);
	suite_add_tcase(s, cells);
	tcase_add_test(
		forms,
		the_text_says_what_could_not_be_run_and_what_was_not_expected);
	tcase_add_loop_test(forms, a_narrow_terminal_gets_a_table_that_fits, 0,
			    4);
	tcase_add_test(forms, markdown_keeps_strangers_words_out_of_its_markup);
	tcase_add_test(forms, nothing_in_the_data_ends_the_pages_script);
	tcase_add_test(forms, the_page_asks_nobody_for_anything);
	tcase_add_test(forms, the_cost_of_an_event_is_in_every_form);
	tcase_add_test(forms, a_goal_that_was_not_measured_is_not_told_as_zero);
	tcase_add_test(forms, a_comparison_of_nothing_is_reported_as_that);
	suite_add_tcase(s, forms);
	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_add_test(t, writes_all_forms_for_others_to_look_at);
	suite_add_tcase(s, t);
	return s;
}
