/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A cell of the table fault × way: how a run ended, in one word that is a
 * colour and an icon, and in a few for the reader. All reports show the same
 * cell, so that none tells another story.
 *
 *	struct bl_compare_cell cell;
 *	char words[BL_COMPARE_WORDS_MAX];
 *
 *	bl_compare_cell(c, fault, kernel, BL_COMPARE_B, &cell);
 *	bl_compare_cell_stop(&cell, words, sizeof(words));   "gate: exercise"
 *	bl_compare_cell_harm(&cell, words, sizeof(words));   "back in 6.2 s"
 *
 * The ending is that of the part past the gate: what the fault did to hosts
 * that got it in spite of what the gate said. Pure.
 */
#ifndef BL_CANARY_COMPARE_CELL_H
#define BL_CANARY_COMPARE_CELL_H

#include "canary/compare/document.h"

#define BL_COMPARE_WORDS_MAX 256

/* From good to bad; what has no result stands last. */
enum bl_compare_ending {
	BL_COMPARE_HELD,       /* stopped, and no host was down for a moment */
	BL_COMPARE_NO_EFFECT,  /* there was nothing to stop */
	BL_COMPARE_RECOVERED,  /* hosts went down and came back by themselves */
	BL_COMPARE_GOES_ON,    /* every host is up, and nothing stopped it */
	BL_COMPARE_LOST,       /* a host did not come back */
	BL_COMPARE_NOT_DONE,   /* the run could not be made */
	BL_COMPARE_NOT_RUN,    /* nobody tried yet */
	BL_COMPARE_NO_VARIANT, /* the catalogue says why there is none */
	BL_COMPARE_ENDINGS,
};

struct bl_compare_cell {
	enum bl_compare_ending ending;
	const struct bl_compare_result *run; /* NULL: no run. Borrowed. */
	const char *why; /* of NOT_DONE and NO_VARIANT; else "". Borrowed. */
};

void bl_compare_cell(const struct bl_compare *c, const json_t *fault,
		     const char *kernel, enum bl_compare_way way,
		     struct bl_compare_cell *ret);

/* How @run ended. Pure. */
enum bl_compare_ending bl_compare_ending(const struct bl_compare_result *run);

/* "held", for a program; and what it means, for a legend. */
const char *bl_compare_ending_name(enum bl_compare_ending ending);
const char *bl_compare_ending_words(enum bl_compare_ending ending);

/* One character that tells endings apart without colour. */
const char *bl_compare_ending_sign(enum bl_compare_ending ending);

/* The first line that stopped it: "gate: exercise", "never", "not run". */
void bl_compare_cell_stop(const struct bl_compare_cell *cell, char *ret,
			  size_t size);

/* What stopped it on the hosts, where that was not the first: "boot-loop". */
const char *bl_compare_cell_past(const struct bl_compare_cell *cell);

/* What it did to hosts: "3 of 3 lost", "1 crash, back in 6.2 s"; "" if there
 * was no run. */
void bl_compare_cell_harm(const struct bl_compare_cell *cell, char *ret,
			  size_t size);

/* "0.4 s", "6.2 s", "41 s", "2 min 05 s". */
void bl_compare_time(int64_t ms, char *ret, size_t size);

/* The longest time to recover: "21 s", "never", "none was down". */
void bl_compare_longest(const struct bl_compare_total *t, char *ret,
			size_t size);

/* "Module, pushed to all", and in a sentence what a way is. */
const char *bl_compare_way_title(enum bl_compare_way way);
const char *bl_compare_way_words(enum bl_compare_way way);

/* The sentence that sums it up, of runs that were made: "A lost 84 of 90 hosts,
 * B 0 of 90, C 0 of 87." */
void bl_compare_headline(const struct bl_compare *c, const char *kernel,
			 char *ret, size_t size);

#endif
