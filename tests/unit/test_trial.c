/* SPDX-License-Identifier: Apache-2.0 */
/* The judge of a trial, and what counts as a splat in the kernel's log. */
#include <errno.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/host/trial/trial.h"
#include "loader/kern/kmsg.h"
#include "tests/main.h"

static const struct bl_trial_limits limits = {
	.probation_ms = 1000,
	.max_drop_ratio = 0.01,
	.max_ns_per_event = 1000,
	.min_events = 1,
	.max_memory_bytes = 1 << 20,
	.max_cpu_ratio = 0.05,
};
static struct bl_kern_splats splats;
static struct bl_trial_facts facts;
static struct bl_pace pace;
static char reason[256];

/* One interval of @runs runs of @ns each, on one of two processors. */
static void interval(uint64_t runs, uint64_t ns)
{
	struct bl_kern_sample s = {
		.run_count = pace.run_count + runs,
		.run_time_ns = pace.run_time_ns + runs * ns,
		.cpus = 2,
	};

	bl_pace_add(&pace, &s, pace.share_ms + 250);
}

/* A healthy sensor in the middle of its probation. */
static void healthy(void)
{
	splats = (struct bl_kern_splats){ .started = true };
	pace = (struct bl_pace){ 0 };
	for (int i = 0; i < 10; i++)
		interval(100, 500);
	facts = (struct bl_trial_facts){
		.elapsed_ms = 500,
		.probation_ms = 1000,
		.expected = 3,
		.sample = { .programs = 3,
			    .attached = 3,
			    .run_count = 1000,
			    .run_time_ns = 500000,
			    .memory_bytes = 1 << 20,
			    .cpus = 2,
			    .sensor = true,
			    .seen = 1000,
			    .events = 100,
			    .drops = 1 },
		.events_read = 90,
		.splats = &splats,
		.pace = &pace,
	};
	*reason = 0;
}

static enum bl_verdict judge(void)
{
	return bl_trial_judge(&limits, &facts, reason, sizeof(reason));
}

START_TEST(good_goes_on_until_the_probation_is_over)
{
	healthy();
	ck_assert_int_eq(judge(), BL_VERDICT_GO_ON);
	facts.elapsed_ms = 1000;
	ck_assert_int_eq(judge(), BL_VERDICT_GOOD);
	ck_assert_str_eq(reason, "");
}
END_TEST

static void detached(void)
{
	facts.sample.attached = 2;
}

static void locks_out(void)
{
	facts.usable = -EPERM;
	facts.locked_out = "/bin/true: Operation not permitted";
}

static void loses(void)
{
	facts.sample.drops = 2;
}

static void torn(void)
{
	facts.sample.torn = 11;
}

/* As on 7.3 with many threads on one CPU: the ring lost nothing, and two
 * thirds went unseen. */
static void skipped(void)
{
	facts.sample.drops = 0;
	facts.sample.missed = 2000;
}

static void slow(void)
{
	for (int i = 0; i < 10; i++)
		interval(100, 1001);
	interval(100, 1001);
}

/* 26 ms of the 500 ms that two processors had; many runs, none slow. */
static void busy(void)
{
	for (int i = 0; i < 11; i++)
		interval(26000, 1000);
}

static void large(void)
{
	facts.sample.memory_bytes++;
}

static struct bl_command commands[2];

/* The first broken, the second as @end: one reason is told. */
static void with_commands(enum bl_command_end first, enum bl_command_end second)
{
	commands[0] = (struct bl_command){ .text = "sh probe",
					   .end = first,
					   .status = 127,
					   .line = "not found",
					   .runs = first != BL_COMMAND_NONE };
	commands[1] = (struct bl_command){ .text = "curl x",
					   .end = second,
					   .status = 22,
					   .runs = second != BL_COMMAND_NONE };
	facts.commands = commands;
	facts.command_count = 2;
	facts.command_timeout_ms = 5000;
}

static void failing(void)
{
	with_commands(BL_COMMAND_BROKEN, BL_COMMAND_BAD);
}

