/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The attack table of archives that come from registries: each row is a way to
 * write one, and what is said of it. What their texts may say is in
 * test_oci_texts.c.
 */
#include <errno.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/oci/layout.h"
#include "tests/main.h"
#include "tests/support/hostile.h"
#include "tests/support/oci.h"

#define SAMPLES 150

/* A right archive, but for its end: what comes behind is the row's. */
static void open_end(void)
{
	oci_wrap_manifest(oci_kit.manifest.data);
	oci_kit.tar.len -= 1024;
}

/* --- what is right --------------------------------------------------------- */

static void as_it_is_built(void)
{
	char hex[BL_DIGEST_HEX];

	ck_assert_int_eq(bl_layout_pack(&oci_kit.good, &oci_kit.tar, hex, NULL),
			 0);
}
static void by_hand(void)
{
	oci_wrap_manifest(oci_kit.manifest.data);
}
static void in_the_order_of_skopeo(void)
{
	oci_add_kind("blobs/", '5', NULL);
	oci_add_kind("blobs/sha256/", '5', NULL);
	oci_add_config();
	oci_add_layer();
	oci_add_blob(oci_kit.manifest.data, oci_kit.manifest.len);
	oci_add_index(oci_kit.manifest.data);
	oci_add_marker();
	oci_then_end();
}
static void in_an_archive_of_a_folder(void)
{
	bl_autofree char *index =
		oci_index_of(oci_kit.manifest.data, oci_kit.manifest.len);

	oci_add_kind("./", '5', NULL);
	oci_add_text("./oci-layout", "{\"imageLayoutVersion\": \"1.0.0\"}");
	oci_add_text("./index.json", index);
	oci_add_blob(oci_kit.manifest.data, oci_kit.manifest.len);
	oci_add_config();
	oci_add_layer();
	oci_then_end();
}
static void with_keys_of_tomorrow(void)
{
	oci_manifest_with("{\"schemaVersion\"",
			  "{\"subject\":null,\"other\":[1],\"schemaVersion\"");
}
static void with_zeros_behind_the_end(void)
{
	static const char zeros[8192];

	oci_wrap_manifest(oci_kit.manifest.data);
	ck_assert_int_eq(bl_buf_add(&oci_kit.tar, zeros, sizeof(zeros)), 0);
}

/* --- bytes ----------------------------------------------------------------- */

/* Adds all of it; one of the blobs is changed behind its name's back. */
static void change(const char *what, size_t at)
{
	char *found;

	oci_wrap_manifest(oci_kit.manifest.data);
	found = memmem(oci_kit.tar.data, oci_kit.tar.len, what, strlen(what));
	ck_assert_ptr_nonnull(found);
	found[at] ^= 1;
}
static void layer_changed(void)
{
	char *at;

	oci_wrap_manifest(oci_kit.manifest.data);
	at = memmem(oci_kit.tar.data, oci_kit.tar.len, oci_kit.good.raw.data,
		    64);
	ck_assert_ptr_nonnull(at);
	at[oci_kit.good.raw.len / 2] ^= 1;
}
static void manifest_changed(void)
{
	change("{\"schemaVersion\":2,\"mediaType\":\"" BL_OCI_MANIFEST
	       "\",\"artifactType\"",
	       20);
}
static void config_changed(void)
{
	change("{}", 0);
}
static void index_of_another_manifest(void)
{
	bl_autofree char *index = oci_index_of("[]", 2);

	oci_wrap(index, oci_kit.manifest.data);
}
static void manifest_shorter_than_said(void)
{
	bl_autofree char *index =
		oci_index_of(oci_kit.manifest.data, oci_kit.manifest.len + 1);

	oci_wrap(index, oci_kit.manifest.data);
}
static void layer_longer_than_said(void)
{
	bl_autofree char *right = bl_path("\"size\":%zu", oci_kit.good.raw.len);
	bl_autofree char *less =
		bl_path("\"size\":%zu", oci_kit.good.raw.len - 1);

	oci_manifest_with(right, less);
}
static void layer_missing(void)
{
	oci_add_marker();
	oci_add_index(oci_kit.manifest.data);
	oci_add_blob(oci_kit.manifest.data, oci_kit.manifest.len);
	oci_add_config();
	oci_then_end();
}
static void config_missing(void)
{
	oci_add_marker();
	oci_add_index(oci_kit.manifest.data);
	oci_add_blob(oci_kit.manifest.data, oci_kit.manifest.len);
	oci_add_layer();
	oci_then_end();
}
static void manifest_missing(void)
{
	oci_add_marker();
	oci_add_index(oci_kit.manifest.data);
	oci_add_config();
	oci_add_layer();
	oci_then_end();
}
static void index_missing(void)
{
	oci_add_marker();
	oci_add_config();
	oci_add_layer();
	oci_then_end();
}
static void marker_missing(void)
{
	oci_add_index(oci_kit.manifest.data);
	oci_add_layer();
	oci_then_end();
}
static void marker_of_tomorrow(void)
{
	oci_add_text("oci-layout", "{\"imageLayoutVersion\":\"2.0.0\"}");
	oci_add_index(oci_kit.manifest.data);
	oci_then_end();
}
static void cut_in_the_layer(void)
{
	oci_wrap_manifest(oci_kit.manifest.data);
	oci_kit.tar.len -= 1024 + oci_kit.good.raw.len / 2;
}
static void more_behind_the_end(void)
{
	oci_wrap_manifest(oci_kit.manifest.data);
	ck_assert_int_eq(bl_buf_add(&oci_kit.tar, "!", 1), 0);
}
static void another_archive_behind_the_end(void)
{
	oci_wrap_manifest(oci_kit.manifest.data);
	oci_wrap_manifest(oci_kit.manifest.data);
}
static void under_gzip(void)
{
	ck_assert_int_eq(bl_buf_add(&oci_kit.tar, "\x1f\x8b\x08", 3), 0);
}
static void under_zstd(void)
{
	bl_autobuf struct bl_buf plain = { 0 };

	oci_wrap_manifest(oci_kit.manifest.data);
	plain = oci_kit.tar;
	oci_kit.tar = (struct bl_buf){ 0 };
	hostile_zstd(plain.data, plain.len, &oci_kit.tar);
}

