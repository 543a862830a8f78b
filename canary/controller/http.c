/* SPDX-License-Identifier: Apache-2.0 */
#include "canary/controller/http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>
#include <sys/resource.h>

#include "canary/controller/api.h"
#include "canary/controller/blobs.h"
#include "canary/controller/callers.h"
#include "canary/controller/decider.h"
#include "canary/controller/http_answer.h"
#include "canary/controller/http_stream.h"
#include "canary/controller/meter.h"
#include "canary/wire/pki.h"
#include "loader/base/cleanup.h"
#include "loader/base/clock.h"

struct bl_http {
	struct MHD_Daemon *daemon;
	struct bl_streams *streams;
	struct bl_meter *meter;
	struct bl_store *store;	       /* by way of the meter */
	struct bl_fleet fleet;	       /* as it was decided on last */
	const struct bl_http_tls *tls; /* NULL: plain */
	struct bl_http_tls tls_kept;
	struct bl_http_limits limits;
	struct bl_callers *callers;
	char who[BL_SESSION_LEN]; /* this controller; drawn */
	pthread_mutex_t lock;	  /* of the store's handle */
	size_t bodies;		  /* bytes; only the serving thread */
	struct bl_http_answers answers;
	struct bl_blobs blobs; /* under the lock */
	char listens[INET6_ADDRSTRLEN + 16];
};

/* One request under way. */
struct job {
	struct bl_http *http;
	struct bl_caller *caller;
	const struct bl_peer *peer; /* NULL: plain HTTP */
	struct bl_buf body;
	size_t max;
	unsigned refused; /* a status: the rest of the body is not kept */
	const char *why;
};

static bool is_loopback(const struct sockaddr_storage *a)
{
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)a;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)a;

	if (a->ss_family == AF_INET)
		return ntohl(v4->sin_addr.s_addr) >> 24 == 127;
	return IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
}

static bool read_ip(const char *host, uint16_t port,
		    struct sockaddr_storage *ret)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET,
				  .sin_port = htons(port) };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6,
				   .sin6_port = htons(port) };

	*ret = (struct sockaddr_storage){ 0 };
	if (strcmp(host, "localhost") == 0)
		host = "127.0.0.1";
	if (inet_pton(AF_INET, host, &v4.sin_addr) == 1) {
		memcpy(ret, &v4, sizeof(v4));
		return true;
	}
	if (inet_pton(AF_INET6, host, &v6.sin6_addr) == 1) {
		memcpy(ret, &v6, sizeof(v6));
		return true;
	}
	return false;
}

int bl_http_address(const char *text, bool tls, struct sockaddr_storage *ret,
		    struct bl_err *err)
{
	struct sockaddr_storage address;
	char host[INET6_ADDRSTRLEN];
	const char *colon = strrchr(text, ':');
	size_t len = colon ? (size_t)(colon - text) : 0;
	long port = -1;
	char *end = NULL;

	if (colon && colon[1] >= '0' && colon[1] <= '9')
		port = strtol(colon + 1, &end, 10);
	if (len > 2 && text[0] == '[' && text[len - 1] == ']') {
		text++;
		len -= 2;
	}
	if (!end || *end || port < 0 || port > 65535 || len == 0 ||
	    len >= sizeof(host)) {
		bl_err_set(err, -EINVAL, "'%s' is not ADDRESS:PORT", text);
		bl_err_hint(err, "for example 127.0.0.1:%d", BL_HTTP_PORT);
		return -EINVAL;
	}
	memcpy(host, text, len);
	host[len] = '\0';
	if (!read_ip(host, (uint16_t)port, &address)) {
		bl_err_set(err, -EINVAL, "'%s' is not an IP address", host);
		bl_err_hint(err, "for example 127.0.0.1:%d", BL_HTTP_PORT);
		return -EINVAL;
	}
	if (!tls && !is_loopback(&address)) {
		bl_err_set(
			err, -EPERM,
			"%s is not a loopback address, and plain HTTP goes no further",
			host);
		bl_err_hint(
			err,
			"'belay controller init' makes certificates; then leave --plaintext out");
		return -EPERM;
	}
	*ret = address;
	return 0;
}

