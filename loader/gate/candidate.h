/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is put before the gate: a BPF object, content in JSON, or a bundle that
 * holds both, or kernel modules in the place of the object; and, with
 * --previous, what is live now.
 *
 * It is read once: what is checked, digested and given to kernels are the same
 * bytes. What the file is follows from them, not from its name.
 *
 *	BL_CLEANUP(bl_candidate_free) struct bl_candidate c = { 0 };
 *	struct bl_err why = { 0 };
 *
 *	r = bl_candidate_read("sensor.bpf.o", &c, err);
 *	if (r == 0)
 *		r = bl_candidate_open(&c, &why);
 *
 * The two steps are apart because they fail in different ways: what cannot be
 * read leaves the question open, what is not in order is answered.
 */
#ifndef BL_GATE_CANDIDATE_H
#define BL_GATE_CANDIDATE_H

#include "loader/base/buf.h"
#include "loader/bundle/bundle.h"
#include "loader/bundle/content.h"
#include "loader/object/object.h"
#include "loader/oci/source.h"

enum bl_candidate_kind {
	BL_CANDIDATE_OBJECT,
	BL_CANDIDATE_CONTENT,
	BL_CANDIDATE_BUNDLE,
};

struct bl_candidate {
	const char *path; /* or reference; borrowed */
	enum bl_candidate_kind kind;
	char digest[BL_DIGEST_HEX]; /* of file */
	struct bl_buf file; /* a bundle's own bytes, whatever they came in */
	struct bl_bundle bundle; /* of a bundle */

	bool has_object;
	struct bl_object object;
	const char *object_name; /* for messages; borrowed */

	/* Of a bundle of modules, as many as its manifest has. */
	bool has_modules;
	struct bl_modfile modules[BL_MODULES_MAX];

	bool has_content;
	const char *content_name;	     /* for messages; borrowed */
	const struct bl_buf *json;	     /* as written for people */
	struct bl_buf bin;		     /* as compiled for sensors */
	struct bl_content_info content_info; /* of bin */

	/* The check that bl_candidate_open() was at when it failed. */
	const char *failed_check;
};

void bl_candidate_free(struct bl_candidate *c);

/* Reads it from where it is (loader/oci/source.h; @source may be NULL) and
 * digests it. -errno when that cannot be done. */
int bl_candidate_read(const char *path, const struct bl_source_options *source,
		      struct bl_candidate *ret, struct bl_err *err);

/* The same of bytes that were read before. -ENOMEM. */
int bl_candidate_copy(const char *path, const struct bl_buf *bytes,
		      struct bl_candidate *ret, struct bl_err *err);

/*
 * Takes it apart. -EBADMSG or -EFBIG: it is not in order, err says why and
 * c->failed_check which check found it; what was found in order before stays.
 * -ENOMEM.
 */
int bl_candidate_open(struct bl_candidate *c, struct bl_err *err);

/* "object", "content", "bundle". */
const char *bl_candidate_kind_name(enum bl_candidate_kind kind);

#endif
