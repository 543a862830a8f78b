/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The attack table of signed updates. Each row: what a mirror, a man in the
 * middle or a thief of some keys does to a repository that a host knew at
 * version 2; the error that answers; and that the host's folder is, byte by
 * byte, what it was. When the repository is whole again the host goes on, so
 * that it was the attack that was refused, and nothing else.
 */
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "tests/main.h"
#include "tests/support/tuf.h"

#define PAST  "2027-01-15T07:59:59Z"
#define SHA_0 "0000000000000000000000000000000000000000000000000000000000000000"

static struct tuf tuf;
static struct bl_tuf host;
static struct bl_err err;
static char *dir, *old_timestamp;

/* --- what an attacker does -------------------------------------------------- */

static void set(json_t *body, const char *key, const char *text)
{
	json_object_set_new(body, key, json_string(text));
}

static void put_timestamp(unsigned keys)
{
	tuf_write(&tuf, tuf.timestamp, "timestamp", keys);
}

/* A timestamp of its right key over whatever snapshot there is. */
static void point_at_snapshot(void)
{
	tuf_bump(tuf.timestamp);
	tuf_state_timestamp(&tuf);
	put_timestamp(TUF_KEY(TUF_TIMESTAMP));
}

/* Both online keys over whatever targets there are. */
static void point_at_targets(void)
{
	tuf_bump(tuf.snapshot);
	tuf_state_snapshot(&tuf);
	tuf_write(&tuf, tuf.snapshot, "snapshot", TUF_KEY(TUF_SNAPSHOT));
	point_at_snapshot();
}

static void put_targets(unsigned keys)
{
	tuf_bump(tuf.targets);
	tuf_write(&tuf, tuf.targets, "targets", keys);
	point_at_targets();
}

static void put_root(unsigned keys)
{
	tuf_bump(tuf.root);
	tuf_write(&tuf, tuf.root, "root", keys);
}

static void timestamp_of_a_stranger(void)
{
	tuf_bump(tuf.timestamp);
	put_timestamp(TUF_KEY(TUF_STRANGER));
}
static void timestamp_of_other_online_keys(void)
{
	tuf_bump(tuf.timestamp);
	put_timestamp(TUF_KEY(TUF_SNAPSHOT) | TUF_KEY(TUF_FLEET));
}
static void timestamp_unsigned(void)
{
	tuf_bump(tuf.timestamp);
	put_timestamp(0);
}
static void timestamp_changed_after_signing(void)
{
	bl_autofree char *text = NULL;

	tuf_bump(tuf.timestamp);
	text = tuf_sign(&tuf, tuf.timestamp, TUF_KEY(TUF_TIMESTAMP));
	memcpy(strstr(text, "\"version\":3"), "\"version\":9", 11);
	tuf_put(&tuf, "metadata/timestamp.json", text);
}
static void timestamp_replayed(void)
{
	tuf_put(&tuf, "metadata/timestamp.json", old_timestamp);
}
static void timestamp_older_over_the_same_snapshot(void)
{
	json_object_set_new(tuf.timestamp, "version", json_integer(1));
	put_timestamp(TUF_KEY(TUF_TIMESTAMP));
}
static void timestamp_of_an_older_snapshot(void)
{
	json_object_set_new(tuf.snapshot, "version", json_integer(1));
	point_at_snapshot();
}
/* The snapshot's key is stolen, too: an old number over what is new. */
static void timestamp_of_a_snapshot_renumbered(void)
{
	json_object_set_new(tuf.snapshot, "version", json_integer(1));
	tuf_write(&tuf, tuf.snapshot, "snapshot", TUF_KEY(TUF_SNAPSHOT));
	point_at_snapshot();
}
static void timestamp_expired(void)
{
	set(tuf.timestamp, "expires", PAST);
	point_at_snapshot();
}
static void timestamp_is_a_snapshot(void)
{
	tuf_put(&tuf, "metadata/timestamp.json",
		tuf_get(&tuf, "metadata/2.snapshot.json"));
}
static void timestamp_of_specification_2(void)
{
	set(tuf.timestamp, "spec_version", "2.0.0");
	point_at_snapshot();
}
static void timestamp_is_empty(void)
{
	tuf_put(&tuf, "metadata/timestamp.json", "");
}
static void timestamp_is_a_page(void)
{
	tuf_put(&tuf, "metadata/timestamp.json", "<html>Log in</html>");
}
static void timestamp_cut_off(void)
{
	bl_autofree char *text =
		strdup(tuf_get(&tuf, "metadata/timestamp.json"));

	text[strlen(text) / 2] = '\0';
	tuf_put(&tuf, "metadata/timestamp.json", text);
}
/* The first is what was signed, the second what some parsers would take. */
static void timestamp_says_a_key_twice(void)
{
	const char *good = tuf_get(&tuf, "metadata/timestamp.json");
	const char *at = strstr(good, "\"version\":2}");
	bl_autofree char *text = bl_path("%.*s\"version\":2,\"version\":9}%s",
					 (int)(at - good), good, at + 12);

	tuf_put(&tuf, "metadata/timestamp.json", text);
}
static void timestamp_is_deep(void)
{
	char text[10001];

	memset(text, '[', 10000);
	text[10000] = '\0';
	tuf_put(&tuf, "metadata/timestamp.json", text);
}
static void long_text(const char *name, size_t len)
{
	bl_autofree char *text = malloc(len + 1);

	memset(text, ' ', len);
	text[len] = '\0';
	tuf_put(&tuf, name, text);
}
static void timestamp_without_end(void)
{
	long_text("metadata/timestamp.json", BL_META_TIMESTAMP_MAX + 1);
}
static void timestamp_that_no_limit_stops(void)
{
	tuf.endless = true;
	timestamp_without_end();
}
static void time_passes(void)
{
	/* The mirror goes on serving what it has. */
}

