/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a transaction along the table of txn.c: act, write down, go on. */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/bundle/content.h"
#include "loader/host/state.h"

static int64_t wall_ms(const struct bl_work *w)
{
	return w->host->clock.wall_ms(w->host->clock.ctx);
}

void bl_work_mark(const struct bl_work *w, int64_t *time)
{
	const struct bl_host_clock *clock = &w->host->clock;

	if (w->clocked)
		*time = (int64_t)(clock->mono_ms(clock->ctx) - w->began_ms);
}

int bl_tags_text(const struct bl_kern_staged *staged, struct bl_buf *ret,
		 struct bl_err *err)
{
	int r = 0;

	for (unsigned i = 0; !r && i < staged->count; i++)
		r = bl_buf_printf(ret, "%s%s:%s", i ? " " : "",
				  staged->program[i].name,
				  staged->program[i].tag);
	return r ? bl_err_errno(err, r, "program tags") : 0;
}

/* "dispatch", "dispatch+overlap": all that its programs need. */
static const char *strategies(const struct bl_kern_staged *staged,
			      char ret[static BL_STRATEGY_LEN])
{
	bool used[BL_STRATEGIES] = { false };
	size_t at = 0;

	for (unsigned i = 0; i < staged->count; i++)
		used[staged->program[i].strategy] = true;
	*ret = 0;
	for (int i = BL_STRATEGIES - 1; i >= 0; i--)
		if (used[i])
			at += (size_t)snprintf(
				ret + at, BL_STRATEGY_LEN - at, "%s%s",
				at ? "+" : "",
				bl_strategy_name((enum bl_strategy)i));
	return ret;
}

static void add_wishes(const struct bl_manifest_programs *programs,
		       struct bl_generation *g)
{
	static const enum bl_wish wishes[] = {
		[BL_PROGRAM_BEST] = BL_WISH_NONE,
		[BL_PROGRAM_DISPATCH] = BL_WISH_DISPATCH,
		[BL_PROGRAM_REPLACE] = BL_WISH_REPLACE,
		[BL_PROGRAM_OVERLAP] = BL_WISH_OVERLAP,
	};

	_Static_assert(BL_KERN_WISHES_MAX >= BL_MANIFEST_PROGRAMS_MAX,
		       "room for all that a manifest may say");
	for (size_t i = 0; i < programs->count; i++) {
		const struct bl_manifest_program *p = &programs->list[i];

		g->wishes[g->wish_count++] = (struct bl_kern_wish){
			.program = p->name,
			.strategy = wishes[p->strategy],
			.no_lease = p->no_lease,
			.cgroup = *p->cgroup ? p->cgroup : NULL,
			.interface = *p->interface ? p->interface : NULL,
		};
	}
}

static void add_modules(const struct bl_bundle *b, struct bl_generation *g)
{
	_Static_assert(BL_KERN_MODULES_MAX >= BL_MODULES_MAX,
		       "room for all that a bundle may have");
	for (size_t i = 0; i < b->manifest.modules.count; i++)
		g->modules[g->module_count++] = (struct bl_kern_module){
			.file = b->manifest.modules.file[i],
			.data = b->modules[i].data,
			.len = b->modules[i].len,
		};
}

int bl_work_generation(const struct bl_bundle *b, uint32_t number,
		       struct bl_generation *ret, struct bl_err *err)
{
	struct bl_generation g = {
		.name = b->manifest.name,
		.number = number,
		.object = b->object.data,
		.object_len = b->object.len,
	};

	add_modules(b, &g);
	add_wishes(&b->manifest.programs, &g);
	if (b->content_bin.len) {
		struct bl_content_info info;
		int r = bl_content_check_binary(b->manifest.name,
						b->content_bin.data,
						b->content_bin.len, &info, err);

		if (r)
			return r;
		g.content = b->content_bin.data;
		g.content_len = b->content_bin.len;
		g.denies = info.denies > 0;
	}
	*ret = g;
	return 0;
}

