/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hosts of one fleet: microVMs of one kernel whose disks and pstores last
 * from boot to boot. Each runs guest.sh.
 *
 *	r = bl_guests_start(&spec, &g, err);	all of them boot
 *	r = bl_guests_poll(g, 50, err);		often: what they say goes to sees
 *	bl_guests_boot(g, i, err);		one that is down, with its files
 *	bl_guests_cut(g, i);			the power of one
 *	bl_guests_free(g);
 *
 * Nothing reboots by itself here: who watches decides that. One thread.
 */
#ifndef BL_CANARY_COMPARE_GUESTS_H
#define BL_CANARY_COMPARE_GUESTS_H

#include "canary/compare/result.h"
#include "loader/lab/vm.h"

#define BL_GUESTS_MAX	    8
#define BL_GUESTS_FILES_MAX 16

/* What is heard of them. @line has no end; after @ended it is down. */
struct bl_guests_sees {
	void (*line)(void *ctx, size_t i, const char *line);
	void (*ended)(void *ctx, size_t i, const struct bl_vm_result *res);
	void *ctx;
};

struct bl_guests_spec {
	const struct bl_kernel *kernel;
	enum bl_compare_way way;
	size_t count;
	const char *dir;  /* for disks, pstores and consoles; is made anew */
	const char *life; /* guest.sh's LIFE; NULL */
	uint16_t port;	  /* of this machine's loopback, for guest.sh */
	struct bl_vm_file files[BL_GUESTS_FILES_MAX]; /* beside guest.sh */
	size_t file_count;
	struct bl_guests_sees sees;
};

struct bl_guests;

/* Copies *spec with its strings. Errors as bl_vm_start. */
int bl_guests_start(const struct bl_guests_spec *spec, struct bl_guests **ret,
		    struct bl_err *err);
void bl_guests_free(struct bl_guests *g);
static inline void bl_guests_freep(struct bl_guests **g)
{
	bl_guests_free(*g);
}

/* Waits at most @timeout_ms. -EINTR after a signal. */
int bl_guests_poll(struct bl_guests *g, int timeout_ms, struct bl_err *err);

size_t bl_guests_count(const struct bl_guests *g);
const char *bl_guests_name(const struct bl_guests *g, size_t i); /* "host-1" */
bool bl_guests_running(const struct bl_guests *g, size_t i);

/* Boots one that is down. */
int bl_guests_boot(struct bl_guests *g, size_t i, struct bl_err *err);

/* Cuts the power of one; it is down then, without a call of ended. */
void bl_guests_cut(struct bl_guests *g, size_t i);

/* Who hears of them from now on. */
void bl_guests_tell(struct bl_guests *g, const struct bl_guests_sees *sees);

#endif
