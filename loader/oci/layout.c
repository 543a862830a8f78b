/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/oci/layout.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/bundle/tar.h"

#define MARKER	  "oci-layout"
#define INDEX	  "index.json"
#define BLOBS	  "blobs/sha256/"
#define NAME_SIZE (sizeof(BLOBS) + BL_DIGEST_HEX)
#define FILES_MAX 5 /* marker, index, manifest, config, layer */

struct file {
	char name[NAME_SIZE];
	struct bl_buf data;
};

struct layout {
	const char *name; /* of it all, for messages */
	struct file files[FILES_MAX];
	size_t count;
};

static void layout_free(struct layout *l)
{
	for (size_t i = 0; i < l->count; i++)
		bl_buf_free(&l->files[i].data);
	l->count = 0;
}

static struct file *find(struct layout *l, const char *name)
{
	for (size_t i = 0; i < l->count; i++)
		if (strcmp(l->files[i].name, name) == 0)
			return &l->files[i];
	return NULL;
}

static struct file *find_blob(struct layout *l, const char *digest)
{
	char name[NAME_SIZE];

	snprintf(name, sizeof(name), BLOBS "%s", digest);
	return find(l, name);
}

/* --- packing --------------------------------------------------------------- */

static int write_blob(struct archive *a, const char *digest, const void *data,
		      size_t len)
{
	char name[NAME_SIZE];

	snprintf(name, sizeof(name), BLOBS "%s", digest);
	return bl_tar_write(a, name, data, len);
}

static int write_all(const struct bl_bundle *b, const struct bl_buf *manifest,
		     const char *digest, const struct bl_buf *index,
		     const struct bl_buf *marker, struct bl_buf *out,
		     struct bl_err *err)
{
	BL_CLEANUP(bl_tar_free_writer) struct archive *w = archive_write_new();
	int r;

	if (!w)
		return bl_err_set(err, -ENOMEM, "out of memory");
	r = archive_write_set_format_ustar(w);
	if (!r)
		r = archive_write_set_bytes_in_last_block(w, 1);
	if (!r)
		r = archive_write_open(w, out, NULL, bl_tar_to_buf, NULL);
	if (!r)
		r = bl_tar_write(w, MARKER, marker->data, marker->len);
	if (!r)
		r = bl_tar_write(w, INDEX, index->data, index->len);
	if (!r)
		r = write_blob(w, digest, manifest->data, manifest->len);
	if (!r)
		r = write_blob(w, BL_OCI_EMPTY_DIGEST, BL_OCI_EMPTY_BYTES,
			       strlen(BL_OCI_EMPTY_BYTES));
	if (!r)
		r = write_blob(w, b->digest, b->raw.data, b->raw.len);
	if (!r)
		r = archive_write_close(w);
	if (r)
		return bl_err_set(err, -EIO, "cannot pack the archive: %s",
				  archive_error_string(w));
	return 0;
}

int bl_layout_pack(const struct bl_bundle *b, struct bl_buf *ret,
		   char ret_manifest[static BL_DIGEST_HEX], struct bl_err *err)
{
	bl_autobuf struct bl_buf manifest = { 0 };
	bl_autobuf struct bl_buf index = { 0 };
	bl_autobuf struct bl_buf marker = { 0 };
	bl_autobuf struct bl_buf out = { 0 };
	struct bl_oci_descriptor d = { .size = 0 };
	int r = bl_oci_manifest_write(b, &manifest, err);

	if (r < 0)
		return r;
	d.size = manifest.len;
	r = bl_digest(manifest.data, manifest.len, d.digest);
	if (r < 0)
		return bl_err_errno(err, r, "digest of the manifest");
	r = bl_oci_index_write(&d, &index, err);
	if (!r)
		r = bl_oci_marker_write(&marker, err);
	if (!r)
		r = write_all(b, &manifest, d.digest, &index, &marker, &out,
			      err);
	if (r < 0)
		return r;
	memcpy(ret_manifest, d.digest, BL_DIGEST_HEX);
	*ret = out;
	out = (struct bl_buf){ 0 };
	return 0;
}

/* --- unpacking, first half: members of the archive ------------------------- */

bool bl_layout_is(const void *data, size_t len)
{
	/* Of ustar, pax and GNU alike. */
	return len >= 512 && memcmp((const char *)data + 257, "ustar", 5) == 0;
}

static int fail_read(struct archive *a, const char *name, struct bl_err *err)
{
	const char *why = archive_error_string(a);

	if (archive_errno(a) == ENOMEM)
		return bl_err_set(err, -ENOMEM, "%s: out of memory", name);
	return bl_err_set(err, -EBADMSG, "%s is not an intact archive: %s",
			  name, why ? why : "it is damaged");
}

/* "./index.json" is what tar calls it in an archive of ".". */
static const char *plain(const char *path)
{
	return strncmp(path, "./", 2) == 0 ? path + 2 : path;
}

