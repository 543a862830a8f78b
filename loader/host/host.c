/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/host/host.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "loader/base/cleanup.h"
#include "loader/base/clock.h"
#include "loader/base/file.h"
#include "loader/base/selftest.h"
#include "loader/host/journal/journal_trial.h"
#include "loader/host/state.h"
#include "loader/kern/both.h"
#include "loader/trust/vouch.h"
/* Another's recovery: every verb begins with one, and most find nothing to do.
 * Who comes in between waits so long for it, looking so often. */
#define RECOVER_MS    10000
#define LOCK_AGAIN_MS 20

/* As the kernel's leases count: while the machine sleeps, nothing is tried. */
static uint64_t real_mono(void *ctx)
{
	struct timespec t;

	(void)ctx;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static int self_test(struct bl_err *err)
{
	return bl_selftest(NULL, err);
}

static int64_t real_wall(void *ctx)
{
	(void)ctx;
	return bl_clock_wall_ms();
}

static void real_sleep(void *ctx, uint64_t ms)
{
	(void)ctx;
	bl_clock_sleep_ms(ms);
}

static const struct bl_host_clock real_clock = { real_mono, real_wall,
						 real_sleep, NULL };

static int open_paths(struct bl_host *h, const char *state_dir,
		      struct bl_err *err)
{
	bl_autofree char *journal = bl_path("%s/journal.db", state_dir);
	int r;

	h->state_dir = strdup(state_dir);
	h->lock_path = bl_path("%s/lock", state_dir);
	h->reader_path = bl_path("%s/reader", state_dir);
	h->keeper_path = bl_path("%s/" BL_KEEPER_LOCK, state_dir);
	if (!journal || !h->state_dir || !h->lock_path || !h->reader_path ||
	    !h->keeper_path)
		return bl_err_errno(err, -ENOMEM, "host");
	r = bl_file_mkdirs(state_dir, 0700, err);
	if (!r)
		r = bl_journal_open(journal, &h->journal, err);
	return r;
}

int bl_host_open(const struct bl_host_config *config, struct bl_host **ret,
		 struct bl_err *err)
{
	BL_CLEANUP(bl_host_closep) struct bl_host *h = calloc(1, sizeof(*h));
	const char *state_dir, *pin_dir, *module_dir;
	int r;

	if (!h)
		return bl_err_errno(err, -ENOMEM, "host");
	h->lock_fd = h->reader_fd = -1;
	h->clock = config->clock ? *config->clock : real_clock;
	h->usable = config->usable || config->ops ? config->usable : self_test;
	h->ops = config->ops;
	h->kern = config->kern;
	h->guard = config->guard ? config->guard
		   : config->ops ? NULL
				 : &bl_guard_kernel;
	state_dir = config->state_dir ? config->state_dir : BL_HOST_STATE_DIR;
	pin_dir = config->pin_dir ? config->pin_dir : BL_HOST_PIN_DIR;
	module_dir = config->module_dir ? config->module_dir
					: BL_HOST_MODULE_DIR;
	/* A kernel that is a model leaves nothing in the real one's pstore. */
	if (config->pstore_dir || !config->ops)
		h->pstore_dir = strdup(config->pstore_dir ? config->pstore_dir
							  : BL_HOST_PSTORE_DIR);
	h->trust_named = config->trust_dir;
	h->trust_dir = config->trust_dir ? strdup(config->trust_dir)
					 : bl_path("%s/trust", state_dir);
	r = h->trust_dir ? open_paths(h, state_dir, err)
			 : bl_err_errno(err, -ENOMEM, "host");
	if (!r && !h->ops) {
		r = bl_kern_both_new(pin_dir, module_dir, &h->own_kern, err);
		h->ops = &bl_kern_both_ops;
		h->kern = h->own_kern;
	}
	if (r)
		return bl_err_wrap(err, r, "open the state of this host in %s",
				   state_dir);
	*ret = BL_TAKE(h);
	return 0;
}

void bl_host_close(struct bl_host *h)
{
	if (!h)
		return;
	bl_kern_both_free(h->own_kern);
	bl_journal_close(h->journal);
	bl_lock_drop(&h->lock_fd);
	bl_lock_drop(&h->reader_fd);
	free(h->state_dir);
	free(h->lock_path);
	free(h->reader_path);
	free(h->pstore_dir);
	free(h->keeper_path);
	free(h->trust_dir);
	free(h);
}

const char *bl_host_trust_dir(const struct bl_host *h)
{
	return h->trust_dir;
}

int bl_host_lock(struct bl_host *h, const char *what,
		 struct bl_lock_owner *ret_owner, struct bl_err *err)
{
	struct bl_err why = { 0 };
	int r = bl_lock_take(h->lock_path, what, h->clock.wall_ms(h->clock.ctx),
			     &h->lock_fd, ret_owner, &why);

	if (r && r != -EBUSY && err)
		*err = why;
	return r;
}

int bl_host_lock_soon(struct bl_host *h, const char *what,
		      struct bl_lock_owner *ret_owner, struct bl_err *err)
{
	uint64_t waited = 0;
	int r;

	for (;;) {
		r = bl_host_lock(h, what, ret_owner, err);
		if (r != -EBUSY || strcmp(ret_owner->what, "recover") != 0 ||
		    waited >= RECOVER_MS)
			return r;
		h->clock.sleep_ms(h->clock.ctx, LOCK_AGAIN_MS);
		waited += LOCK_AGAIN_MS;
	}
}

void bl_host_unlock(struct bl_host **h)
{
	bl_lock_drop(&(*h)->lock_fd);
}

int bl_host_reader(struct bl_host *h, struct bl_err *err)
{
	struct bl_lock_owner owner;
	char who[128];
	int r;

	if (h->reader_fd >= 0)
		return 0;
	r = bl_lock_take(h->reader_path, "events",
			 h->clock.wall_ms(h->clock.ctx), &h->reader_fd, &owner,
			 err);
	if (r == -EBUSY) {
		bl_lock_describe(&owner, who, sizeof(who));
		bl_err_set(err, r, "%s reads the events of this host", who);
		bl_err_hint(
			err,
			"an event goes to one reader only; stop that one first");
	}
	return r;
}

int bl_host_reader_moment(struct bl_host *h)
{
	int fd = -1;
	int r = bl_lock_take(h->reader_path, NULL, 0, &fd, NULL, NULL);

	return r ? r : fd;
}

void bl_host_describe(const struct bl_journal_txn *t,
		      struct bl_host_generation *ret)
{
	memcpy(ret->digest, t->row.digest, sizeof(ret->digest));
	memcpy(ret->name, t->row.name, sizeof(ret->name));
	memcpy(ret->version, t->row.version, sizeof(ret->version));
	memcpy(ret->content, t->row.content, sizeof(ret->content));
	memcpy(ret->maps, t->row.maps, sizeof(ret->maps));
	ret->number = (uint32_t)t->row.id;
	ret->since_ms = t->row.changed_ms;
}

static int check(struct bl_host *h, const struct bl_journal_txn *live,
		 const struct bl_kern_slot_state *state,
		 char ret_problem[static BL_REASON_LEN], struct bl_err *err)
{
	bl_autobuf struct bl_buf want = { 0 }, have = { 0 };
	const char *slot = bl_slot_name(live->row.slot);
	int r = bl_journal_tags(h->journal, live->row.id, &want, err);

	if (!r)
		r = bl_tags_text(&state->programs, &have, err);
	if (r)
		return r;
	if (state->kind == BL_KERN_SLOT_EMPTY)
		snprintf(ret_problem, BL_REASON_LEN,
			 "slot %s is empty: nothing of it is in the kernel",
			 slot);
	else if (strcmp(bl_buf_str(&want), bl_buf_str(&have)) != 0)
		snprintf(ret_problem, BL_REASON_LEN,
			 "slot %s holds other programs than were committed",
			 slot);
	else if (state->persisted < state->programs.count)
		snprintf(ret_problem, BL_REASON_LEN,
			 "only %u of %u programs in slot %s are attached",
			 state->persisted, state->programs.count, slot);
	else
		return 1;
	return 0;
}

int bl_host_intact(struct bl_host *h, const struct bl_journal_txn *live,
		   char ret_problem[static BL_REASON_LEN], struct bl_err *err)
{
	struct bl_kern_slot_state state = { 0 };
	int r = h->ops->inspect(h->kern, live->row.slot, &state, err);

	return r ? r : check(h, live, &state, ret_problem, err);
}

static int live_status(struct bl_host *h, const struct bl_journal_txn *live,
		       struct bl_host_status *s, struct bl_err *err)
{
	struct bl_journal_txn previous;
	int r;

	bl_host_describe(live, &s->live);
	s->slot = live->row.slot;
	r = bl_journal_get(h->journal, live->parent, &previous, err);
	if (r < 0)
		return r;
	if (r)
		bl_host_describe(&previous, &s->previous);
	r = check(h, live, &s->slots[s->slot], s->problem, err);
	if (r < 0)
		return r;
	s->healthy = r;
	if (s->slots[s->slot].kind == BL_KERN_SLOT_EMPTY)
		return 0;
	return h->ops->sample(h->kern, s->slot, &s->sample, err);
}

/* The journal's word, and what is in the kernel. */
static int look_once(struct bl_host *h, uint64_t *ret_live,
		     struct bl_host_status *s, struct bl_err *err)
{
	struct bl_journal_txn live;
	int any = bl_journal_live(h->journal, &live, err);
	int r = any < 0 ? any : 0;

	if (r)
		return r;
	*ret_live = any ? live.row.id : 0;
	for (int i = 0; !r && i < BL_SLOT_COUNT; i++)
		r = h->ops->inspect(h->kern, (enum bl_slot)i, &s->slots[i],
				    err);
	return !r && any ? live_status(h, &live, s, err) : r;
}

/* An update that commits meanwhile would look like a host that is broken. */
#define LOOKS 5

static int look(struct bl_host *h, struct bl_host_status *ret,
		struct bl_err *err)
{
	struct bl_journal_txn now;
	uint64_t live = 0;
	int r = 0;

	for (int i = 0; i < LOOKS; i++) {
		struct bl_host_status s = { 0 };
		struct bl_err why = { 0 };
		int any;

		r = look_once(h, &live, &s, &why);
		any = bl_journal_live(h->journal, &now, NULL);
		if (r && err)
			*err = why;
		if (!r)
			*ret = s;
		if (any < 0 || live == (any ? now.row.id : 0))
			break;
	}
	return r;
}

static int open_trial(struct bl_host *h, struct bl_host_trial *ret,
		      struct bl_err *err)
{
	struct bl_journal_trial terms;
	struct bl_journal_txn t;
	int r = bl_journal_open_txn(h->journal, &t, err);

	if (r > 0 && t.phase == BL_PHASE_TRIAL)
		r = bl_journal_trial_get(h->journal, t.row.id, &terms, err);
	else if (r > 0)
		return 0;
	if (r <= 0)
		return r;
	*ret = (struct bl_host_trial){ .txn = t.row.id,
				       .confirm = terms.confirm,
				       .until_ms = terms.until_ms,
				       .confirmed_ms = terms.confirmed_ms };
	bl_host_describe(&t, &ret->tried);
	memcpy(ret->watchdog, terms.watchdog, sizeof(ret->watchdog));
	return 0;
}

static void note_exchange(struct bl_host_status *s)
{
	const struct bl_kern_slot_state *live = &s->slots[s->slot];
	const struct bl_kern_slot_state *other =
		&s->slots[bl_slot_other(s->slot)];

	if (!s->trial.txn || live->kind != BL_KERN_SLOT_STAGED ||
	    live->programs.program[0].strategy != BL_STRATEGY_EXCHANGE ||
	    other->kind != BL_KERN_SLOT_ATTACHED)
		return;
	s->healthy = s->gave_way = true;
	*s->problem = 0;
}

static void note_signed(struct bl_host *h, struct bl_host_status *s)
{
	int r = bl_vouch_wanted(h->trust_dir, NULL);

	s->was_signed = BL_HOST_SIGNED_UNASKED;
	if (r > 0)
		r = bl_vouch_noted(h->trust_dir, s->live.digest, &s->serial,
				   NULL)
			    ?: 1;
	if (r < 0)
		s->was_signed = BL_HOST_SIGNED_UNKNOWN;
	else if (r)
		s->was_signed = s->serial ? BL_HOST_SIGNED_RELEASE
					  : BL_HOST_SIGNED_NOT;
}

int bl_host_status(struct bl_host *h, struct bl_host_status *ret,
		   struct bl_err *err)
{
	struct bl_host_history history = { 0 };
	struct bl_lock_owner owner;
	struct bl_host_status s = { 0 };
	int r;

	r = bl_lock_query(h->lock_path, &owner, err);
	if (!r)
		r = look(h, &s, err);
	if (!r)
		r = h->ops->boot_id(h->kern, s.boot_id, err);
	if (!r)
		r = bl_journal_history(h->journal, 1, &history, err);
	/* Open without anybody at work is what recover will end. */
	if (!r && owner.pid)
		r = open_trial(h, &s.trial, err);
	if (r)
		return r;
	note_exchange(&s);
	if (*s.live.digest)
		note_signed(h, &s);
	s.tombstones = history.tombstone_count;
	bl_host_history_free(&history);
	s.keeper_pid = bl_host_keeper(h);
	s.busy_pid = owner.pid;
	s.busy_since_ms = owner.since_ms;
	snprintf(s.busy_what, sizeof(s.busy_what), "%s", owner.what);
	*ret = s;
	return 0;
}

int bl_host_history(struct bl_host *h, size_t limit,
		    struct bl_host_history *ret, struct bl_err *err)
{
	return bl_journal_history(h->journal, limit, ret, err);
}

void bl_host_history_free(struct bl_host_history *history)
{
	free(history->txns);
	free(history->tombstones);
	*history = (struct bl_host_history){ 0 };
}

int bl_host_tombstoned(struct bl_host *h, const char *digest,
		       struct bl_host_tombstone *ret, struct bl_err *err)
{
	return bl_journal_tombstone(h->journal, digest, ret, err);
}

int bl_host_bundle(struct bl_host *h, uint32_t number, struct bl_bundle *ret,
		   struct bl_err *err)
{
	struct bl_journal_txn t;
	int r = bl_journal_get(h->journal, number, &t, err);

	if (r < 0)
		return r;
	if (!r || !*t.row.digest)
		return bl_err_set(err, -ENOENT,
				  "no generation %" PRIu32 " on this host",
				  number);
	return bl_store_load(h, t.row.digest, ret, err);
}

int bl_host_live(struct bl_host *h, struct bl_host_generation *ret,
		 bool *ret_leased, struct bl_err *err)
{
	struct bl_kern_slot_state state = { 0 };
	struct bl_journal_txn live;
	int r = bl_journal_live(h->journal, &live, err);

	if (r <= 0)
		return r;
	r = h->ops->inspect(h->kern, live.row.slot, &state, err);
	if (r)
		return r;
	bl_host_describe(&live, ret);
	*ret_leased = bl_host_leased(&state.programs);
	return 1;
}

bool bl_host_leased(const struct bl_kern_staged *programs)
{
	for (unsigned i = 0; i < programs->count; i++)
		if (programs->program[i].lease == BL_LEASE_KEPT)
			return true;
	return false;
}

int bl_host_keeper(struct bl_host *h)
{
	struct bl_lock_owner owner = { 0 };

	bl_lock_query(h->keeper_path, &owner, NULL);
	return owner.pid;
}

int bl_host_renew(struct bl_host *h, struct bl_err *err)
{
	struct bl_journal_txn live;
	char problem[BL_REASON_LEN];
	int r = bl_journal_live(h->journal, &live, err);

	if (r < 0)
		return r;
	if (!r)
		return bl_err_set(err, -ENOENT, "nothing is live on this host");
	r = bl_host_intact(h, &live, problem, err);
	if (r < 0)
		return r;
	if (!r)
		return bl_err_set(err, -ESTALE, "%s", problem);
	return h->ops->renew(h->kern, live.row.slot, 0,
			     BL_KERN_VERDICT_LEASE_MS, err);
}

/* The slots whose rings are to be read, the one with older events first. */
struct rings {
	enum bl_slot first, last;
	bool both;
};

/*
 * While an update by dispatch or exchange is on its way either of two generations
 * may be called, but one for each operation, so both rings are read. Otherwise the
 * second one is of a slot that is retired, or of a trial that sees all twice.
 */
static int find_rings(struct bl_host *h, const struct bl_journal_txn *live,
		      struct rings *ret, struct bl_err *err)
{
	enum bl_slot slot = live->row.slot;
	struct bl_journal_txn t, old;
	int r = bl_journal_open_txn(h->journal, &t, err);

	if (r < 0)
		return r;
	*ret = (struct rings){ bl_slot_other(slot), slot, true };
	if (r && t.row.id == live->row.id) {
		r = bl_journal_get(h->journal, t.parent, &old, err);
		ret->both = r > 0 &&
			    bl_work_exclusive(old.row.strategy, t.row.strategy);
	} else if (r && t.row.slot != slot) {
		*ret = (struct rings){ slot, t.row.slot,
				       bl_work_exclusive(live->row.strategy,
							 t.row.strategy) };
	}
	if (r < 0)
		return r;
	if (!ret->both)
		ret->last = slot;
	return 0;
}

/* How long to wait for one ring while another one may come to be the right one
 * to wait for. */
#define SWITCH_MS 100

static int read_rings(struct bl_host *h, const struct bl_journal_txn *live,
		      int timeout_ms, bl_event_fn fn, void *ctx,
		      struct bl_err *err)
{
	struct rings rings;
	int r = find_rings(h, live, &rings, err);

	if (!r && rings.both) {
		r = h->ops->events(h->kern, rings.first, 0, fn, ctx, NULL);
		if (r == -ENOENT && rings.first != live->row.slot)
			r = 0;
	}
	if (r)
		return r;
	if (rings.last != live->row.slot && timeout_ms > SWITCH_MS)
		timeout_ms = SWITCH_MS;
	r = h->ops->events(h->kern, rings.last, timeout_ms, fn, ctx, err);
	return r == -ENOENT && rings.last != live->row.slot ? 0 : r;
}

int bl_host_events(struct bl_host *h, int timeout_ms, bl_event_fn fn, void *ctx,
		   struct bl_err *err)
{
	struct bl_journal_txn live;
	uint64_t before = 0;
	int r = bl_host_reader(h, err);

	while (!r) {
		/* Each time anew: another process may have changed it. */
		r = bl_journal_live(h->journal, &live, err);
		if (r < 0)
			return r;
		if (!r)
			return bl_err_set(
				err, -ENOENT,
				"nothing is live on this host: no events");
		r = read_rings(h, &live, timeout_ms, fn, ctx, err);
		/* Between the two it may have been retired: look again. */
		if (r != -ENOENT || live.row.id == before)
			return r;
		before = live.row.id;
		r = 0;
	}
	return r;
}
