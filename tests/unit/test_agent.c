/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's logic against a controller that repeats itself, changes its mind
 * and comes late. */
#include <stdlib.h>
#include <string.h>

#include "canary/agent/agent.h"
#include "loader/base/cleanup.h"
#include "loader/base/text.h"
#include "tests/main.h"

static char old[BL_DIGEST_HEX], new[BL_DIGEST_HEX], third[BL_DIGEST_HEX];
static struct bl_agent a;
static struct bl_poll poll;

static void set_up(void)
{
	memset(old, 'a', 64);
	memset(new, 'b', 64);
	memset(third, 'c', 64);
	a = (struct bl_agent){ 0 };
	memcpy(a.poll.live, old, sizeof(old));
}

static enum bl_agent_do told(enum bl_order_kind kind, const char *rollout,
			     const char *digest)
{
	struct bl_order o = { .kind = kind };

	bl_text_copy(o.rollout, sizeof(o.rollout), rollout);
	bl_text_copy(o.digest, sizeof(o.digest), digest);
	return bl_agent_take(&a, &o);
}

static const struct bl_work *says(void)
{
	bl_agent_poll(&a, &poll);
	return &poll.work;
}

#define APPLY(id, d)	told(BL_ORDER_APPLY, id, d)
#define ROLLBACK(id, d) told(BL_ORDER_ROLLBACK, id, d)

START_TEST(order_is_begun_once)
{
	ck_assert_int_eq(APPLY("r1", new), BL_AGENT_APPLY);
	ck_assert_int_eq(APPLY("r1", new), BL_AGENT_NOTHING);
	ck_assert_int_eq(APPLY("r2", third), BL_AGENT_NOTHING);
	ck_assert_int_eq(says()->state, BL_WORK_GOING);
	bl_agent_finish(&a, _i ? BL_AGENT_FAILED : BL_AGENT_DONE, "why",
			_i ? old : new);
	/* The answer to the report got lost: it says it again. */
	ck_assert_int_eq(APPLY("r1", new), BL_AGENT_NOTHING);
	ck_assert_int_eq(says()->state, _i ? BL_WORK_FAILED : BL_WORK_DONE);
	ck_assert_str_eq(poll.work.reason, _i ? "why" : "");
	ck_assert_str_eq(poll.work.rollout, "r1");
	/* Another rollout is another matter. */
	ck_assert_int_eq(APPLY("r2", third), BL_AGENT_APPLY);
}
END_TEST

START_TEST(later_is_begun_again)
{
	ck_assert_int_eq(APPLY("r1", new), BL_AGENT_APPLY);
	bl_agent_finish(&a, BL_AGENT_LATER, "no bundle yet", old);
	ck_assert_int_eq(says()->order, BL_ORDER_NONE);
	ck_assert_int_eq(APPLY("r1", new), BL_AGENT_APPLY);
}
END_TEST

START_TEST(what_runs_already_is_done)
{
	ck_assert_int_eq(APPLY("r1", old), BL_AGENT_NOTHING);
	ck_assert_int_eq(says()->state, BL_WORK_DONE);
}
END_TEST

START_TEST(rollback_ends_the_trial)
{
	ck_assert_int_eq(APPLY("r1", new), BL_AGENT_APPLY);
	ck_assert(!a.stop_trial);
	ck_assert_int_eq(ROLLBACK("r1", new), BL_AGENT_NOTHING);
	ck_assert(a.stop_trial);
	/* Too late: it committed just then. It goes back all the same. */
	if (_i) {
		ck_assert_int_eq(bl_agent_finish(&a, BL_AGENT_DONE, "", new),
				 BL_AGENT_ROLLBACK);
		ck_assert_int_eq(says()->state, BL_WORK_GOING);
		ck_assert_int_eq(bl_agent_finish(&a, BL_AGENT_DONE, "", old),
				 BL_AGENT_NOTHING);
	} else {
		ck_assert_int_eq(bl_agent_finish(&a, BL_AGENT_FAILED, "", old),
				 BL_AGENT_NOTHING);
	}
	ck_assert_int_eq(says()->order, BL_ORDER_ROLLBACK);
	ck_assert_int_eq(says()->state, BL_WORK_DONE);
	/* An old answer that comes now starts nothing. */
	ck_assert_int_eq(APPLY("r1", new), BL_AGENT_NOTHING);
}
END_TEST

