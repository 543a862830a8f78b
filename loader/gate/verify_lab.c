/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/gate/verify_lab.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/gate/report_json.h"
#include "loader/kern/vlog.h"

#define POLL_MS	   200
#define GUEST_FILE "/check/object.bpf.o"
#define OUTPUT_MAX BL_REPORT_JSON_MAX
#define KILLED	   (128 + 9) /* by SIGKILL: the OOM killer */
#define SAID_LINES 6
#define SAID_BYTES 1024
#define MEM_MIB	   512
/* Room for the maps of a large object, and for copies of the object. */
#define MEM_PER_MIB 24

static unsigned guest_mib(const struct bl_object *o)
{
	return MEM_MIB + (unsigned)(o->len >> 20) * MEM_PER_MIB;
}

static int add_outcome(struct bl_report *report, enum bl_verdict verdict,
		       const char *kernel, const char *message,
		       const struct bl_vm_result *res)
{
	struct bl_finding f = {
		.verdict = verdict,
		.check = (char *)"kernel",
		.kernel = (char *)kernel,
		.message = (char *)message,
		.log_path = res->log_path,
	};

	return bl_report_add(report, &f);
}

/* A guest in which the command came to its end. */
static int judge_exit(const struct bl_object *object, const char *kernel,
		      const struct bl_vm_result *res, const char *log_dir,
		      struct bl_report *report)
{
	const char *said =
		bl_vlog_tail(bl_buf_str(&res->output), SAID_LINES, SAID_BYTES);
	char text[SAID_BYTES + 128];

	if (res->exit_status <= BL_EXIT_UNDECIDED && !res->output_lost)
		return bl_gate_merge(object, kernel, false,
				     bl_buf_str(&res->output), res->output.len,
				     log_dir, report);
	if (res->output_lost)
		snprintf(text, sizeof(text),
			 "its answer is larger than %u bytes", OUTPUT_MAX);
	else if (res->exit_status == KILLED)
		snprintf(
			text, sizeof(text),
			"killed in the guest, most likely for want of memory: do the maps of this object need more than %u MiB?",
			guest_mib(object));
	else
		snprintf(text, sizeof(text),
			 "belay ended with status %d in the guest: %s",
			 res->exit_status, said);
	return add_outcome(report, BL_VERDICT_UNDECIDED, kernel, text, res);
}

int bl_gate_judge_vm(const struct bl_object *object, const char *kernel,
		     const struct bl_vm_result *res, const char *log_dir,
		     struct bl_report *report)
{
	char text[512];

	if (res->outcome == BL_VM_EXITED)
		return judge_exit(object, kernel, res, log_dir, report);
	/* Only after the object got into its hands is a panic its fault. */
	if (!res->boot_ms) {
		snprintf(text, sizeof(text), "could not boot (%s): %s",
			 bl_vm_outcome_name(res->outcome), res->reason);
		return add_outcome(report, BL_VERDICT_UNDECIDED, kernel, text,
				   res);
	}
	switch (res->outcome) {
	case BL_VM_PANIC:
		snprintf(text, sizeof(text), "panicked over this object: %s",
			 res->reason);
		return add_outcome(report, BL_VERDICT_REJECT, kernel, text,
				   res);
	case BL_VM_HANG:
		snprintf(text, sizeof(text), "no answer by the deadline: %s",
			 res->reason);
		break;
	default:
		snprintf(text, sizeof(text), "the guest was lost: %s",
			 res->reason);
		break;
	}
	return add_outcome(report, BL_VERDICT_UNDECIDED, kernel, text, res);
}

struct lab {
	const struct bl_gate_target *t;
	struct bl_vm **vms;    /* as t->kernels; NULL: not started */
	struct bl_err *failed; /* as t->kernels: why it did not start */
	size_t started, over;  /* kernels; failed ones are both */
	char *object_path;     /* a copy of the checked bytes */
};

static void lab_free(struct lab *lab)
{
	size_t i;

	for (i = 0; lab->vms && i < lab->t->kernel_count; i++)
		bl_vm_free(lab->vms[i]);
	free(lab->vms);
	free(lab->failed);
	if (lab->object_path)
		unlink(lab->object_path);
	free(lab->object_path);
}

