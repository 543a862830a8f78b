/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bundles from a registry that lies, breaks off, leads elsewhere, or wants to
 * know who asks: over a real socket, by the function that every verb calls.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "loader/base/cleanup.h"
#include "loader/base/cli.h"
#include "loader/base/file.h"
#include "loader/oci/source.h"
#include "tests/main.h"
#include "tests/support/oci.h"
#include "tests/support/registry.h"

#define LIMIT_MS 1500 /* of those that would never end */

static struct registry here, elsewhere;
static char digest[BL_DIGEST_HEX]; /* of the manifest */
static struct bl_source_options options;
static struct bl_bundle out;
static struct bl_err err;

static void setup(void)
{
	oci_setup();
	ck_assert_int_eq(bl_digest(oci_kit.manifest.data, oci_kit.manifest.len,
				   digest),
			 0);
	options = (struct bl_source_options){ .transfer.plain_http = true,
					      .auth_file = "/dev/null" };
}

static void teardown(void)
{
	bl_bundle_free(&out);
	oci_teardown();
}

static bool wants(const char *request, const char *what)
{
	return strstr(request, what) &&
	       strstr(request, what) < strstr(request, " HTTP/1.1");
}

static bool wants_blob(const char *request)
{
	return wants(request, "/v2/web/blobs/sha256:");
}

/* As a registry should: by digests alone. */
static enum registry_then right(struct registry *g, const char *request,
				struct bl_buf *to)
{
	(void)g;
	if (wants(request, "/v2/web/manifests/sha256:") &&
	    wants(request, digest))
		registry_give(to, request, oci_kit.manifest.data,
			      oci_kit.manifest.len, SIZE_MAX);
	else if (wants_blob(request) && wants(request, oci_kit.good.digest))
		registry_give(to, request, oci_kit.good.raw.data,
			      oci_kit.good.raw.len, SIZE_MAX);
	else
		registry_say(to, "404 Not Found", "", "{}", 2, 2);
	return REGISTRY_ENDS;
}

static int pull(void)
{
	bl_autofree char *where =
		bl_path("oci://%s/web@sha256:%s", here.host, digest);

	err = (struct bl_err){ 0 };
	bl_bundle_free(&out);
	return bl_source_bundle(where, &options, &out, &err);
}

/* --- what is sent ---------------------------------------------------------- */

#define UNUSED __attribute__((unused))
#define LIE(name)                                                  \
	static enum registry_then name(UNUSED struct registry *g,  \
				       UNUSED const char *request, \
				       struct bl_buf *to)

