/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/gate/module/module.h"

#include <elf.h>
#include <stdio.h>
#include <string.h>

#include "kmod/abi.h"
#include "loader/base/cleanup.h"

#define CHECK "module"

static int check_file(const char *file, const struct bl_modfile *m,
		      struct bl_report *r)
{
	if (m->machine != EM_X86_64)
		return bl_report_note(
			r, BL_VERDICT_REJECT, CHECK, NULL,
			"%s: not built for x86-64 (its machine is %u)", file,
			m->machine);
	if (!m->linked)
		return bl_report_note(
			r, BL_VERDICT_REJECT, CHECK, NULL,
			"%s: it has no section .gnu.linkonce.this_module: it was compiled and not made into a module (kmod/build does both)",
			file);
	return bl_report_note(r, BL_VERDICT_PASS, CHECK, NULL,
			      "%s: %s for %s, build %.16s, %s", file, m->name,
			      m->release, m->build_id,
			      m->has_signature ? "signed" : "not signed");
}

int bl_module_check_files(const struct bl_candidate *c, struct bl_report *r)
{
	const struct bl_manifest_modules *list = &c->bundle.manifest.modules;
	int e = 0;

	for (size_t i = 0; e == 0 && i < list->count; i++)
		e = check_file(list->file[i], &c->modules[i], r);
	if (e == 0 && !c->has_content)
		e = bl_report_note(
			r, BL_VERDICT_REJECT, "content", NULL,
			"a module reports nothing before it has content, and there is none: name it in the manifest (\"content\")");
	if (e == 0 && c->content_info.sums)
		e = bl_report_note(
			r, BL_VERDICT_REJECT, "content", NULL,
			"a module hashes no files, and %u rules are for digests (sha256): they could never match (give hosts with modules content without them)",
			c->content_info.sums);
	return e;
}

int bl_module_not_asked(bool previous, struct bl_report *r)
{
	static const struct {
		const char *check, *why;
	} rows[] = {
		{ "verifier",
		  "nobody verifies it: what its code does wrong, the kernel does" },
		{ "policy",
		  "it may call whatever the kernel exports, and hook what it likes" },
		{ "core",
		  "it is built for the structures of one kernel, which takes it by the name of that kernel alone" },
		{ "map",
		  "nothing declares what memory it takes; what it took is measured when it is exercised" },
		{ "budget", "nobody counts its instructions before they run" },
		{ "content",
		  "what it reads of its content is written nowhere in it; whether it takes this content is seen when it is loaded" },
	};
	int e = 0;

	for (size_t i = 0; e == 0 && i < BL_ARRAY_SIZE(rows); i++)
		e = bl_report_note(r, BL_VERDICT_WARN, rows[i].check, NULL,
				   "not possible for a module: %s",
				   rows[i].why);
	if (e == 0 && previous)
		e = bl_report_note(
			r, BL_VERDICT_WARN, "state", NULL,
			"not possible for a module: it takes nothing over from the version before, whose counters and unread events go with it");
	return e;
}

/* --- which kernel gets which ---------------------------------------------- */

static int none_for(const struct bl_kernel *k, struct bl_report *r)
{
	struct bl_report_kernel asked = { .name = k->release };
	char message[256];
	struct bl_finding f = {
		.verdict = BL_VERDICT_REJECT,
		.status = BL_STATUS_MISSING,
		.check = (char *)CHECK,
		.program = (char *)BL_KMOD_NAME,
		.kernel = k->release,
		.message = message,
		.hint = (char *)"build it for this kernel (kmod/build) and name it under \"modules\" in the manifest, or choose the kernels that your hosts have (--kernel)",
	};
	int e = bl_report_add_kernel(r, &asked);

	snprintf(
		message, sizeof(message),
		"the bundle has no module for %s: a host with this kernel could not load it",
		k->release);
	return e < 0 ? e : bl_report_add(r, &f);
}

static int on_this_host(struct bl_report *r)
{
	struct bl_report_kernel asked = { .name = (char *)"host" };
	int e = bl_report_add_kernel(r, &asked);

	if (e < 0)
		return e;
	return bl_report_note(
		r, BL_VERDICT_UNDECIDED, CHECK, "host",
		"a module is not loaded on the running kernel for a check: what it does wrong there, nobody takes back");
}

static int cover_one(const struct bl_candidate *c, const struct bl_kernel *k,
		     struct bl_gate_module *ret, struct bl_report *r)
{
	const struct bl_manifest_modules *list = &c->bundle.manifest.modules;

	*ret = (struct bl_gate_module){ 0 };
	for (size_t i = 0; i < list->count; i++) {
		const struct bl_buf *b = &c->bundle.modules[i];

		if (!bl_modfile_fits(&c->modules[i], k->release))
			continue;
		*ret = (struct bl_gate_module){ list->file[i], b->data,
						b->len };
		return 0;
	}
	return none_for(k, r);
}

static bool chosen(const struct bl_choice *choice, const struct bl_modfile *m)
{
	for (size_t i = 0; i < choice->count; i++)
		if (bl_modfile_fits(m, choice->kernels[i]->release))
			return true;
	return false;
}

/* Modules that nobody was asked about. */
static int left_over(const struct bl_candidate *c,
		     const struct bl_choice *choice, struct bl_report *r)
{
	const struct bl_manifest_modules *list = &c->bundle.manifest.modules;
	int e = 0;

	for (size_t i = 0; e == 0 && i < list->count; i++) {
		if (chosen(choice, &c->modules[i]))
			continue;
		e = bl_report_note(
			r, choice->all ? BL_VERDICT_UNDECIDED : BL_VERDICT_WARN,
			CHECK, NULL, "%s was not tried: %s is not %s",
			list->file[i], c->modules[i].release,
			choice->all ? "in the catalogue (scripts/kernels)"
				    : "among the chosen kernels");
	}
	return e;
}

int bl_module_cover(const struct bl_candidate *c,
		    const struct bl_choice *choice, struct bl_gate_module *ret,
		    struct bl_report *r)
{
	int e = choice->host ? on_this_host(r) : 0;

	for (size_t i = 0; e == 0 && i < choice->count; i++)
		e = cover_one(c, choice->kernels[i], &ret[i], r);
	return e < 0 ? e : left_over(c, choice, r);
}
