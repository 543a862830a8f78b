/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/kern/kmod/kmod_ring.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "bpf/event.h"
#include "kmod/abi.h"
#include "loader/base/cleanup.h"

/* A ring that is filled faster than it is read must not hold the caller. */
#define EVENTS_AT_ONCE 65536
#define CPUS_MAX       65536U
#define RING_BYTES_MAX (64U << 20)

struct ring {
	uint32_t cpu;
	const struct bl_kmod_ring *header;
	const char *data; /* twice in a row */
	uint64_t pos;	  /* read up to here */
};

struct bl_kmod_reader {
	int fd;
	struct bl_kmod_info info;
	unsigned count;
	struct ring rings[];
};

static size_t area_bytes(const struct bl_kmod_info *info)
{
	return info->header_bytes + 2 * (size_t)info->ring_bytes;
}

/* The area of a CPU, its data a second time behind it; 1: no such CPU. */
static int ring_map(const struct bl_kmod_reader *r, uint32_t cpu,
		    struct ring *ret, struct bl_err *err)
{
	const struct bl_kmod_info *info = &r->info;
	size_t span = info->header_bytes + (size_t)info->ring_bytes;
	off_t at = (off_t)(cpu * span);
	char *base;
	int code;

	/* Room for all of it first, so that nothing else comes in between. */
	base = mmap(NULL, area_bytes(info), PROT_NONE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (base == MAP_FAILED)
		return bl_err_errno(err, -errno, "room for a ring");
	if (mmap(base, span, PROT_READ, MAP_SHARED | MAP_FIXED, r->fd, at) !=
		    MAP_FAILED &&
	    mmap(base + span, info->ring_bytes, PROT_READ,
		 MAP_SHARED | MAP_FIXED, r->fd,
		 at + info->header_bytes) != MAP_FAILED) {
		/* A child that never runs another program (that which holds a
		 * watchdog) would keep the module in the kernel by it. */
		madvise(base, area_bytes(info), MADV_DONTFORK);
		ret->cpu = cpu;
		ret->header = (const void *)base;
		ret->data = base + info->header_bytes;
		ret->pos = ret->header->tail;
		return 0;
	}
	code = -errno;
	munmap(base, area_bytes(info));
	if (code == -ENXIO)
		return 1;
	return bl_err_errno(err, code, "%s: the ring of CPU %u", BL_KMOD_DEVICE,
			    cpu);
}

static int info_get(int fd, struct bl_kmod_info *ret, struct bl_err *err)
{
	struct bl_kmod_info info;

	if (ioctl(fd, BL_KMOD_INFO, &info))
		return bl_err_errno(err, -errno, BL_KMOD_DEVICE);
	if (info.abi != BL_KMOD_ABI)
		return bl_err_set(
			err, -EPROTONOSUPPORT,
			"%s: the module speaks version %u, this belay %d",
			BL_KMOD_DEVICE, info.abi, BL_KMOD_ABI);
	if (!info.cpus || info.cpus > CPUS_MAX || !info.ring_bytes ||
	    info.ring_bytes > RING_BYTES_MAX ||
	    info.ring_bytes & (info.ring_bytes - 1) ||
	    info.header_bytes < sizeof(struct bl_kmod_ring) ||
	    info.header_bytes > RING_BYTES_MAX)
		return bl_err_set(err, -EBADMSG, "%s: no geometry of rings",
				  BL_KMOD_DEVICE);
	*ret = info;
	return 0;
}

int bl_kmod_reader_open(struct bl_kmod_reader **ret, struct bl_err *err)
{
	bl_autoclose int fd = open(BL_KMOD_DEVICE, O_RDONLY | O_CLOEXEC);
	BL_CLEANUP(bl_kmod_reader_closep) struct bl_kmod_reader *r = NULL;
	struct bl_kmod_info info;
	int code;

	if (fd < 0 && errno == EBUSY)
		return bl_err_set(err, -EBUSY,
				  "%s: somebody else reads its events",
				  BL_KMOD_DEVICE);
	if (fd < 0)
		return bl_err_errno(err, -errno, BL_KMOD_DEVICE);
	code = info_get(fd, &info, err);
	if (code)
		return code;
	r = calloc(1, sizeof(*r) + info.cpus * sizeof(r->rings[0]));
	if (!r)
		return bl_err_set(err, -ENOMEM, "out of memory");
	r->fd = BL_TAKE_FD(fd);
	r->info = info;
	for (uint32_t cpu = 0; cpu < info.cpus; cpu++) {
		code = ring_map(r, cpu, &r->rings[r->count], err);
		if (code < 0)
			return code;
		r->count += !code;
	}
	*ret = BL_TAKE(r);
	return 0;
}

void bl_kmod_reader_close(struct bl_kmod_reader *r)
{
	if (!r)
		return;
	for (unsigned i = 0; i < r->count; i++)
		munmap((void *)r->rings[i].header, area_bytes(&r->info));
	close(r->fd);
	free(r);
}

int bl_kmod_reader_fd(const struct bl_kmod_reader *r)
{
	return r->fd;
}

/* Tells the kernel how far we are. */
static int ring_give_back(const struct bl_kmod_reader *r,
			  const struct ring *ring, struct bl_err *err)
{
	struct bl_kmod_consumed to = { .cpu = ring->cpu, .pos = ring->pos };

	if (ioctl(r->fd, BL_KMOD_CONSUMED, &to))
		return bl_err_errno(err, -errno, "%s: the ring of CPU %u",
				    BL_KMOD_DEVICE, ring->cpu);
	return 0;
}

struct reading {
	bl_event_fn fn;
	void *ctx;
	int count;
	bool stop;
};

/* All records of a ring, to the end or as long as the function wants them. */
static int ring_read(const struct bl_kmod_reader *r, struct ring *ring,
		     struct reading *to, struct bl_err *err)
{
	uint64_t head = __atomic_load_n(&ring->header->head, __ATOMIC_ACQUIRE);
	uint64_t from = ring->pos;
	int code;

