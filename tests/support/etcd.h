/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An etcd of one or three members on the loopback, with ports and a folder of
 * its own, for tests. Members are killed and started again by number; they die
 * with the test. Members of one etcd find each other again by their ports, which
 * are chosen once.
 */
#ifndef BL_TESTS_ETCD_H
#define BL_TESTS_ETCD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "canary/store/store.h"

#define ETCD_MEMBERS_MAX 3

struct etcd {
	unsigned count;
	char *dir;
	const char *tls_dir; /* as of pki_dir.h; NULL: plain HTTP */
	struct {
		pid_t pid; /* 0: it does not run */
		unsigned client_port, peer_port;
	} members[ETCD_MEMBERS_MAX];
};

/* Whether this machine has etcd; without it the test ends with 77, which is
 * "skipped" (a failure where BELAY_MUST_RUN says so). */
void etcd_need(void);

/* Starts @members members and waits until they serve. */
void etcd_start(struct etcd *e, unsigned members);
/* The same for clients with TLS, by the controller's certificate in @tls_dir. */
void etcd_start_tls(struct etcd *e, unsigned members, const char *tls_dir);
void etcd_stop(struct etcd *e);

/* kill -9; start it again on what it wrote. */
void etcd_kill(struct etcd *e, unsigned member);
void etcd_restart(struct etcd *e, unsigned member);
/* Waits until a majority has a leader again. */
void etcd_wait(struct etcd *e);

/* The member that leads now. */
unsigned etcd_leader(struct etcd *e);

/* "etcd:http://127.0.0.1:PORT,…#PREFIX" (or https); the caller frees it. */
char *etcd_url(const struct etcd *e, const char *prefix);

/* What @key (of a store with @prefix) was at @revision (0: now), with the revision
 * that wrote it. false: it was not there. */
bool etcd_was(const struct etcd *e, const char *prefix, const char *key,
	      int64_t revision, struct bl_store_item *ret);

/* Drops the history of all but what is there now. Whether it did. */
bool etcd_compact(struct etcd *e);

#endif
