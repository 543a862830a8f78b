/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A kernel that takes modules and is a model: what kern_kmod.c has below it. Its
 * steps are steps of a fake_kern, whose faults and deaths they share, and whose
 * activity its hooks see. It lies in shared memory, as that does.
 *
 *	fake_kern_new, fake_kmod_new(fake)
 *	bl_kern_both_of(&fake_kern_ops, fake, dir, &fake_kmod_kernel, kmod, …)
 */
#ifndef FAKE_KMOD_H
#define FAKE_KMOD_H

#include "loader/kern/kmod/kmod_kernel.h"
#include "tests/support/fake_kern.h"

#define FAKE_RELEASE "6.1.0-fake"
#define FAKE_SLABS   (8u << 20) /* of everybody else */

struct fake_kmod {
	struct fake_kern *world;

	/* The module that is in the kernel. */
	struct bl_kmod_now now;
	bool denies, has_content, timed;
	uint64_t seen, read, since;
	uint64_t lease_ms; /* as last written; UINT64_MAX: never */
	unsigned readers;

	/* How this kernel and its modules behave. */
	struct bl_kmod_facts facts;
	char refuses[BL_KERN_TAG_LEN]; /* the build that takes no content */
	unsigned busy;		       /* unloads that find it in use */
	char holder[32];	       /* by whom, as far as it is found */
	uint64_t drops_of_8; /* of 8 events, lost by the tag in lossy */
	char lossy[BL_KERN_TAG_LEN];
	uint64_t leaks;	   /* bytes of slabs with each operation */
	uint64_t clock_us; /* goes on by 1000 with every step */

	char said[80]; /* the last line in the kernel's log */

	/* For the tests: what was never to be. */
	unsigned silent;  /* hooks were in, and no content yet */
	unsigned crowded; /* leftovers were looked for, and a module was in */
	unsigned stirred; /* how often they were looked for */
};

extern const struct bl_kmod_kernel fake_kmod_kernel;

struct fake_kmod *fake_kmod_new(struct fake_kern *world);
void fake_kmod_free(struct fake_kmod *fake);

/* Whatever the process had open is closed. */
void fake_kmod_process_died(struct fake_kmod *fake);
/* No module; what slots hold is the test's to remove. */
void fake_kmod_reboot(struct fake_kmod *fake);

#endif
