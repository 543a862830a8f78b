/* SPDX-License-Identifier: Apache-2.0 */
/* usage: served FILE FOLDER — FOLDER is a file system that this process serves
 * (FUSE), with one program in it, true, which has the bytes of FILE. */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define PROGRAM	 2	   /* its number; FUSE_ROOT_ID is the folder's */
#define CACHED_S 3600	   /* what it was told, the kernel need not ask again */
#define IN_MAX	 (1 << 20) /* more than any request has */

static int device;
static const char *bytes;
static uint64_t size;

static void answer(const struct fuse_in_header *in, int error, const void *data,
		   size_t len)
{
	struct fuse_out_header out = { .len = (uint32_t)(sizeof(out) + len),
				       .error = -error,
				       .unique = in->unique };
	struct iovec parts[] = { { &out, sizeof(out) }, { (void *)data, len } };

	/* Who asked may be gone. */
	if (writev(device, parts, 2) < 0 && errno != ENOENT)
		err(1, "answer");
}

static struct fuse_attr attr_of(uint64_t node)
{
	struct fuse_attr a = { .ino = node, .nlink = 1, .blksize = 4096 };

	a.mode = node == PROGRAM ? S_IFREG | 0755 : S_IFDIR | 0755;
	a.size = node == PROGRAM ? size : 0;
	return a;
}

static void init(const struct fuse_in_header *in)
{
	const struct fuse_init_in *want = (const void *)(in + 1);
	struct fuse_init_out out = { .major = FUSE_KERNEL_VERSION,
				     .minor = FUSE_KERNEL_MINOR_VERSION,
				     .max_readahead = want->max_readahead,
				     .max_write = 4096 };

	answer(in, 0, &out, sizeof(out));
}

static void lookup(const struct fuse_in_header *in)
{
	struct fuse_entry_out out = { .nodeid = PROGRAM,
				      .entry_valid = CACHED_S,
				      .attr_valid = CACHED_S,
				      .attr = attr_of(PROGRAM) };

	if (strcmp((const char *)(in + 1), "true") != 0)
		answer(in, ENOENT, NULL, 0);
	else
		answer(in, 0, &out, sizeof(out));
}

static void read_some(const struct fuse_in_header *in)
{
	const struct fuse_read_in *want = (const void *)(in + 1);
	uint64_t at = want->offset < size ? want->offset : size;
	uint64_t len = want->size < size - at ? want->size : size - at;

	answer(in, 0, bytes + at, len);
}

static void serve(const struct fuse_in_header *in)
{
	struct fuse_attr_out attr = { .attr_valid = CACHED_S,
				      .attr = attr_of(in->nodeid) };
	struct fuse_open_out open = { 0 };

	switch (in->opcode) {
	case FUSE_INIT:
		init(in);
		break;
	case FUSE_LOOKUP:
		lookup(in);
		break;
	case FUSE_GETATTR:
		answer(in, 0, &attr, sizeof(attr));
		break;
	case FUSE_OPEN:
		answer(in, 0, &open, sizeof(open));
		break;
	case FUSE_READ:
		read_some(in);
		break;
	case FUSE_FLUSH:
	case FUSE_RELEASE:
		answer(in, 0, NULL, 0);
		break;
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
		break; /* wants no answer */
	default:
		answer(in, ENOSYS, NULL, 0);
	}
}

int main(int argc, char **argv)
{
	static char in[IN_MAX] __attribute__((aligned(8)));
	char options[128];
	struct stat st;
	int fd;

	if (argc != 3)
		errx(64, "usage: served FILE FOLDER");
	fd = open(argv[1], O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) || !st.st_size)
		err(1, "%s", argv[1]);
	size = (uint64_t)st.st_size;
	bytes = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
	device = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	if (bytes == MAP_FAILED || device < 0)
		err(1, "serve %s", argv[1]);
	snprintf(options, sizeof(options),
		 "fd=%d,rootmode=40000,user_id=0,group_id=0", device);
	if (mount("served", argv[2], "fuse", 0, options) || daemon(0, 0))
		err(1, "mount %s", argv[2]);
	for (;;) {
		ssize_t n = read(device, in, sizeof(in));

		if (n < 0 && errno == ENODEV)
			return 0; /* unmounted */
		if (n >= (ssize_t)sizeof(struct fuse_in_header))
			serve((const void *)in);
		else if (n >= 0 || (errno != EINTR && errno != ENOENT))
			err(1, "read");
	}
}
