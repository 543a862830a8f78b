/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Why a kernel does not take a module, for people. The kernel says it with one
 * errno, which may mean three things; what it is told apart by is asked for
 * beforehand and handed in. Pure.
 */
#ifndef BL_KERN_KMOD_REFUSAL_H
#define BL_KERN_KMOD_REFUSAL_H

#include <stdbool.h>

#include "loader/base/err.h"

#define BL_KMOD_WORDS 128

struct bl_kmod_facts {
	char release[BL_KMOD_WORDS];  /* of the kernel that runs */
	char vermagic[BL_KMOD_WORDS]; /* of the module; "": it has none */
	char lockdown[BL_KMOD_WORDS]; /* "integrity" …; "": none, or unknown */
	bool sig_enforced;	      /* only signed modules */
	bool modules_disabled;	      /* no module at all, until it reboots */
	bool privileged;	      /* root, as far as this process knows */
};

/* Sets @err to what finit_module(@name) said, which is @code (a negative
 * errno), why, and what to do. Returns @code. */
int bl_kmod_explain(struct bl_err *err, const char *name, int code,
		    const struct bl_kmod_facts *facts);

#endif
