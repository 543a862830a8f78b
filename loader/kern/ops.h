/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The seam between a host transaction and the kernel.
 *
 * loader/host knows the kernel only through struct bl_kern_ops. kern_bpf.c
 * implements it with libbpf; tests/support/fake_kern.c with a model that can
 * fail, and be killed, at every step.
 *
 * A host has two slots. Each holds at most one generation: programs, the maps
 * that belong to them, and links. What is pinned survives the process; what is
 * only held dies with it. Slots share no map but those that hold state and are
 * kept (bl_generation.carry), so that programs of one generation never read
 * content of another.
 *
 *	         programs, maps   links      survives death of the process
 *	stage    pinned           none       yes, but nothing runs
 *	attach   pinned           held       no: it detaches
 *	persist  pinned           pinned     yes
 *	retire   gone             gone
 *
 * Contract of every operation: 0 or -errno with err set, @kern is the
 * instance. The caller is single-threaded and holds the host's lock for all
 * that change something (stage, attach, persist, retire).
 */
#ifndef BL_KERN_OPS_H
#define BL_KERN_OPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "loader/base/err.h"

struct bl_carry;    /* loader/object/carry.h */
struct bl_event;    /* bpf/event.h */
struct bl_map_fact; /* loader/object/carry.h */

enum bl_slot { BL_SLOT_A, BL_SLOT_B };
#define BL_SLOT_COUNT 2

#define BL_KERN_PROGRAMS_MAX 64
#define BL_KERN_NAME_LEN     64
#define BL_KERN_TAG_LEN	     17 /* 16 hex digits and NUL */
#define BL_KERN_BOOT_ID_LEN  37 /* a UUID as text and NUL */

/* What is to be loaded. All borrowed for the time of the call. */
struct bl_generation {
	const char *name; /* for messages */
	uint32_t number;  /* goes into every event */
	const void *object;
	size_t object_len;
	const void *content; /* binary form; NULL if the bundle has none */
	size_t content_len;
	bool denies; /* the content has deny rules: load the LSM hooks */
	/* Which of its maps begin with the entries of the other slot's; NULL:
	 * none. Those that are shared are from stage on, those that are copied
	 * are copied by attach, as late as can be. */
	const struct bl_carry *carry;
};

struct bl_kern_program {
	char name[BL_KERN_NAME_LEN];
	char tag[BL_KERN_TAG_LEN]; /* the kernel's, as in an oops */
	uint32_t id;
};

struct bl_kern_staged {
	unsigned count;
	struct bl_kern_program program[BL_KERN_PROGRAMS_MAX];
	bool sensor; /* has belay's maps: events and counters are known */
};

enum bl_kern_slot_kind {
	BL_KERN_SLOT_EMPTY,
	BL_KERN_SLOT_STAGED,   /* programs, and not one link */
	BL_KERN_SLOT_ATTACHED, /* at least one link, held or pinned */
};

struct bl_kern_slot_state {
	enum bl_kern_slot_kind kind;
	unsigned attached;  /* links, held by this process or pinned */
	unsigned persisted; /* of these, the pinned ones */
	struct bl_kern_staged programs;
};

/* Counters since stage. Those from seen on are 0 unless sensor. */
struct bl_kern_sample {
	unsigned programs, attached;
	uint64_t run_count, run_time_ns; /* while statistics were on */
	/* Runs that the kernel skipped, since another task was preempted inside
	 * the program on that CPU (7.x, preempt=full). No counter of the sensor
	 * knows of them. 0 before 5.12. */
	uint64_t missed;
	uint64_t memory_bytes; /* of the kernel, programs and maps; 0: unknown */
	unsigned cpus;	       /* of the host, that may run programs */
	bool sensor;
	uint64_t seen, events, drops, torn, denied;
};

/* What should have been reported and was not, as far as anybody can tell. */
static inline uint64_t bl_kern_lost(const struct bl_kern_sample *s)
{
	return s->drops + s->torn + s->missed;
}

#define BL_KERN_SPLAT_LEN 256
/* Zero-initialise; the first call only marks the end of the log. */
struct bl_kern_splats {
	bool started;
	unsigned count;		       /* since the first call */
	char first[BL_KERN_SPLAT_LEN]; /* the first line of the first one */
};

/*
 * One event as it left the ring, @len bytes of it readable and at least
 * sizeof its header. Non-zero ends the reading (that event counts as read).
 */
typedef int (*bl_event_fn)(void *ctx, const struct bl_event *event, size_t len);

struct bl_kern_ops {
	/* -EOPNOTSUPP if this kernel cannot run @gen as it is meant (deny rules
	 * without BPF LSM), -ENODEV if there is nowhere to pin. Changes
	 * nothing. */
	int (*check)(void *kern, const struct bl_generation *gen,
		     struct bl_err *err);

	/* Loads @gen, fills its content, pins programs and maps in the slot,
	 * which must be empty. Nothing is attached. On failure the slot may be
	 * half made: retire it. */
	int (*stage)(void *kern, enum bl_slot slot,
		     const struct bl_generation *gen,
		     struct bl_kern_staged *ret, struct bl_err *err);

	/* Makes what this instance staged live, held by this process only. */
	int (*attach)(void *kern, enum bl_slot slot, struct bl_err *err);

	/* Pins the links of what this instance attached and lets go of them:
	 * from then on whoever retires the slot detaches it, though this
	 * process lives on. */
	int (*persist)(void *kern, enum bl_slot slot, struct bl_err *err);

	/* Detaches and unpins all of the slot. Idempotent; works on half-made
	 * slots and on what another process left. */
	int (*retire)(void *kern, enum bl_slot slot, struct bl_err *err);

	/* The slot's map of that name; BL_MAP_GONE, if it has none. -errno when
	 * that cannot be told: *ret is untouched. Changes nothing. */
	int (*map)(void *kern, enum bl_slot slot, const char *name,
		   struct bl_map_fact *ret, struct bl_err *err);

	int (*inspect)(void *kern, enum bl_slot slot,
		       struct bl_kern_slot_state *ret, struct bl_err *err);
	int (*sample)(void *kern, enum bl_slot slot, struct bl_kern_sample *ret,
		      struct bl_err *err);

	/* Reads the slot's ring: what is there, or the first to come within
	 * @timeout_ms (0: do not wait). Returns how many events were read.
	 * -ENOENT if the slot has no ring, -EINTR on a signal. */
	int (*events)(void *kern, enum bl_slot slot, int timeout_ms,
		      bl_event_fn fn, void *ctx, struct bl_err *err);

	/* Counts WARN, BUG, Oops and the like that came into the kernel's log
	 * since the first call with this @state. */
	int (*splats)(void *kern, struct bl_kern_splats *state,
		      struct bl_err *err);

	/* A little activity for the hooks to see: open, exec, connect (without
	 * a packet). */
	int (*exercise)(void *kern, struct bl_err *err);

	int (*boot_id)(void *kern, char ret[static BL_KERN_BOOT_ID_LEN],
		       struct bl_err *err);
};

#endif
