/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/kern/ask/vlog_lines.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "loader/kern/ask/vlog.h"

struct line {
	const char *text;
	size_t len;
};

/* The line before the one that begins at @p; false at the beginning. */
static bool line_before(const char *log, const char *p, struct line *ret)
{
	const char *end;

	if (p == log)
		return false;
	end = p - 1;
	for (p = end; p > log && p[-1] != '\n'; p--)
		;
	*ret = (struct line){ p, (size_t)(end - p) };
	return true;
}

/* The last line that says @reason (which may be cut off), above the paragraphs
 * in which newer kernels explain it. */
static bool find_reason(const char *log, const char *reason, struct line *ret)
{
	size_t len = strlen(reason);
	const char *p, *end;
	bool found = false;

	for (p = log; *p; p = *end ? end + 1 : end) {
		end = strchrnul(p, '\n');
		if (bl_vlog_is_diagnosis(p) && found)
			break;
		if ((size_t)(end - p) >= len && memcmp(p, reason, len) == 0) {
			/* Not the whole line: 7.3 glues others to some. */
			*ret = (struct line){ p, len };
			found = true;
		}
	}
	return found;
}

/* "R7 max value …" is about register 7; -1: about none. */
static int register_of(const char *reason)
{
	const char *p;

	for (p = reason; (p = strchr(p, 'R')); p++)
		if ((p == reason || p[-1] == ' ') &&
		    isdigit((unsigned char)p[1]))
			return (int)strtol(p + 1, NULL, 10);
	return -1;
}

/* "14: (0f) r0 += r1" adds register 1; -1: adds none. */
static int register_added(const struct line *insn)
{
	const char *p = memmem(insn->text, insn->len, " += r", 5);

	if (!p || !isdigit((unsigned char)p[5]))
		return -1;
	return (int)strtol(p + 5, NULL, 10);
}

/* Whether instruction @l gives register @n its value: "10: (0f) r0 += r1",
 * "5: (85) call …" for R0. */
static bool writes_register(const struct line *l, int n)
{
	const char *p = memchr(l->text, ')', l->len);
	const char *stop = l->text + l->len;
	char name[2][16];
	size_t i, len;

	if (!p || stop - p < 6)
		return false;
	p += 2;
	if (n == 0 && memcmp(p, "call", 4) == 0)
		return true;
	snprintf(name[0], sizeof(name[0]), "r%d ", n);
	snprintf(name[1], sizeof(name[1]), "w%d ", n);
	for (i = 0; i < 2; i++) {
		len = strlen(name[i]);
		if ((size_t)(stop - p) <= len || memcmp(p, name[i], len) != 0)
			continue;
		p += len;
		/* "=", "+=", "s>>=": but not "s> 8 goto" */
		p += strspn(p, "+-*/|&<>^%s");
		return p < stop && *p == '=';
	}
	return false;
}

static void keep(struct bl_vlog_lines *ret, const struct line *l)
{
	if (ret->count == BL_VLOG_LINES_MAX || !l->len)
		return;
	ret->line[ret->count].text = l->text;
	ret->line[ret->count++].len = l->len;
}

/* Instruction @n as it was last reached above @p. */
static bool find_insn(const char *log, const char *p, int64_t n,
		      struct line *ret)
{
	struct line l = { p, 0 };

	while (line_before(log, l.text, &l))
		if (bl_vlog_insn(l.text, l.len) == n) {
			*ret = l;
			return true;
		}
	return false;
}

/* What gave the register in question its value, or what acquired the reference
 * that was not released. */
static bool find_cause(const char *log, const char *reason,
		       const struct line *stop, struct line *ret)
{
	static const char acquired[] = "alloc_insn=";
	const char *p = strstr(reason, acquired);
	struct line l = { stop->text, 0 };
	int n;

	if (p)
		return find_insn(log, stop->text,
				 strtol(p + strlen(acquired), NULL, 10), ret);
	n = register_of(reason);
	n = n < 0 ? register_added(stop) : n;
	if (n < 0)
		return false;
	while (line_before(log, l.text, &l))
		if (bl_vlog_insn(l.text, l.len) >= 0 &&
		    writes_register(&l, n)) {
			*ret = l;
			return true;
		}
	return false;
}

void bl_vlog_lines(const char *log, struct bl_vlog_lines *ret)
{
	struct line reason = { 0 }, stop, cause, detail = { 0 }, l;
	struct bl_vlog_lines out = { 0 };
	struct bl_vlog v;

	*ret = out;
	bl_vlog_read(log, &v);
	if (!v.reason[0] || !find_reason(log, v.reason, &reason))
		return;
	l = stop = reason;
	while (line_before(log, l.text, &l)) {
		if (bl_vlog_insn(l.text, l.len) >= 0) {
			stop = l;
			break;
		}
		if (!detail.text && !bl_vlog_is_chatter(l.text, l.len))
			detail = l;
	}
	if (stop.text != reason.text) {
		if (find_cause(log, v.reason, &stop, &cause))
			keep(&out, &cause);
		keep(&out, &stop);
	}
	keep(&out, &detail);
	keep(&out, &reason);
	*ret = out;
}
