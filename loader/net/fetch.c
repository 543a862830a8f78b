/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/net/fetch.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "loader/base/cleanup.h"
#include "loader/base/cli.h"
#include "loader/base/file.h"

/* A request that is given up should be heard of soon, however quiet it is. */
#define LOOK_MS 1000

struct bl_fetch {
	CURL *curl;
	CURLM *multi;
	char problem[CURL_ERROR_SIZE];
};

/* One call under way. */
struct call {
	const struct bl_fetch_request *q;
	CURL *curl;
	struct bl_fetch_head head;
	bool headed; /* it is read */
	struct bl_buf answer;
	unsigned sent; /* times that it went out */
	int failed;    /* by us: of this errno, with these words */
	struct bl_err why;
};

static void free_url_part(char **p)
{
	curl_free(*p);
}
#define AUTOPART __attribute__((cleanup(free_url_part))) char *

static void cleanup_url(CURLU **u)
{
	curl_url_cleanup(*u);
}

static void cleanup_headers(struct curl_slist **list)
{
	curl_slist_free_all(*list);
}

static bool is_loopback(const char *host)
{
	struct in_addr v4;

	if (strcmp(host, "localhost") == 0 || strcmp(host, "[::1]") == 0)
		return true;
	return inet_pton(AF_INET, host, &v4) == 1 &&
	       ntohl(v4.s_addr) >> 24 == 127;
}

int bl_fetch_url_read(const char *url, struct bl_fetch_url *ret)
{
	__attribute__((cleanup(cleanup_url))) CURLU *u = curl_url();
	struct bl_fetch_url out = { 0 };
	AUTOPART scheme = NULL;
	AUTOPART host = NULL;
	AUTOPART path = NULL;

	if (!u)
		return -ENOMEM;
	if (curl_url_set(u, CURLUPART_URL, url, 0) != CURLUE_OK ||
	    curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK ||
	    curl_url_get(u, CURLUPART_HOST, &host, 0) != CURLUE_OK ||
	    curl_url_get(u, CURLUPART_PATH, &path, 0) != CURLUE_OK ||
	    strlen(host) >= sizeof(out.host))
		return -EINVAL;
	out.https = strcmp(scheme, "https") == 0;
	if (!out.https && strcmp(scheme, "http") != 0)
		return -EINVAL;
	memcpy(out.host, host, strlen(host) + 1);
	out.bare = strcmp(path, "/") == 0;
	out.loopback = is_loopback(host);
	*ret = out;
	return 0;
}

char *bl_fetch_url_follow(const char *url, const char *to)
{
	__attribute__((cleanup(cleanup_url))) CURLU *u = curl_url();
	AUTOPART whole = NULL;

	if (!u || curl_url_set(u, CURLUPART_URL, url, 0) != CURLUE_OK ||
	    curl_url_set(u, CURLUPART_URL, to, 0) != CURLUE_OK ||
	    curl_url_set(u, CURLUPART_FRAGMENT, NULL, 0) != CURLUE_OK ||
	    curl_url_get(u, CURLUPART_URL, &whole, 0) != CURLUE_OK)
		return NULL;
	return strdup(whole);
}

static bool same_part(CURLU *a, CURLU *b, CURLUPart part)
{
	AUTOPART x = NULL;
	AUTOPART y = NULL;

	return curl_url_get(a, part, &x, CURLU_DEFAULT_PORT) == CURLUE_OK &&
	       curl_url_get(b, part, &y, CURLU_DEFAULT_PORT) == CURLUE_OK &&
	       strcasecmp(x, y) == 0;
}

bool bl_fetch_url_same_server(const char *a, const char *b)
{
	__attribute__((cleanup(cleanup_url))) CURLU *x = curl_url();
	__attribute__((cleanup(cleanup_url))) CURLU *y = curl_url();

	return x && y && curl_url_set(x, CURLUPART_URL, a, 0) == CURLUE_OK &&
	       curl_url_set(y, CURLUPART_URL, b, 0) == CURLUE_OK &&
	       same_part(x, y, CURLUPART_SCHEME) &&
	       same_part(x, y, CURLUPART_HOST) &&
	       same_part(x, y, CURLUPART_PORT);
}

static pthread_once_t curl_once = PTHREAD_ONCE_INIT;

static void start_curl(void)
{
	curl_global_init(CURL_GLOBAL_DEFAULT);
}

