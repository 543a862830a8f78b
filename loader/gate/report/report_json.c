/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/gate/report/report_json.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/base/json.h"

#define SCHEMA 2

/* Fields with nothing in them are left out: most findings are short. */
static void put(json_t *o, const char *key, const char *text)
{
	if (*text)
		json_object_set_new(o, key, json_string(text));
}

static void put_number(json_t *o, const char *key, uint64_t n)
{
	if (n)
		json_object_set_new(o, key, json_integer((json_int_t)n));
}

static json_t *finding_json(const struct bl_finding *f)
{
	json_t *o = json_object();

	put(o, "check", f->check);
	put(o, "verdict", bl_verdict_name(f->verdict));
	put(o, "status", bl_status_name(f->status));
	put(o, "kernel", f->kernel);
	put(o, "program", f->program);
	put(o, "section", f->section);
	if (f->optional)
		json_object_set_new(o, "optional", json_true());
	put_number(o, "insns", f->effort.insns);
	put_number(o, "states", f->effort.states);
	put_number(o, "peak_states", f->effort.peak_states);
	put_number(o, "verify_us", f->effort.time_us);
	put_number(o, "stack_bytes", f->effort.stack_bytes);
	put(o, "message", f->message);
	put(o, "hint", f->hint);
	put(o, "file", f->file);
	put_number(o, "line", f->line);
	put(o, "source", f->source);
	put(o, "log", f->log);
	put(o, "log_path", f->log_path);
	return o;
}

static json_t *kernel_json(const struct bl_report *r,
			   const struct bl_report_kernel *k)
{
	json_t *o = json_object();

	put(o, "kernel", k->name);
	put(o, "verdict", bl_report_word(bl_report_verdict(r, k->name)));
	put(o, "log_path", k->log_path);
	put_number(o, "boot_ms", k->boot_ms);
	put_number(o, "total_ms", k->total_ms);
	return o;
}

char *bl_report_to_json(const struct bl_report *r)
{
	bl_autojson json_t *o = json_object();
	json_t *kernels = json_array(), *findings = json_array();
	size_t i;

	json_object_set_new(o, "schema", json_integer(SCHEMA));
	put(o, "belay", BL_VERSION);
	put(o, "path", r->path);
	put(o, "kind", r->kind);
	put(o, "digest", r->digest);
	put(o, "verdict", bl_report_word(bl_report_verdict(r, NULL)));
	put_number(o, "total_ms", r->total_ms);
	for (i = 0; i < r->kernel_count; i++)
		json_array_append_new(kernels, kernel_json(r, &r->kernels[i]));
	for (i = 0; i < r->count; i++)
		json_array_append_new(findings, finding_json(&r->findings[i]));
	/* A report that lost a finding for want of memory must not go out. */
	if (json_array_size(kernels) != r->kernel_count ||
	    json_array_size(findings) != r->count ||
	    json_object_set(o, "kernels", kernels) < 0 ||
	    json_object_set(o, "findings", findings) < 0) {
		json_decref(kernels);
		json_decref(findings);
		return NULL;
	}
	json_decref(kernels);
	json_decref(findings);
	return bl_json_dump(BL_TAKE(o));
}

/* What a report looks like when read: strings are borrowed. */
struct raw_report {
	int64_t schema;
	const char *belay, *path, *kind, *digest, *verdict;
	int64_t total_ms;
	json_t *kernels, *findings;
};

static const struct bl_json_field report_fields[] = {
	{ "schema", BL_JSON_INT, true, offsetof(struct raw_report, schema),
	  SCHEMA, SCHEMA },
	{ "belay", BL_JSON_STRING, true, offsetof(struct raw_report, belay), 1,
	  64 },
	{ "path", BL_JSON_STRING, true, offsetof(struct raw_report, path), 1,
	  4096 },
	{ "kind", BL_JSON_STRING, true, offsetof(struct raw_report, kind), 1,
	  64 },
	{ "digest", BL_JSON_STRING, false, offsetof(struct raw_report, digest),
	  BL_DIGEST_HEX - 1, BL_DIGEST_HEX - 1 },
	{ "verdict", BL_JSON_STRING, true, offsetof(struct raw_report, verdict),
	  1, 64 },
	{ "total_ms", BL_JSON_INT, false, offsetof(struct raw_report, total_ms),
	  0, INT64_MAX },
	{ "kernels", BL_JSON_ARRAY, true, offsetof(struct raw_report, kernels),
	  0, BL_REPORT_KERNELS_MAX },
	{ "findings", BL_JSON_ARRAY, true,
	  offsetof(struct raw_report, findings), 0, BL_REPORT_FINDINGS_MAX },
};

