/* SPDX-License-Identifier: Apache-2.0 */
/* Time for a host under test: it stands still until somebody sleeps. */
#ifndef FAKE_CLOCK_H
#define FAKE_CLOCK_H

#include "loader/host/host.h"

/* Starts at 2024-07-19T03:59:00Z. */
extern const struct bl_host_clock fake_clock;

#endif
