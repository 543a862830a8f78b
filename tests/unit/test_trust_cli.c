/* SPDX-License-Identifier: Apache-2.0 */
/* belay trust status as a timer on a host calls it: what its exit status says; and
 * what belay status tells people of it. */
#include <string.h>
#include <unistd.h>

#include "loader/base/cleanup.h"
#include "loader/base/cli.h"
#include "loader/base/clock.h"
#include "loader/base/file.h"
#include "loader/base/proc.h"
#include "loader/trust/canon.h"
#include "loader/trust/fleet.h"
#include "loader/trust/repo.h"
#include "tests/main.h"

#define DAY 86400

static const struct bl_repo_shape shape = { 1, 1, 1, 1, false };
static char *dir, *repo_dir, *keys_dir, *host_dir;
static struct bl_keys ring;
static struct bl_repo repo;
static struct bl_err err;
static struct bl_proc_result res;
static int64_t now_s;

static char *under(const char *name)
{
	char *path = bl_path("%s/%s", dir, name);

	ck_assert_ptr_nonnull(path);
	return path;
}

static void ok(int r)
{
	ck_assert_msg(r == 0, "%d: %s", r, err.text);
}

/* A repository that was made so many days ago, and a host with its root. */
static void start(int days)
{
	now_s = bl_clock_wall_ms() / 1000;
	ok(bl_repo_init(repo_dir, keys_dir, &shape, now_s - (int64_t)days * DAY,
			&err));
	ok(bl_keys_load(keys_dir, &ring, &err));
	ok(bl_repo_open(repo_dir, keys_dir, &ring, now_s, &repo, &err));
	ok(bl_file_mkdirs(host_dir, 0700, &err));
	ok(bl_trust_state_save_root(host_dir, repo.tuf.state.root.data,
				    repo.tuf.state.root.len, &err));
}

static void renew(enum bl_repo_role role)
{
	bl_repo_renew(&repo, role);
	ok(bl_repo_publish(&repo, &err));
}

static void setup(void)
{
	dir = bl_test_tmpdir();
	repo_dir = under("repo");
	keys_dir = under("keys");
	host_dir = under("host");
	err = (struct bl_err){ 0 };
}

static void teardown(void)
{
	bl_proc_result_free(&res);
	bl_repo_close(&repo);
	bl_keys_wipe(&ring);
	free(repo_dir);
	free(keys_dir);
	free(host_dir);
	ck_assert_int_eq(bl_file_rmtree(dir, NULL), 0);
	free(dir);
}

/* Runs "belay ARGS" beside the folders; all it says, in res.out. */
static int belay(const char *args)
{
	const struct bl_proc_opts o = { .cwd = dir, .timeout_ms = 600000 };
	bl_autofree char *line =
		bl_path("%s/belay %s 2>&1", BL_TEST_BUILD_DIR, args);
	const char *const argv[] = { "sh", "-c", line, NULL };

	bl_proc_result_free(&res);
	ck_assert_int_eq(bl_proc_run(argv, &o, &res, NULL), 0);
	return res.status;
}

static bool says(const char *what)
{
	return strstr(bl_buf_str(&res.out), what);
}

static void assert_status(const char *args, int code, const char *what)
{
	int r = belay(args);

	ck_assert_msg(r == code && says(what),
		      "%s: %d, and not %d with '%s':\n%s", args, r, code, what,
		      bl_buf_str(&res.out));
}

START_TEST(a_fleet_role_that_was_changed_is_no_success)
{
	bl_autofree char *path = NULL;
	bl_autobuf struct bl_buf b = { 0 };

	start(0);
	assert_status("trust status host --repo repo", BL_EXIT_OK, "fleet");
	renew(BL_REPO_FLEET);
	path = under("repo/metadata/2.fleet.json");
	ok(bl_file_read(path, 1 << 20, &b, &err));
	b.data[b.len - 4] ^= 1;
	ok(bl_file_write(path, b.data, b.len, 0644, &err));
	assert_status("trust status host --repo repo", BL_EXIT_REJECTED,
		      "fleet.json: its SHA-256 is not the one");
	/* What is valid is told all the same. */
	ck_assert_msg(says("timestamp"), "%s", bl_buf_str(&res.out));
	assert_status("trust status host --repo repo --json", BL_EXIT_REJECTED,
		      "\"targets\"");
}
END_TEST

