/* SPDX-License-Identifier: Apache-2.0 */
#include "canary/compare/line.h"

#include <errno.h>
#include <string.h>

#include "loader/base/cleanup.h"

static const struct {
	const char *word;
	enum bl_line_kind kind;
} words[] = {
	{ "@boot", BL_LINE_BOOT },	 { "@beat ok", BL_LINE_GOOD },
	{ "@beat bad", BL_LINE_BAD },	 { "@load", BL_LINE_LOAD },
	{ "@loaded", BL_LINE_LOADED },	 { "@refused", BL_LINE_REFUSED },
	{ "@history", BL_LINE_HISTORY }, { "@remains", BL_LINE_REMAINS },
	{ "@ended", BL_LINE_ENDED },	 { "@killed", BL_LINE_KILLED },
};

enum bl_line_kind bl_line_read(const char *line, const char **ret_rest)
{
	for (size_t i = 0; i < BL_ARRAY_SIZE(words); i++) {
		size_t len = strlen(words[i].word);

		if (strncmp(line, words[i].word, len) != 0 ||
		    (line[len] && line[len] != ' '))
			continue;
		*ret_rest = line + len + (line[len] == ' ');
		return words[i].kind;
	}
	*ret_rest = line;
	return BL_LINE_LOG;
}

int bl_line_next(const char *text, size_t len, size_t *at, struct bl_buf *ret)
{
	const char *from = text + *at;
	const char *end = *at < len ? memchr(from, '\n', len - *at) : NULL;
	size_t keep;

	if (!end)
		return 0;
	keep = (size_t)(end - from);
	if (keep && from[keep - 1] == '\r')
		keep--;
	if (keep > BL_LINE_MAX)
		keep = BL_LINE_MAX;
	ret->len = 0;
	if (bl_buf_add(ret, from, keep) < 0)
		return -ENOMEM;
	*at += (size_t)(end - from) + 1;
	return 1;
}