static void late(void)
{
	with_commands(BL_COMMAND_GOOD, BL_COMMAND_LATE);
}

static void splat(void)
{
	splats.count = 1;
	strcpy(splats.first, "BUG: oh");
	facts.accused = "bpf_prog_0011223344556677_open+0x5f/0x81";
}

static const struct {
	void (*spoil)(void);
	const char *says;
} at_once[] = {
	{ detached, "2 of 3" },
	{ locks_out, "cannot be used while it is live: /bin/true" },
	{ loses, "lost 2 of 102 events (2.0 %, the limit is 1.0 %)" },
	{ torn, "did not look at 11 of 1000 operations" },
	{ skipped, "did not look at 2000 of 3000 operations (66.7 %, the limit "
		   "is 1.0 %): 2000 skipped by the kernel" },
	{ slow, "1001 ns" },
	{ busy, "takes 5.2 % of the time of all processors, the limit is 5.0" },
	{ large, "takes 1048577 bytes of the kernel's memory" },
	{ splat, "BUG: oh; in its bpf_prog_0011223344556677_open+0x5f" },
	{ failing, "probe 'curl x' ended with status 22" },
	{ late, "probe 'curl x' did not end within 5 s" },
};

START_TEST(bad_ends_it_at_once_and_says_why)
{
	healthy();
	at_once[_i].spoil();
	ck_assert_int_eq(judge(), BL_VERDICT_BAD);
	ck_assert_msg(strstr(reason, at_once[_i].says), "%s", reason);
}
END_TEST

static void saw_nothing(void)
{
	facts.sample.seen = facts.sample.events = facts.sample.drops = 0;
}

static void sent_nothing(void)
{
	facts.sample.events = facts.sample.drops = 0;
}

static void ring_is_dead(void)
{
	facts.events_read = 0;
}

static const struct {
	void (*spoil)(void);
	const char *says;
} at_end[] = {
	{ saw_nothing, "none of the activity" },
	{ sent_nothing, "min_events" },
	{ ring_is_dead, "through the ring" },
};

START_TEST(silence_is_bad_but_only_at_the_end)
{
	healthy();
	at_end[_i].spoil();
	ck_assert_int_eq(judge(), BL_VERDICT_GO_ON);
	facts.elapsed_ms = 1000;
	ck_assert_int_eq(judge(), BL_VERDICT_BAD);
	ck_assert_msg(strstr(reason, at_end[_i].says), "%s", reason);
}
END_TEST

/* As under ima_hash=sha1: nobody is to take that for a host on which no known
 * program ran. */
START_TEST(rules_for_digests_that_can_match_nothing_are_not_committed)
{
	healthy();
	facts.sample.unhashed = 3;
	ck_assert_int_eq(judge(), BL_VERDICT_GO_ON);
	facts.elapsed_ms = 1000;
	ck_assert_int_eq(judge(), BL_VERDICT_UNDECIDED);
	ck_assert_msg(strstr(reason, "hashed none of 3 programs"), "%s",
		      reason);
	facts.sample.hashed = 1;
	ck_assert_int_eq(judge(), BL_VERDICT_GOOD);
}
END_TEST

/* Few events, many operations that the content ignores: what was skipped of
 * these is no loss of events. Measured on 7.3, six loops opening files. */
START_TEST(skipped_runs_are_held_against_all_runs)
{
	healthy();
	facts.sample.events = 7;
	facts.sample.drops = 0;
	facts.sample.seen = 98319;
	facts.sample.missed = 900;
	ck_assert_int_eq(judge(), BL_VERDICT_GO_ON);
	facts.sample.missed = 3616;
	ck_assert_int_eq(judge(), BL_VERDICT_BAD);
	ck_assert_msg(strstr(reason, "(3.5 %"), "%s", reason);
}
END_TEST

/* A busy host, above all a virtual one, stops everybody now and then, and the
 * kernel charges the program that was running. */