START_TEST(a_fleet_role_that_has_expired_is_no_success)
{
	start(BL_REPO_FLEET_DAYS + 1);
	renew(BL_REPO_SNAPSHOT);
	assert_status("trust status host --repo repo", BL_EXIT_REJECTED,
		      "fleet.json: version 1 expired at");
	renew(BL_REPO_FLEET);
	assert_status("trust status host --repo repo", BL_EXIT_OK, "fleet");
}
END_TEST

START_TEST(a_fleet_role_that_is_not_there_could_not_be_read)
{
	bl_autofree char *path = NULL;

	start(0);
	path = under("repo/metadata/1.fleet.json");
	ck_assert_int_eq(unlink(path), 0);
	assert_status("trust status host --repo repo", BL_EXIT_UNDECIDED,
		      "1.fleet.json");
}
END_TEST

/* A host that verifies bundles asks for no fleet role: nothing is wrong. */
START_TEST(without_a_repository_what_was_not_asked_for_is_no_failure)
{
	const struct bl_tuf_fetcher f = { bl_tuf_from_dir, repo_dir };
	BL_CLEANUP(bl_tuf_close) struct bl_tuf tuf = { 0 };

	start(0);
	/* Nothing was asked for yet: how it is done. */
	assert_status("trust status host", BL_EXIT_UNDECIDED,
		      "belay trust status host --repo REPO");
	assert_status("trust status host --repo repo", BL_EXIT_OK, "fleet");
	assert_status("trust status host", BL_EXIT_OK, "fleet");
	renew(BL_REPO_FLEET);
	ok(bl_tuf_open(host_dir, &tuf, &err));
	ok(bl_tuf_refresh(&tuf, &f, now_s, &err));
	assert_status("trust status host", BL_EXIT_OK, "timestamp");
	ck_assert_msg(!says("fleet"), "%s", bl_buf_str(&res.out));
}
END_TEST

/* What an operator looks at when nothing is taken any more. */
START_TEST(status_of_a_host_tells_how_fresh_it_is_and_why_not)
{
	static const char status[] = "status --state-dir state --trust host";
	bl_autofree char *path = under("repo/metadata/timestamp.json");

	assert_status(status, BL_EXIT_OK, "nothing is live");
	ck_assert_msg(!says("trust"), "%s", bl_buf_str(&res.out));
	start(BL_REPO_TIMESTAMP_DAYS + 1);
	assert_status(status, BL_EXIT_OK, "nothing yet: no repository");

	assert_status("trust status host --repo repo", BL_EXIT_REJECTED,
		      "timestamp.json: version 1 expired at");
	assert_status(status, BL_EXIT_OK, "not refreshed at");
	ck_assert_msg(says("(expired)") && says("a freeze: somebody keeps"),
		      "%s", bl_buf_str(&res.out));
	assert_status("status --state-dir state --trust host --json",
		      BL_EXIT_OK, "\"fault\": \"expired\"");
	ck_assert_msg(says("\"state\": \"never\""), "%s", bl_buf_str(&res.out));

	renew(BL_REPO_TIMESTAMP);
	assert_status("trust status host --repo repo", BL_EXIT_OK, "fleet");
	assert_status(status, BL_EXIT_OK, "fresh; the timestamp is good until");
	ck_assert_msg(says("root 1, timestamp 2, snapshot 1, targets 1") &&
			      !says("not refreshed") &&
			      says("start belay agent"),
		      "%s", bl_buf_str(&res.out));

	ok(bl_file_write(path, "<html>", 6, 0644, &err));
	belay("trust status host --repo repo");
	belay("trust status host --repo repo");
	assert_status(status, BL_EXIT_OK, "2 times in a row");
	ck_assert_msg(says("fresh; ") && says("(malformed)"), "%s",
		      bl_buf_str(&res.out));
}
END_TEST

/* Who orders by the controller's TLS alone has no key that could be missing. */
START_TEST(a_repository_without_a_fleet_is_whole)
{
	assert_status(
		"trust init repo --keys keys --root-keys 1 --root-threshold 1 "
		"--no-fleet",
		BL_EXIT_OK, "timestamp");
	ck_assert_msg(!says("fleet"), "%s", bl_buf_str(&res.out));
	now_s = bl_clock_wall_ms() / 1000;
	ok(bl_keys_load(keys_dir, &ring, &err));
	for (size_t i = 0; i < ring.count; i++)
		ck_assert_str_ne(ring.key[i].role, "fleet");
	ok(bl_repo_open(repo_dir, keys_dir, &ring, now_s, &repo, &err));
	ok(bl_repo_add(&repo, "s-1.bundle", "bytes", 5, &err));
	ok(bl_repo_publish(&repo, &err));
	ok(bl_repo_withdraw(&repo, "s-1.bundle", &err));
	ok(bl_repo_publish(&repo, &err));
	assert_status("trust rotate repo --keys keys --role timestamp",
		      BL_EXIT_OK, "timestamp");
	assert_status("trust status keys --repo repo", BL_EXIT_OK, "timestamp");
	assert_status("trust renew repo --keys keys --role fleet",
		      BL_EXIT_UNDECIDED,
		      "repo: this repository has no role 'fleet'");
	assert_status("trust rotate repo --keys keys --role fleet",
		      BL_EXIT_UNDECIDED,
		      "repo: this repository has no role 'fleet'");
	assert_status("trust assign repo s-1.bundle web-1 --keys keys",
		      BL_EXIT_UNDECIDED,
		      "repo: this repository has no role 'fleet'");
}
END_TEST

