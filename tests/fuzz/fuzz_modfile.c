/* SPDX-License-Identifier: Apache-2.0 */
/* What is read of a kernel module is printable, and of the lengths that its
 * fields have. */
#include <ctype.h>
#include <string.h>

#include "loader/object/modfile.h"
#include "tests/fuzz/fuzz.h"

unsigned fuzz_accepted;

static void check_text(const char *text, size_t size)
{
	FUZZ_CHECK(*text && strnlen(text, size) < size);
	for (; *text; text++)
		FUZZ_CHECK(isprint((unsigned char)*text));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bl_modfile m = { .name = "?" };
	struct bl_err err = { 0 };
	int r = bl_modfile_read("in", data, size, &m, &err);

	FUZZ_CHECK_ERR(r, &err);
	if (r) {
		FUZZ_CHECK(!strcmp(m.name, "?"));
		return 0;
	}
	fuzz_accepted++;
	check_text(m.name, sizeof(m.name));
	check_text(m.vermagic, sizeof(m.vermagic));
	check_text(m.release, sizeof(m.release));
	check_text(m.build_id, sizeof(m.build_id));
	FUZZ_CHECK(strlen(m.tag) == sizeof(m.tag) - 1);
	FUZZ_CHECK(!strncmp(m.tag, m.build_id, sizeof(m.tag) - 1));
	FUZZ_CHECK(bl_modfile_fits(&m, m.release));
	return 0;
}
