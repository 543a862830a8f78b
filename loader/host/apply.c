/* SPDX-License-Identifier: Apache-2.0 */
/* Forward (apply) and back by order (rollback). Both are one transaction. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/base/clock.h"
#include "loader/host/state.h"
#include "loader/trust/fault.h"
#include "loader/trust/vouch.h"

static int refuse(struct bl_apply_result *ret, enum bl_refusal refusal,
		  const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static int refuse(struct bl_apply_result *ret, enum bl_refusal refusal,
		  const char *fmt, ...)
{
	va_list ap;

	ret->outcome = BL_APPLY_REFUSED;
	ret->refusal = refusal;
	va_start(ap, fmt);
	vsnprintf(ret->reason, sizeof(ret->reason), fmt, ap);
	va_end(ap);
	return 1;
}

static int refuse_busy(struct bl_apply_result *ret,
		       const struct bl_lock_owner *owner)
{
	char who[128];

	bl_lock_describe(owner, who, sizeof(who));
	return refuse(ret, BL_REFUSAL_BUSY, "%s works on this host", who);
}

/* Between the making of @opts->onto's successor and the lock. */
static int check_onto(const struct bl_journal_txn *live,
		      const struct bl_apply_opts *opts,
		      struct bl_apply_result *ret)
{
	if (!opts || !opts->onto ||
	    (live && !strcmp(live->row.digest, opts->onto)))
		return 0;
	return refuse(
		ret, BL_REFUSAL_CHANGED,
		"what it was made of (%.12s) is not live any more: another belay changed it meanwhile",
		opts->onto);
}

static int check_tombstone(struct bl_host *h, const struct bl_bundle *b,
			   const struct bl_apply_opts *opts,
			   struct bl_apply_result *ret, struct bl_err *err)
{
	struct bl_host_tombstone t;
	char when[BL_TIME_ISO_LEN];
	int r = bl_journal_tombstone(h->journal, b->digest, &t, err);

	if (r <= 0 || (opts && opts->override_reason))
		return r < 0 ? r : 0;
	ret->tombstoned = false;
	return refuse(ret, BL_REFUSAL_TOMBSTONE, "it failed here on %s: %.160s",
		      bl_clock_iso(t.at_ms, when), t.reason);
}

static int check_live(struct bl_host *h, const struct bl_bundle *b,
		      const struct bl_journal_txn *live,
		      struct bl_apply_result *ret, struct bl_err *err)
{
	char problem[BL_REASON_LEN];
	int r;

	if (!live || strcmp(live->row.digest, b->digest) != 0)
		return 0;
	r = bl_host_intact(h, live, problem, err);
	if (r <= 0)
		return r; /* live on paper only: apply it again */
	return refuse(ret, BL_REFUSAL_LIVE, "it is live already");
}

/* Before anything of it is looked at more closely. That of content is no other
 * way: rules that deny are as much of a release as code is, and go the same. */
static int check_signed(struct bl_host *h, const struct bl_bundle *b,
			const struct bl_journal_txn *live,
			const struct bl_apply_opts *opts,
			struct bl_apply_result *ret, struct bl_err *err)
{
	int64_t now_s = h->clock.wall_ms(h->clock.ctx) / 1000;
	struct bl_err why = { 0 };
	int r = h->trust_named ? 1 : bl_vouch_wanted(h->trust_dir, err);

	if (r <= 0)
		return r;
	r = bl_vouch(h->trust_dir, b->digest, b->raw.len,
		     live ? live->row.digest : NULL, now_s, &why);
	if (!r)
		return 0;
	if (!bl_trust_fault_name(r) && r != -ENOENT) {
		if (err)
			*err = why;
		return r;
	}
	snprintf(ret->hint, sizeof(ret->hint), "%.200s", why.hint);
	if (r == BL_TRUST_UNLISTED && opts && opts->onto)
		snprintf(
			ret->hint, sizeof(ret->hint),
			"this content makes a bundle that nobody released: 'belay bundle build' with it, 'belay bundle sign', and apply that");
	return refuse(ret, BL_REFUSAL_UNSIGNED, "%.200s", why.text);
}

static int check_kernel(struct bl_host *h, const struct bl_bundle *b,
			struct bl_apply_result *ret, struct bl_err *err)
{
	struct bl_generation gen;
	struct bl_err why = { 0 };
	int r = bl_work_generation(b, 0, &gen, err);

	if (r)
		return r;
	r = h->ops->check(h->kern, &gen, &why);
	if (r == -EOPNOTSUPP)
		return refuse(ret, BL_REFUSAL_UNSUPPORTED, "%.200s", why.text);
	if (r && err)
		*err = why;
	return r;
}

/* Nothing that the live one's maps hold is lost, or read as something else,
 * without a word in the manifest. */
static int check_state(struct bl_host *h, const struct bl_bundle *b,
		       const struct bl_journal_txn *live,
		       struct bl_carry *ret_carry, struct bl_apply_result *ret,
		       struct bl_err *err)
{
	const struct bl_carry_map *m;
	struct bl_err why = { 0 };
	char more[48] = "";
	size_t others = 0;
	int r = bl_host_carry(h, live, b, false, ret_carry, &why);

