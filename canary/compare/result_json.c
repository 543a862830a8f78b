/* SPDX-License-Identifier: Apache-2.0 */
/* The JSON of a result, both ways. Seconds there, milliseconds here. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "canary/compare/result.h"
#include "canary/ledger/record.h"
#include "loader/base/cleanup.h"
#include "loader/base/text.h"

/* Milliseconds as seconds come out as they were meant: 6.2, not 6.2000…02. */
#define SECONDS_DIGITS 12

static json_t *text_of(const char *text)
{
	return json_string(text ? text : "");
}

static json_t *seconds(int64_t ms)
{
	return ms == BL_COMPARE_NEVER ? json_null()
				      : json_real((double)ms / 1000);
}

static json_t *blame_json(enum bl_compare_blame blame)
{
	return blame == BL_COMPARE_NO_CRASH
		       ? json_null()
		       : json_boolean(blame == BL_COMPARE_BLAMED);
}

static json_t *live_json(const struct bl_compare_result *r)
{
	bl_autojson json_t *all = json_array();
	size_t i;

	for (i = 0; i < r->live_count; i++)
		if (json_array_append_new(all, json_string(r->live_after[i])) <
		    0)
			return NULL;
	return BL_TAKE(all);
}

static json_t *down_json(const struct bl_compare_result *r)
{
	bl_autojson json_t *all = json_array();
	size_t i;

	for (i = 0; i < r->down_count; i++)
		if (json_array_append_new(
			    all, json_pack("[I,i]", (json_int_t)r->down[i].t_ms,
					   (int)r->down[i].hosts)) < 0)
			return NULL;
	return BL_TAKE(all);
}

static json_t *lines_json(const struct bl_compare_line *lines, size_t count,
			  bool timed)
{
	bl_autojson json_t *all = json_array();
	size_t i;

	for (i = 0; i < count; i++) {
		json_t *line = json_object();

		if (json_array_append_new(all, line) < 0)
			return NULL;
		if ((timed &&
		     json_object_set_new(line, "t_ms",
					 json_integer(lines[i].t_ms)) < 0) ||
		    json_object_set_new(line, "host",
					json_string(lines[i].host)) < 0 ||
		    json_object_set_new(line, "text", text_of(lines[i].text)) <
			    0)
			return NULL;
	}
	return BL_TAKE(all);
}

static json_t *logs_json(const struct bl_compare_result *r)
{
	bl_autojson json_t *all = json_array();
	size_t i;

	for (i = 0; i < r->log_count; i++)
		if (json_array_append_new(
			    all, json_pack("{s:s,s:s}", "name", r->logs[i].name,
					   "text", r->logs[i].text)) < 0)
			return NULL;
	return BL_TAKE(all);
}

static json_t *gate_json(const struct bl_compare_result *r)
{
	return json_pack("{s:s,s:s,s:s}", "verdict",
			 bl_compare_verdict_name(r->gate.verdict), "check",
			 r->gate.check, "words",
			 r->gate.words ? r->gate.words : "");
}

json_t *bl_compare_result_json(const struct bl_compare_result *r)
{
	const struct {
		const char *key;
		json_t *value;
	} members[] = {
		{ "fault", json_string(r->fault) },
		{ "kernel", json_string(r->kernel) },
		{ "way", json_string(bl_compare_way_name(r->way)) },
		{ "failed", r->failed ? json_string(r->failed) : json_null() },
		{ "gate", gate_json(r) },
		{ "stopped_by",
		  json_string(bl_compare_stop_name(r->stopped_by)) },
		{ "past_gate", json_pack("{s:s}", "stopped_by",
					 bl_compare_stop_name(r->past_gate)) },
		{ "hosts", json_integer(r->hosts) },
		{ "exposed", json_integer(r->exposed) },
		{ "lost", json_integer(r->lost) },
		{ "crashes", json_integer(r->crashes) },
		{ "reboots", json_integer(r->reboots) },
		{ "outage_s", seconds(r->outage_ms) },
		{ "recover_s", seconds(r->recover_ms) },
		{ "attributed", blame_json(r->attributed) },
		{ "as_expected", json_boolean(r->as_expected) },
		{ "live_after", live_json(r) },
		{ "down", down_json(r) },
		{ "timeline",
		  lines_json(r->timeline, r->timeline_count, true) },
		{ "evidence",
		  lines_json(r->evidence, r->evidence_count, false) },
		{ "logs", logs_json(r) },
		{ "seconds", seconds(r->took_ms) },
		{ "belay", json_string(r->belay) },
		{ "variant", json_string(r->variant) },
	};
	bl_autojson json_t *o = json_object();
	bool whole = o != NULL;
	size_t i;

	/* Each is put in even after a failure: that frees it. */
	for (i = 0; i < BL_ARRAY_SIZE(members); i++)
		if (json_object_set_new(o, members[i].key, members[i].value) <
		    0)
			whole = false;
	return whole ? BL_TAKE(o) : NULL;
}