static enum MHD_Result answer(struct bl_http *http,
			      struct MHD_Connection *connection,
			      struct bl_response *a)
{
	enum MHD_Result r;

	if (a->streams)
		r = bl_streams_answer(http->streams, &http->answers, connection,
				      a);
	else
		r = bl_http_answer(&http->answers, connection, a);
	bl_meter_answer(http->meter, a);
	return r;
}

static enum MHD_Result refuse(struct bl_http *http,
			      struct MHD_Connection *connection,
			      unsigned status, const char *why)
{
	struct bl_response a = { 0 };

	bl_api_fail(status, why, "", &a);
	return answer(http, connection, &a);
}

/*
 * A web page that made its own name point to 127.0.0.1 would be let in by the
 * browser as if it were ours. It cannot make the browser call us by a number.
 */
static bool host_is_ours(struct MHD_Connection *connection)
{
	const char *host = MHD_lookup_connection_value(
		connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_HOST);
	struct sockaddr_storage ignored;
	char name[INET6_ADDRSTRLEN + 1];
	size_t len;

	if (!host)
		return true; /* HTTP/1.0: not a browser */
	if (*host == '[')
		len = strcspn(++host, "]");
	else
		len = strcspn(host, ":");
	if (len >= sizeof(name))
		return false;
	memcpy(name, host, len);
	name[len] = '\0';
	return read_ip(name, 0, &ignored);
}

static struct bl_caller *caller_of(struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *own = MHD_get_connection_info(
		connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	return own ? own->socket_context : NULL;
}

/* Looked at again now and then: certificates expire on open connections, too. */
static const struct bl_peer *peer_of(const struct bl_http *http,
				     struct MHD_Connection *connection,
				     struct bl_caller *c)
{
	const union MHD_ConnectionInfo *tls = MHD_get_connection_info(
		connection, MHD_CONNECTION_INFO_GNUTLS_SESSION);
	static const struct bl_peer nobody = { .role = BL_ROLE_NOBODY };
	uint64_t now_ms = bl_clock_mono_ms();

	if (!http->tls)
		return NULL;
	if (!c || !tls || !tls->tls_session)
		return &nobody;
	if (!c->looked_ms || now_ms - c->looked_ms > BL_HTTP_PEER_MS) {
		bl_pki_peer(tls->tls_session, &c->peer);
		c->looked_ms = now_ms;
	}
	return &c->peer;
}

static void on_connection(void *ctx, struct MHD_Connection *connection,
			  void **caller_at,
			  enum MHD_ConnectionNotificationCode code)
{
	struct bl_http *http = ctx;
	const union MHD_ConnectionInfo *tls, *fd;

	if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
		bl_callers_remove(http->callers, *caller_at);
		bl_meter_connection(http->meter, false);
		*caller_at = NULL;
		return;
	}
	bl_meter_connection(http->meter, true);
	fd = MHD_get_connection_info(connection,
				     MHD_CONNECTION_INFO_CONNECTION_FD);
	if (fd)
		*caller_at = bl_callers_add(http->callers, fd->connect_fd,
					    bl_clock_mono_ms() +
						    http->limits.head_ms);
	tls = MHD_get_connection_info(connection,
				      MHD_CONNECTION_INFO_GNUTLS_SESSION);
	if (tls && tls->tls_session)
		bl_pki_ask_all(tls->tls_session);
}

static struct job *new_job(struct bl_http *http,
			   struct MHD_Connection *connection, const char *url,
			   const char *method)
{
	const char *length = MHD_lookup_connection_value(
		connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_LENGTH);
	struct bl_caller *caller = caller_of(connection);
	struct job *job = calloc(1, sizeof(*job));

	if (!job || !caller) {
		free(job);
		return NULL;
	}
	bl_callers_due(http->callers, caller,
		       bl_clock_mono_ms() + http->limits.request_ms);
	job->http = http;
	job->caller = caller;
	job->peer = peer_of(http, connection, caller);
	job->max = bl_api_body_max(method, url);
	/* A browser has no certificate of ours to lend. */
	if (!http->tls && !host_is_ours(connection)) {
		job->refused = 403;
		job->why = "call this controller by its IP address";
	} else if (length && strtoull(length, NULL, 10) > job->max) {
		job->refused = 413;
		job->why = "the body is too large";
	}
	return job;
}

