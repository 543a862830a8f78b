/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/fleet.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "canary/agent/daemon.h"
#include "canary/agent/parts.h"
#include "canary/controller/controller.h"
#include "loader/base/cleanup.h"
#include "loader/base/cli.h"
#include "loader/base/clock.h"
#include "loader/base/proc.h"
#include "loader/base/text.h"
#include "tests/main.h"

#define LOOK_MS	     20
#define RING_WAIT_MS 250
#define AGENT_NICE   10
#define JITTER_MS    50 /* between two starts of agents of a large fleet */

struct fleet fleet;
const char *fleet_args[FLEET_ARGS_MAX + 1];

static char *path_of(const char *what, unsigned i, const char *suffix)
{
	return bl_path("%s/%s-%u%s", fleet.dir, what, i, suffix);
}

/* -------- a kernel that knows which version is bad, and whose rings wait -- */

static struct fleet_agent *of_kern(void *kern)
{
	unsigned i;

	for (i = 0; i < fleet.agent_count; i++)
		if (fleet.agents[i].kern == kern)
			return &fleet.agents[i];
	return NULL;
}

static int stage(void *kern, enum bl_slot slot, const struct bl_generation *gen,
		 struct bl_kern_staged *ret, struct bl_err *err)
{
	struct fleet_agent *a = of_kern(kern);
	int r = fake_kern_ops.stage(kern, slot, gen, ret, err);

	a->kern->drops_per_probe =
		!r && *a->bad_tag &&
				strcmp(a->kern->slot[slot].tag, a->bad_tag) == 0
			? 100
			: 0;
	return r;
}

static int events(void *kern, enum bl_slot slot, int timeout_ms, bl_event_fn fn,
		  void *ctx, struct bl_err *err)
{
	int r = fake_kern_ops.events(kern, slot, timeout_ms, fn, ctx, err);

	if (r == 0 && timeout_ms > 0)
		bl_clock_sleep_ms((uint64_t)timeout_ms < RING_WAIT_MS
					  ? (uint64_t)timeout_ms
					  : RING_WAIT_MS);
	return r;
}

/* -------------------------------------------------------------- controllers */

static char *url_of(unsigned controller)
{
	return bl_path("https://127.0.0.1:%u",
		       fleet.controllers[controller].port);
}

/* The port that it says it listens on; 0: it says nothing yet. */
static unsigned said_port(const char *out)
{
	bl_autobuf struct bl_buf text = { 0 };
	unsigned port = 0;

	if (bl_file_read(out, 65536, &text, NULL) == 0)
		sscanf(bl_buf_str(&text), "listening on 127.0.0.1:%u,", &port);
	return port;
}

