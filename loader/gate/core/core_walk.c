/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/gate/core/core_walk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define STATES_KEPT 8 /* at one place; more are joined */

void bl_core_walk_free(struct bl_core_walk *w)
{
	free(w->points);
	free(w->queue);
	free(w->heads);
	free(w->outcomes);
}

bool bl_core_walk_step(struct bl_core_walk *w, uint64_t cost)
{
	if (*w->steps < cost) {
		*w->steps = 0;
		w->limited = true;
		return false;
	}
	*w->steps -= cost;
	return true;
}

/* Makes room for one more of @size bytes in *list. */
static bool grow(struct bl_core_walk *w, void **list, uint32_t count,
		 uint32_t *room, size_t size)
{
	uint32_t more = *room ? 2 * *room : 64;
	void *p;

	if (count < *room)
		return true;
	p = realloc(*list, more * size);
	if (!p) {
		w->out_of_memory = w->limited = true;
		return false;
	}
	*list = p;
	*room = more;
	return true;
}

static void enqueue(struct bl_core_walk *w, uint32_t i)
{
	void *queue = w->queue;

	if (w->points[i].queued ||
	    !grow(w, &queue, w->queue_len, &w->queue_room, sizeof(*w->queue)))
		return;
	w->queue = queue;
	w->points[i].queued = true;
	w->queue[w->queue_len++] = i;
}

static uint32_t add_point(struct bl_core_walk *w, uint32_t function,
			  uint32_t at, const struct bl_core_state *s)
{
	uint32_t *head = &w->heads[w->flow->first[function] + at];
	void *points = w->points;

	if (w->count == BL_CORE_POINTS_MAX) {
		w->limited = true;
		return BL_CORE_NONE;
	}
	if (!grow(w, &points, w->count, &w->room, sizeof(*w->points)))
		return BL_CORE_NONE;
	w->points = points;
	w->points[w->count] = (struct bl_core_point){
		.state = *s,
		.function = function,
		.at = at,
		.next = *head ? *head - 1 : BL_CORE_NONE,
		.to = { BL_CORE_NONE, BL_CORE_NONE },
		.poison = BL_CORE_NONE,
	};
	*head = w->count + 1;
	enqueue(w, w->count);
	return w->count++;
}

/* The point that stands for that state at that place, an old or a new one. */
static uint32_t arrive(struct bl_core_walk *w, uint32_t function, int64_t at,
		       const struct bl_core_state *s)
{
	unsigned kept = 0;
	uint32_t i, head;

	if (at < 0 || at >= bl_core_flow_length(w->flow, function)) {
		w->limited = true; /* no verifier takes it */
		return BL_CORE_NONE;
	}
	head = w->heads[w->flow->first[function] + (uint32_t)at];
	head = head ? head - 1 : BL_CORE_NONE;
	for (i = head; i != BL_CORE_NONE; i = w->points[i].next, kept++) {
		if (!bl_core_walk_step(w, 1))
			return BL_CORE_NONE;
		if (w->points[i].function == function &&
		    bl_core_same(&w->points[i].state, s))
			return i;
	}
	if (kept < STATES_KEPT || w->points[head].function != function)
		return add_point(w, function, (uint32_t)at, s);
	if (bl_core_join(&w->points[head].state, s))
		enqueue(w, head);
	return head;
}

/* A function returned: whoever waits for it goes on. */
static void give_back(struct bl_core_walk *w, uint32_t function,
		      struct bl_core_cell value)
{
	struct bl_core_given *o = &w->outcomes[function];
	struct bl_core_cell old = o->value;
	uint32_t i;

	/* An address in its own stack is of no use to the caller. */
	if (value.known == BL_CORE_ADDRESS)
		value = (struct bl_core_cell){ BL_CORE_HINTED, 0 };
	o->value = o->any ? bl_core_either(old, value) : value;
	if (o->any && o->value.known == old.known)
		return;
	o->any = true;
	if (!bl_core_walk_step(w, w->count / 16))
		return;
	for (i = 0; i < w->count; i++) {
		uint32_t ref =
			w->flow->nodes[w->flow->first[w->points[i].function] +
				       w->points[i].at]
				.ref;

		if (ref && w->flow->code->refs[ref - 1].kind == BL_CODE_CALL &&
		    w->flow->code->refs[ref - 1].id == function)
			enqueue(w, i);
	}
}

