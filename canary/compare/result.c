/* SPDX-License-Identifier: Apache-2.0 */
#include "canary/compare/result.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "canary/ledger/record.h"
#include "loader/base/cleanup.h"
#include "loader/base/text.h"

static const char *const ways[BL_COMPARE_WAYS] = { "A", "B", "C" };

static const char *const stops[BL_COMPARE_STOPS] = {
	[BL_COMPARE_NOWHERE] = "never",
	[BL_COMPARE_GATE] = "gate",
	[BL_COMPARE_VERIFIER] = "verifier",
	[BL_COMPARE_EXERCISE] = "exercise",
	[BL_COMPARE_TRIAL] = "trial",
	[BL_COMPARE_CANARY] = "canary",
	[BL_COMPARE_LEASE] = "lease",
	[BL_COMPARE_WATCHDOG] = "watchdog",
	[BL_COMPARE_BOOT_LOOP] = "boot-loop",
	[BL_COMPARE_UNAFFECTED] = "unaffected",
};

static const char *const verdicts[BL_COMPARE_VERDICTS] = {
	[BL_COMPARE_NOT_ASKED] = "not asked",
	[BL_COMPARE_REJECTED] = "rejected",
	[BL_COMPARE_ACCEPTED] = "accepted",
	[BL_COMPARE_UNDECIDED] = "undecided",
};

const char *bl_compare_way_name(enum bl_compare_way way)
{
	return ways[way];
}

const char *bl_compare_stop_name(enum bl_compare_stop stop)
{
	return stops[stop];
}

const char *bl_compare_verdict_name(enum bl_compare_verdict verdict)
{
	return verdicts[verdict];
}

bool bl_compare_way_find(const char *name, enum bl_compare_way *ret)
{
	unsigned i;

	for (i = 0; i < BL_COMPARE_WAYS; i++)
		if (strcmp(name, ways[i]) == 0) {
			*ret = i;
			return true;
		}
	return false;
}

bool bl_compare_stop_find(const char *name, enum bl_compare_stop *ret)
{
	unsigned i;

	for (i = 0; i < BL_COMPARE_STOPS; i++)
		if (strcmp(name, stops[i]) == 0) {
			*ret = i;
			return true;
		}
	return false;
}

static void free_lines(struct bl_compare_line *lines, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++)
		free(lines[i].text);
	free(lines);
}

void bl_compare_result_free(struct bl_compare_result *r)
{
	size_t i;

	free(r->failed);
	free(r->gate.words);
	free(r->live_after);
	free(r->down);
	free_lines(r->timeline, r->timeline_count);
	free_lines(r->evidence, r->evidence_count);
	for (i = 0; i < r->log_count; i++)
		free(r->logs[i].text);
	free(r->logs);
	*r = (struct bl_compare_result){ 0 };
}

/* Room for one more element of @size bytes behind the @count that there are. */
static int grow(void *array, size_t count, size_t size)
{
	void **at = array, *bigger;

	bigger = realloc(*at, (count + 1) * size);
	if (!bigger)
		return -ENOMEM;
	*at = bigger;
	memset((char *)bigger + count * size, 0, size);
	return 0;
}

int bl_compare_down(struct bl_compare_result *r, int64_t t_ms, unsigned hosts)
{
	struct bl_compare_point *last;

	/* Of points with the same height the first and the last say it all. */
	last = r->down_count ? &r->down[r->down_count - 1] : NULL;
	if (r->down_count == BL_COMPARE_DOWN_MAX ||
	    (r->down_count > 1 && last->hosts == hosts &&
	     last[-1].hosts == hosts)) {
		*last = (struct bl_compare_point){ t_ms, hosts };
		return 0;
	}
	if (grow(&r->down, r->down_count, sizeof(*r->down)) < 0)
		return -ENOMEM;
	r->down[r->down_count++] = (struct bl_compare_point){ t_ms, hosts };
	return 0;
}

/* Bytes of @text that are at most @max and end with a whole character. */
static size_t whole(const char *text, size_t max)
{
	size_t len = strnlen(text, max + 1);

	if (len <= max)
		return len;
	for (len = max; len && ((unsigned char)text[len] & 0xc0) == 0x80;)
		len--;
	return len;
}

/* A printable copy without its middle, if it is longer than @max bytes. */
static char *cut(const char *text, size_t max)
{
	bl_autofree char *clean = bl_text_clean(text);
	char *copy = NULL;
	size_t len, head, tail;

	if (!clean)
		return NULL;
	len = strlen(clean);
	if (len <= max)
		return BL_TAKE(clean);
	head = whole(clean, max / 4);
	for (tail = len - (max - max / 4 - 64);
	     ((unsigned char)clean[tail] & 0xc0) == 0x80;)
		tail++;
	if (asprintf(&copy, "%.*s\n[ %zu bytes are left out here ]\n%s",
		     (int)head, clean, tail - head, clean + tail) < 0)
		return NULL;
	return copy;
}

int bl_compare_set(char **ret, const char *text)
{
	char *copy = cut(text, BL_COMPARE_TEXT_MAX);

	if (!copy)
		return -ENOMEM;
	free(*ret);
	*ret = copy;
	return 0;
}

static int add_line(struct bl_compare_line **lines, size_t *count, size_t max,
		    int64_t t_ms, const char *host, const char *text)
{
	struct bl_compare_line line = { .t_ms = t_ms };

	if (*count == max)
		return 0;
	if (*count == max - 1) {
		host = "";
		text = "more than can be kept: the rest is left out";
	}
	bl_text_copy(line.host, sizeof(line.host), host);
	line.text = cut(text, BL_COMPARE_LINE_MAX);
	if (!line.text || grow(lines, *count, sizeof(line)) < 0) {
		free(line.text);
		return -ENOMEM;
	}
	(*lines)[(*count)++] = line;
	return 0;
}

int bl_compare_say(struct bl_compare_result *r, int64_t t_ms, const char *host,
		   const char *fmt, ...)
{
	bl_autofree char *text = NULL;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (n < 0) {
		text = NULL;
		return -ENOMEM;
	}
	return add_line(&r->timeline, &r->timeline_count,
			BL_COMPARE_TIMELINE_MAX, t_ms, host, text);
}

int bl_compare_evidence(struct bl_compare_result *r, const char *host,
			const char *text)
{
	return add_line(&r->evidence, &r->evidence_count,
			BL_COMPARE_EVIDENCE_MAX, 0, host, text);
}

int bl_compare_log(struct bl_compare_result *r, const char *name,
		   const char *text)
{
	struct bl_compare_log log = { 0 };

	if (r->log_count == BL_COMPARE_LOGS_MAX)
		return 0;
	bl_text_copy(log.name, sizeof(log.name), name);
	log.text = cut(text, BL_COMPARE_TEXT_MAX);
	if (!log.text || grow(&r->logs, r->log_count, sizeof(log)) < 0) {
		free(log.text);
		return -ENOMEM;
	}
	r->logs[r->log_count++] = log;
	return 0;
}

int bl_compare_live(struct bl_compare_result *r, const char *version)
{
	if (r->live_count == BL_COMPARE_HOSTS_MAX)
		return 0;
	if (grow(&r->live_after, r->live_count, sizeof(*r->live_after)) < 0)
		return -ENOMEM;
	bl_text_copy(r->live_after[r->live_count], BL_COMPARE_NAME_MAX,
		     version);
	r->live_count++;
	return 0;
}