static void snapshot_of_a_stranger(void)
{
	tuf.loose = true;
	tuf_bump(tuf.snapshot);
	tuf_write(&tuf, tuf.snapshot, "snapshot", TUF_KEY(TUF_STRANGER));
	point_at_snapshot();
}
static void snapshot_of_the_release_keys(void)
{
	tuf.loose = true;
	tuf_bump(tuf.snapshot);
	tuf_write(&tuf, tuf.snapshot, "snapshot", TUF_TARGETS_KEYS);
	point_at_snapshot();
}
static void old_snapshot_under_a_new_name(void)
{
	tuf_next(&tuf);
	tuf_put(&tuf, "metadata/3.snapshot.json",
		tuf_get(&tuf, "metadata/2.snapshot.json"));
}
static void old_snapshot_where_no_hash_is_stated(void)
{
	tuf.loose = true;
	old_snapshot_under_a_new_name();
}
/* Two that differ, both signed as version 3, and as long as one another. */
static void another_snapshot_of_the_same_version(void)
{
	tuf_next(&tuf);
	set(tuf.snapshot, "expires", "2027-02-02T00:00:00Z");
	tuf_write(&tuf, tuf.snapshot, "snapshot", TUF_KEY(TUF_SNAPSHOT));
}
static void snapshot_shorter_where_no_hash_is_stated(void)
{
	tuf_next(&tuf);
	json_object_set_new(tuf.timestamp, "meta",
			    json_pack("{s:{s:i, s:i}}", "snapshot.json",
				      "version", 3, "length", 5000));
	put_timestamp(TUF_KEY(TUF_TIMESTAMP));
}
static void snapshot_longer_than_stated(void)
{
	bl_autofree char *text = NULL;

	tuf_next(&tuf);
	text = bl_path("%s  ", tuf_get(&tuf, "metadata/3.snapshot.json"));
	tuf_put(&tuf, "metadata/3.snapshot.json", text);
}
static void snapshot_longer_and_no_limit_stops_it(void)
{
	tuf.endless = true;
	snapshot_longer_than_stated();
}
static void snapshot_shorter_than_stated(void)
{
	bl_autofree char *text = NULL;

	tuf_next(&tuf);
	text = strdup(tuf_get(&tuf, "metadata/3.snapshot.json"));
	text[strlen(text) - 1] = '\0';
	tuf_put(&tuf, "metadata/3.snapshot.json", text);
}
static void snapshot_without_end(void)
{
	tuf.loose = true;
	tuf_next(&tuf);
	long_text("metadata/3.snapshot.json", BL_META_SNAPSHOT_MAX + 1);
}
static void snapshot_expired(void)
{
	set(tuf.snapshot, "expires", PAST);
	point_at_targets();
}
static void snapshot_is_targets(void)
{
	tuf.loose = true;
	tuf_next(&tuf);
	tuf_put(&tuf, "metadata/3.snapshot.json",
		tuf_get(&tuf, "metadata/3.targets.json"));
}
/* Both online keys are stolen: older targets, of which a hole is known. */
static void snapshot_of_older_targets(void)
{
	json_object_set_new(tuf.targets, "version", json_integer(1));
	point_at_targets();
}
static void snapshot_forgets_a_role(void)
{
	tuf_bump(tuf.snapshot);
	tuf_state_snapshot(&tuf);
	json_object_del(json_object_get(tuf.snapshot, "meta"), "fleet.json");
	tuf_write(&tuf, tuf.snapshot, "snapshot", TUF_KEY(TUF_SNAPSHOT));
	point_at_snapshot();
}
static void snapshot_names_a_file_elsewhere(void)
{
	tuf_bump(tuf.snapshot);
	tuf_state_snapshot(&tuf);
	json_object_set_new(json_object_get(tuf.snapshot, "meta"),
			    "../../root.json",
			    json_pack("{s:i}", "version", 1));
	tuf_write(&tuf, tuf.snapshot, "snapshot", TUF_KEY(TUF_SNAPSHOT));
	point_at_snapshot();
}

