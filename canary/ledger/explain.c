/* SPDX-License-Identifier: Apache-2.0 */
#include "canary/ledger/explain.h"

#include <errno.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/base/text.h"

static json_t *strata_json(const struct bl_view *v)
{
	json_t *list = json_array();
	size_t i;

	for (i = 0; i < v->stratum_count; i++) {
		const struct bl_tally *t = &v->strata[i];

		json_array_append_new(list, json_pack("[s,I,I,I,I]", t->name,
						      (json_int_t)t->waiting,
						      (json_int_t)t->open,
						      (json_int_t)t->good,
						      (json_int_t)t->bad));
	}
	return list;
}

static json_t *pairs_json(const struct bl_view *v)
{
	json_t *obj = json_object();
	enum bl_guard_metric m;

	for (m = 0; m < BL_GUARD_METRICS; m++)
		if (v->pairs[m].pairs)
			json_object_set_new(
				obj, bl_guard_name(m),
				json_pack("[I,I]",
					  (json_int_t)v->pairs[m].worse,
					  (json_int_t)v->pairs[m].pairs));
	return obj;
}

/* Kinds that are about one host, or may be. */
static const unsigned about_one =
	1u << BL_DECISION_SILENT | 1u << BL_DECISION_STUCK |
	1u << BL_DECISION_HOLD | 1u << BL_DECISION_STOP;

static json_t *host_json(const struct bl_view *v, const struct bl_decision *d)
{
	const struct bl_view_host *h;

	if (d->host >= v->count || !(about_one & 1u << d->kind))
		return json_null();
	h = &v->hosts[d->host];
	return json_pack("{s:s,s:s,s:I,s:I,s:s}", "name", h->name, "state",
			 bl_exposure_state_name(h->state), "exposed_ms",
			 (json_int_t)h->exposed_ms, "heard_ms",
			 (json_int_t)h->heard_ms, "reason", h->reason);
}

/* Numbers of a view, for writing and reading alike. */
#define UINT(m)                                               \
	{                                                     \
#m, false, false, offsetof(struct bl_view, m) \
	}
#define UINT_NEW(m)                                          \
	{                                                    \
#m, false, true, offsetof(struct bl_view, m) \
	}
#define MS(m)                                                \
	{                                                    \
#m, true, false, offsetof(struct bl_view, m) \
	}
static const struct {
	const char *key;
	bool wide;     /* int64_t, else unsigned */
	bool optional; /* not in those of older versions: then it is 0 */
	size_t offset;
} numbers[] = {
	UINT(wave),	     UINT(target),     UINT(widened),
	UINT(approved),	     UINT(waiting),    UINT(already),
	UINT(gone),	     UINT(left_out),   UINT(named),
	MS(stop_ms),	     MS(commit_ms),    MS(now_ms),
	MS(listening_ms),    UINT_NEW(paused), UINT_NEW(unconfirmed),
	UINT_NEW(undecided), UINT_NEW(held),   UINT_NEW(named_already),
};

json_t *bl_explain_json(const struct bl_view *view, const struct bl_decision *d)
{
	bl_autojson json_t *inputs = json_pack(
		"{s:s,s:o,s:o,s:o}", "state",
		bl_rollout_state_name(view->state), "strata",
		view->strata ? strata_json(view) : json_null(), "pairs",
		pairs_json(view), "host", host_json(view, d));
	size_t i;

	for (i = 0; i < BL_ARRAY_SIZE(numbers); i++) {
		const char *at = (const char *)view + numbers[i].offset;
		json_int_t n = numbers[i].wide ? *(const int64_t *)at
					       : *(const unsigned *)at;

		if (json_object_set_new(inputs, numbers[i].key,
					json_integer(n)) < 0)
			return NULL;
	}
	return json_pack("{s:I,s:s,s:s,s:s,s:I,s:I,s:O}", "at_ms",
			 (json_int_t)view->now_ms, "kind",
			 bl_decision_name(d->kind), "reason", d->reason, "by",
			 d->by, "target", (json_int_t)d->target, "widened",
			 (json_int_t)d->widened, "inputs", inputs);
}

static bool read_numbers(const json_t *inputs, struct bl_view *v)
{
	size_t i;

	for (i = 0; i < BL_ARRAY_SIZE(numbers); i++) {
		const json_t *n = json_object_get(inputs, numbers[i].key);
		json_int_t value = json_integer_value(n);
		char *at = (char *)v + numbers[i].offset;

		if (!n && numbers[i].optional)
			continue;
		if (!json_is_integer(n))
			return false;
		if (numbers[i].wide)
			*(int64_t *)at = value;
		else if (value < 0 || value > UINT32_MAX)
			return false;
		else
			*(unsigned *)at = (unsigned)value;
	}
	return true;
}

