/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The attack table, continued: orders. Each row: what is shown to a host by who
 * holds the network, the controller, its key, or another key; the error that
 * answers; and that the host remembers what it did before. Then the order that
 * was meant is taken, so that it was the attack that was refused.
 */
#include <errno.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/trust/canon.h"
#include "loader/trust/obey.h"
#include "tests/main.h"
#include "tests/support/tuf.h"

#define HOST   "web-1"
#define NOW_MS (TUF_NOW * INT64_C(1000))
#define BEGAN  (NOW_MS - 3600000)
#define OTHER  "0000000000000000000000000000000000000000000000000000000000000000"
#define PAST   "2027-01-15T07:59:59Z"

static struct tuf tuf;
static struct bl_tuf host;
static struct bl_err err;
static struct bl_told good, told;
static char *dir, *before;

static void name_key(enum tuf_key k, struct bl_key *ret)
{
	bl_autojson json_t *id = tuf_keyid(&tuf, k);

	*ret = (struct bl_key){ .pair = tuf.key[k] };
	memcpy(ret->id, json_string_value(id), sizeof(ret->id));
}

/* @o, signed. Caller frees. */
static char *sign(const struct bl_told *o, enum tuf_key k)
{
	bl_autojson json_t *proof = NULL;
	struct bl_key key;

	name_key(k, &key);
	proof = bl_told_sign(o, &key);
	ck_assert_ptr_nonnull(proof);
	return json_dumps(proof, JSON_COMPACT);
}

/* The body of an order of the right key with one key in it another one. */
static char *change(const char *key, json_t *value, bool sign_again)
{
	bl_autofree char *text = sign(&good, TUF_FLEET);
	bl_autojson json_t *all = json_loads(text, 0, NULL);
	json_t *body = json_object_get(all, "signed");

	if (value)
		json_object_set_new(body, key, value);
	else
		json_object_del(body, key);
	return sign_again ? tuf_sign(&tuf, body, TUF_KEY(TUF_FLEET))
			  : json_dumps(all, JSON_COMPACT);
}

static void refresh(void)
{
	ck_assert_msg(bl_tuf_refresh(&host, &tuf.fetcher, TUF_NOW, &err) == 0,
		      "%s", err.text);
}

static int obey(const char *proof)
{
	err = (struct bl_err){ 0 };
	return bl_obey(dir, proof, HOST, NOW_MS, &told, &err);
}

static char *remembered(void)
{
	bl_autofree char *path = bl_path("%s/" BL_OBEY_FILE, dir);
	struct bl_buf b = { 0 };

	if (bl_file_read(path, 4096, &b, NULL) < 0)
		return strdup("");
	return b.data;
}

static void setup(void)
{
	const json_t *target;
	const char *root;

	dir = bl_test_tmpdir();
	tuf_open(&tuf);
	root = tuf_get(&tuf, "metadata/1.root.json");
	ck_assert_int_eq(
		bl_trust_state_save_root(dir, root, strlen(root), NULL), 0);
	ck_assert_int_eq(bl_tuf_open(dir, &host, NULL), 0);
	refresh();
	target = json_object_get(json_object_get(tuf.targets, "targets"),
				 TUF_TARGET);
	good = (struct bl_told){ .host = HOST,
				 .rollout = "r7",
				 .version = bl_told_version(BEGAN, false),
				 .probation_ms = 5000,
				 .expires_s = TUF_NOW + BL_TOLD_VALID_S };
	memcpy(good.digest,
	       json_string_value(json_object_get(
		       json_object_get(target, "hashes"), "sha256")),
	       sizeof(good.digest));
	before = NULL;
}

static void teardown(void)
{
	free(before);
	bl_tuf_close(&host);
	tuf_close(&tuf);
	ck_assert_int_eq(bl_file_rmtree(dir, NULL), 0);
	free(dir);
}

/* --- what an attacker shows -------------------------------------------------- */

