/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An object and a kernel's BTF, both from a stranger: object, BTF, then the
 * length of the BTF in four bytes. Something is found whatever they are, and
 * no kernel is passed over which something else was found.
 */
#include <string.h>

#include "loader/gate/core/core.h"
#include "loader/gate/core/core_relo.h"
#include "tests/fuzz/fuzz.h"

unsigned fuzz_accepted;

static bool split(const uint8_t *data, size_t size, size_t *ret_btf)
{
	uint32_t len;

	if (size < sizeof(len))
		return false;
	memcpy(&len, data + size - sizeof(len), sizeof(len));
	if (len > size - sizeof(len))
		return false;
	*ret_btf = size - sizeof(len) - len;
	return true;
}

static void check_findings(const struct bl_report *report)
{
	size_t i, pass = 0, stops = 0;

	FUZZ_CHECK(report->count > 0);
	for (i = 0; i < report->count; i++) {
		const struct bl_finding *f = &report->findings[i];

		FUZZ_CHECK(strcmp(f->check, "core") == 0 && *f->message);
		FUZZ_CHECK(f->status == BL_STATUS_NONE);
		FUZZ_CHECK(!*f->kernel || strcmp(f->kernel, "k") == 0);
		pass += f->verdict == BL_VERDICT_PASS;
		stops += f->verdict >= BL_VERDICT_UNDECIDED;
	}
	FUZZ_CHECK(!pass || !stops);
	FUZZ_CHECK(pass || stops);
}

/* Whether both were read as far as there is something to resolve. */
static bool is_accepted(const struct bl_object *o,
			const struct bl_btf_source *source)
{
	bl_autorelos struct bl_core_relos relos = { 0 };
	bl_autobtf struct bl_btf btf = { 0 };
	struct bl_err err = { 0 };
	int r = bl_core_relos_read(o, &relos, &err);

	FUZZ_CHECK_ERR(r, &err);
	if (r < 0 || !relos.count)
		return false;
	r = bl_btf_open("k", source->data, source->len, &btf, &err);
	FUZZ_CHECK_ERR(r, &err);
	return r == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	bl_autoobject struct bl_object o = { 0 };
	bl_autoreport struct bl_report report = { 0 };
	struct bl_btf_source source = { .name = "k" };
	size_t at;

	if (!split(data, size, &at) ||
	    bl_object_open("in", data, at, &o, NULL) < 0)
		return 0;
	source.data = data + at;
	source.len = size - sizeof(uint32_t) - at;
	FUZZ_CHECK(bl_report_init(&report, "in", "object") == 0);
	FUZZ_CHECK(bl_core_check(&o, &source, 1, &report) == 0);
	check_findings(&report);
	fuzz_accepted += is_accepted(&o, &source);
	return 0;
}
