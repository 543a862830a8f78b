/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Saved machines: what a guest was when it had booted and nobody had told it
 * yet what to run. A folder each, in the cache:
 *
 *	states/RELEASE.KEY/ram       its memory; sparse
 *	                   device    the rest of the machine, QEMU's own format
 *	                   console   what it had said on its console until then
 *	                   identity  what it was made of, and sizes and times of
 *	                             the files above
 *
 * KEY is a hash of the identity, which is compared whole. A folder appears
 * under its name only once it is complete and on disk; nothing in it is written
 * after that. Whoever opened one may go on with it, whatever happens to the
 * folder. Two that save the same at once: the first wins. A folder that a dead
 * process left half made is removed by whoever saves next.
 *
 * A state is no more than time saved: whatever is wrong with one means that
 * there is none.
 */
#ifndef BL_LAB_STATE_H
#define BL_LAB_STATE_H

#include <stddef.h>
#include <sys/types.h>

#include "loader/base/err.h"

#define BL_STATE_IDENTITY_MAX (1024 * 1024)
#define BL_STATE_CONSOLE_MAX  (4 * 1024 * 1024)
#define BL_STATE_PER_KERNEL   2 /* kept, the last used ones */
#define BL_STATE_TOTAL	      12

/* Which state: by kernel and identity. Borrowed. */
struct bl_state_id {
	const char *root;     /* the folder of all states */
	const char *release;  /* bl_name_valid */
	const char *identity; /* every byte counts */
};

struct bl_state {
	int ram, device; /* descriptors */
};

/* Lets go of the descriptors. */
void bl_state_close(struct bl_state *s);

/* Opens the state of @id and copies its console to the file @console. -ENOENT
 * if there is none; one that is not what was saved is removed, and is none. */
int bl_state_open(const struct bl_state_id *id, const char *console,
		  struct bl_state *ret, struct bl_err *err);

/* Removes it, if it is there. */
void bl_state_forget(const struct bl_state_id *id);

/* Bytes on disk of all states of kernel @release; 0: there is none. */
size_t bl_state_bytes(const char *root, const char *release);

/* One that is being saved. */
struct bl_state_writer;

/* Makes room for one. *ret_device is where QEMU writes the machine to; it
 * belongs to the writer. */
int bl_state_begin(const struct bl_state_id *id, struct bl_state_writer **ret,
		   int *ret_device, struct bl_err *err);

/* Takes @size_bytes of the memory behind @ram (zeroes stay holes), and the
 * console log so far. The disk is asked to write, not waited for. */
int bl_state_fill(struct bl_state_writer *w, int ram, size_t size_bytes,
		  const char *console, struct bl_err *err);

/* Waits until all of it is on disk, gives it its name, removes old ones, lets
 * go of @w in any case. */
int bl_state_commit(struct bl_state_writer **w, struct bl_err *err);

/* Removes what there is of it; *w may be NULL. */
void bl_state_abort(struct bl_state_writer **w);

#endif
