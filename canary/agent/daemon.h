/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host part of an agent at work: one thread works on the host (applies, rolls
 * back, reads events), one is the host's keeper (keeper.h), one keeps what it trusts
 * fresh (loader/trust/fresh.h), and one serves the talker, a process of its own (talker.h), which alone speaks to the controller.
 * So a host that is busy loading is still heard of and kept, and one whose kernel
 * hangs is not (I6); and who takes over what speaks to the network has not got
 * what changes the kernel.
 *
 *	daemon.c	sets up, starts the threads
 *	daemon_talker.c	serves the talker, starts another one if it ends
 *	daemon_process.c	as a process
 *	daemon_order.c	takes the orders that it brings
 *	daemon_work.c	the worker
 *	daemon_fetch.c	its bundles
 *	daemon_trust.c	metadata
 *	daemon_identity.c  whether the certificate is another one now
 *
 * The agent's logic is agent.h; here are only threads, processes and the host.
 *
 * Invariants:
 *  - nothing that the talker says is believed: messages that are none end it
 *    (pair.h), they are read at a bounded rate, a bundle counts by the digest
 *    that was asked for, of the bytes that are parsed then;
 *  - without a talker the host is kept all the same (I9), and another one is
 *    started, the later the more have ended;
 *  - without the host part there is no talker.
 */
#ifndef BL_CANARY_DAEMON_H
#define BL_CANARY_DAEMON_H

#include <stdio.h>

#include "canary/agent/metrics.h"
#include "canary/wire/client.h"
#include "loader/base/sandbox.h"
#include "loader/host/host.h"

/* The file beside the host's journal that holds bl_agent_record. */
#define BL_DAEMON_RECORD "agent.json"

struct bl_daemon_opts {
	struct bl_host *host; /* recovered; used by the worker alone */
	const struct bl_host_config *config; /* of it, for the keeper */
	const char *check;		     /* the keeper's; NULL: none */
	const char *recovered; /* why an open trial is no more; "" */
	const char *state_dir;
	const char *program;	     /* belay, as the talker; NULL: this one */
	struct bl_sandbox_user user; /* the talker's (parts.h) */
	const char *url;	     /* NULL: as bl_client_open */
	bool plaintext;
	const char *tls_dir;	   /* of its certificate; NULL: as bl_pki_dir */
	const char *name;	   /* valid as by bl_name_valid */
	const char *role;	   /* of this host; NULL: none */
	const char *const *labels; /* valid as by bl_label_valid */
	size_t label_count;	   /* at most BL_LABELS_MAX */
	int64_t interval_ms;
	FILE *events; /* a line for each event; NULL: only counted */
	struct bl_agent_counts *counts; /* for metrics; NULL: none */
	/* Of every trial on this host, as in bl_apply_opts. */
	const char *const *probes;
	size_t probe_count;
	uint64_t probe_timeout_ms;
	enum bl_watchdog_mode watchdog;
	uint64_t watchdog_ms; /* 0: BL_WATCHDOG_MS */
	/* Something worth a line in a log. Called by all threads. */
	void (*note)(void *ctx, const char *text);
	void *note_ctx;
};

/*
 * Runs until SIGINT or SIGTERM (bl_cli_catch_signals); a trial under way is
 * rolled back then. A controller that is not there is no error. The caller is
 * the host part already (bl_parts_begin).
 */
int bl_daemon_run(const struct bl_daemon_opts *opts, struct bl_err *err);

/* An event as a line without its end: "exec uid 0 sh[231] /bin/true". */
void bl_event_line(const struct bl_event *e, char *ret, size_t size);

#endif
