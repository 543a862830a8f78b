/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/gate/verify.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/gate/report_json.h"
#include "loader/gate/verify_host.h"
#include "loader/gate/verify_lab.h"

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

void bl_gate_require_lsm(struct bl_report *r)
{
	size_t i;

	for (i = 0; i < r->count; i++) {
		struct bl_finding *f = &r->findings[i];

		if (f->status == BL_STATUS_MISSING &&
		    strncmp(f->section, "lsm", 3) == 0)
			f->verdict =
				bl_gate_judge(f->status, false,
					      strcmp(f->kernel, "host") == 0);
	}
}

/* Keeps the log that came with an answer, whole, in a file. */
static char *keep_log(const char *log_dir, const char *kernel,
		      const struct bl_finding *f)
{
	char *path;

	if (!log_dir || !*f->log || !bl_name_valid(f->program))
		return NULL;
	if (bl_file_mkdirs(log_dir, 0755, NULL) < 0)
		return NULL;
	path = bl_path("%s/%s.%s.verifier.log", log_dir, kernel, f->program);
	if (path && bl_file_write(path, f->log, strlen(f->log), 0644, NULL) < 0)
		free(BL_TAKE(path));
	return path;
}

/* The same note comes from every kernel; it is told once. */
static bool told(const struct bl_report *r, const struct bl_finding *f)
{
	size_t i;

	for (i = 0; i < r->count; i++)
		if (strcmp(r->findings[i].check, f->check) == 0 &&
		    strcmp(r->findings[i].message, f->message) == 0)
			return true;
	return false;
}

static int merge_one(const struct bl_finding *f, const char *kernel, bool host,
		     const char *log_dir, struct bl_report *report)
{
	struct bl_finding mine = *f;
	bl_autofree char *path = NULL;

	if (strcmp(f->check, "map") == 0)
		return told(report, f) ? 0 : bl_report_add(report, f);
	if (strcmp(f->check, "verifier") != 0)
		return 0;
	/* What the guest thinks of its answer does not count. */
	mine.verdict = bl_gate_judge(f->status, f->optional, host);
	mine.kernel = (char *)kernel;
	path = keep_log(log_dir, kernel, f);
	mine.log_path = path;
	return bl_report_add(report, &mine);
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

int bl_gate_merge(const struct bl_object *object, const char *kernel, bool host,
		  const char *text, size_t len, const char *log_dir,
		  struct bl_report *report)
{
	bl_autoreport struct bl_report answer = { 0 };
	struct bl_err err = { 0 };
	size_t i;
	int r;

	r = bl_report_from_json("answer", text, len, &answer, &err);
	if (r == -ENOMEM)
		return r;
	if (r < 0)
		r = bl_report_note(report, BL_VERDICT_UNDECIDED, "verifier",
				   kernel, "its answer cannot be read: %s",
				   err.text);
	for (i = 0; r == 0 && i < answer.count; i++)
		r = merge_one(&answer.findings[i], kernel, host, log_dir,
			      report);
	return r < 0 ? r : require_all(object, kernel, report);
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
