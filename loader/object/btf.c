/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/object/btf.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "loader/base/cleanup.h"

#define HEADER_SIZE  24 /* of version 1; newer ones append to it */
#define POINTER_SIZE 8

/* What stands behind the record of a kind, and what its fields mean. */
struct kind {
	const char *name;
	bool known;
	bool sized;	    /* size_type is a size; otherwise a type id */
	bool refers;	    /* … that must be there */
	unsigned char one;  /* bytes behind the record, once … */
	unsigned char each; /* … and for each of its elements */
};

static const struct kind kinds[] = {
	[BTF_KIND_INT] = { "int", true, true, false, 4, 0 },
	[BTF_KIND_PTR] = { "pointer", true, false, true, 0, 0 },
	[BTF_KIND_ARRAY] = { "array", true, false, false,
			     sizeof(struct btf_array), 0 },
	[BTF_KIND_STRUCT] = { "struct", true, true, false, 0,
			      sizeof(struct btf_member) },
	[BTF_KIND_UNION] = { "union", true, true, false, 0,
			     sizeof(struct btf_member) },
	[BTF_KIND_ENUM] = { "enum", true, true, false, 0,
			    sizeof(struct btf_enum) },
	[BTF_KIND_FWD] = { "struct", true, false, false, 0, 0 },
	[BTF_KIND_TYPEDEF] = { "typedef", true, false, true, 0, 0 },
	[BTF_KIND_VOLATILE] = { "volatile", true, false, true, 0, 0 },
	[BTF_KIND_CONST] = { "const", true, false, true, 0, 0 },
	[BTF_KIND_RESTRICT] = { "restrict", true, false, true, 0, 0 },
	[BTF_KIND_FUNC] = { "function", true, false, true, 0, 0 },
	[BTF_KIND_FUNC_PROTO] = { "function", true, false, true, 0,
				  sizeof(struct btf_param) },
	[BTF_KIND_VAR] = { "variable", true, false, true,
			   sizeof(struct btf_var), 0 },
	[BTF_KIND_DATASEC] = { "section", true, true, false, 0,
			       sizeof(struct btf_var_secinfo) },
	[BTF_KIND_FLOAT] = { "float", true, true, false, 0, 0 },
	[BTF_KIND_DECL_TAG] = { "tag", true, false, true,
				sizeof(struct btf_decl_tag), 0 },
	[BTF_KIND_TYPE_TAG] = { "tag", true, false, true, 0, 0 },
	[BTF_KIND_ENUM64] = { "enum", true, true, false, 0,
			      sizeof(struct btf_enum64) },
};

