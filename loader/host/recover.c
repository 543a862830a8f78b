/* SPDX-License-Identifier: Apache-2.0 */
/*
 * After a crash or a reboot: close what is open, finish a rollback that was
 * cut short, and load the live generation again if the kernel lost it.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/host/boot/crash.h"
#include "loader/host/journal/journal_trial.h"
#include "loader/host/state.h"

/* What was found open. */
struct found {
	bool any;
	enum bl_txn_kind kind;
	bool committed;
	char reason[BL_REASON_LEN]; /* as it was before it was found */
	struct bl_err
		unsaid; /* why it is not on record that another is to blame */
};

/*
 * Who is to blame that @t was left open: of a trial the version, whether or not
 * the kernel said so; a restore or rollback may as well have been cut short by
 * a hand. Found already going back, that was settled before.
 */
static void blame(struct bl_host *h, const struct bl_journal_txn *t,
		  bool rebooted, struct bl_crash *ret)
{
	struct bl_crash c = { .blame = BL_BLAME_NONE };

	if (t->phase >= BL_PHASE_COMMITTED)
		;
	else if (t->kind != BL_TXN_APPLY && !rebooted)
		c.blame = BL_BLAME_CUT;
	else if (rebooted &&
		 (t->kind != BL_TXN_APPLY ||
		  bl_txn_next(t->kind, t->phase, BL_TXN_FOUND_BOOT).tombstone))
		bl_crash_of_open(h, t, &c);
	*ret = c;
}

/*
 * A commit whose old slot would not go is found open once more, after others
 * may have come: then neither slot is its own any more, and all that is left to
 * do is to say that it is over. 1 if so.
 */
static int close_stale(struct bl_host *h, const struct bl_journal_txn *t,
		       struct bl_err *err)
{
	struct bl_journal_step over = { .txn = t->row.id,
					.phase = BL_PHASE_DONE,
					.at_ms = h->clock.wall_ms(h->clock.ctx),
					.times = &t->row.times };
	struct bl_journal_txn live;
	int r;

	if (t->phase != BL_PHASE_COMMITTED)
		return 0;
	r = bl_journal_live(h->journal, &live, err);
	if (r < 0)
		return r;
	/* A rollback to nothing leaves nothing live. */
	if (r ? live.row.id == t->row.id : !*t->row.digest)
		return 0;
	r = bl_journal_write(h->journal, &over, err);
	return r ? r : 1;
}

/* Belay and whoever held the device for it were killed at the same moment, or
 * the trial was one that belay's death does not end: the device goes on, and
 * would restart a host that has gone back. Not before it has: a host that hangs
 * in that is what it is for. */
static void stop_watchdog(struct bl_host *h, const struct bl_journal_txn *t)
{
	struct bl_journal_trial terms;

	if (bl_journal_trial_get(h->journal, t->row.id, &terms, NULL) > 0)
		bl_watchdog_stop_left(h->guard, terms.watchdog);
}

static int close_open(struct bl_host *h, struct found *ret,
		      struct bl_recover_result *res, struct bl_err *err)
{
	char boot[BL_KERN_BOOT_ID_LEN];
	struct bl_work w = { .host = h };
	struct bl_crash crash;
	bool rebooted;
	int r = bl_journal_open_txn(h->journal, &w.txn, err);