	if (r == -EBADMSG) {
		snprintf(
			ret->hint, sizeof(ret->hint),
			"'belay check' says more; after 'belay remove' there is nothing to carry over, and it can be applied");
		return refuse(ret, BL_REFUSAL_STATE, "%.200s", why.text);
	}
	if (r) {
		if (err)
			*err = why;
		return r;
	}
	m = bl_carry_refused(ret_carry, &others);
	if (!m)
		return 0;
	if (others)
		snprintf(more, sizeof(more), " (and %zu more)", others);
	snprintf(ret->hint, sizeof(ret->hint), "%s", m->hint);
	return refuse(ret, BL_REFUSAL_STATE, "map %.64s: %.150s%s", m->name,
		      m->why, more);
}

/*
 * The slot to fill. While nothing is live by the journal, a slot that is in
 * use anyway (the journal was lost) is left alone until the new generation is
 * committed: it may be what guards the host now.
 */
static int idle_slot(struct bl_host *h, const struct bl_journal_txn *live,
		     enum bl_slot *ret, struct bl_err *err)
{
	struct bl_kern_slot_state state = { 0 };
	int r;

	if (live) {
		*ret = bl_slot_other(live->row.slot);
		return 0;
	}
	r = h->ops->inspect(h->kern, BL_SLOT_A, &state, err);
	if (!r)
		*ret = state.kind == BL_KERN_SLOT_EMPTY ? BL_SLOT_A : BL_SLOT_B;
	return r;
}

static void fill(struct bl_work *w, enum bl_txn_kind kind,
		 const struct bl_bundle *b, const struct bl_journal_txn *live)
{
	struct bl_host_txn *row = &w->txn.row;

	w->txn.kind = kind;
	w->bundle = b;
	if (b) {
		memcpy(row->digest, b->digest, sizeof(row->digest));
		memcpy(row->name, b->manifest.name, sizeof(row->name));
		memcpy(row->version, b->manifest.version, sizeof(row->version));
		memcpy(row->content, b->content_digest, sizeof(row->content));
	}
	if (live)
		memcpy(row->old_digest, live->row.digest,
		       sizeof(row->old_digest));
}

static void report(const struct bl_work *w, struct bl_apply_result *ret)
{
	ret->outcome = w->committed ? BL_APPLY_COMMITTED : BL_APPLY_ROLLED_BACK;
	ret->txn = w->txn.row.id;
	ret->tombstoned = w->tombstoned;
	ret->undecided = w->undecided && !w->committed;
	ret->sample = w->sample;
	ret->gap_us = w->txn.row.times.gap_us;
	ret->gap_back_us = w->txn.row.times.gap_back_us;
	memcpy(ret->reason, w->reason, sizeof(ret->reason));
	if (w->committed)
		bl_host_describe(&w->txn, &ret->now);
	ret->lapses = w->committed && bl_host_leased(&w->staged) &&
		      !bl_host_keeper(w->host);
}

static void tell_live(const struct bl_journal_txn *live,
		      struct bl_apply_result *ret)
{
	if (live)
		bl_host_describe(live, &ret->was);
	ret->now = ret->was;
}

static int check_watchdog(struct bl_watchdog *w,
			  const struct bl_apply_opts *opts,
			  struct bl_apply_result *ret)
{
	enum bl_watchdog_mode mode = opts ? opts->watchdog : BL_WATCHDOG_AUTO;
	struct bl_err why = { 0 };

	if (!bl_watchdog_prepare(w, mode, &why))
		return 0;
	return refuse(ret, BL_REFUSAL_UNSUPPORTED, "%.200s", why.text);
}

/* As the apply it is part of; 1 when refused. */
static int apply_locked(struct bl_host *h, const struct bl_bundle *b,
			const struct bl_apply_opts *opts,
			struct bl_apply_result *ret, struct bl_err *err)
{
	BL_CLEANUP(bl_carry_free) struct bl_carry carry = { 0 };
	struct bl_journal_txn live_txn, *live = NULL;
	struct bl_recover_result recovered = { 0 };
	BL_CLEANUP(bl_watchdog_release)
	struct bl_watchdog watchdog = { .ops = h->guard };
	struct bl_work w = {
		.host = h, .opts = opts, .carry = &carry, .watchdog = &watchdog
	};
	int r;

