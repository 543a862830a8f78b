/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Links that are given the next generation's program, and the last one's back.
 * For loader/kern only.
 *
 * Pins:	a/hook/HOOK, b/hook/HOOK	the program of each slot there
 *		replace/link/HOOK		the one link, of neither slot
 *
 * There is no lease: if its loader dies in a trial, the new program stays on
 * the link until somebody retires its slot, which puts the old one back.
 */
#ifndef BL_KERN_REPLACE_H
#define BL_KERN_REPLACE_H

#include "loader/kern/slots/hook.h"

/* Notes that @slot has a program for @hook. Nothing is attached. */
int bl_replace_stage(const char *pin_dir, const struct bl_hook *hook,
		     enum bl_slot slot, int prog_fd, struct bl_err *err);

/* Gives the link to @slot's program; *ret_fd is -1. If there is no link yet
 * *ret_fd is a new one, for the caller to hold. */
int bl_replace_attach(const char *pin_dir, const struct bl_hook *hook,
		      enum bl_slot slot, int prog_fd, int *ret_fd,
		      struct bl_err *err);

/* Pins what bl_replace_attach made. */
int bl_replace_persist(const char *pin_dir, const struct bl_hook *hook,
		       int link_fd, struct bl_err *err);

/* Where a link has @slot's program: gives it back to the other slot's, or, if
 * that has none there, detaches it. */
int bl_replace_back(const char *pin_dir, enum bl_slot slot, struct bl_err *err);

/* One program of @slot, and whether the link is with it, or has no place any
 * more. */
typedef int (*bl_replace_fn)(void *ctx, const char *hook, uint32_t prog_id,
			     bool linked, bool lost, struct bl_err *err);
int bl_replace_each(const char *pin_dir, enum bl_slot slot, bl_replace_fn fn,
		    void *ctx, struct bl_err *err);

#endif
