/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The maps that an object defines, read from its BTF as libbpf reads them: no
 * kernel and no libbpf is asked.
 *
 *	bl_automaps struct bl_map_list maps = { 0 };
 *	r = bl_map_list_read(&object, &maps, err);
 *	for (i = 0; i < maps.count; i++)
 *		…maps.defs[i].name, maps.defs[i].type
 *
 * Three sources, in this order:
 *  - section .maps: a variable for each map, its parameters as types;
 *  - .struct_ops…: a variable for each set of callbacks, which becomes a map;
 *  - .data…, .rodata…, .bss… and .kconfig: global variables. libbpf makes one
 *    array of one value of each ("implicit" here).
 * The old section "maps", of C structs, is what libbpf 1.0 stopped to read:
 * such maps are not listed, and @legacy says that there are some.
 *
 * The list borrows names and BTF from the object, which must outlive it.
 */
#ifndef BL_OBJECT_MAPDEF_H
#define BL_OBJECT_MAPDEF_H

#include "loader/object/btf.h"
#include "loader/object/object.h"

#define BL_MAPS_MAX	   4096
#define BL_MAP_MEMBERS_MAX 32 /* parameters of one map; libbpf knows 11 */

/* Map types that the linux/bpf.h of Debian 12 does not have yet. */
#define BL_MAP_TYPE_CGRP_STORAGE 32
#define BL_MAP_TYPE_ARENA	 33
#define BL_MAP_TYPE_INSN_ARRAY	 34

struct bl_map_def {
	const char *name;    /* ".rodata" of an implicit one */
	const char *section; /* ".maps", … */
	uint32_t type;	     /* BPF_MAP_TYPE_…, whatever the object says */
	uint32_t key_size, value_size, max_entries, flags; /* bytes; BPF_F_… */
	uint32_t key_type, value_type; /* ids in the list's btf; 0: none */
	uint64_t extra;		       /* map_extra */
	bool pinned;		       /* LIBBPF_PIN_BY_NAME: it stays */
	bool implicit;
	bool sized_by_loader; /* max_entries is 0 and may not stay so */
	/* Of a map of maps: the form of those in it. Owned; may be NULL. */
	struct bl_map_def *inner;
};

struct bl_map_list {
	struct bl_map_def *defs;
	size_t count;
	bool legacy;	   /* there is a "maps" section, which nobody reads */
	struct bl_btf btf; /* the object's; empty if it has none */
};

#define bl_automaps __attribute__((cleanup(bl_map_list_free)))
void bl_map_list_free(struct bl_map_list *l);

/*
 * -EBADMSG when the definitions are damaged, not what libbpf takes, or two have
 * one name; -ENOTSUP
 * when there is a parameter that is not known here, -E2BIG, -ENOMEM. *ret is
 * untouched on failure.
 */
int bl_map_list_read(const struct bl_object *o, struct bl_map_list *ret,
		     struct bl_err *err);

/* The explicit map of that name (not an implicit one); NULL if there is none. */
const struct bl_map_def *bl_map_list_find(const struct bl_map_list *l,
					  const char *name);

#define BL_MAP_TYPE_NAME_LEN 32

/* "percpu_hash": BPF_MAP_TYPE_PERCPU_HASH; "type 99" for a number that is not
 * known here. Returns @ret. */
const char *bl_map_type_name(uint32_t type,
			     char ret[static BL_MAP_TYPE_NAME_LEN]);

/* The number of such a name. -ENOENT. */
int bl_map_type_find(const char *name, uint32_t *ret);

bool bl_map_type_known(uint32_t type);
bool bl_map_type_is_outer(uint32_t type); /* it holds maps */

#endif
