/* SPDX-License-Identifier: Apache-2.0 */
/* belay status, history, recover: what is live here, and how it came to be. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "loader/base/cleanup.h"
#include "loader/base/clock.h"
#include "loader/base/json.h"
#include "loader/base/term.h"
#include "loader/host/cmd_common.h"
#include "loader/host/cmd_fresh.h"
#include "loader/host/slot.h"
#include "loader/kern/signing.h"
#include "loader/verbs.h"

static const char usage_status[] =
	"usage: belay status [--trust DIR] [--json]\n"
	"\n"
	"What is live on this host, and whether it is in the kernel as committed. On one\n"
	"that wants signatures (belay trust) also how fresh its metadata is: until when\n"
	"it is good, when it was last refreshed, and why it was not.\n"
	"Exit status: 0 it is, or nothing is live; 1 it is not; 2 not known.\n"
	"\n"
	"      --trust DIR        what the agent was given (default: trust in the state)\n" BL_HOST_USAGE_COMMON
	"\n"
	"example: belay status\n";

static const char usage_history[] =
	"usage: belay history [--limit N] [--json]\n"
	"\n"
	"Every transaction of this host, newest first, and what failed here.\n"
	"JSON has the milliseconds from its begin to each point (staged, live,\n"
	"committed, ended); of a kernel module also those in which no sensor was\n"
	"called, as one was exchanged for the other (gap_ms) and as the one before\n"
	"came back (gap_back_ms); null if belay died before it was over.\n"
	"\n"
	"      --limit N          at most N transactions (default 20; JSON: all)\n" BL_HOST_USAGE_COMMON
	"\n"
	"example: belay history --limit 5\n";

static json_t *programs_json(const struct bl_kern_slot_state *s)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < s->programs.count; i++) {
		const struct bl_kern_program *p = &s->programs.program[i];

		json_array_append_new(
			list,
			json_pack("{s:s, s:s, s:I, s:s, s:s, s:s}", "name",
				  p->name, "tag", p->tag, "id",
				  (json_int_t)p->id, "hook", p->hook,
				  "strategy", bl_strategy_name(p->strategy),
				  "lease", bl_lease_name(p->lease)));
	}
	return list;
}

/* null for a time that is none. */
static json_t *time_json(int64_t ms)
{
	char text[BL_TIME_ISO_LEN];

	return ms ? json_string(bl_clock_iso(ms, text)) : json_null();
}

static json_t *trial_json(const struct bl_host_trial *t)
{
	return json_pack("{s:I, s:o, s:s, s:o, s:o, s:s}", "txn",
			 (json_int_t)t->txn, "tried",
			 bl_host_generation_json(&t->tried), "confirm",
			 bl_confirm_name(t->confirm), "until",
			 time_json(t->until_ms), "confirmed",
			 time_json(t->confirmed_ms), "watchdog", t->watchdog);
}

static const struct {
	const char *name, *words;
} signing[] = {
	[BL_KERN_SIGNING_UNKNOWN] = {
		"unknown",
		"whether this kernel could check one is not known",
	},
	[BL_KERN_SIGNING_UNABLE] = {
		"unable",
		"this kernel cannot check one",
	},
	[BL_KERN_SIGNING_ABLE] = {
		"able",
		"this kernel could check one; belay's own check decides",
	},
};

/* Modules are signed in another way, which the kernel asks for by itself. */
static bool is_module(const struct bl_host_status *s)
{
	const struct bl_kern_staged *p = &s->slots[s->slot].programs;

	return p->count && p->program[0].strategy == BL_STRATEGY_EXCHANGE;
}

static json_t *signed_json(const struct bl_host_status *s)
{
	static const char *const by[] = {
		[BL_HOST_SIGNED_UNKNOWN] = "unknown",
		[BL_HOST_SIGNED_UNASKED] = "not-asked",
		[BL_HOST_SIGNED_NOT] = "no",
		[BL_HOST_SIGNED_RELEASE] = "release",
	};
	json_t *kernel = json_null();

	if (!is_module(s))
		kernel = json_pack("{s:b, s:s}", "used", 0, "kernel",
				   signing[bl_kern_signing()].name);
	return json_pack("{s:s, s:o, s:o}", "by", by[s->was_signed], "serial",
			 s->serial ? json_integer(s->serial) : json_null(),
			 "kernel_signature", kernel);
}

