/* SPDX-License-Identifier: Apache-2.0 */
/* A kernel module's file with what belay reads of one, and no code. Asserts
 * that it worked. */
#ifndef BL_TESTS_KO_H
#define BL_TESTS_KO_H

#include <stdbool.h>

#include "loader/base/buf.h"

struct ko {
	const char *name;     /* NULL: belay_sensor */
	const char *vermagic; /* NULL: no such line */
	unsigned build_bytes; /* of the build id; 0: no such section */
	unsigned char build;  /* each of its bytes */
	bool has_signature;
	bool linked; /* it has a struct module, as one that was linked has */
};

/* Appends the file to *ret, which is empty. */
void ko_make(const struct ko *ko, struct bl_buf *ret);

#endif
