/* SPDX-License-Identifier: Apache-2.0 */
#include "canary/wire/pki.h"

#include <arpa/inet.h>
#include <errno.h>
#include <gnutls/abstract.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/base/text.h"

#define SERIAL_BYTES 16
/* Clocks differ: what is issued now counts a little earlier, too. */
#define BEFORE_S 300
/* serialNumber of a name, which GnuTLS has no word for. */
#define OID_GENERATION "2.5.4.5"

struct bl_pki {
	gnutls_x509_crt_t cert;
	gnutls_x509_privkey_t key;
	char *cert_pem, *key_pem;
};

static const char *const roles[] = {
	[BL_ROLE_HOST] = "host",
	[BL_ROLE_OPERATOR] = "operator",
	[BL_ROLE_CONTROLLER] = "controller",
	[BL_ROLE_VIEWER] = "viewer",
};

static void free_datum(gnutls_datum_t *d)
{
	gnutls_free(d->data);
}
#define AUTODATUM BL_CLEANUP(free_datum) gnutls_datum_t

static void free_cert(gnutls_x509_crt_t *c)
{
	if (*c)
		gnutls_x509_crt_deinit(*c);
}

static void free_key(gnutls_x509_privkey_t *k)
{
	if (*k)
		gnutls_x509_privkey_deinit(*k);
}

static void free_request(gnutls_x509_crq_t *q)
{
	if (*q)
		gnutls_x509_crq_deinit(*q);
}

static void free_pubkey(gnutls_pubkey_t *k)
{
	if (*k)
		gnutls_pubkey_deinit(*k);
}

/* What GnuTLS says, as an error of ours. */
static int fail(int code, const char *doing, struct bl_err *err)
{
	if (code == GNUTLS_E_MEMORY_ERROR)
		return bl_err_set(err, -ENOMEM, "out of memory");
	return bl_err_set(err, -EBADMSG, "cannot %s: %s", doing,
			  gnutls_strerror(code));
}

static int to_buf(const gnutls_datum_t *d, struct bl_buf *ret,
		  struct bl_err *err)
{
	return bl_buf_add(ret, d->data, d->size) < 0
		       ? bl_err_set(err, -ENOMEM, "out of memory")
		       : 0;
}

static gnutls_datum_t datum_of(const char *text, size_t len)
{
	return (gnutls_datum_t){ (unsigned char *)text, (unsigned)len };
}

static int make_key(gnutls_x509_privkey_t *ret)
{
	int code = gnutls_x509_privkey_init(ret);

	if (code == 0)
		code = gnutls_x509_privkey_generate(
			*ret, GNUTLS_PK_ECDSA,
			GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0);
	return code;
}

int bl_pki_key_make(struct bl_buf *ret, struct bl_err *err)
{
	BL_CLEANUP(free_key) gnutls_x509_privkey_t key = NULL;
	AUTODATUM pem = { 0 };
	int code = make_key(&key);

	if (code == 0)
		code = gnutls_x509_privkey_export2(key, GNUTLS_X509_FMT_PEM,
						   &pem);
	return code < 0 ? fail(code, "make a key", err)
			: to_buf(&pem, ret, err);
}

int bl_pki_request_make(const char *key, struct bl_buf *ret, struct bl_err *err)
{
	BL_CLEANUP(free_request) gnutls_x509_crq_t request = NULL;
	BL_CLEANUP(free_key) gnutls_x509_privkey_t k = NULL;
	gnutls_datum_t text = datum_of(key, strlen(key));
	AUTODATUM pem = { 0 };
	int code = gnutls_x509_privkey_init(&k);

	if (code == 0)
		code = gnutls_x509_privkey_import(k, &text,
						  GNUTLS_X509_FMT_PEM);
	if (code == 0)
		code = gnutls_x509_crq_init(&request);
	if (code == 0)
		code = gnutls_x509_crq_set_version(request, 1);
	if (code == 0)
		code = gnutls_x509_crq_set_key(request, k);
	if (code == 0)
		code = gnutls_x509_crq_sign2(request, k, GNUTLS_DIG_SHA256, 0);
	if (code == 0)
		code = gnutls_x509_crq_export2(request, GNUTLS_X509_FMT_PEM,
					       &pem);
	return code < 0 ? fail(code, "make a request for a certificate", err)
			: to_buf(&pem, ret, err);
}

