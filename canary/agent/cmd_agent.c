/* SPDX-License-Identifier: Apache-2.0 */
/* belay agent: the keeper of this host, and its part in a fleet. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "canary/agent/daemon.h"
#include "canary/agent/metrics_file.h"
#include "canary/agent/parts.h"
#include "canary/agent/talker.h"
#include "canary/ledger/protocol.h"
#include "canary/wire/pki_dir.h"
#include "loader/base/cleanup.h"
#include "loader/base/clock.h"
#include "loader/base/duration.h"
#include "loader/base/file.h"
#include "loader/host/boot/keeper.h"
#include "loader/host/trial/command.h"
#include "loader/verbs.h"

#define PROBE_MAX_MS (24 * 3600 * UINT64_C(1000))

static const char usage[] =
	"usage: belay agent [--check CMD] [--metrics-file FILE] [--state-dir DIR]\n"
	"                   [--pin-dir DIR]\n"
	"       belay agent --name NAME [--controller URL[,URL…]] [--events FILE|-]\n"
	"                   [--interval S] [--plaintext]\n"
	"                   [--role ROLE] [--label KEY=VALUE]…\n"
	"                   [--probe CMD]… [--probe-timeout TIME]\n"
	"                   [--watchdog auto|require|off]\n"
	"                   [--watchdog-timeout TIME] [--trust DIR]\n"
	"                   [--user USER] …\n"
	"\n"
	"Keeps what is live on this host: brings it back after a crash or a reboot,\n"
	"restores it when it is not attached any more, and renews the lease of what\n"
	"can refuse as long as this host can be used (it opens a file, runs a program,\n"
	"connects to itself). Without the agent what can refuse allows, 15 seconds\n"
	"later. Tells systemd that it is ready and alive.\n"
	"\n"
	"With --name also this host's part in a fleet: polls the controller for\n"
	"orders, tries versions and goes back from them, reads and counts events.\n"
	"Keeps what it committed when there is no controller. What speaks to the\n"
	"network is a process of its own that may do nothing else.\n"
	"\n"
	"Runs until SIGINT or SIGTERM; a trial under way is rolled back.\n"
	"\n"
	"  --check CMD       this host can be used only if CMD ends with 0, too (for\n"
	"                    sh, within 5 s): a network that must be reached, a login.\n"
	"                    It has the agent's few rights: curl or nc, not ping\n"
	"  --metrics-file FILE  write metrics for node_exporter's textfile collector,\n"
	"                    every 10 s; a name in its folder that ends in .prom\n"
	"  --name NAME       this host's name in the fleet; no two may share one\n"
	"  --controller URL[,URL…]  (default $BELAY_CONTROLLER, or\n"
	"                    " BL_CLIENT_URL "); of several any is asked, and\n"
	"                    another one when it does not answer\n"
	"  --tls-dir DIR     where host.pem, host.key and ca.pem are, of 'belay host\n"
	"                    enroll' (default $BELAY_TLS_DIR, or " BL_PKI_DIR
	")\n"
	"  --plaintext       allow http:// to another machine: on a network that is\n"
	"                    yours alone (a lab)\n"
	"  --user USER       as root: who that process is (default " BL_PARTS_USER
	");\n"
	"                    must not be root\n"
	"  --role ROLE       what this host is for (web, db); hosts of another role,\n"
	"                    kernel or distribution try versions for themselves\n"
	"  --label KEY=VALUE  more that tells hosts apart, for plans that name it\n"
	"  --events FILE     add a line for each event; made for its owner alone; - is\n"
	"                    standard output\n"
	"  --interval S      between two polls (default 2), when nobody is in a hurry\n"
	"  --probe CMD       a probe of your own in every trial (belay apply --help)\n"
	"  --probe-timeout TIME  for each run of one (default 10s)\n"
	"  --watchdog MODE   for every trial: auto (default), require or off\n"
	"  --watchdog-timeout TIME  without a probe until then (default 60s)\n"
	"  --state-dir DIR   (default " BL_HOST_STATE_DIR ")\n"
	"  --pin-dir DIR     (default " BL_HOST_PIN_DIR ")\n"
	"  --module-dir DIR  (default " BL_HOST_MODULE_DIR ")\n"
	"  --trust DIR       refuse what the keys that DIR trusts did not sign, whoever\n"
	"                    orders it (belay trust; default: trust in the state, as\n"
	"                    soon as there is a root.json in it). With a fleet it is\n"
	"                    kept fresh from the controller (--trust-repo there):\n"
	"                    belay status says how fresh\n"
	"\n"
	"example: belay agent --metrics-file /var/lib/prometheus/node-exporter/belay.prom\n"
	"         belay agent --name web-1 --controller https://fleet:7443\n";

struct options {
	struct bl_daemon_opts daemon;
	struct bl_host_config config;
	const char *events;
	const char *probes[BL_COMMANDS_MAX];
	const char *labels[BL_LABELS_MAX];
	const char *check;
	const char *metrics;
	const char *user;
	struct bl_agent_counts counts;
	bool talker; /* this process is to be one */
	bool help;
};

