/* SPDX-License-Identifier: Apache-2.0 */
/* Content that lies, and readers that do. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kmod/abi.h"
#include "tests/lab/kmod/twins.h"

#define RING (4U << 10)

static const char json[] =
	"{ \"contract\": 1, \"default\": { \"open\": \"emit\" },\n"
	"  \"rules\": [\n"
	"    { \"event\": \"open\", \"path\": \"/a\", \"action\": \"emit\" },\n"
	"    { \"event\": \"exec\", \"prefix\": \"/b/\", \"action\": \"emit\" },\n"
	"    { \"event\": \"connect\", \"address\": \"10.0.0.0/8\",\n"
	"      \"action\": \"ignore\" } ] }\n";

/* The module and the gate agree about these bytes. */
static bool agree(const void *bin, size_t len)
{
	struct bl_content_info info = { 0 };
	int gate = bl_content_check_binary("x", bin, len, &info, NULL);
	int module = bl_kmod_content(bin, len, NULL);

	if (!gate && info.denies)
		gate = -EOPNOTSUPP; /* the module was loaded without deny=1 */
	return gate == module;
}

/* Every byte changed, every length. */
static void content(void)
{
	static const unsigned char flips[] = { 0x01, 0x80, 0xff };
	bl_autobuf struct bl_buf bin = compiled(json);
	unsigned wrong = 0;

	for (size_t at = 0; at < bin.len; at++) {
		unsigned char flip = flips[at % sizeof(flips)];

		bin.data[at] ^= flip;
		wrong += !agree(bin.data, bin.len);
		bin.data[at] ^= flip;
	}
	for (size_t len = 0; len < bin.len; len++)
		wrong += !agree(bin.data, len);
	if (wrong)
		fail("%u wrong contents of %zu bytes are judged otherwise",
		     wrong, bin.len);
	CHECK(bl_kmod_content(NULL, 4096, NULL) == -EFAULT);
	CHECK(bl_kmod_content(bin.data, (size_t)1 << 30, NULL) == -EFBIG);
	CHECK(!bl_kmod_content(bin.data, bin.len, NULL));
}

static int consumed(int fd, uint32_t cpu, uint32_t reserved, uint64_t pos)
{
	struct bl_kmod_consumed to = { cpu, reserved, pos };

	return ioctl(fd, BL_KMOD_CONSUMED, &to) ? -errno : 0;
}

static int mapped(int fd, size_t len, int prot, int flags, off_t at)
{
	void *p = mmap(NULL, len, prot, flags, fd, at);

	if (p == MAP_FAILED)
		return -errno;
	munmap(p, len);
	return 0;
}

/* Nothing to write to, nothing beyond the ring. */
static void mappings(int fd, const struct bl_kmod_info *info)
{
	size_t span = info->header_bytes + info->ring_bytes;
	int rw = open(BL_KMOD_DEVICE, O_RDWR | O_CLOEXEC);
	char *p;

	CHECK(rw < 0 && errno == EBUSY);
	CHECK(!mapped(fd, span, PROT_READ, MAP_SHARED, 0));
	CHECK(mapped(fd, span, PROT_READ | PROT_WRITE, MAP_SHARED, 0) ==
	      -EACCES);
	CHECK(mapped(fd, span, PROT_READ | PROT_WRITE, MAP_PRIVATE, 0) ==
	      -EINVAL);
	CHECK(mapped(fd, span + 4096, PROT_READ, MAP_SHARED, 0) < 0);
	CHECK(mapped(fd, 8192, PROT_READ, MAP_SHARED, (off_t)span - 4096) < 0);
	CHECK(mapped(fd, 4096, PROT_READ, MAP_SHARED,
		     (off_t)(info->cpus * span)) == -ENXIO);
	CHECK(mapped(fd, 4096, PROT_READ, MAP_SHARED, (off_t)1 << 46) ==
	      -ENXIO);
	p = mmap(NULL, span, PROT_READ, MAP_SHARED, fd, 0);
	MUST(p != MAP_FAILED);
	CHECK(mprotect(p, span, PROT_READ | PROT_WRITE) < 0 && errno == EACCES);
	CHECK(mremap(p, span, 2 * span, MREMAP_MAYMOVE) == MAP_FAILED);
	munmap(p, span);
}

