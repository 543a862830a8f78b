/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/gate/candidate.h"

#include <errno.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/gate/gate.h"

void bl_candidate_free(struct bl_candidate *c)
{
	bl_buf_free(&c->file);
	bl_buf_free(&c->bin);
	bl_bundle_free(&c->bundle);
	bl_object_free(&c->object);
	*c = (struct bl_candidate){ 0 };
}

const char *bl_candidate_kind_name(enum bl_candidate_kind kind)
{
	static const char *const names[] = {
		[BL_CANDIDATE_OBJECT] = "object",
		[BL_CANDIDATE_CONTENT] = "content",
		[BL_CANDIDATE_BUNDLE] = "bundle",
	};

	return names[kind];
}

/* By its bytes; the name only tells malformed JSON from a malformed object. */
static enum bl_candidate_kind kind_of(const char *path, const struct bl_buf *b)
{
	if (bl_bundle_is(b->data, b->len))
		return BL_CANDIDATE_BUNDLE;
	return bl_content_is(path, b->data, b->len) ? BL_CANDIDATE_CONTENT
						    : BL_CANDIDATE_OBJECT;
}

/* What it is follows from its bytes; they are ours on success. */
static int take(const char *path, struct bl_buf *file, struct bl_candidate *ret,
		struct bl_err *err)
{
	struct bl_candidate c = { .path = path };
	int r = bl_digest(file->data, file->len, c.digest);

	if (r < 0)
		return bl_err_errno(err, r, "digest of %s", path);
	c.kind = kind_of(path, file);
	c.file = *file;
	*file = (struct bl_buf){ 0 };
	*ret = c;
	return 0;
}

int bl_candidate_read(const char *path, const struct bl_source_options *source,
		      struct bl_candidate *ret, struct bl_err *err)
{
	bl_autobuf struct bl_buf file = { 0 };
	int r = bl_source_read(path, source, BL_GATE_FILE_MAX, &file, err);

	return r ? r : take(path, &file, ret, err);
}

int bl_candidate_copy(const char *path, const struct bl_buf *bytes,
		      struct bl_candidate *ret, struct bl_err *err)
{
	bl_autobuf struct bl_buf file = { 0 };

	if (bl_buf_add(&file, bytes->data, bytes->len) < 0)
		return bl_err_set(err, -ENOMEM, "out of memory");
	return take(path, &file, ret, err);
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash && slash[1] ? slash + 1 : path;
}

static int open_object(struct bl_candidate *c, const char *name,
		       const struct bl_buf *bytes, struct bl_err *err)
{
	int r;

	c->object_name = name;
	c->failed_check = "object";
	r = bl_object_open(name, bytes->data, bytes->len, &c->object, err);
	c->has_object = r == 0;
	return r;
}

static int open_content(struct bl_candidate *c, struct bl_err *err)
{
	int r;

	c->content_name = c->path;
	c->json = &c->file;
	c->failed_check = "content";
	r = bl_content_compile(c->path, bl_buf_str(&c->file), c->file.len,
			       &c->bin, &c->content_info, err);
	c->has_content = r == 0;
	return r;
}

/* That content.bin is what content.json compiles to, parsing proved. */
static int take_content(struct bl_candidate *c, struct bl_err *err)
{
	struct bl_bundle *b = &c->bundle;
	int r;

	c->content_name = b->manifest.content;
	c->json = &b->content_json;
	c->failed_check = "content";
	r = bl_content_check_binary(b->manifest.content, b->content_bin.data,
				    b->content_bin.len, &c->content_info, err);
	if (r == 0)
		r = bl_buf_add(&c->bin, b->content_bin.data,
			       b->content_bin.len);
	c->has_content = r == 0;
	return r;
}

static int open_modules(struct bl_candidate *c, struct bl_err *err)
{
	const struct bl_manifest_modules *list = &c->bundle.manifest.modules;
	int r = 0;

	c->failed_check = "module";
	for (size_t i = 0; r == 0 && i < list->count; i++) {
		const struct bl_buf *b = &c->bundle.modules[i];

		r = bl_modfile_read(list->file[i], b->data, b->len,
				    &c->modules[i], err);
	}
	c->has_modules = r == 0;
	return r;
}

static int open_bundle(struct bl_candidate *c, struct bl_err *err)
{
	int r;

	c->failed_check = "bundle";
	r = bl_bundle_parse(c->path, c->file.data, c->file.len, &c->bundle,
			    err);
	if (r == 0 && c->bundle.content_bin.len)
		r = take_content(c, err);
	if (r < 0)
		return r;
	if (c->bundle.manifest.modules.count)
		return open_modules(c, err);
	return open_object(c, c->bundle.manifest.object, &c->bundle.object,
			   err);
}

int bl_candidate_open(struct bl_candidate *c, struct bl_err *err)
{
	switch (c->kind) {
	case BL_CANDIDATE_BUNDLE:
		return open_bundle(c, err);
	case BL_CANDIDATE_CONTENT:
		return open_content(c, err);
	default:
		return open_object(c, base_name(c->path), &c->file, err);
	}
}