void fleet_start_controller(unsigned i)
{
	bl_autofree char *listen =
		bl_path("127.0.0.1:%u", fleet.controllers[i].port);
	bl_autofree char *out = path_of("controller", i, ".out");
	bl_autofree char *log = path_of("controller", i, ".log");
	bl_autoclose int to =
		open(out, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	bl_autoclose int err =
		open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	const char *argv[8 + FLEET_ARGS_MAX + 1] = {
		BL_TEST_BUILD_DIR "/belay",
		"controller",
		"--store",
		fleet.store_url,
		"--listen",
		listen,
		"--tls-dir",
		fleet.dir,
	};
	uint64_t end_ms = bl_clock_mono_ms() + FLEET_PATIENCE_MS;
	unsigned port = 0;

	memcpy(argv + 8, fleet_args, sizeof(fleet_args));
	ck_assert_int_eq(fleet.controllers[i].pid, 0);
	ck_assert_int_eq(bl_proc_spawn(argv, -1, to, err,
				       &fleet.controllers[i].pid, NULL),
			 0);
	while (!(port = said_port(out))) {
		ck_assert_msg(waitpid(fleet.controllers[i].pid, NULL,
				      WNOHANG) == 0 &&
				      bl_clock_mono_ms() < end_ms,
			      "the controller does not come up: %s", log);
		bl_clock_sleep_ms(LOOK_MS);
	}
	fleet.controllers[i].port = port;
}

static void kill_it(pid_t *pid)
{
	if (!*pid)
		return;
	kill(*pid, SIGKILL);
	waitpid(*pid, NULL, 0);
	*pid = 0;
}

void fleet_kill_controller(unsigned i)
{
	kill_it(&fleet.controllers[i].pid);
}

unsigned long fleet_controller_peak_kb(unsigned i)
{
	bl_autofree char *path =
		bl_path("/proc/%d/status", (int)fleet.controllers[i].pid);
	bl_autobuf struct bl_buf text = { 0 };
	const char *peak;

	ck_assert_int_eq(bl_file_read(path, 65536, &text, NULL), 0);
	peak = strstr(bl_buf_str(&text), "VmHWM:");
	ck_assert_ptr_nonnull(peak);
	return strtoul(peak + strlen("VmHWM:"), NULL, 10);
}

/* ------------------------------------------------------------------- agents */

static void note(void *ctx, const char *text)
{
	char when[BL_TIME_ISO_LEN];

	fprintf(ctx, "%s %s\n", bl_clock_iso(bl_clock_wall_ms(), when), text);
	fflush(ctx);
}

/* The agent's process. */
static int be_agent(unsigned i)
{
	static struct bl_kern_ops ops;
	struct fleet_agent *a = &fleet.agents[i];
	bl_autofree char *state = path_of("state", i, "");
	bl_autofree char *tls = path_of("tls", i, "");
	bl_autofree char *url = url_of(i % fleet.controller_count);
	bl_autofree char *log = path_of("agent", i, ".log");
	bl_autofclose FILE *out = fopen(log, "ae");
	BL_CLEANUP(bl_host_closep) struct bl_host *host = NULL;
	struct bl_host_config config = { .state_dir = state,
					 .ops = &ops,
					 .kern = a->kern };
	struct bl_recover_result recovered = { 0 };
	struct bl_daemon_opts opts = {
		.config = &config,
		.recovered = recovered.reason,
		.program = BL_TEST_BUILD_DIR "/belay",
		.state_dir = state,
		.url = url,
		.tls_dir = tls,
		.name = a->name,
		.interval_ms = fleet.agent_count > FLEET_LARGE
				       ? FLEET_LARGE_POLL_MS
				       : FLEET_POLL_MS,
		.watchdog = BL_WATCHDOG_OFF,
		.note = note,
		.note_ctx = out,
	};
	const struct bl_parts_opts parts = { .user = "nobody",
					     .tls_dir = tls,
					     .fleet = true };
	struct bl_err err = { 0 };
	int r = out ? bl_parts_begin(&parts, &opts.user, &err) : -EIO;

	if (!r)
		r = bl_host_open(&config, &host, &err);
	ops = fake_kern_ops;
	ops.stage = stage;
	ops.events = events;
	if (!r)
		r = bl_host_recover(host, &recovered, &err);
	opts.host = host;
	if (!r)
		r = bl_daemon_run(&opts, &err);
	if (r < 0 && out)
		note(out, err.text);
	return r < 0;
}

void fleet_start_agent(unsigned i)
{
	struct fleet_agent *a = &fleet.agents[i];
	pid_t pid;

	ck_assert_int_eq(a->pid, 0);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid) {
		a->pid = pid;
		return;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	bl_cli_catch_signals();
	/* They would have machines of their own: together they must not take
	 * the controller's turn from it. */
	setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, 0) + AGENT_NICE);
	_exit(be_agent(i));
}

void fleet_kill_agent(unsigned i)
{
	kill_it(&fleet.agents[i].pid);
	fake_kern_process_died(fleet.agents[i].kern);
}

const char *fleet_runs(unsigned i)
{
	const struct fake_kern *kern = fleet.agents[i].kern;
	unsigned k;

	for (k = 0; k < BL_SLOT_COUNT; k++)
		if (fake_slot_kept(&kern->slot[k]))
			return kern->slot[k].tag;
	return "";
}

/* A certificate as the controller gives one for a token. */
static void enroll(unsigned i)
{
	bl_autofree char *to = path_of("tls", i, "");
	int64_t now_ms = bl_clock_wall_ms();
	const struct bl_pki_subject subject = {
		.role = BL_ROLE_HOST,
		.name = fleet.agents[i].name,
		.from_ms = now_ms - BL_PKI_DAY_MS,
		.until_ms = now_ms + 300 * BL_PKI_DAY_MS,
	};
	bl_autobuf struct bl_buf key = { 0 }, request = { 0 }, cert = { 0 };

	ck_assert_int_eq(bl_pki_key_make(&key, NULL), 0);
	ck_assert_int_eq(bl_pki_request_make(key.data, &request, NULL), 0);
	ck_assert_int_eq(bl_pki_issue(fleet.server.pki, request.data,
				      request.len, &subject, &cert, NULL),
			 0);
	ck_assert_int_eq(bl_pki_dir_write(to, "host",
					  bl_pki_cert(fleet.server.pki),
					  cert.data, key.data, NULL),
			 0);
}