static int set_dn(gnutls_x509_crt_t cert, const char *oid, const char *text)
{
	return gnutls_x509_crt_set_dn_by_oid(cert, oid, 0, text,
					     (unsigned)strlen(text));
}

/* What all certificates have. */
static int begin(gnutls_x509_crt_t cert, const char *name, const char *role,
		 int64_t from_ms, int64_t until_ms)
{
	unsigned char serial[SERIAL_BYTES];
	int code = gnutls_rnd(GNUTLS_RND_NONCE, serial, sizeof(serial));

	/* Positive, and not 0. */
	serial[0] = (unsigned char)((serial[0] & 0x7f) | 0x40);
	if (code == 0)
		code = gnutls_x509_crt_set_version(cert, 3);
	if (code == 0)
		code = gnutls_x509_crt_set_serial(cert, serial, sizeof(serial));
	if (code == 0)
		code = gnutls_x509_crt_set_activation_time(
			cert, (time_t)(from_ms / 1000 - BEFORE_S));
	if (code == 0)
		code = gnutls_x509_crt_set_expiration_time(
			cert, (time_t)(until_ms / 1000));
	if (code == 0)
		code = set_dn(cert, GNUTLS_OID_X520_ORGANIZATION_NAME, "belay");
	if (code == 0)
		code = set_dn(cert, GNUTLS_OID_X520_ORGANIZATIONAL_UNIT_NAME,
			      role);
	if (code == 0)
		code = set_dn(cert, GNUTLS_OID_X520_COMMON_NAME, name);
	return code;
}

static int set_key_id(gnutls_x509_crt_t cert)
{
	unsigned char id[64];
	size_t size = sizeof(id);
	int code = gnutls_x509_crt_get_key_id(cert, GNUTLS_KEYID_USE_SHA1, id,
					      &size);

	return code < 0 ? code
			: gnutls_x509_crt_set_subject_key_id(cert, id, size);
}

static int sign_itself(gnutls_x509_crt_t cert, gnutls_x509_privkey_t key)
{
	int code = gnutls_x509_crt_set_key(cert, key);

	if (code == 0)
		code = gnutls_x509_crt_set_basic_constraints(cert, 1, 0);
	if (code == 0)
		code = gnutls_x509_crt_set_key_usage(
			cert, GNUTLS_KEY_KEY_CERT_SIGN | GNUTLS_KEY_CRL_SIGN);
	if (code == 0)
		code = set_key_id(cert);
	if (code == 0)
		code = gnutls_x509_crt_sign2(cert, cert, key, GNUTLS_DIG_SHA256,
					     0);
	return code;
}

static int set_generation(gnutls_x509_crt_t cert, unsigned generation)
{
	char text[16];

	if (!generation)
		return 0;
	snprintf(text, sizeof(text), "%u", generation);
	return set_dn(cert, OID_GENERATION, text);
}

/* A copy as a string; NULL: out of memory. */
static char *text_of(const gnutls_datum_t *d)
{
	return d->data ? strndup((const char *)d->data, d->size) : NULL;
}

