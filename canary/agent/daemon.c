/* SPDX-License-Identifier: Apache-2.0 */
#include "canary/agent/daemon.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/utsname.h>

#include "canary/agent/backoff.h"
#include "canary/agent/daemon_state.h"
#include "canary/agent/enroll_host.h"
#include "canary/agent/os.h"
#include "canary/agent/partial.h"
#include "canary/wire/pki_dir.h"
#include "loader/base/cleanup.h"
#include "loader/base/cli.h"
#include "loader/base/clock.h"
#include "loader/base/file.h"
#include "loader/base/text.h"
#include "loader/host/boot/keeper.h"

#define LOOK_MS (3600 * INT64_C(1000))
/* Below what any list of hosts takes for one that is gone. */
#define WAIT_S 8

/* What the poller knows from one poll to the next. */
struct talk {
	struct bl_client *client;
	char etag[BL_ETAG_LEN];	    /* of the newest answer; "": it had none */
	int64_t idle_ms;	    /* that answer's poll_ms */
	unsigned failures;	    /* in a row */
	char told[BL_ERR_TEXT_MAX]; /* the last one */
	uint64_t begun_ms;	    /* the last poll */
	uint64_t look_ms; /* when the certificate is looked at again */
};

/* How a poll ended. */
struct answer {
	struct bl_order order;
	bool known;	  /* 304 */
	int64_t retry_ms; /* no sooner; 0: nobody said */
};

/* Seconds that a controller may keep a poll: while nothing goes on here or, by
 * what it said last, anywhere. */
static unsigned wait_s(struct daemon *d, const struct talk *t)
{
	bool busy;

	pthread_mutex_lock(&d->lock);
	busy = d->agent.busy != BL_AGENT_NOTHING;
	pthread_mutex_unlock(&d->lock);
	if (busy || !*t->etag || t->idle_ms)
		return 0;
	return WAIT_S - bl_daemon_random() % (WAIT_S / 4 + 1);
}

static char *poll_text(struct daemon *d)
{
	bl_autojson json_t *body = NULL;
	struct bl_poll poll;

	pthread_mutex_lock(&d->lock);
	bl_agent_poll(&d->agent, &poll);
	pthread_mutex_unlock(&d->lock);
	body = bl_poll_json(&poll);
	return body ? json_dumps(body, JSON_COMPACT) : NULL;
}

static int ask(struct daemon *d, struct talk *t, struct answer *ret,
	       struct bl_err *err)
{
	bl_autofree char *path = bl_path("/v1/hosts/%s/poll", d->opts->name);
	bl_autofree char *known = bl_path("If-None-Match: %s", t->etag);
	unsigned seconds = wait_s(d, t);
	bl_autofree char *prefer = bl_path("Prefer: wait=%u", seconds);
	bl_autofree char *text = poll_text(d);
	bl_autobuf struct bl_buf body = { 0 };
	struct bl_fetch_head head = { 0 };
	const struct bl_client_request q = {
		.method = "POST",
		.path = path,
		.body = text,
		.len = text ? strlen(text) : 0,
		.headers = { *t->etag ? known : NULL, seconds ? prefer : NULL },
		.timeout_ms = BL_CLIENT_TIMEOUT_MS + seconds * UINT64_C(1000),
		.answer_max = BL_ORDER_BYTES_MAX,
		/* News end the waiting, not a poll that is on its way. */
		.wake = seconds ? &d->wake : NULL,
	};
	int r;

	if (!path || !known || !prefer || !text)
		return bl_err_set(err, -ENOMEM, "out of memory");
	r = bl_client_ask(t->client, &q, &head, &body, err);
	ret->retry_ms = head.retry_ms;
	ret->known = !r && head.status == 304;
	if (r || (ret->known && *t->etag))
		return r;
	r = bl_order_parse(bl_buf_str(&body), body.len, &ret->order, err);
	/* Something else lives there. */
	if (r < 0)
		bl_client_next(t->client);
	if (r)
		return r;
	t->idle_ms = ret->order.poll_ms;
	*t->etag = '\0';
	if (strlen(head.etag) < sizeof(t->etag))
		memcpy(t->etag, head.etag, strlen(head.etag) + 1);
	return 0;
}

static int poll_once(struct daemon *d, struct talk *t, struct answer *ret,
		     struct bl_err *err)
{
	enum bl_agent_do task;
	int r;

