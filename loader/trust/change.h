/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What new metadata of a role says otherwise than the old one: for who is to sign
 * it. Pure, and complete: what has no line of its own is in "other", so that
 * nothing is signed that was not shown.
 *
 *	{ "adds": [ { "name", "digest", "size_bytes", "serial",
 *		      "members": [ { "path", "is" } ] } ],
 *	  "replaces": [ { …, "was": { "digest", "size_bytes", "serial" },
 *			  "members": [ { "path", "was", "is" } ] } ],
 *	  "removes": [ "NAME" ],
 *	  "keys_added": [ { "role", "key" } ], "keys_removed": [ … ],
 *	  "thresholds": [ { "role", "was", "is" } ],
 *	  "other": [ "delegations.fleet.paths" ] }
 *
 * Of targets the first three, of the root and of delegations the next three.
 * Version and expiry change with every signing, and are no part of it: who shows
 * this shows them, too.
 *
 * "serial" is what a host reads (fleet.h): a high one makes it refuse all that is
 * released with a lower one later. "members" are what else differs in a target, by
 * path ("custom.note"), as JSON in ASCII; what is longer than BL_CHANGE_VALUE_MAX
 * by the SHA-256 of its canonical form ("sha256:…"). What is not there has no
 * "was", or no "is". In a path, a name of other than letters, digits, '_' and '-'
 * stands in quotes. So all of this can be printed.
 */
#ifndef BL_TRUST_CHANGE_H
#define BL_TRUST_CHANGE_H

#include "loader/trust/metadata.h"

#define BL_CHANGE_VALUE_MAX 80 /* bytes of a value that is shown */

/* Of bodies ("signed") of a root or of targets that were parsed; the caller's.
 * NULL: out of memory. */
json_t *bl_trust_change(enum bl_meta_kind kind, const json_t *was,
			const json_t *is);

#endif
