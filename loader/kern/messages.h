/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libbpf says why through one print function of the whole process. Between
 * into and end its warnings go to a buffer. For loader/kern only, one at a
 * time.
 */
#ifndef BL_KERN_MESSAGES_H
#define BL_KERN_MESSAGES_H

#include "loader/base/buf.h"

#define BL_MESSAGES_MAX (256 * 1024) /* bytes; what comes later is lost */

/* From here on to @to (NULL: nowhere). Again is fine: another buffer. */
void bl_messages_into(struct bl_buf *to);

/* What printed before prints again. */
void bl_messages_end(void);

#endif
