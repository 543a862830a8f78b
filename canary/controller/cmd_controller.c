/* SPDX-License-Identifier: Apache-2.0 */
/* belay controller: serves the fleet until it is told to end. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "canary/controller/api_trust.h"
#include "canary/controller/cmd_controller.h"
#include "canary/controller/controller.h"
#include "canary/controller/http.h"
#include "canary/wire/pki_dir.h"
#include "loader/base/args.h"
#include "loader/base/cleanup.h"
#include "loader/base/clock.h"
#include "loader/base/notify.h"
#include "loader/trust/fleet.h"
#include "loader/trust/keys.h"
#include "loader/verbs.h"

#define DEFAULT_DIR   "/var/lib/belay"
#define DEFAULT_STORE "sqlite:" DEFAULT_DIR "/fleet.db"

static const char usage[] =
	"usage: belay controller init [options]          makes the fleet's authority\n"
	"       belay controller operator NAME [options] makes an operator's certificate\n"
	"       belay controller [--store URL] [--listen ADDRESS:PORT] [--tls-dir DIR]\n"
	"                        [--plaintext] [--trust-repo DIR] [--fleet-key FILE]\n"
	"\n"
	"Decides which host may try which version, and keeps the ledger of exposed\n"
	"hosts in the store. It may be killed and started again at any time, and\n"
	"several may share a store. Runs until SIGINT or SIGTERM; tells systemd when\n"
	"it listens.\n"
	"\n"
	"  --store URL     where the fleet's state is: sqlite:FILE, made if it is\n"
	"                  missing (default " DEFAULT_STORE "),\n"
	"                  or etcd:URL[,URL…][#PREFIX], the members of one etcd (run\n"
	"                  it with --auto-compaction-retention=1h; for https://,\n"
	"                  $BELAY_ETCD_CA, and _CERT and _KEY, name files in PEM)\n"
	"  --listen A:P    (default 127.0.0.1:7443; port 0 takes a free one and says\n"
	"                  which; 0.0.0.0:7443 for the network)\n"
	"  --tls-dir DIR   the certificates that 'init' made\n"
	"                  (default $BELAY_TLS_DIR, or " BL_PKI_DIR ")\n"
	"  --plaintext     plain HTTP, without certificates, for this machine alone:\n"
	"                  who can connect can do anything (a demo, a lab)\n"
	"  --trust-repo DIR  serve the repository that 'belay trust' signs, below\n"
	"                  /v1/trust: hosts keep their metadata fresh from there\n"
	"  --fleet-key FILE  sign orders with it (fleet-….key of 'belay trust init');\n"
	"                  hosts with a root.json that names such keys take no others\n"
	"\n"
	"example: belay controller --plaintext --store sqlite:/tmp/fleet.db\n"
	"         belay controller --store etcd:http://127.0.0.1:2379\n";

struct options {
	const char *store, *listen, *tls_dir, *trust_repo, *fleet_key;
	bool plaintext;
};

static const struct bl_arg rows[] = {
	{ "store", BL_ARG_TEXT, offsetof(struct options, store), 0, 0 },
	{ "listen", BL_ARG_TEXT, offsetof(struct options, listen), 0, 0 },
	{ "tls-dir", BL_ARG_TEXT, offsetof(struct options, tls_dir), 0, 0 },
	{ "plaintext", BL_ARG_FLAG, offsetof(struct options, plaintext), 0, 0 },
	{ "trust-repo", BL_ARG_TEXT, offsetof(struct options, trust_repo), 0,
	  0 },
	{ "fleet-key", BL_ARG_TEXT, offsetof(struct options, fleet_key), 0, 0 },
};

/* What could not be written in the background, and was not told yet. */
struct unwritten {
	unsigned times;
	uint64_t told_ms; /* 0: never */
	struct bl_err why;
};
#define UNWRITTEN_MS 60000

/* Says a failure once, not at every tick, and says when it is over. */
static void note_tick(int r, const struct bl_err *e, char *last, size_t size)
{
	if (r < 0 && strcmp(last, e->text) != 0) {
		fprintf(stderr, "belay controller: %s\n", e->text);
		snprintf(last, size, "%s", e->text);
	} else if (r == 0 && *last) {
		fprintf(stderr, "belay controller: deciding again\n");
		*last = '\0';
	}
}

/* The store may fail a thousand times a second: at most a line each minute. */
static void note_unwritten(struct bl_http *http, struct unwritten *u)
{
	uint64_t now_ms = bl_clock_mono_ms();

	u->times += bl_http_unwritten(http, &u->why);
	if (!u->times || (u->told_ms && now_ms - u->told_ms < UNWRITTEN_MS))
		return;
	fprintf(stderr,
		"belay controller: cannot write down who was heard (%u time%s, it is tried again): %s\n",
		u->times, u->times == 1 ? "" : "s", u->why.text);
	u->times = 0;
	u->told_ms = now_ms;
}

