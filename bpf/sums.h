/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * What a sensor and its loader agree on about the digests of programs: for
 * bpf/sensor_sums.h, and for who decides what is loaded.
 */
#ifndef BL_BPF_SUMS_H
#define BL_BPF_SUMS_H

/* What the names of programs begin with that are loaded only for content with
 * rules for digests. */
#define BL_SUM_PROGRAM "bl_sum"
/* Of these, those that hash: once for each version of a file, and perhaps wait
 * for a disk. What that takes is no cost of an event. */
#define BL_SUM_FILL "bl_sum_fill"

/* The digests that are known: its loader gives it BL_SUMS_KEPT entries for such
 * content, 2.5 MB of the kernel's memory. */
#define BL_SUMS_MAP  "bl_sums"
#define BL_SUMS_KEPT 16384

/* Larger files are not hashed: who executes one would wait too long. */
#define BL_SUM_BYTES_MAX (64 << 20)

#endif
