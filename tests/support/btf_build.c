/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/btf_build.h"

#include <linux/btf.h>
#include <stdarg.h>
#include <string.h>

#include "tests/main.h"

static void word(struct bl_buf *to, uint32_t v)
{
	ck_assert_int_eq(bl_buf_add(to, &v, sizeof(v)), 0);
}

uint32_t btf_name(struct btf_build *b, const char *name)
{
	uint32_t at;

	if (!b->strings.len)
		ck_assert_int_eq(bl_buf_add(&b->strings, "", 1), 0);
	if (!*name)
		return 0;
	at = (uint32_t)b->strings.len;
	ck_assert_int_eq(bl_buf_add(&b->strings, name, strlen(name) + 1), 0);
	return at;
}

uint32_t btf_type(struct btf_build *b, unsigned kind, const char *name,
		  unsigned count, bool flag, uint32_t size_or_type)
{
	word(&b->types, btf_name(b, name));
	word(&b->types, (uint32_t)flag << 31 | kind << 24 | count);
	word(&b->types, size_or_type);
	return ++b->last;
}

void btf_words(struct btf_build *b, unsigned count, ...)
{
	va_list args;

	va_start(args, count);
	while (count--)
		word(&b->types, va_arg(args, uint32_t));
	va_end(args);
}

uint32_t btf_int(struct btf_build *b, const char *name, uint32_t size,
		 unsigned encoding)
{
	uint32_t id = btf_type(b, BTF_KIND_INT, name, 0, false, size);

	btf_words(b, 1, encoding << 24 | size * 8);
	return id;
}

void btf_finish(struct btf_build *b, struct bl_buf *ret)
{
	struct btf_header h = {
		.magic = BTF_MAGIC,
		.version = BTF_VERSION,
		.hdr_len = sizeof(h),
	};

	btf_name(b, "");
	h.type_len = (uint32_t)b->types.len;
	h.str_off = h.type_len;
	h.str_len = (uint32_t)b->strings.len;
	ck_assert_int_eq(bl_buf_add(ret, &h, sizeof(h)), 0);
	ck_assert_int_eq(bl_buf_add(ret, bl_buf_str(&b->types), b->types.len),
			 0);
	ck_assert_int_eq(
		bl_buf_add(ret, bl_buf_str(&b->strings), b->strings.len), 0);
	bl_buf_free(&b->types);
	bl_buf_free(&b->strings);
	*b = (struct btf_build){ 0 };
}
