/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/gate/core/btf_set.h"

#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/lab/kbtf.h"

#define HOST_BTF "/sys/kernel/btf/vmlinux"

void bl_btf_set_free(struct bl_btf_set *s)
{
	size_t i;

	for (i = 0; i < s->string_count; i++)
		free(s->strings[i]);
	free(s->strings);
	free(s->list);
	*s = (struct bl_btf_set){ 0 };
}

static int no_memory(struct bl_err *err)
{
	return bl_err_set(err, -ENOMEM, "out of memory");
}

/* Takes over @text, which may be NULL when there was no memory for it. */
static int own(struct bl_btf_set *s, char *text, const char **ret,
	       struct bl_err *err)
{
	char **list;

	if (!text)
		return no_memory(err);
	list = realloc(s->strings, (s->string_count + 1) * sizeof(*list));
	if (!list) {
		free(text);
		return no_memory(err);
	}
	s->strings = list;
	s->strings[s->string_count++] = text;
	*ret = text;
	return 0;
}

static int add(struct bl_btf_set *s, const struct bl_btf_source *source,
	       struct bl_err *err)
{
	struct bl_btf_source *list;

	if (s->count == BL_BTF_SET_MAX)
		return bl_err_set(err, -E2BIG, "more than %d kernels' BTF",
				  BL_BTF_SET_MAX);
	list = realloc(s->list, (s->count + 1) * sizeof(*list));
	if (!list)
		return no_memory(err);
	s->list = list;
	s->list[s->count++] = *source;
	return 0;
}

static int load_kernel(const void *ctx, struct bl_buf *ret, struct bl_err *err)
{
	return bl_kernel_btf(ctx, ret, err);
}

static int load_path(const void *ctx, struct bl_buf *ret, struct bl_err *err)
{
	return bl_kbtf_read(ctx, ret, err);
}

static int add_kernel(struct bl_btf_set *s, const struct bl_kernel *k,
		      struct bl_err *err)
{
	struct bl_btf_source source = {
		.name = k->release,
		.load = load_kernel,
		.ctx = k,
		.modules = k->modules,
	};

	return add(s, &source, err);
}

static int add_host(struct bl_btf_set *s, struct bl_err *err)
{
	struct bl_btf_source source = {
		.name = "host",
		.load = load_path,
		.ctx = HOST_BTF,
		.modules = true,
	};

	return add(s, &source, err);
}

/* "5.4.0-42.btf.tar.xz" is 5.4.0-42. */
static char *name_of(const char *path)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash && slash[1] ? slash + 1 : path;
	const char *end = strstr(name, ".btf");

	return end && end != name ? strndup(name, (size_t)(end - name))
				  : strdup(name);
}

static int add_file(struct bl_btf_set *s, const char *path, struct bl_err *err)
{
	struct bl_btf_source source = { .load = load_path, .modules = true };
	const char *kept = NULL;
	int r = own(s, strdup(path), &kept, err);

	if (r == 0)
		r = own(s, name_of(path), &source.name, err);
	if (r < 0)
		return r;
	source.ctx = kept;
	return add(s, &source, err);
}

static int is_wanted(const struct dirent *e)
{
	static const char *const patterns[] = { "*.btf", "*.btf.*", "vmlinux*",
						"vmlinuz*" };
	size_t i;

	for (i = 0; i < BL_ARRAY_SIZE(patterns); i++)
		if (fnmatch(patterns[i], e->d_name, FNM_PERIOD) == 0)
			return 1;
	return 0;
}

static int by_release(const struct dirent **a, const struct dirent **b)
{
	return bl_release_compare((*a)->d_name, (*b)->d_name);
}

static int add_dir(struct bl_btf_set *s, const char *path, struct bl_err *err)
{
	struct dirent **list = NULL;
	size_t before = s->count;
	struct stat st;
	int i, n, r = 0;

	n = scandir(path, &list, is_wanted, by_release);
	if (n < 0)
		return bl_err_errno(err, -errno, "%s", path);
	for (i = 0; i < n; i++) {
		bl_autofree char *file =
			bl_path("%s/%s", path, list[i]->d_name);

		free(list[i]);
		if (r < 0)
			continue;
		if (!file)
			r = no_memory(err);
		else if (stat(file, &st) < 0 || !S_ISDIR(st.st_mode))
			r = add_file(s, file, err);
	}
	free(list);
	if (r == 0 && s->count == before) {
		r = bl_err_set(err, -ENOENT, "%s: no file with BTF in it",
			       path);
		bl_err_hint(err, "files are called NAME.btf, or vmlinux");
	}
	return r;
}

static int add_path(struct bl_btf_set *s, const char *path, struct bl_err *err)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return bl_err_errno(err, -errno, "%s", path);
	return S_ISDIR(st.st_mode) ? add_dir(s, path, err)
				   : add_file(s, path, err);
}

int bl_btf_set_fill(const struct bl_btf_want *want, struct bl_btf_set *ret,
		    struct bl_err *err)
{
	BL_CLEANUP(bl_btf_set_free) struct bl_btf_set s = { 0 };
	size_t i;
	int r = 0;

	for (i = 0; r == 0 && i < want->kernel_count; i++)
		r = add_kernel(&s, want->kernels[i], err);
	if (r == 0 && want->host)
		r = add_host(&s, err);
	for (i = 0; r == 0 && i < want->path_count; i++)
		r = add_path(&s, want->paths[i], err);
	if (r < 0)
		return r;
	*ret = s;
	s = (struct bl_btf_set){ 0 };
	return 0;
}
