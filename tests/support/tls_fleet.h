/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A controller with real TLS on the loopback, over a store in memory, with an
 * authority of its own in a folder that is gone afterwards:
 *
 *	tcase_add_checked_fixture(t, tls_set_up, tls_tear_down);
 *	tls_enroll_as("web-1");
 *	tls_poll_as(tls.host_dir, "web-1")
 *
 * Asserts through Check that what is not the matter of a test goes well.
 */
#ifndef BL_TESTS_TLS_FLEET_H
#define BL_TESTS_TLS_FLEET_H

#include <jansson.h>

#include "canary/controller/http.h"
#include "canary/wire/pki_dir.h"

struct tls_fleet {
	char *dir;	/* the authority's, with the operator admin's; in it: */
	char *host_dir; /* of the host that enrolls */
	char *url;
	struct bl_pki_server server;
	struct bl_store *store;
	struct bl_http *http;
	struct bl_err err; /* of the last call below */
};
extern struct tls_fleet tls;

void tls_set_up(void);
void tls_tear_down(void);
/* One more controller of the same store, with this certificate. */
struct bl_http *tls_serve(const struct bl_pki *pki, const char *cert,
			  const char *key);

/* One request with a certificate of @in; what came of it. */
int tls_call_as(const char *in, const char *who, const char *method,
		const char *path, json_t *body);
int tls_operator_lists_hosts(void);
/* Polls of one agent, one after the other. */
json_t *tls_poll_body(void);
int tls_poll_as(const char *in, const char *name);

char *tls_make_token(const char *name, int64_t now_ms);
int tls_enroll(const char *token);
void tls_enroll_as(const char *name);
/* What the agent does now and then: renews in time. */
int tls_renew(int64_t now_ms);
/* A certificate that @pki issued, in @to, beside our authority's. */
void tls_write_cert(const struct bl_pki *pki, const char *to, const char *name,
		    int64_t from_ms, int64_t until_ms);

void tls_expect_words(const char *words);

#endif