static int read_interval(const char *text, int64_t *ret_ms)
{
	char *end;
	double s = strtod(text, &end);

	if (end == text || *end || !(s >= 0.1 && s <= 3600))
		return -EINVAL;
	*ret_ms = (int64_t)(s * 1000);
	return 0;
}

static int read_probe(struct options *o, const char *text, struct bl_err *err)
{
	if (!*text || o->daemon.probe_count == BL_COMMANDS_MAX)
		return bl_cli_usage(err, "agent",
				    *text ? "at most %d --probe"
					  : "--probe wants a command",
				    BL_COMMANDS_MAX);
	o->probes[o->daemon.probe_count++] = text;
	o->daemon.probes = o->probes;
	return 0;
}

/* What tells this host apart from others. */
static int read_fact(int opt, struct options *o, struct bl_err *err)
{
	if (opt == 'r') {
		if (!*optarg || strlen(optarg) >= BL_FACT_LEN)
			return bl_cli_usage(err, "agent",
					    "a role has 1 to %d bytes",
					    BL_FACT_LEN - 1);
		o->daemon.role = optarg;
		return 0;
	}
	if (!bl_label_valid(optarg))
		return bl_cli_usage(
			err, "agent",
			"--label '%s' is not KEY=VALUE of less than %d bytes",
			optarg, BL_LABEL_LEN);
	if (o->daemon.label_count == BL_LABELS_MAX)
		return bl_cli_usage(err, "agent", "at most %d --label",
				    BL_LABELS_MAX);
	o->labels[o->daemon.label_count++] = optarg;
	o->daemon.labels = o->labels;
	return 0;
}

/* What --@what-timeout was given. */
static int read_time(const char *what, uint64_t *ret_ms, struct bl_err *err)
{
	if (bl_duration_parse(optarg, PROBE_MAX_MS, ret_ms) < 0)
		return bl_cli_usage(err, "agent",
				    "--%s-timeout wants " BL_DURATION_FORM
				    ", not '%s'",
				    what, optarg);
	return 0;
}

/* How a trial here is probed and guarded. */
static int read_trial(int opt, struct options *o, struct bl_err *err)
{
	int mode;

	if (opt == 'P')
		return read_probe(o, optarg, err);
	if (opt == 'T')
		return read_time("probe", &o->daemon.probe_timeout_ms, err);
	if (opt == 'D')
		return read_time("watchdog", &o->daemon.watchdog_ms, err);
	mode = bl_watchdog_mode_by_name(optarg);
	if (mode < 0)
		return bl_cli_usage(
			err, "agent",
			"--watchdog is auto, require or off, not '%s'", optarg);
	o->daemon.watchdog = (enum bl_watchdog_mode)mode;
	return 0;
}

