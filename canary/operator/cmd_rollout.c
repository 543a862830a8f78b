/* SPDX-License-Identifier: Apache-2.0 */
/* belay rollout: the operator's client. Starting is in cmd_rollout_start.c. */
#include "canary/operator/cmd_rollout.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "canary/ledger/record.h"
#include "canary/operator/news.h"
#include "canary/operator/watch.h"
#include "loader/base/cleanup.h"
#include "loader/base/cli.h"
#include "loader/base/clock.h"
#include "loader/base/duration.h"
#include "loader/base/file.h"
#include "loader/base/term.h"
#include "loader/base/text.h"
#include "loader/verbs.h"

#define TIMEOUT_MAX_MS (7 * 24 * 3600 * INT64_C(1000))
/* A controller that is being restarted is waited for. */
#define AWAY_MS 60000

struct status_options {
	struct bl_client_args client;
	const char *id;
	uint64_t timeout_ms; /* 0: none */
	bool watch, wait;
};

static const char *state_of(const json_t *rollout)
{
	const char *s = json_string_value(json_object_get(rollout, "state"));

	return s ? s : "";
}

/* 0 done, 1 went back, 2 not over. */
static int exit_of(const json_t *rollout)
{
	const char *state = state_of(rollout);

	if (strcmp(state, "done") == 0)
		return BL_EXIT_OK;
	if (strcmp(state, "stopped") == 0 || strcmp(state, "aborted") == 0)
		return BL_EXIT_REJECTED;
	return BL_EXIT_UNDECIDED;
}

int bl_rollout_path(struct bl_client *c, const char *id, const char *more,
		    char **ret, struct bl_err *err)
{
	bl_autojson_doc struct bl_json_doc doc = { 0 };
	int r;

	if (!id) {
		r = bl_client_json(c, "GET", "/v1/rollouts", NULL, &doc, err);
		if (r < 0)
			return r;
		id = json_string_value(json_object_get(
			json_array_get(json_object_get(doc.root, "rollouts"),
				       0),
			"id"));
	}
	if (!id) {
		bl_err_set(err, -ENOENT, "no rollout was ever started here");
		bl_err_hint(err, "'belay rollout start BUNDLE' starts one");
		return -ENOENT;
	}
	if (!bl_name_valid(id)) {
		bl_err_set(err, -EINVAL, "'%s' is not a rollout", id);
		bl_err_hint(err, "'belay rollout list' shows them");
		return -EINVAL;
	}
	*ret = bl_path("/v1/rollouts/%s%s", id, more);
	return *ret ? 0 : bl_err_set(err, -ENOMEM, "out of memory");
}

struct follow {
	const struct status_options *args;
	struct bl_watch_screen screen;
	struct bl_progress progress;
	char shown[128]; /* the last line of progress */
	bool tty, away;
};

static long long number(const json_t *obj, const char *key)
{
	return json_integer_value(json_object_get(obj, key));
}

static void show_progress(struct follow *f, const json_t *now)
{
	const json_t *counts = json_object_get(now, "counts");
	char text[sizeof(f->shown)];

	snprintf(text, sizeof(text),
		 "%.16s: wave %lld, %lld exposed, %lld committed",
		 state_of(now), number(now, "wave"), number(now, "exposed"),
		 number(counts, "committed"));
	if (strcmp(text, f->shown) != 0)
		bl_progress_step(&f->progress, 0, "%s", text);
	else
		bl_progress_tick(&f->progress);
	memcpy(f->shown, text, sizeof(text));
}

static void show(struct follow *f, const json_t *before, const json_t *now)
{
	struct winsize size = { 0 };

	if (!f->args->watch) {
		show_progress(f, now);
	} else if (f->tty) {
		if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || !size.ws_row)
			size = (struct winsize){ .ws_row = 24, .ws_col = 80 };
		bl_watch_draw(&f->screen, now, size.ws_col, size.ws_row);
	} else {
		bl_watch_changes(before, now, stdout);
		fflush(stdout);
	}
}

/* What is on the screen is old: says so and since when. Below a drawn view
 * without an end of line, so that the next one is drawn over it. */
static void show_away(struct follow *f, uint64_t seen_ms, uint64_t now_ms)
{
	unsigned long long s = (now_ms - seen_ms) / 1000;
	bool first = !f->away;

	f->away = true;
	if (!f->args->watch) {
		f->shown[0] = '\0';
		bl_progress_step(&f->progress, 0,
				 "no controller answers, trying on");
	} else if (f->tty) {
		printf("\r\033[Kno controller answers: this is %llu s old\r",
		       s);
		fflush(stdout);
	} else if (first) {
		printf("no controller answers, trying on\n");
		fflush(stdout);
	}
}

