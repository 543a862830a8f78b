/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One host: what is live on it, and the transaction that changes that.
 *
 *	struct bl_host_config config = { 0 };	// the real kernel, usual places
 *	BL_CLEANUP(bl_host_closep) struct bl_host *host = NULL;
 *	r = bl_host_open(&config, &host, err);
 *	r = bl_host_apply(host, &bundle, NULL, &result, err);
 *
 * apply, rollback and recover take the host's lock for as long as they work,
 * so two belay at once are safe: one works, the other is told who does and
 * since when. open, status, history, confirm and events never wait for it.
 *
 * Invariants (slot.h has all of them): a known-good generation stays attached
 * through every update (I1); intent is durable before the kernel changes (I2);
 * going back needs neither network nor the process that went forward (I3).
 *
 * 0 means that the call did its work and *ret tells what happened, which may
 * well be "rolled back"; a negative errno that it could not, and err says why.
 */
#ifndef BL_HOST_HOST_H
#define BL_HOST_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "loader/base/err.h"
#include "loader/bundle/bundle.h"
#include "loader/kern/ops.h"

#define BL_HOST_STATE_DIR  "/var/lib/belay"
#define BL_HOST_PIN_DIR	   "/sys/fs/bpf/belay"
#define BL_HOST_MODULE_DIR "/run/belay/modules"
#define BL_HOST_PSTORE_DIR "/sys/fs/pstore"
#define BL_HOST_PROBE_MS   250
#define BL_HOST_DRAIN_MS   50 /* a ring on trial, between probes */
#define BL_HOST_KEEP_MS	   3000
#define BL_REASON_LEN	   256
#define BL_WATCHDOG_LEN	   160
#define BL_HOST_MAPS_LEN   1024
#define BL_STRATEGY_LEN	   32

struct bl_host;
struct bl_guard_ops; /* loader/kern/guard.h */

/* Time, so that tests need none. */
struct bl_host_clock {
	uint64_t (*mono_ms)(void *ctx);
	int64_t (*wall_ms)(void *ctx);
	void (*sleep_ms)(void *ctx, uint64_t ms);
	void *ctx;
};

struct bl_host_config {
	const char *state_dir;	       /* NULL: BL_HOST_STATE_DIR */
	const char *pin_dir;	       /* NULL: BL_HOST_PIN_DIR */
	const char *pstore_dir;	       /* NULL: BL_HOST_PSTORE_DIR if ops is */
	const char *module_dir;	       /* NULL: BL_HOST_MODULE_DIR */
	const char *trust_dir;	       /* NULL: see bl_host_apply */
	const struct bl_kern_ops *ops; /* NULL: this kernel (both.h) */
	void *kern;
	const struct bl_host_clock *clock; /* NULL: the real one */
	/* Whether this host can be used: 0, or -errno with why not. NULL: what
	 * selftest.h asks; nothing is asked if ops are given. */
	int (*usable)(struct bl_err *err);
	/* NULL: this machine's, or none if ops are given. */
	const struct bl_guard_ops *guard;
};

/* Opens (makes, if new) the state of this host. Changes nothing in the
 * kernel. -EACCES, -ENOSPC …; -EBADMSG for a journal that is not ours. */
int bl_host_open(const struct bl_host_config *config, struct bl_host **ret,
		 struct bl_err *err);
/* NULL is fine. What was committed stays attached. */
void bl_host_close(struct bl_host *host);
static inline void bl_host_closep(struct bl_host **host)
{
	bl_host_close(*host);
}

/* The folder that says whose signatures this host wants, whether it is there or
 * not (loader/trust). As long as the host. */
const char *bl_host_trust_dir(const struct bl_host *host);

enum bl_apply_outcome {
	BL_APPLY_COMMITTED,
	BL_APPLY_ROLLED_BACK,
	BL_APPLY_REFUSED, /* nothing was touched; see refusal */
};

enum bl_refusal {
	BL_REFUSAL_NONE,
	BL_REFUSAL_TOMBSTONE,	/* failed here before */
	BL_REFUSAL_BUSY,	/* another belay works on this host */
	BL_REFUSAL_LIVE,	/* is what runs already */
	BL_REFUSAL_UNSUPPORTED, /* this kernel cannot do what it asks */
	BL_REFUSAL_EMPTY,	/* rollback: nothing is live */
	BL_REFUSAL_STATE,	/* what its maps hold would be lost; see hint */
	BL_REFUSAL_CHANGED,	/* is made of what is not live any more */
	BL_REFUSAL_UNSIGNED,	/* the release keys do not vouch for it */
};

/* Who has the last word about a trial whose probes are good. */
enum bl_confirm {
	BL_CONFIRM_AUTO,   /* nobody: the probation is enough */
	BL_CONFIRM_MANUAL, /* a person: bl_host_confirm, from any process */
	BL_CONFIRM_REMOTE, /* the caller: by its tick */
};