int bl_pki_make(int64_t now_ms, struct bl_pki **ret, struct bl_err *err)
{
	BL_CLEANUP(bl_pki_freep) struct bl_pki *p = calloc(1, sizeof(*p));
	AUTODATUM cert = { 0 };
	AUTODATUM key = { 0 };
	int code;

	if (!p)
		return bl_err_set(err, -ENOMEM, "out of memory");
	code = make_key(&p->key);
	if (code == 0)
		code = gnutls_x509_crt_init(&p->cert);
	if (code == 0)
		code = begin(p->cert, "fleet", "authority", now_ms,
			     now_ms + BL_PKI_CA_DAYS * BL_PKI_DAY_MS);
	if (code == 0)
		code = sign_itself(p->cert, p->key);
	if (code == 0)
		code = gnutls_x509_crt_export2(p->cert, GNUTLS_X509_FMT_PEM,
					       &cert);
	if (code == 0)
		code = gnutls_x509_privkey_export2(p->key, GNUTLS_X509_FMT_PEM,
						   &key);
	if (code < 0)
		return fail(code, "make an authority", err);
	p->cert_pem = text_of(&cert);
	p->key_pem = text_of(&key);
	if (!p->cert_pem || !p->key_pem)
		return bl_err_set(err, -ENOMEM, "out of memory");
	*ret = BL_TAKE(p);
	return 0;
}

/* Whether the key is that of the certificate. */
static bool belong(const struct bl_pki *p)
{
	unsigned char a[64], b[64];
	size_t a_size = sizeof(a), b_size = sizeof(b);

	return gnutls_x509_crt_get_key_id(p->cert, GNUTLS_KEYID_USE_SHA256, a,
					  &a_size) == 0 &&
	       gnutls_x509_privkey_get_key_id(p->key, GNUTLS_KEYID_USE_SHA256,
					      b, &b_size) == 0 &&
	       a_size == b_size && memcmp(a, b, a_size) == 0;
}

int bl_pki_load(const char *cert, size_t cert_len, const char *key,
		size_t key_len, struct bl_pki **ret, struct bl_err *err)
{
	BL_CLEANUP(bl_pki_freep) struct bl_pki *p = calloc(1, sizeof(*p));
	gnutls_datum_t c = datum_of(cert, cert_len), k = datum_of(key, key_len);
	int code = p ? 0 : GNUTLS_E_MEMORY_ERROR;

	if (code == 0)
		code = gnutls_x509_crt_init(&p->cert);
	if (code == 0)
		code = gnutls_x509_crt_import(p->cert, &c, GNUTLS_X509_FMT_PEM);
	if (code == 0)
		code = gnutls_x509_privkey_init(&p->key);
	if (code == 0)
		code = gnutls_x509_privkey_import(p->key, &k,
						  GNUTLS_X509_FMT_PEM);
	if (code < 0)
		return fail(code, "read the authority's certificate and key",
			    err);
	if (!belong(p))
		return bl_err_set(
			err, -EBADMSG,
			"the authority's key is not that of its certificate");
	p->cert_pem = text_of(&c);
	p->key_pem = text_of(&k);
	if (!p->cert_pem || !p->key_pem)
		return bl_err_set(err, -ENOMEM, "out of memory");
	*ret = BL_TAKE(p);
	return 0;
}

void bl_pki_free(struct bl_pki *p)
{
	if (!p)
		return;
	free_cert(&p->cert);
	free_key(&p->key);
	free(p->cert_pem);
	free(p->key_pem);
	free(p);
}

const char *bl_pki_cert(const struct bl_pki *p)
{
	return p->cert_pem;
}

const char *bl_pki_key(const struct bl_pki *p)
{
	return p->key_pem;
}

static int read_cert(const char *pem, size_t len, gnutls_x509_crt_t *ret,
		     struct bl_err *err)
{
	gnutls_datum_t text = datum_of(pem, len);
	int code = gnutls_x509_crt_init(ret);

	if (code == 0)
		code = gnutls_x509_crt_import(*ret, &text, GNUTLS_X509_FMT_PEM);
	return code < 0 ? fail(code, "read a certificate", err) : 0;
}

int bl_pki_fingerprint(const char *pem, size_t len,
		       char ret[static BL_DIGEST_HEX], struct bl_err *err)
{
	BL_CLEANUP(free_cert) gnutls_x509_crt_t cert = NULL;
	AUTODATUM der = { 0 };
	int code, r = read_cert(pem, len, &cert, err);

	if (r < 0)
		return r;
	code = gnutls_x509_crt_export2(cert, GNUTLS_X509_FMT_DER, &der);
	if (code < 0)
		return fail(code, "read a certificate", err);
	r = bl_digest(der.data, der.size, ret);
	return r < 0 ? bl_err_errno(err, r, "cannot make a digest") : 0;
}

