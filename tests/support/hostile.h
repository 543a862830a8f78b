/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Archives as an attacker writes them: tar headers field by field, compression
 * around anything. Everything asserts (ck_assert) that it worked.
 */
#ifndef BL_TESTS_HOSTILE_H
#define BL_TESTS_HOSTILE_H

#include <stddef.h>
#include <stdint.h>

#include "loader/base/buf.h"

struct hostile_entry {
	const char *name, *link; /* link: target, may be NULL */
	char type;		 /* tar's type flag; 0 means '0', a file */
	const void *data;
	size_t len;
	uint64_t claim; /* the size in the header; 0: len */
	unsigned mode;	/* 0: 0644 */
	unsigned uid, mtime;
};

/* Appends header, data and padding. */
void hostile_tar_add(struct bl_buf *tar, const struct hostile_entry *e);

/* Appends the two closing blocks. */
void hostile_tar_end(struct bl_buf *tar);

/* Appends @data under zstd to *out. */
void hostile_zstd(const void *data, size_t len, struct bl_buf *out);

/* Appends @len zero bytes under zstd to *out: small, whatever @len is. */
void hostile_bomb(size_t len, struct bl_buf *out);

/* The files of a right bundle in @dir: manifest.json, sensor.bpf.o,
 * content.json. */
void hostile_write_inputs(const char *dir);

#endif
