/* SPDX-License-Identifier: Apache-2.0 */
/* The side that signs: what it writes clients take, and what it will not sign. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/trust/fleet.h"
#include "loader/trust/repo.h"
#include "tests/main.h"

#define NOW 1800000000
#define DAY 86400

static const struct bl_repo_shape shape = { 3, 2, 2, 2, false };
static char *dir, *repo_dir, *keys_dir, *host_dir;
static struct bl_keys ring;
static struct bl_repo repo;
static struct bl_tuf host;
static struct bl_err err;

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

static void setup(void)
{
	dir = bl_test_tmpdir();
	repo_dir = under("repo");
	keys_dir = under("keys");
	host_dir = under("host");
	err = (struct bl_err){ 0 };
	ok(bl_repo_init(repo_dir, keys_dir, &shape, NOW, &err));
	ok(bl_keys_load(keys_dir, &ring, &err));
	ok(bl_repo_open(repo_dir, keys_dir, &ring, NOW, &repo, &err));
	ok(bl_file_mkdirs(host_dir, 0700, &err));
	ok(bl_trust_state_save_root(host_dir, repo.tuf.state.root.data,
				    repo.tuf.state.root.len, &err));
	ok(bl_tuf_open(host_dir, &host, &err));
}

static void teardown(void)
{
	bl_tuf_close(&host);
	bl_repo_close(&repo);
	bl_keys_wipe(&ring);
	free(repo_dir);
	free(keys_dir);
	free(host_dir);
	ck_assert_int_eq(bl_file_rmtree(dir, NULL), 0);
	free(dir);
}

static int refresh(int64_t now_s)
{
	const struct bl_tuf_fetcher f = { bl_tuf_from_dir, repo_dir };

	err = (struct bl_err){ 0 };
	return bl_tuf_refresh(&host, &f, now_s, &err);
}

static void add(const char *name, const char *bytes)
{
	ok(bl_repo_add(&repo, name, bytes, strlen(bytes), &err));
}

/* What @name is assigned, as this host sees the repository. */
static int assigned(const char *name, int64_t floor, struct bl_meta_target *ret)
{
	const struct bl_tuf_fetcher f = { bl_tuf_from_dir, repo_dir };
	const struct bl_meta *fleet;

	ok(refresh(NOW));
	ok(bl_tuf_role(&host, &f, BL_FLEET_ROLE, &fleet, &err));
	err = (struct bl_err){ 0 };
	return bl_fleet_find(&host.t.targets, fleet, name, floor, ret, &err);
}

START_TEST(what_is_signed_hosts_take)
{
	const struct bl_tuf_fetcher f = { bl_tuf_from_dir, repo_dir };
	bl_autobuf struct bl_buf b = { 0 };
	struct bl_meta_target t;

	add("a.bundle", "one");
	add("b.bundle", "two");
	ok(bl_repo_publish(&repo, &err));
	ok(refresh(NOW));
	ok(bl_tuf_find(&host, &f, "b.bundle", &t, NULL, &err));
	ok(bl_tuf_fetch(&host, &f, &t, &b, &err));
	ck_assert_str_eq(bl_buf_str(&b), "two");
	ck_assert_int_eq(bl_fleet_serial(&t), 2);
	add("b.bundle", "three");
	ok(bl_repo_publish(&repo, &err));
	ok(refresh(NOW));
	ok(bl_tuf_find(&host, &f, "b.bundle", &t, NULL, &err));
	ck_assert_int_eq(bl_fleet_serial(&t), 3);
	ok(bl_tuf_find(&host, &f, "a.bundle", &t, NULL, &err));
	ck_assert_int_eq(bl_fleet_serial(&t), 2);
}
END_TEST

START_TEST(keys_are_their_owners_alone)
{
	bl_autofree char *path = NULL;
	struct stat st;

	ck_assert_int_eq(stat(keys_dir, &st), 0);
	ck_assert_int_eq(st.st_mode & 077, 0);
	for (size_t i = 0; i < ring.count; i++) {
		free(path);
		path = bl_path("%s/%s-%.8s.key", keys_dir, ring.key[i].role,
			       ring.key[i].id);
		ck_assert_int_eq(stat(path, &st), 0);
		ck_assert_int_eq(st.st_mode & 0777, 0600);
	}
	ck_assert_int_eq(chmod(path, 0640), 0);
	ck_assert_int_eq(bl_keys_load(keys_dir, &ring, &err), -EPERM);
	ck_assert_ptr_nonnull(strstr(err.hint, "chmod 600"));
}
END_TEST

