/* SPDX-License-Identifier: Apache-2.0 */
#include "canary/agent/daemon.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/utsname.h>

#include "canary/agent/daemon_state.h"
#include "canary/agent/os.h"
#include "canary/agent/partial.h"
#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/base/text.h"
#include "loader/host/boot/keeper.h"

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

	if (!s || !d->record_path || !d->partial_dir || !d->trust_dir)
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
	pthread_cond_signal(&d->trust.turn);
	pthread_mutex_unlock(&d->lock);
}

static int run_threads(struct daemon *d, struct bl_err *err)
{
	void *(*const runs[])(void *) = { keeper, bl_daemon_truster,
					  bl_daemon_worker };
	pthread_t threads[BL_ARRAY_SIZE(runs)];
	sigset_t all, before;
	size_t count = 0;
	int r = 0;

	/* Signals are this thread's: they end its waiting. */
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	while (!r && count < BL_ARRAY_SIZE(runs)) {
		r = pthread_create(&threads[count], NULL, runs[count], d);
		count += r == 0;
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (r)
		bl_err_errno(err, -r, "cannot start a thread");
	else
		bl_daemon_serve(d);
	quit(d);
	/* The worker first: what it does takes longest. */
	while (count)
		pthread_join(threads[--count], NULL);
	return -r;
}

/* What is wrong with the URL is said now, and not by every talker. */
static int check_url(const struct bl_daemon_opts *opts, struct bl_err *err)
{
	BL_CLEANUP(bl_client_closep) struct bl_client *client = NULL;

	return bl_client_open(opts->url, opts->plaintext, &client, err);
}

int bl_daemon_run(const struct bl_daemon_opts *opts, struct bl_err *err)
{
	struct daemon d = {
		.opts = opts,
		.record_path =
			bl_path("%s/%s", opts->state_dir, BL_DAEMON_RECORD),
		.partial_dir =
			bl_path("%s/%s", opts->state_dir, BL_PARTIAL_DIR),
		.trust_dir = opts->config->trust_dir
				     ? strdup(opts->config->trust_dir)
				     : bl_path("%s/trust", opts->state_dir),
		.wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.work = PTHREAD_COND_INITIALIZER,
		.fetch = { .pipe = -1 },
		.trust = { .turn = PTHREAD_COND_INITIALIZER, .fd = -1 },
	};
	int r = d.wake < 0 ? bl_err_errno(err, -errno, "cannot make an eventfd")
			   : check_url(opts, err);

	if (!r)
		r = set_up(&d, err);
	if (!r)
		r = run_threads(&d, err);
	if (d.wake >= 0)
		close(d.wake);
	if (d.trust.fd >= 0)
		close(d.trust.fd);
	free(d.record_path);
	free(d.partial_dir);
	free(d.trust_dir);
	return r;
}