int bl_pki_validity(const char *pem, size_t len, int64_t *ret_from_ms,
		    int64_t *ret_until_ms, struct bl_err *err)
{
	BL_CLEANUP(free_cert) gnutls_x509_crt_t cert = NULL;
	int r = read_cert(pem, len, &cert, err);

	if (r < 0)
		return r;
	*ret_from_ms =
		(int64_t)gnutls_x509_crt_get_activation_time(cert) * 1000;
	*ret_until_ms =
		(int64_t)gnutls_x509_crt_get_expiration_time(cert) * 1000;
	return 0;
}

static int add_address(gnutls_x509_crt_t cert, const char *text)
{
	unsigned char ip[16];

	if (inet_pton(AF_INET, text, ip) == 1)
		return gnutls_x509_crt_set_subject_alt_name(
			cert, GNUTLS_SAN_IPADDRESS, ip, 4, GNUTLS_FSAN_APPEND);
	if (inet_pton(AF_INET6, text, ip) == 1)
		return gnutls_x509_crt_set_subject_alt_name(
			cert, GNUTLS_SAN_IPADDRESS, ip, 16, GNUTLS_FSAN_APPEND);
	return gnutls_x509_crt_set_subject_alt_name(cert, GNUTLS_SAN_DNSNAME,
						    text,
						    (unsigned)strlen(text),
						    GNUTLS_FSAN_APPEND);
}

/* What distinguishes it, and the authority's name under it. */
static int finish(const struct bl_pki *p, gnutls_x509_crt_t cert,
		  const struct bl_pki_subject *s)
{
	const char *purpose = s->role == BL_ROLE_CONTROLLER
				      ? GNUTLS_KP_TLS_WWW_SERVER
				      : GNUTLS_KP_TLS_WWW_CLIENT;
	unsigned char id[64];
	size_t i, size = sizeof(id);
	int code = gnutls_x509_crt_set_basic_constraints(cert, 0, -1);

	if (code == 0)
		code = gnutls_x509_crt_set_key_usage(
			cert, GNUTLS_KEY_DIGITAL_SIGNATURE);
	if (code == 0)
		code = gnutls_x509_crt_set_key_purpose_oid(cert, purpose, 0);
	for (i = 0; code == 0 && i < s->address_count; i++)
		code = add_address(cert, s->addresses[i]);
	if (code == 0)
		code = gnutls_x509_crt_get_subject_key_id(p->cert, id, &size,
							  NULL);
	if (code == 0)
		code = gnutls_x509_crt_set_authority_key_id(cert, id, size);
	if (code == 0)
		code = gnutls_x509_crt_sign2(cert, p->cert, p->key,
					     GNUTLS_DIG_SHA256, 0);
	return code;
}

int bl_pki_issue(const struct bl_pki *p, const char *request, size_t len,
		 const struct bl_pki_subject *subject, struct bl_buf *ret,
		 struct bl_err *err)
{
	BL_CLEANUP(free_request) gnutls_x509_crq_t q = NULL;
	BL_CLEANUP(free_cert) gnutls_x509_crt_t cert = NULL;
	BL_CLEANUP(free_pubkey) gnutls_pubkey_t key = NULL;
	gnutls_datum_t text = datum_of(request, len);
	AUTODATUM pem = { 0 };
	int code = gnutls_x509_crq_init(&q);