static uint32_t le32(const unsigned char *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

void bl_btf_free(struct bl_btf *b)
{
	free(b->offsets);
	*b = (struct bl_btf){ 0 };
}

bool bl_btf_is_composite(unsigned kind)
{
	return kind == BTF_KIND_STRUCT || kind == BTF_KIND_UNION;
}

bool bl_btf_is_enum(unsigned kind)
{
	return kind == BTF_KIND_ENUM || kind == BTF_KIND_ENUM64;
}

bool bl_btf_is_modifier(unsigned kind)
{
	switch (kind) {
	case BTF_KIND_TYPEDEF:
	case BTF_KIND_VOLATILE:
	case BTF_KIND_CONST:
	case BTF_KIND_RESTRICT:
	case BTF_KIND_TYPE_TAG:
		return true;
	default:
		return false;
	}
}

const char *bl_btf_kind_name(unsigned kind)
{
	return kind < BL_ARRAY_SIZE(kinds) && kinds[kind].known
		       ? kinds[kind].name
		       : "type";
}

const char *bl_btf_string(const struct bl_btf *b, uint32_t off)
{
	return off < b->strings_len ? b->strings + off : NULL;
}

static const char *name_at(const struct bl_btf *b, uint32_t off)
{
	const char *name = bl_btf_string(b, off);

	return name ? name : "";
}

static struct bl_btf_type type_at(const struct bl_btf *b, uint32_t id,
				  uint32_t offset)
{
	const unsigned char *p = b->types + offset;
	uint32_t info = le32(p + 4), last = le32(p + 8);
	struct bl_btf_type t = {
		.id = id,
		.kind = BTF_INFO_KIND(info),
		.count = BTF_INFO_VLEN(info),
		.flag = BTF_INFO_KFLAG(info),
		.name = name_at(b, le32(p)),
		.more = p + sizeof(struct btf_type),
	};

	if (kinds[t.kind].sized)
		t.size = last;
	else if (kinds[t.kind].refers)
		t.type = last;
	if (t.kind == BTF_KIND_FUNC) {
		t.linkage = t.count;
		t.count = 0;
	}
	if (t.kind == BTF_KIND_VAR)
		t.linkage = le32(t.more);
	return t;
}

struct bl_btf_type bl_btf_type(const struct bl_btf *b, uint32_t id)
{
	if (id == 0 || id >= b->count)
		return (struct bl_btf_type){ .id = id, .name = "" };
	return type_at(b, id, b->offsets[id]);
}

struct bl_btf_member bl_btf_member(const struct bl_btf *b,
				   const struct bl_btf_type *t, unsigned i)
{
	struct bl_btf_member m = { .name = "" };
	const unsigned char *p;
	uint32_t offset;

	if (!bl_btf_is_composite(t->kind) || i >= t->count)
		return m;
	p = t->more + (size_t)i * sizeof(struct btf_member);
	offset = le32(p + 8);
	m.name = name_at(b, le32(p));
	m.type = le32(p + 4);
	m.bit_offset = t->flag ? BTF_MEMBER_BIT_OFFSET(offset) : offset;
	m.bit_size = t->flag ? BTF_MEMBER_BITFIELD_SIZE(offset) : 0;
	return m;
}

struct bl_btf_value bl_btf_value(const struct bl_btf *b,
				 const struct bl_btf_type *t, unsigned i)
{
	struct bl_btf_value v = { .name = "" };
	const unsigned char *p;

	if (!bl_btf_is_enum(t->kind) || i >= t->count)
		return v;
	p = t->more + (size_t)i * kinds[t->kind].each;
	v.name = name_at(b, le32(p));
	if (t->kind == BTF_KIND_ENUM)
		v.value = (uint64_t)(int64_t)(int32_t)le32(p + 4);
	else
		v.value = le32(p + 4) | (uint64_t)le32(p + 8) << 32;
	return v;
}

struct bl_btf_array bl_btf_array(const struct bl_btf_type *t)
{
	if (t->kind != BTF_KIND_ARRAY)
		return (struct bl_btf_array){ 0 };
	return (struct bl_btf_array){
		.type = le32(t->more),
		.index_type = le32(t->more + 4),
		.count = le32(t->more + 8),
	};
}

struct bl_btf_int bl_btf_int(const struct bl_btf_type *t)
{
	uint32_t info;

	if (t->kind != BTF_KIND_INT)
		return (struct bl_btf_int){ 0 };
	info = le32(t->more);
	return (struct bl_btf_int){
		.encoding = BTF_INT_ENCODING(info),
		.offset = BTF_INT_OFFSET(info),
		.bits = BTF_INT_BITS(info),
	};
}

struct bl_btf_param bl_btf_param(const struct bl_btf *b,
				 const struct bl_btf_type *t, unsigned i)
{
	const unsigned char *p;

	if (t->kind != BTF_KIND_FUNC_PROTO || i >= t->count)
		return (struct bl_btf_param){ .name = "" };
	p = t->more + (size_t)i * sizeof(struct btf_param);
	return (struct bl_btf_param){ .name = name_at(b, le32(p)),
				      .type = le32(p + 4) };
}

struct bl_btf_var bl_btf_var(const struct bl_btf_type *t, unsigned i)
{
	const unsigned char *p;

	if (t->kind != BTF_KIND_DATASEC || i >= t->count)
		return (struct bl_btf_var){ 0 };
	p = t->more + (size_t)i * sizeof(struct btf_var_secinfo);
	return (struct bl_btf_var){ .type = le32(p),
				    .offset = le32(p + 4),
				    .size = le32(p + 8) };
}

struct bl_btf_type bl_btf_resolve(const struct bl_btf *b, uint32_t id)
{
	struct bl_btf_type t = bl_btf_type(b, id);

	/* bl_btf_open refused longer chains. */
	while (bl_btf_is_modifier(t.kind))
		t = bl_btf_type(b, t.type);
	return t;
}

int bl_btf_size(const struct bl_btf *b, uint32_t id, uint32_t *ret)
{
	struct bl_btf_type t = bl_btf_resolve(b, id);
	uint64_t size, n = 1;
	unsigned depth;

	for (depth = 0; t.kind == BTF_KIND_ARRAY; depth++) {
		struct bl_btf_array a = bl_btf_array(&t);

		n *= a.count;
		if (n > UINT32_MAX || depth == BL_BTF_DEPTH_MAX)
			return -E2BIG;
		t = bl_btf_resolve(b, a.type);
	}
	if (t.kind == BTF_KIND_PTR)
		size = n * POINTER_SIZE;
	else if (kinds[t.kind].sized)
		size = n * t.size;
	else
		return -EINVAL;
	if (size > UINT32_MAX)
		return -E2BIG;
	*ret = (uint32_t)size;
	return 0;
}

uint32_t bl_btf_find(const struct bl_btf *b, const char *name, unsigned kind)
{
	uint32_t id;

	for (id = 1; id < b->count; id++) {
		struct bl_btf_type t = bl_btf_type(b, id);

		if (t.kind == kind && strcmp(t.name, name) == 0)
			return id;
	}
	return 0;
}

static int read_header(const char *name, const unsigned char *data, size_t len,
		       struct bl_btf *b, struct bl_err *err)
{
	uint32_t head, type_off, str_off;
	uint64_t room;

	if (len > BL_BTF_MAX)
		return bl_err_set(err, -EFBIG,
				  "%s: %zu bytes of BTF; the limit is %u", name,
				  len, BL_BTF_MAX);
	if (len >= 2 && data[0] == 0xeb && data[1] == 0x9f)
		return bl_err_set(err, -ENOTSUP, "%s: big-endian BTF", name);
	if (len < HEADER_SIZE || data[0] != 0x9f || data[1] != 0xeb)
		return bl_err_set(err, -EBADMSG, "%s: this is no BTF", name);
	if (data[2] != BTF_VERSION)
		return bl_err_set(err, -ENOTSUP,
				  "%s: BTF of version %u; only %d is known",
				  name, data[2], BTF_VERSION);
	head = le32(data + 4);
	type_off = le32(data + 8);
	b->types_len = le32(data + 12);
	str_off = le32(data + 16);
	b->strings_len = le32(data + 20);
	if (head < HEADER_SIZE || head > len)
		return bl_err_set(err, -EBADMSG, "%s: damaged BTF header",
				  name);
	room = len - head;
	if ((uint64_t)type_off + b->types_len > room ||
	    (uint64_t)str_off + b->strings_len > room)
		return bl_err_set(
			err, -EBADMSG,
			"%s: truncated BTF: its header speaks of more than the %zu bytes there are",
			name, len);
	b->types = data + head + type_off;
	b->strings = (const char *)data + head + str_off;
	if (!b->strings_len || b->strings[0] != '\0' ||
	    b->strings[b->strings_len - 1] != '\0')
		return bl_err_set(err, -EBADMSG,
				  "%s: damaged BTF: its strings do not end",
				  name);
	return 0;
}

/* Bytes of the record at @offset, 0 if it does not fit in what is there. */
static int record_size(const char *name, const struct bl_btf *b, uint32_t id,
		       uint32_t offset, uint32_t *ret, struct bl_err *err)
{
	size_t room = b->types_len - offset, size = sizeof(struct btf_type);
	uint32_t info;
	unsigned kind;

	if (room < size)
		return bl_err_set(err, -EBADMSG, "%s: truncated BTF: type %u",
				  name, id);
	info = le32(b->types + offset + 4);
	kind = BTF_INFO_KIND(info);
	if (kind >= BL_ARRAY_SIZE(kinds) || !kinds[kind].known)
		return bl_err_set(err, -ENOTSUP,
				  "%s: BTF type %u is of the unknown kind %u",
				  name, id, kind);
	size += kinds[kind].one +
		(size_t)kinds[kind].each * BTF_INFO_VLEN(info);
	if (room < size)
		return bl_err_set(err, -EBADMSG, "%s: truncated BTF: type %u",
				  name, id);
	*ret = (uint32_t)size;
	return 0;
}

/* Finds where each record begins. Twice: to count, then to fill in. */
static int index_types(const char *name, struct bl_btf *b, struct bl_err *err)
{
	uint32_t offset, size = 0, id = 1;
	int r;

	for (offset = 0; offset < b->types_len; offset += size, id++) {
		if (id > BL_BTF_TYPES_MAX)
			return bl_err_set(err, -EFBIG,
					  "%s: more than %d types in its BTF",
					  name, BL_BTF_TYPES_MAX);
		r = record_size(name, b, id, offset, &size, err);
		if (r < 0)
			return r;
	}
	b->offsets = calloc(id, sizeof(*b->offsets));
	if (!b->offsets)
		return bl_err_set(err, -ENOMEM, "out of memory");
	b->count = id;
	for (offset = 0, id = 1; id < b->count; offset += size, id++) {
		b->offsets[id] = offset;
		(void)record_size(name, b, id, offset, &size, NULL);
	}
	return 0;
}

/* Whether what stands at @p, a string's offset and a type's id, is there. */
static bool pair_ok(const struct bl_btf *b, const unsigned char *p)
{
	return le32(p) < b->strings_len && le32(p + 4) < b->count;
}

static bool elements_ok(const struct bl_btf *b, const struct bl_btf_type *t)
{
	const unsigned char *p = t->more;
	size_t each = kinds[t->kind].each;
	struct bl_btf_array a;
	unsigned i;

	switch (t->kind) {
	case BTF_KIND_ARRAY:
		a = bl_btf_array(t);
		return a.type < b->count && a.index_type < b->count;
	case BTF_KIND_STRUCT:
	case BTF_KIND_UNION:
	case BTF_KIND_FUNC_PROTO:
		for (i = 0; i < t->count; i++, p += each)
			if (!pair_ok(b, p))
				return false;
		return true;
	case BTF_KIND_ENUM:
	case BTF_KIND_ENUM64:
		for (i = 0; i < t->count; i++, p += each)
			if (le32(p) >= b->strings_len)
				return false;
		return true;
	case BTF_KIND_DATASEC:
		for (i = 0; i < t->count; i++, p += each)
			if (le32(p) >= b->count)
				return false;
		return true;
	default:
		return true;
	}
}

/* Typedefs and modifiers end somewhere, and soon. */
static bool chain_ok(const struct bl_btf *b, struct bl_btf_type t)
{
	unsigned depth;

	for (depth = 0; bl_btf_is_modifier(t.kind); depth++) {
		if (depth == BL_BTF_DEPTH_MAX)
			return false;
		t = bl_btf_type(b, t.type);
	}
	return true;
}

static int check_types(const char *name, const struct bl_btf *b,
		       struct bl_err *err)
{
	uint32_t id;

	for (id = 1; id < b->count; id++) {
		struct bl_btf_type t = bl_btf_type(b, id);

		if (le32(b->types + b->offsets[id]) >= b->strings_len)
			return bl_err_set(
				err, -EBADMSG,
				"%s: damaged BTF: the name of type %u is outside its strings",
				name, id);
		if (t.type >= b->count || !elements_ok(b, &t))
			return bl_err_set(
				err, -EBADMSG,
				"%s: damaged BTF: type %u refers to what is not there",
				name, id);
		if (!chain_ok(b, t))
			return bl_err_set(
				err, -EBADMSG,
				"%s: damaged BTF: type %u never comes to an end",
				name, id);
	}
	return 0;
}

int bl_btf_open(const char *name, const void *data, size_t len,
		struct bl_btf *ret, struct bl_err *err)
{
	bl_autobtf struct bl_btf b = { 0 };
	int r = read_header(name, data, len, &b, err);

	if (r == 0)
		r = index_types(name, &b, err);
	if (r == 0)
		r = check_types(name, &b, err);
	if (r < 0)
		return r;
	*ret = b;
	b = (struct bl_btf){ 0 };
	return 0;
}
