/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/base/term.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "loader/base/buf.h"
#include "loader/base/clock.h"

#define REDRAW_MS 100
#define BAR_CELLS 24

bool bl_term_colour(FILE *f)
{
	const char *no = getenv("NO_COLOR");
	const char *term = getenv("TERM");

	if ((no && *no) || (term && strcmp(term, "dumb") == 0))
		return false;
	return isatty(fileno(f)) == 1;
}

unsigned bl_term_columns(FILE *f)
{
	struct winsize ws;

	if (ioctl(fileno(f), TIOCGWINSZ, &ws) < 0 || ws.ws_col == 0)
		return 80;
	return ws.ws_col;
}

const char *bl_style(bool colour, enum bl_style style)
{
	static const char *const codes[] = {
		[BL_STYLE_PLAIN] = "",	      [BL_STYLE_GOOD] = "\033[32m",
		[BL_STYLE_WARN] = "\033[33m", [BL_STYLE_BAD] = "\033[31m",
		[BL_STYLE_DIM] = "\033[2m",   [BL_STYLE_BOLD] = "\033[1m",
	};

	return colour ? codes[style] : "";
}

const char *bl_style_end(bool colour)
{
	return colour ? "\033[0m" : "";
}

struct cell {
	char *text;
	enum bl_style style;
};

struct bl_table {
	unsigned columns, rows, used; /* used: cells in the last row */
	struct cell *cells;	      /* rows * columns */
	bool broken;		      /* out of memory: print what there is */
};

struct bl_table *bl_table_new(unsigned columns)
{
	struct bl_table *t = calloc(1, sizeof(*t));

	if (t)
		t->columns = columns;
	return t;
}

void bl_table_free(struct bl_table **t)
{
	unsigned i;

	if (!*t)
		return;
	for (i = 0; i < (*t)->rows * (*t)->columns; i++)
		free((*t)->cells[i].text);
	free((*t)->cells);
	free(*t);
	*t = NULL;
}

void bl_table_row(struct bl_table *t)
{
	size_t n = (size_t)(t->rows + 1) * t->columns;
	struct cell *c = realloc(t->cells, n * sizeof(*c));

	if (!c) {
		t->broken = true;
		return;
	}
	t->cells = c;
	memset(c + (size_t)t->rows * t->columns, 0, t->columns * sizeof(*c));
	t->rows++;
	t->used = 0;
}

void bl_table_cell(struct bl_table *t, enum bl_style style, const char *fmt,
		   ...)
{
	struct cell *c;
	va_list ap;

	if (t->broken || !t->rows || t->used >= t->columns)
		return;
	c = &t->cells[(size_t)(t->rows - 1) * t->columns + t->used++];
	va_start(ap, fmt);
	if (vasprintf(&c->text, fmt, ap) < 0)
		c->text = NULL;
	va_end(ap);
	c->style = style;
}

static unsigned width_of(const char *s)
{
	unsigned n = 0;

	for (; s && *s; s++)
		n += ((unsigned char)*s & 0xc0) != 0x80;
	return n;
}

void bl_table_print(const struct bl_table *t, FILE *f, const char *indent)
{
	bool colour = bl_term_colour(f);
	unsigned width[64] = { 0 };
	unsigned columns = t->columns < 64 ? t->columns : 64;
	unsigned r, c;

	for (r = 0; r < t->rows; r++)
		for (c = 0; c < columns; c++) {
			unsigned w =
				width_of(t->cells[r * t->columns + c].text);

			if (w > width[c])
				width[c] = w;
		}
	for (r = 0; r < t->rows; r++) {
		fputs(indent, f);
		for (c = 0; c < columns; c++) {
			const struct cell *cell = &t->cells[r * t->columns + c];
			const char *text = cell->text ? cell->text : "";
			enum bl_style style = r ? cell->style : BL_STYLE_BOLD;
			int pad = (int)(width[c] - width_of(text));

			fprintf(f, "%s%s%s", bl_style(colour, style), text,
				bl_style_end(colour));
			if (c + 1 < columns)
				fprintf(f, "%*s", pad + 2, "");
		}
		fputc('\n', f);
		if (r || colour)
			continue;
		fputs(indent, f);
		for (c = 0; c < columns; c++) {
			for (unsigned i = 0; i < width[c]; i++)
				fputc('-', f);
			if (c + 1 < columns)
				fputs("  ", f);
		}
		fputc('\n', f);
	}
}

void bl_progress_start(struct bl_progress *p, const char *title, unsigned total)
{
	*p = (struct bl_progress){ .title = title,
				   .total = total,
				   .start_ms = bl_clock_mono_ms() };
	snprintf(p->last, sizeof(p->last), "starting");
}

/* Bytes of the first @columns characters of @s. */
static int prefix_of(const char *s, unsigned columns)
{
	const char *p = s;

	while (*p && columns--)
		for (p++; ((unsigned char)*p & 0xc0) == 0x80;)
			p++;
	return (int)(p - s);
}

static void draw(struct bl_progress *p, uint64_t now)
{
	unsigned seconds = (unsigned)((now - p->start_ms) / 1000);
	unsigned full = p->total ? p->done * BAR_CELLS / p->total : 0;
	bl_autobuf struct bl_buf line = { 0 };
	const char *text;
	unsigned i;

	bl_buf_printf(&line, "%s ", p->title);
	if (p->total) {
		bl_buf_add(&line, "[", 1);
		for (i = 0; i < BAR_CELLS; i++)
			bl_buf_add(&line, i < full ? "#" : ".", 1);
		bl_buf_printf(&line, "] %u/%u ", p->done, p->total);
	}
	bl_buf_printf(&line, "%us  %s", seconds, p->last);
	text = bl_buf_str(&line);
	fprintf(stderr, "\r\033[K%.*s",
		prefix_of(text, bl_term_columns(stderr) - 1), text);
	fflush(stderr);
	p->drawn_ms = now;
	p->visible = true;
}

void bl_progress_tick(struct bl_progress *p)
{
	uint64_t now = bl_clock_mono_ms();

	if (p->off || isatty(STDERR_FILENO) != 1)
		return;
	if (now - p->start_ms < BL_PROGRESS_QUIET_MS ||
	    now - p->drawn_ms < REDRAW_MS)
		return;
	draw(p, now);
}

void bl_progress_step(struct bl_progress *p, unsigned done, const char *fmt,
		      ...)
{
	char text[sizeof(p->last)];
	bool same;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	same = p->done == done && strcmp(p->last, text) == 0;
	p->done = done;
	memcpy(p->last, text, sizeof(text));
	if (p->off)
		return;
	if (isatty(STDERR_FILENO) == 1) {
		bl_progress_tick(p);
		return;
	}
	/* A log gets each step once, however often it is reported. */
	if (same)
		return;
	if (p->total)
		fprintf(stderr, "%s: %u/%u %s\n", p->title, done, p->total,
			p->last);
	else
		fprintf(stderr, "%s: %s\n", p->title, p->last);
}

void bl_progress_end(struct bl_progress *p)
{
	if (p->visible)
		fputs("\r\033[K", stderr);
	p->visible = false;
}
