/* SPDX-License-Identifier: Apache-2.0 */
/* The talker: served while it lives, and followed by another when it has ended. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "canary/agent/daemon_state.h"
#include "canary/agent/enroll_host.h"
#include "canary/agent/lines.h"
#include "canary/wire/pki_dir.h"
#include "loader/base/cleanup.h"
#include "loader/base/cli.h"
#include "loader/base/clock.h"

#define FIRST_PAUSE_MS 250
#define LAST_PAUSE_MS  30000
/* One that lived so long has not ended by what it began with. */
#define WELL_MS 60000
/* Of messages; a poll takes two, a bundle some twenty. */
#define MESSAGES_PER_S 200
#define MESSAGES_BURST 1000
/* Of orders that are not known yet: each is looked at, noted, written down. A
 * controller has one for a host in minutes. */
#define ORDERS_PER_S 1
#define ORDERS_BURST 60
/* Of lines in the log: a talker says nothing twice in a row. */
#define NOTES_PER_S 1
#define NOTES_BURST 60
/* What it prints is read at most so often, so much at once: what is more is lost
 * to it, and nobody waits. */
#define PRINTS_MS    100
#define PRINTS_BYTES 4096
#define LAST_PRINTS  16
/* Of certificates: it asks for one at most once an hour. */
#define CERTS_MS 600000

struct service {
	struct daemon *d;
	int sock;  /* -1: no talker runs */
	bool said; /* it has said HELLO */
	uint64_t born_ms, due_ms;
	unsigned failures;
	struct bl_pair_rate messages, orders, notes;
	uint64_t pause_ms; /* nothing is read until then */
	uint64_t certificate_ms;
	unsigned unheard;      /* notes that were too many */
	int prints;	       /* its standard error; -1: no talker runs */
	uint64_t prints_ms;    /* not read until then */
	struct bl_lines lines; /* of that */
};

uint32_t bl_daemon_random(void)
{
	uint32_t n = 0;

	/* Without randomness all hosts come at once, which is only load. */
	return getrandom(&n, sizeof(n), 0) == sizeof(n) ? n : 0;
}

void bl_daemon_wake(struct daemon *d)
{
	uint64_t one = 1;

	if (write(d->wake, &one, sizeof(one)) < 0)
		bl_daemon_note(d, "cannot wake the talker: %s",
			       strerror(errno));
}

