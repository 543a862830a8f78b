/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ways of one program on one kernel, as verifiers follow them; for
 * core_reach.c alone, which judges what lies on them. Pure.
 */
#ifndef BL_GATE_CORE_WALK_H
#define BL_GATE_CORE_WALK_H

#include "loader/gate/core/core_reach.h"
#include "loader/gate/core/core_state.h"

#define BL_CORE_NONE UINT32_MAX

/*
 * A place where a way begins, with what is known there. Ways are straight: each
 * ends where it splits, meets another or stops.
 */
struct bl_core_point {
	struct bl_core_state state;
	uint32_t function, at;
	uint32_t next;	/* another state at the same place */
	uint32_t to[2]; /* where its way leads; NONE */
	bool choice;	/* a verifier may know which of the two */
	bool queued;
	uint32_t poison; /* relocation at which its way stops; NONE */
};

/* What a function gives back. */
struct bl_core_given {
	bool any;
	struct bl_core_cell value;
};

struct bl_core_walk {
	const struct bl_core_flow *flow;
	const struct bl_core_relo *relos;
	const struct bl_core_result *results;
	uint64_t *steps;
	struct bl_core_point *points;
	uint32_t count, room;
	uint32_t *queue;
	uint32_t queue_len, queue_room;
	uint32_t *heads; /* of each node: its first point, plus 1 */
	struct bl_core_given *outcomes; /* of each function */
	bool limited;			/* something was not walked */
	bool out_of_memory;
};

void bl_core_walk_free(struct bl_core_walk *w);

/* Takes @cost steps; false when there are not as many left. */
bool bl_core_walk_step(struct bl_core_walk *w, uint64_t cost);

/*
 * Follows every way of @program; @set are the functions that it may run. The
 * first point is its beginning. *w has flow, relos, results and steps, the rest
 * is zero. 0 or -ENOMEM.
 */
int bl_core_walk_program(struct bl_core_walk *w, uint32_t program,
			 const struct bl_code_set *set);

#endif
