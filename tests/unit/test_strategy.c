/* SPDX-License-Identifier: Apache-2.0 */
/* How programs give way to each other, and the bytes of a dispatcher. */
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/kern/slots/dispatch_code.h"
#include "loader/kern/slots/strategy.h"
#include "tests/main.h"

#define D BL_STRATEGY_DISPATCH
#define R BL_STRATEGY_REPLACE
#define O BL_STRATEGY_OVERLAP

static const struct {
	const char *name;
	enum bpf_prog_type type;
	enum bpf_attach_type attach;
	bool sleepable, refused;
	enum bl_wish wish;
	bool no_lease;
	int code;
	enum bl_strategy strategy;
	enum bl_lease lease;
} cases[] = {
	{ "tracepoint", BPF_PROG_TYPE_TRACING, BPF_TRACE_RAW_TP, false, false,
	  BL_WISH_NONE, false, 0, D, BL_LEASE_NONE },
	{ "fentry", BPF_PROG_TYPE_TRACING, BPF_TRACE_FENTRY, false, false,
	  BL_WISH_NONE, false, 0, D, BL_LEASE_NONE },
	{ "fentry.s", BPF_PROG_TYPE_TRACING, BPF_TRACE_FENTRY, true, false,
	  BL_WISH_NONE, false, 0, O, BL_LEASE_NONE },
	{ "fentry, refused", BPF_PROG_TYPE_TRACING, BPF_TRACE_FENTRY, false,
	  true, BL_WISH_NONE, false, 0, O, BL_LEASE_NONE },
	{ "fentry beside", BPF_PROG_TYPE_TRACING, BPF_TRACE_FENTRY, false,
	  false, BL_WISH_OVERLAP, false, 0, O, BL_LEASE_NONE },
	{ "fentry replaced", BPF_PROG_TYPE_TRACING, BPF_TRACE_FENTRY, false,
	  false, BL_WISH_REPLACE, false, -EOPNOTSUPP, R, BL_LEASE_NONE },
	{ "kprobe", BPF_PROG_TYPE_KPROBE, 0, false, false, BL_WISH_NONE, false,
	  0, O, BL_LEASE_NONE },
	{ "kprobe dispatched", BPF_PROG_TYPE_KPROBE, 0, false, false,
	  BL_WISH_DISPATCH, false, -EOPNOTSUPP, D, BL_LEASE_NONE },
	{ "lsm", BPF_PROG_TYPE_LSM, BPF_LSM_MAC, false, false, BL_WISH_NONE,
	  false, 0, D, BL_LEASE_KEPT },
	{ "lsm for ever", BPF_PROG_TYPE_LSM, BPF_LSM_MAC, false, false,
	  BL_WISH_NONE, true, 0, D, BL_LEASE_WAIVED },
	{ "lsm.s", BPF_PROG_TYPE_LSM, BPF_LSM_MAC, true, false, BL_WISH_NONE,
	  false, -EOPNOTSUPP, O, BL_LEASE_KEPT },
	{ "lsm.s for ever", BPF_PROG_TYPE_LSM, BPF_LSM_MAC, true, false,
	  BL_WISH_NONE, true, 0, O, BL_LEASE_WAIVED },
	{ "lsm beside", BPF_PROG_TYPE_LSM, BPF_LSM_MAC, false, false,
	  BL_WISH_OVERLAP, false, -EOPNOTSUPP, O, BL_LEASE_KEPT },
	{ "xdp", BPF_PROG_TYPE_XDP, BPF_XDP, false, false, BL_WISH_NONE, false,
	  0, D, BL_LEASE_KEPT },
	{ "xdp, refused", BPF_PROG_TYPE_XDP, BPF_XDP, false, true, BL_WISH_NONE,
	  false, -EOPNOTSUPP, R, BL_LEASE_KEPT },
	{ "xdp, refused, for ever", BPF_PROG_TYPE_XDP, BPF_XDP, false, true,
	  BL_WISH_NONE, true, 0, R, BL_LEASE_WAIVED },
	{ "xdp beside", BPF_PROG_TYPE_XDP, BPF_XDP, false, false,
	  BL_WISH_OVERLAP, true, -EOPNOTSUPP, O, BL_LEASE_WAIVED },
	{ "connect4", BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET4_CONNECT,
	  false, false, BL_WISH_NONE, false, 0, D, BL_LEASE_KEPT },
	{ "connect4 replaced", BPF_PROG_TYPE_CGROUP_SOCK_ADDR,
	  BPF_CGROUP_INET4_CONNECT, false, false, BL_WISH_REPLACE, true, 0, R,
	  BL_LEASE_WAIVED },
	{ "connect4 replaced, leased", BPF_PROG_TYPE_CGROUP_SOCK_ADDR,
	  BPF_CGROUP_INET4_CONNECT, false, false, BL_WISH_REPLACE, false,
	  -EOPNOTSUPP, R, BL_LEASE_KEPT },
};

