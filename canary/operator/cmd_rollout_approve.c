/* SPDX-License-Identifier: Apache-2.0 */
/* belay rollout approve: opens the gate of the next wave. */
#include <errno.h>
#include <stdio.h>

#include "canary/operator/cmd_rollout.h"
#include "loader/base/cleanup.h"
#include "loader/base/cli.h"
#include "loader/base/file.h"

static const char usage[] =
	"usage: belay rollout approve ID\n"
	"\n"
	"Lets the next wave of a rollout begin. Waves of a plan with \"gate\": true wait\n"
	"for that, after all that they wait for by themselves. Said before the wave is\n"
	"due it counts, too; each gate is opened by itself.\n"
	"\n" //
	BL_ROLLOUT_USAGE_COMMON "\n"
	"example: belay rollout approve r7\n";

int bl_cmd_rollout_approve(int argc, char **argv, struct bl_err *err)
{
	BL_CLEANUP(bl_client_closep) struct bl_client *c = NULL;
	bl_autojson_doc struct bl_json_doc doc = { 0 };
	bl_autofree char *path = NULL;
	struct bl_rollout_args a;
	json_t *body;
	int r = bl_rollout_args("rollout approve", "", argc, argv, &a, err);

	if (r)
		return r;
	if (a.help) {
		fputs(usage, stdout);
		return BL_EXIT_OK;
	}
	if (!a.operand || !bl_name_valid(a.operand))
		return bl_cli_usage(err, "rollout approve", "which rollout?");
	if (bl_client_open(a.url, a.plaintext, &c, err) < 0)
		return BL_EXIT_USAGE;
	path = bl_path("/v1/rollouts/%s/approve", a.operand);
	body = json_object();
	if (!path || !body) {
		bl_err_set(err, -ENOMEM, "out of memory");
		return BL_EXIT_UNDECIDED;
	}
	r = bl_client_json(c, "POST", path, body, &doc, err);
	if (r < 0)
		return BL_EXIT_UNDECIDED;
	if (a.json)
		return bl_rollout_print_json(&doc);
	printf("rollout %s: wave %lld may begin\n", a.operand,
	       (long long)json_integer_value(
		       json_object_get(doc.root, "approved")));
	return BL_EXIT_OK;
}
