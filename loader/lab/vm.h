/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One command on one lab kernel in a microVM of its own.
 *
 * The guest holds belay (/usr/bin/belay, with the shared libraries it needs),
 * busybox and the files of the spec, nothing else, and no disk unless the spec
 * has one. Its init mounts proc, sys, dev, bpf, debugfs, tracefs, cgroup2, securityfs and tmpfs, brings
 * the network up if asked to, runs the command, says its exit status and
 * powers off. Oops panics; BPF LSM is active on every kernel.
 *
 * Usage, one at a time:
 *
 *	struct bl_vm_result res = { 0 };
 *	r = bl_vm_run(&spec, &res, err);	(outcome in res)
 *	bl_vm_result_free(&res);
 *
 * or many: bl_vm_start each, then bl_vm_poll the array until all have ended,
 * then bl_vm_result, bl_vm_free each.
 *
 * Most of a short run is booting. A spec may ask for a warm start (.warm): the
 * guest then wakes up from the state of one that had booted on the same kernel
 * with the same belay, and gets its files and its command only then. The first
 * run boots, and saves that state. Nothing is different for the command but
 * what it does not look at: how long the guest has been up, and its console log
 * begins with the boot of that other one. Where a warm start is not possible,
 * or anything is wrong with a state, the run is a cold one.
 *
 * A spec may have disks and a pstore, files that outlive the VM (lasting.h says
 * how honest they are), and a watchdog. How a host fares over its boots is then
 * one VM after the other with the same files; a boot that ends in a reset is
 * REBOOTED, and killing the VM (bl_vm_free, or SIGKILL to the process that
 * started it) is the power cut.
 *
 * Invariants:
 *  - the outcome is EXITED only if the guest itself said the exit status and
 *    the output is complete; whatever else happens is PANIC, REBOOTED, HANG or
 *    LOST with a reason;
 *  - the console log of every VM that was started stays, whatever happened:
 *    LOG_DIR/NAME.console.log;
 *  - no QEMU outlives its struct bl_vm, nor the process that started it;
 *  - one thread moves VMs on: start, poll and free are not locked.
 */
#ifndef BL_LAB_VM_H
#define BL_LAB_VM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "loader/base/buf.h"
#include "loader/base/err.h"
#include "loader/lab/catalog.h"

#define BL_VM_MEM_MIB_DEFAULT 512
#define BL_VM_MEM_MIB_MIN     128
#define BL_VM_MEM_MIB_MAX     16384
#define BL_VM_CPUS_DEFAULT    1
#define BL_VM_CPUS_MAX	      8
#define BL_VM_FILES_MAX	      256
#define BL_VM_ARGS_MAX	      256
#define BL_VM_DISKS_MAX	      4
#define BL_VM_OUTPUT_DEFAULT  (4u * 1024 * 1024) /* bytes kept of the output */
#define BL_VM_FORWARD_HOST    "10.0.2.100"	 /* the host, seen by a guest */

enum bl_vm_outcome {
	BL_VM_RUNNING,
	BL_VM_EXITED, /* the command ended; exit_status is its own */
	BL_VM_PANIC,  /* the kernel panicked; reason is what it said */
	BL_VM_HANG,   /* still there at the deadline */
	BL_VM_LOST,   /* QEMU or the guest is gone without a word */
	/* The guest was reset, by itself or its watchdog, and no panic was why.
	 * Only with a disk, a pstore or a watchdog; else it is LOST. */
	BL_VM_REBOOTED,
};

/* "running", "exited", "panic", "hang", "lost", "rebooted". */
const char *bl_vm_outcome_name(enum bl_vm_outcome outcome);

struct bl_vm_file {
	const char *src; /* on the host; a regular file */
	const char *dst; /* absolute, in the guest; folders are made */
};

struct bl_vm_disk {
	const char *path;  /* on the host; made with an empty ext4 if new */
	const char *mount; /* where the guest has it; absolute */
};

enum bl_vm_watchdog {
	BL_VM_WATCHDOG_NONE,
	BL_VM_WATCHDOG_SOFT, /* the kernel's softdog: needs a live timer */
	BL_VM_WATCHDOG_HARD, /* i6300esb: cloud kernels have it from 6.12 on */
};