int bl_fetch_open(struct bl_fetch **ret, struct bl_err *err)
{
	struct bl_fetch *f = calloc(1, sizeof(*f));

	pthread_once(&curl_once, start_curl);
	if (f)
		f->curl = curl_easy_init();
	if (f)
		f->multi = curl_multi_init();
	if (!f || !f->curl || !f->multi) {
		bl_fetch_close(f);
		return bl_err_set(err, -ENOMEM, "out of memory");
	}
	*ret = f;
	return 0;
}

void bl_fetch_close(struct bl_fetch *f)
{
	if (!f)
		return;
	curl_easy_cleanup(f->curl);
	curl_multi_cleanup(f->multi);
	free(f);
}

static void copy_header(CURL *curl, const char *name, char *ret, size_t size)
{
	struct curl_header *h = NULL;

	ret[0] = '\0';
	if (curl_easy_header(curl, name, 0, CURLH_HEADER, -1, &h) ==
		    CURLHE_OK &&
	    strlen(h->value) < size)
		memcpy(ret, h->value, strlen(h->value) + 1);
}

static void read_head(struct call *c)
{
	curl_off_t length = -1, retry_s = 0;

	if (c->headed)
		return;
	c->headed = true;
	curl_easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, &c->head.status);
	curl_easy_getinfo(c->curl, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
	curl_easy_getinfo(c->curl, CURLINFO_RETRY_AFTER, &retry_s);
	c->head.length = length;
	if (retry_s > 0)
		c->head.retry_ms = retry_s > INT32_MAX
					   ? INT64_C(1000) * INT32_MAX
					   : (int64_t)retry_s * 1000;
	copy_header(c->curl, "ETag", c->head.etag, sizeof(c->head.etag));
	copy_header(c->curl, "Content-Range", c->head.range,
		    sizeof(c->head.range));
	for (size_t i = 0; i < BL_FETCH_WANTED && c->q->wanted[i].name; i++)
		copy_header(c->curl, c->q->wanted[i].name,
			    c->q->wanted[i].value, c->q->wanted[i].size);
}

static size_t on_data(char *data, size_t one, size_t len, void *ctx)
{
	struct call *c = ctx;

	(void)one;
	read_head(c);
	if (c->q->sink && c->head.status >= 200 && c->head.status <= 299) {
		c->failed = c->q->sink(c->q->ctx, &c->head, data, len, &c->why);
		return c->failed ? 0 : len;
	}
	if (len > c->q->answer_max - c->answer.len)
		c->failed = bl_err_set(&c->why, -EFBIG,
				       "the answer has more than %zu bytes",
				       c->q->answer_max);
	else if (bl_buf_add(&c->answer, data, len) < 0)
		c->failed = bl_err_set(&c->why, -ENOMEM, "out of memory");
	return c->failed ? 0 : len;
}

static int give_up(struct call *c)
{
	return c->failed = bl_err_set(&c->why, -ECANCELED, "given up");
}

/* Ctrl-C ends a transfer. */
static int on_progress(void *ctx, curl_off_t a, curl_off_t b, curl_off_t d,
		       curl_off_t e)
{
	struct call *c = ctx;

	(void)a;
	(void)b;
	(void)d;
	(void)e;
	if (bl_cli_interrupted())
		return 1;
	return c->q->stop && c->q->stop(c->q->ctx) ? give_up(c) : 0;
}

/* A kept connection that breaks under a request makes libcurl send it again on
 * a new one, POST or not. Whether that is right is for the caller to say. */
static int on_send(void *ctx, char *to, char *from, int to_port, int from_port)
{
	struct call *c = ctx;

	(void)to;
	(void)from;
	(void)to_port;
	(void)from_port;
	if (c->sent && strcmp(c->q->method, "GET") != 0)
		return CURL_PREREQFUNC_ABORT;
	c->sent++;
	return CURL_PREREQFUNC_OK;
}

/* libcurl has one code for all handshakes that fail: what is not here is about
 * certificates. Words of the C library and of GnuTLS. */
static const struct {
	const char *words;
	bool cut; /* else the other side speaks no TLS */
} handshakes[] = {
	{ "Connection reset by peer", true },
	{ "Broken pipe", true },
	{ "non-properly terminated", true },
	{ "unexpected TLS packet", false },
	{ "decoding the received TLS packet", false },
};

