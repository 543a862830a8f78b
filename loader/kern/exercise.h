/* SPDX-License-Identifier: Apache-2.0 */
/* A little activity that sensors see: file opens, an exec, a connect. */
#ifndef BL_KERN_EXERCISE_H
#define BL_KERN_EXERCISE_H

#include "loader/base/err.h"

#define BL_EXERCISE_OPENS 16

/*
 * Leaves nothing behind, sends nothing. What a sensor denies counts as done.
 * -EAGAIN, -ENOMEM … when no process could be made.
 */
int bl_exercise(struct bl_err *err);

#endif
