/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What metadata.c and the kinds of bodies share. Of metadata.c, metadata_body.c
 * and order.c only.
 */
#ifndef BL_TRUST_METADATA_BODY_H
#define BL_TRUST_METADATA_BODY_H

#include "loader/trust/canon.h"
#include "loader/trust/metadata.h"

/* bl_json_read of the keys that @fields knows; the others are let be (the
 * specification's section 4.1: unrecognized fields). */
int bl_meta_read(const struct bl_json_doc *doc, const json_t *obj,
		 const char *path, const struct bl_json_field *fields,
		 size_t count, void *target, struct bl_err *err);

/* Checks m->body by m->kind and sets version, expiry and consistent. */
int bl_meta_read_body(struct bl_meta *m, struct bl_err *err);

/* The body of an order (order.c). */
int bl_meta_read_order(struct bl_meta *m, struct bl_err *err);

static inline const char *bl_meta_string(const json_t *obj, const char *key)
{
	return json_string_value(json_object_get(obj, key));
}

/* Of a kind and scheme that belay can verify. */
bool bl_meta_key_usable(const json_t *key);

#endif