static bool is_folder(const char *path)
{
	static const char *const folders[] = { "", "blobs", "blobs/",
					       "blobs/sha256", BLOBS };

	for (size_t i = 0; i < BL_ARRAY_SIZE(folders); i++)
		if (strcmp(path, folders[i]) == 0)
			return true;
	return false;
}

static bool is_file(const char *path)
{
	return strcmp(path, MARKER) == 0 || strcmp(path, INDEX) == 0 ||
	       (strncmp(path, BLOBS, strlen(BLOBS)) == 0 &&
		bl_digest_valid(path + strlen(BLOBS)));
}

static size_t limit_of(const char *path)
{
	return strncmp(path, BLOBS, strlen(BLOBS)) == 0 ? BL_BUNDLE_MAX
							: BL_OCI_JSON_MAX;
}

/* What is wrong with it; NULL: nothing. *ret_file: it has bytes to be read. */
static const char *wrong(struct layout *l, struct archive_entry *e,
			 const char *path, bool *ret_file)
{
	*ret_file = false;
	if (archive_entry_hardlink(e) || archive_entry_symlink(e))
		return "is a link";
	if (archive_entry_filetype(e) == AE_IFDIR)
		return is_folder(path) ? NULL : "has no place in a layout";
	if (archive_entry_filetype(e) != AE_IFREG)
		return "is not a regular file";
	if (archive_entry_sparse_count(e))
		return "has holes";
	if (!is_file(path))
		return "has no place in a layout";
	if (find(l, path))
		return "is there twice";
	if (l->count == FILES_MAX)
		return "is one more than the layout of a bundle has";
	if (!archive_entry_size_is_set(e) || archive_entry_size(e) < 0)
		return "has no size";
	*ret_file = true;
	return NULL;
}

/* A blob is called by the digest of its bytes. */
static int check_digest(const struct layout *l, const struct file *f,
			struct bl_err *err)
{
	char hex[BL_DIGEST_HEX];
	int r;

	if (strncmp(f->name, BLOBS, strlen(BLOBS)) != 0)
		return 0;
	r = bl_digest(f->data.data, f->data.len, hex);
	if (r < 0)
		return bl_err_errno(err, r, "digest of %s", f->name);
	if (strcmp(f->name + strlen(BLOBS), hex) != 0)
		return bl_err_set(
			err, -EBADMSG,
			"%s: blob %.12s was changed: its bytes have the digest %s",
			l->name, f->name + strlen(BLOBS), hex);
	return 0;
}

static int read_file(struct archive *a, struct layout *l,
		     struct archive_entry *e, const char *path, size_t left,
		     struct bl_err *err)
{
	uint64_t size = (uint64_t)archive_entry_size(e);
	struct file *f = &l->files[l->count];
	size_t len = (size_t)size;

	if (size > limit_of(path))
		return bl_err_set(
			err, -EFBIG,
			"%s: member '%s' claims %llu bytes, the limit is %zu",
			l->name, path, (unsigned long long)size,
			limit_of(path));
	if (size > left)
		return bl_err_set(
			err, -EBADMSG,
			"%s: member '%s' claims %llu bytes, more than the archive holds",
			l->name, path, (unsigned long long)size);
	*f = (struct file){ .name = "" };
	snprintf(f->name, sizeof(f->name), "%s", path);
	if (bl_buf_reserve(&f->data, len) < 0)
		return bl_err_set(err, -ENOMEM, "out of memory");
	l->count++;
	if (archive_read_data(a, f->data.data, len) != (la_ssize_t)len)
		return fail_read(a, l->name, err);
	f->data.data[len] = '\0';
	f->data.len = len;
	return check_digest(l, f, err);
}

static int take_entry(struct archive *a, struct layout *l,
		      struct archive_entry *e, size_t *left, struct bl_err *err)
{
	const char *raw = archive_entry_pathname(e);
	const char *path = plain(raw ? raw : "");
	bool file;
	const char *why = wrong(l, e, path, &file);
	int r;

	if (why)
		return bl_err_set(err, -EBADMSG, "%s: member '%.200s' %s",
				  l->name, raw ? raw : "", why);
	if (!file)
		return 0;
	r = read_file(a, l, e, path, *left, err);
	if (!r)
		*left -= l->files[l->count - 1].data.len;
	return r;
}

/* Two readers must not see two archives in one file. */
static int check_rest(struct archive *a, const char *name, const char *data,
		      size_t len, struct bl_err *err)
{
	la_int64_t read = archive_filter_bytes(a, 0);

	for (size_t i = read < 0 ? 0 : (size_t)read; i < len; i++)
		if (data[i])
			return bl_err_set(
				err, -EBADMSG,
				"%s: there are more bytes behind the end of the archive",
				name);
	return 0;
}

