/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A host's side of enroll.h: gets its first certificate by a token, and a new
 * one in time. Files are those of pki_dir.h.
 */
#ifndef BL_CANARY_ENROLL_HOST_H
#define BL_CANARY_ENROLL_HOST_H

#include "canary/wire/client.h"
#include "canary/wire/token.h"

/*
 * Asks the controller at @url (as bl_client_open) for the authority's
 * certificate, compares it with the token's fingerprint, and only then shows the
 * token. Writes ca.pem, host.pem and host.key to @dir once all three are here.
 * The host's name goes to @ret_name. -EPERM: the
 * token does not count, or this is another fleet's controller.
 */
int bl_enroll_host(const char *url, const char *dir, const char *token,
		   char ret_name[static BL_NAME_MAX + 1], struct bl_err *err);

/*
 * Gets a new certificate for the same key once two thirds of the old one's time
 * are over, to *ret in PEM: for bl_enroll_keep. 0 without one when there is
 * nothing to do, or no certificate. Changes nothing.
 */
int bl_enroll_again(struct bl_client *c, const char *dir, int64_t now_ms,
		    struct bl_buf *ret, struct bl_err *err);

/* Puts it into @dir. */
int bl_enroll_keep(const char *dir, const char *certificate,
		   struct bl_err *err);

#endif
