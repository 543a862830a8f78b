/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/kern/ask/vlog.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "loader/base/cleanup.h"

#define ENOTSUPP_KERNEL 524 /* not in errno.h; the kernel returns it anyway */

static bool starts(const char *line, const char *with)
{
	return strncmp(line, with, strlen(with)) == 0;
}

/* "12: (b7) r0 = 0": an instruction as the verifier reaches it. */
int64_t bl_vlog_insn(const char *line, size_t len)
{
	size_t digits = 0;

	while (digits < len && digits < 9 &&
	       isdigit((unsigned char)line[digits]))
		digits++;
	if (!digits || digits + 4 > len || !starts(line + digits, ": (") ||
	    !isxdigit((unsigned char)line[digits + 3]))
		return -1;
	return strtol(line, NULL, 10);
}

/* Since Linux 7.3 a rejection is explained in paragraphs below its line. */
static const char diagnosis[] = "Verification failed: ";

bool bl_vlog_is_diagnosis(const char *line)
{
	return starts(line, diagnosis);
}

/* Lines that say how the verifier went on, not why it stopped. */
bool bl_vlog_is_chatter(const char *line, size_t len)
{
	static const char *const words[] = {
		"processed ",
		"verification time",
		"stack depth",
		"last_idx ",
		"regs=",
		"mark_precise:",
		"from ",
		"caller:",
		"callee:",
		"returning from callee",
		"to caller at",
		"propagating",
		"parent ",
		"; ",
		" frame",
		" R",
		"arg#",
		"func#",
		"Func#",
		"Validating ",
		"old state:",
		"cur state:",
		"-- ",
		"subprog ",
		"reg type unsupported",
	};
	size_t i;

	if (len == 0 || bl_vlog_insn(line, len) >= 0)
		return true;
	for (i = 0; i < BL_ARRAY_SIZE(words); i++)
		if (len >= strlen(words[i]) && starts(line, words[i]))
			return true;
	/* "12: R1=ctx() R10=fp0": only registers */
	i = strspn(line, "0123456789");
	if (i && starts(line + i, ": "))
		i += 2;
	else if (i)
		return false;
	if (line[i++] != 'R')
		return false;
	i += strspn(line + i, "0123456789");
	i += strspn(line + i, "_rw");
	return line[i] == '=';
}

static void copy_line(char *ret, const char *line, size_t len)
{
	if (len >= BL_VLOG_LINE_MAX)
		len = BL_VLOG_LINE_MAX - 1;
	memcpy(ret, line, len);
	ret[len] = '\0';
}

/* "; text" and, since Linux 6.9, "; text @ file.c:12". */
static void read_source(const char *line, size_t len, struct bl_vlog *v)
{
	char *at, *colon;

	copy_line(v->source, line + 2, len - 2);
	v->file[0] = '\0';
	v->line = 0;
	at = strrchr(v->source, '@');
	if (!at || at == v->source || at[-1] != ' ' || at[1] != ' ')
		return;
	colon = strrchr(at, ':');
	if (!colon || !isdigit((unsigned char)colon[1]))
		return;
	v->line = (uint32_t)strtoul(colon + 1, NULL, 10);
	*colon = '\0';
	copy_line(v->file, at + 2, strlen(at + 2));
	at[-1] = '\0';
}

/* Checks of the program as a whole name the instruction in their sentence. */
static int64_t named_insn(const char *reason)
{
	static const char *const forms[] = {
		"unreachable insn ",
		"back-edge from insn ",
		"jump out of range from insn ",
		"infinite loop detected at insn ",
		"fall through from insn ",
	};
	size_t i, len;

	for (i = 0; i < BL_ARRAY_SIZE(forms); i++) {
		len = strlen(forms[i]);
		if (starts(reason, forms[i]) &&
		    isdigit((unsigned char)reason[len]))
			return strtol(reason + len, NULL, 10);
	}
	return -1;
}

/* The number behind @word in the line, 0 if it is not there. */
static uint64_t number_after(const char *line, size_t len, const char *word)
{
	const char *p = memmem(line, len, word, strlen(word));

	if (!p || !isdigit((unsigned char)p[strlen(word)]))
		return 0;
	return strtoull(p + strlen(word), NULL, 10);
}

