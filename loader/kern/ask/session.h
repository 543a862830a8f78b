/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One object on the running kernel, from open to close: what the gate does to
 * it there. For loader/kern only (it shows libbpf's types); others see probe.h.
 *
 *	r = bl_session_open(&part, &s, err);
 *	r = bl_session_load(s, facts, err);	(verify.c)
 *	r = bl_session_attach(s, facts, err);
 *	…a workload…
 *	bl_session_detach(s);
 *	bl_session_close(s);
 *
 * Nothing is pinned: what a session loaded and attached ends with it, or with
 * the process. libbpf is not made for hostile objects and prints through one
 * process-wide function: one thread, and a process whose death is survivable.
 */
#ifndef BL_KERN_SESSION_H
#define BL_KERN_SESSION_H

#include <bpf/libbpf.h>

#include "loader/base/buf.h"
#include "loader/base/err.h"
#include "loader/kern/ask/probe.h"
#include "loader/kern/facts.h"

struct bl_places;

struct bl_session {
	struct bl_probe_part part; /* borrowed */
	bool sensor;		   /* it has belay's maps */
	bool only_load;		   /* no step comes after the load */
	/* Loaded with every program that was accepted (if only_load, with some
	 * of them, for its maps); NULL: none was. The
	 * order of its programs is that of facts->programs. */
	struct bpf_object *object;
	struct bpf_link **links; /* as facts->programs; NULL: not attached */
	size_t link_count;
	bool attached_before;
	struct bl_places *places; /* for those whose section names none */
	struct bl_buf said;	  /* libbpf's messages since the last open */
};

/* -ENOMEM. Opens nothing yet. */
int bl_session_open(const struct bl_probe_part *part, struct bl_session **ret,
		    struct bl_err *err);
void bl_session_close(struct bl_session *s);

/*
 * A fresh copy of the object, open and ready to be loaded: nothing pinned,
 * every map with a size, a sensor with room for its content. From here on
 * s->said holds what libbpf says. NULL with errno. @notes (may be NULL) gets
 * what was assumed, one line each.
 */
struct bpf_object *bl_session_fresh(struct bl_session *s, struct bl_buf *notes);

/*
 * Asks the kernel about every program (facts->programs, ->maps, ->notes) and
 * leaves s->object loaded with those that it accepted. 0 whatever became of
 * them; -errno when libbpf cannot open the object at all, or memory ran out.
 */
int bl_session_load(struct bl_session *s, struct bl_facts *facts,
		    struct bl_err *err);

/*
 * Attaches each accepted program where its section says, or, if it names no
 * place, where places.h has one. Sets attach, attach_why and swap of each.
 * After a detach it may be called again. -ENOMEM.
 */
int bl_session_attach(struct bl_session *s, struct bl_facts *facts,
		      struct bl_err *err);

/* Detaches what is attached, in one batch; again is fine. */
void bl_session_detach(struct bl_session *s);

#endif
