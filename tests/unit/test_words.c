/* SPDX-License-Identifier: Apache-2.0 */
/* What people read after apply, rollback and recover. */
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/host/words.h"
#include "tests/main.h"

#define OLD                                                         \
	{                                                           \
		.digest = "aaaaaaaaaaaaaaaaaaaa", .name = "sensor", \
		.version = "1.0", .number = 1                       \
	}
#define NEW                                                         \
	{                                                           \
		.digest = "bbbbbbbbbbbbbbbbbbbb", .name = "sensor", \
		.version = "2.0", .number = 2                       \
	}

static const struct bl_manifest tried = { .name = "sensor", .version = "2.0" };

static const struct {
	struct bl_apply_result res;
	const char *text;
} applies[] = {
	{ { .outcome = BL_APPLY_COMMITTED,
	    .digest = "bbbbbbbbbbbbbbbbbbbb",
	    .was = OLD,
	    .now = NEW },
	  "committed: sensor 2.0 (bbbbbbbbbbbb) is live, in the place of"
	  " sensor 1.0 (aaaaaaaaaaaa)\n" },
	{ { .outcome = BL_APPLY_COMMITTED,
	    .digest = "bbbbbbbbbbbbbbbbbbbb",
	    .was = { .digest = "aaaaaaaaaaaaaaaaaaaa",
		     .name = "sensor",
		     .version = "2.0",
		     .content = "cccccccccccccccccccc" },
	    .now = { .digest = "bbbbbbbbbbbbbbbbbbbb",
		     .content = "dddddddddddddddddddd" } },
	  "committed: sensor 2.0 (bbbbbbbbbbbb) is live, in the place of"
	  " sensor 2.0 (aaaaaaaaaaaa)\n"
	  "content dddddddddddd, before cccccccccccc\n" },
	{ { .outcome = BL_APPLY_COMMITTED,
	    .digest = "bbbbbbbbbbbbbbbbbbbb",
	    .now = NEW },
	  "committed: sensor 2.0 (bbbbbbbbbbbb) is live\n" },
	{ { .outcome = BL_APPLY_COMMITTED,
	    .digest = "bbbbbbbbbbbbbbbbbbbb",
	    .now = NEW,
	    .reason = "unpin x" },
	  "committed: sensor 2.0 (bbbbbbbbbbbb) is live\n"
	  "what was live before is not gone yet: unpin x\n"
	  "belay recover tries again\n" },
	{ { .outcome = BL_APPLY_COMMITTED,
	    .digest = "bbbbbbbbbbbbbbbbbbbb",
	    .now = { .digest = "bbbbbbbbbbbbbbbbbbbb",
		     .name = "sensor",
		     .version = "2.0",
		     .maps = "counts:kept cache:reset peers:migrated"
			     " seen:kept" } },
	  "committed: sensor 2.0 (bbbbbbbbbbbb) is live\n"
	  "maps: kept counts, seen; migrated peers; begun empty cache\n" },
	{ { .outcome = BL_APPLY_REFUSED,
	    .refusal = BL_REFUSAL_STATE,
	    .digest = "bbbbbbbbbbbbbbbbbbbb",
	    .reason = "map counts: incompatible: x",
	    .hint = "say \"reset\"" },
	  "refused: sensor 2.0 (bbbbbbbbbbbb): map counts: incompatible: x\n"
	  "say \"reset\"\n" },
	{ { .outcome = BL_APPLY_ROLLED_BACK,
	    .digest = "bbbbbbbbbbbbbbbbbbbb",
	    .was = OLD,
	    .now = OLD,
	    .reason = "lost\033[1m",
	    .tombstoned = 1 },
	  "rolled-back: sensor 2.0 (bbbbbbbbbbbb): lost\\x1b[1m\n"
	  "sensor 1.0 (aaaaaaaaaaaa) stays live\n"
	  "it will not be tried here again (--override REASON forces it)\n" },
	{ { .outcome = BL_APPLY_ROLLED_BACK,
	    .digest = "bbbbbbbbbbbbbbbbbbbb",
	    .reason = "stopped on request during the trial" },
	  "rolled-back: sensor 2.0 (bbbbbbbbbbbb): stopped on request during"
	  " the trial\n"
	  "no sensor is live on this host, as before\n" },
	{ { .outcome = BL_APPLY_REFUSED,
	    .refusal = BL_REFUSAL_LIVE,
	    .digest = "bbbbbbbbbbbbbbbbbbbb",
	    .was = NEW,
	    .now = NEW,
	    .reason = "it is live already" },
	  "refused: sensor 2.0 (bbbbbbbbbbbb): it is live already\n" },
};

START_TEST(apply_says_what_is_live)
{
	bl_autobuf struct bl_buf b = { 0 };

	ck_assert_int_eq(bl_words_apply(&b, &tried, &applies[_i].res, false),
			 0);
	ck_assert_str_eq(bl_buf_str(&b), applies[_i].text);
}
END_TEST