	t->begun_ms = bl_clock_mono_ms();
	r = ask(d, t, ret, err);
	if (r < 0)
		return r;
	pthread_mutex_lock(&d->lock);
	d->heard_ms = t->begun_ms;
	task = bl_agent_take(&d->agent, &ret->order);
	if (task != BL_AGENT_NOTHING) {
		d->task = task;
		pthread_cond_signal(&d->work);
	}
	pthread_mutex_unlock(&d->lock);
	return 0;
}

uint32_t bl_daemon_random(void)
{
	uint32_t n = 0;

	/* Without randomness all hosts come at once, which is only load. */
	return getrandom(&n, sizeof(n), 0) == sizeof(n) ? n : 0;
}

/* Sleeps, less if the worker or a signal has something to say. */
static void nap(struct daemon *d, int64_t ms)
{
	struct pollfd fd = { .fd = d->wake, .events = POLLIN };
	uint64_t ignored;

	if (poll(&fd, 1, ms > 0 ? (int)ms : 0) > 0 &&
	    read(d->wake, &ignored, sizeof(ignored)) < 0)
		return;
}

static int open_client(const struct bl_daemon_opts *opts,
		       struct bl_client **ret, struct bl_err *err)
{
	int r = bl_client_open(opts->url, opts->plaintext, ret, err);

	return r < 0 ? r : bl_client_identity(*ret, opts->tls_dir, "host", err);
}

/* Now and then, while the controller answers: a new certificate before the old
 * one is over, and any of several controllers, so that one that was away gets
 * its share of the hosts again. */
static void look_after(struct daemon *d, struct talk *t)
{
	struct bl_err e = { 0 };

	if (bl_clock_mono_ms() < t->look_ms)
		return;
	t->look_ms = bl_clock_mono_ms() +
		     (uint64_t)bl_jitter_ms(LOOK_MS, bl_daemon_random());
	if (bl_enroll_keep(t->client, bl_pki_dir(d->opts->tls_dir),
			   bl_clock_wall_ms(), &e) < 0)
		bl_daemon_note(d, "the certificate was not renewed: %s",
			       e.text);
	bl_client_draw(t->client);
}

/* What comes after a poll that failed: how long to leave the controller alone. */
static int64_t after_failure(struct daemon *d, struct talk *t, int r,
			     const struct answer *a, const struct bl_err *e)
{
	/* There was news: it goes out at once. */
	if (r == -ECANCELED)
		return 0;
	/* Said once; this host keeps what it runs (I9). */
	if (strcmp(t->told, e->text) != 0)
		bl_daemon_note(d, "%s%s%s", e->text, *e->hint ? "; " : "",
			       e->hint);
	bl_text_copy(t->told, sizeof(t->told), e->text);
	return bl_backoff_ms(d->opts->interval_ms, t->idle_ms, ++t->failures,
			     a->retry_ms, bl_daemon_random());
}

static int64_t after_answer(struct daemon *d, struct talk *t,
			    const struct answer *a)
{
	int64_t ms = d->opts->interval_ms, asked = t->idle_ms;

	if (t->failures)
		bl_daemon_note(d, "the controller at %s answers",
			       bl_client_url(t->client));
	t->failures = 0;
	*t->told = '\0';
	look_after(d, t);
	if (asked && asked < ms)
		ms = asked;
	ms = bl_jitter_ms(ms, bl_daemon_random());
	/* One that was kept for a while has had its pause. One whose answer is
	 * new has not: all others were told at the same moment. */
	if (a->known)
		ms -= (int64_t)(bl_clock_mono_ms() - t->begun_ms);
	return ms;
}

static int poll_loop(struct daemon *d, struct bl_err *err)
{
	BL_CLEANUP(bl_client_closep) struct bl_client *client = NULL;
	struct talk t = { 0 };
	int r = open_client(d->opts, &client, err);

	if (r < 0)
		return r;
	t.client = client;
	while (!bl_cli_interrupted()) {
		struct answer a = { 0 };
		struct bl_err e = { 0 };

		r = poll_once(d, &t, &a, &e);
		if (bl_cli_interrupted())
			break;
		bl_agent_count_poll(d->opts->counts, r, bl_clock_wall_ms());
		nap(d, r < 0 ? after_failure(d, &t, r, &a, &e)
			     : after_answer(d, &t, &a));
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

	if (!s || !d->record_path || !d->partial_dir)
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
		.partial_dir =
			bl_path("%s/%s", opts->state_dir, BL_PARTIAL_DIR),
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
	free(d.partial_dir);
	return r;
}
