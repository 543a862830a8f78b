/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/gate/gate.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "loader/base/cleanup.h"
#include "loader/base/clock.h"
#include "loader/base/file.h"
#include "loader/bundle/bundle.h"
#include "loader/bundle/content.h"
#include "loader/gate/contract.h"
#include "loader/gate/logs.h"
#include "loader/gate/object.h"
#include "loader/gate/policy.h"
#include "loader/gate/replay.h"
#include "loader/gate/rules.h"
#include "loader/gate/verify.h"

#define DEADLINE_MS (180 * 1000)
#define HOST	    "host"

/* One check under way. */
struct gate {
	struct bl_gate_opts opts; /* with the defaults filled in */
	struct bl_report report;
	struct bl_profile profile;
	struct bl_buf file;
	struct bl_catalog catalog;
	const struct bl_kernel **kernels; /* chosen ones of the catalogue */
	size_t kernel_count;
	bool host; /* the running kernel is chosen too */
	char *log_dir;
};

static void gate_free(struct gate *g)
{
	bl_report_free(&g->report);
	bl_profile_free(&g->profile);
	bl_buf_free(&g->file);
	bl_catalog_free(&g->catalog);
	free(g->kernels);
	free(g->log_dir);
}

static bool ends_with(const char *s, const char *with)
{
	size_t len = strlen(s), tail = strlen(with);

	return len >= tail && strcmp(s + len - tail, with) == 0;
}

/* By its bytes; the name only tells malformed JSON from a malformed object. */
static const char *kind_of(const char *path, const struct bl_buf *b)
{
	size_t i = 0;

	if (bl_bundle_is(b->data, b->len))
		return "bundle";
	while (i < b->len && isspace((unsigned char)b->data[i]))
		i++;
	if (i < b->len && b->data[i] == '{')
		return "content";
	if (ends_with(path, ".json") &&
	    (b->len < 4 || memcmp(b->data, "\177ELF", 4) != 0))
		return "content";
	return "object";
}

/* "all" may pick only what is ready; what is not was not checked either. */
static int select_unready(struct gate *g, struct bl_err *err)
{
	size_t i, k, n = g->kernel_count;
	const struct bl_kernel **list;

	list = realloc(g->kernels, (g->catalog.count + 1) * sizeof(*list));
	if (!list)
		return bl_err_set(err, -ENOMEM, "out of memory");
	g->kernels = list;
	for (i = 0; i < g->catalog.count; i++) {
		const struct bl_kernel *kernel = &g->catalog.kernels[i];

		for (k = 0; k < n && list[k] != kernel; k++)
			;
		if (k == n && !kernel->ready)
			list[g->kernel_count++] = kernel;
	}
	return 0;
}

static int select_kernels(struct gate *g, struct bl_err *err)
{
	static const char *const everything[] = { "all" };
	const char *const *specs = g->opts.kernels;
	size_t count = g->opts.kernel_count, lab = 0, i;
	bl_autofree const char **lab_specs = NULL;
	bool all = false;
	int r;

	if (!count) {
		specs = everything;
		count = 1;
	}
	lab_specs = calloc(count, sizeof(*lab_specs));
	if (!lab_specs)
		return bl_err_set(err, -ENOMEM, "out of memory");
	for (i = 0; i < count; i++) {
		if (strcmp(specs[i], HOST) == 0)
			g->host = true;
		else
			lab_specs[lab++] = specs[i];
		all = all || strcmp(specs[i], "all") == 0;
	}
	if (!lab)
		return 0;
	r = bl_catalog_load(&g->catalog, err);
	if (r == 0)
		r = bl_catalog_select(&g->catalog, lab_specs, lab, &g->kernels,
				      &g->kernel_count, err);
	return r == 0 && all ? select_unready(g, err) : r;
}

/* A mistake in the file: a rejection that says what it is. */
static int reject(struct gate *g, const char *check, const struct bl_err *why)
{
	return bl_report_note(&g->report, BL_VERDICT_REJECT, check, NULL,
			      why->hint[0] ? "%s (%s)" : "%s", why->text,
			      why->hint);
}

static bool is_rejection(int r)
{
	return r == -EBADMSG || r == -EFBIG;
}

/* @content: the binary form that is shipped with it; NULL for none. */
static int check_object(struct gate *g, const char *name, const void *data,
			size_t len, const struct bl_buf *content,
			struct bl_err *err)
{
	bool denies = content &&
		      bl_content_header(content->data)->deny_count > 0;
	bl_autoobject struct bl_object object = { 0 };
	struct bl_gate_target target;
	struct bl_err why = { 0 };
	int r;

