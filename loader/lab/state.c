/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/lab/state.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/lab/identity.h"

#define PAGE	       4096
#define TEMP	       ".saving-"
#define KEY_LEN	       16 /* hex digits */
#define STATE_NAME_MAX (BL_NAME_MAX + 1 + KEY_LEN + 1)

static int no_memory(struct bl_err *err)
{
	return bl_err_set(err, -ENOMEM, "out of memory");
}

static char *state_path(const struct bl_state_id *id)
{
	uint64_t key = bl_identity_hash(id->identity, strlen(id->identity));

	return bl_path("%s/%s.%016llx", id->root, id->release,
		       (unsigned long long)key);
}

/* --- using ---------------------------------------------------------------- */

void bl_state_close(struct bl_state *s)
{
	if (s->ram >= 0)
		close(s->ram);
	if (s->device >= 0)
		close(s->device);
	s->ram = s->device = -1;
}

static int add_file(struct bl_buf *out, const char *what, int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (bl_buf_printf(out, "saved %s", what) < 0 ||
	    bl_identity_stat(out, &st) < 0 || bl_buf_add(out, "\n", 1) < 0)
		return -ENOMEM;
	return 0;
}

/* The file "identity": the caller's, and the three files as they are. */
static int seal_text(const char *identity, int ram, int device, int console,
		     struct bl_buf *out)
{
	int r = bl_buf_printf(out, "%s", identity);

	if (!r)
		r = add_file(out, "ram", ram);
	if (!r)
		r = add_file(out, "device", device);
	if (!r)
		r = add_file(out, "console", console);
	return r;
}

static int copy_bytes(int from, int to)
{
	char chunk[65536];
	ssize_t n;

	while ((n = read(from, chunk, sizeof(chunk))) > 0)
		if (write(to, chunk, (size_t)n) != n)
			return errno ? -errno : -EIO;
	return n < 0 ? -errno : 0;
}

static int copy_console(int from, const char *path)
{
	bl_autoclose int to = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);

	return to < 0 ? -errno : copy_bytes(from, to);
}

static int open_in(const char *dir, const char *name)
{
	bl_autofree char *path = bl_path("%s/%s", dir, name);

	/* For writing too, as QEMU opens it so: what it maps is private. */
	return path ? open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC) : -1;
}

int bl_state_open(const struct bl_state_id *id, const char *console,
		  struct bl_state *ret, struct bl_err *err)
{
	BL_CLEANUP(bl_state_close) struct bl_state s = { -1, -1 };
	bl_autofree char *dir = state_path(id);
	bl_autofree char *seal = dir ? bl_path("%s/identity", dir) : NULL;
	bl_autobuf struct bl_buf want = { 0 }, got = { 0 };
	bl_autoclose int said = -1;

	if (!seal)
		return no_memory(err);
	s.ram = open_in(dir, "ram");
	s.device = open_in(dir, "device");
	said = open_in(dir, "console");
	if (s.ram < 0 || s.device < 0 || said < 0 ||
	    seal_text(id->identity, s.ram, s.device, said, &want) < 0 ||
	    bl_file_read(seal, BL_STATE_IDENTITY_MAX, &got, NULL) < 0 ||
	    got.len != want.len || memcmp(got.data, want.data, got.len) != 0 ||
	    copy_console(said, console) < 0) {
		bl_file_rmtree(dir, NULL);
		return bl_err_set(err, -ENOENT, "no saved state in %s", dir);
	}
	/* The last used ones are kept. */
	utimensat(AT_FDCWD, dir, NULL, 0);
	*ret = s;
	s = (struct bl_state){ -1, -1 };
	return 0;
}

void bl_state_forget(const struct bl_state_id *id)
{
	bl_autofree char *dir = state_path(id);

	if (dir)
		bl_file_rmtree(dir, NULL);
}

/* --- what is there -------------------------------------------------------- */

struct entry {
	char name[STATE_NAME_MAX];
	struct timespec used;
};

/* "6.1.0-37-cloud-amd64.0123456789abcdef" is of 6.1.0-37-cloud-amd64. */
static bool is_of(const char *name, const char *release)
{
	size_t n = strlen(release);

	return strncmp(name, release, n) == 0 && name[n] == '.' &&
	       strlen(name) == n + 1 + KEY_LEN &&
	       strspn(name + n + 1, "0123456789abcdef") == KEY_LEN;
}

