/* SPDX-License-Identifier: Apache-2.0 */
/* belay controller init, belay controller operator: the fleet's authority. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "canary/controller/cmd_controller.h"
#include "canary/wire/pki_dir.h"
#include "loader/base/cleanup.h"
#include "loader/base/cli.h"
#include "loader/base/clock.h"
#include "loader/base/json.h"

static const char init_usage[] =
	"usage: belay controller init [--address NAME]… [--tls-dir DIR] [--json]\n"
	"\n"
	"Makes the fleet's certificate authority, this controller's certificate and the\n"
	"first operator's. Keep ca.key: who has it is the fleet's authority. A second\n"
	"controller on the same store wants a copy of the folder.\n"
	"\n"
	"  --address NAME    a name or an IP address by which hosts and operators will\n"
	"                    call controllers; can be given again (this machine's\n"
	"                    loopback always counts)\n"
	"  --operator NAME   the operator (default admin)\n"
	"  --tls-dir DIR     (default $BELAY_TLS_DIR, or " BL_PKI_DIR ")\n"
	"  --json            the folder as JSON\n"
	"\n"
	"example: belay controller init --address fleet.example --address 10.0.0.5\n";

static const char operator_usage[] =
	"usage: belay controller operator NAME --out DIR [--tls-dir DIR] [--json]\n"
	"\n"
	"Makes a certificate for another operator, into DIR: operator.pem, operator.key\n"
	"and ca.pem. Runs where ca.key is.\n"
	"\n"
	"  --out DIR         made if it is missing\n"
	"  --tls-dir DIR     where ca.key is (default $BELAY_TLS_DIR, or\n"
	"                    " BL_PKI_DIR ")\n"
	"  --json            the folder as JSON\n"
	"\n"
	"example: belay controller operator alice --out alice-tls\n";

struct options {
	const char *addresses[BL_PKI_NAMES_MAX];
	size_t address_count;
	const char *operator_name, *dir, *out, *operand;
	bool json, help;
};

/* @takes: "a" for addresses and the operator, "o" for --out and an operand. */
static int parse(const char *verb, char takes, int argc, char **argv,
		 struct options *o, struct bl_err *err)
{
	static const struct option options[] = {
		{ "address", required_argument, NULL, 'a' },
		{ "operator", required_argument, NULL, 'O' },
		{ "out", required_argument, NULL, 'o' },
		{ "tls-dir", required_argument, NULL, 'd' },
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	int opt;

	optind = 0;
	opterr = 0;
	while ((opt = getopt_long(argc, argv, ":h", options, NULL)) != -1) {
		if (opt == 'a' && takes == 'a') {
			if (o->address_count == BL_PKI_NAMES_MAX)
				return bl_cli_usage(err, verb,
						    "at most %d --address",
						    BL_PKI_NAMES_MAX);
			o->addresses[o->address_count++] = optarg;
		} else if (opt == 'O' && takes == 'a') {
			o->operator_name = optarg;
		} else if (opt == 'o' && takes == 'o') {
			o->out = optarg;
		} else if (opt == 'd') {
			o->dir = optarg;
		} else if (opt == 'j') {
			o->json = true;
		} else if (opt == 'h') {
			o->help = true;
		} else {
			return bl_cli_usage(
				err, verb, "%s %s", argv[optind - 1],
				opt == ':' ? "needs a value" : "is unknown");
		}
	}
	if (o->help)
		return 0;
	if (takes == 'o' && optind < argc)
		o->operand = argv[optind++];
	if (optind < argc)
		return bl_cli_usage(err, verb, "'%s' is more than expected",
				    argv[optind]);
	if (takes == 'o' && (!o->operand || !o->out))
		return bl_cli_usage(err, verb, "%s is missing",
				    o->operand ? "--out" : "the name");
	return 0;
}

static int check_name(const char *name, struct bl_err *err)
{
	if (bl_name_valid(name))
		return 0;
	bl_err_set(err, -EINVAL,
		   "'%s' is no operator's name: 1 to %d of A-Z a-z 0-9 . _ + -",
		   name, BL_NAME_MAX);
	return -EINVAL;
}

static int exit_of(int r)
{
	if (r == -EINVAL)
		return BL_EXIT_USAGE;
	return r < 0 ? BL_EXIT_UNDECIDED : BL_EXIT_OK;
}

static int print_json(const char *dir)
{
	bl_autofree char *text = bl_json_dump(json_pack("{s:s}", "dir", dir));

	if (text)
		fputs(text, stdout);
	return text ? BL_EXIT_OK : BL_EXIT_UNDECIDED;
}

int bl_cmd_controller_init(int argc, char **argv, struct bl_err *err)
{
	struct options o = { .operator_name = "admin" };
	int r = parse("controller init", 'a', argc, argv, &o, err);

	if (r)
		return r;
	if (o.help) {
		fputs(init_usage, stdout);
		return BL_EXIT_OK;
	}
	o.dir = bl_pki_dir(o.dir);
	r = check_name(o.operator_name, err);
	if (!r)
		r = bl_pki_dir_init(o.dir, o.addresses, o.address_count,
				    o.operator_name, bl_clock_wall_ms(), err);
	if (r == -EEXIST)
		bl_err_hint(
			err,
			"every certificate of the fleet hangs on it: move the folder away if you want to begin anew");
	else if (r == -EACCES || r == -EPERM)
		bl_err_hint(err, "run it as root, or name another place with "
				 "--tls-dir");
	if (r < 0)
		return exit_of(r);
	if (o.json)
		return print_json(o.dir);
	printf("the fleet's authority is in %s; keep ca.key\n", o.dir);
	printf("now: belay controller --listen ADDRESS:PORT\n");
	printf("and for each host: belay host token NAME\n");
	return BL_EXIT_OK;
}

int bl_cmd_controller_operator(int argc, char **argv, struct bl_err *err)
{
	struct options o = { 0 };
	int r = parse("controller operator", 'o', argc, argv, &o, err);

	if (r)
		return r;
	if (o.help) {
		fputs(operator_usage, stdout);
		return BL_EXIT_OK;
	}
	r = check_name(o.operand, err);
	if (!r)
		r = bl_pki_dir_operator(bl_pki_dir(o.dir), o.out, o.operand,
					bl_clock_wall_ms(), err);
	if (r == -ENOENT)
		bl_err_hint(err, "'belay controller init' makes an authority");
	if (r < 0)
		return exit_of(r);
	if (o.json)
		return print_json(o.out);
	printf("the certificate of operator %s is in %s\n", o.operand, o.out);
	return BL_EXIT_OK;
}
