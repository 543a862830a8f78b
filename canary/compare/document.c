/* SPDX-License-Identifier: Apache-2.0 */
#include "canary/compare/document.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "canary/ledger/record.h"
#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/base/text.h"

void bl_compare_free(struct bl_compare *c)
{
	size_t i;

	json_decref(c->faults);
	json_decref(c->overhead);
	for (i = 0; i < c->run_count; i++)
		bl_compare_result_free(&c->runs[i]);
	free(c->runs);
	*c = (struct bl_compare){ 0 };
}

const struct bl_compare_result *bl_compare_find(const struct bl_compare *c,
						const char *fault,
						const char *kernel,
						enum bl_compare_way way)
{
	size_t i;

	for (i = 0; i < c->run_count; i++)
		if (c->runs[i].way == way &&
		    strcmp(c->runs[i].fault, fault) == 0 &&
		    strcmp(c->runs[i].kernel, kernel) == 0)
			return &c->runs[i];
	return NULL;
}

int bl_compare_add(struct bl_compare *c, struct bl_compare_result *run)
{
	struct bl_compare_result *at, *runs;

	at = (struct bl_compare_result *)(uintptr_t)bl_compare_find(
		c, run->fault, run->kernel, run->way);
	if (at) {
		bl_compare_result_free(at);
	} else {
		if (c->run_count == BL_COMPARE_RUNS_MAX)
			return -E2BIG;
		runs = realloc(c->runs, (c->run_count + 1) * sizeof(*runs));
		if (!runs)
			return -ENOMEM;
		c->runs = runs;
		at = &runs[c->run_count++];
	}
	*at = *run;
	*run = (struct bl_compare_result){ 0 };
	return 0;
}

const char *bl_compare_fault_text(const json_t *fault, const char *key)
{
	const char *text = json_string_value(json_object_get(fault, key));

	return text ? text : "";
}

const char *bl_compare_fault_none(const json_t *fault, enum bl_compare_way way)
{
	const json_t *twin =
		json_object_get(fault, way == BL_COMPARE_C ? "ebpf" : "module");

	return json_string_value(json_object_get(twin, "none"));
}

void bl_compare_sum(const struct bl_compare *c, const char *kernel,
		    enum bl_compare_way way, struct bl_compare_total *ret)
{
	struct bl_compare_total t = { 0 };
	size_t i;

	for (i = 0; i < c->run_count; i++) {
		const struct bl_compare_result *r = &c->runs[i];

		if (r->way != way || (kernel && strcmp(kernel, r->kernel) != 0))
			continue;
		t.runs++;
		if (r->failed) {
			t.failed++;
			continue;
		}
		t.hosts += r->hosts;
		t.exposed += r->exposed;
		t.lost += r->lost;
		t.crashes += r->crashes;
		t.reboots += r->reboots;
		t.rejected += r->gate.verdict == BL_COMPARE_REJECTED;
		t.crashed += r->attributed != BL_COMPARE_NO_CRASH;
		t.blamed += r->attributed == BL_COMPARE_BLAMED;
		t.as_expected += r->as_expected;
		t.outage_ms += r->outage_ms;
		t.never += r->recover_ms == BL_COMPARE_NEVER;
		if (r->recover_ms > t.recover_max_ms)
			t.recover_max_ms = r->recover_ms;
	}
	*ret = t;
}

static json_t *kernels_json(const struct bl_compare *c)
{
	bl_autojson json_t *all = json_array();
	size_t i;

	for (i = 0; i < c->kernel_count; i++)
		if (json_array_append_new(all, json_string(c->kernels[i])) < 0)
			return NULL;
	return BL_TAKE(all);
}

static json_t *runs_json(const struct bl_compare *c)
{
	bl_autojson json_t *all = json_array();
	size_t i;

	for (i = 0; i < c->run_count; i++)
		if (json_array_append_new(
			    all, bl_compare_result_json(&c->runs[i])) < 0)
			return NULL;
	return BL_TAKE(all);
}

json_t *bl_compare_json(const struct bl_compare *c)
{
	json_t *faults = c->faults ? json_incref(c->faults) : json_array();
	json_t *overhead = c->overhead ? json_incref(c->overhead) : json_null();
	const struct {
		const char *key;
		json_t *value;
	} members[] = {
		{ "schema", json_integer(BL_COMPARE_SCHEMA) },
		{ "made", json_string(c->made) },
		{ "belay", json_string(c->belay) },
		{ "kernels", kernels_json(c) },
		{ "faults", faults },
		{ "runs", runs_json(c) },
		{ "overhead", overhead },
	};
	bl_autojson json_t *o = json_object();
	bool whole = o != NULL;
	size_t i;

	for (i = 0; i < BL_ARRAY_SIZE(members); i++)
		if (json_object_set_new(o, members[i].key, members[i].value) <
		    0)
			whole = false;
	return whole ? BL_TAKE(o) : NULL;
}

struct raw {
	int64_t schema;
	const char *made, *belay;
	json_t *kernels, *faults, *runs, *overhead;
};

#define AT(m) offsetof(struct raw, m)

