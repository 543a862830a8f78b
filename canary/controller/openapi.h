/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The description of the API for machines: openapi.json, which the program has
 * in itself. tests/unit/test_openapi.c holds it against the table of paths, and
 * real answers against its schemas.
 */
#ifndef BL_CANARY_OPENAPI_H
#define BL_CANARY_OPENAPI_H

#include <stddef.h>

/* The document, which is the program's own; *ret_len bytes, no NUL behind. */
const char *bl_openapi(size_t *ret_len);

#endif
