/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which module of a generation a kernel takes, and whether it would take it at
 * all, before it is asked: what is refused here has touched nothing. Pure.
 */
#ifndef BL_KERN_KMOD_CHOOSE_H
#define BL_KERN_KMOD_CHOOSE_H

#include "loader/kern/kmod/kmod_refusal.h"
#include "loader/kern/ops.h"
#include "loader/object/modfile.h"

/* The one that was built for the kernel @release, borrowed, and what it is.
 * -EOPNOTSUPP: there is none; -EBADMSG: one is no module. */
int bl_kmod_choose(const struct bl_generation *gen, const char *release,
		   const struct bl_kern_module **ret, struct bl_modfile *ret_is,
		   struct bl_err *err);

/* -EOPNOTSUPP if a kernel of these facts refuses @m, which is called @file: it
 * takes none, or none that is not signed. */
int bl_kmod_foresee(const struct bl_kmod_facts *f, const struct bl_modfile *m,
		    const char *file, struct bl_err *err);

#endif
