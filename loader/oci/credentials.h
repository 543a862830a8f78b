/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who we are for a registry: the file that "skopeo login" and "podman login"
 * write (containers-auth.json(5)).
 *
 *	{ "auths": { "registry.example/sensors": { "auth": "dXNlcjpwYXNz" } } }
 *
 * Its programs that hold passwords (credHelpers, credsStore) are not run.
 */
#ifndef BL_OCI_CREDENTIALS_H
#define BL_OCI_CREDENTIALS_H

#include "loader/base/buf.h"
#include "loader/base/err.h"

#define BL_CREDENTIALS_FILE_MAX (1u << 20)
#define BL_CREDENTIALS_MAX	4096 /* bytes of "auth" */

/*
 * Pure: of the file's text, what goes behind "Authorization: Basic " for @name
 * at @host, onto @ret; nothing if there is no entry. The longest key counts
 * that is the host, or host and name, or a beginning of it between slashes.
 * -EBADMSG: the file is not in order. No message holds a secret.
 */
int bl_credentials_read(const char *file, const char *text, size_t len,
			const char *host, const char *name, struct bl_buf *ret,
			struct bl_err *err);

/*
 * The same of @file, or if it is NULL of the first that is there: of
 * $REGISTRY_AUTH_FILE (which must be), $XDG_RUNTIME_DIR/containers/auth.json,
 * ~/.config/containers/auth.json, ~/.docker/config.json.
 */
int bl_credentials_find(const char *file, const char *host, const char *name,
			struct bl_buf *ret, struct bl_err *err);

#endif