static int status_json(const struct bl_host *h, const struct bl_host_status *s,
		       const struct bl_recover_result *rec,
		       const char *rec_error, struct bl_err *err)
{
	const struct bl_kern_slot_state *slot = &s->slots[s->slot];
	json_t *v = json_pack(
		"{s:o, s:o, s:b, s:b, s:s, s:s, s:I, s:s, s:s, s:s}", "live",
		bl_host_generation_json(&s->live), "previous",
		bl_host_generation_json(&s->previous), "healthy", s->healthy,
		"gave_way", s->gave_way, "problem",
		*rec_error ? rec_error : s->problem, "boot_id", s->boot_id,
		"tombstones", (json_int_t)s->tombstones, "recovered",
		bl_recover_name(rec->outcome), "recovered_why", rec->reason,
		"busy", s->busy_pid ? s->busy_what : "");

	if (v && *s->live.digest) {
		json_object_set_new(v, "slot",
				    json_string(bl_slot_name(s->slot)));
		json_object_set_new(v, "event_probes",
				    json_boolean(slot->programs.sensor));
		json_object_set_new(v, "programs", programs_json(slot));
		json_object_set_new(v, "signed", signed_json(s));
		json_object_set_new(
			v, "lease_left_ms",
			bl_host_leased(&slot->programs)
				? json_integer(
					  (json_int_t)slot->verdict_left_ms)
				: json_null());
		json_object_set_new(v, "keeper", json_integer(s->keeper_pid));
		json_object_set_new(v, "sample",
				    bl_host_sample_json(&s->sample));
	}
	if (v && s->trial.txn)
		json_object_set_new(v, "trial", trial_json(&s->trial));
	if (v)
		json_object_set_new(v, "trust", bl_host_fresh_json(h));
	return bl_host_print_json(v, err);
}

static void line(const struct bl_host_generation *g, const char *what)
{
	char since[BL_TIME_ISO_LEN];

	if (!*g->digest)
		return;
	printf("%-9s %s %s  %.12s  since %s\n", what, g->name, g->version,
	       g->digest, bl_clock_iso(g->since_ms, since));
	if (*g->content)
		printf("          content %.12s\n", g->content);
}

static void print_programs(const struct bl_host_status *s)
{
	const struct bl_kern_slot_state *slot = &s->slots[s->slot];
	bl_autotable struct bl_table *t = bl_table_new(6);

	if (!t || !slot->programs.count)
		return;
	bl_table_row(t);
	bl_table_cell(t, BL_STYLE_PLAIN, "program");
	bl_table_cell(t, BL_STYLE_PLAIN, "id");
	bl_table_cell(t, BL_STYLE_PLAIN, "tag");
	bl_table_cell(t, BL_STYLE_PLAIN, "hook");
	bl_table_cell(t, BL_STYLE_PLAIN, "strategy");
	bl_table_cell(t, BL_STYLE_PLAIN, "lease");
	for (unsigned i = 0; i < slot->programs.count; i++) {
		const struct bl_kern_program *p = &slot->programs.program[i];

		bl_table_row(t);
		bl_table_cell(t, BL_STYLE_PLAIN, "%s", p->name);
		bl_table_cell(t, BL_STYLE_PLAIN, "%" PRIu32, p->id);
		bl_table_cell(t, BL_STYLE_DIM, "%s", p->tag);
		bl_table_cell(t, BL_STYLE_PLAIN, "%s", p->hook);
		bl_table_cell(t, BL_STYLE_PLAIN, "%s",
			      bl_strategy_name(p->strategy));
		bl_table_cell(t, BL_STYLE_PLAIN, "%s",
			      p->lease == BL_LEASE_NONE
				      ? ""
				      : bl_lease_name(p->lease));
	}
	bl_table_print(t, stdout, "  ");
}

/* I8: what refuses, and until when. */
static void print_lease(const struct bl_host_status *s, bool colour)
{
	const struct bl_kern_slot_state *slot = &s->slots[s->slot];
	unsigned left = (unsigned)((slot->verdict_left_ms + 999) / 1000);

	if (!bl_host_leased(&slot->programs))
		return;
	if (left)
		printf("lease     %u s left in which its programs refuse",
		       left);
	else
		printf("lease     %sexpired: allows%s",
		       bl_style(colour, BL_STYLE_WARN), bl_style_end(colour));
	if (s->keeper_pid)
		printf("; process %d renews it\n", s->keeper_pid);
	else
		printf("; nobody renews it: start belay agent\n");
}

/* Of belay's own check, which decides; and of the kernel's, which was not asked
 * (kern/signing.h). */
