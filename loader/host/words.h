/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What apply, rollback, recover and history say to people, as text, so that a
 * test can read it. Each function adds whole lines to *ret and returns 0, or
 * -ENOMEM with *ret in part written.
 *
 * The first words of the first line are coloured when @colour is set. Reasons
 * may hold bytes of the kernel or of a stranger; they leave here safe for a
 * terminal.
 */
#ifndef BL_HOST_WORDS_H
#define BL_HOST_WORDS_H

#include "loader/base/buf.h"
#include "loader/host/host.h"

int bl_words_apply(struct bl_buf *ret, const struct bl_manifest *tried,
		   const struct bl_apply_result *res, bool colour);
int bl_words_rollback(struct bl_buf *ret, const struct bl_apply_result *res,
		      bool colour);
int bl_words_recover(struct bl_buf *ret, const struct bl_recover_result *res,
		     bool colour);

/* How a transaction ended, or the phase it is in. */
const char *bl_words_ended(const struct bl_host_txn *txn);

/* "sensor 1.0 (0123456789ab)", or "nothing". */
#define BL_WORDS_WHAT_LEN (2 * BL_NAME_MAX + 32)
const char *bl_words_what(const char *name, const char *version,
			  const char *digest,
			  char ret[static BL_WORDS_WHAT_LEN]);

/* "kept counts, peers; begun empty cache" of "counts:kept peers:kept
 * cache:reset". Returns @ret. */
#define BL_WORDS_MAPS_LEN (BL_HOST_MAPS_LEN + 64)
const char *bl_words_maps(const char *maps, char ret[static BL_WORDS_MAPS_LEN]);

/* @text with control characters and what is not UTF-8 as \xNN. Returns @ret.*/
const char *bl_host_safe(const char *text, char *ret, size_t size);

#endif
