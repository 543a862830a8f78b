/* SPDX-License-Identifier: Apache-2.0 */
/* belay content import misp as scripts call it: a feed on a disk and behind a
 * URL, what is hostile in one, and the bundle that is built of the result. */
#include <jansson.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "loader/base/cleanup.h"
#include "loader/base/cli.h"
#include "loader/base/file.h"
#include "loader/base/proc.h"
#include "loader/bundle/digest.h"
#include "loader/import/misp.h"
#include "tests/main.h"
#include "tests/support/hostile.h"

#define UUID  "5f1a0c2e-1111-4222-8333-0123456789ab"
#define OTHER "5f1a0c2e-1111-4222-8333-0123456789ac"
#define ZEROS "0000000000000000000000000000000000000000000000000000000000000000"

static const char manifest[] =
	"{\"" UUID "\":{\"timestamp\":\"1590000000\",\"info\":\"one\"},"
	"\"" OTHER "\":{\"timestamp\":\"1500000000\",\"info\":\"two\"}}";

static char *dir;
static char digest[BL_DIGEST_HEX];
static struct bl_proc_result res;

static void put(const char *name, const char *text, size_t len)
{
	bl_autofree char *path = bl_path("%s/%s", dir, name);

	ck_assert_int_eq(bl_file_write(path, text, len, 0644, NULL), 0);
}

static void put_manifest(const char *text)
{
	put("feed/manifest.json", text, strlen(text));
	bl_digest(text, strlen(text), digest);
}

static void put_event(const char *uuid, const char *when, const char *address)
{
	bl_autofree char *name = bl_path("feed/%s.json", uuid);
	bl_autofree char *text = bl_path(
		"{\"Event\":{\"uuid\":\"%s\",\"timestamp\":\"%s\",\"Attribute\":["
		"{\"type\":\"ip-dst\",\"value\":\"%s\",\"to_ids\":true},"
		"{\"type\":\"filename\",\"value\":\"/tmp/evil\",\"to_ids\":true},"
		"{\"type\":\"md5\",\"value\":\"d41d\",\"to_ids\":true}]}}",
		uuid, when, address);

	put(name, text, strlen(text));
}

static void setup(void)
{
	bl_autofree char *feed = NULL;

	dir = bl_test_tmpdir();
	hostile_write_inputs(dir);
	feed = bl_path("%s/feed", dir);
	ck_assert_int_eq(mkdir(feed, 0755), 0);
	put_manifest(manifest);
	put_event(UUID, "1590000000", "192.0.2.1");
	put_event(OTHER, "1500000000", "192.0.2.2");
	put("feed/hashes.csv", "not read", 8);
}

static void teardown(void)
{
	bl_proc_result_free(&res);
	ck_assert_int_eq(bl_file_rmtree(dir, NULL), 0);
	free(dir);
}

/* Runs a line of the shell in the folder of the inputs, in which $belay is the
 * command and $sum the manifest's digest; its exit status. What it says,
 * errors too, is in res.out. */
static int sh(const char *line)
{
	const struct bl_proc_opts o = { .cwd = dir, .timeout_ms = 600000 };
	bl_autofree char *all = bl_path("exec 2>&1; belay=%s/belay; sum=%s; %s",
					BL_TEST_BUILD_DIR, digest, line);
	const char *const argv[] = { "bash", "-c", all, NULL };

	bl_proc_result_free(&res);
	ck_assert_int_eq(bl_proc_run(argv, &o, &res, NULL), 0);
	return res.status;
}

static int import(const char *more)
{
	bl_autofree char *line = bl_path(
		"$belay content import misp feed --sha256 $sum --output out.json %s",
		more);

	return sh(line);
}

static void assert_says(const char *what)
{
	ck_assert_msg(strstr(bl_buf_str(&res.out), what), "\"%s\" lacks \"%s\"",
		      bl_buf_str(&res.out), what);
}

/* It ends with @status, says @what, and writes nothing. */
static void assert_refused(int status, const char *what)
{
	bl_autofree char *out = bl_path("%s/out.json", dir);

	ck_assert_int_eq(import(""), status);
	assert_says(what);
	ck_assert(access(out, F_OK) < 0);
}

START_TEST(a_feed_becomes_content_that_a_bundle_is_built_of)
{
	ck_assert_msg(import("") == 0, "%s", bl_buf_str(&res.out));
	assert_says("of hashes the sensor knows SHA-256 alone");
	assert_says("another indicator says the same");
	assert_says("4 rules of 6 indicators in 2 events");
	ck_assert_msg(
		sh("cp out.json content.json && $belay bundle build manifest.json -o x.bundle && $belay check content.json") ==
			0,
		"%s", bl_buf_str(&res.out));
}
END_TEST