START_TEST(a_pause_does_not_convict)
{
	healthy();
	for (int i = 0; i < 9; i++)
		interval(100, 50000000);
	ck_assert_int_eq(judge(), BL_VERDICT_GO_ON);
	facts.elapsed_ms = 1000;
	ck_assert_int_eq(judge(), BL_VERDICT_GOOD);
}
END_TEST

START_TEST(short_intervals_say_nothing_about_a_share)
{
	struct bl_kern_sample s = { .run_time_ns = 1000000, .cpus = 1 };
	double ratio = 7;

	pace = (struct bl_pace){ 0 };
	bl_pace_add(&pace, &s, 1);
	ck_assert(!bl_pace_share(&pace, &ratio));
	ck_assert(ratio == 7);
	/* It counts with the next one. */
	bl_pace_add(&pace, &s, 100);
	ck_assert(bl_pace_share(&pace, &ratio));
	ck_assert_msg(ratio > 0.0099 && ratio < 0.0101, "%g", ratio);
}
END_TEST

START_TEST(a_probe_that_is_broken_convicts_nobody)
{
	healthy();
	with_commands(BL_COMMAND_BROKEN, BL_COMMAND_GOOD);
	ck_assert_int_eq(judge(), BL_VERDICT_UNDECIDED);
	ck_assert_str_eq(reason,
			 "probe 'sh probe' could not be run: not found");
}
END_TEST

static const struct {
	int usable, before;
	bool can_refuse;
	enum bl_verdict verdict;
	const char *says;
} usables[] = {
	{ -EREMOTEIO, 0, false, BL_VERDICT_BAD, "while it is live: no shell" },
	{ -EREMOTEIO, 0, true, BL_VERDICT_BAD, "while it is live: no shell" },
	{ -EAGAIN, 0, true, BL_VERDICT_UNDECIDED, "cannot tell" },
	/* Who refuses may also keep waiting; who only looks on is as slow as
	 * the machine. */
	{ -ETIMEDOUT, 0, true, BL_VERDICT_BAD, "while it is live: no shell" },
	{ -ETIMEDOUT, 0, false, BL_VERDICT_UNDECIDED, "too busy: no shell" },
	/* It was so before. */
	{ -EREMOTEIO, -EREMOTEIO, true, BL_VERDICT_UNDECIDED, "nor could it" },
	{ -EREMOTEIO, -EAGAIN, false, BL_VERDICT_UNDECIDED, "nor could it" },
	/* It heals a host. */
	{ 0, -EREMOTEIO, false, BL_VERDICT_GOOD, "" },
};

START_TEST(what_breaks_the_host_is_bad_if_it_was_this)
{
	healthy();
	facts.elapsed_ms = 1000;
	facts.usable = usables[_i].usable;
	facts.usable_before = usables[_i].before;
	facts.can_refuse = usables[_i].can_refuse;
	facts.locked_out = facts.usable ? "no shell" : "";
	ck_assert_int_eq(judge(), usables[_i].verdict);
	ck_assert_msg(strstr(reason, usables[_i].says), "%s", reason);
}
END_TEST

START_TEST(every_command_has_run_before_it_is_good)
{
	healthy();
	facts.elapsed_ms = 1000;
	with_commands(BL_COMMAND_GOOD, BL_COMMAND_NONE);
	ck_assert_int_eq(judge(), BL_VERDICT_GO_ON);
	with_commands(BL_COMMAND_GOOD, BL_COMMAND_GOOD);
	ck_assert_int_eq(judge(), BL_VERDICT_GOOD);
}
END_TEST

