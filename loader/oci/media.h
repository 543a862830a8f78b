/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a bundle is called in a registry, and the limits of what is read from
 * one. The first two are belay's own and are a contract with every registry
 * that holds a bundle: another form of it gets other names.
 */
#ifndef BL_OCI_MEDIA_H
#define BL_OCI_MEDIA_H

#include "loader/bundle/bundle.h"

#define BL_OCI_ARTIFACT "application/vnd.belay.bundle.v1"
#define BL_OCI_LAYER	"application/vnd.belay.bundle.v1.tar+zstd"

/* image-spec 1.1: manifest.md and image-index.md. */
#define BL_OCI_MANIFEST "application/vnd.oci.image.manifest.v1+json"
#define BL_OCI_INDEX	"application/vnd.oci.image.index.v1+json"
#define BL_OCI_EMPTY	"application/vnd.oci.empty.v1+json"

/* The bytes of an empty config, and their digest. */
#define BL_OCI_EMPTY_BYTES "{}"
#define BL_OCI_EMPTY_DIGEST \
	"44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"

#define BL_OCI_JSON_MAX	   (64u << 10) /* bytes of a manifest, an index */
#define BL_OCI_ARCHIVE_MAX (BL_BUNDLE_MAX + (1u << 20))
#define BL_OCI_ENTRIES_MAX 12 /* of an archive; with its folders it has 8 */

#endif
