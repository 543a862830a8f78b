/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a host of the fleet says, a line at a time (guest.sh). Pure.
 *
 *	@boot			its script runs: the kernel is up
 *	@beat ok MS		somebody could use this host when its clock said so
 *	@beat bad WHY		nobody could
 *	@load VERSION		way A: it is about to load it; then one of
 *	@loaded VERSION
 *	@refused WHAT
 *	@history JSON		belay history --json
 *	@remains NAME TEXT	what its last kernel left; newlines as BL_LINE_BREAK
 *	@ended agent, @killed agent
 *
 * Everything else is what programs say there: a line of its log. A line that
 * two programs wrote into one another is one of these as well.
 */
#ifndef BL_CANARY_COMPARE_LINE_H
#define BL_CANARY_COMPARE_LINE_H

#include <stddef.h>

#include "loader/base/buf.h"

#define BL_LINE_BREAK '\x1e'
#define BL_LINE_MAX   (64u << 10) /* bytes; of a longer one the end goes */

enum bl_line_kind {
	BL_LINE_LOG,
	BL_LINE_BOOT,
	BL_LINE_GOOD,
	BL_LINE_BAD,
	BL_LINE_LOAD,
	BL_LINE_LOADED,
	BL_LINE_REFUSED,
	BL_LINE_HISTORY,
	BL_LINE_REMAINS,
	BL_LINE_ENDED,
	BL_LINE_KILLED,
};

/* *ret_rest is what stands behind the word (all of it for a LOG). */
enum bl_line_kind bl_line_read(const char *line, const char **ret_rest);

/*
 * Takes the next whole line out of @text, of which *at bytes were taken before,
 * into *ret (emptied first), without its end. 1; 0: there is none yet, *at is
 * as it was; -ENOMEM.
 */
int bl_line_next(const char *text, size_t len, size_t *at, struct bl_buf *ret);

#endif
