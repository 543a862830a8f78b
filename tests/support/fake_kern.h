/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A kernel that is a model, for the fault lane.
 *
 * Its state lies in shared memory: a child process uses it, may be killed at
 * any step, and the parent looks at what is left, as a kernel outlives the
 * loader. Every operation is a row of steps (load a program, fill content, pin
 * a program, attach, pin a link, unpin …). Before each step the model may
 *
 *	fail	return -EIO from the operation, with the steps before it done;
 *	die	end the process at once (exit status FAKE_DIED).
 *
 * A trial's lease runs out when its process dies: time passes then.
 *
 * Usage: fake_kern_new; set what should go wrong; fork and let the child run
 * the host over &fake_kern_ops; then fake_kern_process_died (whatever the
 * child held is gone), or fake_kern_reboot (all is gone, new boot id).
 *
 * After every step fake->watch (if set) is called in the child: that is where
 * a test asserts what must hold at every instant.
 */
#ifndef FAKE_KERN_H
#define FAKE_KERN_H

#include "loader/kern/ops.h"

#define FAKE_DIED     86
#define FAKE_PROGRAMS 3

/* A map that holds state. Slots that share one have the same id. */
#define FAKE_MAPS 16
struct fake_map {
	char name[32];
	uint32_t type, key_size, value_size;
	uint32_t id;
	uint64_t entries; /* one for each probe that its programs saw */
	bool copy;	  /* of the other slot's, when it is attached */
};

/* One slot of the model. Counts are of FAKE_PROGRAMS: each is dispatched, or
 * has a link. */
struct fake_slot {
	unsigned loaded;      /* by this process, not yet pinned */
	unsigned pinned;      /* programs */
	unsigned held;	      /* links of this process that are not pinned */
	unsigned links;	      /* pinned */
	unsigned overlapping; /* of it, those that have a link */
	unsigned entries;     /* behind dispatchers */
	/* What the word of the dispatchers says, for all slots at once. */
	bool live, trial;
	bool refuses;
	uint32_t programs_of, content_of; /* generation numbers */
	char tag[BL_KERN_TAG_LEN];	  /* made of the object's bytes */
	uint64_t since; /* the world's activity when it was whole */
	uint64_t seen, events, drops, missed, read;
	struct fake_map maps[FAKE_MAPS]; /* of the object, if it is one */
	unsigned map_count;
};

struct fake_kern {
	struct fake_slot slot[BL_SLOT_COUNT];
	int named; /* the slot on trial by the word, lapsed or not; -1 */
	unsigned boots;
	uint32_t map_id;      /* of the newest map */
	unsigned overlapping; /* of what is staged; the rest is dispatched */

	/* What goes wrong: at which step (1, 2, …; 0: never). */
	unsigned fail_at, die_at;
	bool sticky;   /* all later steps of the kind that failed fail too */
	unsigned step; /* steps so far */
	bool quiet;    /* steps do not count now: the test itself looks */
	char failed_step[64]; /* the first */

	/* How the generation behaves. */
	uint64_t drops_per_probe, events_per_probe, ns_per_run;
	uint64_t missed_per_probe; /* runs that the kernel skips */
	uint64_t memory_bytes;
	unsigned detach_after; /* probes; 0: never */
	unsigned splat_after;  /* probes; 0: never */
	bool splat_elsewhere;  /* in no program of it */
	unsigned probes;
	uint64_t activity; /* of the world: its clock for events */
	bool no_lsm;
	bool refuses;	     /* what is staged has programs that can */
	bool no_maps;	     /* they cannot be read */
	bool no_renew;	     /* nor the lease renewed */
	bool no_retire;	     /* nor a slot emptied */
	uint64_t verdict_ms; /* of the lease, as last renewed */

	void (*watch)(struct fake_kern *fake, const char *step);
	void *ctx;
	char violation[512]; /* set by watch: what did not hold */
};

extern const struct bl_kern_ops fake_kern_ops;

struct fake_kern *fake_kern_new(void);
void fake_kern_free(struct fake_kern *fake);

/* No more faults, steps from 0; what is in the kernel stays. */
void fake_kern_calm(struct fake_kern *fake);
void fake_kern_process_died(struct fake_kern *fake);
void fake_kern_reboot(struct fake_kern *fake);

/* All programs of one generation with its own content, all attached. */
bool fake_slot_whole(const struct fake_slot *s);
/* NULL: the slot has none of that name. */
struct fake_map *fake_slot_map(struct fake_slot *s, const char *name);
/* And so even if the process dies. */
bool fake_slot_kept(const struct fake_slot *s);
bool fake_slot_empty(const struct fake_slot *s);
/* Also attached, in part or in whole. */
bool fake_slot_live(const struct fake_slot *s);

/* A step of something else that may fail or die: files, the database. */
int fake_kern_step(struct fake_kern *fake, const char *name);

#endif
