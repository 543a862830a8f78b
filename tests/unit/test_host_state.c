/* SPDX-License-Identifier: Apache-2.0 */
/* What becomes of the maps of a sensor when another version takes its place,
 * over the fake kernel. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/host/host.h"
#include "tests/main.h"
#include "tests/support/built.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fake_kern.h"

#define MIGRATE                                                      \
	"{\"peers\":\"migrate\",\"peers_by_processor\":\"migrate\"," \
	"\"nets\":\"migrate\",\"slots\":\"migrate\"}"

static const char *sensor; /* its name */
static char *dir, *state_dir;
static struct fake_kern *fake;
static struct bl_host *host;
static struct bl_bundle bundle;
static struct bl_apply_result res;
static struct bl_err err;

static void set_up(void)
{
	struct bl_host_config config = { .ops = &fake_kern_ops,
					 .clock = &fake_clock };

	sensor = "state";
	dir = bl_test_tmpdir();
	state_dir = bl_path("%s/state", dir);
	config.state_dir = state_dir;
	config.kern = fake = fake_kern_new();
	ck_assert_msg(!bl_host_open(&config, &host, &err), "%s", err.text);
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

static void put(const char *name, const void *bytes, size_t len)
{
	bl_autofree char *path = bl_path("%s/%s", dir, name);

	ck_assert_int_eq(bl_file_write(path, bytes, len, 0600, NULL), 0);
}

/* state-vVERSION.bpf.o with these words for its maps; as its @release. */
static void make(int version, const char *release, const char *words)
{
	bl_autobuf struct bl_buf object = { 0 };
	bl_autofree char *path = bl_path("%s/manifest.json", dir);
	char text[512];

	snprintf(text, sizeof(text), "state-v%d", version);
	built_object(text, &object);
	put("state.bpf.o", object.data, object.len);
	snprintf(text, sizeof(text),
		 "{\"name\":\"%s\",\"version\":\"%s\","
		 "\"object\":\"state.bpf.o\",\"state\":%s,"
		 "\"trial\":{\"probation_ms\":1000}}",
		 sensor, release, words);
	put("manifest.json", text, strlen(text));
	bl_bundle_free(&bundle);
	ck_assert_msg(!bl_bundle_build(path, &bundle, &err), "%s", err.text);
}

static void apply(int version, const char *release, const char *words,
		  enum bl_apply_outcome outcome)
{
	make(version, release, words);
	ck_assert_msg(!bl_host_apply(host, &bundle, NULL, &res, &err), "%s",
		      err.text);
	ck_assert_msg(res.outcome == outcome, "outcome %d: %s", res.outcome,
		      res.reason);
}

static struct bl_host_status status(void)
{
	struct bl_host_status s;

	ck_assert_msg(!bl_host_status(host, &s, &err), "%s", err.text);
	return s;
}

/* The map of what is live. */
static struct fake_map *live_map(const char *name)
{
	struct fake_map *m = fake_slot_map(&fake->slot[status().slot], name);

	ck_assert_msg(m, "no map %s", name);
	return m;
}

/* What was counted before, for which the old version was there alone. */
#define BEFORE 1000

static void apply_first(void)
{
	apply(1, "1", "{}", BL_APPLY_COMMITTED);
	ck_assert_str_eq(res.now.maps, "");
	for (unsigned i = 0; i < FAKE_MAPS; i++)
		fake->slot[status().slot].maps[i].entries = BEFORE;
}

START_TEST(unchanged_maps_are_kept_and_changed_ones_migrate)
{
	uint32_t counts, peers;
	struct bl_host_status s;

	apply_first();
	counts = live_map("counts")->id;
	peers = live_map("peers")->id;
	apply(2, "2", MIGRATE, BL_APPLY_COMMITTED);
	ck_assert_uint_eq(live_map("counts")->id, counts);
	ck_assert_uint_gt(live_map("counts")->entries, BEFORE);
	ck_assert_uint_ne(live_map("peers")->id, peers);
	ck_assert_uint_ge(live_map("peers")->entries, BEFORE);
	ck_assert_uint_lt(live_map("ring")->entries, BEFORE);
	ck_assert_uint_lt(live_map(".bss")->entries, BEFORE);
	s = status();
	ck_assert_str_eq(s.live.maps,
			 "counts:kept forks_by_processor:kept peers:migrated "
			 "peers_by_processor:migrated nets:migrated "
			 "slots:migrated sockets:kept");
	ck_assert_str_eq(res.now.maps, s.live.maps);
}
END_TEST

START_TEST(a_changed_map_without_a_word_is_refused_and_nothing_is_touched)
{
	struct bl_host_history h;
	struct fake_slot slots[BL_SLOT_COUNT];

	apply_first();
	memcpy(slots, fake->slot, sizeof(slots));
	apply(2, "2", "{}", BL_APPLY_REFUSED);
	ck_assert_int_eq(res.refusal, BL_REFUSAL_STATE);
	ck_assert_str_eq(
		res.reason,
		"map peers: one kernel map cannot be both: value struct peer: member \"more\" is new at byte 4, and 1 more; value: 4 bytes, 12 now; 10000 entries, 20000 now (and 3 more)");
	ck_assert_str_eq(
		res.hint,
		"say in the manifest  \"state\": {\"peers\": \"migrate\"}  to have its entries copied, or \"reset\" to begin empty");
	ck_assert_mem_eq(slots, fake->slot, sizeof(slots));
	ck_assert_int_eq(bl_host_history(host, 0, &h, &err), 0);
	ck_assert_uint_eq(h.count, 1);
	ck_assert_uint_eq(h.tombstone_count, 0);
	bl_host_history_free(&h);
	/* with a word for each it goes */
	apply(2, "2.1", MIGRATE, BL_APPLY_COMMITTED);
	/* an incompatible one has only one way */
	apply(3, "3", "{}", BL_APPLY_REFUSED);
	ck_assert_msg(strstr(res.reason,
			     "map counts: incompatible: value struct count: "),
		      "%s", res.reason);
	ck_assert_ptr_null(strstr(res.hint, "migrate"));
	apply(3, "3", "{\"counts\":\"migrate\"}", BL_APPLY_REFUSED);
	apply(3, "3", "{\"counts\":\"reset\"}", BL_APPLY_COMMITTED);
	ck_assert_uint_lt(live_map("counts")->entries, BEFORE);
	ck_assert_uint_gt(live_map("peers")->entries, BEFORE);
}
END_TEST

START_TEST(going_back_is_never_refused_and_says_what_begins_empty)
{
	apply_first();
	apply(2, "2", MIGRATE, BL_APPLY_COMMITTED);
	ck_assert_int_eq(bl_host_rollback(host, NULL, &res, &err), 0);
	ck_assert_int_eq(res.outcome, BL_APPLY_COMMITTED);
	ck_assert_str_eq(res.now.version, "1");
	ck_assert_str_eq(res.now.maps,
			 "counts:kept forks_by_processor:kept peers:reset "
			 "peers_by_processor:reset nets:reset slots:reset "
			 "sockets:kept");
	ck_assert_uint_gt(live_map("counts")->entries, BEFORE);
	ck_assert_uint_lt(live_map("peers")->entries, BEFORE);
}
END_TEST

/* The trial's generation is taken away, and the maps of the old one are there:
 * the kept ones with what both wrote, the migrated ones as they were. */
START_TEST(a_trial_that_fails_takes_no_map_along)
{
	uint32_t counts, peers;

	apply_first();
	counts = live_map("counts")->id;
	peers = live_map("peers")->id;
	fake->splat_after = fake->probes + 2;
	apply(2, "2", MIGRATE, BL_APPLY_ROLLED_BACK);
	ck_assert_uint_eq(live_map("counts")->id, counts);
	ck_assert_uint_eq(live_map("peers")->id, peers);
	ck_assert_uint_ge(live_map("peers")->entries, BEFORE);
	ck_assert_msg(status().healthy, "%s", status().problem);
}
END_TEST

START_TEST(maps_that_cannot_be_read_stop_an_update_but_no_way_back)
{
	apply_first();
	apply(1, "1.1", "{}", BL_APPLY_COMMITTED);
	fake->no_maps = true;
	apply(2, "2", MIGRATE, BL_APPLY_REFUSED);
	ck_assert_int_eq(res.refusal, BL_REFUSAL_STATE);
	ck_assert_msg(strstr(res.reason, "map counts: the live version's "
					 "cannot be read"),
		      "%s", res.reason);
	ck_assert_int_eq(bl_host_rollback(host, NULL, &res, &err), 0);
	ck_assert_int_eq(res.outcome, BL_APPLY_COMMITTED);
	ck_assert_str_eq(res.now.version, "1");
}
END_TEST

START_TEST(a_live_bundle_that_is_gone_is_no_reason_to_lose_state)
{
	bl_autofree char *bundles = bl_path("%s/bundles", state_dir);

	apply_first();
	ck_assert_int_eq(bl_file_rmtree(bundles, NULL), 0);
	apply(1, "1.1", "{}", BL_APPLY_REFUSED);
	ck_assert_int_eq(res.refusal, BL_REFUSAL_STATE);
	apply(1, "1.1",
	      "{\"counts\":\"reset\",\"forks_by_processor\":\"reset\","
	      "\"peers\":\"reset\",\"peers_by_processor\":\"reset\","
	      "\"nets\":\"reset\",\"slots\":\"reset\","
	      "\"sockets\":\"reset\"}",
	      BL_APPLY_COMMITTED);
	ck_assert_uint_lt(live_map("counts")->entries, BEFORE);
}
END_TEST

/* A map of that name is something else there, and nobody is asked about it. */
START_TEST(another_sensor_takes_over_nothing)
{
	uint32_t counts;

	apply_first();
	counts = live_map("counts")->id;
	sensor = "other";
	apply(3, "3", "{}", BL_APPLY_COMMITTED);
	ck_assert_uint_ne(live_map("counts")->id, counts);
	ck_assert_ptr_nonnull(strstr(res.now.maps, "counts:reset"));
	ck_assert_ptr_null(strstr(res.now.maps, "kept"));
	ck_assert_int_eq(bl_host_rollback(host, NULL, &res, &err), 0);
	ck_assert_int_eq(res.outcome, BL_APPLY_COMMITTED);
	ck_assert_ptr_null(strstr(res.now.maps, "kept"));
}
END_TEST

/* Whether anything would be lost cannot be told. */
START_TEST(an_object_whose_maps_cannot_be_read_is_refused)
{
	static const char object[] = "\177ELF, as it says";
	bl_autofree char *path = bl_path("%s/manifest.json", dir);
	static const char manifest[] = "{\"name\":\"state\",\"version\":\"2\","
				       "\"object\":\"state.bpf.o\"}";

	apply_first();
	put("state.bpf.o", object, sizeof(object));
	put("manifest.json", manifest, sizeof(manifest) - 1);
	bl_bundle_free(&bundle);
	ck_assert_int_eq(bl_bundle_build(path, &bundle, &err), 0);
	ck_assert_int_eq(bl_host_apply(host, &bundle, NULL, &res, &err), 0);
	ck_assert_int_eq(res.refusal, BL_REFUSAL_STATE);
	ck_assert_msg(strstr(res.reason, "its maps cannot be read: "), "%s",
		      res.reason);
	ck_assert_str_ne(res.hint, "");
	ck_assert_msg(status().healthy, "%s", status().problem);
}
END_TEST

/* A word is for the object that it came with, not for every later content. */
START_TEST(the_same_object_keeps_its_maps_whatever_the_manifest_says)
{
	uint32_t counts;

	apply_first();
	counts = live_map("counts")->id;
	apply(1, "1.1", "{\"counts\":\"reset\",\"peers\":\"migrate\"}",
	      BL_APPLY_COMMITTED);
	ck_assert_uint_eq(live_map("counts")->id, counts);
	ck_assert_ptr_null(strstr(res.now.maps, "reset"));
	ck_assert_ptr_null(strstr(res.now.maps, "migrated"));
}
END_TEST

/* A link went, the maps did not. */
START_TEST(a_repair_keeps_the_maps)
{
	struct bl_recover_result rec;
	uint32_t counts;

	apply_first();
	counts = live_map("counts")->id;
	fake->slot[status().slot].entries--;
	ck_assert_int_eq(bl_host_recover(host, &rec, &err), 0);
	ck_assert_int_eq(rec.outcome, BL_RECOVER_RESTORED);
	ck_assert_uint_eq(live_map("counts")->id, counts);
	ck_assert_uint_ge(live_map("counts")->entries, BEFORE);
	ck_assert_ptr_nonnull(strstr(status().live.maps, "counts:kept"));
}
END_TEST

START_TEST(after_a_reboot_there_is_nothing_to_keep)
{
	struct bl_recover_result rec;

	apply_first();
	fake_kern_reboot(fake);
	ck_assert_int_eq(bl_host_recover(host, &rec, &err), 0);
	ck_assert_int_eq(rec.outcome, BL_RECOVER_RESTORED);
	ck_assert_uint_lt(live_map("counts")->entries, BEFORE);
	ck_assert_str_eq(status().live.maps, "");
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *s = suite_create("host_state");
	TCase *t = tcase_create("state");

	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_add_test(t, unchanged_maps_are_kept_and_changed_ones_migrate);
	tcase_add_test(
		t,
		a_changed_map_without_a_word_is_refused_and_nothing_is_touched);
	tcase_add_test(t,
		       going_back_is_never_refused_and_says_what_begins_empty);
	tcase_add_test(t, a_trial_that_fails_takes_no_map_along);
	tcase_add_test(t,
		       maps_that_cannot_be_read_stop_an_update_but_no_way_back);
	tcase_add_test(t,
		       a_live_bundle_that_is_gone_is_no_reason_to_lose_state);
	tcase_add_test(t, another_sensor_takes_over_nothing);
	tcase_add_test(t, an_object_whose_maps_cannot_be_read_is_refused);
	tcase_add_test(
		t, the_same_object_keeps_its_maps_whatever_the_manifest_says);
	tcase_add_test(t, a_repair_keeps_the_maps);
	tcase_add_test(t, after_a_reboot_there_is_nothing_to_keep);
	suite_add_tcase(s, t);
	return s;
}