static size_t disk_bytes(int root, const char *name)
{
	static const char *const files[] = { "ram", "device", "console",
					     "identity" };
	size_t sum = 0;

	for (size_t i = 0; i < BL_ARRAY_SIZE(files); i++) {
		bl_autofree char *path = bl_path("%s/%s", name, files[i]);
		struct stat st;

		if (path && fstatat(root, path, &st, AT_SYMLINK_NOFOLLOW) == 0)
			sum += (size_t)st.st_blocks * 512;
	}
	return sum;
}

size_t bl_state_bytes(const char *root, const char *release)
{
	bl_autoclosedir DIR *d = opendir(root);
	const struct dirent *e;
	size_t sum = 0;

	while (d && (e = readdir(d)))
		if (is_of(e->d_name, release))
			sum += disk_bytes(dirfd(d), e->d_name);
	return sum;
}

/* Newest first. */
static int by_use(const void *a, const void *b)
{
	const struct timespec *x = &((const struct entry *)a)->used;
	const struct timespec *y = &((const struct entry *)b)->used;

	if (x->tv_sec != y->tv_sec)
		return x->tv_sec < y->tv_sec ? 1 : -1;
	return (x->tv_nsec < y->tv_nsec) - (x->tv_nsec > y->tv_nsec);
}

static void remove_below(const char *root, const char *name)
{
	bl_autofree char *path = bl_path("%s/%s", root, name);

	if (path)
		bl_file_rmtree(path, NULL);
}

/* A half made folder is locked as long as its maker lives. */
static void remove_orphan(const char *root, const char *name)
{
	bl_autofree char *path = bl_path("%s/%s", root, name);
	bl_autoclose int fd = -1;

	if (path)
		fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0)
		bl_file_rmtree(path, NULL);
}

#define ENTRIES_MAX 1024

/* All states, the last used first. Removes the orphans it meets. */
static size_t list_states(const char *root, struct entry *list)
{
	bl_autoclosedir DIR *d = opendir(root);
	const struct dirent *e;
	size_t n = 0;

	while (d && (e = readdir(d)) && n < ENTRIES_MAX) {
		struct stat st;

		if (strncmp(e->d_name, TEMP, strlen(TEMP)) == 0)
			remove_orphan(root, e->d_name);
		if (e->d_name[0] == '.' ||
		    strlen(e->d_name) >= STATE_NAME_MAX ||
		    fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		memcpy(list[n].name, e->d_name, strlen(e->d_name) + 1);
		list[n++].used = st.st_mtim;
	}
	qsort(list, n, sizeof(*list), by_use);
	return n;
}

static void prune(const char *root, const char *release)
{
	bl_autofree struct entry *list = calloc(ENTRIES_MAX, sizeof(*list));
	size_t n = list ? list_states(root, list) : 0, kept = 0, same = 0;

	for (size_t i = 0; i < n; i++) {
		bool own = is_of(list[i].name, release);

		if (kept == BL_STATE_TOTAL ||
		    (own && same == BL_STATE_PER_KERNEL)) {
			remove_below(root, list[i].name);
			continue;
		}
		kept++;
		same += own;
	}
}

/* --- saving --------------------------------------------------------------- */

struct bl_state_writer {
	char *root, *release, *identity, *dir, *final;
	int lock, ram, device, console;
};

static void writer_free(struct bl_state_writer *w)
{
	if (w->lock >= 0)
		close(w->lock);
	if (w->ram >= 0)
		close(w->ram);
	if (w->device >= 0)
		close(w->device);
	if (w->console >= 0)
		close(w->console);
	free(w->root);
	free(w->release);
	free(w->identity);
	free(w->dir);
	free(w->final);
	free(w);
}

void bl_state_abort(struct bl_state_writer **w)
{
	if (!*w)
		return;
	if ((*w)->lock >= 0)
		bl_file_rmtree((*w)->dir, NULL);
	writer_free(*w);
	*w = NULL;
}

static int make_file(const struct bl_state_writer *w, const char *name)
{
	bl_autofree char *path = bl_path("%s/%s", w->dir, name);

	return path ? open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600)
		    : -1;
}

