/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/oci/registry.h"

#include <errno.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/oci/challenge.h"
#include "loader/oci/credentials.h"
#include "loader/oci/image.h"

struct registry {
	const struct bl_reference *ref;
	const char *auth_file;
	struct bl_transfer transfer;
};

static void registry_close(struct registry *r)
{
	bl_transfer_close(&r->transfer);
}

/* --- who we are ------------------------------------------------------------ */

static int make_header(char **ret, const char *kind, const char *value,
		       struct bl_err *err)
{
	*ret = bl_path("Authorization: %s %s", kind, value);
	return *ret ? 0 : bl_err_set(err, -ENOMEM, "out of memory");
}

static int fail_login(const struct registry *r, struct bl_err *err)
{
	bl_err_set(err, -EACCES, "%s wants a login", r->ref->host);
	bl_err_hint(
		err,
		"skopeo login %.200s; then --auth-file, or $REGISTRY_AUTH_FILE, names its file",
		r->ref->host);
	return -EACCES;
}

/* A token from the server that the registry names, with or without a login. */
static int fetch_token(struct registry *r, const struct bl_challenge *c,
		       const char *basic, char **ret, struct bl_err *err)
{
	bl_autofree char *what = bl_path("a token for %s", r->ref->host);
	bl_autofree char *login = bl_path("Authorization: Basic %s", basic);
	bl_autobuf struct bl_buf url = { 0 };
	bl_autobuf struct bl_buf text = { 0 };
	bl_autobuf struct bl_buf token = { 0 };
	/* With a transfer of its own: its servers are none of ours. */
	BL_CLEANUP(bl_transfer_close)
	struct bl_transfer t = { .options = r->transfer.options };
	struct bl_transfer_ask ask = { .max = 2 * BL_BEARER_MAX,
				       .quiet = true };
	char digest[BL_DIGEST_HEX];
	int e;

	if (!what || !login || bl_challenge_url(c, r->ref->name, &url) < 0)
		return bl_err_set(err, -ENOMEM, "out of memory");
	ask.url = url.data;
	ask.what = what;
	ask.authorization = *basic ? login : NULL;
	e = bl_transfer_open(r->transfer.options, &t, err);
	if (!e) {
		t.end_ms = r->transfer.end_ms;
		e = bl_transfer_get(&t, &ask, &text, digest, err);
	}
	if (!e)
		e = bl_challenge_token(what, bl_buf_str(&text), text.len,
				       &token, err);
	if (e < 0)
		return e;
	return make_header(ret, "Bearer", token.data, err);
}

static int authorize(void *ctx, const char *challenge, char **ret,
		     struct bl_err *err)
{
	bl_autobuf struct bl_buf basic = { 0 };
	struct registry *r = ctx;
	struct bl_challenge c;
	int e;

	if (bl_challenge_read(challenge, &c) < 0)
		return bl_err_set(
			err, -EACCES,
			"%s wants to know who asks, but not by Basic or Bearer: '%.200s'",
			r->ref->host, challenge);
	e = bl_credentials_find(r->auth_file, r->ref->host, r->ref->name,
				&basic, err);
	if (!e && c.kind == BL_CHALLENGE_BEARER)
		e = fetch_token(r, &c, bl_buf_str(&basic), ret, err);
	else if (!e && basic.len)
		e = make_header(ret, "Basic", basic.data, err);
	else if (!e)
		e = fail_login(r, err);
	/* What is missing is a login, not the bundle. */
	return e == -ENOENT ? -EACCES : e;
}

/* --- what is asked --------------------------------------------------------- */

/* By its digest, whatever was sent. */
static int fetch(struct registry *r, const char *kind,
		 const struct bl_oci_descriptor *d, struct bl_transfer_ask *ask,
		 struct bl_buf *ret, struct bl_err *err)
{
	bl_autofree char *url =
		bl_path("%s://%s/v2/%s/%s/sha256:%s",
			r->transfer.options->plain_http ? "http" : "https",
			r->ref->host, r->ref->name, kind, d->digest);
	bl_autobuf struct bl_buf data = { 0 };
	char got[BL_DIGEST_HEX];
	int e;

	if (!url)
		return bl_err_set(err, -ENOMEM, "out of memory");
	ask->url = url;
	ask->size = d->size;
	e = bl_transfer_get(&r->transfer, ask, &data, got, err);
	if (!e && strcmp(got, d->digest) != 0)
		e = bl_err_set(
			err, -EBADMSG,
			"%s was changed: what came has the digest %s, not %s",
			ask->what, got, d->digest);
	if (e < 0)
		return e;
	*ret = data;
	data = (struct bl_buf){ 0 };
	return 0;
}

static int pull(struct registry *r, struct bl_buf *ret, struct bl_err *err)
{
	bl_autofree char *of =
		bl_path("%s/%s: the manifest", r->ref->host, r->ref->name);
	bl_autofree char *layer =
		bl_path("%s/%s: the bundle", r->ref->host, r->ref->name);
	bl_autobuf struct bl_buf manifest = { 0 };
	struct bl_oci_descriptor d = { .size = 0 };
	struct bl_transfer_ask m = { .what = of,
				     .accept = BL_OCI_MANIFEST,
				     .max = BL_OCI_JSON_MAX,
				     .quiet = true };
	struct bl_transfer_ask b = { .what = layer, .max = BL_BUNDLE_MAX };
	int e;

	if (!of || !layer)
		return bl_err_set(err, -ENOMEM, "out of memory");
	memcpy(d.digest, r->ref->digest, BL_DIGEST_HEX);
	e = fetch(r, "manifests", &d, &m, &manifest, err);
	if (e == -ENOENT)
		bl_err_hint(
			err,
			"the digest in a reference is the manifest's, not the bundle's own: 'belay bundle build' prints both");
	if (!e)
		e = bl_oci_manifest_read(of, bl_buf_str(&manifest),
					 manifest.len, &d, err);
	return e ? e : fetch(r, "blobs", &d, &b, ret, err);
}

int bl_registry_pull(const struct bl_reference *ref, const char *auth_file,
		     const struct bl_transfer_options *options,
		     struct bl_buf *ret, struct bl_err *err)
{
	BL_CLEANUP(registry_close)
	struct registry r = { .ref = ref, .auth_file = auth_file };
	int e = bl_transfer_open(options, &r.transfer, err);

	if (e < 0)
		return e;
	r.transfer.authorize = authorize;
	r.transfer.ctx = &r;
	return pull(&r, ret, err);
}