static const struct {
	enum bl_confirm confirm;
	bool confirmed;
	uint64_t elapsed_ms;
	enum bl_verdict verdict;
} confirms[] = {
	{ BL_CONFIRM_AUTO, false, 999, BL_VERDICT_GO_ON },
	{ BL_CONFIRM_AUTO, false, 1000, BL_VERDICT_GOOD },
	{ BL_CONFIRM_MANUAL, true, 999, BL_VERDICT_GO_ON },
	{ BL_CONFIRM_MANUAL, true, 1000, BL_VERDICT_GOOD },
	{ BL_CONFIRM_MANUAL, true, 9000, BL_VERDICT_GOOD },
	{ BL_CONFIRM_MANUAL, false, 1000, BL_VERDICT_GO_ON },
	{ BL_CONFIRM_MANUAL, false, 4999, BL_VERDICT_GO_ON },
	{ BL_CONFIRM_MANUAL, false, 5000, BL_VERDICT_UNCONFIRMED },
	{ BL_CONFIRM_REMOTE, false, 4999, BL_VERDICT_GO_ON },
	{ BL_CONFIRM_REMOTE, true, 4999, BL_VERDICT_GOOD },
	{ BL_CONFIRM_REMOTE, false, 5000, BL_VERDICT_UNCONFIRMED },
};

START_TEST(who_confirms_has_the_last_word)
{
	healthy();
	facts.confirm = confirms[_i].confirm;
	facts.confirmed = confirms[_i].confirmed;
	facts.elapsed_ms = confirms[_i].elapsed_ms;
	facts.within_ms = 5000;
	ck_assert_int_eq(judge(), confirms[_i].verdict);
	/* Nobody can speak for what is bad. */
	splat();
	ck_assert_int_eq(judge(), BL_VERDICT_BAD);
}
END_TEST

START_TEST(what_is_not_known_is_no_pass_and_no_conviction)
{
	healthy();
	facts.elapsed_ms = 1000;
	facts.sample.memory_bytes = 0;
	ck_assert_int_eq(judge(), BL_VERDICT_UNDECIDED);
	ck_assert_msg(strstr(reason, "does not tell"), "%s", reason);
}
END_TEST

START_TEST(memory_that_may_be_anothers_ends_it_and_convicts_nobody)
{
	healthy();
	facts.sample.grown_bytes = limits.max_memory_bytes;
	ck_assert_int_eq(judge(), BL_VERDICT_GO_ON);
	facts.sample.grown_bytes++;
	ck_assert_int_eq(judge(), BL_VERDICT_UNDECIDED);
	ck_assert_msg(strstr(reason, "slabs grew by"), "%s", reason);
}
END_TEST

START_TEST(what_the_kernel_says_of_others_convicts_nobody)
{
	healthy();
	splat();
	facts.accused = "";
	ck_assert_int_eq(judge(), BL_VERDICT_UNDECIDED);
	ck_assert_msg(strstr(reason, "BUG: oh; none of its programs is named"),
		      "%s", reason);
}
END_TEST

START_TEST(a_ring_that_nobody_emptied_in_time_convicts_nobody)
{
	healthy();
	loses();
	facts.sample.drops = 20;
	facts.excused_drops = 19;
	/* It may yet show what it is like. */
	ck_assert_int_eq(judge(), BL_VERDICT_GO_ON);
	facts.elapsed_ms = 1000;
	ck_assert_int_eq(judge(), BL_VERDICT_UNDECIDED);
	ck_assert_msg(strstr(reason, "lost 20 of 120 events") &&
			      strstr(reason, "was not read in time"),
		      "%s", reason);
	facts.excused_drops = 10;
	ck_assert_int_eq(judge(), BL_VERDICT_BAD);
}
END_TEST

START_TEST(a_place_that_was_removed_convicts_nobody)
{
	healthy();
	facts.sample.attached = 2;
	facts.sample.lost = 1;
	ck_assert_int_eq(judge(), BL_VERDICT_UNDECIDED);
	ck_assert_msg(strstr(reason, "1 of 3 programs lost their place"), "%s",
		      reason);
	/* And one more is gone, nobody knows where. */
	facts.sample.attached = 1;
	ck_assert_int_eq(judge(), BL_VERDICT_BAD);
}
END_TEST

