/* SPDX-License-Identifier: Apache-2.0 */
/* An object that is accepted lies within its file, and can be asked for its
 * policy, the line of every instruction and what its functions call. */
#include <string.h>

#include "loader/gate/object/code.h"
#include "loader/gate/object/source.h"
#include "loader/gate/policy/policy.h"
#include "loader/object/object.h"
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

static void check_ref(const struct bl_object *o, const struct bl_code_ref *ref)
{
	FUZZ_CHECK(!ref->name || strlen(ref->name) <= BL_OBJECT_NAME_MAX);
	if (ref->kind == BL_CODE_CALL || ref->kind == BL_CODE_POINTER)
		FUZZ_CHECK(ref->id < o->program_count);
	if (ref->kind == BL_CODE_DATA)
		FUZZ_CHECK(ref->name && ref->section < o->section_count);
	if (ref->kind == BL_CODE_EXTERNAL)
		FUZZ_CHECK(ref->name);
}

/* What is referred to is reached, and reaching goes on until it ends. */
static void check_function(const struct bl_code *c, size_t i)
{
	const struct bl_code_function *f = &c->functions[i];
	struct bl_code_set reached, further;
	size_t k;

	bl_code_reach(c, i, &reached);
	FUZZ_CHECK(bl_code_has(&reached, i));
	for (k = 0; k < f->ref_count; k++) {
		const struct bl_code_ref *ref = &f->refs[k];

		check_ref(c->object, ref);
		FUZZ_CHECK(ref->insn < c->object->programs[i].size / 8);
		FUZZ_CHECK(!k || f->refs[k - 1].insn < ref->insn);
		if (ref->kind != BL_CODE_CALL && ref->kind != BL_CODE_POINTER)
			continue;
		bl_code_reach(c, ref->id, &further);
		for (size_t b = 0; b < BL_OBJECT_PROGRAMS_MAX / 64; b++)
			FUZZ_CHECK(!(further.bits[b] & ~reached.bits[b]));
	}
}

static void check_code(const struct bl_object *o)
{
	bl_autocode struct bl_code c = { 0 };
	struct bl_err err = { 0 };
	int r = bl_code_read(o, &c, &err);
	size_t i;

	FUZZ_CHECK_ERR(r, &err);
	FUZZ_CHECK(r == 0 || !c.functions);
	FUZZ_CHECK(r < 0 || c.function_count == o->program_count);
	for (i = 0; i < c.function_count; i++)
		check_function(&c, i);
}

static void check_policy(const struct bl_object *o)
{
	const struct bl_profile profile = { .name = "observe" };
	bl_autoreport struct bl_report report = { 0 };

	FUZZ_CHECK(bl_report_init(&report, "in", "object") == 0);
	FUZZ_CHECK(bl_policy_check(o, &profile, false, &report) == 0);
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
	check_code(&o);
	check_policy(&o);
	return 0;
}
