/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/lab/receive.h"

#include <archive.h>
#include <archive_entry.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/random.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <termios.h>
#include <unistd.h>

#include "loader/base/buf.h"
#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/lab/job.h"

#define DEVICES "/sys/bus/pci/devices"
#define PORT	"/dev/ttyS1"

struct memory {
	char *data;
	size_t size;
};

static void memory_free(struct memory *m)
{
	if (m->data)
		munmap(m->data, m->size);
}

/* --- finding it ----------------------------------------------------------- */

static bool attribute_is(const char *device, const char *name, const char *want)
{
	bl_autofree char *path = bl_path(DEVICES "/%s/%s", device, name);
	bl_autobuf struct bl_buf text = { 0 };

	return path && bl_file_read(path, 4096, &text, NULL) == 0 &&
	       strcmp(bl_buf_str(&text), want) == 0;
}

static int map_device(const char *device, struct memory *ret,
		      struct bl_err *err)
{
	bl_autofree char *path = bl_path(DEVICES "/%s/resource2", device);
	bl_autoclose int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	struct stat st;
	void *data;

	if (fd < 0 || fstat(fd, &st) < 0 || st.st_size < BL_JOB_HEADER)
		return bl_err_errno(err, -errno,
				    "cannot open the job's device");
	data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
	if (data == MAP_FAILED)
		return bl_err_errno(err, -errno, "cannot map the job's device");
	ret->data = data;
	ret->size = (size_t)st.st_size;
	return 0;
}

static int map_job(struct memory *ret, struct bl_err *err)
{
	bl_autoclosedir DIR *d = opendir(DEVICES);
	const struct dirent *e;

	while (d && (e = readdir(d)))
		if (attribute_is(e->d_name, "vendor", BL_JOB_VENDOR) &&
		    attribute_is(e->d_name, "device", BL_JOB_DEVICE))
			return map_device(e->d_name, ret, err);
	return bl_err_set(
		err, -ENODEV,
		"this machine has no device for a job: only a guest of the lab has");
}

/* --- waiting -------------------------------------------------------------- */

static int open_port(struct bl_err *err)
{
	struct termios t;
	int fd = open(PORT, O_RDWR | O_NOCTTY | O_CLOEXEC);

	if (fd < 0)
		return bl_err_errno(err, -errno, "cannot open " PORT);
	if (tcgetattr(fd, &t) == 0) {
		cfmakeraw(&t);
		tcsetattr(fd, TCSANOW, &t);
	}
	return fd;
}

static int read_line(int fd, char *line, size_t size)
{
	size_t n = 0;

	while (n + 1 < size) {
		ssize_t got = read(fd, line + n, 1);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got < 0 ? -errno : -EPIPE;
		if (line[n++] == '\n')
			break;
	}
	line[n] = '\0';
	return 0;
}

static int wait_for_go(int port, int64_t *ret_wall_ms, unsigned char *ret_seed,
		       struct bl_err *err)
{
	const char *ready = BL_JOB_READY;
	char line[BL_JOB_GO_MAX];
	int r;

	if (write(port, ready, strlen(ready)) != (ssize_t)strlen(ready))
		return bl_err_errno(err, -errno, "cannot write to " PORT);
	r = read_line(port, line, sizeof(line));
	if (r < 0)
		return bl_err_errno(err, r, "cannot read from " PORT);
	if (bl_job_read_go(line, ret_wall_ms, ret_seed) < 0)
		return bl_err_set(err, -EBADMSG, "'%s' is no go", line);
	return 0;
}

/* --- waking up ------------------------------------------------------------ */

/* Mixed in and used at once; what the kernel has would come out again in every
 * guest that woke up from this state. RNDRESEEDCRNG since 4.14. */
