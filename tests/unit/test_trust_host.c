/* SPDX-License-Identifier: Apache-2.0 */
/* A host with a trust root loads what the release keys signed, whoever orders
 * something else: the decision is in bl_host_apply, which all of them call. */
#include <string.h>
#include <unistd.h>

#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/trust/floor.h"
#include "loader/trust/repo.h"
#include "tests/main.h"
#include "tests/support/fake_clock.h"
#include "tests/support/one_host.h"

static struct one_host one;
static struct bl_keys ring;
static struct bl_repo repo;
static struct bl_err err;
static char *repo_dir, *trust_dir;

static int64_t now_s(void)
{
	return fake_clock.wall_ms(NULL) / 1000;
}

static void ok(int r)
{
	ck_assert_msg(r == 0, "%d: %s", r, err.text);
}

static void set_up(void)
{
	static const struct bl_repo_shape shape = { 1, 1, 1, 1, false };
	bl_autofree char *keys = NULL;

	one_host_set_up(&one);
	err = (struct bl_err){ 0 };
	repo_dir = bl_path("%s/repo", one.dir);
	keys = bl_path("%s/keys", one.dir);
	trust_dir = bl_path("%s/trust", one.state_dir);
	ok(bl_repo_init(repo_dir, keys, &shape, now_s(), &err));
	ok(bl_keys_load(keys, &ring, &err));
	ok(bl_repo_open(repo_dir, keys, &ring, now_s(), &repo, &err));
}

static void tear_down(void)
{
	bl_repo_close(&repo);
	bl_keys_wipe(&ring);
	free(repo_dir);
	free(trust_dir);
	one_host_tear_down(&one);
}

static void sign(const char *name, const struct bl_bundle *b)
{
	ok(bl_repo_add(&repo, name, b->raw.data, b->raw.len, &err));
	ok(bl_repo_publish(&repo, &err));
}

static void give_root(void)
{
	ok(bl_file_mkdirs(trust_dir, 0700, &err));
	ok(bl_trust_state_save_root(trust_dir, repo.tuf.state.root.data,
				    repo.tuf.state.root.len, &err));
}

/* What a timer on the host does, with a mirror of the repository. */
static void refresh(void)
{
	const struct bl_tuf_fetcher f = { bl_tuf_from_dir, repo_dir };
	BL_CLEANUP(bl_tuf_close) struct bl_tuf tuf = { 0 };

	ok(bl_tuf_open(trust_dir, &tuf, &err));
	ok(bl_tuf_refresh(&tuf, &f, now_s(), &err));
}

/* All that an attack on a host could change: its kernel, its journal, what it
 * trusts. */
struct lies_there {
	struct fake_slot slot[BL_SLOT_COUNT];
	int named;
	size_t txns, tombstones;
	char live[BL_DIGEST_HEX];
	struct bl_buf trust; /* its files, one behind the other */
};

static void look(struct lies_there *ret)
{
	static const char *const files[] = { BL_TRUST_ROOT_FILE, BL_TRUST_FILE,
					     BL_FLOOR_FILE };
	struct bl_host_history history = { 0 };

	*ret = (struct lies_there){ .named = one.fake->named };
	memcpy(ret->slot, one.fake->slot, sizeof(ret->slot));
	memcpy(ret->live, one_host_status(&one).live.digest, BL_DIGEST_HEX);
	ok(bl_host_history(one.host, 0, &history, &err));
	ret->txns = history.count;
	ret->tombstones = history.tombstone_count;
	bl_host_history_free(&history);
	for (size_t i = 0; i < BL_ARRAY_SIZE(files); i++) {
		bl_autofree char *path = bl_path("%s/%s", trust_dir, files[i]);

		bl_file_read(path, 1 << 20, &ret->trust, NULL);
	}
}

static void assert_untouched(struct lies_there *was)
{
	struct lies_there is;

	look(&is);
	ck_assert_uint_eq(was->txns, is.txns);
	ck_assert_uint_eq(was->tombstones, is.tombstones);
	ck_assert_str_eq(was->live, is.live);
	ck_assert_int_eq(was->named, is.named);
	ck_assert_int_eq(memcmp(was->slot, is.slot, sizeof(is.slot)), 0);
	ck_assert_uint_eq(was->trust.len, is.trust.len);
	ck_assert_int_eq(memcmp(bl_buf_str(&was->trust), bl_buf_str(&is.trust),
				is.trust.len),
			 0);
	bl_buf_free(&was->trust);
	bl_buf_free(&is.trust);
}

