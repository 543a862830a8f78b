/* SPDX-License-Identifier: Apache-2.0 */
#include "canary/agent/os.h"

#include <string.h>

#include "loader/base/file.h"

void bl_os_name(char *ret, size_t size)
{
	bl_autobuf struct bl_buf b = { 0 };
	const char *at;
	size_t len;

	*ret = '\0';
	if (bl_file_read("/etc/os-release", 16 * 1024, &b, NULL) < 0)
		return;
	at = strstr(bl_buf_str(&b), "PRETTY_NAME=\"");
	if (!at)
		return;
	at += strlen("PRETTY_NAME=\"");
	len = strcspn(at, "\"\n");
	if (len < size) {
		memcpy(ret, at, len);
		ret[len] = '\0';
	}
}
