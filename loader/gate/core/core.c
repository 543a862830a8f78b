/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/gate/core/core.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/gate/core/core_match.h"
#include "loader/gate/core/core_reach.h"
#include "loader/gate/core/core_words.h"
#include "loader/gate/object/source.h"

#define CHECK "core"
/* Findings about one kernel; what is beyond them is counted. */
#define FINDINGS_MAX 256
/* Instructions that are walked for one kernel. */
#define STEPS_MAX (8u << 20)

/* What became of a relocation on the kernel at hand. */
struct fate {
	uint8_t reach;	  /* enum bl_core_reach */
	bool optional;	  /* … of optional programs only */
	uint32_t program; /* the first that reaches it like that */
};

/* An object under check; the same for every kernel. */
struct core {
	const struct bl_object *o;
	struct bl_report *report;
	struct bl_core_relos relos;
	struct bl_core_index *index;
	struct bl_code code;
	struct bl_core_flow flow;
	bool readable; /* its code could be read: code and flow are there */
	struct bl_core_result *results;
	struct fate *fates;
	uint8_t *reach; /* of the program at hand */
	struct bl_source *lines;
	bool *looked; /* … has been looked up */
};

/* How many of them ended how. */
struct count {
	size_t resolved, guarded, lost, gave_up, findings, beyond;
	enum bl_verdict worst;
};

static void core_free(struct core *c)
{
	bl_core_index_free(c->index);
	bl_core_flow_free(&c->flow);
	bl_code_free(&c->code);
	bl_core_relos_free(&c->relos);
	free(c->results);
	free(c->fates);
	free(c->reach);
	free(c->lines);
	free(c->looked);
}

static int core_init(struct core *c)
{
	size_t n = c->relos.count;
	int r;

	c->results = calloc(n, sizeof(*c->results));
	c->fates = calloc(n, sizeof(*c->fates));
	c->reach = calloc(n, sizeof(*c->reach));
	c->lines = calloc(n, sizeof(*c->lines));
	c->looked = calloc(n, sizeof(*c->looked));
	if (!c->results || !c->fates || !c->reach || !c->lines || !c->looked)
		return -ENOMEM;
	r = bl_core_index_new(&c->relos, &c->index);
	if (r < 0)
		return r;
	r = bl_code_read(c->o, &c->code, NULL);
	if (r == 0)
		r = bl_core_flow_read(&c->code, &c->relos, &c->flow);
	c->readable = r == 0;
	return r == -ENOMEM ? r : 0;
}

static void resolve_all(struct core *c, struct bl_core_target *t)
{
	size_t i;

	for (i = 0; i < c->relos.count; i++) {
		const struct bl_core_relo *relo = &c->relos.list[i];
		const struct bl_object_section *s =
			&c->o->sections[relo->section];

		c->results[i] = bl_core_resolve(t, relo, s->data + relo->offset,
						s->size - relo->offset);
	}
}

/* The functions with a relocation that was poisoned. */
static bool find_poisoned(const struct core *c, struct bl_code_set *ret)
{
	bool any = false;
	size_t i;

	*ret = (struct bl_code_set){ 0 };
	for (i = 0; i < c->relos.count; i++) {
		uint32_t f = c->flow.holder[i];

		if (c->results[i].outcome != BL_CORE_POISONED ||
		    f == BL_CORE_NO_FUNCTION)
			continue;
		ret->bits[f / 64] |= UINT64_C(1) << f % 64;
		any = true;
	}
	return any;
}

static bool intersect(const struct bl_code_set *a, const struct bl_code_set *b)
{
	size_t i;

	for (i = 0; i < BL_ARRAY_SIZE(a->bits); i++)
		if (a->bits[i] & b->bits[i])
			return true;
	return false;
}

/* Keeps the worst: what an optional program does weighs less than anything
 * that a required one does. */
