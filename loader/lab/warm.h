/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The warm start of a VM. Its guest boots without a job (job.h), and once it
 * waits for one, its machine is saved (state.h); the next guest on the same
 * kernel, made of the same files, wakes up from there.
 *
 *	state there:	WAKING ───────────────────┐
 *	none:		BOOTING ──ready──► SAVING ─┴► GOING ──► GIVEN ──► start
 *
 * A state that cannot be saved costs only the time. Whatever else goes wrong
 * before the command starts is the caller's to see (bl_warm_step fails, QEMU
 * ends, time passes): it takes bl_warm_cold and starts again, without any of
 * this.
 */
#ifndef BL_LAB_WARM_H
#define BL_LAB_WARM_H

#include <stdbool.h>

#include "loader/base/err.h"
#include "loader/lab/machine.h"
#include "loader/lab/vm.h"

struct bl_warm;

/*
 * Makes the job of @spec. *ret is NULL (and 0 returned) where a warm start is
 * not possible: $BELAY_LAB_WARM is 0, the spec has a forward, processors or
 * kernel arguments of its own, KVM is used, or the job is larger than one can
 * be. @m must outlive it.
 */
int bl_warm_new(const struct bl_vm_spec *spec, const char *mark,
		const struct bl_machine_spec *m, struct bl_warm **ret,
		struct bl_err *err);
void bl_warm_free(struct bl_warm **w);
#define bl_autowarm __attribute__((cleanup(bl_warm_free)))

/* Starts the machine: from its state, or with a boot that will be saved. */
int bl_warm_start(struct bl_warm *w, struct bl_machine *ret,
		  struct bl_err *err);

/* Reads the monitor and goes on as far as that allows. @ready: the guest has
 * said that it waits. 0, or what failed: then only bl_warm_cold helps. */
int bl_warm_step(struct bl_warm *w, struct bl_machine *m, bool ready,
		 struct bl_err *err);

/* Whether the machine woke up from a state. */
bool bl_warm_woke(const struct bl_warm *w);

/* The command has started: nothing of this can go wrong any more. */
bool bl_warm_over(const struct bl_warm *w);
void bl_warm_started(struct bl_warm *w);

/* Removes the state that it woke up from, or what is being saved: either the
 * command did not start, or nobody knows why it did not. */
void bl_warm_distrust(struct bl_warm *w);

/* Base and job as one, for a cold start. */
int bl_warm_cold(struct bl_warm *w, int *ret_initrd, struct bl_err *err);

/* The VM has ended: what was saved gets its name. */
void bl_warm_keep(struct bl_warm *w);

#endif
