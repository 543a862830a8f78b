/* SPDX-License-Identifier: Apache-2.0 */
/* Signed metadata: canonical form, signatures, what is read and what counts. */
#include <errno.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/trust/canon.h"
#include "tests/main.h"
#include "tests/support/tuf.h"

static struct tuf tuf;
static struct bl_meta m, root;
static struct bl_err err;

static void setup(void)
{
	tuf_open(&tuf);
	err = (struct bl_err){ 0 };
}

static void teardown(void)
{
	bl_meta_free(&m);
	bl_meta_free(&root);
	tuf_close(&tuf);
}

static void assert_canon(const char *json, const char *text)
{
	bl_autojson json_t *v = json_loads(json, JSON_DECODE_ANY, NULL);
	bl_autobuf struct bl_buf b = { 0 };

	ck_assert_ptr_nonnull(v);
	ck_assert_int_eq(bl_canon(v, &b, NULL), 0);
	ck_assert_str_eq(bl_buf_str(&b), text);
}

START_TEST(one_value_has_one_text)
{
	assert_canon("{ \"b\" : 1, \"a\" : [ true, false, null, -7 ] }",
		     "{\"a\":[true,false,null,-7],\"b\":1}");
	assert_canon("\"say \\\"a\\\\b\\\"\"", "\"say \\\"a\\\\b\\\"\"");
	assert_canon("[\"\\u00fc\\n\\/\"]", "[\"\xc3\xbc\n/\"]");
	assert_canon("{\"\\u00fc\":1, \"z\":2, \"Z\":3}",
		     "{\"Z\":3,\"z\":2,\"\xc3\xbc\":1}");
	assert_canon("{}", "{}");
	assert_canon("[]", "[]");
}
END_TEST

START_TEST(a_fraction_has_none)
{
	bl_autojson json_t *v = json_loads("{\"a\":[1,2.5]}", 0, NULL);
	bl_autobuf struct bl_buf b = { 0 };

	bl_buf_add(&b, "before", 6);
	ck_assert_int_eq(bl_canon(v, &b, &err), BL_TRUST_MALFORMED);
	ck_assert_str_eq(bl_buf_str(&b), "before");
	ck_assert_ptr_nonnull(strstr(err.text, "fraction"));
}
END_TEST

/* RFC 8032, 7.1, test 2. */
START_TEST(a_signature_is_that_of_the_standard)
{
	static const char secret[] =
		"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb";
	static const char public[] =
		"3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c";
	static const char sig[] =
		"92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00";
	struct bl_ed25519 key;
	char own[BL_ED25519_SIG_HEX];

	ck_assert_int_eq(bl_ed25519_of(secret, &key), 0);
	ck_assert_str_eq(key.public, public);
	ck_assert_int_eq(bl_ed25519_sign(&key, "\x72", 1, own), 0);
	ck_assert_str_eq(own, sig);
	ck_assert(bl_ed25519_good(public, sig, "\x72", 1));
	ck_assert(!bl_ed25519_good(public, sig, "\x73", 1));
	ck_assert(!bl_ed25519_good(public, "92A0", "\x72", 1));
	ck_assert_int_eq(bl_ed25519_of("4CCD", &key), -EINVAL);
}
END_TEST

/* The identity and other points of small order verify what nobody signed. */
START_TEST(a_key_that_anybody_can_sign_with_signs_nothing)
{
	static const char identity[] =
		"0100000000000000000000000000000000000000000000000000000000000000";
	static const char sig[] =
		"01000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000";

	ck_assert(!bl_ed25519_good(identity, sig, "anything", 8));
}
END_TEST

static int parse(const char *text, enum bl_meta_kind kind)
{
	bl_meta_free(&m);
	err = (struct bl_err){ 0 };
	return bl_meta_parse("m.json", text, strlen(text), kind, &m, &err);
}