/* "stack depth 8+0+16", one for each function; since Linux 7.x "max 24". */
static uint64_t stack_of(const char *line, size_t len)
{
	uint64_t sum = number_after(line, len, "stack depth max ");
	const char *p = line + strlen("stack depth "), *end = line + len;
	char *next;

	while (p < end && isdigit((unsigned char)*p)) {
		sum += strtoull(p, &next, 10);
		p = *next == '+' ? next + 1 : end;
	}
	return sum;
}

/* The totals that close a log, each on a line of its own. */
static bool read_totals(const char *line, size_t len, struct bl_effort *e)
{
	if (starts(line, "processed ") && isdigit((unsigned char)line[10])) {
		e->insns = number_after(line, len, "processed ");
		e->states = number_after(line, len, "total_states ");
		e->peak_states = number_after(line, len, "peak_states ");
	} else if (starts(line, "verification time ")) {
		e->time_us = number_after(line, len, "verification time ");
	} else if (starts(line, "stack depth ")) {
		e->stack_bytes = stack_of(line, len);
	} else {
		return false;
	}
	return true;
}

void bl_vlog_read(const char *log, struct bl_vlog *ret)
{
	struct bl_vlog v = { .insn = -1 };
	const char *line, *end, *glued, *argument = NULL;
	bool explained = false;
	int64_t insn;
	size_t len;

	for (line = log; *line; line = *end ? end + 1 : end) {
		end = strchrnul(line, '\n');
		len = (size_t)(end - line);
		insn = bl_vlog_insn(line, len);
		/* The diagnosis repeats lines of the program; only the totals
		 * that follow it are news. */
		if (read_totals(line, len, &v.effort) || explained)
			continue;
		else if (starts(line, diagnosis)) {
			explained = true;
			if (!v.reason[0])
				copy_line(v.reason, line, len);
		} else if (insn >= 0)
			v.insn = insn;
		else if (len > 2 && starts(line, "; "))
			read_source(line, len, &v);
		else if (!bl_vlog_is_chatter(line, len))
			copy_line(v.reason, line, len);
		else if (starts(line, "arg#"))
			argument = line;
	}
	/* Said in passing of programs that load, too: a reason only if there
	 * is no other. */
	if (!v.reason[0] && argument)
		copy_line(v.reason, argument,
			  (size_t)(strchrnul(argument, '\n') - argument));
	/* Linux 7.3 ends some reasons without a newline. */
	glued = strstr(v.reason, "verification time ");
	if (glued)
		v.reason[glued - v.reason] = '\0';
	insn = named_insn(v.reason);
	if (insn >= 0) {
		v.insn = insn;
		v.source[0] = v.file[0] = '\0';
		v.line = 0;
	}
	*ret = v;
}

static const char load_failed[] = "BPF program load failed";

static bool is_echo(const char *line, size_t len)
{
	static const char *const forms[] = {
		load_failed,
		": failed to load: ",
		": failed to prepare load attributes: ",
		"permission error while running as root",
	};
	size_t i;

	for (i = 0; i < BL_ARRAY_SIZE(forms); i++)
		if (memmem(line, len, forms[i], strlen(forms[i])))
			return true;
	return false;
}

void bl_vlog_said(const char *messages, char *ret, size_t size)
{
	const char *line, *end, *best = "", *echo = "";

	for (line = messages; *line; line = *end ? end + 1 : end) {
		end = strchrnul(line, '\n');
		if (starts(line, "libbpf: "))
			line += strlen("libbpf: ");
		if (end == line || starts(line, "failed to load object"))
			continue;
		if (is_echo(line, (size_t)(end - line)))
			echo = line;
		else
			best = line;
	}
	if (!*best)
		best = echo;
	snprintf(ret, size, "%.*s", (int)(strchrnul(best, '\n') - best), best);
}

/* What libbpf says before it asks the kernel about a program. */
static const struct {
	const char *words;
	enum bl_load_status status;
} said_cases[] = {
	/* a kfunc or a variable of the kernel */
	{ "not found in kernel or module BTFs", BL_LOAD_MISSING },
	{ "incompatible with kernel", BL_LOAD_REJECTED },
	/* a section name that no kernel has anything to do with */
	{ "missing BPF prog type, check ELF section name", BL_LOAD_UNDECIDED },
};

static bool classify_said(const char *said, enum bl_load_status *ret)
{
	size_t i;

	for (i = 0; i < BL_ARRAY_SIZE(said_cases); i++)
		if (strstr(said, said_cases[i].words)) {
			*ret = said_cases[i].status;
			return true;
		}
	return false;
}

/* Whether the verifier's reason is that the kernel does not have something, a
 * helper or a hook where one may sleep, and not what the program does. */
