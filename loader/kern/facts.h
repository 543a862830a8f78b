/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a kernel showed about one object: facts, and no opinion about them.
 *
 * They are gathered where the kernel is (in a guest of the lab, or in a child
 * process on the running one) by loader/kern, travel as JSON (gate/kernel/answer.h)
 * and are judged by loader/gate. Plain data: nothing here needs libbpf.
 *
 * Zero-initialise, let the session fill them in, free with bl_facts_free. A
 * zeroed fact says "not known", never "good": each enum begins with that.
 *
 * Ownership: strings and arrays belong to the struct and come from malloc; a
 * NULL string is an empty one.
 */
#ifndef BL_KERN_FACTS_H
#define BL_KERN_FACTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/event.h"
#include "loader/base/buf.h"

/* What a program cost the verifier. 0: not known. */
struct bl_effort {
	uint64_t insns;	      /* instructions processed, over all states */
	uint64_t states;      /* total_states */
	uint64_t peak_states; /* the most that were kept at a time */
	uint64_t time_us;     /* wall time in the verifier (since 5.2) */
	uint64_t stack_bytes; /* the sum that the verifier gives */
};

enum bl_load_status {
	BL_LOAD_UNDECIDED = 0,
	BL_LOAD_ACCEPTED,
	BL_LOAD_REJECTED, /* by the verifier */
	BL_LOAD_MISSING,  /* hook, BTF, map or program type is not there */
	BL_LOAD_REFUSED,  /* privilege or lockdown */
};

enum bl_attach_status {
	BL_ATTACH_UNTRIED = 0, /* not asked for, or not loaded */
	BL_ATTACH_DONE,	       /* and detached again */
	BL_ATTACH_ELSEWHERE,   /* only its loader knows where; why says what */
	BL_ATTACH_MISSING,     /* the target is not on this kernel */
	BL_ATTACH_FAILED,
};

/* How a live program can be exchanged for its next version on this kernel. */
enum bl_swap_way {
	BL_SWAP_UNKNOWN = 0,
	BL_SWAP_REPLACE, /* bpf_link_update: at one instant */
	BL_SWAP_OVERLAP, /* both are attached for a while */
	BL_SWAP_NONE,	 /* one at a time: there is a gap */
};

struct bl_facts_program {
	char *name, *section; /* section as libbpf gives it */
	bool optional;	      /* "?" in its section's name */
	enum bl_load_status load;
	struct bl_effort effort;
	int64_t insn; /* index at which it was rejected; -1: not known */
	int code;     /* negative errno of the failed load; 0 */
	char *why;    /* one sentence; "" when accepted */
	char *log;    /* verifier's log of a failed load (its last part) */
	enum bl_attach_status attach;
	char *attach_why;
	enum bl_swap_way swap;
	/* While the workload ran: runs, their time, runs that were skipped
	 * (recursion_misses, since 5.12). */
	uint64_t runs, run_ns, missed;
};

struct bl_facts_map {
	char *name;
	uint64_t bytes; /* that the kernel charges for it; 0: not known */
};

/* A workload ran while the object was attached. */
struct bl_facts_exercise {
	bool ran;
	char *why_not; /* "" if it ran */
	bool sensor;   /* belay's: events and counters are known */
	/* Bit 1 << kind: what its content reports at all; and of what the
	 * workload did. */
	unsigned reports, visible;
	uint64_t wall_ms;
	uint64_t done[BL_EVENT_KINDS];	 /* operations of the workload */
	uint64_t shown[BL_EVENT_KINDS];	 /* of these, those with an event */
	uint64_t forks;			 /* beyond those of exec */
	uint64_t events[BL_EVENT_KINDS]; /* that came out of the ring */
	uint64_t seen, emitted, dropped, torn, denied; /* its own counters */
	uint64_t ns_per_run; /* median over the workload's rounds */
	uint64_t prog_bytes; /* kernel memory of the programs */
	uint64_t map_bytes;
	unsigned splats;
	char *first_splat; /* line of the kernel's log */
	/* Of a module: what this machine could do before, and not with it: open
	 * a file, run a program, connect to itself. "": nothing. */
	char *broken;
	uint64_t grown_bytes; /* of a module: more kernel memory than before */
	char *unseen;	      /* of a module: what could not be looked at, and
			       * why; "" or NULL: nothing */
};

/* new → previous → new under numbered operations, overlapping. Of a module: out
 * and in again; worst_ms is the gap then, and nothing is numbered. */
struct bl_facts_swap {
	bool ran;
	char *why_not; /* "" if it ran */
	unsigned switches;
	uint64_t sent, lost, doubled; /* operations: all, without any event,
					 with more than one */
	uint64_t worst_ms;	      /* the longest switch, attach to detach */
	/* Of a module, which goes out and in again: splats meanwhile, and a
	 * function that had its hook when it was gone ("": none). */
	unsigned splats;
	char *first_splat, *left_behind;
	char *unseen; /* as above */
};

struct bl_facts {
	struct bl_facts_program *programs;
	size_t program_count;
	struct bl_facts_map *maps;
	size_t map_count;
	struct bl_facts_exercise exercise;
	struct bl_facts_swap swap;
	struct bl_buf notes; /* what was assumed, one line each */
};

void bl_facts_free(struct bl_facts *f);

/* Whether the object loads as its loader would load it: every program that is
 * not optional was accepted, and there is one. */
bool bl_facts_loads(const struct bl_facts *f);

#endif