int bl_work_begin(struct bl_work *w, struct bl_err *err)
{
	struct bl_host_txn *row = &w->txn.row;
	int r;

	row->started_ms = row->changed_ms = wall_ms(w);
	row->times = (struct bl_host_times){ -1, -1, -1, -1, -1, -1 };
	w->began_ms = w->host->clock.mono_ms(w->host->clock.ctx);
	w->clocked = true;
	w->txn.phase = BL_PHASE_INTENT;
	r = w->host->ops->boot_id(w->host->kern, row->boot_id, err);
	if (!r)
		r = bl_journal_begin(w->host->journal, &w->txn, &row->id, err);
	return r;
}

/*
 * A load may take longer than what is live may refuse meanwhile. A lease that
 * ran out stays so: what is live may be what locked this host out, and this the
 * repair.
 */
static void keep_lease(const struct bl_work *w)
{
	const struct bl_kern_ops *ops = w->host->ops;
	enum bl_slot live = bl_slot_other(w->txn.row.slot);
	struct bl_kern_slot_state state = { 0 };

	if (!ops->inspect(w->host->kern, live, &state, NULL) &&
	    state.verdict_left_ms)
		ops->renew(w->host->kern, live, 0, BL_KERN_VERDICT_LEASE_MS,
			   NULL);
}

static int stage(struct bl_work *w, struct bl_err *err)
{
	const struct bl_kern_ops *ops = w->host->ops;
	struct bl_generation gen;
	int r;

	if (!w->bundle)
		return 0;
	r = bl_work_generation(w->bundle, (uint32_t)w->txn.row.id, &gen, err);
	if (!r)
		gen.carry = w->carry;
	if (!r)
		keep_lease(w);
	/* From before the load: loading may already upset a kernel. */
	if (!r && w->txn.kind == BL_TXN_APPLY)
		r = ops->splats(w->host->kern, &w->splats, err);
	/* Nothing that the journal knows is in there. */
	if (!r)
		r = ops->retire(w->host->kern, w->txn.row.slot, err);
	if (!r)
		r = ops->stage(w->host->kern, w->txn.row.slot, &gen, &w->staged,
			       err);
	if (!r)
		bl_work_mark(w, &w->txn.row.times.staged_ms);
	return r;
}

/* -1: nothing was measured. */
static int64_t gap_of(const struct bl_work *w, enum bl_slot slot)
{
	struct bl_kern_slot_state state = { 0 };

	if (w->host->ops->inspect(w->host->kern, slot, &state, NULL) ||
	    !state.gap_us)
		return -1;
	return (int64_t)state.gap_us;
}

int bl_work_attach(struct bl_work *w, struct bl_err *err)
{
	const struct bl_kern_ops *ops = w->host->ops;
	int r;

	if (!w->bundle)
		return 0;
	r = ops->attach(w->host->kern, w->txn.row.slot, err);
	if (r)
		return r;
	bl_work_mark(w, &w->txn.row.times.live_ms);
	w->txn.row.times.gap_us = gap_of(w, w->txn.row.slot);
	return 0;
}

static int persist(struct bl_work *w, struct bl_err *err)
{
	if (!w->bundle)
		return 0;
	return w->host->ops->persist(w->host->kern, w->txn.row.slot, err);
}

/*
 * The switch first: whoever takes the events may hold us up for longer than the
 * lease lasts that what was committed is still on. What is in the old ring can
 * be read afterwards, by whoever has it open.
 */
static int retire_old(struct bl_work *w, struct bl_err *err)
{
	int r;

	if (!w->old_read)
		bl_work_drain_old(w);
	r = w->host->ops->retire(w->host->kern, bl_slot_other(w->txn.row.slot),
				 err);
	bl_work_drain_old(w);
	if (!r)
		bl_work_drain_new(w);
	return r;
}

static bool is_exchange(const struct bl_work *w)
{
	return !strcmp(w->txn.row.strategy,
		       bl_strategy_name(BL_STRATEGY_EXCHANGE));
}

static int retire_new(struct bl_work *w, struct bl_err *err)
{
	int r = w->host->ops->retire(w->host->kern, w->txn.row.slot, err);
	int64_t us = -1;

	if (!r && is_exchange(w))
		us = gap_of(w, bl_slot_other(w->txn.row.slot));
	/* A second one, as the first was not on record, exchanges nothing. */
	if (us >= 0)
		w->txn.row.times.gap_back_us = us;
	return r;
}

