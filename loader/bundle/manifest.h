/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The manifest: what a bundle is made of, what its trial on a host must show
 * and what its exercise in the gate. Strict JSON; an unknown key, a wrong type
 * or a number out of range is an error with file, line and field.
 *
 *	{
 *	  "name": "belay-sensor",
 *	  "version": "1.2.0",
 *	  "object": "sensor.bpf.o",
 *	  "content": "content.json",
 *	  "trial": {
 *	    "probation_ms": 10000,
 *	    "max_drop_ratio": 0.01,
 *	    "max_ns_per_event": 1000000,
 *	    "min_events": 1,
 *	    "max_memory_bytes": 268435456,
 *	    "max_cpu_ratio": 0.25
 *	  },
 *	  "exercise": {
 *	    "expect": ["exec", "open", "connect"],
 *	    "max_drop_ratio": 0.01,
 *	    "max_ns_per_event": 1000000,
 *	    "max_memory_bytes": 268435456
 *	  },
 *	  "state": { "counts": "keep", "peers": "migrate", "cache": "reset" },
 *	  "programs": { "drop_all": { "interface": "eth0", "lease": false } }
 *	}
 *
 * name, version and object are required. object and content are file names,
 * never paths: the files lie beside the manifest when the bundle is built, and
 * carry these names inside it. Without content the object brings its own.
 *
 * In the place of object, for a sensor that is a kernel module:
 *
 *	  "modules": [ "belay_sensor-5.10.ko", "belay_sensor-6.1.ko" ],
 *
 * the same sensor built for one kernel each, at most BL_MODULES_MAX files. They
 * are told apart by the kernel that each was built for (modules.h). There is
 * neither state nor programs then: both speak of what an object has.
 *
 * trial, exercise and each of their keys may be left out; the values above are
 * then used. Without expect, the kinds of events that the content reports are
 * expected; an empty list expects none.
 *
 * state says what an update does with the entries of the object's maps, by
 * name; loader/object/carry.h has the words. A map that is not named keeps its
 * entries while its form is what it was. Versions of one sensor have one name:
 * a bundle of another name takes over nothing. At most BL_CARRY_RULES_MAX names, each
 * of at most BL_CARRY_NAME_MAX letters, digits, _ and dots. Whether the object
 * has such maps is checked where the object is at hand (bundle.h).
 *
 * programs says where single programs belong and how they are exchanged
 * (programs.h); that the object has them is checked as for maps.
 */
#ifndef BL_BUNDLE_MANIFEST_H
#define BL_BUNDLE_MANIFEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/event.h"
#include "loader/base/err.h"
#include "loader/base/file.h"
#include "loader/bundle/modules.h"
#include "loader/bundle/programs.h"
#include "loader/object/carry.h"

#define BL_MANIFEST_MAX (64u * 1024) /* bytes of a manifest */

#define BL_TRIAL_PROBATION_MS	  10000
#define BL_TRIAL_MAX_DROP_RATIO	  0.01
#define BL_TRIAL_MAX_NS_PER_EVENT 1000000
#define BL_TRIAL_MIN_EVENTS	  1
#define BL_TRIAL_MAX_MEMORY_BYTES (256u << 20)
#define BL_TRIAL_MAX_CPU_RATIO	  0.25

#define BL_EXERCISE_MAX_DROP_RATIO   0.01
#define BL_EXERCISE_MAX_NS_PER_EVENT 1000000
#define BL_EXERCISE_MAX_MEMORY_BYTES (256u << 20)

/* The conditions under which a host commits a new generation. */
struct bl_trial_limits {
	uint64_t probation_ms;	   /* 0: commit at the first good probe */
	double max_drop_ratio;	   /* of events, of operations; 0 to 1 */
	uint64_t max_ns_per_event; /* per run of a program; a median */
	uint64_t min_events;	   /* fewer in all of the trial is a failure */
	uint64_t max_memory_bytes; /* of the kernel: programs and maps */
	double max_cpu_ratio;	   /* of all processors' time; a median */
};

#define BL_EXPECT(kind) (1u << (kind)) /* enum bl_event_kind */
#define BL_EXPECT_ALL	(BL_EXPECT(BL_EVENT_KINDS) - 1)

/* What the gate asks of a sensor that is attached while a workload runs. */
struct bl_exercise_limits {
	bool expect_given;	   /* false: as the content has it */
	unsigned expect;	   /* BL_EXPECT(kind) of those that must come */
	double max_drop_ratio;	   /* of what it should have seen; 0 to 1 */
	uint64_t max_ns_per_event; /* per run of a program; a median */
	uint64_t max_memory_bytes; /* of the kernel: programs and maps */
};

/* What holds when a manifest, or there being none, says nothing. */
struct bl_exercise_limits bl_exercise_defaults(void);

struct bl_manifest {
	char name[BL_NAME_MAX + 1];
	char version[BL_NAME_MAX + 1];
	char object[BL_NAME_MAX + 1]; /* file name; "" if modules */
	struct bl_manifest_modules modules;
	char content[BL_NAME_MAX + 1]; /* file name, "" if none */
	struct bl_trial_limits trial;
	struct bl_exercise_limits exercise;
	struct bl_carry_rules state;
	struct bl_manifest_programs programs;
};

/*
 * Reads a manifest; @name is its file name for messages. -EBADMSG when it is
 * not a manifest. *ret is whole or untouched.
 */
int bl_manifest_parse(const char *name, const char *text, size_t len,
		      struct bl_manifest *ret, struct bl_err *err);

#endif