#define SHA256_BYTES \
	"277089d91c0bdf4f2e6862ba7e4a07605119431f5d13f726dd352b06f1b206a9"
#define SHA256_OTHER \
	"d9298a10d1b0735837dc4bd85dac641b0f3cef27a47e5d53a54f2f3f5b2fcffa"

/* Without a controller, what is to run where is asked here. */
START_TEST(status_says_what_is_assigned_to_a_host)
{
	const char *const all[] = { "web-1", "db-*" }, *const one[] = { "db-2" };

	start(0);
	ok(bl_repo_add(&repo, "s-1.bundle", "bytes", 5, &err));
	ok(bl_repo_add(&repo, "s-2.bundle", "other", 5, &err));
	ok(bl_repo_publish(&repo, &err));
	ok(bl_repo_assign(&repo, "s-1.bundle", all, 2, &err));
	ok(bl_repo_assign(&repo, "s-2.bundle", one, 1, &err));
	ok(bl_repo_publish(&repo, &err));
	assert_status("trust status host --repo repo --host web-1", BL_EXIT_OK,
		      "web-1 is to run s-1.bundle  " SHA256_BYTES);
	/* Of what was kept, too. */
	assert_status("trust status host --host db-1 --json", BL_EXIT_OK,
		      "\"name\": \"s-1.bundle\"");
	assert_status("trust status host --host mail", BL_EXIT_OK,
		      "nothing is assigned to mail");
	assert_status("trust status host --host db-2", BL_EXIT_REJECTED,
		      "db-2 is assigned both");
}
END_TEST

/* Two release keys must sign, and one of them is here. */
static void release_two(void)
{
	static const struct bl_repo_shape two = { 1, 1, 2, 2, false };
	size_t i = 0;

	now_s = bl_clock_wall_ms() / 1000;
	ok(bl_repo_init(repo_dir, keys_dir, &two, now_s - DAY, &err));
	ok(bl_keys_load(keys_dir, &ring, &err));
	ok(bl_repo_open(repo_dir, keys_dir, &ring, now_s, &repo, &err));
	ok(bl_repo_add(&repo, "s-0.bundle", "bytes", 5, &err));
	ok(bl_repo_add(&repo, "s-1.bundle", "bytes", 5, &err));
	ok(bl_repo_publish(&repo, &err));
	while (strcmp(ring.key[i].role, "targets") != 0)
		i++;
	ring.key[i] = ring.key[--ring.count];
}

/* What who has it proposes. */
static void propose(char digest[static BL_DIGEST_HEX])
{
	BL_CLEANUP(bl_repo_pending_free) struct bl_repo_pending p = { 0 };

	release_two();
	ok(bl_repo_withdraw(&repo, "s-0.bundle", &err));
	ok(bl_repo_add(&repo, "s-1.bundle", "other", 5, &err));
	ok(bl_repo_add(&repo, "s-2.bundle", "bytes", 5, &err));
	ok(bl_repo_propose(&repo, &err));
	ok(bl_repo_pending(&repo, BL_REPO_TARGETS, &p, &err));
	/* It is of what anybody can make of the file. */
	ok(bl_canon_digest(p.meta.body, digest, &err));
	ck_assert_str_eq(p.digest, digest);
}

