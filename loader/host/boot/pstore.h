/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records that a dying kernel left (/sys/fs/pstore), read and moved to where
 * they are kept. What they say is evidence.h's.
 *
 *	bl_pstore_read(dir, since_ms, &text);	judge it
 *	bl_pstore_take(dir, since_ms, folder);	if it is about us
 *
 * Only records of the kernel's log ("dmesg-…") that are not older than asked
 * for are touched: the rest is somebody else's. A record is gone from pstore
 * only once its copy is durable, so the two together can be interrupted
 * anywhere and begun again. Neither fails: a folder that is not there or cannot
 * be read holds no evidence.
 */
#ifndef BL_HOST_PSTORE_H
#define BL_HOST_PSTORE_H

#include <stdbool.h>
#include <stdint.h>

#include "loader/base/buf.h"

#define BL_PSTORE_RECORDS_MAX 64
#define BL_PSTORE_RECORD_MAX  (256u * 1024) /* bytes */
#define BL_PSTORE_KEPT	      8		    /* folders of evidence */

/* Whether a record would be there if this host's kernel had crashed: pstore is
 * mounted and has a backend. */
bool bl_pstore_works(const char *dir);

/* Adds all records of the folders (NULL: none) to *ret, in the order in which
 * the kernel wrote them. @kept are those that were taken before, whatever
 * their age. */
void bl_pstore_read(const char *dir, int64_t since_ms, const char *kept,
		    struct bl_buf *ret);

/* Moves them to the folder @kept, which is made if there are any. */
void bl_pstore_take(const char *dir, int64_t since_ms, const char *kept);

/* Of the folders in @root, named by numbers, leaves the BL_PSTORE_KEPT with the
 * highest. */
void bl_pstore_prune(const char *root);

#endif
