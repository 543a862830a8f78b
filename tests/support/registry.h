/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A registry on a real socket that says what a test wants it to:
 *
 *	registry_start(&g, answer, ctx);
 *	…a client of g.url, that is of g.host…
 *	registry_stop(&g);
 *
 * One connection for each request, one at a time; @answer writes head and body
 * of each. What does not work out fails the running test.
 */
#ifndef BL_TESTS_REGISTRY_H
#define BL_TESTS_REGISTRY_H

#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>

#include "loader/base/buf.h"

#define REGISTRY_REQUESTS    32
#define REGISTRY_REQUEST_LEN 2048

/* What comes behind the answer. */
enum registry_then {
	REGISTRY_ENDS,	  /* the end */
	REGISTRY_HANGS,	  /* nothing, until it is stopped */
	REGISTRY_ENDLESS, /* zeros, until the client is gone */
	REGISTRY_DRIPS,	  /* the same, one at a time */
};

struct registry;
typedef enum registry_then
registry_answer(struct registry *g, const char *request, struct bl_buf *out);

struct registry {
	char url[64];	  /* http://127.0.0.1:PORT */
	const char *host; /* of it, with the port */
	registry_answer *answer;
	void *ctx;
	/* Written before an answer goes out. */
	char asked[REGISTRY_REQUESTS][REGISTRY_REQUEST_LEN];
	unsigned count;
	sem_t hangs; /* posted when one does */
	/* Its own. */
	int listens, hung[REGISTRY_REQUESTS];
	unsigned hung_count;
	sem_t serves;
	pthread_t thread;
};

void registry_start(struct registry *g, registry_answer *answer, void *ctx);
void registry_stop(struct registry *g);

/* "HTTP/1.1 STATUS", the headers (each with its line's end; "" for none), and a
 * body of @len bytes, of which @say are said. */
void registry_say(struct bl_buf *out, const char *status, const char *headers,
		  const void *body, size_t len, size_t say);

/* The same of a file, of which a request may want a part: gone after @say. */
void registry_give(struct bl_buf *out, const char *request, const void *body,
		   size_t len, size_t say);

/* What comes behind "NAME: " in a request, "" if nothing does. */
const char *registry_header(const char *request, const char *name,
			    char ret[static 256]);

#endif
