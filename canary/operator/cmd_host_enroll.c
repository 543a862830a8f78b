/* SPDX-License-Identifier: Apache-2.0 */
/* belay host token, belay host enroll: how a host gets into the fleet. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "canary/agent/enroll_host.h"
#include "canary/agent/parts.h"
#include "canary/operator/cmd_host.h"
#include "canary/wire/client_args.h"
#include "canary/wire/token.h"
#include "loader/base/cleanup.h"
#include "loader/base/cli.h"

static const char token_usage[] =
	"usage: belay host token NAME [--valid TIME] [--json]\n"
	"\n"
	"Makes a token with which one host enrolls as NAME, once. Give it to nobody\n"
	"else: who shows it first is that host.\n"
	"\n"
	"  --valid TIME        it counts for so long (default 1h, at most 7d)\n" //
	BL_CLIENT_USAGE "\n"
	"example: belay host token web-1\n";

static const char enroll_usage[] =
	"usage: belay host enroll -|TOKEN [--controller URL] [--tls-dir DIR] [--json]\n"
	"\n"
	"Gets this host's certificate from the controller that made the token, and\n"
	"makes sure that it is that one. The key is made here and stays here. The\n"
	"agent renews the certificate by itself, and one that runs takes up what is\n"
	"enrolled here.\n"
	"\n"
	"  -                 read the token from standard input. As an argument it can\n"
	"                    be seen in the list of processes, until it is read, and\n"
	"                    stays in the shell's history\n"
	"  --controller URL  (default $BELAY_CONTROLLER, or " BL_CLIENT_URL
	")\n"
	"  --tls-dir DIR     for host.pem, host.key and ca.pem\n"
	"                    (default $BELAY_TLS_DIR, or " BL_PKI_DIR ")\n"
	"  --json            host and folder as JSON\n"
	"\n"
	"example: belay host enroll - --controller https://fleet:7443 < token\n"
	"         belay host token web-1 | ssh web-1 belay host enroll - …\n";

struct token_options {
	struct bl_client_args client;
	const char *host;
	uint64_t valid_ms;
};

static const struct bl_arg token_rows[] = {
	BL_CLIENT_ARGS(struct token_options, client),
	{ "the host's name", BL_ARG_NEEDED,
	  offsetof(struct token_options, host), 0, 0 },
	{ "valid", BL_ARG_TIME, offsetof(struct token_options, valid_ms), 1000,
	  BL_TOKEN_VALID_MAX *INT64_C(1000) },
};

struct enroll_options {
	char *token;
	const char *url, *dir;
	bool json;
};

static const struct bl_arg enroll_rows[] = {
	{ "the token", BL_ARG_NEEDED, offsetof(struct enroll_options, token), 0,
	  0 },
	{ "controller", BL_ARG_TEXT, offsetof(struct enroll_options, url), 0,
	  0 },
	{ "tls-dir", BL_ARG_TEXT, offsetof(struct enroll_options, dir), 0, 0 },
	{ "json", BL_ARG_FLAG, offsetof(struct enroll_options, json), 0, 0 },
};

int bl_cmd_host_token(int argc, char **argv, struct bl_err *err)
{
	static const struct bl_args spec = { "host token", token_usage,
					     token_rows,
					     BL_ARRAY_SIZE(token_rows) };
	BL_CLEANUP(bl_client_closep) struct bl_client *c = NULL;
	struct token_options o = { .valid_ms =
					   BL_TOKEN_VALID_S * UINT64_C(1000) };
	bl_autojson_doc struct bl_json_doc doc = { 0 };
	const char *token;
	int r;

	if (!bl_args_read(&spec, argc, argv, &o, &r, err))
		return r;
	if (!bl_name_valid(o.host))
		return bl_cli_usage(err, spec.verb, "'%s' is no host's name",
				    o.host);
	bl_cli_catch_signals();
	if (bl_client_open_by(&o.client, &c, err) < 0)
		return BL_EXIT_USAGE;
	r = bl_client_json(c, "POST", "/v1/tokens",
			   json_pack("{s:s,s:I}", "host", o.host, "valid_s",
				     (json_int_t)(o.valid_ms / 1000)),
			   &doc, err);
	if (r < 0)
		return bl_client_exit(r);
	if (o.client.json)
		return bl_client_print_json(doc.root);
	token = json_string_value(json_object_get(doc.root, "token"));
	if (!token) {
		bl_err_set(err, -EPROTO, "the controller gave no token");
		return BL_EXIT_UNDECIDED;
	}
	printf("%s\n", token);
	return BL_EXIT_OK;
}

/* A line of standard input; of a terminal, too. */
static int read_token(char ret[static BL_TOKEN_MAX], struct bl_err *err)
{
	if (isatty(STDIN_FILENO))
		fprintf(stderr, "token: ");
	if (!fgets(ret, BL_TOKEN_MAX, stdin)) {
		bl_err_set(err, -EINVAL, "there is no token on standard input");
		bl_err_hint(err, "'belay host token NAME' prints one");
		return -EINVAL;
	}
	ret[strcspn(ret, "\r\n")] = '\0';
	return 0;
}

/* The token, which is in no list of processes from here on. */
static int take_token(char *arg, char ret[static BL_TOKEN_MAX],
		      struct bl_err *err)
{
	if (strcmp(arg, "-") == 0)
		return read_token(ret, err);
	snprintf(ret, BL_TOKEN_MAX, "%s", arg);
	memset(arg, 'x', strlen(arg));
	return 0;
}

int bl_cmd_host_enroll(int argc, char **argv, struct bl_err *err)
{
	static const struct bl_args spec = { "host enroll", enroll_usage,
					     enroll_rows,
					     BL_ARRAY_SIZE(enroll_rows) };
	bl_autojson json_t *answer = NULL;
	struct enroll_options o = { 0 };
	char name[BL_NAME_MAX + 1], token[BL_TOKEN_MAX];
	struct bl_sandbox_user talker;
	int r;

	if (!bl_args_read(&spec, argc, argv, &o, &r, err))
		return r;
	bl_cli_catch_signals();
	o.dir = bl_pki_dir(o.dir);
	r = take_token(o.token, token, err);
	if (!r)
		r = bl_enroll_host(o.url, o.dir, token, name, err);
	if (r < 0)
		return r == -EINVAL ? BL_EXIT_USAGE : bl_client_exit(r);
	/* Whose key it is from here on; the agent sees to it otherwise. */
	if (!geteuid() && !bl_sandbox_user(BL_PARTS_USER, &talker, NULL) &&
	    bl_parts_share_key(o.dir, &talker, err) < 0)
		return BL_EXIT_UNDECIDED;
	answer = json_pack("{s:s,s:s}", "host", name, "dir", o.dir);
	if (o.json)
		return bl_client_print_json(answer);
	printf("this is host %s; its certificate is in %s\n", name, o.dir);
	/* As it can be copied: with what is not as it is without options. */
	printf("now: belay agent --name %s", name);
	if (o.url)
		printf(" --controller %s", o.url);
	if (strcmp(o.dir, BL_PKI_DIR) != 0)
		printf(" --tls-dir %s", o.dir);
	printf("\n");
	return BL_EXIT_OK;
}
