/* SPDX-License-Identifier: Apache-2.0 */
/* What is shown to who signs: every difference of two files, and none else. */
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/base/json.h"
#include "loader/trust/change.h"
#include "tests/main.h"

#define A \
	"\"targets\": {\"a\": {\"length\": 3, \"hashes\": {\"sha256\": \"aa\"}}}"
#define FLEET(keys, paths)                                                  \
	"\"delegations\": {\"keys\": {}, \"roles\": [{\"name\": \"fleet\"," \
	"\"keyids\": [" keys "], \"threshold\": 1, \"terminating\": true,"  \
	"\"paths\": [" paths "]}]}"
#define ROOT(keys, threshold)                       \
	"\"roles\": {\"root\": {\"keyids\": [" keys \
	"], \"threshold\": " threshold "}}"

/* A target with these other members. */
#define WITH(more)                                                                    \
	"{\"targets\": {\"a\": {\"length\": 3, \"hashes\": {\"sha256\": \"aa\"}" more \
	"}}}"
#define SERIAL(n) ", \"custom\": {\"belay\": {\"serial\": " n "}}"
#define LINE(serial) \
	"\"digest\": \"aa\", \"size_bytes\": 3, \"serial\": " serial
/* As "replaces" shows it. */
#define SHOWS(was, is, members)                                            \
	"{\"replaces\": [{\"name\": \"a\", " LINE(is) ", \"was\": {" LINE( \
		was) "}, \"members\": [" members "]}]}"
#define TEN   "0123456789"
#define FIFTY TEN TEN TEN TEN TEN

#define LONG_SHA256 \
	"5f34492325208de783cfdf0d85f7b958514bf65582ca96bd4b3e855a1f5cb818"

