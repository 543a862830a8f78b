/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether a program can answer anything but 0, read from its instructions. For
 * the gate, which lets a profile pass what refuses nothing, and for hosts, on
 * which such a program needs no lease. Pure.
 */
#ifndef BL_OBJECT_HARMLESS_H
#define BL_OBJECT_HARMLESS_H

#include <stdbool.h>
#include <stddef.h>

/* True if each end of the program of @size bytes has "r0 = 0" before it, which
 * nothing jumps behind, and it cannot leave by another way: it calls helpers
 * alone, neither functions of the kernel or of its own object nor, by a tail
 * call, other programs. So what it returns is 0. A program that calls a function
 * may be harmless all the same: false says only that it is not known. */
bool bl_object_harmless(const void *insns, size_t size);

#endif
