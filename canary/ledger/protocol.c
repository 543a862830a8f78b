/* SPDX-License-Identifier: Apache-2.0 */
#include "canary/ledger/protocol.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/base/text.h"

static const char *const order_names[] = {
	[BL_ORDER_NONE] = "none",
	[BL_ORDER_APPLY] = "apply",
	[BL_ORDER_ROLLBACK] = "rollback",
};

static const char *const work_names[] = {
	[BL_WORK_GOING] = "going",
	[BL_WORK_DONE] = "done",
	[BL_WORK_UNDECIDED] = "undecided",
	[BL_WORK_FAILED] = "failed",
};

const char *bl_order_name(enum bl_order_kind kind)
{
	return order_names[kind];
}

const char *bl_work_name(enum bl_work_state state)
{
	return work_names[state];
}

static int find_name(const char *const *names, size_t count, const char *name)
{
	size_t i;

	for (i = 0; i < count; i++)
		if (strcmp(names[i], name) == 0)
			return (int)i;
	return -EINVAL;
}

static int read_name(const struct bl_json_doc *doc, const char *path,
		     const char *const *names, size_t count, const char *name,
		     struct bl_err *err)
{
	int r = find_name(names, count, name);

	return r < 0 ? bl_json_fail(doc, path, err, "'%s' is not known", name)
		     : r;
}

static int check_version(const struct bl_json_doc *doc, int64_t v,
			 struct bl_err *err)
{
	if (v == BL_PROTOCOL_VERSION)
		return 0;
	bl_json_fail(doc, "v", err, "version %lld is spoken there, %d here",
		     (long long)v, BL_PROTOCOL_VERSION);
	bl_err_hint(err, "run the same belay on both sides");
	return -EBADMSG;
}

static int check_digest(const struct bl_json_doc *doc, const char *path,
			const char *digest, struct bl_err *err)
{
	if (!*digest || bl_digest_valid(digest))
		return 0;
	return bl_json_fail(doc, path, err, "'%s' is not a digest", digest);
}

struct raw_poll {
	int64_t v, seq, events, drops;
	const char *boot, *session, *kernel, *arch, *os, *role, *live;
	json_t *work, *sample, *labels, *metrics;
};

static const struct bl_json_field poll_fields[] = {
	{ "v", BL_JSON_INT, true, offsetof(struct raw_poll, v), 0, 0 },
	{ "boot", BL_JSON_STRING, true, offsetof(struct raw_poll, boot), 1,
	  BL_BOOT_LEN - 1 },
	{ "session", BL_JSON_STRING, true, offsetof(struct raw_poll, session),
	  1, BL_SESSION_LEN - 1 },
	{ "seq", BL_JSON_INT, true, offsetof(struct raw_poll, seq), 1,
	  INT64_MAX },
	{ "kernel", BL_JSON_STRING, true, offsetof(struct raw_poll, kernel), 0,
	  BL_FACT_LEN - 1 },
	{ "arch", BL_JSON_STRING, true, offsetof(struct raw_poll, arch), 0,
	  BL_FACT_LEN - 1 },
	{ "os", BL_JSON_STRING, true, offsetof(struct raw_poll, os), 0,
	  BL_FACT_LEN - 1 },
	{ "role", BL_JSON_STRING, false, offsetof(struct raw_poll, role), 0,
	  BL_FACT_LEN - 1 },
	{ "labels", BL_JSON_ARRAY, false, offsetof(struct raw_poll, labels), 0,
	  BL_LABELS_MAX },
	{ "live", BL_JSON_STRING, true, offsetof(struct raw_poll, live), 0,
	  BL_DIGEST_HEX - 1 },
	{ "events", BL_JSON_INT, true, offsetof(struct raw_poll, events), 0,
	  INT64_MAX },
	{ "drops", BL_JSON_INT, true, offsetof(struct raw_poll, drops), 0,
	  INT64_MAX },
	{ "sample", BL_JSON_ARRAY, false, offsetof(struct raw_poll, sample), 0,
	  BL_SAMPLE_MAX },
	{ "metrics", BL_JSON_OBJECT, false, offsetof(struct raw_poll, metrics),
	  0, 0 },
	{ "work", BL_JSON_OBJECT, false, offsetof(struct raw_poll, work), 0,
	  0 },
};