char *bl_compare_dump(json_t *v)
{
	char *text = NULL, *line;

	if (v)
		text = json_dumps(v,
				  JSON_INDENT(1) | JSON_PRESERVE_ORDER |
					  JSON_REAL_PRECISION(SECONDS_DIGITS));
	json_decref(v);
	if (!text)
		return NULL;
	if (asprintf(&line, "%s\n", text) < 0)
		line = NULL;
	free(text);
	return line;
}

struct raw {
	const char *fault, *kernel, *way, *failed, *stopped_by, *belay;
	const char *variant;
	json_t *gate, *past_gate, *live_after, *down, *timeline, *evidence;
	json_t *logs;
	int64_t hosts, exposed, lost, crashes, reboots;
	double outage_s, recover_s, seconds;
	bool attributed, as_expected;
};

#define AT(m) offsetof(struct raw, m)
#define NAME  1, BL_COMPARE_NAME_MAX - 1

/* null stands for "there is none" where the table says that it need not be. */
static const struct bl_json_field fields[] = {
	{ "fault", BL_JSON_STRING, true, AT(fault), NAME },
	{ "kernel", BL_JSON_STRING, true, AT(kernel), 1,
	  BL_COMPARE_KERNEL_MAX - 1 },
	{ "way", BL_JSON_STRING, true, AT(way), NAME },
	{ "failed", BL_JSON_STRING, false, AT(failed), 1, BL_COMPARE_TEXT_MAX },
	{ "gate", BL_JSON_OBJECT, true, AT(gate), 0, 0 },
	{ "stopped_by", BL_JSON_STRING, true, AT(stopped_by), NAME },
	{ "past_gate", BL_JSON_OBJECT, true, AT(past_gate), 0, 0 },
	{ "hosts", BL_JSON_INT, true, AT(hosts), 0, BL_COMPARE_HOSTS_MAX },
	{ "exposed", BL_JSON_INT, true, AT(exposed), 0, BL_COMPARE_HOSTS_MAX },
	{ "lost", BL_JSON_INT, true, AT(lost), 0, BL_COMPARE_HOSTS_MAX },
	{ "crashes", BL_JSON_INT, true, AT(crashes), 0, BL_COMPARE_COUNT_MAX },
	{ "reboots", BL_JSON_INT, true, AT(reboots), 0, BL_COMPARE_COUNT_MAX },
	{ "outage_s", BL_JSON_REAL, true, AT(outage_s), 0,
	  BL_COMPARE_TIME_MAX / 1000 * BL_COMPARE_HOSTS_MAX },
	{ "recover_s", BL_JSON_REAL, false, AT(recover_s), 0,
	  BL_COMPARE_TIME_MAX / 1000 },
	{ "attributed", BL_JSON_BOOL, false, AT(attributed), 0, 0 },
	{ "as_expected", BL_JSON_BOOL, true, AT(as_expected), 0, 0 },
	{ "live_after", BL_JSON_ARRAY, true, AT(live_after), 0,
	  BL_COMPARE_HOSTS_MAX },
	{ "down", BL_JSON_ARRAY, true, AT(down), 0, BL_COMPARE_DOWN_MAX },
	{ "timeline", BL_JSON_ARRAY, true, AT(timeline), 0,
	  BL_COMPARE_TIMELINE_MAX },
	{ "evidence", BL_JSON_ARRAY, true, AT(evidence), 0,
	  BL_COMPARE_EVIDENCE_MAX },
	{ "logs", BL_JSON_ARRAY, true, AT(logs), 0, BL_COMPARE_LOGS_MAX },
	{ "seconds", BL_JSON_REAL, true, AT(seconds), 0,
	  BL_COMPARE_TIME_MAX / 1000 },
	{ "belay", BL_JSON_STRING, true, AT(belay), NAME },
	{ "variant", BL_JSON_STRING, true, AT(variant), 0,
	  BL_COMPARE_NAME_MAX - 1 },
};

