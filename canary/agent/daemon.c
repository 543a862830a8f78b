/* SPDX-License-Identifier: Apache-2.0 */
#include "canary/agent/daemon.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/utsname.h>

#include "canary/agent/backoff.h"
#include "canary/agent/daemon_state.h"
#include "canary/agent/enroll_host.h"
#include "canary/agent/os.h"
#include "canary/wire/pki_dir.h"
#include "loader/base/cleanup.h"
#include "loader/base/cli.h"
#include "loader/base/clock.h"
#include "loader/base/file.h"
#include "loader/base/text.h"
#include "loader/host/boot/keeper.h"

#define RENEW_LOOK_MS (3600 * UINT64_C(1000))

static int poll_once(struct daemon *d, struct bl_client *client,
		     int64_t *ret_poll_ms, struct bl_err *err)
{
	bl_autofree char *path = bl_path("/v1/hosts/%s/poll", d->opts->name);
	bl_autobuf struct bl_buf answer = { 0 };
	bl_autofree char *text = NULL;
	bl_autojson json_t *body = NULL;
	struct bl_order order;
	struct bl_poll poll;
	enum bl_agent_do task;
	uint64_t begun_ms = bl_clock_mono_ms();
	int r;

	pthread_mutex_lock(&d->lock);
	bl_agent_poll(&d->agent, &poll);
	pthread_mutex_unlock(&d->lock);
	body = bl_poll_json(&poll);
	text = body ? json_dumps(body, JSON_COMPACT) : NULL;
	if (!text || !path)
		return bl_err_set(err, -ENOMEM, "out of memory");
	r = bl_client_call(client, "POST", path, NULL, text, strlen(text),
			   BL_CLIENT_TIMEOUT_MS, &answer, err);
	if (!r)
		r = bl_order_parse(bl_buf_str(&answer), answer.len, &order,
				   err);
	if (r)
		return r;
	pthread_mutex_lock(&d->lock);
	d->heard_ms = begun_ms;
	task = bl_agent_take(&d->agent, &order);
	if (task != BL_AGENT_NOTHING) {
		d->task = task;
		pthread_cond_signal(&d->work);
	}
	pthread_mutex_unlock(&d->lock);
	*ret_poll_ms = order.poll_ms;
	return 0;
}

/* Sleeps, less if the worker or a signal has something to say. */
static void nap(struct daemon *d, int64_t ms)
{
	struct pollfd fd = { .fd = d->wake, .events = POLLIN };
	uint64_t ignored;

	if (poll(&fd, 1, (int)bl_jitter_ms(ms)) > 0 &&
	    read(d->wake, &ignored, sizeof(ignored)) < 0)
		return;
}

static int open_client(const struct bl_daemon_opts *opts,
		       struct bl_client **ret, struct bl_err *err)
{
	int r = bl_client_open(opts->url, opts->plaintext, ret, err);

	return r < 0 ? r : bl_client_identity(*ret, opts->tls_dir, "host", err);
}

/* Looked after now and then, as long as the old one counts. */
static void keep_certificate(struct daemon *d, struct bl_client *client,
			     uint64_t *due_ms)
{
	struct bl_err e = { 0 };

	if (bl_clock_mono_ms() < *due_ms)
		return;
	*due_ms = bl_clock_mono_ms() + RENEW_LOOK_MS;
	if (bl_enroll_keep(client, bl_pki_dir(d->opts->tls_dir),
			   bl_clock_wall_ms(), &e) < 0)
		bl_daemon_note(d, "the certificate was not renewed: %s",
			       e.text);
}

static int poll_loop(struct daemon *d, struct bl_err *err)
{
	BL_CLEANUP(bl_client_closep) struct bl_client *client = NULL;
	char told[BL_ERR_TEXT_MAX] = "";
	unsigned failures = 0;
	uint64_t renew_ms = 0;
	int r = open_client(d->opts, &client, err);

	if (r < 0)
		return r;
	while (!bl_cli_interrupted()) {
		int64_t ms = d->opts->interval_ms, asked = 0;
		struct bl_err e = { 0 };

		r = poll_once(d, client, &asked, &e);
		if (bl_cli_interrupted())
			break;
		if (r < 0) {
			ms = bl_backoff_ms(ms, ++failures);
			/* Said once; this host keeps what it runs (I9). */
			if (strcmp(told, e.text) != 0)
				bl_daemon_note(d, "%s%s%s", e.text,
					       *e.hint ? "; " : "", e.hint);
			bl_text_copy(told, sizeof(told), e.text);
		} else {
			if (failures)
				bl_daemon_note(d,
					       "the controller at %s answers",
					       bl_client_url(client));
			failures = 0;
			*told = '\0';
			keep_certificate(d, client, &renew_ms);
			if (asked && asked < ms)
				ms = asked;
		}
		nap(d, ms);
	}
	return 0;
}

