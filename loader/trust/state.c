/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/trust/state.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "loader/base/cleanup.h"
#include "loader/base/cli.h"
#include "loader/base/file.h"
#include "loader/base/json.h"
#include "loader/trust/metadata.h"

#define FORMAT 1

void bl_trust_state_free(struct bl_trust_state *s)
{
	bl_buf_free(&s->root);
	json_decref(s->files);
	s->files = NULL;
}

static int read_files(const char *path, json_t **ret, struct bl_err *err)
{
	struct parts {
		int64_t format;
		json_t *files;
	};
	static const struct bl_json_field fields[] = {
		{ "format", BL_JSON_INT, true, offsetof(struct parts, format),
		  FORMAT, FORMAT },
		{ "files", BL_JSON_OBJECT, true, offsetof(struct parts, files),
		  0, 0 },
	};
	bl_autojson_doc struct bl_json_doc doc = { 0 };
	const char *role;
	json_t *text;
	struct parts v = { .files = NULL };
	int r = bl_json_load(path, BL_TRUST_FILE_MAX, &doc, err);

	if (!r)
		r = bl_json_read(&doc, doc.root, "", fields,
				 BL_ARRAY_SIZE(fields), &v, err);
	if (r < 0)
		return r;
	json_object_foreach (v.files, role, text)
		if (!json_is_string(text))
			return bl_json_fail(&doc, "files", err,
					    "'%s' is no text", role);
	*ret = json_incref(v.files);
	return 0;
}

int bl_trust_state_lock(const char *dir, int *ret_fd, struct bl_err *err)
{
	bl_autoclose int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r;

	if (fd < 0)
		return bl_err_errno(err, -errno, "cannot open folder %s", dir);
	do
		r = flock(fd, LOCK_EX) < 0 ? -errno : 0;
	while (r == -EINTR && !bl_cli_interrupted());
	if (r < 0)
		return bl_err_errno(err, r, "cannot lock folder %s", dir);
	*ret_fd = BL_TAKE_FD(fd);
	return 0;
}

int bl_trust_state_load(const char *dir, struct bl_trust_state *ret,
			struct bl_err *err)
{
	BL_CLEANUP(bl_trust_state_free) struct bl_trust_state s = { 0 };
	bl_autofree char *root = bl_path("%s/" BL_TRUST_ROOT_FILE, dir);
	bl_autofree char *path = bl_path("%s/" BL_TRUST_FILE, dir);
	int r;

	if (!root || !path)
		return bl_err_set(err, -ENOMEM, "out of memory");
	r = bl_file_read_regular(root, BL_META_ROOT_MAX, &s.root, err);
	if (r == -ENOENT)
		bl_err_hint(
			err,
			"put the repository's first root there, from a source that you trust: cp REPO/metadata/1.root.json %s",
			root);
	if (r < 0)
		return r;
	if (access(path, F_OK) < 0 && errno == ENOENT)
		s.files = json_object();
	else
		r = read_files(path, &s.files, err);
	if (!r && !s.files)
		r = bl_err_set(err, -ENOMEM, "out of memory");
	if (r < 0)
		return r;
	*ret = s;
	s = (struct bl_trust_state){ 0 };
	return 0;
}

int bl_trust_state_save_root(const char *dir, const void *data, size_t len,
			     struct bl_err *err)
{
	bl_autofree char *path = bl_path("%s/" BL_TRUST_ROOT_FILE, dir);

	if (!path)
		return bl_err_set(err, -ENOMEM, "out of memory");
	return bl_file_write(path, data, len, 0644, err);
}

int bl_trust_state_save(const char *dir, const json_t *files,
			struct bl_err *err)
{
	bl_autofree char *path = bl_path("%s/" BL_TRUST_FILE, dir);
	json_t *all = json_pack("{s:i, s:O}", "format", FORMAT, "files", files);
	bl_autofree char *text = all ? bl_json_dump(all) : NULL;

	if (!path || !text)
		return bl_err_set(err, -ENOMEM, "out of memory");
	if (strlen(text) > BL_TRUST_FILE_MAX)
		return bl_err_set(
			err, BL_TRUST_ENDLESS,
			"%s: it would have %zu bytes, and with more than %u it cannot be opened again: delegated roles are too large",
			path, strlen(text), BL_TRUST_FILE_MAX);
	return bl_file_write(path, text, strlen(text), 0644, err);
}
