/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From what was seen to what it means: fills in the numbers and words of a
 * result. Pure, so that a judgement can be tried on made-up observations.
 *
 * Which line of a host or of the fleet stopped it is told from outside first
 * (how kernels went down), then by what journals and controller have on record:
 *
 *	the version reached nobody		gate
 *	a host went down in it and went back	boot-loop; by a reset without a
 *						panic or a cut of power: watchdog
 *	its kernel did not take it		verifier, if that is who refused;
 *						else gate
 *	it went back from there on, or belay
 *	died as it loaded it			trial; lease, if that is why
 *	hosts kept it, or were silent from then
 *	on, and the rollout stopped		canary
 *	hosts kept it all			never; or unaffected, if nothing
 *						was seen and nothing expected,
 *						or no kernel took it (way A)
 *
 * A host that went down and still runs the version, or cannot say what it runs,
 * was saved by nothing. Of several hosts the line that held last counts.
 */
#ifndef BL_CANARY_COMPARE_JUDGE_H
#define BL_CANARY_COMPARE_JUDGE_H

#include "canary/compare/catalog.h"
#include "canary/compare/observe.h"

struct bl_judge_case {
	enum bl_compare_way way;
	const struct bl_observed_host *hosts;
	size_t count;
	int64_t end_ms; /* of the watch */
	/* B and C: the version before, and whether the rollout was stopped, by
	 * the fleet or by hand. */
	const char *good;
	bool stopped, refused;		 /* refused: it was not even begun */
	enum bl_compare_verdict verdict; /* of the gate */
	enum bl_compare_stop gate;	 /* that rejected; NOWHERE: accepted */
	const struct bl_fault_lines *expect; /* NULL: nothing is */
};

/* Sets all numbers and words of *r, and its curve. 0 or -ENOMEM. */
int bl_judge(const struct bl_judge_case *c, struct bl_compare_result *r);

/*
 * Whether *r, as it was judged, is what @expect says: the lines, and under
 * belay every host back, but for one where the canary is expected. Asked again whenever a report is made, as the
 * catalogue may have changed since. NULL: nothing is expected, so it is not.
 */
bool bl_judge_expected(const struct bl_fault_lines *expect,
		       const struct bl_compare_result *r);

/*
 * Which line the findings of a gate's report stand for: of all that reject (or
 * if none does, of all that are undecided) the one that comes first. NOWHERE:
 * it was accepted. *ret is a finding's check, words and kernel; borrowed.
 */
struct bl_judge_gate {
	enum bl_compare_verdict verdict;
	enum bl_compare_stop line;
	const char *check, *words;
};
void bl_judge_report(const json_t *report, struct bl_judge_gate *ret);

#endif
