/* SPDX-License-Identifier: Apache-2.0 */
#include "canary/controller/api_poll.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "canary/controller/api_trust.h"
#include "canary/controller/controller.h"
#include "loader/base/cleanup.h"
#include "loader/base/text.h"

void bl_api_answer_poll(const struct bl_polls_job *job,
			const struct bl_api_trust *trust,
			const char *if_none_match, struct bl_response *ret)
{
	bl_autofree char *text = NULL;

	ret->etag[0] = '\0'; /* of an answer before */
	if (job->r < 0) {
		bl_api_error(job->r, &job->err, ret);
		return;
	}
	ret->order = job->order.kind;
	bl_order_etag(&job->order, ret->etag);
	if (*ret->etag && if_none_match &&
	    strcmp(if_none_match, ret->etag) == 0) {
		ret->status = 304;
		return;
	}
	text = bl_json_dump(
		bl_api_order(trust, &job->order, job->host, job->now_ms));
	ret->status = 200;
	ret->content_type = "application/json";
	if (!text || bl_buf_add(&ret->body, text, strlen(text)) < 0)
		bl_api_fail(500, "out of memory", "", ret);
}

void bl_api_poll(struct bl_store *store, const struct bl_request *q,
		 const char *name, int64_t now_ms, struct bl_response *ret)
{
	struct bl_polls_job own, *job = q->later ? q->later : &own;

	job->now_ms = now_ms;
	job->err = (struct bl_err){ 0 };
	bl_text_copy(job->host, sizeof(job->host), name);
	job->r = bl_poll_parse(q->body, q->len, &job->poll, &job->err);
	if (q->peer && q->peer->role == BL_ROLE_HOST &&
	    strcmp(q->peer->name, name) != 0)
		job->r = bl_err_set(
			&job->err, -EPERM,
			"the certificate is of host %s: it cannot speak for %s",
			q->peer->name, name);
	if (q->later)
		return;
	if (!job->r && !q->polls)
		job->r = bl_controller_poll(store, name, &job->poll, now_ms,
					    &job->order, &job->err);
	else if (!job->r && !bl_polls_take(q->polls, job))
		bl_polls_commit(q->polls);
	bl_api_answer_poll(job, q->trust, q->if_none_match, ret);
}