START_TEST(a_program_gets_the_best_that_it_can_have)
{
	struct bl_kern_wish wish = { .program = "p",
				     .strategy = cases[_i].wish,
				     .no_lease = cases[_i].no_lease };
	struct bl_strategy_case c = {
		.kind = bl_hook_kind(cases[_i].type, cases[_i].attach),
		.sleepable = cases[_i].sleepable,
		.refused = cases[_i].refused,
		.wish = cases[_i].wish || cases[_i].no_lease ? &wish : NULL,
	};
	struct bl_strategy_choice choice;
	int r = bl_strategy_choose(&c, &choice);

	ck_assert_msg(r == cases[_i].code, "%s: %d, %s", cases[_i].name, r,
		      choice.why);
	ck_assert_msg(choice.why && *choice.why, "%s", cases[_i].name);
	if (r)
		return;
	ck_assert_msg(choice.strategy == cases[_i].strategy, "%s: %s",
		      cases[_i].name, bl_strategy_name(choice.strategy));
	ck_assert_msg(choice.lease == cases[_i].lease, "%s: lease %d",
		      cases[_i].name, choice.lease);
}
END_TEST

/* A filler of the sensor: it may sleep, so it has no dispatcher. */
START_TEST(what_refuses_nothing_needs_no_lease)
{
	struct bl_strategy_case c = {
		.kind = bl_hook_kind(BPF_PROG_TYPE_LSM, BPF_LSM_MAC),
		.sleepable = true,
		.harmless = true,
	};
	struct bl_strategy_choice choice;

	ck_assert_int_eq(bl_strategy_choose(&c, &choice), 0);
	ck_assert_int_eq(choice.strategy, O);
	ck_assert_int_eq(choice.lease, BL_LEASE_NONE);
	/* To an XDP program, 0 is to drop the packet. */
	c.kind = bl_hook_kind(BPF_PROG_TYPE_XDP, BPF_XDP);
	c.sleepable = false;
	c.refused = true;
	ck_assert_int_eq(bl_strategy_choose(&c, &choice), -EOPNOTSUPP);
}
END_TEST

START_TEST(the_word_names_what_was_packed)
{
	for (int live = -1; live < BL_SLOT_COUNT; live++)
		for (int trial = -1; trial < BL_SLOT_COUNT; trial++) {
			struct bl_dispatch_word w = { live, trial };

			w = bl_dispatch_unpack(bl_dispatch_pack(w));
			ck_assert_int_eq(w.live, live);
			ck_assert_int_eq(w.trial, trial);
		}
	/* What the kernel made of an empty map, and what nobody wrote. */
	ck_assert_int_eq(bl_dispatch_unpack(0).live, BL_DISPATCH_NOBODY);
	ck_assert_int_eq(bl_dispatch_unpack(~0ULL).live, BL_DISPATCH_NOBODY);
	ck_assert_int_eq(bl_dispatch_unpack(~0ULL).trial, BL_DISPATCH_NOBODY);
}
END_TEST

/*
 * A machine that knows just what a dispatcher is made of. What it calls is not
 * run: reaching a tail call with a program there ends it.
 */
struct machine {
	struct bl_dispatch_state state;
	uint64_t now_ns;
	bool entry[BL_DISPATCH_ENTRIES];

