/* SPDX-License-Identifier: Apache-2.0 */
/* Which content is live, since when, and how long it took to get there, over
 * the fake kernel. */
#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/bundle/content.h"
#include "loader/host/host.h"
#include "tests/main.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fake_kern.h"

#define CONTENT_A                                                      \
	"{\"contract\":1,\"rules\":[{\"id\":\"a\",\"event\":\"open\"," \
	"\"path\":\"/etc/shadow\",\"action\":\"emit\"}]}"

#define CONTENT_B                                                      \
	"{\"contract\":1,\"rules\":[{\"id\":\"b\",\"event\":\"open\"," \
	"\"path\":\"/etc/shadow\",\"action\":\"emit\"}]}"

static char *dir, *state_dir;
static struct fake_kern *fake;
static struct bl_host *host;
static struct bl_bundle bundle;
static struct bl_apply_result res;
static struct bl_err err;

static void open_host(void)
{
	struct bl_host_config config = { .state_dir = state_dir,
					 .ops = &fake_kern_ops,
					 .kern = fake,
					 .clock = &fake_clock };

	ck_assert_msg(!bl_host_open(&config, &host, &err), "%s", err.text);
}

static void put(const char *name, const char *text)
{
	bl_autofree char *path = bl_path("%s/%s", dir, name);

	ck_assert_int_eq(bl_file_write(path, text, strlen(text), 0600, NULL),
			 0);
}

static void set_up(void)
{
	bl_autofree char *manifest = NULL;

	dir = bl_test_tmpdir();
	state_dir = bl_path("%s/state", dir);
	manifest = bl_path("%s/manifest.json", dir);
	put("fake.bpf.o", "object");
	put("content.json", CONTENT_A);
	put("manifest.json", "{\"name\":\"fake\",\"version\":\"1\","
			     "\"object\":\"fake.bpf.o\","
			     "\"content\":\"content.json\","
			     "\"trial\":{\"probation_ms\":1000}}");
	ck_assert_msg(!bl_bundle_build(manifest, &bundle, &err), "%s",
		      err.text);
	fake = fake_kern_new();
	open_host();
}

static void tear_down(void)
{
	bl_host_close(host);
	bl_bundle_free(&bundle);
	fake_kern_free(fake);
	bl_file_rmtree(dir, NULL);
	free(dir);
	free(state_dir);
}

static void apply(const struct bl_bundle *b, enum bl_apply_outcome outcome)
{
	ck_assert_msg(!bl_host_apply(host, b, NULL, &res, &err), "%s",
		      err.text);
	ck_assert_msg(res.outcome == outcome, "outcome %d: %s", res.outcome,
		      res.reason);
}

/* The newest transaction. */
static struct bl_host_txn last(void)
{
	struct bl_host_history h;
	struct bl_host_txn t;

	ck_assert_int_eq(bl_host_history(host, 1, &h, &err), 0);
	ck_assert_uint_eq(h.count, 1);
	t = h.txns[0];
	bl_host_history_free(&h);
	return t;
}

START_TEST(status_and_history_name_the_content_by_the_digest_of_its_file)
{
	char digest[BL_DIGEST_HEX];
	struct bl_host_status s;

	ck_assert_int_eq(bl_digest(CONTENT_A, strlen(CONTENT_A), digest), 0);
	apply(&bundle, BL_APPLY_COMMITTED);
	ck_assert_str_eq(res.now.content, digest);
	ck_assert_int_eq(bl_host_status(host, &s, &err), 0);
	ck_assert_str_eq(s.live.content, digest);
	ck_assert_str_eq(last().content, digest);
}
END_TEST

START_TEST(history_tells_how_long_from_staged_to_live)
{
	struct bl_host_times t;

	apply(&bundle, BL_APPLY_COMMITTED);
	t = last().times;
	ck_assert_int_ge(t.staged_ms, 0);
	/* The fake clock stands still but for the trial. */
	ck_assert_int_eq(t.live_ms, t.staged_ms);
	ck_assert_int_eq(t.committed_ms, t.live_ms + 1000);
	ck_assert_int_ge(t.ended_ms, t.committed_ms);
}
END_TEST

START_TEST(what_did_not_happen_has_no_time)
{
	struct bl_host_times t;

	fake->drops_per_probe = 100;
	apply(&bundle, BL_APPLY_ROLLED_BACK);
	t = last().times;
	ck_assert_int_ge(t.live_ms, 0);
	ck_assert_int_eq(t.committed_ms, -1);
	ck_assert_int_ge(t.ended_ms, t.live_ms);
}
END_TEST

