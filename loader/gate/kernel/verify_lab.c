/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/gate/kernel/verify_lab.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/gate/kernel/answer.h"
#include "loader/gate/kernel/vm_end.h"

#define POLL_MS	   200
#define OUTPUT_MAX BL_ANSWER_MAX
#define MEM_MIB	   512
/* Room for the maps of a large object, and for copies of the object. */
#define MEM_PER_MIB 24

/* What is freed or overrun in a module's memory is found when it is poisoned
 * and fenced; other guests need not pay for that. */
#define MODULE_APPEND "slub_debug=FZPU"

static unsigned guest_mib(const struct bl_gate_target *t)
{
	if (t->modules)
		return MEM_MIB;
	return MEM_MIB + (unsigned)(t->object->len >> 20) * MEM_PER_MIB;
}

int bl_gate_judge_vm(const struct bl_gate_target *t, const char *kernel,
		     const struct bl_vm_result *res, struct bl_report *report)
{
	bl_autoanswer struct bl_answer answer = { 0 };
	struct bl_vm_end end = {
		.kernel = kernel,
		.res = res,
		.answer = &answer,
		.module = t->modules != NULL,
		.scale = t->probe.scale ? t->probe.scale : 1,
		.mem_mib = guest_mib(t),
		.max_output = OUTPUT_MAX,
	};
	struct bl_err why = { 0 };
	int r = bl_answer_read(bl_buf_str(&res->output), res->output.len,
			       &answer, &why);

	if (r == -ENOMEM)
		return r;
	/* Words of somebody else, such as a shell's, explain an end. */
	if (r < 0 && res->outcome == BL_VM_EXITED && !res->exit_status)
		r = bl_report_note(report, BL_VERDICT_UNDECIDED,
				   t->modules ? "module" : "verifier", kernel,
				   "its answer cannot be read: %s", why.text);
	else
		r = bl_vm_end_check(&end, report);
	if (r == 0 && (answer.have[BL_PROBE_LOAD] || answer.error ||
		       (res->outcome == BL_VM_EXITED && !res->exit_status)))
		r = bl_gate_judge_answer(t, kernel, false, &answer, report);
	return r;
}

/* What the guest is given, by its place there. */
enum part { OBJECT, MODULE, CONTENT, PREVIOUS, PARTS };

static const struct {
	const char *option, *path;
} parts[PARTS] = {
	[OBJECT] = { NULL, "/check/object.bpf.o" },
	[MODULE] = { "--module", "/check/module.ko" },
	[CONTENT] = { "--content", "/check/content.bin" },
	[PREVIOUS] = { "--previous", "/check/previous.bpf.o" },
};

struct lab {
	const struct bl_gate_target *t;
	struct bl_vm **vms;    /* as t->kernels; NULL: not started */
	struct bl_err *failed; /* as t->kernels: why it did not start */
	size_t started, over;  /* kernels; failed ones are both */
	char *dir;	       /* copies of the checked bytes */
	char *files[PARTS];    /* in it; NULL: there is none */
	char **modules;	       /* as t->kernels, in the place of a file */
};

static void lab_free(struct lab *lab)
{
	size_t i;

	for (i = 0; lab->vms && i < lab->t->kernel_count; i++)
		bl_vm_free(lab->vms[i]);
	free(lab->vms);
	free(lab->failed);
	for (i = 0; i < PARTS; i++)
		free(lab->files[i]);
	for (i = 0; lab->modules && i < lab->t->kernel_count; i++)
		free(lab->modules[i]);
	free(lab->modules);
	if (lab->dir)
		bl_file_rmtree(lab->dir, NULL);
	free(lab->dir);
}

static int write_copy(char *path, char **ret, const void *data, size_t len,
		      struct bl_err *err)
{
	*ret = path;
	if (!path)
		return bl_err_set(err, -ENOMEM, "out of memory");
	return bl_file_write(path, data, len, 0600, err);
}

static int write_part(struct lab *lab, enum part part, const void *data,
		      size_t len, struct bl_err *err)
{
	const char *name = strrchr(parts[part].path, '/') + 1;

	if (!data)
		return 0;
	return write_copy(bl_path("%s/%s", lab->dir, name), &lab->files[part],
			  data, len, err);
}