/* Whether eight digits of @secret, wherever they are from, are in @text. */
static bool tells(const char *text, const char *secret)
{
	char piece[9] = "";

	for (; strlen(secret) >= 8; secret++) {
		memcpy(piece, secret, 8);
		if (strstr(text, piece))
			return true;
	}
	return false;
}

/* Cut off, with a quote in it, with its secret over a name. */
START_TEST(a_damaged_key_is_named_and_not_quoted)
{
	bl_autofree char *path = bl_path("%s/%s-%.8s.key", keys_dir,
					 ring.key[0].role, ring.key[0].id);
	bl_autobuf struct bl_buf key = { 0 };
	char secret[65], *at;
	size_t i;

	ok(bl_file_read(path, 4096, &key, NULL));
	at = strstr(bl_buf_str(&key), "\"private\": \"");
	ck_assert_ptr_nonnull(at);
	memcpy(secret, at + strlen("\"private\": \""), 64);
	secret[64] = '\0';
	for (i = 0; i < 3 * key.len; i += 7) {
		bl_autobuf struct bl_buf bad = { 0 };
		bl_autofree char *said = NULL;
		size_t n = i % key.len;

		ck_assert_int_eq(bl_buf_add(&bad, key.data, key.len), 0);
		if (i < key.len)
			bad.len = n;
		else if (i < 2 * key.len)
			bad.data[n] = '"';
		else
			memcpy(bad.data + (n < key.len - 64 ? n : 0), secret,
			       64);
		ok(bl_file_write(path, bad.data, bad.len, 0600, NULL));
		bl_keys_wipe(&ring);
		err = (struct bl_err){ 0 };
		if (bl_keys_load(keys_dir, &ring, &err) == 0)
			continue; /* a space, or a quote as it was */
		said = bl_path("%s %s", err.text, err.hint);
		ck_assert_msg(!tells(said, secret), "%s", said);
		ck_assert_msg(strstr(said, path), "%s", said);
	}
}
END_TEST

START_TEST(too_few_keys_write_nothing)
{
	bl_autofree char *path =
		bl_path("%s/metadata/2.targets.json", repo_dir);
	size_t i = 0;

	while (strcmp(ring.key[i].role, "targets") != 0)
		i++;
	ring.key[i] = ring.key[--ring.count];
	add("a.bundle", "one");
	ck_assert_int_eq(bl_repo_publish(&repo, &err), BL_TRUST_SIGNATURE);
	ck_assert_ptr_nonnull(strstr(err.text, "signed by 1 of the keys"));
	ck_assert_ptr_nonnull(strstr(err.hint, "--keys DIR"));
	ck_assert_int_ne(access(path, F_OK), 0);
	ok(refresh(NOW));
	ck_assert_int_eq(host.t.targets.version, 1);
}
END_TEST

/* Who can write into the repository waits for the next one who signs. */
START_TEST(what_somebody_slipped_in_is_not_signed)
{
	bl_autofree char *path =
		bl_path("%s/metadata/1.targets.json", repo_dir);
	bl_autobuf struct bl_buf b = { 0 };
	struct bl_repo again = { 0 };
	char *at;

	ok(bl_file_read(path, 1 << 20, &b, &err));
	at = strstr(b.data, "\"targets\":{}");
	ck_assert_ptr_nonnull(at);
	memcpy(at, "\"targets\":{ ", 12);
	ok(bl_file_write(path, b.data, b.len, 0644, &err));
	/* Even from nothing known but the root. */
	{
		bl_autofree char *kept = bl_path("%s/" BL_TRUST_FILE, keys_dir);

		ck_assert_int_eq(unlink(kept), 0);
	}
	ck_assert_int_eq(bl_repo_open(repo_dir, keys_dir, &ring, NOW, &again,
				      &err),
			 BL_TRUST_MIX);
	ck_assert_ptr_null(again.dir);
}
END_TEST

START_TEST(every_role_gets_new_keys_and_hosts_follow)
{
	add("a.bundle", "one");
	for (int role = 0; role < BL_REPO_ROLES; role++) {
		ok(bl_repo_rotate(&repo, (enum bl_repo_role)role, &err));
		ok(bl_repo_publish(&repo, &err));
		ok(refresh(NOW));
	}
	ck_assert_int_eq(host.t.root.version, 5);
	/* The keys of before are worth nothing now. */
	bl_keys_wipe(&ring);
	ok(bl_keys_load(keys_dir, &ring, &err));
	for (size_t i = 0; i < ring.count; i++) {
		if (!bl_meta_role_has(&host.t.root, "targets", ring.key[i].id))
			continue;
		ring.key[i--] = ring.key[--ring.count];
	}
	add("b.bundle", "two");
	ck_assert_int_eq(bl_repo_publish(&repo, &err), BL_TRUST_SIGNATURE);
}
END_TEST

