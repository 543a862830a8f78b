/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/gate/kernel/vm_end.h"

#include <stdio.h>
#include <string.h>

#include "kmod/abi.h"
#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/kern/ask/vlog.h"
#include "loader/kern/kmsg.h"

#define KILLED	    (128 + 9) /* by SIGKILL: the OOM killer */
#define SAID_LINES  6
#define SAID_BYTES  1024
#define CONSOLE_MAX (16u << 20)
#define LINE_MAX    512

static int add(const struct bl_vm_end *e, enum bl_verdict verdict,
	       const char *check, const char *message, struct bl_report *report)
{
	struct bl_finding f = {
		.verdict = verdict,
		.check = (char *)check,
		.program = (char *)(e->module ? BL_KMOD_NAME : ""),
		.kernel = (char *)e->kernel,
		.message = (char *)message,
		.log_path = e->res->log_path,
	};

	return bl_report_add(report, &f);
}

/* A module is tried as a whole: whatever its guest died of, it died exercised. */
static const char *check_of(const struct bl_vm_end *e)
{
	return e->module ? "exercise" : "kernel";
}

/* What the guest was at when it ended. */
static const char *at_what(const struct bl_vm_end *e)
{
	static const char *const during[][BL_PROBE_STEPS] = {
		{
			[BL_PROBE_LOAD] = "while it verified this object",
			[BL_PROBE_ATTACH] = "while this object was attached",
			[BL_PROBE_EXERCISE] =
				"while a workload ran with this object attached",
			[BL_PROBE_SWAP] = "while this object was swapped",
		},
		{
			[BL_PROBE_LOAD] = "while this module was loaded",
			[BL_PROBE_ATTACH] = "while its hooks went in",
			[BL_PROBE_EXERCISE] =
				"while a workload ran with its hooks in",
			[BL_PROBE_SWAP] =
				"while this module was unloaded and loaded again",
		},
	};

	for (unsigned i = 0; i < BL_PROBE_STEPS; i++)
		if (!e->answer->have[i])
			return during[e->module][i];
	return "after it had answered";
}

/* The command came to its end. */
static int judge_exit(const struct bl_vm_end *e, struct bl_report *report)
{
	const struct bl_vm_result *res = e->res;
	enum bl_verdict verdict = BL_VERDICT_UNDECIDED;
	const char *check = "kernel";
	char text[SAID_BYTES + 256];

	if (res->exit_status == BL_EXIT_OK && !res->output_lost)
		return 0;
	if (res->output_lost) {
		snprintf(text, sizeof(text),
			 "its answer is larger than %zu bytes", e->max_output);
	} else if (res->exit_status == KILLED && e->module) {
		verdict = BL_VERDICT_REJECT;
		check = check_of(e);
		snprintf(
			text, sizeof(text),
			"belay was killed in the guest %s: it used up the memory, %u MiB",
			at_what(e), e->mem_mib);
	} else if (res->exit_status == KILLED) {
		snprintf(
			text, sizeof(text),
			"killed in the guest %s, most likely for want of memory: do the maps of this object need more than %u MiB?",
			at_what(e), e->mem_mib);
	} else {
		snprintf(text, sizeof(text),
			 "belay ended with status %d in the guest %s: %s",
			 res->exit_status, at_what(e),
			 bl_vlog_tail(bl_buf_str(&res->output), SAID_LINES,
				      SAID_BYTES));
	}
	return add(e, verdict, check, text, report);
}

/* Where the console says that a module comes in; NULL: it does not. */
static const char *loading(const char *log, size_t len)
{
	static const char words[] = "loading out-of-tree module";

	return memmem(log, len, words, sizeof(words) - 1);
}

