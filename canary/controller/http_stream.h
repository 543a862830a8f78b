/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers that do not end: the connections of GET /v1/events. Only http.c calls
 * this.
 *
 * A stream that has sent all it has is suspended, so that it costs the serving
 * thread nothing; bl_streams_feed, called at every tick, reads what is new and
 * wakes those that wait for it. All that are up to date share one reading; of
 * those that are not, few are read for at one tick, since polls wait meanwhile.
 *
 * Limits: BL_STREAMS_MAX connections; of each, what one bl_events_read gives and
 * BL_STREAM_SOCKET_BYTES in the kernel. Who does not take that within
 * BL_STREAM_SLOW_TICKS is cut: it comes again and goes on by its Last-Event-ID.
 * So does everybody after BL_STREAM_LIFE_TICKS, which is when certificates are
 * looked at again; whether one was taken back is asked at every tick.
 */
#ifndef BL_CANARY_HTTP_STREAM_H
#define BL_CANARY_HTTP_STREAM_H

#include <microhttpd.h>
#include <pthread.h>

#include "canary/controller/http_answer.h"

#define BL_STREAMS_MAX	       16
#define BL_STREAM_SOCKET_BYTES (64 * 1024)
/* At one tick, for those who have seen the same each; of others those first who
 * wait for longest. */
#define BL_STREAM_READINGS 2
/* Of BL_TICK_MS: ten seconds, ten seconds, five minutes. */
#define BL_STREAM_SLOW_TICKS 20
#define BL_STREAM_BEAT_TICKS 20
#define BL_STREAM_LIFE_TICKS 600
/* However long ticks take. */
#define BL_STREAM_LIFE_MAX_MS 600000

struct bl_streams;

/* -ENOMEM. */
int bl_streams_new(struct bl_streams **ret);
/* After the daemon is stopped. NULL is fine. */
void bl_streams_free(struct bl_streams *s);

/* Answers @peer (NULL: of this machine) with the stream that @begin is the
 * beginning of (taken over), or that there are too many. */
enum MHD_Result bl_streams_answer(struct bl_streams *s,
				  struct bl_http_answers *answers,
				  struct MHD_Connection *connection,
				  const struct bl_peer *peer,
				  struct bl_response *begin);

/* Reads what is new for those that wait, from @store under @store_lock. */
void bl_streams_feed(struct bl_streams *s, struct bl_store *store,
		     pthread_mutex_t *store_lock);

/* Ends all of them; none waits from here on. Before the daemon is stopped. */
void bl_streams_end(struct bl_streams *s);

/* How many there are. */
unsigned bl_streams_count(struct bl_streams *s);

#endif
