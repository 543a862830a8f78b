/* SPDX-License-Identifier: Apache-2.0 */
#include "canary/controller/http_wait.h"

#include <stdlib.h>
#include <string.h>

#include "loader/base/clock.h"

/* How often it is looked whether something goes on now. */
#define LOOK_MS BL_POLLS_FRESH_MS

struct bl_wait *bl_waits_spare(struct bl_waits *w)
{
	if (!w->spare)
		w->spare = calloc(1, sizeof(*w->spare));
	return w->spare;
}

static struct bl_wait *take_spare(struct bl_waits *w,
				  struct MHD_Connection *connection,
				  const char *if_none_match,
				  struct bl_response *answer,
				  struct bl_wait **list)
{
	struct bl_wait *wait = w->spare;

	w->spare = NULL;
	wait->connection = connection;
	wait->if_none_match = if_none_match;
	wait->answer = *answer;
	*answer = (struct bl_response){ 0 };
	wait->next = *list;
	*list = wait;
	MHD_suspend_connection(connection);
	return wait;
}

struct bl_wait *bl_waits_write(struct bl_waits *w,
			       struct MHD_Connection *connection,
			       const char *if_none_match,
			       struct bl_response *answer)
{
	return take_spare(w, connection, if_none_match, answer, &w->written);
}

struct bl_wait *bl_waits_park(struct bl_waits *w,
			      struct MHD_Connection *connection,
			      const char *if_none_match, unsigned wait_s,
			      struct bl_response *answer)
{
	struct bl_wait *wait =
		take_spare(w, connection, if_none_match, answer, &w->parked);

	wait->until_ms = bl_clock_mono_ms() + UINT64_C(1000) * wait_s;
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

unsigned bl_waits_prefer(struct MHD_Connection *connection,
			 const struct bl_response *answer)
{
	const char *header, *at;
	unsigned long s;

	if (!is_idle(answer))
		return 0;
	header = MHD_lookup_connection_value(connection, MHD_HEADER_KIND,
					     "Prefer");
	at = header ? strstr(header, "wait=") : NULL;
	if (!at || (at != header && !strchr(" ,;", at[-1])))
		return 0;
	s = strtoul(at + strlen("wait="), NULL, 10);
	return s < BL_POLL_WAIT_MAX_S ? (unsigned)s : BL_POLL_WAIT_MAX_S;
}

static void resume_all(struct bl_wait **list)
{
	while (*list) {
		struct bl_wait *wait = *list;

		*list = wait->next;
		MHD_resume_connection(wait->connection);
	}
}

/* Moves those that are due to @done, or, something going on, judges them anew:
 * as the poll that each one still is. */
static void look(struct bl_waits *w, struct bl_polls *polls, bool busy,
		 uint64_t now_ms, struct bl_wait **done)
{
	struct bl_wait **at = &w->parked, *wait;

	while ((wait = *at)) {
		if (!busy && now_ms < wait->until_ms) {
			at = &wait->next;
			continue;
		}
		*at = wait->next;
		if (busy) {
			wait->job.again = true;
			wait->job.now_ms = bl_clock_wall_ms();
			bl_polls_take(polls, &wait->job);
			wait->next = w->written;
			w->written = wait;
		} else {
			wait->next = *done;
			*done = wait;
		}
	}
}

bool bl_waits_settle(struct bl_waits *w, struct bl_polls *polls,
		     pthread_mutex_t *lock, bool ending)
{
	uint64_t now_ms = w->parked ? bl_clock_mono_ms() : 0;
	struct bl_wait *done = NULL, *wait;
	bool any;

	if (!w->written && !w->parked)
		return false;
	pthread_mutex_lock(lock);
	if (w->parked && (ending || now_ms - w->looked_ms >= LOOK_MS)) {
		w->looked_ms = now_ms;
		look(w, polls, bl_polls_busy(polls, bl_clock_wall_ms()),
		     ending ? UINT64_MAX : now_ms, &done);
	}
	bl_polls_commit(polls);
	pthread_mutex_unlock(lock);
	for (wait = w->written; wait; wait = wait->next)
		bl_api_answer_poll(&wait->job, wait->if_none_match,
				   &wait->answer);
	any = w->written || done;
	resume_all(&w->written);
	resume_all(&done);
	return any;
}

bool bl_waits_any(const struct bl_waits *w)
{
	return w->parked;
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
