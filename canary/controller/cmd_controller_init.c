/* SPDX-License-Identifier: Apache-2.0 */
/* belay controller init, belay controller operator: the fleet's authority. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "canary/controller/cmd_controller.h"
#include "canary/wire/pki_dir.h"
#include "loader/base/args.h"
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
	"usage: belay controller operator NAME --out DIR [--viewer] [--tls-dir DIR]\n"
	"                                 [--json]\n"
	"\n"
	"Makes a certificate for another operator, into DIR: operator.pem, operator.key\n"
	"and ca.pem. Runs where ca.key is. 'belay host revoke --operator NAME' takes one\n"
	"back; who had it needs a new one of another name.\n"
	"\n"
	"  --out DIR         made if it is missing\n"
	"  --viewer          for one who only looks: status, the live view, metrics\n"
	"                    (Prometheus); it can change nothing\n"
	"  --tls-dir DIR     where ca.key is (default $BELAY_TLS_DIR, or\n"
	"                    " BL_PKI_DIR ")\n"
	"  --json            the folder as JSON\n"
	"\n"
	"example: belay controller operator alice --out alice-tls\n"
	"         belay controller operator prometheus --viewer --out /etc/prometheus/belay\n";

struct init_options {
	struct bl_arg_list addresses;
	const char *operator_name, *dir;
	bool json;
};

static const struct bl_arg init_rows[] = {
	{ "address", BL_ARG_LIST, offsetof(struct init_options, addresses), 0,
	  BL_PKI_NAMES_MAX },
	{ "operator", BL_ARG_TEXT, offsetof(struct init_options, operator_name),
	  0, 0 },
	{ "tls-dir", BL_ARG_TEXT, offsetof(struct init_options, dir), 0, 0 },
	{ "json", BL_ARG_FLAG, offsetof(struct init_options, json), 0, 0 },
};

struct operator_options {
	const char *name, *out, *dir;
	bool viewer, json;
};

static const struct bl_arg operator_rows[] = {
	{ "the name", BL_ARG_NEEDED, offsetof(struct operator_options, name), 0,
	  0 },
	{ "out", BL_ARG_TEXT, offsetof(struct operator_options, out), 0, 0 },
	{ "viewer", BL_ARG_FLAG, offsetof(struct operator_options, viewer), 0,
	  0 },
	{ "tls-dir", BL_ARG_TEXT, offsetof(struct operator_options, dir), 0,
	  0 },
	{ "json", BL_ARG_FLAG, offsetof(struct operator_options, json), 0, 0 },
};

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
	static const struct bl_args spec = { "controller init", init_usage,
					     init_rows,
					     BL_ARRAY_SIZE(init_rows) };
	struct init_options o = { .operator_name = "admin" };
	int r;

	if (!bl_args_read(&spec, argc, argv, &o, &r, err))
		return r;
	o.dir = bl_pki_dir(o.dir);
	r = check_name(o.operator_name, err);
	if (!r)
		r = bl_pki_dir_init(o.dir, o.addresses.items, o.addresses.count,
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
	printf("now: belay controller --listen ADDRESS:PORT");
	if (strcmp(o.dir, BL_PKI_DIR) != 0)
		printf(" --tls-dir %s", o.dir);
	printf("\n");
	printf("and for each host: belay host token NAME\n");
	return BL_EXIT_OK;
}

int bl_cmd_controller_operator(int argc, char **argv, struct bl_err *err)
{
	static const struct bl_args spec = { "controller operator",
					     operator_usage, operator_rows,
					     BL_ARRAY_SIZE(operator_rows) };
	struct operator_options o = { 0 };
	int r;

	if (!bl_args_read(&spec, argc, argv, &o, &r, err))
		return r;
	if (!o.out)
		return bl_cli_usage(err, spec.verb, "--out is missing");
	r = check_name(o.name, err);
	if (!r)
		r = (o.viewer ? bl_pki_dir_viewer : bl_pki_dir_operator)(
			bl_pki_dir(o.dir), o.out, o.name, bl_clock_wall_ms(),
			err);
	if (r == -ENOENT)
		bl_err_hint(err, "'belay controller init' makes an authority");
	else if (r == -EEXIST)
		bl_err_hint(err,
			    "name another folder, or move that key away first");
	if (r < 0)
		return exit_of(r);
	if (o.json)
		return print_json(o.out);
	printf("the certificate of %s %s is in %s\n",
	       o.viewer ? "viewer" : "operator", o.name, o.out);
	return BL_EXIT_OK;
}
