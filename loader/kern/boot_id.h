/* SPDX-License-Identifier: Apache-2.0 */
/* Which boot of this machine it is. */
#ifndef BL_KERN_BOOT_ID_H
#define BL_KERN_BOOT_ID_H

#include "loader/kern/ops.h"

int bl_boot_id(char ret[static BL_KERN_BOOT_ID_LEN], struct bl_err *err);

#endif