/* Each kernel has its own. */
static int write_modules(struct lab *lab, struct bl_err *err)
{
	const struct bl_gate_target *t = lab->t;
	int r = 0;

	if (!t->modules)
		return 0;
	lab->modules = calloc(t->kernel_count, sizeof(*lab->modules));
	if (!lab->modules)
		return bl_err_set(err, -ENOMEM, "out of memory");
	for (size_t i = 0; r == 0 && i < t->kernel_count; i++)
		r = write_copy(bl_path("%s/%zu.ko", lab->dir, i),
			       &lab->modules[i], t->modules[i].data,
			       t->modules[i].len, err);
	return r;
}

/* The guest gets the bytes that were read and digested, not the path again. */
static int write_parts(struct lab *lab, struct bl_err *err)
{
	const struct bl_probe *p = &lab->t->probe;
	const char *tmp = getenv("TMPDIR");
	int r;

	lab->dir = bl_path("%s/belay-check-XXXXXX", tmp && *tmp ? tmp : "/tmp");
	if (!lab->dir)
		return bl_err_set(err, -ENOMEM, "out of memory");
	if (!mkdtemp(lab->dir)) {
		r = bl_err_errno(err, -errno,
				 "cannot make a temporary folder %s", lab->dir);
		free(BL_TAKE(lab->dir));
		return r;
	}
	r = write_part(lab, OBJECT, p->now.object, p->now.len, err);
	if (r == 0)
		r = write_part(lab, CONTENT, p->now.content, p->now.content_len,
			       err);
	if (r == 0)
		r = write_part(lab, PREVIOUS, p->previous.object,
			       p->previous.len, err);
	if (r == 0)
		r = write_modules(lab, err);
	return r;
}

static void tell(struct lab *lab, const char *text)
{
	const struct bl_gate_opts *o = lab->t->opts;

	if (o->progress)
		o->progress(o->progress_ctx, (unsigned)lab->over,
			    (unsigned)lab->t->kernel_count, text);
}

/* The guest's command and its files. */
struct order {
	const char *argv[4 + 2 * PARTS + 5];
	struct bl_vm_file files[PARTS + 1];
	size_t words, file_count;
	char scale[16];
};

static void add_word(struct order *o, const char *word)
{
	o->argv[o->words++] = word;
}

static const char *file_of(const struct lab *lab, size_t kernel, unsigned part)
{
	if (part == MODULE && lab->modules)
		return lab->modules[kernel];
	return lab->files[part];
}

static void make_order(const struct lab *lab, size_t kernel, struct order *o)
{
	const struct bl_probe *p = &lab->t->probe;
	const char *file;
	unsigned i;

	*o = (struct order){ 0 };
	snprintf(o->scale, sizeof(o->scale), "%u", p->scale ? p->scale : 1);
	add_word(o, "/usr/bin/belay");
	add_word(o, "probe");
	add_word(o, "--last");
	add_word(o, bl_probe_step_name(p->last));
	add_word(o, "--scale");
	add_word(o, o->scale);
	for (i = 0; i < PARTS; i++) {
		file = file_of(lab, kernel, i);
		if (!file)
			continue;
		if (parts[i].option)
			add_word(o, parts[i].option);
		add_word(o, parts[i].path);
		o->files[o->file_count++] =
			(struct bl_vm_file){ file, parts[i].path };
	}
}

static void start_one(struct lab *lab, size_t i)
{
	const struct bl_kernel *k = lab->t->kernels[i];
	bl_autofree char *config = bl_path("%s/config", k->dir);
	bl_autofree char *boot = bl_path("/boot/config-%s", k->release);
	struct order order;
	struct bl_vm_spec spec = {
		.kernel = k,
		.name = k->release,
		.log_dir = lab->t->log_dir,
		.mem_mib = guest_mib(lab->t),
		.warm = true,
		.append = lab->t->modules ? MODULE_APPEND : NULL,
		.deadline_ms = lab->t->opts->deadline_ms,
		.max_output = OUTPUT_MAX,
		.output_fd = -1,
	};
	char text[300];

	make_order(lab, i, &order);
	/* libbpf reads it for extern __kconfig. */
	if (config && boot && access(config, R_OK) == 0)
		order.files[order.file_count++] =
			(struct bl_vm_file){ config, boot };
	spec.argv = order.argv;
	spec.files = order.files;
	spec.file_count = order.file_count;
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
	return r < 0 ? r : bl_gate_judge_vm(lab->t, name, res, report);
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
	r = write_parts(&lab, err);
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
