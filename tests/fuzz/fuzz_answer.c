/* SPDX-License-Identifier: Apache-2.0 */
/* What a guest says, which ran a stranger's object in its kernel. */
#include <stdlib.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/gate/kernel/answer.h"
#include "tests/fuzz/fuzz.h"

unsigned fuzz_accepted;

static char *lines_of(const struct bl_answer *a)
{
	bl_autobuf struct bl_buf text = { 0 };

	for (unsigned i = 0; i < BL_PROBE_STEPS; i++) {
		bl_autofree char *line =
			a->have[i] ? bl_answer_line(i, &a->facts) : NULL;

		if (line && bl_buf_printf(&text, "%s", line) < 0)
			abort();
	}
	return strdup(bl_buf_str(&text));
}

/* Written again it says the same, and reads again. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	bl_autoanswer struct bl_answer a = { 0 };
	bl_autoanswer struct bl_answer b = { 0 };
	bl_autofree char *once = NULL;
	bl_autofree char *twice = NULL;
	struct bl_err err = { 0 };

	if (bl_answer_read((const char *)data, size, &a, &err) < 0) {
		FUZZ_CHECK(err.text[0]);
		return 0;
	}
	/* A step stands on those before it. */
	for (unsigned i = 1; i < BL_PROBE_STEPS; i++)
		FUZZ_CHECK(!a.have[i] || a.have[i - 1]);
	once = lines_of(&a);
	FUZZ_CHECK(bl_answer_read(once, strlen(once), &b, &err) == 0);
	twice = lines_of(&b);
	FUZZ_CHECK(strcmp(once, twice) == 0);
	fuzz_accepted += a.have[BL_PROBE_LOAD];
	return 0;
}
