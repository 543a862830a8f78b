/* SPDX-License-Identifier: Apache-2.0 */
#include "canary/controller/http_answer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "canary/controller/blobs.h"
#include "loader/base/cleanup.h"

/* Of a file, at once. */
#define FILE_PIECE (64u << 10)

/* A large answer, until the client has it or is gone. */
struct large {
	struct bl_http_answers *all;
	struct bl_buf body;
};

/* Whether there is room for so many bytes: then it is taken. Of one alone there
 * always is. */
static bool take_room(struct bl_http_answers *all, size_t len)
{
	size_t others = atomic_fetch_add(&all->bytes, len);
	size_t max = all->max ? all->max : BL_HTTP_ANSWERS_MAX;

	if (!others || (others < max && len <= max - others))
		return true;
	atomic_fetch_sub(&all->bytes, len);
	return false;
}

static void free_large(void *ctx)
{
	struct large *l = ctx;

	atomic_fetch_sub(&l->all->bytes, l->body.len);
	bl_buf_free(&l->body);
	free(l);
}

/* Takes the body. NULL: there is no room for it now. */
static struct MHD_Response *make_large(struct bl_http_answers *all,
				       struct bl_buf *body)
{
	struct large *l = NULL;
	struct MHD_Response *response;
	bool room = take_room(all, body->len);

	if (room)
		l = malloc(sizeof(*l));
	if (!l) {
		if (room)
			atomic_fetch_sub(&all->bytes, body->len);
		bl_buf_free(body);
		return NULL;
	}
	*l = (struct large){ all, *body };
	*body = (struct bl_buf){ 0 };
	response = MHD_create_response_from_buffer_with_free_callback_cls(
		l->body.len, l->body.data, free_large, l);
	if (!response)
		free_large(l);
	return response;
}

static struct MHD_Response *make_small(struct bl_response *a)
{
	struct bl_buf *body = &a->body;
	static char broken[] = "{\"error\":\"out of memory\",\"hint\":\"\"}";
	struct MHD_Response *response;

	if (!body->len && a->status != 304)
		return MHD_create_response_from_buffer(
			sizeof(broken) - 1, broken, MHD_RESPMEM_PERSISTENT);
	response = MHD_create_response_from_buffer(body->len, body->data,
						   MHD_RESPMEM_MUST_FREE);
	if (!response)
		bl_buf_free(body);
	*body = (struct bl_buf){ 0 }; /* the response frees it */
	return response;
}

/* One answer with a part of what others are given, too. */
struct shared {
	struct bl_http_answers *all;
	struct bl_blob *blob;
};

static void free_shared(void *ctx)
{
	struct shared *s = ctx;

	if (--s->blob->answers == 0)
		atomic_fetch_sub(&s->all->bytes, s->blob->data.len);
	bl_blob_put(s->blob);
	free(s);
}

/* Takes the blob. NULL: there is no room for it now. */
static struct MHD_Response *make_shared(struct bl_http_answers *all,
					struct bl_response *a)
{
	struct bl_blob *blob = BL_TAKE(a->blob);
	struct shared *s = malloc(sizeof(*s));
	struct MHD_Response *response;

	if (!s || (!blob->answers && !take_room(all, blob->data.len))) {
		bl_blob_put(blob);
		free(s);
		return NULL;
	}
	*s = (struct shared){ all, blob };
	blob->answers++;
	response = MHD_create_response_from_buffer_with_free_callback_cls(
		a->blob_len, blob->data.data + a->blob_at, free_shared, s);
	if (!response)
		free_shared(s);
	return response;
}

/* A file that is read as it is sent. */
struct sent {
	struct bl_http_answers *all;
	int fd;
};

static ssize_t read_sent(void *ctx, uint64_t at, char *ret, size_t max)
{
	const struct sent *s = ctx;
	ssize_t n;

	do
		n = pread(s->fd, ret, max, (off_t)at);
	while (n < 0 && errno == EINTR);
	/* It became shorter, or cannot be read: the client notices by the length
	 * that was said. */
	return n > 0 ? n : MHD_CONTENT_READER_END_WITH_ERROR;
}

static void free_sent(void *ctx)
{
	struct sent *s = ctx;

	atomic_fetch_sub(&s->all->files, 1);
	close(s->fd);
	free(s);
}

/* Takes the file. NULL: there are too many on their way. */
static struct MHD_Response *make_file(struct bl_http_answers *all,
				      const struct bl_response *a)
{
	bl_autoclose int fd = a->file;
	bool room = atomic_fetch_add(&all->files, 1) < BL_HTTP_ANSWER_FILES;
	struct sent *s = room ? malloc(sizeof(*s)) : NULL;
	struct MHD_Response *response;

	if (!s) {
		atomic_fetch_sub(&all->files, 1);
		return NULL;
	}
	*s = (struct sent){ all, BL_TAKE_FD(fd) };
	response = MHD_create_response_from_callback(a->file_len, FILE_PIECE,
						     read_sent, s, free_sent);
	if (!response)
		free_sent(s);
	return response;
}

static void add_headers(struct MHD_Response *response,
			const struct bl_response *a)
{
	char retry[16];

	if (a->status != 304)
		MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE,
					a->content_type ? a->content_type
							: "application/json");
	if (*a->etag)
		MHD_add_response_header(response, MHD_HTTP_HEADER_ETAG,
					a->etag);
	MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
	MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL,
				"no-store");
	if (a->parts)
		MHD_add_response_header(response, MHD_HTTP_HEADER_ACCEPT_RANGES,
					"bytes");
	if (*a->range)
		MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_RANGE,
					a->range);
	if (a->retry_s) {
		snprintf(retry, sizeof(retry), "%u", a->retry_s);
		MHD_add_response_header(response, MHD_HTTP_HEADER_RETRY_AFTER,
					retry);
	}
}

void bl_http_too_much(struct bl_response *a)
{
	if (a->file_len)
		close(a->file);
	*a = (struct bl_response){ .route = a->route, .poll = a->poll };
	bl_api_fail(503, "too much is being fetched at once", "try again later",
		    a);
}

enum MHD_Result bl_http_answer(struct bl_http_answers *all,
			       struct MHD_Connection *connection,
			       struct bl_response *a)
{
	bool large = a->blob || a->file_len ||
		     a->body.len >= BL_HTTP_ANSWER_LARGE;
	struct MHD_Response *response;
	enum MHD_Result r;

	if (a->blob)
		response = make_shared(all, a);
	else if (a->file_len)
		response = make_file(all, a);
	else
		response = large ? make_large(all, &a->body) : make_small(a);
	if (!response && large) {
		a->file_len = 0; /* it was taken */
		bl_http_too_much(a);
		response = make_small(a);
	}
	if (!response)
		return MHD_NO;
	add_headers(response, a);
	r = MHD_queue_response(connection, a->status ? a->status : 500,
			       response);
	MHD_destroy_response(response);
	return r;
}
