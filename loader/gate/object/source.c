/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/gate/object/source.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

/*
 * Layouts from the kernel's Documentation/bpf/btf.rst. All fields are
 * little-endian, as the object is (object.c refuses others).
 */
#define BTF_MAGIC  0xeb9f
#define STRING_MAX 4096 /* bytes of a file's name or a line */

struct btf_head {
	uint16_t magic;
	uint8_t version, flags;
	uint32_t hdr_len, type_off, type_len, str_off, str_len;
};

struct ext_head {
	uint16_t magic;
	uint8_t version, flags;
	uint32_t hdr_len, func_off, func_len, line_off, line_len;
};

struct ext_section {
	uint32_t name_off, count;
};

struct line_info {
	uint32_t insn_off, file_off, text_off, line_col;
};

struct span {
	const unsigned char *p;
	size_t len;
};

static int take(struct span *s, void *ret, size_t len)
{
	if (s->len < len)
		return -ENOENT;
	if (ret)
		memcpy(ret, s->p, len);
	s->p += len;
	s->len -= len;
	return 0;
}

static int sub_span(const struct bl_object_section *s, size_t hdr_len,
		    size_t off, size_t len, struct span *ret)
{
	if (hdr_len > s->size || off > s->size - hdr_len ||
	    len > s->size - hdr_len - off)
		return -ENOENT;
	*ret = (struct span){ s->data + hdr_len + off, len };
	return 0;
}

struct lines {
	struct span strings, infos;
	uint32_t record; /* bytes of one line_info in this file */
};

static int open_lines(const struct bl_object *o, struct lines *ret)
{
	const struct bl_object_section *btf = bl_object_section(o, ".BTF");
	const struct bl_object_section *ext = bl_object_section(o, ".BTF.ext");
	struct lines l = { 0 };
	struct btf_head bh;
	struct ext_head eh;

	if (!btf || !ext || !btf->data || !ext->data ||
	    btf->size < sizeof(bh) || ext->size < sizeof(eh))
		return -ENOENT;
	memcpy(&bh, btf->data, sizeof(bh));
	memcpy(&eh, ext->data, sizeof(eh));
	if (bh.magic != BTF_MAGIC || eh.magic != BTF_MAGIC ||
	    eh.hdr_len < sizeof(eh))
		return -ENOENT;
	if (sub_span(btf, bh.hdr_len, bh.str_off, bh.str_len, &l.strings) < 0 ||
	    sub_span(ext, eh.hdr_len, eh.line_off, eh.line_len, &l.infos) < 0)
		return -ENOENT;
	if (take(&l.infos, &l.record, sizeof(l.record)) < 0 ||
	    l.record < sizeof(struct line_info) || l.record > 4096)
		return -ENOENT;
	*ret = l;
	return 0;
}

static const char *string_of(const struct lines *l, uint32_t off)
{
	const char *s = (const char *)l->strings.p + off;
	size_t room;

	if (off >= l->strings.len)
		return NULL;
	room = l->strings.len - off;
	if (room > STRING_MAX)
		room = STRING_MAX;
	return strnlen(s, room) < room ? s : NULL;
}

/* Without a look at the whole string: there may be millions to compare. */
static bool is_string(const struct lines *l, uint32_t off, const char *text,
		      size_t len)
{
	return off < l->strings.len && len < l->strings.len - off &&
	       memcmp(l->strings.p + off, text, len + 1) == 0;
}

static const char *skip_blanks(const char *s)
{
	return s + strspn(s, " \t");
}

static int to_source(const struct lines *l, const struct line_info *info,
		     struct bl_source *ret)
{
	const char *file = string_of(l, info->file_off);
	const char *text = string_of(l, info->text_off);

	if (!file || !*file || !(info->line_col >> 10))
		return -ENOENT;
	/* clang's way to say "from the folder it was built in". */
	ret->file = strncmp(file, "./", 2) == 0 ? file + 2 : file;
	ret->text = text ? skip_blanks(text) : "";
	ret->line = info->line_col >> 10;
	return 0;
}

/* Calls @fn for every line record of @section (NULL: of all); it returns
 * non-zero to stop. */
static void each_line(const struct lines *lines, const char *section,
		      int (*fn)(void *ctx, const struct line_info *info),
		      void *ctx)
{
	size_t len = section ? strlen(section) : 0;
	struct span s = lines->infos;
	struct ext_section head;
	struct line_info info;

	while (take(&s, &head, sizeof(head)) == 0) {
		bool wanted = !section ||
			      is_string(lines, head.name_off, section, len);

		for (; head.count; head.count--) {
			if (take(&s, &info, sizeof(info)) < 0 ||
			    take(&s, NULL, lines->record - sizeof(info)) < 0)
				return;
			if (wanted && fn(ctx, &info))
				return;
		}
	}
}

struct by_offset {
	size_t offset;
	struct line_info best;
	bool found;
};

/* A record holds until the next one: the last at or before the offset. */
static int match_offset(void *ctx, const struct line_info *info)
{
	struct by_offset *m = ctx;

	if (info->insn_off > m->offset)
		return 0;
	if (!m->found || info->insn_off >= m->best.insn_off)
		m->best = *info;
	m->found = true;
	return 0;
}

int bl_source_find(const struct bl_object *o, size_t section_index,
		   size_t offset, struct bl_source *ret)
{
	struct by_offset m = { .offset = offset };
	struct lines l;

	if (section_index >= o->section_count || open_lines(o, &l) < 0)
		return -ENOENT;
	each_line(&l, o->sections[section_index].name, match_offset, &m);
	return m.found ? to_source(&l, &m.best, ret) : -ENOENT;
}

struct by_text {
	const struct lines *lines;
	const char *text;
	size_t len;
	uint32_t line;
	struct bl_source found;
	bool any, ambiguous;
};

static size_t trimmed(const char *s)
{
	size_t len = strlen(s);

	while (len && strchr(" \t\r\n", s[len - 1]))
		len--;
	return len;
}

static int match_text(void *ctx, const struct line_info *info)
{
	struct by_text *m = ctx;
	struct bl_source s;

	if (to_source(m->lines, info, &s) < 0 || trimmed(s.text) != m->len ||
	    memcmp(s.text, m->text, m->len) != 0 ||
	    (m->line && m->line != s.line))
		return 0;
	if (m->any &&
	    (m->found.line != s.line || strcmp(m->found.file, s.file) != 0))
		m->ambiguous = true;
	m->found = s;
	m->any = true;
	return m->ambiguous;
}

int bl_source_find_text(const struct bl_object *o, const char *text,
			uint32_t line, struct bl_source *ret)
{
	struct by_text m = { .text = skip_blanks(text), .line = line };
	struct lines l;

	m.len = trimmed(m.text);
	if (!m.len || open_lines(o, &l) < 0)
		return -ENOENT;
	m.lines = &l;
	each_line(&l, NULL, match_text, &m);
	if (!m.any || m.ambiguous)
		return -ENOENT;
	*ret = m.found;
	return 0;
}
