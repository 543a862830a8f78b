/* SPDX-License-Identifier: Apache-2.0 */
#include "canary/client.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "canary/record.h"
#include "loader/base/cleanup.h"
#include "loader/base/cli.h"
#include "loader/base/file.h"

struct bl_client {
	CURL *curl;
	char *url; /* without a slash at the end */
	char problem[CURL_ERROR_SIZE];
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

static bool is_this_machine(const char *host)
{
	struct in_addr v4;

	if (strcmp(host, "localhost") == 0 || strcmp(host, "[::1]") == 0)
		return true;
	return inet_pton(AF_INET, host, &v4) == 1 &&
	       ntohl(v4.s_addr) >> 24 == 127;
}

static int check_url(const char *url, bool plaintext, struct bl_err *err)
{
	__attribute__((cleanup(cleanup_url))) CURLU *u = curl_url();
	AUTOPART scheme = NULL;
	AUTOPART host = NULL;
	AUTOPART path = NULL;

	if (!u)
		return bl_err_set(err, -ENOMEM, "out of memory");
	if (curl_url_set(u, CURLUPART_URL, url, 0) != CURLUE_OK ||
	    curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK ||
	    curl_url_get(u, CURLUPART_HOST, &host, 0) != CURLUE_OK ||
	    curl_url_get(u, CURLUPART_PATH, &path, 0) != CURLUE_OK ||
	    (strcmp(scheme, "http") != 0 && strcmp(scheme, "https") != 0) ||
	    strcmp(path, "/") != 0) {
		bl_err_set(err, -EINVAL, "'%s' is not a controller's URL", url);
		bl_err_hint(err, "for example %s", BL_CLIENT_URL);
		return -EINVAL;
	}
	if (strcmp(scheme, "http") == 0 && !is_this_machine(host) &&
	    !plaintext) {
		bl_err_set(
			err, -EPERM,
			"plain HTTP to %s: anyone on the way could say what this host loads",
			host);
		bl_err_hint(
			err,
			"use https://, or --plaintext on a network that is yours alone (a lab)");
		return -EPERM;
	}
	return 0;
}

static pthread_once_t curl_once = PTHREAD_ONCE_INIT;

static void start_curl(void)
{
	curl_global_init(CURL_GLOBAL_DEFAULT);
}

int bl_client_open(const char *url, bool plaintext, struct bl_client **ret,
		   struct bl_err *err)
{
	const char *env = getenv("BELAY_CONTROLLER");
	struct bl_client *c;
	size_t len;
	int r;

