/* SPDX-License-Identifier: Apache-2.0 */
#include "canary/controller/http.h"

#include <errno.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "canary/controller/api.h"
#include "canary/controller/blobs.h"
#include "canary/controller/bodies.h"
#include "canary/controller/callers.h"
#include "canary/controller/decider.h"
#include "canary/controller/http_address.h"
#include "canary/controller/http_answer.h"
#include "canary/controller/http_limits.h"
#include "canary/controller/http_stream.h"
#include "canary/controller/http_wait.h"
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
	pthread_t thread;	  /* serves */
	bool serves;
	int stop_fd; /* tells it to end; -1: not open */
	/* The serving thread's alone. */
	struct bl_waits waits;
	bool ending;
	struct bl_bodies bodies;
	/* Under the lock. */
	struct bl_polls *polls;
	struct bl_http_answers answers;
	struct bl_blobs blobs; /* under the lock */
	char listens[INET6_ADDRSTRLEN + 16];
};

/* How long the thread sleeps at most: what is remembered has to be flushed. */
#define ROUND_MS 100

/* One request under way. */
struct job {
	struct bl_http *http;
	struct bl_caller *caller;
	const struct bl_peer *peer; /* NULL: plain HTTP */
	struct bl_body body;
	size_t max;
	struct bl_wait *wait; /* it was not answered at once */
	unsigned refused;     /* a status: the rest of the body is not kept */
	const char *why;
	size_t route; /* these two as in bl_response */
	bool poll;
};

