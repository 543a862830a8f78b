/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The keeper of a host: what runs as long as the host does, with a fleet or
 * without. Every BL_HOST_KEEP_MS it
 *
 *  - tests whether the host can be used (selftest.h), if anything live can
 *    refuse, and by that renews its lease or lets it run out (keep.h, I8);
 *  - looks whether what is live is attached as it was committed, and has it
 *    restored if not (bl_host_recover: nothing that recover would not do);
 *  - tells the service manager that it is alive, and what is live.
 *
 * That it ends changes nothing but the lease: what can refuse allows 15 seconds
 * later, all else goes on.
 */
#ifndef BL_HOST_KEEPER_H
#define BL_HOST_KEEPER_H

#include <stdbool.h>

#include "loader/host/host.h"

/* How long it waits after a restore that did not help. */
#define BL_KEEPER_RETRY_MS 30000

struct bl_keeper_opts {
	struct bl_host_config config; /* it opens the host for itself */
	const char *check; /* the owner's own test, for a shell; or NULL */
	/* Something worth a line in a log. */
	void (*note)(void *ctx, const char *text);
	void *note_ctx;
	bool notify; /* it is the whole service: READY, WATCHDOG, STATUS */
	/* Whether to end, asked twice a second; NULL: when interrupted. */
	bool (*stop)(void *ctx);
	void *stop_ctx;
};

/* Recovers the host, then keeps it until it is told to end: 0. A host that
 * cannot be opened, or is kept already, is an error; one that cannot be
 * recovered is tried again. */
int bl_keeper_run(const struct bl_keeper_opts *opts, struct bl_err *err);

#endif