/* --- members --------------------------------------------------------------- */

static void path_that_leads_out(void)
{
	open_end();
	oci_add_text("../../etc/cron.d/x", "x");
	oci_then_end();
}
static void path_from_the_root(void)
{
	open_end();
	oci_add_text("/etc/cron.d/x", "x");
	oci_then_end();
}
static void path_that_leads_out_of_blobs(void)
{
	open_end();
	oci_add_text("blobs/sha256/../../x", "x");
	oci_then_end();
}
/* An extended header (POSIX.1-2001) gives the next member another name. */
static void path_in_an_extended_header(void)
{
	static const char header[] = "21 path=../../passwd\n";

	oci_add_marker();
	hostile_tar_add(&oci_kit.tar,
			&(struct hostile_entry){ .name = "x",
						 .type = 'x',
						 .data = header,
						 .len = sizeof(header) - 1 });
	oci_add_index(oci_kit.manifest.data);
	oci_then_end();
}
static void size_in_an_extended_header(void)
{
	static const char header[] = "20 size=99999999999\n";

	oci_add_marker();
	hostile_tar_add(&oci_kit.tar,
			&(struct hostile_entry){ .name = "x",
						 .type = 'x',
						 .data = header,
						 .len = sizeof(header) - 1 });
	oci_add_index(oci_kit.manifest.data);
	oci_then_end();
}
static void link_in_the_place_of_the_index(void)
{
	oci_add_marker();
	oci_add_kind("index.json", '2', "/etc/shadow");
	oci_then_end();
}
static void hard_link_in_the_place_of_a_blob(void)
{
	oci_add_marker();
	oci_add_index(oci_kit.manifest.data);
	oci_add_kind("blobs/sha256/" BL_OCI_EMPTY_DIGEST, '1', "/etc/shadow");
	oci_then_end();
}
static void pipe_in_the_place_of_the_marker(void)
{
	oci_add_kind("oci-layout", '6', NULL);
	oci_then_end();
}
static void device(void)
{
	oci_add_kind("index.json", '3', NULL);
	oci_then_end();
}
static void folder_of_its_own(void)
{
	open_end();
	oci_add_kind("blobs/sha256/x/", '5', NULL);
	oci_then_end();
}
static void file_of_its_own(void)
{
	open_end();
	oci_add_text("manifest.json", "[]");
	oci_then_end();
}
static void index_twice(void)
{
	open_end();
	oci_add_index(oci_kit.manifest.data);
	oci_then_end();
}
static void index_twice_by_two_names(void)
{
	bl_autofree char *index =
		oci_index_of(oci_kit.manifest.data, oci_kit.manifest.len);

	open_end();
	oci_add_text("./index.json", index);
	oci_then_end();
}
static void blob_twice(void)
{
	open_end();
	oci_add_layer();
	oci_then_end();
}
static void blob_of_no_image(void)
{
	open_end();
	oci_add_blob("stowaway", 8);
	oci_then_end();
}
static void blob_of_no_image_instead(void)
{
	oci_manifest_with(oci_kit.good.digest, BL_OCI_EMPTY_DIGEST);
}
static void folders_without_end(void)
{
	for (int i = 0; i < BL_OCI_ENTRIES_MAX + 1; i++)
		oci_add_kind("blobs/", '5', NULL);
	oci_then_end();
}
static void index_that_claims_gigabytes(void)
{
	oci_add_marker();
	hostile_tar_add(&oci_kit.tar,
			&(struct hostile_entry){ .name = "index.json",
						 .data = "{}",
						 .len = 2,
						 .claim = 4ull << 30 });
	oci_then_end();
}
static void blob_that_claims_more_than_comes(void)
{
	oci_add_marker();
	oci_add_index(oci_kit.manifest.data);
	hostile_tar_add(&oci_kit.tar,
			&(struct hostile_entry){
				.name = "blobs/sha256/" BL_OCI_EMPTY_DIGEST,
				.data = "{}",
				.len = 2,
				.claim = 32u << 20 });
	oci_then_end();
}
static void index_longer_than_allowed(void)
{
	bl_autobuf struct bl_buf text = { 0 };

	while (text.len <= BL_OCI_JSON_MAX)
		ck_assert_int_eq(bl_buf_printf(&text, "%1024s", ""), 0);
	oci_add_marker();
	oci_add("index.json", text.data, text.len);
	oci_then_end();
}