static int stir(const unsigned char *seed)
{
	bl_autoclose int fd = open("/dev/urandom", O_RDWR | O_CLOEXEC);
	/* struct rand_pool_info: bits, bytes, and then those */
	int pool[2 + BL_JOB_SEED / sizeof(int)] = { 8 * BL_JOB_SEED,
						    BL_JOB_SEED };

	memcpy(pool + 2, seed, BL_JOB_SEED);
	if (fd < 0 || ioctl(fd, RNDADDENTROPY, pool) < 0 ||
	    ioctl(fd, RNDRESEEDCRNG) < 0)
		return -errno;
	return 0;
}

static int wake_up(int64_t wall_ms, const unsigned char *seed,
		   struct bl_err *err)
{
	const struct timeval now = { .tv_sec = wall_ms / 1000,
				     .tv_usec = wall_ms % 1000 * 1000 };
	int r;

	if (settimeofday(&now, NULL) < 0)
		return bl_err_errno(err, -errno, "cannot set the clock");
	r = stir(seed);
	return r ? bl_err_errno(err, r, "cannot add random numbers") : 0;
}

/* --- unpacking ------------------------------------------------------------ */

static int copy_data(struct archive *from, struct archive *to)
{
	const void *block;
	la_int64_t at;
	size_t len;
	int r;

	while ((r = archive_read_data_block(from, &block, &len, &at)) ==
	       ARCHIVE_OK)
		if (archive_write_data_block(to, block, len, at) < 0)
			return ARCHIVE_FATAL;
	return r == ARCHIVE_EOF ? ARCHIVE_OK : r;
}

static int unpack_all(struct archive *from, struct archive *to,
		      struct bl_err *err)
{
	struct archive_entry *e;
	int r;

	while ((r = archive_read_next_header(from, &e)) == ARCHIVE_OK) {
		if (archive_write_header(to, e) != ARCHIVE_OK ||
		    copy_data(from, to) != ARCHIVE_OK ||
		    archive_write_finish_entry(to) != ARCHIVE_OK)
			return bl_err_set(err, -EIO, "cannot unpack %s: %s",
					  archive_entry_pathname(e),
					  archive_error_string(to));
	}
	if (r != ARCHIVE_EOF)
		return bl_err_set(err, -EBADMSG, "the job is damaged: %s",
				  archive_error_string(from));
	return 0;
}

/* A file that is there gives way: a program that runs is not written into. */
static int unpack(const struct memory *m, struct bl_err *err)
{
	const int flags = ARCHIVE_EXTRACT_UNLINK | ARCHIVE_EXTRACT_PERM |
			  ARCHIVE_EXTRACT_SECURE_NODOTDOT;
	struct archive *from = archive_read_new();
	struct archive *to = archive_write_disk_new();
	size_t len = 0;
	int r = from && to ? bl_job_length(m->data, m->size, &len) : -ENOMEM;

	if (r < 0)
		bl_err_errno(err, r, "there is no job");
	else if (chdir("/") < 0 ||
		 archive_write_disk_set_options(to, flags) != ARCHIVE_OK ||
		 archive_read_support_format_cpio(from) != ARCHIVE_OK ||
		 archive_read_open_memory(from, m->data + BL_JOB_HEADER, len) !=
			 ARCHIVE_OK)
		r = bl_err_set(err, -EIO, "cannot read the job");
	else
		r = unpack_all(from, to, err);
	archive_read_free(from);
	archive_write_free(to);
	return r;
}

int bl_lab_receive(struct bl_err *err)
{
	BL_CLEANUP(memory_free) struct memory m = { 0 };
	unsigned char seed[BL_JOB_SEED];
	bl_autoclose int port = -1;
	int64_t wall_ms = 0;
	int r = map_job(&m, err);

	if (r < 0)
		return r;
	port = open_port(err);
	if (port < 0)
		return port;
	r = wait_for_go(port, &wall_ms, seed, err);
	if (!r)
		r = wake_up(wall_ms, seed, err);
	return r ? r : unpack(&m, err);
}
