/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bundle as an image of the OCI (image-spec 1.1): one manifest with one
 * layer, which is the bundle byte for byte. So the digest of the layer is the
 * bundle's, and that of the manifest what a registry knows it by.
 *
 * Pure. What is written depends on the bundle alone: no time, no host, no tool.
 * What is read may hold more than belay knows, as the specification demands
 * (considerations.md), but nothing that contradicts.
 */
#ifndef BL_OCI_IMAGE_H
#define BL_OCI_IMAGE_H

#include "loader/oci/media.h"

struct bl_oci_descriptor {
	char digest[BL_DIGEST_HEX];
	size_t size; /* bytes */
};

/* The manifest of @b into *ret (empty before). -ENOMEM. */
int bl_oci_manifest_write(const struct bl_bundle *b, struct bl_buf *ret,
			  struct bl_err *err);

/* The index of a layout in which that manifest is all there is. */
int bl_oci_index_write(const struct bl_oci_descriptor *manifest,
		       struct bl_buf *ret, struct bl_err *err);

/* The file oci-layout. */
int bl_oci_marker_write(struct bl_buf *ret, struct bl_err *err);

/*
 * All three read what a stranger wrote; @name is for messages, *ret untouched
 * unless 0. -EBADMSG: it is not in order, or is something else than a bundle.
 */
int bl_oci_manifest_read(const char *name, const char *text, size_t len,
			 struct bl_oci_descriptor *ret_layer,
			 struct bl_err *err);
int bl_oci_index_read(const char *name, const char *text, size_t len,
		      struct bl_oci_descriptor *ret_manifest,
		      struct bl_err *err);
int bl_oci_marker_read(const char *name, const char *text, size_t len,
		       struct bl_err *err);

#endif