struct read {
	const struct bl_json_doc *doc;
	const char *path; /* of the result */
	struct bl_err *err;
};

static int fail(const struct read *s, const char *key, const char *what,
		const char *value)
{
	char at[BL_JSON_PATH_MAX];

	snprintf(at, sizeof(at), "%s%s%s", s->path, *s->path ? "." : "", key);
	return bl_json_fail(s->doc, at, s->err, "%s%s%s", what,
			    *value ? ": " : "", value);
}

static int read_object(const struct read *s, const char *key, size_t index,
		       const json_t *obj, const struct bl_json_field *table,
		       size_t count, void *target)
{
	char at[BL_JSON_PATH_MAX];
	int n = snprintf(at, sizeof(at), "%s%s%s", s->path, *s->path ? "." : "",
			 key);

	if (index != SIZE_MAX)
		snprintf(at + n, sizeof(at) - (size_t)n, "[%zu]", index);
	return bl_json_read(s->doc, obj, at, table, count, target, s->err);
}

static int read_gate(const struct read *s, const json_t *obj,
		     struct bl_compare_result *r)
{
	struct raw_gate {
		const char *verdict, *check, *words;
	} raw = { 0 };
	static const struct bl_json_field table[] = {
		{ "verdict", BL_JSON_STRING, true,
		  offsetof(struct raw_gate, verdict), NAME },
		{ "check", BL_JSON_STRING, true,
		  offsetof(struct raw_gate, check), 0,
		  BL_COMPARE_NAME_MAX - 1 },
		{ "words", BL_JSON_STRING, true,
		  offsetof(struct raw_gate, words), 0, BL_COMPARE_TEXT_MAX },
	};
	int e = read_object(s, "gate", SIZE_MAX, obj, table,
			    BL_ARRAY_SIZE(table), &raw);
	unsigned i;

	if (e < 0)
		return e;
	for (i = 0; i < BL_COMPARE_VERDICTS; i++)
		if (strcmp(raw.verdict, bl_compare_verdict_name(i)) == 0)
			break;
	if (i == BL_COMPARE_VERDICTS)
		return fail(s, "gate.verdict", "unknown verdict", raw.verdict);
	r->gate.verdict = i;
	bl_text_copy(r->gate.check, sizeof(r->gate.check), raw.check);
	return *raw.words ? bl_compare_set(&r->gate.words, raw.words) : 0;
}

static int read_past_gate(const struct read *s, const json_t *obj,
			  struct bl_compare_result *r)
{
	const char *stop = NULL;
	static const struct bl_json_field table[] = {
		{ "stopped_by", BL_JSON_STRING, true, 0, NAME },
	};
	int e = read_object(s, "past_gate", SIZE_MAX, obj, table, 1, &stop);

	if (e < 0)
		return e;
	if (!bl_compare_stop_find(stop, &r->past_gate))
		return fail(s, "past_gate.stopped_by", "unknown word", stop);
	return 0;
}

static int read_live(const struct read *s, const json_t *all,
		     struct bl_compare_result *r)
{
	json_t *v;
	size_t i;
	int e = 0;