START_TEST(who_signs_sees_what_it_is_and_can_say_what_it_must_be)
{
	char digest[BL_DIGEST_HEX];
	bl_autofree char *right = NULL, *looks = NULL;

	propose(digest);
	right = bl_path("trust sign repo --keys keys --json --expect %s",
			digest);
	looks = bl_path("trust sign repo --trust keys --expect %s", digest);
	assert_status("trust status keys --repo repo", BL_EXIT_OK, digest);
	assert_status("trust status keys --repo repo --json", BL_EXIT_OK,
		      digest);
	assert_status("trust sign repo --trust keys", BL_EXIT_OK, digest);
	ck_assert(says("  removes s-0.bundle\n"));
	ck_assert(says("  replaces s-1.bundle  " SHA256_OTHER));
	ck_assert(says("  adds s-2.bundle  " SHA256_BYTES));
	ck_assert(says("  valid until "));
	assert_status("trust sign repo --keys keys --expect " SHA256_OTHER,
		      BL_EXIT_REJECTED, "nothing was signed");
	assert_status("trust sign repo --keys keys --expect d929",
		      BL_EXIT_USAGE, "'d929' is not a digest");
	assert_status(looks, BL_EXIT_USAGE, "--expect is of what is to be");
	assert_status(right, BL_EXIT_OK, "\"published\": true");
	assert_status("trust sign repo --trust keys", BL_EXIT_OK,
		      "nothing waits");
	assert_status("trust sign repo --keys keys", BL_EXIT_UNDECIDED,
		      "nothing was signed");
	assert_status("trust sign repo --keys keys --json", BL_EXIT_UNDECIDED,
		      "nothing was signed");
}
END_TEST

START_TEST(without_a_digest_it_shows_first_what_it_signs)
{
	char digest[BL_DIGEST_HEX];
	const char *id;

	propose(digest);
	assert_status("trust sign repo --keys keys", BL_EXIT_OK,
		      "enough have signed: it is published");
	ck_assert(says(digest));
	ck_assert(says("  adds s-2.bundle  " SHA256_BYTES));
	assert_status(
		"trust rotate repo --keys keys --role timestamp --propose",
		BL_EXIT_OK, "  adds the key timestamp-");
	ck_assert(says("  removes the key timestamp-"));
	assert_status("trust sign repo --keys keys", BL_EXIT_OK,
		      "  adds the key timestamp-");
	/* Whole: it is what another one must not look like. */
	id = strstr(bl_buf_str(&res.out), "  adds the key timestamp-") +
	     strlen("  adds the key timestamp-");
	ck_assert_uint_eq(strspn(id, "0123456789abcdef"), BL_DIGEST_HEX - 1);
	assert_status("trust renew repo --keys keys --role root --propose",
		      BL_EXIT_OK, "  says the same as before");
}
END_TEST

/* A bundle that is known, with a serial after which no release counts. */
START_TEST(what_a_target_says_beside_its_bytes_is_shown)
{
	json_t *custom;

	release_two();
	custom = json_object_get(
		json_object_get(json_object_get(repo.body[BL_REPO_TARGETS],
						"targets"),
				"s-1.bundle"),
		"custom");
	ck_assert_int_eq(json_object_set_new(json_object_get(custom, "belay"),
					     "serial",
					     json_integer(1000000000)),
			 0);
	ck_assert_int_eq(
		json_object_set_new(custom, "note", json_string("\u202ex")), 0);
	bl_repo_renew(&repo, BL_REPO_TARGETS);
	ok(bl_repo_propose(&repo, &err));
	assert_status("trust sign repo --trust keys", BL_EXIT_OK,
		      "  replaces s-1.bundle  " SHA256_BYTES
		      "  5 bytes, serial 1000000000\n"
		      "    until now s-1.bundle  " SHA256_BYTES
		      "  5 bytes, serial 2\n"
		      "    custom.note: \"\\u202Ex\"\n");
	assert_status("trust sign repo --trust keys --json", BL_EXIT_OK,
		      "\"serial\": 1000000000");
	ck_assert(says("\"custom.note\""));
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *s = suite_create("trust_cli");
	TCase *t = tcase_create("status");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_fleet_role_that_was_changed_is_no_success);
	tcase_add_test(t, a_fleet_role_that_has_expired_is_no_success);
	tcase_add_test(t, a_fleet_role_that_is_not_there_could_not_be_read);
	tcase_add_test(
		t, without_a_repository_what_was_not_asked_for_is_no_failure);
	tcase_add_test(t, status_of_a_host_tells_how_fresh_it_is_and_why_not);
	tcase_add_test(t, a_repository_without_a_fleet_is_whole);
	tcase_add_test(t, status_says_what_is_assigned_to_a_host);
	tcase_add_test(t,
		       who_signs_sees_what_it_is_and_can_say_what_it_must_be);
	tcase_add_test(t, without_a_digest_it_shows_first_what_it_signs);
	tcase_add_test(t, what_a_target_says_beside_its_bytes_is_shown);
	suite_add_tcase(s, t);
	return s;
}
