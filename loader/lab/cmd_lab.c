/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "loader/base/cleanup.h"
#include "loader/base/cli.h"
#include "loader/base/file.h"
#include "loader/base/json.h"
#include "loader/base/term.h"
#include "loader/lab/catalog.h"
#include "loader/lab/receive.h"
#include "loader/lab/state.h"
#include "loader/lab/vm.h"
#include "loader/verbs.h"

/* --- belay lab kernels ---------------------------------------------------- */

static const char kernels_usage[] =
	"usage: belay lab kernels [--json]\n"
	"\n"
	"Lists the lab's kernels: release, where each came from, whether it has\n"
	"BTF and modules, how large the guests are that were saved for warm\n"
	"starts, and whether it is ready or why not. scripts/kernels fetches\n"
	"them.\n"
	"\n"
	"  --json      a list, on standard output\n"
	"  -h, --help  this text\n"
	"\n"
	"example: belay lab kernels --json | jq -r '.[].release'\n";

static json_t *string_or_null(const char *s)
{
	return s ? json_string(s) : json_null();
}

static int print_json(json_t *v, struct bl_err *err)
{
	bl_autofree char *text = bl_json_dump(v);

	if (!text)
		return bl_err_set(err, -ENOMEM, "out of memory");
	fputs(text, stdout);
	return 0;
}

/* Bytes of the saved states of a kernel; 0: there is none. */
static size_t saved_bytes(const struct bl_kernel *k)
{
	bl_autofree char *cache = bl_path_cache();
	bl_autofree char *root = cache ? bl_path("%s/states", cache) : NULL;

	return root ? bl_state_bytes(root, k->release) : 0;
}

static int kernels_json(const struct bl_catalog *c, struct bl_err *err)
{
	json_t *list = json_array();

	for (size_t i = 0; i < c->count; i++) {
		const struct bl_kernel *k = &c->kernels[i];

		json_array_append_new(
			list,
			json_pack("{s:s,s:s,s:s,s:s,s:s,s:o,s:o,s:b,s:b,s:b,"
				  "s:o,s:I}",
				  "release", k->release, "suite", k->suite,
				  "package", k->package, "dir", k->dir, "image",
				  k->image, "modules_dir",
				  string_or_null(k->modules_dir), "headers_dir",
				  string_or_null(k->headers_dir), "btf", k->btf,
				  "modules", k->modules, "ready", k->ready,
				  "why", string_or_null(k->why), "saved_bytes",
				  (json_int_t)saved_bytes(k)));
	}
	return print_json(list, err);
}

static void yes_no(struct bl_table *t, bool yes)
{
	bl_table_cell(t, yes ? BL_STYLE_PLAIN : BL_STYLE_DIM, "%s",
		      yes ? "yes" : "no");
}

static int kernels_text(const struct bl_catalog *c, struct bl_err *err)
{
	static const char *const heads[] = { "kernel",	"from",	   "BTF",
					     "modules", "headers", "saved",
					     "state" };
	bl_autotable struct bl_table *t = bl_table_new(BL_ARRAY_SIZE(heads));

	if (!t)
		return bl_err_set(err, -ENOMEM, "out of memory");
	bl_table_row(t);
	for (size_t i = 0; i < BL_ARRAY_SIZE(heads); i++)
		bl_table_cell(t, BL_STYLE_BOLD, "%s", heads[i]);
	for (size_t i = 0; i < c->count; i++) {
		const struct bl_kernel *k = &c->kernels[i];
		size_t saved = saved_bytes(k);

		bl_table_row(t);
		bl_table_cell(t, BL_STYLE_PLAIN, "%s", k->release);
		bl_table_cell(t, BL_STYLE_PLAIN, "%s", k->suite);
		yes_no(t, k->btf);
		yes_no(t, k->modules);
		yes_no(t, k->headers_dir);
		if (saved)
			bl_table_cell(t, BL_STYLE_PLAIN, "%zu MiB",
				      saved >> 20);
		else
			bl_table_cell(t, BL_STYLE_DIM, "no");
		bl_table_cell(t, k->ready ? BL_STYLE_GOOD : BL_STYLE_BAD, "%s",
			      k->ready ? "ready" : k->why);
	}
	bl_table_print(t, stdout, "");
	return 0;
}

