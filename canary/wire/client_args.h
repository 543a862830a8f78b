/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The options of every verb that calls a controller, as rows of its table
 * (loader/base/args.h), and what is done with them:
 *
 *	struct options { struct bl_client_args client; … };
 *	static const struct bl_arg rows[] = {
 *		BL_CLIENT_ARGS(struct options, client), …
 *	};
 *
 *	if (bl_client_open_by(&o.client, &c, err) < 0)
 *		return BL_EXIT_USAGE;
 *	r = bl_client_json(c, "POST", path, body, &doc, err);
 *	if (r < 0)
 *		return bl_client_exit(r);
 *	if (o.client.json)
 *		return bl_client_print_json(doc.root);
 */
#ifndef BL_CANARY_CLIENT_ARGS_H
#define BL_CANARY_CLIENT_ARGS_H

#include "canary/wire/client.h"
#include "canary/wire/pki_dir.h"
#include "loader/base/args.h"

struct bl_client_args {
	const char *url, *dir; /* NULL: as the environment says */
	bool plaintext, json;
};

/* Rows of a table for the member @m of @type.
 * NOLINTBEGIN(bugprone-macro-parentheses): a member's name cannot be in any. */
#define BL_CLIENT_ARGS(type, m)                                             \
	{ "controller", BL_ARG_TEXT, offsetof(type, m.url), 0, 0 },         \
		{ "tls-dir", BL_ARG_TEXT, offsetof(type, m.dir), 0, 0 },    \
		{ "plaintext", BL_ARG_FLAG, offsetof(type, m.plaintext), 0, \
		  0 },                                                      \
	{                                                                   \
		"json", BL_ARG_FLAG, offsetof(type, m.json), 0, 0           \
	}
/* NOLINTEND(bugprone-macro-parentheses) */

/* What a verb's help says about them. */
#define BL_CLIENT_USAGE                                                       \
	"  --controller URL    (default $BELAY_CONTROLLER, or " BL_CLIENT_URL \
	")\n"                                                                 \
	"  --tls-dir DIR       of operator.pem, operator.key and ca.pem\n"    \
	"                      (default $BELAY_TLS_DIR, or " BL_PKI_DIR ")\n" \
	"  --plaintext         allow http:// to another machine\n"            \
	"  --json              JSON instead of text\n"

/* A client that shows an operator's certificate; as bl_client_open: a failure
 * is wrong usage. */
int bl_client_open_by(const struct bl_client_args *a, struct bl_client **ret,
		      struct bl_err *err);

/* Prints it, formatted. An exit code. */
int bl_client_print_json(const json_t *value);

/* The exit code of a verb whose call ended with @r: 0; refused (-EPERM) is 1,
 * every other failure 2. */
int bl_client_exit(int r);

#endif