static void make_agent(unsigned i)
{
	struct fleet_agent *a = &fleet.agents[i];

	snprintf(a->name, sizeof(a->name), "agent-%u", i);
	a->kern = fake_kern_new();
	ck_assert_ptr_nonnull(a->kern);
	a->kern->overlapping = 1; /* both kinds of steps */
	enroll(i);
}

/* ---------------------------------------------------------- bundle, rollout */

static void write_part(const char *name, const void *data, size_t len)
{
	bl_autofree char *path = bl_path("%s/%s", fleet.dir, name);

	ck_assert_int_eq(bl_file_write(path, data, len, 0600, NULL), 0);
}

static void copy_content(void)
{
	bl_autobuf struct bl_buf content = { 0 };

	ck_assert_int_eq(bl_file_read(BL_TEST_SOURCE_DIR "/bpf/content.json",
				      SIZE_MAX, &content, NULL),
			 0);
	write_part("content.json", content.data, content.len);
}

void fleet_bundle(const struct fleet_version *v,
		  char ret_digest[static BL_DIGEST_HEX],
		  char ret_tag[static BL_KERN_TAG_LEN])
{
	BL_CLEANUP(bl_bundle_free) struct bl_bundle bundle = { 0 };
	bl_autofree char *manifest = bl_path("%s/manifest.json", fleet.dir);
	bl_autobuf struct bl_buf object = { 0 }, text = { 0 };
	struct bl_err err = { 0 };
	char digest[BL_DIGEST_HEX];

	if (v->object)
		ck_assert_msg(bl_file_read(v->object, SIZE_MAX, &object,
					   &err) == 0,
			      "%s", err.text);
	else
		bl_buf_printf(&object, "object of version %s", v->version);
	bl_buf_printf(
		&text,
		"{\"name\":\"sensor\",\"version\":\"%s\","
		"\"object\":\"sensor.bpf.o\",\"content\":\"content.json\","
		/* Nothing that a slow machine could be: a run of a program may
		 * be interrupted for as long as it takes to be one's turn. */
		"\"trial\":{\"probation_ms\":%u,\"max_drop_ratio\":0.5,"
		"\"max_ns_per_event\":1000000000,\"max_cpu_ratio\":1,"
		"\"min_events\":1}}",
		v->version, v->probation_ms);
	copy_content();
	write_part("sensor.bpf.o", object.data, object.len);
	write_part("manifest.json", text.data, text.len);
	ck_assert_msg(bl_bundle_build(manifest, &bundle, &err) == 0, "%s",
		      err.text);
	ck_assert_int_eq(bl_digest(object.data, object.len, digest), 0);
	snprintf(ret_tag, BL_KERN_TAG_LEN, "%.16s", digest);
	memcpy(ret_digest, bundle.digest, BL_DIGEST_HEX);
	ck_assert_int_eq(bl_controller_store_bundle(fleet.look, &bundle,
						    bl_clock_wall_ms(), NULL),
			 0);
}

void fleet_rollout(const char *digest, const struct bl_plan *plan,
		   char ret_id[static BL_ROLLOUT_ID_LEN])
{
	struct bl_start s = { .digest = digest,
			      .plan = *plan,
			      .override_reason = "" };
	struct bl_err err = { 0 };
	int r;

	do {
		r = bl_controller_start(fleet.look, &s, bl_clock_wall_ms(),
					ret_id, &err);
	} while (r == -EAGAIN);
	ck_assert_msg(r == 0, "%s", err.text);
}

