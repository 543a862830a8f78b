/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fleet's certificates as files, in PEM:
 *
 *	ca.pem			everybody: the authority's certificate
 *	ca.key			controllers alone: its key
 *	controller.pem, .key	controllers
 *	operator.pem, .key	who runs `belay rollout` and `belay host`
 *	host.pem, .key		an agent
 *
 * Keys are 0600. Controllers that share a store share ca.pem and ca.key.
 */
#ifndef BL_CANARY_PKI_DIR_H
#define BL_CANARY_PKI_DIR_H

#include "canary/wire/pki.h"

#define BL_PKI_DIR "/var/lib/belay/tls"

/* @dir as given, else $BELAY_TLS_DIR, else BL_PKI_DIR. */
const char *bl_pki_dir(const char *dir);

struct bl_pki_server {
	struct bl_pki *pki;
	struct bl_buf cert, key; /* the controller's own */
};
void bl_pki_server_free(struct bl_pki_server *s);

/*
 * Makes an authority, a controller's certificate for @addresses (and for this
 * machine) and an operator's. -EEXIST: there is an authority, and all that it
 * issued hangs on it.
 */
int bl_pki_dir_init(const char *dir, const char *const *addresses,
		    size_t address_count, const char *operator_name,
		    int64_t now_ms, struct bl_err *err);

/* What a controller serves with. -ENOENT: nothing was made there. */
int bl_pki_dir_load(const char *dir, struct bl_pki_server *ret,
		    struct bl_err *err);

/* A certificate of the authority in @dir for another operator, into @out.
 * -EEXIST: there is an operator's in it. */
int bl_pki_dir_operator(const char *dir, const char *out, const char *name,
			int64_t now_ms, struct bl_err *err);

/* The same for a viewer; its files have an operator's names, so that the same
 * commands find them. */
int bl_pki_dir_viewer(const char *dir, const char *out, const char *name,
		      int64_t now_ms, struct bl_err *err);

/* Writes WHO.pem, WHO.key and ca.pem; the certificate last, so that it is never
 * there without the others. */
int bl_pki_dir_write(const char *dir, const char *who, const char *ca,
		     const char *cert, const char *key, struct bl_err *err);

#endif
