/* SPDX-License-Identifier: Apache-2.0 */
/* The VMs that a command under test runs: was one left behind; stop one. */
#ifndef BL_TESTS_VMS_H
#define BL_TESTS_VMS_H

/* How many QEMUs run that write their logs to @log_dir. */
unsigned bl_test_vms(const char *log_dir);

/* Sends @signal to all of them (@log_dir may be a file in it, for one); how many
 * there are. */
unsigned bl_test_signal_vms(const char *log_dir, int signal);

/* Waits for the first of them and stops it (SIGSTOP): a guest that hangs. It
 * can still be killed. -ETIMEDOUT: none came. */
int bl_test_stop_vm(const char *log_dir, unsigned timeout_ms);

#endif
