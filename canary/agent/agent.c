/* SPDX-License-Identifier: Apache-2.0 */
#include "canary/agent/agent.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/base/text.h"

void bl_agent_poll(struct bl_agent *a, struct bl_poll *ret)
{
	struct bl_work *w = &a->poll.work;

	a->poll.seq++;
	*w = (struct bl_work){ .order = a->order.kind, .state = a->state };
	bl_text_copy(w->rollout, sizeof(w->rollout), a->order.rollout);
	bl_text_copy(w->reason, sizeof(w->reason), a->reason);
	*ret = a->poll;
}

static bool runs(const struct bl_agent *a, const char *digest)
{
	return strcmp(a->poll.live, digest) == 0;
}

static void set_state(struct bl_agent *a, enum bl_work_state state,
		      const char *reason)
{
	a->state = state;
	bl_text_copy(a->reason, sizeof(a->reason), reason);
}

bool bl_agent_knows(const struct bl_agent *a, const struct bl_order *order)
{
	return order->kind == BL_ORDER_APPLY && !a->refused &&
	       a->order.kind != BL_ORDER_NONE &&
	       strcmp(a->order.rollout, order->rollout) == 0;
}

void bl_agent_refuse(struct bl_agent *a, const struct bl_order *order,
		     const char *reason)
{
	/* One to go back changes nothing here, and whoever sent it must not make
	 * this host look as if it could not. */
	if (order->kind != BL_ORDER_APPLY || a->busy != BL_AGENT_NOTHING ||
	    bl_agent_knows(a, order))
		return;
	a->order = *order;
	a->refused = true;
	set_state(a, BL_WORK_FAILED, reason);
}

static enum bl_agent_do take_apply(struct bl_agent *a,
				   const struct bl_order *order)
{
	if (a->busy != BL_AGENT_NOTHING)
		return BL_AGENT_NOTHING;
	/* Ended already, one way or the other, or told to go back since: the
	 * controller reads it in the next poll. LATER leaves no order behind.*/
	if (bl_agent_knows(a, order))
		return BL_AGENT_NOTHING;
	a->order = *order;
	a->refused = false;
	if (runs(a, order->digest)) {
		set_state(a, BL_WORK_DONE, "");
		return BL_AGENT_NOTHING;
	}
	set_state(a, BL_WORK_GOING, "");
	return a->busy = BL_AGENT_APPLY;
}

static enum bl_agent_do take_rollback(struct bl_agent *a,
				      const struct bl_order *order)
{
	if (a->busy == BL_AGENT_ROLLBACK)
		return BL_AGENT_NOTHING;
	if (a->busy == BL_AGENT_APPLY &&
	    strcmp(a->order.digest, order->digest) != 0)
		return BL_AGENT_NOTHING; /* about another version: later */
	a->order = *order;
	a->refused = false;
	set_state(a, BL_WORK_GOING, "");
	if (a->busy == BL_AGENT_APPLY) {
		a->stop_trial = true;
		return BL_AGENT_NOTHING;
	}
	if (!runs(a, order->digest)) {
		set_state(a, BL_WORK_DONE, "");
		return BL_AGENT_NOTHING;
	}
	return a->busy = BL_AGENT_ROLLBACK;
}

enum bl_agent_do bl_agent_take(struct bl_agent *a, const struct bl_order *order)
{
	switch (order->kind) {
	case BL_ORDER_APPLY:
		return take_apply(a, order);
	case BL_ORDER_ROLLBACK:
		return take_rollback(a, order);
	case BL_ORDER_NONE:
		break;
	}
	return BL_AGENT_NOTHING;
}

void bl_agent_tell(struct bl_agent *a, const char *text)
{
	/* A rollback that was ordered meanwhile is not what this is about. */
	if (a->busy == BL_AGENT_APPLY && a->order.kind == BL_ORDER_APPLY)
		bl_text_copy(a->reason, sizeof(a->reason), text);
}

static void forget(struct bl_agent *a)
{
	a->order = (struct bl_order){ .kind = BL_ORDER_NONE };
	set_state(a, BL_WORK_GOING, "");
}

