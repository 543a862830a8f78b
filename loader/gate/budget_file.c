/* SPDX-License-Identifier: Apache-2.0 */
/* The baseline: kept, read, merged and written. */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/base/json.h"
#include "loader/gate/budget.h"
#include "loader/lab/catalog.h"
#include "loader/object/object.h"

#define SCHEMA 1

void bl_baseline_free(struct bl_baseline *b)
{
	size_t i;

	for (i = 0; i < b->count; i++) {
		free(b->entries[i].program);
		free(b->entries[i].kernel);
	}
	free(b->entries);
	*b = (struct bl_baseline){ 0 };
}

/* --- order ---------------------------------------------------------------- */

static int compare(const char *program, const char *kernel,
		   const struct bl_baseline_entry *e)
{
	int d = strcmp(program, e->program);

	if (!d)
		d = bl_release_compare(kernel, e->kernel);
	return d ? d : strcmp(kernel, e->kernel); /* 6.01 is not 6.1 */
}

static int by_name(const void *a, const void *b)
{
	const struct bl_baseline_entry *x = a;

	return compare(x->program, x->kernel, b);
}

const struct bl_baseline_entry *bl_baseline_find(const struct bl_baseline *b,
						 const char *program,
						 const char *kernel)
{
	struct bl_baseline_entry key = { .program = (char *)program,
					 .kernel = (char *)kernel };

	if (!b->count)
		return NULL;
	return bsearch(&key, b->entries, b->count, sizeof(key), by_name);
}

/* The n-th pair that stands in the sorted list twice; count if there is none.*/
static size_t find_double(const struct bl_baseline *b)
{
	size_t i;

	for (i = 1; i < b->count; i++)
		if (by_name(&b->entries[i - 1], &b->entries[i]) == 0)
			return i;
	return b->count;
}

static int add(struct bl_baseline *b, const char *program, const char *kernel,
	       const struct bl_effort *effort)
{
	struct bl_baseline_entry e = { strdup(program), strdup(kernel),
				       *effort };
	struct bl_baseline_entry *list;

	e.effort.time_us = 0;
	list = realloc(b->entries, (b->count + 1) * sizeof(*list));
	if (list)
		b->entries = list;
	if (!list || !e.program || !e.kernel) {
		free(e.program);
		free(e.kernel);
		return -ENOMEM;
	}
	list[b->count++] = e;
	return 0;
}

/* --- kernels -------------------------------------------------------------- */

/* Bytes of "6.1" in "6.1.0-56-cloud-amd64"; 0 when it has no such form. */
static size_t line_len(const char *release)
{
	size_t major = strspn(release, "0123456789"), minor;

	if (!major || release[major] != '.')
		return 0;
	minor = strspn(release + major + 1, "0123456789");
	return minor ? major + 1 + minor : 0;
}

/* "cloud-amd64" of the same: what follows the first hyphen before a letter. */
static const char *flavour(const char *release)
{
	const char *at = release;

	while ((at = strchr(at, '-')))
		if (isalpha((unsigned char)*++at))
			return at;
	return "";
}

static bool stands_in(const char *a, const char *b)
{
	size_t len = line_len(a);

	return len && len == line_len(b) && memcmp(a, b, len) == 0 &&
	       strcmp(flavour(a), flavour(b)) == 0;
}

const char *bl_baseline_kernel(const struct bl_baseline *b, const char *kernel)
{
	const char *best = NULL;
	size_t i;

	for (i = 0; i < b->count; i++) {
		const char *known = b->entries[i].kernel;

		if (strcmp(known, kernel) == 0)
			return known;
		if (stands_in(known, kernel) &&
		    (!best || bl_release_compare(best, known) < 0))
			best = known;
	}
	return best;
}

/* --- reading -------------------------------------------------------------- */

struct top {
	int64_t schema;
	json_t *programs;
};

static const struct bl_json_field top_fields[] = {
	{ "schema", BL_JSON_INT, true, offsetof(struct top, schema), SCHEMA,
	  SCHEMA },
	{ "programs", BL_JSON_ARRAY, true, offsetof(struct top, programs), 0,
	  BL_BASELINE_ENTRIES_MAX },
};

