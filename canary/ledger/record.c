/* SPDX-License-Identifier: Apache-2.0 */
#include "canary/ledger/record.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/base/text.h"

/*
 * Records are flat but for the plan and the lists. A table per record says
 * which member is which field, for writing and reading alike.
 */
enum kind { TEXT, I64, UINT, FLAG };

struct field {
	const char *key;
	enum kind kind;
	bool optional; /* not in records of older versions: then it is 0 */
	size_t offset, size;
};

#define FIELD(type, m, kind, optional, size)                         \
	{                                                            \
#m, kind, optional, offsetof(struct type, m), (size) \
	}
#define TEXT_SIZE(type, m) sizeof(((struct type *)NULL)->m)
#define TEXT_OF(type, m)   FIELD(type, m, TEXT, false, TEXT_SIZE(type, m))
#define TEXT_NEW(type, m)  FIELD(type, m, TEXT, true, TEXT_SIZE(type, m))
#define I64_OF(type, m)	   FIELD(type, m, I64, false, 0)
#define I64_NEW(type, m)   FIELD(type, m, I64, true, 0)
#define UINT_OF(type, m)   FIELD(type, m, UINT, false, 0)
#define UINT_NEW(type, m)  FIELD(type, m, UINT, true, 0)
#define FLAG_OF(type, m)   FIELD(type, m, FLAG, false, 0)
#define FLAG_NEW(type, m)  FIELD(type, m, FLAG, true, 0)

static const struct field rollout_fields[] = {
	TEXT_OF(bl_rollout, id),
	TEXT_OF(bl_rollout, digest),
	TEXT_OF(bl_rollout, name),
	TEXT_OF(bl_rollout, version),
	TEXT_OF(bl_rollout, reason),

	TEXT_OF(bl_rollout, override_reason),
	UINT_OF(bl_rollout, wave),
	UINT_OF(bl_rollout, target),
	UINT_OF(bl_rollout, exposed),
	UINT_OF(bl_rollout, unconfirmed),
	UINT_NEW(bl_rollout, widened),
	UINT_NEW(bl_rollout, approved),
	UINT_NEW(bl_rollout, decisions),
	UINT_NEW(bl_rollout, undecided),
	UINT_NEW(bl_rollout, held),
	I64_NEW(bl_rollout, paused_ms),
	TEXT_NEW(bl_rollout, paused_by),
	TEXT_NEW(bl_rollout, paused_reason),
	I64_OF(bl_rollout, start_ms),
	I64_OF(bl_rollout, stop_ms),
	I64_OF(bl_rollout, commit_ms),
	I64_OF(bl_rollout, end_ms),
};

static const struct field exposure_fields[] = {
	TEXT_OF(bl_exposure, host),	 FLAG_OF(bl_exposure, counted),
	UINT_OF(bl_exposure, wave),	 TEXT_OF(bl_exposure, boot),
	TEXT_OF(bl_exposure, previous),	 TEXT_OF(bl_exposure, reason),
	I64_OF(bl_exposure, exposed_ms), I64_OF(bl_exposure, changed_ms),
	TEXT_NEW(bl_exposure, stratum),	 TEXT_NEW(bl_exposure, other),
	TEXT_NEW(bl_exposure, worse),	 FLAG_NEW(bl_exposure, again),
};

static const struct field host_fields[] = {
	TEXT_OF(bl_fleet_host, name),	 TEXT_OF(bl_fleet_host, kernel),
	TEXT_OF(bl_fleet_host, arch),	 TEXT_OF(bl_fleet_host, os),
	TEXT_OF(bl_fleet_host, boot),	 TEXT_OF(bl_fleet_host, live),
	TEXT_OF(bl_fleet_host, rollout), TEXT_OF(bl_fleet_host, doing),
	I64_OF(bl_fleet_host, seq),	 I64_OF(bl_fleet_host, first_ms),
	I64_OF(bl_fleet_host, heard_ms), I64_OF(bl_fleet_host, events),
	I64_OF(bl_fleet_host, drops),	 TEXT_NEW(bl_fleet_host, role),
};

static const struct field bundle_fields[] = {
	TEXT_OF(bl_stored_bundle, digest),   TEXT_OF(bl_stored_bundle, name),
	TEXT_OF(bl_stored_bundle, version),  I64_OF(bl_stored_bundle, size),
	I64_OF(bl_stored_bundle, stored_ms),
};

