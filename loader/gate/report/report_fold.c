/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/gate/report/report_fold.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/gate/report/report_checks.h"

/* A report may have as many findings as a hostile object can cause: everything
 * here is sorted, never compared pair by pair. */

struct entry {
	const struct bl_finding *finding;
	char *shape;
	size_t at; /* place in the report */
	size_t rank, kernel, program;
};

struct name {
	const char *text;
	size_t index;
};

struct work {
	const struct bl_report *report;
	struct entry *entries;
	struct name *kernels, *programs; /* sorted by name */
	size_t program_count;
	struct bl_fold fold;
};

void bl_fold_free(struct bl_fold *f)
{
	free(f->members);
	free(f->groups);
	free(f->programs);
	free(f->cells);
	free(f->outcomes);
	*f = (struct bl_fold){ 0 };
}

static void work_free(struct work *w)
{
	size_t i;

	for (i = 0; w->entries && i < w->report->count; i++)
		free(w->entries[i].shape);
	free(w->entries);
	free(w->kernels);
	free(w->programs);
	bl_fold_free(&w->fold);
}

/* "6.1.0-37-cloud-amd64" is "6.1.0-37" in a table: up to the second dash, or
 * the flavour of the kernel when that begins with a letter. */
int bl_fold_short(const char *release)
{
	const char *p = release;

	while ((p = strchr(p, '-'))) {
		if (strncmp(p, "-cloud", 6) == 0 || strcmp(p, "-amd64") == 0)
			return (int)(p - release);
		p++;
	}
	return (int)strlen(release);
}

static bool part_of_number(const char *p)
{
	if (isdigit((unsigned char)*p))
		return true;
	return (*p == '.' || *p == ',') && isdigit((unsigned char)p[1]);
}

int bl_fold_shape(const struct bl_finding *f, struct bl_buf *ret)
{
	const char *p = f->message;
	size_t kernel = strlen(f->kernel), len;
	int r = 0;

	while (r == 0 && *p) {
		if (kernel && strncmp(p, f->kernel, kernel) == 0) {
			r = bl_buf_add(ret, "@", 1);
			p += kernel;
		} else if (isdigit((unsigned char)*p)) {
			r = bl_buf_add(ret, "#", 1);
			while (part_of_number(p))
				p++;
		} else {
			len = 1 + strcspn(p + 1, "0123456789");
			/* A kernel's name begins with a digit, or is "host". */
			if (kernel && !isdigit((unsigned char)*f->kernel))
				len = 1;
			r = bl_buf_add(ret, p, len);
			p += len;
		}
	}
	return r;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct name *)a)->text,
		      ((const struct name *)b)->text);
}

/* SIZE_MAX: not among them. */
static size_t find_name(const struct name *names, size_t count,
			const char *text)
{
	struct name key = { .text = text };
	const struct name *n =
		bsearch(&key, names, count, sizeof(*names), by_name);

	return n ? n->index : SIZE_MAX;
}

static int compare(size_t a, size_t b)
{
	return (a > b) - (a < b);
}

/* What makes two findings members of one group. */
static int by_group(const struct entry *x, const struct entry *y)
{
	const struct bl_finding *a = x->finding, *b = y->finding;
	int d = compare(x->rank, y->rank);

	d = d ? d : strcmp(a->check, b->check);
	d = d ? d : compare(b->verdict, a->verdict);
	d = d ? d : strcmp(a->program, b->program);
	d = d ? d : strcmp(a->file, b->file);
	d = d ? d : compare(a->line, b->line);
	d = d ? d : compare(a->status, b->status);
	return d ? d : strcmp(x->shape, y->shape);
}

static int by_group_then_kernel(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;
	int d = by_group(x, y);

	d = d ? d : compare(x->kernel, y->kernel);
	return d ? d : compare(x->at, y->at);
}

