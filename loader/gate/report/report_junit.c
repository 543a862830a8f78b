/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A report as JUnit XML, in the dialect that Jenkins and GitLab read: a suite
 * for each kernel and one, "static", for what needs none; a case for each
 * program and check. What rejects is a failure, what is undecided an error:
 * never "skipped", which CI servers show as passed.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/gate/report/hints.h"
#include "loader/gate/report/report.h"
#include "loader/gate/report/report_checks.h"
#include "loader/kern/ask/vlog.h"

#define STATIC	  "static"
#define LOG_LINES 30

/* --- XML ------------------------------------------------------------------ */

/* U+FFFE and U+FFFF, which no XML document may hold. */
static bool is_forbidden(const char *p)
{
	return memcmp(p, "\xef\xbf", 2) == 0 &&
	       ((unsigned char)p[2] == 0xbe || (unsigned char)p[2] == 0xbf);
}

enum place {
	TEXT,
	ATTRIBUTE, /* a parser makes spaces of line breaks that are not
		      references */
	CLASS,	   /* servers make a tree of the dots, and a release has some */
};

static void put_xml(FILE *f, const char *text, enum place place)
{
	const char *p;

	for (p = text; *p; p++) {
		if (*p == '&')
			fputs("&amp;", f);
		else if (*p == '<')
			fputs("&lt;", f);
		else if (*p == '>')
			fputs("&gt;", f);
		else if (*p == '"')
			fputs("&quot;", f);
		else if (place != TEXT && (*p == '\n' || *p == '\t'))
			fprintf(f, "&#%d;", *p);
		else if (place == CLASS && *p == '.')
			fputc('_', f);
		else if (p[1] && p[2] && is_forbidden(p)) {
			fputs("\xef\xbf\xbd", f); /* U+FFFD */
			p += 2;
		} else
			fputc(*p, f);
	}
}

static void put_attribute(FILE *f, const char *name, const char *value)
{
	fprintf(f, " %s=\"", name);
	put_xml(f, value, ATTRIBUTE);
	fputc('"', f);
}

/* --- cases ---------------------------------------------------------------- */

/* The findings of one program and check on one kernel: one case. */
struct test {
	const struct bl_finding *const *findings;
	size_t count;
	enum bl_verdict worst;
	uint64_t time_us;
};

struct suite {
	const char *kernel; /* as findings name it; "" for the static one */
	const struct bl_report_kernel *info; /* NULL: none */
	const struct bl_finding *const *findings;
	size_t count;
	size_t tests, failures, errors;
	bool unproven; /* undecided although no finding of it is */
};

static int rank(const struct bl_report *r, const char *kernel)
{
	size_t i;

	if (!*kernel)
		return -1;
	for (i = 0; i < r->kernel_count; i++)
		if (strcmp(r->kernels[i].name, kernel) == 0)
			break;
	return (int)i;
}

struct sorted {
	const struct bl_finding *finding;
	int kernel;
	size_t check;
};

static int by_case(const void *a, const void *b)
{
	const struct sorted *x = a, *y = b;
	int d = (x->kernel > y->kernel) - (x->kernel < y->kernel);

	d = d ? d : strcmp(x->finding->kernel, y->finding->kernel);
	d = d ? d : (x->check > y->check) - (x->check < y->check);
	d = d ? d : strcmp(x->finding->check, y->finding->check);
	d = d ? d : strcmp(x->finding->program, y->finding->program);
	/* as in the report */
	return d ? d : (x->finding > y->finding) - (x->finding < y->finding);
}

static int sort_findings(const struct bl_report *r,
			 const struct bl_finding ***ret)
{
	bl_autofree struct sorted *list = calloc(r->count + 1, sizeof(*list));
	const struct bl_finding **out = calloc(r->count + 1, sizeof(*out));
	size_t i;

	if (!list || !out) {
		free(out);
		return -ENOMEM;
	}
	for (i = 0; i < r->count; i++) {
		const struct bl_finding *x = &r->findings[i];

		list[i] = (struct sorted){ x, rank(r, x->kernel),
					   bl_report_check_rank(x->check) };
	}
	qsort(list, r->count, sizeof(*list), by_case);
	for (i = 0; i < r->count; i++)
		out[i] = list[i].finding;
	*ret = out;
	return 0;
}

