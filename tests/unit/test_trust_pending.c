/* SPDX-License-Identifier: Apache-2.0 */
/*
 * m of n keys that are with different people: what one of them proposes waits,
 * unseen by hosts, until enough have signed; and what somebody else put there
 * gets no signature.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "loader/base/cleanup.h"
#include "loader/base/clock.h"
#include "loader/base/file.h"
#include "loader/trust/repo.h"
#include "tests/main.h"

#define DAY 86400

static const struct bl_repo_shape shape = { 3, 2, 3, 2, false };
static char *dir, *repo_dir, *keys_dir, *pending;
static struct bl_keys all, ring;
static struct bl_repo repo;
static struct bl_err err;
static int64_t now_s;

static void ok(int r)
{
	ck_assert_msg(r == 0, "%d: %s", r, err.text);
}

/* The @n-th key of a role, alone. */
static void take(const char *role, unsigned n)
{
	for (size_t i = 0; i < all.count; i++)
		if (strcmp(all.key[i].role, role) == 0 && !n--) {
			ring.key[ring.count++] = all.key[i];
			return;
		}
	ck_abort_msg("there is no such key");
}

static void take_online(void)
{
	take("snapshot", 0);
	take("timestamp", 0);
}

/* Somebody sits down, with the keys that were taken. */
static void sit_down(void)
{
	bl_repo_close(&repo);
	err = (struct bl_err){ 0 };
	ok(bl_repo_open(repo_dir, keys_dir, &ring, now_s, &repo, &err));
}

static void stand_up(void)
{
	bl_repo_close(&repo);
	ring.count = 0;
}

static void setup(void)
{
	now_s = bl_clock_wall_ms() / 1000;
	dir = bl_test_tmpdir();
	repo_dir = bl_path("%s/repo", dir);
	keys_dir = bl_path("%s/keys", dir);
	pending = bl_path("%s/pending/targets.json", repo_dir);
	err = (struct bl_err){ 0 };
	ok(bl_repo_init(repo_dir, keys_dir, &shape, now_s, &err));
	ok(bl_keys_load(keys_dir, &all, &err));
}

static void teardown(void)
{
	bl_repo_close(&repo);
	bl_keys_wipe(&ring);
	bl_keys_wipe(&all);
	ck_assert_int_eq(bl_file_rmtree(dir, NULL), 0);
	free(dir);
	free(repo_dir);
	free(keys_dir);
	free(pending);
}

/* By the digests of all that can be read there. */
static int sign_what_waits(void)
{
	static const enum bl_repo_role roles[] = { BL_REPO_ROOT,
						   BL_REPO_TARGETS };
	char digest[BL_ARRAY_SIZE(roles)][BL_DIGEST_HEX];
	const char *expect[BL_ARRAY_SIZE(roles)];
	size_t count = 0;

	for (size_t i = 0; i < BL_ARRAY_SIZE(roles); i++) {
		BL_CLEANUP(bl_repo_pending_free)
		struct bl_repo_pending p = { 0 };

		if (bl_repo_pending(&repo, roles[i], &p, NULL) < 0)
			continue;
		memcpy(digest[count], p.digest, sizeof(p.digest));
		expect[count] = digest[count];
		count++;
	}
	return bl_repo_cosign(&repo, expect, count, &err);
}

/* One of the release's three proposes a bundle. */
static void propose(void)
{
	take("targets", 0);
	sit_down();
	ok(bl_repo_add(&repo, "s-1.bundle", "bytes", 5, &err));
	ok(bl_repo_propose(&repo, &err));
	stand_up();
}

static bool listed(void)
{
	struct bl_meta_target t;
	bool there;

	sit_down();
	there = bl_meta_target(&repo.tuf.t.targets, "s-1.bundle", &t);
	stand_up();
	return there;
}

START_TEST(two_of_three_sign_one_after_the_other)
{
	propose();
	ck_assert(!listed());
	take("targets", 2);
	take_online();
	sit_down();
	ck_assert_msg(sign_what_waits() == 1, "%s", err.text);
	stand_up();
	ck_assert(listed());
	ck_assert_int_ne(access(pending, F_OK), 0);
}
END_TEST

