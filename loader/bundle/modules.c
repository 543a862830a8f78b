/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/bundle/modules.h"

#include <errno.h>
#include <string.h>

#include "kmod/abi.h"

static int check_one(const struct bl_manifest_modules *list, size_t i,
		     struct bl_modfile modules[], struct bl_err *err)
{
	const struct bl_modfile *m = &modules[i];

	if (strcmp(m->name, BL_KMOD_NAME) != 0)
		return bl_err_set(
			err, -EBADMSG,
			"%s: the module in it is called %s; belay drives %s",
			list->file[i], m->name, BL_KMOD_NAME);
	for (size_t k = 0; k < i; k++)
		if (!strcmp(modules[k].release, m->release))
			return bl_err_set(
				err, -EBADMSG,
				"%s and %s are both for the kernel %s",
				list->file[k], list->file[i], m->release);
	return 0;
}

int bl_modules_check(const struct bl_manifest_modules *list,
		     const struct bl_buf *const data[], struct bl_err *err)
{
	struct bl_modfile modules[BL_MODULES_MAX];
	int r = 0;

	for (size_t i = 0; !r && i < list->count; i++) {
		r = bl_modfile_read(list->file[i], data[i]->data, data[i]->len,
				    &modules[i], err);
		if (!r)
			r = check_one(list, i, modules, err);
	}
	return r;
}
