/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a host needs to live: programs and files that content must never deny.
 * Where one is lost, so is the host, or the way to it, or the way back.
 *
 * Paths are as the kernel knows them, without symbolic links; those that are
 * links on most systems ("/bin/sh") are here for systems on which they are
 * files. What lies below /usr is meant without /usr, too: Debian before 12 and
 * others still have both.
 */
#ifndef BL_GATE_VITAL_H
#define BL_GATE_VITAL_H

#include <stddef.h>

#include "bpf/event.h"

#define BL_VITAL_EXEC (1u << BL_EVENT_EXEC)
#define BL_VITAL_OPEN (1u << BL_EVENT_OPEN)

struct bl_vital {
	const char *path;
	unsigned kinds;	  /* BL_VITAL_…: what must not be denied */
	const char *loss; /* "the host does not boot": what it would cost */
};

extern const struct bl_vital bl_vitals[];
extern const size_t bl_vital_count;

#endif