static int cmd_kernels(int argc, char **argv, struct bl_err *err)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	bl_autocatalog struct bl_catalog c = { 0 };
	bool json = false;
	int o, r;

	opterr = 0;
	while ((o = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (o) {
		case 'j':
			json = true;
			break;
		case 'h':
			fputs(kernels_usage, stdout);
			return BL_EXIT_OK;
		default:
			return bl_cli_usage(err, "lab kernels",
					    "unknown option '%s'",
					    argv[optind - 1]);
		}
	}
	if (optind < argc)
		return bl_cli_usage(err, "lab kernels",
				    "unexpected argument '%s'", argv[optind]);
	r = bl_catalog_load(&c, err);
	if (!r)
		r = json ? kernels_json(&c, err) : kernels_text(&c, err);
	return r ? BL_EXIT_UNDECIDED : BL_EXIT_OK;
}

/* --- belay lab run -------------------------------------------------------- */

static const char run_usage[] =
	"usage: belay lab run KERNEL [OPTIONS] -- CMD [ARG…]\n"
	"\n"
	"Boots KERNEL (a release, or the start of its version: the newest that\n"
	"matches) in a microVM and runs CMD in it. The guest has busybox, belay\n"
	"and the files given. If CMD is the path of a program or script of this\n"
	"host, it is taken along with its libraries.\n"
	"\n"
	"  --file SRC:DST   take a file along (repeat; libraries come by themselves)\n"
	"  --forward PORT   the guest reaches this host's 127.0.0.1:PORT as\n"
	"                   " BL_VM_FORWARD_HOST ":PORT, and nothing else\n"
	"  --deadline S     give up after S seconds (default: never)\n"
	"  --disk FILE[:MOUNT]   an ext4 that outlives the guest, at MOUNT\n"
	"                   (default /disk; repeat; a FILE that is new is made)\n"
	"  --pstore FILE    what the kernel says in a panic outlives it: it is below\n"
	"                   /sys/fs/pstore in the next guest with this FILE\n"
	"  --watchdog KIND  hard (i6300esb, kernels from 6.12 on) or soft\n"
	"  --mem MIB        memory (default 512)\n"
	"  --cpus N         processors (default 1)\n"
	"  --append ARGS    more kernel command line\n"
	"  --warm           wake up from a saved guest, or save one for next time;\n"
	"                   a cold start with --forward, --cpus, --append, --disk,\n"
	"                   --pstore or --watchdog\n"
	"  --name N         names the console log (default: KERNEL-PID)\n"
	"  --log-dir D      where it goes (default: logs/ in the cache)\n"
	"  --json           outcome, times and output as JSON instead\n"
	"  -h, --help       this text\n"
	"\n"
	"The exit status is CMD's own. A panic, a hang past the deadline or a lost\n"
	"guest is named on standard error together with its console log, and gives\n"
	"2, as does a VM that cannot start; CMD's own 2 comes without that line.\n"
	"With a disk, a pstore or a watchdog a guest that was reset is \"rebooted\",\n"
	"and named so; without them it is lost. Killing this process is a power cut\n"
	"for the guest: what it had not written to its disk is gone.\n"
	"\n"
	"example: belay lab run 6.1 -- uname -a\n";

struct run {
	struct bl_vm_spec spec;
	struct bl_vm_file files[BL_VM_FILES_MAX];
	struct bl_vm_disk disks[BL_VM_DISKS_MAX];
	char *owned[2 * BL_VM_FILES_MAX + BL_VM_DISKS_MAX + 4]; /* freed last */
	size_t owned_count;
	bool json;
};

static char *own(struct run *run, char *s)
{
	if (s)
		run->owned[run->owned_count++] = s;
	return s;
}

static int no_memory(struct bl_err *err)
{
	bl_err_set(err, -ENOMEM, "out of memory");
	return BL_EXIT_UNDECIDED;
}