START_TEST(a_few_runs_say_nothing_about_time)
{
	uint64_t ns = 7;

	healthy();
	pace = (struct bl_pace){ 0 };
	interval(BL_PACE_MIN_RUNS - 1, 5000);
	ck_assert(!bl_pace_median(&pace, &ns));
	ck_assert_uint_eq(ns, 7);
	for (int i = 0; i < BL_PACE_MIN_INTERVALS - 1; i++)
		interval(BL_PACE_MIN_RUNS, 5000);
	ck_assert_int_eq(judge(), BL_VERDICT_GO_ON);
	interval(BL_PACE_MIN_RUNS, 5000);
	ck_assert_int_eq(judge(), BL_VERDICT_BAD);
	/* At the end what there is decides, but one alone may be a pause. */
	pace.count = BL_PACE_END_INTERVALS;
	facts.elapsed_ms = 1000;
	ck_assert_int_eq(judge(), BL_VERDICT_BAD);
	pace.count--;
	ck_assert_int_eq(judge(), BL_VERDICT_GOOD);
}
END_TEST

START_TEST(only_the_newest_intervals_count)
{
	uint64_t ns;

	healthy();
	for (int i = 0; i < BL_PACE_INTERVALS; i++)
		interval(BL_PACE_MIN_RUNS, 900 + (uint64_t)i);
	ck_assert(bl_pace_median(&pace, &ns));
	ck_assert_uint_eq(ns, 900 + (BL_PACE_INTERVALS - 1) / 2);
}
END_TEST

START_TEST(a_foreign_object_has_no_event_probes)
{
	healthy();
	facts.elapsed_ms = 1000;
	facts.events_read = 0;
	facts.sample.sensor = false;
	saw_nothing();
	ck_assert_int_eq(judge(), BL_VERDICT_GOOD);
	facts.sample.attached = 0;
	ck_assert_int_eq(judge(), BL_VERDICT_BAD);
}
END_TEST

static const struct {
	const char *record;
	bool splat;
} records[] = {
	{ "4,339,5140900,-;WARNING: CPU: 0 PID: 1 at fs/inode.c:1", true },
	{ "4,340,5140900,-;WARNING: fs/inode.c:1 at iput, CPU#0: x/1", true },
	{ "1,341,5140900,-;BUG: kernel NULL pointer dereference", true },
	{ "0,342,5140900,c;watchdog: BUG: soft lockup - CPU#0", true },
	{ "3,343,5140900,-;rcu: INFO: rcu_preempt self-detected stall", true },
	{ "3,343,5140900,-;INFO: task kworker:1 blocked for more", true },
	{ "4,344,5140900,-;Oops: 0000 [#1] SMP", true },
	/* Somebody's echo into /dev/kmsg: facility 1 and up. */
	{ "12,345,5140900,-;BUG: I am not the kernel", false },
	{ "6,346,5140900,-;Spectre V2 : WARNING: eIBRS", false },
	{ "6,347,5140900,-;audit: BUG: no", false },
	{ "", false },
	{ "BUG: no header", false },
	{ ";BUG: no priority", false },
};

START_TEST(splats_are_told_from_other_lines)
{
	char line[BL_KERN_SPLAT_LEN] = "";

	ck_assert_int_eq(bl_kmsg_splat(records[_i].record, line, sizeof(line)),
			 records[_i].splat);
	ck_assert_int_eq(*line != 0, records[_i].splat);
}
END_TEST

START_TEST(a_splat_is_told_by_its_first_line)
{
	char line[BL_KERN_SPLAT_LEN];

	ck_assert(bl_kmsg_splat("4,1,2,-;BUG: a\n DEVICE=b\n", line,
				sizeof(line)));
	ck_assert_str_eq(line, "BUG: a");
}
END_TEST

