/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/trust/mirror.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/base/clock.h"
#include "loader/base/file.h"
#include "loader/trust/fault.h"

struct bl_mirror {
	struct bl_fetch *fetch;
	struct bl_fetch_tls tls;
	char *url; /* without a slash at the end */
	uint64_t file_ms, until_ms;
};

/* A file under way: when it is too late for it. */
struct patience {
	uint64_t until_ms;
	bool lost;
};

bool bl_mirror_is_url(const char *where)
{
	return strstr(where, "://") != NULL;
}

static int check_url(const struct bl_mirror_opts *o, struct bl_err *err)
{
	struct bl_fetch_url u;

	if (strlen(o->url) > BL_MIRROR_URL_MAX ||
	    bl_fetch_url_read(o->url, &u) < 0 || strpbrk(o->url, "?#@")) {
		bl_err_set(err, -EINVAL, "'%.200s' is no URL of a repository",
			   o->url);
		bl_err_hint(
			err,
			"for example https://mirror.example/belay, with metadata/ below it");
		return -EINVAL;
	}
	if (u.https || u.loopback || o->plaintext)
		return 0;
	bl_err_set(
		err, -EPERM,
		"plain HTTP to %s: anyone on the way sees which versions are run here",
		u.host);
	bl_err_hint(err, "use https://, or --plaintext");
	return -EPERM;
}

int bl_mirror_open(const struct bl_mirror_opts *opts, struct bl_mirror **ret,
		   struct bl_err *err)
{
	BL_CLEANUP(bl_mirror_closep) struct bl_mirror *m = NULL;
	size_t len = strlen(opts->url);
	int r = check_url(opts, err);

	if (r < 0)
		return r;
	m = calloc(1, sizeof(*m));
	while (len && opts->url[len - 1] == '/')
		len--;
	if (m)
		m->url = strndup(opts->url, len);
	if (!m || !m->url)
		return bl_err_set(err, -ENOMEM, "out of memory");
	m->tls = opts->tls;
	m->file_ms = opts->file_ms ? opts->file_ms : BL_MIRROR_FILE_MS;
	m->until_ms = bl_clock_mono_ms() +
		      (opts->all_ms ? opts->all_ms : BL_MIRROR_ALL_MS);
	r = bl_fetch_open(&m->fetch, err);
	if (!r)
		*ret = BL_TAKE(m);
	return r;
}

void bl_mirror_close(struct bl_mirror *m)
{
	if (!m)
		return;
	bl_fetch_close(m->fetch);
	free(m->url);
	free(m);
}

/* Asked about once a second, also while nothing comes. */
static bool out_of_patience(void *ctx)
{
	struct patience *p = ctx;

	p->lost |= bl_clock_mono_ms() >= p->until_ms;
	return p->lost;
}

static int too_slow(const char *url, uint64_t ms, struct bl_err *err)
{
	return bl_err_set(err, BL_TRUST_SLOW, "%s: it did not come in %llu s",
			  url, (unsigned long long)(ms + 999) / 1000);
}

static int judge(const char *url, long status, struct bl_err *err)
{
	if (status == 200)
		return 0;
	if (status == 404 || status == 403)
		return bl_err_set(err, -ENOENT, "%s: the server answers %ld",
				  url, status);
	if (status >= 300 && status <= 399)
		return bl_err_set(err, BL_TRUST_REDIRECT,
				  "%s: the server answers %ld, go elsewhere",
				  url, status);
	return bl_err_set(err, -EPROTO, "%s: the server answers %ld", url,
			  status);
}

int bl_mirror_fetch(void *ctx, const char *name, size_t max_bytes,
		    struct bl_buf *ret, struct bl_err *err)
{
	struct bl_mirror *m = ctx;
	bl_autofree char *url = bl_path("%s/%s", m->url, name);
	bl_autobuf struct bl_buf body = { 0 };
	uint64_t begun_ms = bl_clock_mono_ms();
	struct patience p = { .until_ms = begun_ms + m->file_ms +
					  max_bytes / BL_MIRROR_BYTES_A_MS };
	const struct bl_fetch_request q = {
		.method = "GET",
		.url = url,
		.connect_ms = m->file_ms,
		.answer_max = max_bytes,
		.tls = &m->tls,
		.stop = out_of_patience,
		.ctx = &p,
	};
	struct bl_fetch_head head = { 0 };
	struct bl_err why = { 0 };
	int r;

	if (!url)
		return bl_err_set(err, -ENOMEM, "out of memory");
	if (m->until_ms < p.until_ms)
		p.until_ms = m->until_ms;
	if (out_of_patience(&p))
		return too_slow(m->url, BL_MIRROR_ALL_MS, err);
	r = bl_fetch_call(m->fetch, &q, &head, &body, &why);
	if (p.lost ||
	    (r == -ECONNREFUSED && bl_clock_mono_ms() - begun_ms >= m->file_ms))
		return too_slow(url, bl_clock_mono_ms() - begun_ms, err);
	if (r < 0)
		return bl_err_set(err, r, "%s: %s", url, why.text);
	r = judge(url, head.status, err);
	if (!r && bl_buf_add(ret, bl_buf_str(&body), body.len) < 0)
		r = bl_err_set(err, -ENOMEM, "out of memory");
	return r;
}
