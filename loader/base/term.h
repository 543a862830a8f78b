/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text for people: colour only on a terminal (NO_COLOR honoured, see
 * no-color.org), tables, and a progress line on standard error.
 */
#ifndef BL_BASE_TERM_H
#define BL_BASE_TERM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum bl_style {
	BL_STYLE_PLAIN,
	BL_STYLE_GOOD,
	BL_STYLE_WARN,
	BL_STYLE_BAD,
	BL_STYLE_DIM,
	BL_STYLE_BOLD,
};

/* Whether @f takes colour. Asked once per stream by the caller. */
bool bl_term_colour(FILE *f);

/* Columns of the terminal behind @f; 80 when it is none. */
unsigned bl_term_columns(FILE *f);

/* "" unless @colour. bl_style_end closes any style. */
const char *bl_style(bool colour, enum bl_style style);
const char *bl_style_end(bool colour);

/*
 * A table: set cells, then print. Cells are copied; a missing cell is empty.
 * Widths are counted in UTF-8 code points.
 */
struct bl_table;
struct bl_table *bl_table_new(unsigned columns); /* NULL: out of memory */
void bl_table_free(struct bl_table **t);
#define bl_autotable __attribute__((cleanup(bl_table_free)))
/* Starts a row; the cells that follow go into it from left to right. */
void bl_table_row(struct bl_table *t);
void bl_table_cell(struct bl_table *t, enum bl_style style, const char *fmt,
		   ...) __attribute__((format(printf, 3, 4)));
/* The first row is the header (bold, dashes under it without colour). */
void bl_table_print(const struct bl_table *t, FILE *f, const char *indent);

/*
 * Progress on standard error: a bar that redraws itself on a terminal, one
 * line per step elsewhere (CI logs). Nothing is shown in the first
 * BL_PROGRESS_QUIET_MS on a terminal. Zero-initialise; total 0: unknown.
 */
#define BL_PROGRESS_QUIET_MS 500
struct bl_progress {
	const char *title;
	unsigned done, total;
	uint64_t start_ms, drawn_ms;
	char last[160];
	bool visible, off;
};
void bl_progress_start(struct bl_progress *p, const char *title,
		       unsigned total);
/* @done of total are finished; the text says what is happening now. */
void bl_progress_step(struct bl_progress *p, unsigned done, const char *fmt,
		      ...) __attribute__((format(printf, 3, 4)));
/* Redraws (elapsed time, spinner) without a change. Call as often as you like. */
void bl_progress_tick(struct bl_progress *p);
void bl_progress_end(struct bl_progress *p);

#endif
