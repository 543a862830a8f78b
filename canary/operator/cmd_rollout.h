/* SPDX-License-Identifier: Apache-2.0 */
/* What the verbs of `belay rollout` share. */
#ifndef BL_CANARY_CMD_ROLLOUT_H
#define BL_CANARY_CMD_ROLLOUT_H

#include <stdbool.h>

#include "canary/wire/client.h"

#define BL_ROLLOUT_KERNELS_MAX 64

#define BL_ROLLOUT_USAGE_COMMON                                               \
	"  --controller URL    (default $BELAY_CONTROLLER, or " BL_CLIENT_URL \
	")\n"                                                                 \
	"  --plaintext         allow http:// to another machine\n"            \
	"  --json              JSON instead of text\n"

struct bl_rollout_args {
	const char *operand; /* NULL: none */
	const char *url, *plan, *checked, *reason, *override_reason, *log_dir,
		*profile;
	const char *kernels[BL_ROLLOUT_KERNELS_MAX];
	unsigned kernel_count, jobs;
	long timeout_s; /* 0: none */
	bool json, plaintext, watch, wait, help;
};

/* Options that a verb takes beside the common ones, by their letters: p(lan),
 * k(ernel, checked, profile, log-dir, jobs), o(verride), r(eason), w(ait, watch,
 * timeout). 0, or BL_EXIT_USAGE with the error set. */
int bl_rollout_args(const char *verb, const char *takes, int argc, char **argv,
		    struct bl_rollout_args *ret, struct bl_err *err);

/* Prints the document and frees it. An exit code. */
int bl_rollout_print_json(struct bl_json_doc *doc);

int bl_cmd_rollout_start(int argc, char **argv, struct bl_err *err);
/* approve, pause, resume and abort, as argv[0] says. */
int bl_cmd_rollout_act(int argc, char **argv, struct bl_err *err);
int bl_cmd_rollout_explain(int argc, char **argv, struct bl_err *err);
int bl_cmd_rollout_plan(int argc, char **argv, struct bl_err *err);

#endif
