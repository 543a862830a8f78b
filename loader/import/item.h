/* SPDX-License-Identifier: Apache-2.0 */
/* An indicator that may become a rule, between iocs.c, which judges it, and
 * iocs_write.c, which sorts, merges and writes. Of these two only. */
#ifndef BL_IMPORT_ITEM_H
#define BL_IMPORT_ITEM_H

#include <stdint.h>

#include "loader/import/iocs.h"

struct bl_ioc_item {
	uint64_t high, low; /* an address; of a text, high is its offset */
	uint32_t source;
	uint8_t type; /* enum bl_content_type */
	uint8_t bits;
	uint8_t kinds; /* a bit for each enum bl_event_kind */
	uint8_t action;
	uint8_t row;  /* of its type's counts */
	uint8_t base; /* a rule of the base: only there to win */
	uint8_t widened;
	uint8_t second; /* of one indicator: its fate is not counted */
};

_Static_assert(sizeof(struct bl_ioc_item) == 32, "as iocs.h says");

/* Whether it is an address, and so has no text. */
static inline bool bl_ioc_item_net(const struct bl_ioc_item *it)
{
	return it->type == BL_CONTENT_NET4 || it->type == BL_CONTENT_NET6;
}

/* Adds it, with its @path or name (NULL: none). -ENOMEM. */
int bl_ioc_item_add(struct bl_iocs *set, struct bl_ioc_item *it,
		    const char *path, struct bl_err *err);

#endif
