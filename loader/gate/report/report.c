/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/gate/report/report.h"

#include <errno.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/gate/report/report_json.h"

const struct bl_report_format bl_report_formats[] = {
	{ "text", "for a terminal", bl_report_print_text },
	{ "json", "all there is, see report.schema.json",
	  bl_report_print_json },
	{ "junit", "for the test page of a CI server", bl_report_print_junit },
	{ "sarif", "2.1.0, for code scanning", bl_report_print_sarif },
	{ "markdown", "for a comment on a pull request",
	  bl_report_print_markdown },
};

const size_t bl_report_format_count = BL_ARRAY_SIZE(bl_report_formats);

const struct bl_report_format *bl_report_format_find(const char *name)
{
	size_t i;

	for (i = 0; i < bl_report_format_count; i++)
		if (strcmp(bl_report_formats[i].name, name) == 0)
			return &bl_report_formats[i];
	return NULL;
}

int bl_report_output_parse(const char *option, struct bl_report_output *ret,
			   struct bl_err *err)
{
	const char *equals = strchrnul(option, '=');
	struct bl_report_output out = { 0 };
	char name[16];

	snprintf(name, sizeof(name), "%.*s", (int)(equals - option), option);
	if ((size_t)(equals - option) < sizeof(name))
		out.format = bl_report_format_find(name);
	if (!out.format)
		return bl_err_set(
			err, -EINVAL,
			"unknown format '%.*s' (known: text, json, junit, sarif, markdown)",
			(int)(equals - option), option);
	if (*equals && !equals[1])
		return bl_err_set(err, -EINVAL,
				  "format '%s' names no file after its '='",
				  option);
	if (*equals)
		out.path = equals + 1;
	*ret = out;
	return 0;
}

static int print(const struct bl_report *r, const struct bl_report_format *form,
		 FILE *f, const char *where, struct bl_err *err)
{
	int e = form->print(r, f);

	if (e == 0 && (fflush(f) != 0 || ferror(f)))
		e = errno ? -errno : -EIO;
	if (e < 0)
		return bl_err_errno(err, e, "the %s report to %s", form->name,
				    where);
	return 0;
}

int bl_report_output(const struct bl_report *r,
		     const struct bl_report_output *out, FILE *f,
		     struct bl_err *err)
{
	bl_autofree char *text = NULL;
	size_t len = 0;
	FILE *memory;
	int e;

	if (!out->path)
		return print(r, out->format, f, "standard output", err);
	memory = open_memstream(&text, &len);
	if (!memory)
		return bl_err_set(err, -ENOMEM, "out of memory");
	e = print(r, out->format, memory, out->path, err);
	if (fclose(memory) != 0 && e == 0)
		e = bl_err_set(err, -ENOMEM, "out of memory");
	if (e < 0)
		return e;
	return bl_file_write(out->path, text, len, 0644, err);
}

int bl_report_print_json(const struct bl_report *r, FILE *f)
{
	bl_autofree char *text = bl_report_to_json(r);

	if (!text)
		return -ENOMEM;
	fputs(text, f);
	return 0;
}