static int parse_number(const char *what, const char *text, unsigned long min,
			unsigned long max, unsigned long *ret,
			struct bl_err *err)
{
	char *end;
	unsigned long v = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || *end || v < min || v > max)
		return bl_cli_usage(
			err, "lab run",
			"%s must be a number from %lu to %lu, not '%s'", what,
			min, max, text);
	*ret = v;
	return 0;
}

static int add_file(struct run *run, const char *src, const char *dst,
		    struct bl_err *err)
{
	struct stat st;

	if (run->spec.file_count == BL_VM_FILES_MAX)
		return bl_cli_usage(err, "lab run", "more than %d files",
				    BL_VM_FILES_MAX);
	if (stat(src, &st) < 0) {
		bl_err_errno(err, -errno, "cannot take %s along", src);
		return BL_EXIT_UNDECIDED;
	}
	run->files[run->spec.file_count++] =
		(struct bl_vm_file){ .src = src, .dst = dst };
	return 0;
}

static int parse_file(struct run *run, const char *arg, struct bl_err *err)
{
	char *src = strdup(arg), *colon;

	if (!own(run, src))
		return no_memory(err);
	colon = strrchr(src, ':');
	if (!colon || colon == src || colon[1] != '/')
		return bl_cli_usage(err, "lab run",
				    "--file needs SRC:/ABSOLUTE/DST, not '%s'",
				    arg);
	*colon = '\0';
	return add_file(run, src, colon + 1, err);
}

/* FILE[:MOUNT]; a mount begins with '/', so that a FILE may hold a colon. */
static int parse_disk(struct run *run, const char *arg, struct bl_err *err)
{
	char *path = strdup(arg), *colon;
	const char *mount = "/disk";

	if (!path)
		return no_memory(err);
	if (run->spec.disk_count == BL_VM_DISKS_MAX) {
		free(path);
		return bl_cli_usage(err, "lab run", "more than %d disks",
				    BL_VM_DISKS_MAX);
	}
	own(run, path);
	colon = strrchr(path, ':');
	if (colon && colon[1] == '/') {
		*colon = '\0';
		mount = colon + 1;
	}
	if (!*path)
		return bl_cli_usage(err, "lab run",
				    "--disk needs FILE[:/MOUNT], not '%s'",
				    arg);
	run->disks[run->spec.disk_count++] =
		(struct bl_vm_disk){ .path = path, .mount = mount };
	return 0;
}

static int parse_watchdog(struct run *run, const char *arg, struct bl_err *err)
{
	if (strcmp(arg, "hard") == 0)
		run->spec.watchdog = BL_VM_WATCHDOG_HARD;
	else if (strcmp(arg, "soft") == 0)
		run->spec.watchdog = BL_VM_WATCHDOG_SOFT;
	else
		return bl_cli_usage(err, "lab run",
				    "--watchdog is hard or soft, not '%s'",
				    arg);
	return 0;
}

static int parse_option(struct run *run, int o, struct bl_err *err)
{
	unsigned long v = 0;
	int r = 0;

	switch (o) {
	case 'f':
		return parse_file(run, optarg, err);
	case 'D':
		return parse_disk(run, optarg, err);
	case 'P':
		run->spec.pstore = optarg;
		return 0;
	case 'W':
		return parse_watchdog(run, optarg, err);
	case 'p':
		r = parse_number("--forward", optarg, 1, 65535, &v, err);
		run->spec.forward_port = (uint16_t)v;
		return r;
	case 'd':
		r = parse_number("--deadline", optarg, 1, 86400, &v, err);
		run->spec.deadline_ms = v * 1000;
		return r;
	case 'm':
		r = parse_number("--mem", optarg, BL_VM_MEM_MIB_MIN,
				 BL_VM_MEM_MIB_MAX, &v, err);
		run->spec.mem_mib = (unsigned)v;
		return r;
	case 'c':
		r = parse_number("--cpus", optarg, 1, BL_VM_CPUS_MAX, &v, err);
		run->spec.cpus = (unsigned)v;
		return r;
	case 'a':
		run->spec.append = optarg;
		return 0;
	case 'n':
		if (!bl_name_valid(optarg))
			return bl_cli_usage(
				err, "lab run",
				"'%s' is no name: letters, digits and ._+- only",
				optarg);
		run->spec.name = optarg;
		return 0;
	case 'l':
		run->spec.log_dir = optarg;
		return 0;
	case 'w':
		run->spec.warm = true;
		return 0;
	default:
		run->json = true;
		return 0;
	}
}

