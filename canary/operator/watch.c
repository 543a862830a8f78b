/* SPDX-License-Identifier: Apache-2.0 */
#include "canary/operator/watch.h"

#include <stdlib.h>
#include <string.h>

#include "canary/decide/decision.h"
#include "canary/ledger/record.h"
#include "loader/base/cleanup.h"
#include "loader/base/clock.h"
#include "loader/base/duration.h"
#include "loader/base/term.h"
#include "loader/base/text.h"

#define TEXT 320

static const char *text(const json_t *obj, const char *key,
			char buf[static TEXT])
{
	bl_text_copy(buf, TEXT, json_string_value(json_object_get(obj, key)));
	return buf;
}

static long long number(const json_t *obj, const char *key)
{
	return json_integer_value(json_object_get(obj, key));
}

static bool is(const json_t *obj, const char *key, const char *value)
{
	const char *s = json_string_value(json_object_get(obj, key));

	return s && strcmp(s, value) == 0;
}

/* Names of states as JSON has them, how bad they look, and what stands there
 * for people. The order is that of the list: trouble first. */
static const struct look {
	const char *state, *words;
	enum bl_style style;
} host_looks[] = {
	{ "stuck", "STUCK: cannot go back", BL_STYLE_BAD },
	{ "silent", "SILENT: may still run it", BL_STYLE_BAD },
	{ "failed", "failed, runs the old version", BL_STYLE_BAD },
	{ "undecided", "undecided, runs the old version", BL_STYLE_WARN },
	{ "trial", "in its trial", BL_STYLE_WARN },
	{ "exposed", "exposed", BL_STYLE_WARN },
	{ "back", "went back", BL_STYLE_WARN },
	{ "committed", "committed", BL_STYLE_GOOD },
	{ "already", "had it already", BL_STYLE_GOOD },
	{ "waiting", "waiting", BL_STYLE_DIM },
	{ "gone", "gone: not heard of", BL_STYLE_DIM },
	{ "left-out", "left out by the plan", BL_STYLE_DIM },
	{ "untouched", "untouched", BL_STYLE_DIM },
};

/* Given up, and heard of since: nothing is open about it any more. */
static const struct look late_look = { "silent", "was given up, keeps it",
				       BL_STYLE_WARN };

static const struct look rollout_looks[] = {
	{ "running", "running", BL_STYLE_BOLD },
	{ "stopping", "stopping: exposed hosts go back", BL_STYLE_BAD },
	{ "stopped", "stopped", BL_STYLE_BAD },
	{ "aborting", "aborting: exposed hosts go back", BL_STYLE_WARN },
	{ "aborted", "aborted", BL_STYLE_WARN },
	{ "done", "done", BL_STYLE_GOOD },
};

static size_t look_of(const struct look *looks, size_t count, const json_t *obj)
{
	size_t i;

	for (i = 0; i < count; i++)
		if (is(obj, "state", looks[i].state))
			return i;
	return count - 1;
}

static size_t host_look(const json_t *host)
{
	return look_of(host_looks, BL_ARRAY_SIZE(host_looks), host);
}

static const struct look *host_words(const json_t *host)
{
	return json_is_true(json_object_get(host, "again"))
		       ? &late_look
		       : &host_looks[host_look(host)];
}

static const struct look paused_look = { "running", "paused", BL_STYLE_WARN };

static const struct look *rollout_look(const json_t *rollout)
{
	if (json_is_object(json_object_get(rollout, "paused")))
		return &paused_look;
	return &rollout_looks[look_of(rollout_looks,
				      BL_ARRAY_SIZE(rollout_looks), rollout)];
}

/* "#####....." */
static void bar(char *ret, unsigned width, long long part, long long all)
{
	unsigned i, filled = all > 0 ? (unsigned)(part * width / all) : 0;

	for (i = 0; i < width; i++)
		ret[i] = i < filled ? '#' : '.';
	ret[width] = '\0';
}

static void print_pause(const json_t *r, FILE *f)
{
	const json_t *paused = json_object_get(r, "paused");
	char by[TEXT], why[TEXT], ago[BL_DURATION_LEN];

	fprintf(f, "  paused %s%s%s: %s\n",
		bl_duration_ago(number(r, "now_ms") - number(paused, "at_ms"),
				ago),
		*text(paused, "by", by) ? " by " : "", by,
		text(paused, "reason", why));
}

/* What is next. A command that it names is completed by the rollout's ID, so that
 * it can be copied. */
