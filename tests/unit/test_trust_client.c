/* SPDX-License-Identifier: Apache-2.0 */
/* A client over time: what it takes, what it keeps, what it asks for. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "tests/main.h"
#include "tests/support/tuf.h"

static struct tuf tuf;
static struct bl_tuf client;
static struct bl_err err;
static char *dir;

static void start(void)
{
	const char *root = tuf_get(&tuf, "metadata/1.root.json");

	ck_assert_int_eq(
		bl_trust_state_save_root(dir, root, strlen(root), NULL), 0);
	ck_assert_int_eq(bl_tuf_open(dir, &client, &err), 0);
}

static void setup(void)
{
	dir = bl_test_tmpdir();
	tuf_open(&tuf);
	err = (struct bl_err){ 0 };
}

static void teardown(void)
{
	bl_tuf_close(&client);
	tuf_close(&tuf);
	ck_assert_int_eq(bl_file_rmtree(dir, NULL), 0);
	free(dir);
}

static int refresh(void)
{
	err = (struct bl_err){ 0 };
	return bl_tuf_refresh(&client, &tuf.fetcher, TUF_NOW, &err);
}

static void assert_fresh(void)
{
	int r = refresh();

	ck_assert_msg(r == 0, "%d: %s", r, err.text);
}

START_TEST(a_host_needs_a_root_from_elsewhere)
{
	ck_assert_int_eq(bl_tuf_open(dir, &client, &err), -ENOENT);
	ck_assert_ptr_nonnull(strstr(err.hint, "from a source that you trust"));
}
END_TEST

START_TEST(what_is_signed_is_found_and_fetched)
{
	bl_autobuf struct bl_buf b = { 0 };
	struct bl_meta_target target;
	const char *role;

	start();
	assert_fresh();
	ck_assert_int_eq(bl_tuf_find(&client, &tuf.fetcher, TUF_TARGET, &target,
				     &role, &err),
			 0);
	ck_assert_str_eq(role, "targets");
	ck_assert_int_eq(bl_tuf_fetch(&client, &tuf.fetcher, &target, &b, &err),
			 0);
	ck_assert_str_eq(bl_buf_str(&b), TUF_BYTES);
	ck_assert_int_eq(bl_tuf_find(&client, &tuf.fetcher, "other", &target,
				     NULL, &err),
			 BL_TRUST_UNLISTED);
}
END_TEST

START_TEST(what_was_kept_answers_without_a_network)
{
	struct bl_tuf later = { 0 };
	struct bl_meta_target target;
	const struct bl_meta *fleet;

	start();
	ck_assert_int_eq(bl_tuf_offline(&client, TUF_NOW, &err), -ENOENT);
	assert_fresh();
	ck_assert_int_eq(
		bl_tuf_role(&client, &tuf.fetcher, "fleet", &fleet, &err), 0);
	ck_assert_int_eq(bl_tuf_open(dir, &later, &err), 0);
	ck_assert_int_eq(bl_tuf_offline(&later, TUF_NOW, &err), 0);
	ck_assert_int_eq(
		bl_tuf_find(&later, NULL, TUF_TARGET, &target, NULL, &err), 0);
	ck_assert_int_eq(bl_tuf_role(&later, NULL, "fleet", &fleet, &err), 0);
	ck_assert_int_eq(bl_tuf_offline(&later, TUF_NOW + 40 * 86400, &err),
			 BL_TRUST_EXPIRED);
	ck_assert_ptr_nonnull(strstr(err.text, "expired at 2027-02-01"));
	ck_assert_ptr_nonnull(strstr(err.hint, "freeze"));
	bl_tuf_close(&later);
}
END_TEST

/* Roots are climbed one by one, each signed by the one before and itself. */
START_TEST(a_host_that_slept_climbs_every_root)
{
	json_t *roles, *ids;

	start();
	assert_fresh();
	/* 2: root 1 goes, the stranger comes. 3: one of the old is left. */
	roles = json_object_get(tuf.root, "roles");
	ids = json_object_get(json_object_get(roles, "root"), "keyids");
	{
		bl_autojson json_t *id = tuf_keyid(&tuf, TUF_STRANGER);

		json_object_set_new(json_object_get(tuf.root, "keys"),
				    json_string_value(id),
				    tuf_key(&tuf, TUF_STRANGER));
		json_array_set(ids, 0, id);
	}
	tuf_bump(tuf.root);
	tuf_write(&tuf, tuf.root, "root",
		  TUF_ROOT_KEYS | TUF_KEY(TUF_STRANGER));
	json_array_remove(ids, 1);
	tuf_bump(tuf.root);
	tuf_write(&tuf, tuf.root, "root",
		  TUF_KEY(TUF_ROOT_2) | TUF_KEY(TUF_ROOT_3) |
			  TUF_KEY(TUF_STRANGER));
	assert_fresh();
	ck_assert_int_eq(client.t.root.version, 3);
	bl_tuf_close(&client);
	ck_assert_int_eq(bl_tuf_open(dir, &client, &err), 0);
	assert_fresh();
	ck_assert_int_eq(client.t.root.version, 3);
}
END_TEST

