/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/host/boot/evidence.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "kmod/abi.h"
#include "loader/base/cleanup.h"

#define TAG_DIGITS 16
#define PANIC	   "Kernel panic - not syncing"

/* A piece of the text; not ended by a NUL. */
struct span {
	const char *at;
	size_t len;
};

#define SPAN(literal) ((struct span){ (literal), sizeof(literal) - 1 })

static const char *const blames[BL_BLAMES] = {
	[BL_BLAME_NONE] = "",
	[BL_BLAME_CUT] = "cut",
	[BL_BLAME_SUSPECT] = "suspect",
	[BL_BLAME_CONVICTED] = "convicted",
};

const char *bl_blame_name(enum bl_blame blame)
{
	return blames[blame];
}

enum bl_blame bl_blame_by_name(const char *name)
{
	for (int i = 0; i < BL_BLAMES; i++)
		if (strcmp(name, blames[i]) == 0)
			return (enum bl_blame)i;
	return BL_BLAME_NONE;
}

/* --- pieces of text ------------------------------------------------------- */

static void copy(struct span s, char ret[static BL_EVIDENCE_LEN])
{
	size_t n = 0;

	for (size_t i = 0; i < s.len && n + 1 < BL_EVIDENCE_LEN; i++)
		ret[n++] = isprint((unsigned char)s.at[i]) ? s.at[i] : '?';
	while (n && ret[n - 1] == ' ')
		n--;
	ret[n] = '\0';
}

static bool begins(struct span s, struct span with)
{
	return s.len >= with.len && memcmp(s.at, with.at, with.len) == 0;
}

static struct span skip(struct span s, size_t n)
{
	n = n < s.len ? n : s.len;
	return (struct span){ s.at + n, s.len - n };
}

/* From @what on; empty if it is not in there. */
static struct span from(struct span s, struct span what)
{
	const char *p = s.len ? memmem(s.at, s.len, what.at, what.len) : NULL;

	return p ? skip(s, (size_t)(p - s.at)) : (struct span){ s.at, 0 };
}

static struct span until(struct span s, const char *stops)
{
	size_t n = 0;

	while (n < s.len && s.at[n] && !strchr(stops, s.at[n]))
		n++;
	return (struct span){ s.at, n };
}

/* Takes the next line out of *rest. False at the end. */
static bool next_line(struct span *rest, struct span *ret)
{
	const char *end;

	if (!rest->len)
		return false;
	end = memchr(rest->at, '\n', rest->len);
	*ret = (struct span){ rest->at,
			      end ? (size_t)(end - rest->at) : rest->len };
	*rest = skip(*rest, ret->len + 1);
	return true;
}

static unsigned number(struct span *s)
{
	unsigned n = 0;

	while (s->len && isdigit((unsigned char)*s->at) && n < 100000000) {
		n = 10 * n + (unsigned)(*s->at - '0');
		*s = skip(*s, 1);
	}
	return n;
}

/* "<4>[   12.121187][  T104] text": takes level, time and caller away. */
static struct span strip(struct span line, uint64_t *ret_ms)
{
	*ret_ms = 0;
	if (begins(line, SPAN("<")))
		line = skip(line, until(line, ">").len + 1);
	for (int i = 0; i < 2 && begins(line, SPAN("[")); i++) {
		struct span in = skip(line, 1), rest;
		unsigned s;

		while (begins(in, SPAN(" ")))
			in = skip(in, 1);
		rest = in;
		s = number(&rest);
		if (rest.at > in.at && begins(rest, SPAN("."))) {
			rest = skip(rest, 1);
			*ret_ms = 1000 * (uint64_t)s + number(&rest) / 1000;
		} else if (!begins(in, SPAN("T")) && !begins(in, SPAN("C"))) {
			break;
		}
		line = skip(line, until(line, "]").len + 1);
		if (begins(line, SPAN(" ")))
			return skip(line, 1);
	}
	return line;
}

bool bl_evidence_header(const char *text, size_t len, unsigned *ret_count,
			unsigned *ret_part)
{
	struct span s = { text, len }, line = { text, 0 };
	struct span count, part;

	*ret_count = *ret_part = 0;
	next_line(&s, &line);
	count = from(line, SPAN("#"));
	part = from(line, SPAN(" Part"));
	if (!count.len || !part.len || count.at == text || line.len > 40)
		return false;
	count = skip(count, 1);
	part = skip(part, 5);
	*ret_count = number(&count);
	*ret_part = number(&part);
	return true;
}

/* --- the report that ended it --------------------------------------------- */

