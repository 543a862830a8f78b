/* SPDX-License-Identifier: Apache-2.0 */
/* What repo.c and repo_write.c share. Of these two only. */
#ifndef BL_TRUST_REPO_WRITE_H
#define BL_TRUST_REPO_WRITE_H

#include "loader/trust/repo.h"

/* The next version, and its expiry. */
void bl_repo_stamp(json_t *body, int64_t now_s, enum bl_repo_role role);

/* Takes the repository up as a client does, and its bodies. */
int bl_repo_verify(struct bl_repo *r, struct bl_err *err);

/* bl_repo_publish; of a new repository, too. */
int bl_repo_write(struct bl_repo *r, struct bl_err *err);

#endif
