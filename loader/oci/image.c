/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/oci/image.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/base/json.h"

#define ALGORITHM      "sha256:"
#define LAYOUT_VERSION "1.0.0"
#define TITLE	       "org.opencontainers.image.title"
#define VERSION	       "org.opencontainers.image.version"

/* --- writing --------------------------------------------------------------- */

/* In the order in which it was packed, without a space: always the same. */
static int dump(json_t *v, struct bl_buf *ret, struct bl_err *err)
{
	bl_autojson json_t *value = v;
	bl_autofree char *text = value ? json_dumps(value, JSON_COMPACT) : NULL;

	if (!text || bl_buf_add(ret, text, strlen(text)) < 0)
		return bl_err_set(err, -ENOMEM, "out of memory");
	return 0;
}

static json_t *descriptor(const char *type, const char *digest, size_t size)
{
	return json_pack("{s:s, s:s+, s:I}", "mediaType", type, "digest",
			 ALGORITHM, digest, "size", (json_int_t)size);
}

int bl_oci_manifest_write(const struct bl_bundle *b, struct bl_buf *ret,
			  struct bl_err *err)
{
	json_t *layer = descriptor(BL_OCI_LAYER, b->digest, b->raw.len);

	/* What tools that unpack a layer to a file call it. */
	json_object_set_new(layer, "annotations",
			    json_pack("{s:s+++}", TITLE, b->manifest.name, "-",
				      b->manifest.version, ".bundle"));
	return dump(json_pack("{s:i, s:s, s:s, s:o, s:[o], s:{s:s, s:s}}",
			      "schemaVersion", 2, "mediaType", BL_OCI_MANIFEST,
			      "artifactType", BL_OCI_ARTIFACT, "config",
			      descriptor(BL_OCI_EMPTY, BL_OCI_EMPTY_DIGEST,
					 strlen(BL_OCI_EMPTY_BYTES)),
			      "layers", layer, "annotations", TITLE,
			      b->manifest.name, VERSION, b->manifest.version),
		    ret, err);
}

int bl_oci_index_write(const struct bl_oci_descriptor *manifest,
		       struct bl_buf *ret, struct bl_err *err)
{
	json_t *one =
		descriptor(BL_OCI_MANIFEST, manifest->digest, manifest->size);

	json_object_set_new(one, "artifactType", json_string(BL_OCI_ARTIFACT));
	return dump(json_pack("{s:i, s:s, s:[o]}", "schemaVersion", 2,
			      "mediaType", BL_OCI_INDEX, "manifests", one),
		    ret, err);
}

int bl_oci_marker_write(struct bl_buf *ret, struct bl_err *err)
{
	return dump(json_pack("{s:s}", "imageLayoutVersion", LAYOUT_VERSION),
		    ret, err);
}

/* --- reading --------------------------------------------------------------- */

/* The sizes of a descriptor, which are held against bytes that came. */
struct limits {
	const char *type; /* of media: what it must be */
	int64_t min, max; /* bytes */
};

static int read_digest(const struct bl_json_doc *doc, const char *at,
		       const char *text, char ret[static BL_DIGEST_HEX],
		       struct bl_err *err)
{
	const char *hex = text + strlen(ALGORITHM);

	if (strncmp(text, ALGORITHM, strlen(ALGORITHM)) != 0 ||
	    !bl_digest_valid(hex))
		return bl_json_fail(
			doc, at, err,
			"a digest is sha256: and 64 digits of 0-9 and a-f");
	memcpy(ret, hex, BL_DIGEST_HEX);
	return 0;
}

static int read_descriptor(const struct bl_json_doc *doc, const json_t *obj,
			   const char *path, const struct limits *limits,
			   struct bl_oci_descriptor *ret, struct bl_err *err)
{
	struct parts {
		const char *type, *digest;
		int64_t size;
	};
	const struct bl_json_field fields[] = {
		{ "mediaType", BL_JSON_STRING, true,
		  offsetof(struct parts, type), 1, 255 },
		{ "digest", BL_JSON_STRING, true,
		  offsetof(struct parts, digest), 1, 255 },
		{ "size", BL_JSON_INT, true, offsetof(struct parts, size),
		  limits->min, limits->max },
	};
	char at[BL_JSON_PATH_MAX];
	struct parts v = { NULL, NULL, 0 };
	int r = bl_json_read_known(doc, obj, path, fields,
				   BL_ARRAY_SIZE(fields), &v, err);

	if (r < 0)
		return r;
	snprintf(at, sizeof(at), "%s.mediaType", path);
	if (strcmp(v.type, BL_OCI_INDEX) == 0)
		return bl_json_fail(
			doc, at, err,
			"an index in an index: which of its images is meant, nobody says");
	if (strcmp(v.type, limits->type) != 0)
		return bl_json_fail(doc, at, err, "%s was expected, not '%s'",
				    limits->type, v.type);
	snprintf(at, sizeof(at), "%s.digest", path);
	r = read_digest(doc, at, v.digest, ret->digest, err);
	if (!r)
		ret->size = (size_t)v.size;
	return r;
}

struct head {
	int64_t version;
	const char *type, *artifact;
	json_t *config, *layers, *manifests;
};