/* The facts, what runs, and what the last life of this agent left. */
static int set_up(struct daemon *d, struct bl_err *err)
{
	bl_autofree struct bl_host_status *s = calloc(1, sizeof(*s));
	bl_autobuf struct bl_buf record = { 0 };
	struct bl_poll *p = &d->agent.poll;
	struct bl_err e = { 0 };
	unsigned char id[16];
	struct utsname u;
	size_t i;
	int r;

	if (!s || !d->record_path)
		return bl_err_set(err, -ENOMEM, "out of memory");
	r = bl_host_status(d->opts->host, s, err);
	if (r < 0)
		return r;
	bl_text_copy(p->boot, sizeof(p->boot), s->boot_id);
	bl_text_copy(p->live, sizeof(p->live), s->live.digest);
	if (getrandom(id, sizeof(id), 0) != sizeof(id))
		return bl_err_errno(err, -errno, "cannot draw a session");
	for (i = 0; i < sizeof(id); i++)
		snprintf(p->session + 2 * i, 3, "%02x", id[i]);
	if (uname(&u) == 0) {
		bl_text_copy(p->kernel, sizeof(p->kernel), u.release);
		bl_text_copy(p->arch, sizeof(p->arch), u.machine);
	}
	bl_os_name(p->os, sizeof(p->os));
	bl_text_copy(p->role, sizeof(p->role), d->opts->role);
	for (i = 0; i < d->opts->label_count; i++)
		bl_text_copy(p->labels[i], BL_LABEL_LEN, d->opts->labels[i]);
	p->label_count = (unsigned)d->opts->label_count;
	r = bl_file_read(d->record_path, BL_AGENT_RECORD_MAX, &record, &e);
	if (r == -ENOENT)
		return 0;
	if (!r)
		r = bl_agent_restore(&d->agent, bl_buf_str(&record), record.len,
				     s->live.digest, d->opts->recovered, &e);
	/* A record that cannot be read must not keep the host out of the
	 * fleet; the controller judges by what runs. */
	if (r < 0)
		bl_daemon_note(d, "%s is of no use: %s", d->record_path,
			       e.text);
	return 0;
}

static bool has_quit(void *ctx)
{
	struct daemon *d = ctx;
	bool quit;

	pthread_mutex_lock(&d->lock);
	quit = d->quit;
	pthread_mutex_unlock(&d->lock);
	return quit;
}

static void *keeper(void *ctx)
{
	struct daemon *d = ctx;
	const struct bl_keeper_opts opts = {
		.config = *d->opts->config,
		.check = d->opts->check,
		.note = d->opts->note,
		.note_ctx = d->opts->note_ctx,
		.notify = true,
		.stop = has_quit,
		.stop_ctx = d,
	};
	struct bl_err e = { 0 };

	if (bl_keeper_run(&opts, &e) < 0)
		bl_daemon_note(d, "this host has no keeper: %s", e.text);
	return NULL;
}

static void quit(struct daemon *d)
{
	pthread_mutex_lock(&d->lock);
	d->quit = true;
	pthread_cond_signal(&d->work);
	pthread_mutex_unlock(&d->lock);
}

static int run_threads(struct daemon *d, struct bl_err *err)
{
	sigset_t all, before;
	pthread_t works, keeps;
	int r;

	/* Signals are the poller's: they end its sleep. */
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	r = pthread_create(&keeps, NULL, keeper, d);
	if (r)
		return bl_err_errno(err, -r, "cannot start a thread");
	r = pthread_create(&works, NULL, bl_daemon_worker, d);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (r) {
		bl_err_errno(err, -r, "cannot start a thread");
	} else {
		r = poll_loop(d, err);
		quit(d);
		pthread_join(works, NULL);
	}
	quit(d);
	pthread_join(keeps, NULL);
	return r > 0 ? -r : r;
}

int bl_daemon_run(const struct bl_daemon_opts *opts, struct bl_err *err)
{
	struct daemon d = {
		.opts = opts,
		.record_path =
			bl_path("%s/%s", opts->state_dir, BL_DAEMON_RECORD),
		.wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.work = PTHREAD_COND_INITIALIZER,
	};
	int r = d.wake < 0 ? bl_err_errno(err, -errno, "cannot make an eventfd")
			   : open_client(opts, &d.client, err);

	if (!r)
		r = set_up(&d, err);
	if (!r)
		r = run_threads(&d, err);
	bl_client_close(d.client);
	if (d.wake >= 0)
		close(d.wake);
	free(d.record_path);
	return r;
}
