/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a dying kernel said, held against a version that ran then. Pure.
 *
 * The text is what pstore kept of the kernel's log (pstore.h), the last lines
 * before it went down. Of all that is in it only the report that ended it
 * counts: the last "Kernel panic", with the BUG, Oops or stall right before it.
 * Who stands in its trace is named:
 *
 *	convicted	a program of the version (its tag is in the symbol,
 *			bpf_prog_TAG_NAME) or its module is in the trace ("f+0x1
 *			[belay_sensor]"): as the instruction, as a caller, or
 *			as the caller of an address where nothing is
 *	suspect		none is; or only as a leftover on the stack ("? …"), or
 *			as what an interrupt interrupted; or a program that the
 *			version before has, too; or a module that was being
 *			unloaded, or had been, or may be of the version before;
 *			or nobody said anything
 *
 * Modules of one name are not told apart by the trace of most kernels. One is
 * loaded at a time: once the exchange was over, it is the one on trial, whether
 * its code or its content is new, and the caller gives no version before. Until
 * then it may be the version before, whose hooks are taken out, unless the trace
 * has a build id; what is on its way out ("(OE-)") is, what is on its way in
 * ("(OE+)"), or is given content, is not. Being loaded ("Modules linked in"), even as
 * the only one from outside the kernel's tree, convicts nobody: memory that it
 * overwrote and somebody else ran into leaves it suspect, which is enough for
 * the way back.
 *
 * The bytes are a stranger's: whatever they are, the result holds printable text
 * only.
 */
#ifndef BL_HOST_EVIDENCE_H
#define BL_HOST_EVIDENCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BL_EVIDENCE_LEN	   128
#define BL_EVIDENCE_BYTES  (1024u * 1024) /* more is not looked at */
#define BL_EVIDENCE_GAP_MS 10000	  /* report to panic, at most */

enum bl_blame {
	BL_BLAME_NONE, /* not asked, or it did not go down */
	BL_BLAME_CUT,  /* down without a record, though one was to be expected:
			* most likely the power */
	BL_BLAME_SUSPECT,
	BL_BLAME_CONVICTED,
	BL_BLAMES,
};

/* "", "cut", "suspect", "convicted"; as in the journal. */
const char *bl_blame_name(enum bl_blame blame);
/* BL_BLAME_NONE for anything else. */
enum bl_blame bl_blame_by_name(const char *name);

struct bl_evidence {
	bool crashed;		     /* there is a report at all */
	enum bl_blame blame;	     /* SUSPECT or CONVICTED */
	uint64_t uptime_ms;	     /* of the panic; 0: not known */
	char what[BL_EVIDENCE_LEN];  /* "BUG: soft lockup - …" */
	char where[BL_EVIDENCE_LEN]; /* "strncmp+0x16/0x30": the instruction */
	char named[BL_EVIDENCE_LEN]; /* of the version: "bpf_prog_…+0xb8/0xda",
				      * or why that does not convict it */
	char module[BL_EVIDENCE_LEN]; /* the first module in the trace */
	bool left_hook; /* it was led to nobody's code, and a module of the
			 * version's name is not in the kernel, but was the
			 * last to be unloaded: a hook was left of that */
};

/*
 * @tags: what the version has, as in the journal ("name:tag name:tag …"). Of
 * belay_sensor, and where the tag is not 16 hex digits, it is a module's name
 * and (the beginning of) its build id.
 * @before: the same of the version before; "" if it is a module that cannot have
 * been in the kernel any more. Either may be "".
 */
void bl_evidence_read(const char *text, size_t len, const char *tags,
		      const char *before, struct bl_evidence *ret);

/*
 * The same of a kernel that goes on, and said this (ops.h: splats): each report
 * counts, and the first program of the version that is named in one.
 */
void bl_evidence_splats(const char *text, size_t len, const char *tags,
			const char *before, struct bl_evidence *ret);

/* The whole as one sentence: "convicted: BUG: … in bpf_prog_…". */
void bl_evidence_words(const struct bl_evidence *e, char *ret, size_t size);

/*
 * The first line of a record of pstore: "Panic#2 Part1". Count goes up with
 * each report of a boot; part 1 is the end of the log, part 2 what is before
 * it. False (and both 0) if there is none.
 */
bool bl_evidence_header(const char *text, size_t len, unsigned *ret_count,
			unsigned *ret_part);

#endif