/* Helpers that only read what they are given, of those that sensors call. */
static bool only_reads(uint32_t helper)
{
	switch (helper) {
	case BPF_FUNC_map_lookup_elem:
	case BPF_FUNC_map_update_elem:
	case BPF_FUNC_map_delete_elem:
	case BPF_FUNC_map_push_elem:
	case BPF_FUNC_trace_printk:
	case BPF_FUNC_tail_call:
	case BPF_FUNC_perf_event_output:
	case BPF_FUNC_skb_output:
	case BPF_FUNC_ringbuf_output:
	case BPF_FUNC_ringbuf_submit:
	case BPF_FUNC_ringbuf_discard:
		return true;
	default:
		return false;
	}
}

/* The way of point @i enters @function and, once that returns, goes on. */
static void call_function(struct bl_core_walk *w, uint32_t i, uint32_t function,
			  struct bl_core_state *s)
{
	uint32_t caller = w->points[i].function, at = w->points[i].at;
	bool global = w->flow->global[function];
	const struct bl_core_given *o = &w->outcomes[function];
	struct bl_core_state inside;
	struct bl_core_cell arg;
	uint32_t to;
	unsigned k;

	bl_core_enter(&inside, BL_CORE_OPEN);
	for (k = BPF_REG_1; !global && k <= BPF_REG_5; k++) {
		arg = bl_core_get(s, k);
		if (arg.known == BL_CORE_ADDRESS)
			arg.known = BL_CORE_HINTED; /* in another's stack */
		bl_core_set(&inside, k, arg.known, arg.value);
	}
	to = arrive(w, function, 0, &inside);
	w->points[i].to[0] = to;
	if (!global && !o->any)
		return;
	bl_core_called(s, BL_CORE_FUNCTION);
	if (!global)
		bl_core_set(s, BPF_REG_0, o->value.known, o->value.value);
	to = arrive(w, caller, (int64_t)at + 1, s);
	w->points[i].to[1] = to;
}

/* A call at the beginning of the way of point @i. False: it ends with it. */
static bool call(struct bl_core_walk *w, uint32_t i,
		 const struct bl_code_ref *ref, struct bl_core_state *s)
{
	switch (ref ? ref->kind : BL_CODE_UNKNOWN) {
	case BL_CODE_HELPER:
		bl_core_called(s, only_reads(ref->id) ? BL_CORE_READER
						      : BL_CORE_HELPER);
		return true;
	case BL_CODE_KFUNC:
		bl_core_called(s, BL_CORE_KERNEL);
		return true;
	case BL_CODE_CALL:
		call_function(w, i, ref->id, s);
		return false;
	default: /* no loader takes it */
		w->limited = true;
		return false;
	}
}

/* What a 64-bit constant is that refers to something. */
static enum bl_core_known address_of(const struct bl_core_walk *w,
				     const struct bl_code_ref *ref)
{
	const char *section;

	if (ref->kind != BL_CODE_DATA)
		return BL_CORE_HINTED;
	section = w->flow->code->object->sections[ref->section].name;
	return strncmp(section, ".rodata", 7) == 0 ? BL_CORE_HINTED
						   : BL_CORE_OPEN;
}

static void load_wide(struct bl_core_walk *w, uint32_t function, uint32_t at,
		      const struct bpf_insn *insn,
		      const struct bl_code_ref *ref, struct bl_core_state *s)
{
	struct bpf_insn upper;
	uint64_t value;

	if (at + 1 >= bl_core_flow_length(w->flow, function) ||
	    insn->dst_reg >= BL_CORE_REGS)
		return;
	upper = bl_core_flow_insn(w->flow, function, at + 1);
	value = (uint32_t)insn->imm | (uint64_t)(uint32_t)upper.imm << 32;
	bl_core_set(s, insn->dst_reg, ref ? address_of(w, ref) : BL_CORE_KNOWN,
		    value);
}

/* How the relocations of one instruction turned out. */
enum patched { UNCHANGED, CHANGED, UNCLEAR, STOPS };

