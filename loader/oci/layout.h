/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bundle as a file that skopeo and others copy to and from registries: an
 * OCI image layout in one tar archive ("oci-archive").
 *
 *	oci-layout	that it is one
 *	index.json	the manifest's digest
 *	blobs/sha256/…	the manifest, the empty config, the bundle
 *
 * Invariants:
 *  O1 The same bundle gives the same archive, wherever and whenever it is made.
 *  O2 What bl_layout_unpack returns has the digest that the manifest says, the
 *     manifest the one that the index says, and every blob the one it is called
 *     by.
 *  O3 Other tools order and date members as they like; but each is a plain
 *     file (or one of the two folders) by a name from above, once, and there is
 *     none that does not belong to the one image.
 *  O4 Memory is bounded by the archive's own length, whatever it claims; it is
 *     never under a compression, and nothing is written to disk by its names.
 */
#ifndef BL_OCI_LAYOUT_H
#define BL_OCI_LAYOUT_H

#include "loader/oci/image.h"

/* The archive of @b into *ret (empty before), and the digest of its manifest,
 * by which a registry will know it. -ENOMEM, -EIO. */
int bl_layout_pack(const struct bl_bundle *b, struct bl_buf *ret,
		   char ret_manifest[static BL_DIGEST_HEX], struct bl_err *err);

/* Whether the bytes begin like a tar archive: tells one from a bundle, which is
 * under zstd, from an object and from JSON. */
bool bl_layout_is(const void *data, size_t len);

/*
 * The bundle's bytes, which are not looked into, to *ret (empty before).
 * -EBADMSG: no valid layout, or not of a bundle; -EFBIG: it passes a limit.
 */
int bl_layout_unpack(const char *name, const void *data, size_t len,
		     struct bl_buf *ret,
		     char ret_manifest[static BL_DIGEST_HEX],
		     struct bl_err *err);

#endif