static int index_names(struct work *w)
{
	const struct bl_report *r = w->report;
	size_t i, n = 0;

	w->kernels = calloc(r->kernel_count + 1, sizeof(*w->kernels));
	w->programs = calloc(r->count + 1, sizeof(*w->programs));
	if (!w->kernels || !w->programs)
		return -ENOMEM;
	for (i = 0; i < r->kernel_count; i++)
		w->kernels[i] = (struct name){ r->kernels[i].name, i };
	qsort(w->kernels, r->kernel_count, sizeof(*w->kernels), by_name);
	for (i = 0; i < r->count; i++)
		if (r->findings[i].status && *r->findings[i].program)
			w->programs[n++] =
				(struct name){ r->findings[i].program, i };
	w->program_count = n;
	return 0;
}

static int by_index(const void *a, const void *b)
{
	return compare(((const struct name *)a)->index,
		       ((const struct name *)b)->index);
}

static int by_name_then_index(const void *a, const void *b)
{
	int d = by_name(a, b);

	return d ? d : by_index(a, b);
}

/* Programs in the order in which the report first names them. */
static int list_programs(struct work *w)
{
	const struct bl_finding *all = w->report->findings;
	struct name *names = w->programs;
	size_t i, n = 0;

	qsort(names, w->program_count, sizeof(*names), by_name_then_index);
	for (i = 0; i < w->program_count; i++)
		if (!n || strcmp(names[n - 1].text, names[i].text) != 0)
			names[n++] = names[i];
	w->program_count = n;
	qsort(names, n, sizeof(*names), by_index);
	w->fold.programs = calloc(n + 1, sizeof(*w->fold.programs));
	if (!w->fold.programs)
		return -ENOMEM;
	for (i = 0; i < n; i++) {
		const struct bl_finding *f = &all[names[i].index];

		w->fold.programs[i] = (struct bl_fold_program){
			.name = f->program,
			.section = f->section,
			.optional = f->optional,
		};
		names[i].index = i;
	}
	w->fold.program_count = n;
	qsort(names, n, sizeof(*names), by_name);
	return 0;
}

static bool is_answer(const struct bl_finding *f)
{
	return f->status && (strcmp(f->check, "verifier") == 0 ||
			     strcmp(f->check, "module") == 0);
}

static int list_entries(struct work *w)
{
	const struct bl_report *r = w->report;
	size_t i;

	w->entries = calloc(r->count + 1, sizeof(*w->entries));
	if (!w->entries)
		return -ENOMEM;
	for (i = 0; i < r->count; i++) {
		const struct bl_finding *f = &r->findings[i];
		bl_autobuf struct bl_buf shape = { 0 };

		w->entries[i] = (struct entry){
			.finding = f,
			.at = i,
			.rank = bl_report_check_rank(f->check),
			.kernel = find_name(w->kernels, r->kernel_count,
					    f->kernel),
			.program = find_name(w->programs, w->program_count,
					     f->program),
		};
		/* A program is rejected once by each kernel: at the same line
		 * it is the same mistake, however each of them words it. */
		if (!(is_answer(f) && *f->file && f->line) &&
		    bl_fold_shape(f, &shape) < 0)
			return -ENOMEM;
		w->entries[i].shape = strdup(bl_buf_str(&shape));
		if (!w->entries[i].shape)
			return -ENOMEM;
	}
	qsort(w->entries, r->count, sizeof(*w->entries), by_group_then_kernel);
	return 0;
}

/* Groups that are equally grave in one check come as the report has them, so
 * they are sorted once more by their first finding. */
struct order {
	struct bl_fold_group group;
	const struct entry *head;
	size_t at;
};

static int by_order(const void *a, const void *b)
{
	const struct order *x = a, *y = b;
	const struct bl_finding *f = x->head->finding, *g = y->head->finding;
	int d = compare(x->head->rank, y->head->rank);

	d = d ? d : strcmp(f->check, g->check);
	d = d ? d : compare(g->verdict, f->verdict);
	return d ? d : compare(x->at, y->at);
}

static void count_group(struct bl_fold *f, enum bl_verdict v)
{
	f->rejections += v == BL_VERDICT_REJECT;
	f->undecided += v == BL_VERDICT_UNDECIDED;
	f->warnings += v == BL_VERDICT_WARN;
}