static void targets_of_one_release_key(void)
{
	put_targets(TUF_KEY(TUF_TARGETS_1));
}
static void targets_of_one_release_key_twice(void)
{
	bl_autojson json_t *all = NULL;
	bl_autofree char *text = NULL, *twice = NULL;
	json_t *list;

	tuf_bump(tuf.targets);
	text = tuf_sign(&tuf, tuf.targets, TUF_KEY(TUF_TARGETS_1));
	all = json_loads(text, 0, NULL);
	list = json_object_get(all, "signatures");
	json_array_append(list, json_array_get(list, 0));
	twice = json_dumps(all, 0);
	tuf_put(&tuf, "metadata/3.targets.json", twice);
	point_at_targets();
}
static void targets_of_every_online_key(void)
{
	put_targets(TUF_KEY(TUF_SNAPSHOT) | TUF_KEY(TUF_TIMESTAMP) |
		    TUF_KEY(TUF_FLEET) | TUF_KEY(TUF_STRANGER));
}
static void old_targets_under_a_new_name(void)
{
	tuf_next(&tuf);
	tuf_put(&tuf, "metadata/3.targets.json",
		tuf_get(&tuf, "metadata/2.targets.json"));
}
static void old_targets_where_no_hash_is_stated(void)
{
	tuf.loose = true;
	old_targets_under_a_new_name();
}
static void fleet_in_place_of_targets(void)
{
	tuf.loose = true;
	tuf_next(&tuf);
	tuf_put(&tuf, "metadata/3.targets.json",
		tuf_get(&tuf, "metadata/3.fleet.json"));
}
static void targets_expired(void)
{
	set(tuf.targets, "expires", PAST);
	put_targets(TUF_TARGETS_KEYS);
}
static void target_named(const char *name)
{
	json_object_set_new(json_object_get(tuf.targets, "targets"), name,
			    json_pack("{s:i, s:{s:s}}", "length", 1, "hashes",
				      "sha256", SHA_0));
	put_targets(TUF_TARGETS_KEYS);
}
static void target_above_its_folder(void)
{
	target_named("../../etc/cron.d/x");
}
static void target_at_the_root(void)
{
	target_named("/etc/passwd");
}
static void target_of_dots_inside(void)
{
	target_named("a/../../b");
}

static void root_of_nobody(void)
{
	put_root(0);
}
static void root_of_one_key(void)
{
	put_root(TUF_KEY(TUF_ROOT_1));
}
/* Signed by as many as it needs itself, and by none that the host knows. */
static void root_that_knows_only_itself(void)
{
	bl_autojson json_t *id = tuf_keyid(&tuf, TUF_STRANGER);
	json_t *roles = json_object_get(tuf.root, "roles");

	json_object_set_new(json_object_get(tuf.root, "keys"),
			    json_string_value(id), tuf_key(&tuf, TUF_STRANGER));
	json_object_set_new(roles, "root",
			    json_pack("{s:[O], s:i}", "keyids", id, "threshold",
				      1));
	put_root(TUF_KEY(TUF_STRANGER));
}
/* Signed by the keys of before, and not by those that it names. */
static void root_that_nobody_new_signed(void)
{
	root_that_knows_only_itself();
	tuf_write(&tuf, tuf.root, "root", TUF_ROOT_KEYS);
}
static void root_that_skips_one(void)
{
	bl_autofree char *text = NULL;

	json_object_set_new(tuf.root, "version", json_integer(3));
	text = tuf_sign(&tuf, tuf.root, TUF_ROOT_KEYS);
	tuf_put(&tuf, "metadata/2.root.json", text);
}
static void root_again(void)
{
	tuf_put(&tuf, "metadata/2.root.json",
		tuf_get(&tuf, "metadata/1.root.json"));
}
static void root_is_targets(void)
{
	tuf_put(&tuf, "metadata/2.root.json",
		tuf_get(&tuf, "metadata/2.targets.json"));
}
static void root_without_end(void)
{
	long_text("metadata/2.root.json", BL_META_ROOT_MAX + 1);
}
static void root_with_a_key_under_two_names(void)
{
	json_t *roles = json_object_get(tuf.root, "roles");

	json_object_set_new(json_object_get(roles, "root"), "keyids",
			    json_pack("[o, o]", tuf_keyid(&tuf, TUF_ROOT_1),
				      tuf_keyid(&tuf, TUF_ROOT_1)));
	put_root(TUF_ROOT_KEYS);
}
static void root_with_a_key_by_a_wrong_name(void)
{
	json_object_set_new(json_object_get(tuf.root, "keys"), SHA_0,
			    tuf_key(&tuf, TUF_STRANGER));
	put_root(TUF_ROOT_KEYS);
}