static struct bl_caller *caller_of(struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *own = MHD_get_connection_info(
		connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	return own ? own->socket_context : NULL;
}

static enum MHD_Result answer(struct bl_http *http,
			      struct MHD_Connection *connection,
			      struct bl_response *a)
{
	struct bl_caller *caller = caller_of(connection);
	enum MHD_Result r;

	if (a->file_len && caller && !bl_callers_file(http->callers, caller))
		bl_http_too_much(a);
	if (a->streams)
		r = bl_streams_answer(http->streams, &http->answers, connection,
				      caller ? &caller->peer : NULL, a);
	else
		r = bl_http_answer(&http->answers, connection, a);
	bl_meter_answer(http->meter, a);
	return r;
}

static enum MHD_Result refuse(const struct job *job,
			      struct MHD_Connection *connection)
{
	struct bl_response a = { .route = job->route, .poll = job->poll };

	bl_api_fail(job->refused, job->why, "", &a);
	return answer(job->http, connection, &a);
}

/*
 * A web page that made its own name point to 127.0.0.1 would be let in by the
 * browser as if it were ours. It cannot make the browser call us by a number.
 */
static bool host_is_ours(struct MHD_Connection *connection)
{
	const char *host = MHD_lookup_connection_value(
		connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_HOST);

	/* HTTP/1.0 without one: not a browser. */
	return !host || bl_http_host_is_ip(host);
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
	MHD_set_connection_option(connection, MHD_CONNECTION_OPTION_TIMEOUT,
				  http->limits.idle_s);
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
	job->http = http;
	job->caller = caller;
	job->peer = peer_of(http, connection, caller);
	bl_callers_due(http->callers, caller,
		       bl_clock_mono_ms() + http->limits.request_ms);
	job->max = bl_api_body_max(method, url);
	bl_body_begin(&http->bodies, &job->body,
		      bl_bodies_share(job->peer, job->max));
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

/* Else *ret is the answer. Whose body may be large is asked for in the store
 * first: a certificate that was taken back keeps nobody's room. */
static bool is_let_in(struct job *job, const char *method, const char *url,
		      struct bl_response *ret)
{
	struct bl_http *http = job->http;
	const struct bl_request request = { .method = method,
					    .path = url,
					    .peer = job->peer };
	bool in = bl_api_allows(method, url, job->peer, ret);

	job->route = ret->route;
	job->poll = ret->poll;
	if (!in || job->body.share != BL_BODIES_LARGE)
		return in;
	pthread_mutex_lock(&http->lock);
	in = bl_api_counts(http->store, &request, bl_clock_wall_ms(), ret);
	pthread_mutex_unlock(&http->lock);
	return in;
}

/* Keeps a piece of the body. MHD_NO closes the connection at once. */
static enum MHD_Result take(struct job *job, const char *data, size_t len)
{
	struct bl_http *http = job->http;

	if (job->refused)
		return MHD_YES;
	if (len > job->max - job->body.data.len) {
		job->refused = 413;
		job->why = "the body is too large";
		return MHD_NO;
	}
	if (!bl_body_add(&http->bodies, &job->body, data, len))
		return MHD_YES;
	job->refused = 503;
	job->why = "too much is being sent at once; try again later";
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
		.body = bl_buf_str(&job->body.data),
		.len = job->body.data.len,
		.peer = job->peer,
		.pki = http->tls ? http->tls->pki : NULL,
		.blobs = &http->blobs,
		.polls = http->polls,
		.last_event_id = MHD_lookup_connection_value(
			connection, MHD_HEADER_KIND, "Last-Event-ID"),
		.meter = http->meter,
		.trust = http->limits.trust,
		.files = true,
	};
	/* None is suspended when nobody is left to wake it. MHD_quiesce_daemon
	 * would not do: it ends listening, and requests go on on connections that
	 * are open. */
	struct bl_wait *spare = http->ending ? NULL
					     : bl_waits_spare(&http->waits);
	struct bl_response a;

	request.later = spare ? &spare->job : NULL;
	pthread_mutex_lock(&http->lock);
	bl_api_handle(http->store, &request, bl_clock_wall_ms(), &a);
	pthread_mutex_unlock(&http->lock);
	if (!a.status && spare) {
		job->wait = bl_waits_add(&http->waits, connection, job->peer,
					 request.if_none_match, &a);
		return MHD_YES;
	}
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
		/* Answering now spares both sides the whole body. */
		if (!is_let_in(job, method, url, &a) && !job->refused)
			return answer(http, connection, &a);
		bl_buf_free(&a.body);
		return job->refused ? refuse(job, connection) : MHD_YES;
	}
	if (*len) {
		r = take(job, data, *len);
		*len = 0;
		return r;
	}
	if (job->refused)
		return refuse(job, connection);
	if (job->wait)
		return answer(http, connection, &job->wait->answer);
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
	/* It has been answered: quiet for longer, then a head like the first
	 * one. Of libmicrohttpd's two lists, the one of its own timeout is the
	 * one that it need not walk through. */
	MHD_set_connection_option(connection, MHD_CONNECTION_OPTION_TIMEOUT,
				  http->limits.keep_s);
	bl_callers_due(http->callers, job->caller,
		       bl_clock_mono_ms() +
			       UINT64_C(1000) * http->limits.keep_s +
			       http->limits.head_ms);
	bl_body_end(&http->bodies, &job->body);
	bl_wait_free(job->wait);
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

static int start(struct bl_http *http, const struct sockaddr_storage *address,
		 struct bl_err *err)
{
	static const char priorities[] =
		"NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2";
	unsigned flags = MHD_USE_EPOLL | MHD_USE_ERROR_LOG | MHD_USE_TURBO |
			 MHD_ALLOW_SUSPEND_RESUME;
	struct MHD_OptionItem options[8];
	size_t n = 0;
	const union MHD_DaemonInfo *info;
	uint16_t port = bl_http_port(address);
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
		http->limits.keep_s, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
		(size_t)BL_HTTP_CONNECTION_BYTES, MHD_OPTION_NOTIFY_COMPLETED,
		on_end, NULL, MHD_OPTION_NOTIFY_CONNECTION, on_connection, http,
		MHD_OPTION_ARRAY, options, MHD_OPTION_END);
	if (!http->daemon) {
		int code = errno ? -errno : -EIO;

		bl_http_address_text(address, port, name, sizeof(name));
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
	bl_http_address_text(address, port, http->listens,
			     sizeof(http->listens));
	return 0;
}

static bool next_round(struct bl_http *http, int epoll_fd)
{
	struct pollfd fds[] = { { .fd = epoll_fd, .events = POLLIN },
				{ .fd = http->stop_fd, .events = POLLIN } };
	MHD_UNSIGNED_LONG_LONG due_ms;
	int wait_ms = ROUND_MS;

	if (MHD_get_timeout(http->daemon, &due_ms) == MHD_YES &&
	    due_ms < (MHD_UNSIGNED_LONG_LONG)wait_ms)
		wait_ms = (int)due_ms;
	/* Resuming takes in requests, too. */
	if (bl_waits_fresh(&http->waits))
		wait_ms = 0;
	poll(fds, 2, wait_ms);
	return !fds[1].revents;
}

/* Requests, then what is to be written of all of them at once. */
static void *serve(void *ctx)
{
	struct bl_http *http = ctx;
	const union MHD_DaemonInfo *info =
		MHD_get_daemon_info(http->daemon, MHD_DAEMON_INFO_EPOLL_FD);

	while (next_round(http, info->epoll_fd)) {
		struct bl_err err = { 0 };

		MHD_run(http->daemon);
		if (bl_waits_settle(&http->waits, http->polls, &http->lock,
				    false))
			MHD_run(http->daemon);
		pthread_mutex_lock(&http->lock);
		if (bl_polls_flush(http->polls, bl_clock_wall_ms(), false,
				   &err) < 0)
			bl_meter_background(http->meter, &err);
		pthread_mutex_unlock(&http->lock);
	}
	http->ending = true;
	bl_waits_settle(&http->waits, http->polls, &http->lock, true);
	MHD_run(http->daemon);
	return NULL;
}

static int start_thread(struct bl_http *http, struct bl_err *err)
{
	int r;

	http->stop_fd = eventfd(0, EFD_CLOEXEC);
	r = http->stop_fd < 0
		    ? errno
		    : pthread_create(&http->thread, NULL, serve, http);
	if (r)
		return bl_err_errno(err, -r, "cannot serve");
	http->serves = true;
	return 0;
}

static void stop_thread(struct bl_http *http)
{
	if (http->serves) {
		eventfd_write(http->stop_fd, 1);
		pthread_join(http->thread, NULL);
	}
	if (http->stop_fd >= 0)
		close(http->stop_fd);
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
	bl_http_limits_set(&http->limits, limits);
	bl_http_limits_bodies(&http->limits, &http->bodies);
	http->answers.max = http->limits.answers;
	http->waits.trust = http->limits.trust;
	http->callers = bl_callers_new(http->limits.connections);
	if (!http->callers) {
		free(http);
		return bl_err_set(err, -ENOMEM, "out of memory");
	}
	http->stop_fd = -1;
	bl_decider_draw(http->who);
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
		r = bl_polls_open(http->store, &http->polls, err);
	}
	if (!r)
		r = start(http, address, err);
	if (!r)
		r = start_thread(http, err);
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
	stop_thread(http);
	if (http->daemon)
		MHD_stop_daemon(http->daemon);
	bl_waits_free(&http->waits);
	if (http->polls)
		bl_polls_flush(http->polls, bl_clock_wall_ms(), true, NULL);
	bl_polls_close(http->polls);
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

unsigned bl_http_unwritten(struct bl_http *http, struct bl_err *err)
{
	return bl_meter_unwritten(http->meter, err);
}

int bl_http_tick(struct bl_http *http, struct bl_err *err)
{
	int r;

	bl_callers_cut(http->callers, bl_clock_mono_ms());
	pthread_mutex_lock(&http->lock);
	bl_polls_commit(http->polls);
	r = bl_decider_tick(http->store, http->who, &http->fleet,
			    bl_clock_wall_ms(), err);
	bl_polls_forget_rollouts(http->polls);
	pthread_mutex_unlock(&http->lock);
	bl_streams_feed(http->streams, http->store, &http->lock);
	bl_meter_tick(http->meter, r == 0, bl_streams_count(http->streams));
	return r;
}