	r = bl_object_open(name, data, len, &object, &why);
	if (is_rejection(r))
		return reject(g, "object", &why);
	if (r == 0)
		r = bl_policy_check(&object, &g->profile, denies, &g->report);
	if (r == 0 && content)
		r = bl_contract_check(&object, content->data, content->len,
				      &g->report);
	if (r < 0)
		return bl_err_errno(err, r, "checking %s", name);
	r = select_kernels(g, err);
	if (r == 0 && !g->opts.log_dir)
		r = bl_gate_new_log_dir(&g->log_dir, err);
	if (r < 0)
		return r;
	target = (struct bl_gate_target){
		.opts = &g->opts,
		.object = &object,
		.probe = {
			.now = { .name = name, .object = data, .len = len,
				 .generation = 1 },
			.last = BL_PROBE_ATTACH,
		},
		.log_dir = g->log_dir ? g->log_dir : g->opts.log_dir,
		.kernels = g->kernels,
		.kernel_count = g->kernel_count,
		.host = g->host,
	};
	return bl_gate_verify(&target, &g->report, err);
}

static int pass_content(struct gate *g, const struct bl_content_info *info)
{
	return bl_report_note(&g->report, BL_VERDICT_PASS, "content", NULL,
			      "content: %u rules, %u of them deny", info->rules,
			      info->denies);
}

/* Content that is well formed: what it would do. */
static int judge_content(struct gate *g, const char *name,
			 const struct bl_buf *json, const struct bl_buf *bin,
			 const struct bl_content_info *info)
{
	int r = pass_content(g, info);

	if (r == 0)
		r = bl_rules_check(name, bl_buf_str(json), json->len, bin->data,
				   bin->len, &g->report);
	if (r == 0)
		r = bl_replay_check(name, bl_buf_str(json), json->len,
				    bin->data, bin->len, &g->report);
	return r;
}

static int check_content(struct gate *g, const char *name, struct bl_err *err)
{
	bl_autobuf struct bl_buf bin = { 0 };
	struct bl_content_info info = { 0 };
	struct bl_err why = { 0 };
	int r;

	r = bl_content_compile(name, bl_buf_str(&g->file), g->file.len, &bin,
			       &info, &why);
	if (is_rejection(r))
		r = reject(g, "content", &why);
	else if (r == 0)
		r = judge_content(g, name, &g->file, &bin, &info);
	else
		return bl_err_set(err, r, "%s", why.text);
	return r < 0 ? bl_err_errno(err, r, "checking %s", name) : 0;
}

static int check_bundle(struct gate *g, const char *name, struct bl_err *err)
{
	BL_CLEANUP(bl_bundle_free) struct bl_bundle b = { 0 };
	struct bl_content_info info = { 0 };
	struct bl_err why = { 0 };
	int r;

	r = bl_bundle_parse(name, g->file.data, g->file.len, &b, &why);
	if (is_rejection(r)) {
		r = reject(g, "bundle", &why);
		return r < 0 ? bl_err_errno(err, r, "checking %s", name) : 0;
	}
	if (r < 0)
		return bl_err_set(err, r, "%s", why.text);
	r = bl_report_note(&g->report, BL_VERDICT_PASS, "bundle", NULL,
			   "bundle %s %s", b.manifest.name, b.manifest.version);
	if (r == 0 && b.content_bin.len) {
		/* That it is what content.json compiles to, parsing it proved. */
		r = bl_content_check_binary(b.manifest.content,
					    b.content_bin.data,
					    b.content_bin.len, &info, &why);
		r = r == 0 ? judge_content(g, b.manifest.content,
					   &b.content_json, &b.content_bin,
					   &info)
			   : reject(g, "content", &why);
	}
	if (r < 0)
		return bl_err_errno(err, r, "checking %s", name);
	r = check_object(g, b.manifest.object, b.object.data, b.object.len,
			 b.content_bin.len ? &b.content_bin : NULL, err);
	if (r == 0 && info.denies)
		bl_gate_require_lsm(&g->report);
	return r;
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash && slash[1] ? slash + 1 : path;
}

static int check(struct gate *g, struct bl_err *err)
{
	const char *path = g->opts.path, *kind;
	int r;

	r = bl_profile_load(g->opts.profile ? g->opts.profile : "observe",
			    &g->profile, err);
	if (r == 0)
		r = bl_file_read(path, BL_GATE_FILE_MAX, &g->file, err);
	if (r < 0)
		return r;
	kind = kind_of(path, &g->file);
	r = bl_report_init(&g->report, path, kind);
	if (r < 0)
		return bl_err_set(err, r, "out of memory");
	r = bl_digest(g->file.data, g->file.len, g->report.digest);
	if (r < 0)
		return bl_err_errno(err, r, "digest of %s", path);
	if (strcmp(kind, "content") == 0)
		return check_content(g, path, err);
	if (strcmp(kind, "bundle") == 0)
		return check_bundle(g, path, err);
	return check_object(g, base_name(path), g->file.data, g->file.len, NULL,
			    err);
}

int bl_gate_check(const struct bl_gate_opts *opts, struct bl_report *ret,
		  struct bl_err *err)
{
	BL_CLEANUP(gate_free) struct gate g = { .opts = *opts };
	uint64_t start = bl_clock_mono_ms();
	int r;

	if (!g.opts.deadline_ms)
		g.opts.deadline_ms = DEADLINE_MS;
	r = check(&g, err);
	if (r < 0)
		return r;
	g.report.total_ms = bl_clock_mono_ms() - start;
	*ret = g.report;
	g.report = (struct bl_report){ 0 };
	return 0;
}
