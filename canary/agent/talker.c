/* SPDX-License-Identifier: Apache-2.0 */
#include "canary/agent/talker.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "canary/agent/backoff.h"
#include "canary/agent/enroll_host.h"
#include "canary/agent/talker_own.h"
#include "canary/wire/pki_dir.h"
#include "loader/base/cleanup.h"
#include "loader/base/clock.h"
#include "loader/base/file.h"
#include "loader/base/text.h"

#define LOOK_MS (3600 * INT64_C(1000))
/* Below what any list of hosts takes for one that is gone. */
#define WAIT_S 8

/* What the poller knows from one poll to the next. */
struct talk {
	struct bl_talker *t;
	struct bl_client *client;
	bool gone; /* the host part is, or says what is none */
	struct bl_err why;
	char etag[BL_ETAG_LEN];	    /* of the newest answer; "": it had none */
	int64_t idle_ms;	    /* that answer's poll_ms */
	unsigned failures;	    /* in a row */
	char told[BL_ERR_TEXT_MAX]; /* the last one */
	uint64_t begun_ms;	    /* the last poll */
	uint64_t look_ms;	 /* when the certificate is looked at again */
	struct bl_pair_msg said; /* what to post: kind SAY */
};

/* How a poll ended. */
struct answer {
	struct bl_order order;
	char *proof;	  /* of that; NULL: it has none */
	bool known;	  /* 304 */
	int64_t retry_ms; /* no sooner; 0: nobody said */
};

uint32_t bl_talker_draw(void)
{
	uint32_t n = 0;

	/* Without randomness all hosts come at once, which is only load. */
	return getrandom(&n, sizeof(n), 0) == sizeof(n) ? n : 0;
}

bool bl_talker_send(const struct bl_talker *t, const struct bl_pair_msg *m)
{
	return bl_pair_send(t->opts->pair, m, -1, true, NULL) == 0;
}

void bl_talker_note(const struct bl_talker *t, const char *fmt, ...)
{
	char text[BL_PAIR_NOTE_LEN];
	struct bl_pair_msg m;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	bl_pair_begin(&m, BL_PAIR_NOTE);
	bl_pair_text(m.note.text, sizeof(m.note.text), text);
	if (*m.note.text)
		bl_talker_send(t, &m);
}

int bl_talker_open(const struct bl_talker *t, struct bl_client **ret,
		   struct bl_err *err)
{
	BL_CLEANUP(bl_client_closep) struct bl_client *c = NULL;
	int r = bl_client_open(t->opts->url, t->opts->plaintext, &c, err);

	if (!r)
		r = bl_client_identity(c, t->opts->tls_dir, "host", err);
	if (!r)
		*ret = BL_TAKE(c);
	return r;
}

/* ----------------------------------------------------------------- the pair */

/* Takes one message; false if none came that poll() would not have shown. */
static enum bl_pair_kind take(struct talk *k)
{
	struct bl_pair_msg m;
	int fd = -1;

	if (bl_pair_receive(k->t->opts->pair, BL_PAIR_HOST, &m, &fd, &k->why) <
	    0) {
		k->gone = true;
		return 0;
	}
	if (m.head.kind == BL_PAIR_FETCH && fd >= 0) {
		bl_talker_fetch(k->t, &m.fetch, fd);
		return BL_PAIR_FETCH;
	}
	if (m.head.kind == BL_PAIR_WANT && fd >= 0) {
		bl_talker_want(k->t, &m.want, fd);
		return BL_PAIR_WANT;
	}
	if (fd >= 0)
		close(fd);
	if (m.head.kind == BL_PAIR_LEAVE)
		bl_talker_leave(k->t);
	else if (m.head.kind == BL_PAIR_SAY)
		k->said = m;
	return (enum bl_pair_kind)m.head.kind;
}

/* What this host has to say now. */
static bool ask_host(struct talk *k)
{
	struct bl_pair_msg m;

	bl_pair_begin(&m, BL_PAIR_ASK);
	k->gone |= !bl_talker_send(k->t, &m);
	while (!k->gone && take(k) != BL_PAIR_SAY)
		;
	return !k->gone;
}