/* Keeps a piece of the body. MHD_NO closes the connection at once. */
static enum MHD_Result take(struct job *job, const char *data, size_t len)
{
	struct bl_http *http = job->http;

	if (job->refused)
		return MHD_YES;
	if (len > job->max - job->body.len) {
		job->refused = 413;
		job->why = "the body is too large";
		return MHD_NO;
	}
	if (len > BL_HTTP_BODIES_MAX - http->bodies ||
	    bl_buf_add(&job->body, data, len) < 0) {
		job->refused = 503;
		job->why = "too much is being sent at once; try again later";
		return MHD_YES;
	}
	http->bodies += len;
	return MHD_YES;
}

static enum MHD_Result handle(struct job *job,
			      struct MHD_Connection *connection,
			      const char *url, const char *method)
{
	struct bl_http *http = job->http;
	struct bl_request request = {
		.method = method,
		.path = url,
		.content_type = MHD_lookup_connection_value(
			connection, MHD_HEADER_KIND,
			MHD_HTTP_HEADER_CONTENT_TYPE),
		.if_none_match = MHD_lookup_connection_value(
			connection, MHD_HEADER_KIND,
			MHD_HTTP_HEADER_IF_NONE_MATCH),
		.range = MHD_lookup_connection_value(
			connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_RANGE),
		.body = bl_buf_str(&job->body),
		.len = job->body.len,
		.peer = job->peer,
		.pki = http->tls ? http->tls->pki : NULL,
		.blobs = &http->blobs,
		.last_event_id = MHD_lookup_connection_value(
			connection, MHD_HEADER_KIND, "Last-Event-ID"),
		.meter = http->meter,
	};
	struct bl_response a;

	pthread_mutex_lock(&http->lock);
	bl_api_handle(http->store, &request, bl_clock_wall_ms(), &a);
	pthread_mutex_unlock(&http->lock);
	if (a.streams)
		bl_callers_due(http->callers, job->caller,
			       bl_clock_mono_ms() + BL_STREAM_LIFE_MAX_MS);
	return answer(http, connection, &a);
}

static enum MHD_Result on_request(void *ctx, struct MHD_Connection *connection,
				  const char *url, const char *method,
				  const char *version, const char *data,
				  size_t *len, void **job_at)
{
	struct bl_http *http = ctx;
	struct job *job = *job_at;
	struct bl_response a = { 0 };
	enum MHD_Result r;

	(void)version;
	if (!job) {
		*job_at = job = new_job(http, connection, url, method);
		if (!job)
			return MHD_NO;
		if (!job->refused && !bl_api_allows(method, url, job->peer, &a))
			return answer(http, connection, &a);
		/* Answering now spares both sides the whole body. */
		return job->refused ? refuse(http, connection, job->refused,
					     job->why)
				    : MHD_YES;
	}
	if (*len) {
		r = take(job, data, *len);
		*len = 0;
		return r;
	}
	if (job->refused)
		return refuse(http, connection, job->refused, job->why);
	return handle(job, connection, url, method);
}

static void on_end(void *ctx, struct MHD_Connection *connection, void **job_at,
		   enum MHD_RequestTerminationCode code)
{
	struct job *job = *job_at;
	struct bl_http *http;

	(void)ctx;
	(void)connection;
	(void)code;
	if (!job)
		return;
	http = job->http;
	/* Quiet for as long as others, then a head like the first one. */
	bl_callers_due(http->callers, job->caller,
		       bl_clock_mono_ms() +
			       UINT64_C(1000) * http->limits.idle_s +
			       http->limits.head_ms);
	http->bodies -= job->body.len;
	bl_buf_free(&job->body);
	free(job);
	*job_at = NULL;
}

/* An end of a string within one is nothing that a path has: it stays an escape,
 * and so no name and no path. */