bool bl_vm_end_complaint(const char *log, size_t len, char *ret, size_t size)
{
	static const char kernels[] = "0,0,0,-;"; /* as /dev/kmsg has it */
	char record[LINE_MAX];
	const char *end = log + len;
	const char *loaded = loading(log, len);

	for (const char *at = loaded ? loaded : log; at < end;) {
		const char *stop = memchr(at, '\n', (size_t)(end - at));
		size_t n = (size_t)((stop ? stop : end) - at);
		const char *text = *at == '[' ? memchr(at, ']', n) : NULL;

		if (text && text + 2 < at + n) {
			text += 2;
			snprintf(record, sizeof(record), "%s%.*s", kernels,
				 (int)(at + n - text), text);
			record[strcspn(record, "\r")] = '\0';
			if (bl_kmsg_splat(record, ret, (unsigned)size))
				return true;
		}
		at += n + 1;
	}
	return false;
}

/* The signs that a module did it. */
struct signs {
	bool came_in, still;
	char words[BL_KERN_SPLAT_LEN]; /* its kernel's complaint; "": none */
};

static bool was_loaded(const struct bl_answer *a)
{
	return a->have[BL_PROBE_LOAD] && a->facts.program_count &&
	       a->facts.programs[0].load == BL_LOAD_ACCEPTED;
}

static bool stands_still(const struct bl_vm_end *e)
{
	const struct bl_vm_result *res = e->res;
	uint64_t until = res->said_ms > res->boot_ms ? res->said_ms
						     : res->boot_ms;

	return res->total_ms > until &&
	       (res->total_ms - until) / BL_VM_END_STILL / e->scale >= until;
}

static void look(const struct bl_vm_end *e, struct signs *ret)
{
	bl_autobuf struct bl_buf log = { 0 };

	*ret = (struct signs){ .came_in = was_loaded(e->answer) };
	if (e->res->log_path &&
	    !bl_file_read(e->res->log_path, CONSOLE_MAX, &log, NULL)) {
		ret->came_in |= loading(bl_buf_str(&log), log.len) != NULL;
		if (ret->came_in)
			bl_vm_end_complaint(bl_buf_str(&log), log.len,
					    ret->words, sizeof(ret->words));
	}
	ret->still = ret->came_in && stands_still(e);
}

static const char *words_for(const struct signs *s)
{
	if (*s->words)
		return "; its kernel said: ";
	if (s->still)
		return "; the guest stood still, after all until then had come fast";
	return "; nothing shows that the module did it and not a slow machine (a longer --deadline tells them apart)";
}

/* The guest was up, and nothing came of it. */
static int judge_silence(const struct bl_vm_end *e, struct bl_report *report)
{
	const struct bl_vm_result *res = e->res;
	bool hang = res->outcome == BL_VM_HANG, its_own = false;
	struct signs signs = { 0 };
	char text[1024];

	if (e->module) {
		look(e, &signs);
		its_own = hang ? signs.still || *signs.words : res->went_down;
	}
	snprintf(text, sizeof(text), "%s %s: %s%s%.200s",
		 hang ? "no answer by the deadline" : "the guest was lost",
		 at_what(e), res->reason,
		 e->module && (hang || *signs.words) ? words_for(&signs) : "",
		 signs.words);
	return add(e, its_own ? BL_VERDICT_REJECT : BL_VERDICT_UNDECIDED,
		   its_own ? check_of(e) : "kernel", text, report);
}

int bl_vm_end_check(const struct bl_vm_end *e, struct bl_report *report)
{
	const struct bl_vm_result *res = e->res;
	char text[512];

	if (res->outcome == BL_VM_EXITED)
		return judge_exit(e, report);
	/* Only after it got into the guest's hands is a panic its fault. */
	if (!res->boot_ms) {
		snprintf(text, sizeof(text), "could not boot (%s): %s",
			 bl_vm_outcome_name(res->outcome), res->reason);
		return add(e, BL_VERDICT_UNDECIDED, "kernel", text, report);
	}
	if (res->outcome != BL_VM_PANIC)
		return judge_silence(e, report);
	snprintf(text, sizeof(text), "panicked %s: %s", at_what(e),
		 res->reason);
	return add(e, BL_VERDICT_REJECT, check_of(e), text, report);
}
