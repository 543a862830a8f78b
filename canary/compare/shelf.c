/* SPDX-License-Identifier: Apache-2.0 */
#include "canary/compare/shelf.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "canary/compare/judge.h"
#include "canary/compare/report.h"
#include "canary/ledger/record.h"
#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/base/text.h"
#include "loader/lab/catalog.h"

bool bl_shelf_current(const struct bl_compare_result *have, const char *belay,
		      const char *variant)
{
	return have && !have->failed && *have->variant &&
	       strcmp(have->belay, belay) == 0 &&
	       strcmp(have->variant, variant) == 0;
}

static char *path_of(const char *out, const char *fault, const char *kernel,
		     enum bl_compare_way way)
{
	return bl_path("%s/runs/%s.%s.%s.json", out, fault, kernel,
		       bl_compare_way_name(way));
}

int bl_shelf_load(const char *out, const char *fault, const char *kernel,
		  enum bl_compare_way way, struct bl_compare_result *ret,
		  struct bl_err *err)
{
	bl_autofree char *path = path_of(out, fault, kernel, way);

	if (!path)
		return bl_err_set(err, -ENOMEM, "out of memory");
	return bl_compare_result_load(path, ret, err);
}

int bl_shelf_save(const char *out, const struct bl_compare_result *run,
		  struct bl_err *err)
{
	bl_autofree char *dir = bl_path("%s/runs", out);
	bl_autofree char *path =
		path_of(out, run->fault, run->kernel, run->way);
	bl_autofree char *text = bl_compare_dump(bl_compare_result_json(run));
	int r = dir && path && text ? bl_file_mkdirs(dir, 0755, err)
				    : bl_err_set(err, -ENOMEM, "out of memory");

	return r ? r : bl_file_write(path, text, strlen(text), 0644, err);
}

/* --- all of them ---------------------------------------------------------- */

static int by_release(const void *a, const void *b)
{
	return bl_release_compare(a, b);
}

/* The kernels of the files' names, FAULT.KERNEL.WAY.json. */
static int find_kernels(const char *out, struct bl_compare *ret,
			struct bl_err *err)
{
	bl_autofree char *path = bl_path("%s/runs", out);
	bl_autoclosedir DIR *dir = path ? opendir(path) : NULL;
	const struct dirent *entry;

	if (!dir)
		return errno == ENOENT ? 0
				       : bl_err_errno(err, -errno, "%s", path);
	while ((entry = readdir(dir))) {
		const char *from = strchr(entry->d_name, '.');
		size_t len = from ? strlen(++from) : 0, i;
		char kernel[BL_COMPARE_KERNEL_MAX];

		if (len < sizeof(".A.json") || len >= sizeof(kernel) ||
		    strcmp(from + len - 5, ".json") != 0)
			continue;
		snprintf(kernel, sizeof(kernel), "%.*s", (int)len - 7, from);
		for (i = 0; i < ret->kernel_count; i++)
			if (strcmp(ret->kernels[i], kernel) == 0)
				break;
		if (i < ret->kernel_count)
			continue;
		if (i == BL_COMPARE_KERNELS_MAX)
			return bl_err_set(err, -E2BIG,
					  "%s: runs of more than %d kernels",
					  path, BL_COMPARE_KERNELS_MAX);
		bl_text_copy(ret->kernels[ret->kernel_count++],
			     sizeof(ret->kernels[0]), kernel);
	}
	qsort(ret->kernels, ret->kernel_count, sizeof(ret->kernels[0]),
	      by_release);
	return 0;
}

/* The catalogue may have learned since. */
static void judge_again(const struct bl_fault *f, struct bl_compare_result *run)
{
	struct bl_fault_lines lines;

	run->as_expected = bl_fault_lines(f, run->kernel, run->way, &lines) &&
			   bl_judge_expected(&lines, run);
}

/* The runs of one fault; *ret_some: there are some. */
static int collect_fault(const char *out, const struct bl_fault *f,
			 struct bl_compare *ret, bool *ret_some,
			 struct bl_err *err)
{
	for (size_t k = 0; k < ret->kernel_count; k++) {
		for (unsigned w = 0; w < BL_COMPARE_WAYS; w++) {
			bl_autocompare_result struct bl_compare_result run = {
				0
			};
			int r = bl_shelf_load(out, f->id, ret->kernels[k], w,
					      &run, err);

			if (r == -ENOENT)
				continue;
			if (!r)
				judge_again(f, &run);
			if (!r && bl_compare_add(ret, &run) < 0)
				r = bl_err_set(err, -ENOMEM, "out of memory");
			if (r)
				return r;
			*ret_some = true;
		}
	}
	return 0;
}

int bl_shelf_collect(const char *out, const struct bl_faults *faults,
		     struct bl_compare *ret, struct bl_err *err)
{
	struct bl_err e = { 0 };
	int r = find_kernels(out, ret, err);

	ret->faults = json_array();
	for (size_t i = 0; !r && i < faults->count; i++) {
		bool some = false;

		r = collect_fault(out, &faults->fault[i], ret, &some, &e);
		if (r)
			return bl_err_set(err, r, "%s", e.text);
		if (some &&
		    json_array_append(
			    ret->faults,
			    (json_t *)(uintptr_t)faults->fault[i].json) < 0)
			return bl_err_set(err, -ENOMEM, "out of memory");
	}
	return r;
}

/* --- reports -------------------------------------------------------------- */

static int write_form(const char *out, const char *name,
		      const struct bl_compare *all,
		      int (*print)(const struct bl_compare *c, FILE *f),
		      struct bl_err *err)
{
	bl_autofree char *path = bl_path("%s/%s", out, name);
	bl_autofree char *text = NULL;
	size_t len = 0;
	FILE *f = path ? open_memstream(&text, &len) : NULL;
	int r = f ? print(all, f) : -ENOMEM;

	if (f && fclose(f) != 0)
		r = -ENOMEM;
	if (r)
		return bl_err_set(err, r, "out of memory");
	return bl_file_write(path, text, len, 0644, err);
}

static int print_json(const struct bl_compare *c, FILE *f)
{
	bl_autofree char *text = bl_compare_dump(bl_compare_json(c));

	if (!text)
		return -ENOMEM;
	return fwrite(text, 1, strlen(text), f) == strlen(text) ? 0 : -EIO;
}

int bl_shelf_report(const char *out, const struct bl_compare *all,
		    struct bl_err *err)
{
	static const struct {
		const char *name;
		int (*print)(const struct bl_compare *c, FILE *f);
	} forms[] = {
		{ "compare.json", print_json },
		{ "compare.md", bl_compare_print_markdown },
		{ "compare.html", bl_compare_print_page },
	};
	int r = bl_file_mkdirs(out, 0755, err);

	for (size_t i = 0; !r && i < BL_ARRAY_SIZE(forms); i++)
		r = write_form(out, forms[i].name, all, forms[i].print, err);
	return r;
}
