/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How this host went down while @txn was under way, or live: what its kernel
 * left, held against the programs of that transaction. For recover.c, with the
 * host's lock held.
 */
#ifndef BL_HOST_CRASH_H
#define BL_HOST_CRASH_H

#include "loader/host/boot/evidence.h"
#include "loader/host/state.h"

/* A kernel that crashed later than this after its boot had booted well: it
 * counts against nobody's boots. */
#define BL_CRASH_BOOT_MS (10u * 60 * 1000)

struct bl_crash {
	enum bl_blame blame;
	struct bl_evidence evidence;
	char words[BL_REASON_LEN]; /* bl_evidence_words */
	uint64_t by;		   /* the transaction whose module had just made
				    * room, and had left a hook: it did that, and
				    * blame is NONE. 0: none */
};

/*
 * A transaction that was found open after a reboot. What there is of evidence
 * is moved to the state folder (evidence/TXN). At least suspect; but a restore
 * or rollback is BL_BLAME_CUT when a kernel that writes records did not: most likely
 * somebody cut the power. In an exchange of modules it may have been the one that
 * went (by): then @txn, whose module was not in yet, is not to blame at all.
 */
void bl_crash_of_open(struct bl_host *h, const struct bl_journal_txn *txn,
		      struct bl_crash *ret);

/* The live generation, gone with a reboot: convicted, with the evidence moved,
 * or nothing. */
void bl_crash_of_live(struct bl_host *h, const struct bl_journal_txn *live,
		      struct bl_crash *ret);

#endif
