/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/host/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "loader/base/cleanup.h"
#include "loader/base/clock.h"

static void read_owner(int fd, struct bl_lock_owner *ret)
{
	char text[128] = "";
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
	struct bl_lock_owner o = { 0 };

	if (n > 0 &&
	    sscanf(text, "%d %" SCNd64 " %31[a-z-]", &o.pid, &o.since_ms,
		   o.what) == 3 &&
	    o.pid > 0 && (!kill(o.pid, 0) || errno != ESRCH))
		*ret = o;
}

/*
 * Somebody who only asks who has it shares it for a moment (bl_lock_query), and
 * who takes it has it for a moment before there is a note. On a busy host that
 * moment lasts until the scheduler comes back to them, so it is waited for by
 * the clock; who is stopped in it for good does not count.
 */
#define MOMENT_MS 5000
#define PAUSE_MS  5

/* 0, or -EWOULDBLOCK with *ret_owner, if one is known. */
static int try_lock(int fd, struct bl_lock_owner *ret_owner)
{
	const uint64_t end = bl_clock_mono_ms() + MOMENT_MS;

	do {
		if (!flock(fd, LOCK_EX | LOCK_NB))
			return 0;
		if (errno != EWOULDBLOCK)
			return -errno;
		if (flock(fd, LOCK_SH | LOCK_NB)) {
			if (errno != EWOULDBLOCK)
				return -errno;
			read_owner(fd, ret_owner);
			if (ret_owner->pid)
				return -EWOULDBLOCK;
		} else {
			flock(fd, LOCK_UN);
		}
		bl_clock_sleep_ms(PAUSE_MS);
	} while (bl_clock_mono_ms() < end);
	return -EWOULDBLOCK;
}

int bl_lock_take(const char *path, const char *what, int64_t now_ms,
		 int *ret_fd, struct bl_lock_owner *ret_owner,
		 struct bl_err *err)
{
	bl_autoclose int fd =
		open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	struct bl_lock_owner owner = { 0 };
	char text[128];
	int r, len;

	/* It can be held all the same; only who holds it is not told. */
	if (fd < 0 && errno == EROFS)
		fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return bl_err_errno(err, -errno, "open %s", path);
	r = try_lock(fd, &owner);
	if (r == -EWOULDBLOCK) {
		bl_lock_describe(&owner, text, sizeof(text));
		if (ret_owner)
			*ret_owner = owner;
		return bl_err_set(err, -EBUSY, "%s is in use by %s", path,
				  text);
	}
	if (r)
		return bl_err_errno(err, r, "lock %s", path);
	if (!what) {
		*ret_fd = BL_TAKE_FD(fd);
		return 0;
	}
	/* Only for people: a note that cannot be written does no harm. */
	len = snprintf(text, sizeof(text), "%d %" PRId64 " %s\n", getpid(),
		       now_ms, what);
	if (ftruncate(fd, 0) || pwrite(fd, text, (size_t)len, 0) != len)
		(void)!ftruncate(fd, 0);
	*ret_fd = BL_TAKE_FD(fd);
	return 0;
}

void bl_lock_drop(int *fd)
{
	if (*fd < 0)
		return;
	(void)!ftruncate(*fd, 0);
	close(*fd);
	*fd = -1;
}

int bl_lock_query(const char *path, struct bl_lock_owner *ret,
		  struct bl_err *err)
{
	bl_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct bl_lock_owner owner = { 0 };

	if (fd < 0 && errno != ENOENT)
		return bl_err_errno(err, -errno, "open %s", path);
	/* Shared, so that two who ask do not see each other, and who wants to
	 * take it knows that nobody has it. */
	if (fd >= 0 && flock(fd, LOCK_SH | LOCK_NB))
		read_owner(fd, &owner);
	*ret = owner;
	return 0;
}

void bl_lock_describe(const struct bl_lock_owner *owner, char *ret,
		      unsigned size)
{
	char since[BL_TIME_ISO_LEN];

	if (!owner->pid) {
		snprintf(ret, size, "another belay");
		return;
	}
	snprintf(ret, size, "process %d (belay %s) since %s", owner->pid,
		 owner->what, bl_clock_iso(owner->since_ms, since));
}
