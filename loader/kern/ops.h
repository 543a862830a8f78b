/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The seam between a host transaction and the kernel.
 *
 * loader/host knows the kernel only through struct bl_kern_ops. slots/kern_bpf
 * implements it with libbpf, kmod/kern_kmod with kernel modules, both with
 * whichever of the two a generation needs; tests/support/fake_kern.c with a
 * model that can fail, and be killed, at every step.
 *
 * A host has two slots. Each holds at most one generation: programs, the maps
 * that belong to them, and links. What is pinned survives the process; what is
 * only held dies with it. Slots share no map but those that hold state and are
 * kept (bl_generation.carry), so that programs of one generation never read
 * content of another.
 *
 *	         programs, maps   called by          survives the process
 *	stage    pinned           nobody             yes, but nothing runs
 *	attach   pinned           dispatchers, for   until the lease runs out;
 *				  a lease; links     held links detach at once,
 *				  held by the        replaced ones when the slot
 *				  process            is retired
 *	persist  pinned           the same; links,   links do; what is
 *				  pinned             dispatched as above
 *	retire   pinned           dispatchers, for   yes; what can refuse does
 *	 other			  good; links        so while its lease is
 *						     renewed
 *	retire   gone             nobody
 *
 * Of a kernel module there is one at a time, under one name. So it is exchanged:
 * attach takes the old one out and then puts the new one in, retire of the one on
 * trial the other way round, and in between there is none. It outlives its
 * loader, so a trial whose loader died goes on until somebody recovers. What
 * a slot holds are files: what it takes to put the module in again.
 *
 * Dispatchers belong to no slot: one for each hook, attached when the first
 * generation that needs it is staged, gone with the last. One word that all of
 * them read names the live slot and the one on trial, so that attach, persist
 * and retire switch all hooks at once. strategy.h has which programs can be
 * dispatched.
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
#define BL_KERN_HOOK_LEN     160
#define BL_KERN_TAG_LEN	     17 /* 16 hex digits and NUL */
#define BL_KERN_BOOT_ID_LEN  37 /* a UUID as text and NUL */

/* How the programs of one generation give way to those of the next. */
enum bl_strategy {
	BL_STRATEGY_OVERLAP,  /* beside the old one, which goes after it */
	BL_STRATEGY_REPLACE,  /* its link is given the other program */
	BL_STRATEGY_DISPATCH, /* one write switches all hooks */
	BL_STRATEGY_EXCHANGE, /* out with the old one, then in with it: a module */
	BL_STRATEGIES,
};
const char *bl_strategy_name(enum bl_strategy strategy);

/* Whether a program that can refuse does so only while somebody renews it. */
enum bl_lease {
	BL_LEASE_NONE,	 /* it only observes */
	BL_LEASE_KEPT,	 /* not renewed: its hook allows */
	BL_LEASE_WAIVED, /* the manifest says so: it refuses for ever */
};
/* "none", "kept", "no lease" */
const char *bl_lease_name(enum bl_lease lease);

/* Until the kernel by itself goes back to what was live before the trial. */
#define BL_KERN_TRIAL_LEASE_MS 5000
/* Until programs that refuse are not asked any more. */
#define BL_KERN_VERDICT_LEASE_MS 15000

/* What the manifest says about one program. */
enum bl_wish {
	BL_WISH_NONE,
	BL_WISH_DISPATCH,
	BL_WISH_REPLACE,
	BL_WISH_OVERLAP,
};

#define BL_KERN_WISHES_MAX 32
struct bl_kern_wish {
	const char *program;
	enum bl_wish strategy;
	bool no_lease;	       /* it may refuse without one */
	const char *cgroup;    /* path below the root of cgroups; NULL */
	const char *interface; /* NULL */
};

/* A kernel module's file, as it was built for one kernel. */
struct bl_kern_module {
	const char *file; /* for messages */
	const void *data;
	size_t len;
};

#define BL_KERN_MODULES_MAX 16

/* What is to be loaded. All borrowed for the time of the call. */
struct bl_generation {
	const char *name;   /* for messages */
	uint32_t number;    /* goes into every event */
	const void *object; /* NULL: it has modules */
	size_t object_len;
	/* Of which one is for the kernel that runs; 0 of them: an object. */
	struct bl_kern_module modules[BL_KERN_MODULES_MAX];
	size_t module_count;
	const void *content; /* binary form; NULL if the bundle has none */
	size_t content_len;
	bool denies; /* the content has deny rules: load the LSM hooks */
	/* Which of its maps begin with the entries of the other slot's; NULL:
	 * none. Those that are shared are from stage on, those that are copied
	 * are copied by attach, as late as can be. */
	const struct bl_carry *carry;
	struct bl_kern_wish wishes[BL_KERN_WISHES_MAX];
	size_t wish_count;
};

