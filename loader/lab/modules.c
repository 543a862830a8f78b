/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/lab/modules.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/base/file.h"

#define LIST_MAX (8u * 1024 * 1024) /* bytes of modules.dep */

void bl_module_list_free(struct bl_module_list *l)
{
	for (size_t i = 0; i < l->count; i++)
		free(l->paths[i]);
	free(l->paths);
	memset(l, 0, sizeof(*l));
}

/* Whether the path of @len bytes is that of the module @name. */
static bool names(const char *path, size_t len, const char *name)
{
	const char *base = memrchr(path, '/', len);

	base = base ? base + 1 : path;
	for (; *name; name++, base++) {
		char a = *name == '-' ? '_' : *name;
		char b = base < path + len ? *base : '\0';

		if (a != (b == '-' ? '_' : b))
			return false;
	}
	return (size_t)(path + len - base) >= 3 && memcmp(base, ".ko", 3) == 0;
}

static int list_add(struct bl_module_list *l, const char *path, size_t len)
{
	char **paths;

	for (size_t i = 0; i < l->count; i++)
		if (strlen(l->paths[i]) == len &&
		    memcmp(l->paths[i], path, len) == 0)
			return 0;
	paths = reallocarray(l->paths, l->count + 1, sizeof(*paths));
	if (!paths)
		return -ENOMEM;
	l->paths = paths;
	paths[l->count] = strndup(path, len);
	if (!paths[l->count])
		return -ENOMEM;
	l->count++;
	return 0;
}

/* The line of @text whose first word (up to @end) is @name's path. */
static const char *find(const char *text, char end, const char *name,
			size_t *ret_len)
{
	while (*text) {
		size_t line = strcspn(text, "\n");
		const char *stop = memchr(text, end, line);
		size_t len = stop ? (size_t)(stop - text) : line;

		if (names(text, len, name)) {
			*ret_len = len;
			return text;
		}
		text += line + (text[line] == '\n');
	}
	return NULL;
}

int bl_module_resolve(const char *dep, const char *builtin, const char *name,
		      struct bl_module_list *list, struct bl_err *err)
{
	size_t len, line;
	const char *p = find(dep, ':', name, &len), *deps, *end;
	int r = 0;

	if (!p && find(builtin, '\n', name, &len))
		return 0;
	if (!p)
		return bl_err_set(err, -ENOENT, "it has no module %s", name);
	/* depmod names what is needed first last. */
	line = strcspn(p, "\n");
	deps = p + len + 1;
	end = p + line;
	while (!r && end > deps) {
		const char *start;

		while (end > deps && end[-1] == ' ')
			end--;
		start = end;
		while (start > deps && start[-1] != ' ')
			start--;
		if (start < end)
			r = list_add(list, start, (size_t)(end - start));
		end = start;
	}
	if (!r)
		r = list_add(list, p, len);
	return r ? bl_err_set(err, r, "out of memory") : 0;
}

static int read_list(const char *dir, const char *name, struct bl_buf *ret,
		     struct bl_err *err)
{
	bl_autofree char *path = bl_path("%s/%s", dir, name);

	if (!path)
		return bl_err_set(err, -ENOMEM, "out of memory");
	return bl_file_read(path, LIST_MAX, ret, err);
}

int bl_module_find(const char *modules_dir, const char *const *names_wanted,
		   struct bl_module_list *ret, struct bl_err *err)
{
	bl_autobuf struct bl_buf dep = { 0 }, builtin = { 0 };
	struct bl_module_list list = { 0 };
	int r = read_list(modules_dir, "modules.dep", &dep, err);

	if (!r)
		r = read_list(modules_dir, "modules.builtin", &builtin, err);
	for (; !r && *names_wanted; names_wanted++)
		r = bl_module_resolve(bl_buf_str(&dep), bl_buf_str(&builtin),
				      *names_wanted, &list, err);
	if (r < 0) {
		bl_module_list_free(&list);
		return r;
	}
	*ret = list;
	return 0;
}

static int unpack(struct archive *a, const char *path, struct bl_buf *ret,
		  struct bl_err *err)
{
	struct archive_entry *entry;
	ssize_t n = 0;
	int r = 0;

	if (archive_read_open_filename(a, path, 64 * 1024) != ARCHIVE_OK ||
	    archive_read_next_header(a, &entry) != ARCHIVE_OK)
		return bl_err_set(err, -EIO, "cannot read %s: %s", path,
				  archive_error_string(a));
	while (!r) {
		r = bl_buf_reserve(ret, 64 * 1024);
		if (r < 0)
			break;
		n = archive_read_data(a, ret->data + ret->len, 64 * 1024);
		if (n <= 0)
			break;
		ret->len += (size_t)n;
		if (ret->len > BL_MODULE_MAX_BYTES)
			return bl_err_set(err, -EFBIG,
					  "%s is larger than %u bytes", path,
					  BL_MODULE_MAX_BYTES);
	}
	if (r < 0)
		return bl_err_set(err, r, "out of memory");
	if (n < 0)
		return bl_err_set(err, -EIO, "cannot read %s: %s", path,
				  archive_error_string(a));
	return 0;
}

int bl_module_read(const char *path, struct bl_buf *ret, struct bl_err *err)
{
	struct archive *a = archive_read_new();
	int r;

	if (!a)
		return bl_err_set(err, -ENOMEM, "out of memory");
	archive_read_support_filter_all(a);
	archive_read_support_format_raw(a);
	r = unpack(a, path, ret, err);
	archive_read_free(a);
	return r;
}