static void print_signed(const struct bl_host_status *s)
{
	switch (s->was_signed) {
	case BL_HOST_SIGNED_RELEASE:
		printf("signed    by the release keys, serial %" PRId64 "\n",
		       s->serial);
		break;
	case BL_HOST_SIGNED_NOT:
		printf("signed    not by the release keys: it was live before they were asked\n");
		break;
	case BL_HOST_SIGNED_UNASKED:
		printf("signed    not asked: this host trusts no root (belay trust)\n");
		break;
	case BL_HOST_SIGNED_UNKNOWN:
		printf("signed    not known: what was noted cannot be read (belay trust status)\n");
		break;
	}
	if (is_module(s))
		return;
	printf("          kernel signature: not used; %s\n",
	       signing[bl_kern_signing()].words);
}

static void print_tombstones(const struct bl_host_status *s)
{
	if (s->tombstones)
		printf("%zu version%s failed here or %s left: belay history\n",
		       s->tombstones, s->tombstones == 1 ? "" : "s",
		       s->tombstones == 1 ? "was" : "were");
}

/* The journal was lost, and the kernel still has what it knew. */
static void print_strays(const struct bl_host_status *s)
{
	for (int i = 0; i < BL_SLOT_COUNT && !s->busy_pid; i++)
		if (s->slots[i].attached)
			printf("but slot %s holds %u attached programs that the journal does not know; the next apply replaces them\n",
			       bl_slot_name((enum bl_slot)i),
			       s->slots[i].attached);
}

static void print_events(const struct bl_kern_sample *s)
{
	printf("events    %" PRIu64 " sent, %" PRIu64 " lost, %" PRIu64
	       " operations seen, %" PRIu64 " denied\n",
	       s->events, bl_kern_lost(s), s->seen, s->denied);
	if (bl_kern_lost(s))
		printf("          lost: %" PRIu64 " in the ring, %" PRIu64
		       " too many tasks deep, %" PRIu64
		       " runs skipped by the kernel\n",
		       s->drops, s->torn, s->missed);
	if (s->hashed || s->unhashed)
		printf("digests   %" PRIu64 " files hashed, %" PRIu64
		       " programs ran that were not%s\n",
		       s->hashed, s->unhashed,
		       s->unhashed ? ": no rule for a digest looked at them"
				   : "");
}

static void print_trial(const struct bl_host_trial *t)
{
	char which[BL_WORDS_WHAT_LEN], until[BL_TIME_ISO_LEN];

	if (!t->txn)
		return;
	printf("on trial  %s, transaction %" PRIu64 "\n",
	       bl_words_what(t->tried.name, t->tried.version, t->tried.digest,
			     which),
	       t->txn);
	if (t->confirmed_ms)
		printf("          confirmed\n");
	else if (t->confirm == BL_CONFIRM_MANUAL)
		printf("          waits for 'belay confirm' until %s, then goes back\n",
		       bl_clock_iso(t->until_ms, until));
}

static void print_slot(const struct bl_host_status *s, bool colour)
{
	const struct bl_kern_slot_state *slot = &s->slots[s->slot];

	if (s->gave_way) {
		printf("slot %s    out of the kernel while the one on trial is in; back if that fails\n",
		       bl_slot_name(s->slot));
		return;
	}
	printf("slot %s    %s%s%s, %u of %u programs attached\n",
	       bl_slot_name(s->slot),
	       bl_style(colour, s->healthy ? BL_STYLE_GOOD : BL_STYLE_BAD),
	       s->healthy ? "healthy" : s->problem, bl_style_end(colour),
	       slot->persisted, slot->programs.count);
	if (s->sample.sensor)
		print_events(&s->sample);
	else
		printf("events    not known: not a belay sensor, so its trial had no event probes\n");
}

static void status_text(const struct bl_host_status *s,
			const struct bl_recover_result *rec,
			const char *rec_error)
{
	bool colour = bl_term_colour(stdout);
	char since[BL_TIME_ISO_LEN], why[4 * BL_REASON_LEN];
	char maps[BL_WORDS_MAPS_LEN];

	bl_host_safe(rec->reason, why, sizeof(why));
	if (rec->outcome == BL_RECOVER_BARE)
		printf("not recovered: %s\n", why);
	else if (rec->outcome != BL_RECOVER_NOTHING &&
		 rec->outcome != BL_RECOVER_BUSY)
		printf("recovered: %s (%s)\n", bl_recover_name(rec->outcome),
		       why);
	if (*rec_error)
		printf("%s%s%s\n", bl_style(colour, BL_STYLE_BAD), rec_error,
		       bl_style_end(colour));
	if (s->busy_pid)
		printf("busy:     process %d (belay %s) since %s\n",
		       s->busy_pid, s->busy_what,
		       bl_clock_iso(s->busy_since_ms, since));
	print_trial(&s->trial);
	if (!*s->live.digest) {
		printf("nothing is live on this host\n");
		print_strays(s);
		print_tombstones(s);
		return;
	}
	line(&s->live, "live");
	line(&s->previous, "previous");
	if (*s->live.maps)
		printf("maps      %s\n", bl_words_maps(s->live.maps, maps));
	print_slot(s, colour);
	print_signed(s);
	print_lease(s, colour);
	print_programs(s);
	print_tombstones(s);
}

