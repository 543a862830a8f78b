/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every door by which JSON of somebody else comes in, and what is carried to
 * it: each is refused with a reason, and what the caller holds is, byte by
 * byte, what it was. A door that reads what other people's programs write takes
 * keys that it does not know; nothing else.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "canary/compare/catalog.h"
#include "canary/compare/document.h"
#include "canary/decide/plan.h"
#include "canary/ledger/protocol.h"
#include "canary/store/etcd_wire.h"
#include "loader/base/buf.h"
#include "loader/base/json.h"
#include "loader/bundle/content.h"
#include "loader/bundle/digest.h"
#include "loader/bundle/manifest.h"
#include "loader/gate/budget.h"
#include "loader/gate/policy/profile.h"
#include "loader/import/misp.h"
#include "loader/oci/credentials.h"
#include "loader/oci/image.h"
#include "loader/trust/metadata.h"
#include "tests/main.h"

#define DEPTH 10000

static union {
	struct bl_manifest manifest;
	struct bl_profile profile;
	struct bl_baseline baseline;
	struct bl_plan plan;
	struct bl_poll poll;
	struct bl_order order;
	struct bl_meta meta;
	struct bl_faults faults;
	struct bl_compare compare;
	struct bl_misp_manifest misp;
	struct bl_etcd_answer etcd;
	struct bl_oci_descriptor oci;
	struct bl_buf buf;
} ret, nothing;

static int manifest(const char *text, size_t len, struct bl_err *err)
{
	return bl_manifest_parse("x", text, len, &ret.manifest, err);
}
static int content(const char *text, size_t len, struct bl_err *err)
{
	return bl_content_compile("x", text, len, &ret.buf, NULL, err);
}
static int profile(const char *text, size_t len, struct bl_err *err)
{
	return bl_profile_parse("x", text, len, &ret.profile, err);
}
static int baseline(const char *text, size_t len, struct bl_err *err)
{
	return bl_baseline_parse("x", text, len, &ret.baseline, err);
}
static int plan(const char *text, size_t len, struct bl_err *err)
{
	return bl_plan_parse("x", text, len, &ret.plan, err);
}
static int report(const char *text, size_t len, struct bl_err *err)
{
	return bl_poll_parse(text, len, &ret.poll, err);
}
static int order(const char *text, size_t len, struct bl_err *err)
{
	return bl_order_parse(text, len, &ret.order, err);
}
static int timestamp(const char *text, size_t len, struct bl_err *err)
{
	return bl_meta_parse("x", text, len, BL_META_TIMESTAMP, &ret.meta, err);
}
static int root(const char *text, size_t len, struct bl_err *err)
{
	return bl_meta_parse("x", text, len, BL_META_ROOT, &ret.meta, err);
}
static int fault_catalogue(const char *text, size_t len, struct bl_err *err)
{
	return bl_faults_parse("x", text, len, &ret.faults, err);
}
static int comparison(const char *text, size_t len, struct bl_err *err)
{
	return bl_compare_parse("x", text, len, &ret.compare, err);
}
static int feed(const char *text, size_t len, struct bl_err *err)
{
	char digest[BL_DIGEST_HEX];

	ck_assert_int_eq(bl_digest(text, len, digest), 0);
	return bl_misp_manifest_read("x", text, len, digest, &ret.misp, err);
}
static int etcd(const char *text, size_t len, struct bl_err *err)
{
	return bl_etcd_answer_read(text, len, &ret.etcd, err);
}
static int oci_manifest(const char *text, size_t len, struct bl_err *err)
{
	return bl_oci_manifest_read("x", text, len, &ret.oci, err);
}
static int oci_index(const char *text, size_t len, struct bl_err *err)
{
	return bl_oci_index_read("x", text, len, &ret.oci, err);
}
static int credentials(const char *text, size_t len, struct bl_err *err)
{
	return bl_credentials_read("x", text, len, "h", "n", &ret.buf, err);
}

/* @first: a member that the door knows, with a value that it takes; NULL: it
 * lets strangers' keys pass, so anything will do. */
static const struct {
	const char *name;
	int (*read)(const char *text, size_t len, struct bl_err *err);
	const char *first;
} doors[] = {
	{ "manifest", manifest, "\"name\":\"a\"" },
	{ "content", content, "\"contract\":2" },
	{ "profile", profile, "\"profile\":\"observe\"" },
	{ "baseline", baseline, "\"format\":1" },
	{ "plan", plan, "\"soak_s\":60" },
	{ "report", report, "\"boot\":\"b\"" },
	{ "order", order, "\"do\":\"nothing\"" },
	{ "timestamp", timestamp, "\"signed\":{}" },
	{ "root", root, "\"signatures\":[]" },
	{ "fault_catalogue", fault_catalogue, "\"format\":1" },
	{ "comparison", comparison, "\"format\":1" },
	{ "feed", feed, NULL },
	{ "etcd", etcd, NULL },
	{ "oci_manifest", oci_manifest, NULL },
	{ "oci_index", oci_index, NULL },
	{ "credentials", credentials, NULL },
};
#define DOORS ((int)(sizeof(doors) / sizeof(doors[0])))

static void put(struct bl_buf *b, const char *text)
{
	ck_assert_int_eq(bl_buf_add(b, text, strlen(text)), 0);
}