START_TEST(what_got_old_is_renewed)
{
	ck_assert_int_eq(refresh(NOW + 3 * DAY), BL_TRUST_EXPIRED);
	ck_assert_ptr_nonnull(strstr(err.text, "timestamp.json"));
	repo.now_s = NOW + 3 * DAY;
	bl_repo_renew(&repo, BL_REPO_TIMESTAMP);
	ok(bl_repo_publish(&repo, &err));
	ok(refresh(NOW + 3 * DAY));
	ck_assert_int_eq(host.t.timestamp.version, 2);
	ck_assert_int_eq(host.t.snapshot.version, 1);
}
END_TEST

START_TEST(a_repository_is_made_once)
{
	ck_assert_int_eq(bl_repo_init(repo_dir, host_dir, &shape, NOW, &err),
			 -EEXIST);
	ck_assert_int_eq(bl_repo_init(host_dir, keys_dir, &shape, NOW, &err),
			 -EEXIST);
	ck_assert_ptr_nonnull(strstr(err.text, "nothing was made"));
}
END_TEST

START_TEST(a_host_runs_what_it_is_assigned)
{
	static const char *const a[] = { "web-1", "db-*" };
	static const char *const b[] = { "web-2" };
	struct bl_meta_target t;

	add("a.bundle", "one");
	ok(bl_repo_publish(&repo, &err));
	add("b.bundle", "two");
	ok(bl_repo_publish(&repo, &err));
	ok(bl_repo_assign(&repo, "a.bundle", a, 2, &err));
	ok(bl_repo_assign(&repo, "b.bundle", b, 1, &err));
	ok(bl_repo_publish(&repo, &err));
	ok(assigned("web-1", 0, &t));
	ck_assert_str_eq(t.path, "a.bundle");
	ok(assigned("db-77", 0, &t));
	ok(assigned("web-2", 0, &t));
	ck_assert_str_eq(t.path, "b.bundle");
	ck_assert_int_eq(assigned("web-3", 0, &t), -ENOENT);
	/* a.bundle has serial 2. */
	ok(assigned("web-1", 2, &t));
	ck_assert_int_eq(assigned("web-1", 3, &t), BL_TRUST_ROLLBACK);
	ok(bl_repo_assign(&repo, "a.bundle", NULL, 0, &err));
	ok(bl_repo_publish(&repo, &err));
	ck_assert_int_eq(assigned("web-1", 0, &t), -ENOENT);
	ck_assert_int_eq(bl_repo_assign(&repo, "c.bundle", a, 2, &err),
			 BL_TRUST_UNLISTED);
}
END_TEST

START_TEST(two_orders_for_one_host_are_none)
{
	static const char *const a[] = { "web-*" };
	static const char *const b[] = { "*-1" };
	struct bl_meta_target t;

	add("a.bundle", "one");
	add("b.bundle", "two");
	ok(bl_repo_assign(&repo, "a.bundle", a, 1, &err));
	ok(bl_repo_assign(&repo, "b.bundle", b, 1, &err));
	ok(bl_repo_publish(&repo, &err));
	ck_assert_int_eq(assigned("web-1", 0, &t), BL_TRUST_ASSIGNED);
	ok(assigned("web-2", 0, &t));
}
END_TEST

START_TEST(what_is_withdrawn_is_assigned_to_nobody)
{
	static const char *const a[] = { "*" };
	struct bl_meta_target t;

	add("a.bundle", "one");
	ok(bl_repo_assign(&repo, "a.bundle", a, 1, &err));
	ok(bl_repo_publish(&repo, &err));
	ok(bl_repo_withdraw(&repo, "a.bundle", &err));
	ok(bl_repo_publish(&repo, &err));
	ck_assert_int_eq(assigned("web-1", 0, &t), -ENOENT);
	ck_assert_int_eq(bl_repo_withdraw(&repo, "a.bundle", &err),
			 BL_TRUST_UNLISTED);
}
END_TEST

/* Else the hash of the assignment is that of nothing, and A1 refuses the file
 * to every host. */
