/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/oci/transfer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/base/cli.h"
#include "loader/base/clock.h"
#include "loader/base/file.h"
#include "loader/net/range.h"
#include "loader/oci/challenge.h"

#define CONNECT_MS    15000
#define PAUSE_MS      100	  /* before the second try, twice; doubles */
#define PAUSE_MAX_MS  30000	  /* whatever a server asks for */
#define WORDS_MAX     (64u << 10) /* of an answer that is none */
#define LOCATION_MAX  4096
#define HTTP_PARTIAL  206
#define HTTP_BEYOND   416
#define HTTP_DENIED   401
#define HTTP_TOO_MANY 429

/* What has come. */
struct taken {
	const struct bl_transfer *t;
	const struct bl_transfer_ask *ask;
	struct bl_buf data;
	struct bl_digest_run digest;
	bool begun;   /* this answer's first piece was seen */
	bool refused; /* and it, or a later one, was not taken */
	bool came;    /* something did since the last try */
};

/* One request's answer, but for what was taken. */
struct answer {
	struct bl_fetch_head head;
	char location[LOCATION_MAX], challenge[BL_CHALLENGE_MAX + 1];
	bool elsewhere; /* of a server that a redirect led to */
};

int bl_transfer_open(const struct bl_transfer_options *options,
		     struct bl_transfer *ret, struct bl_err *err)
{
	struct bl_transfer t = { .options = options };
	int r = bl_fetch_open(&t.fetch, err);

	if (!r)
		*ret = t;
	return r;
}

void bl_transfer_close(struct bl_transfer *t)
{
	bl_fetch_close(t->fetch);
	free(t->authorization);
	*t = (struct bl_transfer){ .options = t->options };
}

/* --- bytes ----------------------------------------------------------------- */

static int fail_size(const struct bl_transfer_ask *ask, unsigned long long size,
		     struct bl_err *err)
{
	if (ask->size)
		return bl_err_set(
			err, -EBADMSG,
			"%s has %llu bytes there, and should have %zu",
			ask->what, size, ask->size);
	return bl_err_set(err, -EFBIG,
			  "%s has %llu bytes there, the limit is %zu",
			  ask->what, size, ask->max);
}

static size_t limit(const struct bl_transfer_ask *ask)
{
	return ask->size ? ask->size : ask->max;
}

/* The whole, or where we were: from its head, before a byte is taken. */
static int begin(struct taken *in, const struct bl_fetch_head *head,
		 struct bl_err *err)
{
	struct bl_range range;

	in->begun = true;
	if (head->status == HTTP_PARTIAL) {
		if (bl_range_read(head->range, &range) < 0 ||
		    range.at != in->data.len) {
			in->data.len = 0; /* then all of it, the next time */
			return bl_err_set(
				err, -EREMOTEIO,
				"another part of %s came than was asked for",
				in->ask->what);
		}
		return range.total > limit(in->ask) ||
				       (in->ask->size &&
					range.total != in->ask->size)
			       ? fail_size(in->ask, range.total, err)
			       : 0;
	}
	/* It has come from its beginning, asked for or not. */
	in->data.len = 0;
	bl_digest_start(&in->digest);
	if (head->length < 0)
		return 0;
	if ((uint64_t)head->length > limit(in->ask) ||
	    (in->ask->size && (uint64_t)head->length != in->ask->size))
		return fail_size(in->ask, (unsigned long long)head->length,
				 err);
	return bl_buf_reserve(&in->data, (size_t)head->length) < 0
		       ? bl_err_set(err, -ENOMEM, "out of memory")
		       : 0;
}

static int take(struct taken *in, const struct bl_fetch_head *head,
		const void *data, size_t len, struct bl_err *err)
{
	const struct bl_transfer_options *o = in->t->options;
	size_t total = in->ask->size;
	int r = in->begun ? 0 : begin(in, head, err);

	if (r < 0)
		return r;
	if (len > limit(in->ask) - in->data.len)
		return bl_err_set(
			err, in->ask->size ? -EBADMSG : -EFBIG,
			"%s does not end where it should, after %zu bytes",
			in->ask->what, limit(in->ask));
	if (bl_buf_add(&in->data, data, len) < 0)
		return bl_err_set(err, -ENOMEM, "out of memory");
	bl_digest_add(&in->digest, data, len);
	in->came |= len > 0;
	if (!total && head->length > 0 && head->status != HTTP_PARTIAL)
		total = (size_t)head->length;
	if (o->progress && !in->ask->quiet)
		o->progress(o->ctx, in->data.len, total);
	return 0;
}

static int on_piece(void *ctx, const struct bl_fetch_head *head,
		    const void *data, size_t len, struct bl_err *err)
{
	struct taken *in = ctx;
	int r = take(in, head, data, len, err);

	in->refused = r < 0;
	return r;
}

