/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What belay lets an object do, whatever the verifier says: checks "license"
 * and "helper". Read from the bytecode alone; no kernel is asked.
 *
 * A sensor observes and may deny through LSM. Helpers that write into other
 * processes, forge their return values or send them signals are refused.
 */
#ifndef BL_GATE_POLICY_H
#define BL_GATE_POLICY_H

#include "loader/gate/finding.h"
#include "loader/gate/object.h"

/* Adds at least one finding to *report. 0 or as bl_report_add. */
int bl_policy_check(const struct bl_object *o, struct bl_report *report);

#endif