	uint64_t reg[11];
	int called; /* entry; -1: it returned */
	unsigned steps, clock_reads;
};

#define CTX_VALUE 0xc0ffee
#define ARRAY_FD  7
#define STATE_FD  8

/* True when it ends the program. */
static bool helper(struct machine *m, int which)
{
	uint32_t index = (uint32_t)m->reg[3];

	if (which == BPF_FUNC_ktime_get_ns) {
		m->clock_reads++;
		m->reg[0] = m->now_ns;
	} else {
		ck_assert_int_eq(which, BPF_FUNC_tail_call);
		ck_assert_uint_eq(m->reg[1], CTX_VALUE);
		ck_assert_uint_eq(m->reg[2], ARRAY_FD);
		if (index < BL_DISPATCH_ENTRIES && m->entry[index]) {
			m->called = (int)index;
			return true;
		}
	}
	/* What the kernel forbids to rely on. */
	for (int i = 1; i <= 5; i++)
		m->reg[i] = 0xdead;
	return false;
}

static int run(struct machine *m, const struct bl_dispatch_code *c)
{
	struct bpf_insn insns[BL_DISPATCH_INSNS_MAX];
	size_t count = bl_dispatch_code(c, insns);

	m->called = -1;
	m->steps = m->clock_reads = 0;
	m->reg[1] = CTX_VALUE;
	for (size_t pc = 0; pc < count; pc++) {
		const struct bpf_insn *i = &insns[pc];
		uint64_t *dst = &m->reg[i->dst_reg], src = m->reg[i->src_reg];

		ck_assert_uint_lt(++m->steps, BL_DISPATCH_INSNS_MAX);
		switch (i->code) {
		case BPF_ALU64 | BPF_MOV | BPF_X:
			*dst = src;
			break;
		case BPF_ALU64 | BPF_MOV | BPF_K:
			*dst = (uint64_t)(int64_t)i->imm;
			break;
		case BPF_ALU64 | BPF_ADD | BPF_K:
			*dst += (uint64_t)(int64_t)i->imm;
			break;
		case BPF_ALU64 | BPF_AND | BPF_K:
			*dst &= (uint64_t)(int64_t)i->imm;
			break;
		case BPF_ALU64 | BPF_RSH | BPF_K:
			*dst >>= i->imm;
			break;
		case BPF_LD | BPF_IMM | BPF_DW:
			ck_assert_int_eq(i->imm,
					 i->src_reg == BPF_PSEUDO_MAP_VALUE
						 ? STATE_FD
						 : ARRAY_FD);
			*dst = i->src_reg == BPF_PSEUDO_MAP_VALUE
				       ? (uint64_t)(uintptr_t)&m->state
				       : ARRAY_FD;
			pc++;
			break;
		case BPF_LDX | BPF_MEM | BPF_DW:
			*dst = *(uint64_t *)(uintptr_t)(src + (uint64_t)i->off);
			break;
		case BPF_JMP | BPF_JEQ | BPF_K:
			if (*dst == (uint64_t)(int64_t)i->imm)
				pc += (size_t)i->off;
			break;
		case BPF_JMP | BPF_JGE | BPF_X:
			if (*dst >= src)
				pc += (size_t)i->off;
			break;
		case BPF_JMP | BPF_CALL:
			if (helper(m, i->imm))
				return m->called;
			break;
		case BPF_JMP | BPF_EXIT:
			ck_assert_uint_eq(pc, count - 1);
			return -1;
		default:
			ck_abort_msg("instruction %zu: code %#x", pc, i->code);
		}
	}
	ck_abort_msg("it runs past its end");
}

#define A BL_SLOT_A
#define B BL_SLOT_B
#define N BL_DISPATCH_NOBODY

