/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What new metadata of a role says otherwise than the old one: for who is to sign
 * it. Pure, and complete: what has no line of its own is in "other", so that
 * nothing is signed that was not shown.
 *
 *	{ "adds": [ { "name", "digest", "size_bytes" } ], "replaces": [ … ],
 *	  "removes": [ "NAME" ],
 *	  "keys_added": [ { "role", "key" } ], "keys_removed": [ … ],
 *	  "thresholds": [ { "role", "was", "is" } ],
 *	  "other": [ "delegations.fleet.paths" ] }
 *
 * Of targets the first three, of the root and of delegations the next three.
 * Version and expiry change with every signing, and are no part of it.
 */
#ifndef BL_TRUST_CHANGE_H
#define BL_TRUST_CHANGE_H

#include <jansson.h>

/* Of bodies ("signed") that were parsed; the caller's. NULL: out of memory. */
json_t *bl_trust_change(const json_t *was, const json_t *is);

#endif