static int make_files(struct bl_state_writer *w)
{
	if (!mkdtemp(w->dir))
		return -errno;
	w->lock = open(w->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (w->lock < 0 || flock(w->lock, LOCK_EX | LOCK_NB) < 0)
		return -errno;
	w->ram = make_file(w, "ram");
	w->device = make_file(w, "device");
	w->console = make_file(w, "console");
	return w->ram < 0 || w->device < 0 || w->console < 0 ? -errno : 0;
}

int bl_state_begin(const struct bl_state_id *id, struct bl_state_writer **ret,
		   int *ret_device, struct bl_err *err)
{
	BL_CLEANUP(bl_state_abort) struct bl_state_writer *w = NULL;
	int r = bl_file_mkdirs(id->root, 0755, err);

	if (r < 0)
		return r;
	w = calloc(1, sizeof(*w));
	if (!w)
		return no_memory(err);
	w->lock = w->ram = w->device = w->console = -1;
	w->root = strdup(id->root);
	w->release = strdup(id->release);
	w->identity = strdup(id->identity);
	w->dir = bl_path("%s/" TEMP "XXXXXX", id->root);
	w->final = state_path(id);
	if (!w->root || !w->release || !w->identity || !w->dir || !w->final)
		return no_memory(err);
	r = make_files(w);
	if (r < 0)
		return bl_err_errno(err, r, "cannot save a state in %s",
				    id->root);
	*ret_device = w->device;
	*ret = BL_TAKE(w);
	return 0;
}

static bool is_zero(const char *page)
{
	return page[0] == 0 && memcmp(page, page + 1, PAGE - 1) == 0;
}

static int write_at(int fd, const char *data, size_t len, off_t at)
{
	while (len) {
		ssize_t n = pwrite(fd, data, len, at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -ENOSPC;
		data += n;
		at += n;
		len -= (size_t)n;
	}
	return 0;
}

/* From @at to @end of the memory, in as few writes as its zeroes allow. */
static int copy_pages(int to, const char *ram, size_t at, size_t end)
{
	int r = 0;

	while (!r && at < end) {
		size_t from = at;

		while (at < end && !is_zero(ram + at))
			at += PAGE;
		if (at > from)
			r = write_at(to, ram + from, at - from, (off_t)from);
		while (at < end && is_zero(ram + at))
			at += PAGE;
	}
	return r;
}

static int copy_ram(int to, int fd, size_t size)
{
	char *ram = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
	off_t at = 0, end = 0;
	int r = ftruncate(to, (off_t)size) < 0 ? -errno : 0;

	if (ram == MAP_FAILED)
		return -errno;
	while (!r && (size_t)end < size) {
		at = lseek(fd, end, SEEK_DATA);
		if (at < 0 && errno == ENXIO)
			break; /* only a hole is left */
		end = at < 0 ? at : lseek(fd, at, SEEK_HOLE);
		r = end < 0 ? -errno
			    : copy_pages(to, ram, (size_t)at, (size_t)end);
	}
	munmap(ram, size);
	return r;
}

int bl_state_fill(struct bl_state_writer *w, int ram, size_t size_bytes,
		  const char *console, struct bl_err *err)
{
	bl_autobuf struct bl_buf said = { 0 };
	int r = bl_file_read(console, BL_STATE_CONSOLE_MAX, &said, err);

	if (r < 0)
		return r;
	r = write_at(w->console, bl_buf_str(&said), said.len, 0);
	if (!r)
		r = copy_ram(w->ram, ram, size_bytes);
	if (r < 0)
		return bl_err_errno(err, r, "cannot save a state in %s",
				    w->root);
	sync_file_range(w->ram, 0, 0, SYNC_FILE_RANGE_WRITE);
	return 0;
}

static int seal(struct bl_state_writer *w, struct bl_err *err)
{
	bl_autofree char *path = bl_path("%s/identity", w->dir);
	bl_autobuf struct bl_buf text = { 0 };
	int r;

	if (fsync(w->ram) < 0 || fsync(w->device) < 0 || fsync(w->console) < 0)
		return bl_err_errno(err, -errno, "cannot save a state in %s",
				    w->root);
	r = path ? seal_text(w->identity, w->ram, w->device, w->console, &text)
		 : -ENOMEM;
	if (r < 0)
		return bl_err_errno(err, r, "cannot save a state in %s",
				    w->root);
	return bl_file_write(path, text.data, text.len, 0600, err);
}

int bl_state_commit(struct bl_state_writer **w, struct bl_err *err)
{
	struct bl_state_writer *s = *w;
	int r = seal(s, err);

	/* Fails when another was first: then this one is not needed. */
	if (!r && rename(s->dir, s->final) < 0)
		r = bl_err_errno(err, -errno, "cannot save a state in %s",
				 s->root);
	if (r < 0) {
		bl_state_abort(w);
		return r;
	}
	r = bl_file_sync_dir(s->root, err);
	prune(s->root, s->release);
	writer_free(BL_TAKE(*w));
	return r;
}
