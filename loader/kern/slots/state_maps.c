/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/kern/slots/state_maps.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/kern/slots/instance.h"

/* A key that goes while its successor is asked for sends the listing back to
 * the start of a hash. So many times the map, and no more. */
#define PASSES_MAX 8

/* Entries that are copied at once: so many, or so many bytes of them. */
#define BATCH_MAX   4096u
#define BATCH_BYTES (4u << 20)

static enum bl_slot other(enum bl_slot slot)
{
	return slot == BL_SLOT_A ? BL_SLOT_B : BL_SLOT_A;
}

static int info_of(const char *name, int fd, struct bpf_map_info *ret,
		   struct bl_err *err)
{
	struct bpf_map_info info = { 0 };
	__u32 len = sizeof(info);

	if (bpf_obj_get_info_by_fd(fd, &info, &len))
		return bl_err_errno(err, -errno, "map %s", name);
	*ret = info;
	return 0;
}

/* --- one map for both ----------------------------------------------------- */

static int share_one(const char *pin_dir, enum bl_slot from,
		     struct bpf_object *object, const char *name,
		     struct bl_err *err)
{
	struct bpf_map *map = bpf_object__find_map_by_name(object, name);
	bl_autoclose int fd = bl_pin_get(pin_dir, from, BL_PIN_MAP, name, err);
	struct bpf_map_info info;
	int r;

	if (fd < 0)
		return bl_err_wrap(err, fd, "keep map %s", name);
	r = info_of(name, fd, &info, err);
	if (r)
		return r;
	/* libbpf would take over whatever sizes the kernel's map has. */
	if (!map || bpf_map__type(map) != info.type ||
	    bpf_map__key_size(map) != info.key_size ||
	    bpf_map__value_size(map) != info.value_size ||
	    bpf_map__map_flags(map) != info.map_flags)
		return bl_err_set(
			err, -EINVAL,
			"keep map %s: the kernel's is not what the new version defines",
			name);
	if (bpf_map__reuse_fd(map, fd))
		return bl_err_errno(err, -errno, "keep map %s", name);
	return 0;
}

int bl_state_share(const char *pin_dir, enum bl_slot slot,
		   struct bpf_object *object, const struct bl_carry *carry,
		   struct bl_err *err)
{
	for (size_t i = 0; carry && i < carry->count; i++) {
		struct bl_err why = { 0 };
		int r = 0;

		if (carry->maps[i].way == BL_CARRY_SHARE)
			r = share_one(pin_dir, other(slot), object,
				      carry->maps[i].name, &why);
		if (!r || carry->back)
			continue;
		if (err)
			*err = why;
		return r;
	}
	return 0;
}

/* --- entries into another map --------------------------------------------- */

/* One map on its way. */
struct copy {
	const char *name;
	int from, to;
	struct bpf_map_info old, new;
	unsigned cpus; /* values of one key; 1 unless they are per CPU */
	unsigned char *key, *next, *value, *grown;
};

static void copy_free(struct copy *c)
{
	free(c->key);
	free(c->next);
	free(c->value);
	free(c->grown);
	if (c->from >= 0)
		close(c->from);
	if (c->to >= 0)
		close(c->to);
}

static bool is_percpu(uint32_t type)
{
	return type == BPF_MAP_TYPE_PERCPU_HASH ||
	       type == BPF_MAP_TYPE_LRU_PERCPU_HASH ||
	       type == BPF_MAP_TYPE_PERCPU_ARRAY;
}

/* Bytes from one value to the next one, of another CPU or entry. */
static size_t stride(const struct bpf_map_info *info)
{
	return is_percpu(info->type)
		       ? (info->value_size + (size_t)7) & ~(size_t)7
		       : info->value_size;
}

static int open_copy(const char *pin_dir, enum bl_slot slot, struct copy *c,
		     struct bl_err *err)
{
	int cpus = libbpf_num_possible_cpus();
	int r;

