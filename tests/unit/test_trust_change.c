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

static const struct {
	const char *was, *is, *shows; /* but for what is empty */
} rows[] = {
	/* Signed again: nothing. */
	{ "{\"version\": 1, \"expires\": \"x\", " A "}",
	  "{\"version\": 2, \"expires\": \"y\", " A "}", "{}" },
	{ "{" A "}", "{\"targets\": {}}", "{\"removes\": [\"a\"]}" },
	{ "{\"targets\": {}}", "{" A "}",
	  "{\"adds\": [{\"name\": \"a\", \"digest\": \"aa\", \"size_bytes\": 3}]}" },
	/* The same bytes that say something else, too. */
	{ "{" A "}",
	  "{\"targets\": {\"a\": {\"length\": 3, \"hashes\": {\"sha256\": \"aa\"},"
	  "\"custom\": {}}}}",
	  "{\"replaces\": [{\"name\": \"a\", \"digest\": \"aa\", \"size_bytes\": 3}]}" },
	{ "{" ROOT("\"1\", \"2\"", "2") "}", "{" ROOT("\"2\", \"3\"", "1") "}",
	  "{\"keys_added\": [{\"role\": \"root\", \"key\": \"3\"}],"
	  "\"keys_removed\": [{\"role\": \"root\", \"key\": \"1\"}],"
	  "\"thresholds\": [{\"role\": \"root\", \"was\": 2, \"is\": 1}]}" },
	/* What a delegated role may speak of is as much as a key. */
	{ "{" FLEET("\"1\"", "\"fleet/*\"") "}",
	  "{" FLEET("\"1\"", "\"*\"") "}",
	  "{\"other\": [\"delegations.fleet.paths\"]}" },
	{ "{" FLEET("\"1\"", "\"*\"") "}", "{" FLEET("\"2\"", "\"*\"") "}",
	  "{\"keys_added\": [{\"role\": \"fleet\", \"key\": \"2\"}],"
	  "\"keys_removed\": [{\"role\": \"fleet\", \"key\": \"1\"}]}" },
	{ "{\"delegations\": {\"keys\": {}, \"roles\": [{\"name\": \"a\"},"
	  "{\"name\": \"b\"}]}}",
	  "{\"delegations\": {\"keys\": {}, \"roles\": [{\"name\": \"b\"},"
	  "{\"name\": \"a\"}]}}",
	  "{\"other\": [\"delegations.order\"]}" },
	/* And what belay does not know, which is signed all the same. */
	{ "{\"consistent_snapshot\": true}",
	  "{\"consistent_snapshot\": false, \"x\": 1}",
	  "{\"other\": [\"consistent_snapshot\", \"x\"]}" },
	/* By a name that would move a terminal's lines: back, and away. */
	{ "{}", "{\"\\u001b[1A\\u001b[2K\\nx\": 1}",
	  "{\"other\": [\" [1A [2K x\"]}" },
};

START_TEST(every_difference_is_shown_and_none_else)
{
	bl_autojson json_t *was = json_loads(rows[_i].was, 0, NULL);
	bl_autojson json_t *is = json_loads(rows[_i].is, 0, NULL);
	bl_autojson json_t *want = json_loads(rows[_i].shows, 0, NULL);
	bl_autojson json_t *got = bl_trust_change(was, is);
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
	bl_autojson json_t *got = _i ? bl_trust_change(one, none)
				     : bl_trust_change(none, one);
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

Suite *bl_test_suite(void)
{
	Suite *s = suite_create("trust_change");
	TCase *t = tcase_create("change");

	tcase_add_loop_test(t, every_difference_is_shown_and_none_else, 0,
			    (int)BL_ARRAY_SIZE(rows));
	tcase_add_loop_test(t, a_role_that_is_new_is_shown_whole, 0, 2);
	suite_add_tcase(s, t);
	return s;
}