/* How the reports begin that a panic may follow. */
static bool headline(struct span line)
{
	static const struct span heads[] = {
		SPAN("BUG: "),
		SPAN("kernel BUG at "),
		SPAN("Oops"),
		SPAN("general protection fault"),
		SPAN("double fault"),
		SPAN("traps: PANIC"),
		SPAN("PANIC: double fault"),
		SPAN("stack segment"),
		SPAN("divide error"),
		SPAN("invalid opcode"),
		SPAN("int3:"),
		SPAN("unchecked MSR access"),
		SPAN("WARNING: "),
		SPAN("watchdog: "),
		SPAN("NMI watchdog: "),
		SPAN("rcu: INFO: "),
		SPAN("INFO: task "),
		SPAN("KASAN: "),
		SPAN("UBSAN: "),
	};

	for (size_t i = 0; i < BL_ARRAY_SIZE(heads); i++)
		if (begins(line, heads[i]))
			return true;
	return false;
}

/* Whether the second line only goes on with what the first one began: "Oops:"
 * behind "BUG: unable to handle". */
static bool goes_on(uint64_t first_ms, uint64_t second_ms)
{
	return second_ms >= first_ms && second_ms - first_ms < 1000;
}

struct report {
	struct span text;  /* from its first line on, to the end of all */
	struct span first; /* that line */
	uint64_t ms;
	bool any;
};

/*
 * The last panic, with what came right before it. A report long before it, of a
 * kernel that went on, is not what ended it.
 */
static struct report find_report(struct span all)
{
	struct report panic = { 0 }, head = { 0 };
	struct span rest = all, line;

	while (next_line(&rest, &line)) {
		uint64_t ms;
		struct span said = strip(line, &ms);
		struct span tail = { line.at,
				     (size_t)(all.at + all.len - line.at) };
		struct report here = { tail, said, ms, true };

		if (begins(said, SPAN(PANIC))) {
			panic = here;
			/* The panic's own lines come behind it. */
			if (head.any &&
			    (ms < head.ms || ms - head.ms > BL_EVIDENCE_GAP_MS))
				head.any = false;
			if (head.any)
				panic.text = head.text;
			if (head.any)
				panic.first = head.first;
			head.any = false;
		} else if (headline(said) &&
			   !(head.any && goes_on(head.ms, ms))) {
			head = here;
		}
	}
	return panic.any ? panic : head;
}

/* --- who stands in it ----------------------------------------------------- */

/* A word of the form NAME:TAG of the list; *list moves on. */
static bool next_word(const char **list, struct span *ret_name,
		      struct span *ret_tag)
{
	struct span word;

	*list += strspn(*list, " ");
	if (!**list)
		return false;
	word = (struct span){ *list, strcspn(*list, " ") };
	*list += word.len;
	*ret_name = until(word, ":");
	*ret_tag = skip(word, ret_name->len + 1);
	return true;
}

static bool is_tag(struct span s)
{
	for (size_t i = 0; i < s.len; i++)
		if (!isxdigit((unsigned char)s.at[i]))
			return false;
	return s.len == TAG_DIGITS;
}

static bool equal(struct span a, struct span b)
{
	return a.len == b.len && memcmp(a.at, b.at, a.len) == 0;
}

/* Who an entry of a trace is of: a program by its tag, a module by its name and,
 * where the kernel says so (CONFIG_STACKTRACE_BUILD_ID), its build id. */
struct who {
	struct span tag, module, build;
};

/* Of a word NAME:TAG of the list. All 16 digits of a module's build id look like
 * a tag; belay's own is known by its name. */
static bool is_module(struct span name, struct span its)
{
	return !is_tag(its) || equal(name, SPAN(BL_KMOD_NAME));
}

static bool same_build(struct span its, struct span build)
{
	return !build.len || !is_tag(its) || begins(build, its);
}

static bool has_program(const char *list, struct span tag)
{
	struct span name, its;

	while (next_word(&list, &name, &its))
		if (is_tag(its) && equal(its, tag))
			return true;
	return false;
}

static bool has_module(const char *list, const struct who *w)
{
	struct span name, its;

	while (w->module.len && next_word(&list, &name, &its))
		if (is_module(name, its) && equal(name, w->module) &&
		    same_build(its, w->build))
			return true;
	return false;
}

struct reader {
	const char *tags, *before;
	struct bl_evidence *e;
	bool in_trace;
	bool interrupted;   /* behind the end of an interrupt's own stack */
	bool nowhere;	    /* the instruction is nobody's code */
	bool any_entry;	    /* of this trace */
	struct span module; /* the one that is meant; or empty */
	struct span either; /* its first entry, if that may be of two versions */
	bool above;	    /* the entry before was of the module */
	struct span going;  /* the one that was being unloaded; or empty */
	struct span coming; /* the one that was being loaded; or empty */
};

