/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Metrics as Prometheus reads them (text format 0.0.4): families, each with its
 * samples.
 *
 *	struct bl_prom p = { 0 };
 *	bl_prom_family(&p, BL_PROM_COUNTER, "belay_polls_total", "Polls …");
 *	bl_prom_add(&p, 17, "answer", "none");
 *	bl_prom_family(&p, BL_PROM_GAUGE, …);
 *	r = bl_prom_end(&p, &text);
 *
 * Names are ours and in base units (seconds, bytes); what a label says may be
 * anybody's bytes. Pure.
 */
#ifndef BL_CANARY_PROM_H
#define BL_CANARY_PROM_H

#include <stddef.h>
#include <stdint.h>

#include "loader/base/buf.h"

#define BL_PROM_TYPE "text/plain; version=0.0.4; charset=utf-8"

enum bl_prom_type { BL_PROM_COUNTER, BL_PROM_GAUGE, BL_PROM_HISTOGRAM };

/* Zero-initialise. */
struct bl_prom {
	struct bl_buf text;
	const char *family;
	int failed; /* -ENOMEM, once that is so */
};

/* @name and @help stay the caller's until the next family. */
void bl_prom_family(struct bl_prom *p, enum bl_prom_type type, const char *name,
		    const char *help);

/* One sample of the family. Its labels, name and value of each, end with NULL;
 * NULL: there are none. */
#define bl_prom_add(p, value, ...) \
	bl_prom_sample(p, value, (const char *const[]){ __VA_ARGS__, NULL })
void bl_prom_sample(struct bl_prom *p, double value, const char *const *labels);

/* What a histogram has counted: in each bucket those up to its bound (not those
 * of the bucket before), then those beyond all. */
struct bl_prom_histogram {
	const double *bounds;
	const uint64_t *counts; /* one more than bounds */
	size_t bound_count;
	double sum;
};
void bl_prom_histogram(struct bl_prom *p, const struct bl_prom_histogram *h,
		       const char *label, const char *value);

/* The text to *ret, which is empty; or -ENOMEM, and nothing is left. */
int bl_prom_end(struct bl_prom *p, struct bl_buf *ret);

#endif
