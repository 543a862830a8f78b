/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/gate/content/recording.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "loader/bundle/content.h"

static int mistake(const struct bl_recording_reader *r, struct bl_err *err,
		   const char *why)
{
	return bl_err_set(err, -EBADMSG, "%s:%u: %s", r->recording->name,
			  r->line, why);
}

/* The word at *p, up to a blank; *p moves behind it. */
static size_t word(const char **p, const char *end, const char **ret)
{
	const char *stop = memchr(*p, ' ', (size_t)(end - *p));

	*ret = *p;
	if (!stop)
		stop = end;
	*p = stop < end ? stop + 1 : end;
	return (size_t)(stop - *ret);
}

static bool read_count(const char *text, size_t len, uint64_t *ret)
{
	uint64_t n = 0;
	size_t i;

	for (i = 0; i < len; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
		n = n * 10 + (uint64_t)(text[i] - '0');
		if (n > BL_RECORDING_COUNT_MAX)
			return false;
	}
	*ret = n;
	return n > 0;
}

static bool is(const char *text, size_t len, const char *what)
{
	return strlen(what) == len && !memcmp(what, text, len);
}

static bool read_kind(const char *text, size_t len, struct bl_recorded *ret)
{
	unsigned k;

	ret->script = is(text, len, "script");
	ret->kind = BL_EVENT_EXEC;
	for (k = 0; k < BL_EVENT_KINDS; k++) {
		if (!is(text, len, bl_event_kind_name(k)))
			continue;
		ret->kind = k;
		return true;
	}
	return ret->script;
}

static bool read_address(struct bl_recorded *e)
{
	char text[INET6_ADDRSTRLEN];

	if (e->len >= sizeof(text))
		return false;
	memcpy(text, e->what, e->len);
	text[e->len] = '\0';
	e->family = strchr(text, ':') ? AF_INET6 : AF_INET;
	return inet_pton(e->family, text, e->addr) == 1;
}

static bool printable(const char *text, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		if ((unsigned char)text[i] < ' ')
			return false;
	return true;
}

static int read_line(const struct bl_recording_reader *r, const char *p,
		     const char *end, struct bl_recorded *ret,
		     struct bl_err *err)
{
	struct bl_recorded e = { 0 };
	const char *text;
	size_t len = word(&p, end, &text);

	if (!read_kind(text, len, &e))
		return mistake(r, err,
			       "no event (exec, script, open, connect, dns)");
	len = word(&p, end, &text);
	if (!read_count(text, len, &e.count))
		return mistake(r, err, "no count from 1 to 1000000000");
	e.what = p;
	e.len = (size_t)(end - p);
	if (!printable(e.what, e.len))
		return mistake(r, err, "a control character");
	if (e.kind == BL_EVENT_CONNECT) {
		if (!read_address(&e))
			return mistake(r, err, "no IPv4 or IPv6 address");
	} else if (e.kind == BL_EVENT_DNS) {
		if (!e.len || e.len > BL_CONTENT_PATH_MAX)
			return mistake(r, err, "no name of at most 255 bytes");
	} else if (!e.len || *p != '/' || e.len > BL_CONTENT_PATH_MAX) {
		return mistake(r, err, "no absolute path of at most 255 bytes");
	}
	*ret = e;
	return 1;
}

int bl_recording_next(struct bl_recording_reader *reader,
		      struct bl_recorded *ret, struct bl_err *err)
{
	const struct bl_recording *rec = reader->recording;

	if (rec->end - rec->text > BL_RECORDING_MAX)
		return bl_err_set(err, -EFBIG, "%s: more than %u bytes",
				  rec->name, BL_RECORDING_MAX);
	while (reader->at < (size_t)(rec->end - rec->text)) {
		const char *p = rec->text + reader->at, *end;

		end = memchr(p, '\n', (size_t)(rec->end - p));
		if (!end)
			end = rec->end;
		reader->at += (size_t)(end - p) + 1;
		reader->line++;
		if (p < end && *p != '#')
			return read_line(reader, p, end, ret, err);
	}
	return 0;
}
