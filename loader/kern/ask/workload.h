/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Activity for sensors to see, counted: bursts of exec, open, connect, fork and
 * questions to DNS, in rounds. It runs in a process of its own (the driver), so that its events
 * are known by its process id, and tells what it did through memory that it
 * shares with whoever reads the events.
 *
 *	driver:	bl_workload_init → _furnish → _aim → _isolate → _round, again …
 *	reader:	looks at struct bl_workload_done meanwhile
 *
 * No packet leaves the machine: only datagram sockets connect, and
 * questions go to a loopback that nobody else has. Every child is
 * reaped. What a sensor denies counts as done. Nothing here needs libbpf.
 */
#ifndef BL_KERN_WORKLOAD_H
#define BL_KERN_WORKLOAD_H

#include <stdint.h>
#include <sys/types.h>

#include "bpf/event.h"

#define BL_WORKLOAD_PATHS_MAX 64
#define BL_WORKLOAD_PATH_MAX  256 /* with the closing NUL */
#define BL_WORKLOAD_PEERS_MAX 8
/* Whose events the smallest ring holds, a page. */
#define BL_WORKLOAD_BURST     8
#define BL_WORKLOAD_EXECS_MAX 8192 /* in all rounds; more are not started */

struct bl_workload {
	/* What is opened, connected to and executed, each in turn. */
	char paths[BL_WORKLOAD_PATHS_MAX][BL_WORKLOAD_PATH_MAX];
	unsigned path_count;
	uint8_t peers[BL_WORKLOAD_PEERS_MAX][4]; /* network byte order */
	unsigned peer_count;
	char command[BL_WORKLOAD_PATH_MAX]; /* "": there is none to execute */
	const char *argv[3];
	int dns_fd; /* where questions go; -1: there are none */
	unsigned execs, opens, connects, questions, forks; /* in each round */
	/* Called after BL_WORKLOAD_BURST operations at most, unless NULL: no
	 * more are done until it returns. */
	void (*rest)(void *ctx);
	void *ctx;
};

/* What was done. In shared memory: written by the driver alone. */
struct bl_workload_done {
	/* Bit 1 << kind: what the content reports at all; and of what the
	 * workload does. */
	unsigned reports, visible;
	uint64_t ops[BL_EVENT_KINDS];
	uint64_t forks;
	uint32_t execs[BL_WORKLOAD_EXECS_MAX]; /* process ids, ops[EXEC] many */
};

/*
 * The usual counts, and every usual target that is there, by the name that the
 * kernel has for it.
 */
void bl_workload_init(struct bl_workload *w);

/*
 * Before bl_workload_init, in the driver: gives this process folders of its own
 * (mount namespace) in which the files of interest that rules name exist and
 * are empty. Others see nothing of it, and it ends with
 * the process. -EPERM and the like: the files are those of the machine.
 */
int bl_workload_furnish(void);

/*
 * Keeps of each kind's targets those that @content (binary form, checked)
 * reports, if there are any. Sets reports and visible of *ret. @content NULL: a
 * sensor that reports all execs, opens and connects. Pure.
 */
void bl_workload_aim(struct bl_workload *w, const void *content,
		     struct bl_workload_done *ret);

/* The name that it asks for. */
#define BL_WORKLOAD_DOMAIN "belay.invalid"

/* If @done says that questions to DNS are visible: a socket in a network of its
 * own, for which this process needs privileges. Without it none are asked. */
void bl_workload_isolate(struct bl_workload *w,
			 const struct bl_workload_done *done);

/* One round. */
void bl_workload_round(const struct bl_workload *w,
		       struct bl_workload_done *done);

#endif