START_TEST(rollback_is_idempotent)
{
	ck_assert_int_eq(ROLLBACK("r1", new), BL_AGENT_NOTHING);
	ck_assert_int_eq(says()->state, BL_WORK_DONE);
	memcpy(a.poll.live, new, sizeof(new));
	ck_assert_int_eq(ROLLBACK("r1", new), BL_AGENT_ROLLBACK);
	ck_assert_int_eq(ROLLBACK("r1", new), BL_AGENT_NOTHING);
	bl_agent_finish(&a, BL_AGENT_FAILED, "pin is gone", new);
	ck_assert_int_eq(says()->state, BL_WORK_FAILED);
	/* Told again, it tries again; then it is enough. */
	ck_assert_int_eq(ROLLBACK("r1", new), BL_AGENT_ROLLBACK);
	bl_agent_finish(&a, BL_AGENT_DONE, "", old);
	ck_assert_int_eq(ROLLBACK("r1", new), BL_AGENT_NOTHING);
	ck_assert_int_eq(says()->state, BL_WORK_DONE);
}
END_TEST

/* Dies at each point; the next life says what became of it. */
START_TEST(next_life_answers_for_the_last)
{
	bl_autofree char *text = NULL;
	const char *live = old, *reason = "";
	enum bl_work_state wanted = BL_WORK_FAILED;

	APPLY("r1", new);
	if (_i == 1) {
		live = new; /* it committed, and could not write it down */
		wanted = BL_WORK_DONE;
	} else if (_i == 2) {
		bl_agent_finish(&a, BL_AGENT_FAILED, "drops", old);
		reason = "not this";
	} else if (_i == 3) {
		reason = "recovered";
	}
	text = bl_agent_record(&a);
	ck_assert_ptr_nonnull(text);
	a = (struct bl_agent){ 0 };
	ck_assert_int_eq(bl_agent_restore(&a, text, strlen(text), live, reason,
					  NULL),
			 0);
	ck_assert_int_eq(APPLY("r1", new), BL_AGENT_NOTHING);
	ck_assert_int_eq(says()->state, wanted);
	if (_i == 2)
		ck_assert_str_eq(poll.work.reason, "drops");
	if (_i == 3)
		ck_assert_str_eq(poll.work.reason, "recovered");
}
END_TEST

START_TEST(damaged_record_is_an_error)
{
	static const char *const bad[] = { "", "{}", "{\"v\":9}", "[1" };

	ck_assert_int_lt(bl_agent_restore(&a, bad[_i], strlen(bad[_i]), old, "",
					  NULL),
			 0);
	ck_assert_int_eq(a.order.kind, BL_ORDER_NONE);
}
END_TEST

/* Both ways through JSON. */
START_TEST(poll_and_order_survive_the_wire)
{
	struct bl_order o = { .kind = BL_ORDER_APPLY,
			      .probation_ms = 5,
			      .poll_ms = 7 },
			o2;
	bl_autofree char *text = NULL, *text2 = NULL;
	struct bl_poll back;
	struct bl_err err = { 0 };

	APPLY("r1", new);
	bl_text_copy(a.poll.boot, sizeof(a.poll.boot), "boot");
	bl_text_copy(a.poll.session, sizeof(a.poll.session), "session");
	/* A file name may be any bytes; the sample is text all the same. */
	bl_text_copy(a.poll.sample[0], BL_SAMPLE_LEN, "open \xff\x01 \xc3\xa9");
	a.poll.sample_count = 1;
	bl_agent_poll(&a, &poll);
	text = bl_json_dump(bl_poll_json(&poll));
	ck_assert_ptr_nonnull(text);
	ck_assert_msg(bl_poll_parse(text, strlen(text), &back, &err) == 0, "%s",
		      err.text);
	ck_assert_str_eq(back.sample[0], "open ?  \xc3\xa9");
	ck_assert_int_eq(back.work.order, BL_ORDER_APPLY);
	ck_assert_int_eq(back.seq, 1);
	bl_text_copy(o.rollout, sizeof(o.rollout), "r1");
	memcpy(o.digest, new, sizeof(new));
	text2 = bl_json_dump(bl_order_json(&o));
	ck_assert_int_eq(bl_order_parse(text2, strlen(text2), &o2, NULL), 0);
	ck_assert_mem_eq(&o, &o2, sizeof(o));
}
END_TEST