/* Not from its files in /proc, which a hardened unit does not show. */
uint64_t bl_daemon_talker_cpu_us(struct daemon *d)
{
	struct timespec t = { 0 };
	clockid_t clock;
	pid_t pid;

	pthread_mutex_lock(&d->lock);
	pid = d->talker;
	pthread_mutex_unlock(&d->lock);
	if (!pid || clock_getcpuclockid(pid, &clock) ||
	    clock_gettime(clock, &t) < 0)
		return 0;
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* ------------------------------------------------------------------ process */

static void set_talker(struct daemon *d, pid_t pid)
{
	pthread_mutex_lock(&d->lock);
	d->talker = pid;
	pthread_mutex_unlock(&d->lock);
}

static void later(struct service *s)
{
	unsigned n = s->failures < 8 ? s->failures : 8;
	uint64_t ms = (uint64_t)FIRST_PAUSE_MS << n;

	s->failures++;
	s->due_ms =
		bl_clock_mono_ms() + (ms < LAST_PAUSE_MS ? ms : LAST_PAUSE_MS);
}

static void start(struct service *s)
{
	struct bl_err e = { 0 };
	pid_t pid;

	bl_daemon_identity_keep(s->d);
	if (bl_daemon_spawn(s->d->opts, &pid, &s->sock, &s->prints, &e) < 0) {
		bl_daemon_note(s->d, "no talker: %s", e.text);
		later(s);
		return;
	}
	s->said = false;
	s->born_ms = bl_clock_mono_ms();
	set_talker(s->d, pid);
}

/* What the worker waits for does not come from this one any more. */
static void fetch_is_over(struct daemon *d, const char *why)
{
	struct daemon_fetch *f = &d->fetch;

	pthread_mutex_lock(&d->lock);
	f->sent = false;
	if (f->wanted && !f->over) {
		f->over = true;
		f->result = (struct bl_pair_fetched){ .number = f->number,
						      .result = -EPIPE };
		snprintf(f->result.why, sizeof(f->result.why), "%s", why);
		pthread_cond_signal(&d->work);
	}
	pthread_mutex_unlock(&d->lock);
	bl_daemon_want_over(d, why);
}

/* Of these words, whatever they say, the log says whose they are. */
static void note(struct service *s, const char *text)
{
	if (bl_pair_rate_take(&s->notes, bl_clock_mono_ms())) {
		s->unheard++;
		return;
	}
	if (s->unheard)
		bl_daemon_note(s->d, "%u notes of the talker were too many",
			       s->unheard);
	s->unheard = 0;
	bl_daemon_note(s->d, "talker: %s", text);
}

static void take_line(void *ctx, const char *line)
{
	note(ctx, line);
}

/* Some of what it printed. False: there is nothing now, or ever again. */
static bool read_prints(struct service *s)
{
	char data[PRINTS_BYTES];
	ssize_t n = read(s->prints, data, sizeof(data));

	s->prints_ms = bl_clock_mono_ms() + PRINTS_MS;
	if (n == 0)
		close(BL_TAKE_FD(s->prints));
	if (n <= 0)
		return false;
	bl_lines_add(&s->lines, data, (size_t)n, take_line, s);
	return true;
}

/* Its last words: what is in the pipe, and no more of one that still lives. */
static void end_prints(struct service *s)
{
	for (int i = 0; i < LAST_PRINTS; i++)
		if (s->prints < 0 || !read_prints(s))
			break;
	bl_lines_end(&s->lines, take_line, s);
	if (s->prints >= 0)
		close(BL_TAKE_FD(s->prints));
}

static int end(struct service *s)
{
	pid_t pid = s->d->talker;
	int status;

	if (s->sock < 0)
		return 0;
	close(BL_TAKE_FD(s->sock));
	/* Before its number is somebody else's. */
	set_talker(s->d, 0);
	status = bl_daemon_reap(&s->d->opts->user, pid);
	end_prints(s);
	fetch_is_over(s->d, "what fetches it has ended");
	return status;
}

/* It ended, or is no talker. */
static void lost(struct service *s, const char *why)
{
	uint64_t lived_ms = bl_clock_mono_ms() - s->born_ms;
	int status = end(s);
	char how[64] = "";

	if (WIFSIGNALED(status))
		snprintf(how, sizeof(how), " (signal %d)", WTERMSIG(status));
	else if (WEXITSTATUS(status))
		snprintf(how, sizeof(how), " (status %d)", WEXITSTATUS(status));
	if (lived_ms > WELL_MS)
		s->failures = 0;
	later(s);
	bl_daemon_note(
		s->d,
		"the talker ended%s: %s; this host is kept, and another one starts",
		how, why);
}

/* ----------------------------------------------------------------- messages */

/* To it, without waiting: who does not read is not asked again. */
static void tell(struct service *s, const struct bl_pair_msg *m, int fd)
{
	struct bl_err e = { 0 };

	if (s->sock >= 0 && bl_pair_send(s->sock, m, fd, false, &e) < 0)
		lost(s, e.text);
}

/* What to post: an answer to ASK. */
static int say(struct service *s, struct bl_err *err)
{
	struct daemon *d = s->d;
	bl_autojson json_t *body = NULL;
	bl_autofree char *text = NULL;
	struct bl_pair_msg m;
	struct bl_poll p;

	bl_pair_begin(&m, BL_PAIR_SAY);
	pthread_mutex_lock(&d->lock);
	bl_agent_poll(&d->agent, &p);
	m.say.busy = d->agent.busy != BL_AGENT_NOTHING;
	d->news = false;
	pthread_mutex_unlock(&d->lock);
	body = bl_poll_json(&p);
	text = body ? json_dumps(body, JSON_COMPACT) : NULL;
	if (!text)
		return bl_err_set(err, -ENOMEM, "out of memory");
	if (strlen(text) >= sizeof(m.say.text))
		return bl_err_set(err, -EFBIG, "there is too much to say");
	bl_pair_text(m.say.text, sizeof(m.say.text), text);
	tell(s, &m, -1);
	return 0;
}

static int heard(struct service *s, const struct bl_pair_heard *h,
		 struct bl_err *err)
{
	struct daemon *d = s->d;
	uint64_t now = bl_clock_mono_ms();

	if (h->begun_ms > now)
		return bl_err_set(err, -EBADMSG,
				  "a poll that has not begun yet was answered");
	bl_agent_count_poll(d->opts->counts, h->result, bl_clock_wall_ms());
	if (h->answer == BL_PAIR_NO_ANSWER)
		return 0;
	pthread_mutex_lock(&d->lock);
	d->heard_ms = h->begun_ms;
	pthread_mutex_unlock(&d->lock);
	/* One too many is not lost: the next message waits for it. */
	if (h->answer >= BL_PAIR_NOTHING && bl_daemon_take(d, h))
		s->pause_ms = now + bl_pair_rate_take(&s->orders, now);
	return 0;
}

static void progress(struct daemon *d, const struct bl_pair_progress *p)
{
	char text[64] = "fetching its bundle";

	if (p->total && p->have <= p->total)
		snprintf(text, sizeof(text), "fetching its bundle: %u %%",
			 (unsigned)(p->have * 100 / p->total / 5 * 5));
	pthread_mutex_lock(&d->lock);
	if (d->fetch.wanted && d->fetch.number == p->number) {
		d->fetch.total = p->total;
		bl_agent_tell(&d->agent, text);
	}
	pthread_mutex_unlock(&d->lock);
}

static void fetched(struct daemon *d, const struct bl_pair_fetched *f)
{
	pthread_mutex_lock(&d->lock);
	if (d->fetch.wanted && d->fetch.sent && !d->fetch.over &&
	    d->fetch.number == f->number) {
		d->fetch.over = true;
		d->fetch.result = *f;
		pthread_cond_signal(&d->work);
	}
	pthread_mutex_unlock(&d->lock);
}

/* What is no certificate costs this host its place in the fleet, as the talker
 * could anyway; it is the only file that it can have written. */
static int certificate(struct service *s, const char *pem, struct bl_err *err)
{
	static const char begins[] = "-----BEGIN CERTIFICATE-----\n";
	uint64_t now = bl_clock_mono_ms();
	struct bl_err e = { 0 };

	if (strncmp(pem, begins, sizeof(begins) - 1) != 0)
		return bl_err_set(err, -EBADMSG, "it gave no certificate");
	if (now < s->certificate_ms)
		return bl_err_set(err, -EBADMSG,
				  "it gave two certificates within minutes");
	s->certificate_ms = now + CERTS_MS;
	if (bl_enroll_keep(bl_pki_dir(s->d->opts->tls_dir), pem, &e) < 0)
		bl_daemon_note(s->d, "the certificate was not renewed: %s",
			       e.text);
	bl_daemon_identity_keep(s->d);
	return 0;
}

static int handle(struct service *s, const struct bl_pair_msg *m,
		  struct bl_err *err)
{
	if ((m->head.kind == BL_PAIR_HELLO) == s->said)
		return bl_err_set(err, -EBADMSG, "it says hello %s",
				  s->said ? "twice" : "late");
	switch (m->head.kind) {
	case BL_PAIR_HELLO:
		s->said = true;
		return 0;
	case BL_PAIR_ASK:
		return say(s, err);
	case BL_PAIR_HEARD:
		return heard(s, &m->heard, err);
	case BL_PAIR_PROGRESS:
		progress(s->d, &m->progress);
		return 0;
	case BL_PAIR_FETCHED:
		fetched(s->d, &m->fetched);
		return 0;
	case BL_PAIR_GOT:
		bl_daemon_got(s->d, &m->got);
		return 0;
	case BL_PAIR_CERTIFICATE:
		return certificate(s, m->certificate.pem, err);
	default:
		note(s, m->note.text);
		return 0;
	}
}

static void receive(struct service *s)
{
	struct bl_err e = { 0 };
	struct bl_pair_msg m;
	uint64_t ms = bl_pair_rate_take(&s->messages, bl_clock_mono_ms());
	int r;

	/* It stays where it is, and so does the talker. */
	if (ms) {
		s->pause_ms = bl_clock_mono_ms() + ms;
		return;
	}
	r = bl_pair_receive(s->sock, BL_PAIR_TALKER, &m, NULL, &e);
	if (!r)
		r = handle(s, &m, &e);
	if (r < 0)
		lost(s, e.text);
}

/* What the worker has for it. */
static void deliver(struct service *s)
{
	struct daemon_fetch *f = &s->d->fetch;
	struct bl_pair_msg fetch, leave, news, want;
	bl_autoclose int fd = -1, want_fd = -1;
	bool wants = false, leaves = false, has_news;

	bl_pair_begin(&fetch, BL_PAIR_FETCH);
	bl_pair_begin(&leave, BL_PAIR_LEAVE);
	bl_pair_begin(&news, BL_PAIR_NEWS);
	pthread_mutex_lock(&s->d->lock);
	has_news = s->d->news;
	s->d->news = false;
	if (s->said && f->wanted && !f->sent && !f->over) {
		/* Who has only this end sees when it is closed. */
		fd = BL_TAKE_FD(f->pipe);
		wants = f->sent = true;
		fetch.fetch.number = f->number;
		fetch.fetch.have = f->have;
		memcpy(fetch.fetch.digest, f->digest, sizeof(f->digest));
	} else if (!f->wanted && f->sent) {
		leaves = true;
		f->sent = false;
		leave.fetch.number = f->number;
	}
	pthread_mutex_unlock(&s->d->lock);
	if (wants)
		tell(s, &fetch, fd);
	if (leaves)
		tell(s, &leave, -1);
	if (has_news)
		tell(s, &news, -1);
	if (s->said && bl_daemon_want(s->d, &want, &want_fd))
		tell(s, &want, want_fd);
}

/* ---------------------------------------------------------------- the loop */

static int64_t until(uint64_t due_ms)
{
	uint64_t now = bl_clock_mono_ms();

	return due_ms > now ? (int64_t)(due_ms - now) : 0;
}

/* Waits for the talker, the worker, a signal or the next start. */
static void wait_for_any(struct service *s, const sigset_t *mask)
{
	bool runs = s->sock >= 0;
	bool reads = runs && !until(s->pause_ms);
	bool prints = s->prints >= 0 && !until(s->prints_ms);
	struct pollfd fds[] = {
		{ .fd = s->d->wake, .events = POLLIN },
		{ .fd = reads ? s->sock : -1, .events = POLLIN },
		{ .fd = prints ? s->prints : -1, .events = POLLIN },
	};
	int64_t ms = INT64_MAX;
	struct timespec t;
	uint64_t ignored;
	int r;

	if (!runs)
		ms = until(s->due_ms);
	if (runs && !reads)
		ms = until(s->pause_ms);
	if (s->prints >= 0 && !prints && until(s->prints_ms) < ms)
		ms = until(s->prints_ms);
	t = (struct timespec){ ms / 1000, ms % 1000 * 1000000 };
	r = ppoll(fds, BL_ARRAY_SIZE(fds), ms < INT64_MAX ? &t : NULL, mask);
	if (r <= 0)
		return;
	if (fds[0].revents && read(s->d->wake, &ignored, sizeof(ignored)) < 0)
		return;
	if (fds[2].revents)
		read_prints(s);
	if (fds[1].revents)
		receive(s);
}

void bl_daemon_serve(struct daemon *d)
{
	struct service s = {
		.d = d,
		.sock = -1,
		.prints = -1,
		.messages = { MESSAGES_PER_S, MESSAGES_BURST, 0 },
		.orders = { ORDERS_PER_S, ORDERS_BURST, 0 },
		.notes = { NOTES_PER_S, NOTES_BURST, 0 },
	};
	sigset_t ours, before;

	/* A signal comes while it waits, and not between a look and that. */
	sigemptyset(&ours);
	sigaddset(&ours, SIGINT);
	sigaddset(&ours, SIGTERM);
	sigaddset(&ours, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &ours, &before);
	while (!bl_cli_interrupted()) {
		if (bl_daemon_identity_is_another(d)) {
			end(&s);
			s.due_ms = 0;
			/* What it could not fetch before. */
			bl_daemon_refresh_ask(d);
		}
		if (s.sock < 0 && !until(s.due_ms))
			start(&s);
		/* There is none now: not to be waited for. */
		if (s.sock < 0)
			fetch_is_over(d, "nothing is there to fetch it");
		bl_daemon_take_held(d);
		deliver(&s);
		wait_for_any(&s, &before);
	}
	/* The worker first: that the talker ends is no failure now. */
	pthread_mutex_lock(&d->lock);
	d->quit = true;
	pthread_cond_signal(&d->work);
	pthread_mutex_unlock(&d->lock);
	end(&s);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}
