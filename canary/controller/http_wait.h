/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Polls, their connections suspended until they are answered: all that came in
 * the same round are, together. Those whose certificates were taken back, as of
 * BL_POLLS_FRESH_MS, are refused; the others are taken (polls.h), and what has to
 * be written is, in one transaction. One that asked to be kept while
 * nothing goes on (protocol.h) is, until something does or its host's certificate
 * is taken back. A part of http.c, of its serving thread alone.
 *
 *	later = bl_waits_spare(w)		bl_request.later = &later->job
 *	bl_waits_add				takes the spare one over
 *	bl_waits_settle				after every round: answers, resumes
 *	on the resumed request: later->answer, then bl_wait_free
 */
#ifndef BL_CANARY_HTTP_WAIT_H
#define BL_CANARY_HTTP_WAIT_H

#include <microhttpd.h>
#include <pthread.h>

#include "canary/controller/api.h"

struct bl_wait {
	struct bl_polls_job job;
	struct bl_response answer; /* once it is resumed */
	struct MHD_Connection *connection;
	const struct bl_peer *peer; /* the connection's; NULL: of this machine */
	const char *if_none_match;  /* likewise */
	unsigned wait_s;	    /* it asks to be kept for so long; 0: not */
	uint64_t until_ms;	    /* parked; monotonic clock */
	struct bl_wait *next;
};

/* Zero-initialise. */
struct bl_waits {
	struct bl_wait *spare;
	struct bl_wait *fresh; /* the newest first */
	struct bl_wait *parked;
	uint64_t looked_ms;		  /* at the parked ones */
	const struct bl_api_trust *trust; /* signs their orders; NULL: nobody */
};

/* The one that is used next; NULL: out of memory, and polls are then answered
 * one by one. */
struct bl_wait *bl_waits_spare(struct bl_waits *w);

/* Takes the spare one over, and *answer as far as it goes, and suspends
 * @connection. */
struct bl_wait *bl_waits_add(struct bl_waits *w,
			     struct MHD_Connection *connection,
			     const struct bl_peer *peer,
			     const char *if_none_match,
			     struct bl_response *answer);

/* Answers what is due, @polls being used under @lock. Whether any connection was
 * resumed. @ending: all are due. */
bool bl_waits_settle(struct bl_waits *w, struct bl_polls *polls,
		     pthread_mutex_t *lock, bool ending);

/* Whether some came since and have not been looked at: settle before sleeping. */
bool bl_waits_fresh(const struct bl_waits *w);

void bl_wait_free(struct bl_wait *w);
void bl_waits_free(struct bl_waits *w);

#endif
