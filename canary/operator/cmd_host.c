/* SPDX-License-Identifier: Apache-2.0 */
/* belay host list: the fleet's hosts as the controller knows them. */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "canary/ledger/record.h"
#include "canary/operator/cmd_host.h"
#include "canary/wire/client.h"
#include "loader/base/cleanup.h"
#include "loader/base/clock.h"
#include "loader/base/term.h"
#include "loader/base/text.h"
#include "loader/verbs.h"

static const char list_usage[] =
	"usage: belay host list [--wait N [--timeout S]] [--controller URL] [--json]\n"
	"\n"
	"Lists the hosts whose agents have polled: kernel, what runs, when it was last\n"
	"heard of, events and drops of its sensor.\n"
	"\n"
	"  --wait N          wait until N hosts have polled in the last 10 s\n"
	"  --timeout S       give up after S seconds (default 60); exit status 2\n"
	"  --controller URL  (default $BELAY_CONTROLLER, or " BL_CLIENT_URL
	")\n"
	"  --json            the controller's answer as it is\n"
	"  --plaintext       allow http:// to another machine\n"
	"\n"
	"example: belay host list --wait 6\n";

#define PRESENT_MS 10000

struct options {
	const char *url;
	long wait, timeout_s;
	bool json, plaintext, help;
};

static int read_number(const char *text, long max, long *ret)
{
	char *end;

	errno = 0;
	*ret = strtol(text, &end, 10);
	return errno || *end || end == text || *ret < 0 || *ret > max ? -EINVAL
								      : 0;
}

