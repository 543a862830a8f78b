/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the guest of bench_sensor said, and what is told of it: rows of the
 * bench, and DIR/sensor.overhead.json, the shape of which is in README.md.
 *
 *	struct sensor_report r = { .kernel = release };
 *	sensor_report_read (once for each clock) → sensor_report_write
 */
#ifndef BL_TESTS_SENSOR_REPORT_H
#define BL_TESTS_SENSOR_REPORT_H

#include <jansson.h>
#include <stdbool.h>

#include "bpf/event.h"
#include "loader/base/err.h"
#include "tests/bench/sensor_ops.h"

#define SENSOR_TURNS_MAX 64

enum sensor_clock { SENSOR_INSTRUCTIONS, SENSOR_NS, SENSOR_CLOCKS };

enum sensor_way {
	SENSOR_BASELINE,
	SENSOR_MODULE,
	SENSOR_DISPATCH,
	SENSOR_DIRECT,
	SENSOR_WAYS,
};

enum sensor_indicators { SENSOR_NONE, SENSOR_SOME, SENSOR_MANY, SENSOR_SIZES };

struct sensor_samples {
	double value[SENSOR_TURNS_MAX]; /* sorted by sensor_report_write */
	unsigned count;
};

struct sensor_flood {
	unsigned long long sent, read, dropped;
};

#define SENSOR_PEERS 2

/* bpftrace, sysdig: sensor_peers.h */
struct sensor_peer {
	char why[256]; /* "": it was measured */
	double value[SENSOR_CLOCKS][SENSOR_PEER_KINDS][SENSOR_ELSEWHERE];
	/* Lines that it wrote of the operations, by the first clock. */
	unsigned long reported[SENSOR_PEER_KINDS][SENSOR_ELSEWHERE];
};

struct sensor_report {
	const char *kernel; /* the caller's */
	struct sensor_samples samples[SENSOR_CLOCKS][SENSOR_WAYS][BL_EVENT_KINDS]
				     [SENSOR_OUTCOMES][SENSOR_SIZES];
	struct sensor_flood flood[SENSOR_WAYS];
	struct sensor_peer peers[SENSOR_PEERS];
	json_t *native; /* sensor_native.h; the report's own once it is written */
};

/* Says why a peer ("bpftrace") is not there; until then it is expected. */
void sensor_report_absent(struct sensor_report *r, const char *peer,
			  const char *why);

/* Takes in all that a guest with that clock said. -EBADMSG: not to its end. */
int sensor_report_read(struct sensor_report *r, enum sensor_clock clock,
		       const char *output, struct bl_err *err);

/* Adds the bench's rows, writes the JSON, says what is in no row. Ends the bench
 * if it cannot. */
void sensor_report_write(struct sensor_report *r);

#endif
