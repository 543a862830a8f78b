/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether this host carries an order of its fleet out: what is asked before it
 * is begun, whoever brought it.
 *
 *	r = bl_obey(dir, proof, "web-1", now_ms, &told, err);
 *	if (r == 1)	…go by what *told* says, by nothing else…
 *	if (r == 0)	nobody asks for signatures here: as it was told
 *	bl_obey_begin(dir, &told, err);	before anything of it is done
 *	bl_obey_end(dir, &told, err);	when it is over, well or not
 *
 * What is remembered stands beside the files of state.h:
 *
 *	orders.json	{ "format": 1, "version": 3530000000000, "ended": true }
 *
 * Who asks for signatures:
 *
 *	no root.json				nobody: orders as they come
 *	one, and targets name no "fleet" role	orders as they come; a bundle must
 *						be signed all the same (vouch.h)
 *	one, and targets delegate to "fleet"	only what its key signed (order.h)
 *
 * Invariants:
 *  B1 Where the last is so, nothing is done of an order that is not, and nothing
 *     if it cannot be told (metadata that was never fetched, or cannot be read).
 *  B2 An order to apply wants metadata that has not expired; one to go back does
 *     not (O5).
 *  B3 What is begun is noted before, durably. An order that is given back without
 *     being begun counts again; one that ended does not. What is remembered only
 *     grows, whoever writes.
 */
#ifndef BL_TRUST_OBEY_H
#define BL_TRUST_OBEY_H

#include "loader/trust/order.h"

#define BL_OBEY_FILE	   "orders.json"
#define BL_OBEY_FILE_BYTES 4096

/*
 * @proof: a signed order, as text; NULL: it has none. 1: *ret is the order;
 * 0: nobody asks (*ret untouched). Codes of bl_told_check and bl_tuf_offline, with
 * their words; BL_TRUST_SIGNATURE: there is no proof; -ENOENT: no repository was
 * asked yet.
 */
int bl_obey(const char *dir, const char *proof, const char *host,
	    int64_t now_ms, struct bl_told *ret, struct bl_err *err);

int bl_obey_begin(const char *dir, const struct bl_told *order,
		  struct bl_err *err);
int bl_obey_end(const char *dir, const struct bl_told *order,
		struct bl_err *err);

#endif