static char *of_a_stranger(void)
{
	return sign(&good, TUF_STRANGER);
}
static char *of_a_release_key(void)
{
	return sign(&good, TUF_TARGETS_1);
}
static char *of_a_root_key(void)
{
	return sign(&good, TUF_ROOT_1);
}
static char *of_the_timestamp_key(void)
{
	return sign(&good, TUF_TIMESTAMP);
}
/* A controller that was replaced: it has everything but the key. */
static char *of_nobody(void)
{
	bl_autofree char *text = sign(&good, TUF_FLEET);
	bl_autojson json_t *all = json_loads(text, 0, NULL);

	json_array_clear(json_object_get(all, "signatures"));
	return json_dumps(all, JSON_COMPACT);
}
static char *without_a_proof(void)
{
	return NULL;
}
static char *of_a_stranger_under_the_keys_name(void)
{
	struct bl_key key;
	bl_autojson json_t *proof = NULL;

	name_key(TUF_FLEET, &key);
	key.pair = tuf.key[TUF_STRANGER];
	proof = bl_told_sign(&good, &key);
	return json_dumps(proof, JSON_COMPACT);
}
static char *with_another_digest(void)
{
	return change("digest", json_string(OTHER), false);
}
static char *with_another_host(void)
{
	return change("host", json_string("web-2"), false);
}
static char *with_a_later_expiry(void)
{
	return change("expires", json_string("2027-01-15T08:30:00Z"), false);
}
static char *with_a_higher_version(void)
{
	return change("version", json_integer(good.version + 2), false);
}
static char *turned_round(void)
{
	return change("order", json_string("rollback"), false);
}
static char *with_an_override(void)
{
	return change("override", json_string("go on"), false);
}
static char *without_a_trial(void)
{
	return change("probation_ms", json_integer(1), false);
}
static char *for_another_host(void)
{
	struct bl_told o = good;

	strcpy(o.host, "web-2");
	return sign(&o, TUF_FLEET);
}
/* Patterns are for fleet.h: an order has one addressee. */
static char *for_all_hosts(void)
{
	return change("host", json_string("*"), true);
}
static char *of_what_was_never_released(void)
{
	struct bl_told o = good;

	memcpy(o.digest, OTHER, sizeof(o.digest));
	return sign(&o, TUF_FLEET);
}
static char *expired(void)
{
	struct bl_told o = good;

	o.expires_s = TUF_NOW;
	return sign(&o, TUF_FLEET);
}
/* Of a thief who had the key for a day, to be used in a year. */
static char *that_never_expires(void)
{
	struct bl_told o = good;

	o.expires_s = TUF_NOW + BL_TOLD_VALID_MAX_S + 1;
	return sign(&o, TUF_FLEET);
}
/* The same thief: a version that no honest order reaches any more. */
static char *of_a_far_future(void)
{
	struct bl_told o = good;

	o.version = bl_told_version(NOW_MS + BL_TOLD_AHEAD_MS + 1, false);
	return sign(&o, TUF_FLEET);
}
static char *carried_out_before(void)
{
	ck_assert_int_eq(bl_obey_end(dir, &good, NULL), 0);
	return sign(&good, TUF_FLEET);
}
/* The order of r6, seen on the wire, after r7 ended. */
static char *older_than_the_last(void)
{
	struct bl_told o = good;

	o.version = bl_told_version(BEGAN - 1, false);
	ck_assert_int_eq(bl_obey_begin(dir, &good, NULL), 0);
	return sign(&o, TUF_FLEET);
}
/* To go there again, after the fleet was told to come back. */
static char *there_again_after_the_way_back(void)
{
	struct bl_told o = good;

	o.version = bl_told_version(BEGAN, true);
	ck_assert_int_eq(bl_obey_end(dir, &o, NULL), 0);
	return sign(&good, TUF_FLEET);
}
static char *back_from_an_older_rollout(void)
{
	struct bl_told o = good;

	o.rollback = true;
	o.version = bl_told_version(BEGAN - 1, true);
	ck_assert_int_eq(bl_obey_end(dir, &good, NULL), 0);
	return sign(&o, TUF_FLEET);
}
static char *back_of_a_stranger(void)
{
	struct bl_told o = good;

	o.rollback = true;
	return sign(&o, TUF_STRANGER);
}
/* Metadata that the same key signed as the fleet role's. */
static char *that_is_metadata(void)
{
	return tuf_sign(&tuf, tuf.fleet, TUF_KEY(TUF_FLEET));
}
static char *of_another_kind(void)
{
	return change("order", json_string("remove"), true);
}
static char *without_a_host(void)
{
	return change("host", NULL, true);
}
static char *with_a_name_that_leads_away(void)
{
	return change("rollout", json_string("../r7"), true);
}
static char *with_no_digest(void)
{
	return change("digest", json_string("latest"), true);
}
static char *of_tomorrows_specification(void)
{
	return change("spec_version", json_string("2.0"), true);
}
static char *with_two_hosts(void)
{
	bl_autofree char *text = sign(&good, TUF_FLEET);
	const char *at = strstr(text, "\"host\":");

	return bl_path("%.*s\"host\":\"web-2\",%s", (int)(at - text), text, at);
}
static char *of_endless_bytes(void)
{
	bl_autofree char *text = sign(&good, TUF_FLEET);
	char *long_one = malloc(BL_TOLD_BYTES_MAX + 2);

	memset(long_one, ' ', BL_TOLD_BYTES_MAX + 1);
	memcpy(long_one, text, strlen(text));
	long_one[BL_TOLD_BYTES_MAX + 1] = '\0';
	return long_one;
}
static char *that_is_no_json(void)
{
	return strdup("apply it, please");
}
/* A mirror that keeps newer metadata back. */
static char *while_the_mirror_is_frozen(void)
{
	json_object_set_new(tuf.timestamp, "expires", json_string(PAST));
	bl_autofree char *path = bl_path("%s/" BL_TRUST_FILE, dir);
	bl_autojson json_t *all = json_load_file(path, 0, NULL);
	bl_autofree char *text =
		tuf_sign(&tuf, tuf.timestamp, TUF_KEY(TUF_TIMESTAMP));

	json_object_set_new(json_object_get(all, "files"), "timestamp",
			    json_string(text));
	ck_assert_int_eq(json_dump_file(all, path, 0), 0);
	return sign(&good, TUF_FLEET);
}
static char *of_the_key_that_was_replaced(void)
{
	json_t *roles = json_object_get(
		json_object_get(tuf.targets, "delegations"), "roles");
	json_t *keys = json_object_get(
		json_object_get(tuf.targets, "delegations"), "keys");
	bl_autojson json_t *id = tuf_keyid(&tuf, TUF_STRANGER);

	json_object_set_new(keys, json_string_value(id),
			    tuf_key(&tuf, TUF_STRANGER));
	json_object_set_new(json_array_get(roles, 0), "keyids",
			    json_pack("[O]", id));
	tuf_next(&tuf);
	refresh();
	return sign(&good, TUF_FLEET);
}

