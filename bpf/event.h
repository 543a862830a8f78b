/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * What a sensor tells user space: one struct bl_event per record of the ring
 * buffer bl_events, and counters per CPU in the array bl_stats.
 *
 * Both are read by another program than the one that wrote them, perhaps of
 * another version. So a reader asks bl_event_ok() before it looks inside, and
 * new members go to the end of a struct or into padding.
 *
 * Included by eBPF, by user space and by kernel modules: fixed-width types
 * only, no padding that is not named.
 */
#ifndef BL_BPF_EVENT_H
#define BL_BPF_EVENT_H

#include <linux/types.h>

#define BL_EVENT_PATH_MAX 256 /* with the closing NUL */
#define BL_EVENT_COMM_MAX 16

enum bl_event_kind {
	BL_EVENT_EXEC,	  /* a process became another program */
	BL_EVENT_OPEN,	  /* a file is being opened */
	BL_EVENT_CONNECT, /* a socket connects to an IPv4 or IPv6 address */
	BL_EVENT_DNS,	  /* a name is asked for, over UDP, of port 53 */
	BL_EVENT_KINDS,
};

enum bl_action {
	BL_ACTION_IGNORE, /* say nothing */
	BL_ACTION_EMIT,	  /* report */
	BL_ACTION_DENY,	  /* refuse with EPERM and report; exec and open only */
	BL_ACTIONS,
};

/* Rule of an event that no rule matched: the default action of its kind. */
#define BL_RULE_NONE 0xffffffffU

/* The path is longer than the field; its beginning is there. */
#define BL_EVENT_PATH_CUT 0x1
/*
 * The way up to the root was longer than the sensor walks; the path is the end
 * of the real one and begins without '/'. No rule can be applied to it, so it
 * is always reported.
 */
#define BL_EVENT_PATH_PARTIAL 0x2

/* Also a name in DNS: in small letters, without the last dot; "." is the root.
 * What no name of a host has in it is shown as '?'. */
struct bl_event_path {
	__u16 len;   /* bytes in path, without the NUL */
	__u16 flags; /* BL_EVENT_PATH_… */
	char path[BL_EVENT_PATH_MAX];
};

struct bl_event_addr {
	__u16 family;  /* AF_INET or AF_INET6; a mapped v4 address is AF_INET */
	__u16 port;    /* host byte order */
	__u8 addr[16]; /* network byte order; AF_INET uses the first four */
};

struct bl_event {
	__u16 size;	  /* bytes of this record */
	__u8 kind;	  /* enum bl_event_kind */
	__u8 action;	  /* enum bl_action: what was done */
	__u32 generation; /* that of the loader, not of the content */
	__u32 version;	  /* of the sensor */
	__u32 pid;	  /* the thread, what the kernel calls pid */
	__u32 tgid;	  /* the process, what people call pid */
	__u32 uid;	  /* in the initial user namespace */
	__u32 rule;	  /* index in the content, or BL_RULE_NONE */
	__u32 reserved;
	__u64 ts_ns;	 /* CLOCK_MONOTONIC */
	__u64 cgroup_id; /* of cgroup v2: the inode number of its folder */
	char comm[BL_EVENT_COMM_MAX];
	union {
		struct bl_event_path path; /* exec, open, dns */
		struct bl_event_addr addr; /* connect */
	};
};

/* Bytes before the part that depends on the kind. */
#define BL_EVENT_FIXED __builtin_offsetof(struct bl_event, path)

/* One per CPU; sum them up. Only ever grow. */
struct bl_stats {
	__u64 seen;    /* operations: ignored + emitted + dropped + torn */
	__u64 emitted; /* events in the ring, those of denials included */
	__u64 ignored; /* not reported because content said so */
	__u64 dropped; /* not reported because the ring was full: lost */
	__u64 denied;  /* operations refused */
	/*
	 * Operations let through unseen because every scratch buffer of the CPU
	 * was in use by tasks that this one preempted: lost, never half-right.
	 */
	__u64 torn;
	/* Of content with rules for digests: files that were hashed, and programs
	 * that ran without their digest having been looked up: undecided. */
	__u64 hashed;
	__u64 unhashed;
};

#ifndef __KERNEL__
#ifndef __bpf__
#include <string.h>

/* Whether the @len bytes at @data are an event that may be looked into: sizes
 * fit, kind and action are known, strings end. */
static inline int bl_event_ok(const void *data, unsigned long len)
{
	const struct bl_event *e = data;

	if (len < BL_EVENT_FIXED || e->size < BL_EVENT_FIXED || e->size > len ||
	    e->kind >= BL_EVENT_KINDS || e->action >= BL_ACTIONS ||
	    !memchr(e->comm, 0, sizeof(e->comm)))
		return 0;
	len = e->size - BL_EVENT_FIXED;
	if (e->kind == BL_EVENT_CONNECT)
		return len >= sizeof(struct bl_event_addr);
	return len > 4 && e->path.len < BL_EVENT_PATH_MAX &&
	       (unsigned long)e->path.len + 5 <= len &&
	       !e->path.path[e->path.len];
}
#endif
#endif

#endif