/* What was found of the version, and does not convict it. */
static void remark(struct reader *r, struct span symbol, const char *why)
{
	char text[BL_EVIDENCE_LEN];

	if (*r->e->named)
		return;
	copy(symbol, text);
	/* "bpf_prog_", a tag and a name of 15 leave room for the reason. */
	snprintf(r->e->named, sizeof(r->e->named), "%.70s, %s", text, why);
}

/* "symbol+0x16/0x30 [module]", "[module 8d3c…]". False: it is no such entry. */
static bool take_apart(struct span s, struct span *ret_symbol, struct who *ret)
{
	struct span in = until(from(s, SPAN("[")), "]");
	struct who w = { { "", 0 }, { "", 0 }, { "", 0 } };
	struct span symbol = until(s, " ");

	if (!memchr(symbol.at, '+', symbol.len))
		return false;
	if (in.len) {
		w.module = until(skip(in, 1), " ");
		w.build = skip(in, 1 + w.module.len + 1);
	}
	if (begins(symbol, SPAN("bpf_prog_")))
		w.tag = until(skip(symbol, 9), "_+");
	*ret_symbol = symbol;
	*ret = w;
	return true;
}

/*
 * Where the kernel was led to nobody's code, its unwinder has nothing to go by
 * and takes every entry for a leftover; but the first is what the call put on
 * the stack, and so who called.
 */
static bool is_leftover(const struct reader *r, bool marked)
{
	return marked && !(r->nowhere && !r->any_entry);
}

static void convict_either(struct reader *r)
{
	r->e->blame = BL_BLAME_CONVICTED;
	copy(r->either, r->e->named);
}

/*
 * What may be of two versions was called by vfs_write(): somebody writes to the
 * module's device, and that is how content is given, to the new one only. Its
 * sysfs files have other callers.
 */
static bool is_content(struct reader *r, struct span symbol, bool module)
{
	bool above = r->above;

	r->above = module;
	return above && r->either.len && !r->interrupted &&
	       begins(symbol, SPAN("vfs_write+"));
}

/* One entry; @marked with a "?". */
static void entry(struct reader *r, struct span s, bool marked)
{
	bool leftover = is_leftover(r, marked);
	bool ours, module;
	struct span symbol;
	struct who w;

	if (!take_apart(s, &symbol, &w))
		return;
	r->any_entry = true;
	if (w.module.len && !*r->e->module && !leftover && !r->interrupted)
		copy(w.module, r->e->module);
	module = has_module(r->tags, &w);
	ours = module || has_program(r->tags, w.tag);
	if (!leftover && is_content(r, symbol, module))
		convict_either(r);
	if (r->e->blame == BL_BLAME_CONVICTED || !ours)
		return;
	if (leftover) {
		remark(r, symbol, "a leftover on the stack");
	} else if (r->interrupted) {
		remark(r, symbol, "which an interrupt interrupted");
	} else if (!module && has_program(r->before, w.tag)) {
		remark(r, symbol, "which the version before has too");
	} else if (module && equal(w.module, r->going)) {
		remark(r, w.module, "which was being unloaded");
	} else if (module && has_module(r->before, &w) &&
		   !equal(w.module, r->coming)) {
		remark(r, symbol, "which may be of the version before");
		r->module = w.module;
		r->either = symbol;
	} else {
		r->e->blame = BL_BLAME_CONVICTED;
		copy(symbol, r->e->named);
		if (module)
			r->module = w.module;
	}
}

/* "RIP: 0010:symbol+0x16/0x30 [module]"; 0033 is a program's. */
static void instruction(struct reader *r, struct span s)
{
	s = skip(s, 5);
	if (!begins(s, SPAN("0010:")))
		return;
	s = skip(s, 5);
	if (!*r->e->where && !r->interrupted)
		copy(s, r->e->where);
	r->nowhere = begins(s, SPAN("0x"));
	entry(r, s, false);
}

/* The first word of @s that has the flag, without its flags; or empty. */
static struct span marked(struct span s, struct span flag)
{
	while (s.len) {
		struct span word = until(s, " "), name = until(word, "(");

		if (from(skip(word, name.len), flag).len)
			return name;
		s = skip(s, word.len + 1);
	}
	return (struct span){ "", 0 };
}

/* Whether @s, words with flags, names the module. */
static bool is_linked(struct span s, struct span module)
{
	while (s.len) {
		struct span word = until(s, " ");

		if (equal(until(word, "("), module))
			return true;
		s = skip(s, word.len + 1);
	}
	return false;
}