/* The body, signed by @keys and read; whether enough of the root's sign. */
static int signed_by(const json_t *body, unsigned keys, const char *role)
{
	bl_autofree char *text = tuf_sign(&tuf, body, keys);
	bl_autofree char *top = tuf_sign(&tuf, tuf.root, 0);

	bl_meta_free(&root);
	ck_assert_int_eq(bl_meta_parse("root.json", top, strlen(top),
				       BL_META_ROOT, &root, NULL),
			 0);
	ck_assert_int_eq(parse(text, strcmp(role, "root") == 0
					     ? BL_META_ROOT
					     : BL_META_TARGETS),
			 0);
	return bl_meta_signed_by(&m, &root, role, &err);
}

START_TEST(what_is_published_is_read)
{
	struct bl_meta_target target;
	struct bl_meta_file file;
	bool terminating = false;

	ck_assert_int_eq(
		parse(tuf_get(&tuf, "metadata/1.root.json"), BL_META_ROOT), 0);
	ck_assert_int_eq(m.version, 1);
	ck_assert_int_eq(m.expires_s, 1801440000);
	ck_assert(m.consistent);
	ck_assert_int_eq(parse(tuf_get(&tuf, "metadata/1.targets.json"),
			       BL_META_TARGETS),
			 0);
	ck_assert(bl_meta_target(&m, TUF_TARGET, &target));
	ck_assert_int_eq(target.length, strlen(TUF_BYTES));
	ck_assert_str_eq(target.path, TUF_TARGET);
	ck_assert(!bl_meta_target(&m, "another", &target));
	ck_assert_str_eq(bl_meta_delegation(&m, 0, &terminating), "fleet");
	ck_assert(terminating);
	ck_assert_ptr_null(bl_meta_delegation(&m, 1, &terminating));
	ck_assert(bl_meta_delegates(&m, 0, "fleet/x"));
	ck_assert(!bl_meta_delegates(&m, 0, TUF_TARGET));
	ck_assert_int_eq(parse(tuf_get(&tuf, "metadata/timestamp.json"),
			       BL_META_TIMESTAMP),
			 0);
	ck_assert(bl_meta_file(&m, "snapshot.json", &file));
	ck_assert_int_eq(file.version, 1);
}
END_TEST

START_TEST(keys_count_and_not_signatures)
{
	ck_assert_int_eq(signed_by(tuf.root, TUF_ROOT_KEYS, "root"), 0);
	ck_assert_int_eq(signed_by(tuf.root,
				   TUF_KEY(TUF_ROOT_1) | TUF_KEY(TUF_ROOT_3),
				   "root"),
			 0);
	ck_assert_int_eq(signed_by(tuf.root,
				   TUF_KEY(TUF_ROOT_1) |
					   TUF_KEY(TUF_TARGETS_1) |
					   TUF_KEY(TUF_STRANGER),
				   "root"),
			 BL_TRUST_SIGNATURE);
	ck_assert_ptr_nonnull(strstr(
		err.text,
		"signed by 1 of the keys of the role 'root', and 2 must"));
	ck_assert_int_eq(signed_by(tuf.root, 0, "root"), BL_TRUST_SIGNATURE);
	ck_assert_int_eq(signed_by(tuf.targets, TUF_TARGETS_KEYS, "nobody"),
			 BL_TRUST_SIGNATURE);
}
END_TEST

/* A second name for a key: anything more in its object makes another SHA-256. */
START_TEST(one_key_under_two_names_counts_once)
{
	json_t *ids = json_object_get(
		json_object_get(json_object_get(tuf.root, "roles"), "root"),
		"keyids");
	json_t *keys = json_object_get(tuf.root, "keys"), *list;
	bl_autojson json_t *id = tuf_keyid(&tuf, TUF_ROOT_1);
	bl_autojson json_t *envelope = NULL;
	bl_autofree char *text = NULL, *again = NULL;
	json_t *twin = tuf_key(&tuf, TUF_ROOT_1);
	char name[BL_DIGEST_HEX];

	json_object_set_new(twin, "note", json_string("me again"));
	ck_assert_int_eq(bl_canon_digest(twin, name, NULL), 0);
	json_object_set_new(keys, name, twin);
	json_array_append_new(ids, json_string(name));

	text = tuf_sign(&tuf, tuf.root, TUF_KEY(TUF_ROOT_1));
	envelope = json_loads(text, 0, NULL);
	list = json_object_get(envelope, "signatures");
	json_array_append_new(
		list,
		json_pack("{s:s, s:O}", "keyid", name, "sig",
			  json_object_get(json_array_get(list, 0), "sig")));
	json_array_append(list, json_array_get(list, 0));
	again = json_dumps(envelope, 0);
	ck_assert_int_eq(parse(again, BL_META_ROOT), 0);
	ck_assert_int_eq(bl_meta_signed_by(&m, &m, "root", &err),
			 BL_TRUST_SIGNATURE);
	ck_assert_ptr_nonnull(strstr(err.text, "signed by 1 of"));
}
END_TEST

