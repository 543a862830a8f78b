/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/kern/ask/mapless.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* The map that libbpf could not make; NULL if it was something else. */
static struct bpf_map *failed_map(const struct bpf_object *obj,
				  const char *said)
{
	const char *at = strstr(said, "': failed to create: "), *name = at;
	struct bpf_map *map;

	while (name && name > said && name[-1] != '\'')
		name--;
	if (!at || name == said)
		return NULL;
	bpf_object__for_each_map (map, obj)
		if (strlen(bpf_map__name(map)) == (size_t)(at - name) &&
		    strncmp(bpf_map__name(map), name, (size_t)(at - name)) == 0)
			return map;
	return NULL;
}

/* A map that cannot be made: for want of its type, or of what only its loader
 * knows, or for what the object asks of it. */
static enum bl_load_status judge_map(struct bpf_map *map, int code,
				     char *ret_why, size_t size)
{
	enum bpf_map_type type = bpf_map__type(map);
	const char *name = bpf_map__name(map);
	bool outer = type == BPF_MAP_TYPE_ARRAY_OF_MAPS ||
		     type == BPF_MAP_TYPE_HASH_OF_MAPS;

	if (code == -ENOMEM) {
		snprintf(ret_why, size,
			 "map %s cannot be made here: not enough memory", name);
		return BL_LOAD_UNDECIDED;
	}
	if (libbpf_probe_bpf_map_type(type, NULL) == 0) {
		snprintf(ret_why, size,
			 "this kernel does not know the type of map %s", name);
		return BL_LOAD_MISSING;
	}
	if (outer && !bpf_map__inner_map(map)) {
		snprintf(ret_why, size,
			 "only its loader knows which maps go into map %s",
			 name);
		return BL_LOAD_UNDECIDED;
	}
	if (!bpf_map__value_size(map) && type != BPF_MAP_TYPE_RINGBUF &&
	    type != BPF_MAP_TYPE_USER_RINGBUF) {
		snprintf(ret_why, size,
			 "only its loader knows the size of values of map %s",
			 name);
		return BL_LOAD_UNDECIDED;
	}
	return BL_LOAD_REJECTED;
}

void bl_mapless_judge(const struct bpf_object *obj, const char *said, int code,
		      enum bl_load_status *ret, char *ret_why, size_t size)
{
	struct bpf_map *map = failed_map(obj, said);

	if (map)
		*ret = judge_map(map, code, ret_why, size);
}