START_TEST(who_is_missing_is_named)
{
	char name[32];

	propose();
	take("targets", 0);
	take_online();
	sit_down();
	/* The same key once more is no second one. */
	ck_assert_int_eq(sign_what_waits(), 0);
	ck_assert_ptr_nonnull(strstr(err.text, "signed by 1 of 2"));
	ck_assert_ptr_nonnull(strstr(err.text, "missing: 1 of targets-"));
	stand_up();
	take("targets", 1);
	snprintf(name, sizeof(name), "targets-%.8s", ring.key[0].id);
	ck_assert_ptr_nonnull(strstr(err.text, name));
	stand_up();
	take("targets", 0);
	snprintf(name, sizeof(name), "targets-%.8s", ring.key[0].id);
	ck_assert_ptr_null(strstr(err.text, name));
	ring.count = 0;
	ck_assert(!listed());
}
END_TEST

START_TEST(enough_signed_waits_for_who_publishes)
{
	propose();
	take("targets", 1);
	sit_down();
	ck_assert_int_eq(sign_what_waits(), BL_TRUST_SIGNATURE);
	ck_assert_ptr_nonnull(strstr(err.hint, "snapshot and timestamp"));
	stand_up();
	ck_assert(!listed());
	take_online();
	sit_down();
	ck_assert_msg(sign_what_waits() == 1, "%s", err.text);
	stand_up();
	ck_assert(listed());
}
END_TEST

START_TEST(a_root_is_renewed_by_two_of_three)
{
	take("root", 0);
	sit_down();
	bl_repo_renew(&repo, BL_REPO_ROOT);
	ok(bl_repo_propose(&repo, &err));
	stand_up();
	take("root", 1);
	sit_down();
	ck_assert_msg(sign_what_waits() == 1, "%s", err.text);
	ck_assert_int_eq(repo.tuf.t.root.version, 2);
	stand_up();
}
END_TEST

START_TEST(a_role_is_given_new_keys_by_two_roots)
{
	take("root", 2);
	take_online();
	sit_down();
	ok(bl_repo_rotate(&repo, BL_REPO_TIMESTAMP, &err));
	ok(bl_repo_propose(&repo, &err));
	stand_up();
	all.count = 0;
	ok(bl_keys_load(keys_dir, &all, &err));
	ring = all;
	sit_down();
	ck_assert_msg(sign_what_waits() == 1, "%s", err.text);
	stand_up();
}
END_TEST

static void spoil(const char *from, const char *to)
{
	bl_autobuf struct bl_buf b = { 0 };
	char *at;

	ok(bl_file_read(pending, 1 << 20, &b, &err));
	at = strstr(b.data, from);
	ck_assert_ptr_nonnull(at);
	memcpy(at, to, strlen(to));
	ok(bl_file_write(pending, b.data, b.len, 0644, &err));
}

static int cosign_with(unsigned n)
{
	int r;

	take("targets", n);
	take_online();
	sit_down();
	r = sign_what_waits();
	stand_up();
	return r;
}

/* Who can write into the repository has nobody sign his words. */
START_TEST(what_nobody_of_the_role_signed_gets_no_signature)
{
	bl_autobuf struct bl_buf before = { 0 }, after = { 0 };

	propose();
	spoil("s-1.bundle", "s-9.bundle");
	ok(bl_file_read(pending, 1 << 20, &before, &err));
	ck_assert_int_eq(cosign_with(1), BL_TRUST_SIGNATURE);
	ck_assert_ptr_nonnull(strstr(err.text, "whose words are these"));
	ok(bl_file_read(pending, 1 << 20, &after, &err));
	ck_assert_uint_eq(before.len, after.len);
	ck_assert_mem_eq(before.data, after.data, after.len);
	ck_assert(!listed());
}
END_TEST

static void digest_of(enum bl_repo_role role, char ret[static BL_DIGEST_HEX])
{
	BL_CLEANUP(bl_repo_pending_free) struct bl_repo_pending p = { 0 };

	sit_down();
	ok(bl_repo_pending(&repo, role, &p, &err));
	memcpy(ret, p.digest, sizeof(p.digest));
	stand_up();
}

