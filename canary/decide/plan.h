/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The plan of a rollout: how many hosts may try a version, when, and what
 * counts as too long or too bad. Strict JSON, every key but waves optional:
 *
 *	{
 *	  "waves": [ { "names": ["canary-*"], "soak_s": 30 },
 *		     { "per_stratum": 1 }, { "per_stratum": 2 },
 *		     { "hosts": 100 },
 *		     { "percent": 10, "gate": true }, { "percent": 100 } ],
 *	  "soak_s": 60, "trial_s": 120, "silence_s": 30, "gone_s": 3600,
 *	  "probation_s": 0, "cap": 10,
 *	  "strata": ["kernel", "arch", "os", "role"],
 *	  "p0_percent": 0.1, "alpha": 0.001, "beta": 0.001,
 *	  "ladder_percent": [20, 5, 1],
 *	  "guards": { "time_per_event": 20, "drop_ratio": 10 },
 *	  "freeze": ["Fri 16:00 - Mon 06:00"],
 *	  "leave_out": ["db-*"], "undecided": "pause"
 *	}
 *
 *	waves		totals: a wave ends when so many hosts have the version,
 *			those of the waves before included. Percents round up.
 *	  names		exactly these (the first wave only); a * at the end
 *			stands for any rest. It waits until one of them has it
 *	  per_stratum	so many good hosts of every stratum
 *	  hosts, percent	of the fleet
 *	  gate		begins when an operator says so (rollout approve)
 *	soak_s		between a wave's last commit and the next wave
 *	trial_s		exposed and not committed for longer: bad
 *	silence_s	exposed and not heard of for longer: bad. A poll that hangs is
 *			given up after 10 s; of less, one such is enough
 *	gone_s		unexposed and not heard of for longer: not waited for
 *	probation_s	how long a host tries it; 0: as the bundle says
 *	cap		exposed and unconfirmed hosts at any time
 *	strata		what makes hosts alike: kernel, series (its first two
 *			numbers), arch, os, role, label:KEY
 *	p0_percent	bad hosts that are nobody's fault; 0 (the default): the
 *			first bad host stops the rollout
 *	alpha, beta	chance to stop a version of that rate, and to let one of
 *			a rate of the ladder go on to a wider wave
 *	ladder_percent	the first wave is to find the first of these rates, and
 *			so on; the last one stands for all waves after it
 *	guards		metrics (guard.h) to compare with hosts that do not have
 *			the version, and how much worse is tolerated, in percent;
 *			they want 40 s of soak_s (gauge.h says what is measured)
 *	freeze		times without new exposure (freeze.h)
 *	leave_out	hosts that never get it
 *	undecided	of a trial that could not be judged on a host (a probe did
 *			not run): "pause" (the default), nobody new is exposed
 *			until an operator resumes, and then another host in its
 *			place; or "stop"
 *
 * Without p0_percent and ladder_percent waves are as wide as they say and
 * nothing is tolerated. With a ladder a wave is widened (never up to the next
 * one) until its rate is excluded. A fleet of some tens of hosts is better off
 * without p0_percent: it cannot tell 0.1 % from 20 %.
 *
 * Pure: no I/O, no clock.
 */
#ifndef BL_CANARY_PLAN_H
#define BL_CANARY_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "canary/decide/freeze.h"
#include "canary/decide/guard.h"
#include "loader/base/err.h"
#include "loader/base/file.h"
#include "loader/base/json.h"

#define BL_PLAN_BYTES_MAX    (64 * 1024)
#define BL_PLAN_WAVES_MAX    16
#define BL_PLAN_HOSTS_MAX    1000000
#define BL_PLAN_TIME_MAX_S   (7 * 24 * 3600)
#define BL_PLAN_NAMES_MAX    32
#define BL_PLAN_STRATA_MAX   8 /* facts of a stratum */
#define BL_PLAN_FACT_LEN     48
#define BL_PLAN_LADDER_MAX   8
#define BL_PLAN_FREEZES_MAX  16
#define BL_PLAN_GUARD_SOAK_S 40
/* Of a host in silence_s, at least, while something goes on; what an agent does
 * after a failure is measured by it (backoff.h). */