static enum patched patch(struct bl_core_walk *w, uint32_t i, uint32_t relo,
			  struct bpf_insn *insn, uint64_t *ret)
{
	enum patched how = UNCHANGED;

	for (; relo; relo = w->flow->also[relo - 1]) {
		const struct bl_core_result *r = &w->results[relo - 1];

		if (r->outcome == BL_CORE_POISONED) {
			w->points[i].poison = relo - 1;
			return STOPS;
		}
		*ret = r->value;
		if (how != UNCHANGED || r->outcome != BL_CORE_RESOLVED ||
		    (w->relos[relo - 1].kind == BPF_CORE_TYPE_ID_TARGET &&
		     r->value))
			how = UNCLEAR;
		else
			how = CHANGED;
	}
	if (how != CHANGED)
		return how;
	if (BPF_CLASS(insn->code) == BPF_ALU ||
	    BPF_CLASS(insn->code) == BPF_ALU64)
		insn->imm = (int32_t)*ret;
	else if (BPF_CLASS(insn->code) != BPF_LD)
		insn->off = (int16_t)*ret;
	return how;
}

/* An instruction that neither branches nor calls. False: the way ends. */
static bool plain(struct bl_core_walk *w, uint32_t i, uint32_t at,
		  struct bpf_insn insn, struct bl_core_state *s)
{
	uint32_t function = w->points[i].function;
	const struct bl_core_node *n =
		&w->flow->nodes[w->flow->first[function] + at];
	uint64_t value = 0;
	enum patched how = patch(w, i, n->relo, &insn, &value);

	if (how == STOPS)
		return false;
	if (bl_core_is_wide(&insn))
		load_wide(w, function, at, &insn,
			  n->ref ? &w->flow->code->refs[n->ref - 1] : NULL, s);
	else
		bl_core_exec(s, &insn);
	if (insn.dst_reg >= BL_CORE_REGS || BPF_CLASS(insn.code) == BPF_ST ||
	    BPF_CLASS(insn.code) == BPF_STX)
		return true;
	if (how == UNCLEAR)
		bl_core_set(s, insn.dst_reg, BL_CORE_HINTED, 0);
	else if (how == CHANGED && bl_core_is_wide(&insn))
		bl_core_set(s, insn.dst_reg, BL_CORE_KNOWN, value);
	return true;
}

/* A conditional jump ends the way: with one end or two. */
static void branch(struct bl_core_walk *w, uint32_t i, uint32_t at,
		   const struct bpf_insn *insn, const struct bl_core_state *s)
{
	uint32_t function = w->points[i].function, to;
	enum bl_core_edge edge = bl_core_jump(s, insn);
	struct bl_core_state other;

	w->points[i].choice = edge == BL_CORE_EITHER;
	if (edge != BL_CORE_PASSED) {
		other = *s;
		bl_core_narrow(&other, insn, true);
		to = arrive(w, function,
			    bl_core_flow_target(w->flow, function, at, insn),
			    &other);
		w->points[i].to[0] = to;
	}
	if (edge != BL_CORE_TAKEN) {
		other = *s;
		bl_core_narrow(&other, insn, false);
		to = arrive(w, function, (int64_t)at + 1, &other);
		w->points[i].to[1] = to;
	}
}

/* A callback begins where its address is taken, and the way goes on too. */
static void take_callback(struct bl_core_walk *w, uint32_t i, uint32_t at,
			  uint32_t callback, struct bl_core_state *s)
{
	struct bl_core_state inside;
	uint32_t to;

	bl_core_enter(&inside, BL_CORE_HINTED);
	to = arrive(w, callback, 0, &inside);
	w->points[i].to[0] = to;
	to = arrive(w, w->points[i].function, (int64_t)at + 2, s);
	w->points[i].to[1] = to;
}

static const struct bl_code_ref *callback_at(const struct bl_core_walk *w,
					     const struct bl_core_node *n)
{
	const struct bl_code_ref *ref =
		n->ref ? &w->flow->code->refs[n->ref - 1] : NULL;

	return ref && ref->kind == BL_CODE_POINTER ? ref : NULL;
}