static const struct oci_attack rows[] = {
	OCI_ROW(as_it_is_built, 0, ""),
	OCI_ROW(by_hand, 0, ""),
	OCI_ROW(in_the_order_of_skopeo, 0, ""),
	OCI_ROW(in_an_archive_of_a_folder, 0, ""),
	OCI_ROW(with_keys_of_tomorrow, 0, ""),
	OCI_ROW(with_zeros_behind_the_end, 0, ""),

	OCI_ROW(layer_changed, -EBADMSG, "was changed"),
	OCI_ROW(manifest_changed, -EBADMSG, "was changed"),
	OCI_ROW(config_changed, -EBADMSG, "was changed"),
	OCI_ROW(index_of_another_manifest, -EBADMSG, "blob of its manifest"),
	OCI_ROW(manifest_shorter_than_said, -EBADMSG, "its manifest has"),
	OCI_ROW(layer_longer_than_said, -EBADMSG, "its layer has"),
	OCI_ROW(layer_missing, -EBADMSG, "blob of its layer"),
	OCI_ROW(config_missing, -EBADMSG, "blob of its config"),
	OCI_ROW(manifest_missing, -EBADMSG, "blob of its manifest"),
	OCI_ROW(index_missing, -EBADMSG, "no index.json"),
	OCI_ROW(marker_missing, -EBADMSG, "no oci-layout"),
	OCI_ROW(marker_of_tomorrow, -EBADMSG, "imageLayoutVersion: only 1.0.0"),
	OCI_ROW(cut_in_the_layer, -EBADMSG, "not an intact archive"),
	OCI_ROW(more_behind_the_end, -EBADMSG, "behind the end"),
	OCI_ROW(another_archive_behind_the_end, -EBADMSG, "behind the end"),
	OCI_ROW(under_gzip, -EBADMSG, "under gzip"),
	OCI_ROW(under_zstd, -EBADMSG, "a plain name, never a path"),

	OCI_ROW(path_that_leads_out, -EBADMSG, "has no place in a layout"),
	OCI_ROW(path_from_the_root, -EBADMSG, "has no place in a layout"),
	OCI_ROW(path_that_leads_out_of_blobs, -EBADMSG,
		"has no place in a layout"),
	OCI_ROW(path_in_an_extended_header, -EBADMSG,
		"'../../passwd' has no place"),
	OCI_ROW(size_in_an_extended_header, -EFBIG, "the limit is 65536"),
	OCI_ROW(link_in_the_place_of_the_index, -EBADMSG, "is a link"),
	OCI_ROW(hard_link_in_the_place_of_a_blob, -EBADMSG, "is a link"),
	OCI_ROW(pipe_in_the_place_of_the_marker, -EBADMSG,
		"not a regular file"),
	OCI_ROW(device, -EBADMSG, "not a regular file"),
	OCI_ROW(folder_of_its_own, -EBADMSG, "has no place in a layout"),
	OCI_ROW(file_of_its_own, -EBADMSG, "has no place in a layout"),
	OCI_ROW(index_twice, -EBADMSG, "is there twice"),
	OCI_ROW(index_twice_by_two_names, -EBADMSG, "is there twice"),
	OCI_ROW(blob_twice, -EBADMSG, "is there twice"),
	OCI_ROW(blob_of_no_image, -EBADMSG, "is one more than"),
	OCI_ROW(blob_of_no_image_instead, -EBADMSG, "its layer has 2 bytes"),
	OCI_ROW(folders_without_end, -EBADMSG, "more than 12 members"),
	OCI_ROW(index_that_claims_gigabytes, -EFBIG, "the limit is 65536"),
	OCI_ROW(blob_that_claims_more_than_comes, -EBADMSG,
		"more than the archive holds"),
	OCI_ROW(index_longer_than_allowed, -EFBIG, "the limit is 65536"),
};