/* What an index and a manifest begin with; of the rest, what is there. */
static int read_head(const struct bl_json_doc *doc, struct head *ret,
		     struct bl_err *err)
{
	static const struct bl_json_field fields[] = {
		{ "schemaVersion", BL_JSON_INT, true,
		  offsetof(struct head, version), 2, 2 },
		{ "mediaType", BL_JSON_STRING, false,
		  offsetof(struct head, type), 1, 255 },
		{ "artifactType", BL_JSON_STRING, false,
		  offsetof(struct head, artifact), 1, 255 },
		{ "config", BL_JSON_OBJECT, false,
		  offsetof(struct head, config), 0, 0 },
		{ "layers", BL_JSON_ARRAY, false, offsetof(struct head, layers),
		  0, 0 },
		{ "manifests", BL_JSON_ARRAY, false,
		  offsetof(struct head, manifests), 0, 0 },
	};

	*ret = (struct head){ .type = NULL };
	return bl_json_read_known(doc, doc->root, "", fields,
				  BL_ARRAY_SIZE(fields), ret, err);
}

static int check_config(const struct bl_json_doc *doc, const struct head *h,
			struct bl_err *err)
{
	static const struct limits limits = { BL_OCI_EMPTY, 2, 2 };
	struct bl_oci_descriptor config;
	int r = read_descriptor(doc, h->config, "config", &limits, &config,
				err);

	if (!r && strcmp(config.digest, BL_OCI_EMPTY_DIGEST) != 0)
		r = bl_json_fail(doc, "config.digest", err,
				 "an empty config has the digest " ALGORITHM
					 BL_OCI_EMPTY_DIGEST);
	return r;
}

static int check_manifest(const struct bl_json_doc *doc, const struct head *h,
			  struct bl_err *err)
{
	if (h->manifests || (h->type && strcmp(h->type, BL_OCI_INDEX) == 0))
		return bl_json_fail(
			doc, "", err,
			"this is an index of images, not the image of a bundle: give the digest of the image");
	if (h->type && strcmp(h->type, BL_OCI_MANIFEST) != 0)
		return bl_json_fail(doc, "mediaType", err,
				    BL_OCI_MANIFEST " was expected, not '%s'",
				    h->type);
	if (!h->artifact)
		return bl_json_fail(
			doc, "", err,
			"this image is no bundle: it has no artifactType, which is " BL_OCI_ARTIFACT
			" of one");
	if (strcmp(h->artifact, BL_OCI_ARTIFACT) != 0)
		return bl_json_fail(
			doc, "artifactType", err,
			"this image is no bundle, of which it is " BL_OCI_ARTIFACT);
	if (!h->config || !h->layers)
		return bl_json_fail(doc, "", err,
				    "required key '%s' is missing",
				    h->config ? "layers" : "config");
	if (json_array_size(h->layers) != 1)
		return bl_json_fail(doc, "layers", err,
				    "a bundle is one layer, these are %zu",
				    json_array_size(h->layers));
	return check_config(doc, h, err);
}

int bl_oci_manifest_read(const char *name, const char *text, size_t len,
			 struct bl_oci_descriptor *ret_layer,
			 struct bl_err *err)
{
	static const struct limits limits = { BL_OCI_LAYER, 1, BL_BUNDLE_MAX };
	bl_autojson_doc struct bl_json_doc doc = { 0 };
	struct bl_oci_descriptor layer;
	struct head h = { .type = NULL };
	int r = bl_json_parse(name, text, len, &doc, err);

	if (!r)
		r = read_head(&doc, &h, err);
	if (!r)
		r = check_manifest(&doc, &h, err);
	if (!r)
		r = read_descriptor(&doc, json_array_get(h.layers, 0),
				    "layers[0]", &limits, &layer, err);
	if (!r)
		*ret_layer = layer;
	return r;
}

int bl_oci_index_read(const char *name, const char *text, size_t len,
		      struct bl_oci_descriptor *ret_manifest,
		      struct bl_err *err)
{
	static const struct limits limits = { BL_OCI_MANIFEST, 2,
					      BL_OCI_JSON_MAX };
	bl_autojson_doc struct bl_json_doc doc = { 0 };
	struct bl_oci_descriptor manifest;
	struct head h = { .type = NULL };
	int r = bl_json_parse(name, text, len, &doc, err);

	if (!r)
		r = read_head(&doc, &h, err);
	if (r < 0)
		return r;
	/* Podman and skopeo leave it out. */
	if (h.type && strcmp(h.type, BL_OCI_INDEX) != 0)
		return bl_json_fail(&doc, "mediaType", err,
				    BL_OCI_INDEX " was expected, not '%s'",
				    h.type);
	if (!h.manifests || json_array_size(h.manifests) != 1)
		return bl_json_fail(
			&doc, h.manifests ? "manifests" : "", err,
			"a bundle's layout has one image, this one %zu: which is meant, nobody says",
			json_array_size(h.manifests));
	r = read_descriptor(&doc, json_array_get(h.manifests, 0),
			    "manifests[0]", &limits, &manifest, err);
	if (!r)
		*ret_manifest = manifest;
	return r;
}

int bl_oci_marker_read(const char *name, const char *text, size_t len,
		       struct bl_err *err)
{
	static const struct bl_json_field fields[] = {
		{ "imageLayoutVersion", BL_JSON_STRING, true, 0, 1, 64 },
	};
	bl_autojson_doc struct bl_json_doc doc = { 0 };
	const char *version = NULL;
	int r = bl_json_parse(name, text, len, &doc, err);

	if (!r)
		r = bl_json_read_known(&doc, doc.root, "", fields, 1, &version,
				       err);
	if (!r && strcmp(version, LAYOUT_VERSION) != 0)
		r = bl_json_fail(&doc, "imageLayoutVersion", err,
				 "only " LAYOUT_VERSION " is known here");
	return r;
}