LIE(manifest_of_another_bundle)
{
	bl_autofree char *text =
		oci_with(oci_kit.manifest.data, "\"probe", "\"prope");

	if (wants_blob(request))
		return right(g, request, to);
	registry_say(to, "200 OK", "", text, strlen(text), SIZE_MAX);
	return REGISTRY_ENDS;
}
LIE(manifest_longer_than_allowed)
{
	registry_say(to, "200 OK", "", "{", BL_OCI_JSON_MAX + 1, 1);
	return REGISTRY_HANGS;
}
LIE(manifest_without_end)
{
	bl_buf_printf(to, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
	return REGISTRY_ENDLESS;
}
LIE(nothing_there)
{
	registry_say(to, "404 Not Found", "", "{}", 2, 2);
	return REGISTRY_ENDS;
}
LIE(blob_not_there)
{
	return wants_blob(request) ? nothing_there(g, request, to)
				   : right(g, request, to);
}
LIE(blob_changed)
{
	right(g, request, to);
	if (wants_blob(request))
		to->data[to->len - 100] ^= 1;
	return REGISTRY_ENDS;
}
LIE(blob_shorter)
{
	if (!wants_blob(request))
		return right(g, request, to);
	registry_say(to, "200 OK", "", oci_kit.good.raw.data,
		     oci_kit.good.raw.len - 1, SIZE_MAX);
	return REGISTRY_ENDS;
}
LIE(blob_longer)
{
	if (!wants_blob(request))
		return right(g, request, to);
	registry_say(to, "200 OK", "", oci_kit.good.raw.data,
		     oci_kit.good.raw.len + 1, oci_kit.good.raw.len);
	return REGISTRY_HANGS;
}
LIE(blob_without_end)
{
	return wants_blob(request) ? manifest_without_end(g, request, to)
				   : right(g, request, to);
}
LIE(blob_that_drips)
{
	if (!wants_blob(request))
		return right(g, request, to);
	registry_say(to, "200 OK", "", "", oci_kit.good.raw.len, 0);
	return REGISTRY_DRIPS;
}
LIE(blob_that_stops)
{
	if (!wants_blob(request))
		return right(g, request, to);
	registry_give(to, request, oci_kit.good.raw.data, oci_kit.good.raw.len,
		      1000);
	return REGISTRY_HANGS;
}
/* What was cut goes on where it was, as long as anything comes. */
LIE(blob_in_pieces)
{
	if (!wants_blob(request))
		return right(g, request, to);
	registry_give(to, request, oci_kit.good.raw.data, oci_kit.good.raw.len,
		      oci_kit.good.raw.len / 4);
	return REGISTRY_ENDS;
}
LIE(blob_cut_and_then_whole)
{
	if (!wants_blob(request))
		return right(g, request, to);
	registry_say(to, "200 OK", "", oci_kit.good.raw.data,
		     oci_kit.good.raw.len,
		     g->count < 3 ? oci_kit.good.raw.len / 2 : SIZE_MAX);
	return REGISTRY_ENDS;
}
LIE(blob_cut_and_then_another_part)
{
	char range[256];

	if (!wants_blob(request))
		return right(g, request, to);
	if (g->count == 2) {
		registry_give(to, request, oci_kit.good.raw.data,
			      oci_kit.good.raw.len, 700);
		return REGISTRY_ENDS;
	}
	if (!*registry_header(request, "Range", range))
		return right(g, request, to);
	snprintf(range, sizeof(range), "Content-Range: bytes 0-9/%zu\r\n",
		 oci_kit.good.raw.len);
	registry_say(to, "206 Partial Content", range, oci_kit.good.raw.data,
		     10, 10);
	return REGISTRY_ENDS;
}
LIE(blob_that_never_begins)
{
	if (!wants_blob(request))
		return right(g, request, to);
	registry_give(to, request, oci_kit.good.raw.data, oci_kit.good.raw.len,
		      0);
	return REGISTRY_ENDS;
}
LIE(busy_at_first)
{
	if (g->count % 2 == 0)
		return right(g, request, to);
	registry_say(to, "503 Service Unavailable", "", "", 0, 0);
	return REGISTRY_ENDS;
}
LIE(busy_for_ever)
{
	registry_say(to, "503 Service Unavailable", "", "", 0, 0);
	return REGISTRY_ENDS;
}
LIE(page_for_people)
{
	static const char page[] = "<html>sign in to this network</html>";

	registry_say(to, "200 OK", "Content-Type: text/html\r\n", page,
		     sizeof(page) - 1, SIZE_MAX);
	return REGISTRY_ENDS;
}

/* --- where it leads -------------------------------------------------------- */

static void lead(struct bl_buf *to, const char *location)
{
	bl_autofree char *header = bl_path("Location: %s\r\n", location);

	registry_say(to, "307 Temporary Redirect", header, "", 0, 0);
}
/* As registries do that keep blobs elsewhere. */
LIE(leads_to_the_blob)
{
	if (wants(request, "/store/x")) {
		registry_give(to, request, oci_kit.good.raw.data,
			      oci_kit.good.raw.len, SIZE_MAX);
		return REGISTRY_ENDS;
	}
	if (!wants_blob(request))
		return right(g, request, to);
	lead(to, "/store/x?signature=1#y");
	return REGISTRY_ENDS;
}
LIE(leads_in_a_ring)
{
	lead(to, "/v2/");
	return REGISTRY_ENDS;
}
LIE(leads_to_a_file)
{
	lead(to, "file:///etc/passwd");
	return REGISTRY_ENDS;
}
LIE(leads_to_plain_http)
{
	lead(to, "http://192.0.2.1/x");
	return REGISTRY_ENDS;
}
LIE(leads_nowhere)
{
	registry_say(to, "302 Found", "", "", 0, 0);
	return REGISTRY_ENDS;
}

/* --- who asks -------------------------------------------------------------- */

static void deny(struct bl_buf *to, const char *challenge)
{
	bl_autofree char *header =
		bl_path("WWW-Authenticate: %s\r\n", challenge);

	registry_say(to, "401 Unauthorized", header, "{}", 2, 2);
}
static enum registry_then bearer(struct registry *g, const char *request,
				 struct bl_buf *to, const char *token)
{
	bl_autofree char *challenge =
		bl_path("Bearer realm=\"%s/token\",service=\"reg\"", g->url);
	char got[256];

	if (wants(request, "/token?service=reg&scope=repository:web:pull")) {
		registry_say(to, "200 OK", "", token, strlen(token), SIZE_MAX);
		return REGISTRY_ENDS;
	}
	registry_header(request, "Authorization", got);
	if (strcmp(got, "Bearer right") == 0)
		return right(g, request, to);
	deny(to, challenge);
	return REGISTRY_ENDS;
}
LIE(gives_tokens_to_anybody)
{
	return bearer(g, request, to, "{\"token\":\"right\"}");
}
LIE(gives_tokens_that_do_not_count)
{
	return bearer(g, request, to, "{\"token\":\"wrong\"}");
}
LIE(gives_tokens_with_a_header_in_them)
{
	return bearer(g, request, to, "{\"token\":\"right\\r\\nX-Other: y\"}");
}
LIE(gives_no_token)
{
	return bearer(g, request, to, "{}");
}
LIE(sends_for_tokens_by_plain_http)
{
	deny(to, "Bearer realm=\"http://192.0.2.1/token\"");
	return REGISTRY_ENDS;
}
LIE(sends_for_tokens_to_a_file)
{
	deny(to, "Bearer realm=\"file:///etc/passwd\"");
	return REGISTRY_ENDS;
}
LIE(wants_a_login)
{
	char got[256];

	registry_header(request, "Authorization", got);
	if (strcmp(got, "Basic d2Vi") == 0)
		return right(g, request, to);
	deny(to, "Basic realm=\"x\"");
	return REGISTRY_ENDS;
}
LIE(wants_something_else)
{
	deny(to, "Negotiate");
	return REGISTRY_ENDS;
}

static const struct {
	const char *name;
	registry_answer *lie;
	int code;
	const char *words;
} rows[] = {
#define ROW(what, code, words)           \
	{                                \
#what, what, code, words \
	}
	ROW(right, 0, ""),
	ROW(blob_in_pieces, 0, ""),
	ROW(blob_cut_and_then_whole, 0, ""),
	ROW(blob_cut_and_then_another_part, 0, ""),
	ROW(busy_at_first, 0, ""),
	ROW(leads_to_the_blob, 0, ""),
	ROW(gives_tokens_to_anybody, 0, ""),

	ROW(manifest_of_another_bundle, -EBADMSG, "the manifest was changed"),
	ROW(manifest_longer_than_allowed, -EFBIG, "the limit is 65536"),
	ROW(manifest_without_end, -EFBIG, "does not end"),
	ROW(nothing_there, -ENOENT, "the manifest is not there"),
	ROW(blob_not_there, -ENOENT, "the bundle is not there"),
	ROW(blob_changed, -EBADMSG, "the bundle was changed"),
	ROW(blob_shorter, -EBADMSG, "and should have"),
	ROW(blob_longer, -EBADMSG, "and should have"),
	ROW(blob_without_end, -EBADMSG, "does not end where it should"),
	ROW(blob_that_drips, -ETIME, "did not come within"),
	ROW(blob_that_stops, -ETIME, "did not come within"),
	ROW(blob_that_never_begins, -EREMOTEIO, "the bundle"),
	ROW(busy_for_ever, -EREMOTEIO, "answered 503"),
	ROW(page_for_people, -EBADMSG, "the manifest was changed"),

	ROW(leads_in_a_ring, -EREMOTEIO, "more than 5 redirects"),
	ROW(leads_to_a_file, -EPERM, "is no https:// URL"),
	ROW(leads_to_plain_http, -EPERM, "goes no further than this machine"),
	ROW(leads_nowhere, -EREMOTEIO, "no Location"),

	ROW(gives_tokens_that_do_not_count, -EACCES, "not shown to us"),
	ROW(gives_tokens_with_a_header_in_them, -EBADMSG, "that no token has"),
	ROW(gives_no_token, -EBADMSG, "there is no token"),
	ROW(sends_for_tokens_by_plain_http, -EPERM, "goes no further"),
	ROW(sends_for_tokens_to_a_file, -EPERM, "is no https:// URL"),
	ROW(wants_a_login, -EACCES, "wants a login"),
	ROW(wants_something_else, -EACCES, "not by Basic or Bearer"),
#undef ROW
};

START_TEST(a_registry_gives_the_bundle_or_is_refused)
{
	bl_autofree char *empty = bl_path("%s/auth.json", oci_kit.dir);
	int r;

	ck_assert_int_eq(bl_file_write(empty, "{}", 2, 0600, NULL), 0);
	options.auth_file = empty;
	if (rows[_i].code == -ETIME) {
		options.transfer.limit_ms = LIMIT_MS;
		options.transfer.stall_ms = 1000;
	}
	registry_start(&here, rows[_i].lie, NULL);
	r = pull();
	registry_stop(&here);
	ck_assert_msg(r == rows[_i].code, "%s: %d, %s", rows[_i].name, r,
		      err.text);
	ck_assert_msg(strstr(err.text, rows[_i].words), "%s: \"%s\"",
		      rows[_i].name, err.text);
	if (r < 0)
		ck_assert_ptr_null(out.raw.data);
	else
		ck_assert_str_eq(out.digest, oci_kit.good.digest);
}
END_TEST

START_TEST(what_broke_off_goes_on_where_it_did)
{
	char range[256], expected[64];
	size_t at = oci_kit.good.raw.len / 4;

	registry_start(&here, blob_in_pieces, NULL);
	ck_assert_int_eq(pull(), 0);
	registry_stop(&here);
	ck_assert_uint_ge(here.count, 5);
	registry_header(here.asked[1], "Range", range);
	ck_assert_str_eq(range, "");
	snprintf(expected, sizeof(expected), "bytes=%zu-", at);
	registry_header(here.asked[2], "Range", range);
	ck_assert_str_eq(range, expected);
}
END_TEST

/* One that is there, of a user, and one for another host. */
START_TEST(a_login_is_sent_when_it_is_asked_for)
{
	bl_autofree char *path = bl_path("%s/auth.json", oci_kit.dir);
	bl_autofree char *text = NULL;
	char got[256];

	registry_start(&here, wants_a_login, NULL);
	text = bl_path("{\"auths\":{\"%s\":{\"auth\":\"d2Vi\"}}}", here.host);
	ck_assert_int_eq(bl_file_write(path, text, strlen(text), 0600, NULL),
			 0);
	options.auth_file = path;
	ck_assert_int_eq(pull(), 0);
	registry_stop(&here);
	registry_header(here.asked[0], "Authorization", got);
	ck_assert_str_eq(got, "");
	registry_header(here.asked[2], "Authorization", got);
	ck_assert_str_eq(got, "Basic d2Vi");
}
END_TEST

LIE(leads_elsewhere)
{
	bl_autofree char *there = bl_path("%s/x", elsewhere.url);
	char got[256];

	registry_header(request, "Authorization", got);
	if (wants_blob(request) && *got) {
		lead(to, there);
		return REGISTRY_ENDS;
	}
	return wants_a_login(g, request, to);
}
LIE(the_blob)
{
	registry_give(to, request, oci_kit.good.raw.data, oci_kit.good.raw.len,
		      SIZE_MAX);
	return REGISTRY_ENDS;
}

/* The store that a registry leads to is another company's. */
START_TEST(a_login_does_not_follow_a_redirect)
{
	bl_autofree char *path = bl_path("%s/auth.json", oci_kit.dir);
	bl_autofree char *text = NULL;
	char got[256];

	registry_start(&here, leads_elsewhere, NULL);
	registry_start(&elsewhere, the_blob, NULL);
	text = bl_path("{\"auths\":{\"%s\":{\"auth\":\"d2Vi\"}}}", here.host);
	ck_assert_int_eq(bl_file_write(path, text, strlen(text), 0600, NULL),
			 0);
	options.auth_file = path;
	ck_assert_int_eq(pull(), 0);
	registry_stop(&elsewhere);
	registry_stop(&here);
	ck_assert_uint_eq(elsewhere.count, 1);
	registry_header(elsewhere.asked[0], "Authorization", got);
	ck_assert_str_eq(got, "");
}
END_TEST

/* --- web servers ----------------------------------------------------------- */

START_TEST(a_url_acts_only_by_a_digest)
{
	bl_autofree char *plain = NULL;
	bl_autofree char *named = NULL;
	bl_autofree char *other = NULL;

	registry_start(&here, the_blob, NULL);
	plain = bl_path("%s/x.bundle", here.url);
	named = bl_path("%s#sha256:%s", plain, oci_kit.good.digest);
	other = bl_path("%s#sha256:%s", plain, digest);
	ck_assert_int_eq(bl_source_bundle(plain, &options, &out, &err),
			 -EINVAL);
	ck_assert_ptr_nonnull(strstr(err.hint, "#sha256:"));
	ck_assert_uint_eq(here.count, 0);
	ck_assert_int_eq(bl_source_bundle(other, &options, &out, &err),
			 -EBADMSG);
	ck_assert_ptr_nonnull(strstr(err.text, "is another bundle"));
	ck_assert_int_eq(bl_source_bundle(named, &options, &out, &err), 0);
	bl_bundle_free(&out);
	options.any = true;
	ck_assert_int_eq(bl_source_bundle(plain, &options, &out, &err), 0);
	registry_stop(&here);
}
END_TEST

START_TEST(plain_http_is_asked_for)
{
	options.transfer.plain_http = false;
	registry_start(&here, right, NULL);
	ck_assert_int_eq(pull(), -ECONNREFUSED); /* it hangs up on TLS */
	registry_stop(&here);
	ck_assert_ptr_nonnull(strstr(err.hint, "--plain-http"));
	options.transfer.plain_http = true;
	ck_assert_int_eq(
		bl_source_bundle(
			"oci://192.0.2.1/web@sha256:" BL_OCI_EMPTY_DIGEST,
			&options, &out, &err),
		-EPERM);
}
END_TEST

/* --- the command ----------------------------------------------------------- */

START_TEST(an_interrupted_pull_leaves_nothing)
{
	bl_autofree char *where = NULL;
	bl_autofree char *to = bl_path("%s/x.bundle", oci_kit.dir);
	int status;
	pid_t pid;

	registry_start(&here, blob_that_stops, NULL);
	where = bl_path("oci://%s/web@sha256:%s", here.host, digest);
	pid = fork();
	if (pid == 0) {
		execl(BL_TEST_BUILD_DIR "/belay", "belay", "bundle", "pull",
		      where, "--plain-http", "-o", to, NULL);
		_exit(99);
	}
	while (sem_wait(&here.hangs) < 0)
		continue;
	ck_assert_int_eq(kill(pid, SIGINT), 0);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	registry_stop(&here);
	ck_assert_int_eq(WIFEXITED(status) ? WEXITSTATUS(status) : -1,
			 BL_EXIT_UNDECIDED);
	/* Neither it nor a part of it: the folder can be removed as empty. */
	ck_assert_int_eq(rmdir(oci_kit.dir), 0);
	ck_assert_int_eq(bl_file_mkdirs(oci_kit.dir, 0700, NULL), 0);
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *s = suite_create("oci_pull");
	TCase *tc = tcase_create("table");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, a_registry_gives_the_bundle_or_is_refused, 0,
			    BL_ARRAY_SIZE(rows));
	suite_add_tcase(s, tc);
	tc = tcase_create("ways");
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, what_broke_off_goes_on_where_it_did);
	tcase_add_test(tc, a_login_is_sent_when_it_is_asked_for);
	tcase_add_test(tc, a_login_does_not_follow_a_redirect);
	tcase_add_test(tc, a_url_acts_only_by_a_digest);
	tcase_add_test(tc, plain_http_is_asked_for);
	tcase_add_test(tc, an_interrupted_pull_leaves_nothing);
	suite_add_tcase(s, tc);
	return s;
}
