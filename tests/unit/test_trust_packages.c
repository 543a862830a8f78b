/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The attack table, continued: what is done to single bytes, to packages, by
 * delegated roles, and by whoever stole the fleet's key. As in
 * test_trust_attacks.c the host's folder must stay what it was.
 */
#include <errno.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/bundle/digest.h"
#include "loader/trust/canon.h"
#include "loader/trust/fleet.h"
#include "tests/main.h"
#include "tests/support/tuf.h"

#define HOST  "web-1"
#define OTHER "what nobody released"

static struct tuf tuf;
static struct bl_tuf host;
static struct bl_err err;
static char *dir;

static char *trusted(void)
{
	bl_autofree char *root = bl_path("%s/" BL_TRUST_ROOT_FILE, dir);
	bl_autofree char *rest = bl_path("%s/" BL_TRUST_FILE, dir);
	struct bl_buf b = { 0 };

	ck_assert_int_eq(bl_file_read(root, 1 << 20, &b, NULL), 0);
	ck_assert_int_eq(bl_file_read(rest, 1 << 20, &b, NULL), 0);
	return b.data;
}

static int refresh(void)
{
	err = (struct bl_err){ 0 };
	return bl_tuf_refresh(&host, &tuf.fetcher, TUF_NOW, &err);
}

static void setup(void)
{
	const char *root;

	dir = bl_test_tmpdir();
	tuf_open(&tuf);
	tuf_next(&tuf);
	root = tuf_get(&tuf, "metadata/1.root.json");
	ck_assert_int_eq(
		bl_trust_state_save_root(dir, root, strlen(root), NULL), 0);
	ck_assert_int_eq(bl_tuf_open(dir, &host, NULL), 0);
	ck_assert_int_eq(refresh(), 0);
}

static void teardown(void)
{
	bl_tuf_close(&host);
	tuf_close(&tuf);
	ck_assert_int_eq(bl_file_rmtree(dir, NULL), 0);
	free(dir);
}

/* --- bytes ------------------------------------------------------------------ */

static const char *const files[] = {
	"metadata/timestamp.json",
	"metadata/3.snapshot.json",
	"metadata/3.targets.json",
};

/* Any byte of any file, of a new version of everything. */
START_TEST(no_byte_can_be_another)
{
	bl_autofree char *text = NULL, *before = trusted();

	tuf_next(&tuf);
	text = strdup(tuf_get(&tuf, files[_i]));
	for (size_t i = 0; text[i]; i++) {
		bl_autofree char *after = NULL;
		char was = text[i];

		text[i] ^= i % 2 ? 1 : 4;
		tuf_put(&tuf, files[_i], text);
		text[i] = was;
		ck_assert_msg(refresh() < 0 && bl_trust_fault_name(err.code),
			      "byte %zu of %s: %s", i, files[_i], err.text);
		after = trusted();
		ck_assert_str_eq(before, after);
	}
	tuf_put(&tuf, files[_i], text);
	ck_assert_int_eq(refresh(), 0);
	ck_assert_int_eq(host.t.targets.version, 3);
}
END_TEST

/* One of a root's three signatures may be spoilt, since two must be good; what
 * they sign may not. */
START_TEST(no_byte_of_a_root_can_be_another)
{
	const char *one = tuf_get(&tuf, "metadata/1.root.json");
	bl_autobuf struct bl_buf meant = { 0 };
	bl_autofree char *text = NULL;
	size_t taken = 0, len;

	tuf_bump(tuf.root);
	text = tuf_sign(&tuf, tuf.root, TUF_ROOT_KEYS);
	len = strlen(text);
	ck_assert_int_eq(bl_canon(tuf.root, &meant, NULL), 0);
	for (size_t i = 0; i < len; i++) {
		BL_CLEANUP(bl_trusted_free)
		struct bl_trusted t = { .now_s = TUF_NOW };
		char was = text[i];

		ck_assert_int_eq(bl_trusted_root(&t, one, strlen(one), NULL),
				 0);
		text[i] ^= i % 2 ? 1 : 4;
		if (bl_trusted_root(&t, text, len, NULL) == 0) {
			taken++;
			ck_assert_str_eq(t.root.text.data, meant.data);
		} else {
			ck_assert_int_eq(t.root.version, 1);
		}
		text[i] = was;
	}
	ck_assert_uint_gt(taken, 0);
	ck_assert_uint_lt(taken, len / 3);
}
END_TEST