#define ROW(how, code)          \
	{                       \
#how, how, code \
	}
static const struct {
	const char *name;
	char *(*show)(void);
	int code;
} attacks[] = {
	ROW(of_a_stranger, BL_TRUST_SIGNATURE),
	ROW(of_a_release_key, BL_TRUST_SIGNATURE),
	ROW(of_a_root_key, BL_TRUST_SIGNATURE),
	ROW(of_the_timestamp_key, BL_TRUST_SIGNATURE),
	ROW(of_nobody, BL_TRUST_SIGNATURE),
	ROW(without_a_proof, BL_TRUST_SIGNATURE),
	ROW(of_a_stranger_under_the_keys_name, BL_TRUST_SIGNATURE),
	ROW(with_another_digest, BL_TRUST_SIGNATURE),
	ROW(with_another_host, BL_TRUST_SIGNATURE),
	ROW(with_a_later_expiry, BL_TRUST_SIGNATURE),
	ROW(with_a_higher_version, BL_TRUST_SIGNATURE),
	ROW(turned_round, BL_TRUST_SIGNATURE),
	ROW(with_an_override, BL_TRUST_SIGNATURE),
	ROW(without_a_trial, BL_TRUST_SIGNATURE),
	ROW(for_another_host, BL_TRUST_DEPUTY),
	ROW(for_all_hosts, BL_TRUST_NAME),
	ROW(of_what_was_never_released, BL_TRUST_ASSIGNED),
	ROW(expired, BL_TRUST_EXPIRED),
	ROW(that_never_expires, BL_TRUST_EXPIRED),
	ROW(of_a_far_future, BL_TRUST_REPLAY),
	ROW(carried_out_before, BL_TRUST_REPLAY),
	ROW(older_than_the_last, BL_TRUST_REPLAY),
	ROW(there_again_after_the_way_back, BL_TRUST_REPLAY),
	ROW(back_from_an_older_rollout, BL_TRUST_REPLAY),
	ROW(back_of_a_stranger, BL_TRUST_SIGNATURE),
	ROW(that_is_metadata, BL_TRUST_KIND),
	ROW(of_another_kind, BL_TRUST_MALFORMED),
	ROW(without_a_host, BL_TRUST_MALFORMED),
	ROW(with_a_name_that_leads_away, BL_TRUST_NAME),
	ROW(with_no_digest, BL_TRUST_MALFORMED),
	ROW(of_tomorrows_specification, BL_TRUST_SPEC),
	ROW(with_two_hosts, BL_TRUST_MALFORMED),
	ROW(of_endless_bytes, BL_TRUST_ENDLESS),
	ROW(that_is_no_json, BL_TRUST_MALFORMED),
	ROW(while_the_mirror_is_frozen, BL_TRUST_EXPIRED),
	ROW(of_the_key_that_was_replaced, BL_TRUST_SIGNATURE),
};

START_TEST(an_order_that_is_not_meant_is_named_and_changes_nothing)
{
	bl_autofree char *proof = attacks[_i].show(), *after = NULL;
	int r;

	before = remembered();
	r = obey(proof);
	ck_assert_msg(r == attacks[_i].code, "%s: %d: %s", attacks[_i].name, r,
		      err.text);
	ck_assert_msg(*err.text && *err.hint, "%s: no words", attacks[_i].name);
	after = remembered();
	ck_assert_str_eq(before, after);
}
END_TEST

/* --- what is meant ------------------------------------------------------------ */

