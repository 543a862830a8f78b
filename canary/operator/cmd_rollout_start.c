/* SPDX-License-Identifier: Apache-2.0 */
/* belay rollout start: gate, upload, start. What the gate does not accept is
 * never uploaded. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "canary/decide/decision.h"
#include "canary/operator/cmd_rollout.h"
#include "loader/base/cleanup.h"
#include "loader/base/cli.h"
#include "loader/base/file.h"
#include "loader/base/term.h"
#include "loader/bundle/bundle.h"
#include "loader/gate/gate.h"
#include "loader/gate/report/report_json.h"
#include "loader/gate/report/report_text.h"
#include "loader/oci/cmd_source.h"

#define UPLOAD_MS 120000

static const char usage[] =
	"usage: belay rollout start BUNDLE|oci://… [--plan FILE] [--kernel NAME]…\n"
	"                           [--checked REPORT.json] [--override REASON]\n"
	"\n"
	"Passes the bundle through the gate on every kernel of the lab, gives it to the\n"
	"controller and starts a rollout. A bundle that the gate does not accept goes\n"
	"nowhere: exit status 1 if it was rejected, 2 if it could not be decided.\n"
	"\n"
	"  --plan FILE         waves and deadlines; canary/README.md has an example\n"
	"                      (default: 1 host of each stratum, 2, 50 %, 100 %)\n"
	"  --kernel NAME       check on these kernels only; can be given again\n"
	"  --checked FILE      take this report of 'belay check BUNDLE --json' instead\n"
	"                      of checking again; it must be of the same bundle\n"
	"  --profile NAME      what it may do: observe (default), enforce, trusted, or\n"
	"                      a file, as of 'belay check'\n"
	"  --override REASON   start a version that was taken back before\n"
	"  --log-dir DIR       keep consoles and verifier logs there\n"
	"  --jobs N            microVMs at a time\n" //
	BL_CLIENT_USAGE "\n"
	"of a bundle in a registry (belay bundle pull):\n" //
	BL_SOURCE_USAGE "\n"
	"example: belay rollout start sensor-v2.bundle --plan careful.json\n";

struct options {
	struct bl_client_args client;
	const char *bundle, *plan, *checked, *override_reason, *log_dir,
		*profile;
	struct bl_arg_list kernels;
	struct bl_source_options source;
	long jobs;
};

static const struct bl_arg rows[] = {
	BL_CLIENT_ARGS(struct options, client),
	BL_SOURCE_ARGS(struct options, source),
	{ "the bundle", BL_ARG_NEEDED, offsetof(struct options, bundle), 0, 0 },
	{ "plan", BL_ARG_TEXT, offsetof(struct options, plan), 0, 0 },
	{ "kernel", BL_ARG_LIST, offsetof(struct options, kernels), 0,
	  BL_ARG_LIST_MAX },
	{ "checked", BL_ARG_TEXT, offsetof(struct options, checked), 0, 0 },
	{ "profile", BL_ARG_TEXT, offsetof(struct options, profile), 0, 0 },
	{ "log-dir", BL_ARG_TEXT, offsetof(struct options, log_dir), 0, 0 },
	{ "jobs", BL_ARG_NUMBER, offsetof(struct options, jobs), 1, 1000 },
	{ "override", BL_ARG_TEXT, offsetof(struct options, override_reason), 1,
	  BL_REASON_MAX - 1 },
};

static void on_progress(void *ctx, unsigned done, unsigned total,
			const char *text)
{
	struct bl_progress *p = ctx;

	p->total = total;
	if (text)
		bl_progress_step(p, done, "%s", text);
	else
		bl_progress_tick(p);
}

static int run_gate(const struct options *a, const struct bl_bundle *bundle,
		    struct bl_report *ret, struct bl_err *err)
{
	struct bl_progress progress = { 0 };
	struct bl_gate_opts opts = {
		.path = a->bundle,
		.bytes = &bundle->raw,
		.kernels = a->kernels.items,
		.kernel_count = (unsigned)a->kernels.count,
		.profile = a->profile,
		.log_dir = a->log_dir,
		.jobs = (unsigned)a->jobs,
		.progress = on_progress,
		.progress_ctx = &progress,
	};
	int r;

	bl_progress_start(&progress, "check", 0);
	r = bl_gate_check(&opts, ret, err);
	bl_progress_end(&progress);
	return r;
}

/* 0 when the gate has accepted exactly these bytes; else the exit code. */
static int pass_gate(const struct options *a, const struct bl_bundle *bundle,
		     struct bl_err *err)
{
	bl_autoreport struct bl_report report = { 0 };
	enum bl_verdict verdict;
	int r = a->checked ? bl_report_load_json(a->checked, &report, err)
			   : run_gate(a, bundle, &report, err);