static int list_groups(struct work *w)
{
	size_t count = w->report->count, i, n = 0;
	bl_autofree struct order *orders = calloc(count + 1, sizeof(*orders));
	struct bl_fold *f = &w->fold;

	f->members = calloc(count + 1, sizeof(*f->members));
	f->groups = calloc(count + 1, sizeof(*f->groups));
	if (!orders || !f->members || !f->groups)
		return -ENOMEM;
	for (i = 0; i < count; i++) {
		const struct entry *e = &w->entries[i];
		struct order *o = n ? &orders[n - 1] : NULL;

		f->members[i] = e->finding;
		if (!o || by_group(o->head, e) != 0) {
			o = &orders[n++];
			*o = (struct order){ { i, 0, e->finding }, e, e->at };
			count_group(f, e->finding->verdict);
		}
		o->group.count++;
		if (e->at < o->at)
			o->at = e->at;
		if (*e->finding->log)
			o->group.shown = e->finding;
	}
	if (n)
		qsort(orders, n, sizeof(*orders), by_order);
	for (i = 0; i < n; i++)
		f->groups[i] = orders[i].group;
	f->group_count = n;
	return 0;
}

static int by_cell(const void *a, const void *b)
{
	const struct bl_fold_cell *x = a, *y = b;
	int d = compare(x->program, y->program);

	return d ? d : compare(x->kernel, y->kernel);
}

static void graver(const struct bl_finding **keep, const struct bl_finding *f)
{
	if (f->verdict != BL_VERDICT_PASS &&
	    (!*keep || f->verdict > (*keep)->verdict))
		*keep = f;
}

static void merge_cell(struct bl_fold_cell *to, const struct bl_fold_cell *c)
{
	if (!to->answer)
		to->answer = c->answer;
	else if (c->answer)
		graver(&to->trouble, c->answer);
	if (c->trouble)
		graver(&to->trouble, c->trouble);
}

static int list_cells(struct work *w)
{
	const struct bl_report *r = w->report;
	struct bl_fold *f = &w->fold;
	size_t i, n = 0, m = 0;

	f->cells = calloc(r->count + 1, sizeof(*f->cells));
	f->outcomes = calloc(r->kernel_count + 1, sizeof(*f->outcomes));
	if (!f->cells || !f->outcomes)
		return -ENOMEM;
	for (i = 0; i < r->count; i++) {
		const struct entry *e = &w->entries[i];
		struct bl_fold_cell c = { e->program, e->kernel, NULL, NULL };

		if (e->kernel == SIZE_MAX)
			continue;
		if (strcmp(e->finding->check, "kernel") == 0)
			graver(&f->outcomes[e->kernel], e->finding);
		if (e->program == SIZE_MAX)
			continue;
		if (is_answer(e->finding))
			c.answer = e->finding;
		else
			graver(&c.trouble, e->finding);
		f->cells[n++] = c;
	}
	qsort(f->cells, n, sizeof(*f->cells), by_cell);
	for (i = 0; i < n; i++) {
		if (m && by_cell(&f->cells[m - 1], &f->cells[i]) == 0)
			merge_cell(&f->cells[m - 1], &f->cells[i]);
		else
			f->cells[m++] = f->cells[i];
	}
	f->cell_count = m;
	return 0;
}

static void judge_programs(struct bl_fold *f)
{
	size_t i;

	for (i = 0; i < f->cell_count; i++) {
		const struct bl_fold_cell *c = &f->cells[i];
		bool fits = c->answer &&
			    c->answer->status == BL_STATUS_ACCEPTED &&
			    (!c->trouble ||
			     c->trouble->verdict < BL_VERDICT_UNDECIDED);

		f->programs[c->program].kernels += fits;
	}
	for (i = 0; i < f->program_count; i++)
		f->programs[i].all = f->programs[i].kernels ==
				     f->report->kernel_count;
}

int bl_fold_build(const struct bl_report *r, struct bl_fold *ret)
{
	BL_CLEANUP(work_free) struct work w = { .report = r };
	int e;

	w.fold.report = r;
	e = index_names(&w);
	e = e ? e : list_programs(&w);
	e = e ? e : list_entries(&w);
	e = e ? e : list_groups(&w);
	e = e ? e : list_cells(&w);
	if (e < 0)
		return e;
	judge_programs(&w.fold);
	*ret = w.fold;
	w.fold = (struct bl_fold){ 0 };
	return 0;
}

