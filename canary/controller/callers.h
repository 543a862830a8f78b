/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The open connections of the server: who is at the other end of each, and how
 * long it may still take. libmicrohttpd cuts one that says nothing; this, one
 * that says a byte now and then and never comes to an end.
 *
 *	caller = bl_callers_add(c, fd, due_ms);		it connected
 *	bl_callers_due(c, caller, due_ms);		its request began, or ended
 *	bl_callers_cut(c, now_ms);			now and then
 *	bl_callers_remove(c, caller);			before its fd is closed
 *
 * A stranger is one that has not sent a whole head of a request yet, or has
 * shown no certificate that counts, whatever it asks for and is answered. When
 * nearly all places are taken, a new one costs the stranger that has been there
 * for longest: who opens connections and says nothing, or something harmless
 * again and again, keeps nobody out. Without TLS all are of this machine, and
 * none is a stranger after its first request.
 *
 * Who has a certificate is served beside others of that name, but not without
 * limit: one more than that costs the connection of the name that has been there
 * for longest, so that an agent that was started anew is let in, and one host
 * does not take the places of all.
 *
 * Any thread may call; peer and looked_ms are the serving thread's alone. To cut
 * is to shut the socket down: the server reads its end and closes it.
 */
#ifndef BL_CANARY_CALLERS_H
#define BL_CANARY_CALLERS_H

#include <stdbool.h>
#include <stdint.h>

#include "canary/wire/peer.h"

/* One place in so many is kept for those who come next. */
#define BL_CALLERS_SPARE 8
/* Connections of one name: an agent has two, a browser's worth of tools more. */
#define BL_CALLERS_OF_A_NAME 64
#define BL_CALLERS_BUCKETS   1024
/* Files that go out to one name at a time: there are few places for them, and who
 * takes his slowly keeps one for as long as a request may take. */
#define BL_CALLERS_FILES_OF_A_NAME 4

struct bl_caller {
	struct bl_peer peer;
	uint64_t looked_ms; /* at its certificate; 0: not yet */
	/* callers.c's */
	struct bl_caller *next, *prev;
	/* Of those whose names fall together, once it is no stranger. */
	struct bl_caller *same_next, *same_prev, **bucket;
	uint64_t due_ms;
	int fd;
	bool stranger, cut;
	bool file; /* one goes out to it */
};

struct bl_callers;

/* @places: how many the server lets in. NULL: out of memory. */
struct bl_callers *bl_callers_new(unsigned places);
/* All are removed by now. NULL is fine. */
void bl_callers_free(struct bl_callers *c);

/* One that has to come to a whole request until @due_ms of the monotonic clock.
 * NULL: out of memory. */
struct bl_caller *bl_callers_add(struct bl_callers *c, int fd, uint64_t due_ms);
/* Frees @caller; NULL is fine. */
void bl_callers_remove(struct bl_callers *c, struct bl_caller *caller);

/* A request of it began, or ended, its peer being set; it has until then. */
void bl_callers_due(struct bl_callers *c, struct bl_caller *caller,
		    uint64_t due_ms);

/* Whether a file may go out to it; it counts until bl_callers_due. Without TLS
 * there are no names, and no limit of one. */
bool bl_callers_file(struct bl_callers *c, struct bl_caller *caller);

/* Cuts those whose time is over; how many. */
unsigned bl_callers_cut(struct bl_callers *c, uint64_t now_ms);

#endif
