/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether this process may do what a host transaction asks of the kernel, said
 * before anything is touched. For loader/kern only.
 */
#ifndef BL_KERN_PRIVILEGE_H
#define BL_KERN_PRIVILEGE_H

#include "loader/base/err.h"

/* -EPERM with what is missing. A container may refuse more than this sees. */
int bl_privilege_check(struct bl_err *err);

#endif