	if (code == 0)
		code = gnutls_x509_crq_import(q, &text, GNUTLS_X509_FMT_PEM);
	/* Whoever asks has the key. */
	if (code == 0)
		code = gnutls_x509_crq_verify(q, 0);
	if (code == 0)
		code = gnutls_pubkey_init(&key);
	if (code == 0)
		code = gnutls_pubkey_import_x509_crq(key, q, 0);
	if (code < 0)
		return fail(code, "read the request for a certificate", err);
	code = gnutls_x509_crt_init(&cert);
	if (code == 0)
		code = begin(cert, subject->name, roles[subject->role],
			     subject->from_ms, subject->until_ms);
	if (code == 0)
		code = set_generation(cert, subject->generation);
	if (code == 0)
		code = gnutls_x509_crt_set_pubkey(cert, key);
	if (code == 0)
		code = finish(p, cert, subject);
	if (code == 0)
		code = gnutls_x509_crt_export2(cert, GNUTLS_X509_FMT_PEM, &pem);
	return code < 0 ? fail(code, "issue a certificate", err)
			: to_buf(&pem, ret, err);
}

static void read_dn(gnutls_x509_crt_t cert, const char *oid, char *ret,
		    size_t size)
{
	char text[256] = "";
	size_t len = sizeof(text);

	if (gnutls_x509_crt_get_dn_by_oid(cert, oid, 0, 0, text, &len) < 0)
		*text = '\0';
	bl_text_copy(ret, size, text);
}

/* What is no number is the first, which is what counts least. */
static unsigned read_generation(gnutls_x509_crt_t cert)
{
	char text[16], *end;
	unsigned long n;

	read_dn(cert, OID_GENERATION, text, sizeof(text));
	n = strtoul(text, &end, 10);
	return *end || *text < '0' || *text > '9' || n > UINT32_MAX
		       ? 0
		       : (unsigned)n;
}

/* The name and the role, if it may say so. */
static void read_subject(gnutls_x509_crt_t cert, struct bl_peer *ret)
{
	char role[32];
	size_t i;

	read_dn(cert, GNUTLS_OID_X520_COMMON_NAME, ret->name,
		sizeof(ret->name));
	read_dn(cert, GNUTLS_OID_X520_ORGANIZATIONAL_UNIT_NAME, role,
		sizeof(role));
	ret->generation = read_generation(cert);
	for (i = 0; i < BL_ARRAY_SIZE(roles); i++)
		if (roles[i] && strcmp(roles[i], role) == 0 &&
		    bl_name_valid(ret->name))
			ret->role = (enum bl_role)i;
}

static void refuse(struct bl_peer *p, unsigned status)
{
	p->role = BL_ROLE_NOBODY;
	if (status & GNUTLS_CERT_EXPIRED)
		snprintf(p->why, sizeof(p->why),
			 "the certificate of %s has expired", p->name);
	else if (status & GNUTLS_CERT_NOT_ACTIVATED)
		snprintf(
			p->why, sizeof(p->why),
			"the certificate of %s is not valid yet; are the clocks right?",
			p->name);
	else
		snprintf(
			p->why, sizeof(p->why),
			"the certificate of %s is not from this fleet's authority",
			p->name);
}

void bl_pki_peer(void *session, struct bl_peer *ret)
{
	gnutls_typed_vdata_st purpose = {
		.type = GNUTLS_DT_KEY_PURPOSE_OID,
		.data = (unsigned char *)GNUTLS_KP_TLS_WWW_CLIENT,
	};
	BL_CLEANUP(free_cert) gnutls_x509_crt_t cert = NULL;
	const gnutls_datum_t *list;
	unsigned count = 0, status = 0;

	*ret = (struct bl_peer){ .role = BL_ROLE_NOBODY };
	list = gnutls_certificate_get_peers(session, &count);
	if (!list || !count) {
		snprintf(ret->why, sizeof(ret->why),
			 "no certificate was shown");
		return;
	}
	if (gnutls_x509_crt_init(&cert) < 0 ||
	    gnutls_x509_crt_import(cert, &list[0], GNUTLS_X509_FMT_DER) < 0) {
		snprintf(ret->why, sizeof(ret->why),
			 "the certificate cannot be read");
		return;
	}
	read_subject(cert, ret);
	if (gnutls_certificate_verify_peers(session, &purpose, 1, &status) <
		    0 ||
	    status)
		refuse(ret, status);
}

void bl_pki_ask_all(void *session)
{
	gnutls_certificate_send_x509_rdn_sequence(session, 1);
}