	if (r <= 0)
		return r;
	r = close_stale(h, &w.txn, err);
	if (r)
		return r < 0 ? r : 0;
	r = h->ops->boot_id(h->kern, boot, err);
	if (r)
		return r;
	ret->any = true;
	ret->kind = w.txn.kind;
	memcpy(ret->reason, w.txn.row.reason, sizeof(ret->reason));
	w.committed = w.txn.phase == BL_PHASE_COMMITTED;
	rebooted = strcmp(boot, w.txn.row.boot_id) != 0;
	blame(h, &w.txn, rebooted, &crash);
	if (crash.blame)
		w.attribution = bl_blame_name(crash.blame);
	if (*crash.words)
		w.why_down = crash.words;
	w.innocent = crash.by != 0;
	/* A remark about another one: the host is not left as it is for want of
	 * it (I3). */
	if (crash.by)
		bl_journal_attribute(
			h->journal, crash.by, bl_blame_name(BL_BLAME_CONVICTED),
			"its module left a hook when it was unloaded",
			&ret->unsaid);
	r = bl_work_resume(&w, rebooted, err);
	if (!rebooted)
		stop_watchdog(h, &w.txn);
	if (r)
		return r;
	snprintf(res->attribution, sizeof(res->attribution), "%s",
		 crash.blame ? w.attribution : w.txn.row.attribution);
	ret->committed = w.committed;
	res->outcome = w.committed ? BL_RECOVER_FINISHED
				   : BL_RECOVER_ROLLED_BACK;
	res->txn = w.txn.row.id;
	res->tombstoned = w.tombstoned;
	memcpy(res->reason, w.reason, sizeof(res->reason));
	return 0;
}

/*
 * 0; -ELOOP with what came of the tries so far when there were enough. What
 * keeps a boot from loading it may pass (a network card that is not there yet),
 * so a boot has its tries again after a while, and only boots count for good.
 */
static int tries_left(struct bl_host *h, struct bl_err *err)
{
	struct bl_journal_failures f = { 0 };
	char boot[BL_KERN_BOOT_ID_LEN];
	int r = h->ops->boot_id(h->kern, boot, err);

	if (!r)
		r = bl_journal_failures(h->journal, boot,
					h->clock.wall_ms(h->clock.ctx) -
						BL_RESTORE_PAUSE_MS,
					&f, err);
	if (r)
		return r;
	if (f.boots >= BL_RESTORE_TRIES)
		return bl_err_set(
			err, -ELOOP,
			"%u boots in a row failed, or were taken down by it",
			f.boots);
	if (f.recent >= BL_RESTORE_TRIES)
		return bl_err_set(
			err, -ELOOP,
			"%u tries in a row failed; the next one is in %u minutes at the latest",
			f.recent, BL_RESTORE_PAUSE_MS / 60000);
	if (f.cut >= BL_RESTORE_CUTS)
		return bl_err_set(err, -ELOOP,
				  "%u tries in a row were cut short", f.cut);
	return 0;
}

/* A rollback was ordered and did not come about: do it now. That it fails is
 * no reason to leave the host with nothing, so the live one is looked at in
 * any case. */
static void redo_rollback(struct bl_host *h, const struct found *found,
			  struct bl_recover_result *res)
{
	struct bl_apply_result result = { 0 };
	struct bl_err why = { 0 };
	int r = tries_left(h, &why);

	if (r == -ELOOP)
		return;
	if (!r)
		r = bl_host_rollback_locked(h, found->reason, &result, &why);
	if (r < 0) {
		snprintf(res->reason, sizeof(res->reason), "%.*s",
			 BL_REASON_LEN - 1, why.text);
		return;
	}
	res->txn = result.txn;
	res->tombstoned = result.tombstoned;
	if (result.outcome == BL_APPLY_COMMITTED)
		res->outcome = BL_RECOVER_FINISHED;
}

/* Loads @live again, in the other slot: what is left of it stays until the new
 * one is committed. */
static int restore(struct bl_host *h, const struct bl_journal_txn *live,
		   struct bl_recover_result *res, struct bl_err *err)
{
	BL_CLEANUP(bl_bundle_free) struct bl_bundle b = { 0 };
	BL_CLEANUP(bl_carry_free) struct bl_carry carry = { 0 };
	struct bl_work w = { .host = h, .bundle = &b, .carry = &carry };
	int r = bl_store_load(h, live->row.digest, &b, err);

	if (r)
		return r;
	w.txn.kind = BL_TXN_RESTORE;
	w.txn.row = live->row;
	w.txn.parent = live->parent;
	w.txn.row.slot = bl_slot_other(live->row.slot);
	memcpy(w.txn.row.old_digest, live->row.digest,
	       sizeof(w.txn.row.old_digest));
	memcpy(w.txn.row.reason, res->reason, sizeof(w.txn.row.reason));
	/* Of a slot that lost something but its maps, the maps are kept. */
	bl_host_carry(h, live, &b, true, &carry, NULL);
	bl_host_carry_note(&carry, &w.txn.row);
	r = bl_work_begin(&w, err);
	if (!r)
		r = bl_work_run(&w, err);
	if (r)
		return r;
	res->txn = w.txn.row.id;
	if (!w.committed)
		return bl_err_set(err, -EIO, "%s", w.reason);
	res->outcome = BL_RECOVER_RESTORED;
	return 0;
}

