/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An object whose load failed at a map: whether the kernel lacks the map's
 * type, or only its loader knows what the map needs, or it asks for what
 * cannot be. For verify.c.
 */
#ifndef BL_KERN_MAPLESS_H
#define BL_KERN_MAPLESS_H

#include <bpf/libbpf.h>

#include "loader/kern/facts.h"

/*
 * @obj is open, @said what libbpf said when its load failed with @code. If that
 * was about a map, *ret is what it means for every program, and @ret_why (of
 * @size bytes) says it; else both stay as they are.
 */
void bl_mapless_judge(const struct bpf_object *obj, const char *said, int code,
		      enum bl_load_status *ret, char *ret_why, size_t size);

#endif
