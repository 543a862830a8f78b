/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a VM was left behind. */
#ifndef BL_TESTS_VMS_H
#define BL_TESTS_VMS_H

/* How many QEMUs run that write their logs to @log_dir. */
unsigned bl_test_vms(const char *log_dir);

#endif