struct raw_kernel {
	const char *kernel, *verdict, *log_path;
	int64_t boot_ms, total_ms;
};

static const struct bl_json_field kernel_fields[] = {
	{ "kernel", BL_JSON_STRING, true, offsetof(struct raw_kernel, kernel),
	  1, 256 },
	{ "verdict", BL_JSON_STRING, true, offsetof(struct raw_kernel, verdict),
	  1, 64 },
	{ "log_path", BL_JSON_STRING, false,
	  offsetof(struct raw_kernel, log_path), 0, 4096 },
	{ "boot_ms", BL_JSON_INT, false, offsetof(struct raw_kernel, boot_ms),
	  0, INT64_MAX },
	{ "total_ms", BL_JSON_INT, false, offsetof(struct raw_kernel, total_ms),
	  0, INT64_MAX },
};

struct raw_finding {
	const char *check, *verdict, *status, *kernel, *program, *section;
	const char *message, *hint, *file, *source, *log, *log_path;
	int64_t insns, states, peak_states, verify_us, stack_bytes, line;
	bool optional;
};

#define TEXT(name, needed)                                       \
	{                                                        \
#name, BL_JSON_STRING, needed,                   \
			offsetof(struct raw_finding, name), 0, 0 \
	}

#define COUNT(name)                                                            \
	{                                                                      \
#name, BL_JSON_INT, false, offsetof(struct raw_finding, name), \
			0, INT64_MAX                                           \
	}

static const struct bl_json_field finding_fields[] = {
	TEXT(check, true),
	TEXT(verdict, true),
	TEXT(status, false),
	TEXT(kernel, false),
	TEXT(program, false),
	TEXT(section, false),
	TEXT(message, false),
	TEXT(hint, false),
	TEXT(file, false),
	TEXT(source, false),
	TEXT(log, false),
	TEXT(log_path, false),
	COUNT(insns),
	COUNT(states),
	COUNT(peak_states),
	COUNT(verify_us),
	COUNT(stack_bytes),
	{ "line", BL_JSON_INT, false, offsetof(struct raw_finding, line), 0,
	  UINT32_MAX },
	{ "optional", BL_JSON_BOOL, false,
	  offsetof(struct raw_finding, optional), 0, 0 },
};

static int find_verdict(const char *name, enum bl_verdict *ret)
{
	unsigned v;

	for (v = BL_VERDICT_PASS; v <= BL_VERDICT_REJECT; v++)
		if (strcmp(bl_verdict_name(v), name) == 0) {
			*ret = v;
			return 0;
		}
	return -EBADMSG;
}

static int find_status(const char *name, enum bl_status *ret)
{
	unsigned s;

	for (s = BL_STATUS_NONE; s <= BL_STATUS_UNKNOWN; s++)
		if (strcmp(bl_status_name(s), name) == 0) {
			*ret = s;
			return 0;
		}
	return -EBADMSG;
}

static int read_finding(const struct bl_json_doc *doc, const json_t *v,
			const char *at, struct bl_report *report,
			struct bl_err *err)
{
	struct raw_finding raw = { .status = "" };
	struct bl_finding f = { 0 };
	int r;

	r = bl_json_read(doc, v, at, finding_fields,
			 BL_ARRAY_SIZE(finding_fields), &raw, err);
	if (r < 0)
		return r;
	if (find_verdict(raw.verdict, &f.verdict) < 0)
		return bl_json_fail(doc, at, err, "unknown verdict '%s'",
				    raw.verdict);
	if (find_status(raw.status, &f.status) < 0)
		return bl_json_fail(doc, at, err, "unknown status '%s'",
				    raw.status);
	f.optional = raw.optional;
	f.effort = (struct bl_effort){
		.insns = (uint64_t)raw.insns,
		.states = (uint64_t)raw.states,
		.peak_states = (uint64_t)raw.peak_states,
		.time_us = (uint64_t)raw.verify_us,
		.stack_bytes = (uint64_t)raw.stack_bytes,
	};
	f.line = (uint32_t)raw.line;
	f.check = (char *)raw.check;
	f.program = (char *)raw.program;
	f.section = (char *)raw.section;
	f.kernel = (char *)raw.kernel;
	f.message = (char *)raw.message;
	f.hint = (char *)raw.hint;
	f.file = (char *)raw.file;
	f.source = (char *)raw.source;
	f.log = (char *)raw.log;
	f.log_path = (char *)raw.log_path;
	r = bl_report_add(report, &f);
	return r < 0 ? bl_err_errno(err, r, "%s: %s", doc->name, at) : 0;
}

