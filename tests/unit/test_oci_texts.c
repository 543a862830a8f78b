/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The attack table of archives from registries, continued: right archives of
 * which the index or the manifest says what it should not, or the layer is
 * none. As in test_oci_attacks.c nothing may come of it.
 */
#include <errno.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/oci/layout.h"
#include "tests/main.h"
#include "tests/support/hostile.h"
#include "tests/support/oci.h"

/* --- what the index says --------------------------------------------------- */

static void index_of_two_images(void)
{
	oci_index_with("\"manifests\":[",
		       "\"manifests\":[{\"mediaType\":\"" BL_OCI_MANIFEST
		       "\",\"digest\":\"sha256:" BL_OCI_EMPTY_DIGEST
		       "\",\"size\":2},");
}
static void index_of_none(void)
{
	oci_wrap("{\"schemaVersion\":2,\"manifests\":[]}",
		 oci_kit.manifest.data);
}
static void index_of_an_index(void)
{
	oci_index_with(BL_OCI_MANIFEST, BL_OCI_INDEX);
}
static void index_of_a_docker_image(void)
{
	oci_index_with(BL_OCI_MANIFEST,
		       "application/vnd.docker.distribution.manifest.v2+json");
}
static void index_with_a_key_twice(void)
{
	oci_index_with("{\"schemaVersion\":2,",
		       "{\"schemaVersion\":2,\"schemaVersion\":2,");
}
static void index_of_version_1(void)
{
	oci_index_with("\"schemaVersion\":2", "\"schemaVersion\":1");
}
static void index_with_another_hash(void)
{
	oci_index_with("sha256:", "sha512:");
}
static void index_with_a_path_for_a_digest(void)
{
	oci_index_with("sha256:", "sha256:../../");
}
static void index_with_a_size_below_zero(void)
{
	oci_index_with("\"size\":", "\"size\":-");
}
static void index_that_is_deep(void)
{
	bl_autobuf struct bl_buf text = { 0 };

	for (int i = 0; i < 10000; i++)
		ck_assert_int_eq(bl_buf_printf(&text, "{\"a\":"), 0);
	oci_wrap(text.data, oci_kit.manifest.data);
}
static void index_that_is_no_json(void)
{
	oci_wrap("schemaVersion: 2", oci_kit.manifest.data);
}

/* --- what the manifest says ------------------------------------------------ */

static void manifest_that_is_an_index(void)
{
	bl_autofree char *index =
		oci_index_of(oci_kit.manifest.data, oci_kit.manifest.len);

	oci_wrap_manifest(index);
}
static void manifest_of_another_type(void)
{
	oci_manifest_with(BL_OCI_MANIFEST, "application/json");
}
static void image_of_a_container(void)
{
	oci_manifest_with("\"artifactType\":\"" BL_OCI_ARTIFACT "\",", "");
}
static void artifact_of_another_kind(void)
{
	oci_manifest_with(BL_OCI_ARTIFACT,
			  "application/vnd.cncf.helm.chart.v1");
}
static void bundle_of_tomorrow(void)
{
	oci_manifest_with(BL_OCI_ARTIFACT, "application/vnd.belay.bundle.v2");
}
static void two_layers(void)
{
	oci_manifest_with("\"layers\":[", "\"layers\":[{},");
}
static void no_layer(void)
{
	bl_autofree char *text = NULL;
	char *layers = strstr(oci_kit.manifest.data, "[{");
	char *end = strstr(oci_kit.manifest.data, "}]");

	text = bl_path("%.*s[]%s", (int)(layers - oci_kit.manifest.data),
		       oci_kit.manifest.data, end + 2);
	oci_wrap_manifest(text);
}
static void layer_of_another_type(void)
{
	oci_manifest_with(BL_OCI_LAYER,
			  "application/vnd.oci.image.layer.v1.tar+zstd");
}
static void layer_larger_than_any_bundle(void)
{
	bl_autofree char *right = bl_path("\"size\":%zu", oci_kit.good.raw.len);

	oci_manifest_with(right, "\"size\":67108865");
}
static void size_in_words(void)
{
	bl_autofree char *right = bl_path("\"size\":%zu", oci_kit.good.raw.len);

	oci_manifest_with(right, "\"size\":\"17\"");
}
static void config_of_its_own(void)
{
	oci_manifest_with(BL_OCI_EMPTY_DIGEST, oci_kit.good.digest);
}
static void config_of_a_container(void)
{
	oci_manifest_with(BL_OCI_EMPTY,
			  "application/vnd.oci.image.config.v1+json");
}
static void manifest_with_a_key_twice(void)
{
	oci_manifest_with("\"layers\":[", "\"layers\":[],\"layers\":[");
}

