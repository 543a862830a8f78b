/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which kernels a check asks: what --kernel names, from the lab's catalogue and
 * the running one.
 */
#ifndef BL_GATE_CHOICE_H
#define BL_GATE_CHOICE_H

#include <stdbool.h>

#include "loader/lab/catalog.h"

struct bl_choice {
	struct bl_catalog catalog;
	const struct bl_kernel **kernels; /* of the catalogue, in its order */
	size_t count;
	bool host; /* the running kernel too */
	bool all;  /* everything that there is was asked for */
};

void bl_choice_free(struct bl_choice *c);

/*
 * Each of the @count @specs is what bl_catalog_select takes, or "host"; none:
 * "all". All includes kernels that are not ready, since what is not ready was
 * not checked either. -ENOENT names the spec that matches nothing.
 */
int bl_choose(const char *const *specs, size_t count, struct bl_choice *ret,
	      struct bl_err *err);

#endif