static void brackets(struct bl_buf *b, const char *open, const char *close)
{
	for (int i = 0; i < DEPTH; i++)
		put(b, open);
	for (int i = 0; i < DEPTH; i++)
		put(b, close);
}

static void a_key_twice(struct bl_buf *b, const char *first)
{
	put(b, "{");
	put(b, first);
	put(b, ",");
	put(b, first);
	put(b, "}");
}
static void lists_in_lists(struct bl_buf *b, const char *first)
{
	(void)first;
	put(b, "{\"x\":");
	brackets(b, "[", "]");
	put(b, "}");
}
static void objects_in_objects(struct bl_buf *b, const char *first)
{
	(void)first;
	for (int i = 0; i < DEPTH; i++)
		put(b, "{\"x\":");
	put(b, "1");
	for (int i = 0; i < DEPTH; i++)
		put(b, "}");
}
static void brackets_without_an_end(struct bl_buf *b, const char *first)
{
	(void)first;
	for (int i = 0; i < DEPTH; i++)
		put(b, "[");
}
static void nothing_at_all(struct bl_buf *b, const char *first)
{
	(void)b, (void)first;
}
static void a_list(struct bl_buf *b, const char *first)
{
	(void)first;
	put(b, "[[]]");
}
static void something_behind(struct bl_buf *b, const char *first)
{
	put(b, "{");
	put(b, first);
	put(b, "} {}");
}
static void cut_off(struct bl_buf *b, const char *first)
{
	put(b, "{");
	put(b, first);
}
static void a_string_with_its_end_in_it(struct bl_buf *b, const char *first)
{
	(void)first;
	put(b, "{\"x\":\"a\\u0000b\"}");
}
static void a_key_with_its_end_in_it(struct bl_buf *b, const char *first)
{
	put(b, "{");
	ck_assert_int_eq(bl_buf_add(b, first, 3), 0);
	put(b, "\\u0000\":1}");
}
static void half_a_surrogate(struct bl_buf *b, const char *first)
{
	(void)first;
	put(b, "{\"x\":\"\\ud800\"}");
}
static void bytes_that_are_no_text(struct bl_buf *b, const char *first)
{
	(void)first;
	put(b, "{\"x\":\"\xff\xfe\xc0\xaf\"}");
}
static void a_number_beyond_all(struct bl_buf *b, const char *first)
{
	(void)first;
	put(b, "{\"x\":99999999999999999999999999}");
}
static void a_number_that_is_infinite(struct bl_buf *b, const char *first)
{
	(void)first;
	put(b, "{\"x\":1e999}");
}
static void a_comment(struct bl_buf *b, const char *first)
{
	(void)first;
	put(b, "{/* */}");
}

static const struct {
	const char *name;
	void (*write)(struct bl_buf *b, const char *first);
	const char *words;
} loads[] = {
#define CARRIES(what, words)       \
	{                          \
#what, what, words \
	}
	CARRIES(a_key_twice, "duplicate object key"),
	CARRIES(lists_in_lists, "nested deeper"),
	CARRIES(objects_in_objects, "nested deeper"),
	CARRIES(brackets_without_an_end, "nested deeper"),
	CARRIES(nothing_at_all, ""),
	CARRIES(a_list, ""),
	CARRIES(something_behind, "end of file expected"),
	CARRIES(cut_off, ""),
	CARRIES(a_string_with_its_end_in_it, ""),
	CARRIES(a_key_with_its_end_in_it, ""),
	CARRIES(half_a_surrogate, ""),
	CARRIES(bytes_that_are_no_text, ""),
	CARRIES(a_number_beyond_all, ""),
	CARRIES(a_number_that_is_infinite, ""),
	CARRIES(a_comment, ""),
};

START_TEST(json_of_a_stranger_is_refused_and_nothing_changes)
{
	const char *first = doors[_i].first;

	for (size_t i = 0; i < sizeof(loads) / sizeof(loads[0]); i++) {
		bl_autobuf struct bl_buf text = { 0 };
		struct bl_err err = { 0 };
		int r;

		ret = nothing;
		loads[i].write(&text, first ? first : "\"x\":1");
		r = doors[_i].read(bl_buf_str(&text), text.len, &err);
		ck_assert_msg(r < 0, "%s: %s was taken", doors[_i].name,
			      loads[i].name);
		ck_assert_msg(*err.text && strstr(err.text, loads[i].words),
			      "%s: %s: '%s'", doors[_i].name, loads[i].name,
			      err.text);
		ck_assert_msg(memcmp(&ret, &nothing, sizeof(ret)) == 0,
			      "%s: %s left something", doors[_i].name,
			      loads[i].name);
	}
}
END_TEST

/* Where we wrote it, a key that we did not is no slip. */
START_TEST(a_key_that_nobody_knows_is_named)
{
	static const char text[] = "{\"a key of mine\":1}";
	struct bl_err err = { 0 };

	if (!doors[_i].first)
		return;
	ck_assert_int_lt(doors[_i].read(text, strlen(text), &err), 0);
	ck_assert_msg(*err.text, "%s says nothing", doors[_i].name);
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *s = suite_create("json_entries");
	TCase *t = tcase_create("doors");

	tcase_add_loop_test(
		t, json_of_a_stranger_is_refused_and_nothing_changes, 0, DOORS);
	tcase_add_loop_test(t, a_key_that_nobody_knows_is_named, 0, DOORS);
	suite_add_tcase(s, t);
	return s;
}
