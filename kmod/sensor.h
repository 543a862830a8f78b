/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the files of the module know of each other.
 *
 *	hooks.c    where the kernel calls us; what becomes an event
 *	path.c     the path of a file, as the eBPF sensor says it
 *	content.c  what to report and refuse; swapped as a whole
 *	ring.c     from here to user space, per CPU
 *	main.c     device, sysfs, load and unload
 *
 * Hooks run with preemption off, in process context; they may not sleep, and
 * take no lock. All that they work with belongs to their CPU (struct bl_cpu),
 * or is read under RCU (content).
 */
#ifndef BL_KMOD_SENSOR_H
#define BL_KMOD_SENSOR_H

#include <linux/irq_work.h>
#include <linux/jump_label.h>
#include <linux/percpu.h>
#include <linux/types.h>

#include "bpf/content.h"
#include "bpf/dns.h"
#include "bpf/event.h"
#include "kmod/abi.h"

struct file;
struct vm_area_struct;
struct poll_table_struct;

#define BL_SENSOR_VERSION 1

/* Room for d_path(): what PATH_MAX allows user space to name. */
#define BL_WALK_BYTES 4096

/* What one CPU works with. */
struct bl_cpu {
	unsigned int users;	   /* 1: a hook is at work here */
	struct bl_kmod_ring *ring; /* header and data, seen by user space */
	char *data;
	u64 head, tail; /* the true ones; head is written by this CPU only */
	u64 began_ns;	/* the hook at work; 0: not timed */
	struct irq_work wake;
	struct bl_content_marks marks;
	struct bl_event event;
	struct bl_dns_walk dns;
	const char *path_end; /* behind the whole of the path, in walk */
	char walk[BL_WALK_BYTES];
};

DECLARE_PER_CPU(struct bl_cpu *, bl_cpu);

/* By this_cpu_inc() only, which no interrupt can come into. */
DECLARE_PER_CPU(struct bl_stats, bl_stats);

/* How long hooks took, while that is asked for. Only ever grow. */
struct bl_times {
	u64 runs, ns;
};
DECLARE_PER_CPU(struct bl_times, bl_times);
DECLARE_STATIC_KEY_FALSE(bl_timed);

/* --- hooks.c --- */

/* All hooks in, or none and -errno. Not twice. @deny: also those that refuse. */
int bl_hooks_add(bool deny);

/* Whether the hooks that see datagrams belong in, whenever the others are. -errno:
 * they could not be put in, and are not. Sleeps. */
int bl_hooks_dns(bool in);

/* All hooks out. When it returns, no CPU is in any code of this module on
 * behalf of a hook, nor will be. Sleeps for some grace periods. */
void bl_hooks_remove(void);

/*
 * From now on content may refuse for so long, and then, until it is said again,
 * no more: whoever it locks out need not be able to do anything. Before it was
 * said for the first time it may for ever.
 */
void bl_lease_set(u64 ms);
/* false: it was never said. */
bool bl_lease_left(u64 *ret_ms);

/* The number in each event; set before the hooks are in. */
extern unsigned int bl_generation;

/* --- path.c --- */

/* Fills in c->event.path and c->path_end. */
void bl_path_take(struct bl_cpu *c, struct file *file);

/* --- content.c --- */

struct bl_content;

/* The content that is in force, or NULL. Under rcu_read_lock(). */
const struct bl_content *bl_content_get(void);
const struct bl_content_hdr *bl_content_hdr(const struct bl_content *content);

/* Whether content (NULL: none) could have this kind reported. */
bool bl_content_reports(const struct bl_content *content, u32 kind);

struct bl_match bl_content_of_path(const struct bl_content *content, u32 kind,
				   const struct bl_event_path *path,
				   const char *end,
				   struct bl_content_marks *marks);
struct bl_match bl_content_of_domain(const struct bl_content *content,
				     const struct bl_event_path *name,
				     struct bl_content_marks *marks);
struct bl_match bl_content_of_addr(const struct bl_content *content, bool v6,
				   u64 high, u64 low);

/* Puts the @len bytes at @from in force. May sleep. -errno: as before. */
int bl_content_load(const char __user *from, size_t len, bool deny);
void bl_content_drop(void); /* at unload, without hooks */
u32 bl_content_rules(void);
u32 bl_content_loads(void);

/* --- ring.c --- */

int bl_rings_make(unsigned int ring_bytes);
void bl_rings_free(void); /* without hooks and readers */

/* Puts the event of this CPU into its ring; false: there was no room. */
bool bl_ring_put(struct bl_cpu *c);

int bl_rings_mmap(struct vm_area_struct *vma);
__poll_t bl_rings_poll(struct file *file, struct poll_table_struct *wait);
void bl_rings_wake(void); /* whoever polls looks again */
void bl_rings_info(struct bl_kmod_info *ret);
int bl_rings_consumed(const struct bl_kmod_consumed *to);

/* The sum over all CPUs. */
void bl_stats_sum(struct bl_stats *ret);
void bl_times_sum(struct bl_times *ret);

#endif
