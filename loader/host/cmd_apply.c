/* SPDX-License-Identifier: Apache-2.0 */
/* belay apply, belay rollback: change what is live on this host. */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>

#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/base/json.h"
#include "loader/base/term.h"
#include "loader/bundle/content.h"
#include "loader/host/cmd_common.h"
#include "loader/host/cmd_live.h"
#include "loader/oci/cmd_source.h"
#include "loader/verbs.h"

static const char usage_apply[] =
	"usage: belay apply BUNDLE|oci://…|CONTENT.json [--probation TIME]\n"
	"                   [--confirm=manual [--within TIME]]\n"
	"                   [--probe CMD]… [--probe-timeout TIME]\n"
	"                   [--watchdog auto|require|off]\n"
	"                   [--override REASON] [--trust DIR] [--json]\n"
	"\n"
	"Loads BUNDLE beside what is live, tries it for the probation time and\n"
	"commits it, or returns by itself to what was live. Ctrl-C, and a terminal\n"
	"that is gone, return too.\n"
	"\n"
	"oci://HOST/NAME@sha256:…: what a registry has by that digest of its manifest\n"
	"(belay bundle pull).\n"
	"CONTENT.json: what is live, with these rules. It is a bundle like any\n"
	"other then, of the live one's manifest and object, and is tried alike.\n"
	"Exit status: 0 committed (or live already), 1 rolled back or refused,\n"
	"2 it could not be tried.\n"
	"\n"
	"      --probation TIME   on trial: 30, 90s, 10m (default: the manifest's)\n"
	"      --confirm auto     commit when the probation is over (default)\n"
	"      --confirm manual   and only if somebody says 'belay confirm': the\n"
	"                         probes go on until then\n"
	"      --within TIME      else it goes back, so long after it went live\n"
	"                         (default: 10m)\n"
	"      --probe CMD        a probe of your own: run by /bin/sh -c during the\n"
	"                         trial, in turns with others, at least once; status\n"
	"                         0 is good, any other goes back. It sees\n"
	"                         BELAY_DIGEST, BELAY_TXN and BELAY_PHASE=trial\n"
	"      --probe-timeout TIME  for each run of one (default: 10s)\n"
	"      --watchdog auto    restart this host if it hangs in the trial: by a\n"
	"                         device of it, else softdog (default)\n"
	"      --watchdog require and do not try without one\n"
	"      --watchdog off     not at all\n"
	"      --watchdog-timeout TIME  without a probe until then (default: 60s)\n"
	"      --override REASON  try it even if it failed here before\n"
	"      --trust DIR        refuse what the keys that DIR trusts did not sign\n"
	"                         (belay trust); STATE-DIR/trust counts without this\n"
	"                         as soon as there is a root.json in it\n" //
	BL_SOURCE_USAGE BL_HOST_USAGE_COMMON "\n"
	"example: belay apply sensor-1.0.bundle --probe 'curl -fs localhost/health'\n"
	"         belay apply sensor-1.0.bundle --confirm=manual --within 10m\n"
	"         belay apply content.json\n";

static const char usage_rollback[] =
	"usage: belay rollback [--reason R] [--json]\n"
	"\n"
	"Returns to what was committed before, from this host's own store, and\n"
	"remembers what is left so that it is not tried here again.\n"
	"Exit status: 0 done, 1 there is nothing to leave, 2 it could not be done\n"
	"(what was live stays).\n"
	"\n"
	"      --reason R         why, for the history\n" //
	BL_HOST_USAGE_COMMON "\n"
	"example: belay rollback --reason 'too many alerts'\n";

static int print_json(const char *verb, const struct bl_apply_result *res,
		      struct bl_err *err)
{
	char reason[4 * BL_REASON_LEN], hint[4 * BL_REASON_LEN];
	json_t *v = json_pack(
		"{s:s, s:s, s:s, s:s, s:s, s:s, s:b, s:b, s:I, s:o}", "verb",
		verb, "outcome", bl_outcome_name(res->outcome), "refusal",
		bl_refusal_name(res->refusal), "digest", res->digest, "reason",
		bl_host_safe(res->reason, reason, sizeof(reason)), "hint",
		bl_host_safe(res->hint, hint, sizeof(hint)), "tombstoned",
		res->tombstoned, "lapses", res->lapses, "txn",
		(json_int_t)res->txn, "sample",
		bl_host_sample_json(&res->sample));

	if (v && res->refusal != BL_REFUSAL_BUSY)
		json_object_set_new(v, "live",
				    bl_host_generation_json(&res->now));
	return bl_host_print_json(v, err);
}

static int print_result(const char *verb, const struct bl_host_args *a,
			const struct bl_bundle *b,
			const struct bl_apply_result *res, struct bl_err *err)
{
	bl_autobuf struct bl_buf text = { 0 };
	bool colour = bl_term_colour(stdout);
	int r;

	if (a->json)
		return print_json(verb, res, err);
	r = b ? bl_words_apply(&text, &b->manifest, res, colour)
	      : bl_words_rollback(&text, res, colour);
	if (r) {
		bl_err_errno(err, r, "%s", verb);
		return BL_EXIT_UNDECIDED;
	}
	fputs(bl_buf_str(&text), stdout);
	return BL_EXIT_OK;
}

