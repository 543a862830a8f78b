/* SPDX-License-Identifier: Apache-2.0 */
/* Bundles as images: what is written of one, how one is named, and how a
 * registry asks who we are. */
#include <errno.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/gate/candidate.h"
#include "loader/oci/challenge.h"
#include "loader/oci/credentials.h"
#include "loader/oci/layout.h"
#include "loader/oci/reference.h"
#include "tests/main.h"
#include "tests/support/oci.h"

#define HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

/* --- what is written ------------------------------------------------------- */

static struct bl_bundle made_up(void)
{
	struct bl_bundle b = { .digest = HEX };

	snprintf(b.manifest.name, sizeof(b.manifest.name), "web");
	snprintf(b.manifest.version, sizeof(b.manifest.version), "1.0");
	ck_assert_int_eq(bl_buf_add(&b.raw, "bytes", 5), 0);
	return b;
}

/* Somebody has these digests in a deployment file. */
START_TEST(a_manifest_is_what_it_was_in_every_version_of_belay)
{
	BL_CLEANUP(bl_bundle_free) struct bl_bundle b = made_up();
	bl_autobuf struct bl_buf text = { 0 };

	ck_assert_int_eq(bl_oci_manifest_write(&b, &text, NULL), 0);
	ck_assert_str_eq(
		text.data,
		"{\"schemaVersion\":2,"
		"\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\","
		"\"artifactType\":\"application/vnd.belay.bundle.v1\","
		"\"config\":{\"mediaType\":\"application/vnd.oci.empty.v1+json\","
		"\"digest\":\"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a\",\"size\":2},"
		"\"layers\":[{\"mediaType\":\"application/vnd.belay.bundle.v1.tar+zstd\","
		"\"digest\":\"sha256:" HEX "\",\"size\":5,"
		"\"annotations\":{\"org.opencontainers.image.title\":\"web-1.0.bundle\"}}],"
		"\"annotations\":{\"org.opencontainers.image.title\":\"web\","
		"\"org.opencontainers.image.version\":\"1.0\"}}");
}
END_TEST

START_TEST(the_same_bundle_gives_the_same_archive)
{
	BL_CLEANUP(bl_bundle_free) struct bl_bundle b = made_up();
	bl_autobuf struct bl_buf one = { 0 };
	bl_autobuf struct bl_buf two = { 0 };
	char digest[BL_DIGEST_HEX], again[BL_DIGEST_HEX], of_all[BL_DIGEST_HEX];

	ck_assert_int_eq(bl_layout_pack(&b, &one, digest, NULL), 0);
	ck_assert_int_eq(bl_layout_pack(&b, &two, again, NULL), 0);
	ck_assert_str_eq(digest, again);
	ck_assert_uint_eq(one.len, two.len);
	ck_assert_int_eq(memcmp(one.data, two.data, one.len), 0);
	/* Nor does it depend on where and when: this is of another day. */
	ck_assert_int_eq(bl_digest(one.data, one.len, of_all), 0);
	ck_assert_str_eq(
		of_all,
		"941fe0244fc6a792d8d758f2504308fae6291ae1af3038e2101886dd5a69208e");
}
END_TEST

START_TEST(a_digest_of_pieces_is_that_of_the_whole)
{
	static const char text[] = "in the beginning was the word";
	char whole[BL_DIGEST_HEX], pieces[BL_DIGEST_HEX];

	for (size_t cut = 0; cut < sizeof(text); cut++) {
		struct bl_digest_run run;

		bl_digest_start(&run);
		bl_digest_add(&run, text, cut);
		bl_digest_add(&run, NULL, 0);
		bl_digest_add(&run, text + cut, sizeof(text) - cut);
		bl_digest_end(&run, pieces);
		ck_assert_int_eq(bl_digest(text, sizeof(text), whole), 0);
		ck_assert_str_eq(whole, pieces);
	}
}
END_TEST

/* check and rollout start: the digest is the bundle's, not the archive's. */
START_TEST(the_gate_is_given_the_bundle_in_an_archive)
{
	bl_autofree char *path = NULL;
	BL_CLEANUP(bl_candidate_free) struct bl_candidate c = { 0 };
	char manifest[BL_DIGEST_HEX];

	oci_setup();
	path = bl_path("%s/a.oci", oci_kit.dir);
	ck_assert_int_eq(
		bl_layout_pack(&oci_kit.good, &oci_kit.tar, manifest, NULL), 0);
	ck_assert_int_eq(bl_file_write(path, oci_kit.tar.data, oci_kit.tar.len,
				       0600, NULL),
			 0);
	ck_assert_int_eq(bl_candidate_read(path, NULL, &c, NULL), 0);
	ck_assert_int_eq(c.kind, BL_CANDIDATE_BUNDLE);
	ck_assert_str_eq(c.digest, oci_kit.good.digest);
	oci_teardown();
}
END_TEST

