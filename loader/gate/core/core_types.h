/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether a type of an object and a type of a kernel are the same one to a
 * loader. Three questions with three answers, each as libbpf 1.x asks it:
 * fields may differ in size, existing types in almost everything, matching
 * types in almost nothing.
 *
 * For the check "core" alone. Pure. Each answers 1 (yes), 0 (no), -ETIME when
 * the steps of the pair are used up, another -errno when a loader would give
 * up: types nested too deep.
 */
#ifndef BL_GATE_CORE_TYPES_H
#define BL_GATE_CORE_TYPES_H

#include "loader/object/btf.h"

struct bl_core_pair {
	const struct bl_btf *local, *target;
	uint64_t steps; /* left; types from strangers can keep one busy */
};

/* Takes one step: 0, or -ETIME when none is left. */
int bl_core_step(struct bl_core_pair *p);

/* The same kind; the two kinds of enum count as one. */
bool bl_core_kinds_equal(unsigned a, unsigned b);

/* The same name without flavors; of at most BL_CORE_NAME_MAX bytes. */
bool bl_core_names_equal(const char *a, const char *b);

/* A member of type @local is read from one of type @target. */
int bl_core_fields_compatible(struct bl_core_pair *p, uint32_t local,
			      uint32_t target);

/* bpf_core_type_exists, _size and _id_kernel, after the names were equal. */
int bl_core_types_compatible(struct bl_core_pair *p, uint32_t local,
			     uint32_t target);

/* bpf_core_type_matches. */
int bl_core_types_match(struct bl_core_pair *p, uint32_t local,
			uint32_t target);

#endif
