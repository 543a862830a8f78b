/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Certificates that are taken back before they are over. A certificate carries
 * a generation (wire/pki.h), the store the least one that counts for a name:
 *
 *	revoked/host/NAME, revoked/operator/NAME
 *
 * To take back is to raise it, which refuses every certificate of that name that
 * there is, also those that nobody here remembers. Every controller asks the
 * store at every request, so that it holds from the next one on. Only of polls it
 * remembers the answer, for BL_POLLS_FRESH_MS: what another controller took back
 * is seen by polls that come later than that, what it took back itself by the next.
 *
 * Invariants:
 *  - a certificate that is issued carries the generation that was read before
 *    the token was used up, or that of the certificate which it renews: what was
 *    taken back meanwhile stays so;
 *  - tokens of the name that nobody used yet are gone before it is raised;
 *  - it is never lowered, and a store that cannot be read refuses.
 */
#ifndef BL_CANARY_REVOKE_H
#define BL_CANARY_REVOKE_H

#include "canary/controller/api.h"
#include "loader/base/json.h"

#define BL_REVOKED_MAX 20000

/* Whether the peer's certificate still counts. -EACCES: it was taken back; @err
 * says when, by whom and why. */
int bl_revoke_check(struct bl_store *store, const struct bl_peer *peer,
		    struct bl_err *err);

/* The generation of a certificate that is issued now. */
int bl_revoke_generation(struct bl_store *store, enum bl_role role,
			 const char *name, unsigned *ret, struct bl_err *err);

/*
 * The API's calls: takes back what @name has, by the operator of the request.
 * -EINVAL: it is the caller's own, or no name. -ENOTSUP: this controller has no
 * certificates.
 */
int bl_revoke(struct bl_store *store, const struct bl_request *q,
	      enum bl_role role, const char *name, int64_t now_ms, json_t **ret,
	      struct bl_err *err);
int bl_revoke_list(struct bl_store *store, const struct bl_request *q,
		   int64_t now_ms, json_t **ret, struct bl_err *err);

#endif