static const struct {
	const char *name;
	void (*attack)(void);
	int code;
	int days; /* that pass before the host asks */
} rows[] = {
#define ROW(what, code)              \
	{                            \
#what, what, code, 0 \
	}
	ROW(timestamp_of_a_stranger, BL_TRUST_SIGNATURE),
	ROW(timestamp_of_other_online_keys, BL_TRUST_SIGNATURE),
	ROW(timestamp_unsigned, BL_TRUST_SIGNATURE),
	ROW(timestamp_changed_after_signing, BL_TRUST_SIGNATURE),
	ROW(timestamp_replayed, BL_TRUST_ROLLBACK),
	ROW(timestamp_older_over_the_same_snapshot, BL_TRUST_ROLLBACK),
	ROW(timestamp_of_an_older_snapshot, BL_TRUST_ROLLBACK),
	ROW(timestamp_of_a_snapshot_renumbered, BL_TRUST_ROLLBACK),
	ROW(timestamp_expired, BL_TRUST_EXPIRED),
	ROW(timestamp_is_a_snapshot, BL_TRUST_KIND),
	ROW(timestamp_of_specification_2, BL_TRUST_SPEC),
	ROW(timestamp_is_empty, BL_TRUST_MALFORMED),
	ROW(timestamp_is_a_page, BL_TRUST_MALFORMED),
	ROW(timestamp_cut_off, BL_TRUST_MALFORMED),
	ROW(timestamp_says_a_key_twice, BL_TRUST_MALFORMED),
	ROW(timestamp_is_deep, BL_TRUST_MALFORMED),
	ROW(timestamp_without_end, BL_TRUST_ENDLESS),
	ROW(timestamp_that_no_limit_stops, BL_TRUST_ENDLESS),
	{ "a frozen mirror", time_passes, BL_TRUST_EXPIRED, 30 },
	ROW(snapshot_of_a_stranger, BL_TRUST_SIGNATURE),
	ROW(snapshot_of_the_release_keys, BL_TRUST_SIGNATURE),
	ROW(old_snapshot_under_a_new_name, BL_TRUST_MIX),
	ROW(old_snapshot_where_no_hash_is_stated, BL_TRUST_MIX),
	ROW(another_snapshot_of_the_same_version, BL_TRUST_MIX),
	ROW(snapshot_shorter_where_no_hash_is_stated, BL_TRUST_MIX),
	ROW(snapshot_longer_than_stated, BL_TRUST_ENDLESS),
	ROW(snapshot_longer_and_no_limit_stops_it, BL_TRUST_ENDLESS),
	ROW(snapshot_shorter_than_stated, BL_TRUST_MIX),
	ROW(snapshot_without_end, BL_TRUST_ENDLESS),
	ROW(snapshot_expired, BL_TRUST_EXPIRED),
	ROW(snapshot_is_targets, BL_TRUST_KIND),
	ROW(snapshot_of_older_targets, BL_TRUST_ROLLBACK),
	ROW(snapshot_forgets_a_role, BL_TRUST_ROLLBACK),
	ROW(snapshot_names_a_file_elsewhere, BL_TRUST_NAME),
	ROW(targets_of_one_release_key, BL_TRUST_SIGNATURE),
	ROW(targets_of_one_release_key_twice, BL_TRUST_SIGNATURE),
	ROW(targets_of_every_online_key, BL_TRUST_SIGNATURE),
	ROW(old_targets_under_a_new_name, BL_TRUST_MIX),
	ROW(old_targets_where_no_hash_is_stated, BL_TRUST_MIX),
	ROW(fleet_in_place_of_targets, BL_TRUST_SIGNATURE),
	ROW(targets_expired, BL_TRUST_EXPIRED),
	ROW(target_above_its_folder, BL_TRUST_NAME),
	ROW(target_at_the_root, BL_TRUST_NAME),
	ROW(target_of_dots_inside, BL_TRUST_NAME),
	ROW(root_of_nobody, BL_TRUST_SIGNATURE),
	ROW(root_of_one_key, BL_TRUST_SIGNATURE),
	ROW(root_that_knows_only_itself, BL_TRUST_SIGNATURE),
	ROW(root_that_nobody_new_signed, BL_TRUST_SIGNATURE),
	ROW(root_that_skips_one, BL_TRUST_GAP),
	ROW(root_again, BL_TRUST_ROLLBACK),
	ROW(root_is_targets, BL_TRUST_KIND),
	ROW(root_without_end, BL_TRUST_ENDLESS),
	ROW(root_with_a_key_under_two_names, BL_TRUST_MALFORMED),
	ROW(root_with_a_key_by_a_wrong_name, BL_TRUST_MALFORMED),
#undef ROW
};