	json_array_foreach (all, i, v) {
		if (!json_is_string(v) ||
		    json_string_length(v) >= BL_COMPARE_NAME_MAX)
			return fail(s, "live_after",
				    "a list of short strings was expected", "");
		e = e ? e : bl_compare_live(r, json_string_value(v));
	}
	return e;
}

static int read_down(const struct read *s, const json_t *all,
		     struct bl_compare_result *r)
{
	int64_t before = 0, t_ms, hosts;
	json_t *v;
	size_t i;
	int e = 0;

	json_array_foreach (all, i, v) {
		if (json_array_size(v) != 2 ||
		    !json_is_integer(json_array_get(v, 0)) ||
		    !json_is_integer(json_array_get(v, 1)))
			return fail(s, "down",
				    "pairs [ms, hosts down] were expected", "");
		t_ms = json_integer_value(json_array_get(v, 0));
		hosts = json_integer_value(json_array_get(v, 1));
		if (t_ms < before || t_ms > BL_COMPARE_TIME_MAX)
			return fail(s, "down", "times must ascend", "");
		if (hosts < 0 || hosts > r->hosts)
			return fail(s, "down", "more hosts down than there are",
				    "");
		before = t_ms;
		e = e ? e : bl_compare_down(r, t_ms, (unsigned)hosts);
	}
	return e;
}

struct raw_line {
	int64_t t_ms;
	const char *host, *text;
};

/* The first is left out for evidence. */
static const struct bl_json_field line_fields[] = {
	{ "t_ms", BL_JSON_INT, true, offsetof(struct raw_line, t_ms),
	  -BL_COMPARE_TIME_MAX, BL_COMPARE_TIME_MAX },
	{ "host", BL_JSON_STRING, true, offsetof(struct raw_line, host), 0,
	  BL_COMPARE_NAME_MAX - 1 },
	{ "text", BL_JSON_STRING, true, offsetof(struct raw_line, text), 0,
	  BL_COMPARE_LINE_MAX },
};

static int read_lines(const struct read *s, const json_t *timeline,
		      const json_t *evidence, struct bl_compare_result *r)
{
	struct raw_line raw = { 0 };
	json_t *v;
	size_t i;
	int e;

	json_array_foreach (timeline, i, v) {
		e = read_object(s, "timeline", i, v, line_fields, 3, &raw);
		e = e ? e
		      : bl_compare_say(r, raw.t_ms, raw.host, "%s", raw.text);
		if (e < 0)
			return e;
	}
	json_array_foreach (evidence, i, v) {
		e = read_object(s, "evidence", i, v, line_fields + 1, 2, &raw);
		e = e ? e : bl_compare_evidence(r, raw.host, raw.text);
		if (e < 0)
			return e;
	}
	return 0;
}

static int read_logs(const struct read *s, const json_t *all,
		     struct bl_compare_result *r)
{
	struct raw_log {
		const char *name, *text;
	} raw = { 0 };
	static const struct bl_json_field table[] = {
		{ "name", BL_JSON_STRING, true, offsetof(struct raw_log, name),
		  NAME },
		{ "text", BL_JSON_STRING, true, offsetof(struct raw_log, text),
		  0, BL_COMPARE_TEXT_MAX },
	};
	json_t *v;
	size_t i;
	int e;

	json_array_foreach (all, i, v) {
		e = read_object(s, "logs", i, v, table, 2, &raw);
		e = e ? e : bl_compare_log(r, raw.name, raw.text);
		if (e < 0)
			return e;
	}
	return 0;
}

static int64_t from_seconds(double s)
{
	return (int64_t)(s * 1000 + 0.5);
}

