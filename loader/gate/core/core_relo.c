/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/gate/core/core_relo.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "loader/base/cleanup.h"

#define INSN_SIZE 8

/* The head of .BTF.ext up to what is needed here; then sections of records,
 * each record as long as the first word says. */
struct ext_head {
	uint16_t magic;
	uint8_t version, flags;
	uint32_t hdr_len, func_off, func_len, line_off, line_len;
	uint32_t core_off, core_len; /* older compilers end before these */
};

struct ext_section {
	uint32_t name_off, count;
};

struct span {
	const unsigned char *p;
	size_t len;
};

void bl_core_relos_free(struct bl_core_relos *r)
{
	bl_btf_free(&r->btf);
	free(r->list);
	*r = (struct bl_core_relos){ 0 };
}

static bool take(struct span *s, void *ret, size_t len)
{
	if (s->len < len)
		return false;
	if (ret)
		memcpy(ret, s->p, len);
	s->p += len;
	s->len -= len;
	return true;
}

/* The part of .BTF.ext with the records; empty if it has none. */
static int find_records(const struct bl_object_section *ext, struct span *ret,
			struct bl_err *err)
{
	struct ext_head h;
	size_t room;

	*ret = (struct span){ 0 };
	if (ext->size < offsetof(struct ext_head, core_off))
		return bl_err_set(err, -EBADMSG, ".BTF.ext is truncated");
	memcpy(&h, ext->data, offsetof(struct ext_head, core_off));
	if (h.magic != BTF_MAGIC || h.version != BTF_VERSION ||
	    h.hdr_len > ext->size ||
	    h.hdr_len < offsetof(struct ext_head, core_off))
		return bl_err_set(err, -EBADMSG,
				  "the header of .BTF.ext is damaged");
	if (h.hdr_len < sizeof(h))
		return 0;
	memcpy(&h, ext->data, sizeof(h));
	room = ext->size - h.hdr_len;
	if (h.core_off > room || h.core_len > room - h.core_off)
		return bl_err_set(err, -EBADMSG,
				  "the relocations in .BTF.ext are truncated");
	*ret = (struct span){ ext->data + h.hdr_len + h.core_off, h.core_len };
	return 0;
}

static int to_relo(const struct bl_object *o, const struct bl_btf *b,
		   size_t section, const struct bpf_core_relo *from,
		   struct bl_core_relo *ret, struct bl_err *err)
{
	const struct bl_object_section *s = &o->sections[section];
	const char *access = bl_btf_string(b, from->access_str_off);

	if (!s->data || from->insn_off % INSN_SIZE ||
	    from->insn_off >= s->size || s->size - from->insn_off < INSN_SIZE)
		return bl_err_set(
			err, -EBADMSG,
			"a relocation in section %s names no instruction: byte %u",
			s->name, from->insn_off);
	if (!access || !*access || !from->type_id || from->type_id >= b->count)
		return bl_err_set(
			err, -EBADMSG,
			"the relocation of byte %u in section %s names no type",
			from->insn_off, s->name);
	*ret = (struct bl_core_relo){ .section = section,
				      .offset = from->insn_off,
				      .type = from->type_id,
				      .kind = from->kind,
				      .access = access };
	return 0;
}

static int read_section(const struct bl_object *o, struct bl_core_relos *r,
			struct span *records, uint32_t size,
			const struct ext_section *head, struct bl_err *err)
{
	const char *name = bl_btf_string(&r->btf, head->name_off);
	const struct bl_object_section *s = name ? bl_object_section(o, name)
						 : NULL;
	struct bpf_core_relo relo = { 0 };
	struct bl_core_relo *list;
	uint32_t i;
	int code;

	if (!s)
		return bl_err_set(
			err, -EBADMSG,
			".BTF.ext has relocations of a section that is not there");
	if (head->count > records->len / size)
		return bl_err_set(err, -EBADMSG,
				  "the relocations in .BTF.ext are truncated");
	if (r->count + head->count > BL_CORE_RELOS_MAX)
		return bl_err_set(err, -EFBIG, "more than %d CO-RE relocations",
				  BL_CORE_RELOS_MAX);
	list = realloc(r->list, (r->count + head->count) * sizeof(*list));
	if (!list)
		return bl_err_set(err, -ENOMEM, "out of memory");
	r->list = list;
	for (i = 0; i < head->count; i++) {
		(void)take(records, &relo, sizeof(relo));
		(void)take(records, NULL, size - sizeof(relo));
		code = to_relo(o, &r->btf, (size_t)(s - o->sections), &relo,
			       &list[r->count], err);
		if (code < 0)
			return code;
		r->count++;
	}
	return 0;
}

