/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/bundle/bundle.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/base/json.h"
#include "loader/bundle/archive.h"
#include "loader/bundle/content.h"
#include "loader/object/carry.h"
#include "loader/object/object.h"

#define DIGESTS_FORMAT 1

void bl_bundle_free(struct bl_bundle *b)
{
	bl_buf_free(&b->raw);
	bl_buf_free(&b->object);
	for (size_t i = 0; i < BL_MODULES_MAX; i++)
		bl_buf_free(&b->modules[i]);
	bl_buf_free(&b->content_json);
	bl_buf_free(&b->content_bin);
	*b = (struct bl_bundle){ 0 };
}

bool bl_bundle_is(const void *data, size_t len)
{
	return bl_archive_is(data, len);
}

static int compile(const char *name, const struct bl_buf *json,
		   struct bl_buf *ret, struct bl_err *err)
{
	struct bl_content_info info;
	int r = bl_content_compile(name, bl_buf_str(json), json->len, ret,
				   &info, err);

	if (!r && ret->len > BL_CONTENT_BIN_MAX)
		return bl_err_set(
			err, -EFBIG,
			"%s compiles to more than the limit of %u bytes", name,
			BL_CONTENT_BIN_MAX);
	return r;
}

/* Building. */

static int add(struct bl_archive *a, const char *name, const struct bl_buf *b,
	       struct bl_err *err)
{
	int r = bl_archive_add(a, name, bl_buf_str(b), b->len);

	return r < 0 ? bl_err_errno(err, r, "cannot pack %s", name) : 0;
}

/* The file @name beside the manifest. */
static int read_beside(const char *manifest_path, const char *name, size_t max,
		       struct bl_buf *ret, struct bl_err *err)
{
	const char *slash = strrchr(manifest_path, '/');
	int dir_len = slash ? (int)(slash - manifest_path) + 1 : 0;
	bl_autofree char *path =
		bl_path("%.*s%s", dir_len, manifest_path, name);

	if (!path)
		return bl_err_set(err, -ENOMEM, "out of memory");
	return bl_file_read_regular(path, max, ret, err);
}

static int digests_json(const struct bl_archive *a, struct bl_buf *ret,
			struct bl_err *err)
{
	bl_autojson json_t *sums = json_object();
	char hex[BL_DIGEST_HEX];
	bl_autofree char *text = NULL;
	size_t i;
	int r;

	for (i = 0; i < a->count; i++) {
		const struct bl_member *m = &a->members[i];

		r = bl_digest(m->data.data, m->data.len, hex);
		if (r < 0)
			return bl_err_errno(err, r, "cannot digest %s",
					    m->name);
		if (json_object_set_new(sums, m->name, json_string(hex)) < 0)
			return bl_err_set(err, -ENOMEM, "out of memory");
	}
	text = bl_json_dump(json_pack("{s:i, s:O}", "format", DIGESTS_FORMAT,
				      "sha256", sums));
	if (!text || bl_buf_add(ret, text, strlen(text)) < 0)
		return bl_err_set(err, -ENOMEM, "out of memory");
	return 0;
}

/* What a bundle is made of. */
struct parts {
	struct bl_buf manifest, content;
	struct bl_buf code[BL_MODULES_MAX]; /* as code_name has them */
};

static void parts_free(struct parts *p)
{
	bl_buf_free(&p->manifest);
	bl_buf_free(&p->content);
	for (size_t i = 0; i < BL_ARRAY_SIZE(p->code); i++)
		bl_buf_free(&p->code[i]);
}

/* The object, or the modules: how many files, and what the @i-th is called. */
static size_t code_count(const struct bl_manifest *m)
{
	return m->modules.count ? m->modules.count : 1;
}

static const char *code_name(const struct bl_manifest *m, size_t i)
{
	return m->modules.count ? m->modules.file[i] : m->object;
}

static size_t code_max(const struct bl_manifest *m)
{
	return m->modules.count ? BL_MODULE_MAX : BL_OBJECT_MAX;
}

/* All members into @a, compiled and digested. The content is called @name in
 * messages. */
static int gather(const struct parts *p, const struct bl_manifest *m,
		  const char *name, struct bl_archive *a, struct bl_err *err)
{
	bl_autobuf struct bl_buf binary = { 0 };
	bl_autobuf struct bl_buf digests = { 0 };
	int r = 0;

	if (m->content[0])
		r = compile(name, &p->content, &binary, err);
	if (!r)
		r = add(a, BL_MEMBER_MANIFEST, &p->manifest, err);
	for (size_t i = 0; !r && i < code_count(m); i++)
		r = add(a, code_name(m, i), &p->code[i], err);
	if (!r && m->content[0])
		r = add(a, m->content, &p->content, err);
	if (!r && m->content[0])
		r = add(a, BL_MEMBER_CONTENT_BIN, &binary, err);
	if (!r)
		r = digests_json(a, &digests, err);
	if (!r)
		r = add(a, BL_MEMBER_DIGESTS, &digests, err);
	return r;
}

