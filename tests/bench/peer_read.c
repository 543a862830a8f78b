/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bench/peer_read.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/gate/kernel/answer.h"

#define PROGRAMS_MAX 8192
#define NAME_MAX_LEN 255

struct part {
	const char *head, *body; /* head: behind "@@", to the end of its line */
	size_t head_len, len;
};

/* The next part at or behind *@p; false: no more. */
static bool next_part(const char **p, const char *end, struct part *ret)
{
	const char *at = *p, *line;

	while (at && at < end && strncmp(at, "@@", 2) != 0) {
		at = strstr(at, "\n@@");
		at = at ? at + 1 : NULL;
	}
	if (!at || at >= end)
		return false;
	ret->head = at + 2;
	line = strchrnul(at, '\n');
	ret->head_len = (size_t)(line - ret->head);
	ret->body = *line ? line + 1 : line;
	at = strstr(line, "\n@@");
	*p = at ? at + 1 : end;
	ret->len = *p > ret->body ? (size_t)(*p - ret->body) : 0;
	return true;
}

/* That program, made if it is new; NULL without memory. */
static struct peer_program *program(struct peer_result *r, const char *object,
				    const char *name)
{
	struct peer_program *p;
	size_t i;

	for (i = r->count; i-- > 0;)
		if (strcmp(r->programs[i].name, name) == 0 &&
		    strcmp(r->programs[i].object, object) == 0)
			return &r->programs[i];
	if (!r->programs)
		r->programs = calloc(PROGRAMS_MAX, sizeof(*r->programs));
	if (!r->programs || r->count == PROGRAMS_MAX)
		return NULL;
	p = &r->programs[r->count];
	p->object = strdup(object);
	p->name = strdup(name);
	if (!p->object || !p->name) {
		free(p->object);
		free(p->name);
		return NULL;
	}
	r->count++;
	return p;
}

static int no_memory(struct bl_err *err)
{
	return bl_err_set(err, -ENOMEM, "out of memory");
}

/* By enum bl_load_status. */
static const char *const words[] = { "no answer", "accepted", "rejected",
				     "missing", "refused" };

static int read_program(const char *object, const struct bl_facts *facts,
			size_t i, struct peer_result *r, struct bl_err *err)
{
	const struct bl_facts_program *f = &facts->programs[i];
	struct peer_program *p = program(r, object, f->name);

	if (!p || p->ours.there)
		return p ? bl_err_set(err, -EBADMSG, "%s: %s is there twice",
				      object, f->name)
			 : no_memory(err);
	p->ours = (struct peer_side){
		.there = true,
		.accepted = f->load == BL_LOAD_ACCEPTED,
		.insns = f->effort.insns,
		.states = f->effort.states,
		.peak_states = f->effort.peak_states,
		.why = bl_path("%s%s%s", words[f->load],
			       f->why && *f->why ? ": " : "",
			       f->why ? f->why : ""),
		.notes = strdup(bl_buf_str(&facts->notes)),
	};
	return p->ours.why && p->ours.notes ? 0 : no_memory(err);
}

/* The lines about one object. */
static int read_answer(const char *object, const char *text, size_t len,
		       struct peer_result *r, struct bl_err *err)
{
	bl_autoanswer struct bl_answer a = { 0 };
	size_t i;
	int e = bl_answer_read(text, len, &a, err);

	for (i = 0; e == 0 && i < a.facts.program_count; i++)
		e = read_program(object, &a.facts, i, r, err);
	return e;
}

static int read_ours(const struct part *part, struct peer_result *r,
		     struct bl_err *err)
{
	static const char head[] = "{\"object\":";
	const char *p = part->body, *end = part->body + part->len, *line, *stop;
	char object[NAME_MAX_LEN + 1];
	int e = 0;

	while (e == 0 && p < end) {
		line = strchrnul(p, '\n') + 1;
		if (sscanf(p, "{\"object\":\"%255[^\"]", object) != 1)
			return *p == '\n' ? 0
					  : bl_err_set(err, -EBADMSG,
						       "what is '%.40s'?", p);
		stop = line;
		while (stop < end && *stop != '\n' &&
		       strncmp(stop, head, strlen(head)) != 0)
			stop = strchrnul(stop, '\n') + 1;
		if (stop > end)
			stop = end;
		e = read_answer(object, line, (size_t)(stop - line), r, err);
		p = stop;
	}
	return e;
}