/* One instruction of the way of point @i. False: the way ends with it. */
static bool instruction(struct bl_core_walk *w, uint32_t i, uint32_t *at,
			struct bl_core_state *s)
{
	uint32_t function = w->points[i].function, to;
	const struct bl_core_node *n =
		&w->flow->nodes[w->flow->first[function] + *at];
	struct bpf_insn insn = bl_core_flow_insn(w->flow, function, *at);
	const struct bl_code_ref *callback = callback_at(w, n);

	if (bl_core_is_exit(&insn)) {
		give_back(w, function, bl_core_get(s, BPF_REG_0));
		return false;
	}
	if (bl_core_is_branch(&insn)) {
		branch(w, i, *at, &insn, s);
		return false;
	}
	if (bl_core_is_goto(&insn)) {
		to = arrive(w, function,
			    bl_core_flow_target(w->flow, function, *at, &insn),
			    s);
		w->points[i].to[0] = to;
		return false;
	}
	if (bl_core_is_call(&insn)) {
		if (!call(w, i,
			  n->ref ? &w->flow->code->refs[n->ref - 1] : NULL, s))
			return false;
	} else if (callback && bl_core_is_wide(&insn)) {
		if (plain(w, i, *at, insn, s))
			take_callback(w, i, *at, callback->id, s);
		return false;
	} else if (!plain(w, i, *at, insn, s)) {
		return false;
	}
	*at += bl_core_is_wide(&insn) ? 2 : 1;
	return true;
}

static bool is_own_call(const struct bl_core_walk *w, uint32_t function,
			uint32_t at)
{
	uint32_t ref = w->flow->nodes[w->flow->first[function] + at].ref;

	return ref && w->flow->code->refs[ref - 1].kind == BL_CODE_CALL;
}

/* Follows the way of point @i to its end. */
static void follow(struct bl_core_walk *w, uint32_t i)
{
	struct bl_core_state s = w->points[i].state;
	uint32_t function = w->points[i].function, at = w->points[i].at, to;
	uint32_t length = bl_core_flow_length(w->flow, function);

	w->points[i].to[0] = w->points[i].to[1] = BL_CORE_NONE;
	w->points[i].choice = false;
	w->points[i].poison = BL_CORE_NONE;
	while (bl_core_walk_step(w, 1) && instruction(w, i, &at, &s)) {
		if (at >= length) {
			w->limited = true; /* no verifier takes it */
			return;
		}
		/* Calls of own functions begin a way: it is followed again when
		 * one returns something else. */
		if (!w->flow->nodes[w->flow->first[function] + at].leads &&
		    !is_own_call(w, function, at))
			continue;
		to = arrive(w, function, at, &s);
		w->points[i].to[0] = to;
		return;
	}
}

static void follow_all(struct bl_core_walk *w)
{
	while (w->queue_len && *w->steps && !w->out_of_memory) {
		uint32_t i = w->queue[--w->queue_len];

		w->points[i].queued = false;
		follow(w, i);
	}
	w->limited = w->limited || w->queue_len;
}

/* Global functions that only dead code calls: old kernels verify them too. */
static void enter_globals(struct bl_core_walk *w, const struct bl_code_set *set)
{
	struct bl_core_state inside;
	uint32_t i;

	bl_core_enter(&inside, BL_CORE_OPEN);
	for (i = 0; i < w->flow->code->function_count; i++)
		if (bl_code_has(set, i) && w->flow->global[i] &&
		    !w->heads[w->flow->first[i]])
			arrive(w, i, 0, &inside);
}

int bl_core_walk_program(struct bl_core_walk *w, uint32_t program,
			 const struct bl_code_set *set)
{
	struct bl_core_state start;

	w->heads = calloc(w->flow->count + 1, sizeof(*w->heads));
	w->outcomes =
		calloc(w->flow->code->function_count, sizeof(*w->outcomes));
	if (!w->heads || !w->outcomes)
		return -ENOMEM;
	bl_core_enter(&start, BL_CORE_OPEN);
	arrive(w, program, 0, &start);
	follow_all(w);
	enter_globals(w, set);
	follow_all(w);
	return w->out_of_memory ? -ENOMEM : 0;
}