static int parse(int argc, char **argv, struct options *o, struct bl_err *err)
{
	static const struct option options[] = {
		{ "name", required_argument, NULL, 'n' },
		{ "controller", required_argument, NULL, 'c' },
		{ "plaintext", no_argument, NULL, 'p' },
		{ "tls-dir", required_argument, NULL, 't' },
		{ "events", required_argument, NULL, 'e' },
		{ "check", required_argument, NULL, 'k' },
		{ "metrics-file", required_argument, NULL, 'M' },
		{ "interval", required_argument, NULL, 'i' },
		{ "state-dir", required_argument, NULL, 's' },
		{ "pin-dir", required_argument, NULL, 'b' },
		{ "role", required_argument, NULL, 'r' },
		{ "label", required_argument, NULL, 'l' },
		{ "module-dir", required_argument, NULL, 'm' },
		{ "trust", required_argument, NULL, 'u' },
		{ "probe", required_argument, NULL, 'P' },
		{ "probe-timeout", required_argument, NULL, 'T' },
		{ "watchdog", required_argument, NULL, 'W' },
		{ "watchdog-timeout", required_argument, NULL, 'D' },
		{ "user", required_argument, NULL, 'U' },
		{ "talker", no_argument, NULL, 'K' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	int opt, r;

	optind = 0;
	opterr = 0;
	while ((opt = getopt_long(argc, argv, ":h", options, NULL)) != -1) {
		if (opt == 'n')
			o->daemon.name = optarg;
		else if (opt == 'c')
			o->daemon.url = optarg;
		else if (opt == 'p')
			o->daemon.plaintext = true;
		else if (opt == 't')
			o->daemon.tls_dir = optarg;
		else if (opt == 'e')
			o->events = optarg;
		else if (opt == 'k')
			o->check = optarg;
		else if (opt == 'M')
			o->metrics = optarg;
		else if (opt == 's')
			o->config.state_dir = o->daemon.state_dir = optarg;
		else if (opt == 'b')
			o->config.pin_dir = optarg;
		else if (opt == 'm')
			o->config.module_dir = optarg;
		else if (opt == 'u')
			o->config.trust_dir = optarg;
		else if (opt == 'U')
			o->user = optarg;
		else if (opt == 'K')
			o->talker = true;
		else if (opt == 'h')
			o->help = true;
		else if (strchr("PTWDrl", opt)) {
			r = strchr("rl", opt) ? read_fact(opt, o, err)
					      : read_trial(opt, o, err);
			if (r)
				return r;
		} else if (opt != 'i')
			return bl_cli_usage(
				err, "agent", "%s %s", argv[optind - 1],
				opt == ':' ? "needs a value" : "is unknown");
		else if (read_interval(optarg, &o->daemon.interval_ms) < 0)
			return bl_cli_usage(
				err, "agent",
				"--interval '%s' is not 0.1 to 3600 seconds",
				optarg);
	}
	if (o->help)
		return 0;
	if (optind < argc)
		return bl_cli_usage(err, "agent", "'%s' is more than expected",
				    argv[optind]);
	if (o->check && !*o->check)
		return bl_cli_usage(err, "agent", "--check wants a command");
	if (o->metrics && !bl_metrics_file_named(o->metrics))
		return bl_cli_usage(
			err, "agent",
			"--metrics-file '%s' does not end in .prom: node_exporter reads no other",
			o->metrics);
	if (!o->daemon.name && (o->daemon.url || o->events || o->talker))
		return bl_cli_usage(err, "agent",
				    "--name is missing: a fleet wants one");
	if (o->daemon.name && !bl_name_valid(o->daemon.name))
		return bl_cli_usage(
			err, "agent",
			"'%s' is no host's name: 1 to %d of A-Z a-z 0-9 . _ + -, not beginning with . or -",
			o->daemon.name, BL_NAME_MAX);
	return 0;
}

static void print_note(void *ctx, const char *text)
{
	char when[BL_TIME_ISO_LEN];

	(void)ctx;
	fprintf(stderr, "%s belay agent: %s\n",
		bl_clock_iso(bl_clock_wall_ms(), when), text);
}

/* The host as the last life left it; waits for another belay that works. */
static int recover(struct bl_host *host, struct bl_recover_result *ret,
		   struct bl_err *err)
{
	bool told = false;
	int r;

	for (;;) {
		r = bl_host_recover(host, ret, err);
		if (r < 0 || ret->outcome != BL_RECOVER_BUSY)
			return r;
		if (!told)
			print_note(NULL, ret->reason);
		told = true;
		if (bl_cli_interrupted())
			return bl_err_set(err, -EINTR, "interrupted");
		bl_clock_sleep_ms(500);
	}
}

/* Why the newest transaction is no more, if recovery was run before us. */
static void read_reason(struct bl_host *host, char *ret, size_t size)
{
	struct bl_host_history h = { 0 };

	if (bl_host_history(host, 1, &h, NULL) < 0)
		return;
	if (h.count && strcmp(h.txns[0].kind, "apply") == 0)
		snprintf(ret, size, "%s", h.txns[0].reason);
	bl_host_history_free(&h);
}

/* As long as *ret is; nothing if it is not asked for. */
static int start_metrics(struct options *o, struct bl_metrics_file **ret,
			 struct bl_err *err)
{
	const struct bl_metrics_file_opts opts = {
		.path = o->metrics,
		.config = &o->config,
		.counts = o->daemon.counts,
		.note = print_note,
	};

	return o->metrics ? bl_metrics_file_start(&opts, ret, err) : 0;
}

/* No fleet. */
static int keep(struct options *o, struct bl_err *err)
{
	BL_CLEANUP(bl_metrics_file_stopp)
	struct bl_metrics_file *metrics = NULL;
	const struct bl_keeper_opts keeper = {
		.config = o->config,
		.check = o->check,
		.note = print_note,
		.notify = true,
	};
	int r = start_metrics(o, &metrics, err);

	if (!r)
		r = bl_keeper_run(&keeper, err);
	if (r == -EACCES || r == -EPERM)
		bl_err_hint(err, "run it as root, or name another place with "
				 "--state-dir");
	return r;
}

/* What everybody on this host runs and opens is for nobody's eyes but those of
 * whom the file is given to: made for its owner, and left as it was found. */
static FILE *append_to(const char *path)
{
	bl_autoclose int fd =
		open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	FILE *f = fd < 0 ? NULL : fdopen(fd, "a");

	if (f)
		(void)BL_TAKE_FD(fd);
	return f;
}

static int run(struct options *o, struct bl_err *err)
{
	BL_CLEANUP(bl_metrics_file_stopp)
	struct bl_metrics_file *metrics = NULL;
	BL_CLEANUP(bl_host_closep) struct bl_host *host = NULL;
	struct bl_recover_result recovered = { 0 };
	bl_autofclose FILE *events = NULL;
	int r;

	if (o->events && strcmp(o->events, "-") != 0) {
		events = append_to(o->events);
		if (!events)
			return bl_err_errno(err, -errno, "cannot open %s",
					    o->events);
		o->daemon.events = events;
	} else if (o->events) {
		o->daemon.events = stdout;
	}
	r = bl_host_open(&o->config, &host, err);
	if (r == -EACCES || r == -EPERM)
		bl_err_hint(err, "run it as root, or name another place with "
				 "--state-dir");
	if (!r)
		r = recover(host, &recovered, err);
	if (r < 0)
		return r;
	if (recovered.outcome != BL_RECOVER_NOTHING)
		print_note(NULL, recovered.reason);
	if (!*recovered.reason)
		read_reason(host, recovered.reason, sizeof(recovered.reason));
	o->daemon.host = host;
	o->daemon.config = &o->config;
	o->daemon.check = o->check;
	o->daemon.recovered = recovered.reason;
	o->daemon.counts = &o->counts;
	r = start_metrics(o, &metrics, err);
	return r < 0 ? r : bl_daemon_run(&o->daemon, err);
}

/* Confined before anything else, and before anything is read. */
static int begin(struct options *o, struct bl_err *err)
{
	const struct bl_parts_opts parts = {
		.user = o->user,
		.tls_dir = o->daemon.tls_dir,
		.fleet = o->daemon.name != NULL,
		.files = o->metrics || o->events,
	};

	return bl_parts_begin(&parts, &o->daemon.user, err);
}

static bool is_pair(int fd)
{
	socklen_t len = sizeof(int);
	int type = 0;

	return !getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) &&
	       type == SOCK_SEQPACKET;
}

/* This process is the talker; who started it knows it by the pair alone. Ends it
 * without more ado: its other thread may be anywhere. */
static int talk(struct options *o, struct bl_err *err)
{
	const struct bl_talker_opts talker = {
		.pair = BL_TALKER_FD,
		.url = o->daemon.url,
		.plaintext = o->daemon.plaintext,
		.tls_dir = ".",
		.name = o->daemon.name,
		.interval_ms = o->daemon.interval_ms,
	};
	struct bl_sandbox_user user = { 0 };
	int r = 0;

	/* In a list of processes, where it would be "exe". */
	prctl(PR_SET_NAME, "belay-talker");
	if (!is_pair(BL_TALKER_FD))
		return bl_cli_usage(err, "agent",
				    "--talker is for belay agent alone");
	if (o->user)
		r = bl_sandbox_user(o->user, &user, err);
	if (!r)
		r = bl_parts_confine_talker(o->user ? &user : NULL,
					    o->daemon.tls_dir, err);
	if (!r)
		r = bl_talker_run(&talker, err);
	if (r < 0)
		fprintf(stderr, "%s%s%s\n", err->text, *err->hint ? "; " : "",
			err->hint);
	fflush(stderr);
	_exit(r < 0 ? BL_EXIT_UNDECIDED : BL_EXIT_OK);
}

int bl_cmd_agent(int argc, char **argv, struct bl_err *err)
{
	struct options o = {
		.daemon = { .interval_ms = 2000,
			    .state_dir = BL_HOST_STATE_DIR,
			    .note = print_note },
	};
	int r = parse(argc, argv, &o, err);

	if (r)
		return r;
	if (o.help) {
		fputs(usage, stdout);
		return BL_EXIT_OK;
	}
	if (o.talker) {
		signal(SIGPIPE, SIG_IGN);
		return talk(&o, err);
	}
	bl_cli_catch_signals();
	/* A reader of events that goes away must not take the agent along. */
	signal(SIGPIPE, SIG_IGN);
	r = begin(&o, err);
	if (!r)
		r = o.daemon.name ? run(&o, err) : keep(&o, err);
	return r < 0 ? BL_EXIT_UNDECIDED : BL_EXIT_OK;
}