static const struct bl_json_field fields[] = {
	{ "schema", BL_JSON_INT, true, AT(schema), BL_COMPARE_SCHEMA,
	  BL_COMPARE_SCHEMA },
	{ "made", BL_JSON_STRING, true, AT(made), 1, BL_COMPARE_NAME_MAX - 1 },
	{ "belay", BL_JSON_STRING, true, AT(belay), 1,
	  BL_COMPARE_NAME_MAX - 1 },
	{ "kernels", BL_JSON_ARRAY, true, AT(kernels), 0,
	  BL_COMPARE_KERNELS_MAX },
	{ "faults", BL_JSON_ARRAY, true, AT(faults), 0, BL_COMPARE_FAULTS_MAX },
	{ "runs", BL_JSON_ARRAY, true, AT(runs), 0, BL_COMPARE_RUNS_MAX },
	{ "overhead", BL_JSON_OBJECT, false, AT(overhead), 0, 0 },
};

static int take_kernels(const struct bl_json_doc *doc, const json_t *all,
			struct bl_compare *c, struct bl_err *err)
{
	json_t *v;
	size_t i;

	json_array_foreach (all, i, v) {
		if (json_string_length(v) == 0 ||
		    json_string_length(v) >= BL_COMPARE_KERNEL_MAX)
			return bl_json_fail(
				doc, "kernels", err,
				"a list of names of at most %d bytes was expected",
				BL_COMPARE_KERNEL_MAX - 1);
		bl_text_copy(c->kernels[c->kernel_count++],
			     BL_COMPARE_KERNEL_MAX, json_string_value(v));
	}
	return 0;
}

static int take_faults(const struct bl_json_doc *doc, json_t *all,
		       struct bl_compare *c, struct bl_err *err)
{
	char at[BL_JSON_PATH_MAX];
	json_t *v;
	size_t i;

	json_array_foreach (all, i, v) {
		if (*bl_compare_fault_text(v, "id"))
			continue;
		snprintf(at, sizeof(at), "faults[%zu]", i);
		return bl_json_fail(doc, at, err, "a fault needs an 'id'");
	}
	c->faults = json_incref(all);
	return 0;
}

static bool lists_fault(const struct bl_compare *c, const char *id)
{
	const json_t *v;
	size_t i;

	json_array_foreach (c->faults, i, v)
		if (strcmp(bl_compare_fault_text(v, "id"), id) == 0)
			return true;
	return false;
}

static bool lists_kernel(const struct bl_compare *c, const char *kernel)
{
	size_t i;

	for (i = 0; i < c->kernel_count; i++)
		if (strcmp(c->kernels[i], kernel) == 0)
			return true;
	return false;
}

static int take_run(const struct bl_json_doc *doc, const json_t *v, size_t i,
		    struct bl_compare *c, struct bl_err *err)
{
	bl_autocompare_result struct bl_compare_result run = { 0 };
	char at[BL_JSON_PATH_MAX];
	int e;

	snprintf(at, sizeof(at), "runs[%zu]", i);
	e = bl_compare_result_read(doc, v, at, &run, err);
	if (e < 0)
		return e;
	if (!lists_fault(c, run.fault))
		return bl_json_fail(doc, at, err,
				    "'%s' is none of the faults of this file",
				    run.fault);
	if (!lists_kernel(c, run.kernel))
		return bl_json_fail(doc, at, err,
				    "'%s' is none of the kernels of this file",
				    run.kernel);
	if (bl_compare_find(c, run.fault, run.kernel, run.way))
		return bl_json_fail(
			doc, at, err,
			"there is a run of %s on %s in way %s before this",
			run.fault, run.kernel, bl_compare_way_name(run.way));
	e = bl_compare_add(c, &run);
	return e < 0 ? bl_err_errno(err, e, "%s: %s", doc->name, at) : 0;
}

static int take(const struct bl_json_doc *doc, struct bl_compare *c,
		struct bl_err *err)
{
	bl_autojson json_t *copy = json_copy(doc->root);
	const json_t *overhead = json_object_get(doc->root, "overhead");
	struct raw raw = { 0 };
	json_t *v;
	size_t i;
	int e;

	if (json_is_object(doc->root) && !overhead)
		return bl_json_fail(doc, "", err,
				    "required key 'overhead' is missing");
	if (json_is_null(overhead))
		json_object_del(copy, "overhead");
	e = bl_json_read(doc, copy, "", fields, BL_ARRAY_SIZE(fields), &raw,
			 err);
	if (e < 0)
		return e;
	bl_text_copy(c->made, sizeof(c->made), raw.made);
	bl_text_copy(c->belay, sizeof(c->belay), raw.belay);
	c->overhead = json_incref(raw.overhead);
	e = take_kernels(doc, raw.kernels, c, err);
	e = e ? e : take_faults(doc, raw.faults, c, err);
	json_array_foreach (raw.runs, i, v)
		e = e ? e : take_run(doc, v, i, c, err);
	return e;
}

int bl_compare_parse(const char *name, const char *text, size_t len,
		     struct bl_compare *ret, struct bl_err *err)
{
	bl_autojson_doc struct bl_json_doc doc = { 0 };
	bl_autocompare struct bl_compare c = { 0 };
	int e = bl_json_parse(name, text, len, &doc, err);

	e = e ? e : take(&doc, &c, err);
	if (e < 0)
		return e;
	*ret = c;
	c = (struct bl_compare){ 0 };
	return 0;
}

int bl_compare_load(const char *path, struct bl_compare *ret,
		    struct bl_err *err)
{
	bl_autobuf struct bl_buf text = { 0 };
	int e = bl_file_read(path, BL_COMPARE_DOCUMENT_MAX, &text, err);

	if (e < 0)
		return e;
	return bl_compare_parse(path, bl_buf_str(&text), text.len, ret, err);
}
