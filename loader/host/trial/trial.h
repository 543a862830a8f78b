/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The judge of a trial. Pure: it is given what was measured and says whether
 * the trial goes on, is over well, or has failed and why.
 */
#ifndef BL_HOST_TRIAL_H
#define BL_HOST_TRIAL_H

#include "loader/bundle/manifest.h"
#include "loader/host/host.h"
#include "loader/host/trial/command.h"
#include "loader/host/trial/pace.h"
#include "loader/kern/ops.h"

enum bl_verdict {
	BL_VERDICT_GO_ON,
	BL_VERDICT_GOOD, /* probation over, confirmed, nothing against it */
	BL_VERDICT_BAD,
	BL_VERDICT_UNDECIDED, /* something could not be found out: no pass, and
			       * no conviction */
	BL_VERDICT_UNCONFIRMED, /* nothing against it, and nobody for it */
};

struct bl_trial_facts {
	uint64_t elapsed_ms, probation_ms;
	unsigned expected; /* programs that were loaded to run */
	struct bl_kern_sample sample;
	uint64_t excused_drops; /* of its drops: another process read the ring,
				 * or belay itself did not come to it */
	uint64_t events_read;	/* that came out of the ring */
	const struct bl_kern_splats *splats;
	const char *accused; /* its program that is named in one; "": none */
	/* Whether this host can be used, and could be just before it was live:
	 * 0, or -errno as loader/base/selftest.h has it; how not. */
	int usable, usable_before;
	const char *locked_out;
	bool can_refuse; /* it may keep somebody waiting, too */
	const struct bl_pace *pace;
	enum bl_confirm confirm;
	bool confirmed;	    /* by a person, or by the caller */
	uint64_t within_ms; /* when it must be, unless it confirms itself */
	const struct bl_command *commands; /* a user's own probes */
	size_t command_count;
	uint64_t command_timeout_ms;
};

/*
 * @ret_reason (at least @reason_len bytes) is written for all but GO_ON and
 * GOOD. The event probes hold for belay's sensors only; a foreign object is
 * judged by its links, its time per run, what it costs and the kernel's log.
 */
enum bl_verdict bl_trial_judge(const struct bl_trial_limits *limits,
			       const struct bl_trial_facts *facts,
			       char *ret_reason, size_t reason_len);

#endif
