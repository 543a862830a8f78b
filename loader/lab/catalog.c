/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/lab/catalog.h"

#include <assert.h>
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/base/json.h"

#define ENTRY_MAX (64 * 1024) /* bytes of a kernel.json */

static void kernel_free(struct bl_kernel *k)
{
	free(k->release);
	free(k->suite);
	free(k->package);
	free(k->dir);
	free(k->image);
	free(k->modules_dir);
	free(k->headers_dir);
	free(k->why);
	memset(k, 0, sizeof(*k));
}

void bl_catalog_free(struct bl_catalog *c)
{
	for (size_t i = 0; i < c->count; i++)
		kernel_free(&c->kernels[i]);
	free(c->kernels);
	memset(c, 0, sizeof(*c));
}

/* --- versions ------------------------------------------------------------- */

int bl_release_compare(const char *a, const char *b)
{
	while (*a && *b) {
		if (isdigit((unsigned char)*a) && isdigit((unsigned char)*b)) {
			char *end_a, *end_b;
			unsigned long long x = strtoull(a, &end_a, 10);
			unsigned long long y = strtoull(b, &end_b, 10);

			if (x != y)
				return x < y ? -1 : 1;
			a = end_a;
			b = end_b;
			continue;
		}
		if (*a != *b)
			break;
		a++;
		b++;
	}
	return (unsigned char)*a - (unsigned char)*b;
}

bool bl_release_matches(const char *release, const char *spec)
{
	size_t len = strlen(spec);

	if (!len || strncmp(release, spec, len) != 0)
		return false;
	/* Whole components only: 6.1 is not a part of 6.12, "6." of nothing. */
	return isalnum((unsigned char)spec[len - 1]) &&
	       !isalnum((unsigned char)release[len]);
}

static int by_release(const void *a, const void *b)
{
	const struct bl_kernel *x = a, *y = b;

	return bl_release_compare(x->release, y->release);
}

/* --- loading -------------------------------------------------------------- */

struct entry { /* kernel.json */
	const char *release, *suite, *package, *version, *headers;
	bool btf, modules;
};

static const struct bl_json_field entry_fields[] = {
	{ "release", BL_JSON_STRING, true, offsetof(struct entry, release), 1,
	  BL_NAME_MAX },
	{ "suite", BL_JSON_STRING, true, offsetof(struct entry, suite), 1,
	  256 },
	{ "package", BL_JSON_STRING, true, offsetof(struct entry, package), 1,
	  1024 },
	{ "version", BL_JSON_STRING, true, offsetof(struct entry, version), 1,
	  256 },
	{ "headers", BL_JSON_STRING, false, offsetof(struct entry, headers), 1,
	  1024 },
	{ "btf", BL_JSON_BOOL, true, offsetof(struct entry, btf), 0, 0 },
	{ "modules", BL_JSON_BOOL, true, offsetof(struct entry, modules), 0,
	  0 },
};

