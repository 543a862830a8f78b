/* SPDX-License-Identifier: Apache-2.0 */
/* What the verbs of this room have in common: options, keys, results. Of
 * cmd_*.c only. */
#ifndef BL_TRUST_CMD_COMMON_H
#define BL_TRUST_CMD_COMMON_H

#include <getopt.h>

#include "loader/base/cli.h"
#include "loader/base/json.h"
#include "loader/trust/repo.h"

#define BL_TRUST_CMD_DIRS_MAX 8

struct bl_trust_args {
	const char *keys[BL_TRUST_CMD_DIRS_MAX]; /* the first one: the anchor */
	size_t keys_count;
	const char *repo, *trust, *role, *name, *digest;
	struct bl_repo_shape shape;
	char **word; /* what is no option */
	int words;
	bool json, help, withdraw;
};

enum bl_trust_opt {
	BL_OPT_KEYS = 256,
	BL_OPT_REPO,
	BL_OPT_TRUST,
	BL_OPT_ROLE,
	BL_OPT_AS,
	BL_OPT_DIGEST,
	BL_OPT_ROOT_KEYS,
	BL_OPT_ROOT_THRESHOLD,
	BL_OPT_RELEASE_KEYS,
	BL_OPT_RELEASE_THRESHOLD,
	BL_OPT_WITHDRAW,
	BL_OPT_JSON,
};

/* 0, or the exit code with the error set. With --help it prints @usage. */
int bl_trust_cmd_args(const char *verb, const char *usage,
		      const struct option *options, int argc, char **argv,
		      struct bl_trust_args *ret, struct bl_err *err);

/* Loads the keys of every --keys, and the repository from the first's root. */
int bl_trust_cmd_open(const struct bl_trust_args *a, const char *repo,
		      struct bl_keys *ring, struct bl_repo *ret,
		      struct bl_err *err);

/* What was not trusted is rejected; what could not be done is undecided. */
int bl_trust_cmd_exit(int r);

/* Prints and drops it. */
int bl_trust_cmd_json(json_t *v, struct bl_err *err);

int64_t bl_trust_cmd_now(void);

#endif
