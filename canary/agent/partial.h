/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bundle on its way: what has come of it is kept in a file named by its
 * digest, so that a broken connection, another controller, or the next life of
 * this agent goes on from there.
 *
 *	r = bl_partial_open(dir, digest, &p, err);
 *	r = bl_partial_gain(&p, attempt, ctx, &data, err);
 *		…attempt: asks for what is behind p.have, gives it to bl_partial_add…
 *	bl_partial_close(&p);		what is here stays for the next time
 *	bl_partial_remove(dir, digest);	until it is of no more use
 *
 * Invariants:
 *  - nothing of it is used before all of it has that digest. So the file is not
 *    synced: what a power cut makes of it is found out and fetched again;
 *  - there is one at a time: opening removes those of other digests, and
 *    nothing else of the folder;
 *  - it has at most BL_BUNDLE_MAX bytes, whatever is sent, and that is all that
 *    there is on the disk: nobody but the host part ever has the open file. The
 *    talker has a pipe. One that had the file could keep many that are unlinked.
 *
 * For the host part, of one thread alone; bl_partial_judge is for the talker, too.
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
	size_t have; /* bytes */
	size_t came; /* of these since it was opened, but for what was dropped */
	size_t total; /* of the bundle, as the caller says; 0: not yet */
};

/* 0, or an errno of the file system: -ENOSPC, -EACCES … */
int bl_partial_open(const char *dir, const char *digest, struct bl_partial *ret,
		    struct bl_err *err);
/* Zero-initialised is fine. */
void bl_partial_close(struct bl_partial *p);

/* What comes behind that. -EFBIG: more than a bundle may have; else of the file
 * system (-ENOSPC, -EDQUOT). */
int bl_partial_add(struct bl_partial *p, const void *data, size_t len,
		   struct bl_err *err);

/* Drops what is here. */
int bl_partial_clear(struct bl_partial *p, struct bl_err *err);

/* All of it to @ret, if it has its digest: else -EBADMSG. */
int bl_partial_whole(struct bl_partial *p, struct bl_buf *ret,
		     struct bl_err *err);

/*
 * The whole to @ret: what is here, or what is by one @attempt; by two if what was
 * here turned out to be something else, which is dropped then. -EBADMSG: it arrived
 * damaged; or as @attempt, of which -EBADMSG and -ERANGE (it is no longer than what
 * is here) mean that, too.
 */
int bl_partial_gain(struct bl_partial *p,
		    int (*attempt)(void *ctx, struct bl_partial *p,
				   struct bl_err *err),
		    void *ctx, struct bl_buf *ret, struct bl_err *err);

/* What is kept of @digest, if anything is. */
void bl_partial_remove(const char *dir, const char *digest);

/* What an answer means for one who has @have bytes. Pure. */
enum bl_partial_step {
	BL_PARTIAL_APPEND,
	BL_PARTIAL_AFRESH, /* it is the whole: what is here comes again */
	BL_PARTIAL_WRONG,  /* another part, or not to the end */
	BL_PARTIAL_TOO_LARGE,
};
enum bl_partial_step bl_partial_judge(size_t have,
				      const struct bl_fetch_head *head,
				      size_t *ret_total);

#endif
