/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bundle from a registry (distribution-spec 1.1, "Pull"): the manifest by the
 * digest that was given, then the layer that it names. Both are held against
 * their digests before anybody looks into them.
 */
#ifndef BL_OCI_REGISTRY_H
#define BL_OCI_REGISTRY_H

#include "loader/base/buf.h"
#include "loader/oci/reference.h"
#include "loader/oci/transfer.h"

/* The bundle's bytes to *ret (empty before). @auth_file as in credentials.h.
 * -EBADMSG: it is not what the digest says, or no bundle; as transfer.h. */
int bl_registry_pull(const struct bl_reference *ref, const char *auth_file,
		     const struct bl_transfer_options *options,
		     struct bl_buf *ret, struct bl_err *err);

#endif
