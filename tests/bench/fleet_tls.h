/* SPDX-License-Identifier: Apache-2.0 */
/* Connections of agents over TLS, each with a handshake and a certificate, for
 * what they take of a controller; for bench_fleet. */
#ifndef BL_TESTS_FLEET_TLS_H
#define BL_TESTS_FLEET_TLS_H

#include "canary/wire/client.h"

struct fleet_tls {
	struct bl_client **clients;
	unsigned count;
	double took_s;
};

/* An authority in @dir: `belay controller init`. */
int fleet_tls_init(const char *dir, struct bl_err *err);

/* Enrolls a host, and connects @count times as that one, a poll each time. */
int fleet_tls_open(struct fleet_tls *t, const char *dir, unsigned port,
		   unsigned count, struct bl_err *err);
void fleet_tls_close(struct fleet_tls *t);

#endif
