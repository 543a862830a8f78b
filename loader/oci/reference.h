/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a bundle is named on a command line:
 *
 *	sensor-1.0.bundle, sensor-1.0.oci	a file
 *	oci://HOST[:PORT]/NAME@sha256:HEX	in a registry; HEX: of the manifest
 *	https://HOST/PATH[#sha256:HEX]		from a web server; HEX: the bundle's
 *
 * Pure. A tag names what somebody put there last, so it names nothing: without
 * a digest there is no reference to a registry. With one a tag may stand
 * there, and is not looked at.
 */
#ifndef BL_OCI_REFERENCE_H
#define BL_OCI_REFERENCE_H

#include "loader/base/err.h"
#include "loader/bundle/digest.h"

#define BL_REFERENCE_MAX      2048 /* bytes of it all */
#define BL_REFERENCE_HOST_MAX 261  /* a name of 255, and a port */
#define BL_REFERENCE_NAME_MAX 255

enum bl_reference_kind {
	BL_REFERENCE_FILE,
	BL_REFERENCE_OCI,
	BL_REFERENCE_WEB,
};

struct bl_reference {
	enum bl_reference_kind kind;
	char digest[BL_DIGEST_HEX];	      /* "": none was given */
	char host[BL_REFERENCE_HOST_MAX + 1]; /* of OCI, with its port */
	char name[BL_REFERENCE_NAME_MAX + 1]; /* of OCI */
	char url[BL_REFERENCE_MAX + 1];	      /* of WEB, without the digest */
};

/* -EINVAL: it begins like a reference and is none; the hint says how it is
 * done. *ret is untouched then. */
int bl_reference_read(const char *text, struct bl_reference *ret,
		      struct bl_err *err);

#endif
