/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What api.h answered, handed to libmicrohttpd: headers and body. A part of
 * http.c. Large answers are kept until slow clients have them, so all of them
 * together have a limit, past which the answer is 503. Bundles are shared
 * (blobs.h): one counts once, however many fetch it. Files are read as the client
 * takes them and count by their descriptors.
 */
#ifndef BL_CANARY_HTTP_ANSWER_H
#define BL_CANARY_HTTP_ANSWER_H

#include <microhttpd.h>
#include <stdatomic.h>

#include "canary/controller/api.h"

#define BL_HTTP_ANSWERS_MAX  (256u << 20) /* bytes of large ones under way */
#define BL_HTTP_ANSWER_LARGE (64u << 10)
#define BL_HTTP_ANSWER_FILES 32 /* under way, of BL_HTTP_FILES_KEPT */

/* Of one server; zero-initialise. Outlives its MHD_Daemon. */
struct bl_http_answers {
	atomic_size_t bytes;
	atomic_uint files;
	size_t max; /* 0: BL_HTTP_ANSWERS_MAX */
};

/* Makes it an answer of 503, and drops what it was. Not of a blob. */
void bl_http_too_much(struct bl_response *a);

/* Takes a->body, and what else it is. MHD_NO: there was no memory to say anything. */
enum MHD_Result bl_http_answer(struct bl_http_answers *all,
			       struct MHD_Connection *connection,
			       struct bl_response *a);

#endif
