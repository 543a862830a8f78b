/* SPDX-License-Identifier: Apache-2.0 */
#include "canary/controller/http_limits.h"

#include <sys/resource.h>

#include "canary/controller/enroll.h"

/* Two for each agent: it fetches a bundle and is heard of meanwhile. */
static unsigned places(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) < 0 ||
	    files.rlim_cur >= BL_HTTP_CONNECTIONS + BL_HTTP_FILES_KEPT)
		return BL_HTTP_CONNECTIONS;
	return files.rlim_cur > 2 * BL_HTTP_FILES_KEPT
		       ? (unsigned)files.rlim_cur - BL_HTTP_FILES_KEPT
		       : BL_HTTP_FILES_KEPT;
}

void bl_http_limits_set(struct bl_http_limits *l,
			const struct bl_http_limits *given)
{
	if (given)
		*l = *given;
	l->connections = l->connections ? l->connections : places();
	l->idle_s = l->idle_s ? l->idle_s : BL_HTTP_IDLE_S;
	l->keep_s = l->keep_s ? l->keep_s : BL_HTTP_KEEP_S;
	l->head_ms = l->head_ms ? l->head_ms : BL_HTTP_HEAD_MAX_MS;
	l->request_ms = l->request_ms ? l->request_ms : BL_HTTP_REQUEST_MAX_MS;
	l->bodies = l->bodies ? l->bodies : BL_HTTP_BODIES_MAX;
	l->strangers = l->strangers ? l->strangers : BL_HTTP_STRANGERS_MAX;
}

void bl_http_limits_bodies(const struct bl_http_limits *l,
			   struct bl_bodies *ret)
{
	*ret = (struct bl_bodies){ .max = {
					   [BL_BODIES_STRANGERS] = l->strangers,
					   [BL_BODIES_SMALL] =
						   (size_t)l->connections *
						   BL_ENROLL_BYTES_MAX,
					   [BL_BODIES_LARGE] = l->bodies,
				   } };
}