/* Whether the guest has the program at @path by itself. */
static bool in_guest(const char *path)
{
	static const char *const dirs[] = { "/bin/", "/sbin/", "/usr/bin/",
					    "/usr/sbin/" };
	const char *base = strrchr(path, '/') + 1;

	for (size_t i = 0; i < BL_ARRAY_SIZE(dirs); i++)
		if (strncmp(path, dirs[i], strlen(dirs[i])) == 0 &&
		    path + strlen(dirs[i]) == base)
			return strcmp(base, "sh") == 0 ||
			       strcmp(base, "busybox") == 0 ||
			       strcmp(base, "belay") == 0;
	return false;
}

/* CMD as a path of this host: it comes along as /usr/local/bin/NAME. */
static int ship_command(struct run *run, char **argv, struct bl_err *err)
{
	struct stat st;
	char *dst;

	if (!strchr(argv[0], '/') || in_guest(argv[0]) ||
	    stat(argv[0], &st) < 0 || !S_ISREG(st.st_mode) ||
	    access(argv[0], X_OK) != 0)
		return 0;
	for (size_t i = 0; i < run->spec.file_count; i++)
		if (strcmp(run->files[i].dst, argv[0]) == 0)
			return 0; /* meant is the guest's file of that name */
	dst = own(run, bl_path("/usr/local/bin/%s", strrchr(argv[0], '/') + 1));
	if (!dst)
		return no_memory(err);
	argv[0] = dst;
	return 0;
}

static int run_defaults(struct run *run, struct bl_err *err)
{
	if (!run->spec.name)
		run->spec.name =
			own(run, bl_path("%s-%d", run->spec.kernel->release,
					 (int)getpid()));
	if (!run->spec.log_dir) {
		bl_autofree char *cache = bl_path_cache();

		if (cache)
			run->spec.log_dir = own(run, bl_path("%s/logs", cache));
	}
	return run->spec.name && run->spec.log_dir ? 0 : no_memory(err);
}

static int report_json(const struct bl_vm_spec *spec,
		       const struct bl_vm_result *res, struct bl_err *err)
{
	bool exited = res->outcome == BL_VM_EXITED;
	json_t *out = json_stringn(bl_buf_str(&res->output), res->output.len);

	/* Bytes that are no UTF-8 have no place in JSON. */
	if (!out)
		out = json_null();
	return print_json(
		json_pack("{s:s,s:s,s:o,s:s,s:s,s:b,s:I,s:I,s:o,s:b}", "kernel",
			  spec->kernel->release, "outcome",
			  bl_vm_outcome_name(res->outcome), "exit_status",
			  exited ? json_integer(res->exit_status) : json_null(),
			  "reason", res->reason, "log", res->log_path, "warm",
			  res->warm, "boot_ms", (json_int_t)res->boot_ms,
			  "total_ms", (json_int_t)res->total_ms, "output", out,
			  "output_cut", res->output_lost > 0),
		err);
}

static int run_vm(struct run *run, struct bl_err *err)
{
	struct bl_vm_result res = { 0 };
	struct bl_vm_spec *spec = &run->spec;
	int r, code = BL_EXIT_UNDECIDED;

	spec->output_fd = run->json ? -1 : STDOUT_FILENO;
	r = bl_vm_run(spec, &res, err);
	if (!r && run->json)
		r = report_json(spec, &res, err);
	if (r < 0) {
		bl_vm_result_free(&res);
		return BL_EXIT_UNDECIDED;
	}
	if (res.outcome == BL_VM_EXITED) {
		code = res.exit_status;
	} else {
		bl_err_set(err, -EIO, "%s: %s: %s",
			   bl_vm_outcome_name(res.outcome),
			   spec->kernel->release, res.reason);
		bl_err_hint(err, "its console log is %s", res.log_path);
	}
	bl_vm_result_free(&res);
	return code;
}

