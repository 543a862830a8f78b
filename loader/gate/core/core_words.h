/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sentences about relocations that failed, for core.c alone. The same for every
 * kernel on which the same thing is missing, so that reports can fold them.
 */
#ifndef BL_GATE_CORE_WORDS_H
#define BL_GATE_CORE_WORDS_H

#include "loader/gate/core/core_match.h"
#include "loader/gate/core/core_reach.h"

struct bl_core_case {
	const struct bl_btf *local, *target;
	const struct bl_core_relo *relo;
	const struct bl_core_result *result;
	enum bl_core_reach reach;
	bool modules;	      /* of the kernel may bring the type */
	const char *function; /* that holds it; NULL: the program itself */
	bool global;	      /* … is one that is verified for itself */
};

/* Both add to what they are given. 0 or -ENOMEM. */
int bl_core_message(const struct bl_core_case *c, struct bl_buf *ret);
int bl_core_hint(const struct bl_core_case *c, struct bl_buf *ret);

#endif
