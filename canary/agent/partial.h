/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bundle on its way: what has come of it is kept in a file named by its
 * digest, so that a broken connection, another controller, or the next life of
 * this agent goes on from there.
 *
 *	r = bl_partial_open(dir, digest, &p, err);
 *	…a request of what is behind p.have, its sink is bl_partial_take…
 *	r = bl_partial_whole(&p, &data, err);
 *	bl_partial_close(&p);		what is here stays for the next time
 *	bl_partial_remove(dir, digest);	until it is of no more use
 *
 * Invariants:
 *  - nothing of it is used before all of it has that digest. So the file is not
 *    synced: what a power cut makes of it is found out and fetched again;
 *  - there is one at a time: opening removes those of other digests, and
 *    nothing else of the folder;
 *  - it has at most BL_BUNDLE_MAX bytes, whatever a controller sends.
 *
 * The host part opens it, and uses what is in it; the talker gets the open file
 * and fills it (pair.h). In each of them of one thread alone.
 */
#ifndef BL_CANARY_PARTIAL_H
#define BL_CANARY_PARTIAL_H

#include <stdbool.h>

#include "loader/bundle/digest.h"
#include "loader/net/fetch.h"

/* The folder of it, beside the host's journal. */
#define BL_PARTIAL_DIR "incoming"

struct bl_partial {
	char digest[BL_DIGEST_HEX];
	char *path;
	int fd;
	size_t have;  /* bytes */
	size_t total; /* of the bundle, as it was said; 0: not yet */
	bool begun;   /* an answer; set to false before each request */
};

/* 0, or an errno of the file system: -ENOSPC, -EACCES … */
int bl_partial_open(const char *dir, const char *digest, struct bl_partial *ret,
		    struct bl_err *err);
/* The same of a file that another process opened; @fd is taken, also on failure.
 * The digest is valid. */
int bl_partial_adopt(int fd, const char *digest, struct bl_partial *ret,
		     struct bl_err *err);
/* Zero-initialised is fine. */
void bl_partial_close(struct bl_partial *p);

/*
 * A piece of an answer. -EBADMSG: it is not what was asked for; -EFBIG: more
 * than a bundle may have; else of the file system (-ENOSPC, -EDQUOT).
 */
int bl_partial_take(struct bl_partial *p, const struct bl_fetch_head *head,
		    const void *data, size_t len, struct bl_err *err);

/* Drops what is here. */
int bl_partial_clear(struct bl_partial *p, struct bl_err *err);

/* All of it to @ret, if it has its digest: else -EBADMSG. */
int bl_partial_whole(struct bl_partial *p, struct bl_buf *ret,
		     struct bl_err *err);

/* What is kept of @digest, if anything is. */
void bl_partial_remove(const char *dir, const char *digest);

/* What an answer means for one who has @have bytes. Pure. */
enum bl_partial_step {
	BL_PARTIAL_APPEND,
	BL_PARTIAL_AFRESH, /* it is the whole: what is here is dropped */
	BL_PARTIAL_WRONG,  /* another part, or not to the end */
	BL_PARTIAL_TOO_LARGE,
};
enum bl_partial_step bl_partial_judge(size_t have,
				      const struct bl_fetch_head *head,
				      size_t *ret_total);

#endif