/* What a host would refuse is refused here, before it is shipped. */
static int pack(const struct bl_archive *a, const char *name,
		struct bl_bundle *ret, struct bl_err *err)
{
	bl_autobuf struct bl_buf raw = { 0 };
	int r = bl_archive_pack(a, &raw, err);

	return r ? r : bl_bundle_parse(name, raw.data, raw.len, ret, err);
}

int bl_bundle_build(const char *manifest_path, struct bl_bundle *ret,
		    struct bl_err *err)
{
	BL_CLEANUP(parts_free) struct parts p = { 0 };
	bl_autoarchive struct bl_archive a = { 0 };
	struct bl_manifest m = { 0 };
	int r;

	r = bl_file_read(manifest_path, BL_MANIFEST_MAX, &p.manifest, err);
	if (!r)
		r = bl_manifest_parse(manifest_path, bl_buf_str(&p.manifest),
				      p.manifest.len, &m, err);
	for (size_t i = 0; !r && i < code_count(&m); i++)
		r = read_beside(manifest_path, code_name(&m, i), code_max(&m),
				&p.code[i], err);
	if (!r && m.content[0])
		r = read_beside(manifest_path, m.content, BL_CONTENT_JSON_MAX,
				&p.content, err);
	if (!r)
		r = gather(&p, &m, m.content, &a, err);
	return r ? r : pack(&a, manifest_path, ret, err);
}

static void take(struct bl_archive *a, const char *name, struct bl_buf *ret)
{
	size_t i;

	for (i = 0; *name && i < a->count; i++)
		if (strcmp(a->members[i].name, name) == 0) {
			*ret = a->members[i].data;
			a->members[i].data = (struct bl_buf){ 0 };
		}
}

/* All but the content. The manifest as it was written: only the archive still
 * has it. */
static int take_parts(const struct bl_bundle *b, struct parts *ret,
		      struct bl_err *err)
{
	bl_autoarchive struct bl_archive a = { 0 };
	int r = bl_archive_unpack(b->manifest.name, b->raw.data, b->raw.len, &a,
				  err);

	if (r)
		return r;
	take(&a, BL_MEMBER_MANIFEST, &ret->manifest);
	for (size_t i = 0; i < code_count(&b->manifest); i++)
		take(&a, code_name(&b->manifest, i), &ret->code[i]);
	return 0;
}

int bl_bundle_with_content(const struct bl_bundle *b, const char *name,
			   const void *json, size_t len, struct bl_bundle *ret,
			   struct bl_err *err)
{
	BL_CLEANUP(parts_free) struct parts p = { 0 };
	bl_autoarchive struct bl_archive a = { 0 };
	int r;

	if (!b->manifest.content[0])
		return bl_err_set(
			err, -EBADMSG,
			"%s: %s %s takes no content: its manifest names none",
			name, b->manifest.name, b->manifest.version);
	if (len > BL_CONTENT_JSON_MAX)
		return bl_err_set(
			err, -EFBIG,
			"%s: more than %u bytes, the limit of one content",
			name, BL_CONTENT_JSON_MAX);
	r = bl_buf_add(&p.content, json, len);
	if (r)
		return bl_err_errno(err, r, "%s", name);
	r = take_parts(b, &p, err);
	if (!r)
		r = gather(&p, &b->manifest, name, &a, err);
	return r ? r : pack(&a, name, ret, err);
}

/* Parsing. */

/* The members are the manifest's, all of them, in the order of the header. */
static int check_members(const char *name, const struct bl_archive *a,
			 const struct bl_manifest *m, struct bl_err *err)
{
	const char *expect[BL_ARCHIVE_MEMBERS_MAX];
	size_t i, n = 0;

	expect[n++] = BL_MEMBER_MANIFEST;
	for (i = 0; i < code_count(m); i++)
		expect[n++] = code_name(m, i);
	if (m->content[0]) {
		expect[n++] = m->content;
		expect[n++] = BL_MEMBER_CONTENT_BIN;
	}
	expect[n++] = BL_MEMBER_DIGESTS;
	for (i = 0; i < n && i < a->count; i++)
		if (strcmp(a->members[i].name, expect[i]) != 0)
			return bl_err_set(
				err, -EBADMSG,
				"%s: member %zu is '%s', the manifest wants '%s' there",
				name, i + 1, a->members[i].name, expect[i]);
	if (a->count < n)
		return bl_err_set(err, -EBADMSG, "%s: member '%s' is missing",
				  name, expect[a->count]);
	if (a->count > n)
		return bl_err_set(err, -EBADMSG,
				  "%s: member '%s' is unknown to the manifest",
				  name, a->members[n].name);
	return 0;
}

