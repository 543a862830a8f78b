/* SPDX-License-Identifier: GPL-2.0-only */
/* The next version of map-layout-before: a count was put in front of another,
 * and the entries of the old one are still there. */
#define COUNTS __u64 execs, opens
#include "tests/faults/ebpf/map-layout-before.bpf.c"
