/* SPDX-License-Identifier: Apache-2.0 */
/* A test program defines bl_test_suite(); tests/main.c runs it. */
#ifndef BL_TESTS_MAIN_H
#define BL_TESTS_MAIN_H

#include <check.h>

Suite *bl_test_suite(void);

/* A folder of this test's own under $TMPDIR, removed by the caller. */
char *bl_test_tmpdir(void);

#endif
