/* SPDX-License-Identifier: Apache-2.0 */
#include "canary/controller/http_stream.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "canary/controller/events.h"
#include "canary/controller/revoke.h"
#include "loader/base/cleanup.h"

#define RETRY_S 10

/* What one reading gave, for all who had seen the same. */
struct batch {
	struct bl_buf text;
	unsigned users;
};

struct stream {
	struct bl_streams *all;
	struct MHD_Connection *connection;
	struct bl_peer peer; /* BL_ROLE_LOCAL: no certificate */
	struct batch *batch; /* NULL: it waits for one */
	size_t at;	     /* so much of it is sent */
	int64_t seen;	     /* the revision that the batch leads up to */
	bool suspended, cut;
	bool due;	/* to be read for at this tick */
	unsigned ticks; /* since the batch came, or since it was sent */
	unsigned life;	/* ticks since it began */
	unsigned waits; /* ticks since it was read for */
	struct stream *next;
};

struct bl_streams {
	pthread_mutex_t lock; /* of all below and all of the streams */
	struct stream *first;
	unsigned count;
	bool ending;
};

int bl_streams_new(struct bl_streams **ret)
{
	struct bl_streams *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	pthread_mutex_init(&s->lock, NULL);
	*ret = s;
	return 0;
}

void bl_streams_free(struct bl_streams *s)
{
	if (!s)
		return;
	assert(!s->first);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

/* Takes @text over; NULL without memory. */
static struct batch *new_batch(struct bl_buf *text)
{
	struct batch *b = calloc(1, sizeof(*b));

	if (!b)
		return NULL;
	b->text = *text;
	*text = (struct bl_buf){ 0 };
	return b;
}

static void drop(struct stream *s)
{
	struct batch *b = s->batch;

	s->batch = NULL;
	s->at = 0;
	s->ticks = 0;
	if (b && --b->users == 0) {
		bl_buf_free(&b->text);
		free(b);
	}
}

static void give(struct stream *s, struct batch *b)
{
	b->users++;
	s->batch = b;
	s->at = 0;
	s->ticks = 0;
}

/* Called by the serving thread only, from inside the stream's connection: it
 * may be suspended here and nowhere else. */
static ssize_t on_read(void *ctx, uint64_t pos, char *to, size_t max)
{
	struct stream *s = ctx;
	ssize_t r = 0;

	(void)pos;
	pthread_mutex_lock(&s->all->lock);
	if (s->cut || s->all->ending) {
		r = s->cut ? MHD_CONTENT_READER_END_WITH_ERROR
			   : MHD_CONTENT_READER_END_OF_STREAM;
	} else if (s->batch) {
		size_t left = s->batch->text.len - s->at;
		size_t len = left < max ? left : max;

		memcpy(to, s->batch->text.data + s->at, len);
		s->at += len;
		if (len == left)
			drop(s);
		r = (ssize_t)len;
	} else if (s->life > BL_STREAM_LIFE_TICKS) {
		r = MHD_CONTENT_READER_END_OF_STREAM;
	} else {
		s->suspended = true;
		MHD_suspend_connection(s->connection);
	}
	pthread_mutex_unlock(&s->all->lock);
	return r;
}

static void on_free(void *ctx)
{
	struct stream *s = ctx, **at;
	struct bl_streams *all = s->all;

	pthread_mutex_lock(&all->lock);
	for (at = &all->first; *at; at = &(*at)->next)
		if (*at == s) {
			*at = s->next;
			all->count--;
			break;
		}
	drop(s);
	pthread_mutex_unlock(&all->lock);
	free(s);
}

/* NULL: there are too many, or no memory for it. */
static struct stream *new_stream(struct bl_streams *all,
				 struct MHD_Connection *connection,
				 const struct bl_peer *peer,
				 struct bl_response *begin)
{
	bl_autofree struct stream *s = calloc(1, sizeof(*s));
	struct batch *b = s ? new_batch(&begin->body) : NULL;

	if (!b)
		return NULL;
	s->all = all;
	s->connection = connection;
	if (peer)
		s->peer = *peer;
	s->seen = begin->seen;
	give(s, b);
	pthread_mutex_lock(&all->lock);
	if (all->count < BL_STREAMS_MAX) {
		s->next = all->first;
		all->first = s;
		all->count++;
	} else {
		drop(s);
	}
	pthread_mutex_unlock(&all->lock);
	return s->batch ? BL_TAKE(s) : NULL;
}

/* What a client does not take must not pile up in the kernel either. */
static void bound_socket(struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(
		connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	int bytes = BL_STREAM_SOCKET_BYTES;

	if (info)
		setsockopt(info->connect_fd, SOL_SOCKET, SO_SNDBUF, &bytes,
			   sizeof(bytes));
}

enum MHD_Result bl_streams_answer(struct bl_streams *all,
				  struct bl_http_answers *answers,
				  struct MHD_Connection *connection,
				  const struct bl_peer *peer,
				  struct bl_response *begin)
{
	struct stream *s = new_stream(all, connection, peer, begin);
	struct MHD_Response *response;
	enum MHD_Result r;

	if (!s) {
		bl_api_fail(503, "too many are watching already",
			    "poll GET /v1/rollouts/ID, or try again later",
			    begin);
		begin->retry_s = RETRY_S;
		return bl_http_answer(answers, connection, begin);
	}
	response = MHD_create_response_from_callback(
		MHD_SIZE_UNKNOWN, 16 * 1024, on_read, s, on_free);
	if (!response) {
		on_free(s);
		return MHD_NO;
	}
	bound_socket(connection);
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE,
				BL_EVENTS_TYPE);
	MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL,
				"no-store");
	MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
	/* A proxy that collects an answer before it passes it on would keep
	 * this one for ever. */
	MHD_add_response_header(response, "X-Accel-Buffering", "no");
	r = MHD_queue_response(connection, 200, response);
	MHD_destroy_response(response);
	return r;
}

