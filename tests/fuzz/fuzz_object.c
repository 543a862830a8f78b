/* SPDX-License-Identifier: Apache-2.0 */
/* An object that is accepted lies within its file, and can be asked for its
 * policy and the line of every instruction. */
#include <string.h>

#include "loader/gate/object.h"
#include "loader/gate/policy.h"
#include "loader/gate/source.h"
#include "tests/fuzz/fuzz.h"

unsigned fuzz_accepted;

static void check_section(const struct bl_object *o,
			  const struct bl_object_section *s)
{
	FUZZ_CHECK(s->name && strlen(s->name) < BL_OBJECT_NAME_MAX);
	FUZZ_CHECK(!s->data || (s->data >= o->copy && s->size <= o->len &&
				s->data + s->size <= o->copy + o->len));
}

static void check_program(const struct bl_object *o,
			  const struct bl_object_program *p)
{
	struct bl_source line = { 0 };
	size_t at;

	FUZZ_CHECK(p->name && p->section);
	FUZZ_CHECK(p->section_index < o->section_count);
	FUZZ_CHECK(p->offset % 8 == 0 && p->size % 8 == 0);
	FUZZ_CHECK(p->offset + p->size <= o->sections[p->section_index].size);
	for (at = 0; at < p->size; at += 8)
		if (bl_source_find(o, p->section_index, p->offset + at,
				   &line) == 0)
			FUZZ_CHECK(line.file && line.text &&
				   strlen(line.file) + strlen(line.text) <
					   o->len);
}

static void check_policy(const struct bl_object *o)
{
	bl_autoreport struct bl_report report = { 0 };

	FUZZ_CHECK(bl_report_init(&report, "in", "object") == 0);
	FUZZ_CHECK(bl_policy_check(o, &report) == 0);
	FUZZ_CHECK(report.count > 0);
	/* No kernel was asked, so whatever policy says it is no pass. */
	FUZZ_CHECK(bl_report_verdict(&report, NULL) != BL_VERDICT_PASS);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	bl_autoobject struct bl_object o = { 0 };
	struct bl_source line = { 0 };
	struct bl_err err = { 0 };
	int r = bl_object_open("in", data, size, &o, &err);
	size_t i;

	FUZZ_CHECK_ERR(r, &err);
	FUZZ_CHECK(r == 0 || !o.copy);
	if (r)
		return 0;
	fuzz_accepted++;
	FUZZ_CHECK(o.program_count > 0);
	for (i = 0; i < o.section_count; i++)
		check_section(&o, &o.sections[i]);
	for (i = 0; i < o.program_count; i++)
		check_program(&o, &o.programs[i]);
	bl_source_find_text(&o, "return 0;", 7, &line);
	check_policy(&o);
	return 0;
}