static enum bl_txn_event act(struct bl_work *w, struct bl_err *err)
{
	int r = 0;

	switch (bl_txn_action(w->txn.kind, w->txn.phase)) {
	case BL_ACT_STAGE:
		r = stage(w, err);
		break;
	case BL_ACT_ATTACH:
		r = bl_work_attach(w, err);
		break;
	case BL_ACT_TRY:
		return bl_work_try(w, err);
	case BL_ACT_PERSIST:
		r = persist(w, err);
		break;
	case BL_ACT_RETIRE_OLD:
		r = retire_old(w, err);
		break;
	case BL_ACT_RETIRE_NEW:
		r = retire_new(w, err);
		break;
	case BL_ACT_NONE:
		break;
	}
	return r ? BL_TXN_FAILED : BL_TXN_OK;
}

/* Makes @step durable. */
static int write_step(struct bl_work *w, const struct bl_txn_step *step,
		      enum bl_txn_event event, struct bl_err *err)
{
	bl_autobuf struct bl_buf tags = { 0 };
	const char *boot_id = w->txn.row.boot_id;
	struct bl_journal_step s = {
		.txn = w->txn.row.id,
		.phase = step->phase,
		.at_ms = wall_ms(w),
		.attempt = step->attempt,
		.boot_id = step->attempt ? boot_id : NULL,
		.commit = step->commit,
		.times = &w->txn.row.times,
		.attribution = w->attribution,
	};
	int r = 0;

	if (step->commit)
		bl_work_mark(w, &w->txn.row.times.committed_ms);
	if (bl_phase_closed(step->phase))
		bl_work_mark(w, &w->txn.row.times.ended_ms);

	/* What was committed keeps the reason that it was ordered for, however
	 * often it is found before its old slot is gone. */
	if (event != BL_TXN_OK && *w->reason &&
	    step->phase != BL_PHASE_COMMITTED)
		s.reason = w->reason;
	if (step->phase == BL_PHASE_STAGED) {
		r = bl_tags_text(&w->staged, &tags, err);
		s.tags = bl_buf_str(&tags);
		s.strategy = strategies(&w->staged, w->txn.row.strategy);
	}
	if (w->tombstone_due)
		s.tombstone = w->txn.row.digest;
	else if (step->commit && w->txn.kind == BL_TXN_ROLLBACK)
		s.tombstone = w->txn.row.old_digest;
	if (!r)
		r = bl_journal_write(w->host->journal, &s, err);
	if (r)
		return r;
	w->tombstoned |= s.tombstone != NULL;
	w->tombstone_due = false;
	w->txn.phase = step->phase;
	w->txn.row.changed_ms = s.at_ms;
	w->committed |= step->commit;
	return 0;
}

static void because(struct bl_work *w, const struct bl_err *why)
{
	if (!*w->reason)
		snprintf(w->reason, sizeof(w->reason), "%.*s",
			 BL_REASON_LEN - 1, why->text);
}

/*
 * The journal cannot be written: undo what is in the kernel all the same (I3),
 * and try once more to write that down. If even that fails the transaction
 * stays open, and recover will find the slot empty.
 */
static int abandon(struct bl_work *w, int code, struct bl_err *err)
{
	struct bl_txn_step step = { .phase = BL_PHASE_ROLLED_BACK };
	struct bl_err later = { 0 };
	int r;

	because(w, err);
	r = retire_new(w, &later);
	if (r)
		return bl_err_set(err, r, "%s; undo it: %s", w->reason,
				  later.text);
	if (write_step(w, &step, BL_TXN_FAILED, NULL))
		return bl_err_wrap(err, code, "undone, but not on record");
	return 0;
}

/*
 * The commit could not be written, as far as SQLite can tell. It may be on the
 * disk all the same: a commit whose sync failed is found again when the journal
 * is next opened. So the kernel is not touched, old and new both stay, until a
 * later write that did succeed has settled it: -EAGAIN then, with w->txn.phase
 * as it is in the journal.
 */
