/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/host/boot/keeper.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/base/cli.h"
#include "loader/base/clock.h"
#include "loader/base/duration.h"
#include "loader/base/file.h"
#include "loader/base/notify.h"
#include "loader/base/selftest.h"
#include "loader/host/boot/keep.h"
#include "loader/host/state.h"
#include "loader/host/words.h"

#define SLICE_MS   500
#define STATUS_LEN (BL_REASON_LEN + BL_WORDS_WHAT_LEN)

struct keeper {
	const struct bl_keeper_opts *opts;
	struct bl_host *host;
	struct bl_keep keep;
	bool ready; /* said so */
	uint64_t recover_after_ms;
	uint64_t watchdog_ms, alive_ms; /* how often, and when next */
	char status[STATUS_LEN];	/* as it was said last */
};

/* Said once, in the log and to the service manager, until it is another. */
__attribute__((format(printf, 2, 3))) static void
say_status(struct keeper *k, const char *fmt, ...)
{
	char text[STATUS_LEN], line[STATUS_LEN + 8];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	text[strcspn(text, "\n")] = '\0';
	if (strcmp(k->status, text) == 0)
		return;
	memcpy(k->status, text, sizeof(text));
	k->opts->note(k->opts->note_ctx, text);
	snprintf(line, sizeof(line), "STATUS=%s", text);
	if (k->opts->notify)
		bl_notify(line, NULL);
}

static bool told_to_end(const struct keeper *k)
{
	return k->opts->stop ? k->opts->stop(k->opts->stop_ctx)
			     : bl_cli_interrupted() != 0;
}

static const char *what(const struct bl_host_generation *g,
			char ret[static BL_WORDS_WHAT_LEN])
{
	return bl_words_what(g->name, g->version, g->digest, ret);
}

/* Something is not as committed (or was left open): what recover does. */
static int bring_back(struct keeper *k, const char *why, uint64_t now,
		      struct bl_err *err)
{
	struct bl_recover_result rec = { 0 };
	char text[BL_WORDS_WHAT_LEN];
	int r;

	if (now < k->recover_after_ms)
		return 0;
	k->recover_after_ms = now + BL_KEEPER_RETRY_MS;
	r = bl_host_recover(k->host, &rec, err);
	if (r)
		return r;
	switch (rec.outcome) {
	case BL_RECOVER_BUSY:
		/* Whoever works changes it, or leaves it to the next turn. */
		k->recover_after_ms = now;
		break;
	case BL_RECOVER_BARE:
		say_status(k, "this host is bare: %s", rec.reason);
		break;
	case BL_RECOVER_NOTHING:
		break;
	default:
		k->recover_after_ms = now;
		say_status(k, "%s%s%s is live again", *why ? why : rec.reason,
			   *why || *rec.reason ? "; " : "",
			   what(&rec.live, text));
	}
	return 0;
}

static void renew(struct keeper *k, const struct bl_host_generation *live,
		  uint64_t now)
{
	char text[BL_WORDS_WHAT_LEN];
	struct bl_err why = { 0 }, e = { 0 };
	int r = bl_host_renew(k->host, &why);

	if (!r) {
		say_status(k, "%s is live", what(live, text));
		return;
	}
	if (r == -ESTALE)
		r = bring_back(k, why.text, now, &e);
	else
		e = why;
	if (r < 0)
		say_status(k, "cannot keep what is live: %s", e.text);
}

/* A trial whose belay died: the kernel has gone back, and what is open would
 * make the next reboot look like its doing. */
static bool left_open(const struct keeper *k)
{
	struct bl_lock_owner owner = { 0 };
	struct bl_journal_txn t;

	if (bl_journal_open_txn(k->host->journal, &t, NULL) <= 0)
		return false;
	bl_lock_query(k->host->lock_path, &owner, NULL);
	return !owner.pid;
}