/* Follows the rollout to its end, the timeout or Ctrl-C. A controller that
 * goes away is waited for: it may be restarting. */
static int follow(struct bl_client *c, const char *path, struct follow *f,
		  struct bl_json_doc *doc, struct bl_err *err)
{
	BL_CLEANUP(bl_news_end) struct bl_news news = { 0 };
	uint64_t start_ms = bl_clock_mono_ms(), seen_ms = start_ms;
	uint64_t timeout_ms = f->args->timeout_ms;
	char within[BL_DURATION_LEN];

	show(f, NULL, doc->root);
	while (exit_of(doc->root) == BL_EXIT_UNDECIDED) {
		bl_autojson_doc struct bl_json_doc now = { 0 };
		struct bl_err e = { 0 };
		uint64_t now_ms;
		int r;

		bl_news_wait(&news, c);
		if (bl_cli_interrupted())
			return 0;
		r = bl_client_json(c, "GET", path, NULL, &now, &e);
		now_ms = bl_clock_mono_ms();
		if (r < 0 && bl_cli_interrupted())
			return 0;
		if (timeout_ms && now_ms - start_ms > timeout_ms)
			return bl_err_set(err, -ETIMEDOUT,
					  "not over within %s%s%s",
					  bl_duration_text(timeout_ms, within),
					  r < 0 ? "; " : "", e.text);
		if (r < 0) {
			if (r != -ECONNREFUSED || now_ms - seen_ms > AWAY_MS) {
				if (err)
					*err = e;
				return r;
			}
			show_away(f, seen_ms, now_ms);
			continue;
		}
		seen_ms = now_ms;
		if (f->away && f->args->watch && !f->tty)
			printf("the controller answers again\n");
		f->away = false;
		show(f, doc->root, now.root);
		bl_json_doc_free(doc);
		*doc = now;
		now = (struct bl_json_doc){ 0 };
	}
	return 0;
}

static const char status_usage[] =
	"usage: belay rollout status [ID] [--watch | --wait] [--timeout TIME] [--json]\n"
	"\n"
	"Shows a rollout, the newest if none is named. Exit status: 0 it is done, 1 it\n"
	"was stopped or aborted, 2 it is not over, or cannot be told.\n"
	"\n"
	"  --watch             a live view until it is over; without a terminal, a\n"
	"                      line for each change\n"
	"  --wait              wait until it is over, then show it\n"
	"  --timeout TIME      give up after it (90s, 10m); exit status 2\n" //
	BL_CLIENT_USAGE "\n"
	"example: belay rollout status r7 --watch\n";

static const struct bl_arg status_rows[] = {
	BL_CLIENT_ARGS(struct status_options, client),
	{ BL_ROLLOUT_ID, BL_ARG_OPERAND, offsetof(struct status_options, id), 0,
	  0 },
	{ "watch", BL_ARG_FLAG, offsetof(struct status_options, watch), 0, 0 },
	{ "wait", BL_ARG_FLAG, offsetof(struct status_options, wait), 0, 0 },
	{ "timeout", BL_ARG_TIME, offsetof(struct status_options, timeout_ms),
	  1, TIMEOUT_MAX_MS },
};

static int cmd_status(int argc, char **argv, struct bl_err *err)
{
	static const struct bl_args spec = { "rollout status", status_usage,
					     status_rows,
					     BL_ARRAY_SIZE(status_rows) };
	BL_CLEANUP(bl_client_closep) struct bl_client *c = NULL;
	bl_autojson_doc struct bl_json_doc doc = { 0 };
	bl_autofree char *path = NULL;
	struct status_options o = { 0 };
	struct follow f = { .args = &o };
	int code, r;

	if (!bl_args_read(&spec, argc, argv, &o, &r, err))
		return r;
	if (o.watch && o.client.json)
		return bl_cli_usage(err, spec.verb,
				    "--watch is for people, --json is not");
	bl_cli_catch_signals();
	if (bl_client_open_by(&o.client, &c, err) < 0)
		return BL_EXIT_USAGE;
	r = bl_rollout_path(c, o.id, "", &path, err);
	if (!r)
		r = bl_client_json(c, "GET", path, NULL, &doc, err);
	if (r < 0)
		return BL_EXIT_UNDECIDED;
	f.tty = isatty(STDOUT_FILENO);
	f.screen = (struct bl_watch_screen){ .f = stdout,
					     .colour = bl_term_colour(stdout) };
	if (o.wait && !o.watch)
		bl_progress_start(&f.progress, "rollout", 0);
	if (o.watch || o.wait)
		r = follow(c, path, &f, &doc, err);
	if (f.away && o.watch && f.tty)
		putchar('\n'); /* the note about it stands alone */
	if (o.wait && !o.watch)
		bl_progress_end(&f.progress);
	code = r < 0 ? BL_EXIT_UNDECIDED : exit_of(doc.root);
	if (o.client.json && bl_client_print_json(doc.root) != BL_EXIT_OK)
		return BL_EXIT_UNDECIDED;
	if (!o.client.json && !o.watch)
		bl_watch_print(doc.root, stdout, f.screen.colour,
			       BL_WATCH_ROWS);
	return code;
}

