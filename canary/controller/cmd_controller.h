/* SPDX-License-Identifier: Apache-2.0 */
/* The verbs of `belay controller` that have a file of their own. */
#ifndef BL_CANARY_CMD_CONTROLLER_H
#define BL_CANARY_CMD_CONTROLLER_H

#include "loader/base/err.h"

int bl_cmd_controller_init(int argc, char **argv, struct bl_err *err);
int bl_cmd_controller_operator(int argc, char **argv, struct bl_err *err);

#endif