static void turn(struct keeper *k)
{
	struct bl_host_generation live = { 0 };
	uint64_t now = bl_clock_mono_ms();
	struct bl_err e = { 0 };
	char text[BL_WORDS_WHAT_LEN], pause[BL_DURATION_LEN];
	bool leased = false;
	int r = bl_host_live(k->host, &live, &leased, &e);

	/* Not even that: what is live may refuse us the look. */
	if (r < 0) {
		bl_keep_next(&k->keep, now, BL_KERN_VERDICT_LEASE_MS,
			     k->keep.generation, false);
		say_status(
			k,
			"this host cannot be used: cannot tell what is live: %s; what can refuse is not renewed",
			e.text);
		return;
	}
	if (left_open(k) && bring_back(k, "", now, &e)) {
		say_status(k, "cannot close what was left open: %s", e.text);
		return;
	}
	if (!r) {
		say_status(k, "nothing is live on this host");
		return;
	}
	/* What only observes cannot make a host useless, and need not see an
	 * exec and a connect of ours every three seconds. */
	r = leased ? bl_selftest(k->opts->check, &e) : 0;
	if (r && told_to_end(k))
		return;
	switch (bl_keep_next(&k->keep, now, BL_KERN_VERDICT_LEASE_MS,
			     live.number, r == 0)) {
	case BL_KEEP_RENEW:
		renew(k, &live, now);
		break;
	case BL_KEEP_WAIT:
		say_status(
			k,
			"this host cannot be used: %s; what can refuse is not renewed",
			e.text);
		break;
	case BL_KEEP_WITHHOLD:
		say_status(
			k,
			"%s is live and refuses nothing for %s: when it did, this host could not be used",
			what(&live, text),
			bl_duration_text(k->keep.pause_ms, pause));
		break;
	}
}

/* Twice in the time that the service manager waits for it. */
static void alive(struct keeper *k)
{
	uint64_t now = bl_clock_mono_ms();

	if (!k->watchdog_ms || now < k->alive_ms)
		return;
	bl_notify("WATCHDOG=1", NULL);
	k->alive_ms = now + k->watchdog_ms / 2;
}

/* Once: before what may take longer than a service manager waits. */
static void ready(struct keeper *k)
{
	if (k->opts->notify && !k->ready)
		bl_notify("READY=1", NULL);
	k->ready = true;
}

static void rest(struct keeper *k, uint64_t ms)
{
	for (uint64_t end = bl_clock_mono_ms() + ms;
	     bl_clock_mono_ms() < end && !told_to_end(k);) {
		alive(k);
		bl_clock_sleep_ms(SLICE_MS);
	}
}

/*
 * The host as the last life left it. Waits for another belay that works, a
 * trial for a person's word above all; and what cannot be done now (a journal
 * that is busy, a disk that is full) may be later.
 */
static void begin(struct keeper *k)
{
	struct bl_recover_result rec = { 0 };
	struct bl_err e = { 0 };
	int r;

	for (;;) {
		r = bl_host_recover(k->host, &rec, &e);
		if (!r && rec.outcome != BL_RECOVER_BUSY)
			break;
		ready(k);
		if (r)
			say_status(k, "cannot recover this host: %s", e.text);
		rest(k, r ? BL_HOST_KEEP_MS : SLICE_MS);
		if (told_to_end(k))
			return;
	}
	if (rec.outcome == BL_RECOVER_BARE)
		say_status(k, "this host is bare: %s", rec.reason);
	else if (rec.outcome != BL_RECOVER_NOTHING && *rec.reason)
		say_status(k, "recovered: %s", rec.reason);
}

/* One keeper for each host, and it says who it is. */
static int lock(const struct bl_host *host, int *ret_fd, struct bl_err *err)
{
	bl_autofree char *path = bl_path("%s/" BL_KEEPER_LOCK, host->state_dir);
	struct bl_lock_owner owner = { 0 };
	char who[128];
	int r;

	if (!path)
		return bl_err_errno(err, -ENOMEM, "keeper");
	r = bl_lock_take(path, "agent", bl_clock_wall_ms(), ret_fd, &owner,
			 err);
	if (r == -EBUSY) {
		bl_lock_describe(&owner, who, sizeof(who));
		bl_err_set(err, r, "%s keeps this host already", who);
	}
	return r;
}

int bl_keeper_run(const struct bl_keeper_opts *opts, struct bl_err *err)
{
	BL_CLEANUP(bl_host_closep) struct bl_host *host = NULL;
	struct keeper k = { .opts = opts };
	bl_autoclose int fd = -1;
	uint64_t next = 0;
	int r = bl_host_open(&opts->config, &host, err);

	k.host = host;
	if (opts->notify)
		k.watchdog_ms = bl_notify_watchdog_ms();
	if (!r)
		r = lock(host, &fd, err);
	if (r)
		return r;
	begin(&k);
	ready(&k);
	while (!told_to_end(&k)) {
		if (bl_clock_mono_ms() >= next) {
			turn(&k);
			next = bl_clock_mono_ms() + BL_HOST_KEEP_MS;
		}
		alive(&k);
		bl_clock_sleep_ms(SLICE_MS);
	}
	if (opts->notify)
		bl_notify("STOPPING=1", NULL);
	return 0;
}
