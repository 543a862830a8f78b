/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a healthy host did, counted: a recording of benign activity, made by
 * scripts/record (loader/gate/content/benign/README.md).
 *
 * Text, one line for each kind of event and object:
 *
 *	# anything: a comment
 *	exec 311 /usr/bin/dash
 *	script 2 /etc/init.d/cron
 *	open 12 /etc/passwd
 *	connect 2 127.0.0.1
 *	dns 4 deb.example
 *
 * A script that is executed has no event of its own, its interpreter has; but a
 * rule can deny it.
 *
 * Usage: zero-initialise a reader with its recording, then bl_recording_next
 * until it returns 0. Nothing is allocated.
 */
#ifndef BL_GATE_RECORDING_H
#define BL_GATE_RECORDING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/event.h"
#include "loader/base/err.h"

#define BL_RECORDING_MAX       (8u << 20) /* bytes */
#define BL_RECORDING_COUNT_MAX 1000000000 /* times that a line may say */

struct bl_recording {
	const char *name;	/* "boot" */
	const char *text, *end; /* needs no NUL behind it */
};

struct bl_recording_reader {
	const struct bl_recording *recording;
	size_t at;
	unsigned line; /* of what was read last */
};

struct bl_recorded {
	enum bl_event_kind kind;
	bool script;	  /* exec: may be denied, is not reported */
	uint64_t count;	  /* at least 1 */
	const char *what; /* path or address, in the recording: no NUL */
	size_t len;
	int family; /* of an address, as addr */
	uint8_t addr[16];
};

/* 1 with the next event in *ret, 0 at the end, -EBADMSG with "NAME:LINE: why",
 * -EFBIG above BL_RECORDING_MAX. */
int bl_recording_next(struct bl_recording_reader *reader,
		      struct bl_recorded *ret, struct bl_err *err);

/* Those that are built into belay. */
extern const struct bl_recording bl_benign[];
extern const size_t bl_benign_count;

#endif
