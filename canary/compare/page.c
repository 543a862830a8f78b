/* SPDX-License-Identifier: Apache-2.0 */
/* The page: page/page.html with its style, its script and the data put in. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "canary/compare/cell.h"
#include "canary/compare/report.h"
#include "loader/base/cleanup.h"

/* BL_COMPARE_PAGE: the folder, from CMakeLists.txt. */
#define EMBED(name, file)                                    \
	__asm__(".pushsection .rodata\n"                     \
		"bl_compare_page_" #name ":\n"               \
		".incbin \"" BL_COMPARE_PAGE "/" file "\"\n" \
		"bl_compare_page_" #name "_end:\n"           \
		".popsection\n");                            \
	extern const char bl_compare_page_##name[]           \
		__attribute__((visibility("hidden")));       \
	extern const char bl_compare_page_##name##_end[]     \
		__attribute__((visibility("hidden")))

EMBED(html, "page.html");
EMBED(css, "page.css");
EMBED(data, "data.js");
EMBED(curves, "curves.js");
EMBED(overhead, "overhead.js");
EMBED(page, "page.js");

/* One scope for all of them; the last one begins. */
static const struct {
	const char *begin, *end;
} scripts[] = {
	{ bl_compare_page_data, bl_compare_page_data_end },
	{ bl_compare_page_curves, bl_compare_page_curves_end },
	{ bl_compare_page_overhead, bl_compare_page_overhead_end },
	{ bl_compare_page_page, bl_compare_page_page_end },
};

/* What stands in page.html where a part goes. */
#define MARK	 "@@"
#define MARK_LEN 2

static json_t *cell_json(const struct bl_compare *c, const json_t *fault,
			 const char *kernel, enum bl_compare_way way)
{
	char stop[BL_COMPARE_WORDS_MAX], harm[BL_COMPARE_WORDS_MAX];
	struct bl_compare_cell cell;

	bl_compare_cell(c, fault, kernel, way, &cell);
	bl_compare_cell_stop(&cell, stop, sizeof(stop));
	bl_compare_cell_harm(&cell, harm, sizeof(harm));
	return json_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:s}", "fault",
			 bl_compare_fault_text(fault, "id"), "kernel", kernel,
			 "way", bl_compare_way_name(way), "ending",
			 bl_compare_ending_name(cell.ending), "stop", stop,
			 "past", bl_compare_cell_past(&cell), "harm", harm,
			 "why", cell.why);
}

static json_t *cells_json(const struct bl_compare *c)
{
	bl_autojson json_t *all = json_array();
	json_t *fault;
	unsigned way;
	size_t i, k;

	for (k = 0; k < c->kernel_count; k++)
		json_array_foreach (c->faults, i, fault)
			for (way = 0; way < BL_COMPARE_WAYS; way++)
				if (json_array_append_new(
					    all,
					    cell_json(c, fault, c->kernels[k],
						      way)) < 0)
					return NULL;
	return BL_TAKE(all);
}

static json_t *total_json(const struct bl_compare *c, const char *kernel,
			  enum bl_compare_way way)
{
	struct bl_compare_total t;
	const struct {
		const char *key;
		const unsigned *value;
	} numbers[] = {
		{ "runs", &t.runs },
		{ "failed", &t.failed },
		{ "hosts", &t.hosts },
		{ "exposed", &t.exposed },
		{ "lost", &t.lost },
		{ "crashes", &t.crashes },
		{ "reboots", &t.reboots },
		{ "rejected", &t.rejected },
		{ "crashed", &t.crashed },
		{ "blamed", &t.blamed },
		{ "as_expected", &t.as_expected },
	};
	bl_autojson json_t *all = NULL;
	char longest[32];
	size_t i;

	bl_compare_sum(c, kernel, way, &t);
	bl_compare_longest(&t, longest, sizeof(longest));
	all = json_pack("{s:s}", "longest", longest);
	for (i = 0; i < BL_ARRAY_SIZE(numbers); i++)
		if (json_object_set_new(all, numbers[i].key,
					json_integer(*numbers[i].value)) < 0)
			return NULL;
	return BL_TAKE(all);
}