static bool lacks(const char *reason)
{
	return !strncmp(reason, "unknown func ", 13) ||
	       !strncmp(reason, "invalid func unknown", 20) ||
	       strstr(reason, " is not sleepable");
}

enum bl_load_status bl_vlog_classify(const struct bl_vlog_case *c,
				     char *ret_why, size_t size)
{
	char said[BL_VLOG_LINE_MAX];
	enum bl_load_status status;
	struct bl_vlog v;

	bl_vlog_read(c->log, &v);
	bl_vlog_said(c->messages, said, sizeof(said));
	if (c->code == -EINTR || c->code == -EAGAIN || c->code == -ENOMEM) {
		snprintf(ret_why, size, "the load did not come to an end: %s",
			 strerror(-c->code));
		return BL_LOAD_UNDECIDED;
	}
	if (v.reason[0]) {
		snprintf(ret_why, size, "%s", v.reason);
		return c->optional && lacks(v.reason) ? BL_LOAD_MISSING
						      : BL_LOAD_REJECTED;
	}
	if (classify_said(said, &status)) {
		snprintf(ret_why, size, "%s", said);
		return status;
	}
	switch (-c->code) {
	case EPERM:
		snprintf(ret_why, size, "not permitted here: %s",
			 said[0] ? said : strerror(EPERM));
		return BL_LOAD_REFUSED;
	case ENOENT:
	case ESRCH:
	case EOPNOTSUPP:
	case ENOTSUPP_KERNEL:
		snprintf(ret_why, size, "%s",
			 said[0] ? said : "this kernel does not support it");
		return BL_LOAD_MISSING;
	case E2BIG:
		if (!strstr(c->messages, load_failed))
			break; /* a map */
		snprintf(ret_why, size,
			 "too large: the kernel takes no program of this size");
		return BL_LOAD_REJECTED;
	case EINVAL:
		if (c->type_known == 0) {
			snprintf(ret_why, size,
				 "this kernel does not know its type: %s",
				 said);
			return BL_LOAD_MISSING;
		}
		/* The kernel was asked and did not even verify. */
		if (strstr(c->messages, load_failed)) {
			snprintf(
				ret_why, size,
				"refused before it was verified: its flags or its attach point are not known to this kernel");
			return BL_LOAD_MISSING;
		}
		break;
	default:
		break;
	}
	snprintf(ret_why, size, "%s", said[0] ? said : strerror(-c->code));
	return BL_LOAD_UNDECIDED;
}

const char *bl_vlog_tail(const char *log, size_t lines, size_t bytes)
{
	size_t len = strlen(log);
	const char *p = log + len;

	if (len && p[-1] == '\n')
		p--;
	while (p > log && (size_t)(log + len - p) < bytes) {
		if (p[-1] == '\n' && --lines == 0)
			break;
		p--;
	}
	return p;
}

/* Where the totals begin that close every log. */
static const char *totals_of(const char *log)
{
	static const char *const heads[] = { "verification time ",
					     "stack depth ", "subprog ",
					     "processed " };
	const char *line, *end, *first = NULL;
	bool total;
	size_t i;

	for (line = log; *line; line = *end ? end + 1 : end) {
		end = strchrnul(line, '\n');
		total = false;
		for (i = 0; i < BL_ARRAY_SIZE(heads); i++)
			total = total || starts(line, heads[i]);
		if (!total)
			first = NULL;
		else if (!first)
			first = line;
	}
	return first ? first : log + strlen(log);
}

/* The start of the last line (of @log, up to @end) that begins with @with. */
static const char *line_of(const char *log, const char *end, const char *with)
{
	const char *line, *found = NULL;

	for (line = log; line && line < end; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (starts(line, with))
			found = line;
	}
	return found;
}

const char *bl_vlog_excerpt(const char *log, size_t lines, size_t *ret_len)
{
	const char *end = totals_of(log), *from = end, *told, *history;

	told = line_of(log, end, diagnosis);
	if (told) {
		history = line_of(told, end, "Causal path:");
		if (!history)
			history = line_of(told, end, "Suggestion:");
		end = history ? history : end;
		from = told;
		lines = 3; /* the plain reason stands above it */
	}
	while (end > log && end[-1] == '\n')
		end--;
	if (from > end)
		from = end;
	while (from > log && (from[-1] != '\n' || lines-- > 0))
		from--;
	*ret_len = (size_t)(end - from);
	return from;
}