int bl_cmd_status(int argc, char **argv, struct bl_err *err)
{
	BL_CLEANUP(bl_host_closep) struct bl_host *h = NULL;
	bl_autofree struct bl_host_status *s = calloc(1, sizeof(*s));
	struct bl_recover_result rec = { 0 };
	struct bl_err rec_error = { 0 };
	struct bl_host_args a = { 0 };
	int r;

	r = bl_host_args("status", BL_TAKES_TRUST, argc, argv, &a, err);
	if (r)
		return r;
	if (a.help) {
		fputs(usage_status, stdout);
		return BL_EXIT_OK;
	}
	if (!s) {
		bl_err_errno(err, -ENOMEM, "status");
		return BL_EXIT_UNDECIDED;
	}
	r = bl_host_args_open(&a, &h, err);
	/* A host that cannot recover is one whose status is wanted most. */
	if (!r)
		bl_host_recover(h, &rec, &rec_error);
	if (!r)
		r = bl_host_status(h, s, err);
	if (r)
		return BL_EXIT_UNDECIDED;
	if (a.json) {
		r = status_json(h, s, &rec, rec_error.text, err);
	} else {
		status_text(s, &rec, rec_error.text);
		bl_host_fresh_print(h, s->keeper_pid, bl_term_colour(stdout));
	}
	if (r || rec_error.code)
		return BL_EXIT_UNDECIDED;
	return *s->live.digest && !s->healthy ? BL_EXIT_REJECTED : BL_EXIT_OK;
}

static enum bl_style phase_style(const char *phase)
{
	switch (*phase) {
	case 'd': /* done */
		return BL_STYLE_GOOD;
	case 'r': /* rolled-back, rolling-back */
		return BL_STYLE_BAD;
	default:
		return BL_STYLE_WARN;
	}
}

static void history_table(const struct bl_host_history *hist)
{
	static const char *const head[] = { "txn",     "when",	  "what",
					    "outcome", "version", "content",
					    "slot",    "why" };
	bl_autotable struct bl_table *t = bl_table_new(BL_ARRAY_SIZE(head));
	char when[BL_TIME_ISO_LEN], why[4 * BL_REASON_LEN];
	char which[BL_WORDS_WHAT_LEN];

	if (!t)
		return;
	bl_table_row(t);
	for (size_t i = 0; i < BL_ARRAY_SIZE(head); i++)
		bl_table_cell(t, BL_STYLE_PLAIN, "%s", head[i]);
	for (size_t i = 0; i < hist->count; i++) {
		const struct bl_host_txn *x = &hist->txns[i];

		bl_table_row(t);
		bl_table_cell(t, BL_STYLE_PLAIN, "%" PRIu64, x->id);
		bl_table_cell(t, BL_STYLE_DIM, "%s",
			      bl_clock_iso(x->started_ms, when));
		bl_table_cell(t, BL_STYLE_PLAIN, "%s", x->kind);
		bl_table_cell(t, phase_style(x->phase), "%s",
			      bl_words_ended(x));
		bl_table_cell(t, BL_STYLE_PLAIN, "%s",
			      bl_words_what(x->name, x->version, x->digest,
					    which));
		bl_table_cell(t, BL_STYLE_PLAIN, "%.12s", x->content);
		bl_table_cell(t, BL_STYLE_PLAIN, "%s", bl_slot_name(x->slot));
		bl_table_cell(t, BL_STYLE_PLAIN, "%s",
			      bl_host_safe(x->reason, why, sizeof(why)));
	}
	bl_table_print(t, stdout, "");
}