static int exit_code(const struct bl_apply_result *res)
{
	if (res->outcome == BL_APPLY_COMMITTED ||
	    res->refusal == BL_REFUSAL_LIVE)
		return BL_EXIT_OK;
	return res->refusal == BL_REFUSAL_BUSY ? BL_EXIT_UNDECIDED
					       : BL_EXIT_REJECTED;
}

/* A bundle, or content that makes one of what is live: then *ret_host is open
 * and @ret_onto what it was made of. */
static int open_operand(struct bl_host_args *a, struct bl_host **ret_host,
			struct bl_bundle *ret,
			char ret_onto[static BL_DIGEST_HEX], struct bl_err *err)
{
	bl_autobuf struct bl_buf file = { 0 };
	struct bl_source_show show;
	int r;

	bl_source_show(&show, &a->source);
	r = bl_source_read(a->operand, &a->source, BL_CONTENT_JSON_MAX, &file,
			   err);
	bl_source_show_end(&show);
	if (!r && !bl_content_is(a->operand, file.data, file.len))
		return bl_bundle_parse(a->operand, file.data, file.len, ret,
				       err);
	if (!r)
		r = bl_host_args_open(a, ret_host, err);
	return r ? r
		 : bl_host_with_content(*ret_host, a->operand, file.data,
					file.len, ret, ret_onto, err);
}

int bl_cmd_apply(int argc, char **argv, struct bl_err *err)
{
	BL_CLEANUP(bl_bundle_free) struct bl_bundle b = { 0 };
	BL_CLEANUP(bl_host_closep) struct bl_host *h = NULL;
	struct bl_live live = { 0 };
	struct bl_apply_opts opts = { .tick = bl_live_tick, .ctx = &live };
	struct bl_apply_result res = { 0 };
	struct bl_host_args a = { 0 };
	char onto[BL_DIGEST_HEX] = "";
	int r;

	r = bl_host_args("apply",
			 BL_TAKES_OPERAND | BL_TAKES_PROBATION |
				 BL_TAKES_OVERRIDE | BL_TAKES_CONFIRM |
				 BL_TAKES_PROBES | BL_TAKES_WATCHDOG |
				 BL_TAKES_TRUST | BL_TAKES_SOURCE,
			 argc, argv, &a, err);
	if (r)
		return r;
	if (a.help) {
		fputs(usage_apply, stdout);
		return BL_EXIT_OK;
	}
	r = open_operand(&a, &h, &b, onto, err);
	if (r)
		return r == -EBADMSG || r == -EFBIG ? BL_EXIT_REJECTED
						    : BL_EXIT_UNDECIDED;
	opts.onto = *onto ? onto : NULL;
	opts.probation_ms = a.probation_ms;
	opts.override_reason = a.reason;
	opts.confirm = a.confirm;
	opts.within_ms = a.within_ms;
	opts.commands = a.probes;
	opts.command_count = a.probe_count;
	opts.command_timeout_ms = a.probe_timeout_ms;
	opts.watchdog = a.watchdog;
	opts.watchdog_ms = a.watchdog_ms;
	bl_cli_catch_signals();
	/* A reader that is gone, or a terminal that stops us, must not leave a
	 * trial alone: nobody would speak up for it any more. */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGTSTP, SIG_IGN);
	signal(SIGTTOU, SIG_IGN);
	if (!h)
		r = bl_host_args_open(&a, &h, err);
	if (!r)
		r = bl_host_apply(h, &b, &opts, &res, err);
	bl_live_end(&live);
	if (r)
		return BL_EXIT_UNDECIDED;
	r = print_result("apply", &a, &b, &res, err);
	return r ? r : exit_code(&res);
}

int bl_cmd_rollback(int argc, char **argv, struct bl_err *err)
{
	BL_CLEANUP(bl_host_closep) struct bl_host *h = NULL;
	struct bl_apply_result res = { 0 };
	struct bl_host_args a = { 0 };
	int r;

	r = bl_host_args("rollback", BL_TAKES_REASON, argc, argv, &a, err);
	if (r)
		return r;
	if (a.help) {
		fputs(usage_rollback, stdout);
		return BL_EXIT_OK;
	}
	r = bl_host_args_open(&a, &h, err);
	if (!r)
		r = bl_host_rollback(h, a.reason, &res, err);
	if (r)
		return BL_EXIT_UNDECIDED;
	r = print_result("rollback", &a, NULL, &res, err);
	if (r)
		return r;
	return res.outcome == BL_APPLY_ROLLED_BACK ? BL_EXIT_UNDECIDED
						   : exit_code(&res);
}