/* Borrowed: only for the time of bl_vm_start. */
struct bl_vm_spec {
	const struct bl_kernel *kernel; /* must be ready */
	const char *name;		/* names the logs; bl_name_valid */
	const char *log_dir;		/* is made if need be */
	/* Run in the guest by execvp with PATH=/usr/bin:/bin, in "/", as root,
	 * standard input /dev/null; ends with NULL. */
	const char *const *argv;
	const struct bl_vm_file *files;
	size_t file_count;
	unsigned mem_mib, cpus; /* 0: the default */
	uint64_t deadline_ms;	/* from start to end; 0: none */
	/* Not 0: a network card; the guest reaches 127.0.0.1:PORT of the host
	 * as BL_VM_FORWARD_HOST:PORT, and nothing else anywhere. */
	uint16_t forward_port;
	const char *append; /* more of the kernel's command line; or NULL */
	size_t max_output;  /* bytes kept; 0: BL_VM_OUTPUT_DEFAULT */
	const struct bl_vm_disk *disks;
	size_t disk_count;
	const char *pstore; /* on the host; made if new. NULL: none. It is
			     * mounted at /sys/fs/pstore */
	enum bl_vm_watchdog watchdog; /* /dev/watchdog, not armed */
	/* A warm start, unless there is a forward, a disk, a pstore or a
	 * watchdog, or cpus or append are set, or the files are larger than
	 * BL_JOB_BYTES (job.h). */
	bool warm;
	/* The guest's clocks count its instructions, a nanosecond each, so that
	 * rdtsc is how many it has run; while it waits they jump to its next
	 * timer. QEMU's lots are drawn from a fixed seed. TCG and one processor
	 * only, and never warm. */
	bool icount;
	/* Gets the command's output as it comes (blocking writes), beside what
	 * is kept; -1: nobody. 0 (a zeroed spec) counts as -1. */
	int output_fd;
};

struct bl_vm_result {
	enum bl_vm_outcome outcome;
	int exit_status;      /* 0..255, 128+N if signal N ended it; EXITED */
	struct bl_buf output; /* the command's stdout and stderr, as it wrote */
	size_t output_lost;   /* bytes beyond max_output */
	char *log_path;	      /* the console log */
	bool went_down; /* LOST by the guest's own doing: reset or switched off */
	char reason[256]; /* "Kernel panic - not syncing: …"; "" if EXITED */
	bool warm;	  /* it woke up from a saved state */
	uint64_t boot_ms; /* from start to the command's start; 0: never */
	uint64_t said_ms; /* from start to the last of its output; 0: none */
	uint64_t total_ms;
};

void bl_vm_result_free(struct bl_vm_result *res);

struct bl_vm;

/*
 * Builds the guest and starts it. -EINVAL for a spec out of its limits,
 * -ENOENT when a file, QEMU, mke2fs or the kernel's image is missing, -ENODEV when the
 * kernel is not ready or lacks a module that the spec needs.
 */
int bl_vm_start(const struct bl_vm_spec *spec, struct bl_vm **ret,
		struct bl_err *err);

/*
 * Moves all on: reads what they wrote, sees deadlines and ends. Waits for at
 * most @timeout_ms (-1: no limit but their deadlines). Entries may be NULL or
 * ended. Returns how many ended in this call (0: time is up), or -EINTR after a
 * signal, with all of them as they were.
 */
int bl_vm_poll(struct bl_vm **vms, size_t count, int timeout_ms,
	       struct bl_err *err);

enum bl_vm_outcome bl_vm_state(const struct bl_vm *vm);

/* Belongs to @vm. Its outcome is BL_VM_RUNNING until the VM ended; output and
 * boot_ms are there as far as they are known. */
const struct bl_vm_result *bl_vm_result(const struct bl_vm *vm);

/* Takes the result out of @vm, the caller frees it with bl_vm_result_free. */
void bl_vm_take_result(struct bl_vm *vm, struct bl_vm_result *ret);

/* Kills it if it runs; removes its temporary files; NULL is fine. */
void bl_vm_free(struct bl_vm *vm);

/* Start, wait, result. -ECANCELED (VM killed) when a signal came. */
int bl_vm_run(const struct bl_vm_spec *spec, struct bl_vm_result *ret,
	      struct bl_err *err);

#endif
