/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/gate/core/core_words.h"

#include <errno.h>
#include <string.h>

#include "loader/base/cleanup.h"

#define SIMILAR_MAX 4096 /* members that are looked at for a similar name */

/* "struct task_struct" and "mm.pgd", as far as the access goes that failed. */
struct names {
	struct bl_buf type, path;
};

static void names_free(struct names *n)
{
	bl_buf_free(&n->type);
	bl_buf_free(&n->path);
}

static int name_all(const struct bl_core_case *c, struct names *n)
{
	unsigned steps = c->result->why == BL_CORE_WHY_NO_STEP ||
					 c->result->why == BL_CORE_WHY_OTHER
				 ? c->result->fits + 1
				 : BL_CORE_DEPTH_MAX;
	struct bl_core_spec spec;
	int r = bl_core_type_words(c->local, c->relo->type, &n->type);

	if (r == 0 && bl_core_spec_read(c->local, c->relo, &spec) == 0)
		r = bl_core_path_words(&spec, steps, &n->path);
	return r;
}

static int say_what(const struct bl_core_case *c, const struct names *n,
		    struct bl_buf *ret)
{
	const char *type = bl_buf_str(&n->type), *path = bl_buf_str(&n->path);
	bool value = bl_core_class(c->relo->kind) == BL_CORE_ENUM;

	switch (c->result->why) {
	case BL_CORE_WHY_NO_TYPE:
		return bl_buf_printf(ret, "there is no %s", type);
	case BL_CORE_WHY_NO_STEP:
		return bl_buf_printf(ret, "%s has no %s\"%s\"", type,
				     value ? "value " : "", path);
	case BL_CORE_WHY_OTHER:
		return bl_buf_printf(
			ret, "\"%s\" of %s has become another kind of type",
			path, type);
	case BL_CORE_WHY_SIZE:
		return bl_buf_printf(
			ret,
			"\"%s\" of %s has %u bytes, not %u, and is read directly",
			path, type, c->result->size[1], c->result->size[0]);
	case BL_CORE_WHY_AMBIGUOUS:
		return bl_buf_printf(
			ret, "there are several %s and they differ in \"%s\"",
			type, path);
	case BL_CORE_WHY_FAR:
		return bl_buf_printf(
			ret,
			"\"%s\" of %s lies too far from its beginning to be read directly",
			path, type);
	case BL_CORE_WHY_BITFIELD:
		return bl_buf_printf(
			ret,
			"\"%s\" of %s is a bitfield that no integer holds whole",
			path, type);
	case BL_CORE_WHY_UNNAMED:
		return bl_buf_printf(
			ret, "%s cannot be looked for, since it has no name",
			type);
	default:
		return bl_buf_printf(
			ret,
			"a relocation of %s does not fit the object's own types and code",
			type);
	}
}

static int say_reach(const struct bl_core_case *c, struct bl_buf *ret)
{
	if (c->result->outcome == BL_CORE_REFUSED)
		return bl_buf_printf(ret, ": no loader takes the object");
	if (c->reach == BL_CORE_MAYBE && c->global)
		return bl_buf_printf(
			ret,
			", and kernels before 6.8 verify that global function even if nothing calls it");
	if (c->reach == BL_CORE_MAYBE)
		return bl_buf_printf(
			ret,
			", and whether the program gets there is not known before it is loaded");
	if (c->result->why == BL_CORE_WHY_NO_TYPE && c->modules)
		return bl_buf_printf(ret,
				     ", unless a module that is loaded has it");
	return bl_buf_printf(ret, ", and nothing guards the access");
}

int bl_core_message(const struct bl_core_case *c, struct bl_buf *ret)
{
	BL_CLEANUP(names_free) struct names n = { 0 };
	int r = name_all(c, &n);

	if (r == 0)
		r = say_what(c, &n, ret);
	if (r == 0 && c->function)
		r = bl_buf_printf(ret, " (in %s)", c->function);
	return r < 0 ? r : say_reach(c, ret);
}

/* "state" and "__state": equal but for underscores. */
static bool similar(const char *a, const char *b)
{
	for (;; a++, b++) {
		a += strspn(a, "_");
		b += strspn(b, "_");
		if (*a != *b)
			return false;
		if (!*a)
			return true;
	}
}

/* What the kernel may call the missing member now; NULL if nothing suggests
 * itself. */
static const char *find_similar(const struct bl_core_case *c)
{
	struct bl_btf_type t = bl_btf_resolve(c->target, c->result->in);
	struct bl_core_spec spec;
	unsigned i;

	if (bl_core_class(c->relo->kind) != BL_CORE_FIELD ||
	    bl_core_spec_read(c->local, c->relo, &spec) < 0 ||
	    c->result->fits >= spec.count || !spec.steps[c->result->fits].name)
		return NULL;
	for (i = 0; i < t.count && i < SIMILAR_MAX; i++) {
		const char *name = bl_btf_member(c->target, &t, i).name;

		if (strnlen(name, BL_CORE_NAME_MAX + 1) <= BL_CORE_NAME_MAX &&
		    similar(spec.steps[c->result->fits].name, name))
			return name;
	}
	return NULL;
}

static const char *const hints[] = {
	[BL_CORE_WHY_NO_TYPE] = "guard it with bpf_core_type_exists()",
	[BL_CORE_WHY_NO_STEP] = "guard it with bpf_core_field_exists()",
	[BL_CORE_WHY_OTHER] =
		"declare the other type as a flavor (struct x___new), and ask with bpf_core_field_exists() which one it is",
	[BL_CORE_WHY_SIZE] =
		"read it with BPF_CORE_READ_INTO() or bpf_core_read() and bpf_core_field_size()",
	[BL_CORE_WHY_AMBIGUOUS] =
		"the kernel was built with two types of one name; read what they have in common",
	[BL_CORE_WHY_FAR] = "read it with BPF_CORE_READ()",
	[BL_CORE_WHY_BITFIELD] = "read the bytes around it instead",
	[BL_CORE_WHY_UNNAMED] = "give the type a name",
	[BL_CORE_WHY_DAMAGED] = "build the object again",
};

int bl_core_hint(const struct bl_core_case *c, struct bl_buf *ret)
{
	enum bl_core_why why = c->result->why;
	const char *name;

	if (why == BL_CORE_WHY_NO_STEP) {
		name = find_similar(c);
		if (name)
			return bl_buf_printf(
				ret,
				"it has \"%s\": declare a flavor with that member and ask with bpf_core_field_exists() which one it is",
				name);
		if (bl_core_class(c->relo->kind) == BL_CORE_ENUM)
			return bl_buf_printf(
				ret,
				"guard it with bpf_core_enum_value_exists()");
	}
	if (why < BL_ARRAY_SIZE(hints) && hints[why])
		return bl_buf_printf(ret, "%s", hints[why]);
	return 0;
}