static void print_next(const json_t *r, FILE *f, bool colour)
{
	static const char command[] = "(belay rollout ";
	char next[TEXT], id[TEXT];
	const char *end = strstr(text(r, "next", next), command);

	end = end ? strchr(end, ')') : NULL;
	if (!*next)
		return;
	fprintf(f, "  %s%.*s%s%s%s%s\n", bl_style(colour, BL_STYLE_DIM),
		(int)(end ? end - next : (long)strlen(next)), next,
		end ? " " : "", end ? text(r, "id", id) : "", end ? end : "",
		bl_style_end(colour));
}

static void print_head(const json_t *r, FILE *f, bool colour)
{
	const struct look *look = rollout_look(r);
	long long end = number(r, "end_ms");
	char a[TEXT], b[TEXT], c[TEXT];

	if (!end)
		end = number(r, "now_ms");
	fprintf(f, "rollout %s  %s %s  %.12s  %s%s%s  %lld s\n",
		text(r, "id", a), text(r, "name", b), text(r, "version", c),
		json_string_value(json_object_get(r, "digest")),
		bl_style(colour, look->style), look->words,
		bl_style_end(colour), (end - number(r, "start_ms")) / 1000);
	if (*text(r, "reason", a))
		fprintf(f, "  %s%s%s\n", bl_style(colour, look->style), a,
			bl_style_end(colour));
	if (look == &paused_look)
		print_pause(r, f);
	print_next(r, f, colour);
	if (is(r, "state", "stopped") || is(r, "state", "aborted"))
		fprintf(f, "  belay rollout explain %s   tells how it came\n",
			text(r, "id", a));
	if (*text(r, "override", a))
		fprintf(f, "  started despite a tombstone: %s\n", a);
}

static void print_waves(const json_t *r, FILE *f, bool colour)
{
	long long current = number(r, "wave"), before = 0;
	const json_t *w;
	char what[TEXT], gauge[32];
	size_t i;

	json_array_foreach (json_object_get(r, "waves"), i, w) {
		long long size = number(w, "size") - before;
		long long committed = number(w, "committed");
		bool now = (long long)i + 1 == current;
		bool going = is(r, "state", "running") && now;

		/* Sizes are totals; a row shows what its wave adds. */
		if (size < number(w, "exposed"))
			size = number(w, "exposed");
		before = number(w, "size");
		bar(gauge, 20, committed, size);
		fprintf(f, "  %s%s wave %zu  %-8s  %s  %lld of %lld%s\n",
			bl_style(colour, going ? BL_STYLE_BOLD
					 : (long long)i + 1 > current
						 ? BL_STYLE_DIM
						 : BL_STYLE_PLAIN),
			going ? ">" : " ", i + 1, text(w, "what", what), gauge,
			committed, size, bl_style_end(colour));
	}
	fprintf(f, "  exposed %lld, unconfirmed %lld (cap %lld)\n",
		number(r, "exposed"), number(r, "unconfirmed"),
		number(json_object_get(r, "plan"), "cap"));
}

static void host_row(struct bl_table *t, const json_t *h, long long now_ms)
{
	const struct look *look = host_words(h);
	char a[TEXT], ago[BL_DURATION_LEN];

	bl_table_row(t);
	bl_table_cell(t, BL_STYLE_PLAIN, "%s", text(h, "name", a));
	bl_table_cell(t, look->style, "%s", look->words);
	if (number(h, "wave"))
		bl_table_cell(t, BL_STYLE_PLAIN, "%lld", number(h, "wave"));
	else
		bl_table_cell(t, BL_STYLE_PLAIN, "-");
	bl_table_cell(t, BL_STYLE_PLAIN, "%s",
		      bl_duration_ago(now_ms - number(h, "heard_ms"), ago));
	bl_table_cell(t, BL_STYLE_PLAIN, "%s", text(h, "kernel", a));
	bl_table_cell(t, BL_STYLE_PLAIN, "%s",
		      *text(h, "reason", a) ? a : text(h, "doing", a));
}

static int by_trouble(const void *x, const void *y)
{
	const json_t *a = *(json_t *const *)x, *b = *(json_t *const *)y;
	size_t la = host_look(a), lb = host_look(b);
	char one[TEXT], other[TEXT];

	if (la != lb)
		return la < lb ? -1 : 1;
	return strcmp(text(a, "name", one), text(b, "name", other));
}

