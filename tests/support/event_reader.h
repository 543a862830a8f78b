/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What somebody who watches GET /v1/events knows, from events alone.
 *
 *	struct event_reader r = { 0 };
 *	event_reader_take(&r, &text);	whole events of it; the rest stays
 *	event_reader_free(&r);
 *
 * Asserts through Check that events are well-formed and no decision comes twice.
 */
#ifndef BL_TESTS_EVENT_READER_H
#define BL_TESTS_EVENT_READER_H

#include <jansson.h>
#include <stdint.h>

#include "loader/base/buf.h"

struct event_reader {
	json_t *rollout; /* the newest */
	json_t *hosts;	 /* name: event, of the newest that came */
	json_t *numbers; /* of decisions: "r1/0": true */
	int64_t id;	 /* of the last event that had one */
	unsigned events;
};

void event_reader_take(struct event_reader *r, struct bl_buf *text);
void event_reader_free(struct event_reader *r);

/* A text of an event's data. */
const char *event_text(const json_t *data, const char *key);

#endif
