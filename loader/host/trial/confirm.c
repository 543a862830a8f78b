/* SPDX-License-Identifier: Apache-2.0 */
/* The last word of a person about a trial that another process runs. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "loader/host/journal/journal_trial.h"
#include "loader/host/state.h"

static int __attribute__((format(printf, 3, 4)))
no(struct bl_confirm_result *ret, enum bl_confirm_outcome outcome,
   const char *fmt, ...)
{
	va_list ap;

	ret->outcome = outcome;
	va_start(ap, fmt);
	vsnprintf(ret->reason, sizeof(ret->reason), fmt, ap);
	va_end(ap);
	return 0;
}

static void about(struct bl_confirm_result *ret, const struct bl_journal_txn *t)
{
	ret->txn = t->row.id;
	bl_host_describe(t, &ret->tried);
}

static int over(struct bl_confirm_result *ret, const struct bl_journal_txn *t)
{
	bool back = t->phase == BL_PHASE_ROLLED_BACK ||
		    t->phase == BL_PHASE_ROLLING_BACK;

	about(ret, t);
	return no(ret, BL_CONFIRM_OVER,
		  "transaction %" PRIu64 " is over: %s%.180s", t->row.id,
		  back ? "rolled back: " : "committed",
		  back ? t->row.reason : "");
}

/* Another one than @txn waits, or none. */
static int not_open(struct bl_host *h, uint64_t txn,
		    const struct bl_journal_txn *open,
		    struct bl_confirm_result *ret, struct bl_err *err)
{
	struct bl_journal_txn t;
	int r = txn ? bl_journal_get(h->journal, txn, &t, err) : 0;

	if (r < 0)
		return r;
	if (r)
		return over(ret, &t);
	if (txn && open)
		return no(ret, BL_CONFIRM_WRONG,
			  "this host has no transaction %" PRIu64
			  "; the open one is %" PRIu64,
			  txn, open->row.id);
	if (txn)
		return no(ret, BL_CONFIRM_WRONG,
			  "this host has no transaction %" PRIu64, txn);
	return no(ret, BL_CONFIRM_NOTHING,
		  "nothing on this host waits for a confirmation");
}

static int not_asked(struct bl_confirm_result *ret,
		     const struct bl_journal_txn *t, enum bl_confirm confirm)
{
	return no(
		ret, BL_CONFIRM_NOTHING,
		confirm == BL_CONFIRM_REMOTE
			? "transaction %" PRIu64
			  " is confirmed by its controller"
			: "transaction %" PRIu64
			  " confirms itself (belay apply --confirm=manual would have asked)",
		t->row.id);
}

/* @t is open and meant. */
static int confirm(struct bl_host *h, const struct bl_journal_txn *t,
		   struct bl_confirm_result *ret, struct bl_err *err)
{
	struct bl_journal_trial trial = { 0 };
	struct bl_lock_owner owner;
	int r;

	about(ret, t);
	if (t->kind != BL_TXN_APPLY || t->phase < BL_PHASE_TRIAL)
		return no(ret, BL_CONFIRM_NOTHING,
			  "transaction %" PRIu64 " (%s) is not on trial (%s)",
			  t->row.id, t->row.kind, t->row.phase);
	if (t->phase != BL_PHASE_TRIAL)
		return over(ret, t);
	r = bl_lock_query(h->lock_path, &owner, err);
	if (r)
		return r;
	/* Another verb is here to end what it left. */
	if (!owner.pid || strcmp(owner.what, "apply") != 0)
		return no(ret, BL_CONFIRM_GONE,
			  "the belay that ran the trial of transaction %" PRIu64
			  " is gone; 'belay recover' puts back what was live",
			  t->row.id);
	r = bl_journal_trial_confirm(h->journal, t->row.id,
				     h->clock.wall_ms(h->clock.ctx), err);
	if (r)
		return r < 0 ? r : 0;
	r = bl_journal_trial_get(h->journal, t->row.id, &trial, err);
	if (r < 0 || trial.confirmed_ms)
		return r < 0 ? r : 0;
	/* Not written yet, by a trial that is just beginning: as good as not
	 * begun. */
	if (!r)
		return no(ret, BL_CONFIRM_NOTHING,
			  "the trial of transaction %" PRIu64 " has not begun",
			  t->row.id);
	if (trial.confirm != BL_CONFIRM_MANUAL)
		return not_asked(ret, t, trial.confirm);
	return no(ret, BL_CONFIRM_OVER,
		  "the time of transaction %" PRIu64 " is up", t->row.id);
}

int bl_host_confirm(struct bl_host *h, uint64_t txn,
		    struct bl_confirm_result *ret, struct bl_err *err)
{
	struct bl_confirm_result res = { 0 };
	struct bl_journal_txn t;
	int r = bl_journal_open_txn(h->journal, &t, err);

	if (r < 0)
		return bl_err_wrap(err, r, "confirm");
	if (!r || (txn && t.row.id != txn))
		r = not_open(h, txn, r ? &t : NULL, &res, err);
	else
		r = confirm(h, &t, &res, err);
	if (r)
		return bl_err_wrap(err, r, "confirm");
	*ret = res;
	return 0;
}
