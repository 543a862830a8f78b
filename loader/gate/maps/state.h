/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Check "state": what a host will do with the entries of the previous version's
 * maps when this bundle takes its place. It asks who will decide it there
 * (loader/object/carry.h), so that both say the same.
 *
 *	kept, migrated		pass
 *	reset			pass, if the manifest says so or it is the
 *				nature of the map
 *	another sensor's	warn: their manifests have different names, so
 *				nothing is carried over
 *	refused			reject, with what to write in the manifest
 *	gone, and held state	warn: what it holds goes with the old version
 *	lost on the way back	warn: a rollback to the previous version would
 *				begin with it empty
 *	maps cannot be read	undecided
 */
#ifndef BL_GATE_STATE_H
#define BL_GATE_STATE_H

#include "loader/gate/finding.h"
#include "loader/object/carry.h"
#include "loader/object/object.h"

/*
 * Adds at least one finding to *report. @words: those of the new version's
 * manifest; @other_sensor: its name is not that of the previous one's. 0 or as
 * bl_report_add.
 */
int bl_state_check(const struct bl_object *now,
		   const struct bl_object *previous,
		   const struct bl_carry_rules *words, bool other_sensor,
		   struct bl_report *report);

#endif