static int read_tar(struct layout *l, const void *data, size_t len,
		    struct bl_err *err)
{
	BL_CLEANUP(bl_tar_free_reader) struct archive *a = archive_read_new();
	struct archive_entry *e;
	size_t entries = 0, left = len;
	int r;

	if (!a)
		return bl_err_set(err, -ENOMEM, "out of memory");
	/* No filter is named, so that no compression is undone. */
	if (archive_read_support_format_tar(a) != ARCHIVE_OK ||
	    archive_read_open_memory(a, data, len) != ARCHIVE_OK)
		return fail_read(a, l->name, err);
	while ((r = archive_read_next_header(a, &e)) != ARCHIVE_EOF) {
		if (r != ARCHIVE_OK)
			return fail_read(a, l->name, err);
		if (++entries > BL_OCI_ENTRIES_MAX)
			return bl_err_set(
				err, -EBADMSG,
				"%s: more than %d members; a bundle's layout has 8",
				l->name, BL_OCI_ENTRIES_MAX);
		r = take_entry(a, l, e, &left, err);
		if (r < 0)
			return r;
	}
	return check_rest(a, l->name, data, len, err);
}

/* --- second half: what the members say ------------------------------------- */

static int needed(struct layout *l, const char *name, struct file **ret,
		  struct bl_err *err)
{
	*ret = find(l, name);
	if (*ret)
		return 0;
	bl_err_set(
		err, -EBADMSG,
		"%s is an archive, but not of an OCI image: there is no %s in it",
		l->name, name);
	bl_err_hint(err, "'belay bundle build … -o NAME.oci' makes one");
	return -EBADMSG;
}

static int blob(struct layout *l, const char *what,
		const struct bl_oci_descriptor *d, struct file **ret,
		struct bl_err *err)
{
	*ret = find_blob(l, d->digest);
	if (!*ret)
		return bl_err_set(err, -EBADMSG,
				  "%s: the blob of its %s, %s, is not there",
				  l->name, what, d->digest);
	if ((*ret)->data.len != d->size)
		return bl_err_set(
			err, -EBADMSG,
			"%s: its %s has %zu bytes, and should have %zu",
			l->name, what, (*ret)->data.len, d->size);
	return 0;
}

/* Marker, index, manifest, config and layer are all there is. */
static int read_image(struct layout *l, struct file **ret_layer,
		      char ret_manifest[static BL_DIGEST_HEX],
		      struct bl_err *err)
{
	static const struct bl_oci_descriptor config = {
		BL_OCI_EMPTY_DIGEST, sizeof(BL_OCI_EMPTY_BYTES) - 1
	};
	struct bl_oci_descriptor manifest, layer;
	char at[128];
	struct file *f;
	int r = needed(l, MARKER, &f, err);

	snprintf(at, sizeof(at), "%.100s: " MARKER, l->name);
	if (!r)
		r = bl_oci_marker_read(at, f->data.data, f->data.len, err);
	if (!r)
		r = needed(l, INDEX, &f, err);
	snprintf(at, sizeof(at), "%.100s: " INDEX, l->name);
	if (!r)
		r = bl_oci_index_read(at, f->data.data, f->data.len, &manifest,
				      err);
	if (!r)
		r = blob(l, "manifest", &manifest, &f, err);
	snprintf(at, sizeof(at), "%.100s: manifest", l->name);
	if (!r)
		r = bl_oci_manifest_read(at, f->data.data, f->data.len, &layer,
					 err);
	if (!r)
		r = blob(l, "config", &config, &f, err);
	if (!r)
		r = blob(l, "layer", &layer, ret_layer, err);
	if (!r && l->count != FILES_MAX)
		r = bl_err_set(err, -EBADMSG,
			       "%s: there is a blob that belongs to no image",
			       l->name);
	if (!r)
		memcpy(ret_manifest, manifest.digest, BL_DIGEST_HEX);
	return r;
}

int bl_layout_unpack(const char *name, const void *data, size_t len,
		     struct bl_buf *ret,
		     char ret_manifest[static BL_DIGEST_HEX],
		     struct bl_err *err)
{
	BL_CLEANUP(layout_free) struct layout l = { .name = name };
	struct file *layer = NULL;
	int r;

	if (len > BL_OCI_ARCHIVE_MAX)
		return bl_err_set(err, -EFBIG,
				  "%s is larger than the limit of %u bytes",
				  name, BL_OCI_ARCHIVE_MAX);
	if (!bl_layout_is(data, len))
		return bl_err_set(err, -EBADMSG, "%s is no tar archive", name);
	r = read_tar(&l, data, len, err);
	if (!r)
		r = read_image(&l, &layer, ret_manifest, err);
	if (r < 0)
		return r;
	assert(layer); /* read_image found it */
	*ret = layer->data;
	layer->data = (struct bl_buf){ 0 };
	return 0;
}
