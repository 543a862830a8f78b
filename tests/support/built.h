/* SPDX-License-Identifier: Apache-2.0 */
/* What the build made in tests/lab/objects, by name: "core" is core.bpf.o.
 * Everything asserts that it worked. */
#ifndef BL_TESTS_BUILT_H
#define BL_TESTS_BUILT_H

#include "loader/base/buf.h"

/* The object's bytes, and its section .BTF, added to *ret. */
void built_object(const char *name, struct bl_buf *ret);
void built_btf(const char *name, struct bl_buf *ret);

#endif