static const struct field tombstone_fields[] = {
	TEXT_OF(bl_tombstone, rollout),
	TEXT_OF(bl_tombstone, reason),
	I64_OF(bl_tombstone, at_ms),
};

static const struct field token_fields[] = {
	TEXT_OF(bl_token, host),
	I64_OF(bl_token, until_ms),
};

static const struct field revoked_fields[] = {
	UINT_OF(bl_revoked, generation),
	TEXT_OF(bl_revoked, by),
	TEXT_OF(bl_revoked, reason),
	I64_OF(bl_revoked, at_ms),
};

static const struct field listening_fields[] = {
	I64_OF(bl_listening, since_ms),
	I64_OF(bl_listening, last_ms),
	I64_OF(bl_listening, every_ms),
};

static const struct field decider_fields[] = {
	TEXT_OF(bl_decider, who),
	I64_OF(bl_decider, until_ms),
};

static json_t *write_field(const struct field *f, const void *record)
{
	const void *at = (const char *)record + f->offset;

	switch (f->kind) {
	case TEXT:
		return json_string(at);
	case I64:
		return json_integer(*(const int64_t *)at);
	case UINT:
		return json_integer(*(const unsigned *)at);
	case FLAG:
		return json_boolean(*(const bool *)at);
	}
	return NULL;
}

static json_t *write_all(const struct field *fields, size_t count,
			 const void *record)
{
	bl_autojson json_t *obj = json_object();
	size_t i;

	for (i = 0; i < count; i++)
		if (json_object_set_new(obj, fields[i].key,
					write_field(&fields[i], record)) < 0)
			return NULL;
	return BL_TAKE(obj);
}

static bool read_field(const struct field *f, const json_t *v, void *record)
{
	void *at = (char *)record + f->offset;

	switch (f->kind) {
	case TEXT:
		if (!json_is_string(v) || json_string_length(v) >= f->size)
			return false;
		memcpy(at, json_string_value(v), json_string_length(v) + 1);
		return true;
	case I64:
		if (!json_is_integer(v))
			return false;
		*(int64_t *)at = json_integer_value(v);
		return true;
	case UINT:
		if (!json_is_integer(v) || json_integer_value(v) < 0 ||
		    json_integer_value(v) > UINT32_MAX)
			return false;
		*(unsigned *)at = (unsigned)json_integer_value(v);
		return true;
	case FLAG:
		if (!json_is_boolean(v))
			return false;
		*(bool *)at = json_is_true(v);
		return true;
	}
	return false;
}

static int bad(const struct bl_store_item *item, const char *key,
	       struct bl_err *err)
{
	bl_err_set(err, -EBADMSG, "store: %s: '%s' is missing or wrong",
		   item->key, key);
	bl_err_hint(err, "was this store written by another version of belay?");
	return -EBADMSG;
}

static int read_all(const struct bl_store_item *item,
		    const struct field *fields, size_t count, void *record,
		    struct bl_json_doc *ret, struct bl_err *err)
{
	size_t i;
	int r = bl_json_parse(item->key, bl_buf_str(&item->value),
			      item->value.len, ret, err);

	if (r < 0)
		return bl_err_wrap(err, r, "store");
	for (i = 0; i < count; i++) {
		const json_t *v = json_object_get(ret->root, fields[i].key);

		if (!(!v && fields[i].optional) &&
		    !read_field(&fields[i], v, record))
			return bad(item, fields[i].key, err);
	}
	return 0;
}

json_t *bl_metrics_json(const struct bl_metrics *m)
{
	json_t *obj = json_object();
	enum bl_guard_metric i;

	for (i = 0; i < BL_GUARD_METRICS; i++)
		if (m->known & 1u << i)
			json_object_set_new(obj, bl_guard_name(i),
					    json_real(m->value[i]));
	return obj;
}

bool bl_metrics_read(json_t *obj, struct bl_metrics *ret)
{
	struct bl_metrics m = { 0 };
	enum bl_guard_metric i;
	const char *key;
	json_t *v;

	json_object_foreach (obj, key, v) {
		if (bl_guard_parse(key, &i) < 0 || !json_is_number(v) ||
		    !(json_number_value(v) >= 0))
			return false;
		m.value[i] = json_number_value(v);
		m.known |= 1u << i;
	}
	*ret = m;
	return true;
}