static const struct {
	enum bl_meta_kind kind;
	const char *was, *is, *shows; /* but for what is empty */
} rows[] = {
	/* Signed again: nothing. */
	{ BL_META_TARGETS, "{\"version\": 1, \"expires\": \"x\", " A "}",
	  "{\"version\": 2, \"expires\": \"y\", " A "}", "{}" },
	{ BL_META_TARGETS, "{" A "}", "{\"targets\": {}}",
	  "{\"removes\": [\"a\"]}" },
	{ BL_META_TARGETS, "{\"targets\": {}}", WITH(SERIAL("7")),
	  "{\"adds\": [{\"name\": \"a\", " LINE("7") ", \"members\": []}]}" },
	/* The same bytes that say something else, too. */
	{ BL_META_TARGETS, WITH(""), WITH(", \"custom\": {}"),
	  SHOWS("0", "0", "{\"path\": \"custom\", \"is\": \"{}\"}") },
	/* With it every release that comes later would be an old one. */
	{ BL_META_TARGETS, WITH(SERIAL("7")), WITH(SERIAL("1000000000")),
	  SHOWS("7", "1000000000", "") },
	{ BL_META_TARGETS, WITH(SERIAL("7")), WITH(""), SHOWS("7", "0", "") },
	/* What a host reads as none is shown as what it is. */
	{ BL_META_TARGETS, WITH(""), WITH(SERIAL("-7")),
	  SHOWS("0", "0",
		"{\"path\": \"custom.belay.serial\", \"is\": \"-7\"}") },
	/* By another name it is not the serial. */
	{ BL_META_TARGETS, WITH(""), WITH(", \"custom.belay.serial\": 7"),
	  SHOWS("0", "0",
		"{\"path\": \"\\\"custom.belay.serial\\\"\", \"is\": \"7\"}") },
	{ BL_META_TARGETS,
	  WITH(", \"custom\": {\"a\": [1, 2], \"b\": {\"c\": 1}}"),
	  WITH(", \"custom\": {\"a\": [2, 1], \"b\": {\"d\": \"\\u001b[2K\\u202e\"}}"),
	  SHOWS("0", "0",
		"{\"path\": \"custom.a\", \"was\": \"[1,2]\", \"is\": \"[2,1]\"},"
		"{\"path\": \"custom.b.c\", \"was\": \"1\"},"
		"{\"path\": \"custom.b.d\","
		" \"is\": \"\\\"\\\\u001B[2K\\\\u202E\\\"\"}") },
	/* Of what is long, what anybody can compute of it. */
	{ BL_META_TARGETS, WITH(""), WITH(", \"x\": \"" FIFTY FIFTY "\""),
	  SHOWS("0", "0",
		"{\"path\": \"x\", \"is\": \"sha256:" LONG_SHA256 "\"}") },
	{ BL_META_TARGETS, "{" A "}",
	  "{\"targets\": {\"a\": {\"length\": 4, \"hashes\":"
	  "{\"sha256\": \"aa\", \"sha512\": \"b\"}}}}",
	  "{\"replaces\": [{\"name\": \"a\", \"digest\": \"aa\", \"size_bytes\": 4,"
	  "\"serial\": 0, \"was\": {" LINE(
		  "0") "}, \"members\":"
		       "[{\"path\": \"hashes.sha512\", \"is\": \"\\\"b\\\"\"}]}]}" },
	{ BL_META_ROOT, "{" ROOT("\"1\", \"2\"", "2") "}",
	  "{" ROOT("\"2\", \"3\"", "1") "}",
	  "{\"keys_added\": [{\"role\": \"root\", \"key\": \"3\"}],"
	  "\"keys_removed\": [{\"role\": \"root\", \"key\": \"1\"}],"
	  "\"thresholds\": [{\"role\": \"root\", \"was\": 2, \"is\": 1}]}" },
	{ BL_META_ROOT, "{" ROOT("\"1\", \"2\"", "2") "}",
	  "{" ROOT("\"2\", \"1\"", "2") "}", "{\"other\": [\"root.keyids\"]}" },
	/* A key that comes with a role, and one that no role has. */
	{ BL_META_ROOT, "{\"keys\": {\"1\": {}}, " ROOT("\"1\"", "1") "}",
	  "{\"keys\": {\"1\": {}, \"2\": {}, \"3\": {}}, " ROOT("\"1\", \"2\"",
								"1") "}",
	  "{\"keys_added\": [{\"role\": \"root\", \"key\": \"2\"}],"
	  "\"other\": [\"keys.3\"]}" },
	/* What a delegated role may speak of is as much as a key. */
	{ BL_META_TARGETS, "{" FLEET("\"1\"", "\"fleet/*\"") "}",
	  "{" FLEET("\"1\"", "\"*\"") "}",
	  "{\"other\": [\"delegations.fleet.paths\"]}" },
	{ BL_META_TARGETS, "{" FLEET("\"1\"", "\"*\"") "}",
	  "{" FLEET("\"2\"", "\"*\"") "}",
	  "{\"keys_added\": [{\"role\": \"fleet\", \"key\": \"2\"}],"
	  "\"keys_removed\": [{\"role\": \"fleet\", \"key\": \"1\"}]}" },
	{ BL_META_TARGETS,
	  "{\"delegations\": {\"keys\": {}, \"roles\": [{\"name\": \"a\"},"
	  "{\"name\": \"b\"}]}}",
	  "{\"delegations\": {\"keys\": {}, \"roles\": [{\"name\": \"b\"},"
	  "{\"name\": \"a\"}]}}",
	  "{\"other\": [\"delegations.order\"]}" },
	{ BL_META_TARGETS, "{}",
	  "{\"delegations\": {\"keys\": {}, \"roles\": []}}",
	  "{\"other\": [\"delegations\"]}" },
	/* And what belay does not know, which is signed all the same. */
	{ BL_META_ROOT, "{\"consistent_snapshot\": true}",
	  "{\"consistent_snapshot\": false, \"x\": 1}",
	  "{\"other\": [\"consistent_snapshot\", \"x\"]}" },
	{ BL_META_ROOT, "{}", "{\"targets\": 1, \"delegations\": {}}",
	  "{\"other\": [\"targets\", \"delegations\"]}" },
	{ BL_META_TARGETS, "{}", "{\"roles\": {\"x\": 1}, \"keys\": {}}",
	  "{\"other\": [\"roles\", \"keys\"]}" },
	/* By a name that would move a terminal's lines: back, and away. */
	{ BL_META_TARGETS, "{}", "{\"\\u001b[1A\\u001b[2K\\nx\": 1}",
	  "{\"other\": [\"\\\"\\\\u001B[1A\\\\u001B[2K\\\\nx\\\"\"]}" },
};

