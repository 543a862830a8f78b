/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The CO-RE relocations of an object: places in its code that depend on how a
 * kernel lays out its types, as .BTF.ext lists them (Documentation/bpf/
 * llvm_reloc.rst), and what each of them means in the object's own BTF.
 *
 *	bl_autorelos struct bl_core_relos relos = { 0 };
 *	r = bl_core_relos_read(&object, &relos, err);
 *	r = bl_core_spec_read(&relos.btf, &relos.list[0], &spec);
 *
 * For the check "core" alone (core.h). Pure. Borrows from the object.
 */
#ifndef BL_GATE_CORE_RELO_H
#define BL_GATE_CORE_RELO_H

#include <linux/bpf.h>

#include "loader/base/buf.h"
#include "loader/object/btf.h"
#include "loader/object/object.h"

#define BL_CORE_RELOS_MAX 65536
#define BL_CORE_DEPTH_MAX 64  /* steps of one access, as libbpf has it */
#define BL_CORE_NAME_MAX  512 /* bytes of a name that is compared */

struct bl_core_relo {
	size_t section;	    /* its index in the object */
	size_t offset;	    /* of the instruction, bytes; within the section */
	uint32_t type;	    /* in the object's BTF: where the access begins */
	unsigned kind;	    /* BPF_CORE_… */
	const char *access; /* "0:1:2": an index at each step */
};

struct bl_core_relos {
	struct bl_btf btf; /* the object's own */
	struct bl_core_relo *list;
	size_t count;
};

#define bl_autorelos __attribute__((cleanup(bl_core_relos_free)))
void bl_core_relos_free(struct bl_core_relos *r);

/*
 * All of them, in the order in which a loader takes them. None at all is no
 * error (and then *ret may have no BTF). -EBADMSG, -ENOTSUP or -EFBIG for what
 * libbpf would refuse too, -ENOMEM.
 */
int bl_core_relos_read(const struct bl_object *o, struct bl_core_relos *ret,
		       struct bl_err *err);

/* One step of an access. */
struct bl_core_step {
	uint32_t type;	  /* struct, union or enum of the name; else element */
	uint32_t index;	  /* of the member, value or element */
	const char *name; /* NULL: an element of an array */
};

/* An access with anonymous structs and unions left out. */
struct bl_core_spec {
	uint32_t root;
	unsigned kind;
	uint64_t bit_offset; /* from the root; of a field */
	unsigned raw;	     /* steps with the anonymous ones */
	unsigned count;
	struct bl_core_step steps[BL_CORE_DEPTH_MAX];
};

enum bl_core_class {
	BL_CORE_UNKNOWN,
	BL_CORE_FIELD,
	BL_CORE_TYPE,
	BL_CORE_ENUM,
};
enum bl_core_class bl_core_class(unsigned kind);

/* -EINVAL when the access does not fit the object's own types, -E2BIG. */
int bl_core_spec_read(const struct bl_btf *b, const struct bl_core_relo *relo,
		      struct bl_core_spec *ret);

/* Whether @a, of the member that @outer names, may be read beyond its end. */
bool bl_core_flexible(const struct bl_btf *b, const struct bl_core_step *outer,
		      const struct bl_btf_array *a);

/*
 * Length of a name without its flavor: "task_struct___old" is task_struct.
 * Names above BL_CORE_NAME_MAX have none: 0.
 */
size_t bl_core_name_len(const char *name);

/*
 * As a person would write it: "struct task_struct", and the first @count steps
 * below it: "mm.pgd", "comm[3]". Both add to *ret; -ENOMEM.
 */
int bl_core_type_words(const struct bl_btf *b, uint32_t type,
		       struct bl_buf *ret);
int bl_core_path_words(const struct bl_core_spec *spec, unsigned count,
		       struct bl_buf *ret);

#endif
