/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * What user space and the module say to each other over /dev/belay_sensor.
 *
 * Content: one write() of the whole binary form (bpf/content.h). It is checked
 * and takes the place of the old at once, or errno says why not and nothing
 * changed: EBADMSG, no content of this contract; EFBIG; EOPNOTSUPP, it denies
 * and the module was loaded without deny=1.
 *
 * Events: one reader at a time opens it for reading (else EBUSY), asks
 * BL_KMOD_INFO for the geometry and maps, read-only and shared, one area for
 * each CPU:
 *
 *	offset cpu * (header_bytes + ring_bytes):
 *		struct bl_kmod_ring, padded to header_bytes | ring_bytes of data
 *
 * Records are struct bl_event (bpf/event.h), each at a multiple of
 * BL_KMOD_ALIGN, and may wrap around: map the data twice in a row. Positions
 * count bytes since load; a position's place is pos % ring_bytes. All from
 * tail to head (read with acquire) is valid; when the reader is done with some
 * of it, it says how far by BL_KMOD_CONSUMED. poll() says POLLIN while
 * there is something between tail and head of any CPU.
 *
 * The reader has nothing that the kernel reads: all pages are read-only to it,
 * and a position that it hands in is refused unless it lies between tail and
 * head. A reader that lies, stops or dies loses events, and nothing else.
 */
#ifndef BL_KMOD_ABI_H
#define BL_KMOD_ABI_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define BL_KMOD_NAME   "belay_sensor" /* module, device, folder in sysfs */
#define BL_KMOD_DEVICE "/dev/" BL_KMOD_NAME
#define BL_KMOD_SYSFS  "/sys/class/misc/" BL_KMOD_NAME

#define BL_KMOD_ABI   1
#define BL_KMOD_ALIGN 8

struct bl_kmod_info {
	__u32 abi;	    /* BL_KMOD_ABI */
	__u32 cpus;	    /* areas; some may belong to no CPU: ENXIO */
	__u32 header_bytes; /* whole pages */
	__u32 ring_bytes;   /* whole pages, a power of two */
};

/* The first bytes of an area. */
struct bl_kmod_ring {
	__u64 head; /* written up to here */
	__u64 tail; /* consumed up to here, as far as the kernel knows */
	__u64 lost; /* events that found the ring full */
};

struct bl_kmod_consumed {
	__u32 cpu;
	__u32 reserved; /* 0 */
	__u64 pos;	/* a multiple of BL_KMOD_ALIGN from tail to head */
};

#define BL_KMOD_INFO	 _IOR('B', 0xb0, struct bl_kmod_info)
#define BL_KMOD_CONSUMED _IOW('B', 0xb1, struct bl_kmod_consumed)

#endif
