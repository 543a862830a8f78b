/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The calls of api.c for those who only look: the live view, metrics, and the
 * description of the API itself.
 */
#ifndef BL_CANARY_API_WATCH_H
#define BL_CANARY_API_WATCH_H

#include "canary/controller/api.h"

/* GET /v1/events: the beginning of a stream (events.h). */
void bl_watch_events(struct bl_store *store, const struct bl_request *q,
		     struct bl_response *ret);
/* GET /metrics (meter.h) */
void bl_watch_metrics(struct bl_store *store, const struct bl_request *q,
		      int64_t now_ms, struct bl_response *ret);
/* GET /v1/openapi.json (openapi.h) */
void bl_watch_openapi(struct bl_response *ret);

#endif
