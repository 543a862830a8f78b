/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/kern/sensor.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bpf/content.h"
#include "bpf/dns.h"
#include "bpf/sums.h"
#include "loader/base/cleanup.h"

#define FILL_BATCH 4096 /* buckets for one system call */

bool bl_sensor_is(const struct bpf_object *object)
{
	static const char *const maps[] = { BL_MAP_HDR, BL_MAP_SLOTS,
					    BL_MAP_EVENTS, BL_MAP_STATS };

	for (size_t i = 0; i < BL_ARRAY_SIZE(maps); i++)
		if (!bpf_object__find_map_by_name(object, maps[i]))
			return false;
	return true;
}

bool bl_sensor_wants(const void *content, unsigned kind)
{
	const struct bl_content_hdr *hdr = content;

	return hdr && (hdr->kind_rules[kind] ||
		       hdr->default_action[kind] != BL_ACTION_IGNORE);
}

bool bl_sensor_is_dns(const char *program)
{
	return !strncmp(program, BL_DNS_PROGRAM, sizeof(BL_DNS_PROGRAM) - 1);
}

bool bl_sensor_sums(const void *content)
{
	const struct bl_content_hdr *hdr = content;

	return hdr && hdr->kind_types[BL_EVENT_EXEC] >> BL_CONTENT_SHA256 & 1;
}

bool bl_sensor_is_sum(const char *program)
{
	return !strncmp(program, BL_SUM_PROGRAM, sizeof(BL_SUM_PROGRAM) - 1);
}

bool bl_sensor_is_fill(const char *program, bool sensor, bool sleeps)
{
	return sensor && sleeps &&
	       !strncmp(program, BL_SUM_FILL, sizeof(BL_SUM_FILL) - 1);
}

/* Where bl_generation lies in a section of variables; -1 if it does not. */
static long find_number(const struct btf *btf, const struct bpf_map *map)
{
	__u32 id = bpf_map__btf_value_type_id(map);
	const struct btf_type *section;
	const struct btf_var_secinfo *var;

	section = btf && id ? btf__type_by_id(btf, id) : NULL;
	if (!section || !btf_is_datasec(section))
		return -1;
	var = btf_var_secinfos(section);
	for (int i = 0; i < btf_vlen(section); i++, var++) {
		const struct btf_type *t = btf__type_by_id(btf, var->type);
		const char *name = t ? btf__name_by_offset(btf, t->name_off)
				     : NULL;

		if (name && !strcmp(name, "bl_generation") &&
		    var->size == sizeof(uint32_t))
			return var->offset;
	}
	return -1;
}

/* Tells the sensor its generation, if it wants to know. */
static int set_number(struct bpf_object *object, uint32_t number,
		      struct bl_err *err)
{
	struct bpf_map *map;

	bpf_object__for_each_map (map, object) {
		size_t size = 0;
		const char *value = bpf_map__initial_value(map, &size);
		long at = find_number(bpf_object__btf(object), map);
		bl_autofree char *copy = NULL;

		if (!value || at < 0 || at + sizeof(number) > size)
			continue;
		copy = malloc(size);
		if (!copy)
			return bl_err_errno(err, -ENOMEM, "set the generation");
		memcpy(copy, value, size);
		memcpy(copy + at, &number, sizeof(number));
		if (bpf_map__set_initial_value(map, copy, size))
			return bl_err_errno(err, -errno, "set the generation");
	}
	return 0;
}

int bl_sensor_prepare(struct bpf_object *object, const char *name,
		      uint32_t generation, const void *content, size_t len,
		      struct bl_err *err)
{
	const struct bl_content_hdr *hdr = content;
	struct bpf_map *slots =
		bpf_object__find_map_by_name(object, BL_MAP_SLOTS);
	struct bpf_map *sums =
		bpf_object__find_map_by_name(object, BL_SUMS_MAP);
	int r = set_number(object, generation, err);

	if (r || !content)
		return r;
	if (len < sizeof(*hdr) ||
	    len - sizeof(*hdr) < (size_t)hdr->bucket_count *
					 sizeof(struct bl_content_bucket))
		return bl_err_set(err, -EBADMSG, "load %s: content is cut off",
				  name);
	r = bpf_map__set_max_entries(slots, hdr->bucket_count);
	if (!r && sums && bl_sensor_sums(content))
		r = bpf_map__set_max_entries(sums, BL_SUMS_KEPT);
	return r ? bl_err_errno(err, r, "load %s: size of content", name) : 0;
}

static int put(const struct bpf_object *object, const char *map, __u32 key,
	       const void *value, size_t size, struct bl_err *err)
{
	struct bpf_map *m = bpf_object__find_map_by_name(object, map);

	if (bpf_map__value_size(m) != size)
		return bl_err_set(
			err, -EBADMSG,
			"map %s: its values have %u bytes, those of the content %zu: built for another version of belay",
			map, bpf_map__value_size(m), size);
	if (bpf_map_update_elem(bpf_map__fd(m), &key, value, BPF_ANY))
		return bl_err_errno(err, -errno, "fill map %s", map);
	return 0;
}

