/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A report as SARIF 2.1.0 (OASIS): one run whose rules are the gate's checks,
 * and a result for each group of findings that did not pass, so that four
 * kernels that say the same of one line are one alert.
 *
 * Undecided: SARIF has a kind "open" for it, but then the level has to be
 * "none", and code scanning pages leave such results out: what could not be
 * checked would look like a pass. So it is a warning that fails, says
 * "undecided", and the run says that it was not successful.
 */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/base/json.h"
#include "loader/gate/report/hints.h"
#include "loader/gate/report/report.h"
#include "loader/gate/report/report_checks.h"
#include "loader/gate/report/report_fold.h"
#include "loader/kern/ask/vlog_lines.h"

#define SCHEMA \
	"https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
#define SOURCE_ROOT  "%SRCROOT%" /* the name that code scanning pages know */
#define RESULTS_MAX  5000	 /* what these show of one run */
#define KERNELS_TOLD 16

struct sarif {
	const struct bl_report *report;
	struct bl_fold fold;
	json_t *results, *seen; /* seen: fingerprint → how often */
	size_t left_out;
	bool failed; /* out of memory */
};

static void sarif_free(struct sarif *s)
{
	bl_fold_free(&s->fold);
	json_decref(s->results);
	json_decref(s->seen);
}

/* All setters take @v over; without memory the report is given up at the end. */
static void set(struct sarif *s, json_t *o, const char *key, json_t *v)
{
	if (!v || json_object_set_new(o, key, v) < 0)
		s->failed = true;
}

static void set_text(struct sarif *s, json_t *o, const char *key,
		     const char *text)
{
	if (*text)
		set(s, o, key, json_string(text));
}

static void set_number(struct sarif *s, json_t *o, const char *key, uint64_t n)
{
	if (n)
		set(s, o, key, json_integer((json_int_t)n));
}

static void append(struct sarif *s, json_t *array, json_t *v)
{
	if (!v || json_array_append_new(array, v) < 0)
		s->failed = true;
}

/* { "text": … } */
static json_t *message(struct sarif *s, const char *text)
{
	json_t *o = json_object();

	set(s, o, "text", json_string(text));
	return o;
}

/* --- places --------------------------------------------------------------- */

