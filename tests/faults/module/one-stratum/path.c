// SPDX-License-Identifier: GPL-2.0-only
/* The mistake of null-dereference, on kernels from 6.12 on. */
#include <linux/version.h>

#define FAULT_IF (LINUX_VERSION_CODE >= KERNEL_VERSION(6, 12, 0))
#include "tests/faults/module/null-dereference/path.c"
