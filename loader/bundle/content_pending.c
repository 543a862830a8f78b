/* SPDX-License-Identifier: Apache-2.0 */
/* Stands in for content.c until that is there; goes with its arrival. */
#include <errno.h>

#include "loader/bundle/content.h"

__attribute__((weak)) int
bl_content_compile(const char *name, const char *json, size_t len,
		   struct bl_buf *ret_bin, struct bl_content_info *ret,
		   struct bl_err *err)
{
	(void)json;
	(void)len;
	(void)ret_bin;
	(void)ret;
	return bl_err_set(err, -ENOSYS,
			  "%s: the content compiler is not built yet", name);
}