struct raw {
	const char *program, *kernel;
	int64_t insns, states, peak_states, stack_bytes;
};

static const struct bl_json_field raw_fields[] = {
	{ "program", BL_JSON_STRING, true, offsetof(struct raw, program), 1,
	  BL_OBJECT_NAME_MAX },
	{ "kernel", BL_JSON_STRING, true, offsetof(struct raw, kernel), 1,
	  BL_NAME_MAX },
	{ "insns", BL_JSON_INT, true, offsetof(struct raw, insns), 1,
	  INT64_MAX },
	{ "states", BL_JSON_INT, true, offsetof(struct raw, states), 0,
	  INT64_MAX },
	{ "peak_states", BL_JSON_INT, true, offsetof(struct raw, peak_states),
	  0, INT64_MAX },
	{ "stack_bytes", BL_JSON_INT, true, offsetof(struct raw, stack_bytes),
	  0, INT64_MAX },
};

static int read_entry(const struct bl_json_doc *doc, const json_t *v,
		      const char *at, struct bl_baseline *b, struct bl_err *err)
{
	struct raw raw = { .program = "" };
	struct bl_effort effort;
	int r;

	r = bl_json_read(doc, v, at, raw_fields, BL_ARRAY_SIZE(raw_fields),
			 &raw, err);
	if (r < 0)
		return r;
	if (!bl_name_valid(raw.kernel) || !line_len(raw.kernel))
		return bl_json_fail(
			doc, at, err,
			"'%s' is no kernel release (6.1.0-56-cloud-amd64 is one)",
			raw.kernel);
	effort = (struct bl_effort){
		.insns = (uint64_t)raw.insns,
		.states = (uint64_t)raw.states,
		.peak_states = (uint64_t)raw.peak_states,
		.stack_bytes = (uint64_t)raw.stack_bytes,
	};
	r = add(b, raw.program, raw.kernel, &effort);
	return r < 0 ? bl_err_set(err, r, "out of memory") : 0;
}

int bl_baseline_parse(const char *name, const char *text, size_t len,
		      struct bl_baseline *ret, struct bl_err *err)
{
	bl_autojson_doc struct bl_json_doc doc = { 0 };
	bl_autobaseline struct bl_baseline b = { 0 };
	struct top top = { 0 };
	char at[64];
	size_t i;
	json_t *v;
	int r;

	if (len > BL_BASELINE_FILE_MAX)
		return bl_err_set(err, -EFBIG,
				  "%s: a baseline of more than %u bytes", name,
				  BL_BASELINE_FILE_MAX);
	r = bl_json_parse(name, text, len, &doc, err);
	if (r == 0)
		r = bl_json_read(&doc, doc.root, "", top_fields,
				 BL_ARRAY_SIZE(top_fields), &top, err);
	if (r < 0)
		return r;
	json_array_foreach (top.programs, i, v) {
		snprintf(at, sizeof(at), "programs[%zu]", i);
		r = read_entry(&doc, v, at, &b, err);
		if (r < 0)
			return r;
	}
	if (b.count)
		qsort(b.entries, b.count, sizeof(*b.entries), by_name);
	i = find_double(&b);
	if (i < b.count)
		return bl_json_fail(&doc, "programs", err,
				    "%s on %s stands in it twice",
				    b.entries[i].program, b.entries[i].kernel);
	*ret = b;
	b = (struct bl_baseline){ 0 };
	return 0;
}

int bl_budget_load(const char *path, struct bl_baseline *ret,
		   struct bl_err *err)
{
	bl_autobuf struct bl_buf b = { 0 };
	int r = bl_file_read(path, BL_BASELINE_FILE_MAX, &b, err);

	if (r == -ENOENT)
		bl_err_hint(err, "--update-baseline writes one");
	if (r < 0)
		return r;
	return bl_baseline_parse(path, bl_buf_str(&b), b.len, ret, err);
}

/* --- merging -------------------------------------------------------------- */

