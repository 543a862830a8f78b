/* SPDX-License-Identifier: Apache-2.0 */
/* belay confirm: the last word of a person about a trial. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "loader/base/cleanup.h"
#include "loader/base/term.h"
#include "loader/host/cmd_common.h"
#include "loader/verbs.h"

static const char usage[] =
	"usage: belay confirm [--txn N] [--json]\n"
	"\n"
	"Keeps what another shell tries with 'belay apply --confirm=manual': once\n"
	"its probation is over it is committed. Without a confirmation in time it\n"
	"goes back. Does not wait for the trial.\n"
	"Exit status: 0 confirmed, 1 there is nothing (or nothing any more) to\n"
	"confirm, 2 it could not be written down.\n"
	"\n"
	"      --txn N            only if that is the transaction on trial\n" //
	BL_HOST_USAGE_COMMON "\n"
	"example: belay confirm --txn 7\n";

static const char *const outcomes[] = {
	[BL_CONFIRMED] = "confirmed",
	[BL_CONFIRM_NOTHING] = "nothing-waits",
	[BL_CONFIRM_WRONG] = "wrong-transaction",
	[BL_CONFIRM_OVER] = "over",
	[BL_CONFIRM_GONE] = "gone",
};

static int print_json(const struct bl_confirm_result *res, struct bl_err *err)
{
	char why[4 * BL_REASON_LEN];

	return bl_host_print_json(
		json_pack("{s:s, s:s, s:I, s:s, s:o}", "verb", "confirm",
			  "outcome", outcomes[res->outcome], "txn",
			  (json_int_t)res->txn, "reason",
			  bl_host_safe(res->reason, why, sizeof(why)), "tried",
			  bl_host_generation_json(&res->tried)),
		err);
}

static void print_text(const struct bl_confirm_result *res)
{
	bool colour = bl_term_colour(stdout), good = !res->outcome;
	const struct bl_host_generation *g = &res->tried;
	char which[BL_WORDS_WHAT_LEN], why[4 * BL_REASON_LEN];

	printf("%s%s%s: ",
	       bl_style(colour, good ? BL_STYLE_GOOD : BL_STYLE_BAD),
	       good ? "confirmed" : "not confirmed", bl_style_end(colour));
	if (good)
		printf("%s, transaction %" PRIu64
		       "; it is committed once its probation is over\n",
		       bl_words_what(g->name, g->version, g->digest, which),
		       res->txn);
	else
		printf("%s\n", bl_host_safe(res->reason, why, sizeof(why)));
}

int bl_cmd_confirm(int argc, char **argv, struct bl_err *err)
{
	BL_CLEANUP(bl_host_closep) struct bl_host *h = NULL;
	struct bl_confirm_result res = { 0 };
	struct bl_host_args a = { 0 };
	int r;

	r = bl_host_args("confirm", BL_TAKES_TXN, argc, argv, &a, err);
	if (r)
		return r;
	if (a.help) {
		fputs(usage, stdout);
		return BL_EXIT_OK;
	}
	r = bl_host_args_open(&a, &h, err);
	if (!r)
		r = bl_host_confirm(h, a.txn, &res, err);
	if (r)
		return BL_EXIT_UNDECIDED;
	if (a.json)
		r = print_json(&res, err);
	else
		print_text(&res);
	if (r)
		return r;
	return res.outcome == BL_CONFIRMED ? BL_EXIT_OK : BL_EXIT_REJECTED;
}
