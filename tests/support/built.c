/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/built.h"

#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/object/object.h"
#include "tests/main.h"

#define OBJECT_MAX (1 << 20)

void built_object(const char *name, struct bl_buf *ret)
{
	bl_autofree char *path = bl_path("%s/tests/lab/objects/%s.bpf.o",
					 BL_TEST_BUILD_DIR, name);
	struct bl_err err = { 0 };

	ck_assert_msg(bl_file_read(path, OBJECT_MAX, ret, &err) == 0, "%s",
		      err.text);
}

void built_btf(const char *name, struct bl_buf *ret)
{
	bl_autobuf struct bl_buf file = { 0 };
	bl_autoobject struct bl_object o = { 0 };
	const struct bl_object_section *s;
	struct bl_err err = { 0 };

	built_object(name, &file);
	ck_assert_msg(bl_object_open(name, file.data, file.len, &o, &err) == 0,
		      "%s", err.text);
	s = bl_object_section(&o, ".BTF");
	ck_assert_ptr_nonnull(s);
	ck_assert_int_eq(bl_buf_add(ret, s->data, s->size), 0);
}