static int read_records(const struct bl_object *o, struct bl_core_relos *r,
			struct span records, struct bl_err *err)
{
	struct ext_section head;
	uint32_t size;
	int code = 0;

	if (!take(&records, &size, sizeof(size)) ||
	    size < sizeof(struct bpf_core_relo) || size > 4096 || size % 4)
		return bl_err_set(err, -EBADMSG,
				  "the relocations in .BTF.ext are damaged");
	while (code == 0 && records.len) {
		if (!take(&records, &head, sizeof(head)) || !head.count)
			return bl_err_set(
				err, -EBADMSG,
				"the relocations in .BTF.ext are damaged");
		code = read_section(o, r, &records, size, &head, err);
	}
	return code;
}

int bl_core_relos_read(const struct bl_object *o, struct bl_core_relos *ret,
		       struct bl_err *err)
{
	const struct bl_object_section *btf = bl_object_section(o, ".BTF");
	const struct bl_object_section *ext = bl_object_section(o, ".BTF.ext");
	bl_autorelos struct bl_core_relos r = { 0 };
	struct span records = { 0 };
	int code = 0;

	if (btf && btf->data)
		code = bl_btf_open(".BTF", btf->data, btf->size, &r.btf, err);
	/* Without .BTF, loaders do not look at .BTF.ext. */
	if (code == 0 && r.btf.count && ext && ext->data)
		code = find_records(ext, &records, err);
	if (code == 0 && records.len)
		code = read_records(o, &r, records, err);
	if (code < 0)
		return code;
	*ret = r;
	r = (struct bl_core_relos){ 0 };
	return 0;
}

enum bl_core_class bl_core_class(unsigned kind)
{
	switch (kind) {
	case BPF_CORE_FIELD_BYTE_OFFSET:
	case BPF_CORE_FIELD_BYTE_SIZE:
	case BPF_CORE_FIELD_EXISTS:
	case BPF_CORE_FIELD_SIGNED:
	case BPF_CORE_FIELD_LSHIFT_U64:
	case BPF_CORE_FIELD_RSHIFT_U64:
		return BL_CORE_FIELD;
	case BPF_CORE_TYPE_ID_LOCAL:
	case BPF_CORE_TYPE_ID_TARGET:
	case BPF_CORE_TYPE_EXISTS:
	case BPF_CORE_TYPE_SIZE:
	case BPF_CORE_TYPE_MATCHES:
		return BL_CORE_TYPE;
	case BPF_CORE_ENUMVAL_EXISTS:
	case BPF_CORE_ENUMVAL_VALUE:
		return BL_CORE_ENUM;
	default:
		return BL_CORE_UNKNOWN;
	}
}

/* "0:1:2" as numbers. */
static int read_access(const char *s, uint32_t *ret, unsigned *ret_count)
{
	unsigned n = 0;

	while (*s) {
		uint64_t v = 0;
		const char *start;

		if (*s == ':' && n)
			s++;
		for (start = s; *s >= '0' && *s <= '9'; s++) {
			v = v * 10 + (uint64_t)(*s - '0');
			if (v > INT32_MAX)
				return -EINVAL;
		}
		if (s == start || (*s && *s != ':'))
			return -EINVAL;
		if (n == BL_CORE_DEPTH_MAX)
			return -E2BIG;
		ret[n++] = (uint32_t)v;
	}
	if (!n)
		return -EINVAL;
	*ret_count = n;
	return 0;
}

bool bl_core_flexible(const struct bl_btf *b, const struct bl_core_step *outer,
		      const struct bl_btf_array *a)
{
	return outer->name && !a->count &&
	       outer->index + 1 == bl_btf_type(b, outer->type).count;
}

static int add_step(struct bl_core_spec *spec, uint32_t type, uint32_t index,
		    const char *name)
{
	if (name && strnlen(name, BL_CORE_NAME_MAX + 1) > BL_CORE_NAME_MAX)
		return -EINVAL;
	spec->steps[spec->count++] = (struct bl_core_step){ type, index, name };
	return 0;
}

/* Goes from *id to its member or element @index. */
static int step_into(const struct bl_btf *b, struct bl_core_spec *spec,
		     uint32_t index, uint32_t *id)
{
	struct bl_btf_type t = bl_btf_resolve(b, *id);
	struct bl_btf_array a = bl_btf_array(&t);
	struct bl_btf_member m;
	uint32_t size;
	int r;

	if (bl_btf_is_composite(t.kind)) {
		if (index >= t.count)
			return -EINVAL;
		m = bl_btf_member(b, &t, index);
		spec->bit_offset += m.bit_offset;
		*id = m.type;
		return *m.name ? add_step(spec, t.id, index, m.name) : 0;
	}
	if (t.kind != BTF_KIND_ARRAY)
		return -EINVAL;
	if (index >= a.count &&
	    !bl_core_flexible(b, &spec->steps[spec->count - 1], &a))
		return -EINVAL;
	*id = bl_btf_resolve(b, a.type).id;
	r = bl_btf_size(b, *id, &size);
	if (r < 0)
		return r;
	spec->bit_offset += (uint64_t)index * size * 8;
	return add_step(spec, *id, index, NULL);
}