static int fail_handshake(const char *why, struct bl_err *err)
{
	size_t i;

	for (i = 0; i < BL_ARRAY_SIZE(handshakes); i++)
		if (strstr(why, handshakes[i].words))
			break;
	if (i == BL_ARRAY_SIZE(handshakes))
		return bl_err_set(err, -EACCES, "%s", why);
	if (!handshakes[i].cut) {
		bl_err_set(err, -EACCES,
			   "what answers there does not speak TLS (%s)", why);
		bl_err_hint(err, "is it meant to be http://, or another port?");
		return -EACCES;
	}
	bl_err_set(err, -ECONNREFUSED,
		   "the connection was cut before TLS began (%s)", why);
	bl_err_hint(
		err,
		"it may have no room for more, or speak http:// only, or something between the two cuts it");
	return -ECONNREFUSED;
}

static int fail(struct bl_fetch *f, const struct call *c, CURLcode code,
		struct bl_err *err)
{
	const char *why = *f->problem ? f->problem : curl_easy_strerror(code);

	if (bl_cli_interrupted())
		return bl_err_set(err, -EINTR, "interrupted");
	if (c->failed) {
		bl_err_set(err, c->failed, "%s", c->why.text);
		bl_err_hint(err, "%s", c->why.hint);
		return c->failed;
	}
	switch (code) {
	case CURLE_SSL_CONNECT_ERROR:
		return fail_handshake(why, err);
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_ISSUER_ERROR:
		return bl_err_set(err, -EACCES, "%s", why);
	default:
		return bl_err_set(err, c->sent ? -EREMOTEIO : -ECONNREFUSED,
				  "%s", why);
	}
}

static void set_options(struct bl_fetch *f, struct call *c)
{
	const struct bl_fetch_request *q = c->q;
	CURL *curl = f->curl;

	curl_easy_setopt(curl, CURLOPT_URL, q->url);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	if (!q->proxy)
		curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, f->problem);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)q->timeout_ms);
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)q->connect_ms);
	curl_easy_setopt(curl, CURLOPT_USERAGENT, "belay/" BL_VERSION);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_data);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, c);
	curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
	curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
	curl_easy_setopt(curl, CURLOPT_XFERINFODATA, c);
	curl_easy_setopt(curl, CURLOPT_PREREQFUNCTION, on_send);
	curl_easy_setopt(curl, CURLOPT_PREREQDATA, c);
	if (q->stall_ms) {
		curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
		curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME,
				 (long)(q->stall_ms / 1000));
	}
	if (q->tls && q->tls->ca) {
		/* That one alone: libcurl's default folder beside it would
		 * mean every authority of the system, read anew for every
		 * connection. */
		curl_easy_setopt(curl, CURLOPT_CAINFO, q->tls->ca);
		curl_easy_setopt(curl, CURLOPT_CAPATH, NULL);
	}
	if (q->tls && q->tls->anybody) {
		curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 0L);
		curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 0L);
	}
	if (q->tls && q->tls->cert) {
		curl_easy_setopt(curl, CURLOPT_SSLCERT, q->tls->cert);
		curl_easy_setopt(curl, CURLOPT_SSLKEY, q->tls->key);
	}
	if (strcmp(q->method, "GET") == 0)
		return;
	curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)q->len);
	curl_easy_setopt(curl, CURLOPT_POSTFIELDS, q->body ? q->body : "");
	curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, q->method);
}

/* No "Expect: 100-continue": it costs a round trip for nothing. */
static struct curl_slist *make_headers(const struct bl_fetch_request *q)
{
	bl_autofree char *type = bl_path(
		"Content-Type: %s", q->type ? q->type : "application/json");
	struct curl_slist *list = curl_slist_append(NULL, "Expect:"), *longer;
	size_t i;

	longer = list && type ? curl_slist_append(list, type) : NULL;
	for (i = 0; longer && i < BL_FETCH_HEADERS && q->headers[i]; i++)
		longer = curl_slist_append(list, q->headers[i]);
	if (longer)
		return list;
	curl_slist_free_all(list);
	return NULL;
}

/* As curl_easy_perform, which cannot be woken. */
static CURLcode perform(struct bl_fetch *f, struct call *c)
{
	CURLMcode code = curl_multi_add_handle(f->multi, f->curl);
	CURLcode result = CURLE_ABORTED_BY_CALLBACK;
	struct CURLMsg *message;
	int running = 1, left;

	while (code == CURLM_OK) {
		struct curl_waitfd wake = { .events = CURL_WAIT_POLLIN };

		code = curl_multi_perform(f->multi, &running);
		if (code != CURLM_OK || !running)
			break;
		if (c->q->wake)
			wake.fd = *c->q->wake;
		code = curl_multi_poll(f->multi, &wake, c->q->wake ? 1 : 0,
				       LOOK_MS, NULL);
		if (wake.revents) {
			give_up(c);
			break;
		}
	}
	if (code != CURLM_OK)
		result = CURLE_OUT_OF_MEMORY;
	while ((message = curl_multi_info_read(f->multi, &left)))
		if (message->msg == CURLMSG_DONE)
			result = message->data.result;
	/* One that is under way is cut off with its connection. */
	curl_multi_remove_handle(f->multi, f->curl);
	return result;
}

