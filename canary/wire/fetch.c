/* SPDX-License-Identifier: Apache-2.0 */
#include "canary/wire/fetch.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/base/cli.h"
#include "loader/base/file.h"

struct bl_fetch {
	CURL *curl;
	char problem[CURL_ERROR_SIZE];
};

/* One call under way. */
struct call {
	const struct bl_fetch_request *q;
	struct bl_buf answer;
	unsigned sent; /* times that it went out */
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
	if (!f || !f->curl) {
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
	free(f);
}

static size_t on_data(char *data, size_t one, size_t len, void *ctx)
{
	struct call *c = ctx;

	(void)one;
	if (len > c->q->answer_max - c->answer.len ||
	    bl_buf_add(&c->answer, data, len) < 0)
		return 0;
	return len;
}

/* Ctrl-C ends a transfer. */
static int on_progress(void *ctx, curl_off_t a, curl_off_t b, curl_off_t c,
		       curl_off_t d)
{
	(void)ctx;
	(void)a;
	(void)b;
	(void)c;
	(void)d;
	return bl_cli_interrupted();
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

static int fail(struct bl_fetch *f, const struct call *c, CURLcode code,
		struct bl_err *err)
{
	const char *why = *f->problem ? f->problem : curl_easy_strerror(code);

	if (bl_cli_interrupted())
		return bl_err_set(err, -EINTR, "interrupted");
	switch (code) {
	case CURLE_SSL_CONNECT_ERROR:
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
	curl_easy_setopt(curl, CURLOPT_PREREQFUNCTION, on_send);
	curl_easy_setopt(curl, CURLOPT_PREREQDATA, c);
	if (q->tls && q->tls->ca)
		curl_easy_setopt(curl, CURLOPT_CAINFO, q->tls->ca);
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

int bl_fetch_call(struct bl_fetch *f, const struct bl_fetch_request *q,
		  long *ret_status, struct bl_buf *ret, struct bl_err *err)
{
	bl_autofree char *header = bl_path(
		"Content-Type: %s", q->type ? q->type : "application/json");
	/* No "Expect: 100-continue": it costs a round trip for nothing. */
	__attribute__((cleanup(cleanup_headers))) struct curl_slist *headers =
		curl_slist_append(NULL, "Expect:");
	struct call c = { .q = q };
	CURLcode code;
	int r = 0;

	if (!header || !headers || !curl_slist_append(headers, header))
		return bl_err_set(err, -ENOMEM, "out of memory");
	curl_easy_reset(f->curl);
	*f->problem = '\0';
	set_options(f, &c);
	curl_easy_setopt(f->curl, CURLOPT_HTTPHEADER, headers);
	code = curl_easy_perform(f->curl);
	if (code != CURLE_OK) {
		r = fail(f, &c, code, err);
	} else {
		curl_easy_getinfo(f->curl, CURLINFO_RESPONSE_CODE, ret_status);
		bl_buf_free(ret);
		*ret = c.answer;
		c.answer = (struct bl_buf){ 0 };
	}
	bl_buf_free(&c.answer);
	/* Nothing of this call outlives it in the handle. */
	curl_easy_reset(f->curl);
	return r;
}
