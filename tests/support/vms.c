/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/vms.h"

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "loader/base/cleanup.h"
#include "loader/base/clock.h"
#include "loader/base/file.h"

#define CMDLINE_MAX (1 << 20)

/* How many there are, and one of them; each gets @signal. */
static unsigned find(const char *log_dir, int signal, pid_t *ret_pid)
{
	bl_autoclosedir DIR *d = opendir("/proc");
	struct dirent *e;
	unsigned n = 0;

	ck_assert_ptr_nonnull(d);
	while ((e = readdir(d))) {
		bl_autofree char *path = bl_path("/proc/%s/cmdline", e->d_name);
		bl_autobuf struct bl_buf b = { 0 };

		if (e->d_name[0] < '0' || e->d_name[0] > '9' ||
		    bl_file_read(path, CMDLINE_MAX, &b, NULL) < 0 ||
		    !memmem(b.data, b.len, "qemu", 4) ||
		    !memmem(b.data, b.len, log_dir, strlen(log_dir)))
			continue;
		n++;
		*ret_pid = (pid_t)atol(e->d_name);
		kill(*ret_pid, signal);
	}
	return n;
}

unsigned bl_test_vms(const char *log_dir)
{
	return bl_test_signal_vms(log_dir, 0);
}

unsigned bl_test_signal_vms(const char *log_dir, int signal)
{
	pid_t pid;

	return find(log_dir, signal, &pid);
}

int bl_test_stop_vm(const char *log_dir, unsigned timeout_ms)
{
	uint64_t until = bl_clock_mono_ms() + timeout_ms;
	pid_t pid = 0;

	while (find(log_dir, 0, &pid) == 0) {
		if (bl_clock_mono_ms() >= until)
			return -ETIMEDOUT;
		usleep(2000);
	}
	return kill(pid, SIGSTOP) ? -errno : 0;
}
