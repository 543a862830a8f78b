/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a loader makes of one relocation on one kernel. The rules are those of
 * libbpf 1.x, which every loader follows or embeds:
 *
 *  - candidates are the kernel's types of the same kind and name, flavors
 *    (___x) left out; a candidate that fits one relocation is the only kind
 *    that later ones of the same local type may use;
 *  - fields are found by name through anonymous structs and unions;
 *  - candidates that fit but differ in the result are an error;
 *  - what tests for existence gives 0 or 1 and never fails; a type's size and
 *    id are 0 where there is none; any other miss poisons the instruction, and
 *    the verifier rejects it if it comes there.
 *
 * Usage: open one index per object, one target per kernel, resolve relocations
 * in the order of the object.
 *
 * For the check "core" alone. Pure. Work is bounded by BL_CORE_STEPS_MAX per
 * target, whatever the types are like.
 */
#ifndef BL_GATE_CORE_MATCH_H
#define BL_GATE_CORE_MATCH_H

#include "loader/gate/core/core_relo.h"
#include "loader/gate/core/core_types.h"

#define BL_CORE_STEPS_MAX      (16u << 20)
#define BL_CORE_CANDIDATES_MAX 64 /* types of one name in one kernel */

enum bl_core_outcome {
	BL_CORE_GAVE_UP = 0, /* a limit was met: nothing is known */
	BL_CORE_RESOLVED,    /* to value */
	BL_CORE_POISONED,    /* into an instruction that no verifier takes */
	BL_CORE_REFUSED,     /* the loader takes the object no further */
};

/* What is in the way, of a relocation that is poisoned or refused. */
enum bl_core_why {
	BL_CORE_WHY_NONE,
	BL_CORE_WHY_NO_TYPE,   /* no type of that name and kind */
	BL_CORE_WHY_NO_STEP,   /* … has no such member, value or element */
	BL_CORE_WHY_OTHER,     /* … has one, of another kind of type */
	BL_CORE_WHY_SIZE,      /* … has one of another size, and code reads it
				  as if it were not */
	BL_CORE_WHY_AMBIGUOUS, /* types of that name differ */
	BL_CORE_WHY_FAR,       /* too far into the type for an instruction */
	BL_CORE_WHY_BITFIELD,  /* cannot be read as one integer */
	BL_CORE_WHY_UNNAMED,   /* types without a name cannot be looked for */
	BL_CORE_WHY_DAMAGED,   /* does not fit the object's types or code */
};

struct bl_core_result {
	enum bl_core_outcome outcome;
	enum bl_core_why why;
	bool absent;   /* the kernel has nothing that fits; value is then
			  what loaders put there */
	unsigned fits; /* steps of the access that have a counterpart */
	uint32_t in;   /* the kernel's type that lacks the next one; 0 */
	uint64_t value;
	uint32_t size[2]; /* WHY_SIZE: the object's and the kernel's, bytes */
};

/* The names that the relocations of an object look for. */
struct bl_core_index;
void bl_core_index_free(struct bl_core_index *x);
int bl_core_index_new(const struct bl_core_relos *relos,
		      struct bl_core_index **ret);

/* One kernel, its types of those names found. Borrows all it is given. */
struct bl_core_target;
void bl_core_target_free(struct bl_core_target *t);
int bl_core_target_new(const struct bl_core_index *x, const struct bl_btf *btf,
		       struct bl_core_target **ret);

/* @insn: the instruction, and what follows it in its section; both borrowed
 * for the call. */
struct bl_core_result bl_core_resolve(struct bl_core_target *t,
				      const struct bl_core_relo *relo,
				      const unsigned char *insn, size_t len);

#endif