	c->from = bl_pin_get(pin_dir, other(slot), BL_PIN_MAP, c->name, err);
	if (c->from < 0)
		return c->from;
	c->to = bl_pin_get(pin_dir, slot, BL_PIN_MAP, c->name, err);
	if (c->to < 0)
		return c->to;
	r = info_of(c->name, c->from, &c->old, err);
	if (!r)
		r = info_of(c->name, c->to, &c->new, err);
	if (r)
		return r;
	if (cpus < 0)
		return bl_err_errno(err, cpus, "count the CPUs");
	if (c->old.type != c->new.type || c->old.key_size != c->new.key_size ||
	    c->old.value_size > c->new.value_size)
		return bl_err_set(
			err, -EINVAL,
			"the kernel's map is not what the live version defines");
	c->cpus = is_percpu(c->old.type) ? (unsigned)cpus : 1;
	c->key = calloc(1, c->old.key_size);
	c->next = calloc(1, c->old.key_size);
	c->value = calloc(c->cpus, stride(&c->old));
	c->grown = calloc(c->cpus, stride(&c->new));
	return c->key && c->next && c->value && c->grown
		       ? 0
		       : bl_err_errno(err, -ENOMEM, "entries");
}

/* @count values as the new map has them. What @to has behind the old size is
 * zero and stays so. */
static void grow(const struct copy *c, unsigned char *to,
		 const unsigned char *from, size_t count)
{
	size_t was = stride(&c->old), is = stride(&c->new);

	for (size_t i = 0; i < count * c->cpus; i++)
		memcpy(to + i * is, from + i * was, c->old.value_size);
}

/* The entry at c->next, if it is still there. */
static int copy_entry(struct copy *c, struct bl_err *err)
{
	if (bpf_map_lookup_elem(c->from, c->next, c->value))
		return errno == ENOENT
			       ? 0
			       : bl_err_errno(err, -errno, "read an entry");
	grow(c, c->grown, c->value, 1);
	if (bpf_map_update_elem(c->to, c->next, c->grown, BPF_ANY))
		return bl_err_errno(err, -errno, "write an entry");
	return 0;
}

static int copy_entries(struct copy *c, struct bl_err *err)
{
	uint64_t left = ((uint64_t)c->old.max_entries + 1) * PASSES_MAX;
	const unsigned char *after = NULL;

	while (!bpf_map_get_next_key(c->from, after, c->next)) {
		int r = copy_entry(c, err);

		if (r)
			return r;
		if (!--left)
			return bl_err_set(
				err, -EAGAIN,
				"its entries come and go faster than they can be copied");
		memcpy(c->key, c->next, c->old.key_size);
		after = c->key;
	}
	return errno == ENOENT ? 0
			       : bl_err_errno(err, -errno, "list its entries");
}

/* Room for many entries at once. */
struct batch {
	__u32 room; /* entries */
	unsigned char *keys, *values, *grown, *at;
};

static void batch_free(struct batch *b)
{
	free(b->keys);
	free(b->values);
	free(b->grown);
	free(b->at);
}

static int batch_make(const struct copy *c, struct batch *ret)
{
	size_t each = c->old.key_size + c->cpus * stride(&c->new);
	struct batch b = { .room = BATCH_MAX };

	if (each > BATCH_BYTES / BATCH_MAX)
		b.room = (__u32)(BATCH_BYTES / each) + 1;
	b.keys = calloc(b.room, c->old.key_size);
	b.values = calloc(b.room, c->cpus * stride(&c->old));
	b.grown = calloc(b.room, c->cpus * stride(&c->new));
	/* Where the listing stands, as the kernel has it: a number or a key. */
	b.at = calloc(1, c->old.key_size + sizeof(__u64));
	if (!b.keys || !b.values || !b.grown || !b.at) {
		batch_free(&b);
		return -ENOMEM;
	}
	*ret = b;
	return 0;
}