static json_t *pairs_json(const struct bl_rollout *r)
{
	json_t *obj = json_object();
	enum bl_guard_metric m;

	for (m = 0; m < BL_GUARD_METRICS; m++)
		if (r->pairs[m].pairs)
			json_object_set_new(
				obj, bl_guard_name(m),
				json_pack("[I,I]",
					  (json_int_t)r->pairs[m].worse,
					  (json_int_t)r->pairs[m].pairs));
	return obj;
}

static bool read_pairs(json_t *obj, struct bl_rollout *ret)
{
	json_int_t worse, pairs;
	enum bl_guard_metric m;
	const char *key;
	json_t *v;

	json_object_foreach (obj, key, v) {
		if (bl_guard_parse(key, &m) < 0 ||
		    json_unpack(v, "[I,I]", &worse, &pairs) < 0 || worse < 0 ||
		    worse > pairs || pairs > UINT32_MAX)
			return false;
		ret->pairs[m] =
			(struct bl_pairs){ (unsigned)worse, (unsigned)pairs };
	}
	return true;
}

/* [KEY, exposed, good, bad] of each. */
static json_t *strata_json(const struct bl_rollout *r)
{
	json_t *list = json_array();
	char key[BL_STRATUM_KEY];
	unsigned i;

	for (i = 0; i < r->stratum_count; i++) {
		const struct bl_stratum *s = &r->strata[i];

		snprintf(key, sizeof(key), "%016" PRIx64, s->key);
		json_array_append_new(list, json_pack("[s,I,I,I]", key,
						      (json_int_t)s->exposed,
						      (json_int_t)s->good,
						      (json_int_t)s->bad));
	}
	return list;
}

static bool read_strata(json_t *list, struct bl_rollout *ret)
{
	json_int_t exposed, good, nbad;
	const char *key;
	json_t *v;
	size_t i;

	if (json_array_size(list) > BL_STRATA_MAX)
		return false;
	json_array_foreach (list, i, v) {
		if (json_unpack(v, "[s,I,I,I]", &key, &exposed, &good, &nbad) <
			    0 ||
		    good < 0 || nbad < 0 || good + nbad > exposed ||
		    exposed > UINT32_MAX)
			return false;
		ret->strata[ret->stratum_count++] = (struct bl_stratum){
			.key = strtoull(key, NULL, 16),
			.exposed = (unsigned)exposed,
			.good = (unsigned)good,
			.bad = (unsigned)nbad,
		};
	}
	return true;
}

json_t *bl_rollout_json(const struct bl_rollout *r)
{
	bl_autojson json_t *obj =
		write_all(rollout_fields, BL_ARRAY_SIZE(rollout_fields), r);
	const char *state = bl_rollout_state_name(r->state);

	if (!obj || json_object_set_new(obj, "state", json_string(state)) < 0 ||
	    json_object_set_new(obj, "plan", bl_plan_json(&r->plan)) < 0 ||
	    json_object_set_new(obj, "strata", strata_json(r)) < 0 ||
	    json_object_set_new(obj, "pairs", pairs_json(r)) < 0)
		return NULL;
	return BL_TAKE(obj);
}

int bl_rollout_read(const struct bl_store_item *item, struct bl_rollout *ret,
		    struct bl_err *err)
{
	bl_autojson_doc struct bl_json_doc doc = { 0 };
	struct bl_rollout rollout = { 0 };
	const char *state;
	int r = read_all(item, rollout_fields, BL_ARRAY_SIZE(rollout_fields),
			 &rollout, &doc, err);

	if (r < 0)
		return r;
	state = json_string_value(json_object_get(doc.root, "state"));
	if (!state || bl_rollout_state_parse(state, &rollout.state) < 0)
		return bad(item, "state", err);
	r = bl_plan_read(&doc, json_object_get(doc.root, "plan"), "plan",
			 &rollout.plan, err);
	if (r < 0)
		return bl_err_wrap(err, r, "store");
	if (rollout.wave >= rollout.plan.wave_count)
		return bad(item, "wave", err);
	if (!read_strata(json_object_get(doc.root, "strata"), &rollout))
		return bad(item, "strata", err);
	if (!read_pairs(json_object_get(doc.root, "pairs"), &rollout))
		return bad(item, "pairs", err);
	*ret = rollout;
	return 0;
}

json_t *bl_exposure_json(const struct bl_exposure *e)
{
	bl_autojson json_t *obj =
		write_all(exposure_fields, BL_ARRAY_SIZE(exposure_fields), e);
	const char *state = bl_exposure_state_name(e->state);

	if (!obj || json_object_set_new(obj, "state", json_string(state)) < 0)
		return NULL;
	return BL_TAKE(obj);
}

