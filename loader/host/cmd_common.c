/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/host/cmd_common.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/base/cli.h"
#include "loader/base/clock.h"
#include "loader/base/duration.h"
#include "loader/base/json.h"
#include "loader/oci/cmd_source.h"

#define TIME_MAX_MS (7 * 24 * 3600 * UINT64_C(1000))
#define COUNT_MAX   1000000000

enum {
	OPT_JSON = 256,
	OPT_STATE,
	OPT_PIN,
	OPT_MODULE,
	OPT_TRUST,
	OPT_PROBATION,
	OPT_OVERRIDE,
	OPT_REASON,
	OPT_COUNT,
	OPT_SECONDS,
	OPT_CONFIRM,
	OPT_WITHIN,
	OPT_TXN,
	OPT_PROBE,
	OPT_PROBE_TIMEOUT,
	OPT_WATCHDOG,
	OPT_WATCHDOG_TIMEOUT,
	OPT_YES,
};

static const struct {
	struct option option;
	unsigned takes; /* 0: every verb */
} known[] = {
	{ { "json", no_argument, NULL, OPT_JSON }, 0 },
	{ { "state-dir", required_argument, NULL, OPT_STATE }, 0 },
	{ { "pin-dir", required_argument, NULL, OPT_PIN }, 0 },
	{ { "module-dir", required_argument, NULL, OPT_MODULE }, 0 },
	{ { "help", no_argument, NULL, 'h' }, 0 },
	{ { "ca", required_argument, NULL, BL_OPT_SOURCE_CA },
	  BL_TAKES_SOURCE },
	{ { "auth-file", required_argument, NULL, BL_OPT_SOURCE_AUTH },
	  BL_TAKES_SOURCE },
	{ { "plain-http", no_argument, NULL, BL_OPT_SOURCE_PLAIN },
	  BL_TAKES_SOURCE },
	{ { "trust", required_argument, NULL, OPT_TRUST }, BL_TAKES_TRUST },
	{ { "probation", required_argument, NULL, OPT_PROBATION },
	  BL_TAKES_PROBATION },
	{ { "override", required_argument, NULL, OPT_OVERRIDE },
	  BL_TAKES_OVERRIDE },
	{ { "reason", required_argument, NULL, OPT_REASON }, BL_TAKES_REASON },
	{ { "count", required_argument, NULL, OPT_COUNT }, BL_TAKES_COUNT },
	{ { "limit", required_argument, NULL, OPT_COUNT }, BL_TAKES_LIMIT },
	{ { "seconds", required_argument, NULL, OPT_SECONDS },
	  BL_TAKES_SECONDS },
	{ { "confirm", required_argument, NULL, OPT_CONFIRM },
	  BL_TAKES_CONFIRM },
	{ { "within", required_argument, NULL, OPT_WITHIN }, BL_TAKES_CONFIRM },
	{ { "probe", required_argument, NULL, OPT_PROBE }, BL_TAKES_PROBES },
	{ { "probe-timeout", required_argument, NULL, OPT_PROBE_TIMEOUT },
	  BL_TAKES_PROBES },
	{ { "watchdog", required_argument, NULL, OPT_WATCHDOG },
	  BL_TAKES_WATCHDOG },
	{ { "watchdog-timeout", required_argument, NULL, OPT_WATCHDOG_TIMEOUT },
	  BL_TAKES_WATCHDOG },
	{ { "txn", required_argument, NULL, OPT_TXN }, BL_TAKES_TXN },
	{ { "yes", no_argument, NULL, OPT_YES }, BL_TAKES_YES },
};

static int count(const char *verb, const char *option, const char *text,
		 uint64_t *ret, struct bl_err *err)
{
	char *end;
	unsigned long long value;

	errno = 0;
	value = strtoull(text, &end, 10);
	if (errno || *end || *text < '0' || *text > '9' || !value ||
	    value > COUNT_MAX)
		return bl_cli_usage(
			err, verb, "--%s wants a number from 1 to %d, not '%s'",
			option, COUNT_MAX, text);
	*ret = value;
	return 0;
}

static int duration(const char *verb, const char *option, const char *text,
		    uint64_t *ret_ms, struct bl_err *err)
{
	char max[BL_DURATION_LEN];
	int r = bl_duration_parse(text, TIME_MAX_MS, ret_ms);

	if (r == -ERANGE)
		return bl_cli_usage(err, verb, "--%s %s: %s is the limit",
				    option, text,
				    bl_duration_text(TIME_MAX_MS, max));
	if (r)
		return bl_cli_usage(err, verb,
				    "--%s wants " BL_DURATION_FORM ", not '%s'",
				    option, text);
	return 0;
}

