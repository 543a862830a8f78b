/* SPDX-License-Identifier: Apache-2.0 */
/* Connections of agents over TLS, each with a handshake and a certificate, for
 * what they take of a controller; for bench_fleet. */
#ifndef BL_TESTS_FLEET_TLS_H
#define BL_TESTS_FLEET_TLS_H

#include "loader/base/err.h"
#include "tests/support/raw_client.h"

struct fleet_tls {
	struct raw *clients;
	unsigned count;
	unsigned seq;  /* of the host that all of them are */
	double took_s; /* to connect, shake hands and poll once */
};

/* An authority in @dir: `belay controller init`. */
int fleet_tls_init(const char *dir, struct bl_err *err);

/* Enrolls a host, and connects @count times as that one, a poll each time; all of
 * them are there when the last one is. */
int fleet_tls_open(struct fleet_tls *t, const char *dir, unsigned port,
		   unsigned count, struct bl_err *err);
/* How many of them the controller has ended. A session ticket that is unread is
 * no end. */
unsigned fleet_tls_ended(const struct fleet_tls *t);
void fleet_tls_close(struct fleet_tls *t);

#endif
