/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/kern/ask/driver.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* Everything but @fd is closed; close_range() is there since Linux 5.9. */
static void child(void (*work)(void *arg, int fd), void *arg, int fd,
		  pid_t parent)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1); /* it died before we asked */
	for (int i = 0; i < 3; i++)
		if (null >= 0)
			dup2(null, i);
	/* A link lives as long as anybody has it open: none of ours may live
	 * on here. */
	fd = dup2(fd, 3);
	if (fd < 0 || close_range(4, ~0u, 0) < 0)
		_exit(1);
	work(arg, fd);
	_exit(0);
}

int bl_driver_start(void (*work)(void *arg, int fd), void *arg, pid_t *ret_pid,
		    int *ret_fd, struct bl_err *err)
{
	pid_t self = getpid(), pid;
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds))
		return bl_err_errno(err, -errno, "start a workload");
	pid = fork();
	if (pid == 0) {
		close(fds[0]);
		child(work, arg, fds[1], self);
	}
	close(fds[1]);
	if (pid < 0) {
		pid = -errno;
		close(fds[0]);
		return bl_err_errno(err, (int)pid, "start a workload");
	}
	*ret_pid = pid;
	*ret_fd = fds[0];
	return 0;
}

void bl_driver_end(pid_t pid)
{
	kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

void *bl_driver_share(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

void bl_driver_unshare(void *memory, size_t size)
{
	if (memory)
		munmap(memory, size);
}
