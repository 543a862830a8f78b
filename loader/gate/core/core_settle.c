/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/gate/core/core.h"

static const char hint[] =
	"this kernel takes the program as it is; with other settings of its loader it may not";

/* By kernel and program. */
static int compare(const void *a, const void *b)
{
	const struct bl_finding *x = *(const struct bl_finding *const *)a;
	const struct bl_finding *y = *(const struct bl_finding *const *)b;
	int r = strcmp(x->kernel, y->kernel);

	return r ? r : strcmp(x->program, y->program);
}

static bool is_open(const struct bl_finding *f)
{
	return f->verdict == BL_VERDICT_UNDECIDED &&
	       strcmp(f->check, "core") == 0 && *f->program && *f->kernel;
}

static int settle(struct bl_finding *f)
{
	char *text = strdup(hint);

	if (!text)
		return -ENOMEM;
	free(f->hint);
	f->hint = text;
	f->verdict = BL_VERDICT_WARN;
	return 0;
}

int bl_core_settle(struct bl_report *report)
{
	bl_autofree const struct bl_finding **accepted =
		calloc(report->count + 1, sizeof(struct bl_finding *));
	size_t i, n = 0;
	int r = 0;

	if (!accepted)
		return -ENOMEM;
	for (i = 0; i < report->count; i++)
		if (report->findings[i].status == BL_STATUS_ACCEPTED)
			accepted[n++] = &report->findings[i];
	if (n)
		qsort(accepted, n, sizeof(struct bl_finding *), compare);
	for (i = 0; r == 0 && n && i < report->count; i++) {
		const struct bl_finding *f = &report->findings[i];

		if (is_open(f) && bsearch(&f, accepted, n,
					  sizeof(struct bl_finding *), compare))
			r = settle(&report->findings[i]);
	}
	return r;
}