static void keep_worst(struct core *c, uint32_t program)
{
	bool optional = c->o->programs[program].optional;
	size_t i;

	for (i = 0; i < c->relos.count; i++) {
		struct fate *f = &c->fates[i];

		if (c->reach[i] == BL_CORE_NEVER)
			continue;
		if (f->reach == BL_CORE_NEVER || f->optional > optional ||
		    (f->optional == optional && c->reach[i] > f->reach))
			*f = (struct fate){ c->reach[i], optional, program };
	}
}

static int walk_programs(struct core *c)
{
	struct bl_code_set poisoned, reached;
	uint64_t steps = STEPS_MAX;
	uint32_t i;
	int r;

	if (!find_poisoned(c, &poisoned))
		return 0;
	for (i = 0; i < c->code.function_count; i++) {
		if (c->o->programs[i].called)
			continue;
		bl_code_reach(&c->code, i, &reached);
		if (!intersect(&poisoned, &reached))
			continue;
		memset(c->reach, BL_CORE_NEVER, c->relos.count);
		r = bl_core_walk(&c->flow, &c->relos, c->results, i, &steps,
				 c->reach);
		if (r < 0)
			return r;
		keep_worst(c, i);
	}
	return 0;
}

/* The function of the relocation, or the one function of its section. */
static const struct bl_object_program *holder(const struct core *c, size_t i)
{
	uint32_t f = c->readable ? c->flow.holder[i] : BL_CORE_NO_FUNCTION;

	return f == BL_CORE_NO_FUNCTION ? NULL : &c->o->programs[f];
}

/* What nothing is known of may be reached. Loaders refuse wherever it is, but
 * not for a program that is not switched on. */
static void settle_fates(struct core *c)
{
	size_t i;

	for (i = 0; i < c->relos.count; i++) {
		const struct bl_object_program *p = holder(c, i);
		struct fate *f = &c->fates[i];

		if (c->results[i].outcome == BL_CORE_REFUSED) {
			f->reach = BL_CORE_SURE;
			f->optional = p && p->optional;
			f->program = p ? c->flow.holder[i] : 0;
		} else if (c->results[i].outcome == BL_CORE_POISONED &&
			   !c->readable) {
			f->reach = BL_CORE_MAYBE;
		}
	}
}

static enum bl_verdict verdict_of(const struct core *c, size_t i,
				  const struct bl_btf_source *source)
{
	const struct bl_core_result *res = &c->results[i];
	const struct fate *f = &c->fates[i];

	if (f->optional)
		return BL_VERDICT_WARN;
	if (f->reach != BL_CORE_SURE ||
	    (res->outcome == BL_CORE_POISONED &&
	     res->why == BL_CORE_WHY_NO_TYPE && source->modules))
		return BL_VERDICT_UNDECIDED;
	return BL_VERDICT_REJECT;
}

static void find_line(struct core *c, size_t i)
{
	const struct bl_core_relo *relo = &c->relos.list[i];

	if (c->looked[i])
		return;
	c->looked[i] = true;
	if (bl_source_find(c->o, relo->section, relo->offset, &c->lines[i]) < 0)
		c->lines[i] = (struct bl_source){ 0 };
}

/* One access is often several instructions: they are one finding. */
static bool same_access(const struct core *c, size_t a, size_t b)
{
	const struct bl_core_relo *x = &c->relos.list[a],
				  *y = &c->relos.list[b];
	const struct fate *f = &c->fates[a], *g = &c->fates[b];

	return x->section == y->section && x->type == y->type &&
	       x->kind == y->kind && strcmp(x->access, y->access) == 0 &&
	       c->lines[a].line && c->lines[a].line == c->lines[b].line &&
	       f->program == g->program && f->reach == g->reach &&
	       f->optional == g->optional;
}

