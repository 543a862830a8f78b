/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/kern/boot_id.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "loader/base/cleanup.h"

#define BOOT_ID "/proc/sys/kernel/random/boot_id"

int bl_boot_id(char ret[static BL_KERN_BOOT_ID_LEN], struct bl_err *err)
{
	bl_autoclose int fd = open(BOOT_ID, O_RDONLY | O_CLOEXEC);
	char text[BL_KERN_BOOT_ID_LEN] = "";

	if (fd < 0)
		return bl_err_errno(err, -errno, "open " BOOT_ID);
	if (read(fd, text, sizeof(text) - 1) != sizeof(text) - 1)
		return bl_err_set(err, -EIO, "read " BOOT_ID);
	memcpy(ret, text, sizeof(text));
	return 0;
}
