/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files of a feed by their names: from a folder, or by HTTPS from a URL that
 * stands for one. A name is one that the caller has checked (bl_name_valid
 * holds of it); in a folder a link is not followed, and what is no regular file
 * is refused. Over HTTP only from this machine: nothing else would say that an
 * event is the publisher's. For cmd_content.c.
 */
#ifndef BL_CANARY_FEED_H
#define BL_CANARY_FEED_H

#include "loader/net/fetch.h"

struct bl_feed {
	char *where; /* without slashes at its end */
	int dir;     /* -1: a URL */
	struct bl_fetch *fetch;
	struct bl_fetch_tls tls;
};

#define bl_autofeed __attribute__((cleanup(bl_feed_close)))
void bl_feed_close(struct bl_feed *f);

/* @ca: who is trusted instead of the system's authorities, or NULL; it is
 * borrowed. -EINVAL: no URL that can be used; what open() says of a folder. */
int bl_feed_open(const char *where, const char *ca, struct bl_feed *ret,
		 struct bl_err *err);

/* Reads a file of at most @max bytes into @ret, which is emptied before.
 * -ENOENT: there is none; -EFBIG, -ELOOP, -EINVAL; as bl_fetch_call. */
int bl_feed_read(struct bl_feed *f, const char *name, size_t max,
		 struct bl_buf *ret, struct bl_err *err);

#endif