START_TEST(twice_imported_it_is_the_same_file_and_says_so_as_json)
{
	json_t *v, *types;

	ck_assert_int_eq(import("--json 2>/dev/null"), 0);
	v = json_loadb(res.out.data, res.out.len, 0, NULL);
	ck_assert_int_eq(json_integer_value(json_object_get(v, "rules")), 4);
	ck_assert_int_eq(json_integer_value(json_object_get(v, "events")), 2);
	types = json_object_get(v, "types");
	ck_assert_uint_eq(json_array_size(types), 3);
	json_decref(v);
	ck_assert_int_eq(sh("cp out.json first.json"), 0);
	ck_assert_int_eq(import(""), 0);
	ck_assert_int_eq(sh("cmp out.json first.json"), 0);
}
END_TEST

START_TEST(it_is_added_to_content_that_is_there)
{
	ck_assert_int_eq(import("--into content.json"), 0);
	assert_says("with those of content.json");
	ck_assert_int_eq(sh("grep -q 192.0.2.1 out.json"), 0);
	ck_assert_int_eq(
		sh("$belay content import misp feed --sha256 $sum --into content.json --output ./content.json"),
		BL_EXIT_USAGE);
	assert_says("would replace content.json");
}
END_TEST

START_TEST(old_events_are_left_out_and_need_not_be_there)
{
	ck_assert_int_eq(sh("rm feed/" OTHER ".json"), 0);
	ck_assert_int_eq(import("--since 1550000000"), 0);
	assert_says("left out as older than --since: 1 of 2 events");
	ck_assert_int_eq(sh("grep -q 192.0.2.2 out.json"), 1);
}
END_TEST

START_TEST(a_url_is_a_feed_as_a_folder_is)
{
	ck_assert_msg(
		sh("python3 -u -m http.server -b 127.0.0.1 -d feed 0 >log 2>&1 & pid=$!\n"
		   "until port=$(grep -o 'port [0-9]*' log); do kill -0 $pid || exit 9; sleep 0.1; done\n"
		   "url=http://127.0.0.1:${port#port }/\n"
		   "$belay content import misp feed --sha256 $sum --output a.json && "
		   "$belay content import misp $url --sha256 $sum --output b.json && cmp a.json b.json; r=$?\n"
		   "rm feed/" OTHER ".json\n"
		   "$belay content import misp $url --sha256 $sum --output c.json; [ $? = 2 ] || r=8\n"
		   "kill $pid; exit $r") == 0,
		"%s", bl_buf_str(&res.out));
	assert_says("the server answers 404");
}
END_TEST

/* Two authorities, and a server at the address @host with a certificate of ours,
 * which is for 127.0.0.1; $port is where it listens, $pid is to be killed. */
#define SERVE_TLS                                                                                             \
	"for d in ours theirs; do $belay controller init --tls-dir $d >/dev/null || exit 7; done\n"           \
	"serve() { python3 -u -c 'import functools, http.server, ssl, sys\n"                                  \
	"h = functools.partial(http.server.SimpleHTTPRequestHandler, directory=\"feed\")\n"                   \
	"s = http.server.ThreadingHTTPServer((sys.argv[1], 0), h)\n"                                          \
	"c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)\n"                                                       \
	"c.load_cert_chain(\"ours/controller.pem\", \"ours/controller.key\")\n"                               \
	"s.socket = c.wrap_socket(s.socket, server_side=True)\n"                                              \
	"print(\"port\", s.server_port)\n"                                                                    \
	"s.serve_forever()' \"$1\" >log 2>&1 & pid=$!\n"                                                      \
	"until port=$(grep -o 'port [0-9]*' log); do kill -0 $pid || { cat log; exit 9; }; sleep 0.1; done\n" \
	"port=${port#port }; }\n"

START_TEST(a_feed_comes_by_https_from_whom_the_authority_vouches_for)
{
	ck_assert_msg(
		sh(SERVE_TLS
		   "serve 127.0.0.1\n"
		   "$belay content import misp feed --sha256 $sum --output a.json && "
		   "$belay content import misp https://127.0.0.1:$port/ --ca ours/ca.pem --sha256 $sum --output b.json && "
		   "cmp a.json b.json; r=$?\n"
		   "kill $pid; exit $r") == 0,
		"%s", bl_buf_str(&res.out));
}
END_TEST

/* By the system's authorities, by another one, under another name. */
static const struct {
	const char *host, *ca;
} strangers[] = {
	{ "127.0.0.1", "" },
	{ "127.0.0.1", "--ca theirs/ca.pem" },
	{ "127.0.0.2", "--ca ours/ca.pem" },
};

START_TEST(a_server_that_nobody_vouches_for_gives_nothing)
{
	bl_autofree char *line = bl_path(
		SERVE_TLS
		"serve %s\n"
		"$belay content import misp https://%s:$port/ %s --sha256 $sum --output b.json; r=$?\n"
		"kill $pid; [ ! -e b.json ] && exit $r",
		strangers[_i].host, strangers[_i].host, strangers[_i].ca);

	ck_assert_msg(sh(line) == BL_EXIT_UNDECIDED, "%s",
		      bl_buf_str(&res.out));
	assert_says("certificate");
}
END_TEST

