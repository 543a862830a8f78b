/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/kern/guard.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/watchdog.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "loader/base/buf.h"
#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/base/proc.h"

#define CLASS	      "/sys/class/watchdog"
#define SOFT_IDENTITY "Software Watchdog" /* of softdog, since 2.6 */
#define SOFT_MODULE   "/sys/module/softdog"
#define MODPROBE_MS   10000
#define ANSWER_MS     5000
#define SECONDS_MIN   5 /* less than a busy host may take for a probe */

/* What both sides say to each other. */
enum word { WORD_PING, WORD_STOP };

static struct {
	pid_t pid; /* of the process that holds it; 0 */
	int fd;	   /* to it */
} holder = { .fd = -1 };

/* The list */

static void attribute(const char *device, const char *name, char *ret,
		      size_t size)
{
	bl_autofree char *path = bl_path(CLASS "/%s/%s", device, name);
	bl_autobuf struct bl_buf text = { 0 };

	*ret = 0;
	if (!path || bl_file_read(path, 4096, &text, NULL))
		return;
	snprintf(ret, size, "%.*s", (int)strcspn(bl_buf_str(&text), "\n"),
		 bl_buf_str(&text));
}

static bool is_device(int dir_fd, const char *fd, const char *device)
{
	char target[64];
	ssize_t n = readlinkat(dir_fd, fd, target, sizeof(target) - 1);

	if (n < 0)
		return false;
	target[n] = 0;
	if (strncmp(target, "/dev/", 5) != 0)
		return false;
	/* The first has an old name too. */
	return !strcmp(target + 5, device) || (!strcmp(device, "watchdog0") &&
					       !strcmp(target + 5, "watchdog"));
}

static bool holds(const char *pid, const char *device)
{
	bl_autofree char *path = bl_path("/proc/%s/fd", pid);
	bl_autoclosedir DIR *dir = path ? opendir(path) : NULL;
	struct dirent *e;

	while (dir && (e = readdir(dir)))
		if (is_device(dirfd(dir), e->d_name, device))
			return true;
	return false;
}

void bl_guard_holder(const char *device, char ret[static BL_GUARD_WORDS_LEN])
{
	bl_autoclosedir DIR *proc = opendir("/proc");
	struct dirent *e;

	*ret = 0;
	while (proc && (e = readdir(proc))) {
		bl_autobuf struct bl_buf comm = { 0 };
		bl_autofree char *path = NULL;

		if (!isdigit((unsigned char)*e->d_name) ||
		    !holds(e->d_name, device))
			continue;
		path = bl_path("/proc/%s/comm", e->d_name);
		if (path)
			bl_file_read(path, 64, &comm, NULL);
		snprintf(ret, BL_GUARD_WORDS_LEN, "%.*s (process %.20s)",
			 (int)strcspn(bl_buf_str(&comm), "\n"),
			 bl_buf_str(&comm), e->d_name);
		return;
	}
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct bl_guard_device *)a)->name,
		      ((const struct bl_guard_device *)b)->name);
}

static int list(void *ctx, struct bl_guard_device *ret, struct bl_err *err)
{
	bl_autoclosedir DIR *dir = opendir(CLASS);
	struct dirent *e;
	int n = 0;

	(void)ctx;
	if (!dir && errno != ENOENT)
		return bl_err_errno(err, -errno, "open " CLASS);
	while (dir && n < BL_GUARD_DEVICES_MAX && (e = readdir(dir))) {
		struct bl_guard_device d = { 0 };
		char text[16];

		if (*e->d_name == '.' || strlen(e->d_name) >= sizeof(d.name))
			continue;
		snprintf(d.name, sizeof(d.name), "%s", e->d_name);
		attribute(d.name, "identity", d.identity, sizeof(d.identity));
		d.soft = !strcmp(d.identity, SOFT_IDENTITY);
		attribute(d.name, "state", text, sizeof(text));
		d.active = !strcmp(text, "active");
		/* What does not say that it can be stopped is not started. */
		attribute(d.name, "nowayout", text, sizeof(text));
		d.unstoppable = strcmp(text, "0") != 0;
		if (d.active)
			bl_guard_holder(d.name, d.holder);
		ret[n++] = d;
	}
	qsort(ret, (size_t)n, sizeof(*ret), by_name);
	return n;
}

/* Modules */

static int modprobe(const char *const *args, struct bl_err *err)
{
	static const char *const tools[] = { "modprobe", "/sbin/modprobe" };
	const struct bl_proc_opts opts = { .timeout_ms = MODPROBE_MS };
	const char *argv[8];
	size_t n = 1;
	int r = -ENOENT;

	while (*args && n < BL_ARRAY_SIZE(argv) - 1)
		argv[n++] = *args++;
	argv[n] = NULL;
	for (size_t i = 0; r == -ENOENT && i < BL_ARRAY_SIZE(tools); i++) {
		argv[0] = tools[i];
		r = bl_proc_check(argv, &opts, err);
	}
	return r;
}