static size_t unescape(void *ctx, struct MHD_Connection *connection, char *text)
{
	(void)ctx;
	(void)connection;
	return strstr(text, "%00") ? strlen(text) : MHD_http_unescape(text);
}

static void on_log(void *ctx, const char *fmt, va_list ap)
{
	/* What a client did wrong is the client's to hear. */
	(void)ctx;
	(void)fmt;
	(void)ap;
}

static void name_address(const struct sockaddr_storage *a, uint16_t port,
			 char *ret, size_t size)
{
	char host[INET6_ADDRSTRLEN] = "?";

	if (a->ss_family == AF_INET6) {
		inet_ntop(AF_INET6,
			  &((const struct sockaddr_in6 *)a)->sin6_addr, host,
			  sizeof(host));
		snprintf(ret, size, "[%s]:%u", host, port);
		return;
	}
	inet_ntop(AF_INET, &((const struct sockaddr_in *)a)->sin_addr, host,
		  sizeof(host));
	snprintf(ret, size, "%s:%u", host, port);
}

static uint16_t port_of(const struct sockaddr_storage *a)
{
	return ntohs(a->ss_family == AF_INET6
			     ? ((const struct sockaddr_in6 *)a)->sin6_port
			     : ((const struct sockaddr_in *)a)->sin_port);
}

static int start(struct bl_http *http, const struct sockaddr_storage *address,
		 struct bl_err *err)
{
	static const char priorities[] =
		"NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2";
	unsigned flags = MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_AUTO |
			 MHD_USE_ERROR_LOG | MHD_ALLOW_SUSPEND_RESUME;
	struct MHD_OptionItem options[8];
	size_t n = 0;
	const union MHD_DaemonInfo *info;
	uint16_t port = port_of(address);
	char name[sizeof(http->listens)];

	if (address->ss_family == AF_INET6)
		flags |= MHD_USE_IPv6;
	if (http->tls) {
		flags |= MHD_USE_TLS;
		options[n++] =
			(struct MHD_OptionItem){ MHD_OPTION_HTTPS_MEM_KEY, 0,
						 (char *)http->tls->key };
		options[n++] =
			(struct MHD_OptionItem){ MHD_OPTION_HTTPS_MEM_CERT, 0,
						 (char *)http->tls->cert };
		options[n++] = (struct MHD_OptionItem){
			MHD_OPTION_HTTPS_MEM_TRUST, 0,
			(char *)bl_pki_cert(http->tls->pki)
		};
		options[n++] =
			(struct MHD_OptionItem){ MHD_OPTION_HTTPS_PRIORITIES, 0,
						 (char *)priorities };
	}
	options[n] = (struct MHD_OptionItem){ MHD_OPTION_END, 0, NULL };
	errno = 0;
	http->daemon = MHD_start_daemon(
		flags, 0, NULL, NULL, on_request, http,
		MHD_OPTION_EXTERNAL_LOGGER, on_log, NULL,
		MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_UNESCAPE_CALLBACK,
		unescape, NULL, MHD_OPTION_SOCK_ADDR,
		(const struct sockaddr *)address, MHD_OPTION_CONNECTION_LIMIT,
		http->limits.connections, MHD_OPTION_CONNECTION_TIMEOUT,
		http->limits.idle_s, MHD_OPTION_NOTIFY_COMPLETED, on_end, NULL,
		MHD_OPTION_NOTIFY_CONNECTION, on_connection, http,
		MHD_OPTION_ARRAY, options, MHD_OPTION_END);
	if (!http->daemon) {
		int code = errno ? -errno : -EIO;

		name_address(address, port, name, sizeof(name));
		bl_err_errno(err, code, "cannot listen on %s", name);
		if (code == -EADDRINUSE)
			bl_err_hint(
				err,
				"another controller runs there; --listen takes another port");
		return code;
	}
	info = MHD_get_daemon_info(http->daemon, MHD_DAEMON_INFO_BIND_PORT);
	if (info)
		port = info->port;
	name_address(address, port, http->listens, sizeof(http->listens));
	return 0;
}