/* Who stole the timestamp's key may have written version 1000. After the root
 * replaced it that number must not keep the host from version 3. */
START_TEST(new_keys_end_what_a_thief_ran_ahead_with)
{
	json_t *roles = json_object_get(tuf.root, "roles");
	bl_autojson json_t *id = tuf_keyid(&tuf, TUF_STRANGER);

	start();
	json_object_set_new(tuf.timestamp, "version", json_integer(1000));
	tuf_publish(&tuf);
	assert_fresh();
	json_object_set_new(tuf.timestamp, "version", json_integer(3));
	tuf_publish(&tuf);
	ck_assert_int_eq(refresh(), BL_TRUST_ROLLBACK);

	json_object_set_new(json_object_get(tuf.root, "keys"),
			    json_string_value(id), tuf_key(&tuf, TUF_STRANGER));
	json_object_set_new(roles, "timestamp",
			    json_pack("{s:[O], s:i}", "keyids", id, "threshold",
				      1));
	tuf_bump(tuf.root);
	tuf_write(&tuf, tuf.root, "root", TUF_ROOT_KEYS);
	tuf_write(&tuf, tuf.timestamp, "timestamp", TUF_KEY(TUF_STRANGER));
	assert_fresh();
	ck_assert_int_eq(client.t.timestamp.version, 3);
	bl_tuf_close(&client);
	ck_assert_int_eq(bl_tuf_open(dir, &client, &err), 0);
	ck_assert_int_eq(bl_tuf_offline(&client, TUF_NOW, &err), 0);
	ck_assert_int_eq(client.t.timestamp.version, 3);
}
END_TEST

START_TEST(nothing_new_is_nothing_to_do)
{
	bl_autofree char *file = bl_path("%s/" BL_TRUST_FILE, dir);
	struct stat before, after;

	start();
	assert_fresh();
	ck_assert_int_eq(stat(file, &before), 0);
	/* Neither fetched again nor written again. */
	json_object_del(tuf.files, "metadata/1.snapshot.json");
	json_object_del(tuf.files, "metadata/1.targets.json");
	assert_fresh();
	ck_assert_int_eq(stat(file, &after), 0);
	ck_assert_uint_eq(before.st_ino, after.st_ino);
}
END_TEST

/* A second process that is late, at a mirror that is late. */
static struct bl_tuf late;

static int fetch_between(void *ctx, const char *name, size_t max_bytes,
			 struct bl_buf *ret, struct bl_err *e)
{
	const struct tuf *old = ctx;

	/* The first one is done while this one has only begun. */
	if (strstr(name, "targets.json"))
		assert_fresh();
	return old->fetcher.fetch((void *)(uintptr_t)old, name, max_bytes, ret,
				  e);
}

START_TEST(of_two_that_refresh_the_newer_stays)
{
	struct tuf old;
	const struct bl_tuf_fetcher between = { fetch_between, &old };

	start();
	ck_assert_int_eq(bl_tuf_open(dir, &late, &err), 0);
	tuf_open(&old);
	tuf_next(&old);
	tuf_next(&tuf);
	tuf_next(&tuf);
	ck_assert_int_eq(bl_tuf_refresh(&late, &between, TUF_NOW, &err), 0);
	ck_assert_int_eq(late.t.timestamp.version, 2);
	ck_assert_int_eq(client.t.timestamp.version, 3);
	bl_tuf_close(&client);
	ck_assert_int_eq(bl_tuf_open(dir, &client, &err), 0);
	ck_assert_int_eq(bl_tuf_offline(&client, TUF_NOW, &err), 0);
	ck_assert_int_eq(client.t.timestamp.version, 3);
	/* And the late one knows by now what it missed. */
	ck_assert_int_eq(bl_tuf_refresh(&late, &old.fetcher, TUF_NOW, &err),
			 BL_TRUST_ROLLBACK);
	bl_tuf_close(&late);
	tuf_close(&old);
}
END_TEST

START_TEST(names_have_no_versions_where_the_root_says_so)
{
	struct bl_meta_target target;
	bl_autobuf struct bl_buf b = { 0 };
	bl_autofree char *snapshot = NULL, *targets = NULL;

	json_object_set_new(tuf.root, "consistent_snapshot", json_false());
	tuf_write(&tuf, tuf.root, "root", TUF_ROOT_KEYS);
	snapshot = strdup(tuf_get(&tuf, "metadata/1.snapshot.json"));
	targets = strdup(tuf_get(&tuf, "metadata/1.targets.json"));
	json_object_del(tuf.files, "metadata/1.snapshot.json");
	json_object_del(tuf.files, "metadata/1.targets.json");
	tuf_put(&tuf, "metadata/snapshot.json", snapshot);
	tuf_put(&tuf, "metadata/targets.json", targets);
	tuf_put(&tuf, "targets/" TUF_TARGET, TUF_BYTES);
	start();
	assert_fresh();
	ck_assert_int_eq(bl_tuf_find(&client, &tuf.fetcher, TUF_TARGET, &target,
				     NULL, &err),
			 0);
	ck_assert_int_eq(bl_tuf_fetch(&client, &tuf.fetcher, &target, &b, &err),
			 0);
}
END_TEST

