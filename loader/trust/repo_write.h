/* SPDX-License-Identifier: Apache-2.0 */
/* What repo.c, repo_write.c and repo_pending.c share. Of these only. */
#ifndef BL_TRUST_REPO_WRITE_H
#define BL_TRUST_REPO_WRITE_H

#include "loader/trust/repo.h"

/* -ENOENT: it has no such role. */
int bl_repo_must_have(const struct bl_repo *r, enum bl_repo_role role,
		      struct bl_err *err);

/* The next version, and its expiry. */
void bl_repo_stamp(json_t *body, int64_t now_s, enum bl_repo_role role);

/* Takes the repository up as a client does, and its bodies. */
int bl_repo_verify(struct bl_repo *r, struct bl_err *err);

/* bl_repo_publish; of a new repository, too. */
int bl_repo_write(struct bl_repo *r, struct bl_err *err);

/* A body that nobody signed yet, to ask it for its roles. */
int bl_repo_read_body(const json_t *body, enum bl_meta_kind kind,
		      struct bl_meta *ret, struct bl_err *err);

#endif