static int refuse(struct bl_err *err, const struct bl_finding *f,
		  const char *why)
{
	bl_err_set(err, -EINVAL, "no baseline from this report: %s%s%s %s",
		   f->program, *f->program ? " on " : "", f->kernel, why);
	bl_err_hint(
		err,
		"a baseline holds only what every kernel accepted; see the report");
	return -EINVAL;
}

static bool lists_kernel(const struct bl_report *r, const char *kernel)
{
	size_t i;

	for (i = 0; i < r->kernel_count; i++)
		if (strcmp(r->kernels[i].name, kernel) == 0)
			return true;
	return false;
}

static bool accepted_one(const struct bl_report *r, const char *kernel)
{
	size_t i;

	for (i = 0; i < r->count; i++)
		if (r->findings[i].status == BL_STATUS_ACCEPTED &&
		    strcmp(r->findings[i].kernel, kernel) == 0)
			return true;
	return false;
}

/* A baseline is not made from what was not verified. */
static int require_complete(const struct bl_report *report, struct bl_err *err)
{
	size_t i;

	for (i = 0; i < report->count; i++) {
		const struct bl_finding *f = &report->findings[i];

		if (strcmp(f->check, "verifier") != 0 &&
		    strcmp(f->check, "kernel") != 0)
			continue;
		if (f->verdict == BL_VERDICT_REJECT)
			return refuse(err, f, "was rejected");
		if (f->verdict == BL_VERDICT_UNDECIDED)
			return refuse(err, f, "is undecided");
		if (f->status != BL_STATUS_ACCEPTED)
			continue;
		if (!lists_kernel(report, f->kernel))
			return refuse(err, f, "was not asked for");
		if (!f->effort.insns || f->effort.insns > INT64_MAX)
			return refuse(
				err, f,
				"was accepted, but at what cost is not known");
	}
	for (i = 0; i < report->kernel_count; i++)
		if (!accepted_one(report, report->kernels[i].name))
			return refuse(err,
				      &(struct bl_finding){
					      .program = (char *)"",
					      .kernel =
						      report->kernels[i].name },
				      "accepted nothing");
	return 0;
}

static int add_accepted(const struct bl_report *report, struct bl_baseline *b)
{
	size_t i;
	int r = 0;

	for (i = 0; r == 0 && i < report->count; i++) {
		const struct bl_finding *f = &report->findings[i];

		if (strcmp(f->check, "verifier") == 0 &&
		    f->status == BL_STATUS_ACCEPTED && *f->program &&
		    line_len(f->kernel) && bl_name_valid(f->kernel))
			r = add(b, f->program, f->kernel, &f->effort);
	}
	return r;
}

