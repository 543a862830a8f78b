/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Says to the hosts of way A which version they ought to run: one word to
 * whoever connects to a port of the loopback. As little as an update server of
 * 2024 needs: no waves, no questions.
 *
 * One thread: bl_depot_serve is called often and never waits.
 */
#ifndef BL_CANARY_COMPARE_DEPOT_H
#define BL_CANARY_COMPARE_DEPOT_H

#include <stdint.h>

#include "loader/base/err.h"

struct bl_depot {
	int fd; /* -1: closed */
	uint16_t port;
	char word[64]; /* what it answers; the owner's to set */
};

/* Listens on a free port. *ret is to be closed whatever this returns. */
int bl_depot_open(struct bl_depot *ret, struct bl_err *err);
void bl_depot_close(struct bl_depot *d);

void bl_depot_serve(struct bl_depot *d);

#endif