START_TEST(every_difference_is_shown_and_none_else)
{
	bl_autojson json_t *was = json_loads(rows[_i].was, 0, NULL);
	bl_autojson json_t *is = json_loads(rows[_i].is, 0, NULL);
	bl_autojson json_t *want = json_loads(rows[_i].shows, 0, NULL);
	bl_autojson json_t *got = bl_trust_change(rows[_i].kind, was, is);
	bl_autofree char *text = NULL;
	const char *key;
	json_t *list;
	void *next;

	ck_assert(was && is && want && got);
	json_object_foreach_safe(got, next, key, list)
	{
		if (!json_array_size(list))
			json_object_del(got, key);
	}
	text = json_dumps(got, 0);
	ck_assert_msg(json_equal(got, want), "%s: %s", rows[_i].shows, text);
}
END_TEST

/* A role that comes or goes has all that it says. */
START_TEST(a_role_that_is_new_is_shown_whole)
{
	bl_autojson json_t *none = json_object();
	bl_autojson json_t *one =
		json_loads("{" FLEET("\"1\"", "\"*\"") "}", 0, NULL);
	bl_autojson json_t *got =
		_i ? bl_trust_change(BL_META_TARGETS, one, none)
		   : bl_trust_change(BL_META_TARGETS, none, one);
	bl_autofree char *text = json_dumps(got, 0);

	ck_assert_ptr_nonnull(one);
	ck_assert_uint_eq(json_array_size(json_object_get(
				  got, _i ? "keys_removed" : "keys_added")),
			  1);
	ck_assert_uint_eq(json_array_size(json_object_get(got, "thresholds")),
			  1);
	ck_assert_ptr_nonnull(strstr(text, "\"delegations.fleet.paths\""));
	ck_assert_ptr_nonnull(
		strstr(text, "\"delegations.fleet.terminating\""));
}
END_TEST

/* A root and a list of targets with all that the specification knows, and more. */
static const struct {
	enum bl_meta_kind kind;
	const char *body;
} whole[] = {
	{ BL_META_ROOT,
	  "{\"_type\": \"root\", \"spec_version\": \"1.0.31\", \"version\": 1,"
	  "\"expires\": \"x\", \"consistent_snapshot\": true, \"x\": {\"y\": [1]},"
	  "\"keys\": {\"1\": {\"keytype\": \"k\", \"keyval\": {\"public\": \"p\"}},"
	  "\"2\": {\"keytype\": \"k\"}, \"spare\": {\"keytype\": \"k\"}},"
	  "\"roles\": {\"root\": {\"keyids\": [\"1\", \"2\"], \"threshold\": 2,"
	  "\"x\": 1}, \"timestamp\": {\"keyids\": [\"1\"], \"threshold\": 1},"
	  "\"snapshot\": {\"keyids\": [\"1\"], \"threshold\": 1},"
	  "\"targets\": {\"keyids\": [\"2\"], \"threshold\": 1}}}" },
	{ BL_META_TARGETS,
	  "{\"_type\": \"targets\", \"spec_version\": \"1.0.31\", \"version\": 1,"
	  "\"expires\": \"x\", \"x\": {\"y\": [1]}, \"targets\":"
	  "{\"a\": {\"length\": 3, \"hashes\": {\"sha256\": \"aa\", \"sha512\": \"b\"},"
	  "\"x\": null, \"custom\": {\"belay\": {\"serial\": 1, \"x\": {}},"
	  "\"note\": [1, {\"a\": 2}]}}, \"b\": {\"length\": 3,"
	  "\"hashes\": {\"sha256\": \"bb\"}}}, \"delegations\": {\"x\": 1,"
	  "\"keys\": {\"1\": {\"keytype\": \"k\"}, \"spare\": {\"keytype\": \"k\"}},"
	  "\"roles\": [{\"name\": \"fleet\", \"keyids\": [\"1\"], \"threshold\": 1,"
	  "\"terminating\": true, \"paths\": [\"fleet/*\", \"x\"], \"x\": 1},"
	  "{\"name\": \"more\", \"keyids\": [\"1\"], \"threshold\": 1,"
	  "\"terminating\": false, \"path_hash_prefixes\": [\"0\"]}]}}" },
};