static bool same_case(const struct bl_finding *a, const struct bl_finding *b)
{
	return strcmp(a->check, b->check) == 0 &&
	       strcmp(a->program, b->program) == 0;
}

/* The case that begins at finding @at of the suite. */
static struct test test_at(const struct suite *s, size_t at)
{
	struct test t = { .findings = s->findings + at };

	while (at + t.count < s->count &&
	       same_case(t.findings[0], t.findings[t.count])) {
		const struct bl_finding *x = t.findings[t.count++];

		t.time_us += x->effort.time_us;
		if (x->verdict > t.worst)
			t.worst = x->verdict;
	}
	return t;
}

static void count_tests(const struct bl_report *r, struct suite *s)
{
	enum bl_verdict v = bl_report_verdict(r, *s->kernel ? s->kernel : NULL);
	struct test t;
	size_t at;

	for (at = 0; at < s->count; at += t.count) {
		t = test_at(s, at);
		s->tests++;
		s->failures += t.worst == BL_VERDICT_REJECT;
		s->errors += t.worst == BL_VERDICT_UNDECIDED;
	}
	s->unproven = v == BL_VERDICT_UNDECIDED && !s->errors && !s->failures;
	s->tests += s->unproven;
	s->errors += s->unproven;
}

/* --- printing ------------------------------------------------------------- */

static void put_line(FILE *f, const char *label, const char *text)
{
	if (!*text)
		return;
	fputs(label, f);
	put_xml(f, text, TEXT);
	fputc('\n', f);
}

static void put_finding(FILE *f, const struct bl_finding *x)
{
	char line[32];

	put_line(f, "", x->message);
	if (*x->file) {
		fputs("at ", f);
		put_xml(f, x->file, TEXT);
		snprintf(line, sizeof(line), ":%" PRIu32 ": ", x->line);
		fputs(x->line ? line : ": ", f);
		put_line(f, "", x->source);
		if (!*x->source)
			fputc('\n', f);
	}
	put_line(f, "hint: ", bl_hint_of(x));
	put_line(f, "log: ", x->log_path);
}

/* The end of a verifier's log; the whole is at its path and in the JSON. */
static void put_log(FILE *f, const char *log)
{
	size_t len;
	const char *from = bl_vlog_excerpt(log, LOG_LINES, &len);
	bl_autofree char *text = strndup(from, len);

	if (text)
		put_line(f, "", text);
}

/* All findings of the case that are as grave as its worst. */
static void put_problem(FILE *f, const struct test *t, const char *element)
{
	bool first = true;
	size_t i;

	for (i = 0; i < t->count; i++) {
		const struct bl_finding *x = t->findings[i];

		if (x->verdict != t->worst)
			continue;
		if (first) {
			fprintf(f, "      <%s", element);
			put_attribute(f, "type",
				      x->status ? bl_status_name(x->status)
						: bl_verdict_name(x->verdict));
			put_attribute(f, "message", x->message);
			fputc('>', f);
		}
		first = false;
		put_finding(f, x);
		put_log(f, x->log);
	}
	fprintf(f, "</%s>\n", element);
}

static void put_warnings(FILE *f, const struct test *t)
{
	bool open = false;
	size_t i;

	for (i = 0; i < t->count; i++) {
		const struct bl_finding *x = t->findings[i];

		if (x->verdict == BL_VERDICT_PASS || x->verdict == t->worst)
			if (x->verdict != BL_VERDICT_WARN)
				continue;
		fputs(open ? "" : "      <system-out>", f);
		open = true;
		put_line(f, "", bl_verdict_name(x->verdict));
		put_finding(f, x);
	}
	if (open)
		fputs("</system-out>\n", f);
}

static void put_class(FILE *f, const struct suite *s, const char *check)
{
	fputs(" classname=\"belay.", f);
	put_xml(f, *s->kernel ? s->kernel : STATIC, CLASS);
	fputc('.', f);
	put_xml(f, check, CLASS);
	fputc('"', f);
}

