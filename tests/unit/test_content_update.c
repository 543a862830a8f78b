/* SPDX-License-Identifier: Apache-2.0 */
/* Which content is live, since when, and how long it took to get there, over
 * the fake kernel. */
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/host/host.h"
#include "tests/main.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fake_kern.h"

#define CONTENT_A                                                      \
	"{\"contract\":1,\"rules\":[{\"id\":\"a\",\"event\":\"open\"," \
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
	return s;
}