static const struct {
	struct bl_dispatch_word word;
	uint64_t trial_until;
	int observing, clock_reads; /* what is called, when now is 100 */
} words[] = {
	{ { N, N }, 0, N, 0 },	 { { A, N }, 0, A, 0 },
	{ { B, N }, 0, B, 0 },	 { { A, B }, 101, B, 1 },
	{ { A, B }, 100, A, 1 }, { { B, A }, 101, A, 1 },
	{ { N, A }, 101, A, 1 }, { { N, A }, 100, N, 1 },
	{ { A, N }, 101, A, 0 },
};

START_TEST(a_dispatcher_calls_what_the_word_names)
{
	struct bl_dispatch_code c = { .state_fd = STATE_FD,
				      .array_fd = ARRAY_FD };
	struct machine m = { .now_ns = 100, .entry = { true, true } };

	m.state.word = bl_dispatch_pack(words[_i].word);
	m.state.trial_until_ns = words[_i].trial_until;
	ck_assert_int_eq(run(&m, &c), words[_i].observing);
	ck_assert_int_eq((int)m.clock_reads, words[_i].clock_reads);
	if (m.called < 0)
		ck_assert_uint_eq(m.reg[0], 0);
	/* Nobody's program on this hook: the same as nobody. */
	memset(m.entry, 0, sizeof(m.entry));
	ck_assert_int_eq(run(&m, &c), -1);
	ck_assert_uint_eq(m.reg[0], 0);
}
END_TEST

/* I8: nobody renews it, so it allows. */
START_TEST(a_verdict_is_asked_for_while_its_lease_lasts)
{
	struct bl_dispatch_code c = { .state_fd = STATE_FD,
				      .array_fd = ARRAY_FD,
				      .verdict = true,
				      .neutral = 2 };
	struct machine m = { .now_ns = 100, .entry = { true, true } };

	m.state.word = bl_dispatch_pack((struct bl_dispatch_word){ A, N });
	m.state.verdict_until_ns = 101;
	ck_assert_int_eq(run(&m, &c), A);
	m.state.verdict_until_ns = 100;
	ck_assert_int_eq(run(&m, &c), -1);
	ck_assert_uint_eq(m.reg[0], 2);
	/* Nor does a trial get around it. */
	m.state.word = bl_dispatch_pack((struct bl_dispatch_word){ A, B });
	m.state.trial_until_ns = 1000;
	ck_assert_int_eq(run(&m, &c), -1);
	m.state.verdict_until_ns = 1000;
	ck_assert_int_eq(run(&m, &c), B);
	/* Waived for the program of slot a, and for that alone. */
	m.state.verdict_until_ns = 0;
	m.entry[A] = false;
	m.entry[bl_dispatch_entry(A, false)] = true;
	ck_assert_int_eq(run(&m, &c), -1);
	m.state.trial_until_ns = 0;
	ck_assert_int_eq(run(&m, &c), (int)bl_dispatch_entry(A, false));
	/* Live is nobody: what is waived is not called either. */
	m.state.word = 0;
	ck_assert_int_eq(run(&m, &c), -1);
	ck_assert_uint_eq(m.reg[0], 2);
}
END_TEST

START_TEST(the_common_path_is_short)
{
	struct bl_dispatch_code c = { .state_fd = STATE_FD,
				      .array_fd = ARRAY_FD };
	struct machine m = { .entry = { true, true } };

	m.state.word = bl_dispatch_pack((struct bl_dispatch_word){ A, N });
	run(&m, &c);
	ck_assert_uint_le(m.steps, 14);
	ck_assert_uint_eq(m.clock_reads, 0);
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *suite = suite_create("strategy");
	TCase *tc = tcase_create("strategy");

	tcase_add_loop_test(tc, a_program_gets_the_best_that_it_can_have, 0,
			    BL_ARRAY_SIZE(cases));
	tcase_add_test(tc, what_refuses_nothing_needs_no_lease);
	tcase_add_test(tc, the_word_names_what_was_packed);
	tcase_add_loop_test(tc, a_dispatcher_calls_what_the_word_names, 0,
			    BL_ARRAY_SIZE(words));
	tcase_add_test(tc, a_verdict_is_asked_for_while_its_lease_lasts);
	tcase_add_test(tc, the_common_path_is_short);
	suite_add_tcase(suite, tc);
	return suite;
}
