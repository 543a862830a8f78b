/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/oci.h"

#include <dirent.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/oci/source.h"
#include "tests/main.h"
#include "tests/support/hostile.h"

#define FILE_NAME "evil.oci"

struct oci_kit oci_kit;

void oci_setup(void)
{
	bl_autofree char *path = NULL;
	struct oci_kit *k = &oci_kit;

	k->dir = bl_test_tmpdir();
	hostile_write_inputs(k->dir);
	path = bl_path("%s/manifest.json", k->dir);
	ck_assert_int_eq(bl_bundle_build(path, &k->good, NULL), 0);
	ck_assert_int_eq(bl_file_rmtree(k->dir, NULL), 0);
	ck_assert_int_eq(bl_file_mkdirs(k->dir, 0700, NULL), 0);
	ck_assert_int_eq(bl_oci_manifest_write(&k->good, &k->manifest, NULL),
			 0);
}

void oci_teardown(void)
{
	struct oci_kit *k = &oci_kit;

	bl_bundle_free(&k->good);
	bl_buf_free(&k->manifest);
	bl_buf_free(&k->tar);
	ck_assert_int_eq(bl_file_rmtree(k->dir, NULL), 0);
	free(k->dir);
	k->dir = NULL;
}

void oci_add(const char *name, const void *data, size_t len)
{
	hostile_tar_add(&oci_kit.tar, &(struct hostile_entry){ .name = name,
							       .data = data,
							       .len = len });
}

void oci_add_kind(const char *name, char type, const char *link)
{
	hostile_tar_add(&oci_kit.tar, &(struct hostile_entry){ .name = name,
							       .type = type,
							       .link = link });
}

void oci_add_blob(const void *data, size_t len)
{
	bl_autofree char *name = NULL;
	char hex[BL_DIGEST_HEX];

	ck_assert_int_eq(bl_digest(data, len, hex), 0);
	name = bl_path("blobs/sha256/%s", hex);
	oci_add(name, data, len);
}

void oci_add_text(const char *name, const char *text)
{
	oci_add(name, text, strlen(text));
}

void oci_add_marker(void)
{
	oci_add_text("oci-layout", "{\"imageLayoutVersion\":\"1.0.0\"}");
}

/* The index of a manifest, with what a descriptor has behind its digest. */
char *oci_index_of(const char *text, size_t size)
{
	char hex[BL_DIGEST_HEX];

	ck_assert_int_eq(bl_digest(text, strlen(text), hex), 0);
	return bl_path(
		"{\"schemaVersion\":2,\"manifests\":[{\"mediaType\":\"" BL_OCI_MANIFEST
		"\",\"digest\":\"sha256:%s\",\"size\":%zu}]}",
		hex, size);
}

void oci_add_index(const char *of)
{
	bl_autofree char *text = oci_index_of(of, strlen(of));

	oci_add_text("index.json", text);
}

void oci_add_config(void)
{
	oci_add_blob(BL_OCI_EMPTY_BYTES, strlen(BL_OCI_EMPTY_BYTES));
}

void oci_add_layer(void)
{
	oci_add_blob(oci_kit.good.raw.data, oci_kit.good.raw.len);
}

/* All of it around this manifest and this index. */
void oci_wrap(const char *index, const char *text)
{
	oci_add_marker();
	oci_add_text("index.json", index);
	oci_add_blob(text, strlen(text));
	oci_add_config();
	oci_add_layer();
	hostile_tar_end(&oci_kit.tar);
}

void oci_wrap_manifest(const char *text)
{
	bl_autofree char *index = oci_index_of(text, strlen(text));

	oci_wrap(index, text);
}

char *oci_with(const char *text, const char *from, const char *to)
{
	const char *at = strstr(text, from);

	ck_assert_msg(at, "'%s' is not in %s", from, text);
	return bl_path("%.*s%s%s", (int)(at - text), text, to,
		       at + strlen(from));
}

void oci_manifest_with(const char *from, const char *to)
{
	bl_autofree char *text = oci_with(oci_kit.manifest.data, from, to);

	oci_wrap_manifest(text);
}

void oci_index_with(const char *from, const char *to)
{
	bl_autofree char *index =
		oci_index_of(oci_kit.manifest.data, oci_kit.manifest.len);
	bl_autofree char *text = oci_with(index, from, to);

	oci_wrap(text, oci_kit.manifest.data);
}

void oci_then_end(void)
{
	hostile_tar_end(&oci_kit.tar);
}

/* Nothing but what the test put there. */
static void assert_nothing_written(void)
{
	bl_autoclosedir DIR *d = opendir(oci_kit.dir);
	struct dirent *e;

	ck_assert_ptr_nonnull(d);
	while ((e = readdir(d)))
		ck_assert_msg(e->d_name[0] == '.' ||
				      strcmp(e->d_name, FILE_NAME) == 0,
			      "'%s' was written", e->d_name);
}

void oci_try(const struct oci_attack *row)
{
	bl_autofree char *path = bl_path("%s/" FILE_NAME, oci_kit.dir);
	BL_CLEANUP(bl_bundle_free) struct bl_bundle out = { 0 };
	struct bl_err err = { 0 };
	int r;

	row->attack();
	ck_assert_int_eq(bl_file_write(path, oci_kit.tar.data, oci_kit.tar.len,
				       0600, NULL),
			 0);
	r = bl_source_bundle(path, NULL, &out, &err);
	ck_assert_msg(r == row->code, "%s: %d, %s", row->name, r, err.text);
	ck_assert_msg(strstr(err.text, row->words), "%s: \"%s\"", row->name,
		      err.text);
	if (r == 0) {
		ck_assert_str_eq(out.digest, oci_kit.good.digest);
	} else {
		ck_assert_ptr_null(out.raw.data);
		ck_assert_msg(strstr(err.text, FILE_NAME), "%s: \"%s\"",
			      row->name, err.text);
	}
	assert_nothing_written();
}