static void print_hosts(const json_t *r, FILE *f, unsigned rows)
{
	bl_autotable struct bl_table *t = bl_table_new(6);
	static const char *const heads[] = { "host",  "state",	"wave",
					     "heard", "kernel", "says" };
	json_t *list = json_object_get(r, "hosts");
	size_t i, n = json_array_size(list);
	bl_autofree json_t **sorted = calloc(n + 1, sizeof(json_t *));

	if (!t || !sorted)
		return;
	for (i = 0; i < n; i++)
		sorted[i] = json_array_get(list, i);
	/* A screen that has room for all keeps every host in its place. */
	if (rows && n > rows)
		qsort(sorted, n, sizeof(json_t *), by_trouble);
	bl_table_row(t);
	for (i = 0; i < BL_ARRAY_SIZE(heads); i++)
		bl_table_cell(t, BL_STYLE_PLAIN, "%s", heads[i]);
	for (i = 0; i < n && (!rows || i < rows); i++)
		host_row(t, sorted[i], number(r, "now_ms"));
	bl_table_print(t, f, "  ");
	if (i < n)
		fprintf(f, "  and %zu more\n", n - i);
	if (!n)
		fprintf(f, "  no host has polled yet\n");
}

void bl_watch_print(const json_t *rollout, FILE *f, bool colour, unsigned rows)
{
	print_head(rollout, f, colour);
	print_waves(rollout, f, colour);
	fputc('\n', f);
	print_hosts(rollout, f, rows);
}

static const json_t *find_host(const json_t *rollout, const char *name)
{
	const json_t *h;
	size_t i;

	json_array_foreach (json_object_get(rollout, "hosts"), i, h)
		if (is(h, "name", name))
			return h;
	return NULL;
}

static bool same(const json_t *a, const json_t *b, const char *key)
{
	return a &&
	       json_equal(json_object_get(a, key), json_object_get(b, key));
}

void bl_watch_changes(const json_t *before, const json_t *now, FILE *f)
{
	char when[BL_TIME_ISO_LEN], a[TEXT], b[TEXT];
	const json_t *h;
	size_t i;

	bl_clock_iso(number(now, "now_ms"), when);
	if (!before)
		fprintf(f, "%s %s: %s %s %.12s\n", when, text(now, "id", a),
			text(now, "name", b),
			json_string_value(json_object_get(now, "version")),
			json_string_value(json_object_get(now, "digest")));
	if (!same(before, now, "wave") || !same(before, now, "target"))
		fprintf(f, "%s wave %lld: %lld host%s may have it\n", when,
			number(now, "wave"), number(now, "target"),
			number(now, "target") == 1 ? "" : "s");
	json_array_foreach (json_object_get(now, "hosts"), i, h) {
		const json_t *was =
			before ? find_host(before, text(h, "name", a)) : NULL;

		if (same(was, h, "state") && same(was, h, "reason"))
			continue;
		/* Nothing happened to it, and a fleet is full of these. */
		if (is(h, "state", "waiting") || is(h, "state", "untouched"))
			continue;
		text(h, "reason", b);
		fprintf(f, "%s host %s: %s%s%s\n", when, text(h, "name", a),
			host_words(h)->words, *b ? ": " : "", b);
	}
	if (!same(before, now, "state") || !same(before, now, "paused")) {
		text(now, "reason", a);
		fprintf(f, "%s rollout %s%s%s\n", when,
			rollout_look(now)->words, *a ? ": " : "", a);
	}
}

/* Cuts each line to the terminal's width: a wrapped line would spoil the count
 * of lines to go back over. Escape sequences take no room. */
static void put_line(FILE *f, const char *line, size_t len, unsigned columns)
{
	unsigned used = 0;
	size_t i;

	for (i = 0; i < len; i++) {
		unsigned char c = (unsigned char)line[i];

		if (c == 0x1b) {
			for (; i < len && line[i] != 'm'; i++)
				fputc(line[i], f);
			if (i < len)
				fputc('m', f);
			continue;
		}
		if ((c & 0xc0) != 0x80)
			used++;
		if (used <= columns)
			fputc(c, f);
	}
	fputs("\033[K\n", f);
}

void bl_watch_draw(struct bl_watch_screen *s, const json_t *rollout,
		   unsigned columns, unsigned lines)
{
	size_t waves = json_array_size(json_object_get(rollout, "waves"));
	unsigned fixed = (unsigned)waves + 9, drawn = 0;
	bl_autofree char *out = NULL;
	const char *p, *end;
	size_t len = 0;
	FILE *m = open_memstream(&out, &len);

	if (!m)
		return;
	bl_watch_print(rollout, m, s->colour,
		       lines > fixed + 1 ? lines - fixed : 1);
	if (fclose(m) != 0 || !out)
		return;
	if (s->drawn)
		fprintf(s->f, "\033[%uA\r", s->drawn);
	for (p = out; *p; p = *end ? end + 1 : end) {
		end = strchrnul(p, '\n');
		put_line(s->f, p, (size_t)(end - p), columns);
		drawn++;
	}
	fputs("\033[J", s->f);
	fflush(s->f);
	s->drawn = drawn;
}