/* --- packages, roles, orders ------------------------------------------------ */

static void put_package(const char *bytes)
{
	bl_autofree char *name = NULL;
	char hex[BL_DIGEST_HEX];

	bl_digest(TUF_BYTES, strlen(TUF_BYTES), hex);
	name = bl_path("targets/%s.%s", hex, TUF_TARGET);
	tuf_put(&tuf, name, bytes);
}

static void package_changed(void)
{
	put_package("the bytes of a sensos");
}
static void package_with_more_behind(void)
{
	put_package(TUF_BYTES "!");
}
static void package_without_end(void)
{
	tuf.endless = true;
	package_with_more_behind();
}
static void package_cut_off(void)
{
	put_package("the bytes");
}
static void nothing(void)
{
}

/* An entry of targets metadata, with what belay reads in it (NULL: nothing). */
static void list(json_t *body, const char *path, const char *bytes,
		 const char *belay)
{
	char hex[BL_DIGEST_HEX];
	json_t *entry;

	bl_digest(bytes, strlen(bytes), hex);
	entry = json_pack("{s:i, s:{s:s}}", "length", (int)strlen(bytes),
			  "hashes", "sha256", hex);
	if (belay)
		json_object_set_new(entry, "custom",
				    json_pack("{s:o}", "belay",
					      json_loads(belay, 0, NULL)));
	json_object_set_new(json_object_get(body, "targets"), path, entry);
}

static void order(const char *path, const char *bytes, const char *belay)
{
	list(tuf.fleet, path, bytes, belay);
	tuf_next(&tuf);
}

static void fleet_lists_a_bundle_by_its_own_name(void)
{
	order("new.bundle", OTHER, NULL);
}
static void fleet_orders_what_is_not_released(void)
{
	order("fleet/new.bundle", OTHER, "{\"hosts\":[\"web-1\"]}");
}
static void fleet_orders_other_bytes(void)
{
	order("fleet/" TUF_TARGET, OTHER, "{\"hosts\":[\"web-1\"]}");
}
/* For another host, but the file is one: none of it counts. */
static void fleet_orders_other_bytes_elsewhere(void)
{
	order("fleet/x.bundle", OTHER, "{\"hosts\":[\"db-1\"]}");
	order("fleet/" TUF_TARGET, TUF_BYTES, "{\"hosts\":[\"web-1\"]}");
}
static void fleet_orders_an_old_release(void)
{
	order("fleet/" TUF_TARGET, TUF_BYTES, "{\"hosts\":[\"web-1\"]}");
}
static void fleet_orders_two(void)
{
	list(tuf.targets, "b.bundle", OTHER, NULL);
	order("fleet/b.bundle", OTHER, "{\"hosts\":[\"web-*\"]}");
	order("fleet/" TUF_TARGET, TUF_BYTES, "{\"hosts\":[\"*-1\"]}");
}
static void fleet_orders_for_another_host(void)
{
	order("fleet/" TUF_TARGET, TUF_BYTES,
	      "{\"hosts\":[\"web-2\", \"web-11\", \"eb-1\", \"?\"]}");
}
static void fleet_orders_for_no_list(void)
{
	order("fleet/" TUF_TARGET, TUF_BYTES, "{\"hosts\":\"web-1\"}");
}
static void fleet_orders_for_a_number(void)
{
	order("fleet/" TUF_TARGET, TUF_BYTES, "{\"hosts\":[1]}");
}

static void write_fleet(unsigned keys)
{
	tuf.loose = true;
	tuf_next(&tuf);
	tuf_write(&tuf, tuf.fleet, "fleet", keys);
}
static void fleet_of_a_stranger(void)
{
	write_fleet(TUF_KEY(TUF_STRANGER));
}
static void fleet_of_the_other_online_keys(void)
{
	write_fleet(TUF_KEY(TUF_SNAPSHOT) | TUF_KEY(TUF_TIMESTAMP));
}
static void fleet_of_before(void)
{
	write_fleet(TUF_KEY(TUF_FLEET));
	tuf_put(&tuf, "metadata/3.fleet.json",
		tuf_get(&tuf, "metadata/2.fleet.json"));
}
static void fleet_expired(void)
{
	json_object_set_new(tuf.fleet, "expires",
			    json_string("2027-01-15T07:59:59Z"));
	write_fleet(TUF_KEY(TUF_FLEET));
}
static void fleet_changed_after_all_was_stated(void)
{
	bl_autofree char *text = NULL;

	tuf_next(&tuf);
	text = strdup(tuf_get(&tuf, "metadata/3.fleet.json"));
	text[strlen(text) - 4] ^= 1;
	tuf_put(&tuf, "metadata/3.fleet.json", text);
}

