/* SPDX-License-Identifier: Apache-2.0 */
/*
 * BTF by hand, for what the compiler at hand does not write (ENUM64) and for
 * what no compiler writes.
 *
 *	struct btf_build b = { 0 };
 *	uint32_t u32 = btf_int(&b, "unsigned int", 4, 0);
 *	uint32_t s = btf_type(&b, BTF_KIND_STRUCT, "s", 1, false, 4);
 *	btf_words(&b, 3, btf_name(&b, "member"), u32, 0);
 *	btf_finish(&b, &buf);
 */
#ifndef BL_TESTS_BTF_BUILD_H
#define BL_TESTS_BTF_BUILD_H

#include <stdbool.h>
#include <stdint.h>

#include "loader/base/buf.h"

struct btf_build {
	struct bl_buf types, strings;
	uint32_t last; /* id of the last type */
};

/* Offset of a new string; 0 for "". */
uint32_t btf_name(struct btf_build *b, const char *name);

/* A record; its elements follow by btf_words. Returns its id. */
uint32_t btf_type(struct btf_build *b, unsigned kind, const char *name,
		  unsigned count, bool flag, uint32_t size_or_type);
void btf_words(struct btf_build *b, unsigned count, ...);

uint32_t btf_int(struct btf_build *b, const char *name, uint32_t size,
		 unsigned encoding);

/* The whole, added to *ret; *b is empty again. */
void btf_finish(struct btf_build *b, struct bl_buf *ret);

#endif
