/* SPDX-License-Identifier: Apache-2.0 */
/*
 * BTF, the description of types that objects and kernels carry: a reader of
 * its bytes (Documentation/bpf/btf.rst), kinds up to 19 (ENUM64).
 *
 * Usage:
 *
 *	bl_autobtf struct bl_btf b = { 0 };
 *	r = bl_btf_open("vmlinux", data, len, &b, err);
 *	for (id = 1; id < b.count; id++) {
 *		struct bl_btf_type t = bl_btf_type(&b, id);
 *		…t.kind is one of BTF_KIND_…, t.name may be ""
 *	}
 *
 * Pure. The bytes are borrowed and outlive the reader; they need no alignment.
 *
 * Invariants, of whatever bl_btf_open took, however hostile:
 *  - every id that a type mentions is below count, every name is a string
 *    inside the bytes, and members, values and parameters lie within them;
 *  - a chain of typedefs and modifiers ends after at most BL_BTF_DEPTH_MAX
 *    steps, so bl_btf_resolve always ends at what is neither;
 *  - nothing else is promised: types may contain themselves, names may be
 *    anything, sizes need not fit together. Who walks from type to type needs
 *    a limit of its own.
 *
 * An id of count or above, and an index behind the last member, read as void
 * and as a zeroed element. Split BTF (of modules) is not read.
 */
#ifndef BL_OBJECT_BTF_H
#define BL_OBJECT_BTF_H

#include <linux/btf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "loader/base/err.h"

#define BL_BTF_MAX	 (64u << 20) /* bytes */
#define BL_BTF_TYPES_MAX 0xfffff     /* as the kernel's BTF_MAX_TYPE */
#define BL_BTF_DEPTH_MAX 32	     /* as the kernel's MAX_RESOLVE_DEPTH */

struct bl_btf {
	const unsigned char *types;
	const char *strings;
	uint32_t types_len, strings_len;
	uint32_t *offsets; /* of each record in types; [0], void, has none */
	uint32_t count;	   /* types, void included: ids are below it */
};

struct bl_btf_type {
	uint32_t id;
	unsigned kind;
	unsigned count;	  /* members, values, parameters, variables */
	bool flag;	  /* struct, union: has bitfields; enum: signed;
			     forward: of a union */
	uint32_t size;	  /* bytes; 0 for kinds that have none */
	uint32_t type;	  /* what it refers to; 0 for kinds that do not */
	uint32_t linkage; /* of a function: BTF_FUNC_…; variable: BTF_VAR_… */
	const char *name;	   /* never NULL; "" for none */
	const unsigned char *more; /* behind the record; for the reader */
};

struct bl_btf_member {
	const char *name; /* "" for an anonymous struct or union */
	uint32_t type;
	uint32_t bit_offset;
	uint32_t bit_size; /* of a bitfield; 0 for other members */
};

struct bl_btf_value { /* of an enum */
	const char *name;
	uint64_t value; /* 32-bit ones are sign-extended */
};

struct bl_btf_array {
	uint32_t type, index_type, count;
};

struct bl_btf_int {
	unsigned encoding; /* BTF_INT_SIGNED, …_CHAR, …_BOOL */
	unsigned offset, bits;
};

struct bl_btf_param {
	const char *name;
	uint32_t type; /* 0 in the last one: "..." */
};

struct bl_btf_var {    /* of a section */
	uint32_t type; /* a BTF_KIND_VAR or function */
	uint32_t offset, size;
};

#define bl_autobtf __attribute__((cleanup(bl_btf_free)))
void bl_btf_free(struct bl_btf *b);

/*
 * Checks all of @data and indexes it; @name is for messages. -EBADMSG (says
 * what is wrong, and in which type), -ENOTSUP (big-endian, a newer version or
 * a kind that is not known), -EFBIG, -ENOMEM.
 */
int bl_btf_open(const char *name, const void *data, size_t len,
		struct bl_btf *ret, struct bl_err *err);

struct bl_btf_type bl_btf_type(const struct bl_btf *b, uint32_t id);

/* The elements of a type of the right kind. */
struct bl_btf_member bl_btf_member(const struct bl_btf *b,
				   const struct bl_btf_type *t, unsigned i);
struct bl_btf_value bl_btf_value(const struct bl_btf *b,
				 const struct bl_btf_type *t, unsigned i);
struct bl_btf_array bl_btf_array(const struct bl_btf_type *t);
struct bl_btf_int bl_btf_int(const struct bl_btf_type *t);
struct bl_btf_param bl_btf_param(const struct bl_btf *b,
				 const struct bl_btf_type *t, unsigned i);
struct bl_btf_var bl_btf_var(const struct bl_btf_type *t, unsigned i);

/* Without typedefs, const, volatile, restrict and type tags. */
struct bl_btf_type bl_btf_resolve(const struct bl_btf *b, uint32_t id);

/*
 * Bytes of a value of that type: typedefs are followed, arrays multiplied, a
 * pointer has 8. -EINVAL for what has no size (void, a function, a forward
 * declaration), -E2BIG beyond 4 GB or BL_BTF_DEPTH_MAX arrays of arrays.
 */
int bl_btf_size(const struct bl_btf *b, uint32_t id, uint32_t *ret);

bool bl_btf_is_composite(unsigned kind); /* struct, union */
bool bl_btf_is_enum(unsigned kind);	 /* 32 or 64 bits */
bool bl_btf_is_modifier(
	unsigned kind); /* as bl_btf_resolve skips, typedef too */

/* The string at @off of the string section; NULL outside of it. */
const char *bl_btf_string(const struct bl_btf *b, uint32_t off);

/* The first type of that kind and name; 0 if there is none. Looks at each. */
uint32_t bl_btf_find(const struct bl_btf *b, const char *name, unsigned kind);

/* "struct", "typedef", … for messages; "type" for kinds without a word in C. */
const char *bl_btf_kind_name(unsigned kind);

#endif
