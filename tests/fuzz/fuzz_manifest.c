/* SPDX-License-Identifier: Apache-2.0 */
/* A manifest that is accepted has names that are safe as file names, and
 * limits that are limits. */
#include <string.h>

#include "loader/bundle/archive.h"
#include "loader/bundle/manifest.h"
#include "tests/fuzz/fuzz.h"

unsigned fuzz_accepted;

static bool member(const char *name)
{
	return bl_name_valid(name) && strlen(name) <= BL_MEMBER_NAME_MAX &&
	       strcmp(name, BL_MEMBER_MANIFEST) != 0 &&
	       strcmp(name, BL_MEMBER_CONTENT_BIN) != 0 &&
	       strcmp(name, BL_MEMBER_DIGESTS) != 0;
}

/* An object, or modules, whose names do not meet. */
static void check_code(const struct bl_manifest *m)
{
	const struct bl_manifest_modules *list = &m->modules;

	FUZZ_CHECK(!*m->object == (list->count > 0));
	FUZZ_CHECK(!*m->object || member(m->object));
	FUZZ_CHECK(!*m->content || strcmp(m->object, m->content) != 0);
	FUZZ_CHECK(list->count <= BL_MODULES_MAX);
	FUZZ_CHECK(!list->count || (!m->state.count && !m->programs.count));
	for (size_t i = 0; i < list->count; i++) {
		FUZZ_CHECK(member(list->file[i]));
		FUZZ_CHECK(strcmp(list->file[i], m->content) != 0);
		for (size_t k = 0; k < i; k++)
			FUZZ_CHECK(strcmp(list->file[i], list->file[k]) != 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bl_manifest m = { .name = "?" };
	struct bl_err err = { 0 };
	int r = bl_manifest_parse("m", (const char *)data, size, &m, &err);

	FUZZ_CHECK_ERR(r, &err);
	if (r) {
		FUZZ_CHECK(strcmp(m.name, "?") == 0);
		return 0;
	}
	fuzz_accepted++;
	FUZZ_CHECK(bl_name_valid(m.name) && bl_name_valid(m.version));
	FUZZ_CHECK(!*m.content || member(m.content));
	check_code(&m);
	FUZZ_CHECK(m.trial.max_drop_ratio >= 0 && m.trial.max_drop_ratio <= 1);
	FUZZ_CHECK(m.trial.max_ns_per_event > 0);
	FUZZ_CHECK(m.exercise.max_drop_ratio >= 0 &&
		   m.exercise.max_drop_ratio <= 1);
	FUZZ_CHECK(m.exercise.max_ns_per_event > 0);
	FUZZ_CHECK(m.exercise.max_memory_bytes > 0);
	FUZZ_CHECK(!(m.exercise.expect & ~BL_EXPECT_ALL));
	FUZZ_CHECK(m.exercise.expect_given || !m.exercise.expect);
	FUZZ_CHECK(m.state.count <= BL_CARRY_RULES_MAX);
	for (size_t i = 0; i < m.state.count; i++) {
		FUZZ_CHECK(bl_carry_name_valid(m.state.rules[i].map));
		FUZZ_CHECK(m.state.rules[i].word != BL_CARRY_UNSAID);
	}
	return 0;
}