/* As the first belay wrote it. */
static void make_old(void)
{
	bl_autofree char *path = bl_path("%s/journal.db", state_dir);
	sqlite3 *db;

	bl_host_close(host);
	host = NULL;
	ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
	ck_assert_int_eq(
		sqlite3_exec(db,
			     "ALTER TABLE txn DROP COLUMN content;"
			     "ALTER TABLE txn DROP COLUMN staged_ms;"
			     "ALTER TABLE txn DROP COLUMN live_ms;"
			     "ALTER TABLE txn DROP COLUMN committed_ms;"
			     "ALTER TABLE txn DROP COLUMN ended_ms;"
			     "DROP TABLE trial;"
			     "ALTER TABLE txn DROP COLUMN maps;"
			     "ALTER TABLE txn DROP COLUMN attribution;"
			     "ALTER TABLE txn DROP COLUMN gap_us;"
			     "ALTER TABLE txn DROP COLUMN gap_back_us;"
			     "PRAGMA user_version=1;",
			     NULL, NULL, NULL),
		SQLITE_OK);
	sqlite3_close(db);
}

START_TEST(a_journal_of_the_first_belay_is_kept_and_goes_on)
{
	struct bl_host_status s;

	apply(&bundle, BL_APPLY_COMMITTED);
	make_old();
	open_host();
	ck_assert_int_eq(bl_host_status(host, &s, &err), 0);
	ck_assert_msg(s.healthy, "%s", s.problem);
	ck_assert_str_eq(s.live.digest, bundle.digest);
	ck_assert_str_eq(s.live.content, "");
	ck_assert_int_eq(last().times.live_ms, -1);
	ck_assert_int_eq(bl_host_rollback(host, NULL, &res, &err), 0);
	ck_assert_int_eq(res.outcome, BL_APPLY_COMMITTED);
}
END_TEST

/* --- belay apply CONTENT -------------------------------------------------- */

static char onto[BL_DIGEST_HEX];

static int derive(const char *json, struct bl_bundle *ret)
{
	err = (struct bl_err){ 0 };
	return bl_host_with_content(host, "b.json", json, strlen(json), ret,
				    onto, &err);
}

START_TEST(a_content_update_changes_the_content_and_nothing_else)
{
	BL_CLEANUP(bl_bundle_free) struct bl_bundle b = { 0 };
	struct bl_apply_opts opts = { .onto = onto };
	struct bl_host_status s;

	apply(&bundle, BL_APPLY_COMMITTED);
	ck_assert_msg(!derive(CONTENT_B, &b), "%s", err.text);
	ck_assert_str_eq(onto, bundle.digest);
	ck_assert_str_eq(b.manifest.version, bundle.manifest.version);
	ck_assert_uint_eq(b.object.len, bundle.object.len);
	ck_assert_mem_eq(b.object.data, bundle.object.data, b.object.len);
	ck_assert_str_eq(bl_content_rule_name(b.content_bin.data, 0), "b");

	ck_assert_int_eq(bl_host_apply(host, &b, &opts, &res, &err), 0);
	ck_assert_msg(res.outcome == BL_APPLY_COMMITTED, "%s", res.reason);
	ck_assert_int_eq(bl_host_status(host, &s, &err), 0);
	ck_assert_msg(s.healthy, "%s", s.problem);
	ck_assert_str_eq(s.live.content, b.content_digest);
	ck_assert_str_eq(s.previous.content, bundle.content_digest);

	/* And back, from what this host keeps. */
	ck_assert_int_eq(bl_host_rollback(host, NULL, &res, &err), 0);
	ck_assert_str_eq(res.now.content, bundle.content_digest);
}
END_TEST

/* A fleet sees one digest, whoever makes the bundle. */
START_TEST(it_is_the_bundle_that_building_would_give)
{
	BL_CLEANUP(bl_bundle_free) struct bl_bundle b = { 0 }, built = { 0 };
	bl_autofree char *manifest = bl_path("%s/manifest.json", dir);

	apply(&bundle, BL_APPLY_COMMITTED);
	ck_assert_msg(!derive(CONTENT_B, &b), "%s", err.text);
	put("content.json", CONTENT_B);
	ck_assert_msg(!bl_bundle_build(manifest, &built, &err), "%s", err.text);
	ck_assert_str_eq(b.digest, built.digest);
}
END_TEST

START_TEST(the_content_that_is_live_is_not_applied_again)
{
	BL_CLEANUP(bl_bundle_free) struct bl_bundle b = { 0 };

	apply(&bundle, BL_APPLY_COMMITTED);
	ck_assert_msg(!derive(CONTENT_A, &b), "%s", err.text);
	apply(&b, BL_APPLY_REFUSED);
	ck_assert_int_eq(res.refusal, BL_REFUSAL_LIVE);
}
END_TEST

START_TEST(without_a_sensor_there_is_nothing_to_give_content_to)
{
	struct bl_bundle b = { 0 };

	ck_assert_int_eq(derive(CONTENT_B, &b), -ENOENT);
	ck_assert_str_eq(
		err.text,
		"b.json is content, and nothing is live on this host that could take it");
	ck_assert_msg(strstr(err.hint, "belay apply BUNDLE"), "%s", err.hint);
}
END_TEST