static int check_size(const char *name, const struct bl_archive *a,
		      const char *member, size_t max, struct bl_err *err)
{
	const struct bl_member *b = bl_archive_find(a, member);

	if (!b || b->data.len <= max)
		return 0;
	return bl_err_set(
		err, -EFBIG,
		"%s: member '%s' is larger than the limit of %zu bytes", name,
		b->name, max);
}

static int check_sizes(const char *name, const struct bl_archive *a,
		       const struct bl_manifest *m, struct bl_err *err)
{
	const struct {
		const char *member;
		size_t max;
	} limits[] = {
		{ BL_MEMBER_MANIFEST, BL_MANIFEST_MAX },
		{ BL_MEMBER_DIGESTS, BL_MANIFEST_MAX },
		{ BL_MEMBER_CONTENT_BIN, BL_CONTENT_BIN_MAX },
		{ m->content, BL_CONTENT_JSON_MAX },
	};
	size_t i;
	int r = 0;

	for (i = 0; !r && i < BL_ARRAY_SIZE(limits); i++)
		r = check_size(name, a, limits[i].member, limits[i].max, err);
	for (i = 0; !r && i < code_count(m); i++)
		r = check_size(name, a, code_name(m, i), code_max(m), err);
	return r;
}

/* Names the member whose digest is not what @digests says; NULL if none is. */
static const char *wrong_member(const struct bl_archive *a,
				const struct bl_member *digests)
{
	bl_autojson_doc struct bl_json_doc doc = { 0 };
	char hex[BL_DIGEST_HEX];
	const json_t *sums;
	size_t i;

	if (bl_json_parse(digests->name, bl_buf_str(&digests->data),
			  digests->data.len, &doc, NULL) < 0)
		return NULL;
	sums = json_object_get(doc.root, "sha256");
	for (i = 0; i < a->count; i++) {
		const struct bl_member *m = &a->members[i];
		const char *said =
			json_string_value(json_object_get(sums, m->name));

		if (bl_digest(m->data.data, m->data.len, hex) < 0 || !said ||
		    strcmp(said, hex) != 0)
			return m->name;
	}
	return NULL;
}

/* digests.json is ours alone to write, so it must be, byte for byte, what we
 * would write for these members. */
static int check_digests(const char *name, const struct bl_archive *a,
			 struct bl_err *err)
{
	const struct bl_member *digests = &a->members[a->count - 1];
	struct bl_archive others = *a; /* borrows the members */
	bl_autobuf struct bl_buf expect = { 0 };
	const char *wrong;
	int r;

	others.count--;
	r = digests_json(&others, &expect, err);
	if (r < 0)
		return r;
	if (expect.len == digests->data.len &&
	    memcmp(bl_buf_str(&expect), bl_buf_str(&digests->data),
		   expect.len) == 0)
		return 0;
	wrong = wrong_member(&others, digests);
	if (wrong)
		return bl_err_set(
			err, -EBADMSG,
			"%s: member '%s' does not have the digest that %s says",
			name, wrong, BL_MEMBER_DIGESTS);
	return bl_err_set(err, -EBADMSG,
			  "%s: %s says more than the members' digests", name,
			  BL_MEMBER_DIGESTS);
}

static int check_content(const char *name, const struct bl_archive *a,
			 const struct bl_manifest *m, struct bl_err *err)
{
	const struct bl_member *json = bl_archive_find(a, m->content);
	const struct bl_member *bin = bl_archive_find(a, BL_MEMBER_CONTENT_BIN);
	bl_autobuf struct bl_buf again = { 0 };
	/* Of another contract it is another belay's, and says so. */
	int r = bl_content_check_binary(BL_MEMBER_CONTENT_BIN, bin->data.data,
					bin->data.len, NULL, err);

	if (!r)
		r = compile(m->content, &json->data, &again, err);
	if (r < 0)
		return bl_err_wrap(err, r, "%s", name);
	if (again.len != bin->data.len ||
	    memcmp(bl_buf_str(&again), bl_buf_str(&bin->data), again.len) != 0)
		return bl_err_set(err, -EBADMSG,
				  "%s: %s is not what %s compiles to", name,
				  BL_MEMBER_CONTENT_BIN, m->content);
	return 0;
}