/* Sleeps, less if the host part has news. */
static void nap(struct talk *k, int64_t ms)
{
	struct pollfd fd = { .fd = k->t->opts->pair, .events = POLLIN };
	uint64_t end = bl_clock_mono_ms() + (uint64_t)(ms > 0 ? ms : 0);

	while (!k->gone) {
		uint64_t now = bl_clock_mono_ms();
		int r = poll(&fd, 1, now < end ? (int)(end - now) : 0);

		if (r > 0 && take(k) == BL_PAIR_NEWS)
			return;
		if (r <= 0 && bl_clock_mono_ms() >= end)
			return;
	}
}

/* A request that nobody waits for any more is given up. */
static bool host_is_gone(void *ctx)
{
	const struct talk *k = ctx;
	struct pollfd fd = { .fd = k->t->opts->pair };

	return poll(&fd, 1, 0) > 0 && fd.revents & (POLLHUP | POLLERR);
}

/* -------------------------------------------------------------------- polls */

/* Seconds that a controller may keep a poll: while nothing goes on here or, by
 * what it said last, anywhere. */
static unsigned wait_s(const struct talk *k)
{
	if (k->said.say.busy || !*k->etag || k->idle_ms)
		return 0;
	return WAIT_S - bl_talker_draw() % (WAIT_S / 4 + 1);
}

static int ask(struct talk *k, struct answer *ret, struct bl_err *err)
{
	bl_autofree char *path = bl_path("/v1/hosts/%s/poll", k->t->opts->name);
	bl_autofree char *known = bl_path("If-None-Match: %s", k->etag);
	unsigned seconds = wait_s(k);
	bl_autofree char *prefer = bl_path("Prefer: wait=%u", seconds);
	bl_autobuf struct bl_buf body = { 0 };
	struct bl_fetch_head head = { 0 };
	const struct bl_client_request q = {
		.method = "POST",
		.path = path,
		.body = k->said.say.text,
		.len = strlen(k->said.say.text),
		.headers = { *k->etag ? known : NULL, seconds ? prefer : NULL },
		.timeout_ms = BL_CLIENT_TIMEOUT_MS + seconds * UINT64_C(1000),
		.answer_max = BL_ORDER_BYTES_MAX,
		/* News end the waiting, not a poll that is on its way. */
		.wake = seconds ? &k->t->opts->pair : NULL,
		.stop = host_is_gone,
		.ctx = k,
	};
	int r;

	if (!path || !known || !prefer)
		return bl_err_set(err, -ENOMEM, "out of memory");
	r = bl_client_ask(k->client, &q, &head, &body, err);
	ret->retry_ms = head.retry_ms;
	ret->known = !r && head.status == 304;
	if (r || (ret->known && *k->etag))
		return r;
	r = bl_order_parse(bl_buf_str(&body), body.len, &ret->order, err);
	if (!r && ret->order.kind != BL_ORDER_NONE)
		r = bl_order_proof(bl_buf_str(&body), body.len, &ret->proof,
				   err);
	if (!r && ret->proof && strlen(ret->proof) >= BL_PAIR_PROOF_LEN)
		r = bl_err_set(err, -EBADMSG,
			       "the order's proof has more than %d bytes",
			       BL_PAIR_PROOF_LEN - 1);
	/* Something else lives there. */
	if (r < 0)
		bl_client_next(k->client);
	if (r)
		return r;
	k->idle_ms = ret->order.poll_ms;
	*k->etag = '\0';
	if (strlen(head.etag) < sizeof(k->etag))
		memcpy(k->etag, head.etag, strlen(head.etag) + 1);
	return 0;
}

static int poll_once(struct talk *k, struct answer *ret, struct bl_err *err)
{
	struct bl_pair_msg m;
	int r;

	k->begun_ms = bl_clock_mono_ms();
	r = ask(k, ret, err);
	bl_pair_begin(&m, BL_PAIR_HEARD);
	m.heard.result = r;
	m.heard.begun_ms = k->begun_ms;
	if (r < 0)
		m.heard.answer = BL_PAIR_NO_ANSWER;
	else if (ret->known)
		m.heard.answer = BL_PAIR_SAME;
	else
		bl_pair_from_order(&ret->order, &m.heard);
	if (!r && ret->proof)
		bl_pair_text(m.heard.proof, sizeof(m.heard.proof), ret->proof);
	k->gone |= !bl_talker_send(k->t, &m);
	return r;
}