START_TEST(keys_of_other_kinds_are_passed_over)
{
	json_t *other = json_pack("{s:s, s:s, s:{s:s}}", "keytype", "rsa",
				  "scheme", "rsassa-pss-sha256", "keyval",
				  "public", "-----BEGIN PUBLIC KEY-----");
	char name[BL_DIGEST_HEX];

	ck_assert_int_eq(bl_canon_digest(other, name, NULL), 0);
	json_object_set_new(json_object_get(tuf.root, "keys"), name, other);
	ck_assert_int_eq(signed_by(tuf.root, TUF_ROOT_KEYS, "root"), 0);
}
END_TEST

START_TEST(fields_of_tomorrow_are_let_be_and_signed)
{
	bl_autofree char *text = NULL;
	char *at;

	json_object_set_new(tuf.root, "x-later", json_string("hello"));
	ck_assert_int_eq(signed_by(tuf.root, TUF_ROOT_KEYS, "root"), 0);
	text = tuf_sign(&tuf, tuf.root, TUF_ROOT_KEYS);
	at = strstr(text, "hello");
	ck_assert_ptr_nonnull(at);
	*at = 'j';
	ck_assert_int_eq(parse(text, BL_META_ROOT), 0);
	ck_assert_int_eq(bl_meta_signed_by(&m, &root, "root", &err),
			 BL_TRUST_SIGNATURE);
}
END_TEST

