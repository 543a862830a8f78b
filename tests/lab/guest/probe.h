/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of sensor_probe share. One object is loaded per run. */
#ifndef BL_TESTS_LAB_GUEST_PROBE_H
#define BL_TESTS_LAB_GUEST_PROBE_H

#include <bpf/libbpf.h>
#include <stdbool.h>

#include "loader/base/buf.h"
#include "loader/base/cleanup.h"
#include "loader/bundle/content.h"

/* Of the events that this run's load causes. */
#define GENERATION 77

extern unsigned failures, checks;
void fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void die(const char *what) __attribute__((noreturn));

#define CHECK(cond)                        \
	do {                               \
		checks++;                  \
		if (!(cond))               \
			fail("%s", #cond); \
	} while (0)
#define MUST(cond)                  \
	do {                        \
		if (!(cond))        \
			die(#cond); \
	} while (0)

extern struct bl_buf bin; /* the content, from open_object() on */
extern struct bpf_object *obj;
extern struct ring_buffer *ring;

/* Opens the object and prepares it for load, @lsm: with the LSM programs. */
void open_object(const char *path, bool lsm);
/* Opens, loads, fills in the content, attaches everything. */
void start(const char *path, bool lsm, ring_buffer_sample_fn on_event);
void drain(void);
struct bl_stats stats(void); /* of all CPUs */
int touch(const char *path); /* opens, creates if need be; 0 or -errno */

/* Modes; each 0 when it came to its end. */
int events_mode(const char *path);
int stress_mode(const char *path);
int flood_mode(const char *path);
int load_mode(const char *path);
int oob_mode(const char *path);

#endif
