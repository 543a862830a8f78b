/* SPDX-License-Identifier: Apache-2.0 */
/* The belay command: a table of verbs, and the one place that prints errors. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "loader/base/cleanup.h"
#include "loader/base/term.h"
#include "loader/verbs.h"

static const char usage[] =
	"belay: stage kernel security sensors safely\n"
	"\n"
	"usage: belay VERB [options]   (belay VERB --help for each)\n"
	"example: belay check sensor.bpf.o --kernel all\n"
	"\n";

static const struct bl_verb verbs[] = {
	{ "check", "the gate: policy and every kernel's verifier",
	  bl_cmd_check },
	{ "bundle", "build, inspect, sign and verify bundles", bl_cmd_bundle },
	{ "content", "rules of what others know to be bad", bl_cmd_content },
	{ "trust", "who may sign what hosts run", bl_cmd_trust },
	{ "apply", "stage, try and commit a bundle on this host",
	  bl_cmd_apply },
	{ "confirm", "keep what is on trial here (apply --confirm=manual)",
	  bl_cmd_confirm },
	{ "status", "what is live on this host", bl_cmd_status },
	{ "rollback", "return this host to the generation before",
	  bl_cmd_rollback },
	{ "history", "this host's transactions", bl_cmd_history },
	{ "recover", "finish what a crash left open (run at boot)",
	  bl_cmd_recover },
	{ "remove", "take belay and its sensor off this host", bl_cmd_remove },
	{ "events", "read events of the live sensor", bl_cmd_events },
	{ "agent", "the host daemon of a fleet", bl_cmd_agent },
	{ "controller", "the fleet's API, ledger and decisions",
	  bl_cmd_controller },
	{ "rollout", "start, watch and abort rollouts", bl_cmd_rollout },
	{ "host", "the fleet's hosts", bl_cmd_host },
	{ "compare", "faults on eBPF and on a module, side by side",
	  bl_cmd_compare },
	{ "simulate", "a plan and a fault on a fleet that does not exist",
	  bl_cmd_simulate },
	{ "probe", "show an object to the running kernel (in the lab)",
	  bl_cmd_probe },
	{ "lab", "kernels and microVMs to check on", bl_cmd_lab },
};

static int run(int argc, char **argv, struct bl_err *err)
{
	if (argc == 2 && strcmp(argv[1], "--version") == 0) {
		puts("belay " BL_VERSION);
		return BL_EXIT_OK;
	}
	return bl_cli_dispatch(usage, verbs, BL_ARRAY_SIZE(verbs), argc, argv,
			       err);
}

int main(int argc, char **argv)
{
	bool colour = bl_term_colour(stderr);
	struct bl_err err = { 0 };
	int code;

	if (argc > 0)
		argv[0] = ""; /* a verb's hints name the verb: here is none */
	code = run(argc, argv, &err);

	if (fflush(stdout) != 0 && code == BL_EXIT_OK) {
		fprintf(stderr, "belay: cannot write to standard output\n");
		code = BL_EXIT_UNDECIDED;
	}
	if (err.text[0])
		fprintf(stderr, "%sbelay:%s %s\n",
			bl_style(colour, BL_STYLE_BAD), bl_style_end(colour),
			err.text);
	if (err.hint[0])
		fprintf(stderr, "  %s\n", err.hint);
	return code;
}
