/* SPDX-License-Identifier: Apache-2.0 */
#include "canary/controller/http_answer.h"

#include <stdio.h>
#include <stdlib.h>

#include "canary/controller/blobs.h"
#include "loader/base/cleanup.h"

/* A large answer, until the client has it or is gone. */
struct large {
	struct bl_http_answers *all;
	struct bl_buf body;
};

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
	size_t others = atomic_fetch_add(&all->bytes, body->len);

	if (!others || (others < BL_HTTP_ANSWERS_MAX &&
			body->len <= BL_HTTP_ANSWERS_MAX - others))
		l = malloc(sizeof(*l));
	if (!l) {
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

static void free_blob(void *ctx)
{
	bl_blob_put(ctx);
}

/* A part of what others are given, too. */
static struct MHD_Response *make_shared(struct bl_response *a)
{
	struct bl_blob *blob = BL_TAKE(a->blob);
	struct MHD_Response *response =
		MHD_create_response_from_buffer_with_free_callback_cls(
			a->blob_len, blob->data.data + a->blob_at, free_blob,
			blob);

	if (!response)
		bl_blob_put(blob);
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

enum MHD_Result bl_http_answer(struct bl_http_answers *all,
			       struct MHD_Connection *connection,
			       struct bl_response *a)
{
	bool large = a->body.len >= BL_HTTP_ANSWER_LARGE;
	struct MHD_Response *response;
	enum MHD_Result r;

	if (a->blob)
		response = make_shared(a);
	else
		response = large ? make_large(all, &a->body) : make_small(a);
	if (!response && large) {
		*a = (struct bl_response){ .route = a->route, .poll = a->poll };
		bl_api_fail(503, "too much is being fetched at once",
			    "try again later", a);
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