struct raw_work {
	const char *rollout, *order, *state, *reason;
};

static const struct bl_json_field work_fields[] = {
	{ "rollout", BL_JSON_STRING, true, offsetof(struct raw_work, rollout),
	  1, BL_ROLLOUT_ID_LEN - 1 },
	{ "order", BL_JSON_STRING, true, offsetof(struct raw_work, order), 1,
	  16 },
	{ "state", BL_JSON_STRING, true, offsetof(struct raw_work, state), 1,
	  16 },
	{ "reason", BL_JSON_STRING, true, offsetof(struct raw_work, reason), 0,
	  BL_REASON_MAX - 1 },
};

static int read_work(const struct bl_json_doc *doc, const json_t *obj,
		     struct bl_work *ret, struct bl_err *err)
{
	struct raw_work raw = { 0 };
	int r, order, state;

	if (!obj) {
		*ret = (struct bl_work){ 0 };
		return 0;
	}
	r = bl_json_read(doc, obj, "work", work_fields,
			 BL_ARRAY_SIZE(work_fields), &raw, err);
	if (r < 0)
		return r;
	order = read_name(doc, "work.order", order_names,
			  BL_ARRAY_SIZE(order_names), raw.order, err);
	if (order < 0)
		return order;
	state = read_name(doc, "work.state", work_names,
			  BL_ARRAY_SIZE(work_names), raw.state, err);
	if (state < 0)
		return state;
	*ret = (struct bl_work){ .order = (enum bl_order_kind)order,
				 .state = (enum bl_work_state)state };
	bl_text_copy(ret->rollout, sizeof(ret->rollout), raw.rollout);
	bl_text_copy(ret->reason, sizeof(ret->reason), raw.reason);
	return 0;
}

static int read_sample(const struct bl_json_doc *doc, const json_t *list,
		       struct bl_poll *ret, struct bl_err *err)
{
	const json_t *v;
	size_t i;

	json_array_foreach (list, i, v) {
		if (!json_is_string(v))
			return bl_json_fail(doc, "sample", err,
					    "all of it must be strings");
		bl_text_copy(ret->sample[i], BL_SAMPLE_LEN,
			     json_string_value(v));
		ret->sample_count++;
	}
	return 0;
}

bool bl_label_valid(const char *label)
{
	const char *value = strchr(label, '=');
	char key[BL_LABEL_LEN];

	if (!value || strlen(label) >= BL_LABEL_LEN)
		return false;
	memcpy(key, label, (size_t)(value - label));
	key[value - label] = '\0';
	return bl_name_valid(key);
}

static int read_labels(const struct bl_json_doc *doc, const json_t *list,
		       struct bl_poll *ret, struct bl_err *err)
{
	const json_t *v;
	size_t i;

	json_array_foreach (list, i, v) {
		const char *label = json_string_value(v);

		if (!label || strlen(label) != json_string_length(v) ||
		    !bl_label_valid(label))
			return bl_json_fail(doc, "labels", err,
					    "element %zu is not KEY=VALUE", i);
		bl_text_copy(ret->labels[i], BL_LABEL_LEN, label);
		ret->label_count++;
	}
	return 0;
}

int bl_poll_parse(const char *text, size_t len, struct bl_poll *ret,
		  struct bl_err *err)
{
	bl_autojson_doc struct bl_json_doc doc = { 0 };
	struct raw_poll raw = { .role = "" };
	struct bl_poll poll = { 0 };
	int r = bl_json_parse("poll", text, len, &doc, err);