static const struct {
	struct bl_apply_result res;
	const char *text;
} rollbacks[] = {
	{ { .outcome = BL_APPLY_COMMITTED, .was = NEW, .now = OLD },
	  "rolled back to sensor 1.0 (aaaaaaaaaaaa), which is live now\n"
	  "sensor 2.0 (bbbbbbbbbbbb) was left; it will not be tried here again"
	  " (apply --override REASON forces it)\n" },
	{ { .outcome = BL_APPLY_COMMITTED,
	    .was = NEW,
	    .now = { .digest = "aaaaaaaaaaaaaaaaaaaa",
		     .name = "sensor",
		     .version = "1.0",
		     .maps = "counts:reset" } },
	  "rolled back to sensor 1.0 (aaaaaaaaaaaa), which is live now\n"
	  "sensor 2.0 (bbbbbbbbbbbb) was left; it will not be tried here again"
	  " (apply --override REASON forces it)\n"
	  "maps: begun empty counts\n" },
	/* Was: "committed  nothing is l". */
	{ { .outcome = BL_APPLY_COMMITTED, .was = OLD },
	  "rolled back to nothing: no version was committed before, so no"
	  " sensor is live on this host now\n"
	  "sensor 1.0 (aaaaaaaaaaaa) was left; it will not be tried here again"
	  " (apply --override REASON forces it)\n" },
	{ { .outcome = BL_APPLY_ROLLED_BACK,
	    .was = NEW,
	    .now = NEW,
	    .reason = "load sensor: no" },
	  "not rolled back: load sensor: no\n"
	  "sensor 2.0 (bbbbbbbbbbbb) stays live\n" },
	{ { .outcome = BL_APPLY_REFUSED,
	    .refusal = BL_REFUSAL_EMPTY,
	    .reason = "nothing is live on this host" },
	  "nothing to roll back: nothing is live on this host\n" },
	{ { .outcome = BL_APPLY_REFUSED,
	    .refusal = BL_REFUSAL_BUSY,
	    .reason = "process 1 works on this host" },
	  "refused: process 1 works on this host\n" },
};

START_TEST(rollback_says_what_is_live)
{
	bl_autobuf struct bl_buf b = { 0 };

	ck_assert_int_eq(bl_words_rollback(&b, &rollbacks[_i].res, false), 0);
	ck_assert_str_eq(bl_buf_str(&b), rollbacks[_i].text);
}
END_TEST

static const struct {
	struct bl_recover_result res;
	const char *text;
} recoveries[] = {
	{ { .outcome = BL_RECOVER_NOTHING },
	  "nothing to recover\nno sensor is live on this host\n" },
	{ { .outcome = BL_RECOVER_ROLLED_BACK,
	    .live = OLD,
	    .reason = "belay died in phase trial" },
	  "rolled-back: belay died in phase trial\n"
	  "sensor 1.0 (aaaaaaaaaaaa) is live\n" },
	{ { .outcome = BL_RECOVER_BARE, .live = OLD, .reason = "it is gone" },
	  "not recovered: it is gone\n"
	  "sensor 1.0 (aaaaaaaaaaaa) should be live; belay status shows what"
	  " is left\n" },
};

START_TEST(recover_says_what_is_live)
{
	bl_autobuf struct bl_buf b = { 0 };

	ck_assert_int_eq(bl_words_recover(&b, &recoveries[_i].res, false), 0);
	ck_assert_str_eq(bl_buf_str(&b), recoveries[_i].text);
}
END_TEST

START_TEST(a_rollback_that_failed_does_not_read_as_done)
{
	struct bl_host_txn t = { .kind = "rollback", .phase = "rolled-back" };

	ck_assert_str_eq(bl_words_ended(&t), "failed");
	strcpy(t.kind, "apply");
	ck_assert_str_eq(bl_words_ended(&t), "rolled-back");
	strcpy(t.phase, "done");
	ck_assert_str_eq(bl_words_ended(&t), "committed");
	strcpy(t.phase, "trial");
	ck_assert_str_eq(bl_words_ended(&t), "trial");
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *suite = suite_create("words");
	TCase *tc = tcase_create("words");

	tcase_add_loop_test(tc, apply_says_what_is_live, 0,
			    BL_ARRAY_SIZE(applies));
	tcase_add_loop_test(tc, rollback_says_what_is_live, 0,
			    BL_ARRAY_SIZE(rollbacks));
	tcase_add_loop_test(tc, recover_says_what_is_live, 0,
			    BL_ARRAY_SIZE(recoveries));
	tcase_add_test(tc, a_rollback_that_failed_does_not_read_as_done);
	suite_add_tcase(suite, tc);
	return suite;
}