void fleet_look(const char *id, struct bl_rollout *ret)
{
	bl_autofleet struct bl_fleet f = { 0 };
	unsigned counted = 0;
	int64_t revision;
	size_t i;
	int r;

	r = bl_fleet_load(fleet.look, id, bl_clock_wall_ms(), &f, NULL);
	if (!r)
		r = bl_fleet_rollout(fleet.look, id, ret, &revision, NULL);
	/* A store that is being killed may be away. */
	if (r == -EHOSTUNREACH || r == -EAGAIN || r == -EBUSY) {
		*ret = (struct bl_rollout){ 0 };
		return;
	}
	ck_assert_int_eq(r, 0);
	ck_assert_msg(ret->unconfirmed <= ret->plan.cap,
		      "I7: %u are exposed, the cap is %u", ret->unconfirmed,
		      ret->plan.cap);
	if (ret->unconfirmed > fleet.max_unconfirmed)
		fleet.max_unconfirmed = ret->unconfirmed;
	/* Exposures are written with the sums, in one transaction. */
	if (revision != f.rollout_revision)
		return;
	for (i = 0; i < f.exposure_count; i++)
		counted += f.exposures[i].counted;
	ck_assert_uint_eq(counted, ret->unconfirmed);
	ck_assert_uint_eq(f.exposure_count, ret->exposed);
	fleet.looks++;
}

void fleet_wait_heard(size_t count)
{
	uint64_t end_ms = bl_clock_mono_ms() + FLEET_PATIENCE_MS;
	size_t heard = 0;

	for (;;) {
		fleet_vms_run();
		if (bl_store_count(fleet.look, "host/", &heard, NULL) == 0 &&
		    heard >= count)
			return;
		ck_assert_msg(bl_clock_mono_ms() < end_ms,
			      "%zu of %zu hosts have been heard of, see %s",
			      heard, count, fleet.dir);
		bl_clock_sleep_ms(LOOK_MS);
	}
}

/* ---------------------------------------------------------------- the fleet */

void fleet_start(const char *store_url, unsigned controllers, unsigned agents,
		 unsigned held)
{
	/* As a guest of the lab sees this machine. */
	static const char *const addresses[] = { "10.0.2.100" };
	struct bl_err err = { 0 };
	unsigned i;

	unsetenv("BELAY_CONTROLLER");
	fleet = (struct fleet){ .dir = bl_test_tmpdir(),
				.controller_count = controllers,
				.agent_count = agents };
	fleet.store_url = strcmp(store_url, "sqlite:") == 0
				  ? bl_path("sqlite:%s/fleet.db", fleet.dir)
				  : strdup(store_url);
	/* What is bad where is told to agents that run already. */
	fleet.agents = mmap(NULL, (agents + 1) * sizeof(*fleet.agents),
			    PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			    -1, 0);
	ck_assert_ptr_ne(fleet.agents, MAP_FAILED);
	ck_assert_msg(bl_pki_dir_init(fleet.dir, addresses,
				      BL_ARRAY_SIZE(addresses), "admin",
				      bl_clock_wall_ms(), &err) == 0,
		      "%s", err.text);
	ck_assert_int_eq(bl_pki_dir_load(fleet.dir, &fleet.server, NULL), 0);
	ck_assert_msg(bl_store_open(fleet.store_url, &fleet.look, &err) == 0,
		      "%s", err.text);
	for (i = 0; i < controllers; i++)
		fleet_start_controller(i);
	for (i = 0; i < agents; i++)
		make_agent(i);
	for (i = 0; i < held; i++) {
		/* Hosts do not boot all at once, nor in step. */
		if (agents > FLEET_LARGE) {
			fleet_wait_heard(i < FLEET_STARTING_MAX
						 ? 0
						 : i - FLEET_STARTING_MAX);
			bl_clock_sleep_ms((uint64_t)rand() % JITTER_MS);
		}
		fleet_start_agent(i);
	}
}

void fleet_end(void)
{
	unsigned i;

	for (i = 0; i < fleet.agent_count; i++)
		kill_it(&fleet.agents[i].pid);
	for (i = 0; i < fleet.vm_count; i++)
		kill_it(&fleet.vms[i]);
	for (i = 0; i < fleet.controller_count; i++)
		kill_it(&fleet.controllers[i].pid);
	for (i = 0; i < fleet.agent_count; i++)
		fake_kern_free(fleet.agents[i].kern);
	munmap(fleet.agents, (fleet.agent_count + 1) * sizeof(*fleet.agents));
	bl_store_close(fleet.look);
	bl_pki_server_free(&fleet.server);
	bl_file_rmtree(fleet.dir, NULL);
	free(fleet.dir);
	free(fleet.store_url);
	free(fleet.vm_log_dir);
}
