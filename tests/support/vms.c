/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/vms.h"

#include <check.h>
#include <dirent.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/base/file.h"

#define CMDLINE_MAX (1 << 20)

unsigned bl_test_vms(const char *log_dir)
{
	bl_autoclosedir DIR *d = opendir("/proc");
	struct dirent *e;
	unsigned n = 0;

	ck_assert_ptr_nonnull(d);
	while ((e = readdir(d))) {
		bl_autofree char *path = bl_path("/proc/%s/cmdline", e->d_name);
		bl_autobuf struct bl_buf b = { 0 };

		if (e->d_name[0] < '0' || e->d_name[0] > '9' ||
		    bl_file_read(path, CMDLINE_MAX, &b, NULL) < 0)
			continue;
		n += memmem(b.data, b.len, "qemu", 4) &&
		     memmem(b.data, b.len, log_dir, strlen(log_dir));
	}
	return n;
}
