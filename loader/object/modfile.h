/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A kernel module's file (.ko), as far as it can be told from its bytes: which
 * kernel it was built for, what it is called, which build it is. Nothing is
 * taken for granted; pure.
 *
 *	struct bl_modfile m;
 *	r = bl_modfile_read("belay_sensor-6.1.ko", data, len, &m, err);
 */
#ifndef BL_OBJECT_MODFILE_H
#define BL_OBJECT_MODFILE_H

#include <stdbool.h>
#include <stddef.h>

#include "loader/base/err.h"

#define BL_MODFILE_NAME_LEN	56 /* the kernel's limit, with the NUL */
#define BL_MODFILE_VERMAGIC_LEN 128
#define BL_MODFILE_RELEASE_LEN	65  /* as in utsname */
#define BL_MODFILE_BUILD_LEN	129 /* hexadecimal, up to 64 bytes */
#define BL_MODFILE_TAG_LEN	17  /* the first 16 digits of it and NUL */

struct bl_modfile {
	char name[BL_MODFILE_NAME_LEN];
	char vermagic[BL_MODFILE_VERMAGIC_LEN]; /* "6.1.0-56-amd64 SMP …" */
	char release[BL_MODFILE_RELEASE_LEN];	/* its first word */
	char build_id[BL_MODFILE_BUILD_LEN];
	char tag[BL_MODFILE_TAG_LEN];
	bool has_signature; /* whose, and of what, is not looked at */
	unsigned machine;   /* EM_… of elf.h */
	bool linked; /* it has what the kernel links it in by: struct module */
};

/*
 * -EBADMSG when @data is no module, or lacks one of these; @name is for
 * messages. *ret is untouched then.
 */
int bl_modfile_read(const char *name, const void *data, size_t len,
		    struct bl_modfile *ret, struct bl_err *err);

/* Whether it was built for the kernel @release. */
bool bl_modfile_fits(const struct bl_modfile *m, const char *release);

#endif