int bl_exposure_read(const struct bl_store_item *item, struct bl_exposure *ret,
		     struct bl_err *err)
{
	bl_autojson_doc struct bl_json_doc doc = { 0 };
	struct bl_exposure e = { 0 };
	const char *state;
	int r = read_all(item, exposure_fields, BL_ARRAY_SIZE(exposure_fields),
			 &e, &doc, err);

	if (r < 0)
		return r;
	state = json_string_value(json_object_get(doc.root, "state"));
	if (!state || bl_exposure_state_parse(state, &e.state) < 0)
		return bad(item, "state", err);
	*ret = e;
	return 0;
}

json_t *bl_fleet_host_json(const struct bl_fleet_host *h)
{
	bl_autojson json_t *obj =
		write_all(host_fields, BL_ARRAY_SIZE(host_fields), h);
	json_t *sessions = json_array(), *sample = json_array();
	json_t *labels = json_array();
	unsigned i;

	for (i = 0; i < BL_SESSIONS_KEPT && *h->sessions[i]; i++)
		json_array_append_new(sessions, json_string(h->sessions[i]));
	for (i = 0; i < h->sample_count; i++)
		json_array_append_new(sample, json_string(h->sample[i]));
	for (i = 0; i < h->label_count; i++)
		json_array_append_new(labels, json_string(h->labels[i]));
	if (json_object_set_new(obj, "sessions", sessions) < 0 ||
	    json_object_set_new(obj, "labels", labels) < 0 ||
	    json_object_set_new(obj, "metrics", bl_metrics_json(&h->metrics)) <
		    0 ||
	    json_object_set_new(obj, "sample", sample) < 0)
		return NULL;
	return BL_TAKE(obj);
}

int bl_fleet_host_read(const struct bl_store_item *item,
		       struct bl_fleet_host *ret, struct bl_err *err)
{
	bl_autojson_doc struct bl_json_doc doc = { 0 };
	struct bl_fleet_host h = { 0 };
	const json_t *list;
	size_t i, n;
	int r = read_all(item, host_fields, BL_ARRAY_SIZE(host_fields), &h,
			 &doc, err);

	if (r < 0)
		return r;
	list = json_object_get(doc.root, "sessions");
	n = json_array_size(list);
	for (i = 0; i < n && i < BL_SESSIONS_KEPT; i++)
		bl_text_copy(h.sessions[i], BL_SESSION_LEN,
			     json_string_value(json_array_get(list, i)));
	list = json_object_get(doc.root, "sample");
	n = json_array_size(list);
	for (i = 0; i < n && i < BL_SAMPLE_MAX; i++)
		bl_text_copy(h.sample[i], BL_SAMPLE_LEN,
			     json_string_value(json_array_get(list, i)));
	h.sample_count = (unsigned)i;
	list = json_object_get(doc.root, "labels");
	n = json_array_size(list);
	for (i = 0; i < n && i < BL_LABELS_MAX; i++)
		bl_text_copy(h.labels[i], BL_LABEL_LEN,
			     json_string_value(json_array_get(list, i)));
	h.label_count = (unsigned)i;
	if (!bl_metrics_read(json_object_get(doc.root, "metrics"), &h.metrics))
		return bad(item, "metrics", err);
	*ret = h;
	return 0;
}

#define PLAIN(name, type, fields)                                              \
	json_t *name##_json(const struct type *record)                         \
	{                                                                      \
		return write_all(fields, BL_ARRAY_SIZE(fields), record);       \
	}                                                                      \
	int name##_read(const struct bl_store_item *item, struct type *ret,    \
			struct bl_err *err)                                    \
	{                                                                      \
		bl_autojson_doc struct bl_json_doc doc = { 0 };                \
		struct type record = { 0 };                                    \
		int r = read_all(item, fields, BL_ARRAY_SIZE(fields), &record, \
				 &doc, err);                                   \
                                                                               \
		if (r < 0)                                                     \
			return r;                                              \
		*ret = record;                                                 \
		return 0;                                                      \
	}

PLAIN(bl_stored_bundle, bl_stored_bundle, bundle_fields)
PLAIN(bl_tombstone, bl_tombstone, tombstone_fields)
PLAIN(bl_token, bl_token, token_fields)
PLAIN(bl_revoked, bl_revoked, revoked_fields)
PLAIN(bl_listening, bl_listening, listening_fields)
PLAIN(bl_decider, bl_decider, decider_fields)