	if (r < 0)
		return BL_EXIT_UNDECIDED;
	if (strcmp(report.digest, bundle->digest) != 0) {
		bl_err_set(err, -EBADMSG,
			   "%s is a report about %.12s, the bundle is %.12s",
			   a->checked ? a->checked : "this",
			   *report.digest ? report.digest : "nothing",
			   bundle->digest);
		bl_err_hint(err, "check the bundle that you want to roll out");
		return BL_EXIT_UNDECIDED;
	}
	verdict = bl_report_verdict(&report, NULL);
	if (verdict == BL_VERDICT_PASS)
		return 0;
	bl_report_print(&report, stdout);
	bl_err_set(err, -EPERM, "%s is %s: nothing was rolled out", a->bundle,
		   bl_report_word(verdict));
	return bl_report_exit(&report);
}

static int upload(struct bl_client *c, const struct bl_bundle *bundle,
		  struct bl_err *err)
{
	bl_autofree char *path = bl_path("/v1/bundles/%s", bundle->digest);
	bl_autobuf struct bl_buf answer = { 0 };

	if (!path)
		return bl_err_set(err, -ENOMEM, "out of memory");
	return bl_client_call(c, "PUT", path, "application/octet-stream",
			      bundle->raw.data, bundle->raw.len, UPLOAD_MS,
			      &answer, err);
}

static int start(struct bl_client *c, const struct options *a,
		 const struct bl_bundle *bundle, const struct bl_plan *plan,
		 struct bl_json_doc *ret, struct bl_err *err)
{
	json_t *body = json_pack("{s:s,s:o,s:s}", "digest", bundle->digest,
				 "plan", bl_plan_json(plan), "override",
				 a->override_reason);

	if (!body)
		return bl_err_set(err, -ENOMEM, "out of memory");
	return bl_client_json(c, "POST", "/v1/rollouts", body, ret, err);
}

static int run(struct options *a, struct bl_json_doc *ret, struct bl_err *err)
{
	BL_CLEANUP(bl_bundle_free) struct bl_bundle bundle = { 0 };
	BL_CLEANUP(bl_client_closep) struct bl_client *c = NULL;
	struct bl_source_show show;
	struct bl_plan plan;
	int r;

	bl_plan_default(&plan);
	r = a->plan ? bl_plan_load(a->plan, &plan, err) : 0;
	if (r < 0)
		return bl_cli_exit_of_file(r);
	if (bl_client_open_by(&a->client, &c, err) < 0)
		return BL_EXIT_USAGE;
	bl_source_show(&show, &a->source);
	r = bl_source_bundle(a->bundle, &a->source, &bundle, err);
	bl_source_show_end(&show);
	if (r < 0)
		return r == -EBADMSG ? BL_EXIT_REJECTED : BL_EXIT_UNDECIDED;
	/* The gate takes a while: better to know first that nobody is there. */
	r = bl_client_json(c, "GET", "/v1/rollouts", NULL, ret, err);
	bl_json_doc_free(ret);
	if (r < 0)
		return BL_EXIT_UNDECIDED;
	r = pass_gate(a, &bundle, err);
	if (r)
		return r;
	r = upload(c, &bundle, err);
	if (!r)
		r = start(c, a, &bundle, &plan, ret, err);
	if (r == -EPERM)
		return BL_EXIT_REJECTED; /* a tombstone */
	return r < 0 ? BL_EXIT_UNDECIDED : BL_EXIT_OK;
}

int bl_cmd_rollout_start(int argc, char **argv, struct bl_err *err)
{
	static const struct bl_args spec = { "rollout start", usage, rows,
					     BL_ARRAY_SIZE(rows) };
	bl_autojson_doc struct bl_json_doc doc = { 0 };
	struct options a = { .override_reason = "" };
	const char *id;
	int r;

	if (!bl_args_read(&spec, argc, argv, &a, &r, err))
		return r;
	if (a.checked && a.kernels.count)
		return bl_cli_usage(
			err, spec.verb,
			"--checked takes a report as it is: --kernel has no use");
	bl_cli_catch_signals();
	r = run(&a, &doc, err);
	if (r)
		return r;
	if (a.client.json)
		return bl_client_print_json(doc.root);
	id = json_string_value(json_object_get(doc.root, "id"));
	printf("rollout %s started: %s %s %.12s\n"
	       "  belay rollout status %s --watch\n",
	       id ? id : "?",
	       json_string_value(json_object_get(doc.root, "name")),
	       json_string_value(json_object_get(doc.root, "version")),
	       json_string_value(json_object_get(doc.root, "digest")),
	       id ? id : "?");
	return BL_EXIT_OK;
}
