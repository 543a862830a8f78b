/* SPDX-License-Identifier: Apache-2.0 */
#include "canary/compare/run.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "canary/ledger/record.h"
#include "loader/base/cleanup.h"
#include "loader/base/cli.h"
#include "loader/base/clock.h"
#include "loader/base/file.h"
#include "loader/base/text.h"

void bl_run_say(const struct bl_run *run, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	if (!run->runner->say)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	run->runner->say(run->runner->ctx, text);
}

int bl_run_until(struct bl_run *run, bool (*done)(struct bl_run *run),
		 int64_t ms, struct bl_err *err)
{
	uint64_t until = bl_clock_mono_ms() + (uint64_t)ms;
	int r;

	while (!done(run)) {
		if (bl_clock_mono_ms() >= until)
			return 1;
		if (run->depot)
			bl_depot_serve(run->depot);
		r = bl_watch_step(&run->watch, err);
		if (bl_cli_interrupted())
			return bl_err_set(err, -ECANCELED, "interrupted");
		if (r)
			return r;
		bl_run_say(run, "%s", "");
	}
	return 0;
}

/* --- versions ------------------------------------------------------------- */

static int make_version(const struct bl_runner *r, enum bl_compare_way way,
			const char *version, const struct bl_fault_twin *twin,
			enum bl_fault_inject inject, struct bl_variant *ret,
			struct bl_err *err)
{
	bl_autofree char *work = bl_path("%s/versions/%s-%s", r->work,
					 bl_compare_way_name(way), version);
	const struct bl_variant_spec spec = {
		.dir = r->built,
		.work = work,
		.release = r->kernel->release,
		.way = way,
		.version = version,
		.variant = twin->variant,
		.content = twin->content,
		.inject = inject,
	};

	if (!work)
		return bl_err_set(err, -ENOMEM, "out of memory");
	return bl_variant_make(&spec, ret, err);
}

int bl_run_variant(const struct bl_runner *r, const struct bl_fault *f,
		   enum bl_compare_way way, struct bl_variant *ret,
		   struct bl_err *err)
{
	char version[BL_COMPARE_NAME_MAX];

	snprintf(version, sizeof(version), "%d-%s",
		 f->inject == BL_INJECT_OLDER ? 0 : 2, f->id);
	return make_version(r, way, version, bl_fault_twin(f, way), f->inject,
			    ret, err);
}

int bl_run_good(const struct bl_run *run, const char *version,
		struct bl_variant *ret, struct bl_err *err)
{
	const struct bl_fault_twin before = {
		.variant = run->twin->before ? run->twin->before : "sensor",
	};

	return make_version(run->runner, run->way, version, &before,
			    BL_INJECT_BUNDLE, ret, err);
}

/* --- a run ---------------------------------------------------------------- */

void bl_runner_free(struct bl_runner *r)
{
	for (unsigned w = 0; w < BL_COMPARE_WAYS; w++)
		bl_kept_free(&r->kept[w]);
}

void bl_kept_free(struct bl_kept *k)
{
	bl_guests_free(k->guests);
	bl_control_stop(k->control);
	*k = (struct bl_kept){ 0 };
}

static int judge(struct bl_run *run, int64_t end_ms, struct bl_err *err)
{
	struct bl_judge_case *c = &run->judged;
	struct bl_compare_result *r = run->result;
	struct bl_fault_lines lines;
	int e;

	c->way = run->way;
	c->hosts = run->watch.seen;
	c->count = run->watch.count;
	c->end_ms = end_ms;
	c->good = run->good.digest;
	if (bl_fault_lines(run->fault, run->runner->kernel->release, run->way,
			   &lines))
		c->expect = &lines;
	e = bl_watch_end(&run->watch);
	if (!e)
		e = bl_judge(c, r);
	for (size_t i = 0; !e && i < c->count; i++)
		e = bl_compare_live(r, c->hosts[i].version);
	c->expect = NULL;
	return e ? bl_err_set(err, e, "out of memory") : 0;
}

static int go(struct bl_run *run, struct bl_err *err)
{
	int r = bl_run_good(run, "1", &run->good, err);

	if (!r)
		r = bl_run_variant(run->runner, run->fault, run->way, &run->bad,
				   err);
	if (r)
		return r;
	snprintf(run->result->variant, sizeof(run->result->variant), "%.32s",
		 run->bad.digest);
	r = run->way == BL_COMPARE_A ? bl_run_pushed(run, err)
				     : bl_run_kept(run, err);
	return r;
}

/* What a result says of itself, whatever comes of the run. */
static void head(const struct bl_run *run, struct bl_compare_result *ret)
{
	bl_text_copy(ret->fault, sizeof(ret->fault), run->fault->id);
	bl_text_copy(ret->kernel, sizeof(ret->kernel),
		     run->runner->kernel->release);
	bl_text_copy(ret->belay, sizeof(ret->belay), run->runner->belay);
	ret->way = run->way;
}

/* Why there is no result, and what to do. */
static int note_failure(struct bl_compare_result *ret, const struct bl_err *why)
{
	bl_autofree char *text =
		*why->hint ? bl_path("%s; %s", why->text, why->hint)
			   : strdup(why->text);

	return text ? bl_compare_set(&ret->failed, text) : -ENOMEM;
}

int bl_run(struct bl_runner *runner, const struct bl_fault *f,
	   enum bl_compare_way way, struct bl_compare_result *ret,
	   struct bl_err *err)
{
	uint64_t begun_ms = bl_clock_mono_ms();
	struct bl_run run = { .runner = runner,
			      .fault = f,
			      .twin = bl_fault_twin(f, way),
			      .way = way,
			      .result = ret };
	struct bl_err why = { 0 };
	int r;

	head(&run, ret);
	r = go(&run, &why);
	if (!r)
		r = judge(&run, bl_watch_now(&run.watch), &why);
	ret->took_ms = (int64_t)(bl_clock_mono_ms() - begun_ms);
	if (r)
		bl_kept_free(&runner->kept[way]);
	bl_watch_free(&run.watch);
	bl_variant_free(&run.good);
	bl_variant_free(&run.bad);
	if (r == -ECANCELED || r == -EINTR || r == -ENOMEM)
		return bl_err_set(err, r == -EINTR ? -ECANCELED : r, "%s",
				  why.text);
	return r && note_failure(ret, &why) < 0
		       ? bl_err_set(err, -ENOMEM, "out of memory")
		       : 0;
}