	if (opts)
		watchdog.timeout_ms = opts->watchdog_ms;
	r = bl_host_recover_locked(h, &recovered, err);
	if (r)
		return r;
	r = bl_journal_live(h->journal, &live_txn, err);
	if (r < 0)
		return r;
	live = r ? &live_txn : NULL;
	tell_live(live, ret);
	r = check_onto(live, opts, ret);
	if (!r)
		r = check_tombstone(h, b, opts, ret, err);
	if (!r)
		r = check_live(h, b, live, ret, err);
	if (!r)
		r = check_signed(h, b, live, opts, ret, err);
	if (!r)
		r = check_kernel(h, b, ret, err);
	if (!r)
		r = check_state(h, b, live, &carry, ret, err);
	if (!r)
		r = check_watchdog(&watchdog, opts, ret);
	if (!r)
		r = bl_store_keep(h, b, err);
	if (!r)
		r = idle_slot(h, live, &w.txn.row.slot, err);
	if (r)
		return r;
	fill(&w, BL_TXN_APPLY, b, live);
	bl_host_carry_note(&carry, &w.txn.row);
	/* Live on paper only: there is no way back to itself. */
	if (live && !strcmp(live->row.digest, b->digest))
		w.txn.parent = live->parent;
	else if (live)
		w.txn.parent = live->row.id;
	if (opts && opts->override_reason)
		snprintf(w.txn.row.reason, sizeof(w.txn.row.reason),
			 "forced: %.200s", opts->override_reason);
	r = bl_work_begin(&w, err);
	if (!r)
		r = bl_work_run(&w, err);
	if (!r)
		report(&w, ret);
	return r;
}

int bl_host_apply(struct bl_host *h, const struct bl_bundle *bundle,
		  const struct bl_apply_opts *opts, struct bl_apply_result *ret,
		  struct bl_err *err)
{
	struct bl_apply_result result = { 0 };
	struct bl_lock_owner owner = { 0 };
	int r;

	memcpy(result.digest, bundle->digest, sizeof(result.digest));
	r = bl_host_lock_soon(h, "apply", &owner, err);
	if (r == -EBUSY) {
		r = refuse_busy(&result, &owner);
	} else if (!r) {
		r = apply_locked(h, bundle, opts, &result, err);
		bl_host_unlock(&h);
	}
	if (r < 0)
		return bl_err_wrap(err, r, "apply %s %s", bundle->manifest.name,
				   bundle->manifest.version);
	*ret = result;
	return 0;
}

/* Loads what was committed before @live; *ret_parent is 0 for nothing. */
static int previous(struct bl_host *h, const struct bl_journal_txn *live,
		    struct bl_bundle *ret, bool *ret_any, uint64_t *ret_parent,
		    struct bl_err *err)
{
	struct bl_journal_txn t;
	int r = bl_journal_get(h->journal, live->parent, &t, err);

	if (r <= 0)
		return r;
	r = bl_store_load(h, t.row.digest, ret, err);
	if (r) {
		bl_err_wrap(err, r, "load the version before");
		bl_err_hint(
			err,
			"put another version in its place: belay apply BUNDLE");
		return r;
	}
	*ret_any = true;
	*ret_parent = t.parent;
	return 0;
}

int bl_host_rollback_locked(struct bl_host *h, const char *reason,
			    struct bl_apply_result *ret, struct bl_err *err)
{
	BL_CLEANUP(bl_bundle_free) struct bl_bundle b = { 0 };
	BL_CLEANUP(bl_carry_free) struct bl_carry carry = { 0 };
	struct bl_work w = { .host = h, .carry = &carry };
	struct bl_journal_txn live;
	bool any = false;
	int r = bl_journal_live(h->journal, &live, err);

	if (r < 0)
		return r;
	if (!r)
		return refuse(ret, BL_REFUSAL_EMPTY,
			      "nothing is live on this host");
	tell_live(&live, ret);
	r = previous(h, &live, &b, &any, &w.txn.parent, err);
	if (r)
		return r;
	/* Whatever keeps maps from being carried over keeps nobody from going
	 * back: it begins with empty ones then. */
	if (any)
		bl_host_carry(h, &live, &b, true, &carry, NULL);
	fill(&w, BL_TXN_ROLLBACK, any ? &b : NULL, &live);
	bl_host_carry_note(&carry, &w.txn.row);
	w.txn.row.slot = bl_slot_other(live.row.slot);
	snprintf(w.txn.row.reason, sizeof(w.txn.row.reason), "%s",
		 reason && *reason ? reason : "rolled back on request");
	r = bl_work_begin(&w, err);
	if (!r)
		r = bl_work_run(&w, err);
	if (r)
		return r;
	report(&w, ret);
	memcpy(ret->digest, w.committed ? w.txn.row.digest : live.row.digest,
	       sizeof(ret->digest));
	return 0;
}

int bl_host_rollback(struct bl_host *h, const char *reason,
		     struct bl_apply_result *ret, struct bl_err *err)
{
	struct bl_recover_result recovered = { 0 };
	struct bl_apply_result result = { 0 };
	struct bl_lock_owner owner = { 0 };
	int r;

	r = bl_host_lock_soon(h, "rollback", &owner, err);
	if (r == -EBUSY) {
		r = refuse_busy(&result, &owner);
	} else if (!r) {
		r = bl_host_recover_locked(h, &recovered, err);
		if (!r)
			r = bl_host_rollback_locked(h, reason, &result, err);
		bl_host_unlock(&h);
	}
	if (r < 0)
		return bl_err_wrap(err, r, "roll back");
	*ret = result;
	return 0;
}