static void assert_refused(const struct bl_bundle *b, const char *why)
{
	const struct bl_apply_opts opts = { .override_reason = "I insist" };
	struct lies_there before;

	look(&before);
	one_host_apply(&one, b, &opts, BL_APPLY_REFUSED);
	ck_assert_int_eq(one.res.refusal, BL_REFUSAL_UNSIGNED);
	ck_assert_msg(strstr(one.res.reason, why), "%s", one.res.reason);
	ck_assert_msg(*one.res.hint, "no hint");
	ck_assert_int_eq(one.res.tombstoned, false);
	assert_untouched(&before);
}

START_TEST(without_a_root_nothing_is_asked)
{
	one_host_apply(&one, &one.v1, NULL, BL_APPLY_COMMITTED);
}
END_TEST

/* What belay status says of it. */
static void assert_signed(enum bl_host_signed by, int64_t serial)
{
	struct bl_host_status s = one_host_status(&one);

	ck_assert_int_eq(s.was_signed, by);
	ck_assert_int_eq(s.serial, serial);
}

START_TEST(status_says_who_signed_what_is_live)
{
	bl_autofree char *noted = NULL;

	one_host_apply(&one, &one.v1, NULL, BL_APPLY_COMMITTED);
	assert_signed(BL_HOST_SIGNED_UNASKED, 0);
	sign("two.bundle", &one.v2);
	give_root();
	assert_signed(BL_HOST_SIGNED_NOT, 0);
	refresh();
	one_host_apply(&one, &one.v2, NULL, BL_APPLY_COMMITTED);
	assert_signed(BL_HOST_SIGNED_RELEASE, 2);
	noted = bl_path("%s/" BL_FLOOR_FILE, trust_dir);
	ok(bl_file_write(noted, "{", 1, 0600, &err));
	assert_signed(BL_HOST_SIGNED_UNKNOWN, 0);
}
END_TEST

START_TEST(with_one_only_what_is_signed_is_loaded)
{
	give_root();
	assert_refused(&one.v1, "no repository was asked yet");
	sign("v1.bundle", &one.v1);
	refresh();
	one_host_apply(&one, &one.v1, NULL, BL_APPLY_COMMITTED);
	assert_refused(&one.v2, "have not signed");
	ck_assert_str_eq(one_host_status(&one).live.digest, one.v1.digest);
	/* Signed, and not known here before this host asks. */
	sign("v2.bundle", &one.v2);
	assert_refused(&one.v2, "have not signed");
	refresh();
	one_host_apply(&one, &one.v2, NULL, BL_APPLY_COMMITTED);
}
END_TEST

/* Rules alone make a bundle here, and what can deny is released like code. */
START_TEST(content_that_nobody_released_is_refused_and_says_what_to_do)
{
	struct bl_apply_opts opts = { .onto = one.v1.digest };

	give_root();
	sign("v1.bundle", &one.v1);
	refresh();
	one_host_apply(&one, &one.v1, NULL, BL_APPLY_COMMITTED);
	one_host_apply(&one, &one.v2, &opts, BL_APPLY_REFUSED);
	ck_assert_int_eq(one.res.refusal, BL_REFUSAL_UNSIGNED);
	ck_assert_ptr_nonnull(strstr(one.res.hint, "belay bundle sign"));
}
END_TEST

START_TEST(an_older_release_is_refused_and_the_way_back_is_not)
{
	give_root();
	sign("v1.bundle", &one.v1);
	refresh();
	one_host_apply(&one, &one.v1, NULL, BL_APPLY_COMMITTED);
	sign("v2.bundle", &one.v2);
	refresh();
	one_host_apply(&one, &one.v2, NULL, BL_APPLY_COMMITTED);
	assert_refused(&one.v1, "v1.bundle has serial 2");
	ok(bl_host_rollback(one.host, "too loud", &one.res, &err));
	ck_assert_str_eq(one_host_status(&one).live.digest, one.v1.digest);
}
END_TEST

/* Else a withdrawal, which is there to get rid of one, would let older ones in. */
START_TEST(an_older_release_is_refused_though_the_live_one_was_withdrawn)
{
	give_root();
	sign("v1.bundle", &one.v1);
	sign("v2.bundle", &one.v2);
	refresh();
	one_host_apply(&one, &one.v2, NULL, BL_APPLY_COMMITTED);
	ok(bl_repo_withdraw(&repo, "v2.bundle", &err));
	ok(bl_repo_publish(&repo, &err));
	refresh();
	assert_refused(&one.v1, "v1.bundle has serial 2");
	ck_assert_str_eq(one_host_status(&one).live.digest, one.v2.digest);
	/* Who releases can mean it. */
	sign("v1-again.bundle", &one.v1);
	refresh();
	one_host_apply(&one, &one.v1, NULL, BL_APPLY_COMMITTED);
}
END_TEST

