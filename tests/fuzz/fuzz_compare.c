/* SPDX-License-Identifier: Apache-2.0 */
/* compare.json: written again it says the same; whatever it says, no report
 * takes it for markup, script or a terminal's commands. */
#include <stdlib.h>
#include <string.h>

#include "canary/compare/report.h"
#include "loader/base/cleanup.h"
#include "tests/fuzz/fuzz.h"

unsigned fuzz_accepted;

static char *print(const struct bl_compare *c,
		   int (*form)(const struct bl_compare *, FILE *))
{
	char *text = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);

	FUZZ_CHECK(f && form(c, f) == 0 && fclose(f) == 0);
	FUZZ_CHECK(strlen(text) == size);
	return text;
}

static void check_page(const struct bl_compare *c)
{
	bl_autofree char *page = print(c, bl_compare_print_page);
	const char *data = strstr(page, "id=\"data\">");
	const char *end;

	FUZZ_CHECK(data);
	data += strlen("id=\"data\">");
	end = strpbrk(data, "<>&");
	FUZZ_CHECK(end && strncmp(end, "</script>", 9) == 0);
	FUZZ_CHECK(!strstr(data, "\xe2\x80\xa8"));
}

static void check_text(const struct bl_compare *c)
{
	bl_autofree char *text = print(c, bl_compare_print_text);
	const unsigned char *p;

	for (p = (unsigned char *)text; *p; p++)
		FUZZ_CHECK((*p >= 0x20 && *p != 0x7f) || *p == '\n');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	bl_autocompare struct bl_compare c = { 0 }, again = { 0 };
	bl_autofree char *text = NULL, *second = NULL, *markdown = NULL;
	struct bl_err err = { 0 };
	size_t i;
	int r = bl_compare_parse("in", (const char *)data, size, &c, &err);

	FUZZ_CHECK_ERR(r, &err);
	if (r)
		return 0;
	fuzz_accepted++;
	for (i = 0; i < c.run_count; i++) {
		FUZZ_CHECK(c.runs[i].lost <= c.runs[i].hosts);
		FUZZ_CHECK(c.runs[i].exposed <= c.runs[i].hosts);
	}
	text = bl_compare_dump(bl_compare_json(&c));
	FUZZ_CHECK(text);
	FUZZ_CHECK(bl_compare_parse("again", text, strlen(text), &again,
				    NULL) == 0);
	second = bl_compare_dump(bl_compare_json(&again));
	FUZZ_CHECK(second && strcmp(text, second) == 0);
	check_page(&c);
	check_text(&c);
	markdown = print(&c, bl_compare_print_markdown);
	return 0;
}
