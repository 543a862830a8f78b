/* SPDX-License-Identifier: Apache-2.0 */
/* belay rollout: the operator's client. Starting is in cmd_rollout_start.c. */
#include "canary/operator/cmd_rollout.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "canary/ledger/record.h"
#include "canary/operator/watch.h"
#include "loader/base/cleanup.h"
#include "loader/base/cli.h"
#include "loader/base/clock.h"
#include "loader/base/file.h"
#include "loader/base/term.h"
#include "loader/base/text.h"
#include "loader/verbs.h"

#define WATCH_MS 500
/* A controller that is being restarted is waited for. */
#define AWAY_MS 60000

static int read_number(const char *text, long max, long *ret)
{
	char *end;
	long n;

	errno = 0;
	n = strtol(text, &end, 10);
	if (errno || *end || end == text || n < 1 || n > max)
		return -EINVAL;
	*ret = n;
	return 0;
}

static const struct {
	struct option option;
	char takes; /* 0: every verb */
} known[] = {
	{ { "controller", required_argument, NULL, 'c' }, 0 },
	{ { "plaintext", no_argument, NULL, 'P' }, 0 },
	{ { "json", no_argument, NULL, 'j' }, 0 },
	{ { "help", no_argument, NULL, 'h' }, 0 },
	{ { "plan", required_argument, NULL, 'p' }, 'p' },
	{ { "kernel", required_argument, NULL, 'k' }, 'k' },
	{ { "checked", required_argument, NULL, 'C' }, 'k' },
	{ { "profile", required_argument, NULL, 'f' }, 'k' },
	{ { "log-dir", required_argument, NULL, 'l' }, 'k' },
	{ { "jobs", required_argument, NULL, 'J' }, 'k' },
	{ { "override", required_argument, NULL, 'o' }, 'o' },
	{ { "reason", required_argument, NULL, 'r' }, 'r' },
	{ { "watch", no_argument, NULL, 'W' }, 'w' },
	{ { "wait", no_argument, NULL, 'w' }, 'w' },
	{ { "timeout", required_argument, NULL, 't' }, 'w' },
};

static int read_option(const char *verb, int opt, struct bl_rollout_args *a,
		       struct bl_err *err)
{
	long n;

	switch (opt) {
	case 'c':
		a->url = optarg;
		return 0;
	case 'P':
		a->plaintext = true;
		return 0;
	case 'j':
		a->json = true;
		return 0;
	case 'h':
		a->help = true;
		return 0;
	case 'p':
		a->plan = optarg;
		return 0;
	case 'k':
		if (a->kernel_count == BL_ROLLOUT_KERNELS_MAX)
			return bl_cli_usage(err, verb, "too many kernels");
		a->kernels[a->kernel_count++] = optarg;
		return 0;
	case 'C':
		a->checked = optarg;
		return 0;
	case 'f':
		a->profile = optarg;
		return 0;
	case 'l':
		a->log_dir = optarg;
		return 0;
	case 'o':
	case 'r':
		if (!*optarg || strlen(optarg) >= BL_REASON_MAX)
			return bl_cli_usage(err, verb,
					    "a reason has 1 to %d bytes",
					    BL_REASON_MAX - 1);
		if (opt == 'o')
			a->override_reason = optarg;
		else
			a->reason = optarg;
		return 0;
	case 'W':
		a->watch = true;
		return 0;
	case 'w':
		a->wait = true;
		return 0;
	case 'J':
	case 't':
		if (read_number(optarg, 1000000, &n) < 0)
			return bl_cli_usage(err, verb, "'%s' is not a number",
					    optarg);
		if (opt == 'J')
			a->jobs = (unsigned)n;
		else
			a->timeout_s = n;
		return 0;
	case ':':
		return bl_cli_usage(err, verb, "an option needs a value");
	default:
		return -1;
	}
}

int bl_rollout_args(const char *verb, const char *takes, int argc, char **argv,
		    struct bl_rollout_args *ret, struct bl_err *err)
{
	struct option options[BL_ARRAY_SIZE(known) + 1] = { 0 };
	size_t i, n = 0;
	int opt, r;

	*ret = (struct bl_rollout_args){ 0 };
	for (i = 0; i < BL_ARRAY_SIZE(known); i++)
		if (!known[i].takes || strchr(takes, known[i].takes))
			options[n++] = known[i].option;
	optind = 0;
	opterr = 0;
	while ((opt = getopt_long(argc, argv, ":h", options, NULL)) != -1) {
		r = read_option(verb, opt, ret, err);
		if (r < 0)
			return bl_cli_usage(err, verb, "%s is unknown",
					    argv[optind - 1]);
		if (r || ret->help)
			return r;
	}
	if (optind < argc)
		ret->operand = argv[optind++];
	if (optind < argc)
		return bl_cli_usage(err, verb, "'%s' is more than expected",
				    argv[optind]);
	return 0;
}

int bl_rollout_print_json(struct bl_json_doc *doc)
{
	bl_autofree char *text = bl_json_dump(json_incref(doc->root));

	if (text)
		fputs(text, stdout);
	bl_json_doc_free(doc);
	return text ? BL_EXIT_OK : BL_EXIT_UNDECIDED;
}

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

/* The path of the rollout that was named, or of the newest. */
static int find(struct bl_client *c, const char *id, char **ret,
		struct bl_err *err)
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
		if (!id)
			return bl_err_set(err, -ENOENT,
					  "no rollout was ever started here");
	}
	if (!bl_name_valid(id))
		return bl_err_set(err, -EINVAL, "'%s' is not a rollout", id);
	*ret = bl_path("/v1/rollouts/%s", id);
	return *ret ? 0 : bl_err_set(err, -ENOMEM, "out of memory");
}