/* "auto", "manual", "remote"; -1 for an unknown one. */
const char *bl_confirm_name(enum bl_confirm confirm);
int bl_confirm_by_name(const char *name);

#define BL_CONFIRM_WITHIN_MS 600000

/* Long enough for a host that is only busy. */
#define BL_WATCHDOG_MS 60000

/* What restarts the host if it hangs in the trial (watchdog.h). */
enum bl_watchdog_mode {
	BL_WATCHDOG_AUTO,    /* what there is */
	BL_WATCHDOG_REQUIRE, /* no trial without one */
	BL_WATCHDOG_OFF,
};

/* "auto", "require", "off"; -1 for an unknown one. */
int bl_watchdog_mode_by_name(const char *name);

/* How a trial stands, for whoever watches it. */
struct bl_trial_view {
	const char *digest;
	uint64_t txn;
	uint64_t elapsed_ms, probation_ms;
	enum bl_confirm confirm;
	uint64_t within_ms; /* 0: confirms itself */
	bool confirmed;
	bool guarded;	      /* a hang restarts this host */
	const char *watchdog; /* by what, or why not */
	struct bl_kern_sample sample;
	uint64_t events_read; /* by belay out of the new ring */
	unsigned splats;
};

enum bl_tick {
	BL_TICK_GO_ON,
	/* Roll back, no tombstone. */
	BL_TICK_ABORT,
	/* With BL_CONFIRM_REMOTE: commit once the probation is over. Said once
	 * it stands; with the others it is GO_ON. */
	BL_TICK_CONFIRM,
};

struct bl_apply_opts {
	uint64_t probation_ms;	     /* 0: the manifest's */
	const char *override_reason; /* not NULL: try even a tombstoned one */
	/* The digest of what must be live (a content update is made of it);
	 * NULL: whatever is. */
	const char *onto;
	enum bl_confirm confirm;
	/* From the start of the trial; the probation if that is longer. 0:
	 * BL_CONFIRM_WITHIN_MS. */
	uint64_t within_ms;
	enum bl_watchdog_mode watchdog;
	uint64_t watchdog_ms; /* that nobody speaks up; 0: BL_WATCHDOG_MS */
	/* A user's own probes (command.h), at most BL_COMMANDS_MAX: each must
	 * have ended well at least once before it is committed. */
	const char *const *commands;
	size_t command_count;
	uint64_t command_timeout_ms; /* 0: BL_COMMAND_TIMEOUT_MS */
	/* Called when the trial starts and at every probe (each
	 * BL_HOST_PROBE_MS). For an ABORT @why may be set. */
	enum bl_tick (*tick)(void *ctx, const struct bl_trial_view *view,
			     struct bl_err *why);
	/*
	 * Events that come while apply works. If the old generation is
	 * dispatched, each operation has one generation that sees it, and every
	 * event is passed on. If not, both see all during the trial: passed on
	 * are those of the old one up to the commit, those of the new one from
	 * there on. NULL: the rings are left to whoever reads them.
	 */
	bl_event_fn on_event;
	void *ctx; /* of both */
};

/* What one committed generation was. */
struct bl_host_generation {
	char digest[BL_DIGEST_HEX]; /* "": there is none */
	char name[BL_NAME_MAX + 1], version[BL_NAME_MAX + 1];
	char content[BL_DIGEST_HEX]; /* of its content in JSON; "": none */
	uint32_t number;  /* as in its events; also the transaction */
	int64_t since_ms; /* wall clock */
	/* What became of the maps of the one before: "name:kept name:reset". */
	char maps[BL_HOST_MAPS_LEN];
};

struct bl_apply_result {
	enum bl_apply_outcome outcome;
	enum bl_refusal refusal;
	char digest[BL_DIGEST_HEX]; /* what was tried; after a rollback what
				       * is live now, "" for nothing */
	char reason[BL_REASON_LEN]; /* "" when all is well */
	char hint[BL_REASON_LEN];   /* what to do about a refusal; "" */
	bool tombstoned;	    /* by this call */
	bool undecided; /* ROLLED_BACK: its trial could not be judged here */
	int64_t gap_us, gap_back_us; /* as in bl_host_times */
	bool lapses;  /* what is live now can refuse, and nobody renews that */
	uint64_t txn; /* 0 when refused */
	struct bl_kern_sample sample; /* the last of the trial */
	/* What was live before, and what is now. Not known (both "") when it
	 * was refused since another works on the host. */
	struct bl_host_generation was, now;
};