static int parse(int argc, char **argv, struct options *o, struct bl_err *err)
{
	static const struct option options[] = {
		{ "controller", required_argument, NULL, 'c' },
		{ "wait", required_argument, NULL, 'w' },
		{ "timeout", required_argument, NULL, 't' },
		{ "json", no_argument, NULL, 'j' },
		{ "plaintext", no_argument, NULL, 'p' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	int opt, r = 0;

	optind = 0;
	opterr = 0;
	while ((opt = getopt_long(argc, argv, ":h", options, NULL)) != -1) {
		if (opt == 'c')
			o->url = optarg;
		else if (opt == 'w')
			r = read_number(optarg, 1000000, &o->wait);
		else if (opt == 't')
			r = read_number(optarg, 1000000, &o->timeout_s);
		else if (opt == 'j')
			o->json = true;
		else if (opt == 'p')
			o->plaintext = true;
		else if (opt == 'h')
			o->help = true;
		else
			return bl_cli_usage(
				err, "host list", "%s %s", argv[optind - 1],
				opt == ':' ? "needs a value" : "is unknown");
		if (r < 0)
			return bl_cli_usage(err, "host list",
					    "'%s' is not a number", optarg);
	}
	if (optind < argc)
		return bl_cli_usage(err, "host list",
				    "'%s' is more than expected", argv[optind]);
	return 0;
}

static const char *text_of(const json_t *obj, const char *key, char *buf,
			   size_t size)
{
	bl_text_copy(buf, size, json_string_value(json_object_get(obj, key)));
	return buf;
}

static long long number_of(const json_t *obj, const char *key)
{
	return json_integer_value(json_object_get(obj, key));
}

static void print(const json_t *answer)
{
	bl_autotable struct bl_table *t = bl_table_new(7);
	const json_t *h, *hosts = json_object_get(answer, "hosts");
	char name[160], kernel[160], live[80], doing[160];
	size_t i;

	if (!t)
		return;
	bl_table_row(t);
	bl_table_cell(t, BL_STYLE_PLAIN, "host");
	bl_table_cell(t, BL_STYLE_PLAIN, "kernel");
	bl_table_cell(t, BL_STYLE_PLAIN, "runs");
	bl_table_cell(t, BL_STYLE_PLAIN, "heard");
	bl_table_cell(t, BL_STYLE_PLAIN, "events");
	bl_table_cell(t, BL_STYLE_PLAIN, "drops");
	bl_table_cell(t, BL_STYLE_PLAIN, "doing");
	json_array_foreach (hosts, i, h) {
		long long quiet = (number_of(answer, "now_ms") -
				   number_of(h, "heard_ms")) /
				  1000;
		const char *digest = text_of(h, "live", live, sizeof(live));

		bl_table_row(t);
		bl_table_cell(t, BL_STYLE_PLAIN, "%s",
			      text_of(h, "name", name, sizeof(name)));
		bl_table_cell(t, BL_STYLE_PLAIN, "%s",
			      text_of(h, "kernel", kernel, sizeof(kernel)));
		bl_table_cell(t, BL_STYLE_PLAIN, "%.12s",
			      *digest ? digest : "nothing");
		bl_table_cell(t, quiet > 30 ? BL_STYLE_WARN : BL_STYLE_PLAIN,
			      "%lld s ago", quiet);
		bl_table_cell(t, BL_STYLE_PLAIN, "%lld",
			      number_of(h, "events"));
		bl_table_cell(t,
			      number_of(h, "drops") ? BL_STYLE_WARN
						    : BL_STYLE_PLAIN,
			      "%lld", number_of(h, "drops"));
		bl_table_cell(t, BL_STYLE_PLAIN, "%s",
			      text_of(h, "doing", doing, sizeof(doing)));
	}
	bl_table_print(t, stdout, "");
	if (!json_array_size(hosts))
		printf("no host has polled yet\n");
}

static unsigned present(const json_t *answer)
{
	const json_t *h;
	unsigned n = 0;
	size_t i;

	json_array_foreach (json_object_get(answer, "hosts"), i, h)
		n += number_of(answer, "now_ms") - number_of(h, "heard_ms") <
		     PRESENT_MS;
	return n;
}

/* Fetches the list until enough hosts are on it. */
static int fetch(struct bl_client *c, const struct options *o,
		 struct bl_json_doc *ret, struct bl_err *err)
{
	struct bl_progress p = { 0 };
	uint64_t end_ms = bl_clock_mono_ms() + (uint64_t)o->timeout_s * 1000;
	unsigned n = 0, shown = UINT_MAX;
	int r;

	if (o->wait)
		bl_progress_start(&p, "waiting for hosts", (unsigned)o->wait);
	for (;;) {
		bl_json_doc_free(ret);
		r = bl_client_json(c, "GET", "/v1/hosts", NULL, ret, err);
		if (r < 0 || !o->wait)
			break;
		n = present(ret->root);
		if (n >= (unsigned)o->wait)
			break;
		if (n != shown)
			bl_progress_step(&p, n, "%u polled", n);
		else
			bl_progress_tick(&p);
		shown = n;
		if (bl_cli_interrupted())
			r = bl_err_set(err, -EINTR, "interrupted");
		else if (bl_clock_mono_ms() > end_ms)
			r = bl_err_set(
				err, -ETIMEDOUT,
				"only %u of %ld hosts polled within %ld s", n,
				o->wait, o->timeout_s);
		if (r < 0)
			break;
		bl_clock_sleep_ms(250);
	}
	if (o->wait)
		bl_progress_end(&p);
	return r;
}

static int cmd_list(int argc, char **argv, struct bl_err *err)
{
	BL_CLEANUP(bl_client_closep) struct bl_client *c = NULL;
	bl_autojson_doc struct bl_json_doc doc = { 0 };
	struct options o = { .timeout_s = 60 };
	bl_autofree char *text = NULL;
	int r = parse(argc, argv, &o, err);

	if (r)
		return r;
	if (o.help) {
		fputs(list_usage, stdout);
		return BL_EXIT_OK;
	}
	bl_cli_catch_signals();
	r = bl_client_open(o.url, o.plaintext, &c, err);
	if (r < 0)
		return BL_EXIT_USAGE;
	r = fetch(c, &o, &doc, err);
	if (r < 0)
		return BL_EXIT_UNDECIDED;
	if (!o.json) {
		print(doc.root);
		return BL_EXIT_OK;
	}
	text = bl_json_dump(json_incref(doc.root));
	if (text)
		fputs(text, stdout);
	return text ? BL_EXIT_OK : BL_EXIT_UNDECIDED;
}

int bl_cmd_host(int argc, char **argv, struct bl_err *err)
{
	static const char usage[] = "usage: belay host VERB [options]\n"
				    "example: belay host list --wait 6\n"
				    "\n";
	static const struct bl_verb verbs[] = {
		{ "list", "the fleet's hosts", cmd_list },
		{ "token", "lets one host enroll, once", bl_cmd_host_token },
		{ "enroll", "gets this host's certificate by a token",
		  bl_cmd_host_enroll },
	};

	return bl_cli_dispatch(usage, verbs, BL_ARRAY_SIZE(verbs), argc, argv,
			       err);
}