/* Nothing comes, and who waits is told so. */
static bool on_second(void *ctx)
{
	const struct taken *in = ctx;
	const struct bl_transfer_options *o = in->t->options;

	if (o->progress && !in->ask->quiet)
		o->progress(o->ctx, in->data.len, in->ask->size);
	return false;
}

/* --- one request ----------------------------------------------------------- */

/* H2 */
static int check_url(const struct bl_transfer *t, const char *url,
		     const char *from, struct bl_err *err)
{
	struct bl_fetch_url u, before;

	if (bl_fetch_url_read(url, &u) < 0)
		return bl_err_set(err, -EPERM, "'%.500s' is no https:// URL",
				  url);
	if (u.https)
		return 0;
	if (from && bl_fetch_url_read(from, &before) == 0 && before.https)
		return bl_err_set(
			err, -EPERM,
			"%.200s leads from https to '%.500s', where anybody in between reads and writes",
			from, url);
	if (!u.loopback) {
		bl_err_set(
			err, -EPERM,
			"'%.500s': plain HTTP goes no further than this machine",
			url);
		bl_err_hint(err, "https:// is spoken to others");
		return -EPERM;
	}
	if (t->options->plain_http)
		return 0;
	bl_err_set(err, -EPERM, "'%.500s' is plain HTTP", url);
	bl_err_hint(err, "--plain-http allows it, from this machine");
	return -EPERM;
}

static int request(struct bl_transfer *t, const char *url,
		   const char *authorization, struct taken *in,
		   struct answer *ret, struct bl_err *err)
{
	const struct bl_fetch_tls tls = { .ca = t->options->ca };
	uint64_t limit_ms = t->options->limit_ms ? t->options->limit_ms
						 : BL_TRANSFER_MS;
	uint64_t now = bl_clock_mono_ms();
	bl_autofree char *range = bl_path("Range: bytes=%zu-", in->data.len);
	bl_autofree char *accept = bl_path(
		"Accept: %s", in->ask->accept ? in->ask->accept : "*/*");
	bl_autobuf struct bl_buf words = { 0 };
	struct bl_fetch_request q = {
		.method = "GET",
		.url = url,
		.headers = { accept },
		.connect_ms = CONNECT_MS,
		.stall_ms = t->options->stall_ms ? t->options->stall_ms
						 : BL_TRANSFER_STALL_MS,
		.answer_max = WORDS_MAX,
		.tls = &tls,
		.wanted = { { "Location", ret->location,
			      sizeof(ret->location) },
			    { "WWW-Authenticate", ret->challenge,
			      sizeof(ret->challenge) } },
		.proxy = true,
		.stop = on_second,
		.sink = on_piece,
		.ctx = in,
	};
	struct bl_fetch_url u = { .https = false };
	size_t n = 1;
	int r;

	if (!range || !accept)
		return bl_err_set(err, -ENOMEM, "out of memory");
	if (!t->end_ms)
		t->end_ms = now + limit_ms;
	if (now >= t->end_ms)
		return bl_err_set(err, -ETIME, "%s did not come within %llu s",
				  in->ask->what,
				  (unsigned long long)(limit_ms / 1000));
	q.timeout_ms = t->end_ms - now;
	/* This machine is not asked for through another one. */
	if (bl_fetch_url_read(url, &u) == 0 && u.loopback)
		q.proxy = false;
	if (in->data.len)
		q.headers[n++] = range;
	if (authorization)
		q.headers[n++] = authorization;
	in->begun = in->refused = false;
	*ret = (struct answer){ .location = "" };
	r = bl_fetch_call(t->fetch, &q, &ret->head, &words, err);
	if (r >= 0 || in->refused)
		return r;
	bl_err_wrap(err, r, "%s", in->ask->what);
	if (r == -EACCES)
		bl_err_hint(
			err,
			"--ca FILE names the authority of a registry of your own; one on this machine may do without TLS: --plain-http");
	else if (r == -ECONNREFUSED && u.https && u.loopback)
		bl_err_hint(
			err,
			"does it run, and with TLS? one on this machine may do without: --plain-http");
	return r;
}

/* Follows where it leads: to the last answer, of which only a 2xx was taken. */
static int follow(struct bl_transfer *t, const char *authorization,
		  struct taken *in, struct answer *ret, struct bl_err *err)
{
	bl_autofree char *url = strdup(in->ask->url);
	bl_autofree char *last = NULL;

	for (int i = 0; url; i++) {
		bool same = bl_fetch_url_same_server(url, in->ask->url);
		int r = check_url(t, url, last, err);

		if (!r)
			r = request(t, url, same ? authorization : NULL, in,
				    ret, err);
		ret->elsewhere = !same;
		if (r < 0 || ret->head.status / 100 != 3)
			return r;
		if (i == BL_REDIRECTS_MAX || !*ret->location)
			return bl_err_set(
				err, -EREMOTEIO,
				i == BL_REDIRECTS_MAX
					? "%s leads on and on: more than %d redirects"
					: "%s leads nowhere: redirect %d has no Location that could be followed",
				in->ask->what,
				i == BL_REDIRECTS_MAX ? i : i + 1);
		free(last);
		last = BL_TAKE(url);
		url = bl_fetch_url_follow(last, ret->location);
		if (!url)
			return bl_err_set(err, -EREMOTEIO,
					  "%s leads nowhere: '%.500s'",
					  in->ask->what, ret->location);
	}
	return bl_err_set(err, -ENOMEM, "out of memory");
}