/* What is put at a path of a body, and what a person reads. */
static const struct {
	const char *what, *role, *at, *json, *says;
	int code;
} mistakes[] = {
	{ "no version", "root", "version", NULL, "'version' is missing",
	  BL_TRUST_MALFORMED },
	{ "version 0", "root", "version", "0", "outside 1",
	  BL_TRUST_MALFORMED },
	{ "a version in words", "root", "version", "\"1\"",
	  "a whole number was expected", BL_TRUST_MALFORMED },
	{ "a fraction", "root", "x", "1.5", "fraction", BL_TRUST_MALFORMED },
	{ "a date without a time", "root", "expires", "\"2027-02-01\"",
	  "not a time like", BL_TRUST_MALFORMED },
	{ "the 31st of February", "root", "expires", "\"2027-02-31T00:00:00Z\"",
	  "not a time like", BL_TRUST_MALFORMED },
	{ "a zone of its own", "root", "expires",
	  "\"2027-02-01T00:00:00+01:00\"", "not a time like",
	  BL_TRUST_MALFORMED },
	{ "another type", "root", "_type", "\"targets\"", "'root' was expected",
	  BL_TRUST_KIND },
	{ "the next specification", "root", "spec_version", "\"2.0.0\"",
	  "version 2.0.0", BL_TRUST_SPEC },
	{ "the specification after ten", "root", "spec_version", "\"10.0.0\"",
	  "version 10.0.0", BL_TRUST_SPEC },
	{ "a specification in words", "root", "spec_version", "\"one\"",
	  "no version", BL_TRUST_MALFORMED },
	{ "keys in a list", "root", "keys", "[]", "an object was expected",
	  BL_TRUST_MALFORMED },
	{ "a key by another name", "root", "keys",
	  "{\"00\":{\"keytype\":\"ed25519\",\"scheme\":\"ed25519\",\"keyval\":{\"public\":\"00\"}}}",
	  "called by the SHA-256", BL_TRUST_MALFORMED },
	{ "a fifth role", "root", "roles.mirrors", "{}", "and no others",
	  BL_TRUST_MALFORMED },
	{ "threshold 0", "root", "roles.root.threshold", "0", "outside 1",
	  BL_TRUST_MALFORMED },
	{ "a threshold out of reach", "root", "roles.root.threshold", "4",
	  "4 keys must sign, and it has only 3", BL_TRUST_MALFORMED },
	{ "nobody's key", "root", "roles.root.keyids", "[\"00\"]",
	  "no key of that name", BL_TRUST_MALFORMED },
	{ "a snapshot of nothing", "snapshot", "meta", "{}", "0 files",
	  BL_TRUST_MALFORMED },
	{ "a snapshot without targets", "snapshot", "meta",
	  "{\"a.json\":{\"version\":1}}", "speaks of targets.json",
	  BL_TRUST_MALFORMED },
	{ "a file out of its folder", "snapshot", "meta",
	  "{\"targets.json\":{\"version\":1},\"../a.json\":{\"version\":1}}",
	  "no name of a file", BL_TRUST_NAME },
	{ "a hash of no length", "snapshot", "meta",
	  "{\"targets.json\":{\"version\":1,\"hashes\":{\"sha256\":\"ab\"}}}",
	  "64 digits", BL_TRUST_MALFORMED },
	{ "a timestamp of two files", "timestamp", "meta",
	  "{\"snapshot.json\":{\"version\":1},\"b.json\":{\"version\":1}}",
	  "2 files", BL_TRUST_MALFORMED },
	{ "a timestamp of another file", "timestamp", "meta",
	  "{\"b.json\":{\"version\":1}}", "speaks of snapshot.json",
	  BL_TRUST_MALFORMED },
	{ "a target above", "targets", "targets",
	  "{\"../../etc/passwd\":{\"length\":1,\"hashes\":{\"sha256\":\"00\"}}}",
	  "below its folder", BL_TRUST_NAME },
	{ "a target at the root", "targets", "targets",
	  "{\"/etc/passwd\":{\"length\":1,\"hashes\":{\"sha256\":\"00\"}}}",
	  "below its folder", BL_TRUST_NAME },
	{ "a target of no hash", "targets", "targets",
	  "{\"a\":{\"length\":1,\"hashes\":{\"md5\":\"00\"}}}",
	  "'sha256' is missing", BL_TRUST_MALFORMED },
	{ "a target of negative length", "targets", "targets",
	  "{\"a\":{\"length\":-1,\"hashes\":{\"sha256\":\"00\"}}}", "outside 0",
	  BL_TRUST_MALFORMED },
	{ "a delegation to the top", "targets", "delegations.roles",
	  "[{\"name\":\"root\",\"terminating\":true,\"paths\":[],\"keyids\":[],\"threshold\":1}]",
	  "no name for a delegated role", BL_TRUST_NAME },
	{ "a delegation out of the folder", "targets", "delegations.roles",
	  "[{\"name\":\"../x\",\"terminating\":true,\"paths\":[],\"keyids\":[],\"threshold\":1}]",
	  "no name for a delegated role", BL_TRUST_NAME },
	{ "a delegation of two kinds", "targets", "delegations.roles",
	  "[{\"name\":\"x\",\"terminating\":true,\"paths\":[],\"path_hash_prefixes\":[],\"keyids\":[],\"threshold\":1}]",
	  "either 'paths' or", BL_TRUST_MALFORMED },
	{ "a pattern of another language", "targets", "delegations.roles",
	  "[{\"name\":\"x\",\"terminating\":true,\"paths\":[\"[a-z]\"],\"keyids\":[],\"threshold\":1}]",
	  "element 0", BL_TRUST_MALFORMED },
};

static json_t *body_of(const char *role)
{
	return strcmp(role, "root") == 0	? tuf.root
	       : strcmp(role, "snapshot") == 0	? tuf.snapshot
	       : strcmp(role, "timestamp") == 0 ? tuf.timestamp
						: tuf.targets;
}

