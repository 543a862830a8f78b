/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which serial a bundle had when this host was let load it: the floor under it
 * while it is live, whatever the release's list says later.
 *
 *	serials.json	{ "format": 1, "serials": { DIGEST: 7, … } }
 *
 * beside the files of state.h. Of vouch.c only, with the host's lock held.
 *
 * Invariants:
 *  L1 A serial is noted before its bundle is loaded, so that none is live
 *     without: neither a crash nor a list that comes in between loses it.
 *  L2 It only grows, and what is live keeps its own: of more than
 *     BL_FLOOR_MAX the lowest of the others goes.
 */
#ifndef BL_TRUST_FLOOR_H
#define BL_TRUST_FLOOR_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "loader/base/err.h"

#define BL_FLOOR_FILE	    "serials.json"
#define BL_FLOOR_FILE_BYTES 65536
#define BL_FLOOR_MAX	    64

/* Empty if there is no file; caller drops it. -EBADMSG: it is none that
 * bl_floor_save wrote. */
int bl_floor_load(const char *dir, json_t **ret, struct bl_err *err);

/* 0: none was noted. */
int64_t bl_floor_serial(const json_t *serials, const char *digest);

/* True: it is news. 0 is no serial. @live: stays, NULL for nothing. */
bool bl_floor_note(json_t *serials, const char *digest, int64_t serial,
		   const char *live);

int bl_floor_save(const char *dir, const json_t *serials, struct bl_err *err);

#endif