struct follow {
	const struct bl_rollout_args *args;
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
	uint64_t start_ms = bl_clock_mono_ms(), seen_ms = start_ms;
	uint64_t timeout_ms = (uint64_t)f->args->timeout_s * 1000;

	show(f, NULL, doc->root);
	while (exit_of(doc->root) == BL_EXIT_UNDECIDED) {
		bl_autojson_doc struct bl_json_doc now = { 0 };
		struct bl_err e = { 0 };
		uint64_t now_ms;
		int r;

		bl_clock_sleep_ms(WATCH_MS);
		if (bl_cli_interrupted())
			return 0;
		r = bl_client_json(c, "GET", path, NULL, &now, &e);
		now_ms = bl_clock_mono_ms();
		if (r < 0 && bl_cli_interrupted())
			return 0;
		if (timeout_ms && now_ms - start_ms > timeout_ms)
			return bl_err_set(err, -ETIMEDOUT,
					  "not over within %ld s%s%s",
					  f->args->timeout_s, r < 0 ? "; " : "",
					  e.text);
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
	"usage: belay rollout status [ID] [--watch | --wait] [--timeout S] [--json]\n"
	"\n"
	"Shows a rollout, the newest if none is named. Exit status: 0 it is done, 1 it\n"
	"was stopped or aborted, 2 it is not over, or cannot be told.\n"
	"\n"
	"  --watch             a live view until it is over; without a terminal, a\n"
	"                      line for each change\n"
	"  --wait              wait until it is over, then show it\n"
	"  --timeout S         give up after S seconds; exit status 2\n" //
	BL_ROLLOUT_USAGE_COMMON "\n"
	"example: belay rollout status r7 --watch\n";

static int cmd_status(int argc, char **argv, struct bl_err *err)
{
	BL_CLEANUP(bl_client_closep) struct bl_client *c = NULL;
	bl_autojson_doc struct bl_json_doc doc = { 0 };
	bl_autofree char *path = NULL;
	struct bl_rollout_args a;
	struct follow f = { .args = &a };
	int code,
		r = bl_rollout_args("rollout status", "w", argc, argv, &a, err);

	if (r)
		return r;
	if (a.help) {
		fputs(status_usage, stdout);
		return BL_EXIT_OK;
	}
	if (a.watch && a.json)
		return bl_cli_usage(err, "rollout status",
				    "--watch is for people, --json is not");
	bl_cli_catch_signals();
	if (bl_client_open(a.url, a.plaintext, &c, err) < 0)
		return BL_EXIT_USAGE;
	r = find(c, a.operand, &path, err);
	if (!r)
		r = bl_client_json(c, "GET", path, NULL, &doc, err);
	if (r < 0)
		return BL_EXIT_UNDECIDED;
	f.tty = isatty(STDOUT_FILENO);
	f.screen = (struct bl_watch_screen){ .f = stdout,
					     .colour = bl_term_colour(stdout) };
	if (a.wait && !a.watch)
		bl_progress_start(&f.progress, "rollout", 0);
	if (a.watch || a.wait)
		r = follow(c, path, &f, &doc, err);
	if (f.away && a.watch && f.tty)
		putchar('\n'); /* the note about it stands alone */
	if (a.wait && !a.watch)
		bl_progress_end(&f.progress);
	code = r < 0 ? BL_EXIT_UNDECIDED : exit_of(doc.root);
	if (a.json && bl_rollout_print_json(&doc) != BL_EXIT_OK)
		return BL_EXIT_UNDECIDED;
	if (!a.json && !a.watch)
		bl_watch_print(doc.root, stdout, f.screen.colour, 0);
	return code;
}

static const char list_usage[] = "usage: belay rollout list [--json]\n"
				 "\n"
				 "Lists the rollouts, the newest first.\n"
				 "\n" //
	BL_ROLLOUT_USAGE_COMMON "\n"
				 "example: belay rollout list\n";

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
	BL_CLEANUP(bl_client_closep) struct bl_client *c = NULL;
	bl_autotable struct bl_table *t = bl_table_new(BL_ARRAY_SIZE(heads));
	bl_autojson_doc struct bl_json_doc doc = { 0 };
	struct bl_rollout_args a;
	const json_t *rollout;
	size_t i;
	int r = bl_rollout_args("rollout list", "", argc, argv, &a, err);

	if (r)
		return r;
	if (a.help) {
		fputs(list_usage, stdout);
		return BL_EXIT_OK;
	}
	if (a.operand)
		return bl_cli_usage(err, "rollout list",
				    "'%s' is more than expected", a.operand);
	if (bl_client_open(a.url, a.plaintext, &c, err) < 0)
		return BL_EXIT_USAGE;
	r = bl_client_json(c, "GET", "/v1/rollouts", NULL, &doc, err);
	if (r < 0 || !t)
		return BL_EXIT_UNDECIDED;
	if (a.json)
		return bl_rollout_print_json(&doc);
	bl_table_row(t);
	for (i = 0; i < BL_ARRAY_SIZE(heads); i++)
		bl_table_cell(t, BL_STYLE_PLAIN, "%s", heads[i]);
	json_array_foreach (json_object_get(doc.root, "rollouts"), i, rollout)
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

	return bl_cli_dispatch(usage, verbs, BL_ARRAY_SIZE(verbs), argc, argv,
			       err);
}