enum bl_agent_do bl_agent_finish(struct bl_agent *a, enum bl_agent_end end,
				 const char *reason, const char *live)
{
	enum bl_agent_do was = a->busy;

	a->busy = BL_AGENT_NOTHING;
	a->stop_trial = false;
	bl_text_copy(a->poll.live, sizeof(a->poll.live), live);
	/* Told to go back while it was applying: what counts is what runs. */
	if (was == BL_AGENT_APPLY && a->order.kind == BL_ORDER_ROLLBACK) {
		if (runs(a, a->order.digest))
			return a->busy = BL_AGENT_ROLLBACK;
		set_state(a, BL_WORK_DONE, "");
		return BL_AGENT_NOTHING;
	}
	switch (end) {
	case BL_AGENT_DONE:
		set_state(a, BL_WORK_DONE, "");
		break;
	case BL_AGENT_UNDECIDED:
		set_state(a, BL_WORK_UNDECIDED, reason);
		break;
	case BL_AGENT_FAILED:
		set_state(a, BL_WORK_FAILED, reason);
		break;
	case BL_AGENT_LATER:
		forget(a);
		break;
	}
	return BL_AGENT_NOTHING;
}

char *bl_agent_record(const struct bl_agent *a)
{
	return bl_json_dump(
		json_pack("{s:i,s:s,s:s,s:s,s:s,s:s}", "v", BL_PROTOCOL_VERSION,
			  "order", bl_order_name(a->order.kind), "rollout",
			  a->order.rollout, "digest", a->order.digest, "state",
			  bl_work_name(a->state), "reason", a->reason));
}

struct raw_record {
	int64_t v;
	const char *order, *rollout, *digest, *state, *reason;
};

static const struct bl_json_field record_fields[] = {
	{ "v", BL_JSON_INT, true, offsetof(struct raw_record, v),
	  BL_PROTOCOL_VERSION, BL_PROTOCOL_VERSION },
	{ "order", BL_JSON_STRING, true, offsetof(struct raw_record, order), 1,
	  16 },
	{ "rollout", BL_JSON_STRING, true, offsetof(struct raw_record, rollout),
	  0, BL_ROLLOUT_ID_LEN - 1 },
	{ "digest", BL_JSON_STRING, true, offsetof(struct raw_record, digest),
	  0, BL_DIGEST_HEX - 1 },
	{ "state", BL_JSON_STRING, true, offsetof(struct raw_record, state), 1,
	  16 },
	{ "reason", BL_JSON_STRING, true, offsetof(struct raw_record, reason),
	  0, BL_REASON_MAX - 1 },
};

int bl_agent_restore(struct bl_agent *a, const char *text, size_t len,
		     const char *live, const char *reason, struct bl_err *err)
{
	bl_autojson_doc struct bl_json_doc doc = { 0 };
	struct raw_record raw = { 0 };
	int r = bl_json_parse("agent.json", text, len, &doc, err);

	if (!r)
		r = bl_json_read(&doc, doc.root, "", record_fields,
				 BL_ARRAY_SIZE(record_fields), &raw, err);
	if (r)
		return r;
	bl_text_copy(a->poll.live, sizeof(a->poll.live), live);
	forget(a);
	/* A rollback is ordered again, and means the same then. */
	if (strcmp(raw.order, bl_order_name(BL_ORDER_APPLY)) != 0)
		return 0;
	a->order.kind = BL_ORDER_APPLY;
	bl_text_copy(a->order.rollout, sizeof(a->order.rollout), raw.rollout);
	bl_text_copy(a->order.digest, sizeof(a->order.digest), raw.digest);
	if (strcmp(raw.state, bl_work_name(BL_WORK_UNDECIDED)) == 0)
		set_state(a, BL_WORK_UNDECIDED, raw.reason);
	else if (strcmp(raw.state, bl_work_name(BL_WORK_FAILED)) == 0)
		set_state(a, BL_WORK_FAILED, raw.reason);
	else if (strcmp(raw.state, bl_work_name(BL_WORK_DONE)) == 0 ||
		 runs(a, raw.digest))
		set_state(a, BL_WORK_DONE, "");
	else
		set_state(
			a, BL_WORK_FAILED,
			*reason ? reason
				: "the agent or its host went down in the trial");
	return 0;
}