const struct bl_fold_cell *bl_fold_cell(const struct bl_fold *f, size_t program,
					size_t kernel)
{
	struct bl_fold_cell key = { program, kernel, NULL, NULL };

	return bsearch(&key, f->cells, f->cell_count, sizeof(key), by_cell);
}

enum bl_verdict bl_fold_say(const struct bl_fold *f, size_t program,
			    size_t kernel, char *ret, size_t size)
{
	const struct bl_fold_cell *c = bl_fold_cell(f, program, kernel);
	const struct bl_finding *x = c ? c->answer : NULL;
	const struct bl_finding *o = f->outcomes[kernel];
	enum bl_verdict v;

	if (!x) {
		v = o && o->verdict == BL_VERDICT_REJECT ? BL_VERDICT_REJECT
							 : BL_VERDICT_UNDECIDED;
		snprintf(ret, size, "%s",
			 v == BL_VERDICT_REJECT ? "panic" : "?");
		return v;
	}
	if (x->status == BL_STATUS_UNKNOWN) {
		snprintf(ret, size, "?");
		return BL_VERDICT_UNDECIDED;
	}
	if (x->status != BL_STATUS_ACCEPTED) {
		snprintf(ret, size, "%s", bl_status_name(x->status));
		return x->verdict;
	}
	v = c->trouble ? c->trouble->verdict : BL_VERDICT_PASS;
	if (x->effort.insns)
		snprintf(ret, size, "ok %" PRIu64 "%s%s", x->effort.insns,
			 v > BL_VERDICT_WARN ? ", " : "",
			 v > BL_VERDICT_WARN ? c->trouble->check : "");
	else
		snprintf(ret, size, "ok%s%s", v > BL_VERDICT_WARN ? ", " : "",
			 v > BL_VERDICT_WARN ? c->trouble->check : "");
	return v;
}

int bl_fold_kernels(const struct bl_fold *f, const struct bl_fold_group *g,
		    size_t max, struct bl_buf *ret)
{
	const char *last = "";
	size_t i, n = 0, told = 0;
	int r = 0;

	/* Members are in the order of kernels: equal names are neighbours. */
	for (i = 0; i < g->count; i++) {
		const char *name = f->members[g->first + i]->kernel;

		if (!*name || strcmp(name, last) == 0)
			continue;
		last = name;
		n++;
	}
	last = "";
	for (i = 0; r == 0 && i < g->count && told < max; i++) {
		const char *name = f->members[g->first + i]->kernel;

		if (!*name || strcmp(name, last) == 0)
			continue;
		r = bl_buf_printf(ret, "%s%.*s", told ? ", " : "",
				  bl_fold_short(name), name);
		last = name;
		told++;
	}
	if (r == 0 && n > told)
		r = bl_buf_printf(ret, " and %zu more", n - told);
	return r;
}

size_t bl_fold_run(const struct bl_fold *f, const struct bl_fold_group *g,
		   size_t at)
{
	const struct bl_finding *const *m = f->members + g->first + at;
	size_t n = 1;

	while (at + n < g->count && strcmp(m[n]->message, m[0]->message) == 0)
		n++;
	return n;
}

int bl_fold_unproven(const struct bl_fold *f, struct bl_buf *ret)
{
	const struct bl_report *r = f->report;
	const char *sep = "no program was accepted on ";
	size_t i;
	int e = 0;

	if (bl_report_verdict(r, NULL) != BL_VERDICT_UNDECIDED || f->undecided)
		return 0;
	for (i = 0; e == 0 && i < r->kernel_count; i++) {
		const char *name = r->kernels[i].name;

		if (bl_report_verdict(r, name) != BL_VERDICT_UNDECIDED)
			continue;
		e = bl_buf_printf(ret, "%s%.*s", sep, bl_fold_short(name),
				  name);
		sep = ", ";
	}
	if (e == 0 && *sep != ',')
		e = bl_buf_printf(
			ret, "%s",
			r->kernel_count
				? "nothing was checked"
				: "no kernel was asked and nothing else was checked");
	return e ? e
		 : bl_buf_printf(ret, ": what was not checked is never a pass");
}
