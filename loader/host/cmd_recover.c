/* SPDX-License-Identifier: Apache-2.0 */
/* belay recover: the first thing of a boot. */
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/base/term.h"
#include "loader/host/cmd_common.h"
#include "loader/verbs.h"

static const char usage[] =
	"usage: belay recover [--json]\n"
	"\n"
	"After a crash or a reboot: undoes what was open, loads again what was\n"
	"live. Needs no network. Every verb does this first; at boot run it before\n"
	"anything else of belay (belay-recover.service, belay-recover.sh).\n"
	"\n"
	"A version in whose trial the host went down gets a tombstone. What the\n"
	"kernel left in /sys/fs/pstore is kept beside the journal, in evidence/, and\n"
	"says whether the version is convicted (a program of it is in the trace) or\n"
	"suspect. A committed version that three boots in a row went down by, or could\n"
	"not load, is not tried again: the host stays bare.\n"
	"\n"
	"Exit status: 0 all is well, 1 the host is bare, 2 it could not be done.\n"
	"\n" //
	BL_HOST_USAGE_COMMON "\n"
	"example: belay recover\n";

/* Where the evidence of @txn is, if there is any. Caller frees. */
static char *evidence(const struct bl_host_args *a, uint64_t txn)
{
	bl_autofree char *path =
		bl_path("%s/evidence/%" PRIu64,
			a->state_dir ? a->state_dir : BL_HOST_STATE_DIR, txn);

	return path && access(path, F_OK) == 0 ? BL_TAKE(path) : NULL;
}

static int print_text(const struct bl_recover_result *rec, const char *kept,
		      struct bl_err *err)
{
	bl_autobuf struct bl_buf text = { 0 };
	int r = bl_words_recover(&text, rec, bl_term_colour(stdout));

	if (!r && kept)
		r = bl_buf_printf(&text, "what its kernel said last: %s\n",
				  kept);
	if (r) {
		bl_err_errno(err, r, "recover");
		return BL_EXIT_UNDECIDED;
	}
	fputs(bl_buf_str(&text), stdout);
	return BL_EXIT_OK;
}

static int print_json(const struct bl_recover_result *rec, const char *kept,
		      struct bl_err *err)
{
	char why[4 * BL_REASON_LEN];

	return bl_host_print_json(
		json_pack("{s:s, s:s, s:s, s:b, s:I, s:o, s:o}", "outcome",
			  bl_recover_name(rec->outcome), "digest", rec->digest,
			  "reason", bl_host_safe(rec->reason, why, sizeof(why)),
			  "tombstoned", rec->tombstoned, "txn",
			  (json_int_t)rec->txn, "attribution",
			  *rec->attribution ? json_string(rec->attribution)
					    : json_null(),
			  "evidence", kept ? json_string(kept) : json_null()),
		err);
}

int bl_cmd_recover(int argc, char **argv, struct bl_err *err)
{
	BL_CLEANUP(bl_host_closep) struct bl_host *h = NULL;
	struct bl_recover_result rec = { 0 };
	struct bl_host_args a = { 0 };
	bl_autofree char *kept = NULL;
	int r;

	r = bl_host_args("recover", 0, argc, argv, &a, err);
	if (r)
		return r;
	if (a.help) {
		fputs(usage, stdout);
		return BL_EXIT_OK;
	}
	r = bl_host_args_open(&a, &h, err);
	if (!r)
		r = bl_host_recover(h, &rec, err);
	if (r)
		return BL_EXIT_UNDECIDED;
	kept = *rec.attribution ? evidence(&a, rec.txn) : NULL;
	r = a.json ? print_json(&rec, kept, err) : print_text(&rec, kept, err);
	if (r || rec.outcome == BL_RECOVER_BUSY)
		return BL_EXIT_UNDECIDED;
	return rec.outcome == BL_RECOVER_BARE ? BL_EXIT_REJECTED : BL_EXIT_OK;
}