/* Sets the member at "a.b.c"; NULL: removes it. */
static void set(json_t *v, const char *at, const char *json)
{
	const char *dot;

	while ((dot = strchr(at, '.'))) {
		bl_autofree char *key = strndup(at, (size_t)(dot - at));

		v = json_object_get(v, key);
		at = dot + 1;
	}
	if (json)
		json_object_set_new(v, at,
				    json_loads(json, JSON_DECODE_ANY, NULL));
	else
		json_object_del(v, at);
}

START_TEST(a_mistake_is_named)
{
	json_t *body = body_of(mistakes[_i].role);
	enum bl_meta_kind kind = 0;
	bl_autofree char *text = NULL;

	while (strcmp(bl_meta_kind_name(kind), mistakes[_i].role) != 0)
		kind++;
	set(body, mistakes[_i].at, mistakes[_i].json);
	if (strcmp(mistakes[_i].at, "x") == 0) {
		bl_autojson json_t *all =
			json_pack("{s:[], s:O}", "signatures", "signed", body);

		text = json_dumps(all, 0);
	} else {
		text = tuf_sign(&tuf, body, 0);
	}
	ck_assert_msg(parse(text, kind) == mistakes[_i].code, "%s: %d: %s",
		      mistakes[_i].what, err.code, err.text);
	ck_assert_msg(strstr(err.text, mistakes[_i].says), "%s: %s",
		      mistakes[_i].what, err.text);
	ck_assert_ptr_null(m.body);
}
END_TEST

START_TEST(patterns_do_not_cross_folders)
{
	static const struct {
		const char *pattern, *path;
		bool match;
	} t[] = {
		{ "a", "a", true },
		{ "a", "b", false },
		{ "*", "abc", true },
		{ "*", "a/b", false },
		{ "a*c", "abbc", true },
		{ "a*c", "ab/c", false },
		{ "a*/c", "ab/c", true },
		{ "?", "a", true },
		{ "?", "/", false },
		{ "*/*.x", "a/b.x", true },
		{ "*/*.x", "a/b/c.x", false },
		{ "*.x*", "a.x.x", true },
		{ "a/**", "a/b", true },
		{ "fleet/*", "fleet/", true },
		{ "fleet/*", "fleet", false },
	};

	for (size_t i = 0; i < BL_ARRAY_SIZE(t); i++)
		ck_assert_msg(bl_meta_pattern_matches(t[i].pattern,
						      t[i].path) == t[i].match,
			      "%s %s", t[i].pattern, t[i].path);
}
END_TEST

START_TEST(names_stay_below)
{
	static const char *const good[] = { "a", "a/b.c", "x-1/y+2/z_3" };
	static const char *const bad[] = { "",	  "/a",	  "a/",	  "a//b",
					   "..",  "../a", "a/..", "./a",
					   "a b", "-a",	  "a\\b", "a\nb" };

	for (size_t i = 0; i < BL_ARRAY_SIZE(good); i++)
		ck_assert_msg(bl_meta_path_valid(good[i]), "%s", good[i]);
	for (size_t i = 0; i < BL_ARRAY_SIZE(bad); i++)
		ck_assert_msg(!bl_meta_path_valid(bad[i]), "%s", bad[i]);
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *s = suite_create("trust_metadata");
	TCase *t = tcase_create("metadata");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, one_value_has_one_text);
	tcase_add_test(t, a_fraction_has_none);
	tcase_add_test(t, a_signature_is_that_of_the_standard);
	tcase_add_test(t, a_key_that_anybody_can_sign_with_signs_nothing);
	tcase_add_test(t, what_is_published_is_read);
	tcase_add_test(t, keys_count_and_not_signatures);
	tcase_add_test(t, one_key_under_two_names_counts_once);
	tcase_add_test(t, keys_of_other_kinds_are_passed_over);
	tcase_add_test(t, fields_of_tomorrow_are_let_be_and_signed);
	tcase_add_loop_test(t, a_mistake_is_named, 0, BL_ARRAY_SIZE(mistakes));
	tcase_add_test(t, patterns_do_not_cross_folders);
	tcase_add_test(t, names_stay_below);
	suite_add_tcase(s, t);
	return s;
}