/* Of @kernel, NULL: of all. */
static json_t *totals_json(const struct bl_compare *c, const char *kernel)
{
	char headline[BL_COMPARE_WORDS_MAX];

	bl_compare_headline(c, kernel, headline, sizeof(headline));
	return json_pack("{s:s,s:o,s:o,s:o}", "headline", headline, "A",
			 total_json(c, kernel, BL_COMPARE_A), "B",
			 total_json(c, kernel, BL_COMPARE_B), "C",
			 total_json(c, kernel, BL_COMPARE_C));
}

static json_t *all_totals_json(const struct bl_compare *c)
{
	bl_autojson json_t *all = json_object();
	size_t i;

	if (json_object_set_new(all, "", totals_json(c, NULL)) < 0)
		return NULL;
	for (i = 0; i < c->kernel_count; i++)
		if (json_object_set_new(all, c->kernels[i],
					totals_json(c, c->kernels[i])) < 0)
			return NULL;
	return BL_TAKE(all);
}

static json_t *words_json(void)
{
	bl_autojson json_t *endings = json_array(), *ways = json_array();
	unsigned i;

	for (i = 0; i < BL_COMPARE_ENDINGS; i++)
		if (json_array_append_new(
			    endings,
			    json_pack("{s:s,s:s}", "name",
				      bl_compare_ending_name(i), "words",
				      bl_compare_ending_words(i))) < 0)
			return NULL;
	for (i = 0; i < BL_COMPARE_WAYS; i++)
		if (json_array_append_new(
			    ways, json_pack("{s:s,s:s,s:s}", "name",
					    bl_compare_way_name(i), "title",
					    bl_compare_way_title(i), "words",
					    bl_compare_way_words(i))) < 0)
			return NULL;
	return json_pack("{s:O,s:O}", "endings", endings, "ways", ways);
}

/* The document, and beside it what all reports compute the same way. */
static json_t *page_json(const struct bl_compare *c)
{
	return json_pack("{s:o,s:o,s:o,s:o}", "document", bl_compare_json(c),
			 "cells", cells_json(c), "totals", all_totals_json(c),
			 "words", words_json());
}

/*
 * JSON in which no byte means anything to HTML or to script: the characters
 * that end an element, begin a comment or an entity, and the two line ends that
 * JSON knows and older script does not. Within JSON they occur in strings only.
 */
static void put_safe(const char *text, FILE *f)
{
	for (; *text; text++) {
		if (strchr("<>&", *text)) {
			fprintf(f, "\\u%04x", (unsigned)*text);
		} else if (strncmp(text, "\xe2\x80\xa8", 3) == 0 ||
			   strncmp(text, "\xe2\x80\xa9", 3) == 0) {
			fprintf(f, "\\u202%c", text[2] == '\xa8' ? '8' : '9');
			text += 2;
		} else {
			fputc(*text, f);
		}
	}
}

static int put_data(const struct bl_compare *c, FILE *f)
{
	bl_autojson json_t *v = page_json(c);
	bl_autofree char *text = NULL;

	if (v)
		text = json_dumps(v, JSON_COMPACT | JSON_REAL_PRECISION(12));
	if (!text)
		return -ENOMEM;
	put_safe(text, f);
	return 0;
}

/* Where the next mark is; @end if there is none. */
static const char *next_mark(const char *at, const char *end)
{
	const char *mark = memmem(at, (size_t)(end - at), MARK, MARK_LEN);

	return mark ? mark : end;
}

static void put(const char *begin, const char *end, FILE *f)
{
	fwrite(begin, 1, (size_t)(end - begin), f);
}

int bl_compare_print_page(const struct bl_compare *c, FILE *f)
{
	const char *at = bl_compare_page_html, *end = bl_compare_page_html_end;
	const char *mark;
	int r = 0;

	while (r == 0) {
		mark = next_mark(at, end);
		put(at, mark, f);
		if (mark == end)
			break;
		at = mark + MARK_LEN;
		mark = next_mark(at, end);
		if (strncmp(at, "css", 3) == 0)
			put(bl_compare_page_css, bl_compare_page_css_end, f);
		else if (strncmp(at, "js", 2) == 0)
			for (size_t i = 0; i < BL_ARRAY_SIZE(scripts); i++)
				put(scripts[i].begin, scripts[i].end, f);
		else
			r = put_data(c, f);
		at = mark == end ? end : mark + MARK_LEN;
	}
	return r;
}
