/* SPDX-License-Identifier: Apache-2.0 */
#include "canary/wire/pki_dir.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "loader/base/cleanup.h"

static const char *const this_machine[] = { "localhost", "127.0.0.1", "::1" };

const char *bl_pki_dir(const char *dir)
{
	const char *env = getenv("BELAY_TLS_DIR");

	if (dir)
		return dir;
	return env && *env ? env : BL_PKI_DIR;
}

void bl_pki_server_free(struct bl_pki_server *s)
{
	bl_pki_free(s->pki);
	bl_buf_free(&s->cert);
	bl_buf_free(&s->key);
	*s = (struct bl_pki_server){ 0 };
}

static int write_file(const char *dir, const char *who, const char *suffix,
		      const char *text, mode_t mode, struct bl_err *err)
{
	bl_autofree char *path = bl_path("%s/%s%s", dir, who, suffix);

	if (!path)
		return bl_err_set(err, -ENOMEM, "out of memory");
	return bl_file_write(path, text, strlen(text), mode, err);
}

static int read_file(const char *dir, const char *name, struct bl_buf *ret,
		     struct bl_err *err)
{
	bl_autofree char *path = bl_path("%s/%s", dir, name);

	if (!path)
		return bl_err_set(err, -ENOMEM, "out of memory");
	return bl_file_read(path, BL_PKI_PEM_MAX, ret, err);
}

int bl_pki_dir_write(const char *dir, const char *who, const char *ca,
		     const char *cert, const char *key, struct bl_err *err)
{
	int r = bl_file_mkdirs(dir, 0700, err);

	if (!r)
		r = write_file(dir, who, ".key", key, 0600, err);
	if (!r)
		r = write_file(dir, "ca", ".pem", ca, 0644, err);
	if (!r)
		r = write_file(dir, who, ".pem", cert, 0644, err);
	return r;
}

/* A key and a certificate of it, made here and written to @out. */
static int make(const struct bl_pki *pki, const char *out, const char *who,
		const struct bl_pki_subject *subject, struct bl_err *err)
{
	bl_autobuf struct bl_buf key = { 0 };
	bl_autobuf struct bl_buf request = { 0 };
	bl_autobuf struct bl_buf cert = { 0 };
	int r = bl_pki_key_make(&key, err);

	if (!r)
		r = bl_pki_request_make(key.data, &request, err);
	if (!r)
		r = bl_pki_issue(pki, request.data, request.len, subject, &cert,
				 err);
	if (!r)
		r = bl_pki_dir_write(out, who, bl_pki_cert(pki), cert.data,
				     key.data, err);
	return r;
}

static int make_operator(const struct bl_pki *pki, const char *out,
			 enum bl_role role, const char *name, int64_t now_ms,
			 struct bl_err *err)
{
	return make(pki, out, "operator",
		    &(struct bl_pki_subject){
			    .role = role,
			    .name = name,
			    .from_ms = now_ms,
			    .until_ms = now_ms +
					BL_PKI_CLIENT_DAYS * BL_PKI_DAY_MS },
		    err);
}

int bl_pki_dir_init(const char *dir, const char *const *addresses,
		    size_t address_count, const char *operator_name,
		    int64_t now_ms, struct bl_err *err)
{
	const char *all[BL_PKI_NAMES_MAX + BL_ARRAY_SIZE(this_machine)];
	struct bl_pki_subject controller = {
		.role = BL_ROLE_CONTROLLER,
		.name = "controller",
		.addresses = all,
		.from_ms = now_ms,
		.until_ms = now_ms + BL_PKI_SERVER_DAYS * BL_PKI_DAY_MS,
	};
	BL_CLEANUP(bl_pki_freep) struct bl_pki *pki = NULL;
	bl_autofree char *ca = bl_path("%s/ca.key", dir);
	size_t i;
	int r;

	if (!ca)
		return bl_err_set(err, -ENOMEM, "out of memory");
	if (access(ca, F_OK) == 0)
		return bl_err_set(err, -EEXIST,
				  "there is an authority in %s already", dir);
	for (i = 0; i < BL_ARRAY_SIZE(this_machine); i++)
		all[controller.address_count++] = this_machine[i];
	for (i = 0; i < address_count && i < BL_PKI_NAMES_MAX; i++)
		all[controller.address_count++] = addresses[i];
	r = bl_pki_make(now_ms, &pki, err);
	if (!r)
		r = make(pki, dir, "controller", &controller, err);
	if (!r)
		r = make_operator(pki, dir, BL_ROLE_OPERATOR, operator_name,
				  now_ms, err);
	/* Last: without it there is no authority, and init begins anew. */
	if (!r)
		r = write_file(dir, "ca", ".key", bl_pki_key(pki), 0600, err);
	return r;
}

static int load_ca(const char *dir, struct bl_pki **ret, struct bl_err *err)
{
	bl_autobuf struct bl_buf cert = { 0 };
	bl_autobuf struct bl_buf key = { 0 };
	int r = read_file(dir, "ca.pem", &cert, err);

	if (!r)
		r = read_file(dir, "ca.key", &key, err);
	if (!r)
		r = bl_pki_load(bl_buf_str(&cert), cert.len, bl_buf_str(&key),
				key.len, ret, err);
	return r < 0 ? bl_err_wrap(err, r, "certificates in %s", dir) : 0;
}

int bl_pki_dir_load(const char *dir, struct bl_pki_server *ret,
		    struct bl_err *err)
{
	struct bl_pki_server s = { 0 };
	int r = load_ca(dir, &s.pki, err);

	if (!r)
		r = read_file(dir, "controller.pem", &s.cert, err);
	if (!r)
		r = read_file(dir, "controller.key", &s.key, err);
	if (r < 0) {
		bl_pki_server_free(&s);
		return r;
	}
	*ret = s;
	return 0;
}

/* Of somebody who has none in that folder: nobody gets a key back that was
 * written over, the first operator's least of all. */
static int add_operator(const char *dir, const char *out, enum bl_role role,
			const char *name, int64_t now_ms, struct bl_err *err)
{
	BL_CLEANUP(bl_pki_freep) struct bl_pki *pki = NULL;
	bl_autofree char *key = bl_path("%s/operator.key", out);
	int r;

	if (!key)
		return bl_err_set(err, -ENOMEM, "out of memory");
	if (access(key, F_OK) == 0)
		return bl_err_set(err, -EEXIST,
				  "there is an operator's key in %s already",
				  out);
	r = load_ca(dir, &pki, err);
	return r < 0 ? r : make_operator(pki, out, role, name, now_ms, err);
}

int bl_pki_dir_operator(const char *dir, const char *out, const char *name,
			int64_t now_ms, struct bl_err *err)
{
	return add_operator(dir, out, BL_ROLE_OPERATOR, name, now_ms, err);
}

int bl_pki_dir_viewer(const char *dir, const char *out, const char *name,
		      int64_t now_ms, struct bl_err *err)
{
	return add_operator(dir, out, BL_ROLE_VIEWER, name, now_ms, err);
}