/* A role of the fleet's key, delegated to by @by. */
static void delegate(json_t *by, const char *name, const char *pattern,
		     bool terminating)
{
	json_t *d = json_object_get(by, "delegations");
	bl_autojson json_t *id = tuf_keyid(&tuf, TUF_FLEET);

	if (!d) {
		d = json_pack("{s:{s:o}, s:[]}", "keys", json_string_value(id),
			      tuf_key(&tuf, TUF_FLEET), "roles");
		json_object_set_new(by, "delegations", d);
	}
	json_array_append_new(json_object_get(d, "roles"),
			      json_pack("{s:s, s:[s], s:b, s:[O], s:i}", "name",
					name, "paths", pattern, "terminating",
					terminating, "keyids", id, "threshold",
					1));
}

/* Its file, and the snapshot that speaks of it; after tuf_next. */
static void publish_role(const char *name, const json_t *body)
{
	bl_autofree char *file = bl_path("%s.json", name);

	tuf_write(&tuf, body, name, TUF_KEY(TUF_FLEET));
	json_object_set_new(json_object_get(tuf.snapshot, "meta"), file,
			    json_pack("{s:I}", "version", tuf_version(body)));
	tuf_write(&tuf, tuf.snapshot, "snapshot", TUF_KEY(TUF_SNAPSHOT));
	tuf_state_timestamp(&tuf);
	tuf_write(&tuf, tuf.timestamp, "timestamp", TUF_KEY(TUF_TIMESTAMP));
}

static void two_roles(bool terminating)
{
	bl_autojson json_t *a = json_deep_copy(tuf.fleet);
	bl_autojson json_t *b = json_deep_copy(tuf.fleet);

	delegate(tuf.targets, "a", "*.bundle", terminating);
	delegate(tuf.targets, "b", "*.bundle", false);
	list(b, "new.bundle", OTHER, NULL);
	tuf_next(&tuf);
	publish_role("a", a);
	publish_role("b", b);
}
static void a_role_that_terminates(void)
{
	two_roles(true);
}
static void a_role_that_goes_on(void)
{
	two_roles(false);
}
static void roles_in_a_ring(void)
{
	bl_autojson json_t *a = json_deep_copy(tuf.fleet);
	bl_autojson json_t *b = json_deep_copy(tuf.fleet);

	delegate(tuf.targets, "a", "*", false);
	delegate(a, "b", "*", false);
	delegate(b, "a", "*", false);
	tuf_next(&tuf);
	publish_role("a", a);
	publish_role("b", b);
}
static void a_role_beyond_its_paths(void)
{
	bl_autojson json_t *a = json_deep_copy(tuf.fleet);

	delegate(tuf.targets, "a", "a/*", false);
	list(a, "new.bundle", OTHER, NULL);
	tuf_next(&tuf);
	publish_role("a", a);
}
static void a_role_that_no_snapshot_knows(void)
{
	delegate(tuf.targets, "a", "*.bundle", false);
	tuf_next(&tuf);
}
/* More roles than one search asks, each leading to the next. */
static void a_chain_without_end(void)
{
	json_t *body[40];
	char name[8], next[8];

	delegate(tuf.targets, "r0", "*", false);
	for (int i = 0; i < 40; i++) {
		body[i] = json_deep_copy(tuf.fleet);
		snprintf(next, sizeof(next), "r%d", i + 1);
		delegate(body[i], next, "*", false);
	}
	list(body[39], "new.bundle", OTHER, NULL);
	tuf_next(&tuf);
	for (int i = 0; i < 40; i++) {
		snprintf(name, sizeof(name), "r%d", i);
		publish_role(name, body[i]);
		json_decref(body[i]);
	}
}

