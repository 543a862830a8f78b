/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The plan of a rollout: how many hosts may try a version, when, and what
 * counts as too long. Strict JSON, every key but waves optional:
 *
 *	{
 *	  "waves": [ { "hosts": 1, "soak_s": 30 },
 *		     { "percent": 50 },
 *		     { "percent": 100 } ],
 *	  "trial_s": 120,
 *	  "silence_s": 30,
 *	  "soak_s": 5,
 *	  "cap": 10,
 *	  "gone_s": 3600,
 *	  "probation_s": 0
 *	}
 *
 *	trial_s		exposed and not committed for longer: bad
 *	silence_s	exposed and not heard of for longer: bad
 *	soak_s		between a wave's last commit and the next wave
 *	cap		exposed and unconfirmed hosts at any time
 *	gone_s		unexposed and not heard of for longer: not waited for
 *	probation_s	how long a host tries it; 0: as the bundle says
 *
 * Waves are totals: the second wave above ends when half of the fleet has the
 * version, the canary included. Percents round up.
 *
 * Pure: no I/O, no clock.
 */
#ifndef BL_CANARY_PLAN_H
#define BL_CANARY_PLAN_H

#include <stddef.h>
#include <stdint.h>

#include "loader/base/err.h"
#include "loader/base/json.h"

#define BL_PLAN_BYTES_MAX  (64 * 1024)
#define BL_PLAN_WAVES_MAX  16
#define BL_PLAN_HOSTS_MAX  1000000
#define BL_PLAN_TIME_MAX_S (7 * 24 * 3600)

struct bl_wave {
	unsigned hosts; /* 0: by percent */
	double percent; /* above 0, to 100; 0: by hosts */
	int64_t soak_ms;
};

struct bl_plan {
	struct bl_wave waves[BL_PLAN_WAVES_MAX];
	unsigned wave_count; /* > 0 */
	unsigned cap;	     /* > 0 */
	int64_t trial_ms, silence_ms, gone_ms;
	int64_t probation_ms; /* 0: the bundle's */
};

/* One host, then half, then all; the times of the example above. */
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

/* Hosts that have the version when @wave ends, of a fleet of @fleet. */
unsigned bl_plan_wave_size(const struct bl_plan *plan, unsigned wave,
			   unsigned fleet);

#endif
