/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbered operations, and which of them had an event.
 *
 * An operation is a connect() of a datagram socket into 127.0.0.0/8: it sends
 * no packet, whatever it answers the sensor has seen it, and its event carries
 * the address and the port, which together are the number. So every operation
 * is known again, and what became of each is counted, not estimated.
 *
 *	bl_autotally struct bl_tally t = { 0 };
 *
 *	r = bl_tally_init(&t, numbers);
 *	…for each event of each reader: bl_tally_note(&t, reader, event);
 *	c = bl_tally_count(&t, sent);
 *
 * Pure, but for its memory. Events are taken as they come, from anybody: one
 * that is no numbered connect, or whose number was never given, is ignored.
 */
#ifndef BL_KERN_TALLY_H
#define BL_KERN_TALLY_H

#include <stdbool.h>
#include <stdint.h>

#include "bpf/event.h"

#define BL_TALLY_PORT	 49152 /* of the numbers below 1 << 24 */
#define BL_TALLY_MAX	 (1u << 22)
#define BL_TALLY_READERS 3

struct bl_tally {
	unsigned char *marks; /* one per number */
	uint64_t size;	      /* numbers below this are known */
};

struct bl_tally_count {
	uint64_t lost;	  /* no reader had an event of it */
	uint64_t doubled; /* more than one event, of one reader or several */
};

#define bl_autotally __attribute__((cleanup(bl_tally_free)))
void bl_tally_free(struct bl_tally *t);

/* For numbers below @size. -E2BIG above BL_TALLY_MAX, -ENOMEM. */
int bl_tally_init(struct bl_tally *t, uint64_t size);

/* The operation: address (network byte order) and port (host's) of @number. */
void bl_tally_target(uint64_t number, uint8_t ret_addr[static 4],
		     uint16_t *ret_port);

/* The number that @e carries; false if it is no event of such an operation.
 * @e has passed bl_event_ok. */
bool bl_tally_number(const struct bl_event *e, uint64_t *ret);

/* @reader, below BL_TALLY_READERS, had the event @e. */
void bl_tally_note(struct bl_tally *t, unsigned reader,
		   const struct bl_event *e);

/* What became of the numbers below @sent (at most the size). */
struct bl_tally_count bl_tally_count(const struct bl_tally *t, uint64_t sent);

#endif