static int read_kernel(const struct bl_json_doc *doc, const json_t *v,
		       const char *at, struct bl_report *report,
		       struct bl_err *err)
{
	struct raw_kernel raw = { 0 };
	struct bl_report_kernel k;
	int r;

	r = bl_json_read(doc, v, at, kernel_fields,
			 BL_ARRAY_SIZE(kernel_fields), &raw, err);
	if (r < 0)
		return r;
	k = (struct bl_report_kernel){
		.name = (char *)raw.kernel,
		.log_path = (char *)raw.log_path,
		.boot_ms = (uint64_t)raw.boot_ms,
		.total_ms = (uint64_t)raw.total_ms,
	};
	r = bl_report_add_kernel(report, &k);
	return r < 0 ? bl_err_errno(err, r, "%s: %s", doc->name, at) : 0;
}

static int
read_list(const struct bl_json_doc *doc, const json_t *list, const char *key,
	  int (*one)(const struct bl_json_doc *, const json_t *, const char *,
		     struct bl_report *, struct bl_err *),
	  struct bl_report *report, struct bl_err *err)
{
	char at[64];
	size_t i;
	json_t *v;
	int r;

	json_array_foreach (list, i, v) {
		snprintf(at, sizeof(at), "%s[%zu]", key, i);
		r = one(doc, v, at, report, err);
		if (r < 0)
			return r;
	}
	return 0;
}

int bl_report_from_json(const char *name, const char *text, size_t len,
			struct bl_report *ret, struct bl_err *err)
{
	bl_autojson_doc struct bl_json_doc doc = { 0 };
	bl_autoreport struct bl_report report = { 0 };
	struct raw_report raw = { 0 };
	const char *word;
	int r;

	if (len > BL_REPORT_JSON_MAX)
		return bl_err_set(err, -EFBIG,
				  "%s: a report of more than %u bytes", name,
				  BL_REPORT_JSON_MAX);
	r = bl_json_parse(name, text, len, &doc, err);
	if (r < 0)
		return r;
	r = bl_json_read(&doc, doc.root, "", report_fields,
			 BL_ARRAY_SIZE(report_fields), &raw, err);
	if (r < 0)
		return r;
	if (raw.digest && !bl_digest_valid(raw.digest))
		return bl_json_fail(&doc, "digest", err, "not a digest");
	if (bl_report_init(&report, raw.path, raw.kind) < 0)
		return bl_err_set(err, -ENOMEM, "out of memory");
	if (raw.digest)
		memcpy(report.digest, raw.digest, BL_DIGEST_HEX);
	report.total_ms = (uint64_t)raw.total_ms;
	r = read_list(&doc, raw.kernels, "kernels", read_kernel, &report, err);
	if (r == 0)
		r = read_list(&doc, raw.findings, "findings", read_finding,
			      &report, err);
	if (r < 0)
		return r;
	word = bl_report_word(bl_report_verdict(&report, NULL));
	if (strcmp(word, raw.verdict) != 0)
		return bl_json_fail(
			&doc, "verdict", err,
			"it says '%s' but its findings make it '%s'",
			raw.verdict, word);
	*ret = report;
	report = (struct bl_report){ 0 };
	return 0;
}

int bl_report_load_json(const char *path, struct bl_report *ret,
			struct bl_err *err)
{
	bl_autobuf struct bl_buf b = { 0 };
	int r = bl_file_read(path, BL_REPORT_JSON_MAX, &b, err);

	if (r < 0)
		return r;
	return bl_report_from_json(path, bl_buf_str(&b), b.len, ret, err);
}
