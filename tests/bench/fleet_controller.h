/* SPDX-License-Identifier: Apache-2.0 */
/* One `belay controller` on a core of its own, and what it takes; for
 * bench_fleet. What cannot be started ends the bench. */
#ifndef BL_TESTS_FLEET_CONTROLLER_H
#define BL_TESTS_FLEET_CONTROLLER_H

#include <sys/types.h>

struct fleet_controller {
	pid_t pid;
	unsigned port;
};

/* The controller's core is 0; what measures it, and what it starts, have
 * another. */
void fleet_pin(int core);

/* @tls_dir NULL: plain HTTP. It dies with its parent. */
struct fleet_controller fleet_controller_start(const char *store_url,
					       const char *tls_dir);
void fleet_controller_stop(struct fleet_controller *c);

double fleet_controller_rss_mib(const struct fleet_controller *c);
/* Processor time of it, in seconds. */
double fleet_controller_cpu_s(const struct fleet_controller *c);
/* How long its threads were ready and did not run, in seconds. */
double fleet_controller_kept_s(const struct fleet_controller *c);

#endif