/* --- what must hold --------------------------------------------------------- */

/* Everything in the host's folder, as one text. */
static char *trusted(void)
{
	bl_autofree char *root = bl_path("%s/" BL_TRUST_ROOT_FILE, dir);
	bl_autofree char *rest = bl_path("%s/" BL_TRUST_FILE, dir);
	struct bl_buf b = { 0 };

	ck_assert_int_eq(bl_file_read(root, 1 << 20, &b, NULL), 0);
	ck_assert_int_eq(bl_file_read(rest, 1 << 20, &b, NULL), 0);
	return b.data;
}

static int refresh(int days)
{
	err = (struct bl_err){ 0 };
	return bl_tuf_refresh(&host, &tuf.fetcher, TUF_NOW + days * 86400LL,
			      &err);
}

static void setup(void)
{
	const char *root;

	dir = bl_test_tmpdir();
	tuf_open(&tuf);
	old_timestamp = strdup(tuf_get(&tuf, "metadata/timestamp.json"));
	tuf_next(&tuf);
	root = tuf_get(&tuf, "metadata/1.root.json");
	ck_assert_int_eq(
		bl_trust_state_save_root(dir, root, strlen(root), NULL), 0);
	ck_assert_int_eq(bl_tuf_open(dir, &host, NULL), 0);
	ck_assert_int_eq(refresh(0), 0);
}

static void teardown(void)
{
	bl_tuf_close(&host);
	tuf_close(&tuf);
	free(old_timestamp);
	ck_assert_int_eq(bl_file_rmtree(dir, NULL), 0);
	free(dir);
}

START_TEST(an_attack_is_named_and_changes_nothing)
{
	bl_autofree char *before = trusted(), *after = NULL;
	bl_autojson json_t *good = json_deep_copy(tuf.files);
	const char *name = rows[_i].name;
	int r;

	rows[_i].attack();
	r = refresh(rows[_i].days);
	ck_assert_msg(r == rows[_i].code, "%s: %d (%s) and not %d: %s", name, r,
		      bl_trust_fault_name(r), rows[_i].code, err.text);
	ck_assert_str_eq(err.hint, bl_trust_fault_words(r));
	ck_assert_msg(*err.text, "%s: no words", name);
	ck_assert_ptr_null(host.t.targets.body);
	after = trusted();
	ck_assert_msg(strcmp(before, after) == 0, "%s: changed", name);

	tuf.endless = false;
	json_decref(tuf.files);
	tuf.files = json_incref(good);
	ck_assert_msg(refresh(0) == 0, "%s: afterwards: %s", name, err.text);
	/* What counts is in the folder, not in this process. */
	bl_tuf_close(&host);
	ck_assert_int_eq(bl_tuf_open(dir, &host, NULL), 0);
	ck_assert_int_eq(refresh(0), 0);
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *s = suite_create("trust_attacks");
	TCase *t = tcase_create("table");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, an_attack_is_named_and_changes_nothing, 0,
			    BL_ARRAY_SIZE(rows));
	suite_add_tcase(s, t);
	return s;
}