/* Who was told a digest signs that and nothing else, or nothing. */
START_TEST(only_what_was_expected_is_signed)
{
	bl_autobuf struct bl_buf before = { 0 }, after = { 0 };
	char digest[BL_DIGEST_HEX], root[BL_DIGEST_HEX];
	const char *expect[] = { root, digest };

	take("root", 0);
	sit_down();
	bl_repo_renew(&repo, BL_REPO_ROOT);
	ok(bl_repo_propose(&repo, &err));
	stand_up();
	digest_of(BL_REPO_ROOT, root);
	sit_down();
	ok(bl_repo_drop(&repo, &err));
	stand_up();
	propose();
	digest_of(BL_REPO_TARGETS, digest);
	ok(bl_file_read(pending, 1 << 20, &before, &err));
	take("targets", 1);
	take_online();
	sit_down();
	/* Another one; and this one, of which there would have to be two. */
	ck_assert_int_eq(bl_repo_cosign(&repo, expect, 1, &err),
			 BL_TRUST_UNEXPECTED);
	ck_assert_ptr_nonnull(strstr(err.text, digest));
	ck_assert_ptr_nonnull(strstr(err.hint, "nothing was signed"));
	ck_assert_int_eq(bl_repo_cosign(&repo, expect, 2, &err),
			 BL_TRUST_UNEXPECTED);
	ck_assert_ptr_nonnull(strstr(err.text, "1 of the 2"));
	stand_up();
	ok(bl_file_read(pending, 1 << 20, &after, &err));
	ck_assert_uint_eq(before.len, after.len);
	ck_assert_mem_eq(before.data, after.data, after.len);
	take("targets", 1);
	take_online();
	sit_down();
	ck_assert_int_eq(bl_repo_cosign(&repo, expect + 1, 1, &err), 1);
	stand_up();
	ck_assert(listed());
}
END_TEST

/* Who saw that nothing waits has not seen what was put there since. */
START_TEST(what_comes_after_the_look_is_not_signed)
{
	bl_autobuf struct bl_buf before = { 0 }, after = { 0 };

	propose();
	ok(bl_file_read(pending, 1 << 20, &before, &err));
	take("targets", 1);
	take_online();
	sit_down();
	ck_assert_int_eq(bl_repo_cosign(&repo, NULL, 0, &err),
			 BL_TRUST_UNEXPECTED);
	ck_assert_ptr_nonnull(strstr(err.hint, "nothing was signed"));
	stand_up();
	ok(bl_file_read(pending, 1 << 20, &after, &err));
	ck_assert_uint_eq(before.len, after.len);
	ck_assert_mem_eq(before.data, after.data, after.len);
	ck_assert(!listed());
}
END_TEST

START_TEST(what_was_overtaken_is_not_signed)
{
	bl_autobuf struct bl_buf old = { 0 };

	propose();
	ok(bl_file_read(pending, 1 << 20, &old, &err));
	ck_assert_int_eq(cosign_with(1), 1);
	ok(bl_file_write(pending, old.data, old.len, 0644, &err));
	ck_assert_int_eq(cosign_with(2), BL_TRUST_ROLLBACK);
	ck_assert_ptr_nonnull(strstr(err.hint, "--drop"));
}
END_TEST

START_TEST(what_waited_too_long_is_not_signed)
{
	propose();
	now_s += (BL_REPO_TARGETS_DAYS + 1) * DAY;
	ck_assert_int_eq(cosign_with(1), BL_TRUST_EXPIRED);
}
END_TEST

START_TEST(one_thing_waits_at_a_time_until_it_is_dropped)
{
	propose();
	take("targets", 1);
	sit_down();
	ok(bl_repo_add(&repo, "s-2.bundle", "other", 5, &err));
	ck_assert_int_eq(bl_repo_propose(&repo, &err), -EEXIST);
	ok(bl_repo_drop(&repo, &err));
	stand_up();
	ck_assert_int_eq(cosign_with(1), -ENOENT);
}
END_TEST

START_TEST(what_the_fleets_key_signs_does_not_wait)
{
	take("targets", 0);
	take("fleet", 0);
	sit_down();
	ok(bl_repo_rotate(&repo, BL_REPO_FLEET, &err));
	ck_assert_int_eq(bl_repo_propose(&repo, &err), -ENOTSUP);
	stand_up();
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *suite = suite_create("trust pending");
	TCase *tc = tcase_create("pending");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, two_of_three_sign_one_after_the_other);
	tcase_add_test(tc, who_is_missing_is_named);
	tcase_add_test(tc, enough_signed_waits_for_who_publishes);
	tcase_add_test(tc, a_root_is_renewed_by_two_of_three);
	tcase_add_test(tc, a_role_is_given_new_keys_by_two_roots);
	tcase_add_test(tc, what_nobody_of_the_role_signed_gets_no_signature);
	tcase_add_test(tc, only_what_was_expected_is_signed);
	tcase_add_test(tc, what_comes_after_the_look_is_not_signed);
	tcase_add_test(tc, what_was_overtaken_is_not_signed);
	tcase_add_test(tc, what_waited_too_long_is_not_signed);
	tcase_add_test(tc, one_thing_waits_at_a_time_until_it_is_dropped);
	tcase_add_test(tc, what_the_fleets_key_signs_does_not_wait);
	suite_add_tcase(suite, tc);
	return suite;
}
