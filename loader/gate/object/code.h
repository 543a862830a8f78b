/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the functions of an object do, read from their bytecode: the helpers,
 * kfuncs and functions that they call, the maps and variables that they use,
 * and which functions a program can reach. No kernel is asked.
 *
 * Usage:
 *
 *	bl_autocode struct bl_code code = { 0 };
 *	struct bl_code_set reached;
 *
 *	r = bl_code_read(&object, &code, err);
 *	bl_code_reach(&code, program, &reached);
 *	for (i = 0; i < code.function_count; i++)
 *		if (bl_code_has(&reached, i))
 *			…the program runs code.functions[i]
 *
 * References are resolved as libbpf does it, quirks included, so that an object
 * cannot show one function to the gate and run another: every function that is
 * called lies in .text; a call without a relocation counts from its own place
 * but lands in .text, wherever it stands; a relocation decides what a call is,
 * whatever its instruction says; a target inside a function means its start.
 *
 * Invariants:
 *  - function i is program i of the object, and its references are in the
 *    order of its instructions, at most one for each;
 *  - every call that the function makes is in the list. One that cannot be
 *    resolved is BL_CODE_UNKNOWN, never left out;
 *  - names belong to the object, which has to outlive this.
 */
#ifndef BL_GATE_CODE_H
#define BL_GATE_CODE_H

#include "loader/object/object.h"

#define BL_CODE_REFS_MAX (1u << 22)

enum bl_code_kind {
	BL_CODE_HELPER,	  /* calls helper .id */
	BL_CODE_KFUNC,	  /* calls .name of the kernel; NULL: BTF id .id */
	BL_CODE_CALL,	  /* calls function .id of the object */
	BL_CODE_POINTER,  /* hands out function .id: a callback */
	BL_CODE_DATA,	  /* uses a map or variable: .name, .section, .offset */
	BL_CODE_EXTERNAL, /* uses .name of the kernel, or of its config */
	BL_CODE_UNKNOWN,  /* a call or a reference that libbpf would refuse */
};

/* One instruction that refers to something outside of its function. */
struct bl_code_ref {
	enum bl_code_kind kind;
	uint32_t insn;	  /* number in the function */
	uint32_t id;	  /* see the kind */
	uint32_t section; /* index, of BL_CODE_DATA */
	uint64_t offset;  /* byte in that section; not checked against it */
	const char *name; /* symbol, or the section if only that is named */
};

struct bl_code_function {
	const struct bl_code_ref *refs;
	size_t ref_count;
};

/* Functions by index. */
struct bl_code_set {
	uint64_t bits[BL_OBJECT_PROGRAMS_MAX / 64];
};

struct bl_code {
	const struct bl_object *object;
	struct bl_code_function *functions; /* as object->programs */
	size_t function_count;
	struct bl_code_ref *refs;    /* of all functions */
	struct bl_code_set *callees; /* of each function, itself */
	size_t ref_count;
};

#define bl_autocode __attribute__((cleanup(bl_code_free)))
void bl_code_free(struct bl_code *c);

/*
 * Reads all functions of @o, those that nobody calls too. -EBADMSG when
 * functions overlap, relocations lie outside or contradict each other or there
 * are two sections .text; -EFBIG with more than BL_CODE_REFS_MAX references;
 * -ENOMEM. *ret is untouched on failure.
 */
int bl_code_read(const struct bl_object *o, struct bl_code *ret,
		 struct bl_err *err);

/* The functions that run when function @from does, itself included: whatever
 * it calls or hands out as a callback, and so on. */
void bl_code_reach(const struct bl_code *c, size_t from,
		   struct bl_code_set *ret);

static inline bool bl_code_has(const struct bl_code_set *set, size_t function)
{
	return set->bits[function / 64] >> (function % 64) & 1;
}

#endif