int bl_fetch_call(struct bl_fetch *f, const struct bl_fetch_request *q,
		  struct bl_fetch_head *ret_head, struct bl_buf *ret,
		  struct bl_err *err)
{
	__attribute__((cleanup(cleanup_headers))) struct curl_slist *headers =
		make_headers(q);
	struct call c = { .q = q, .curl = f->curl };
	CURLcode code;
	int r = 0;

	if (!headers)
		return bl_err_set(err, -ENOMEM, "out of memory");
	curl_easy_reset(f->curl);
	*f->problem = '\0';
	set_options(f, &c);
	curl_easy_setopt(f->curl, CURLOPT_HTTPHEADER, headers);
	code = perform(f, &c);
	if (code != CURLE_OK) {
		r = fail(f, &c, code, err);
	} else {
		read_head(&c); /* there may have been no body */
		*ret_head = c.head;
		bl_buf_free(ret);
		*ret = c.answer;
		c.answer = (struct bl_buf){ 0 };
	}
	bl_buf_free(&c.answer);
	/* Nothing of this call outlives it in the handle. */
	curl_easy_reset(f->curl);
	return r;
}

struct bl_fetch_stream {
	struct bl_fetch *fetch;
	struct bl_fetch_request q;
	struct call call;
	bool added; /* to the fetch's multi */
};

int bl_fetch_stream_open(const struct bl_fetch_request *q,
			 struct bl_fetch_stream **ret, struct bl_err *err)
{
	struct bl_fetch_stream *s = calloc(1, sizeof(*s));
	int r = s ? bl_fetch_open(&s->fetch, err)
		  : bl_err_set(err, -ENOMEM, "out of memory");

	if (!r) {
		s->q = *q;
		s->q.timeout_ms = 0;
		s->call = (struct call){ .q = &s->q, .curl = s->fetch->curl };
		set_options(s->fetch, &s->call);
		/* libcurl has copies of these; the caller may not keep them. */
		s->q.url = NULL;
		s->q.tls = NULL;
		s->added = curl_multi_add_handle(s->fetch->multi,
						 s->fetch->curl) == CURLM_OK;
		if (!s->added)
			r = bl_err_set(err, -ENOMEM, "out of memory");
	}
	if (r < 0)
		bl_fetch_stream_close(s);
	else
		*ret = s;
	return r;
}

void bl_fetch_stream_close(struct bl_fetch_stream *s)
{
	if (!s)
		return;
	if (s->added)
		curl_multi_remove_handle(s->fetch->multi, s->fetch->curl);
	bl_fetch_close(s->fetch);
	bl_buf_free(&s->call.answer);
	free(s);
}

/* Why nothing more will come. */
static int end_of(struct bl_fetch_stream *s, struct bl_err *err)
{
	CURLMsg *m;
	int left;

	do
		m = curl_multi_info_read(s->fetch->multi, &left);
	while (m && m->msg != CURLMSG_DONE);
	if (m && m->data.result != CURLE_OK)
		return fail(s->fetch, &s->call, m->data.result, err);
	return bl_err_set(err, -EPIPE, "the other side ended it");
}

int bl_fetch_stream_read(struct bl_fetch_stream *s, uint64_t wait_ms,
			 long *ret_status, struct bl_buf *ret,
			 struct bl_err *err)
{
	struct bl_buf *answer = &s->call.answer;
	CURLM *multi = s->fetch->multi;
	int running = 0, r;

	curl_multi_perform(multi, &running);
	if (running && !answer->len) {
		curl_multi_poll(multi, NULL, 0, (int)wait_ms, NULL);
		curl_multi_perform(multi, &running);
	}
	if (!answer->len)
		return running ? 0 : end_of(s, err);
	*ret_status = s->call.head.status;
	r = bl_buf_add(ret, answer->data, answer->len);
	bl_buf_free(answer);
	return r < 0 ? bl_err_set(err, r, "out of memory") : 1;
}
