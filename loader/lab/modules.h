/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which kernel modules a guest needs, in which order, by what depmod wrote
 * (modules.dep, modules.builtin), and their bytes without compression.
 */
#ifndef BL_LAB_MODULES_H
#define BL_LAB_MODULES_H

#include <stdbool.h>
#include <stddef.h>

#include "loader/base/buf.h"
#include "loader/base/err.h"

#define BL_MODULE_MAX_BYTES (64u * 1024 * 1024)

struct bl_module_list {
	char **paths; /* below lib/modules/RELEASE, in loading order */
	size_t count;
};
void bl_module_list_free(struct bl_module_list *l);

/*
 * Adds @name (virtio_net; - and _ are the same) and all it depends on to *list,
 * dependencies first, each once. Nothing is added for a module that is built
 * in. @dep and @builtin are the texts of those files. Pure. -ENOENT when the
 * kernel has no such module.
 */
int bl_module_resolve(const char *dep, const char *builtin, const char *name,
		      struct bl_module_list *list, struct bl_err *err);

/* As above for each of @names (NULL at the end), reading the files of the
 * kernel's @modules_dir. */
int bl_module_find(const char *modules_dir, const char *const *names,
		   struct bl_module_list *ret, struct bl_err *err);

/* Reads a module, whatever it is compressed with. */
int bl_module_read(const char *path, struct bl_buf *ret, struct bl_err *err);

#endif
