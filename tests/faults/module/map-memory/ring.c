// SPDX-License-Identifier: GPL-2.0-only
/* A history of 4 GiB, in pieces: as many as there are. */
#include <linux/vmalloc.h>

#define bl_rings_make twin_rings_make
#define bl_rings_free twin_rings_free
#include "kmod/ring.c"
#undef bl_rings_make
#undef bl_rings_free

#define PIECES	    4096
#define PIECE_BYTES (1 << 20)

static void *history[PIECES];

int bl_rings_make(unsigned int bytes);
int bl_rings_make(unsigned int bytes)
{
	int i;

	for (i = 0; i < PIECES; i++)
		history[i] = vmalloc(PIECE_BYTES);
	return twin_rings_make(bytes);
}

void bl_rings_free(void);
void bl_rings_free(void)
{
	int i;

	for (i = 0; i < PIECES; i++)
		vfree(history[i]);
	twin_rings_free();
}
