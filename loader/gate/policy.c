/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/gate/policy.h"

#include <elf.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/gate/source.h"

/* The kernel's own list: include/linux/license.h. */
static const char *const gpl_compatible[] = {
	"GPL",		"GPL v2",	"GPL and additional rights",
	"Dual BSD/GPL", "Dual MIT/GPL", "Dual MPL/GPL",
};

static int check_license(const struct bl_object *o, struct bl_report *report)
{
	size_t i;

	if (!o->license)
		return bl_report_note(
			report, BL_VERDICT_WARN, "license", NULL,
			"no license section: kernels take it as proprietary and refuse GPL-only helpers");
	for (i = 0; i < BL_ARRAY_SIZE(gpl_compatible); i++)
		if (strcmp(o->license, gpl_compatible[i]) == 0)
			return bl_report_note(report, BL_VERDICT_PASS,
					      "license", NULL, "license %s",
					      o->license);
	return bl_report_note(
		report, BL_VERDICT_WARN, "license", NULL,
		"license \"%.80s\" is not GPL-compatible: kernels refuse GPL-only helpers to it",
		o->license);
}

static const struct {
	int id;
	const char *name, *why;
} forbidden[] = {
	{ BPF_FUNC_probe_write_user, "bpf_probe_write_user",
	  "writes into the memory of other processes" },
	{ BPF_FUNC_override_return, "bpf_override_return",
	  "forges the return value of kernel functions" },
	{ BPF_FUNC_send_signal, "bpf_send_signal",
	  "sends signals to the process it observes" },
	{ BPF_FUNC_send_signal_thread, "bpf_send_signal_thread",
	  "sends signals to the thread it observes" },
};

/* The function that holds the instruction at @offset. */
static const struct bl_object_program *holder(const struct bl_object *o,
					      size_t section, size_t offset)
{
	size_t i;

	for (i = 0; i < o->program_count; i++) {
		const struct bl_object_program *p = &o->programs[i];

		if (p->section_index == section && offset >= p->offset &&
		    offset - p->offset < p->size)
			return p;
	}
	return NULL;
}

static int refuse(const struct bl_object *o, struct bl_report *report,
		  size_t section, size_t offset, size_t which)
{
	const struct bl_object_program *p = holder(o, section, offset);
	struct bl_finding f = { .verdict = BL_VERDICT_REJECT };
	struct bl_source src = { 0 };
	char message[256];

	snprintf(message, sizeof(message), "instruction %zu calls %s, which %s",
		 (offset - (p ? p->offset : 0)) / sizeof(struct bpf_insn),
		 forbidden[which].name, forbidden[which].why);
	f.check = (char *)"helper";
	f.message = message;
	if (p) {
		f.program = (char *)p->name;
		f.section = (char *)p->section;
		f.optional = p->optional;
	}
	if (bl_source_find(o, section, offset, &src) == 0) {
		f.file = (char *)src.file;
		f.source = (char *)src.text;
		f.line = src.line;
	}
	return bl_report_add(report, &f);
}

static int scan_section(const struct bl_object *o, struct bl_report *report,
			size_t section, unsigned *ret_found)
{
	const struct bl_object_section *s = &o->sections[section];
	struct bpf_insn insn;
	size_t at, i;
	int r;

	for (at = 0; at + sizeof(insn) <= s->size; at += sizeof(insn)) {
		memcpy(&insn, s->data + at, sizeof(insn));
		if (insn.code == (BPF_LD | BPF_IMM | BPF_DW)) {
			at += sizeof(insn); /* the other half of a constant */
			continue;
		}
		if (insn.code != (BPF_JMP | BPF_CALL) || insn.src_reg != 0)
			continue;
		for (i = 0; i < BL_ARRAY_SIZE(forbidden); i++) {
			if (insn.imm != forbidden[i].id)
				continue;
			r = refuse(o, report, section, at, i);
			if (r < 0)
				return r;
			(*ret_found)++;
		}
	}
	return 0;
}

static int check_helpers(const struct bl_object *o, struct bl_report *report)
{
	unsigned found = 0;
	size_t i;
	int r;

	for (i = 1; i < o->section_count; i++) {
		const struct bl_object_section *s = &o->sections[i];

		if (s->type != SHT_PROGBITS || !(s->flags & SHF_EXECINSTR) ||
		    !s->data)
			continue;
		r = scan_section(o, report, i, &found);
		if (r < 0)
			return r;
	}
	if (found)
		return 0;
	return bl_report_note(report, BL_VERDICT_PASS, "helper", NULL,
			      "no forbidden helper");
}

int bl_policy_check(const struct bl_object *o, struct bl_report *report)
{
	int r = check_license(o, report);

	return r < 0 ? r : check_helpers(o, report);
}
