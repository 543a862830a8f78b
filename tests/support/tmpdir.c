/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "loader/base/file.h"
#include "tests/main.h"

char *bl_test_tmpdir(void)
{
	const char *tmp = getenv("TMPDIR");
	char *dir = bl_path("%s/belay-test-XXXXXX", tmp && *tmp ? tmp : "/tmp");

	ck_assert_ptr_nonnull(dir);
	ck_assert_ptr_nonnull(mkdtemp(dir));
	return dir;
}
