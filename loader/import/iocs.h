/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Indicators of compromise, from whatever feed, on their way to content.json:
 *
 *	bl_autoiocs struct bl_iocs set = { .action = BL_ACTION_EMIT };
 *
 *	r = bl_iocs_source(&set, "misp-5f1a…", &source, err);
 *	r = bl_iocs_add(&set, "ip-dst", "192.0.2.7", source, err);
 *	…
 *	r = bl_iocs_write(&set, NULL, &text, &info, err);
 *
 * Each indicator meets one fate, and all are counted by their type: it became
 * a rule, or it was left out for a reason. Nothing is left out in silence, and
 * no rule is made of what content cannot say: of hashes of files the sensor
 * knows SHA-256 alone.
 *
 * What holds of the text written: it compiles; the same indicators in the same
 * order of sources give the same bytes; no rule that was in the base is changed
 * or beaten (but that a name is reported in folders, too, that it ignores), and no
 * two rules match the same.
 *
 * Memory: 32 bytes for an indicator that may be a rule, its path or name, and
 * then the text. Pure, no I/O. For feeds' readers (misp.h) and the verb.
 */
#ifndef BL_IMPORT_IOCS_H
#define BL_IMPORT_IOCS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/event.h"
#include "loader/base/buf.h"
#include "loader/base/err.h"
#include "loader/bundle/content.h"

#define BL_IOCS_TYPES_MAX 128 /* names of types; the last is for all others */
#define BL_IOC_TYPE_MAX	  48  /* of a type's name, with the closing NUL */
#define BL_IOCS_MAX	  (1U << 22) /* indicators, rules or not */
/* Networks wider than these are whole parts of the Internet. */
#define BL_IOC_BITS4_MIN 8
#define BL_IOC_BITS6_MIN 16

enum bl_ioc_fate {
	BL_IOC_RULE, /* it became one */
	BL_IOC_NOT_TO_DETECT,
	BL_IOC_DELETED,
	BL_IOC_HASH,
	BL_IOC_NO_SUM,
	BL_IOC_URL,
	BL_IOC_TYPE,
	BL_IOC_DENY_WIDER,
	BL_IOC_COMMON_NAME,
	BL_IOC_NO_DOMAIN,
	BL_IOC_NO_PATH,
	BL_IOC_LONG_PATH,
	BL_IOC_NO_ADDRESS,
	BL_IOC_WIDE,
	BL_IOC_MASKS,
	BL_IOC_TWICE,
	BL_IOC_BASE,
	BL_IOC_FATES,
};

/* "no-path", and a sentence for people. */
const char *bl_ioc_fate_name(enum bl_ioc_fate fate);
const char *bl_ioc_fate_why(enum bl_ioc_fate fate);

struct bl_ioc_type {
	char name[BL_IOC_TYPE_MAX];
	uint32_t fates[BL_IOC_FATES];
};

struct bl_iocs {
	enum bl_action action; /* of whole paths and digests: emit or deny */
	struct bl_ioc_type types[BL_IOCS_TYPES_MAX];
	unsigned type_count;
	uint32_t count;	       /* indicators seen */
	uint32_t rules;	       /* written, beside the base's */
	uint32_t widened;      /* they match more than was said */
	uint32_t lowered;      /* deny was asked for, and is not for these */
	struct bl_buf items;   /* private */
	struct bl_buf paths;   /* private: each with its NUL */
	struct bl_buf sources; /* private: BL_CONTENT_NAME_MAX each */
};

/* Content that is there already: its rules come first, and win. */
struct bl_iocs_base {
	const char *name, *text;
	size_t len;
};

#define bl_autoiocs __attribute__((cleanup(bl_iocs_free)))
void bl_iocs_free(struct bl_iocs *set);

/* Names a source, which rules have as their id: the first one that names an
 * indicator counts. @name is cut to what an id holds. -EINVAL: no bl_name_valid; -ENOMEM. */
int bl_iocs_source(struct bl_iocs *set, const char *name, uint32_t *ret,
		   struct bl_err *err);

/* Judges one indicator, by MISP's name of its @type. -E2BIG above BL_IOCS_MAX;
 * -ENOMEM. */
int bl_iocs_add(struct bl_iocs *set, const char *type, const char *value,
		uint32_t source, struct bl_err *err);

/* Counts one of which its feed says that it is no indicator. -E2BIG. */
int bl_iocs_skip(struct bl_iocs *set, const char *type, enum bl_ioc_fate fate,
		 struct bl_err *err);

/*
 * The content, into *ret (which is empty): @base (NULL: none, and all defaults
 * "ignore") and the rules made. What the base says of the same path, or of a
 * folder or network around it, stays if it is another action. @set keeps its
 * counts only. -EBADMSG: the base is no content; -E2BIG: too many rules or too
 * large a text for one content; -ENOMEM.
 */
int bl_iocs_write(struct bl_iocs *set, const struct bl_iocs_base *base,
		  struct bl_buf *ret, struct bl_content_info *ret_info,
		  struct bl_err *err);

#endif