START_TEST(http_from_another_machine_is_refused)
{
	ck_assert_int_eq(
		sh("$belay content import misp http://192.0.2.1/ --sha256 $sum --output o"),
		BL_EXIT_REJECTED);
	assert_says("only https");
}
END_TEST

START_TEST(a_manifest_of_another_digest_is_refused)
{
	memcpy(digest, ZEROS, sizeof(digest));
	assert_refused(BL_EXIT_REJECTED, "its SHA-256 is");
}
END_TEST

START_TEST(an_event_that_is_missing_ends_the_import)
{
	ck_assert_int_eq(sh("rm feed/" OTHER ".json"), 0);
	assert_refused(BL_EXIT_UNDECIDED, OTHER ".json");
}
END_TEST

START_TEST(an_older_event_than_the_manifest_says_is_refused)
{
	put_event(UUID, "1580000000", "192.0.2.1");
	assert_refused(BL_EXIT_REJECTED, "older than the manifest says");
}
END_TEST

START_TEST(an_event_by_a_name_of_another_folder_is_refused)
{
	put_manifest("{\"../content\":{\"timestamp\":\"1\"}}");
	assert_refused(BL_EXIT_REJECTED, "'../content' is no UUID");
}
END_TEST

START_TEST(a_link_in_the_place_of_an_event_is_not_followed)
{
	ck_assert_int_eq(sh("mv feed/" UUID ".json real.json && ln -s "
			    "../real.json feed/" UUID ".json"),
			 0);
	assert_refused(BL_EXIT_REJECTED, "is a link");
}
END_TEST

START_TEST(a_pipe_in_the_place_of_an_event_is_not_waited_for)
{
	ck_assert_int_eq(
		sh("rm feed/" UUID ".json && mkfifo feed/" UUID ".json"), 0);
	assert_refused(BL_EXIT_REJECTED, "is not a regular file");
}
END_TEST

START_TEST(a_huge_event_is_refused_before_it_is_parsed)
{
	bl_autofree char *line = bl_path("truncate -s %u feed/%s.json",
					 BL_MISP_EVENT_MAX + 1, UUID);

	ck_assert_int_eq(sh(line), 0);
	assert_refused(BL_EXIT_REJECTED, "is larger than the limit");
}
END_TEST

START_TEST(an_event_of_ten_thousand_levels_is_refused)
{
	static char deep[10001];

	memset(deep, '[', 10000);
	put("feed/" UUID ".json", deep, 10000);
	assert_refused(BL_EXIT_REJECTED, "nested deeper");
}
END_TEST

START_TEST(wrong_usage_is_told)
{
	ck_assert_int_eq(sh("$belay content import misp feed --output x"),
			 BL_EXIT_USAGE);
	assert_says("give --sha256 HEX");
	ck_assert_int_eq(
		sh("$belay content import misp feed --sha256 abc --output x"),
		BL_EXIT_USAGE);
	ck_assert_int_eq(sh("$belay content import misp feed --sha256 $sum"),
			 BL_EXIT_USAGE);
	ck_assert_int_eq(import("--action ignore"), BL_EXIT_USAGE);
	ck_assert_int_eq(sh("$belay content import misp --help"), 0);
	assert_says("example: belay content import misp");
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *s = suite_create("misp_cli");
	TCase *t = tcase_create("import");

	suite_add_tcase(s, t);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_feed_becomes_content_that_a_bundle_is_built_of);
	tcase_add_test(t,
		       twice_imported_it_is_the_same_file_and_says_so_as_json);
	tcase_add_test(t, it_is_added_to_content_that_is_there);
	tcase_add_test(t, old_events_are_left_out_and_need_not_be_there);
	tcase_add_test(t, a_url_is_a_feed_as_a_folder_is);
	tcase_add_test(
		t, a_feed_comes_by_https_from_whom_the_authority_vouches_for);
	tcase_add_loop_test(t, a_server_that_nobody_vouches_for_gives_nothing,
			    0, BL_ARRAY_SIZE(strangers));
	tcase_add_test(t, http_from_another_machine_is_refused);
	tcase_add_test(t, wrong_usage_is_told);

	t = tcase_create("hostile");
	suite_add_tcase(s, t);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_manifest_of_another_digest_is_refused);
	tcase_add_test(t, an_event_that_is_missing_ends_the_import);
	tcase_add_test(t, an_older_event_than_the_manifest_says_is_refused);
	tcase_add_test(t, an_event_by_a_name_of_another_folder_is_refused);
	tcase_add_test(t, a_link_in_the_place_of_an_event_is_not_followed);
	tcase_add_test(t, a_pipe_in_the_place_of_an_event_is_not_waited_for);
	tcase_add_test(t, a_huge_event_is_refused_before_it_is_parsed);
	tcase_add_test(t, an_event_of_ten_thousand_levels_is_refused);
	return s;
}
