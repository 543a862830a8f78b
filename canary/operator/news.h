/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When to look again, for whoever watches a rollout: as soon as the controller
 * says that something changed (GET /v1/events), and now and then for what has
 * only grown older. What changed is asked for as ever. Without that stream (an
 * older controller, too many who watch) it is looked at every half second.
 *
 *	struct bl_news news = { 0 };
 *	for (;;) { bl_news_wait(&news, client); look(client); }
 *	bl_news_end(&news);
 */
#ifndef BL_CANARY_NEWS_H
#define BL_CANARY_NEWS_H

#include <stdint.h>

#include "canary/wire/client.h"

struct bl_news {
	struct bl_fetch_stream *stream; /* NULL: none now */
	uint64_t retry_at_ms;
};

/* Returns early on Ctrl-C. */
void bl_news_wait(struct bl_news *l, struct bl_client *c);
void bl_news_end(struct bl_news *l);

#endif