	while (ring->pos != head && !to->stop) {
		const struct bl_event *e =
			(const void *)(ring->data +
				       (ring->pos & (r->info.ring_bytes - 1)));
		uint64_t left = head - ring->pos;
		uint64_t room = (e->size + BL_KMOD_ALIGN - 1ULL) &
				~(BL_KMOD_ALIGN - 1ULL);

		if (left > r->info.ring_bytes || !room || room > left) {
			ring->pos = head;
			ring_give_back(r, ring, NULL);
			return bl_err_set(
				err, -EBADMSG,
				"%s: the ring of CPU %u holds no events",
				BL_KMOD_DEVICE, ring->cpu);
		}
		/* Others are of a sensor that speaks another contract. */
		if (bl_event_ok(e, e->size)) {
			to->count++;
			to->stop = to->fn(to->ctx, e, e->size) ||
				   to->count >= EVENTS_AT_ONCE;
		}
		ring->pos += room;
	}
	code = ring->pos == from ? 0 : ring_give_back(r, ring, err);
	return code;
}

static int read_all(struct bl_kmod_reader *r, struct reading *to,
		    struct bl_err *err)
{
	int code = 0;

	for (unsigned i = 0; !code && !to->stop && i < r->count; i++)
		code = ring_read(r, &r->rings[i], to, err);
	return code;
}

int bl_kmod_reader_events(struct bl_kmod_reader *r, int timeout_ms,
			  bl_event_fn fn, void *ctx, struct bl_err *err)
{
	struct pollfd p = { .fd = r->fd, .events = POLLIN };
	struct reading to = { .fn = fn, .ctx = ctx };
	int code = read_all(r, &to, err);

	if (code || to.count || !timeout_ms)
		return code ? code : to.count;
	if (poll(&p, 1, timeout_ms) < 0)
		return bl_err_errno(err, -errno, BL_KMOD_DEVICE);
	code = read_all(r, &to, err);
	return code ? code : to.count;
}

uint64_t bl_kmod_reader_lost(const struct bl_kmod_reader *r)
{
	uint64_t lost = 0;

	for (unsigned i = 0; i < r->count; i++)
		lost += __atomic_load_n(&r->rings[i].header->lost,
					__ATOMIC_RELAXED);
	return lost;
}