static const char list_usage[] = "usage: belay rollout list [--json]\n"
				 "\n"
				 "Lists the rollouts, the newest first.\n"
				 "\n" //
	BL_CLIENT_USAGE "\n"
				 "example: belay rollout list\n";

struct list_options {
	struct bl_client_args client;
};

static void list_row(struct bl_table *t, const json_t *r)
{
	static const char *const keys[] = { "id",     "name",  "version",
					    "digest", "state", "reason" };
	char when[BL_TIME_ISO_LEN], text[BL_REASON_MAX];
	size_t i;

	bl_table_row(t);
	for (i = 0; i < BL_ARRAY_SIZE(keys); i++) {
		bl_text_copy(text, sizeof(text),
			     json_string_value(json_object_get(r, keys[i])));
		if (strcmp(keys[i], "digest") == 0)
			text[12] = '\0';
		if (strcmp(keys[i], "state") == 0 &&
		    json_is_object(json_object_get(r, "paused")))
			bl_text_copy(text, sizeof(text), "paused");
		if (strcmp(keys[i], "reason") == 0)
			bl_table_cell(
				t, BL_STYLE_PLAIN, "%s",
				bl_clock_iso(json_integer_value(json_object_get(
						     r, "start_ms")),
					     when));
		bl_table_cell(t, BL_STYLE_PLAIN, "%s", text);
	}
}

static int cmd_list(int argc, char **argv, struct bl_err *err)
{
	static const char *const heads[] = { "rollout", "name",	 "version",
					     "digest",	"state", "started",
					     "reason" };
	static const struct bl_arg rows[] = {
		BL_CLIENT_ARGS(struct list_options, client),
	};
	static const struct bl_args spec = { "rollout list", list_usage, rows,
					     BL_ARRAY_SIZE(rows) };
	BL_CLEANUP(bl_client_closep) struct bl_client *c = NULL;
	bl_autotable struct bl_table *t = bl_table_new(BL_ARRAY_SIZE(heads));
	bl_autojson_doc struct bl_json_doc doc = { 0 };
	struct list_options o = { 0 };
	const json_t *list, *rollout;
	size_t i;
	int r;

	if (!bl_args_read(&spec, argc, argv, &o, &r, err))
		return r;
	if (bl_client_open_by(&o.client, &c, err) < 0)
		return BL_EXIT_USAGE;
	r = bl_client_json(c, "GET", "/v1/rollouts", NULL, &doc, err);
	if (r < 0 || !t)
		return BL_EXIT_UNDECIDED;
	if (o.client.json)
		return bl_client_print_json(doc.root);
	list = json_object_get(doc.root, "rollouts");
	if (!json_array_size(list)) {
		printf("no rollout was ever started here\n");
		return BL_EXIT_OK;
	}
	bl_table_row(t);
	for (i = 0; i < BL_ARRAY_SIZE(heads); i++)
		bl_table_cell(t, BL_STYLE_PLAIN, "%s", heads[i]);
	json_array_foreach (list, i, rollout)
		list_row(t, rollout);
	bl_table_print(t, stdout, "");
	return BL_EXIT_OK;
}

int bl_cmd_rollout(int argc, char **argv, struct bl_err *err)
{
	static const char usage[] =
		"usage: belay rollout VERB [options]   (belay rollout VERB --help for each)\n"
		"example: belay rollout start sensor-v2.bundle\n"
		"\n";
	static const struct bl_verb verbs[] = {
		{ "start", "check a bundle and roll it out",
		  bl_cmd_rollout_start },
		{ "status", "how a rollout stands", cmd_status },
		{ "plan", "what a plan would do to the fleet",
		  bl_cmd_rollout_plan },
		{ "explain", "why a rollout went on or back",
		  bl_cmd_rollout_explain },
		{ "approve", "open the gate of the next wave",
		  bl_cmd_rollout_act },
		{ "pause", "give it to no other host for now",
		  bl_cmd_rollout_act },
		{ "resume", "go on after a pause", bl_cmd_rollout_act },
		{ "abort", "take every exposed host back", bl_cmd_rollout_act },
		{ "list", "all rollouts", cmd_list },
	};

	bl_cli_guard_secrets();
	return bl_cli_dispatch(usage, verbs, BL_ARRAY_SIZE(verbs), argc, argv,
			       err);
}
