// SPDX-License-Identifier: GPL-2.0-only
/*
 * One ring for each CPU, written by that CPU's hooks, read by user space
 * through a mapping; see abi.h for the protocol.
 *
 * Nothing here is read from a page that user space can write: there is none.
 * The positions that count are in struct bl_cpu; those in the mapped header are
 * copies of them.
 */
#include <linux/cpumask.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/nospec.h>
#include <linux/poll.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>
#include <linux/wait.h>

#include "kmod/sensor.h"

#define HEADER_BYTES PAGE_SIZE

DEFINE_PER_CPU(struct bl_cpu *, bl_cpu);
DEFINE_PER_CPU(struct bl_stats, bl_stats);

static unsigned int ring_bytes;
static DECLARE_WAIT_QUEUE_HEAD(readers);
static DEFINE_MUTEX(consume_lock); /* writers of tail */

/* Waking up takes locks that a hook should not know of. */
static void ring_wake(struct irq_work *work)
{
	wake_up_interruptible(&readers);
}

static struct bl_cpu *cpu_make(int cpu)
{
	struct bl_cpu *c =
		kzalloc_node(sizeof(*c), GFP_KERNEL, cpu_to_node(cpu));

	if (!c)
		return NULL;
	/* Zeroed: whoever maps it sees no byte of anybody else. */
	c->ring = vmalloc_user(HEADER_BYTES + ring_bytes);
	if (!c->ring) {
		kfree(c);
		return NULL;
	}
	c->data = (char *)c->ring + HEADER_BYTES;
	init_irq_work(&c->wake, ring_wake);
	return c;
}

int bl_rings_make(unsigned int bytes)
{
	int cpu;

	ring_bytes = bytes;
	for_each_possible_cpu(cpu)
	{
		per_cpu(bl_cpu, cpu) = cpu_make(cpu);
		if (!per_cpu(bl_cpu, cpu)) {
			bl_rings_free();
			return -ENOMEM;
		}
	}
	return 0;
}

void bl_rings_free(void)
{
	int cpu;

	for_each_possible_cpu(cpu)
	{
		struct bl_cpu *c = per_cpu(bl_cpu, cpu);

		if (!c)
			continue;
		irq_work_sync(&c->wake);
		vfree(c->ring);
		kfree(c);
		per_cpu(bl_cpu, cpu) = NULL;
	}
}

/* Writes @len bytes at a position, around the end of the ring if need be. */
static void ring_write(struct bl_cpu *c, u64 pos, const void *from, size_t len)
{
	size_t at = pos & (ring_bytes - 1);
	size_t first = min_t(size_t, len, ring_bytes - at);

	memcpy(c->data + at, from, first);
	memcpy(c->data, (const char *)from + first, len - first);
}

bool bl_ring_put(struct bl_cpu *c)
{
	static const char zeros[BL_KMOD_ALIGN];
	size_t size = c->event.size;
	size_t room = ALIGN(size, BL_KMOD_ALIGN);
	u64 head = c->head;

	/* Pairs with the release in bl_rings_consumed(): what the reader gave
	 * back is no longer read when we write there. */
	if (head + room - smp_load_acquire(&c->tail) > ring_bytes) {
		WRITE_ONCE(c->ring->lost, c->ring->lost + 1);
		return false;
	}
	ring_write(c, head, &c->event, size);
	ring_write(c, head + size, zeros, room - size);
	WRITE_ONCE(c->head, head + room);
	/* Pairs with the reader's acquire: first the record, then that it is
	 * there. */
	smp_store_release(&c->ring->head, head + room);
	/* Holds a full barrier: either we see the sleeper, or it sees head. */
	if (wq_has_sleeper(&readers))
		irq_work_queue(&c->wake);
	return true;
}

/* Of a number from user space; NULL if there is no such CPU. */
static struct bl_cpu *cpu_named(unsigned long cpu)
{
	if (cpu >= nr_cpu_ids)
		return NULL;
	cpu = array_index_nospec(cpu, nr_cpu_ids);
	return cpu_possible(cpu) ? per_cpu(bl_cpu, cpu) : NULL;
}

int bl_rings_mmap(struct vm_area_struct *vma)
{
	unsigned long span = (HEADER_BYTES + ring_bytes) >> PAGE_SHIFT;
	const struct bl_cpu *c = cpu_named(vma->vm_pgoff / span);

	/* The file is open for reading only, so it cannot become writable. */
	if (!(vma->vm_flags & VM_MAYSHARE) || vma->vm_flags & VM_MAYWRITE)
		return -EINVAL;
	if (!c)
		return -ENXIO;
	/* Refuses what reaches beyond this CPU's area. */
	return remap_vmalloc_range(vma, c->ring, vma->vm_pgoff % span);
}

void bl_rings_wake(void)
{
	wake_up_interruptible(&readers);
}

__poll_t bl_rings_poll(struct file *file, struct poll_table_struct *wait)
{
	int cpu;

	poll_wait(file, &readers, wait);
	/* Pairs with wq_has_sleeper(). */
	smp_mb();
	for_each_possible_cpu(cpu)
	{
		const struct bl_cpu *c = per_cpu(bl_cpu, cpu);

		if (READ_ONCE(c->head) != READ_ONCE(c->tail))
			return EPOLLIN | EPOLLRDNORM;
	}
	return 0;
}

void bl_rings_info(struct bl_kmod_info *ret)
{
	*ret = (struct bl_kmod_info){
		.abi = BL_KMOD_ABI,
		.cpus = nr_cpu_ids,
		.header_bytes = HEADER_BYTES,
		.ring_bytes = ring_bytes,
	};
}

int bl_rings_consumed(const struct bl_kmod_consumed *to)
{
	struct bl_cpu *c = cpu_named(to->cpu);
	int err = 0;

	if (to->reserved)
		return -EINVAL;
	if (!c)
		return -ENXIO;
	mutex_lock(&consume_lock);
	/* From tail to head, told by distances, which do not overflow. */
	if (to->pos % BL_KMOD_ALIGN ||
	    to->pos - c->tail > READ_ONCE(c->head) - c->tail) {
		err = -EINVAL;
	} else {
		smp_store_release(&c->tail, to->pos);
		WRITE_ONCE(c->ring->tail, to->pos);
	}
	mutex_unlock(&consume_lock);
	return err;
}

void bl_stats_sum(struct bl_stats *ret)
{
	struct bl_stats sum = {};
	int cpu;

	for_each_possible_cpu(cpu)
	{
		const struct bl_stats *s = per_cpu_ptr(&bl_stats, cpu);

		sum.seen += READ_ONCE(s->seen);
		sum.emitted += READ_ONCE(s->emitted);
		sum.ignored += READ_ONCE(s->ignored);
		sum.dropped += READ_ONCE(s->dropped);
		sum.denied += READ_ONCE(s->denied);
		sum.torn += READ_ONCE(s->torn);
	}
	*ret = sum;
}

void bl_times_sum(struct bl_times *ret)
{
	struct bl_times sum = {};
	int cpu;

	for_each_possible_cpu(cpu)
	{
		const struct bl_times *t = per_cpu_ptr(&bl_times, cpu);

		sum.runs += READ_ONCE(t->runs);
		sum.ns += READ_ONCE(t->ns);
	}
	*ret = sum;
}