static int load_soft(void *ctx, struct bl_err *err)
{
	/* It restarts, it does not panic: that is what a record in pstore is
	 * kept for. */
	static const char *const args[] = { "softdog", "nowayout=0",
					    "soft_panic=0", NULL };

	(void)ctx;
	/* modprobe says yes to what is there already. */
	return access(SOFT_MODULE, F_OK) == 0 ? 1 : modprobe(args, err);
}

static void unload_soft(void *ctx)
{
	static const char *const args[] = { "-r", "softdog", NULL };

	(void)ctx;
	modprobe(args, NULL);
}

/* The process that holds the device. Nothing but system calls: it may have been
 * forked from a process with threads. */

static int start_device(int dev, int seconds)
{
	/* What has a time of its own says so with the second call. */
	(void)ioctl(dev, WDIOC_SETTIMEOUT, &seconds);
	if (ioctl(dev, WDIOC_GETTIMEOUT, &seconds) < 0)
		return -errno;
	if (seconds < SECONDS_MIN)
		return -ERANGE;
	return ioctl(dev, WDIOC_KEEPALIVE, 0) < 0 ? -errno : seconds;
}

static int stop_device(int dev)
{
	int r = write(dev, "V", 1) == 1 ? 0 : -errno;

	return close(dev) < 0 && !r ? -errno : r;
}

__attribute__((noreturn)) static void hold(const char *path, int seconds,
					   bool stay, int fd)
{
	char word = WORD_PING;
	sigset_t all;
	int dev, r;

	/* A key on the terminal is for belay; it tells us. */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	setsid();
	/* Links of the trial, above all, must go when belay goes. */
	dup2(fd, 3);
	close_range(4, ~0u, 0);
	dev = open(path, O_WRONLY | O_CLOEXEC);
	r = dev < 0 ? -errno : start_device(dev, seconds);
	if (send(3, &r, sizeof(r), MSG_NOSIGNAL) < 0 || r < 0)
		word = WORD_STOP;
	while (word == WORD_PING) {
		ssize_t n = recv(3, &word, 1, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0 && stay)
			_exit(0); /* belay is gone; closed without a word, it runs */
		if (n <= 0)
			word = WORD_STOP;
		else if (word == WORD_PING)
			(void)ioctl(dev, WDIOC_KEEPALIVE, 0);
	}
	r = dev < 0 ? 0 : stop_device(dev);
	(void)!send(3, &r, sizeof(r), MSG_NOSIGNAL);
	_exit(0);
}

/* Belay's side */

static void forget(void)
{
	if (holder.fd >= 0)
		close(holder.fd);
	/* Its end is near: it was told, or is dead. */
	if (holder.pid)
		while (waitpid(holder.pid, NULL, 0) < 0 && errno == EINTR)
			;
	holder.pid = 0;
	holder.fd = -1;
}

/* 0 and up, or -errno. */
static int answer(void)
{
	struct pollfd p = { .fd = holder.fd, .events = POLLIN };
	int r, value = -EPIPE;

	do
		r = poll(&p, 1, ANSWER_MS);
	while (r < 0 && errno == EINTR);
	if (r <= 0)
		return r ? -errno : -ETIMEDOUT;
	if (recv(holder.fd, &value, sizeof(value), 0) != sizeof(value))
		return -EPIPE;
	return value;
}

static int arm(void *ctx, const char *name, unsigned seconds, bool stay,
	       struct bl_err *err)
{
	bl_autofree char *path = bl_path("/dev/%s", name);
	int fds[2], r;

	(void)ctx;
	forget();
	if (!path)
		return bl_err_errno(err, -ENOMEM, "arm %s", name);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
		return bl_err_errno(err, -errno, "arm %s", name);
	holder.pid = fork();
	if (!holder.pid)
		hold(path, (int)seconds, stay, fds[1]);
	r = holder.pid < 0 ? -errno : 0;
	close(fds[1]);
	holder.fd = fds[0];
	if (r)
		holder.pid = 0;
	else
		r = answer();
	if (r < 0) {
		forget();
		return bl_err_errno(err, r, "arm %s", path);
	}
	return 0;
}

static int tell(char word)
{
	if (holder.fd < 0)
		return -EPIPE;
	if (send(holder.fd, &word, 1, MSG_NOSIGNAL | MSG_DONTWAIT) == 1)
		return 0;
	/* Full: it has enough to speak up for. */
	return errno == EAGAIN && word == WORD_PING ? 0 : -errno;
}

static int ping(void *ctx)
{
	int r = tell(WORD_PING);

	(void)ctx;
	if (r)
		forget();
	return r;
}

static int disarm(void *ctx, struct bl_err *err)
{
	int r = tell(WORD_STOP);

	(void)ctx;
	if (!r)
		r = answer();
	forget();
	return r < 0 ? bl_err_errno(err, r, "stop the watchdog") : 0;
}

const struct bl_guard_ops bl_guard_kernel = {
	.list = list,
	.load_soft = load_soft,
	.unload_soft = unload_soft,
	.arm = arm,
	.ping = ping,
	.disarm = disarm,
};