START_TEST(the_fleets_order_is_taken_once)
{
	bl_autofree char *proof = sign(&good, TUF_FLEET);

	ck_assert_msg(obey(proof) == 1, "%s", err.text);
	ck_assert_str_eq(told.digest, good.digest);
	ck_assert_str_eq(told.rollout, "r7");
	ck_assert_int_eq(told.probation_ms, 5000);
	ck_assert(!told.rollback);
	/* Begun, and given back: it comes again. */
	ck_assert_int_eq(bl_obey_begin(dir, &told, &err), 0);
	ck_assert_int_eq(obey(proof), 1);
	ck_assert_int_eq(bl_obey_end(dir, &told, &err), 0);
	ck_assert_int_eq(obey(proof), BL_TRUST_REPLAY);
}
END_TEST

START_TEST(the_way_back_is_the_same_however_often_it_is_told)
{
	struct bl_told back = good;
	bl_autofree char *proof = NULL;

	back.rollback = true;
	back.version = bl_told_version(BEGAN, true);
	/* What it leaves need not be listed any more. */
	memcpy(back.digest, OTHER, sizeof(back.digest));
	strcpy(back.reason, "host db-2: it crashed");
	proof = sign(&back, TUF_FLEET);
	ck_assert_int_eq(bl_obey_end(dir, &good, &err), 0);
	ck_assert_msg(obey(proof) == 1, "%s", err.text);
	ck_assert(told.rollback);
	ck_assert_str_eq(told.reason, "host db-2: it crashed");
	ck_assert_int_eq(bl_obey_end(dir, &told, &err), 0);
	ck_assert_int_eq(obey(proof), 1);
}
END_TEST

START_TEST(a_host_whose_mirror_is_frozen_can_be_taken_back)
{
	struct bl_told back = good;
	bl_autofree char *there = while_the_mirror_is_frozen(), *proof = NULL;

	ck_assert_int_eq(obey(there), BL_TRUST_EXPIRED);
	back.rollback = true;
	back.version = bl_told_version(BEGAN, true);
	proof = sign(&back, TUF_FLEET);
	ck_assert_msg(obey(proof) == 1, "%s", err.text);
}
END_TEST

START_TEST(who_names_no_fleet_key_asks_for_no_proof)
{
	json_object_del(tuf.targets, "delegations");
	tuf_next(&tuf);
	refresh();
	ck_assert_int_eq(obey(NULL), 0);
}
END_TEST

START_TEST(a_host_without_a_root_asks_nobody)
{
	bl_autofree char *none = bl_path("%s/none", dir);

	ck_assert_int_eq(bl_obey(none, NULL, HOST, NOW_MS, &told, &err), 0);
}
END_TEST

START_TEST(a_root_alone_says_nothing_yet)
{
	bl_autofree char *path = bl_path("%s/" BL_TRUST_FILE, dir);
	bl_autofree char *proof = sign(&good, TUF_FLEET);

	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(obey(proof), -ENOENT);
	ck_assert_ptr_nonnull(strstr(err.hint, "belay trust status"));
}
END_TEST

START_TEST(what_is_remembered_must_be_readable)
{
	bl_autofree char *path = bl_path("%s/" BL_OBEY_FILE, dir);
	bl_autofree char *proof = sign(&good, TUF_FLEET);

	ck_assert_int_eq(bl_file_write(path, "{}", 2, 0644, NULL), 0);
	ck_assert_int_lt(obey(proof), 0);
}
END_TEST

START_TEST(no_byte_of_an_order_can_be_another)
{
	bl_autofree char *proof = sign(&good, TUF_FLEET);
	size_t len = strlen(proof), i;

	for (i = 0; i < len; i++) {
		char was = proof[i];

		proof[i] = was == '0' ? '1' : '0';
		ck_assert_msg(obey(proof) < 0, "byte %zu: %.20s", i, proof + i);
		proof[i] = was;
	}
	ck_assert_int_eq(obey(proof), 1);
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *suite = suite_create("trust orders");
	TCase *tc = tcase_create("orders");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(
		tc, an_order_that_is_not_meant_is_named_and_changes_nothing, 0,
		BL_ARRAY_SIZE(attacks));
	tcase_add_test(tc, the_fleets_order_is_taken_once);
	tcase_add_test(tc, the_way_back_is_the_same_however_often_it_is_told);
	tcase_add_test(tc, a_host_whose_mirror_is_frozen_can_be_taken_back);
	tcase_add_test(tc, who_names_no_fleet_key_asks_for_no_proof);
	tcase_add_test(tc, a_host_without_a_root_asks_nobody);
	tcase_add_test(tc, a_root_alone_says_nothing_yet);
	tcase_add_test(tc, what_is_remembered_must_be_readable);
	tcase_add_test(tc, no_byte_of_an_order_can_be_another);
	suite_add_tcase(suite, tc);
	return suite;
}