START_TEST(without_the_serials_that_were_noted_nothing_is_loaded)
{
	bl_autofree char *path = NULL;

	give_root();
	sign("v1.bundle", &one.v1);
	sign("v2.bundle", &one.v2);
	refresh();
	one_host_apply(&one, &one.v1, NULL, BL_APPLY_COMMITTED);
	path = bl_path("%s/" BL_FLOOR_FILE, trust_dir);
	ok(bl_file_write(path, "{}", 2, 0644, &err));
	assert_refused(&one.v2, BL_FLOOR_FILE);
}
END_TEST

START_TEST(of_many_serials_the_live_ones_stays)
{
	bl_autojson json_t *serials = json_object();
	char digest[BL_DIGEST_HEX], live[BL_DIGEST_HEX];

	bl_digest("live", 4, live);
	ck_assert(bl_floor_note(serials, live, 1, NULL));
	for (int i = 2; i < 3 * BL_FLOOR_MAX; i++) {
		bl_digest(&i, sizeof(i), digest);
		ck_assert(bl_floor_note(serials, digest, i, live));
		ck_assert(!bl_floor_note(serials, digest, i - 1, live));
		ck_assert_int_eq(bl_floor_serial(serials, digest), i);
	}
	ck_assert_uint_eq(json_object_size(serials), BL_FLOOR_MAX);
	ck_assert_int_eq(bl_floor_serial(serials, live), 1);
}
END_TEST

START_TEST(what_was_signed_long_ago_is_no_word_for_today)
{
	give_root();
	sign("v1.bundle", &one.v1);
	refresh();
	fake_clock.sleep_ms(NULL, 3 * 86400000ULL);
	assert_refused(&one.v1, "expired");
	ck_assert_msg(strstr(one.res.hint, "belay trust status"), "%s",
		      one.res.hint);
	repo.now_s = now_s();
	bl_repo_renew(&repo, BL_REPO_TIMESTAMP);
	ok(bl_repo_publish(&repo, &err));
	refresh();
	one_host_apply(&one, &one.v1, NULL, BL_APPLY_COMMITTED);
}
END_TEST

START_TEST(what_the_fleets_key_lists_is_not_signed)
{
	static const char *const hosts[] = { "*" };

	give_root();
	sign("v1.bundle", &one.v1);
	ok(bl_repo_assign(&repo, "v1.bundle", hosts, 1, &err));
	ok(bl_repo_publish(&repo, &err));
	ok(bl_repo_withdraw(&repo, "v1.bundle", &err));
	ok(bl_repo_publish(&repo, &err));
	refresh();
	assert_refused(&one.v1, "have not signed");
}
END_TEST

START_TEST(a_damaged_folder_is_no_pass)
{
	bl_autofree char *path = NULL;

	give_root();
	sign("v1.bundle", &one.v1);
	refresh();
	path = bl_path("%s/" BL_TRUST_FILE, trust_dir);
	ok(bl_file_write(path, "{}", 2, 0644, &err));
	assert_refused(&one.v1, "trusted.json");
	ck_assert_int_eq(unlink(path), 0);
	assert_refused(&one.v1, "no repository was asked yet");
}
END_TEST

START_TEST(a_folder_that_is_named_must_have_a_root)
{
	const struct bl_host_config config = { .state_dir = one.state_dir,
					       .ops = &fake_kern_ops,
					       .kern = one.fake,
					       .clock = &fake_clock,
					       .trust_dir = repo_dir };
	struct bl_host *h = NULL;

	ok(bl_host_open(&config, &h, &err));
	ok(bl_host_apply(h, &one.v1, NULL, &one.res, &err));
	ck_assert_int_eq(one.res.refusal, BL_REFUSAL_UNSIGNED);
	ck_assert_msg(strstr(one.res.reason, "root.json"), "%s",
		      one.res.reason);
	bl_host_close(h);
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *suite = suite_create("trust_host");
	TCase *tc = tcase_create("host");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, without_a_root_nothing_is_asked);
	tcase_add_test(tc, status_says_who_signed_what_is_live);
	tcase_add_test(tc, with_one_only_what_is_signed_is_loaded);
	tcase_add_test(
		tc,
		content_that_nobody_released_is_refused_and_says_what_to_do);
	tcase_add_test(tc, an_older_release_is_refused_and_the_way_back_is_not);
	tcase_add_test(
		tc,
		an_older_release_is_refused_though_the_live_one_was_withdrawn);
	tcase_add_test(tc,
		       without_the_serials_that_were_noted_nothing_is_loaded);
	tcase_add_test(tc, of_many_serials_the_live_ones_stays);
	tcase_add_test(tc, what_was_signed_long_ago_is_no_word_for_today);
	tcase_add_test(tc, what_the_fleets_key_lists_is_not_signed);
	tcase_add_test(tc, a_damaged_folder_is_no_pass);
	tcase_add_test(tc, a_folder_that_is_named_must_have_a_root);
	suite_add_tcase(suite, tc);
	return suite;
}