static void wake(struct stream *s)
{
	if (s->suspended)
		MHD_resume_connection(s->connection);
	s->suspended = false;
}

/* One tick of each; those that wait are due. */
static void age(struct bl_streams *all)
{
	struct stream *s;

	for (s = all->first; s; s = s->next) {
		s->ticks++;
		s->life++;
		s->waits++;
		s->due = !s->batch && !s->cut;
		if (s->batch && s->ticks > BL_STREAM_SLOW_TICKS)
			s->cut = true;
		else if (!s->batch && s->life > BL_STREAM_LIFE_TICKS)
			wake(s);
	}
}

/* What has seen, of those that are due, the one that waits for longest; false:
 * none is. */
static bool next_due(const struct bl_streams *all, int64_t *ret)
{
	const struct stream *s, *first = NULL;

	for (s = all->first; s; s = s->next)
		if (s->due && (!first || s->waits > first->waits))
			first = s;
	if (first)
		*ret = first->seen;
	return first;
}

/* Gives @text to all that wait and have seen up to @since. */
static void hand_out(struct bl_streams *all, int64_t since, struct bl_buf *text,
		     int64_t until)
{
	struct batch *b = text->len ? new_batch(text) : NULL;
	struct stream *s;

	for (s = all->first; s; s = s->next) {
		if (!s->due || s->seen != since)
			continue;
		s->due = false;
		s->waits = 0;
		if (b) {
			give(s, b);
			wake(s);
		}
		/* Without memory for it they stay where they are. */
		if (b || !text->len)
			s->seen = until;
	}
	if (b && !b->users) {
		bl_buf_free(&b->text);
		free(b);
	}
}

/* A sign of life, by which a client that is gone is noticed, too. */
static void beat(struct bl_streams *all)
{
	bl_autobuf struct bl_buf text = { 0 };
	struct batch *b = NULL;
	struct stream *s;

	for (s = all->first; s; s = s->next) {
		if (s->batch || s->ticks < BL_STREAM_BEAT_TICKS)
			continue;
		if (!b && bl_buf_printf(&text, ":\n\n") == 0)
			b = new_batch(&text);
		if (!b)
			return;
		give(s, b);
		wake(s);
	}
}

static bool is_same(const struct bl_peer *a, const struct bl_peer *b)
{
	return a->role == b->role && a->generation == b->generation &&
	       strcmp(a->name, b->name) == 0;
}

/* Who has a certificate and watches, each once. */
static size_t list_peers(struct bl_streams *all,
			 struct bl_peer ret[static BL_STREAMS_MAX])
{
	const struct stream *s;
	size_t count = 0, i;

	pthread_mutex_lock(&all->lock);
	for (s = all->first; s; s = s->next) {
		for (i = 0; i < count; i++)
			if (is_same(&ret[i], &s->peer))
				break;
		if (i == count && bl_peer_is_certified(&s->peer))
			ret[count++] = s->peer;
	}
	pthread_mutex_unlock(&all->lock);
	return count;
}

static void cut_streams_of(struct bl_streams *all, const struct bl_peer *peer)
{
	struct stream *s;

	pthread_mutex_lock(&all->lock);
	for (s = all->first; s; s = s->next)
		if (is_same(&s->peer, peer)) {
			s->cut = true;
			wake(s);
		}
	pthread_mutex_unlock(&all->lock);
}

/* A store that does not answer has nothing new for them either. */
static void cut_taken_back(struct bl_streams *all, struct bl_store *store,
			   pthread_mutex_t *store_lock)
{
	struct bl_peer peers[BL_STREAMS_MAX];
	size_t count = list_peers(all, peers), i;
	int r;

	for (i = 0; i < count; i++) {
		pthread_mutex_lock(store_lock);
		r = bl_revoke_check(store, &peers[i], NULL);
		pthread_mutex_unlock(store_lock);
		if (r == -EACCES)
			cut_streams_of(all, &peers[i]);
	}
}

void bl_streams_feed(struct bl_streams *all, struct bl_store *store,
		     pthread_mutex_t *store_lock)
{
	int64_t since;
	bool more;
	unsigned n;
	int r = 0;

	cut_taken_back(all, store, store_lock);
	pthread_mutex_lock(&all->lock);
	age(all);
	for (n = 0; !r && n < BL_STREAM_READINGS && next_due(all, &since);
	     n++) {
		bl_autobuf struct bl_buf text = { 0 };
		int64_t until = since;

		/* Nobody waits for the store with the streams locked. */
		pthread_mutex_unlock(&all->lock);
		pthread_mutex_lock(store_lock);
		r = bl_events_read(store, since, &text, &until, &more, NULL);
		pthread_mutex_unlock(store_lock);
		pthread_mutex_lock(&all->lock);
		/* A store that is away now is read at the next tick; that it
		 * is, bl_http_tick says. */
		if (!r)
			hand_out(all, since, &text, until);
	}
	beat(all);
	pthread_mutex_unlock(&all->lock);
}

void bl_streams_end(struct bl_streams *all)
{
	struct stream *s;

	pthread_mutex_lock(&all->lock);
	all->ending = true;
	for (s = all->first; s; s = s->next)
		wake(s);
	pthread_mutex_unlock(&all->lock);
}

unsigned bl_streams_count(struct bl_streams *all)
{
	unsigned n;

	pthread_mutex_lock(&all->lock);
	n = all->count;
	pthread_mutex_unlock(&all->lock);
	return n;
}
