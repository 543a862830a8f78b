/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/gate/finding.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/base/text.h"

/* The strings of a finding, for the loops that treat all of them alike. */
static const size_t finding_texts[] = {
	offsetof(struct bl_finding, check),
	offsetof(struct bl_finding, program),
	offsetof(struct bl_finding, section),
	offsetof(struct bl_finding, kernel),
	offsetof(struct bl_finding, message),
	offsetof(struct bl_finding, hint),
	offsetof(struct bl_finding, file),
	offsetof(struct bl_finding, source),
	offsetof(struct bl_finding, log),
	offsetof(struct bl_finding, log_path),
};

static char **text_at(struct bl_finding *f, size_t i)
{
	return (char **)(void *)((char *)f + finding_texts[i]);
}

static void finding_free(struct bl_finding *f)
{
	size_t i;

	for (i = 0; i < BL_ARRAY_SIZE(finding_texts); i++)
		free(*text_at(f, i));
	*f = (struct bl_finding){ 0 };
}

void bl_report_free(struct bl_report *r)
{
	size_t i;

	for (i = 0; i < r->count; i++)
		finding_free(&r->findings[i]);
	for (i = 0; i < r->kernel_count; i++) {
		free(r->kernels[i].name);
		free(r->kernels[i].log_path);
	}
	free(r->findings);
	free(r->kernels);
	free(r->path);
	free(r->kind);
	*r = (struct bl_report){ 0 };
}

int bl_report_init(struct bl_report *r, const char *path, const char *kind)
{
	*r = (struct bl_report){ 0 };
	r->path = bl_text_clean(path);
	r->kind = bl_text_clean(kind);
	if (r->path && r->kind)
		return 0;
	bl_report_free(r);
	return -ENOMEM;
}

int bl_report_add(struct bl_report *r, const struct bl_finding *f)
{
	struct bl_finding copy = *f, *list;
	bool whole = true;
	size_t i;

	if (r->count >= BL_REPORT_FINDINGS_MAX)
		return -E2BIG;
	/* Room doubles, at each power of two: a hostile object can cause tens
	 * of thousands, and moving all for each takes minutes. */
	if ((r->count & (r->count - 1)) == 0) {
		list = realloc(r->findings,
			       (r->count ? 2 * r->count : 1) * sizeof(*list));
		if (!list)
			return -ENOMEM;
		r->findings = list;
	}
	for (i = 0; i < BL_ARRAY_SIZE(finding_texts); i++) {
		char **text = text_at(&copy, i);

		*text = bl_text_clean(*text);
		whole = whole && *text;
	}
	if (!whole) {
		finding_free(&copy);
		return -ENOMEM;
	}
	r->findings[r->count++] = copy;
	return 0;
}

int bl_report_note(struct bl_report *r, enum bl_verdict verdict,
		   const char *check, const char *kernel, const char *fmt, ...)
{
	struct bl_finding f = { .verdict = verdict };
	bl_autofree char *message = NULL;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&message, fmt, ap);
	va_end(ap);
	if (n < 0) {
		message = NULL;
		return -ENOMEM;
	}
	f.check = (char *)check;
	f.kernel = (char *)kernel;
	f.message = message;
	return bl_report_add(r, &f);
}

int bl_report_add_kernel(struct bl_report *r, const struct bl_report_kernel *k)
{
	struct bl_report_kernel copy = *k, *list;

	if (r->kernel_count >= BL_REPORT_KERNELS_MAX)
		return -E2BIG;
	list = realloc(r->kernels, (r->kernel_count + 1) * sizeof(*list));
	if (!list)
		return -ENOMEM;
	r->kernels = list;
	copy.name = bl_text_clean(k->name);
	copy.log_path = bl_text_clean(k->log_path);
	if (!copy.name || !copy.log_path) {
		free(copy.name);
		free(copy.log_path);
		return -ENOMEM;
	}
	r->kernels[r->kernel_count++] = copy;
	return 0;
}

/* Whether @kernel accepted at least one program. */
static bool accepted_one(const struct bl_report *r, const char *kernel)
{
	size_t i;

	for (i = 0; i < r->count; i++)
		if (r->findings[i].status == BL_STATUS_ACCEPTED &&
		    strcmp(r->findings[i].kernel, kernel) == 0)
			return true;
	return false;
}

/* Something was checked, and all that had to be. */
static bool complete(const struct bl_report *r, const char *kernel)
{
	bool loads = r->kind && strcmp(r->kind, "content") != 0;
	size_t i;

	if (kernel)
		return !loads || accepted_one(r, kernel);
	for (i = 0; loads && i < r->kernel_count; i++)
		if (!accepted_one(r, r->kernels[i].name))
			return false;
	if (loads)
		return r->kernel_count > 0;
	for (i = 0; i < r->count; i++)
		if (r->findings[i].verdict == BL_VERDICT_PASS)
			return true;
	return false;
}

enum bl_verdict bl_report_verdict(const struct bl_report *r, const char *kernel)
{
	enum bl_verdict worst = BL_VERDICT_PASS;
	size_t i;

	for (i = 0; i < r->count; i++) {
		const struct bl_finding *f = &r->findings[i];

		if (kernel && strcmp(f->kernel, kernel) != 0)
			continue;
		if (f->verdict > worst)
			worst = f->verdict;
	}
	if (worst >= BL_VERDICT_UNDECIDED)
		return worst;
	return complete(r, kernel) ? BL_VERDICT_PASS : BL_VERDICT_UNDECIDED;
}

enum bl_exit bl_report_exit(const struct bl_report *r)
{
	switch (bl_report_verdict(r, NULL)) {
	case BL_VERDICT_PASS:
		return BL_EXIT_OK;
	case BL_VERDICT_REJECT:
		return BL_EXIT_REJECTED;
	default:
		return BL_EXIT_UNDECIDED;
	}
}

const char *bl_verdict_name(enum bl_verdict v)
{
	static const char *const names[] = {
		[BL_VERDICT_PASS] = "pass",
		[BL_VERDICT_WARN] = "warn",
		[BL_VERDICT_UNDECIDED] = "undecided",
		[BL_VERDICT_REJECT] = "reject",
	};

	return names[v];
}

const char *bl_status_name(enum bl_status s)
{
	static const char *const names[] = {
		[BL_STATUS_NONE] = "",
		[BL_STATUS_ACCEPTED] = "accepted",
		[BL_STATUS_REJECTED] = "rejected",
		[BL_STATUS_MISSING] = "missing",
		[BL_STATUS_REFUSED] = "refused",
		[BL_STATUS_UNKNOWN] = "unknown",
	};

	return names[s];
}

const char *bl_report_word(enum bl_verdict v)
{
	if (v == BL_VERDICT_PASS || v == BL_VERDICT_WARN)
		return "accepted";
	return v == BL_VERDICT_REJECT ? "rejected" : "undecided";
}