START_TEST(a_splat_is_kept_to_its_end_and_nothing_else_is)
{
	struct bl_kern_splats s = { 0 };

	bl_kmsg_note("6,1,2,-;before", &s);
	ck_assert(!s.open);
	bl_kmsg_note("4,2,2,-;WARNING: CPU: 0 PID: 1 at fs/inode.c:1", &s);
	bl_kmsg_note("12,3,2,-; bpf_prog_0123456789abcdef_lie+0x1/0x2", &s);
	bl_kmsg_note("4,4,2,-; iput+0x1/0x2\n DEVICE=b\n", &s);
	ck_assert(s.open);
	bl_kmsg_note("4,5,2,-;---[ end trace 0000000000000000 ]---", &s);
	ck_assert(!s.open);
	bl_kmsg_note("6,6,2,-;behind", &s);
	ck_assert_uint_eq(s.count, 1);
	ck_assert_msg(s.text_len < sizeof(s.text), "%zu", s.text_len);
	ck_assert_str_eq(s.text, "WARNING: CPU: 0 PID: 1 at fs/inode.c:1\n"
				 " iput+0x1/0x2\n"
				 "---[ end trace 0000000000000000 ]---\n");
}
END_TEST

START_TEST(a_flood_of_splats_ends_somewhere)
{
	struct bl_kern_splats s = { 0 };

	bl_kmsg_note("4,2,2,-;INFO: task x:1 blocked", &s);
	for (int i = 1; i < BL_KMSG_SPLAT_LINES; i++) {
		ck_assert(s.open);
		bl_kmsg_note("4,4,2,-; iput+0x1/0x2", &s);
	}
	ck_assert(!s.open);
	for (int i = 0; i < 10000; i++)
		bl_kmsg_note("4,2,2,-;INFO: task x:1 blocked", &s);
	ck_assert_uint_eq(s.count, 10001);
	ck_assert_uint_le(s.text_len, sizeof(s.text));
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *suite = suite_create("trial");
	TCase *tc = tcase_create("judge");

	tcase_add_test(tc, good_goes_on_until_the_probation_is_over);
	tcase_add_loop_test(tc, bad_ends_it_at_once_and_says_why, 0,
			    BL_ARRAY_SIZE(at_once));
	tcase_add_loop_test(tc, silence_is_bad_but_only_at_the_end, 0,
			    BL_ARRAY_SIZE(at_end));
	tcase_add_test(
		tc, rules_for_digests_that_can_match_nothing_are_not_committed);
	tcase_add_test(tc, skipped_runs_are_held_against_all_runs);
	tcase_add_test(tc, a_pause_does_not_convict);
	tcase_add_test(tc, short_intervals_say_nothing_about_a_share);
	tcase_add_test(tc, a_probe_that_is_broken_convicts_nobody);
	tcase_add_loop_test(tc, what_breaks_the_host_is_bad_if_it_was_this, 0,
			    BL_ARRAY_SIZE(usables));
	tcase_add_test(tc, every_command_has_run_before_it_is_good);
	tcase_add_loop_test(tc, who_confirms_has_the_last_word, 0,
			    BL_ARRAY_SIZE(confirms));
	tcase_add_test(tc, what_is_not_known_is_no_pass_and_no_conviction);
	tcase_add_test(tc,
		       memory_that_may_be_anothers_ends_it_and_convicts_nobody);
	tcase_add_test(tc, what_the_kernel_says_of_others_convicts_nobody);
	tcase_add_test(tc, a_ring_that_nobody_emptied_in_time_convicts_nobody);
	tcase_add_test(tc, a_place_that_was_removed_convicts_nobody);
	tcase_add_test(tc, a_few_runs_say_nothing_about_time);
	tcase_add_test(tc, only_the_newest_intervals_count);
	tcase_add_test(tc, a_foreign_object_has_no_event_probes);
	tcase_add_loop_test(tc, splats_are_told_from_other_lines, 0,
			    BL_ARRAY_SIZE(records));
	tcase_add_test(tc, a_splat_is_told_by_its_first_line);
	tcase_add_test(tc, a_splat_is_kept_to_its_end_and_nothing_else_is);
	tcase_add_test(tc, a_flood_of_splats_ends_somewhere);
	suite_add_tcase(suite, tc);
	return suite;
}
