/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Check "replay": what a content would have done to healthy hosts. Recorded
 * benign activity (recording.h) goes through the interpreter that runs in the
 * kernel, event by event.
 *
 *	reject	a rule denies something that a healthy host did
 *	warn	a rule or a default would report so much of it that what matters
 *		is hidden
 *	pass	for each recording, what was reported and by how many rules; for
 *		each rule that matched, how often
 *
 * A recording that cannot be read, or holds nothing, is undecided.
 */
#ifndef BL_GATE_REPLAY_H
#define BL_GATE_REPLAY_H

#include "loader/gate/content/recording.h"
#include "loader/gate/finding.h"

/* Of all recorded events; more of it reported by one rule is a flood. */
#define BL_REPLAY_FLOOD_PERCENT 20

/*
 * The recordings that are built in, with content as for bl_rules_check. Adds at
 * least one finding to *report. 0, -ENOMEM, or as bl_report_add.
 */
int bl_replay_check(const char *name, const char *json, size_t json_len,
		    const void *bin, size_t bin_len, struct bl_report *report);

/* The same with other recordings. */
int bl_replay_check_with(const char *name, const char *json, size_t json_len,
			 const void *bin, size_t bin_len,
			 const struct bl_recording *recordings, size_t count,
			 struct bl_report *report);

#endif
