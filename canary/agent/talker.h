/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The talker: the part of an agent that speaks to the controller, in a process of
 * its own that may do nothing else (parts.h). It polls with what the host part
 * gives it, hands over the orders that come back, fetches bundles into pipes that
 * the host part reads, and renews this host's certificate.
 *
 *	talker.c	polls; one thread, which also reads the pair
 *	talker_fetch.c	fetches bundles, in a thread of its own: a host that
 *			waits for one is heard of meanwhile
 *	talker_trust.c	in the same thread: files of metadata
 *
 * It keeps nothing from one life to the next. What it says is believed by nobody
 * (pair.h): whoever has taken it over can keep this host from its orders, or give
 * it those that the controller could give.
 */
#ifndef BL_CANARY_TALKER_H
#define BL_CANARY_TALKER_H

#include <stdbool.h>
#include <stdint.h>

#include "loader/base/err.h"

/* Where the pair is when the talker's program begins. */
#define BL_TALKER_FD 3

struct bl_talker_opts {
	int pair;	 /* to the host part */
	const char *url; /* NULL: as bl_client_open */
	bool plaintext;
	const char *tls_dir; /* of host.pem; after parts.h "." */
	const char *name;    /* valid as by bl_name_valid */
	int64_t interval_ms;
};

/*
 * Until the host part is gone: 0. The caller ends the process then, without
 * anything else: the other thread may be anywhere. -EBADMSG: the host part is
 * another version of this program.
 */
int bl_talker_run(const struct bl_talker_opts *opts, struct bl_err *err);

#endif