/* Whether the object has the programs that the manifest speaks of. */
static int check_programs(const char *name, const struct bl_archive *a,
			  const struct bl_manifest *m, struct bl_err *err)
{
	const struct bl_member *object = bl_archive_find(a, m->object);
	bl_autoobject struct bl_object o = { 0 };
	int r;

	if (!m->programs.count)
		return 0;
	r = bl_object_open(m->object, object->data.data, object->data.len, &o,
			   err);
	if (r < 0) {
		bl_err_wrap(err, r, "%s: programs: those of %s", name,
			    m->object);
		return r == -ENOMEM ? r : -EBADMSG;
	}
	for (size_t i = 0; i < m->programs.count; i++)
		if (!bl_object_program(&o, m->programs.list[i].name))
			return bl_err_set(
				err, -EBADMSG,
				"%s: %s: programs.%s: %s has no program of this name",
				name, BL_MEMBER_MANIFEST,
				m->programs.list[i].name, m->object);
	return 0;
}

/* Whether the object has the maps that the manifest speaks of. */
static int check_state(const char *name, const struct bl_archive *a,
		       const struct bl_manifest *m, struct bl_err *err)
{
	const struct bl_member *object = bl_archive_find(a, m->object);
	bl_autoobject struct bl_object o = { 0 };
	bl_automaps struct bl_map_list maps = { 0 };
	int r;

	if (!m->state.count)
		return 0;
	r = bl_object_open(m->object, object->data.data, object->data.len, &o,
			   err);
	if (!r)
		r = bl_map_list_read(&o, &maps, err);
	if (r < 0) {
		bl_err_wrap(err, r, "%s: state: the maps of %s", name,
			    m->object);
		return r == -ENOMEM ? r : -EBADMSG;
	}
	r = bl_carry_check(&maps, &m->state, err);
	return r < 0 ? bl_err_wrap(err, r, "%s: %s", name, BL_MEMBER_MANIFEST)
		     : 0;
}

static int check_modules(const char *name, const struct bl_archive *a,
			 const struct bl_manifest *m, struct bl_err *err)
{
	const struct bl_buf *data[BL_MODULES_MAX];
	int r;

	for (size_t i = 0; i < m->modules.count; i++)
		data[i] = &bl_archive_find(a, m->modules.file[i])->data;
	r = bl_modules_check(&m->modules, data, err);
	return r < 0 ? bl_err_wrap(err, r, "%s", name) : 0;
}

static int check_archive(const char *name, const struct bl_archive *a,
			 struct bl_manifest *ret, struct bl_err *err)
{
	const struct bl_member *first = &a->members[0];
	struct bl_manifest m = { 0 };
	int r;

	if (!a->count || strcmp(first->name, BL_MEMBER_MANIFEST) != 0)
		return bl_err_set(
			err, -EBADMSG,
			"%s is not a bundle: its first member is not %s", name,
			BL_MEMBER_MANIFEST);
	r = bl_manifest_parse(BL_MEMBER_MANIFEST, bl_buf_str(&first->data),
			      first->data.len, &m, err);
	if (r < 0)
		return bl_err_wrap(err, r, "%s", name);
	r = check_members(name, a, &m, err);
	if (!r)
		r = check_sizes(name, a, &m, err);
	if (!r)
		r = check_digests(name, a, err);
	if (!r && m.content[0])
		r = check_content(name, a, &m, err);
	if (!r)
		r = check_modules(name, a, &m, err);
	if (!r)
		r = check_programs(name, a, &m, err);
	if (!r)
		r = check_state(name, a, &m, err);
	if (!r)
		*ret = m;
	return r;
}

int bl_bundle_parse(const char *name, const void *data, size_t len,
		    struct bl_bundle *ret, struct bl_err *err)
{
	BL_CLEANUP(bl_bundle_free) struct bl_bundle b = { 0 };
	bl_autoarchive struct bl_archive a = { 0 };
	int r;

	r = bl_archive_unpack(name, data, len, &a, err);
	if (!r)
		r = check_archive(name, &a, &b.manifest, err);
	if (r < 0)
		return r;
	r = bl_buf_add(&b.raw, data, len);
	if (!r)
		r = bl_digest(data, len, b.digest);
	take(&a, b.manifest.object, &b.object);
	for (size_t i = 0; i < b.manifest.modules.count; i++)
		take(&a, b.manifest.modules.file[i], &b.modules[i]);
	if (b.manifest.content[0]) {
		take(&a, b.manifest.content, &b.content_json);
		take(&a, BL_MEMBER_CONTENT_BIN, &b.content_bin);
		if (!r)
			r = bl_digest(b.content_json.data, b.content_json.len,
				      b.content_digest);
	}
	if (r < 0)
		return bl_err_errno(err, r, "cannot read %s", name);
	*ret = b;
	b = (struct bl_bundle){ 0 };
	return 0;
}

int bl_bundle_open(const char *path, struct bl_bundle *ret, struct bl_err *err)
{
	bl_autobuf struct bl_buf raw = { 0 };
	int r = bl_file_read(path, BL_BUNDLE_MAX, &raw, err);

	if (r < 0)
		return r;
	return bl_bundle_parse(path, bl_buf_str(&raw), raw.len, ret, err);
}