/* veristat says more than lines of its table: what is none is passed over. */
static int read_line(const char *line, struct peer_result *r,
		     struct bl_err *err)
{
	char object[NAME_MAX_LEN + 1], name[NAME_MAX_LEN + 1], verdict[16];
	struct peer_side side = { .there = true };
	struct peer_program *p;

	if (sscanf(line,
		   "%255[^,\n],%255[^,\n],%15[^,\n],%" SCNu64 ",%" SCNu64
		   ",%" SCNu64,
		   object, name, verdict, &side.insns, &side.states,
		   &side.peak_states) != 6)
		return 0;
	side.accepted = strcmp(verdict, "success") == 0;
	if (!side.accepted && strcmp(verdict, "failure") != 0)
		return bl_err_set(err, -EBADMSG,
				  "veristat has a verdict that is unknown: %s",
				  verdict);
	p = program(r, object, name);
	if (!p)
		return no_memory(err);
	p->theirs = side;
	return 0;
}

static int read_theirs(const struct part *part, struct peer_result *r,
		       struct bl_err *err)
{
	const char *p = part->body, *end = part->body + part->len;
	int e = 0;

	while (e == 0 && p < end) {
		e = read_line(p, r, err);
		p = strchrnul(p, '\n') + 1;
	}
	return e;
}

static int read_part(const struct part *part, struct peer_result *r,
		     struct bl_err *err)
{
	char head[64];
	double a, b, c;

	snprintf(head, sizeof(head), "%.*s", (int)part->head_len, part->head);
	if (strcmp(head, "ours") == 0)
		return read_ours(part, r, err);
	if (strcmp(head, "theirs") == 0)
		return read_theirs(part, r, err);
	if (sscanf(head, "time %lf %lf %lf", &a, &b, &c) != 3 ||
	    r->turns == PEER_TURNS_MAX)
		return bl_err_set(err, -EBADMSG, "what is '%s'?", head);
	r->ours_ms[r->turns] = (b - a) * 1e3;
	r->theirs_ms[r->turns++] = (c - b) * 1e3;
	return 0;
}

static int by_object(const void *a, const void *b)
{
	const struct peer_program *x = a, *y = b;
	int r = strcmp(x->object, y->object);

	return r ? r : strcmp(x->name, y->name);
}

int peer_read(const char *text, size_t len, struct peer_result *ret,
	      struct bl_err *err)
{
	const char *p = text;
	struct part part;
	int r = 0;

	while (r == 0 && next_part(&p, text + len, &part)) {
		if (strncmp(part.head, "end", 3) == 0) {
			qsort(ret->programs, ret->count, sizeof(*ret->programs),
			      by_object);
			return 0;
		}
		r = read_part(&part, ret, err);
	}
	return r < 0 ? r : bl_err_set(err, -EBADMSG, "the output has no end");
}

void peer_result_free(struct peer_result *r)
{
	while (r->count) {
		struct peer_program *p = &r->programs[--r->count];

		free(p->object);
		free(p->name);
		free(p->ours.why);
		free(p->ours.notes);
	}
	free(r->programs);
	r->programs = NULL;
}

enum peer_match peer_match(const struct peer_program *p)
{
	if (!p->theirs.there)
		return PEER_ONLY_OURS;
	if (!p->ours.there)
		return PEER_ONLY_THEIRS;
	if (p->ours.accepted != p->theirs.accepted)
		return PEER_VERDICT;
	return p->ours.insns == p->theirs.insns ? PEER_AGREE : PEER_COUNTS;
}

const char *peer_match_name(enum peer_match m)
{
	static const char *const names[] = {
		[PEER_AGREE] = "agree",
		[PEER_COUNTS] = "instructions differ",
		[PEER_VERDICT] = "verdicts differ",
		[PEER_ONLY_OURS] = "only belay answers",
		[PEER_ONLY_THEIRS] = "only veristat answers",
	};

	return names[m];
}