static int run_parse(struct run *run, int argc, char **argv, struct bl_err *err)
{
	static const struct option options[] = {
		{ "file", required_argument, NULL, 'f' },
		{ "forward", required_argument, NULL, 'p' },
		{ "disk", required_argument, NULL, 'D' },
		{ "pstore", required_argument, NULL, 'P' },
		{ "watchdog", required_argument, NULL, 'W' },
		{ "deadline", required_argument, NULL, 'd' },
		{ "mem", required_argument, NULL, 'm' },
		{ "cpus", required_argument, NULL, 'c' },
		{ "append", required_argument, NULL, 'a' },
		{ "name", required_argument, NULL, 'n' },
		{ "log-dir", required_argument, NULL, 'l' },
		{ "warm", no_argument, NULL, 'w' },
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	int o, r;

	opterr = 0;
	while ((o = getopt_long(argc, argv, ":h", options, NULL)) != -1) {
		if (o == ':')
			return bl_cli_usage(err, "lab run",
					    "option '%s' needs a value",
					    argv[optind - 1]);
		if (o == '?')
			return bl_cli_usage(err, "lab run",
					    "unknown option '%s'",
					    argv[optind - 1]);
		if (o == 'h') {
			fputs(run_usage, stdout);
			return -ECANCELED;
		}
		r = parse_option(run, o, err);
		if (r)
			return r;
	}
	return 0;
}

static int cmd_run(int argc, char **argv, struct bl_err *err)
{
	bl_autocatalog struct bl_catalog c = { 0 };
	struct run run = { .spec = { .files = run.files, .disks = run.disks } };
	const char *kernel = NULL;
	char **cmd = NULL;
	int words = argc, r;

	/* What is behind -- is CMD's; the kernel may stand before the options.
	 */
	for (int i = 1; i < argc && !cmd; i++) {
		if (strcmp(argv[i], "--") == 0) {
			cmd = argv + i + 1;
			words = i;
			argv[i] = NULL;
		}
	}
	r = run_parse(&run, words, argv, err);
	if (r)
		goto out;
	if (optind < words)
		kernel = argv[optind++];
	if (!kernel || optind < words || !cmd || !*cmd) {
		r = bl_cli_usage(err, "lab run", "%s",
				 kernel && optind < words
					 ? "one kernel only, and -- before CMD"
				 : kernel ? "no command: put it behind --"
					  : "no kernel given");
		goto out;
	}
	r = BL_EXIT_UNDECIDED;
	bl_cli_catch_signals();
	if (bl_catalog_load(&c, err) < 0 ||
	    bl_catalog_pick(&c, kernel, &run.spec.kernel, err) < 0)
		goto out;
	run.spec.argv = (const char *const *)cmd;
	r = run_defaults(&run, err);
	if (!r) {
		char *src = cmd[0];

		r = ship_command(&run, cmd, err);
		if (!r && cmd[0] != src)
			r = add_file(&run, src, cmd[0], err);
	}
	if (!r)
		r = run_vm(&run, err);
out:
	for (size_t i = 0; i < run.owned_count; i++)
		free(run.owned[i]);
	return r == -ECANCELED ? BL_EXIT_OK : r;
}

/* In a guest only, by its init: not a verb for people. */
static int cmd_receive(struct bl_err *err)
{
	return bl_lab_receive(err) ? BL_EXIT_UNDECIDED : BL_EXIT_OK;
}

int bl_cmd_lab(int argc, char **argv, struct bl_err *err)
{
	static const struct bl_verb verbs[] = {
		{ "kernels", "list the kernels of the lab", cmd_kernels },
		{ "run", "run a command on one of them", cmd_run },
	};

	if (argc == 2 && strcmp(argv[1], "receive") == 0)
		return cmd_receive(err);
	return bl_cli_dispatch("belay lab: microVMs on real distribution "
			       "kernels\n\n"
			       "usage: belay lab VERB [options]   "
			       "(belay lab VERB --help for each)\n"
			       "example: belay lab run 6.1 -- uname -a\n\n",
			       verbs, BL_ARRAY_SIZE(verbs), argc, argv, err);
}
