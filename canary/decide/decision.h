/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The decision of a rollout: from what is known now to what happens next.
 * Pure: the same view gives the same decision, today and in a replay.
 *
 * A rollout only ever moves forward through this table; the left column is
 * bl_rollout_state, decisions are on the arrows:
 *
 *	RUNNING  --STOP-->  STOPPING --END-->  STOPPED
 *	RUNNING  --DONE-->  DONE
 *	RUNNING, DONE  --the operator's abort-->  ABORTING --END-->  ABORTED
 *
 * One that an operator paused is RUNNING and stands still: hosts that were
 * exposed end their trials and are looked at as before, so that it may be
 * stopped, but nothing is raised and it is not done.
 *
 * What stops it: by a plan that tolerates nothing (p0_percent 0) the first bad
 * host; by one that does the tests of rates.h, and bad hosts until then are
 * marked and waited for no more. Guard metrics stop either.
 *
 * A host whose trial could not be judged there is neither good nor bad (I6): it
 * leaves the sums, so that another takes its place, and holds the rollout (or
 * stops it, if the plan says so) until an operator has seen it.
 *
 * A wave goes to every stratum that it names before a wider one begins, and is
 * widened itself while the rate that it is to find is not excluded.
 *
 * Invariants:
 *  - no decision raises the target while any exposed host is bad or silent and
 *    the plan tolerates none;
 *  - silence of an exposed host past the plan's deadline is bad (I6): there is
 *    no view in which it reads as health;
 *  - a wave ends only when every host exposed so far is committed, or was
 *    tolerated as bad;
 *  - the target never exceeds the plan's wave, or what its rate asks for below
 *    the next wave, and never shrinks;
 *  - an undecided host is never counted as good, and nobody new is exposed
 *    before the rollout was held for it;
 *  - a first wave of names ends only when one of them has the version, whatever
 *    an operator resumes;
 *  - nothing is raised in a time that the plan freezes, through a gate that no
 *    operator has opened, or while it is paused.
 */
#ifndef BL_CANARY_DECISION_H
#define BL_CANARY_DECISION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "canary/decide/plan.h"
#include "canary/decide/rates.h"

#define BL_REASON_MAX 256

enum bl_rollout_state {
	BL_ROLLOUT_RUNNING,
	BL_ROLLOUT_STOPPING, /* a host was bad; exposed hosts go back */
	BL_ROLLOUT_STOPPED,
	BL_ROLLOUT_ABORTING, /* the operator said so; exposed hosts go back */
	BL_ROLLOUT_ABORTED,
	BL_ROLLOUT_DONE,
};

/* One exposed host. EXPOSED to COMMITTED is the way there; FAILED and BACK
 * and UNDECIDED run the old version again; SILENT and STUCK may still run the
 * new one. */
enum bl_exposure_state {
	BL_EXPOSURE_EXPOSED,   /* written before it is told */
	BL_EXPOSURE_TRIAL,     /* it says that it tries the version */
	BL_EXPOSURE_COMMITTED, /* it says that it keeps the version */
	BL_EXPOSURE_FAILED,    /* it went back by itself, or never took it */
	BL_EXPOSURE_BACK,      /* it went back because it was told to */
	BL_EXPOSURE_SILENT,    /* not heard of past the deadline */
	BL_EXPOSURE_STUCK,     /* it was told to go back and could not */
	BL_EXPOSURE_UNDECIDED, /* it went back: its trial could not be judged */
};
#define BL_EXPOSURE_STATES (BL_EXPOSURE_UNDECIDED + 1)

const char *bl_rollout_state_name(enum bl_rollout_state state);
const char *bl_exposure_state_name(enum bl_exposure_state state);
/* -EINVAL for an unknown name. */
int bl_rollout_state_parse(const char *name, enum bl_rollout_state *ret);
int bl_exposure_state_parse(const char *name, enum bl_exposure_state *ret);