/*
 * "Modules linked in: belay_sensor(OE) foo(E-) [last unloaded: bar]", before the
 * trace or behind it. A module marked '-' is on its way out of the kernel: in a
 * trial that is the version before, which makes room, for of one name only one
 * is loaded; so one marked '+', on its way in, is the one on trial. One that is gone and still called left a hook behind, and is not
 * the one on trial either.
 */
static void linked_in(struct reader *r, struct span line)
{
	struct span gone = from(line, SPAN("[last unloaded: "));
	struct who was = { .module = until(skip(gone, 16), "(] ") };

	line.len -= gone.len;
	r->going = marked(line, SPAN("-"));
	r->coming = marked(line, SPAN("+"));
	if (r->module.len && equal(r->module, r->going)) {
		*r->e->named = '\0';
		r->e->blame = BL_BLAME_SUSPECT;
		remark(r, r->going, "which was being unloaded");
	} else if (r->either.len && equal(r->module, r->coming)) {
		convict_either(r);
	} else if (r->nowhere && has_module(r->tags, &was)) {
		r->e->left_hook = !is_linked(line, was.module);
		remark(r, was.module, "unloaded, may have left a hook");
	}
}

static void trace_line(struct reader *r, struct span line)
{
	while (begins(line, SPAN(" ")))
		line = skip(line, 1);
	if (begins(line, SPAN("</"))) {
		/* What follows an interrupt's own stack did not do it. */
		if (begins(line, SPAN("</TASK>")))
			r->in_trace = false;
		else
			r->interrupted = true;
	} else if (begins(line, SPAN("? "))) {
		entry(r, skip(line, 2), true);
	} else {
		entry(r, line, false);
	}
}

static void read_line(struct reader *r, struct span line)
{
	if (begins(line, SPAN("RIP: "))) {
		instruction(r, line);
	} else if (begins(line, SPAN("Call Trace:"))) {
		r->in_trace = true;
		r->interrupted = r->any_entry = false;
	} else if (begins(line, SPAN("Modules linked in"))) {
		r->in_trace = r->interrupted = false;
		linked_in(r, line);
	} else if (begins(line, SPAN("---[ end")) ||
		   begins(line, SPAN(PANIC))) {
		r->in_trace = r->interrupted = false;
	} else if (r->in_trace) {
		trace_line(r, line);
	}
}

void bl_evidence_read(const char *text, size_t len, const char *tags,
		      const char *before, struct bl_evidence *ret)
{
	struct bl_evidence e = { .blame = BL_BLAME_SUSPECT };
	struct span all = { text,
			    len < BL_EVIDENCE_BYTES ? len : BL_EVIDENCE_BYTES };
	struct report report = find_report(all);
	struct reader r = { .tags = tags, .before = before, .e = &e };
	struct span line;

	if (report.any) {
		e.crashed = true;
		e.uptime_ms = report.ms;
		copy(report.first, e.what);
	}
	while (report.any && next_line(&report.text, &line)) {
		uint64_t ms;

		read_line(&r, strip(line, &ms));
	}
	*ret = e;
}

void bl_evidence_splats(const char *text, size_t len, const char *tags,
			const char *before, struct bl_evidence *ret)
{
	struct bl_evidence e = { .blame = BL_BLAME_SUSPECT };
	struct span all = { text,
			    len < BL_EVIDENCE_BYTES ? len : BL_EVIDENCE_BYTES };
	struct reader r = { .tags = tags, .before = before, .e = &e };
	struct span line;

	while (next_line(&all, &line)) {
		if (headline(line)) {
			r.in_trace = r.interrupted = r.nowhere = r.above =
				false;
			r.module = r.going = (struct span){ "", 0 };
			r.either = r.coming = (struct span){ "", 0 };
		}
		if (!e.crashed)
			copy(line, e.what);
		e.crashed = true;
		read_line(&r, line);
	}
	*ret = e;
}

void bl_evidence_words(const struct bl_evidence *e, char *ret, size_t size)
{
	const char *blame = blames[e->blame];

	if (e->blame == BL_BLAME_CUT) {
		snprintf(
			ret, size,
			"the kernel left no record: most likely the power was cut");
		return;
	}
	if (!e->crashed) {
		snprintf(
			ret, size,
			"%s: the kernel left no record of it (power, reset, or no pstore)",
			blame);
		return;
	}
	if (e->blame == BL_BLAME_CONVICTED) {
		snprintf(ret, size, "%s: %.70s; in its %.70s", blame, e->what,
			 e->named);
		return;
	}
	snprintf(ret, size, "%s: %.60s%s%.40s%s%.20s%s; %.*s", blame, e->what,
		 *e->where ? " at " : "", e->where, *e->module ? " [" : "",
		 e->module, *e->module ? "]" : "", (int)(size / 2),
		 *e->named ? e->named : "none of its programs is named");
}
