/* SPDX-License-Identifier: Apache-2.0 */
/* What is inside of struct bl_polls: for polls.c and polls_flush.c only. */
#ifndef BL_CANARY_POLLS_OWN_H
#define BL_CANARY_POLLS_OWN_H

#include "canary/controller/known.h"

struct bl_polls_pending {
	struct bl_polls_job *job;
	struct bl_known_host *host;
	bool record;   /* is written; else it is only expected as it is */
	bool exposure; /* is written, too */
};

struct bl_polls {
	struct bl_store *store;
	bool keeps;	/* anything beyond one poll */
	unsigned ahead; /* how often it was read ahead; not 0 from then on */
	unsigned heard_ahead; /* as of that, who was heard is read */
	struct bl_known known;
	/* The transaction in the making; the rollouts of it are marked. */
	struct bl_change change;
	struct bl_polls_pending pending[BL_STORE_MANY_MAX];
	size_t pending_count;
	/* Who was heard, as it is or will be written. */
	struct bl_heard heard;
	bool stale[BL_HEARD_SHARDS]; /* not as in the store */
	int64_t unwritten_ms;	     /* the first that is not; 0: none */
	int64_t refresh_ms;	     /* how long it may be */
	int64_t counters_ms;	     /* when some were written */
};

#endif
