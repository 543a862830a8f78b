/* SPDX-License-Identifier: Apache-2.0 */
/* One QEMU process and what we hold of it: its second serial port, its monitor,
 * its own error messages. */
#ifndef BL_LAB_MACHINE_H
#define BL_LAB_MACHINE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "loader/base/err.h"
#include "loader/lab/guest.h"
#include "loader/lab/vm.h"

/* What a VM is started with, as often as it takes. Owns its strings. */
struct bl_machine_spec {
	char *name, *image, *busybox, *log, *args;
	const char *accel;
	unsigned mem_mib, cpus;
	uint16_t forward_port;
	struct bl_argv lasting; /* of disks, pstore, watchdog */
	bool icount;
	bool watched; /* its monitor says how it ended */
};

int bl_machine_spec_make(const struct bl_vm_spec *s, const char *log,
			 struct bl_machine_spec *ret, struct bl_err *err);
void bl_machine_spec_free(struct bl_machine_spec *s);

/* Descriptors for a guest that waits for its job. They stay the caller's. */
struct bl_machine_warm {
	int ram, job;
	bool wake; /* @ram is a saved one: no boot */
};

/* QEMU's argv for it. -ENOMEM. */
int bl_machine_argv(const struct bl_machine_spec *s,
		    const struct bl_machine_warm *warm, struct bl_argv *ret);

struct bl_machine {
	pid_t pid;   /* 0: none */
	int port;    /* what the command writes; a guest's go */
	int errors;  /* a file: what QEMU says of itself */
	int monitor; /* -1 unless warm or watched */
};

/* Nothing held. */
#define BL_MACHINE_NONE       \
	{                     \
		0, -1, -1, -1 \
	}

/* Starts it. @initrd is -1 if it wakes up, @warm NULL if it is cold. -ENOENT
 * when there is no QEMU. */
int bl_machine_start(const struct bl_machine_spec *s, int initrd,
		     const struct bl_machine_warm *warm, struct bl_machine *ret,
		     struct bl_err *err);

/* Waits up to @timeout_ms for it to end by itself, kills what is left of its
 * process group, and gives its wait status. The descriptors stay. */
int bl_machine_end(struct bl_machine *m, unsigned timeout_ms);

enum bl_machine_end {
	BL_MACHINE_DOWN, /* powered off, killed; or nobody knows */
	BL_MACHINE_RESET,
	BL_MACHINE_WATCHDOG, /* reset by its watchdog device */
};

/* How a watched machine came to its end, after bl_machine_end. Once. */
enum bl_machine_end bl_machine_how(struct bl_machine *m);

/* Ends it and closes all. */
void bl_machine_free(struct bl_machine *m);

#endif