static bool read_strata(json_t *list, struct bl_explained *ret)
{
	json_int_t n[4];
	const char *name;
	json_t *v;
	size_t i, k;

	if (json_array_size(list) > BL_STRATA_MAX)
		return false;
	json_array_foreach (list, i, v) {
		if (json_unpack(v, "[s,I,I,I,I]", &name, &n[0], &n[1], &n[2],
				&n[3]) < 0)
			return false;
		for (k = 0; k < BL_ARRAY_SIZE(n); k++)
			if (n[k] < 0 || n[k] > INT32_MAX)
				return false;
		bl_text_copy(ret->names[i], sizeof(ret->names[i]), name);
		ret->strata[i] = (struct bl_tally){
			.name = ret->names[i],
			.waiting = (unsigned)n[0],
			.open = (unsigned)n[1],
			.good = (unsigned)n[2],
			.bad = (unsigned)n[3],
		};
	}
	ret->view.strata = ret->strata;
	ret->view.stratum_count = json_array_size(list);
	return true;
}

static bool read_pairs(json_t *obj, struct bl_view *v)
{
	enum bl_guard_metric m;
	json_int_t worse, pairs;
	const char *key;
	json_t *pair;

	json_object_foreach (obj, key, pair) {
		if (bl_guard_parse(key, &m) < 0 ||
		    json_unpack(pair, "[I,I]", &worse, &pairs) < 0 ||
		    worse < 0 || worse > pairs || pairs > INT32_MAX)
			return false;
		v->pairs[m] =
			(struct bl_pairs){ (unsigned)worse, (unsigned)pairs };
	}
	return true;
}

static bool read_host(json_t *obj, struct bl_explained *ret)
{
	const char *name, *state, *reason;
	json_int_t exposed_ms, heard_ms;

	if (json_is_null(obj))
		return true;
	if (json_unpack(obj, "{s:s,s:s,s:I,s:I,s:s}", "name", &name, "state",
			&state, "exposed_ms", &exposed_ms, "heard_ms",
			&heard_ms, "reason", &reason) < 0 ||
	    bl_exposure_state_parse(state, &ret->host.state) < 0)
		return false;
	bl_text_copy(ret->host_name, sizeof(ret->host_name), name);
	bl_text_copy(ret->host_reason, sizeof(ret->host_reason), reason);
	ret->host.name = ret->host_name;
	ret->host.reason = ret->host_reason;
	ret->host.exposed_ms = exposed_ms;
	ret->host.heard_ms = heard_ms;
	ret->view.hosts = &ret->host;
	ret->view.count = 1;
	return true;
}

static int kind_of(const char *name)
{
	int k;

	for (k = 0; k < BL_DECISION_KINDS; k++)
		if (strcmp(bl_decision_name((enum bl_decision_kind)k), name) ==
		    0)
			return k;
	return -EINVAL;
}

int bl_explain_read(const json_t *obj, const struct bl_plan *plan,
		    struct bl_explained *ret, struct bl_err *err)
{
	json_t *inputs = json_object_get(obj, "inputs");
	const char *kind = json_string_value(json_object_get(obj, "kind"));
	const char *reason = json_string_value(json_object_get(obj, "reason"));
	const char *state = json_string_value(json_object_get(inputs, "state"));
	json_t *strata = json_object_get(inputs, "strata");
	json_int_t target = json_integer_value(json_object_get(obj, "target"));
	json_int_t widened =
		json_integer_value(json_object_get(obj, "widened"));
	int k = kind ? kind_of(kind) : -EINVAL;

	*ret = (struct bl_explained){ .view.plan = plan };
	if (k < 0 || !reason || !state || target < 0 || target > UINT32_MAX ||
	    widened < 0 || widened > UINT32_MAX ||
	    bl_rollout_state_parse(state, &ret->view.state) < 0 ||
	    !read_numbers(inputs, &ret->view) ||
	    ret->view.wave >= plan->wave_count || !read_strata(strata, ret) ||
	    !read_pairs(json_object_get(inputs, "pairs"), &ret->view) ||
	    !read_host(json_object_get(inputs, "host"), ret))
		return bl_err_set(err, -EBADMSG,
				  "a stored decision cannot be read");
	ret->said = (struct bl_decision){ .kind = (enum bl_decision_kind)k,
					  .target = (unsigned)target,
					  .widened = (unsigned)widened };
	bl_text_copy(ret->said.reason, sizeof(ret->said.reason), reason);
	bl_text_copy(ret->said.by, sizeof(ret->said.by),
		     json_string_value(json_object_get(obj, "by")));
	ret->again = !bl_decision_is_act(ret->said.kind) &&
		     ret->view.state == BL_ROLLOUT_RUNNING &&
		     json_is_array(strata);
	return 0;
}

bool bl_explain_holds(const struct bl_explained *e, struct bl_decision *ret)
{
	bl_decide(&e->view, ret);
	return ret->kind == e->said.kind && ret->target == e->said.target &&
	       ret->widened == e->said.widened &&
	       strcmp(ret->reason, e->said.reason) == 0;
}
