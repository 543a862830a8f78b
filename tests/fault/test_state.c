/* SPDX-License-Identifier: Apache-2.0 */
/*
 * State under every fault: each step of an update and of a rollback fails
 * once, and the process dies before each. Whatever is live after that, what was
 * counted is there; a refusal touched nothing; no rollback is refused.
 */
#include <stdio.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "tests/main.h"
#include "tests/support/built.h"
#include "tests/support/rig.h"

#ifdef __SANITIZE_ADDRESS__
#define STRIDE 6 /* as in test_host.c */
#else
#define STRIDE 1
#endif

#define COUNTED 1000 /* entries of each map before anything goes wrong */

static const struct rig_scenario scenarios[] = {
	{ "an update", { rig_apply_v1 }, false, rig_apply_v2, RIG_V1, RIG_V2 },
	{ "a rollback",
	  { rig_apply_v1, rig_apply_v2 },
	  false,
	  rig_rollback,
	  RIG_V2,
	  RIG_V1 },
};

static void put(const char *name, const void *bytes, size_t len)
{
	bl_autofree char *path = bl_path("%s/%s", rig.dir, name);

	ck_assert_int_eq(bl_file_write(path, bytes, len, 0600, NULL), 0);
}

/* A sensor with maps in the place of the rig's. */
static void make(int version, const char *object, const char *words)
{
	bl_autofree char *path = bl_path("%s/manifest.json", rig.dir);
	bl_autobuf struct bl_buf bytes = { 0 };
	struct bl_err err = { 0 };
	char text[512];

	built_object(object, &bytes);
	put("state.bpf.o", bytes.data, bytes.len);
	snprintf(text, sizeof(text),
		 "{\"name\":\"state\",\"version\":\"%d\","
		 "\"object\":\"state.bpf.o\",\"state\":%s,"
		 "\"trial\":{\"probation_ms\":500,\"min_events\":1}}",
		 version + 1, words);
	put("manifest.json", text, strlen(text));
	bl_bundle_free(&rig.bundles[version]);
	if (bl_bundle_build(path, &rig.bundles[version], &err))
		ck_abort_msg("%s", err.text);
}

static void set_up(void)
{
	rig_set_up(true);
	make(RIG_V1, "state-v1", "{}");
	make(RIG_V2, "state-v2",
	     "{\"peers\":\"migrate\",\"peers_by_processor\":\"migrate\","
	     "\"nets\":\"migrate\",\"slots\":\"migrate\"}");
}

static struct fake_slot *live_slot(void)
{
	struct bl_journal_txn live = { 0 };

	ck_assert_int_ge(rig_live(&live), 0);
	return &rig.fake->slot[live.row.slot];
}

static struct fake_map begin_counts, begin_peers;

static void start(const struct rig_scenario *s)
{
	struct fake_slot *slot;

	rig_start(s);
	slot = live_slot();
	for (unsigned i = 0; i < slot->map_count; i++)
		slot->maps[i].entries = COUNTED;
	begin_counts = *fake_slot_map(slot, "counts");
	begin_peers = *fake_slot_map(slot, "peers");
	snapshot_take(&rig.host, &rig.begin);
}

/* Going back comes before keeping: what could not be looked at begins empty,
 * and the journal says so. */
static bool said_reset(const struct rig_scenario *s, const char *map)
{
	struct bl_journal_txn live = { 0 };
	char text[64];

	snprintf(text, sizeof(text), "%s:reset", map);
	ck_assert_int_ge(rig_live(&live), 0);
	return s->action == rig_rollback && strstr(live.row.maps, text);
}

static void check_counted(const struct rig_scenario *s, int version)
{
	const struct fake_map *counts = fake_slot_map(live_slot(), "counts");
	const struct fake_map *peers = fake_slot_map(live_slot(), "peers");

	ck_assert(counts && peers);
	if (version == s->new &&said_reset(s, "counts"))
		return;
	/* one map, whoever has it */
	ck_assert_uint_eq(counts->id, begin_counts.id);
	ck_assert_uint_ge(counts->entries, COUNTED);
	/* the old one has its own, the new one a copy of it */
	if (version == s->old)
		ck_assert_uint_eq(peers->id, begin_peers.id);
	if (version == s->old || version == RIG_V2)
		ck_assert_uint_ge(peers->entries, COUNTED);
}

static void check_refusal(const struct rig_scenario *s)
{
	if (rig.report->code || rig.report->result.outcome != BL_APPLY_REFUSED)
		return;
	ck_assert_ptr_eq(s, &scenarios[0]); /* never a rollback */
	ck_assert_int_eq(rig.report->result.refusal, BL_REFUSAL_STATE);
	ck_assert_mem_eq(rig.fake->slot, rig.begin.fake.slot,
			 sizeof(rig.fake->slot));
}

START_TEST(every_failing_step_leaves_what_was_counted)
{
	const struct rig_scenario *s = &scenarios[_i];
	unsigned n, refused = 0;

	start(s);
	for (n = 1;; n += STRIDE) {
		rig_restore_begin();
		rig.fake->fail_at = n;
		rig.fake->watch = rig_watch;
		ck_assert_msg(rig_run(s->action), "%s, step %u", s->name, n);
		if (!*rig.fake->failed_step)
			break;
		check_refusal(s);
		refused += !rig.report->code &&
			   rig.report->result.outcome == BL_APPLY_REFUSED;
		fake_kern_calm(rig.fake);
		check_counted(s, rig_check_recovery(s));
	}
	check_counted(s, s->new);
	ck_assert_uint_gt(n, 8);
	if (STRIDE == 1)
		ck_assert_int_eq(refused > 0, _i == 0);
}
END_TEST

START_TEST(a_death_before_any_step_leaves_what_was_counted)
{
	const struct rig_scenario *s = &scenarios[_i];
	unsigned n;

	start(s);
	for (n = 1;; n += STRIDE) {
		rig_restore_begin();
		rig.fake->die_at = n;
		rig.fake->watch = rig_watch;
		if (rig_run(s->action))
			break;
		fake_kern_calm(rig.fake);
		check_counted(s, rig_check_recovery(s));
	}
	ck_assert_uint_gt(n, 8);
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *suite = suite_create("state: faults");
	TCase *tc = tcase_create("faults");

	tcase_add_checked_fixture(tc, set_up, rig_tear_down);
	tcase_add_loop_test(tc, every_failing_step_leaves_what_was_counted, 0,
			    BL_ARRAY_SIZE(scenarios));
	tcase_add_loop_test(tc, a_death_before_any_step_leaves_what_was_counted,
			    0, BL_ARRAY_SIZE(scenarios));
	suite_add_tcase(suite, tc);
	return suite;
}