/* Adds a path as a URI: what RFC 3986 does not allow in a path, as %XX. */
static int put_uri(struct bl_buf *b, const char *path)
{
	static const char plain[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~/!$&'()*+,;=@";
	size_t len;
	int r = 0;

	while (r == 0 && *path) {
		len = strspn(path, plain);
		if (len)
			r = bl_buf_add(b, path, len);
		else
			r = bl_buf_printf(b, "%%%02X", (unsigned char)*path);
		path += len ? len : 1;
	}
	return r;
}

static json_t *artifact_location(struct sarif *s, const char *path)
{
	bl_autobuf struct bl_buf uri = { 0 };
	json_t *o = json_object();

	while (strncmp(path, "./", 2) == 0)
		path += 2;
	if ((*path == '/' && bl_buf_add(&uri, "file://", 7) < 0) ||
	    put_uri(&uri, path) < 0)
		s->failed = true;
	set(s, o, "uri", json_string(bl_buf_str(&uri)));
	if (*path != '/')
		set(s, o, "uriBaseId", json_string(SOURCE_ROOT));
	return o;
}

/* The line in the source; without one, the file that was checked. */
static json_t *physical_location(struct sarif *s, const struct bl_finding *x)
{
	json_t *o = json_object(), *region;

	if (!*x->file) {
		set(s, o, "artifactLocation",
		    artifact_location(s, s->report->path));
		return o;
	}
	set(s, o, "artifactLocation", artifact_location(s, x->file));
	if (!x->line)
		return o;
	region = json_object();
	set_number(s, region, "startLine", x->line);
	if (*x->source)
		set(s, region, "snippet", message(s, x->source));
	set(s, o, "region", region);
	return o;
}

static json_t *locations(struct sarif *s, const struct bl_finding *x)
{
	json_t *list = json_array(), *o = json_object(), *logical;

	set(s, o, "physicalLocation", physical_location(s, x));
	if (*x->program) {
		logical = json_object();
		set(s, logical, "name", json_string(x->program));
		set(s, logical, "kind", json_string("function"));
		set(s, o, "logicalLocations", json_pack("[o]", logical));
	}
	append(s, list, o);
	return list;
}

/* --- results -------------------------------------------------------------- */

/*
 * What stays the same while the finding does: not the kernels that it came up
 * on, nor numbers, nor the number of the line, which changes with every line
 * above it; but the text of that line. Two of the same get numbers.
 */
static json_t *fingerprints(struct sarif *s, const struct bl_finding *x)
{
	bl_autobuf struct bl_buf b = { 0 };
	char hex[BL_DIGEST_HEX + 24];
	json_t *o = json_object();
	json_int_t n;
	int r;

	r = bl_buf_printf(&b, "%s\n%s\n%s\n%s\n", x->check, x->program, x->file,
			  x->source);
	/* What a verifier says is reworded by the next kernel. */
	if (r == 0 && !(x->status && *x->source))
		r = bl_fold_shape(x, &b);
	r = r ? r : bl_digest(b.data, b.len, hex);
	if (r < 0) {
		s->failed = true;
		return o;
	}
	n = json_integer_value(json_object_get(s->seen, hex)) + 1;
	set(s, s->seen, hex, json_integer(n));
	if (n > 1)
		snprintf(hex + BL_DIGEST_HEX - 1, 24, ":%lld", (long long)n);
	set(s, o, "belayFinding/v1", json_string(hex));
	return o;
}

/* "direct: R0 unbounded memory access (on 6.1.0-56, 6.12.95)", then the lines
 * of the verifier and the hint. */
static json_t *result_message(struct sarif *s, const struct bl_fold_group *g)
{
	bl_autobuf struct bl_buf b = { 0 }, kernels = { 0 };
	const struct bl_finding *x = g->shown;
	const char *hint = bl_hint_of(x);
	struct bl_vlog_lines lines;
	size_t i;
	int r;

	r = bl_fold_kernels(&s->fold, g, KERNELS_TOLD, &kernels);
	r = r ? r
	      : bl_buf_printf(&b, "%s%s%s%s",
			      x->verdict == BL_VERDICT_UNDECIDED ? "undecided: "
								 : "",
			      x->program, *x->program ? ": " : "", x->message);
	if (r == 0 && kernels.len)
		r = bl_buf_printf(&b, " (on %s)", bl_buf_str(&kernels));
	bl_vlog_lines(x->log, &lines);
	for (i = 0;
	     r == 0 && x->status == BL_STATUS_REJECTED && i + 1 < lines.count;
	     i++)
		r = bl_buf_printf(&b, "\n  %.*s", (int)lines.line[i].len,
				  lines.line[i].text);
	if (r == 0 && *hint)
		r = bl_buf_printf(&b, "\nHint: %s", hint);
	if (r < 0)
		s->failed = true;
	return message(s, bl_buf_str(&b));
}

static json_t *properties(struct sarif *s, const struct bl_fold_group *g)
{
	json_t *o = json_object(), *kernels = json_array();
	const struct bl_finding *x = g->shown;
	const char *last = "";
	size_t i;

	set(s, o, "verdict", json_string(bl_verdict_name(x->verdict)));
	set_text(s, o, "status", bl_status_name(x->status));
	set_text(s, o, "section", x->section);
	for (i = 0; i < g->count; i++) {
		const char *name = s->fold.members[g->first + i]->kernel;

		if (*name && strcmp(name, last) != 0)
			append(s, kernels, json_string(name));
		last = name;
	}
	set(s, o, "kernels", kernels);
	set_number(s, o, "insns", x->effort.insns);
	set_number(s, o, "states", x->effort.states);
	set_number(s, o, "peakStates", x->effort.peak_states);
	set_number(s, o, "verifyUs", x->effort.time_us);
	set_number(s, o, "stackBytes", x->effort.stack_bytes);
	set_text(s, o, "logPath", x->log_path);
	return o;
}

static const char *level_of(enum bl_verdict v)
{
	return v == BL_VERDICT_REJECT ? "error" : "warning";
}

static json_t *result(struct sarif *s, const struct bl_fold_group *g)
{
	const struct bl_finding *x = g->shown;
	size_t rule = bl_report_check_rank(x->check);
	json_t *o = json_object();

	set(s, o, "ruleId", json_string(x->check));
	if (rule < bl_report_check_count)
		set(s, o, "ruleIndex", json_integer((json_int_t)rule));
	set(s, o, "kind", json_string("fail"));
	set(s, o, "level", json_string(level_of(x->verdict)));
	set(s, o, "message", result_message(s, g));
	set(s, o, "locations", locations(s, x));
	set(s, o, "partialFingerprints", fingerprints(s, x));
	set(s, o, "properties", properties(s, g));
	return o;
}

/* The gravest first: of a run with very many, the rest is not shown. */
static void add_results(struct sarif *s)
{
	enum bl_verdict v;
	size_t i;

	for (v = BL_VERDICT_REJECT; v > BL_VERDICT_PASS; v--)
		for (i = 0; i < s->fold.group_count; i++) {
			const struct bl_fold_group *g = &s->fold.groups[i];

			if (g->shown->verdict != v)
				continue;
			if (json_array_size(s->results) < RESULTS_MAX)
				append(s, s->results, result(s, g));
			else
				s->left_out++;
		}
}

/* Undecided for want of findings: a run without results would look like a
 * pass. */
static void add_unproven(struct sarif *s)
{
	bl_autobuf struct bl_buf why = { 0 };
	struct bl_finding nothing = {
		.verdict = BL_VERDICT_UNDECIDED,
		.check = (char *)"kernel",
		.program = (char *)"",
		.section = (char *)"",
		.kernel = (char *)"",
		.hint = (char *)"",
		.file = (char *)"",
		.source = (char *)"",
		.log = (char *)"",
		.log_path = (char *)"",
	};
	struct bl_fold_group none = { 0, 0, &nothing };

	if (bl_fold_unproven(&s->fold, &why) < 0)
		s->failed = true;
	if (!why.len)
		return;
	nothing.message = why.data;
	append(s, s->results, result(s, &none));
}

/* --- the run -------------------------------------------------------------- */

static json_t *rule(struct sarif *s, const struct bl_report_check *c)
{
	json_t *o = json_object();

	set(s, o, "id", json_string(c->name));
	set(s, o, "name", json_string(c->name));
	set(s, o, "shortDescription", message(s, c->asks));
	set(s, o, "fullDescription", message(s, c->about));
	set(s, o, "help", message(s, c->help));
	set(s, o, "defaultConfiguration", json_pack("{s:s}", "level", "error"));
	return o;
}

static json_t *tool(struct sarif *s)
{
	json_t *driver = json_object(), *rules = json_array();
	size_t i;

	for (i = 0; i < bl_report_check_count; i++)
		append(s, rules, rule(s, &bl_report_checks[i]));
	set(s, driver, "name", json_string("belay"));
	set(s, driver, "version", json_string(BL_VERSION));
	set(s, driver, "semanticVersion", json_string(BL_VERSION));
	set(s, driver, "rules", rules);
	return json_pack("{s:o}", "driver", driver);
}

static json_t *invocation(struct sarif *s)
{
	enum bl_verdict v = bl_report_verdict(s->report, NULL);
	json_t *o = json_object(), *note;
	bl_autobuf struct bl_buf text = { 0 };

	set(s, o, "executionSuccessful",
	    json_boolean(v != BL_VERDICT_UNDECIDED));
	set(s, o, "exitCode", json_integer(bl_report_exit(s->report)));
	set(s, o, "exitCodeDescription", json_string(bl_report_word(v)));
	if (!s->left_out)
		return o;
	if (bl_buf_printf(
		    &text,
		    "%zu results are left out, none graver than these; the report in JSON has all",
		    s->left_out) < 0)
		s->failed = true;
	note = json_object();
	set(s, note, "level", json_string("warning"));
	set(s, note, "message", message(s, bl_buf_str(&text)));
	set(s, o, "toolExecutionNotifications", json_pack("[o]", note));
	return o;
}

static json_t *artifact(struct sarif *s)
{
	json_t *o = json_object();

	set(s, o, "location", artifact_location(s, s->report->path));
	set(s, o, "roles", json_pack("[s]", "analysisTarget"));
	if (s->report->digest[0])
		set(s, o, "hashes",
		    json_pack("{s:s}", "sha-256", s->report->digest));
	return o;
}

static json_t *run(struct sarif *s)
{
	json_t *o = json_object(), *root = json_object(), *kernels;
	size_t i;

	set(s, o, "tool", tool(s));
	set(s, o, "invocations", json_pack("[o]", invocation(s)));
	set(s, root, "description",
	    message(s,
		    "The folder in which belay was called: the root of the sources."));
	set(s, o, "originalUriBaseIds", json_pack("{s:o}", SOURCE_ROOT, root));
	set(s, o, "artifacts", json_pack("[o]", artifact(s)));
	set(s, o, "columnKind", json_string("unicodeCodePoints"));
	kernels = json_array();
	for (i = 0; i < s->report->kernel_count; i++)
		append(s, kernels, json_string(s->report->kernels[i].name));
	set(s, o, "properties",
	    json_pack("{s:s, s:s, s:o}", "verdict",
		      bl_report_word(bl_report_verdict(s->report, NULL)),
		      "kind", s->report->kind, "kernels", kernels));
	set(s, o, "results", json_incref(s->results));
	return o;
}

int bl_report_print_sarif(const struct bl_report *r, FILE *f)
{
	BL_CLEANUP(sarif_free)
	struct sarif s = {
		.report = r,
		.results = json_array(),
		.seen = json_object(),
	};
	bl_autofree char *text = NULL;
	json_t *log;
	int e = bl_fold_build(r, &s.fold);

	if (e < 0)
		return e;
	add_results(&s);
	add_unproven(&s);
	log = json_object();
	set(&s, log, "$schema", json_string(SCHEMA));
	set(&s, log, "version", json_string("2.1.0"));
	set(&s, log, "runs", json_pack("[o]", run(&s)));
	text = bl_json_dump(log);
	if (!text || s.failed)
		return -ENOMEM;
	fputs(text, f);
	return 0;
}