	if (!r)
		r = bl_json_read(&doc, doc.root, "", poll_fields,
				 BL_ARRAY_SIZE(poll_fields), &raw, err);
	if (!r)
		r = check_version(&doc, raw.v, err);
	if (!r)
		r = check_digest(&doc, "live", raw.live, err);
	if (!r)
		r = read_work(&doc, raw.work, &poll.work, err);
	if (!r)
		r = read_sample(&doc, raw.sample, &poll, err);
	if (!r)
		r = read_labels(&doc, raw.labels, &poll, err);
	if (!r && !bl_metrics_read(raw.metrics, &poll.metrics))
		r = bl_json_fail(&doc, "metrics", err,
				 "all of it must be known metrics, from 0 on");
	if (r < 0)
		return r;
	bl_text_copy(poll.boot, sizeof(poll.boot), raw.boot);
	bl_text_copy(poll.session, sizeof(poll.session), raw.session);
	bl_text_copy(poll.kernel, sizeof(poll.kernel), raw.kernel);
	bl_text_copy(poll.arch, sizeof(poll.arch), raw.arch);
	bl_text_copy(poll.os, sizeof(poll.os), raw.os);
	bl_text_copy(poll.role, sizeof(poll.role), raw.role);
	bl_text_copy(poll.live, sizeof(poll.live), raw.live);
	poll.seq = raw.seq;
	poll.events = raw.events;
	poll.drops = raw.drops;
	*ret = poll;
	return 0;
}

static json_t *labels_json(const struct bl_poll *p)
{
	json_t *list = json_array();
	unsigned i;

	for (i = 0; i < p->label_count; i++)
		json_array_append_new(list, json_string(p->labels[i]));
	return list;
}

json_t *bl_poll_json(const struct bl_poll *p)
{
	bl_autojson json_t *obj = NULL;
	json_t *sample = json_array();
	unsigned i;

	for (i = 0; i < p->sample_count; i++)
		json_array_append_new(sample, json_string(p->sample[i]));
	obj = json_pack("{s:i,s:s,s:s,s:I,s:s,s:s,s:s,s:s,s:I,s:I,s:o}", "v",
			BL_PROTOCOL_VERSION, "boot", p->boot, "session",
			p->session, "seq", (json_int_t)p->seq, "kernel",
			p->kernel, "arch", p->arch, "os", p->os, "live",
			p->live, "events", (json_int_t)p->events, "drops",
			(json_int_t)p->drops, "sample", sample);
	if (!obj)
		return NULL;
	if (*p->role &&
	    json_object_set_new(obj, "role", json_string(p->role)) < 0)
		return NULL;
	if (p->label_count &&
	    json_object_set_new(obj, "labels", labels_json(p)) < 0)
		return NULL;
	if (p->metrics.known &&
	    json_object_set_new(obj, "metrics", bl_metrics_json(&p->metrics)) <
		    0)
		return NULL;
	if (p->work.order != BL_ORDER_NONE &&
	    json_object_set_new(obj, "work",
				json_pack("{s:s,s:s,s:s,s:s}", "rollout",
					  p->work.rollout, "order",
					  order_names[p->work.order], "state",
					  work_names[p->work.state], "reason",
					  p->work.reason)) < 0)
		return NULL;
	return BL_TAKE(obj);
}

struct raw_order {
	int64_t v, probation_ms, poll_ms;
	const char *order, *rollout, *digest, *override_reason, *reason;
	json_t *proof;
};