/* --- how one is named ------------------------------------------------------ */

static const struct {
	const char *text;
	enum bl_reference_kind kind;
	const char *host, *name, *digest;
} right[] = {
	{ "sensor.bundle", BL_REFERENCE_FILE, "", "", "" },
	{ "./oci:x", BL_REFERENCE_FILE, "", "", "" },
	{ "oci:/x", BL_REFERENCE_FILE, "", "", "" },
	{ "", BL_REFERENCE_FILE, "", "", "" },
	{ "oci://reg.example/web@sha256:" HEX, BL_REFERENCE_OCI, "reg.example",
	  "web", HEX },
	{ "oci://127.0.0.1:5000/a/b.c/d__e/f---g@sha256:" HEX, BL_REFERENCE_OCI,
	  "127.0.0.1:5000", "a/b.c/d__e/f---g", HEX },
	{ "oci://[::1]:5000/web@sha256:" HEX, BL_REFERENCE_OCI, "[::1]:5000",
	  "web", HEX },
	{ "oci://reg.example/web:1.0@sha256:" HEX, BL_REFERENCE_OCI,
	  "reg.example", "web", HEX },
	{ "https://h/x.bundle", BL_REFERENCE_WEB, "", "", "" },
	{ "https://h/x.bundle?a=%20b#sha256:" HEX, BL_REFERENCE_WEB, "", "",
	  HEX },
	{ "http://127.0.0.1/x", BL_REFERENCE_WEB, "", "", "" },
};

START_TEST(a_reference_says_where_and_which)
{
	struct bl_reference ref = { .host = "?" };

	ck_assert_int_eq(bl_reference_read(right[_i].text, &ref, NULL), 0);
	ck_assert_int_eq(ref.kind, right[_i].kind);
	ck_assert_str_eq(ref.host, right[_i].host);
	ck_assert_str_eq(ref.name, right[_i].name);
	ck_assert_str_eq(ref.digest, right[_i].digest);
	ck_assert_ptr_null(strchr(ref.url, '#'));
}
END_TEST

static const struct {
	const char *text, *words, *hint;
} wrong[] = {
	{ "oci://reg.example/web:1.0", "a tag is no name for a bundle",
	  "skopeo inspect --raw docker://reg.example/web:1.0 | sha256sum" },
	{ "oci://reg.example/web", "there is no digest",
	  "docker://reg.example/web:TAG | sha256sum" },
	{ "oci://reg.example/web:", "is no tag", "" },
	{ "oci://reg.example/web:a/b@sha256:" HEX, "is no tag", "" },
	{ "oci://reg.example", "was expected", "" },
	{ "oci:///web@sha256:" HEX, "is no HOST", "" },
	{ "oci://-h/web@sha256:" HEX, "is no HOST", "" },
	{ "oci://h:0/web@sha256:" HEX, "is no HOST", "" },
	{ "oci://h:65536/web@sha256:" HEX, "is no HOST", "" },
	{ "oci://h:5000x/web@sha256:" HEX, "is no HOST", "" },
	{ "oci://me:secret@h/web@sha256:" HEX, "is no HOST", "" },
	{ "oci://[::1/web@sha256:" HEX, "is no HOST", "" },
	{ "oci://h h/web@sha256:" HEX, "is no HOST", "" },
	{ "oci://h/@sha256:" HEX, "is no name", "" },
	{ "oci://h/../web@sha256:" HEX, "is no name", "" },
	{ "oci://h/Web@sha256:" HEX, "is no name", "" },
	{ "oci://h/a//b@sha256:" HEX, "is no name", "" },
	{ "oci://h/a/@sha256:" HEX, "is no name", "" },
	{ "oci://h/a___b@sha256:" HEX, "is no name", "" },
	{ "oci://h/a?x=y@sha256:" HEX, "is no name", "" },
	{ "oci://h/a%2e@sha256:" HEX, "is no name", "" },
	{ "oci://h/web@sha256:abc", "a digest is sha256:", "" },
	{ "oci://h/web@sha512:" HEX, "a digest is sha256:", "" },
	{ "oci://h/web@sha256:" HEX "0", "a digest is sha256:", "" },
	{ "oci://h/web@sha256:" HEX "@sha256:" HEX, "a digest is sha256:", "" },
	{ "https://h/x#" HEX, "a digest is sha256:", "" },
	{ "https://h/x#sha256:", "a digest is sha256:", "" },
	{ "https://h/a b", "is no URL", "" },
	{ "https://h/a\nb", "is no URL", "" },
	{ "https://me:secret@h/x", "is no URL", "" },
	{ "docker://h/web@sha256:" HEX, "a registry is oci://", "" },
};

