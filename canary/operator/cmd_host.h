/* SPDX-License-Identifier: Apache-2.0 */
/* The verbs of `belay host` that have a file of their own. */
#ifndef BL_CANARY_CMD_HOST_H
#define BL_CANARY_CMD_HOST_H

#include "loader/base/err.h"

int bl_cmd_host_token(int argc, char **argv, struct bl_err *err);
int bl_cmd_host_revoke(int argc, char **argv, struct bl_err *err);
int bl_cmd_host_enroll(int argc, char **argv, struct bl_err *err);

#endif