static int add_finding(struct core *c, size_t i, const struct bl_btf *target,
		       const struct bl_btf_source *source,
		       enum bl_verdict verdict)
{
	const struct bl_object_program *p = NULL, *in = holder(c, i);
	bl_autobuf struct bl_buf message = { 0 };
	bl_autobuf struct bl_buf hint = { 0 };
	struct bl_core_case what = {
		.local = &c->relos.btf,
		.target = target,
		.relo = &c->relos.list[i],
		.result = &c->results[i],
		.reach = (enum bl_core_reach)c->fates[i].reach,
		.modules = source->modules,
	};
	struct bl_finding f = {
		.verdict = verdict,
		.check = (char *)CHECK,
		.kernel = (char *)source->name,
		.optional = c->fates[i].optional,
		.line = c->lines[i].line,
		.file = (char *)c->lines[i].file,
		.source = (char *)c->lines[i].text,
	};

	if (in)
		p = &c->o->programs[c->fates[i].program];
	if (p) {
		f.program = (char *)p->name;
		f.section = (char *)p->section;
	}
	if (p && p != in) {
		what.function = in->name;
		what.global = c->flow.global[c->flow.holder[i]];
	}
	if (bl_core_message(&what, &message) < 0 ||
	    bl_core_hint(&what, &hint) < 0)
		return -ENOMEM;
	f.message = (char *)bl_buf_str(&message);
	f.hint = (char *)bl_buf_str(&hint);
	return bl_report_add(c->report, &f);
}

static int tell_one(struct core *c, size_t i, size_t *last,
		    const struct bl_btf *target,
		    const struct bl_btf_source *source, struct count *n)
{
	enum bl_verdict verdict;

	if (c->results[i].outcome == BL_CORE_RESOLVED) {
		n->resolved++;
		return 0;
	}
	if (c->results[i].outcome == BL_CORE_GAVE_UP) {
		n->gave_up++;
		return 0;
	}
	if (c->fates[i].reach == BL_CORE_NEVER) {
		n->guarded++;
		return 0;
	}
	n->lost++;
	verdict = verdict_of(c, i, source);
	if (verdict > n->worst)
		n->worst = verdict;
	find_line(c, i);
	if (*last < i && same_access(c, *last, i))
		return 0;
	if (n->findings == FINDINGS_MAX) {
		n->beyond++;
		return 0;
	}
	n->findings++;
	*last = i;
	return add_finding(c, i, target, source, verdict);
}

/* Of a kernel on which nothing stands in the way. */
static int tell_pass(struct core *c, const struct bl_btf_source *source,
		     const struct count *n)
{
	bl_autobuf struct bl_buf text = { 0 };
	int r;

	if (n->resolved == c->relos.count)
		r = bl_buf_printf(&text, "all %zu CO-RE relocations resolve",
				  n->resolved);
	else
		r = bl_buf_printf(&text, "%zu of %zu CO-RE relocations resolve",
				  n->resolved, c->relos.count);
	if (r == 0 && n->guarded)
		r = bl_buf_printf(
			&text,
			"; %zu of what this kernel lacks %s never reached there",
			n->guarded, n->guarded == 1 ? "is" : "are");
	if (r == 0 && n->lost)
		r = bl_buf_printf(
			&text,
			"; %zu %s in optional programs that do not fit it",
			n->lost, n->lost == 1 ? "is" : "are");
	if (r < 0)
		return r;
	return bl_report_note(c->report, BL_VERDICT_PASS, CHECK, source->name,
			      "%s", bl_buf_str(&text));
}

static int tell_all(struct core *c, const struct bl_btf *target,
		    const struct bl_btf_source *source)
{
	struct count n = { .worst = BL_VERDICT_PASS };
	size_t i, last = c->relos.count;
	int r = 0;

	for (i = 0; r == 0 && i < c->relos.count; i++)
		r = tell_one(c, i, &last, target, source, &n);
	if (r == 0 && n.beyond)
		r = bl_report_note(
			c->report, n.worst, CHECK, source->name,
			"%zu more CO-RE relocations do not resolve either",
			n.beyond);
	if (r == 0 && n.gave_up) {
		n.worst = n.worst > BL_VERDICT_UNDECIDED ? n.worst
							 : BL_VERDICT_UNDECIDED;
		r = bl_report_note(
			c->report, BL_VERDICT_UNDECIDED, CHECK, source->name,
			"%zu CO-RE relocations take too long to work out, or name what there are too many of",
			n.gave_up);
	}
	if (r == 0 && n.worst < BL_VERDICT_UNDECIDED)
		r = tell_pass(c, source, &n);
	return r;
}

