/* SPDX-License-Identifier: Apache-2.0 */
/* What the talker's two threads share. For talker*.c alone. */
#ifndef BL_CANARY_TALKER_OWN_H
#define BL_CANARY_TALKER_OWN_H

#include <pthread.h>
#include <stdatomic.h>

#include "canary/agent/pair.h"
#include "canary/agent/talker.h"
#include "canary/wire/client.h"

/* A bundle that is to be fetched. */
struct bl_talker_job {
	uint64_t number; /* 0: none */
	int fd;		 /* a pipe */
	size_t have;
	char digest[BL_DIGEST_HEX];
};

/* A file of metadata, likewise. */
struct bl_talker_want {
	uint64_t number; /* 0: none */
	int fd;
	size_t max;
	char name[BL_PAIR_FILE_LEN];
};

struct bl_talker {
	const struct bl_talker_opts *opts;
	pthread_t fetches;
	pthread_mutex_t lock; /* of next and want */
	pthread_cond_t work;
	struct bl_talker_job next;
	struct bl_talker_want want;
	_Atomic uint64_t wanted; /* the newest number; 0: leave what you do */
};

/* A client of this host's controllers, which has its certificate. */
int bl_talker_open(const struct bl_talker *t, struct bl_client **ret,
		   struct bl_err *err);

/* Any number. */
uint32_t bl_talker_draw(void);

/* To the host part. false: it is gone. */
bool bl_talker_send(const struct bl_talker *t, const struct bl_pair_msg *m);
void bl_talker_note(const struct bl_talker *t, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* Starts the thread. */
int bl_talker_fetches(struct bl_talker *t, struct bl_err *err);
/* To it: from the thread that reads the pair. @fd is taken. */
void bl_talker_fetch(struct bl_talker *t, const struct bl_pair_fetch *f,
		     int fd);
void bl_talker_leave(struct bl_talker *t);
void bl_talker_want(struct bl_talker *t, const struct bl_pair_want *w, int fd);

/* Fetches it and says so; @want->fd is taken. From the thread that fetches;
 * @client NULL: it has none. */
void bl_talker_get(struct bl_talker *t, struct bl_client *client,
		   const struct bl_talker_want *want);

#endif
