/* SPDX-License-Identifier: Apache-2.0 */
/* belay remove: a clean leave. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "loader/base/cleanup.h"
#include "loader/host/cmd_common.h"
#include "loader/host/remove.h"
#include "loader/verbs.h"

static const char usage[] =
	"usage: belay remove [--yes] [--json]\n"
	"\n"
	"Takes belay's sensor and all that belay keeps off this host: programs, maps\n"
	"and pins; the journal with its history and tombstones, kept bundles and\n"
	"evidence. The command itself and its units stay. Asks first, on a terminal.\n"
	"\n"
	"Another belay that works here is not disturbed: stop an agent first. What is\n"
	"half gone is removed all the same. What says who is trusted (trust/) and the\n"
	"certificates of a fleet (tls/) stay: they came by your hand. Exit status: 0\n"
	"nothing else of belay is left, 1 the answer was no, 2 it could not be done.\n"
	"\n"
	"      --yes              do not ask\n" //
	BL_HOST_USAGE_COMMON "\n"
	"example: belay remove --yes\n";

static void describe(const struct bl_removed *x, char *ret, size_t size)
{
	char text[BL_WORDS_WHAT_LEN];
	const struct bl_host_generation *g = &x->live;

	snprintf(ret, size, "%s, %u pins, %u files",
		 *g->digest
			 ? bl_words_what(g->name, g->version, g->digest, text)
			 : "no live sensor",
		 x->pins, x->files);
}

/* A terminal's answer; anything but yes is no. */
static bool confirmed(const struct bl_removed *x)
{
	char line[16] = "", what[BL_WORDS_WHAT_LEN + 64];

	describe(x, what, sizeof(what));
	printf("on this host: %s\nremove all of it? [y/N] ", what);
	fflush(stdout);
	return fgets(line, sizeof(line), stdin) &&
	       (strcmp(line, "y\n") == 0 || strcmp(line, "yes\n") == 0);
}

static int print(const struct bl_removed *x, bool json, struct bl_err *err)
{
	char what[BL_WORDS_WHAT_LEN + 64];

	if (json)
		return bl_host_print_json(
			json_pack("{s:b, s:o, s:i, s:i, s:o}", "removed",
				  x->anything, "live",
				  bl_host_generation_json(&x->live), "pins",
				  (int)x->pins, "files", (int)x->files, "kept",
				  *x->kept ? json_string(x->kept)
					   : json_null()),
			err);
	if (!x->anything) {
		printf("there is nothing of belay on this host\n");
		return BL_EXIT_OK;
	}
	describe(x, what, sizeof(what));
	printf("removed: %s\n", what);
	if (*x->kept)
		printf("%s is not belay's and stays, and so does its folder\n",
		       x->kept);
	return BL_EXIT_OK;
}

int bl_cmd_remove(int argc, char **argv, struct bl_err *err)
{
	struct bl_host_config config = { 0 };
	struct bl_host_args a = { 0 };
	struct bl_removed x = { 0 };
	int r = bl_host_args("remove", BL_TAKES_YES, argc, argv, &a, err);

	if (r)
		return r;
	if (a.help) {
		fputs(usage, stdout);
		return BL_EXIT_OK;
	}
	config.state_dir = a.state_dir;
	config.pin_dir = a.pin_dir;
	config.module_dir = a.module_dir;
	if (bl_host_remove_look(&config, &x, err))
		return BL_EXIT_UNDECIDED;
	if (x.anything && !a.yes) {
		if (a.json || !isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
			return bl_cli_usage(
				err, "remove",
				"it asks before it removes, and here is no terminal to ask: say --yes");
		if (!confirmed(&x)) {
			printf("nothing was removed\n");
			return BL_EXIT_REJECTED;
		}
	}
	/* Interrupted half way, it is half removed: say it again. */
	r = x.anything ? bl_host_remove(&config, &x, err) : 0;
	if (r == -EACCES || r == -EPERM)
		bl_err_hint(err, "a host's state belongs to root");
	return r ? BL_EXIT_UNDECIDED : print(&x, a.json, err);
}