/*
 * The kernel lost @live with a reboot. If it went down by what @live had loaded,
 * and not long after the boot, that counts, and is on record before it is loaded
 * once more. @problem becomes why.
 */
static int judge_last_boot(struct bl_host *h, const struct bl_journal_txn *live,
			   char problem[static BL_REASON_LEN],
			   struct bl_err *err)
{
	char boot[BL_KERN_BOOT_ID_LEN];
	struct bl_crash crash;
	int r = h->ops->boot_id(h->kern, boot, err);

	if (r || !strcmp(boot, live->row.boot_id) || *live->row.attribution)
		return r;
	bl_crash_of_live(h, live, &crash);
	if (!crash.blame)
		return 0;
	memcpy(problem, crash.words, BL_REASON_LEN);
	if (crash.evidence.uptime_ms > BL_CRASH_BOOT_MS)
		return 0;
	return bl_journal_attribute(h->journal, live->row.id,
				    bl_blame_name(crash.blame), NULL, err);
}

static int restore_if_lost(struct bl_host *h, struct bl_recover_result *res,
			   struct bl_err *err)
{
	char problem[BL_REASON_LEN];
	struct bl_journal_txn live;
	struct bl_err why = { 0 };
	int r = bl_journal_live(h->journal, &live, err);

	if (r <= 0)
		return r;
	memcpy(res->digest, live.row.digest, sizeof(res->digest));
	bl_host_describe(&live, &res->live);
	r = bl_host_intact(h, &live, problem, err);
	if (r)
		return r < 0 ? r : 0;
	r = judge_last_boot(h, &live, problem, err);
	if (r)
		return r;
	memcpy(res->reason, problem, sizeof(res->reason));
	r = tries_left(h, &why);
	if (r && r != -ELOOP)
		return bl_err_set(err, r, "%s", why.text);
	if (!r)
		r = restore(h, &live, res, &why);
	if (!r)
		return 0;
	res->outcome = BL_RECOVER_BARE;
	snprintf(res->reason, sizeof(res->reason),
		 "%.100s; it could not be loaded again: %.120s", problem,
		 why.text);
	return 0;
}

static void tell_unsaid(const struct bl_err *why,
			char reason[static BL_REASON_LEN])
{
	size_t len = strlen(reason);

	if (why->code)
		snprintf(
			reason + len, BL_REASON_LEN - len,
			"; that the module before it is to blame is not on record: %.100s",
			why->text);
}

int bl_host_recover_locked(struct bl_host *h, struct bl_recover_result *ret,
			   struct bl_err *err)
{
	struct bl_recover_result res = { 0 };
	struct found found = { 0 };
	int r = close_open(h, &found, &res, err);

	if (r)
		return r;
	if (found.any && found.kind == BL_TXN_ROLLBACK && !found.committed)
		redo_rollback(h, &found, &res);
	r = restore_if_lost(h, &res, err);
	if (r)
		return r;
	tell_unsaid(&found.unsaid, res.reason);
	*ret = res;
	return 0;
}

int bl_host_recover(struct bl_host *h, struct bl_recover_result *ret,
		    struct bl_err *err)
{
	struct bl_recover_result res = { 0 };
	struct bl_lock_owner owner = { 0 };
	int r = bl_host_lock(h, "recover", &owner, err);

	if (r == -EBUSY) {
		res.outcome = BL_RECOVER_BUSY;
		bl_lock_describe(&owner, res.reason, sizeof(res.reason));
		*ret = res;
		return 0;
	}
	if (r)
		return r;
	r = bl_host_recover_locked(h, &res, err);
	bl_host_unlock(&h);
	if (r)
		return bl_err_wrap(err, r, "recover");
	*ret = res;
	return 0;
}