static void draw_name(char ret[static BL_SESSION_LEN])
{
	unsigned char random[(BL_SESSION_LEN - 1) / 2];
	size_t i;

	/* Without randomness two may decide at once, which is only load. */
	if (getrandom(random, sizeof(random), 0) != sizeof(random))
		memset(random, 0, sizeof(random));
	for (i = 0; i < sizeof(random); i++)
		snprintf(ret + 2 * i, 3, "%02x", random[i]);
}

/* Two for each agent: it fetches a bundle and is heard of meanwhile. */
static unsigned places(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) < 0 ||
	    files.rlim_cur >= BL_HTTP_CONNECTIONS + BL_HTTP_FILES_KEPT)
		return BL_HTTP_CONNECTIONS;
	return files.rlim_cur > 2 * BL_HTTP_FILES_KEPT
		       ? (unsigned)files.rlim_cur - BL_HTTP_FILES_KEPT
		       : BL_HTTP_FILES_KEPT;
}

static void set_limits(struct bl_http_limits *l,
		       const struct bl_http_limits *given)
{
	if (given)
		*l = *given;
	l->connections = l->connections ? l->connections : places();
	l->idle_s = l->idle_s ? l->idle_s : BL_HTTP_IDLE_S;
	l->head_ms = l->head_ms ? l->head_ms : BL_HTTP_HEAD_MAX_MS;
	l->request_ms = l->request_ms ? l->request_ms : BL_HTTP_REQUEST_MAX_MS;
}

int bl_http_start(const struct sockaddr_storage *address,
		  struct bl_store *store, const struct bl_http_tls *tls,
		  struct bl_http **ret, struct bl_err *err)
{
	return bl_http_start_limited(address, store, tls, NULL, ret, err);
}

int bl_http_start_limited(const struct sockaddr_storage *address,
			  struct bl_store *store, const struct bl_http_tls *tls,
			  const struct bl_http_limits *limits,
			  struct bl_http **ret, struct bl_err *err)
{
	struct bl_http *http = calloc(1, sizeof(*http));
	int r;

	if (!http)
		return bl_err_set(err, -ENOMEM, "out of memory");
	set_limits(&http->limits, limits);
	http->callers = bl_callers_new(http->limits.connections);
	if (!http->callers) {
		free(http);
		return bl_err_set(err, -ENOMEM, "out of memory");
	}
	draw_name(http->who);
	if (tls) {
		http->tls_kept = *tls;
		http->tls = &http->tls_kept;
	}
	pthread_mutex_init(&http->lock, NULL);
	r = bl_streams_new(&http->streams);
	if (!r)
		r = bl_meter_new(&http->meter);
	if (r < 0) {
		bl_err_set(err, r, "out of memory");
	} else {
		http->store = bl_meter_store(http->meter, store);
		r = start(http, address, err);
	}
	if (r < 0) {
		bl_http_stop(http);
		return r;
	}
	*ret = http;
	return 0;
}

void bl_http_stop(struct bl_http *http)
{
	if (!http)
		return;
	if (http->streams)
		bl_streams_end(http->streams);
	if (http->daemon)
		MHD_stop_daemon(http->daemon);
	bl_callers_free(http->callers);
	bl_streams_free(http->streams);
	bl_meter_free(http->meter);
	bl_blobs_free(&http->blobs);
	bl_fleet_free(&http->fleet);
	pthread_mutex_destroy(&http->lock);
	free(http);
}

const char *bl_http_listens(const struct bl_http *http)
{
	return http->listens;
}

int bl_http_tick(struct bl_http *http, struct bl_err *err)
{
	int r;

	bl_callers_cut(http->callers, bl_clock_mono_ms());
	pthread_mutex_lock(&http->lock);
	r = bl_decider_tick(http->store, http->who, &http->fleet,
			    bl_clock_wall_ms(), err);
	pthread_mutex_unlock(&http->lock);
	bl_streams_feed(http->streams, http->store, &http->lock);
	bl_meter_tick(http->meter, r == 0, bl_streams_count(http->streams));
	return r;
}