struct bl_view_host {
	const char *name;
	enum bl_exposure_state state;
	int64_t exposed_ms;
	int64_t heard_ms;   /* last contact */
	const char *reason; /* of FAILED and STUCK; "" */
};

struct bl_view {
	const struct bl_plan *plan;
	enum bl_rollout_state state;
	unsigned wave;	   /* index into the plan's waves */
	unsigned target;   /* hosts that may be exposed in all */
	unsigned widened;  /* the wave was widened to so many; 0: it was not */
	unsigned approved; /* waves that operators have let begin */
	unsigned paused;   /* by an operator: 1, else 0 */
	unsigned unconfirmed; /* exposed hosts that count against the cap */
	unsigned undecided;   /* exposed hosts of that state, and how many of */
	unsigned held;	      /* them it was held for already */
	int64_t stop_ms;      /* when going back began */
	int64_t commit_ms;    /* newest commit; 0: none */
	int64_t now_ms;
	/* Since when a controller has been listening without a gap: nobody is
	 * silent towards a controller that was not there. */
	int64_t listening_ms;
	const struct bl_view_host *hosts; /* the exposed ones */
	size_t count;
	/* The sums by stratum. NULL: all hosts are one, and its sums are those
	 * of @hosts and @waiting. */
	const struct bl_tally *strata;
	size_t stratum_count;
	struct bl_pairs pairs[BL_GUARD_METRICS];
	unsigned waiting;  /* not exposed, without the version, not gone */
	unsigned already;  /* had the version before */
	unsigned gone;	   /* not heard of for plan->gone_ms, left out */
	unsigned left_out; /* by the plan */
	/* Of a first wave by names: exposed or waiting, and who had it before. */
	unsigned named, named_already;
};

enum bl_decision_kind {
	BL_DECISION_WAIT,
	BL_DECISION_EXPOSE,    /* the target rises to @target, @widened */
	BL_DECISION_NEXT_WAVE, /* wave + 1, the target rises to @target */
	BL_DECISION_SILENT,    /* hosts[host] becomes SILENT */
	BL_DECISION_STUCK,     /* hosts[host] becomes STUCK, with @reason */
	BL_DECISION_STOP,      /* with @reason; hosts[host] is the cause */
	BL_DECISION_HOLD, /* paused with @reason; hosts[host] is undecided */
	BL_DECISION_DONE,
	BL_DECISION_END, /* STOPPING, ABORTING: everyone who can is back */
	/* An operator's, never of bl_decide. */
	BL_DECISION_PAUSE,
	BL_DECISION_RESUME,
	BL_DECISION_APPROVE,
	BL_DECISION_ABORT,
	BL_DECISION_KINDS,
};

const char *bl_decision_name(enum bl_decision_kind kind);

struct bl_decision {
	enum bl_decision_kind kind;
	unsigned target;  /* APPROVE: waves that may begin */
	unsigned widened; /* EXPOSE; 0: as it was */
	size_t host;
	char reason[BL_REASON_MAX]; /* for people; also of WAIT */
	char by[BL_NAME_MAX + 1];   /* the operator; "": it is not known who */
};

/* Whether it is one that an operator made. */
bool bl_decision_is_act(enum bl_decision_kind kind);

void bl_decide(const struct bl_view *view, struct bl_decision *ret);

/* Hosts that @wave asks for in all, of the fleet of @view. */
unsigned bl_decision_wave_size(const struct bl_view *view, unsigned wave);

/* Not every contact is written down: the one that is may be older than the
 * last one by this much. Silence is never declared before the deadline. */
int64_t bl_decision_slack_ms(const struct bl_plan *plan);

/* Whether a host last heard of at @heard_ms is silent at @now_ms. Contacts in
 * the future (a clock that was set back) count from @listening_ms. */
bool bl_decision_silent(const struct bl_plan *plan, int64_t heard_ms,
			int64_t listening_ms, int64_t now_ms);

#endif
