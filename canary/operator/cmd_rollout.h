/* SPDX-License-Identifier: Apache-2.0 */
/* What the verbs of `belay rollout` share. */
#ifndef BL_CANARY_CMD_ROLLOUT_H
#define BL_CANARY_CMD_ROLLOUT_H

#include "canary/wire/client_args.h"

/* What a row of a table says of the operand. */
#define BL_ROLLOUT_ID "the ID of a rollout (see 'belay rollout list')"

/* The path of the rollout @id (NULL: the newest), and @more behind it. The
 * caller frees. -ENOENT: none was ever started. */
int bl_rollout_path(struct bl_client *c, const char *id, const char *more,
		    char **ret, struct bl_err *err);

int bl_cmd_rollout_start(int argc, char **argv, struct bl_err *err);
/* approve, pause, resume and abort, as argv[0] says. */
int bl_cmd_rollout_act(int argc, char **argv, struct bl_err *err);
int bl_cmd_rollout_explain(int argc, char **argv, struct bl_err *err);
int bl_cmd_rollout_plan(int argc, char **argv, struct bl_err *err);

#endif