START_TEST(what_names_no_bundle_says_why)
{
	struct bl_reference ref = { .host = "?" };
	struct bl_err err = { 0 };

	ck_assert_int_eq(bl_reference_read(wrong[_i].text, &ref, &err),
			 -EINVAL);
	ck_assert_msg(strstr(err.text, wrong[_i].words), "%s: \"%s\"",
		      wrong[_i].text, err.text);
	ck_assert_msg(strstr(err.hint, wrong[_i].hint), "%s: \"%s\"",
		      wrong[_i].text, err.hint);
	ck_assert_str_eq(ref.host, "?");
}
END_TEST

START_TEST(what_is_too_long_is_no_reference)
{
	static const char *const before[] = { "oci://", "oci://h/",
					      "oci://h/a:", "https://" };

	for (size_t i = 0; i < BL_ARRAY_SIZE(before); i++)
		for (size_t len = 100; len < 6000; len += 50) {
			char text[6100];
			struct bl_reference ref;
			int n = snprintf(text, sizeof(text), "%s", before[i]);

			memset(text + n, 'a', len);
			snprintf(text + n + len, 80, "@sha256:" HEX);
			/* Whatever it is, it must not be written beyond. */
			if (bl_reference_read(text, &ref, NULL) == 0) {
				ck_assert_uint_le(strlen(text),
						  BL_REFERENCE_MAX);
				ck_assert_uint_le(strlen(ref.name),
						  BL_REFERENCE_NAME_MAX);
			}
		}
}
END_TEST

/* --- who asks -------------------------------------------------------------- */

static const struct {
	const char *header;
	int code;
	enum bl_challenge_kind kind;
	const char *url; /* of a token for "a/b" */
} challenges[] = {
	{ "Bearer realm=\"https://auth.example/token\",service=\"reg.example\",scope=\"repository:a/b:pull\"",
	  0, BL_CHALLENGE_BEARER,
	  "https://auth.example/token?service=reg.example&scope=repository:a/b:pull" },
	{ "bearer realm=\"https://auth.example/token\"", 0, BL_CHALLENGE_BEARER,
	  "https://auth.example/token?scope=repository:a/b:pull" },
	{ "Bearer realm=\"https://h/t?x=1\" , service=a, error=\"invalid_token\"",
	  0, BL_CHALLENGE_BEARER,
	  "https://h/t?x=1&service=a&scope=repository:a/b:pull" },
	{ "Bearer realm=\"https://h/t\",service=\"a b&c=d#\\\"e\"", 0,
	  BL_CHALLENGE_BEARER,
	  "https://h/t?service=a%20b%26c%3Dd%23%22e&scope=repository:a/b:pull" },
	{ "Basic realm=\"Registry Realm\"", 0, BL_CHALLENGE_BASIC, NULL },
	{ "Basic", 0, BL_CHALLENGE_BASIC, NULL },
	{ "", -EINVAL, 0, NULL },
	{ "Negotiate", -EINVAL, 0, NULL },
	{ "Basically no", -EINVAL, 0, NULL },
	{ "Bearer", -EINVAL, 0, NULL },
	{ "Bearer service=\"x\"", -EINVAL, 0, NULL },
	{ "Bearer realm=\"https://h", -EINVAL, 0, NULL },
	{ "Bearer realm=\"https://h\\", -EINVAL, 0, NULL },
	{ "Bearer realm=\"https://h\nX: y\"", -EINVAL, 0, NULL },
	{ "Bearer realm=\"https://a\",realm=\"https://b\"", -EINVAL, 0, NULL },
	{ "Bearer realm=\"https://a\" service=\"b\"", -EINVAL, 0, NULL },
	{ "Bearer =\"https://a\"", -EINVAL, 0, NULL },
	{ "Bearer realm=", -EINVAL, 0, NULL },
};

START_TEST(a_challenge_leads_to_a_token)
{
	struct bl_challenge c;
	bl_autobuf struct bl_buf url = { 0 };

	ck_assert_int_eq(bl_challenge_read(challenges[_i].header, &c),
			 challenges[_i].code);
	if (challenges[_i].code)
		return;
	ck_assert_int_eq(c.kind, challenges[_i].kind);
	if (!challenges[_i].url)
		return;
	ck_assert_int_eq(bl_challenge_url(&c, "a/b", &url), 0);
	ck_assert_str_eq(url.data, challenges[_i].url);
}
END_TEST