struct bl_kern_program {
	char name[BL_KERN_NAME_LEN];
	char tag[BL_KERN_TAG_LEN]; /* the kernel's, as in an oops */
	uint32_t id;
	enum bl_strategy strategy;
	enum bl_lease lease;
	char hook[BL_KERN_HOOK_LEN]; /* "fentry/security_file_open" */
};

struct bl_kern_staged {
	unsigned count;
	struct bl_kern_program program[BL_KERN_PROGRAMS_MAX];
	bool sensor; /* has belay's maps: events and counters are known */
};

enum bl_kern_slot_kind {
	BL_KERN_SLOT_EMPTY,
	BL_KERN_SLOT_STAGED,   /* programs, and not one that is called */
	BL_KERN_SLOT_ATTACHED, /* at least one that is */
};

struct bl_kern_slot_state {
	enum bl_kern_slot_kind kind;
	/* Programs that the kernel calls: linked, by this process or pinned, or
	 * dispatched and named by the state word. */
	unsigned attached;
	unsigned persisted; /* of these, what outlives their loader */
	unsigned lost; /* not of these: their interface or cgroup is gone */
	struct bl_kern_staged programs;
	uint64_t verdict_left_ms; /* of the lease; 0: it ran out */
	/* Of an exchange: how long nothing was called when the last attach or
	 * retire put this one in. 0: it was none, or not measured from begin to
	 * end, since that takes one process that lives. */
	uint64_t gap_us;
};

/* Counters since stage. Those from seen on are 0 unless sensor. */
struct bl_kern_sample {
	unsigned programs, attached;
	unsigned lost;			 /* as in bl_kern_slot_state */
	uint64_t run_count, run_time_ns; /* while statistics were on */
	/* Runs that the kernel skipped, since another task was preempted inside
	 * the program on that CPU (7.x, preempt=full). No counter of the sensor
	 * knows of them. 0 before 5.12. */
	uint64_t missed;
	uint64_t memory_bytes; /* of the kernel, programs and maps; 0: unknown */
	/* How much more of what the kernel keeps without telling for whom (slabs
	 * that cannot be reclaimed) than before it came. Of modules only; 0:
	 * not more, or not known. */
	uint64_t grown_bytes;
	unsigned cpus; /* of the host, that may run programs */
	bool sensor;
	uint64_t seen, events, drops, torn, denied;
	/* Files that were hashed for rules about digests; programs that ran and
	 * were not looked at, so that no such rule could match. */
	uint64_t hashed, unhashed;
};

/* What should have been reported and was not, as far as anybody can tell. */
static inline uint64_t bl_kern_lost(const struct bl_kern_sample *s)
{
	return s->drops + s->torn + s->missed;
}

#define BL_KERN_SPLAT_LEN   256
#define BL_KERN_SPLATS_TEXT 16384
/* Zero-initialise; the first call only marks the end of the log. */
struct bl_kern_splats {
	bool started;
	unsigned count;		       /* since the first call */
	char first[BL_KERN_SPLAT_LEN]; /* the first line of the first one */
	/* All lines of all of them, as far as there is room. */
	char text[BL_KERN_SPLATS_TEXT];
	size_t text_len;
	bool open;	/* the end of the last one has not come yet */
	unsigned lines; /* of that one */
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
	 * which must be empty, and puts programs behind dispatchers, which do
	 * not call them yet. On failure the slot may be half made: retire it.
	 */
	int (*stage)(void *kern, enum bl_slot slot,
		     const struct bl_generation *gen,
		     struct bl_kern_staged *ret, struct bl_err *err);

	/* Puts what this instance staged on trial: for BL_KERN_TRIAL_LEASE_MS
	 * from now, or for as long as this process holds it. What is in the
	 * other slot stays and takes over when the trial ends. */
	int (*attach)(void *kern, enum bl_slot slot, struct bl_err *err);

	/* Pins the links of what this instance attached and lets go of them:
	 * from then on whoever retires the slot ends it, though this process
	 * lives on. What is dispatched stays on its lease, so that a death
	 * before the commit is durable still leads to the old generation;
	 * retire the other slot to end that. */
	int (*persist)(void *kern, enum bl_slot slot, struct bl_err *err);

	/* Renews the trial's lease, if @slot is on trial, for @trial_ms from
	 * now (-ETIME if it has run out: the kernel went back by itself); and the lease of verdicts, if @slot is live or on trial, for
	 * @verdict_ms. 0 leaves one as it is. Cheap. */
	int (*renew)(void *kern, enum bl_slot slot, uint64_t trial_ms,
		     uint64_t verdict_ms, struct bl_err *err);

	/* Ends and unpins all of the slot. From then on the kernel calls the
	 * other slot's programs for good, if it called this slot's or the other
	 * one is on trial (nobody, if that is empty).
	 * Idempotent; works on half-made slots and on what another process
	 * left. */
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
	 * What is left in a ring that this instance read before may be read
	 * even after the slot is retired. Without @fn nothing is read, and 1
	 * returned if anything was ever written to the ring. -ENOENT if the slot has no ring,
	 * -EINTR on a signal. */
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