enum ask { FETCH, ORDER };

static const struct {
	const char *name;
	void (*attack)(void);
	enum ask ask;
	const char *target; /* of FETCH */
	int code;
} rows[] = {
#define FETCHES(what, target, code)              \
	{                                        \
#what, what, FETCH, target, code \
	}
#define ORDERS(what, code)                   \
	{                                    \
#what, what, ORDER, "", code \
	}
	FETCHES(nothing, TUF_TARGET, 0),
	FETCHES(package_changed, TUF_TARGET, BL_TRUST_PACKAGE),
	FETCHES(package_with_more_behind, TUF_TARGET, BL_TRUST_ENDLESS),
	FETCHES(package_without_end, TUF_TARGET, BL_TRUST_ENDLESS),
	FETCHES(package_cut_off, TUF_TARGET, BL_TRUST_PACKAGE),
	FETCHES(nothing, "new.bundle", BL_TRUST_UNLISTED),
	FETCHES(nothing, "../" TUF_TARGET, BL_TRUST_NAME),
	FETCHES(nothing, "/etc/passwd", BL_TRUST_NAME),
	FETCHES(nothing, "", BL_TRUST_NAME),
	FETCHES(fleet_lists_a_bundle_by_its_own_name, "new.bundle",
		BL_TRUST_UNLISTED),
	FETCHES(a_role_that_goes_on, "new.bundle", -ENOENT),
	FETCHES(a_role_that_terminates, "new.bundle", BL_TRUST_UNLISTED),
	FETCHES(roles_in_a_ring, "new.bundle", BL_TRUST_UNLISTED),
	FETCHES(a_role_beyond_its_paths, "new.bundle", BL_TRUST_UNLISTED),
	FETCHES(a_role_that_no_snapshot_knows, "new.bundle", BL_TRUST_MIX),
	FETCHES(a_chain_without_end, "new.bundle", BL_TRUST_UNLISTED),
	ORDERS(fleet_of_a_stranger, BL_TRUST_SIGNATURE),
	ORDERS(fleet_of_the_other_online_keys, BL_TRUST_SIGNATURE),
	ORDERS(fleet_of_before, BL_TRUST_MIX),
	ORDERS(fleet_expired, BL_TRUST_EXPIRED),
	ORDERS(fleet_changed_after_all_was_stated, BL_TRUST_MIX),
	ORDERS(fleet_lists_a_bundle_by_its_own_name, BL_TRUST_ASSIGNED),
	ORDERS(fleet_orders_what_is_not_released, BL_TRUST_ASSIGNED),
	ORDERS(fleet_orders_other_bytes, BL_TRUST_ASSIGNED),
	ORDERS(fleet_orders_other_bytes_elsewhere, BL_TRUST_ASSIGNED),
	ORDERS(fleet_orders_an_old_release, BL_TRUST_ROLLBACK),
	ORDERS(fleet_orders_two, BL_TRUST_ASSIGNED),
	ORDERS(fleet_orders_for_another_host, -ENOENT),
	ORDERS(fleet_orders_for_no_list, BL_TRUST_MALFORMED),
	ORDERS(fleet_orders_for_a_number, BL_TRUST_MALFORMED),
#undef FETCHES
#undef ORDERS
};

static int fetch(const char *path, struct bl_buf *ret)
{
	struct bl_meta_target t;
	int r = bl_tuf_find(&host, &tuf.fetcher, path, &t, NULL, &err);

	return r ? r : bl_tuf_fetch(&host, &tuf.fetcher, &t, ret, &err);
}

/* This host committed serial 1, and what is released has none. */
static int ask_order(void)
{
	bl_autofree char *before = trusted();
	const struct bl_meta *fleet;
	struct bl_meta_target t = { .path = NULL };
	int r = bl_tuf_role(&host, &tuf.fetcher, BL_FLEET_ROLE, &fleet, &err);

	if (!r) {
		r = bl_fleet_find(&host.t.targets, fleet, HOST, 1, &t, &err);
	} else { /* a role that is refused is not kept */
		bl_autofree char *after = trusted();

		ck_assert_str_eq(before, after);
	}
	ck_assert_ptr_null(t.path);
	return r;
}

