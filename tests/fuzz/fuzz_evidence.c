/* SPDX-License-Identifier: Apache-2.0 */
/* What a dying kernel left, cut and damaged: what is quoted is printable and
 * ends; nobody is convicted whose tag is not in the text. */
#include <ctype.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/host/boot/evidence.h"
#include "tests/fuzz/fuzz.h"

#define TAG "a6e8a738e6c669ba"

unsigned fuzz_accepted;

static void check_text(const char *text, size_t size)
{
	FUZZ_CHECK(memchr(text, '\0', size));
	for (; *text; text++)
		FUZZ_CHECK(isprint((unsigned char)*text));
}

static void check(const struct bl_evidence *e)
{
	char words[256];

	FUZZ_CHECK(e->blame == BL_BLAME_SUSPECT ||
		   e->blame == BL_BLAME_CONVICTED);
	FUZZ_CHECK(e->crashed || e->blame == BL_BLAME_SUSPECT);
	FUZZ_CHECK(e->blame == BL_BLAME_SUSPECT || *e->named);
	check_text(e->what, sizeof(e->what));
	check_text(e->where, sizeof(e->where));
	check_text(e->named, sizeof(e->named));
	check_text(e->module, sizeof(e->module));
	memset(words, 'x', sizeof(words));
	bl_evidence_words(e, words, sizeof(words));
	check_text(words, sizeof(words));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* No NUL behind it: it must not be looked for. */
	bl_autofree char *text = malloc(size ? size : 1);
	unsigned count, part;
	struct bl_evidence e;

	FUZZ_CHECK(text);
	memcpy(text, data, size);
	bl_evidence_read(text, size, "bl_hang:" TAG " oob_kmod:12", "", &e);
	check(&e);
	fuzz_accepted += e.crashed;
	if (e.blame == BL_BLAME_CONVICTED)
		FUZZ_CHECK(memmem(text, size, TAG, strlen(TAG)) ||
			   memmem(text, size, "[oob_kmod", 9));
	/* What the version before has too convicts nobody. */
	bl_evidence_read(text, size, "bl_hang:" TAG, "a:" TAG, &e);
	check(&e);
	FUZZ_CHECK(e.blame == BL_BLAME_SUSPECT);
	/* Any text of the journal as tags. */
	if (size && size < 64) {
		bl_autofree char *tags = strndup(text, size);

		FUZZ_CHECK(tags);
		bl_evidence_read(text, size, tags, tags, &e);
		check(&e);
	}
	if (bl_evidence_header(text, size, &count, &part))
		FUZZ_CHECK(memchr(text, '#', size));
	return 0;
}