START_TEST(an_archive_is_taken_or_refused_with_its_reason)
{
	oci_try(&rows[_i]);
}
END_TEST

static int unpack(struct bl_buf *ret)
{
	struct bl_err err = { 0 };
	char manifest_digest[BL_DIGEST_HEX];
	int r = bl_layout_unpack("evil", bl_buf_str(&oci_kit.tar),
				 oci_kit.tar.len, ret, manifest_digest, &err);

	ck_assert_int_eq(r < 0, err.text[0] != '\0');
	ck_assert_int_eq(r < 0, ret->data == NULL);
	return r;
}

/* A header has spare bytes (owners, dates); but nothing else comes out. */
START_TEST(no_byte_makes_another_bundle)
{
	size_t step;
	unsigned refused = 0, tried = 0;

	as_it_is_built();
	step = oci_kit.tar.len / (8 * SAMPLES) | 1;
	for (size_t i = 0; i < oci_kit.tar.len; i += i < 4096 ? 1 : step) {
		bl_autobuf struct bl_buf out = { 0 };

		oci_kit.tar.data[i] ^= 0x11;
		tried++;
		if (unpack(&out) < 0) {
			refused++;
		} else {
			ck_assert_uint_eq(out.len, oci_kit.good.raw.len);
			ck_assert_int_eq(memcmp(out.data, oci_kit.good.raw.data,
						out.len),
					 0);
		}
		oci_kit.tar.data[i] ^= 0x11;
	}
	ck_assert_uint_gt(refused, tried / 2);
}
END_TEST

START_TEST(truncated_at_any_length)
{
	size_t whole, step;

	as_it_is_built();
	whole = oci_kit.tar.len;
	step = whole / SAMPLES + 1;
	/* Of the last block and of the two that end it, nothing is said. */
	for (oci_kit.tar.len = 0; oci_kit.tar.len < whole - 1024 - 512;
	     oci_kit.tar.len += step) {
		bl_autobuf struct bl_buf out = { 0 };

		ck_assert_int_eq(unpack(&out), -EBADMSG);
	}
	oci_kit.tar.len = whole;
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *s = suite_create("oci_attacks");
	TCase *tc = tcase_create("table");

	tcase_add_checked_fixture(tc, oci_setup, oci_teardown);
	tcase_add_loop_test(tc, an_archive_is_taken_or_refused_with_its_reason,
			    0, BL_ARRAY_SIZE(rows));
	suite_add_tcase(s, tc);
	tc = tcase_create("bytes");
	tcase_add_checked_fixture(tc, oci_setup, oci_teardown);
	tcase_add_test(tc, no_byte_makes_another_bundle);
	tcase_add_test(tc, truncated_at_any_length);
	suite_add_tcase(s, tc);
	return s;
}