static const struct bl_json_field order_fields[] = {
	{ "v", BL_JSON_INT, true, offsetof(struct raw_order, v), 0, 0 },
	{ "order", BL_JSON_STRING, true, offsetof(struct raw_order, order), 1,
	  16 },
	{ "rollout", BL_JSON_STRING, true, offsetof(struct raw_order, rollout),
	  0, BL_ROLLOUT_ID_LEN - 1 },
	{ "digest", BL_JSON_STRING, true, offsetof(struct raw_order, digest), 0,
	  BL_DIGEST_HEX - 1 },
	{ "override", BL_JSON_STRING, true,
	  offsetof(struct raw_order, override_reason), 0, BL_REASON_MAX - 1 },
	{ "reason", BL_JSON_STRING, true, offsetof(struct raw_order, reason), 0,
	  BL_REASON_MAX - 1 },
	{ "probation_ms", BL_JSON_INT, true,
	  offsetof(struct raw_order, probation_ms), 0, INT64_MAX },
	{ "poll_ms", BL_JSON_INT, true, offsetof(struct raw_order, poll_ms), 0,
	  3600 * 1000 },
	{ "proof", BL_JSON_OBJECT, false, offsetof(struct raw_order, proof), 0,
	  0 },
};

int bl_order_parse(const char *text, size_t len, struct bl_order *ret,
		   struct bl_err *err)
{
	bl_autojson_doc struct bl_json_doc doc = { 0 };
	struct raw_order raw = { 0 };
	int kind = 0, r = bl_json_parse("order", text, len, &doc, err);

	if (!r)
		r = bl_json_read(&doc, doc.root, "", order_fields,
				 BL_ARRAY_SIZE(order_fields), &raw, err);
	if (!r)
		r = check_version(&doc, raw.v, err);
	if (!r)
		r = kind = read_name(&doc, "order", order_names,
				     BL_ARRAY_SIZE(order_names), raw.order,
				     err);
	if (r < 0)
		return r;
	if (kind != BL_ORDER_NONE && !bl_digest_valid(raw.digest))
		return bl_json_fail(&doc, "digest", err, "'%s' is not a digest",
				    raw.digest);
	if (kind != BL_ORDER_NONE && !bl_name_valid(raw.rollout))
		return bl_json_fail(&doc, "rollout", err,
				    "'%s' is not a rollout", raw.rollout);
	*ret = (struct bl_order){ .kind = (enum bl_order_kind)kind,
				  .probation_ms = raw.probation_ms,
				  .poll_ms = raw.poll_ms };
	bl_text_copy(ret->rollout, sizeof(ret->rollout), raw.rollout);
	bl_text_copy(ret->digest, sizeof(ret->digest), raw.digest);
	bl_text_copy(ret->override_reason, sizeof(ret->override_reason),
		     raw.override_reason);
	bl_text_copy(ret->reason, sizeof(ret->reason), raw.reason);
	return 0;
}

int bl_order_proof(const char *text, size_t len, char **ret, struct bl_err *err)
{
	bl_autojson_doc struct bl_json_doc doc = { 0 };
	const json_t *proof;
	char *copy = NULL;
	int r = bl_json_parse("order", text, len, &doc, err);

	if (r < 0)
		return r;
	proof = json_object_get(doc.root, "proof");
	if (proof) {
		copy = json_dumps(proof, JSON_COMPACT | JSON_ENSURE_ASCII);
		if (!copy)
			return bl_err_set(err, -ENOMEM, "out of memory");
	}
	*ret = copy;
	return 0;
}

json_t *bl_order_json(const struct bl_order *o)
{
	return json_pack("{s:i,s:s,s:s,s:s,s:s,s:s,s:I,s:I}", "v",
			 BL_PROTOCOL_VERSION, "order", order_names[o->kind],
			 "rollout", o->rollout, "digest", o->digest, "override",
			 o->override_reason, "reason", o->reason,
			 "probation_ms", (json_int_t)o->probation_ms, "poll_ms",
			 (json_int_t)o->poll_ms);
}

void bl_order_etag(const struct bl_order *o, char ret[static BL_ETAG_LEN])
{
	*ret = '\0';
	if (o->kind == BL_ORDER_NONE)
		snprintf(ret, BL_ETAG_LEN, "\"none-%" PRId64 "\"", o->poll_ms);
}
