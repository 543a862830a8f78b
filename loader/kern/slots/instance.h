/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of struct bl_kern_bpf, for loader/kern only. */
#ifndef BL_KERN_INSTANCE_H
#define BL_KERN_INSTANCE_H

#include <bpf/libbpf.h>

#include "loader/kern/sensor.h"
#include "loader/kern/slots/kern_bpf.h"
#include "loader/kern/slots/pins.h"
#include "loader/kern/slots/plan.h"
#include "loader/kern/slots/runs.h"
#include "loader/kern/slots/state_maps.h"

struct bl_kern_reader {
	struct ring_buffer *ring;
	uint32_t map_id; /* of the map that ring reads */
	/* Of the call that is reading now. */
	bl_event_fn fn;
	void *ctx;
	int count;
};

struct bl_kern_held {
	struct bpf_object *object; /* NULL: this instance staged nothing */
	struct bl_plan plan;
	bool attached;		       /* and not yet persisted */
	struct bl_state_copies copies; /* to be made before it is attached */
};

struct bl_kern_bpf {
	char *pin_dir;
	struct bl_kern_held held[BL_SLOT_COUNT];
	struct bl_kern_reader readers[BL_SLOT_COUNT];
	int stats_fd; /* run time statistics are on while it is open; -1 */
	int kmsg_fd;  /* -1 */
};

/* load.c: whether this kernel can have the programs of @gen as its manifest
 * wants them (-EOPNOTSUPP); and the load into @slot, which fills k->held[slot]
 * and pins nothing. */
int bl_kern_plan_check(const struct bl_generation *gen, struct bl_err *err);
int bl_kern_load(struct bl_kern_bpf *k, enum bl_slot slot,
		 const struct bl_generation *gen, bool *ret_sensor,
		 struct bl_err *err);

int bl_kern_inspect(void *kern, enum bl_slot slot,
		    struct bl_kern_slot_state *ret, struct bl_err *err);
int bl_kern_sample(void *kern, enum bl_slot slot, struct bl_kern_sample *ret,
		   struct bl_err *err);
int bl_kern_events(void *kern, enum bl_slot slot, int timeout_ms,
		   bl_event_fn fn, void *ctx, struct bl_err *err);
void bl_kern_reader_close(struct bl_kern_reader *reader);

/* Name, tag and id of a loaded program, and how it ran. Both may be NULL. */
int bl_kern_program_of(const char *name, int fd, struct bl_kern_program *ret,
		       struct bl_kern_runs *ret_runs, struct bl_err *err);

#endif
