/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/gate/maps/maps.h"

#include <errno.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "loader/base/cleanup.h"

/* Sizes in the kernel, x86-64. */
#define MAP_STRUCT     512 /* struct bpf_map and what is around it */
#define HASH_ELEMENT   48  /* struct htab_elem before the key */
#define HASH_BUCKET    16
#define POINTER	       8
#define PAGE	       4096
#define TRIE_NODE      40 /* struct lpm_trie_node before the key's data */
#define TRACE_ELEMENT  16 /* struct stack_map_bucket */
#define SOCK_ELEMENT   48 /* struct bpf_shtab_elem before the key */
#define DEV_ELEMENT    96 /* struct bpf_dtab_netdev, in its slab */
#define STORAGE_BUCKET 16
#define STORAGE_EACH   128 /* struct bpf_local_storage and one element */
#define RING_PAGES     3   /* of positions and the header */

/* --- arithmetic ----------------------------------------------------------- */

static uint64_t add(uint64_t a, uint64_t b)
{
	return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

static uint64_t mul(uint64_t a, uint64_t b)
{
	uint64_t n;

	return __builtin_mul_overflow(a, b, &n) ? UINT64_MAX : n;
}

/* Up to a multiple of @to, a power of two. */
static uint64_t round_up(uint64_t n, uint64_t to)
{
	return n > UINT64_MAX - to ? UINT64_MAX : (n + to - 1) & ~(to - 1);
}

static uint64_t power_of_two(uint64_t n)
{
	uint64_t p = 1;

	while (p < n && p < UINT64_C(1) << 40)
		p <<= 1;
	return p;
}

/* What kmalloc gives for @n bytes. */
static uint64_t slab(uint64_t n)
{
	if (n > 64 && n <= 96)
		return 96;
	if (n > 128 && n <= 192)
		return 192;
	return n <= 8 ? 8 : power_of_two(n);
}

/* --- the formulas --------------------------------------------------------- */

static uint64_t array_bytes(const struct bl_map_def *d, unsigned cpus)
{
	uint64_t n = mul(d->max_entries, round_up(d->value_size, 8));

	(void)cpus;
	return d->flags & BPF_F_MMAPABLE ? add(round_up(n, PAGE), PAGE) : n;
}

static uint64_t percpu_array_bytes(const struct bl_map_def *d, unsigned cpus)
{
	return mul(d->max_entries,
		   add(POINTER, mul(round_up(d->value_size, 8), cpus)));
}

static uint64_t pointers_bytes(const struct bl_map_def *d, unsigned cpus)
{
	(void)cpus;
	return mul(d->max_entries, POINTER);
}

static uint64_t perf_bytes(const struct bl_map_def *d, unsigned cpus)
{
	return mul(d->max_entries ? d->max_entries : cpus, POINTER);
}

/* Entries of @each bytes, with a table of buckets. */
static uint64_t hash_of(const struct bl_map_def *d, unsigned cpus,
			uint64_t value, uint64_t beside, uint64_t spare)
{
	uint64_t each = add(HASH_ELEMENT + round_up(d->key_size, 8), value);
	uint64_t n = add(d->max_entries, spare);

	/* The allocator of what comes one by one keeps 8 bytes of its own. */
	if (d->flags & BPF_F_NO_PREALLOC) {
		each = slab(add(each, POINTER));
		n = d->max_entries;
	}
	(void)cpus;
	return add(mul(n, add(each, beside)),
		   mul(power_of_two(d->max_entries), HASH_BUCKET));
}

static uint64_t hash_bytes(const struct bl_map_def *d, unsigned cpus)
{
	return hash_of(d, cpus, round_up(d->value_size, 8), 0, cpus);
}

static uint64_t percpu_hash_bytes(const struct bl_map_def *d, unsigned cpus)
{
	return hash_of(d, cpus, POINTER, mul(round_up(d->value_size, 8), cpus),
		       0);
}

static uint64_t trie_bytes(const struct bl_map_def *d, unsigned cpus)
{
	uint64_t node = add((uint64_t)TRIE_NODE + d->key_size, d->value_size);

	(void)cpus;
	return mul(mul(d->max_entries, 2), slab(node));
}

static uint64_t queue_bytes(const struct bl_map_def *d, unsigned cpus)
{
	(void)cpus;
	return mul((uint64_t)d->max_entries + 1, d->value_size);
}

static uint64_t trace_bytes(const struct bl_map_def *d, unsigned cpus)
{
	(void)cpus;
	return add(mul(d->max_entries, (uint64_t)TRACE_ELEMENT + d->value_size),
		   mul(power_of_two(d->max_entries), POINTER));
}

static uint64_t bloom_bytes(const struct bl_map_def *d, unsigned cpus)
{
	uint64_t hashes = d->extra & 15 ? d->extra & 15 : 5;
	uint64_t bits = power_of_two(d->max_entries * hashes / 5 * 7);

	(void)cpus;
	/* The kernel stops at 2^32 bits. */
	return (bits > UINT64_C(1) << 32 ? UINT64_C(1) << 32 : bits) / 8;
}

static uint64_t ring_bytes(const struct bl_map_def *d, unsigned cpus)
{
	uint64_t n = power_of_two(round_up(d->max_entries, PAGE));
	uint64_t pages = RING_PAGES + 2 * (n / PAGE);

	(void)cpus;
	return add(add(n, RING_PAGES * PAGE), mul(pages, POINTER));
}

static uint64_t sockhash_bytes(const struct bl_map_def *d, unsigned cpus)
{
	uint64_t each = slab(SOCK_ELEMENT + round_up(d->key_size, 8));

	(void)cpus;
	return add(mul(d->max_entries, each),
		   mul(power_of_two(d->max_entries), HASH_BUCKET));
}

static uint64_t devhash_bytes(const struct bl_map_def *d, unsigned cpus)
{
	(void)cpus;
	return add(mul(d->max_entries, DEV_ELEMENT),
		   mul(power_of_two(d->max_entries), POINTER));
}

static uint64_t arena_bytes(const struct bl_map_def *d, unsigned cpus)
{
	(void)cpus;
	return mul(d->max_entries, PAGE);
}

static uint64_t struct_ops_bytes(const struct bl_map_def *d, unsigned cpus)
{
	(void)cpus;
	return 2 * (uint64_t)d->value_size + 2 * PAGE;
}

static uint64_t storage_bytes(const struct bl_map_def *d, unsigned cpus)
{
	(void)d;
	return power_of_two(cpus < 2 ? 2 : cpus) * STORAGE_BUCKET;
}

static uint64_t nothing_bytes(const struct bl_map_def *d, unsigned cpus)
{
	(void)d;
	(void)cpus;
	return 0;
}

static const struct formula {
	uint64_t (*bytes)(const struct bl_map_def *d, unsigned cpus);
	const char *grows_with; /* NULL: its size is what it is */
} formulas[] = {
	[BPF_MAP_TYPE_HASH] = { hash_bytes, NULL },
	[BPF_MAP_TYPE_ARRAY] = { array_bytes, NULL },
	[BPF_MAP_TYPE_PROG_ARRAY] = { pointers_bytes, NULL },
	[BPF_MAP_TYPE_PERF_EVENT_ARRAY] = { perf_bytes, NULL },
	[BPF_MAP_TYPE_PERCPU_HASH] = { percpu_hash_bytes, NULL },
	[BPF_MAP_TYPE_PERCPU_ARRAY] = { percpu_array_bytes, NULL },
	[BPF_MAP_TYPE_STACK_TRACE] = { trace_bytes, NULL },
	[BPF_MAP_TYPE_CGROUP_ARRAY] = { pointers_bytes, NULL },
	[BPF_MAP_TYPE_LRU_HASH] = { hash_bytes, NULL },
	[BPF_MAP_TYPE_LRU_PERCPU_HASH] = { percpu_hash_bytes, NULL },
	[BPF_MAP_TYPE_LPM_TRIE] = { trie_bytes, NULL },
	[BPF_MAP_TYPE_ARRAY_OF_MAPS] = { pointers_bytes, NULL },
	[BPF_MAP_TYPE_HASH_OF_MAPS] = { hash_bytes, NULL },
	[BPF_MAP_TYPE_DEVMAP] = { pointers_bytes, NULL },
	[BPF_MAP_TYPE_SOCKMAP] = { pointers_bytes, NULL },
	[BPF_MAP_TYPE_CPUMAP] = { pointers_bytes, NULL },
	[BPF_MAP_TYPE_XSKMAP] = { pointers_bytes, NULL },
	[BPF_MAP_TYPE_SOCKHASH] = { sockhash_bytes, NULL },
	[BPF_MAP_TYPE_CGROUP_STORAGE] = { nothing_bytes, "cgroup" },
	[BPF_MAP_TYPE_REUSEPORT_SOCKARRAY] = { pointers_bytes, NULL },
	[BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE] = { nothing_bytes, "cgroup" },
	[BPF_MAP_TYPE_QUEUE] = { queue_bytes, NULL },
	[BPF_MAP_TYPE_STACK] = { queue_bytes, NULL },
	[BPF_MAP_TYPE_SK_STORAGE] = { storage_bytes, "socket" },
	[BPF_MAP_TYPE_DEVMAP_HASH] = { devhash_bytes, NULL },
	[BPF_MAP_TYPE_STRUCT_OPS] = { struct_ops_bytes, NULL },
	[BPF_MAP_TYPE_RINGBUF] = { ring_bytes, NULL },
	[BPF_MAP_TYPE_INODE_STORAGE] = { storage_bytes, "inode" },
	[BPF_MAP_TYPE_TASK_STORAGE] = { storage_bytes, "task" },
	[BPF_MAP_TYPE_BLOOM_FILTER] = { bloom_bytes, NULL },
	[BPF_MAP_TYPE_USER_RINGBUF] = { ring_bytes, NULL },
	[BL_MAP_TYPE_CGRP_STORAGE] = { storage_bytes, "cgroup" },
	[BL_MAP_TYPE_ARENA] = { arena_bytes, NULL },
	[BL_MAP_TYPE_INSN_ARRAY] = { array_bytes, NULL },
};

static const struct formula *formula_of(uint32_t type)
{
	if (type >= BL_ARRAY_SIZE(formulas) || !formulas[type].bytes)
		return NULL;
	return &formulas[type];
}

uint64_t bl_map_bytes(const struct bl_map_def *d, unsigned cpus)
{
	const struct formula *f = formula_of(d->type);

	if (!f || d->sized_by_loader)
		return 0;
	return add(MAP_STRUCT, f->bytes(d, cpus));
}

/* --- words ---------------------------------------------------------------- */

const char *bl_maps_size(uint64_t bytes, char ret[static BL_MAPS_SIZE_LEN])
{
	static const char *const units[] = { "B",   "KiB", "MiB", "GiB",
					     "TiB", "PiB", "EiB" };
	double n = (double)bytes;
	size_t i = 0;

	if (bytes == UINT64_MAX) {
		snprintf(ret, BL_MAPS_SIZE_LEN, "over 16 EiB");
		return ret;
	}
	/* 1023.7 KiB would be printed as 1024. */
	while (n >= 1023.5 && i + 1 < BL_ARRAY_SIZE(units)) {
		n /= 1024;
		i++;
	}
	snprintf(ret, BL_MAPS_SIZE_LEN, "%.*f %s", i && n < 9.95 ? 1 : 0, n,
		 units[i]);
	return ret;
}

#define BY_CPUS_LEN 128

/* "12 MiB", or "1.0 MiB on 4 CPUs, 16 MiB on 64, 64 MiB on 256". */
static const char *by_cpus(const uint64_t bytes[3], unsigned cpus,
			   char ret[static BY_CPUS_LEN])
{
	char a[BL_MAPS_SIZE_LEN], b[BL_MAPS_SIZE_LEN], c[BL_MAPS_SIZE_LEN];

	bl_maps_size(bytes[0], a);
	bl_maps_size(bytes[1], b);
	bl_maps_size(bytes[2], c);
	if (strcmp(a, c) == 0 && strcmp(b, c) == 0)
		snprintf(ret, BY_CPUS_LEN, "%s", a);
	else if (cpus == 4 || cpus == 256)
		snprintf(ret, BY_CPUS_LEN, "%s on 4 CPUs, %s on 256", a, c);
	else
		snprintf(ret, BY_CPUS_LEN, "%s on 4 CPUs, %s on %u, %s on 256",
			 a, b, cpus, c);
	return ret;
}

/* --- the check ------------------------------------------------------------ */

struct sum {
	const struct bl_maps_limits *limits;
	unsigned cpus[3];
	uint64_t bytes[3]; /* on so many CPUs; [1] is held against the limits */
	uint64_t largest;
	const char *largest_name;
	size_t sized, unsized;
};

static int say(struct bl_report *report, enum bl_verdict verdict,
	       const char *hint, const char *message)
{
	struct bl_finding f = { .verdict = verdict,
				.check = (char *)"map",
				.message = (char *)message,
				.hint = (char *)hint };

	return bl_report_add(report, &f);
}

/* A map of no size yet. */
static int check_unsized(const struct bl_map_def *d, struct sum *sum,
			 struct bl_report *report)
{
	char type[BL_MAP_TYPE_NAME_LEN], each[BL_MAPS_SIZE_LEN];
	struct bl_map_def one = *d;
	char message[512];

	one.max_entries = 1;
	one.sized_by_loader = false;
	sum->unsized++;
	snprintf(
		message, sizeof(message),
		"map %.100s: %s, sized by its loader: about %s for one entry on %u CPUs, not in the sum",
		d->name, bl_map_type_name(d->type, type),
		bl_maps_size(bl_map_bytes(&one, sum->cpus[1]) - MAP_STRUCT,
			     each),
		sum->cpus[1]);
	return say(report, BL_VERDICT_WARN,
		   "give max_entries, the most that its loader will ask for",
		   message);
}

static int check_sized(const struct bl_map_def *d, struct sum *sum,
		       struct bl_report *report)
{
	const struct formula *f = formula_of(d->type);
	char type[BL_MAP_TYPE_NAME_LEN], size[BL_MAPS_SIZE_LEN];
	char text[BY_CPUS_LEN], message[512], more[128] = "";
	uint64_t bytes[3];
	size_t i;

	for (i = 0; i < 3; i++) {
		bytes[i] = bl_map_bytes(d, sum->cpus[i]);
		sum->bytes[i] = add(sum->bytes[i], bytes[i]);
	}
	sum->sized++;
	if (bytes[1] > sum->largest || !sum->largest_name) {
		sum->largest = bytes[1];
		sum->largest_name = d->name;
	}
	if (d->inner)
		snprintf(more, sizeof(more), "; each map in it: %s",
			 bl_maps_size(bl_map_bytes(d->inner, sum->cpus[1]),
				      size));
	else if (f->grows_with)
		snprintf(more, sizeof(more), "; for each %s about %s more",
			 f->grows_with,
			 bl_maps_size(add(STORAGE_EACH,
					  round_up(d->value_size, 8)),
				      size));
	snprintf(message, sizeof(message),
		 "map %.100s: %s, %u entr%s of %u + %u bytes: %s%s", d->name,
		 bl_map_type_name(d->type, type), d->max_entries,
		 d->max_entries == 1 ? "y" : "ies", d->key_size, d->value_size,
		 by_cpus(bytes, sum->cpus[1], text), more);
	return say(report, BL_VERDICT_PASS, NULL, message);
}

static int check_map(const struct bl_map_def *d, struct sum *sum,
		     struct bl_report *report)
{
	if (!formula_of(d->type))
		return bl_report_note(
			report, BL_VERDICT_UNDECIDED, "map", NULL,
			"map %.100s: of type %u, which is not known here: its memory cannot be told",
			d->name, d->type);
	return d->sized_by_loader ? check_unsized(d, sum, report)
				  : check_sized(d, sum, report);
}

static int check_sum(const struct sum *sum, struct bl_report *report)
{
	char all[BY_CPUS_LEN], limit[BL_MAPS_SIZE_LEN], top[BL_MAPS_SIZE_LEN];
	enum bl_verdict verdict = BL_VERDICT_PASS;
	uint64_t over = 0;
	char message[512], hint[256];

	if (!sum->sized && !sum->unsized)
		return say(report, BL_VERDICT_PASS, NULL, "no maps");
	by_cpus(sum->bytes, sum->cpus[1], all);
	if (sum->bytes[1] > sum->limits->max_bytes) {
		verdict = BL_VERDICT_REJECT;
		over = sum->limits->max_bytes;
	} else if (sum->bytes[1] > sum->limits->warn_bytes) {
		verdict = BL_VERDICT_WARN;
		over = sum->limits->warn_bytes;
	}
	if (verdict == BL_VERDICT_PASS) {
		snprintf(message, sizeof(message), "%zu map%s: %s", sum->sized,
			 sum->sized == 1 ? "" : "s", all);
		return say(report, verdict, NULL, message);
	}
	snprintf(
		message, sizeof(message),
		"%zu map%s: %s: more than %s on %u CPUs; the largest is %.100s with %s",
		sum->sized, sum->sized == 1 ? "" : "s", all,
		bl_maps_size(over, limit), sum->cpus[1], sum->largest_name,
		bl_maps_size(sum->largest, top));
	snprintf(
		hint, sizeof(hint),
		"make %.100s smaller, or raise the limit if this is meant: the kernel takes this memory from every host",
		sum->largest_name);
	return say(report, verdict, hint, message);
}

static int check_list(const struct bl_map_list *list, struct sum *sum,
		      struct bl_report *report)
{
	size_t i;
	int r = 0;

	for (i = 0; r == 0 && i < list->count; i++)
		r = check_map(&list->defs[i], sum, report);
	if (r == 0 && list->legacy)
		r = say(report, BL_VERDICT_REJECT,
			"define its maps in section .maps, by BTF",
			"it has maps in section \"maps\", which libbpf refuses since 1.0");
	return r < 0 ? r : check_sum(sum, report);
}

int bl_maps_check(const struct bl_object *o,
		  const struct bl_maps_limits *limits, struct bl_report *report)
{
	bl_automaps struct bl_map_list list = { 0 };
	struct sum sum = {
		.limits = limits,
		.cpus = { 4, limits->cpus ? limits->cpus : BL_MAPS_CPUS, 256 }
	};
	struct bl_err err = { 0 };
	int r = bl_map_list_read(o, &list, &err);

	if (r == -ENOMEM)
		return r;
	if (r < 0)
		return bl_report_note(report, BL_VERDICT_UNDECIDED, "map", NULL,
				      "its maps cannot be read: %s", err.text);
	return check_list(&list, &sum, report);
}