/* A new certificate before the old one is over. It cannot write it itself. */
static int renew(struct talk *k, struct bl_err *err)
{
	bl_autobuf struct bl_buf pem = { 0 };
	struct bl_pair_msg m;
	int r = bl_enroll_again(k->client, bl_pki_dir(k->t->opts->tls_dir),
				bl_clock_wall_ms(), &pem, err);

	if (r < 0 || !pem.len)
		return r;
	bl_pair_begin(&m, BL_PAIR_CERTIFICATE);
	if (pem.len >= sizeof(m.certificate.pem))
		return bl_err_set(err, -EFBIG, "it has %zu bytes", pem.len);
	memcpy(m.certificate.pem, pem.data, pem.len);
	k->gone |= !bl_talker_send(k->t, &m);
	return 0;
}

/* Now and then, while the controller answers: the certificate, and any of several
 * controllers, so that one that was away gets its share of the hosts again. */
static void look_after(struct talk *k)
{
	struct bl_err e = { 0 };

	if (bl_clock_mono_ms() < k->look_ms)
		return;
	k->look_ms = bl_clock_mono_ms() +
		     (uint64_t)bl_jitter_ms(LOOK_MS, bl_talker_draw());
	if (renew(k, &e) < 0)
		bl_talker_note(k->t, "the certificate was not renewed: %s",
			       e.text);
	bl_client_draw(k->client);
}

/* What comes after a poll that failed: how long to leave the controller alone. */
static int64_t after_failure(struct talk *k, int r, const struct answer *a,
			     const struct bl_err *e)
{
	/* There was news: it goes out at once. */
	if (r == -ECANCELED)
		return 0;
	/* Said once; this host keeps what it runs (I9). */
	if (strcmp(k->told, e->text) != 0)
		bl_talker_note(k->t, "%s%s%s", e->text, *e->hint ? "; " : "",
			       e->hint);
	bl_text_copy(k->told, sizeof(k->told), e->text);
	return bl_backoff_ms(k->t->opts->interval_ms, k->idle_ms, ++k->failures,
			     a->retry_ms, bl_talker_draw());
}

static int64_t after_answer(struct talk *k, const struct answer *a)
{
	int64_t ms = k->t->opts->interval_ms, asked = k->idle_ms;

	if (k->failures)
		bl_talker_note(k->t, "the controller at %s answers",
			       bl_client_url(k->client));
	k->failures = 0;
	*k->told = '\0';
	look_after(k);
	if (asked && asked < ms)
		ms = asked;
	ms = bl_jitter_ms(ms, bl_talker_draw());
	/* One that was kept for a while has had its pause. One whose answer is
	 * new has not: all others were told at the same moment. */
	if (a->known)
		ms -= (int64_t)(bl_clock_mono_ms() - k->begun_ms);
	return ms;
}

static void polls(struct talk *k)
{
	while (!k->gone && ask_host(k)) {
		struct answer a = { 0 };
		struct bl_err e = { 0 };
		int r = poll_once(k, &a, &e);

		nap(k,
		    r < 0 ? after_failure(k, r, &a, &e) : after_answer(k, &a));
		free(a.proof);
	}
}

int bl_talker_run(const struct bl_talker_opts *opts, struct bl_err *err)
{
	/* The other thread may outlive this call: until the process ends. */
	static struct bl_talker talker = {
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.work = PTHREAD_COND_INITIALIZER,
		.next = { .fd = -1 },
		.want = { .fd = -1 },
	};
	static struct talk talk;
	struct bl_pair_msg hello;
	int r;

	talker.opts = opts;
	talk.t = &talker;
	bl_pair_begin(&hello, BL_PAIR_HELLO);
	if (!bl_talker_send(&talker, &hello))
		return 0;
	r = bl_talker_open(&talker, &talk.client, err);
	if (!r)
		r = bl_talker_fetches(&talker, err);
	if (r < 0)
		return r;
	polls(&talk);
	if (talk.why.code == -EBADMSG)
		return bl_err_set(err, -EBADMSG, "the host part: %s",
				  talk.why.text);
	return 0;
}
