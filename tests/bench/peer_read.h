/* SPDX-License-Identifier: Apache-2.0 */
/* What a guest of peer.h wrote, read: for peer.c only. */
#ifndef BL_TESTS_BENCH_PEER_READ_H
#define BL_TESTS_BENCH_PEER_READ_H

#include "tests/bench/peer.h"

/* -EBADMSG when there is no end to it, or a part cannot be read. */
int peer_read(const char *text, size_t len, struct peer_result *ret,
	      struct bl_err *err);

#endif
