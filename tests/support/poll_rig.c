/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/poll_rig.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "canary/controller/controller.h"
#include "loader/base/text.h"
#include "tests/main.h"

struct poll_rig polling;

static int count_get(struct bl_store *store, const char *key,
		     struct bl_store_item *ret, struct bl_err *err)
{
	polling.reads++;
	return polling.real_ops->get(store, key, ret, err);
}

static int count_get_many(struct bl_store *store, const char *const *keys,
			  size_t many, struct bl_store_item *ret,
			  struct bl_err *err)
{
	size_t i;
	int r = 0;

	polling.reads++;
	for (i = 0; i < many && (!r || r == -ENOENT); i++)
		r = polling.real_ops->get(store, keys[i], &ret[i], err);
	return r == -ENOENT ? 0 : r;
}

static int count_txn(struct bl_store *store,
		     const struct bl_store_compare *compares, size_t count,
		     const struct bl_store_put *puts, size_t put_count,
		     int64_t *ret_revision, struct bl_err *err)
{
	int told = polling.fails, r = 0;

	polling.writes += put_count > 0;
	polling.asked += !put_count;
	polling.fails = 0;
	if (!told || polling.fails_after)
		r = polling.real_ops->txn(store, compares, count, puts,
					  put_count, ret_revision, err);
	return told ? bl_err_set(err, told, "told to fail") : r;
}

void poll_rig_set_up(void)
{
	sim_start(&polling.s, 1, 0);
	polling.real_ops = polling.s.store_under->ops;
	polling.ops = *polling.real_ops;
	polling.ops.get = count_get;
	polling.s.store_under->ops = &polling.ops;
	ck_assert_int_eq(
		bl_polls_open(polling.s.store_under, &polling.polls, NULL), 0);
	ck_assert_int_eq(
		bl_polls_open(polling.s.store_under, &polling.others, NULL), 0);
	memset(polling.jobs, 0, sizeof(polling.jobs));
}

void poll_rig_tear_down(void)
{
	bl_polls_close(polling.polls);
	bl_polls_close(polling.others);
	polling.s.store_under->ops = polling.real_ops;
	sim_end(&polling.s);
}

/* Transactions are counted, and one of them may fail. */
void poll_rig_count(void)
{
	polling.ops.txn = count_txn;
	polling.ops.get_many = count_get_many;
	polling.reads = polling.writes = polling.asked = 0;
}

struct bl_polls_job *poll_rig_next_poll(unsigned i)
{
	struct bl_polls_job *job = &polling.jobs[i];

	snprintf(job->host, sizeof(job->host), "web-%02u", i);
	snprintf(job->poll.boot, sizeof(job->poll.boot), "boot-%u", i);
	snprintf(job->poll.session, sizeof(job->poll.session), "life-%u", i);
	/* A stratum of its own: in each, one may try it at first. */
	if (!*job->poll.role)
		snprintf(job->poll.role, sizeof(job->poll.role), "role-%u", i);
	job->poll.seq++;
	job->now_ms = polling.s.now_ms;
	return job;
}

int poll_rig_poll_now(struct bl_polls *p, unsigned i)
{
	struct bl_polls_job *job = poll_rig_next_poll(i);

	if (!bl_polls_take(p, job))
		bl_polls_commit(p);
	return job->r;
}

void poll_rig_poll_all(struct bl_polls *p)
{
	unsigned i;

	for (i = 0; i < POLL_RIG_HOSTS; i++)
		ck_assert_int_eq(poll_rig_poll_now(p, i), 0);
}

unsigned poll_rig_orders(void)
{
	unsigned i, n = 0;

	for (i = 0; i < POLL_RIG_HOSTS; i++)
		n += polling.jobs[i].order.kind == BL_ORDER_APPLY;
	return n;
}

/* A rollout to everybody, @cap at a time, that may begin. */
void poll_rig_roll_out(unsigned cap)
{
	polling.s.plan.cap = cap;
	polling.s.plan.waves[0] = (struct bl_wave){ .percent = 100 };
	polling.s.plan.wave_count = 1;
	polling.s.plan.ladder_count = 0;
	sim_rollout(&polling.s, "v1", SIM_GOOD);
	bl_controller_tick(polling.s.store_under, polling.s.now_ms, NULL);
	bl_polls_forget_rollouts(polling.polls);
}
