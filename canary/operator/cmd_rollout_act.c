/* SPDX-License-Identifier: Apache-2.0 */
/* belay rollout approve, pause, resume, abort: what a person decides. */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "canary/decide/decision.h"
#include "canary/operator/cmd_rollout.h"
#include "loader/base/cleanup.h"
#include "loader/base/cli.h"
#include "loader/base/file.h"
#include "loader/base/text.h"

#define REASON \
	"  --reason TEXT       kept with the rollout; 'explain' shows it\n"

static const char approve_usage[] =
	"usage: belay rollout approve ID [--reason TEXT]\n"
	"\n"
	"Opens the next gate of a rollout: waves of a plan with \"gate\": true wait for\n"
	"that, after all that they wait for by themselves. Said before the wave is due it\n"
	"counts, too; each gate is opened by itself.\n"
	"\n" //
	REASON BL_CLIENT_USAGE "\n"
	"example: belay rollout approve r7\n";

static const char pause_usage[] =
	"usage: belay rollout pause ID [--reason TEXT]\n"
	"\n"
	"Gives the version to no other host until 'belay rollout resume'. Hosts that were\n"
	"exposed end their trials and are watched on: a bad or a silent one still stops\n"
	"the rollout and takes everyone back. Nobody goes back by a pause; 'belay rollout\n"
	"abort' is for that.\n"
	"\n" //
	REASON BL_CLIENT_USAGE "\n"
	"example: belay rollout pause r7 --reason 'the storage team is on it'\n";

static const char resume_usage[] =
	"usage: belay rollout resume ID [--reason TEXT]\n"
	"\n"
	"Lets a paused rollout go on from where it stands.\n"
	"\n" //
	REASON BL_CLIENT_USAGE "\n"
	"example: belay rollout resume r7\n";

static const char abort_usage[] =
	"usage: belay rollout abort ID [--reason TEXT]\n"
	"\n"
	"Takes every host that the rollout exposed back to what it ran before. A done\n"
	"rollout can be aborted as long as no other came after it. The version is not\n"
	"started again without --override.\n"
	"\n"
	"  --reason TEXT       kept with the rollout and the hosts\n" //
	BL_CLIENT_USAGE "\n"
	"example: belay rollout abort r7 --reason 'too many page faults'\n";

static long long number(const json_t *obj, const char *key)
{
	return json_integer_value(json_object_get(obj, key));
}

static const char *text(const json_t *obj, const char *key)
{
	const char *s = json_string_value(json_object_get(obj, key));

	return s ? s : "";
}

static void say_approved(const json_t *r)
{
	printf("rollout %s: wave %lld may begin\n", text(r, "id"),
	       number(r, "approved"));
	if (json_is_object(json_object_get(r, "paused")))
		printf("the rollout is paused: not before 'belay rollout resume %s'\n",
		       text(r, "id"));
}

static void say_paused(const json_t *r)
{
	long long open = number(json_object_get(r, "counts"), "exposed") +
			 number(json_object_get(r, "counts"), "trial");

	char why[BL_REASON_MAX];

	bl_text_copy(why, sizeof(why),
		     text(json_object_get(r, "paused"), "reason"));
	printf("rollout %s is paused, no other host gets it: %s\n",
	       text(r, "id"), why);
	if (open)
		printf("%lld host%s exposed already and may end the trial\n",
		       open, open == 1 ? " was" : "s were");
	printf("  belay rollout resume %s   to go on\n"
	       "  belay rollout abort %s    to take it back\n",
	       text(r, "id"), text(r, "id"));
}

static void say_resumed(const json_t *r)
{
	printf("rollout %s goes on: %s\n", text(r, "id"), text(r, "next"));
}

static void say_aborted(const json_t *r)
{
	const char *state = text(r, "state");

	printf("rollout %s is %s\n", text(r, "id"), state);
	if (strcmp(state, "aborting") == 0 || strcmp(state, "stopping") == 0)
		printf("  belay rollout status %s --wait   until every host is back\n",
		       text(r, "id"));
}

static const struct act {
	const char *verb, *usage;
	void (*say)(const json_t *rollout);
} acts[] = {
	{ "approve", approve_usage, say_approved },
	{ "pause", pause_usage, say_paused },
	{ "resume", resume_usage, say_resumed },
	{ "abort", abort_usage, say_aborted },
};

static const struct act *find_act(const char *verb)
{
	size_t i;

	for (i = 0; i < BL_ARRAY_SIZE(acts); i++)
		if (strcmp(acts[i].verb, verb) == 0)
			return &acts[i];
	assert(!"a verb of the table in cmd_rollout.c");
	return NULL;
}

struct options {
	struct bl_client_args client;
	const char *id, *reason;
};

static const struct bl_arg rows[] = {
	BL_CLIENT_ARGS(struct options, client),
	{ BL_ROLLOUT_ID, BL_ARG_NEEDED, offsetof(struct options, id), 0, 0 },
	{ "reason", BL_ARG_TEXT, offsetof(struct options, reason), 1,
	  BL_REASON_MAX - 1 },
};

int bl_cmd_rollout_act(int argc, char **argv, struct bl_err *err)
{
	BL_CLEANUP(bl_client_closep) struct bl_client *c = NULL;
	bl_autojson_doc struct bl_json_doc doc = { 0 };
	const struct act *act = find_act(argv[0]);
	bl_autofree char *path = NULL, *more = NULL;
	struct options o = { .reason = "" };
	char verb[32];
	const struct bl_args spec = { verb, act->usage, rows,
				      BL_ARRAY_SIZE(rows) };
	int r;

	snprintf(verb, sizeof(verb), "rollout %s", act->verb);
	if (!bl_args_read(&spec, argc, argv, &o, &r, err))
		return r;
	if (bl_client_open_by(&o.client, &c, err) < 0)
		return BL_EXIT_USAGE;
	more = bl_path("/%s", act->verb);
	r = more ? bl_rollout_path(c, o.id, more, &path, err)
		 : bl_err_set(err, -ENOMEM, "out of memory");
	if (!r)
		r = bl_client_json(c, "POST", path,
				   json_pack("{s:s}", "reason", o.reason), &doc,
				   err);
	if (r < 0)
		return bl_client_exit(r);
	if (o.client.json)
		return bl_client_print_json(doc.root);
	act->say(doc.root);
	return BL_EXIT_OK;
}
