/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the agent's two threads share: the poller (daemon.c), which talks to the
 * controller, and the worker (daemon_work.c), which works on the host.
 */
#ifndef BL_CANARY_DAEMON_STATE_H
#define BL_CANARY_DAEMON_STATE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "canary/agent/agent.h"
#include "canary/agent/daemon.h"
#include "canary/ledger/gauge.h"
#include "canary/wire/client.h"

struct daemon {
	const struct bl_daemon_opts *opts;
	char *record_path;
	int wake; /* eventfd: the worker has news for the poller */

	pthread_mutex_t lock; /* of all below */
	pthread_cond_t work;  /* the poller has work for the worker */
	struct bl_agent agent;
	enum bl_agent_do task;
	bool quit;
	uint64_t heard_ms; /* when the last poll that was answered began */

	/* the worker's own */
	struct bl_client *client;
	uint64_t status_ms;
	uint64_t trial_ms; /* when the trial went live */
	bool reader_told;
	struct bl_gauge gauge;
};

/* For people, as opts->note. */
void bl_daemon_note(struct daemon *d, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* The worker's thread; @ctx is a struct daemon. */
void *bl_daemon_worker(void *ctx);

#endif
