/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/gate/kernel/verify.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bpf/dns.h"
#include "bpf/sums.h"
#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/gate/kernel/attach.h"
#include "loader/gate/kernel/exercise.h"
#include "loader/gate/kernel/swap.h"
#include "loader/gate/kernel/verify_host.h"
#include "loader/gate/kernel/verify_lab.h"
#include "loader/gate/module/judge.h"
#include "loader/gate/object/source.h"
#include "loader/gate/report/hints.h"
#include "loader/kern/ask/vlog.h"

enum bl_verdict bl_gate_judge(enum bl_status status, bool optional, bool host)
{
	switch (status) {
	case BL_STATUS_ACCEPTED:
		return BL_VERDICT_PASS;
	case BL_STATUS_REJECTED:
		return BL_VERDICT_REJECT;
	case BL_STATUS_MISSING:
		if (optional)
			return BL_VERDICT_WARN;
		return host ? BL_VERDICT_UNDECIDED : BL_VERDICT_REJECT;
	default:
		return BL_VERDICT_UNDECIDED;
	}
}

/* A missing program is no warning where the content needs it. */
static void require(struct bl_finding *f)
{
	if (f->status == BL_STATUS_MISSING)
		f->verdict = bl_gate_judge(f->status, false,
					   strcmp(f->kernel, "host") == 0);
}

static bool begins(const char *name, const char *start)
{
	return strncmp(name, start, strlen(start)) == 0;
}

void bl_gate_require_lsm(struct bl_report *r)
{
	size_t i;

	for (i = 0; i < r->count; i++)
		if (begins(r->findings[i].section, "lsm") &&
		    !begins(r->findings[i].program, BL_SUM_PROGRAM))
			require(&r->findings[i]);
}

static void require_named(struct bl_report *r, const char *start)
{
	size_t i;

	for (i = 0; i < r->count; i++)
		if (begins(r->findings[i].program, start))
			require(&r->findings[i]);
}

void bl_gate_require_dns(struct bl_report *r)
{
	require_named(r, BL_DNS_PROGRAM);
}

void bl_gate_require_sums(struct bl_report *r)
{
	require_named(r, BL_SUM_PROGRAM);
}

/* Keeps the log that came with an answer, whole, in a file. */
static char *keep_log(const char *log_dir, const char *kernel,
		      const struct bl_facts_program *p)
{
	char *path;

	if (!log_dir || !*p->log || !bl_name_valid(p->name))
		return NULL;
	if (bl_file_mkdirs(log_dir, 0755, NULL) < 0)
		return NULL;
	path = bl_path("%s/%s.%s.verifier.log", log_dir, kernel, p->name);
	if (path && bl_file_write(path, p->log, strlen(p->log), 0644, NULL) < 0)
		free(BL_TAKE(path));
	return path;
}

static bool told(const struct bl_report *r, const char *check,
		 const char *message)
{
	size_t i;

	for (i = 0; i < r->count; i++)
		if (strcmp(r->findings[i].check, check) == 0 &&
		    strcmp(r->findings[i].message, message) == 0)
			return true;
	return false;
}

static enum bl_status status_of(enum bl_load_status s)
{
	switch (s) {
	case BL_LOAD_ACCEPTED:
		return BL_STATUS_ACCEPTED;
	case BL_LOAD_REJECTED:
		return BL_STATUS_REJECTED;
	case BL_LOAD_MISSING:
		return BL_STATUS_MISSING;
	case BL_LOAD_REFUSED:
		return BL_STATUS_REFUSED;
	default:
		return BL_STATUS_UNKNOWN;
	}
}

/* Where the program was rejected: by instruction if it lies in the program
 * itself, else by what the log says of the line. */
static int find_source(const struct bl_object *o,
		       const struct bl_facts_program *f,
		       const struct bl_vlog *log, struct bl_source *ret)
{
	const struct bl_object_program *p = bl_object_program(o, f->name);
	size_t at = (size_t)f->insn * 8;

	if (p && f->insn >= 0 && at < p->size &&
	    bl_source_find(o, p->section_index, p->offset + at, ret) == 0)
		return 0;
	if (bl_source_find_text(o, log->source, log->line, ret) == 0)
		return 0;
	*ret = (struct bl_source){ log->file, log->source, log->line };
	return log->source[0] ? 0 : -ENOENT;
}