static int make_default_dir(struct bl_err *err)
{
	int r = bl_file_mkdirs(DEFAULT_DIR, 0700, err);

	if (r < 0)
		bl_err_hint(err, "run it as root, or name another place with "
				 "--store sqlite:FILE");
	return r;
}

static int load_tls(const struct options *o, struct bl_pki_server *ret,
		    struct bl_err *err)
{
	int r = bl_pki_dir_load(bl_pki_dir(o->tls_dir), ret, err);

	if (r == -ENOENT)
		bl_err_hint(
			err,
			"'belay controller init' makes them; --plaintext serves this machine alone, without");
	return r;
}

/* What is served and signed with; the key stays in @ring. */
static int load_trust(const struct options *o, struct bl_keys *ring,
		      struct bl_api_trust *ret, struct bl_err *err)
{
	bl_autofree char *file =
		o->trust_repo
			? bl_path("%s/metadata/timestamp.json", o->trust_repo)
			: NULL;
	int r = 0;

	if (file && access(file, R_OK) < 0) {
		r = bl_err_errno(err, -errno, "cannot read %s", file);
		bl_err_hint(err,
			    "--trust-repo is a folder of 'belay trust init'");
	}
	if (!r && o->fleet_key)
		r = bl_keys_load_one(o->fleet_key, BL_FLEET_ROLE, ring, err);
	ret->repo = o->trust_repo;
	ret->key = ring->count ? &ring->key[0] : NULL;
	return r;
}

/* As many connections as the system lets this process have. */
static void take_files(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) < 0)
		return;
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
}

static int serve(const struct options *o, struct bl_err *err)
{
	BL_CLEANUP(bl_pki_server_free) struct bl_pki_server server = { 0 };
	struct sockaddr_storage address;
	struct bl_store *store = NULL;
	struct bl_http *http = NULL;
	BL_CLEANUP(bl_keys_wipe) struct bl_keys ring = { .count = 0 };
	struct bl_api_trust trust = { .repo = NULL };
	const struct bl_http_limits limits = { .trust = &trust };
	struct bl_http_tls tls;
	struct unwritten unwritten = { 0 };
	char last[BL_ERR_TEXT_MAX] = "";
	int r = bl_http_address(o->listen, !o->plaintext, &address, err);

	if (!r && !o->plaintext)
		r = load_tls(o, &server, err);
	if (!r)
		r = load_trust(o, &ring, &trust, err);
	if (!r && strcmp(o->store, DEFAULT_STORE) == 0)
		r = make_default_dir(err);
	if (!r)
		r = bl_store_open(o->store, &store, err);
	tls = (struct bl_http_tls){ server.pki, server.cert.data,
				    server.key.data };
	if (!r)
		r = bl_http_start_limited(&address, store,
					  o->plaintext ? NULL : &tls, &limits,
					  &http, err);
	if (!r) {
		printf("listening on %s, store %s%s%s\n", bl_http_listens(http),
		       o->store, o->plaintext ? ", plain HTTP" : "",
		       trust.key ? ", orders are signed" : "");
		fflush(stdout);
		bl_notify("READY=1", NULL);
	}
	while (!r && !bl_cli_interrupted()) {
		struct bl_err e = { 0 };

		note_unwritten(http, &unwritten);
		note_tick(bl_http_tick(http, &e), &e, last, sizeof(last));
		bl_clock_sleep_ms(BL_TICK_MS);
	}
	bl_notify("STOPPING=1", NULL);
	bl_http_stop(http);
	bl_store_close(store);
	return r;
}

int bl_cmd_controller(int argc, char **argv, struct bl_err *err)
{
	static const struct bl_args spec = { "controller", usage, rows,
					     BL_ARRAY_SIZE(rows) };
	struct options o = { .store = DEFAULT_STORE,
			     .listen = "127.0.0.1:7443" };
	int r;

	bl_cli_guard_secrets();
	if (argc > 1 && strcmp(argv[1], "init") == 0)
		return bl_cmd_controller_init(argc - 1, argv + 1, err);
	if (argc > 1 && strcmp(argv[1], "operator") == 0)
		return bl_cmd_controller_operator(argc - 1, argv + 1, err);
	if (!bl_args_read(&spec, argc, argv, &o, &r, err))
		return r;
	bl_cli_catch_signals();
	take_files();
	r = serve(&o, err);
	if (r == -EINVAL || r == -EPERM)
		return BL_EXIT_USAGE;
	return r < 0 ? BL_EXIT_UNDECIDED : BL_EXIT_OK;
}