START_TEST(other_bytes_get_no_name_that_hosts_run)
{
	static const char *const a[] = { "web-1" };
	static const char *const b[] = { "web-2" };
	struct bl_meta_target t;

	add("a.bundle", "one");
	add("b.bundle", "two");
	ok(bl_repo_assign(&repo, "a.bundle", a, 1, &err));
	ok(bl_repo_assign(&repo, "b.bundle", b, 1, &err));
	ok(bl_repo_publish(&repo, &err));
	ck_assert_int_eq(bl_repo_add(&repo, "a.bundle", "other", 5, &err),
			 BL_TRUST_ASSIGNED);
	ck_assert_ptr_nonnull(strstr(err.text, "a.bundle"));
	ck_assert_ptr_nonnull(strstr(err.hint, "belay trust assign"));
	err = (struct bl_err){ 0 };
	add("a.bundle", "one"); /* the same again, with a new serial */
	ok(bl_repo_publish(&repo, &err));
	ok(assigned("web-1", 0, &t));
	ok(assigned("web-2", 0, &t));
	ok(bl_repo_assign(&repo, "a.bundle", NULL, 0, &err));
	add("a.bundle", "other");
	ok(bl_repo_publish(&repo, &err));
	ok(assigned("web-2", 0, &t));
}
END_TEST

/* Whatever made the change: what would spoil the file for all hosts is not
 * signed. */
START_TEST(an_assignment_of_nothing_is_not_published)
{
	static const char *const a[] = { "web-1" };
	static const char *const b[] = { "web-2" };
	json_t *listed, *was;
	struct bl_meta_target t;

	add("a.bundle", "one");
	add("b.bundle", "two");
	ok(bl_repo_assign(&repo, "a.bundle", a, 1, &err));
	ok(bl_repo_assign(&repo, "b.bundle", b, 1, &err));
	ok(bl_repo_publish(&repo, &err));
	listed = json_object_get(repo.body[BL_REPO_TARGETS], "targets");
	was = json_incref(json_object_get(listed, "a.bundle"));
	json_object_del(listed, "a.bundle");
	bl_repo_renew(&repo, BL_REPO_TARGETS);
	ck_assert_int_eq(bl_repo_publish(&repo, &err), BL_TRUST_ASSIGNED);
	ck_assert_ptr_nonnull(strstr(err.text, "lists no 'a.bundle'"));
	ok(refresh(NOW));
	ck_assert_int_eq(host.t.targets.version, 2);
	json_object_set_new(listed, "a.bundle", was);
	err = (struct bl_err){ 0 };
	ok(bl_repo_publish(&repo, &err));
	ok(assigned("web-2", 0, &t));
}
END_TEST

/* A stray one would be loaded by the next run, and nobody names it. */
START_TEST(a_rotation_that_cannot_be_signed_leaves_no_key)
{
	static struct bl_keys now;

	for (size_t i = 0; i < ring.count; i++)
		if (strcmp(ring.key[i].role, "root") == 0)
			ring.key[i--] = ring.key[--ring.count];
	ok(bl_repo_rotate(&repo, BL_REPO_ROOT, &err));
	ck_assert_int_eq(bl_repo_publish(&repo, &err), BL_TRUST_SIGNATURE);
	ok(bl_keys_load(keys_dir, &now, &err));
	for (size_t i = 0; i < now.count; i++)
		ck_assert_msg(bl_meta_role_has(&repo.tuf.t.root,
					       now.key[i].role,
					       now.key[i].id) ||
				      strcmp(now.key[i].role, "fleet") == 0,
			      "%s-%.8s.key", now.key[i].role, now.key[i].id);
	ck_assert_uint_eq(now.count, 8); /* 3 + 2 + 1 + 1 + 1, as it was */
	bl_keys_wipe(&now);
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *s = suite_create("trust_repo");
	TCase *t = tcase_create("repo");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, what_is_signed_hosts_take);
	tcase_add_test(t, keys_are_their_owners_alone);
	tcase_add_test(t, a_damaged_key_is_named_and_not_quoted);
	tcase_add_test(t, too_few_keys_write_nothing);
	tcase_add_test(t, what_somebody_slipped_in_is_not_signed);
	tcase_add_test(t, every_role_gets_new_keys_and_hosts_follow);
	tcase_add_test(t, what_got_old_is_renewed);
	tcase_add_test(t, a_repository_is_made_once);
	tcase_add_test(t, a_host_runs_what_it_is_assigned);
	tcase_add_test(t, two_orders_for_one_host_are_none);
	tcase_add_test(t, what_is_withdrawn_is_assigned_to_nobody);
	tcase_add_test(t, other_bytes_get_no_name_that_hosts_run);
	tcase_add_test(t, an_assignment_of_nothing_is_not_published);
	tcase_add_test(t, a_rotation_that_cannot_be_signed_leaves_no_key);
	suite_add_tcase(s, t);
	return s;
}