/* A value of the same kind that is another one. */
static json_t *another(const json_t *v)
{
	if (json_is_integer(v))
		return json_integer(json_integer_value(v) + 1);
	if (json_is_string(v))
		return json_sprintf("%s-2", json_string_value(v));
	if (json_is_boolean(v))
		return json_boolean(!json_is_true(v));
	return json_integer(5);
}

static bool spend(size_t *n)
{
	return (*n)-- == 0;
}

/* Makes the @n-th of all changes of one thing in @v; false: there are fewer. What
 * is spent goes below 0, and so it is made once. */
static bool change_one(json_t *v, size_t *n, bool top);

static bool change_object(json_t *v, size_t *n, bool top)
{
	const char *key;
	json_t *one;

	if (spend(n))
		return json_object_set_new(v, "zz", json_integer(1)) == 0;
	json_object_foreach (v, key, one) {
		/* Told by who shows it. */
		if (top && (strcmp(key, "version") == 0 ||
			    strcmp(key, "expires") == 0))
			continue;
		if (spend(n))
			return json_object_set_new(v, key, another(one)) == 0;
		if (spend(n))
			return json_object_del(v, key) == 0;
		if (change_one(one, n, false))
			return true;
	}
	return false;
}

static bool change_array(json_t *v, size_t *n)
{
	json_t *one;
	size_t i;

	if (spend(n))
		return json_array_append_new(v, json_string("zz")) == 0;
	json_array_foreach (v, i, one) {
		/* To the front. */
		if (i && spend(n))
			return json_array_insert(v, 0, one) == 0 &&
			       json_array_remove(v, i + 1) == 0;
		if (spend(n))
			return json_array_set_new(v, i, another(one)) == 0;
		if (spend(n))
			return json_array_remove(v, i) == 0;
		if (change_one(one, n, false))
			return true;
	}
	return false;
}

static bool change_one(json_t *v, size_t *n, bool top)
{
	if (json_is_object(v))
		return change_object(v, n, top);
	return json_is_array(v) && change_array(v, n);
}

static void assert_lines(enum bl_meta_kind kind, const json_t *was,
			 const json_t *is)
{
	bl_autojson json_t *got = bl_trust_change(kind, was, is);
	bl_autofree char *text = json_dumps(is, 0), *old = json_dumps(was, 0);
	size_t lines = 0;
	const char *key;
	json_t *list;

	ck_assert_ptr_nonnull(got);
	json_object_foreach (got, key, list)
		lines += json_array_size(list);
	ck_assert_msg(lines, "no line tells\n%s\nfrom\n%s", text, old);
}

/* Each thing in turn is added, changed, moved, taken away; and back again. */
START_TEST(whatever_differs_has_a_line)
{
	bl_autojson json_t *was = json_loads(whole[_i].body, 0, NULL);
	size_t n = 0;

	ck_assert_ptr_nonnull(was);
	for (;; n++) {
		bl_autojson json_t *is = json_deep_copy(was);
		size_t left = n;

		if (!change_one(is, &left, true))
			break;
		ck_assert(!json_equal(was, is));
		assert_lines(whole[_i].kind, was, is);
		assert_lines(whole[_i].kind, is, was);
	}
	ck_assert_uint_gt(n, 80);
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *s = suite_create("trust_change");
	TCase *t = tcase_create("change");

	tcase_add_loop_test(t, every_difference_is_shown_and_none_else, 0,
			    (int)BL_ARRAY_SIZE(rows));
	tcase_add_loop_test(t, a_role_that_is_new_is_shown_whole, 0, 2);
	tcase_add_loop_test(t, whatever_differs_has_a_line, 0,
			    (int)BL_ARRAY_SIZE(whole));
	suite_add_tcase(s, t);
	return s;
}
