/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client that sends what no client of ours would, with TLS or without, to a
 * port of the loopback. Nothing is checked here, neither the server's
 * certificate nor what it says; a server that does nothing at all ends the test
 * after RAW_PATIENCE_MS.
 */
#ifndef BL_TESTS_RAW_CLIENT_H
#define BL_TESTS_RAW_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define RAW_PATIENCE_MS 600000 /* only against a hang */

struct raw {
	int fd;
	void *session, *credentials; /* GnuTLS's; NULL: plain */
};

/* Connects. */
void raw_dial(struct raw *r, unsigned port);
/* The handshake, showing @cert and @key (files in PEM; NULL: nothing). */
bool raw_shake(struct raw *r, const char *cert, const char *key);
void raw_close(struct raw *r);

/* Whether all of it went out. */
bool raw_send(struct raw *r, const void *data, size_t len);
/* Bytes that came; 0: the server ended it, in whatever way. */
size_t raw_receive(struct raw *r, void *buf, size_t size);
/* The status of the answer, read as far as @size; 0: ended without one. */
unsigned raw_status(struct raw *r, char *answer, size_t size);

/* Whether the server has ended it by now, without waiting. */
bool raw_ended(struct raw *r);

#endif
