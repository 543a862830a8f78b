/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gate: every check that a file passes before any host sees it.
 *
 *	struct bl_gate_opts opts = { .path = "sensor.bpf.o" };
 *	bl_autoreport struct bl_report report = { 0 };
 *
 *	r = bl_gate_check(&opts, &report, err);
 *	if (r < 0)
 *		…the check itself could not run: undecided, never a pass
 *	else if (bl_report_verdict(&report, NULL) == BL_VERDICT_PASS)
 *		…accepted
 *
 * The file may be a BPF object (anyone's), a bundle or content in JSON; what it
 * is follows from its bytes, not from its name. Objects are verified on every
 * chosen kernel of the lab, each in its own microVM; nothing is loaded on the
 * running kernel unless "host" was asked for.
 *
 * Invariants:
 *  - I6: whatever could not be checked is an undecided finding that says why
 *    and names its log; only an answer from a kernel is a pass;
 *  - a kernel that panics while it verifies an object rejects it;
 *  - a return below zero leaves no VM running and *ret untouched.
 */
#ifndef BL_GATE_GATE_H
#define BL_GATE_GATE_H

#include "loader/gate/budget.h"
#include "loader/gate/finding.h"
#include "loader/gate/maps/maps.h"
#include "loader/oci/source.h"

#define BL_GATE_FILE_MAX (128u << 20) /* bytes of a file that is checked */

struct bl_gate_opts {
	const char *path;     /* or a reference (loader/oci/reference.h) */
	const char *previous; /* what is live now, object or bundle; NULL */
	const struct bl_source_options *source; /* of both; NULL: none */
	const struct bl_buf *bytes; /* of path, if it is read already; NULL */
	const char *const *btfs;    /* more kernels' types: files and folders */
	size_t btf_count;
	const char *baseline;		/* file of budget.h; NULL: none */
	struct bl_budget_limits budget; /* zeroed: the default */
	struct bl_maps_limits maps;	/* zeroed: the default */
	unsigned scale;			/* of the workloads; 0: 1 */
	/* Releases, leading version components, "all" or "host"; none: all. */
	const char *const *kernels;
	size_t kernel_count;
	const char *profile; /* name or file (profile.h); NULL: observe */
	const char *log_dir; /* NULL: a new folder in the cache */
	unsigned jobs;	     /* VMs at a time; 0: one per CPU */
	uint64_t deadline_ms; /* per kernel; 0: three minutes, of a module 90 s */
	/*
	 * Called often while VMs run. @text says what just happened, NULL: only
	 * time passed. May be NULL.
	 */
	void (*progress)(void *ctx, unsigned done, unsigned total,
			 const char *text);
	void *progress_ctx;
};

/*
 * 0 with a report, whatever its verdict. -errno when the file or the profile
 * could not be read, a kernel is not in the catalogue, memory ran out, or
 * -EINTR after SIGINT or SIGTERM (bl_cli_catch_signals).
 */
int bl_gate_check(const struct bl_gate_opts *opts, struct bl_report *ret,
		  struct bl_err *err);

#endif
