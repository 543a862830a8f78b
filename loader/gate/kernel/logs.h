/* SPDX-License-Identifier: Apache-2.0 */
/* Where a check keeps its logs when nobody says where: CACHE/logs/check, a
 * folder per check. The newest BL_GATE_LOGS_KEPT of them stay. */
#ifndef BL_GATE_LOGS_H
#define BL_GATE_LOGS_H

#include "loader/base/err.h"

#define BL_GATE_LOGS_KEPT 32

/* Makes a new folder; the caller frees its path. */
int bl_gate_new_log_dir(char **ret_path, struct bl_err *err);

#endif
