/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Canonical JSON as TUF signs it (the specification's section 4.2.1; OLPC's
 * dialect): one text for one value. Keys sorted by their bytes, no space, no
 * numbers but whole ones, nothing escaped but '"' and '\'.
 *
 * A key of TUF is known by the SHA-256 of this form of it.
 */
#ifndef BL_TRUST_CANON_H
#define BL_TRUST_CANON_H

#include <jansson.h>

#include "loader/base/buf.h"
#include "loader/base/err.h"
#include "loader/bundle/digest.h"

/* Adds the text of @v to *ret. BL_TRUST_MALFORMED: there is a number with a
 * fraction in it; -ENOMEM. *ret is unchanged on failure. */
int bl_canon(const json_t *v, struct bl_buf *ret, struct bl_err *err);

/* The SHA-256 of that text. */
int bl_canon_digest(const json_t *v, char ret[static BL_DIGEST_HEX],
		    struct bl_err *err);

#endif