/* Of two answers about one pair the dearer counts. */
static void drop_doubles(struct bl_baseline *b)
{
	size_t i, n = 0;

	for (i = 0; i < b->count; i++) {
		struct bl_baseline_entry *e = &b->entries[i], *last;

		last = n ? &b->entries[n - 1] : NULL;
		if (!last || by_name(last, e) != 0) {
			b->entries[n++] = *e;
			continue;
		}
		if (e->effort.insns > last->effort.insns)
			last->effort = e->effort;
		free(e->program);
		free(e->kernel);
	}
	b->count = n;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Names of the object's programs, accepted or not, sorted. */
static const char **programs_of(const struct bl_report *rep, size_t *ret_count)
{
	const char **names = calloc(rep->count + 1, sizeof(*names));
	size_t i, n = 0;

	for (i = 0; names && i < rep->count; i++)
		if (strcmp(rep->findings[i].check, "verifier") == 0)
			names[n++] = rep->findings[i].program;
	if (n)
		qsort(names, n, sizeof(*names), by_text);
	*ret_count = n;
	return names;
}

/* What @rep says nothing new about: kernels that were not asked, and that no
 * asked one stands in for; of the programs that the object still has. */
static int add_kept(const struct bl_baseline *old, const struct bl_report *rep,
		    struct bl_baseline *b)
{
	bl_autofree const char **programs = NULL;
	const char *gone[BL_REPORT_KERNELS_MAX];
	size_t gone_count = 0, program_count, i, k;
	int r = 0;

	programs = programs_of(rep, &program_count);
	if (!programs)
		return -ENOMEM;
	for (i = 0; i < rep->kernel_count; i++) {
		const char *known =
			bl_baseline_kernel(old, rep->kernels[i].name);

		if (known)
			gone[gone_count++] = known;
	}
	for (i = 0; r == 0 && i < old->count; i++) {
		const struct bl_baseline_entry *e = &old->entries[i];

		for (k = 0; k < gone_count; k++)
			if (strcmp(gone[k], e->kernel) == 0)
				break;
		if (k == gone_count &&
		    bsearch(&e->program, programs, program_count,
			    sizeof(*programs), by_text))
			r = add(b, e->program, e->kernel, &e->effort);
	}
	return r;
}

int bl_baseline_merge(const struct bl_baseline *old,
		      const struct bl_report *report, struct bl_baseline *ret,
		      struct bl_err *err)
{
	bl_autobaseline struct bl_baseline b = { 0 };
	int r = require_complete(report, err);

	if (r < 0)
		return r;
	r = add_accepted(report, &b);
	if (r == 0 && !b.count) {
		bl_err_set(
			err, -EINVAL,
			"no baseline from this report: no kernel of the lab accepted a program");
		bl_err_hint(
			err,
			"the running kernel (host) is in no baseline; ask a kernel of the catalogue");
		return -EINVAL;
	}
	if (r == 0 && old)
		r = add_kept(old, report, &b);
	if (r < 0)
		return bl_err_set(err, r, "out of memory");
	qsort(b.entries, b.count, sizeof(*b.entries), by_name);
	drop_doubles(&b);
	if (b.count > BL_BASELINE_ENTRIES_MAX)
		return bl_err_set(err, -E2BIG,
				  "a baseline of more than %d entries",
				  BL_BASELINE_ENTRIES_MAX);
	*ret = b;
	b = (struct bl_baseline){ 0 };
	return 0;
}

/* --- writing -------------------------------------------------------------- */

static char *quoted(const char *text)
{
	json_t *v = json_string(text);
	char *s = v ? json_dumps(v, JSON_ENCODE_ANY) : NULL;

	json_decref(v);
	return s;
}

static int print_entry(const struct bl_baseline_entry *e, bool last,
		       struct bl_buf *ret)
{
	bl_autofree char *program = quoted(e->program);
	bl_autofree char *kernel = quoted(e->kernel);

	if (!program || !kernel)
		return -ENOMEM;
	return bl_buf_printf(
		ret,
		"    {\"program\": %s, \"kernel\": %s, \"insns\": %" PRIu64
		", \"states\": %" PRIu64 ", \"peak_states\": %" PRIu64
		", \"stack_bytes\": %" PRIu64 "}%s\n",
		program, kernel, e->effort.insns, e->effort.states,
		e->effort.peak_states, e->effort.stack_bytes, last ? "" : ",");
}

int bl_baseline_print(const struct bl_baseline *b, struct bl_buf *ret)
{
	size_t i;
	int r = bl_buf_printf(ret, "{\n  \"schema\": %d,\n  \"programs\": [\n",
			      SCHEMA);

	for (i = 0; r == 0 && i < b->count; i++)
		r = print_entry(&b->entries[i], i + 1 == b->count, ret);
	return r < 0 ? r : bl_buf_printf(ret, "  ]\n}\n");
}

int bl_budget_update(const struct bl_baseline *old,
		     const struct bl_report *report, const char *path,
		     struct bl_err *err)
{
	bl_autobaseline struct bl_baseline b = { 0 };
	bl_autobuf struct bl_buf text = { 0 };
	int r = bl_baseline_merge(old, report, &b, err);

	if (r < 0)
		return r;
	r = bl_baseline_print(&b, &text);
	if (r < 0)
		return bl_err_set(err, r, "out of memory");
	return bl_file_write(path, text.data, text.len, 0644, err);
}
