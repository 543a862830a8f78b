/* SPDX-License-Identifier: Apache-2.0 */
/* The verbs of the belay command, each defined in its own folder's cmd_*.c. */
#ifndef BL_VERBS_H
#define BL_VERBS_H

#include "loader/base/cli.h"

int bl_cmd_check(int argc, char **argv, struct bl_err *err);
int bl_cmd_probe(int argc, char **argv, struct bl_err *err);
int bl_cmd_bundle(int argc, char **argv, struct bl_err *err);
int bl_cmd_bundle_pull(int argc, char **argv, struct bl_err *err);
int bl_cmd_bundle_sign(int argc, char **argv, struct bl_err *err);
int bl_cmd_bundle_verify(int argc, char **argv, struct bl_err *err);
int bl_cmd_content(int argc, char **argv, struct bl_err *err);
int bl_cmd_trust(int argc, char **argv, struct bl_err *err);
int bl_cmd_apply(int argc, char **argv, struct bl_err *err);
int bl_cmd_confirm(int argc, char **argv, struct bl_err *err);
int bl_cmd_status(int argc, char **argv, struct bl_err *err);
int bl_cmd_rollback(int argc, char **argv, struct bl_err *err);
int bl_cmd_history(int argc, char **argv, struct bl_err *err);
int bl_cmd_remove(int argc, char **argv, struct bl_err *err);
int bl_cmd_recover(int argc, char **argv, struct bl_err *err);
int bl_cmd_events(int argc, char **argv, struct bl_err *err);
int bl_cmd_agent(int argc, char **argv, struct bl_err *err);
int bl_cmd_controller(int argc, char **argv, struct bl_err *err);
int bl_cmd_rollout(int argc, char **argv, struct bl_err *err);
int bl_cmd_host(int argc, char **argv, struct bl_err *err);
int bl_cmd_compare(int argc, char **argv, struct bl_err *err);
int bl_cmd_simulate(int argc, char **argv, struct bl_err *err);
int bl_cmd_lab(int argc, char **argv, struct bl_err *err);

#endif