#define BL_PLAN_POLLS	    8
#define BL_PLAN_POLL_MAX_MS 1000

/* Some of the plan's names. */
struct bl_plan_names {
	unsigned at, count;
};

/* One of hosts, percent, per_stratum and names.count is not 0. */
struct bl_wave {
	unsigned hosts;
	double percent; /* to 100 */
	unsigned per_stratum;
	struct bl_plan_names names;
	int64_t soak_ms;
	bool gate;
};

/* What a host does to a rollout whose trial could not be judged. */
enum bl_plan_undecided {
	BL_UNDECIDED_PAUSE, /* an operator resumes or aborts */
	BL_UNDECIDED_STOP,  /* as a bad one, whatever p0_percent tolerates */
	BL_PLAN_UNDECIDED_COUNT,
};

struct bl_plan {
	struct bl_wave waves[BL_PLAN_WAVES_MAX];
	unsigned wave_count; /* > 0 */
	unsigned cap;	     /* > 0 */
	int64_t trial_ms, silence_ms, gone_ms;
	int64_t probation_ms; /* 0: the bundle's */
	char strata[BL_PLAN_STRATA_MAX][BL_PLAN_FACT_LEN];
	unsigned stratum_facts; /* 0: all hosts are alike */
	double p0_percent;	/* 0: nothing is tolerated */
	double alpha, beta;
	double ladder_percent[BL_PLAN_LADDER_MAX]; /* falling, above p0 */
	unsigned ladder_count;			   /* 0: waves as they say */
	bool guarded[BL_GUARD_METRICS];
	double guard_percent[BL_GUARD_METRICS];
	struct bl_freeze freezes[BL_PLAN_FREEZES_MAX];
	unsigned freeze_count;
	char names[BL_PLAN_NAMES_MAX][BL_NAME_MAX + 2]; /* maybe with a * */
	unsigned name_count;
	struct bl_plan_names left_out;
	enum bl_plan_undecided undecided;
};

/* One host of each stratum, two, half, all; the first bad host stops it. */
void bl_plan_default(struct bl_plan *ret);

/* -EBADMSG names @name, line and field. @name is for messages only. */
int bl_plan_parse(const char *name, const char *text, size_t len,
		  struct bl_plan *ret, struct bl_err *err);

/* As bl_plan_parse for a value inside a document already parsed. */
int bl_plan_read(const struct bl_json_doc *doc, const json_t *obj,
		 const char *path, struct bl_plan *ret, struct bl_err *err);

int bl_plan_load(const char *file, struct bl_plan *ret, struct bl_err *err);

/* The plan as JSON that bl_plan_parse takes; NULL: out of memory. */
json_t *bl_plan_json(const struct bl_plan *plan);

/* Hosts that have the version when @wave (by hosts or percent) ends, of a fleet
 * of @fleet. */
unsigned bl_plan_wave_size(const struct bl_plan *plan, unsigned wave,
			   unsigned fleet);

/* What a wave is, for people: "1 host of each stratum". */
void bl_plan_wave_text(const struct bl_plan *plan, unsigned wave, char *ret,
		       size_t size);

/* Whether @host is one of @names. */
bool bl_plan_names_has(const struct bl_plan *plan,
		       const struct bl_plan_names *names, const char *host);

/* Whether no host may get anything at @now_ms; until when to @ret_until_ms. */
bool bl_plan_frozen(const struct bl_plan *plan, int64_t now_ms,
		    int64_t *ret_until_ms);

/* How often a host is to come while something goes on. */
int64_t bl_plan_poll_ms(const struct bl_plan *plan);

/* The rate that @wave is to find, 0 to 1; 0: none. */
double bl_plan_rate(const struct bl_plan *plan, unsigned wave);

#endif