static int settle(struct bl_work *w, int code, struct bl_err *err)
{
	struct bl_txn_step back = { .phase = BL_PHASE_ROLLING_BACK };
	struct bl_journal_txn t;
	int r = bl_journal_get(w->host->journal, w->txn.row.id, &t, NULL);

	if (r > 0 && t.phase == BL_PHASE_COMMITTED) {
		w->committed = true;
		w->txn.phase = BL_PHASE_COMMITTED;
		return -EAGAIN;
	}
	because(w, err);
	if (r > 0 && !write_step(w, &back, BL_TXN_FAILED, NULL))
		return -EAGAIN;
	bl_err_wrap(
		err, code,
		"it is not known whether the commit is durable; old and new both stay");
	bl_err_hint(
		err,
		"see to the disk, then 'belay recover' decides by what is on it");
	return code;
}

static int cannot_write(struct bl_work *w, const struct bl_txn_step *step,
			int code, struct bl_err *err)
{
	if (step->phase == BL_PHASE_DONE)
		return 0; /* committed; recover closes it */
	assert(w->txn.phase != BL_PHASE_COMMITTED);
	if (step->phase == BL_PHASE_ROLLED_BACK && !w->tombstone_due)
		return 0; /* undone; recover closes it */
	return step->commit ? settle(w, code, err) : abandon(w, code, err);
}

/* Why it has to go back is what people ask first. */
static int cannot_go_back(const struct bl_work *w, const struct bl_err *why,
			  struct bl_err *err)
{
	if (!strncmp(w->reason, why->text, BL_REASON_LEN - 1))
		return bl_err_set(err, why->code, "%s", why->text);
	return bl_err_set(err, why->code, "%s; undo it: %s", w->reason,
			  why->text);
}

/* One turn: what @event leads to. 1: closed, 0: go on, -errno. */
static int turn(struct bl_work *w, enum bl_txn_event event,
		const struct bl_err *why, struct bl_err *err)
{
	struct bl_txn_step step;
	int r;

	step = bl_txn_next(w->txn.kind, w->txn.phase, event);
	if (event != BL_TXN_OK)
		because(w, why);
	if (event == BL_TXN_FAILED && step.phase == w->txn.phase) {
		/* A slot that would not go. Committed is committed; undone is
		 * not undone. Either way recover tries again. */
		if (step.phase == BL_PHASE_COMMITTED)
			return 1;
		return cannot_go_back(w, why, err);
	}
	/* Found committed: that is on the disk, and a write that fails would
	 * prove nothing against what is live. */
	if (step.phase == w->txn.phase && step.phase == BL_PHASE_COMMITTED)
		return 0;
	w->tombstone_due |= step.tombstone;
	r = write_step(w, &step, event, err);
	if (!r)
		return bl_phase_closed(w->txn.phase);
	r = cannot_write(w, &step, r, err);
	if (r == -EAGAIN)
		return 0;
	return r ? r : 1;
}

int bl_work_run(struct bl_work *w, struct bl_err *err)
{
	int r = 0;

	while (!r) {
		struct bl_err why = { 0 };
		struct bl_err now = { 0 };

		r = turn(w, act(w, &why), &why, &now);
		if (r < 0 && err)
			*err = now;
	}
	if (r > 0)
		bl_store_prune(w->host);
	return r < 0 ? r : 0;
}

int bl_work_resume(struct bl_work *w, bool rebooted, struct bl_err *err)
{
	struct bl_err why = { 0 };
	int r;

	snprintf(why.text, sizeof(why.text), "%s in phase %s%s%s",
		 rebooted ? "the host went down" : "belay died",
		 bl_phase_name(w->txn.phase), w->why_down ? "; " : "",
		 w->why_down ? w->why_down : "");
	/* Found while it was already going back: the first reason counts. */
	if (w->txn.phase == BL_PHASE_ROLLING_BACK)
		snprintf(w->reason, sizeof(w->reason), "%s", w->txn.row.reason);
	r = turn(w, rebooted && !w->innocent ? BL_TXN_FOUND_BOOT : BL_TXN_FOUND,
		 &why, err);
	if (r)
		return r < 0 ? r : 0;
	return bl_work_run(w, err);
}