START_TEST(a_damaged_folder_is_said_and_not_guessed)
{
	bl_autofree char *file = bl_path("%s/" BL_TRUST_FILE, dir);
	struct bl_tuf again = { 0 };

	start();
	assert_fresh();
	ck_assert_int_eq(bl_file_write(file, "{\"format\":2}", 12, 0644, NULL),
			 0);
	ck_assert_int_eq(bl_tuf_open(dir, &again, &err), -EBADMSG);
	ck_assert_ptr_nonnull(strstr(err.text, BL_TRUST_FILE));
	ck_assert_ptr_null(again.dir);
}
END_TEST

/* What cannot be loaded again is not written: the folder would be lost. */
START_TEST(no_more_is_kept_than_can_be_opened_again)
{
	BL_CLEANUP(bl_trust_state_free) struct bl_trust_state s = { 0 };
	bl_autojson json_t *files = json_object();
	bl_autofree char *large = malloc(BL_TRUST_FILE_MAX + 1);

	ck_assert_ptr_nonnull(large);
	start();
	assert_fresh();
	memset(large, 'x', BL_TRUST_FILE_MAX);
	large[BL_TRUST_FILE_MAX] = '\0';
	json_object_set_new(files, "large", json_string_nocheck(large));
	ck_assert_int_eq(bl_trust_state_save(dir, files, &err),
			 BL_TRUST_ENDLESS);
	ck_assert_ptr_nonnull(strstr(err.text, BL_TRUST_FILE));
	ck_assert_int_eq(bl_trust_state_load(dir, &s, &err), 0);
	ck_assert_ptr_nonnull(json_object_get(s.files, "timestamp"));
	assert_fresh();
}
END_TEST

/* So many bytes on disk: each of the quotes takes four there, and two here. */
static json_t *padding(void)
{
	bl_autofree char *text = malloc(BL_META_TARGETS_MAX / 2);
	size_t len = BL_META_TARGETS_MAX / 2 - 2000;

	ck_assert_ptr_nonnull(text);
	memset(text, '"', len);
	return json_stringn(text, len);
}

/* Delegated roles are there to be asked again; an update is not. */
START_TEST(large_roles_of_before_make_way)
{
	bl_autojson json_t *old = NULL;
	BL_CLEANUP(bl_trust_state_free) struct bl_trust_state s = { 0 };
	const struct bl_meta *fleet;
	bl_autofree char *text = NULL;
	char name[16];

	start();
	old = json_deep_copy(tuf.fleet);
	json_object_set_new(old, "padding", padding());
	text = tuf_sign(&tuf, old, 0);
	json_object_set_new(tuf.fleet, "padding", padding());
	tuf_next(&tuf);
	for (int i = 0; i < 6; i++) {
		snprintf(name, sizeof(name), "old-%d.json", i);
		json_object_set_new(json_object_get(tuf.snapshot, "meta"), name,
				    json_pack("{s:i}", "version", 1));
	}
	tuf_write(&tuf, tuf.snapshot, "snapshot", TUF_KEY(TUF_SNAPSHOT));
	tuf_state_timestamp(&tuf);
	tuf_write(&tuf, tuf.timestamp, "timestamp", TUF_KEY(TUF_TIMESTAMP));
	assert_fresh();
	/* As if they had been asked for before. */
	for (int i = 0; i < 6; i++) {
		snprintf(name, sizeof(name), "old-%d", i);
		json_object_set_new(client.state.files, name,
				    json_string(text));
	}
	ck_assert_msg(bl_tuf_role(&client, &tuf.fetcher, "fleet", &fleet,
				  &err) == 0,
		      "%s", err.text);
	ck_assert_int_eq(bl_trust_state_load(dir, &s, &err), 0);
	ck_assert_ptr_nonnull(json_object_get(s.files, "fleet"));
	ck_assert_ptr_nonnull(json_object_get(s.files, "timestamp"));
	ck_assert_ptr_null(json_object_get(s.files, "old-5"));
	assert_fresh();
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *s = suite_create("trust_client");
	TCase *t = tcase_create("client");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 0);
	tcase_add_test(t, a_host_needs_a_root_from_elsewhere);
	tcase_add_test(t, what_is_signed_is_found_and_fetched);
	tcase_add_test(t, what_was_kept_answers_without_a_network);
	tcase_add_test(t, a_host_that_slept_climbs_every_root);
	tcase_add_test(t, new_keys_end_what_a_thief_ran_ahead_with);
	tcase_add_test(t, nothing_new_is_nothing_to_do);
	tcase_add_test(t, of_two_that_refresh_the_newer_stays);
	tcase_add_test(t, names_have_no_versions_where_the_root_says_so);
	tcase_add_test(t, a_damaged_folder_is_said_and_not_guessed);
	tcase_add_test(t, no_more_is_kept_than_can_be_opened_again);
	tcase_add_test(t, large_roles_of_before_make_way);
	suite_add_tcase(s, t);
	return s;
}
