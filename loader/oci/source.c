/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/oci/source.h"

#include <errno.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/oci/layout.h"
#include "loader/oci/registry.h"

static bool is_gzip(const struct bl_buf *b)
{
	return b->len > 2 && memcmp(b->data, "\x1f\x8b", 2) == 0;
}

/* Takes a bundle out of its archive; everything else stays as it is. */
static int unwrap(const char *name, size_t max, struct bl_buf *data,
		  struct bl_err *err)
{
	bl_autobuf struct bl_buf inner = { 0 };
	char manifest[BL_DIGEST_HEX];
	int r;

	if (is_gzip(data)) {
		bl_err_set(err, -EBADMSG, "%s is under gzip", name);
		bl_err_hint(
			err,
			"gunzip it first: an oci-archive is a plain tar file");
		return -EBADMSG;
	}
	if (!bl_layout_is(data->data, data->len))
		return data->len > max
			       ? bl_err_set(
					 err, -EFBIG,
					 "%s is larger than the limit of %zu bytes",
					 name, max)
			       : 0;
	r = bl_layout_unpack(name, data->data, data->len, &inner, manifest,
			     err);
	if (r < 0)
		return r;
	bl_buf_free(data);
	*data = inner;
	inner = (struct bl_buf){ 0 };
	return 0;
}

static int read_file(const char *path, size_t max, struct bl_buf *ret,
		     struct bl_err *err)
{
	size_t most = max > BL_OCI_ARCHIVE_MAX ? max : BL_OCI_ARCHIVE_MAX;
	int r = bl_file_read(path, most, ret, err);

	return r ? r : unwrap(path, max, ret, err);
}

static int check_digest(const struct bl_reference *ref,
			const struct bl_buf *data, struct bl_err *err)
{
	char got[BL_DIGEST_HEX];
	int r = bl_digest(data->data, data->len, got);

	if (r < 0)
		return bl_err_errno(err, r, "digest of %s", ref->url);
	if (*ref->digest && strcmp(ref->digest, got) != 0)
		return bl_err_set(err, -EBADMSG,
				  "%s is another bundle: its digest is %s",
				  ref->url, got);
	return 0;
}

static int read_web(const struct bl_reference *ref,
		    const struct bl_source_options *o, struct bl_buf *ret,
		    struct bl_err *err)
{
	BL_CLEANUP(bl_transfer_close)
	struct bl_transfer t = { .options = &o->transfer };
	const struct bl_transfer_ask ask = { .url = ref->url,
					     .what = ref->url,
					     .max = BL_OCI_ARCHIVE_MAX };
	char digest[BL_DIGEST_HEX];
	int r;

	if (!*ref->digest && !o->any) {
		bl_err_set(
			err, -EINVAL,
			"%s: what a server has by that name may be another bundle tomorrow",
			ref->url);
		bl_err_hint(
			err,
			"add #sha256:DIGEST, or write it down first: belay bundle pull URL -o FILE");
		return -EINVAL;
	}
	r = bl_transfer_open(&o->transfer, &t, err);
	if (!r)
		r = bl_transfer_get(&t, &ask, ret, digest, err);
	if (!r)
		r = unwrap(ref->url, BL_BUNDLE_MAX, ret, err);
	return r ? r : check_digest(ref, ret, err);
}

int bl_source_read(const char *where, const struct bl_source_options *o,
		   size_t max, struct bl_buf *ret, struct bl_err *err)
{
	static const struct bl_source_options none;
	bl_autobuf struct bl_buf data = { 0 };
	struct bl_reference ref;
	int r = bl_reference_read(where, &ref, err);

	if (!o)
		o = &none;
	if (r < 0)
		return r;
	switch (ref.kind) {
	case BL_REFERENCE_OCI:
		r = bl_registry_pull(&ref, o->auth_file, &o->transfer, &data,
				     err);
		break;
	case BL_REFERENCE_WEB:
		r = read_web(&ref, o, &data, err);
		break;
	default:
		r = read_file(where, max, &data, err);
	}
	if (r < 0)
		return r;
	*ret = data;
	data = (struct bl_buf){ 0 };
	return 0;
}

int bl_source_bundle(const char *where, const struct bl_source_options *o,
		     struct bl_bundle *ret, struct bl_err *err)
{
	bl_autobuf struct bl_buf data = { 0 };
	int r = bl_source_read(where, o, BL_BUNDLE_MAX, &data, err);

	return r ? r
		 : bl_bundle_parse(where, bl_buf_str(&data), data.len, ret,
				   err);
}