static int read_field(const struct bl_btf *b, const uint32_t *raw,
		      struct bl_core_spec *spec)
{
	uint32_t id = bl_btf_resolve(b, spec->root).id, size;
	int r = bl_btf_size(b, id, &size);
	unsigned i;

	if (r < 0)
		return r;
	spec->bit_offset = (uint64_t)raw[0] * size * 8;
	r = add_step(spec, id, raw[0], NULL);
	for (i = 1; r == 0 && i < spec->raw; i++)
		r = step_into(b, spec, raw[i], &id);
	return r == 0 && spec->bit_offset > UINT32_MAX ? -E2BIG : r;
}

int bl_core_spec_read(const struct bl_btf *b, const struct bl_core_relo *relo,
		      struct bl_core_spec *ret)
{
	struct bl_btf_type t = bl_btf_resolve(b, relo->type);
	uint32_t raw[BL_CORE_DEPTH_MAX] = { 0 };
	int r;

	ret->root = relo->type;
	ret->kind = relo->kind;
	ret->bit_offset = 0;
	ret->raw = ret->count = 0;
	switch (bl_core_class(relo->kind)) {
	case BL_CORE_TYPE:
		return strcmp(relo->access, "0") == 0 ? 0 : -EINVAL;
	case BL_CORE_ENUM:
		r = read_access(relo->access, raw, &ret->raw);
		if (r < 0)
			return r;
		if (!bl_btf_is_enum(t.kind) || ret->raw != 1 ||
		    raw[0] >= t.count)
			return -EINVAL;
		return add_step(ret, t.id, raw[0],
				bl_btf_value(b, &t, raw[0]).name);
	case BL_CORE_FIELD:
		r = read_access(relo->access, raw, &ret->raw);
		return r < 0 ? r : read_field(b, raw, ret);
	default:
		return -EINVAL;
	}
}

/* "x___y": three underscores, no more, between other characters. */
static bool is_flavor(const char *s)
{
	return s[0] != '_' && s[1] == '_' && s[2] == '_' && s[3] == '_' &&
	       s[4] != '_';
}

size_t bl_core_name_len(const char *name)
{
	size_t len = strnlen(name, BL_CORE_NAME_MAX + 1), i;

	if (len > BL_CORE_NAME_MAX)
		return 0;
	for (i = len; i >= 5; i--)
		if (is_flavor(name + i - 5))
			return i - 4;
	return len;
}

int bl_core_type_words(const struct bl_btf *b, uint32_t type,
		       struct bl_buf *ret)
{
	struct bl_btf_type t = bl_btf_type(b, type);

	if (!*t.name)
		return bl_buf_printf(ret, "an unnamed %s",
				     bl_btf_kind_name(t.kind));
	if (t.kind == BTF_KIND_FWD && t.flag)
		return bl_buf_printf(ret, "union %.*s",
				     (int)bl_core_name_len(t.name), t.name);
	if (bl_btf_is_composite(t.kind) || bl_btf_is_enum(t.kind) ||
	    t.kind == BTF_KIND_FWD || t.kind == BTF_KIND_TYPEDEF)
		return bl_buf_printf(ret, "%s %.*s", bl_btf_kind_name(t.kind),
				     (int)bl_core_name_len(t.name), t.name);
	return bl_buf_printf(ret, "type %.*s", (int)bl_core_name_len(t.name),
			     t.name);
}

int bl_core_path_words(const struct bl_core_spec *spec, unsigned count,
		       struct bl_buf *ret)
{
	bool field = bl_core_class(spec->kind) == BL_CORE_FIELD;
	/* Of a field the first step is an index, nearly always 0. */
	unsigned first = field ? 1 : 0, i;
	int r = 0;

	for (i = first; r == 0 && i < count && i < spec->count; i++) {
		const char *name = spec->steps[i].name;
		size_t len = name ? strlen(name) : 0;

		if (!name) {
			r = bl_buf_printf(ret, "[%u]", spec->steps[i].index);
			continue;
		}
		/* Values have flavors, members have none. */
		if (!field)
			len = bl_core_name_len(name);
		r = bl_buf_printf(ret, "%s%.*s", i > first ? "." : "", (int)len,
				  name);
	}
	return r;
}