/* The update that all roles of the top agree on, as it is kept. */
static char *update_kept(void)
{
	bl_autofree char *file = bl_path("%s/" BL_TRUST_FILE, dir);
	bl_autojson json_t *all = json_load_file(file, 0, NULL);
	const json_t *texts = json_object_get(all, "files");

	return bl_path("%s\n%s\n%s",
		       json_string_value(json_object_get(texts, "timestamp")),
		       json_string_value(json_object_get(texts, "snapshot")),
		       json_string_value(json_object_get(texts, "targets")));
}

START_TEST(an_attack_is_named_and_gives_nothing)
{
	bl_autobuf struct bl_buf b = { 0 };
	bl_autofree char *before = NULL, *after = NULL;
	const char *name = rows[_i].name;
	int r;

	rows[_i].attack();
	/* The targets that all agree on are taken; what follows is not. */
	ck_assert_msg(refresh() == 0, "%s: %s", name, err.text);
	before = update_kept();
	r = rows[_i].ask == FETCH ? fetch(rows[_i].target, &b) : ask_order();
	ck_assert_msg(r == rows[_i].code, "%s: %d (%s) and not %d: %s", name, r,
		      bl_trust_fault_name(r), rows[_i].code, err.text);
	if (!r) {
		ck_assert_str_eq(bl_buf_str(&b), TUF_BYTES);
		return;
	}
	ck_assert_msg(*err.text, "%s: no words", name);
	ck_assert_uint_eq(b.len, 0);
	after = update_kept();
	ck_assert_str_eq(before, after);
	ck_assert_int_eq(refresh(), 0);
}
END_TEST

/* "x" under a/ by a role whose key the file has, under b/ by one that names
 * another key for it. */
static void one_name_by_two(void)
{
	bl_autojson json_t *a = json_deep_copy(tuf.fleet);
	bl_autojson json_t *b = json_deep_copy(tuf.fleet);
	bl_autojson json_t *x = json_deep_copy(tuf.fleet);
	bl_autojson json_t *id = tuf_keyid(&tuf, TUF_STRANGER);
	json_t *d;

	delegate(tuf.targets, "a", "a/*", false);
	delegate(tuf.targets, "b", "b/*", false);
	delegate(a, "x", "a/*", false);
	delegate(b, "x", "b/*", false);
	d = json_object_get(b, "delegations");
	json_object_set_new(json_object_get(d, "keys"), json_string_value(id),
			    tuf_key(&tuf, TUF_STRANGER));
	json_object_set_new(json_array_get(json_object_get(d, "roles"), 0),
			    "keyids", json_pack("[O]", id));
	list(x, "a/new.bundle", OTHER, NULL);
	list(x, "b/new.bundle", OTHER, NULL);
	tuf_next(&tuf);
	publish_role("a", a);
	publish_role("b", b);
	publish_role("x", x);
}

START_TEST(a_role_of_one_name_has_the_keys_of_each_that_delegates)
{
	struct bl_meta_target t;
	const char *role;

	one_name_by_two();
	ck_assert_msg(refresh() == 0, "%s", err.text);
	for (int twice = 0; twice < 2; twice++) {
		ck_assert_msg(bl_tuf_find(&host, &tuf.fetcher, "a/new.bundle",
					  &t, &role, &err) == 0,
			      "%s", err.text);
		ck_assert_str_eq(role, "x");
		ck_assert_int_eq(bl_tuf_find(&host, &tuf.fetcher,
					     "b/new.bundle", &t, &role, &err),
				 BL_TRUST_SIGNATURE);
	}
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *s = suite_create("trust_packages");
	TCase *t = tcase_create("table");
	TCase *bytes = tcase_create("bytes");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, an_attack_is_named_and_gives_nothing, 0,
			    BL_ARRAY_SIZE(rows));
	tcase_add_test(t,
		       a_role_of_one_name_has_the_keys_of_each_that_delegates);
	suite_add_tcase(s, t);
	tcase_add_checked_fixture(bytes, setup, teardown);
	tcase_set_timeout(bytes, 0);
	tcase_add_loop_test(bytes, no_byte_can_be_another, 0,
			    BL_ARRAY_SIZE(files));
	tcase_add_test(bytes, no_byte_of_a_root_can_be_another);
	suite_add_tcase(s, bytes);
	return s;
}