START_TEST(a_mistake_in_content_is_the_compilers_and_touches_nothing)
{
	struct bl_bundle b = { 0 };
	struct bl_host_history h;

	apply(&bundle, BL_APPLY_COMMITTED);
	ck_assert_int_eq(derive("{\"contract\":1,\n\"rules\":[7]}", &b),
			 -EBADMSG);
	ck_assert_str_eq(
		err.text,
		"b.json:2: rules[0]: an object was expected, this is a whole number");
	ck_assert_int_eq(bl_host_history(host, 0, &h, &err), 0);
	ck_assert_uint_eq(h.count, 1);
	bl_host_history_free(&h);
}
END_TEST

START_TEST(a_sensor_without_content_takes_none)
{
	BL_CLEANUP(bl_bundle_free) struct bl_bundle plain = { 0 };
	bl_autofree char *manifest = bl_path("%s/manifest.json", dir);
	struct bl_bundle b = { 0 };

	put("manifest.json", "{\"name\":\"plain\",\"version\":\"1\","
			     "\"object\":\"fake.bpf.o\"}");
	ck_assert_msg(!bl_bundle_build(manifest, &plain, &err), "%s", err.text);
	apply(&plain, BL_APPLY_COMMITTED);
	ck_assert_int_eq(derive(CONTENT_B, &b), -EBADMSG);
	ck_assert_str_eq(
		err.text,
		"b.json: plain 1 takes no content: its manifest names none");
}
END_TEST

/* Two belay at once: the content must not bring an older sensor back. */
START_TEST(what_went_live_meanwhile_stays)
{
	BL_CLEANUP(bl_bundle_free) struct bl_bundle b = { 0 }, newer = { 0 };
	bl_autofree char *manifest = bl_path("%s/manifest.json", dir);
	struct bl_apply_opts opts = { .onto = onto };
	struct bl_host_status s;

	apply(&bundle, BL_APPLY_COMMITTED);
	ck_assert_msg(!derive(CONTENT_B, &b), "%s", err.text);
	put("fake.bpf.o", "a newer object");
	ck_assert_msg(!bl_bundle_build(manifest, &newer, &err), "%s", err.text);
	apply(&newer, BL_APPLY_COMMITTED);

	ck_assert_int_eq(bl_host_apply(host, &b, &opts, &res, &err), 0);
	ck_assert_int_eq(res.outcome, BL_APPLY_REFUSED);
	ck_assert_int_eq(res.refusal, BL_REFUSAL_CHANGED);
	ck_assert_int_eq(bl_host_status(host, &s, &err), 0);
	ck_assert_str_eq(s.live.digest, newer.digest);
}
END_TEST

static const struct {
	const char *path, *bytes;
	bool content;
} files[] = {
	{ "a.json", " \n{\"contract\":1}", true },
	{ "a.bundle", "{\"contract\":1}", true }, /* whatever its name says */
	{ "a.json", "\x28\xb5\x2f\xfd and so on", false },
	{ "a.json",
	  "\x7f"
	  "ELF and so on",
	  false },
	{ "a.json", "", true }, /* only its name says something */
	{ "a.json", "[]", true },
	{ "a.bundle", "junk", false },
	{ "json", "", false },
};

START_TEST(a_file_is_what_its_bytes_say)
{
	ck_assert_int_eq(bl_content_is(files[_i].path, files[_i].bytes,
				       strlen(files[_i].bytes)),
			 files[_i].content);
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *s = suite_create("content_update");
	TCase *tc = tcase_create("journal");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(
		tc,
		status_and_history_name_the_content_by_the_digest_of_its_file);
	tcase_add_test(tc, history_tells_how_long_from_staged_to_live);
	tcase_add_test(tc, what_did_not_happen_has_no_time);
	tcase_add_test(tc, a_journal_of_the_first_belay_is_kept_and_goes_on);
	suite_add_tcase(s, tc);
	tc = tcase_create("update");
	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc,
		       a_content_update_changes_the_content_and_nothing_else);
	tcase_add_test(tc, it_is_the_bundle_that_building_would_give);
	tcase_add_test(tc, the_content_that_is_live_is_not_applied_again);
	tcase_add_test(tc,
		       without_a_sensor_there_is_nothing_to_give_content_to);
	tcase_add_test(
		tc, a_mistake_in_content_is_the_compilers_and_touches_nothing);
	tcase_add_test(tc, a_sensor_without_content_takes_none);
	tcase_add_test(tc, what_went_live_meanwhile_stays);
	suite_add_tcase(s, tc);
	tc = tcase_create("kind");
	tcase_add_loop_test(tc, a_file_is_what_its_bytes_say, 0,
			    BL_ARRAY_SIZE(files));
	suite_add_tcase(s, tc);
	return s;
}
