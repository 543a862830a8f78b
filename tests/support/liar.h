/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A controller that nobody can be made to be by an API: on a real socket, it
 * answers each request as its script says, and keeps what it was asked.
 *
 *	liar_start(&liar, blob, size);	// what GET of anything gives
 *	liar.script[0] = CUT;		// the rest is HONEST
 *	…a client of liar.url…
 *	liar_stop(&liar);
 *
 * With an order it also answers polls, which are in no script: with 304 for who
 * knows it.
 *
 * One connection for each request, one at a time. What does not work out fails
 * the running test. Set the script before the request that it is about.
 */
#ifndef LIAR_H
#define LIAR_H

#include <pthread.h>
#include <semaphore.h>
#include <stddef.h>

#include "loader/net/range.h"

#define LIAR_REQUESTS	 16
#define LIAR_REQUEST_LEN 2048
#define LIAR_POLL_LEN	 16384
#define LIAR_CUT_AT	 100000

enum lie {
	HONEST,	    /* 200, or 206 of what was asked for */
	CUT,	    /* the same, and gone after cut_at bytes of it */
	DEAF,	    /* the whole, whatever was asked for */
	OTHER_PART, /* 206 from the beginning */
	DAMAGED,    /* one byte is another one */
	HUGE,	    /* says that more is coming than may */
	LONG,	    /* an answer of 20 kB that nobody wants */
	BUSY,	    /* 503, with the header */
	CROWDED,    /* 429, likewise */
	BROKEN,	    /* 500, and so on: all with words and without sense */
	GATEWAY,    /* 502 */
	STRANGER,   /* 401 */
	NOWHERE,    /* 404 */
	CONFUSED,   /* 400 */
	WEB,	    /* 200 and a page */
	HANG,	    /* half a head, and then nothing */
	STALL,	    /* HONEST up to cut_at bytes, and then nothing */
	ENDLESS,    /* bytes for as long as somebody takes them */
	ELSEWHERE,  /* 302, to itself: who follows gets the blob */
};

struct liar {
	int listens;
	pthread_t thread;
	char url[64];
	const char *blob;
	size_t size;
	size_t cut_at;	    /* LIAR_CUT_AT */
	const char *header; /* of BUSY and CROWDED; "" */
	const char *order;  /* to every poll; NULL: polls are in the script */
	enum lie script[LIAR_REQUESTS];
	/* Written by its thread before it answers. */
	char asked[LIAR_REQUESTS][LIAR_REQUEST_LEN];
	unsigned count;
	char polled[LIAR_POLL_LEN]; /* the newest, head and body */
	unsigned polls, known;	    /* answered; with 304 */
	enum lie poll_lie;	    /* by liar_lies_to_polls */
	unsigned poll_lies;
	pthread_mutex_t lock; /* of these five */
	int hangs[LIAR_REQUESTS];
	unsigned hang_count;
	int hung; /* eventfd: one hangs now */
	sem_t serves;
};

void liar_start(struct liar *l, const char *blob, size_t size);
void liar_stop(struct liar *l);

/* The Range of a request that came; "" if it had none. */
void liar_range(const struct liar *l, unsigned request,
		char ret[static BL_RANGE_LEN]);

/* The next @count polls are not answered with the order but with @lie; which may
 * be anything that says so without giving anything. */
void liar_lies_to_polls(struct liar *l, enum lie lie, unsigned count);

/* Waits until none of these is left, and for one that is answered well. */
void liar_polled_again(struct liar *l);

/* Waits for a poll in which @text is. */
void liar_polled(struct liar *l, const char *text);
/* Until so many have been answered. Not by a poll's number, which the newest may
 * have passed while nobody looked. */
void liar_polled_times(struct liar *l, unsigned count);

/* A socket that nobody serves; its URL. */
int liar_listen(char ret_url[static 64]);

#endif