/* Positions that are not between tail and head. */
static void positions(int fd, const struct bl_kmod_info *info)
{
	size_t span = info->header_bytes + info->ring_bytes;
	const struct bl_kmod_ring *ring =
		mmap(NULL, span, PROT_READ, MAP_SHARED, fd, 0);
	uint64_t head, tail;

	MUST(ring != MAP_FAILED);
	for (int i = 0; i < 3; i++)
		close(open("/", O_RDONLY | O_DIRECTORY));
	MUST(!bl_kmod_arm(false, NULL));
	head = ring->head;
	tail = ring->tail;
	CHECK(head > tail && head - tail <= info->ring_bytes);
	CHECK(consumed(fd, 0, 0, head + 8) == -EINVAL);
	CHECK(consumed(fd, 0, 0, head - 1) == -EINVAL);
	CHECK(consumed(fd, 0, 0, UINT64_MAX & ~7ULL) == -EINVAL);
	CHECK(consumed(fd, 0, 0, tail - 8) == -EINVAL);
	CHECK(consumed(fd, 0, 1, tail) == -EINVAL);
	CHECK(consumed(fd, info->cpus, 0, tail) == -ENXIO);
	CHECK(consumed(fd, UINT32_MAX, 0, tail) == -ENXIO);
	CHECK(ring->tail == tail);
	CHECK(!consumed(fd, 0, 0, tail));
	/* In the middle of a record: the reader's own loss. */
	CHECK(!consumed(fd, 0, 0, tail + 8) && ring->tail == tail + 8);
	CHECK(!consumed(fd, 0, 0, head) && ring->tail == head);
	CHECK(consumed(fd, 0, 0, tail) == -EINVAL);
	munmap((void *)ring, span);
	MUST(!bl_kmod_arm(true, NULL));
}

static int count_one(void *ctx, const struct bl_event *e, size_t len)
{
	(void)e;
	(void)len;
	++*(unsigned *)ctx;
	return 0;
}

/* More than fits: the first stay, the rest are counted; then on as before. */
static void overflow(void)
{
	struct bl_kmod_reader *r = NULL;
	struct bl_stats before, after;
	struct bl_err err = { 0 };
	unsigned read = 0, later = 0;

	if (bl_kmod_reader_open(&r, &err))
		die("%s", err.text);
	/* Out of force, as reading counters opens files. */
	MUST(!bl_kmod_arm(false, &err));
	while (bl_kmod_reader_events(r, 0, count_one, &later, &err) > 0)
		;
	MUST(!bl_kmod_stats(&before, &err));
	MUST(!bl_kmod_arm(true, &err));
	for (int i = 0; i < 500; i++)
		close(open("/", O_RDONLY | O_DIRECTORY));
	MUST(!bl_kmod_arm(false, &err));
	MUST(!bl_kmod_stats(&after, &err));
	while (bl_kmod_reader_events(r, 0, count_one, &read, &err) > 0)
		;
	CHECK(after.dropped > before.dropped);
	CHECK(bl_kmod_reader_lost(r) == after.dropped);
	if (read != after.emitted - before.emitted)
		fail("%u events read, %lu in the rings", read,
		     (unsigned long)(after.emitted - before.emitted));
	MUST(!bl_kmod_arm(true, &err));
	later = 0;
	close(open("/", O_RDONLY | O_DIRECTORY));
	CHECK(bl_kmod_reader_events(r, 5000, count_one, &later, &err) > 0);
	bl_kmod_reader_close(r);
}

int hostile_mode(const char *ko)
{
	struct bl_err err = { 0 };
	struct bl_kmod_info info;
	cpu_set_t first;
	int fd;

	/* So that it is the ring of CPU 0 that fills. */
	CPU_ZERO(&first);
	CPU_SET(0, &first);
	MUST(!sched_setaffinity(0, sizeof(first), &first));
	CHECK(bl_kmod_load(ko, "ring_kib=3", &err) == -EINVAL);
	CHECK(bl_kmod_unload(&err) == -ENOENT);
	if (bl_kmod_load(ko, "ring_kib=4", &err))
		die("%s", err.text);
	CHECK(bl_kmod_load(ko, "", &err) == -EEXIST);
	content();
	fd = open(BL_KMOD_DEVICE, O_RDONLY | O_CLOEXEC);
	MUST(fd >= 0 && !ioctl(fd, BL_KMOD_INFO, &info));
	CHECK(info.ring_bytes == RING);
	CHECK(write(fd, "x", 1) < 0 && errno == EBADF);
	CHECK(ioctl(fd, BL_KMOD_INFO, (void *)1) < 0 && errno == EFAULT);
	CHECK(ioctl(fd, 0x4242, &info) < 0 && errno == ENOTTY);
	mappings(fd, &info);
	positions(fd, &info);
	CHECK(bl_kmod_unload(&err) == -EBUSY);
	close(fd);
	overflow();
	if (bl_kmod_unload(&err))
		die("%s", err.text);
	return 0;
}
