/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A host as it lies there, kernel, journal and stored bundles, to begin from
 * the same place many times. Copies in memory: what a test of faults does
 * thousands of times must not start a process.
 */
#ifndef SNAPSHOT_H
#define SNAPSHOT_H

#include "loader/bundle/bundle.h"
#include "tests/support/fake_kern.h"

#define SNAPSHOT_BUNDLES_MAX 8

/* The host that snapshots are of; bundles are those it may have stored. */
struct snapshot_host {
	struct fake_kern *fake;
	const char *state_dir;
	const struct bl_bundle *bundles;
	int bundle_count;
};

struct snapshot {
	struct fake_kern fake;
	struct bl_buf db, wal;
	bool bundle[SNAPSHOT_BUNDLES_MAX]; /* which are stored */
};

/* Zero-initialise the snapshot before the first take. Taking it calms the
 * fake. Both fail the running test if they cannot. */
void snapshot_take(const struct snapshot_host *h, struct snapshot *s);
void snapshot_restore(const struct snapshot_host *h, const struct snapshot *s);
void snapshot_free(struct snapshot *s);

#endif
