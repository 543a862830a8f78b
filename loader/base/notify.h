/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Words to the service manager that started us (sd_notify's protocol): one
 * datagram of NAME=VALUE lines to the socket that $NOTIFY_SOCKET names.
 *
 *	bl_notify("READY=1\nSTATUS=sensor 2.0 is live", NULL);
 *	every bl_notify_watchdog_ms() / 2:	bl_notify("WATCHDOG=1", NULL);
 *
 * Spoken here, and not by libsystemd: thirty lines against a library that
 * brings five others into every guest and every process.
 */
#ifndef BL_BASE_NOTIFY_H
#define BL_BASE_NOTIFY_H

#include <stdint.h>

#include "loader/base/err.h"

/* Says @lines. 0 also if nobody asked to be told (no $NOTIFY_SOCKET); -EINVAL
 * for a name that is no socket's; -errno when it cannot be sent, which a caller
 * may well ignore. Does not wait. */
int bl_notify(const char *lines, struct bl_err *err);

/* How long the manager waits for WATCHDOG=1 before it ends this process; 0: it
 * does not, or means another process ($WATCHDOG_USEC, $WATCHDOG_PID). */
uint64_t bl_notify_watchdog_ms(void);

#endif
