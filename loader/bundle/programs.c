/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/bundle/programs.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "loader/base/cleanup.h"

struct raw {
	const char *strategy, *cgroup, *interface;
	bool lease;
};

static const struct bl_json_field fields[] = {
	{ "strategy", BL_JSON_STRING, false, offsetof(struct raw, strategy), 1,
	  16 },
	{ "lease", BL_JSON_BOOL, false, offsetof(struct raw, lease), 0, 0 },
	{ "cgroup", BL_JSON_STRING, false, offsetof(struct raw, cgroup), 1,
	  BL_CGROUP_PATH_MAX },
	{ "interface", BL_JSON_STRING, false, offsetof(struct raw, interface),
	  1, BL_INTERFACE_NAME_MAX },
};

static const char *const strategies[] = {
	[BL_PROGRAM_DISPATCH] = "dispatch",
	[BL_PROGRAM_REPLACE] = "replace",
	[BL_PROGRAM_OVERLAP] = "overlap",
};

static bool identifier(const char *s)
{
	size_t len = strspn(s, "abcdefghijklmnopqrstuvwxyz"
			       "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");

	return len && len <= BL_PROGRAM_NAME_MAX && !s[len] &&
	       !isdigit((unsigned char)*s);
}

/* "/", or "/a/b": no empty, "." or ".." component, nothing that is not text. */
static bool cgroup_path(const char *s)
{
	if (*s != '/')
		return false;
	if (!s[1])
		return true;
	while (*s) {
		size_t len = strcspn(++s, "/");

		if (!len || (len == 1 && *s == '.') ||
		    (len == 2 && !strncmp(s, "..", 2)))
			return false;
		for (; len; len--, s++)
			if (!isgraph((unsigned char)*s))
				return false;
	}
	return true;
}

static bool interface_name(const char *s)
{
	if (!strcmp(s, ".") || !strcmp(s, ".."))
		return false;
	for (; *s; s++)
		if (!isgraph((unsigned char)*s) || *s == '/' || *s == ':' ||
		    *s == '%')
			return false;
	return true;
}

static int strategy_of(const char *name, enum bl_program_strategy *ret)
{
	for (size_t i = BL_PROGRAM_DISPATCH; i < BL_ARRAY_SIZE(strategies); i++)
		if (!strcmp(strategies[i], name)) {
			*ret = (enum bl_program_strategy)i;
			return 0;
		}
	return -1;
}

static int fail(const struct bl_json_doc *doc, const char *path,
		const char *key, const char *why, struct bl_err *err)
{
	char at[BL_JSON_PATH_MAX];

	snprintf(at, sizeof(at), "%s.%s", path, key);
	return bl_json_fail(doc, at, err, "%s", why);
}

static int read_one(const struct bl_json_doc *doc, const char *path,
		    const json_t *value, struct bl_manifest_program *p,
		    struct bl_err *err)
{
	struct raw raw = { .lease = true };
	int r;

	if (!json_is_object(value))
		return bl_json_fail(doc, path, err, "an object was expected");
	r = bl_json_read(doc, value, path, fields, BL_ARRAY_SIZE(fields), &raw,
			 err);
	if (r < 0)
		return r;
	if (raw.strategy && strategy_of(raw.strategy, &p->strategy))
		return fail(doc, path, "strategy",
			    "no strategy (known: dispatch, replace, overlap)",
			    err);
	if (raw.cgroup && !cgroup_path(raw.cgroup))
		return fail(
			doc, path, "cgroup",
			"not a path of a cgroup (\"/\" is the root; no '.', no '..', no spaces)",
			err);
	if (raw.interface && !interface_name(raw.interface))
		return fail(doc, path, "interface",
			    "not a name of a network interface", err);
	if (raw.cgroup && raw.interface)
		return fail(doc, path, "interface",
			    "a program is on a cgroup or on an interface", err);
	p->no_lease = !raw.lease;
	snprintf(p->cgroup, sizeof(p->cgroup), "%s",
		 raw.cgroup ? raw.cgroup : "");
	snprintf(p->interface, sizeof(p->interface), "%s",
		 raw.interface ? raw.interface : "");
	return 0;
}

int bl_programs_read(const struct bl_json_doc *doc, const json_t *obj,
		     struct bl_manifest_programs *ret, struct bl_err *err)
{
	struct bl_manifest_programs all = { .count = 0 };
	const char *name;
	json_t *value;

	if (json_object_size(obj) > BL_MANIFEST_PROGRAMS_MAX)
		return bl_json_fail(doc, "programs", err,
				    "more than %d programs",
				    BL_MANIFEST_PROGRAMS_MAX);
	json_object_foreach ((json_t *)(uintptr_t)obj, name, value) {
		struct bl_manifest_program *p = &all.list[all.count];
		char path[BL_JSON_PATH_MAX];
		int r;

		if (!identifier(name))
			return bl_json_fail(
				doc, "programs", err,
				"'%.80s' is not a name of a program (letters, digits and _; at most %d)",
				name, BL_PROGRAM_NAME_MAX);
		snprintf(path, sizeof(path), "programs.%s", name);
		r = read_one(doc, path, value, p, err);
		if (r < 0)
			return r;
		snprintf(p->name, sizeof(p->name), "%s", name);
		all.count++;
	}
	*ret = all;
	return 0;
}
