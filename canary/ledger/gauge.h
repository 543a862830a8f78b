/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A host's guard metrics (guard.h), from what an agent sees now and then: one
 * value of each over a window in which one version ran, said until the next
 * window ends. A version that changes begins a window and takes the values of
 * the one before away.
 *
 *	time_per_event	ns a run of its programs; only where the kernel keeps
 *			that (kernel.bpf_stats_enabled = 1): it is not free
 *	drop_ratio	of the events that there were
 *	events_more, events_fewer	per second
 *	memory		bytes of programs and maps
 *	agent_cpu	of one processor
 *
 * Pure: no I/O, no clock.
 */
#ifndef BL_CANARY_GAUGE_H
#define BL_CANARY_GAUGE_H

#include "canary/ledger/record.h"

#define BL_GAUGE_WINDOW_MS 30000
/* Fewer runs, or events, say nothing about a mean, or a share, of them. */
#define BL_GAUGE_MIN_COUNT 8

struct bl_gauge_sample {
	const char *live; /* "": nothing runs, nothing is measured */
	uint64_t events, drops, run_count, run_time_ns;
	uint64_t memory_bytes; /* 0: unknown */
	uint64_t cpu_us;       /* of the agent, so far */
};

/* Zero-initialise. */
struct bl_gauge {
	char live[BL_DIGEST_HEX];
	int64_t begun_ms; /* monotonic */
	struct bl_gauge_sample first;
};

/* Takes a sample; when a window ends, or a version changes, @ret is new. */
void bl_gauge_add(struct bl_gauge *g, const struct bl_gauge_sample *sample,
		  int64_t now_ms, struct bl_metrics *ret);

#endif