/*
 * Tries @bundle and commits it, or returns to what was live. @opts may be NULL.
 * A host with a root.json in its folder "trust" (or the config's trust_dir, which
 * must have one) refuses what those keys did not sign, whoever asks and even with
 * an override (loader/trust/vouch.h).
 */
int bl_host_apply(struct bl_host *host, const struct bl_bundle *bundle,
		  const struct bl_apply_opts *opts, struct bl_apply_result *ret,
		  struct bl_err *err);

/*
 * The bundle for a content update: what is live, with the content @json, called
 * @name in messages. *ret_onto is the digest of what is live, for
 * bl_apply_opts. -ENOENT: nothing is; -EBADMSG, -EFBIG: the content is not in
 * order, or what is live takes none. Changes nothing.
 */
int bl_host_with_content(struct bl_host *host, const char *name,
			 const void *json, size_t len, struct bl_bundle *ret,
			 char ret_onto[static BL_DIGEST_HEX],
			 struct bl_err *err);

/*
 * Returns to the generation that was committed before the live one, from the
 * bundle kept in the state folder; to nothing, if there was none. What is left
 * gets a tombstone with @reason. COMMITTED: done, ret->digest is live.
 */
int bl_host_rollback(struct bl_host *host, const char *reason,
		     struct bl_apply_result *ret, struct bl_err *err);

enum bl_recover_outcome {
	BL_RECOVER_NOTHING,	/* all is as the journal says */
	BL_RECOVER_ROLLED_BACK, /* an open transaction was undone */
	BL_RECOVER_FINISHED,	/* a committed one was brought to its end */
	BL_RECOVER_RESTORED,	/* the live generation was loaded again */
	BL_RECOVER_BARE,	/* it could not be; nothing is attached */
	BL_RECOVER_BUSY,	/* another belay works on this host */
};

struct bl_recover_result {
	enum bl_recover_outcome outcome; /* the last that applied */
	uint64_t txn;			 /* 0: none */
	bool tombstoned;
	char digest[BL_DIGEST_HEX];	/* live now, "" for nothing */
	struct bl_host_generation live; /* the same */
	char reason[BL_REASON_LEN];
	char attribution[16]; /* of txn, as in bl_host_txn */
};

/* Brings kernel and journal together again after a crash or a reboot. Needs
 * no network, may be run any number of times. Every verb runs it first. */
int bl_host_recover(struct bl_host *host, struct bl_recover_result *ret,
		    struct bl_err *err);

enum bl_confirm_outcome {
	BL_CONFIRMED,	    /* by this call, or before */
	BL_CONFIRM_NOTHING, /* no trial waits for it */
	BL_CONFIRM_WRONG,   /* another one does, or none of that number */
	BL_CONFIRM_OVER,    /* it came too late */
	BL_CONFIRM_GONE,    /* whoever ran the trial is dead */
};

struct bl_confirm_result {
	enum bl_confirm_outcome outcome;
	uint64_t txn;			 /* that it is about; 0: none */
	struct bl_host_generation tried; /* of that; "": none */
	char reason[BL_REASON_LEN];	 /* why not */
};

/* Confirms the trial that waits for a person, or @txn if it is not 0. Does not
 * take the host's lock, which the trial holds: it sees the confirmation at its
 * next probe. */
int bl_host_confirm(struct bl_host *host, uint64_t txn,
		    struct bl_confirm_result *ret, struct bl_err *err);

/* A trial that is under way. */
struct bl_host_trial {
	uint64_t txn; /* 0: none is */
	struct bl_host_generation tried;
	enum bl_confirm confirm;
	int64_t until_ms, confirmed_ms; /* wall clock; 0: none, not */
	char watchdog[BL_WATCHDOG_LEN];
};

/* What belay's own check said of what is live (trust/vouch.h). */
enum bl_host_signed {
	BL_HOST_SIGNED_UNKNOWN, /* what was noted cannot be read */
	BL_HOST_SIGNED_UNASKED, /* this host trusts no root */
	BL_HOST_SIGNED_NOT,	/* it has one; this was live before */
	BL_HOST_SIGNED_RELEASE, /* by the release keys */
};

struct bl_host_status {
	struct bl_host_trial trial;
	struct bl_host_generation live, previous;
	enum bl_slot slot;	     /* of live */
	bool healthy;		     /* live is attached as committed */
	char problem[BL_REASON_LEN]; /* why not */
	/* live is out of the kernel while the one on trial is in: of modules
	 * there is one at a time. Healthy for all that. */
	bool gave_way;
	struct bl_kern_slot_state slots[BL_SLOT_COUNT];
	int keeper_pid;		      /* renews leases; 0: nobody does */
	struct bl_kern_sample sample; /* of live */
	int busy_pid;		      /* 0: nobody works on this host */
	int64_t busy_since_ms;
	char busy_what[32];
	size_t tombstones;
	char boot_id[BL_KERN_BOOT_ID_LEN];
	enum bl_host_signed was_signed; /* live */
	int64_t serial;			/* of its release; 0: none */
};

