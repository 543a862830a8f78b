/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The instructions of a dispatcher, and the words that it reads. Pure. For
 * loader/kern only.
 *
 *	word = state.word				one read
 *	slot = word.live
 *	if word.trial and now < state.trial_until:  slot = word.trial
 *	if no slot:				    return neutral
 *	(verdict)  tail call entries[2 + slot]	    without a lease
 *		   if now >= state.verdict_until:   return neutral
 *	tail call entries[slot]
 *	return neutral				    nothing there
 *
 * "now" is CLOCK_MONOTONIC, which nobody can set. A hook that only observes
 * reads no clock unless a trial is open.
 */
#ifndef BL_KERN_DISPATCH_CODE_H
#define BL_KERN_DISPATCH_CODE_H

#include <linux/bpf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "loader/kern/ops.h"

/* The value of the state map. Every word is written whole, by one store. */
struct bl_dispatch_state {
	uint64_t word; /* bl_dispatch_word */
	uint64_t trial_until_ns;
	uint64_t verdict_until_ns;
	uint64_t version; /* of this layout and of the dispatchers */
	/* What the dispatchers of a slot's hooks had counted when the slot
	 * was switched on: runs are counted for the dispatcher. */
	struct {
		uint64_t runs, time_ns, missed;
	} base[BL_SLOT_COUNT];
};

#define BL_DISPATCH_VERSION 1

#define BL_DISPATCH_NOBODY (-1)

/* A slot, or BL_DISPATCH_NOBODY. */
struct bl_dispatch_word {
	int live, trial;
};

uint64_t bl_dispatch_pack(struct bl_dispatch_word word);
struct bl_dispatch_word bl_dispatch_unpack(uint64_t word);

/* Entries of a hook's program array. */
#define BL_DISPATCH_ENTRIES 4
static inline uint32_t bl_dispatch_entry(enum bl_slot slot, bool leased)
{
	return (uint32_t)slot + (leased ? 0 : BL_SLOT_COUNT);
}

#define BL_DISPATCH_INSNS_MAX 48

struct bl_dispatch_code {
	int state_fd, array_fd; /* maps */
	bool verdict;
	int neutral;
};

/* Returns how many instructions there are. */
size_t bl_dispatch_code(const struct bl_dispatch_code *c,
			struct bpf_insn ret[static BL_DISPATCH_INSNS_MAX]);

#endif