static int take_plain(const struct read *s, const struct raw *raw,
		      struct bl_compare_result *r)
{
	if (!bl_compare_way_find(raw->way, &r->way))
		return fail(s, "way", "A, B or C was expected", raw->way);
	if (!bl_compare_stop_find(raw->stopped_by, &r->stopped_by))
		return fail(s, "stopped_by", "unknown word", raw->stopped_by);
	if (raw->exposed > raw->hosts)
		return fail(s, "exposed", "more hosts than there are", "");
	if (raw->lost > raw->hosts)
		return fail(s, "lost", "more hosts than there are", "");
	bl_text_copy(r->fault, sizeof(r->fault), raw->fault);
	bl_text_copy(r->kernel, sizeof(r->kernel), raw->kernel);
	bl_text_copy(r->belay, sizeof(r->belay), raw->belay);
	bl_text_copy(r->variant, sizeof(r->variant), raw->variant);
	r->hosts = (unsigned)raw->hosts;
	r->exposed = (unsigned)raw->exposed;
	r->lost = (unsigned)raw->lost;
	r->crashes = (unsigned)raw->crashes;
	r->reboots = (unsigned)raw->reboots;
	r->outage_ms = from_seconds(raw->outage_s);
	r->recover_ms = raw->recover_s < 0 ? BL_COMPARE_NEVER
					   : from_seconds(raw->recover_s);
	r->took_ms = from_seconds(raw->seconds);
	r->as_expected = raw->as_expected;
	return raw->failed ? bl_compare_set(&r->failed, raw->failed) : 0;
}

/* Of the keys that may be null each must be there all the same: one that was
 * forgotten is not "never". Takes the nulls out of @obj. */
static int drop_nulls(const struct read *s, json_t *obj,
		      struct bl_compare_result *r)
{
	static const char *const keys[] = { "failed", "recover_s",
					    "attributed" };
	const json_t *v;
	size_t i;

	for (i = 0; i < BL_ARRAY_SIZE(keys); i++) {
		v = json_object_get(obj, keys[i]);
		if (!v)
			return bl_json_fail(s->doc, s->path, s->err,
					    "required key '%s' is missing",
					    keys[i]);
		if (strcmp(keys[i], "attributed") == 0 && !json_is_null(v))
			r->attributed = json_is_true(v) ? BL_COMPARE_BLAMED
							: BL_COMPARE_NOT_BLAMED;
		if (json_is_null(v))
			json_object_del(obj, keys[i]);
	}
	return 0;
}

int bl_compare_result_read(const struct bl_json_doc *doc, const json_t *obj,
			   const char *path, struct bl_compare_result *ret,
			   struct bl_err *err)
{
	bl_autocompare_result struct bl_compare_result r = { 0 };
	bl_autojson json_t *copy = NULL;
	const struct read s = { doc, path, err };
	struct raw raw = { .recover_s = -1 };
	int e;

	if (!json_is_object(obj))
		return bl_json_fail(doc, path, err, "an object was expected");
	copy = json_copy((json_t *)(uintptr_t)obj);
	if (!copy)
		return bl_err_set(err, -ENOMEM, "out of memory");
	e = drop_nulls(&s, copy, &r);
	e = e ? e
	      : bl_json_read(doc, copy, path, fields, BL_ARRAY_SIZE(fields),
			     &raw, err);
	e = e ? e : take_plain(&s, &raw, &r);
	e = e ? e : read_gate(&s, raw.gate, &r);
	e = e ? e : read_past_gate(&s, raw.past_gate, &r);
	e = e ? e : read_live(&s, raw.live_after, &r);
	e = e ? e : read_down(&s, raw.down, &r);
	e = e ? e : read_lines(&s, raw.timeline, raw.evidence, &r);
	e = e ? e : read_logs(&s, raw.logs, &r);
	if (e == -ENOMEM)
		return bl_err_set(err, e, "out of memory");
	if (e < 0)
		return e;
	*ret = r;
	r = (struct bl_compare_result){ 0 };
	return 0;
}

int bl_compare_result_load(const char *path, struct bl_compare_result *ret,
			   struct bl_err *err)
{
	bl_autojson_doc struct bl_json_doc doc = { 0 };
	int e = bl_json_load(path, BL_COMPARE_RESULT_MAX, &doc, err);

	if (e < 0)
		return e;
	return bl_compare_result_read(&doc, doc.root, "", ret, err);
}
