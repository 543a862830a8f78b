/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/kern/ask/tally.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#define LOOPBACK_NET  127
#define ADDRESS_BITS  24
#define MARK(reader)  (1u << (reader))
#define MARK_REPEATED 0x80u /* one reader had it more than once */

void bl_tally_free(struct bl_tally *t)
{
	free(t->marks);
	*t = (struct bl_tally){ 0 };
}

int bl_tally_init(struct bl_tally *t, uint64_t size)
{
	unsigned char *marks;

	if (size > BL_TALLY_MAX)
		return -E2BIG;
	marks = calloc(size ? size : 1, 1);
	if (!marks)
		return -ENOMEM;
	*t = (struct bl_tally){ marks, size };
	return 0;
}

void bl_tally_target(uint64_t number, uint8_t ret_addr[static 4],
		     uint16_t *ret_port)
{
	assert(number < BL_TALLY_MAX);
	ret_addr[0] = LOOPBACK_NET;
	ret_addr[1] = (uint8_t)(number >> 16);
	ret_addr[2] = (uint8_t)(number >> 8);
	ret_addr[3] = (uint8_t)number;
	*ret_port = (uint16_t)(BL_TALLY_PORT + (number >> ADDRESS_BITS));
}

bool bl_tally_number(const struct bl_event *e, uint64_t *ret)
{
	const uint8_t *a = e->addr.addr;

	if (e->kind != BL_EVENT_CONNECT || e->addr.family != AF_INET ||
	    a[0] != LOOPBACK_NET || e->addr.port < BL_TALLY_PORT)
		return false;
	*ret = (uint64_t)(e->addr.port - BL_TALLY_PORT) << ADDRESS_BITS |
	       (uint64_t)a[1] << 16 | (uint64_t)a[2] << 8 | a[3];
	return true;
}

void bl_tally_note(struct bl_tally *t, unsigned reader,
		   const struct bl_event *e)
{
	uint64_t number;

	assert(reader < BL_TALLY_READERS);
	if (!bl_tally_number(e, &number) || number >= t->size)
		return;
	if (t->marks[number] & MARK(reader))
		t->marks[number] |= MARK_REPEATED;
	t->marks[number] |= MARK(reader);
}

struct bl_tally_count bl_tally_count(const struct bl_tally *t, uint64_t sent)
{
	struct bl_tally_count c = { 0 };

	for (uint64_t i = 0; i < sent && i < t->size; i++) {
		unsigned mark = t->marks[i];

		if (!mark)
			c.lost++;
		else if (mark & (mark - 1)) /* more than one bit */
			c.doubled++;
	}
	return c;
}