static void history_text(const struct bl_host_history *hist)
{
	char when[BL_TIME_ISO_LEN], why[4 * BL_REASON_LEN];

	if (!hist->count)
		printf("nothing was ever applied on this host\n");
	else
		history_table(hist);
	if (hist->tombstone_count)
		printf("\nfailed here or left, not to be tried again:\n");
	for (size_t i = 0; i < hist->tombstone_count; i++) {
		const struct bl_host_tombstone *x = &hist->tombstones[i];

		printf("  %.12s  %s  txn %" PRIu64 "  %s\n", x->digest,
		       bl_clock_iso(x->at_ms, when), x->txn,
		       bl_host_safe(x->reason, why, sizeof(why)));
	}
}

/* null for what is not known. */
static json_t *ms_json(int64_t ms)
{
	return ms < 0 ? json_null() : json_integer(ms);
}

static json_t *us_json(int64_t us)
{
	return ms_json(us < 0 ? -1 : (us + 500) / 1000);
}

static json_t *times_json(const struct bl_host_times *t)
{
	bool both = t->staged_ms >= 0 && t->live_ms >= 0;

	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "staged_ms",
			 ms_json(t->staged_ms), "live_ms", ms_json(t->live_ms),
			 "committed_ms", ms_json(t->committed_ms), "ended_ms",
			 ms_json(t->ended_ms), "staged_to_live_ms",
			 ms_json(both ? t->live_ms - t->staged_ms : -1),
			 "gap_ms", us_json(t->gap_us), "gap_back_ms",
			 us_json(t->gap_back_us));
}

static json_t *txn_json(const struct bl_host_txn *x)
{
	char started[BL_TIME_ISO_LEN], changed[BL_TIME_ISO_LEN];
	char why[4 * BL_REASON_LEN];

	return json_pack(
		"{s:I, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s,"
		" s:i, s:s, s:s, s:s, s:s, s:s, s:o, s:s, s:o, s:s, s:o,"
		" s:o}",
		"txn", (json_int_t)x->id, "kind", x->kind, "phase", x->phase,
		"digest", x->digest, "name", x->name, "version", x->version,
		"content", x->content, "old_digest", x->old_digest, "strategy",
		x->strategy, "slot", bl_slot_name(x->slot), "attempt",
		(int)x->attempt, "boot_id", x->boot_id, "reason",
		bl_host_safe(x->reason, why, sizeof(why)), "programs", x->tags,
		"started", bl_clock_iso(x->started_ms, started), "changed",
		bl_clock_iso(x->changed_ms, changed), "times",
		times_json(&x->times), "confirm", x->confirm, "confirmed",
		time_json(x->confirmed_ms), "watchdog", x->watchdog, "maps",
		bl_host_maps_json(x->maps), "attribution",
		*x->attribution ? json_string(x->attribution) : json_null());
}

static int history_json(const struct bl_host_history *hist, struct bl_err *err)
{
	char when[BL_TIME_ISO_LEN], why[4 * BL_REASON_LEN];
	json_t *txns = json_array(), *tombstones = json_array();

	for (size_t i = 0; i < hist->count; i++)
		json_array_append_new(txns, txn_json(&hist->txns[i]));
	for (size_t i = 0; i < hist->tombstone_count; i++) {
		const struct bl_host_tombstone *x = &hist->tombstones[i];

		json_array_append_new(
			tombstones,
			json_pack("{s:s, s:s, s:I, s:s}", "digest", x->digest,
				  "reason",
				  bl_host_safe(x->reason, why, sizeof(why)),
				  "txn", (json_int_t)x->txn, "at",
				  bl_clock_iso(x->at_ms, when)));
	}
	return bl_host_print_json(json_pack("{s:o, s:o}", "transactions", txns,
					    "tombstones", tombstones),
				  err);
}

int bl_cmd_history(int argc, char **argv, struct bl_err *err)
{
	BL_CLEANUP(bl_host_closep) struct bl_host *h = NULL;
	struct bl_host_history hist = { 0 };
	struct bl_host_args a = { 0 };
	size_t limit;
	int r;

	r = bl_host_args("history", BL_TAKES_LIMIT, argc, argv, &a, err);
	if (r)
		return r;
	if (a.help) {
		fputs(usage_history, stdout);
		return BL_EXIT_OK;
	}
	limit = a.count ? a.count : a.json ? 0 : 20;
	r = bl_host_args_open(&a, &h, err);
	if (!r)
		r = bl_host_history(h, limit, &hist, err);
	if (r)
		return BL_EXIT_UNDECIDED;
	if (a.json)
		r = history_json(&hist, err);
	else
		history_text(&hist);
	bl_host_history_free(&hist);
	return r;
}
