/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bundle: what is shipped, in one file known by its digest.
 *
 * The file is a tar archive under zstd with these members in this order and no
 * others, each a regular file with mode 0644, owner 0 and time 0:
 *
 *	manifest.json	as written (loader/bundle/manifest.h)
 *	OBJECT		the eBPF object, by the manifest's name for it; or
 *	MODULE …	the kernel modules, in the manifest's order
 *	CONTENT		the content in JSON, by the manifest's name for it
 *	content.bin	what CONTENT compiles to (loader/bundle/content.h)
 *	digests.json	the digest of each member above
 *
 * (CONTENT and content.bin only if the manifest names content.)
 *
 * Usage: BL_CLEANUP(bl_bundle_free) struct bl_bundle b = { 0 }; then one of
 * build, open, parse, with_content. All give the same struct for the same bundle.
 *
 * Invariants:
 *  B1 The same input gives the same bytes, wherever and whenever it is built
 *     (with the same libzstd; another version may pack differently).
 *  B2 bl_bundle_build returns only what bl_bundle_parse accepts.
 *  B3 A bundle that was parsed has no byte that is not accounted for: members,
 *     their order, their digests, and zeros behind them.
 *  B4 content.bin is exactly what the content in JSON compiles to, so that who
 *     reads the JSON has read what the kernel gets.
 *  B5 Parsing needs memory in proportion to the limits below, whatever the
 *     bytes claim; nothing is ever written to disk by name.
 *  B6 Every map that the manifest's "state" names is in the object, and can be
 *     carried over as it says there.
 *  B7 It has an object, or modules that belay can drive, no two of them for the
 *     same kernel (modules.h).
 */
#ifndef BL_BUNDLE_BUNDLE_H
#define BL_BUNDLE_BUNDLE_H

#include <stdbool.h>
#include <stddef.h>

#include "loader/base/buf.h"
#include "loader/base/err.h"
#include "loader/bundle/digest.h"
#include "loader/bundle/manifest.h"

/* Content of a million rules fits: 100 MB of JSON, 62 MB compiled, 30 packed. */
#define BL_BUNDLE_MAX	       (64u << 20)  /* bytes of the file */
#define BL_BUNDLE_UNPACKED_MAX (256u << 20) /* bytes of the tar archive */
#define BL_OBJECT_MAX	       (16u << 20)  /* bytes of the object */

struct bl_bundle {
	struct bl_manifest manifest;
	char digest[BL_DIGEST_HEX];	    /* of raw: the bundle's identity */
	char content_digest[BL_DIGEST_HEX]; /* of content_json; "": none */
	struct bl_buf raw;		    /* the file as shipped */
	struct bl_buf object;		    /* empty if it has modules */
	struct bl_buf modules[BL_MODULES_MAX]; /* as many as the manifest has */
	struct bl_buf content_json; /* both empty if there is no content */
	struct bl_buf content_bin;
};

/*
 * All of them: *ret is zero-initialised by the caller, whole on success and
 * untouched on failure; the caller frees it with bl_bundle_free.
 */

/*
 * Builds the bundle of a manifest and the files beside it, in memory.
 * -EBADMSG: the manifest or the content has a mistake (file, line, field);
 * -EFBIG: a file passes its limit; -errno of what could not be read.
 */
int bl_bundle_build(const char *manifest_path, struct bl_bundle *ret,
		    struct bl_err *err);

/*
 * @b with other content: the same manifest, byte by byte, and the same object.
 * @json is called @name in messages. -EBADMSG, -EFBIG: it is no content, or
 * @b takes none.
 */
int bl_bundle_with_content(const struct bl_bundle *b, const char *name,
			   const void *json, size_t len, struct bl_bundle *ret,
			   struct bl_err *err);

/* Reads the file and parses it. Errors as bl_file_read and bl_bundle_parse. */
int bl_bundle_open(const char *path, struct bl_bundle *ret, struct bl_err *err);

/*
 * Reads a bundle that a stranger sent; @data is copied, @name is for messages.
 * -EBADMSG: not a bundle, or not an intact one; -EFBIG: it passes a limit.
 */
int bl_bundle_parse(const char *name, const void *data, size_t len,
		    struct bl_bundle *ret, struct bl_err *err);

void bl_bundle_free(struct bl_bundle *b);

/* Whether the bytes begin as a bundle does (nothing is promised about the
 * rest): tells a bundle from an object or content in JSON. */
bool bl_bundle_is(const void *data, size_t len);

#endif
