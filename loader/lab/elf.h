/* SPDX-License-Identifier: Apache-2.0 */
/* What a program needs to run elsewhere: its loader and shared libraries. */
#ifndef BL_LAB_ELF_H
#define BL_LAB_ELF_H

#include <stddef.h>

#include "loader/base/err.h"

enum bl_elf_kind {
	BL_ELF_NONE,	/* data, a static program, an object file */
	BL_ELF_DYNAMIC, /* names a loader */
	BL_ELF_SCRIPT,	/* begins with #! */
};

/* Looks at the first bytes of @path; @ret gets the loader or interpreter. */
enum bl_elf_kind bl_elf_kind(const char *path, char *ret, size_t size);

/*
 * Calls @fn with the path of @loader and of each library that @path needs, as
 * the host's loader finds them. Stops at the first failure of @fn. -ENOENT
 * names a library that the host does not have.
 */
int bl_elf_libraries(const char *path, const char *loader,
		     int (*fn)(void *ctx, const char *library,
			       struct bl_err *err),
		     void *ctx, struct bl_err *err);

#endif
