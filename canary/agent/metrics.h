/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What there is to measure of a host, as Prometheus reads it: what is live and
 * whether it is well, the trial, the lease, what the sensor saw and lost, how
 * transactions ended, and what this agent did since it was started.
 *
 * bl_agent_counts is what only the running agent knows; its threads add to it,
 * any thread may read. The text is pure.
 */
#ifndef BL_CANARY_AGENT_METRICS_H
#define BL_CANARY_AGENT_METRICS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "bpf/event.h"
#include "loader/base/buf.h"
#include "loader/host/host.h"
#include "loader/trust/fresh.h"

struct bl_agent_counts {
	_Atomic uint64_t events[BL_EVENT_KINDS][BL_ACTIONS];
	_Atomic uint64_t polls_good, polls_failed;
	_Atomic int64_t heard_ms; /* of the last good one; wall clock */
};

/* NULL counts nothing. */
void bl_agent_count_event(struct bl_agent_counts *c, const struct bl_event *e);
/* @result as of bl_client_ask. -ECANCELED is none: its place took one with news
 * of this host. */
void bl_agent_count_poll(struct bl_agent_counts *c, int result, int64_t now_ms);

/* How the transactions that the journal keeps have ended. */
struct bl_agent_past {
	uint64_t newest; /* its number; 0: there is none */
	unsigned committed, rolled_back, open;
	unsigned cut, suspect, convicted; /* the host went down in it */
};
void bl_agent_past_read(const struct bl_host_history *h,
			struct bl_agent_past *ret);

/* @status NULL: the host could not be read. @counts NULL: an agent without a
 * fleet, which reads no events. @fresh NULL: this host asks for no signatures, or
 * has asked no repository yet. @cpu_s and @memory_bytes are the agent's own.
 * -ENOMEM. */
struct bl_agent_measured {
	const struct bl_host_status *status;
	const struct bl_agent_past *past;
	struct bl_agent_counts *counts;
	const struct bl_fresh *fresh;
	int64_t now_ms; /* wall clock */
	double cpu_s, memory_bytes;
};
int bl_agent_metrics(const struct bl_agent_measured *m, struct bl_buf *ret);

#endif
