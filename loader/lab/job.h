/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a guest that waits is told what to run. Pure.
 *
 * The job is an archive in memory that both sides see: a PCI device of QEMU
 * (ivshmem) whose second register is that memory, so that no kernel needs a
 * driver for it. A page with a header stands before the archive:
 *
 *	"belay job 1\n"  length of the archive as a decimal  "\n"  zeroes
 *
 * On the second serial port the guest says BL_JOB_READY and waits for one line,
 * the go, which brings what a guest that was saved cannot know:
 *
 *	go MILLISECONDS-SINCE-1970 64 HEX DIGITS OF CHANCE\n
 */
#ifndef BL_LAB_JOB_H
#define BL_LAB_JOB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BL_JOB_BYTES  (64u * 1024 * 1024) /* header and archive */
#define BL_JOB_HEADER 4096
#define BL_JOB_READY  "<belay:ready>\n"
#define BL_JOB_SEED   32
#define BL_JOB_GO_MAX 128
#define BL_JOB_VENDOR "0x1af4\n" /* the device, as sysfs says it */
#define BL_JOB_DEVICE "0x1110\n"

/* Writes the header of an archive of @len bytes. -EFBIG if it has no room. */
int bl_job_header(char ret[static BL_JOB_HEADER], size_t len);

/* The archive's length, by the header of a memory of @size bytes. -EBADMSG if
 * there is no job in it. */
int bl_job_length(const char *memory, size_t size, size_t *ret_len);

/* Writes the go with its newline and a NUL. */
void bl_job_go(char ret[static BL_JOB_GO_MAX], int64_t wall_ms,
	       const unsigned char seed[static BL_JOB_SEED]);

/* Reads a go, with or without newline. -EBADMSG if it is none. */
int bl_job_read_go(const char *line, int64_t *ret_wall_ms,
		   unsigned char ret_seed[static BL_JOB_SEED]);

#endif
