/* SPDX-License-Identifier: Apache-2.0 */
/* Verbs whose folder is not there yet say so. Each goes with its folder. */
#include <errno.h>

#include "loader/verbs.h"

#define PENDING(name)                                                     \
	__attribute__((weak)) int name(int argc, char **argv,             \
				       struct bl_err *err)                \
	{                                                                 \
		(void)argc;                                               \
		bl_err_set(err, -ENOSYS, "%s is not built yet", argv[0]); \
		return BL_EXIT_UNDECIDED;                                 \
	}

PENDING(bl_cmd_check)
PENDING(bl_cmd_bundle)
PENDING(bl_cmd_apply)
PENDING(bl_cmd_status)
PENDING(bl_cmd_rollback)
PENDING(bl_cmd_history)
PENDING(bl_cmd_recover)
PENDING(bl_cmd_events)
PENDING(bl_cmd_agent)
PENDING(bl_cmd_controller)
PENDING(bl_cmd_rollout)
PENDING(bl_cmd_host)
PENDING(bl_cmd_lab)
