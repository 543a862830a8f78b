/* SPDX-License-Identifier: Apache-2.0 */
#include "canary/agent/metrics_file.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "loader/base/cleanup.h"
#include "loader/base/clock.h"
#include "loader/base/file.h"
#include "loader/base/text.h"
#include "loader/trust/vouch.h"

struct bl_metrics_file {
	struct bl_metrics_file_opts opts;
	char *path, *beside;
	struct bl_host *host;
	struct bl_agent_past past;
	char phase[16]; /* of the newest transaction, when past was read */
	char told[BL_ERR_TEXT_MAX];
	pthread_t thread;
	bool runs;
	pthread_mutex_t lock;
	pthread_cond_t stop;
	bool stopping;
};

bool bl_metrics_file_named(const char *path)
{
	size_t len = strlen(path);

	return len > strlen(".prom") && strcmp(path + len - 5, ".prom") == 0 &&
	       path[len - 6] != '/';
}

/* All of it only when the newest has changed: a thousand are many. */
static int read_past(struct bl_metrics_file *m, struct bl_err *err)
{
	struct bl_host_history h = { 0 };
	int r = bl_host_history(m->host, 1, &h, err);
	bool same = !r &&
		    (h.count ? h.txns[0].id == m->past.newest &&
				       strcmp(h.txns[0].phase, m->phase) == 0
			     : !m->past.newest);

	bl_host_history_free(&h);
	if (r < 0 || same)
		return r;
	h = (struct bl_host_history){ 0 };
	r = bl_host_history(m->host, 0, &h, err);
	if (!r) {
		bl_agent_past_read(&h, &m->past);
		bl_text_copy(m->phase, sizeof(m->phase),
			     h.count ? h.txns[0].phase : "");
	}
	bl_host_history_free(&h);
	return r;
}

static int open_host(struct bl_metrics_file *m, struct bl_err *err)
{
	return m->host ? 0 : bl_host_open(m->opts.config, &m->host, err);
}

static void measure_self(struct bl_agent_measured *ret)
{
	bl_autofclose FILE *f = fopen("/proc/self/statm", "re");
	struct rusage u = { 0 };
	unsigned long pages = 0;

	getrusage(RUSAGE_SELF, &u);
	ret->cpu_s = (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
		     (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
	if (f && fscanf(f, "%*u %lu", &pages) == 1)
		ret->memory_bytes =
			(double)pages * (double)sysconf(_SC_PAGESIZE);
}

static int replace(const struct bl_metrics_file *m, const struct bl_buf *text,
		   struct bl_err *err)
{
	bl_autoclose int fd = -1;
	ssize_t n;

	/* What lies there is of a life that died writing it. */
	unlink(m->beside);
	fd = open(m->beside,
		  O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0) {
		int code = -errno;

		bl_err_errno(err, code, "cannot write %s", m->beside);
		if (code == -ENOENT)
			bl_err_hint(
				err,
				"the folder is the one that node_exporter was given by --collector.textfile.directory");
		return code;
	}
	n = write(fd, text->data, text->len);
	/* The collector runs as somebody else, whatever our umask. */
	if (n != (ssize_t)text->len || fchmod(fd, 0644) < 0 ||
	    rename(m->beside, m->path) < 0) {
		int code = n >= 0 && n != (ssize_t)text->len ? -ENOSPC : -errno;

		unlink(m->beside);
		return bl_err_errno(err, code, "cannot write %s", m->path);
	}
	return 0;
}

/* A host that cannot be read is told in the file, and once in the log. */
static int write_once(struct bl_metrics_file *m, struct bl_err *why,
		      struct bl_err *err)
{
	bl_autofree struct bl_host_status *s = calloc(1, sizeof(*s));
	struct bl_agent_measured measured = { .past = &m->past,
					      .counts = m->opts.counts };
	bl_autobuf struct bl_buf text = { 0 };
	struct bl_fresh fresh;
	int r = s ? open_host(m, why) : -ENOMEM;

	if (!r)
		r = bl_host_status(m->host, s, why);
	if (!r)
		r = read_past(m, why);
	if (!r)
		measured.status = s;
	if (m->host && bl_vouch_wanted(bl_host_trust_dir(m->host), NULL) > 0 &&
	    bl_fresh_noted(bl_host_trust_dir(m->host), &fresh, NULL) == 0)
		measured.fresh = &fresh;
	measured.now_ms = bl_clock_wall_ms();
	measure_self(&measured);
	r = bl_agent_metrics(&measured, &text);
	return r < 0 ? bl_err_set(err, r, "out of memory")
		     : replace(m, &text, err);
}

/* Said once, not every time. */
static void tell(struct bl_metrics_file *m, const char *what)
{
	if (strcmp(m->told, what) == 0)
		return;
	bl_text_copy(m->told, sizeof(m->told), what);
	if (*what)
		m->opts.note(m->opts.note_ctx, what);
}

/* Until the next time; false: it is to stop. */
static bool wait_for_next(struct bl_metrics_file *m)
{
	struct timespec until;
	bool stopping;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += BL_METRICS_FILE_MS / 1000;
	pthread_mutex_lock(&m->lock);
	while (!m->stopping &&
	       pthread_cond_clockwait(&m->stop, &m->lock, CLOCK_MONOTONIC,
				      &until) != ETIMEDOUT)
		;
	stopping = m->stopping;
	pthread_mutex_unlock(&m->lock);
	return !stopping;
}

static void *work(void *ctx)
{
	struct bl_metrics_file *m = ctx;

	while (wait_for_next(m)) {
		struct bl_err why = { 0 }, e = { 0 };

		tell(m, write_once(m, &why, &e) < 0 ? e.text : why.text);
	}
	return NULL;
}

static int start_thread(struct bl_metrics_file *m, struct bl_err *err)
{
	sigset_t all, before;
	int r;

	/* Signals are the agent's. */
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	r = pthread_create(&m->thread, NULL, work, m);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	m->runs = r == 0;
	return r ? bl_err_errno(err, -r, "cannot start a thread") : 0;
}

int bl_metrics_file_start(const struct bl_metrics_file_opts *opts,
			  struct bl_metrics_file **ret, struct bl_err *err)
{
	struct bl_metrics_file *m = calloc(1, sizeof(*m));
	struct bl_err why = { 0 };
	int r = -ENOMEM;

	if (m) {
		m->opts = *opts;
		m->path = bl_path("%s", opts->path);
		m->beside = bl_path("%s.new", opts->path);
		pthread_mutex_init(&m->lock, NULL);
		pthread_cond_init(&m->stop, NULL);
	}
	if (!m || !m->path || !m->beside)
		bl_err_set(err, r, "out of memory");
	else
		r = write_once(m, &why, err);
	if (!r)
		r = start_thread(m, err);
	if (r < 0) {
		bl_metrics_file_stop(m);
		return r;
	}
	tell(m, why.text);
	*ret = m;
	return 0;
}

void bl_metrics_file_stop(struct bl_metrics_file *m)
{
	if (!m)
		return;
	if (m->runs) {
		pthread_mutex_lock(&m->lock);
		m->stopping = true;
		pthread_cond_signal(&m->stop);
		pthread_mutex_unlock(&m->lock);
		pthread_join(m->thread, NULL);
		unlink(m->path);
	}
	bl_host_close(m->host);
	pthread_cond_destroy(&m->stop);
	pthread_mutex_destroy(&m->lock);
	free(m->path);
	free(m->beside);
	free(m);
}