static int check_target(struct core *c, const struct bl_btf *btf,
			const struct bl_btf_source *source)
{
	struct bl_core_target *t = NULL;
	int r = bl_core_target_new(c->index, btf, &t);

	if (r < 0)
		return r;
	resolve_all(c, t);
	bl_core_target_free(t);
	memset(c->fates, 0, c->relos.count * sizeof(*c->fates));
	if (c->readable)
		r = walk_programs(c);
	if (r < 0)
		return r;
	settle_fates(c);
	return tell_all(c, btf, source);
}

static int cannot_check(struct core *c, const struct bl_btf_source *source,
			const char *why, const char *hint)
{
	return bl_report_note(
		c->report, BL_VERDICT_UNDECIDED, CHECK, source->name,
		hint[0] ? "%zu CO-RE relocations cannot be checked: %s (%s)"
			: "%zu CO-RE relocations cannot be checked: %s",
		c->relos.count, why, hint);
}

static int check_bytes(struct core *c, const struct bl_btf_source *source,
		       const void *data, size_t len)
{
	bl_autobtf struct bl_btf btf = { 0 };
	struct bl_err err = { 0 };
	int r = bl_btf_open(source->name, data, len, &btf, &err);

	if (r == -ENOMEM)
		return r;
	if (r < 0)
		return cannot_check(c, source, err.text, err.hint);
	return check_target(c, &btf, source);
}

static int check_source(struct core *c, const struct bl_btf_source *source)
{
	static const char hint[] = "name a file with its BTF by --btf";
	bl_autobuf struct bl_buf loaded = { 0 };
	struct bl_err err = { 0 };
	int r;

	if (source->data)
		return check_bytes(c, source, source->data, source->len);
	if (!source->load)
		return cannot_check(c, source,
				    source->why_not ? source->why_not
						    : "this kernel has no BTF",
				    hint);
	r = source->load(source->ctx, &loaded, &err);
	if (r == -ENOMEM)
		return r;
	if (r < 0)
		return cannot_check(c, source, err.text,
				    r == -ENOENT ? hint : err.hint);
	return check_bytes(c, source, loaded.data, loaded.len);
}

static int no_relocations(const struct core *c)
{
	if (!c->relos.btf.count)
		return bl_report_note(
			c->report, BL_VERDICT_PASS, CHECK, NULL,
			"no BTF in it, so no CO-RE relocations: loaders fit nothing in it to a kernel");
	return bl_report_note(
		c->report, BL_VERDICT_PASS, CHECK, NULL,
		"no CO-RE relocations: loaders fit nothing in it to a kernel");
}

int bl_core_check(const struct bl_object *o, const struct bl_btf_source *list,
		  size_t count, struct bl_report *report)
{
	BL_CLEANUP(core_free) struct core c = { .o = o, .report = report };
	struct bl_err err = { 0 };
	size_t i;
	int r = bl_core_relos_read(o, &c.relos, &err);

	if (r == -ENOMEM)
		return r;
	if (r < 0)
		return bl_report_note(report,
				      r == -EBADMSG ? BL_VERDICT_REJECT
						    : BL_VERDICT_UNDECIDED,
				      CHECK, NULL, "%s", err.text);
	if (!c.relos.count)
		return no_relocations(&c);
	if (!count)
		return bl_report_note(
			report, BL_VERDICT_UNDECIDED, CHECK, NULL,
			"%zu CO-RE relocations, and no kernel's BTF to check them against (name one with --btf)",
			c.relos.count);
	r = core_init(&c);
	for (i = 0; r == 0 && i < count; i++)
		r = check_source(&c, &list[i]);
	return r;
}