static const struct {
	const char *text, *token, *words;
} tokens[] = {
	{ "{\"token\":\"abc.def\"}", "abc.def", "" },
	{ "{\"access_token\":\"abc\",\"expires_in\":300}", "abc", "" },
	{ "{\"token\":\"a\",\"access_token\":\"b\"}", "a", "" },
	{ "{}", NULL, "no token" },
	{ "{\"token\":\"\"}", NULL, "no token" },
	{ "{\"token\":7}", NULL, "token" },
	{ "{\"token\":\"a\\r\\nX-Other: b\"}", NULL,
	  "bytes that no token has" },
	{ "{\"token\":\"a b\"}", NULL, "bytes that no token has" },
	{ "{\"token\":\"a\\u00e4\"}", NULL, "bytes that no token has" },
	{ "{\"token\":\"a\",\"token\":\"b\"}", NULL, "duplicate" },
	{ "[]", NULL, "object" },
	{ "<html>", NULL, "1:" },
};

START_TEST(a_token_is_what_can_be_sent)
{
	bl_autobuf struct bl_buf got = { 0 };
	struct bl_err err = { 0 };
	const char *text = tokens[_i].text;
	int r = bl_challenge_token("token", text, strlen(text), &got, &err);

	ck_assert_int_eq(r, tokens[_i].token ? 0 : -EBADMSG);
	ck_assert_msg(strstr(err.text, tokens[_i].words), "%s: \"%s\"", text,
		      err.text);
	ck_assert_str_eq(bl_buf_str(&got),
			 tokens[_i].token ? tokens[_i].token : "");
}
END_TEST

static const char logins[] =
	"{\"auths\": {"
	" \"reg.example\": {\"auth\": \"aG9zdA==\"},"
	" \"reg.example/team\": {\"auth\": \"dGVhbQ==\"},"
	" \"reg.example/team/web\": {\"auth\": \"d2Vi\"},"
	" \"reg.example:5000\": {\"auth\": \"cG9ydA==\"},"
	" \"helped.example\": {},"
	" \"evil.example\": {\"auth\": \"a\\r\\nX: y\"}"
	"}, \"credHelpers\": {\"helped.example\": \"secretservice\"}}";

static const struct {
	const char *host, *name, *auth; /* NULL: refused */
} asks[] = {
	{ "reg.example", "other", "aG9zdA==" },
	{ "reg.example", "team/db", "dGVhbQ==" },
	{ "reg.example", "teams/db", "aG9zdA==" },
	{ "reg.example", "team/web", "d2Vi" },
	{ "reg.example", "team/webs", "dGVhbQ==" },
	{ "reg.example:5000", "team/web", "cG9ydA==" },
	{ "reg.example.evil", "team/web", "" },
	{ "example", "reg", "" },
	{ "helped.example", "x", "" },
	{ "evil.example", "x", NULL },
};

START_TEST(a_login_goes_to_its_registry_only)
{
	bl_autobuf struct bl_buf got = { 0 };
	struct bl_err err = { 0 };
	int r = bl_credentials_read("auth.json", logins, strlen(logins),
				    asks[_i].host, asks[_i].name, &got, &err);

	ck_assert_int_eq(r, asks[_i].auth ? 0 : -EBADMSG);
	ck_assert_str_eq(bl_buf_str(&got), asks[_i].auth ? asks[_i].auth : "");
	ck_assert_ptr_null(strstr(err.text, "X: y"));
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *s = suite_create("oci");
	TCase *tc = tcase_create("image");

	tcase_add_test(tc, a_manifest_is_what_it_was_in_every_version_of_belay);
	tcase_add_test(tc, the_same_bundle_gives_the_same_archive);
	tcase_add_test(tc, the_gate_is_given_the_bundle_in_an_archive);
	tcase_add_test(tc, a_digest_of_pieces_is_that_of_the_whole);
	suite_add_tcase(s, tc);
	tc = tcase_create("reference");
	tcase_add_loop_test(tc, a_reference_says_where_and_which, 0,
			    BL_ARRAY_SIZE(right));
	tcase_add_loop_test(tc, what_names_no_bundle_says_why, 0,
			    BL_ARRAY_SIZE(wrong));
	tcase_add_test(tc, what_is_too_long_is_no_reference);
	suite_add_tcase(s, tc);
	tc = tcase_create("who");
	tcase_add_loop_test(tc, a_challenge_leads_to_a_token, 0,
			    BL_ARRAY_SIZE(challenges));
	tcase_add_loop_test(tc, a_token_is_what_can_be_sent, 0,
			    BL_ARRAY_SIZE(tokens));
	tcase_add_loop_test(tc, a_login_goes_to_its_registry_only, 0,
			    BL_ARRAY_SIZE(asks));
	suite_add_tcase(s, tc);
	return s;
}