/* The guest gets the bytes that were read and digested, not the path again. */
static int write_object(struct lab *lab, struct bl_err *err)
{
	const struct bl_object *o = lab->t->object;
	const char *tmp = getenv("TMPDIR");
	bl_autoclose int fd = -1;
	size_t done = 0;
	ssize_t n;
	int r;

	lab->object_path =
		bl_path("%s/belay-check-XXXXXX", tmp && *tmp ? tmp : "/tmp");
	if (!lab->object_path)
		return bl_err_set(err, -ENOMEM, "out of memory");
	fd = mkstemp(lab->object_path);
	if (fd < 0) {
		r = bl_err_errno(err, -errno, "cannot make a temporary file %s",
				 lab->object_path);
		free(BL_TAKE(lab->object_path));
		return r;
	}
	while (done < o->len) {
		n = write(fd, o->copy + done, o->len - done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return bl_err_errno(err, -errno, "cannot write %s",
					    lab->object_path);
		done += (size_t)n;
	}
	return 0;
}

static void tell(struct lab *lab, const char *text)
{
	const struct bl_gate_opts *o = lab->t->opts;

	if (o->progress)
		o->progress(o->progress_ctx, (unsigned)lab->over,
			    (unsigned)lab->t->kernel_count, text);
}

static void start_one(struct lab *lab, size_t i)
{
	static const char *const argv[] = { "/usr/bin/belay", "check",
					    GUEST_FILE,	      "--kernel",
					    "host",	      "--json",
					    "--quiet",	      NULL };
	const struct bl_kernel *k = lab->t->kernels[i];
	bl_autofree char *config = bl_path("%s/config", k->dir);
	bl_autofree char *boot = bl_path("/boot/config-%s", k->release);
	struct bl_vm_file files[2] = {
		{ lab->object_path, GUEST_FILE },
		{ config, boot }, /* libbpf reads it for extern __kconfig */
	};
	struct bl_vm_spec spec = {
		.kernel = k,
		.name = k->release,
		.log_dir = lab->t->log_dir,
		.argv = argv,
		.files = files,
		.file_count = config && boot && access(config, R_OK) == 0 ? 2
									  : 1,
		.mem_mib = MEM_MIB +
			   (unsigned)(lab->t->object->len >> 20) * MEM_PER_MIB,
		.deadline_ms = lab->t->opts->deadline_ms,
		.max_output = OUTPUT_MAX,
		.output_fd = -1,
	};
	char text[300];

	lab->started++;
	if (!k->ready) {
		bl_err_set(&lab->failed[i], -ENODEV, "not ready: %s",
			   k->why ? k->why : "incomplete");
		lab->over++;
		return;
	}
	if (bl_vm_start(&spec, &lab->vms[i], &lab->failed[i]) < 0) {
		lab->over++;
		return;
	}
	snprintf(text, sizeof(text), "booting %s", k->release);
	tell(lab, text);
}

static size_t running(const struct lab *lab)
{
	return lab->started - lab->over;
}

static const char *ended_how(const struct bl_vm_result *res)
{
	return res->outcome == BL_VM_EXITED ? "answered"
					    : bl_vm_outcome_name(res->outcome);
}

/* Until all have ended, with at most @jobs at a time. */
static int run_all(struct lab *lab, unsigned jobs, struct bl_err *err)
{
	size_t count = lab->t->kernel_count, i;
	bl_autofree bool *seen = calloc(count, sizeof(*seen));
	char text[300];
	int r;

	if (!seen)
		return -ENOMEM;
	while (lab->over < count) {
		while (lab->started < count && running(lab) < jobs)
			start_one(lab, lab->started);
		if (bl_cli_interrupted())
			return bl_err_set(err, -EINTR, "interrupted");
		if (!running(lab))
			continue;
		r = bl_vm_poll(lab->vms, count, POLL_MS, err);
		if (r < 0 && r != -EINTR)
			return r;
		for (i = 0; r > 0 && i < count; i++) {
			if (seen[i] || !lab->vms[i] ||
			    bl_vm_state(lab->vms[i]) == BL_VM_RUNNING)
				continue;
			seen[i] = true;
			lab->over++;
			snprintf(text, sizeof(text), "%s %s",
				 lab->t->kernels[i]->release,
				 ended_how(bl_vm_result(lab->vms[i])));
			tell(lab, text);
		}
		tell(lab, NULL);
	}
	return 0;
}

static int collect_one(struct lab *lab, size_t i, struct bl_report *report)
{
	const char *name = lab->t->kernels[i]->release;
	struct bl_report_kernel k = { .name = (char *)name };
	const struct bl_vm_result *res;
	int r;

	if (!lab->vms[i]) {
		r = bl_report_add_kernel(report, &k);
		return r < 0 ? r
			     : bl_report_note(report, BL_VERDICT_UNDECIDED,
					      "kernel", name, "%s",
					      lab->failed[i].text);
	}
	res = bl_vm_result(lab->vms[i]);
	k.log_path = res->log_path;
	k.boot_ms = res->boot_ms;
	k.total_ms = res->total_ms;
	r = bl_report_add_kernel(report, &k);
	return r < 0 ? r
		     : bl_gate_judge_vm(lab->t->object, name, res,
					lab->t->log_dir, report);
}

static unsigned default_jobs(void)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	return cpus > 0 ? (unsigned)cpus : 1;
}

int bl_gate_verify_lab(const struct bl_gate_target *t, struct bl_report *report,
		       struct bl_err *err)
{
	BL_CLEANUP(lab_free) struct lab lab = { .t = t };
	size_t i;
	int r;

	lab.vms = calloc(t->kernel_count, sizeof(struct bl_vm *));
	lab.failed = calloc(t->kernel_count, sizeof(*lab.failed));
	if (!lab.vms || !lab.failed)
		return bl_err_set(err, -ENOMEM, "out of memory");
	r = write_object(&lab, err);
	if (r < 0)
		return r;
	r = run_all(&lab, t->opts->jobs ? t->opts->jobs : default_jobs(), err);
	for (i = 0; r == 0 && i < t->kernel_count; i++) {
		r = collect_one(&lab, i, report);
		if (r < 0)
			bl_err_errno(err, r, "the report of kernel %s",
				     t->kernels[i]->release);
	}
	return r;
}
