/* SPDX-License-Identifier: Apache-2.0 */
/* What "bundle build" and "bundle pull" write, in either form. Of cmd_*.c. */
#ifndef BL_OCI_CMD_PULL_H
#define BL_OCI_CMD_PULL_H

#include "loader/bundle/bundle.h"

enum bl_output_form {
	BL_OUTPUT_BY_NAME, /* oci if it ends in .oci */
	BL_OUTPUT_BUNDLE,
	BL_OUTPUT_OCI,
};

/* "bundle", "oci". False: none of them. */
bool bl_output_form_by_name(const char *name, enum bl_output_form *ret);

/*
 * Writes @b to @path durably: whole or not at all. *ret_manifest: what a
 * registry will know it by, "" if it is not written for one.
 */
int bl_output_write(const struct bl_bundle *b, const char *path,
		    enum bl_output_form form,
		    char ret_manifest[static BL_DIGEST_HEX],
		    struct bl_err *err);

/* Tells what was written, as JSON or to a person. An exit code. */
int bl_output_report(const struct bl_bundle *b, const char *path,
		     const char *manifest, bool json, struct bl_err *err);

#endif
