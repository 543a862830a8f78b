/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a bundle comes from: a file, an oci-archive, a registry, a web server
 * (reference.h). Every verb that reads a bundle asks here, and gets its own
 * bytes, by whose digest it is known everywhere.
 *
 *	r = bl_source_bundle("oci://reg.example/s/x@sha256:…", &o, &b, err);
 *
 * Invariants:
 *  S1 What acts on a host or a fleet is named by its digest, unless it is a file:
 *     nobody else can put another bundle in its place. Only with @any, for who
 *     writes it down and prints its digest, a URL goes without.
 *  S2 Nothing is written to disk.
 */
#ifndef BL_OCI_SOURCE_H
#define BL_OCI_SOURCE_H

#include "loader/bundle/bundle.h"
#include "loader/oci/reference.h"
#include "loader/oci/transfer.h"

struct bl_source_options {
	struct bl_transfer_options transfer;
	const char *auth_file; /* NULL: the usual ones (credentials.h) */
	bool any;
};

/*
 * The bytes of @where to *ret (empty before): of a bundle, or of what else is
 * in a file of at most @max bytes. @o may be NULL. -EINVAL: no reference, or
 * none with a digest; as bl_file_read, layout.h, registry.h.
 */
int bl_source_read(const char *where, const struct bl_source_options *o,
		   size_t max, struct bl_buf *ret, struct bl_err *err);

/* The same, and parsed: as bl_bundle_parse. */
int bl_source_bundle(const char *where, const struct bl_source_options *o,
		     struct bl_bundle *ret, struct bl_err *err);

#endif