	pthread_once(&curl_once, start_curl);
	if (!url)
		url = env && *env ? env : BL_CLIENT_URL;
	r = check_url(url, plaintext, err);
	if (r < 0)
		return r;
	c = calloc(1, sizeof(*c));
	if (c) {
		c->curl = curl_easy_init();
		c->url = strdup(url);
	}
	if (!c || !c->curl || !c->url) {
		bl_client_close(c);
		return bl_err_set(err, -ENOMEM, "out of memory");
	}
	len = strlen(c->url);
	while (len && c->url[len - 1] == '/')
		c->url[--len] = '\0';
	*ret = c;
	return 0;
}

void bl_client_close(struct bl_client *c)
{
	if (!c)
		return;
	curl_easy_cleanup(c->curl);
	free(c->url);
	free(c);
}

const char *bl_client_url(const struct bl_client *c)
{
	return c->url;
}

static size_t on_data(char *data, size_t one, size_t len, void *ctx)
{
	struct bl_buf *b = ctx;

	(void)one;
	if (len > BL_CLIENT_ANSWER_MAX - b->len || bl_buf_add(b, data, len) < 0)
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

static int errno_of(long status)
{
	switch (status) {
	case 400:
	case 415:
		return -EINVAL;
	case 403:
		return -EPERM;
	case 404:
		return -ENOENT;
	case 409:
		return -EBUSY;
	case 413:
		return -EFBIG;
	case 503:
		return -EAGAIN;
	case 507:
		return -ENOSPC;
	default:
		return -EPROTO;
	}
}

/* What the controller says is a stranger's text until it is cleaned. */
static int fail_status(long status, const struct bl_buf *body,
		       struct bl_err *err)
{
	char text[BL_ERR_TEXT_MAX / 2], hint[BL_ERR_HINT_MAX];
	bl_autojson json_t *obj =
		json_loadb(bl_buf_str(body), body->len, 0, NULL);
	const char *error = json_string_value(json_object_get(obj, "error"));

	if (!error) {
		bl_err_set(err, errno_of(status),
			   "the controller answered %ld without saying why",
			   status);
		bl_err_hint(err, "is it a belay controller? --controller or "
				 "$BELAY_CONTROLLER say where");
		return errno_of(status);
	}
	bl_text_copy(text, sizeof(text), error);
	bl_text_copy(hint, sizeof(hint),
		     json_string_value(json_object_get(obj, "hint")));
	bl_err_set(err, errno_of(status), "%s", text);
	if (*hint)
		bl_err_hint(err, "%s", hint);
	return errno_of(status);
}

static int fail_connection(struct bl_client *c, CURLcode code,
			   struct bl_err *err)
{
	if (bl_cli_interrupted())
		return bl_err_set(err, -EINTR, "interrupted");
	bl_err_set(err, -ECONNREFUSED, "no controller answers at %s: %s",
		   c->url, *c->problem ? c->problem : curl_easy_strerror(code));
	bl_err_hint(
		err,
		"is 'belay controller' running? --controller or $BELAY_CONTROLLER say where");
	return -ECONNREFUSED;
}

int bl_client_call(struct bl_client *c, const char *method, const char *path,
		   const char *type, const void *body, size_t len,
		   uint64_t timeout_ms, struct bl_buf *ret, struct bl_err *err)
{
	bl_autofree char *url = bl_path("%s%s", c->url, path);
	bl_autofree char *header =
		bl_path("Content-Type: %s", type ? type : "application/json");
	bl_autobuf struct bl_buf answer = { 0 };
	struct curl_slist *headers = NULL;
	CURLcode code;
	long status = 0;

	/* No "Expect: 100-continue": it costs a round trip for nothing. */
	if (url && header)
		headers = curl_slist_append(NULL, "Expect:");
	if (headers && !curl_slist_append(headers, header)) {
		curl_slist_free_all(headers);
		headers = NULL;
	}
	if (!headers)
		return bl_err_set(err, -ENOMEM, "out of memory");
	curl_easy_reset(c->curl);
	*c->problem = '\0';
	curl_easy_setopt(c->curl, CURLOPT_URL, url);
	curl_easy_setopt(c->curl, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(c->curl, CURLOPT_NOPROXY, "*");
	curl_easy_setopt(c->curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c->curl, CURLOPT_ERRORBUFFER, c->problem);
	curl_easy_setopt(c->curl, CURLOPT_TIMEOUT_MS, (long)timeout_ms);
	curl_easy_setopt(c->curl, CURLOPT_CONNECTTIMEOUT_MS, (long)timeout_ms);
	curl_easy_setopt(c->curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(c->curl, CURLOPT_USERAGENT, "belay/" BL_VERSION);
	curl_easy_setopt(c->curl, CURLOPT_WRITEFUNCTION, on_data);
	curl_easy_setopt(c->curl, CURLOPT_WRITEDATA, &answer);
	curl_easy_setopt(c->curl, CURLOPT_NOPROGRESS, 0L);
	curl_easy_setopt(c->curl, CURLOPT_XFERINFOFUNCTION, on_progress);
	if (strcmp(method, "GET") != 0) {
		curl_easy_setopt(c->curl, CURLOPT_POSTFIELDSIZE_LARGE,
				 (curl_off_t)len);
		curl_easy_setopt(c->curl, CURLOPT_POSTFIELDS, body ? body : "");
		curl_easy_setopt(c->curl, CURLOPT_CUSTOMREQUEST, method);
	}
	code = curl_easy_perform(c->curl);
	curl_slist_free_all(headers);
	if (code != CURLE_OK)
		return fail_connection(c, code, err);
	curl_easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, &status);
	if (status < 200 || status > 299)
		return fail_status(status, &answer, err);
	bl_buf_free(ret);
	*ret = answer;
	answer = (struct bl_buf){ 0 };
	return 0;
}

int bl_client_json(struct bl_client *c, const char *method, const char *path,
		   json_t *body, struct bl_json_doc *ret, struct bl_err *err)
{
	bl_autofree char *text = NULL;
	bl_autobuf struct bl_buf answer = { 0 };
	int r;

	if (body) {
		text = json_dumps(body, JSON_COMPACT);
		json_decref(body);
		if (!text)
			return bl_err_set(err, -ENOMEM, "out of memory");
	}
	r = bl_client_call(c, method, path, NULL, text, text ? strlen(text) : 0,
			   BL_CLIENT_TIMEOUT_MS, &answer, err);
	if (r < 0)
		return r;
	r = bl_json_parse("answer", bl_buf_str(&answer), answer.len, ret, err);
	return r < 0 ? bl_err_wrap(err, r, "controller %s", c->url) : 0;
}