/* The entries from where *b stands on. 1: these were the last. */
static int copy_batch(const struct copy *c, struct batch *b, bool first)
{
	__u32 count = b->room, done;
	int r = 0;

	if (bpf_map_lookup_batch(c->from, first ? NULL : b->at, b->at, b->keys,
				 b->values, &count, NULL))
		r = -errno;
	if (r && r != -ENOENT)
		return r;
	grow(c, b->grown, b->values, count);
	done = count;
	if (count &&
	    bpf_map_update_batch(c->to, b->keys, b->grown, &done, NULL))
		return -errno;
	return r ? 1 : 0;
}

/*
 * Thousands of entries with two calls; and a hash is listed by its buckets, so
 * that an entry which goes does not send the listing back. Negative where the
 * kernel cannot (before 5.6; tries before 5.12, per-CPU arrays before 5.13), or
 * a bucket does not fit: the slow way is still there.
 */
static int copy_batches(const struct copy *c)
{
	BL_CLEANUP(batch_free) struct batch b = { 0 };
	int r = batch_make(c, &b);

	for (bool first = true; !r; first = false)
		r = copy_batch(c, &b, first);
	return r < 0 ? r : 0;
}

static int copy_one(const char *pin_dir, enum bl_slot slot, const char *name,
		    struct bl_err *err)
{
	BL_CLEANUP(copy_free)
	struct copy c = { .name = name, .from = -1, .to = -1 };
	int r = open_copy(pin_dir, slot, &c, err);

	/* What was copied by then is copied again, to the same effect. */
	if (!r && copy_batches(&c))
		r = copy_entries(&c, err);
	return r ? bl_err_wrap(err, r, "migrate map %s", name) : 0;
}

void bl_state_copies_free(struct bl_state_copies *c)
{
	for (size_t i = 0; i < c->count; i++)
		free(c->names[i]);
	free(c->names);
	*c = (struct bl_state_copies){ 0 };
}

int bl_state_copies_make(const struct bl_carry *carry,
			 struct bl_state_copies *ret, struct bl_err *err)
{
	BL_CLEANUP(bl_state_copies_free) struct bl_state_copies c = { 0 };

	if (!carry || !carry->count)
		return 0;
	c.back = carry->back;
	c.names = calloc(carry->count, sizeof(*c.names));
	for (size_t i = 0; c.names && i < carry->count; i++) {
		if (carry->maps[i].way != BL_CARRY_COPY)
			continue;
		c.names[c.count] = strdup(carry->maps[i].name);
		if (!c.names[c.count])
			return bl_err_errno(err, -ENOMEM, "maps to migrate");
		c.count++;
	}
	if (!c.names)
		return bl_err_errno(err, -ENOMEM, "maps to migrate");
	*ret = c;
	c = (struct bl_state_copies){ 0 };
	return 0;
}

int bl_state_copy(const char *pin_dir, enum bl_slot slot,
		  const struct bl_state_copies *copies, struct bl_err *err)
{
	for (size_t i = 0; i < copies->count; i++) {
		struct bl_err why = { 0 };
		int r = copy_one(pin_dir, slot, copies->names[i], &why);

		if (!r || copies->back)
			continue;
		if (err)
			*err = why;
		return r;
	}
	return 0;
}

/* --- facts ---------------------------------------------------------------- */

int bl_kern_map(void *kern, enum bl_slot slot, const char *name,
		struct bl_map_fact *ret, struct bl_err *err)
{
	const struct bl_kern_bpf *k = kern;
	struct bl_err why = { 0 };
	bl_autoclose int fd =
		bl_pin_get(k->pin_dir, slot, BL_PIN_MAP, name, &why);
	struct bpf_map_info info;
	int r;

	if (fd == -ENOENT) {
		*ret = (struct bl_map_fact){ .state = BL_MAP_GONE };
		return 0;
	}
	if (fd < 0 && err)
		*err = why;
	r = fd < 0 ? fd : info_of(name, fd, &info, err);
	if (!r)
		*ret = (struct bl_map_fact){ BL_MAP_THERE, info.type,
					     info.key_size, info.value_size };
	return r;
}
