/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the verbs that read a bundle have in common: the options for where it
 * comes from, and what a person sees while it does. Of cmd_*.c only.
 *
 *	static const struct option options[] = { BL_SOURCE_OPTIONS, … };
 *	struct bl_source_show show = { 0 };
 *
 *	if (bl_source_option(c, optarg, &source)) …it was one of them
 *	bl_source_show(&show, &source);
 *	r = bl_source_bundle(where, &source, &b, err);
 *	bl_source_show_end(&show);
 */
#ifndef BL_OCI_CMD_SOURCE_H
#define BL_OCI_CMD_SOURCE_H

#include <getopt.h>

#include "loader/base/args.h"
#include "loader/base/term.h"
#include "loader/oci/source.h"

enum {
	BL_OPT_SOURCE_CA = 1024,
	BL_OPT_SOURCE_AUTH,
	BL_OPT_SOURCE_PLAIN,
};

/* Rows for getopt_long. */
#define BL_SOURCE_OPTIONS                                                     \
	{ "ca", required_argument, NULL, BL_OPT_SOURCE_CA },                  \
		{ "auth-file", required_argument, NULL, BL_OPT_SOURCE_AUTH }, \
	{                                                                     \
		"plain-http", no_argument, NULL, BL_OPT_SOURCE_PLAIN          \
	}

/* Rows for loader/base/args.h, of the member @m of @type.
 * NOLINTBEGIN(bugprone-macro-parentheses): a member's name cannot be in any. */
#define BL_SOURCE_ARGS(type, m)                                             \
	{ "ca", BL_ARG_TEXT, offsetof(type, m.transfer.ca), 0, 0 },         \
		{ "auth-file", BL_ARG_TEXT, offsetof(type, m.auth_file), 0, \
		  0 },                                                      \
	{                                                                   \
		"plain-http", BL_ARG_FLAG,                                  \
			offsetof(type, m.transfer.plain_http), 0, 0         \
	}
/* NOLINTEND(bugprone-macro-parentheses) */

/* What a verb's help says about them. */
#define BL_SOURCE_USAGE                                                            \
	"      --ca FILE          of a registry: who signs its certificate\n"      \
	"                         (default: the authorities of this system)\n"     \
	"      --auth-file FILE   of a registry: logins, as skopeo login writes\n" \
	"                         them (default: $REGISTRY_AUTH_FILE, and\n"       \
	"                         where podman and docker have theirs)\n"          \
	"      --plain-http       of a registry on this machine: without TLS\n"

/* Whether getopt_long's @c is one of these, which is taken then. */
bool bl_source_option(int c, const char *value, struct bl_source_options *o);

struct bl_source_show {
	struct bl_progress progress;
	uint64_t start_ms, told_ms;
};

/* From now on what comes by @o is shown, beginning after two seconds. */
void bl_source_show(struct bl_source_show *show, struct bl_source_options *o);
void bl_source_show_end(struct bl_source_show *show);

#endif
