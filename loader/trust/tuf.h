/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client of a TUF repository: fetches, lets trusted.h decide, and keeps what
 * was decided (state.h).
 *
 *	BL_CLEANUP(bl_tuf_close) struct bl_tuf c = { 0 };
 *	r = bl_tuf_open("/var/lib/belay/trust", &c, err);
 *	r = bl_tuf_refresh(&c, &fetcher, now_s, err);
 *	r = bl_tuf_find(&c, &fetcher, "sensor-2.bundle", &target, err);
 *	r = bl_tuf_fetch(&c, &fetcher, &target, &bytes, err);
 *
 * A refusal has a code of fault.h, and its words as the hint.
 *
 * Invariants:
 *  F1 Whatever fails leaves the folder as it was, but for roots: each that was
 *     verified is kept at once (5.3.8), since the next is verified with it.
 *  F2 Timestamp, snapshot and targets are kept together, when all of them were
 *     verified. The specification keeps each as it comes (5.4.5, 5.5.7); then a
 *     mirror could leave a host with a timestamp whose snapshot nobody has.
 *  F3 No more bytes are asked for than the file can have, and more that come
 *     all the same are refused.
 *  F4 Of two processes that refresh one folder the newer update stays, whoever
 *     writes last; each begins with what is in the folder then.
 *  F5 Without the network, what the last refresh kept still answers:
 *     bl_tuf_offline; expiry counts there, too.
 */
#ifndef BL_TRUST_TUF_H
#define BL_TRUST_TUF_H

#include "loader/trust/state.h"
#include "loader/trust/trusted.h"

#define BL_TUF_ROOTS_MAX 256 /* rotations in one refresh */
#define BL_TUF_VISIT_MAX 32  /* roles in one search */

/*
 * Where a repository is. fetch adds the bytes of @name ("metadata/2.root.json",
 * "targets/HASH.NAME") to *ret; -ENOENT: there is none; -EFBIG: it has more
 * than @max_bytes. Who fetches from a network keeps a deadline, so that slow
 * data ends.
 */
struct bl_tuf_fetcher {
	int (*fetch)(void *ctx, const char *name, size_t max_bytes,
		     struct bl_buf *ret, struct bl_err *err);
	void *ctx;
};

/* Files below a folder, as a mirror that is mounted or was copied; ctx: the
 * folder's path. */
int bl_tuf_from_dir(void *ctx, const char *name, size_t max_bytes,
		    struct bl_buf *ret, struct bl_err *err);

struct bl_tuf {
	char *dir;
	struct bl_trust_state state;
	struct bl_trusted t; /* after refresh or offline */
};

/* *ret zero-initialised. Errors of bl_trust_state_load. */
int bl_tuf_open(const char *dir, struct bl_tuf *ret, struct bl_err *err);
void bl_tuf_close(struct bl_tuf *c);

/* Section 5.3 to 5.6.6. On failure c->t is empty. */
int bl_tuf_refresh(struct bl_tuf *c, const struct bl_tuf_fetcher *f,
		   int64_t now_s, struct bl_err *err);

/* The same of what was kept. -ENOENT: nothing was yet. */
int bl_tuf_offline(struct bl_tuf *c, int64_t now_s, struct bl_err *err);

/* A role that targets delegates to; @f NULL: offline. */
int bl_tuf_role(struct bl_tuf *c, const struct bl_tuf_fetcher *f,
		const char *role, const struct bl_meta **ret,
		struct bl_err *err);

/*
 * The target of that name in the most trusted role that lists it (5.6.7), and
 * that role's name if @ret_role is not NULL. BL_TRUST_UNLISTED: none does;
 * BL_TRUST_NAME.
 */
int bl_tuf_find(struct bl_tuf *c, const struct bl_tuf_fetcher *f,
		const char *path, struct bl_meta_target *ret,
		const char **ret_role, struct bl_err *err);

/* Its bytes, verified (5.7). */
int bl_tuf_fetch(struct bl_tuf *c, const struct bl_tuf_fetcher *f,
		 const struct bl_meta_target *target, struct bl_buf *ret,
		 struct bl_err *err);

#endif