static void put_test(FILE *f, const struct suite *s, const struct test *t)
{
	const struct bl_finding *x = t->findings[0];

	fputs("    <testcase", f);
	put_class(f, s, x->check);
	put_attribute(f, "name", *x->program ? x->program : x->check);
	fprintf(f, " time=\"%.6f\"", (double)t->time_us / 1e6);
	if (t->worst == BL_VERDICT_PASS) {
		fputs("/>\n", f);
		return;
	}
	fputs(">\n", f);
	if (t->worst == BL_VERDICT_REJECT)
		put_problem(f, t, "failure");
	else if (t->worst == BL_VERDICT_UNDECIDED)
		put_problem(f, t, "error");
	put_warnings(f, t);
	fputs("    </testcase>\n", f);
}

static void put_suite(FILE *f, const struct suite *s)
{
	struct test t;
	size_t at;

	fputs("  <testsuite", f);
	put_attribute(f, "name", *s->kernel ? s->kernel : STATIC);
	fprintf(f,
		" tests=\"%zu\" failures=\"%zu\" errors=\"%zu\" skipped=\"0\"",
		s->tests, s->failures, s->errors);
	fprintf(f, " time=\"%.3f\">\n",
		s->info ? (double)s->info->total_ms / 1e3 : 0.0);
	for (at = 0; at < s->count; at += t.count) {
		t = test_at(s, at);
		put_test(f, s, &t);
	}
	if (s->unproven) {
		fputs("    <testcase", f);
		put_class(f, s, "verdict");
		fputs(" name=\"verdict\" time=\"0\">\n      <error type=\"undecided\" message=\"not everything that has to be checked was: no finding says why\"></error>\n    </testcase>\n",
		      f);
	}
	fputs("  </testsuite>\n", f);
}

/* Suites in the order of the report: static, its kernels, whatever else a
 * finding names. Kernels without a finding get a suite, too. */
static int list_suites(const struct bl_report *r,
		       const struct bl_finding *const *sorted,
		       struct suite **ret, size_t *ret_count)
{
	struct suite *list =
		calloc(r->count + r->kernel_count + 1, sizeof(*list));
	size_t at = 0, n = 0, k = 0;

	if (!list)
		return -ENOMEM;
	list[n++].kernel = "";
	while (at < r->count || k < r->kernel_count) {
		const char *next = at < r->count ? sorted[at]->kernel : NULL;
		struct suite *s = &list[n - 1];

		if (next && strcmp(next, s->kernel) == 0) {
			if (!s->count++)
				s->findings = sorted + at;
			at++;
		} else if (k < r->kernel_count) {
			list[n].info = &r->kernels[k];
			list[n++].kernel = r->kernels[k++].name;
		} else {
			list[n++].kernel = next;
		}
	}
	*ret = list;
	*ret_count = n;
	return 0;
}

int bl_report_print_junit(const struct bl_report *r, FILE *f)
{
	bl_autofree const struct bl_finding **sorted = NULL;
	size_t i, count = 0, tests = 0, failures = 0, errors = 0;
	bl_autofree struct suite *list = NULL;
	int e = sort_findings(r, &sorted);

	e = e ? e : list_suites(r, sorted, &list, &count);
	if (e < 0)
		return e;
	for (i = count; i-- > 0;) {
		count_tests(r, &list[i]);
		/* The file as a whole is told once, by what is told of its
		 * parts if that explains it. */
		if (i == 0 && list[i].unproven && errors + failures) {
			list[i].unproven = false;
			list[i].tests--;
			list[i].errors--;
		}
		tests += list[i].tests;
		failures += list[i].failures;
		errors += list[i].errors;
	}
	fputs("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites", f);
	put_attribute(f, "name", r->path);
	fprintf(f,
		" tests=\"%zu\" failures=\"%zu\" errors=\"%zu\" time=\"%.3f\">\n",
		tests, failures, errors, (double)r->total_ms / 1e3);
	for (i = 0; i < count; i++)
		if (list[i].tests)
			put_suite(f, &list[i]);
	fputs("</testsuites>\n", f);
	return 0;
}
