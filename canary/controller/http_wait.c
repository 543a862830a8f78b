/* SPDX-License-Identifier: Apache-2.0 */
#include "canary/controller/http_wait.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "loader/base/clock.h"

/* How often it is looked whether something goes on now. */
#define LOOK_MS BL_POLLS_FRESH_MS
/* When those who were kept are to come again then: soon, but a large fleet not
 * all at once, nor so soon that they come too often if they then find nobody
 * there (backoff.h goes by it). */
#define COME_MS	       250
#define COME_SPREAD_MS 750

struct bl_wait *bl_waits_spare(struct bl_waits *w)
{
	if (!w->spare)
		w->spare = calloc(1, sizeof(*w->spare));
	return w->spare;
}

/* For how long the client likes to be kept, and may be: what its Prefer header
 * says; 0: not at all. */
static unsigned prefers(struct MHD_Connection *connection)
{
	const char *header = MHD_lookup_connection_value(
		connection, MHD_HEADER_KIND, "Prefer");
	const char *at = header ? strstr(header, "wait=") : NULL;
	unsigned long s;

	if (!at || (at != header && !strchr(" ,;", at[-1])))
		return 0;
	s = strtoul(at + strlen("wait="), NULL, 10);
	return s < BL_POLL_WAIT_MAX_S ? (unsigned)s : BL_POLL_WAIT_MAX_S;
}

struct bl_wait *bl_waits_add(struct bl_waits *w,
			     struct MHD_Connection *connection,
			     const struct bl_peer *peer,
			     const char *if_none_match,
			     struct bl_response *answer)
{
	struct bl_wait *wait = w->spare;

	w->spare = NULL;
	wait->connection = connection;
	wait->peer = peer;
	wait->if_none_match = if_none_match;
	wait->wait_s = prefers(connection);
	wait->answer = *answer;
	*answer = (struct bl_response){ 0 };
	wait->next = w->fresh;
	w->fresh = wait;
	MHD_suspend_connection(connection);
	return wait;
}

/* Whether it is a poll's answer, the same as ever, and nothing goes on: else the
 * host is to come again, and soon. */
static bool is_idle(const struct bl_response *a)
{
	char etag[BL_ETAG_LEN];

	bl_order_etag(&(struct bl_order){ .kind = BL_ORDER_NONE }, etag);
	return a->status == 304 && strcmp(a->etag, etag) == 0;
}

static void resume_all(struct bl_wait **list)
{
	while (*list) {
		struct bl_wait *wait = *list;

		*list = wait->next;
		MHD_resume_connection(wait->connection);
	}
}

/* Answers a poll that was kept: something goes on now, @place others having been
 * told; or, with @r, what keeps the host from hearing of it. */
static void call_back(struct bl_wait *wait, unsigned place, int r,
		      const struct bl_err *err)
{
	struct bl_polls_job *job = &wait->job;

	job->order = (struct bl_order){
		.kind = BL_ORDER_NONE,
		.poll_ms = COME_MS + place % COME_SPREAD_MS,
	};
	job->r = r;
	job->err = *err;
	bl_api_answer_poll(job, NULL, wait->if_none_match, &wait->answer);
}

/*
 * Moves to @done those whose time is over, those whose certificate was taken
 * back and, something going on, all. What there may be for a host it gets by
 * its next poll: nobody watches a suspended connection, so that this one may long
 * be of a host that is gone.
 */
static void look(struct bl_waits *w, struct bl_polls *polls, uint64_t now_ms,
		 struct bl_wait **done)
{
	struct bl_wait **at = &w->parked, *wait;
	int64_t wall_ms = bl_clock_wall_ms();
	struct bl_err away = { 0 };
	int busy = bl_polls_busy(polls, wall_ms, &away);
	unsigned place = 0;

	while ((wait = *at)) {
		struct bl_err err = { 0 };
		bool refused = bl_polls_check(polls, wait->peer, wall_ms,
					      &err) == -EACCES;

		if (!refused && !busy && now_ms < wait->until_ms) {
			at = &wait->next;
			continue;
		}
		*at = wait->next;
		wait->next = *done;
		*done = wait;
		if (refused)
			call_back(wait, place, -EACCES, &err);
		else if (busy)
			call_back(wait, place++, busy < 0 ? busy : 0, &away);
	}
}

/* Takes as many as are read ahead at once; the first that is left. */
static struct bl_wait *take_some(struct bl_wait *first, struct bl_polls *polls)
{
	struct bl_polls_job *jobs[BL_STORE_MANY_MAX];
	struct bl_wait *wait, *end;
	size_t n = 0;

	for (end = first; end && n < BL_STORE_MANY_MAX; end = end->next)
		if (!end->job.r)
			jobs[n++] = &end->job;
	if (n)
		bl_polls_ahead(polls, jobs, n);
	/* What is new of it and written is answered at once. */
	for (wait = first; wait != end; wait = wait->next)
		if (!wait->job.r && !bl_polls_take(polls, &wait->job))
			wait->wait_s = 0;
	return end;
}

/* In the order in which they came. */
static struct bl_wait *take_fresh(struct bl_waits *w, struct bl_polls *polls)
{
	struct bl_wait *list = NULL, *wait, *last;

	while ((wait = w->fresh)) {
		w->fresh = wait->next;
		wait->next = list;
		list = wait;
	}
	for (wait = list; wait; wait = wait->next) {
		struct bl_polls_job *job = &wait->job;
		struct bl_err err = { 0 };
		int r = bl_polls_check(polls, wait->peer, job->now_ms, &err);

		if (r < 0) {
			job->r = r;
			job->err = err;
		}
	}
	for (wait = list; wait; wait = last)
		last = take_some(wait, polls);
	return list;
}

/* Answers those of @list; parks those that ask for it. The others are @done. */
static void answer_all(struct bl_waits *w, struct bl_wait *list, bool parks,
		       struct bl_wait **done)
{
	struct bl_wait *wait, **to;

	while ((wait = list)) {
		list = wait->next;
		bl_api_answer_poll(&wait->job, w->trust, wait->if_none_match,
				   &wait->answer);
		to = done;
		if (parks && wait->wait_s && is_idle(&wait->answer)) {
			wait->until_ms = bl_clock_mono_ms() +
					 UINT64_C(1000) * wait->wait_s;
			wait->wait_s = 0;
			to = &w->parked;
		}
		wait->next = *to;
		*to = wait;
	}
}

bool bl_waits_settle(struct bl_waits *w, struct bl_polls *polls,
		     pthread_mutex_t *lock, bool ending)
{
	uint64_t now_ms = w->parked ? bl_clock_mono_ms() : 0;
	struct bl_wait *done = NULL, *fresh = NULL;
	bool any;

	if (!w->fresh && !w->parked)
		return false;
	pthread_mutex_lock(lock);
	if (w->parked && (ending || now_ms - w->looked_ms >= LOOK_MS)) {
		w->looked_ms = now_ms;
		look(w, polls, ending ? UINT64_MAX : now_ms, &done);
	}
	if (w->fresh)
		fresh = take_fresh(w, polls);
	bl_polls_commit(polls);
	pthread_mutex_unlock(lock);
	answer_all(w, fresh, !ending, &done);
	any = done;
	resume_all(&done);
	return any;
}

bool bl_waits_fresh(const struct bl_waits *w)
{
	return w->fresh;
}

void bl_wait_free(struct bl_wait *w)
{
	if (!w)
		return;
	bl_buf_free(&w->answer.body);
	free(w);
}

void bl_waits_free(struct bl_waits *w)
{
	bl_wait_free(w->spare);
	w->spare = NULL;
}
