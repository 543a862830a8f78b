/* SPDX-License-Identifier: Apache-2.0 */
/* The verifier's log and the kernel's, of any kernel and cut anywhere: what is
 * quoted of them lies within them. */
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/gate/report/hints.h"
#include "loader/kern/ask/vlog.h"
#include "loader/kern/ask/vlog_lines.h"
#include "loader/kern/kmsg.h"
#include "tests/fuzz/fuzz.h"

unsigned fuzz_accepted;

static void check_text(const char *text, size_t size)
{
	FUZZ_CHECK(memchr(text, '\0', size));
}

static void classify(const char *log)
{
	static const int codes[] = { -13, -1, -22, -2, -7, -28, -12, -95 };
	struct bl_vlog_case c = { .log = log, .messages = log };
	char why[64];
	size_t i;

	for (i = 0; i < BL_ARRAY_SIZE(codes); i++) {
		c.code = codes[i];
		c.type_known = (int)i % 3 - 1;
		memset(why, 'x', sizeof(why));
		bl_vlog_classify(&c, why, sizeof(why));
		check_text(why, sizeof(why));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	bl_autofree char *log = malloc(size + 1);
	struct bl_vlog_lines lines;
	const char *part;
	struct bl_vlog v;
	char first[64];
	size_t len, i;

	FUZZ_CHECK(log);
	memcpy(log, data, size);
	log[size] = '\0';
	size = strlen(log);
	bl_vlog_read(log, &v);
	fuzz_accepted += v.effort.insns > 0;
	check_text(v.reason, sizeof(v.reason));
	check_text(v.file, sizeof(v.file));
	check_text(v.source, sizeof(v.source));
	FUZZ_CHECK(v.insn >= -1);
	classify(log);
	part = bl_vlog_tail(log, 5, 200);
	FUZZ_CHECK(part >= log && part <= log + size);
	FUZZ_CHECK(strlen(part) <= 200);
	len = SIZE_MAX;
	part = bl_vlog_excerpt(log, 5, &len);
	FUZZ_CHECK(part >= log && len <= size && part + len <= log + size);
	bl_vlog_lines(log, &lines);
	FUZZ_CHECK(lines.count <= BL_VLOG_LINES_MAX);
	for (i = 0; i < lines.count; i++)
		FUZZ_CHECK(lines.line[i].text >= log &&
			   lines.line[i].text + lines.line[i].len <=
				   log + size);
	part = bl_hint_for(v.reason, log);
	FUZZ_CHECK(!part || *part);
	if (bl_kmsg_splat(log, first, sizeof(first)))
		check_text(first, sizeof(first));
	return 0;
}