/* Does not wait, changes nothing. */
int bl_host_status(struct bl_host *host, struct bl_host_status *ret,
		   struct bl_err *err);

/*
 * When a transaction got how far: milliseconds of the monotonic clock since it
 * began, -1 for what did not happen or was not seen by the process that began
 * it. From staged to live is what an update takes from everybody's view.
 */
struct bl_host_times {
	int64_t staged_ms;    /* loaded and filled, not yet in use */
	int64_t live_ms;      /* attached: events are its own from here on */
	int64_t committed_ms; /* the commit goes to the disk */
	int64_t ended_ms;     /* the old, or the new, is gone */
	/* Microseconds in which none was called, since it came by an exchange
	 * (modules only), and since the one before came back that way. -1 if it
	 * did not, or nobody measured it from begin to end: belay died in it. */
	int64_t gap_us, gap_back_us;
};

struct bl_host_txn {
	uint64_t id;
	char kind[16];	/* apply, rollback, restore */
	char phase[16]; /* as in txn.h: "done", "rolled-back", … */
	char digest[BL_DIGEST_HEX]; /* "": to nothing */
	char name[BL_NAME_MAX + 1], version[BL_NAME_MAX + 1];
	char old_digest[BL_DIGEST_HEX];
	char content[BL_DIGEST_HEX];	/* as in bl_host_generation */
	char strategy[BL_STRATEGY_LEN]; /* "dispatch+overlap"; "": none yet */
	enum bl_slot slot;
	unsigned attempt; /* trials of this digest up to this one */
	char boot_id[BL_KERN_BOOT_ID_LEN];
	char reason[BL_REASON_LEN];
	char tags[1024];	     /* "name:tag name:tag …" */
	char maps[BL_HOST_MAPS_LEN]; /* as in bl_host_generation */
	/* Of its trial; "" if it had none. */
	char confirm[8];
	char watchdog[BL_WATCHDOG_LEN]; /* what guarded it, or "none: why" */
	int64_t confirmed_ms;		/* 0: by nobody */
	int64_t started_ms, changed_ms;
	struct bl_host_times times;
	/* Whether the host went down by it: "", or as in evidence.h. */
	char attribution[16];
};

struct bl_host_tombstone {
	char digest[BL_DIGEST_HEX];
	char reason[BL_REASON_LEN];
	uint64_t txn;
	int64_t at_ms;
};

struct bl_host_history {
	struct bl_host_txn *txns; /* newest first */
	size_t count;
	struct bl_host_tombstone *tombstones; /* newest first */
	size_t tombstone_count;
};

/* The last @limit transactions (0: all kept) and every tombstone. */
int bl_host_history(struct bl_host *host, size_t limit,
		    struct bl_host_history *ret, struct bl_err *err);
void bl_host_history_free(struct bl_host_history *h);

/* Whether @digest failed here: 1 with *ret, 0 if not, -errno. */
int bl_host_tombstoned(struct bl_host *host, const char *digest,
		       struct bl_host_tombstone *ret, struct bl_err *err);

/*
 * The bundle of generation @number (as in its events), from the state folder:
 * its content has the names of the rules. -ENOENT for a number that no
 * transaction has, or a bundle that is not kept any more.
 */
int bl_host_bundle(struct bl_host *host, uint32_t number, struct bl_bundle *ret,
		   struct bl_err *err);

/* What is live by the journal, and whether anything of it refuses on a lease: 1,
 * or 0 if nothing is live. Takes no lock. */
int bl_host_live(struct bl_host *host, struct bl_host_generation *ret,
		 bool *ret_leased, struct bl_err *err);

/* Whether programs of it refuse only while their lease is renewed. */
bool bl_host_leased(const struct bl_kern_staged *programs);

/*
 * Renews the lease of what may refuse, if what is live is in the kernel as it
 * was committed: for the keeper of the host (the agent), at least every
 * BL_HOST_KEEP_MS. Takes no lock. -ENOENT: nothing is live; -ESTALE: it is not
 * as committed, and its lease is left to run out.
 */
int bl_host_renew(struct bl_host *host, struct bl_err *err);

/*
 * Reads events of whatever is live, across updates by anybody. Returns how
 * many were read; -ENOENT while nothing with a ring is live; -EBUSY if another
 * process reads them (an event goes to one reader only; this one stays the
 * reader until bl_host_close); -EINTR on a signal.
 */
int bl_host_events(struct bl_host *host, int timeout_ms, bl_event_fn fn,
		   void *ctx, struct bl_err *err);

#endif
