/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Other people's sensors in the guest of bench_sensor, told to report the same
 * targets: bpftrace with a script, and sysdig over its module, which is Falco's.
 * Prints for each that is in /p
 *
 *	@@peer NAME EVENT OUTCOME TICKS REPORTED
 *
 * or "@@peer_none NAME WHY". REPORTED: how many lines it wrote of the
 * operations.
 */
#ifndef BL_TESTS_SENSOR_PEERS_H
#define BL_TESTS_SENSOR_PEERS_H

/* @count operations for each figure; of execs, @execs. */
void sensor_peers(unsigned count, unsigned execs);

#endif