/* Nobody but a program that calls in here can confirm by its tick. */
static int confirmation(const char *verb, const char *text,
			enum bl_confirm *ret, struct bl_err *err)
{
	int confirm = bl_confirm_by_name(text);

	if (confirm < 0 || confirm == BL_CONFIRM_REMOTE)
		return bl_cli_usage(err, verb,
				    "--confirm is auto or manual, not '%s'",
				    text);
	*ret = (enum bl_confirm)confirm;
	return 0;
}

static int probe(const char *verb, const char *text, struct bl_host_args *a,
		 struct bl_err *err)
{
	if (!*text)
		return bl_cli_usage(err, verb, "--probe wants a command");
	if (a->probe_count == BL_COMMANDS_MAX)
		return bl_cli_usage(err, verb, "at most %d --probe",
				    BL_COMMANDS_MAX);
	a->probes[a->probe_count++] = text;
	return 0;
}

static int watchdog(const char *verb, const char *text,
		    enum bl_watchdog_mode *ret, struct bl_err *err)
{
	int mode = bl_watchdog_mode_by_name(text);

	if (mode < 0)
		return bl_cli_usage(
			err, verb,
			"--watchdog is auto, require or off, not '%s'", text);
	*ret = (enum bl_watchdog_mode)mode;
	return 0;
}

static int take(const char *verb, int c, struct bl_host_args *a,
		struct bl_err *err)
{
	if (bl_source_option(c, optarg, &a->source))
		return 0;
	switch (c) {
	case OPT_JSON:
		a->json = true;
		return 0;
	case OPT_STATE:
		a->state_dir = optarg;
		return 0;
	case OPT_PIN:
		a->pin_dir = optarg;
		return 0;
	case OPT_MODULE:
		a->module_dir = optarg;
		return 0;
	case OPT_TRUST:
		a->trust_dir = optarg;
		return 0;
	case OPT_OVERRIDE:
	case OPT_REASON:
		if (!*optarg)
			return bl_cli_usage(err, verb,
					    "a reason must say something");
		a->reason = optarg;
		return 0;
	case OPT_PROBATION:
		return duration(verb, "probation", optarg, &a->probation_ms,
				err);
	case OPT_SECONDS:
		return duration(verb, "seconds", optarg, &a->seconds_ms, err);
	case OPT_COUNT:
		return count(verb, "count", optarg, &a->count, err);
	case OPT_CONFIRM:
		return confirmation(verb, optarg, &a->confirm, err);
	case OPT_WITHIN:
		return duration(verb, "within", optarg, &a->within_ms, err);
	case OPT_PROBE:
		return probe(verb, optarg, a, err);
	case OPT_PROBE_TIMEOUT:
		return duration(verb, "probe-timeout", optarg,
				&a->probe_timeout_ms, err);
	case OPT_WATCHDOG:
		return watchdog(verb, optarg, &a->watchdog, err);
	case OPT_WATCHDOG_TIMEOUT:
		return duration(verb, "watchdog-timeout", optarg,
				&a->watchdog_ms, err);
	case OPT_TXN:
		return count(verb, "txn", optarg, &a->txn, err);
	case OPT_YES:
		a->yes = true;
		return 0;
	case 'h':
		a->help = true;
		return 0;
	case ':':
		return bl_cli_usage(err, verb, "an option needs a value");
	default:
		return bl_cli_usage(err, verb, "unknown option");
	}
}

int bl_host_args(const char *verb, unsigned takes, int argc, char **argv,
		 struct bl_host_args *ret, struct bl_err *err)
{
	struct option options[BL_ARRAY_SIZE(known) + 1] = { 0 };
	struct bl_host_args a = { .operand = "" };
	int c, r = 0, n = 0, wanted = takes & BL_TAKES_OPERAND ? 1 : 0;

	for (size_t i = 0; i < BL_ARRAY_SIZE(known); i++)
		if (!known[i].takes || known[i].takes & takes)
			options[n++] = known[i].option;
	optind = 0; /* glibc: start anew */
	opterr = 0;
	while (!r && !a.help &&
	       (c = getopt_long(argc, argv, ":h", options, NULL)) != -1) {
		const char *word = argv[optind - 1];

		if (c == '?')
			r = bl_cli_usage(err, verb, "unknown option '%s'",
					 word);
		else if (c == ':')
			r = bl_cli_usage(err, verb, "'%s' needs a value", word);
		else
			r = take(verb, c, &a, err);
	}
	if (r)
		return r;
	if (!a.help && argc - optind != wanted)
		return bl_cli_usage(err, verb,
				    argc - optind < wanted
					    ? "which bundle? none was given"
					    : "unexpected '%s'",
				    argv[argc - 1]);
	if (a.within_ms && a.confirm != BL_CONFIRM_MANUAL && !a.help)
		return bl_cli_usage(err, verb,
				    "--within goes with --confirm=manual");
	if (wanted && !a.help)
		a.operand = argv[optind];
	*ret = a;
	return 0;
}