static int judge_program(const struct bl_gate_target *t, const char *kernel,
			 bool host, const struct bl_facts_program *p,
			 struct bl_report *report)
{
	enum bl_status status = status_of(p->load);
	struct bl_finding f = {
		.verdict = bl_gate_judge(status, p->optional, host),
		.status = status,
		.optional = p->optional,
		.effort = p->effort,
		.check = (char *)"verifier",
		.kernel = (char *)kernel,
		.program = p->name,
		.section = p->section,
		.message = p->why,
		.log = p->log,
	};
	bl_autofree char *path = keep_log(t->log_dir, kernel, p);
	struct bl_source src;
	struct bl_vlog log;

	f.log_path = path;
	bl_vlog_read(p->log, &log);
	f.hint = (char *)bl_hint_for(p->why, p->log);
	if (status == BL_STATUS_REJECTED &&
	    find_source(t->object, p, &log, &src) == 0) {
		f.file = (char *)src.file;
		f.source = (char *)src.text;
		f.line = src.line;
	}
	return bl_report_add(report, &f);
}

/* What was assumed so that it could be loaded at all. The same comes from every
 * kernel; it is told once. */
static int add_notes(const char *notes, struct bl_report *report)
{
	const char *end;
	int r = 0;

	for (; r == 0 && *notes; notes = *end ? end + 1 : end) {
		bl_autofree char *note = NULL;

		end = strchrnul(notes, '\n');
		note = strndup(notes, (size_t)(end - notes));
		if (!note)
			return -ENOMEM;
		if (!told(report, "map", note))
			r = bl_report_note(report, BL_VERDICT_WARN, "map", NULL,
					   "%s", note);
	}
	return r;
}

/* Whether the answer says something of every program of the object. */
static int require_all(const struct bl_object *o, const char *kernel,
		       struct bl_report *report)
{
	size_t i, k;
	int r = 0;

	for (i = 0; r == 0 && i < o->program_count; i++) {
		const struct bl_object_program *p = &o->programs[i];
		struct bl_finding f = {
			.verdict = BL_VERDICT_UNDECIDED,
			.status = BL_STATUS_UNKNOWN,
			.optional = p->optional,
			.check = (char *)"verifier",
			.kernel = (char *)kernel,
			.program = (char *)p->name,
			.section = (char *)p->section,
			.message =
				(char *)"this kernel gave no answer about it",
		};

		if (p->called)
			continue;
		for (k = 0; k < report->count; k++)
			if (report->findings[k].status != BL_STATUS_NONE &&
			    strcmp(report->findings[k].kernel, kernel) == 0 &&
			    strcmp(report->findings[k].program, p->name) == 0)
				break;
		if (k == report->count)
			r = bl_report_add(report, &f);
	}
	return r;
}

int bl_gate_judge_answer(const struct bl_gate_target *t, const char *kernel,
			 bool host, const struct bl_answer *a,
			 struct bl_report *report)
{
	size_t i;
	int r = 0;

	if (t->modules)
		return bl_module_judge(a, &t->limits, kernel, report);
	if (a->error)
		r = bl_report_note(report, BL_VERDICT_UNDECIDED, "verifier",
				   kernel, "%s", a->error);
	for (i = 0; r == 0 && i < a->facts.program_count; i++)
		r = judge_program(t, kernel, host, &a->facts.programs[i],
				  report);
	if (r == 0)
		r = require_all(t->object, kernel, report);
	if (r == 0)
		r = add_notes(bl_buf_str(&a->facts.notes), report);
	/* What does not load is rejected already. */
	if (r < 0 || !bl_facts_loads(&a->facts))
		return r;
	if (a->have[BL_PROBE_ATTACH])
		r = bl_attach_check(&a->facts, kernel, host, report);
	if (r == 0 && a->have[BL_PROBE_EXERCISE])
		r = bl_exercise_check(&a->facts, &t->limits, kernel, report);
	if (r == 0 && a->have[BL_PROBE_SWAP])
		r = bl_swap_check(&a->facts, kernel, report);
	return r;
}

int bl_gate_verify(const struct bl_gate_target *t, struct bl_report *report,
		   struct bl_err *err)
{
	int r = 0;

	if (t->host)
		r = bl_gate_verify_host(t, report, err);
	if (r == 0 && t->kernel_count)
		r = bl_gate_verify_lab(t, report, err);
	return r;
}