/* --- what the layer is ----------------------------------------------------- */

/* A right envelope around these bytes. */
static void envelope(const void *data, size_t len)
{
	bl_autofree char *was = bl_path("\"size\":%zu", oci_kit.good.raw.len);
	bl_autofree char *is = bl_path("\"size\":%zu", len);
	bl_autofree char *sized = oci_with(oci_kit.manifest.data, was, is);
	bl_autofree char *text = NULL;
	char hex[BL_DIGEST_HEX];

	ck_assert_int_eq(bl_digest(data, len, hex), 0);
	text = oci_with(sized, oci_kit.good.digest, hex);
	oci_add_marker();
	oci_add_index(text);
	oci_add_blob(text, strlen(text));
	oci_add_config();
	oci_add_blob(data, len);
	oci_then_end();
}
static void layer_that_is_no_bundle(void)
{
	envelope("ustar", 5);
}
static void layer_that_is_an_archive_of_one(void)
{
	bl_autobuf struct bl_buf inner = { 0 };

	char hex[BL_DIGEST_HEX];

	ck_assert_int_eq(bl_layout_pack(&oci_kit.good, &oci_kit.tar, hex, NULL),
			 0);
	inner = oci_kit.tar;
	oci_kit.tar = (struct bl_buf){ 0 };
	envelope(inner.data, inner.len);
}
static void layer_that_is_a_bomb(void)
{
	bl_autobuf struct bl_buf bomb = { 0 };

	hostile_bomb((size_t)BL_BUNDLE_UNPACKED_MAX + (1u << 20), &bomb);
	envelope(bomb.data, bomb.len);
}

static const struct oci_attack rows[] = {
	OCI_ROW(index_of_two_images, -EBADMSG, "this one 2"),
	OCI_ROW(index_of_none, -EBADMSG, "this one 0"),
	OCI_ROW(index_of_an_index, -EBADMSG, "an index in an index"),
	OCI_ROW(index_of_a_docker_image, -EBADMSG, "vnd.docker.distribution"),
	OCI_ROW(index_with_a_key_twice, -EBADMSG, "duplicate"),
	OCI_ROW(index_of_version_1, -EBADMSG, "schemaVersion"),
	OCI_ROW(index_with_another_hash, -EBADMSG, "a digest is sha256:"),
	OCI_ROW(index_with_a_path_for_a_digest, -EBADMSG,
		"a digest is sha256:"),
	OCI_ROW(index_with_a_size_below_zero, -EBADMSG, "manifests[0].size"),
	OCI_ROW(index_that_is_deep, -EBADMSG, "index.json"),
	OCI_ROW(index_that_is_no_json, -EBADMSG, "index.json:1"),

	OCI_ROW(manifest_that_is_an_index, -EBADMSG, "an index of images"),
	OCI_ROW(manifest_of_another_type, -EBADMSG, "mediaType"),
	OCI_ROW(image_of_a_container, -EBADMSG, "this image is no bundle"),
	OCI_ROW(artifact_of_another_kind, -EBADMSG, "this image is no bundle"),
	OCI_ROW(bundle_of_tomorrow, -EBADMSG, "this image is no bundle"),
	OCI_ROW(two_layers, -EBADMSG, "a bundle is one layer, these are 2"),
	OCI_ROW(no_layer, -EBADMSG, "a bundle is one layer, these are 0"),
	OCI_ROW(layer_of_another_type, -EBADMSG, "layers[0].mediaType"),
	OCI_ROW(layer_larger_than_any_bundle, -EBADMSG, "layers[0].size"),
	OCI_ROW(size_in_words, -EBADMSG, "layers[0].size"),
	OCI_ROW(config_of_its_own, -EBADMSG, "an empty config has the digest"),
	OCI_ROW(config_of_a_container, -EBADMSG, "config.mediaType"),
	OCI_ROW(manifest_with_a_key_twice, -EBADMSG, "duplicate"),

	OCI_ROW(layer_that_is_no_bundle, -EBADMSG, "is not a bundle"),
	OCI_ROW(layer_that_is_an_archive_of_one, -EBADMSG, "is not a bundle"),
	OCI_ROW(layer_that_is_a_bomb, -EFBIG, "unpacks to more than"),
};

START_TEST(an_archive_is_taken_or_refused_with_its_reason)
{
	oci_try(&rows[_i]);
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *s = suite_create("oci_texts");
	TCase *tc = tcase_create("table");

	tcase_add_checked_fixture(tc, oci_setup, oci_teardown);
	tcase_add_loop_test(tc, an_archive_is_taken_or_refused_with_its_reason,
			    0, BL_ARRAY_SIZE(rows));
	suite_add_tcase(s, tc);
	return s;
}
