/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The texts of a guest: its init, the command to run, the command lines of its
 * kernel and of QEMU, and what its console says about a panic. Pure.
 */
#ifndef BL_LAB_GUEST_H
#define BL_LAB_GUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "loader/base/buf.h"

/* The guest's init, a busybox shell script. Waits for its job (job.h) unless it
 * has one, reads BL_GUEST_ENV, runs BL_GUEST_RUN, speaks the frames of stream.h
 * on ttyS1. */
extern const char bl_guest_init[];
extern const char bl_guest_fstab[];
#define BL_GUEST_ENV "/.belay/env"
#define BL_GUEST_RUN "/.belay/run"

/* Adds @word to *out as one word of a shell, whatever bytes it has. -ENOMEM. */
int bl_shell_quote(struct bl_buf *out, const char *word);

/* Adds the script BL_GUEST_RUN: becomes argv. -ENOMEM. */
int bl_guest_command(struct bl_buf *out, const char *const *argv);

/* What its init has to know of a guest. */
struct bl_guest_env {
	const char *mark, *name;
	bool network, pstore;
	char *const *modules; /* guest paths in loading order */
	size_t module_count;
	const char *disks; /* "vda:/MOUNT …" (lasting.h) */
};

/* Adds the script BL_GUEST_ENV. -ENOMEM. */
int bl_guest_environment(struct bl_buf *out, const struct bl_guest_env *env);

/* Adds the kernel's command line; @append may be NULL. -ENOMEM. */
int bl_guest_kernel_args(struct bl_buf *out, const char *append);

/* A growing argv: words are copied, NULL at the end. */
struct bl_argv {
	char **words;
	size_t count;
};
void bl_argv_free(struct bl_argv *a);
int bl_argv_add(struct bl_argv *a, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* Adds copies of all words of @more. */
int bl_argv_add_all(struct bl_argv *a, const struct bl_argv *more);
/* A value inside an option list of QEMU: its commas are doubled. Caller frees;
 * NULL without memory. */
char *bl_qemu_value(const char *value);

/* Descriptors, as QEMU will see them, of a guest that waits for its job. */
struct bl_qemu_warm {
	int ram, job; /* files of mem_mib and BL_JOB_BYTES */
	int monitor;  /* a socket */
};

struct bl_qemu_opts {
	const char *binary, *name, *accel, *image, *initrd, *kernel_args, *log;
	const char *busybox; /* on the host, for the forward */
	unsigned mem_mib, cpus;
	bool icount; /* time is instructions */
	uint16_t forward_port;
	int output_fd;			 /* a socket, as QEMU will see it */
	const struct bl_qemu_warm *warm; /* or NULL: the job is in the initrd */
	bool wake; /* from a saved state: no kernel, and the log goes on */
	/* Options that are passed on, and a monitor that says how it ended;
	 * not with warm. NULL: none. */
	const struct bl_argv *lasting;
	int monitor; /* a socket; with lasting */
};

/* Builds QEMU's argv. Commas in paths are doubled, as QEMU wants. -ENOMEM. */
int bl_qemu_argv(const struct bl_qemu_opts *o, struct bl_argv *ret);

/*
 * Whether a console log of a boot is free of what a guest must not hand on to
 * all that wake up from it: a clock that was found to be wrong, a processor
 * that stood still, a warning. A busy host can do the first two to any guest.
 */
bool bl_guest_sound(const char *console, size_t len);

/*
 * Finds the panic in a console log: "Kernel panic - not syncing: Fatal
 * exception (RIP: belay_eval+0x1a/0x40 [sensor])". False if there is none.
 */
bool bl_guest_panic(const char *console, size_t len, char *ret, size_t size);

#endif
