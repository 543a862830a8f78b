/* SPDX-License-Identifier: Apache-2.0 */
/* belay host token, belay host enroll: how a host gets into the fleet. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "canary/agent/enroll_host.h"
#include "canary/operator/cmd_host.h"
#include "canary/wire/client.h"
#include "canary/wire/pki_dir.h"
#include "loader/base/cleanup.h"
#include "loader/base/cli.h"
#include "loader/base/clock.h"
#include "loader/base/duration.h"

static const char token_usage[] =
	"usage: belay host token NAME [--valid TIME] [--controller URL] [--json]\n"
	"\n"
	"Makes a token with which one host enrolls as NAME, once. Give it to nobody\n"
	"else: who shows it first is that host.\n"
	"\n"
	"  --valid TIME      it counts for so long (default 1h, at most 7d)\n"
	"  --controller URL  (default $BELAY_CONTROLLER, or " BL_CLIENT_URL
	")\n"
	"  --tls-dir DIR     where operator.pem, operator.key and ca.pem are\n"
	"                    (default $BELAY_TLS_DIR, or " BL_PKI_DIR ")\n"
	"  --json            token, host and until_ms as JSON\n"
	"\n"
	"example: belay host token web-1\n";

static const char enroll_usage[] =
	"usage: belay host enroll TOKEN [--controller URL] [--tls-dir DIR] [--json]\n"
	"\n"
	"Gets this host's certificate from the controller that made the token, and\n"
	"makes sure that it is that one. The key is made here and stays here. The\n"
	"agent renews the certificate by itself.\n"
	"\n"
	"  --controller URL  (default $BELAY_CONTROLLER, or " BL_CLIENT_URL
	")\n"
	"  --tls-dir DIR     for host.pem, host.key and ca.pem\n"
	"                    (default $BELAY_TLS_DIR, or " BL_PKI_DIR ")\n"
	"  --json            host and folder as JSON\n"
	"\n"
	"example: belay host enroll \"$TOKEN\" --controller https://fleet:7443\n";

struct options {
	const char *operand, *url, *dir;
	uint64_t valid_ms;
	bool json, help;
};

static int parse(const char *verb, const char *what, int argc, char **argv,
		 struct options *o, struct bl_err *err)
{
	static const struct option options[] = {
		{ "controller", required_argument, NULL, 'c' },
		{ "tls-dir", required_argument, NULL, 'd' },
		{ "valid", required_argument, NULL, 'v' },
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	int opt;

	optind = 0;
	opterr = 0;
	while ((opt = getopt_long(argc, argv, ":h", options, NULL)) != -1) {
		if (opt == 'c')
			o->url = optarg;
		else if (opt == 'd')
			o->dir = optarg;
		else if (opt == 'j')
			o->json = true;
		else if (opt == 'h')
			o->help = true;
		else if (opt != 'v' || !o->valid_ms)
			return bl_cli_usage(
				err, verb, "%s %s", argv[optind - 1],
				opt == ':' ? "needs a value" : "is unknown");
		else if (bl_duration_parse(optarg,
					   BL_TOKEN_VALID_MAX * UINT64_C(1000),
					   &o->valid_ms) < 0 ||
			 o->valid_ms < 1000)
			return bl_cli_usage(err, verb,
					    "--valid wants " BL_DURATION_FORM
					    ", 1s to 7d, not '%s'",
					    optarg);
	}
	if (o->help)
		return 0;
	if (optind == argc)
		return bl_cli_usage(err, verb, "%s is missing", what);
	if (optind + 1 < argc)
		return bl_cli_usage(err, verb, "'%s' is more than expected",
				    argv[optind + 1]);
	o->operand = argv[optind];
	return 0;
}

static int print_json(json_t *value)
{
	bl_autofree char *text = value ? bl_json_dump(value) : NULL;

	if (text)
		fputs(text, stdout);
	return text ? BL_EXIT_OK : BL_EXIT_UNDECIDED;
}

static int exit_of(int r)
{
	if (r == -EINVAL)
		return BL_EXIT_USAGE;
	return r == -EPERM ? BL_EXIT_REJECTED : BL_EXIT_UNDECIDED;
}

int bl_cmd_host_token(int argc, char **argv, struct bl_err *err)
{
	BL_CLEANUP(bl_client_closep) struct bl_client *c = NULL;
	struct options o = { .valid_ms = BL_TOKEN_VALID_S * UINT64_C(1000) };
	bl_autojson_doc struct bl_json_doc doc = { 0 };
	const char *token;
	int r = parse("host token", "the host's name", argc, argv, &o, err);

	if (r)
		return r;
	if (o.help) {
		fputs(token_usage, stdout);
		return BL_EXIT_OK;
	}
	bl_cli_catch_signals();
	r = bl_client_open(o.url, false, &c, err);
	if (!r)
		r = bl_client_identity(c, o.dir, "operator", err);
	if (!r)
		r = bl_client_json(c, "POST", "/v1/tokens",
				   json_pack("{s:s,s:I}", "host", o.operand,
					     "valid_s",
					     (json_int_t)(o.valid_ms / 1000)),
				   &doc, err);
	if (r < 0)
		return exit_of(r);
	if (o.json)
		return print_json(json_incref(doc.root));
	token = json_string_value(json_object_get(doc.root, "token"));
	if (!token) {
		bl_err_set(err, -EPROTO, "the controller gave no token");
		return BL_EXIT_UNDECIDED;
	}
	printf("%s\n", token);
	return BL_EXIT_OK;
}

int bl_cmd_host_enroll(int argc, char **argv, struct bl_err *err)
{
	struct options o = { 0 };
	char name[BL_NAME_MAX + 1];
	int r = parse("host enroll", "the token", argc, argv, &o, err);

	if (r)
		return r;
	if (o.help) {
		fputs(enroll_usage, stdout);
		return BL_EXIT_OK;
	}
	bl_cli_catch_signals();
	o.dir = bl_pki_dir(o.dir);
	r = bl_enroll_host(o.url, o.dir, o.operand, name, err);
	if (r < 0)
		return exit_of(r);
	if (o.json)
		return print_json(
			json_pack("{s:s,s:s}", "host", name, "dir", o.dir));
	printf("this is host %s; its certificate is in %s\n", name, o.dir);
	printf("now: belay agent --name %s\n", name);
	return BL_EXIT_OK;
}