/* Where the kernel knows no batches. */
static int fill_singly(const struct bpf_object *object,
		       const struct bl_content_bucket *buckets, __u32 count,
		       struct bl_err *err)
{
	int r = 0;

	for (__u32 i = 0; !r && i < count; i++)
		r = put(object, BL_MAP_SLOTS, i, &buckets[i],
			sizeof(buckets[i]), err);
	return r;
}

/*
 * In batches: a system call for thousands of buckets (from 5.6 on), not one
 * for each. Not by memory that is shared with the kernel: a map that its
 * programs may not write (BPF_F_RDONLY_PROG) cannot be mapped for writing.
 */
static int fill_table(const struct bpf_object *object,
		      const struct bl_content_bucket *buckets, __u32 count,
		      struct bl_err *err)
{
	struct bpf_map *map =
		bpf_object__find_map_by_name(object, BL_MAP_SLOTS);
	bl_autofree __u32 *keys = NULL;
	__u32 at, n, i;
	int r;

	/* The first alone: it finds a map of another contract. */
	r = put(object, BL_MAP_SLOTS, 0, buckets, sizeof(*buckets), err);
	if (r)
		return r;
	keys = calloc(FILL_BATCH, sizeof(*keys));
	if (!keys)
		return bl_err_errno(err, -ENOMEM, "fill map " BL_MAP_SLOTS);
	for (at = 0; at < count; at += n) {
		n = count - at < FILL_BATCH ? count - at : FILL_BATCH;
		for (i = 0; i < n; i++)
			keys[i] = at + i;
		/* It leaves in n how many it wrote. */
		if (bpf_map_update_batch(bpf_map__fd(map), keys, &buckets[at],
					 &n, NULL))
			return fill_singly(object, buckets, count, err);
	}
	return 0;
}

int bl_sensor_fill(const struct bpf_object *object, const void *content,
		   struct bl_err *err)
{
	const struct bl_content_hdr *hdr = content;
	int r = fill_table(object, (const struct bl_content_bucket *)(hdr + 1),
			   hdr->bucket_count, err);

	if (!r)
		r = put(object, BL_MAP_HDR, 0, hdr, sizeof(*hdr), err);
	return r;
}

int bl_sensor_report(const struct bpf_object *object, unsigned kinds,
		     struct bl_err *err)
{
	const struct bpf_map *slots =
		bpf_object__find_map_by_name(object, BL_MAP_SLOTS);
	struct bl_content_hdr hdr = {
		.magic = BL_CONTENT_MAGIC,
		.contract = BL_CONTENT_CONTRACT,
		.size = sizeof(hdr),
		/* The rules of before are still in the slots, and not found:
		 * they were stored under another seed. */
		.bucket_count = bpf_map__max_entries(slots),
		.seed = ~0ULL,
	};

	for (unsigned kind = 0; kind < BL_EVENT_KINDS; kind++)
		hdr.default_action[kind] =
			kinds & 1u << kind ? BL_ACTION_EMIT : BL_ACTION_IGNORE;
	return put(object, BL_MAP_HDR, 0, &hdr, sizeof(hdr), err);
}

/* A sensor of another version may have more counters than we know, or fewer. */
int bl_sensor_stats(int fd, struct bl_stats *ret, struct bl_err *err)
{
	struct bpf_map_info info = { 0 };
	__u32 len = sizeof(info), zero = 0;
	int cpus = libbpf_num_possible_cpus();
	bl_autofree char *values = NULL;
	struct bl_stats sum = { 0 };
	size_t stride;

	if (cpus < 0)
		return bl_err_errno(err, cpus, "count the CPUs");
	if (bpf_obj_get_info_by_fd(fd, &info, &len))
		return bl_err_errno(err, -errno, "map " BL_MAP_STATS);
	stride = (info.value_size + 7u) & ~7u;
	values = calloc((size_t)cpus, stride);
	if (!values)
		return bl_err_errno(err, -ENOMEM, "map " BL_MAP_STATS);
	if (bpf_map_lookup_elem(fd, &zero, values))
		return bl_err_errno(err, -errno, "read map " BL_MAP_STATS);
	for (int cpu = 0; cpu < cpus; cpu++) {
		struct bl_stats one = { 0 };

		memcpy(&one, values + (size_t)cpu * stride,
		       stride < sizeof(one) ? stride : sizeof(one));
		sum.seen += one.seen;
		sum.emitted += one.emitted;
		sum.ignored += one.ignored;
		sum.dropped += one.dropped;
		sum.denied += one.denied;
		sum.torn += one.torn;
		sum.hashed += one.hashed;
		sum.unhashed += one.unhashed;
	}
	*ret = sum;
	return 0;
}
