/* SPDX-License-Identifier: Apache-2.0 */
#include "canary/controller/api_watch.h"

#include "canary/controller/events.h"
#include "canary/controller/meter.h"
#include "canary/controller/openapi.h"

/* A comment first, so that there is an answer if nothing is new. */
void bl_watch_events(struct bl_store *store, const struct bl_request *q,
		     struct bl_response *ret)
{
	struct bl_err err = { 0 };
	bool more;
	int r = bl_buf_printf(&ret->body, ": belay " BL_VERSION "\n\n");

	if (r < 0)
		bl_err_set(&err, r, "out of memory");
	else
		r = bl_events_read(store, bl_events_id(q->last_event_id),
				   &ret->body, &ret->seen, &more, &err);
	if (r < 0) {
		bl_api_error(r, &err, ret);
		return;
	}
	ret->streams = true;
	ret->status = 200;
	ret->content_type = BL_EVENTS_TYPE;
}

void bl_watch_metrics(struct bl_store *store, const struct bl_request *q,
		      int64_t now_ms, struct bl_response *ret)
{
	if (bl_metrics_text(store, q->meter, now_ms, &ret->body) < 0) {
		ret->status = 500;
		return;
	}
	ret->status = 200;
	ret->content_type = BL_PROM_TYPE;
}

void bl_watch_openapi(struct bl_response *ret)
{
	size_t len;
	const char *text = bl_openapi(&len);

	if (bl_buf_add(&ret->body, text, len) < 0) {
		ret->status = 500;
		return;
	}
	ret->status = 200;
	ret->content_type = "application/json";
}
