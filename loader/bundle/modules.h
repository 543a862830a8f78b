/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel modules of a bundle: one sensor, built for one kernel each. Read
 * by manifest.c, checked where their bytes are at hand (bundle.c).
 *
 * Each must be called as belay's module is (kmod/abi.h): that is the one which
 * a host's transaction can drive. No two may be for the same kernel.
 */
#ifndef BL_BUNDLE_MODULES_H
#define BL_BUNDLE_MODULES_H

#include <stddef.h>

#include "loader/base/buf.h"
#include "loader/base/err.h"
#include "loader/base/file.h"
#include "loader/object/modfile.h"

#define BL_MODULES_MAX 16
#define BL_MODULE_MAX  (8u << 20) /* bytes of one file */

struct bl_manifest_modules {
	size_t count; /* 0: the sensor is an object */
	char file[BL_MODULES_MAX][BL_NAME_MAX + 1];
};

/*
 * Whether the @list->count files at @data are modules that belay can drive, for
 * different kernels. -EBADMSG names the file and what is wrong with it.
 */
int bl_modules_check(const struct bl_manifest_modules *list,
		     const struct bl_buf *const data[], struct bl_err *err);

#endif
