/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernels that an object's relocations are checked against: those chosen
 * of the catalogue, the running one, and what --btf names.
 *
 *	BL_CLEANUP(bl_btf_set_free) struct bl_btf_set set = { 0 };
 *	r = bl_btf_set_fill(&want, &set, err);
 *	r = bl_core_check(&object, set.list, set.count, &report);
 *
 * Nothing is read before the check needs it, and then one at a time. A file
 * that turns out to be none is an undecided finding of its own.
 */
#ifndef BL_GATE_BTF_SET_H
#define BL_GATE_BTF_SET_H

#include "loader/gate/core/core.h"
#include "loader/lab/catalog.h"

#define BL_BTF_SET_MAX 4096 /* kernels */

struct bl_btf_want {
	const struct bl_kernel *const *kernels; /* outlive the set */
	size_t kernel_count;
	bool host; /* the running kernel; its name is "host" */
	/*
	 * Each a file (loader/lab/kbtf.h) or a folder of such files. A kernel
	 * is called as its file, without ".btf" and what follows it. Of a
	 * folder are taken, by name: *.btf, *.btf.*, vmlinux*, vmlinuz*;
	 * folders in it are not entered.
	 */
	const char *const *paths;
	size_t path_count;
};

struct bl_btf_set {
	struct bl_btf_source *list;
	size_t count;
	char **strings; /* that it owns */
	size_t string_count;
};

void bl_btf_set_free(struct bl_btf_set *s);

/*
 * -ENOENT for a path that is not there, or a folder with nothing in it; -E2BIG
 * above BL_BTF_SET_MAX; -ENOMEM. *ret is untouched on failure. A kernel of the
 * catalogue that has no BTF is in the set, with why.
 */
int bl_btf_set_fill(const struct bl_btf_want *want, struct bl_btf_set *ret,
		    struct bl_err *err);

#endif
