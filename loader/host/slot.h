/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two slots, and what must hold whatever happens to the process or the host.
 *
 * One slot is live (the journal says which), the other idle. An update fills
 * the idle one, tries it beside the live one, and makes it live by one write
 * to the journal; the slot that was live is emptied after that.
 *
 *	phase		 idle slot	  live slot	    if found open later
 *	intent		 empty, half made pinned, called    idle retired
 *	staged		 pinned		  pinned, called    idle retired
 *	trial		 called, on lease pinned, behind it idle retired
 *	committing	 links pinned too pinned, behind it idle retired
 *	-------------------- one durable write swaps the names ----------------
 *	committed	 being emptied	  pinned, called    idle retired
 *	done		 empty		  pinned, called
 *	rolling-back	 being emptied	  pinned, called    idle retired
 *	rolled-back	 empty		  pinned, called
 *
 * Programs that are dispatched are called for one slot at a time, which one
 * word in the kernel names; the others of both slots are called during a trial
 * (loader/kern/ops.h). "behind it": the kernel goes back to that slot when the
 * lease of the trial runs out, without anybody's help.
 *
 * So whatever is found, retiring the idle slot is right, and only what the
 * journal calls live is ever kept. That is why I3 needs no knowledge of how
 * far the dead process came.
 *
 * Invariants (numbers as in the design; I6, I7 and I9 are the fleet's too):
 *
 *  I1 Some known-good generation is in the kernel at every instant of an
 *     update, and is called at the latest when the lease of a trial runs out.
 *     The live slot is retired only in phase committed, when another one
 *     already is live, attached and pinned. A kernel module cannot keep
 *     this: there is one at a time, so the old one is out while the new one
 *     is on trial, none is in for the moment of the exchange (times.gap_us),
 *     and a death in the trial is over only when somebody recovers.
 *  I2 Intent is durable before the kernel changes: digest, slot, boot. The
 *     kernel makes the program tags when it loads; they are durable before
 *     anything is called. The bundle itself is stored before the intent.
 *  I3 Rolling back is idempotent and needs nothing but the journal, the stored
 *     bundles and the kernel.
 *  I4 A death at any instruction leaves old or new, complete: a trial is called
 *     on a lease or by links that die with the process, all dispatched hooks
 *     switch by one write, and slots share no map but those that hold state
 *     and are kept (loader/object/carry.h): content never, so that programs
 *     of one generation cannot read content of another.
 *  I5 An attempt is counted before the trial it pays for, and only then, with
 *     the boot it belongs to. Restoring the live generation after a power
 *     cycle is no attempt. Boots that it took down are counted apart, by what
 *     the kernel left (crash.h): a power cycle of a healthy host changes nothing.
 *  I6 What a probe could not find out counts as bad.
 *  I7 (fleet) Nobody loads what the ledger did not expose. Not decided here.
 *  I8 A verdict path has a lease: what can refuse is asked only while somebody
 *     renews it (bl_host_renew; a trial does so itself), else its hook allows.
 *     A program that cannot have one is refused unless its manifest waives it.
 *  I9 Reporting never decides: a tick that cannot reach anybody returns 0.
 */
#ifndef BL_HOST_SLOT_H
#define BL_HOST_SLOT_H

#include "loader/kern/ops.h"

static inline enum bl_slot bl_slot_other(enum bl_slot slot)
{
	return slot == BL_SLOT_A ? BL_SLOT_B : BL_SLOT_A;
}

/* "a" or "b", also the folder's name among the pins. */
static inline const char *bl_slot_name(enum bl_slot slot)
{
	return slot == BL_SLOT_A ? "a" : "b";
}

#endif
