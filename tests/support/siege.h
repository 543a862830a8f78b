/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A controller to be attacked: the server in a process of its own, with mutual
 * TLS on the loopback and its store in a file; a rollout that waits for hours,
 * with web-1 exposed; and web-2, the honest host.
 *
 *	siege_start(NULL, 0);
 *	siege_dial(&raw, siege.web1, "host");	…
 *	siege_unchanged("what was done");
 *	siege_others_are_served();
 *	siege_end();
 *
 * The server decides all the while, as the controller's process does. What it
 * writes about itself (fleet/…) is not the ledger, nor is what web-2 says.
 */
#ifndef BL_TESTS_SIEGE_H
#define BL_TESTS_SIEGE_H

#include <stddef.h>
#include <sys/types.h>

#include "canary/controller/http.h"
#include "canary/wire/pki_dir.h"
#include "loader/base/json.h"
#include "tests/support/raw_client.h"

#define SIEGE_SESSION "now" /* web-1's agent; the life before was "first" */
#define SIEGE_SEQ     10    /* of its newest poll */

struct siege {
	char *dir;	   /* operator.pem is in it, and the authority */
	char *web1, *web2; /* folders with host.pem */
	char digest[BL_DIGEST_HEX]; /* of the bundle */
	struct bl_pki_server server;
	pid_t controller;
	unsigned port;
	struct bl_err err; /* of the newest call */
};
extern struct siege siege;

/* @limits NULL: the default; @bundle_bytes: how large its bundle is. */
void siege_start(const struct bl_http_limits *limits, size_t bundle_bytes);
void siege_end(void);

/* A certificate of @pki for host @name, in the folder @to, beside the siege's
 * authority. Days from now. */
void siege_cert(const struct bl_pki *pki, const char *to, const char *name,
		int from_days, int until_days);

/* One request with @who's certificate in @in, as by bl_client_json. */
int siege_call(const char *in, const char *who, const char *method,
	       const char *path, json_t *body);
/* A poll as web-1 with its own certificate. */
int siege_poll(const char *session, int64_t seq);

/* A connection after its handshake; false: the server cut it. */
bool siege_dial(struct raw *r, const char *in, const char *who);

/* web-2 polls until it is heard: a server with little patience may cut even it,
 * on a machine that is busy enough. */
void siege_others_are_served(void);

/* Connections that the controller has now. */
unsigned siege_connections(void);

/* The ledger is byte for byte what it was at the start; and the controller is
 * alive. */
void siege_unchanged(const char *by);

#endif
