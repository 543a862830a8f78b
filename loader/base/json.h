/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Strict JSON (RFC 8259, parsed by jansson): duplicate and unknown keys, wrong
 * types and numbers out of range are errors that name file, line and field:
 *
 *	content.json:12: rules[3].paht: unknown key (known: id, event, path)
 *
 * Usage: load a document, then read each object with a table of its fields.
 * Values read are borrowed from the document and live as long as it does.
 */
#ifndef BL_BASE_JSON_H
#define BL_BASE_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "loader/base/err.h"

#define BL_JSON_DEPTH_MAX 16
#define BL_JSON_PATH_MAX  512
#define BL_JSON_AT_MAX	  48

struct bl_json_doc {
	json_t *root;
	char *text; /* as read, for line numbers */
	size_t len;
	char *name; /* file name for messages */
	/* Of a piece of a larger document; all zero for a whole one. */
	struct bl_json_place {
		char at[BL_JSON_AT_MAX]; /* its path there: "rules[3]" */
		unsigned lines, columns; /* before it */
	} place;
};

#define bl_autojson_doc __attribute__((cleanup(bl_json_doc_free)))
void bl_json_doc_free(struct bl_json_doc *doc);

/* Copies @text. -EBADMSG with name:line:column when it is not strict JSON. */
int bl_json_parse(const char *name, const char *text, size_t len,
		  struct bl_json_doc *ret, struct bl_err *err);

/*
 * The same for one value of a document that is read piece by piece, whatever
 * its type. Lines and paths in messages are those of the whole; paths given to
 * the functions below begin at the piece.
 */
int bl_json_parse_piece(const char *name, const struct bl_json_place *place,
			const char *text, size_t len, struct bl_json_doc *ret,
			struct bl_err *err);

/* Reads the file (at most @max_bytes) and parses it. */
int bl_json_load(const char *path, size_t max_bytes, struct bl_json_doc *ret,
		 struct bl_err *err);

enum bl_json_type {
	BL_JSON_STRING, /* const char *; min/max: bytes */
	BL_JSON_INT,	/* int64_t; min/max: value */
	BL_JSON_REAL,	/* double (integers accepted); min/max: value */
	BL_JSON_BOOL,	/* bool */
	BL_JSON_OBJECT, /* json_t *; borrowed */
	BL_JSON_ARRAY,	/* json_t *; borrowed; min/max: elements */
	BL_JSON_ANY,	/* json_t *; borrowed; any type but null */
};

struct bl_json_field {
	const char *key;
	enum bl_json_type type;
	bool required;
	size_t offset;	  /* offsetof the member in the target struct */
	int64_t min, max; /* checked unless both are 0 */
};

/*
 * Reads @obj (an object at @path in @doc, "" for the root) into *target by
 * @fields. Members whose key is absent keep their value, so defaults are set
 * before. A string with a NUL byte inside is an error. -EBADMSG on any
 * mismatch; the message names @doc->name, the line and the field.
 */
int bl_json_read(const struct bl_json_doc *doc, const json_t *obj,
		 const char *path, const struct bl_json_field *fields,
		 size_t count, void *target, struct bl_err *err);

/* The same for an object that may hold more than @fields: other keys are let
 * be. For formats of others whose specifications demand that. */
int bl_json_read_known(const struct bl_json_doc *doc, const json_t *obj,
		       const char *path, const struct bl_json_field *fields,
		       size_t count, void *target, struct bl_err *err);

/* An error about the field at @path ("rules[3].path") for checks that a table
 * cannot express. Returns -EBADMSG. */
int bl_json_fail(const struct bl_json_doc *doc, const char *path,
		 struct bl_err *err, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* 1-based line of the value (or key) at @path; 0 when there is none. */
unsigned bl_json_line(const struct bl_json_doc *doc, const char *path);

/* Every text in it as bl_text_clean (text.h) makes it, names of members not: what a
 * stranger says, before it is shown. -ENOMEM: some of it may be as it was. */
int bl_json_clean(json_t *v);

/* Serialises @v (stable: keys sorted, indent 2, newline at the end) and drops
 * the reference. NULL when out of memory. Caller frees. */
char *bl_json_dump(json_t *v);

#define bl_autojson __attribute__((cleanup(bl_json_decref)))
static inline void bl_json_decref(json_t **v)
{
	json_decref(*v);
}

#endif