static bool is_dir(const char *path)
{
	struct stat st;

	return path && stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static bool has_bytes(const char *path)
{
	struct stat st;

	return path && stat(path, &st) == 0 && S_ISREG(st.st_mode) &&
	       st.st_size > 0;
}

static int no_memory(struct bl_err *err)
{
	return bl_err_set(err, -ENOMEM, "out of memory");
}

/* What makes a kernel unusable is not an error here: it goes into k->why. */
static int entry_read(struct bl_kernel *k, struct bl_err *err)
{
	bl_autojson_doc struct bl_json_doc doc = { 0 };
	bl_autofree char *path = bl_path("%s/kernel.json", k->dir);
	struct entry e = { 0 };
	int r;

	if (!path)
		return no_memory(err);
	r = bl_json_load(path, ENTRY_MAX, &doc, err);
	if (!r)
		r = bl_json_read(&doc, doc.root, "", entry_fields,
				 BL_ARRAY_SIZE(entry_fields), &e, err);
	if (r)
		return r;
	if (strcmp(e.release, k->release) != 0)
		return bl_json_fail(&doc, "release", err,
				    "does not name its folder, %s", k->release);
	if (e.headers && (e.headers[0] == '/' || strstr(e.headers, "..")))
		return bl_json_fail(&doc, "headers", err,
				    "must be a path below %s", k->dir);
	k->suite = strdup(e.suite);
	k->package = bl_path("%s (= %s)", e.package, e.version);
	if (!k->suite || !k->package)
		return no_memory(err);
	k->btf = e.btf;
	if (e.modules) {
		k->modules_dir = bl_path("%s/modules", k->dir);
		k->modules = is_dir(k->modules_dir);
		if (!k->modules)
			free(BL_TAKE(k->modules_dir));
	}
	if (e.headers) {
		k->headers_dir = bl_path("%s/%s", k->dir, e.headers);
		if (!is_dir(k->headers_dir))
			free(BL_TAKE(k->headers_dir));
	}
	if (!has_bytes(k->image))
		return bl_err_set(err, -ENOENT, "its image %s is missing",
				  k->image);
	k->ready = true;
	return 0;
}

static int kernel_load(const char *root, const char *name,
		       struct bl_kernel *ret, struct bl_err *err)
{
	struct bl_kernel k = { 0 };
	struct bl_err why = { 0 };
	int r;

	k.release = strdup(name);
	k.dir = bl_path("%s/%s", root, name);
	k.image = bl_path("%s/%s/vmlinuz", root, name);
	if (!k.release || !k.dir || !k.image) {
		kernel_free(&k);
		return no_memory(err);
	}
	r = entry_read(&k, &why);
	if (!r) {
		*ret = k;
		return 0;
	}
	k.why = strdup(why.text);
	if (!k.suite)
		k.suite = strdup("unknown");
	if (!k.package)
		k.package = strdup("unknown");
	if (!k.why || !k.suite || !k.package) {
		kernel_free(&k);
		return no_memory(err);
	}
	*ret = k;
	return 0;
}

static int no_kernels(const char *root, struct bl_err *err)
{
	bl_err_set(err, -ENOENT, "no lab kernels in %s", root);
	bl_err_hint(err, "run scripts/kernels to fetch them");
	return -ENOENT;
}

static int collect(const char *root, DIR *dir, struct bl_catalog *c,
		   struct bl_err *err)
{
	struct bl_kernel *k;
	struct dirent *d;
	int r;

	while ((d = readdir(dir))) {
		bl_autofree char *path = bl_path("%s/%s", root, d->d_name);

		if (!path)
			return no_memory(err);
		if (!bl_name_valid(d->d_name) || !is_dir(path))
			continue;
		if (c->count == BL_CATALOG_MAX)
			return bl_err_set(err, -E2BIG,
					  "more than %d kernels in %s",
					  BL_CATALOG_MAX, root);
		k = reallocarray(c->kernels, c->count + 1, sizeof(*k));
		if (!k)
			return no_memory(err);
		c->kernels = k;
		r = kernel_load(root, d->d_name, &k[c->count], err);
		if (r < 0)
			return r;
		c->count++;
	}
	return 0;
}

int bl_catalog_load_from(const char *root, struct bl_catalog *ret,
			 struct bl_err *err)
{
	bl_autocatalog struct bl_catalog c = { 0 };
	bl_autoclosedir DIR *dir = opendir(root);
	int r;

	if (!dir && errno == ENOENT)
		return no_kernels(root, err);
	if (!dir)
		return bl_err_errno(err, -errno, "cannot read %s", root);
	r = collect(root, dir, &c, err);
	if (r < 0)
		return r;
	if (!c.count)
		return no_kernels(root, err);
	qsort(c.kernels, c.count, sizeof(*c.kernels), by_release);
	*ret = c;
	memset(&c, 0, sizeof(c));
	return 0;
}

int bl_catalog_load(struct bl_catalog *ret, struct bl_err *err)
{
	bl_autofree char *cache = bl_path_cache();
	bl_autofree char *root = cache ? bl_path("%s/kernels", cache) : NULL;

	if (!root)
		return no_memory(err);
	return bl_catalog_load_from(root, ret, err);
}

/* --- selecting ------------------------------------------------------------ */

static int unknown(const struct bl_catalog *c, const char *spec,
		   struct bl_err *err)
{
	bl_autobuf struct bl_buf known = { 0 };

	if (strcmp(spec, "all") == 0 && c->count) {
		const struct bl_kernel *k = &c->kernels[c->count - 1];

		bl_err_set(err, -ENODEV,
			   "none of the %zu lab kernels is ready; %s: %s",
			   c->count, k->release, k->why);
		bl_err_hint(err,
			    "remove %s and run scripts/kernels to fetch it "
			    "again; 'belay lab kernels' shows the others",
			    k->dir);
		return -ENODEV;
	}
	for (size_t i = 0; i < c->count; i++)
		bl_buf_printf(&known, "%s%s", i ? ", " : "",
			      c->kernels[i].release);
	bl_err_set(err, -ENOENT, "no lab kernel '%s' (known: %s)", spec,
		   bl_buf_str(&known));
	bl_err_hint(err, "name one of them, the start of its version such as "
			 "6.1, or all; scripts/kernels fetches missing ones");
	return -ENOENT;
}

/* Marks what @spec means in @take; how many it matched. */
static size_t mark(const struct bl_catalog *c, const char *spec, bool *take)
{
	bool all = strcmp(spec, "all") == 0;
	size_t n = 0;

	for (size_t i = 0; i < c->count; i++) {
		const struct bl_kernel *k = &c->kernels[i];

		if (all ? !k->ready : !bl_release_matches(k->release, spec))
			continue;
		take[i] = true;
		n++;
	}
	return n;
}

int bl_catalog_select(const struct bl_catalog *c, const char *const *specs,
		      size_t count, const struct bl_kernel ***ret,
		      size_t *ret_count, struct bl_err *err)
{
	bl_autofree bool *take = calloc(c->count + 1, sizeof(*take));
	const struct bl_kernel **list;
	size_t i, n = 0;

	if (!take)
		return no_memory(err);
	for (i = 0; i < count; i++)
		if (!mark(c, specs[i], take))
			return unknown(c, specs[i], err);
	list = calloc(c->count + 1, sizeof(*list));
	if (!list)
		return no_memory(err);
	for (i = 0; i < c->count; i++)
		if (take[i])
			list[n++] = &c->kernels[i];
	*ret = list;
	*ret_count = n;
	return 0;
}

int bl_catalog_pick(const struct bl_catalog *c, const char *spec,
		    const struct bl_kernel **ret, struct bl_err *err)
{
	bl_autofree const struct bl_kernel **list = NULL;
	size_t n = 0;
	int r = bl_catalog_select(c, &spec, 1, &list, &n, err);

	if (r < 0)
		return r;
	assert(n > 0); /* a spec that names no kernel is an error */
	for (size_t i = n; i-- > 0;) {
		if (list[i]->ready) {
			*ret = list[i];
			return 0;
		}
	}
	bl_err_set(err, -ENODEV, "lab kernel %s is not ready: %s",
		   list[n - 1]->release, list[n - 1]->why);
	bl_err_hint(err, "remove %s and run scripts/kernels to fetch it again",
		    list[n - 1]->dir);
	return -ENODEV;
}