/* The same, and once more if it has to be known who asks. */
static int ask_once(struct bl_transfer *t, struct taken *in, struct answer *ret,
		    struct bl_err *err)
{
	const char *own = in->ask->authorization;
	char *authorization = NULL;
	int r = follow(t, own ? own : t->authorization, in, ret, err);

	/* Where a login is to go is for the registry to say, not for whom it led
	 * to. */
	if (r < 0 || ret->head.status != HTTP_DENIED || ret->elsewhere || own ||
	    !t->authorize)
		return r;
	r = t->authorize(t->ctx, ret->challenge, &authorization, err);
	if (r < 0)
		return r;
	free(t->authorization);
	t->authorization = authorization;
	return follow(t, t->authorization, in, ret, err);
}

/* --- until it is there ----------------------------------------------------- */

static int judge(const struct taken *in, const struct answer *a,
		 struct bl_err *err)
{
	const struct bl_transfer_ask *ask = in->ask;
	long status = a->head.status;

	if (status / 100 == 2) {
		if (!ask->size || in->data.len == ask->size)
			return 0;
		return fail_size(ask, in->data.len, err);
	}
	if (status == 404)
		return bl_err_set(err, -ENOENT, "%s is not there", ask->what);
	if (status == HTTP_DENIED || status == 403) {
		bl_err_set(err, -EACCES, "%s is not shown to us (%ld)",
			   ask->what, status);
		bl_err_hint(
			err,
			"log in: skopeo login HOST; then --auth-file, or $REGISTRY_AUTH_FILE, names its file");
		return -EACCES;
	}
	return bl_err_set(err, -EREMOTEIO, "%s: the server answered %ld",
			  ask->what, status);
}

/* Whether another try may bring it: a connection that broke or was refused, a
 * server that is busy. */
static bool passes(int r, const struct answer *a)
{
	if (r == -ECONNREFUSED)
		return true;
	return r == -EREMOTEIO &&
	       (a->head.status / 100 == 5 || a->head.status == HTTP_BEYOND ||
		a->head.status == HTTP_TOO_MANY || a->head.status / 100 == 2 ||
		!a->head.status);
}

static int pause_before(const struct bl_transfer *t, unsigned tries,
			int64_t asked_ms, struct bl_err *err)
{
	uint64_t ms = (uint64_t)PAUSE_MS << tries;

	if (asked_ms > (int64_t)ms)
		ms = (uint64_t)asked_ms;
	if (ms > PAUSE_MAX_MS)
		ms = PAUSE_MAX_MS;
	if (bl_clock_mono_ms() + ms < t->end_ms)
		bl_clock_sleep_ms(ms);
	return bl_cli_interrupted() ? bl_err_set(err, -EINTR, "interrupted")
				    : 0;
}

static int until_there(struct bl_transfer *t, struct taken *in,
		       struct bl_err *err)
{
	bl_autofree struct answer *a = calloc(1, sizeof(*a));
	unsigned tries = 0;
	int r;

	if (!a)
		return bl_err_set(err, -ENOMEM, "out of memory");
	for (;;) {
		in->came = false;
		*a = (struct answer){ .location = "" };
		r = ask_once(t, in, a, err);
		if (!r)
			r = judge(in, a, err);
		if (!passes(r, a))
			return r;
		/* It broke behind the last byte. */
		if (in->ask->size && in->data.len == in->ask->size)
			return 0;
		if (a->head.status == HTTP_BEYOND)
			in->data.len = 0;
		tries = in->came ? 0 : tries + 1;
		if (tries == (r == -ECONNREFUSED ? BL_TRANSFER_CONNECTS
						 : BL_TRANSFER_TRIES))
			return r;
		if (pause_before(t, tries, a->head.retry_ms, err) < 0)
			return -EINTR;
	}
}

int bl_transfer_get(struct bl_transfer *t, const struct bl_transfer_ask *ask,
		    struct bl_buf *ret, char ret_digest[static BL_DIGEST_HEX],
		    struct bl_err *err)
{
	struct taken in = { .t = t, .ask = ask };
	struct bl_err why = { 0 };
	int r;

	bl_digest_start(&in.digest);
	r = until_there(t, &in, &why);
	if (r < 0) {
		bl_buf_free(&in.data);
		bl_err_set(err, r, "%s", why.text);
		bl_err_hint(err, "%s", why.hint);
		return r;
	}
	bl_digest_end(&in.digest, ret_digest);
	*ret = in.data;
	return 0;
}