/* What comes from a stranger and must not become a path or an order. */
START_TEST(bad_orders_are_refused)
{
	static const char *const bad[] = {
		"{\"v\":1,\"order\":\"apply\",\"rollout\":\"r1\",\"digest\":\"../../x\",\"override\":\"\",\"reason\":\"\",\"probation_ms\":0,\"poll_ms\":0}",
		"{\"v\":1,\"order\":\"rollback\",\"rollout\":\"r1\",\"digest\":\"\",\"override\":\"\",\"reason\":\"\",\"probation_ms\":0,\"poll_ms\":0}",
		"{\"v\":2,\"order\":\"none\",\"rollout\":\"\",\"digest\":\"\",\"override\":\"\",\"reason\":\"\",\"probation_ms\":0,\"poll_ms\":0}",
		"{\"v\":1,\"order\":\"reboot\",\"rollout\":\"\",\"digest\":\"\",\"override\":\"\",\"reason\":\"\",\"probation_ms\":0,\"poll_ms\":0}",
		"{\"v\":1,\"order\":\"none\",\"rollout\":\"\",\"digest\":\"\",\"override\":\"\",\"reason\":\"\",\"probation_ms\":-1,\"poll_ms\":0}",
		"{}",
		"",
	};
	struct bl_order o;

	ck_assert_int_lt(bl_order_parse(bad[_i], strlen(bad[_i]), &o, NULL), 0);
}
END_TEST

/* Every text as long as it may be, of what JSON makes longest. */
START_TEST(the_fullest_poll_is_no_longer_than_a_controller_reads)
{
	bl_autofree char *text = NULL;
	struct bl_poll full = { .seq = INT64_MAX,
				.label_count = BL_LABELS_MAX,
				.sample_count = BL_SAMPLE_MAX,
				.events = INT64_MAX,
				.drops = INT64_MAX };
	struct bl_poll back;
	struct bl_err err = { 0 };
	size_t i;

#define FILL(field) memset(field, '"', sizeof(field) - 1)
	FILL(full.boot);
	FILL(full.session);
	FILL(full.kernel);
	FILL(full.arch);
	FILL(full.os);
	FILL(full.role);
	FILL(full.work.reason);
	for (i = 0; i < BL_SAMPLE_MAX; i++)
		FILL(full.sample[i]);
	for (i = 0; i < BL_LABELS_MAX; i++) {
		FILL(full.labels[i]);
		memcpy(full.labels[i], "a=", 2);
	}
	memset(full.live, 'a', sizeof(full.live) - 1);
	full.work.order = BL_ORDER_ROLLBACK;
	memset(full.work.rollout, 'r', sizeof(full.work.rollout) - 1);
	full.metrics.known = (1u << BL_GUARD_METRICS) - 1;
	for (i = 0; i < BL_GUARD_METRICS; i++)
		full.metrics.value[i] = 1.2345678901234567e300;
	text = bl_json_dump(bl_poll_json(&full));
	ck_assert_ptr_nonnull(text);
	ck_assert_uint_le(strlen(text), BL_POLL_BYTES_MAX);
	ck_assert_msg(!bl_poll_parse(text, strlen(text), &back, &err), "%s",
		      err.text);
	ck_assert_str_eq(back.sample[BL_SAMPLE_MAX - 1], full.sample[0]);
}
END_TEST

START_TEST(what_it_is_at_is_told_while_it_is_at_it)
{
	bl_agent_tell(&a, "nothing");
	ck_assert_int_eq(says()->order, BL_ORDER_NONE);
	ck_assert_int_eq(APPLY("r1", new), BL_AGENT_APPLY);
	bl_agent_tell(&a, "fetching its bundle: 40 %");
	ck_assert_int_eq(says()->state, BL_WORK_GOING);
	ck_assert_str_eq(poll.work.reason, "fetching its bundle: 40 %");
	/* What comes late is not about going back. */
	ck_assert_int_eq(ROLLBACK("r1", new), BL_AGENT_NOTHING);
	bl_agent_tell(&a, "fetching its bundle: 50 %");
	ck_assert_str_eq(says()->reason, "");
	bl_agent_finish(&a, BL_AGENT_LATER, "stopped before its trial", old);
	ck_assert_int_eq(says()->state, BL_WORK_DONE);
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *s = suite_create("agent");
	TCase *t = tcase_create("agent");

	tcase_add_checked_fixture(t, set_up, NULL);
	tcase_add_loop_test(t, order_is_begun_once, 0, 2);
	tcase_add_test(t, later_is_begun_again);
	tcase_add_test(t, what_runs_already_is_done);
	tcase_add_test(t,
		       the_fullest_poll_is_no_longer_than_a_controller_reads);
	tcase_add_test(t, what_it_is_at_is_told_while_it_is_at_it);
	tcase_add_loop_test(t, rollback_ends_the_trial, 0, 2);
	tcase_add_test(t, rollback_is_idempotent);
	tcase_add_loop_test(t, next_life_answers_for_the_last, 0, 4);
	tcase_add_loop_test(t, damaged_record_is_an_error, 0, 4);
	tcase_add_test(t, poll_and_order_survive_the_wire);
	tcase_add_loop_test(t, bad_orders_are_refused, 0, 7);
	suite_add_tcase(s, t);
	return s;
}