int bl_host_args_open(const struct bl_host_args *args, struct bl_host **ret,
		      struct bl_err *err)
{
	struct bl_host_config config = { .state_dir = args->state_dir,
					 .pin_dir = args->pin_dir,
					 .module_dir = args->module_dir,
					 .trust_dir = args->trust_dir };
	int r = bl_host_open(&config, ret, err);

	if (r == -EACCES || r == -EPERM)
		bl_err_hint(
			err,
			"a host's state belongs to root; or name another place with --state-dir");
	return r;
}

int bl_host_print_json(json_t *v, struct bl_err *err)
{
	bl_autofree char *text = v ? bl_json_dump(v) : NULL;

	if (!text) {
		bl_err_set(err, -ENOMEM, "print JSON: out of memory");
		return BL_EXIT_UNDECIDED;
	}
	fputs(text, stdout);
	return BL_EXIT_OK;
}

json_t *bl_host_sample_json(const struct bl_kern_sample *s)
{
	json_t *v = json_pack("{s:i, s:i, s:I, s:I, s:I, s:I, s:I}", "programs",
			      (int)s->programs, "attached", (int)s->attached,
			      "run_count", (json_int_t)s->run_count,
			      "run_time_ns", (json_int_t)s->run_time_ns,
			      "missed", (json_int_t)s->missed, "memory_bytes",
			      (json_int_t)s->memory_bytes, "grown_bytes",
			      (json_int_t)s->grown_bytes);
	json_t *counters;

	if (!v || !s->sensor)
		return v;
	counters = json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "seen",
			     (json_int_t)s->seen, "events",
			     (json_int_t)s->events, "drops",
			     (json_int_t)s->drops, "torn", (json_int_t)s->torn,
			     "denied", (json_int_t)s->denied, "lost",
			     (json_int_t)bl_kern_lost(s), "hashed",
			     (json_int_t)s->hashed, "unhashed",
			     (json_int_t)s->unhashed);
	json_object_update(v, counters);
	json_decref(counters);
	return v;
}

json_t *bl_host_maps_json(const char *maps)
{
	char text[BL_HOST_MAPS_LEN], *save = NULL;
	json_t *v = json_object();

	snprintf(text, sizeof(text), "%s", maps);
	for (char *map = strtok_r(text, " ", &save); map;
	     map = strtok_r(NULL, " ", &save)) {
		char *way = strchr(map, ':');

		if (!way)
			continue;
		*way++ = 0;
		json_object_set_new(v, map, json_string(way));
	}
	return v;
}

json_t *bl_host_generation_json(const struct bl_host_generation *g)
{
	char since[BL_TIME_ISO_LEN];

	if (!*g->digest)
		return json_null();
	return json_pack("{s:s, s:s, s:s, s:s, s:I, s:s, s:o}", "digest",
			 g->digest, "name", g->name, "version", g->version,
			 "content", g->content, "generation",
			 (json_int_t)g->number, "since",
			 bl_clock_iso(g->since_ms, since), "maps",
			 bl_host_maps_json(g->maps));
}

const char *bl_outcome_name(enum bl_apply_outcome outcome)
{
	static const char *const names[] = {
		[BL_APPLY_COMMITTED] = "committed",
		[BL_APPLY_ROLLED_BACK] = "rolled-back",
		[BL_APPLY_REFUSED] = "refused",
	};

	return names[outcome];
}

const char *bl_refusal_name(enum bl_refusal refusal)
{
	static const char *const names[] = {
		[BL_REFUSAL_NONE] = "none",
		[BL_REFUSAL_TOMBSTONE] = "tombstone",
		[BL_REFUSAL_BUSY] = "busy",
		[BL_REFUSAL_LIVE] = "live",
		[BL_REFUSAL_UNSUPPORTED] = "unsupported",
		[BL_REFUSAL_EMPTY] = "empty",
		[BL_REFUSAL_STATE] = "state",
		[BL_REFUSAL_CHANGED] = "changed",
		[BL_REFUSAL_UNSIGNED] = "unsigned",
	};

	return names[refusal];
}

const char *bl_recover_name(enum bl_recover_outcome outcome)
{
	static const char *const names[] = {
		[BL_RECOVER_NOTHING] = "nothing",
		[BL_RECOVER_ROLLED_BACK] = "rolled-back",
		[BL_RECOVER_FINISHED] = "finished",
		[BL_RECOVER_RESTORED] = "restored",
		[BL_RECOVER_BARE] = "bare",
		[BL_RECOVER_BUSY] = "busy",
	};

	return names[outcome];
}
