/* SPDX-License-Identifier: Apache-2.0 */
/* In a guest: waits for its job (job.h) and unpacks it into "/". */
#ifndef BL_LAB_RECEIVE_H
#define BL_LAB_RECEIVE_H

#include "loader/base/err.h"

/*
 * Says on the second serial port that the guest waits; the machine may be saved
 * from then on and wake up as another one. Returns when the job has come, the
 * clock is set and the kernel's random numbers are others than those of any
 * guest that woke up from the same state. Only for a guest's init.
 */
int bl_lab_receive(struct bl_err *err);

#endif
