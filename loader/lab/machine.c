/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/lab/machine.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "loader/base/cleanup.h"
#include "loader/base/clock.h"
#include "loader/base/file.h"
#include "loader/base/proc.h"
#include "loader/lab/image.h"
#include "loader/lab/lasting.h"
#include "loader/lab/qmp.h"
#include "loader/lab/vmlinux.h"

/* As QEMU sees them: 2 is where it writes its errors. */
enum { INITRD, PORT, ERRORS, MONITOR, RAM, JOB, DESCRIPTORS };

static int no_memory(struct bl_err *err)
{
	return bl_err_set(err, -ENOMEM, "out of memory");
}

void bl_machine_spec_free(struct bl_machine_spec *s)
{
	free(s->name);
	free(s->image);
	free(s->busybox);
	free(s->log);
	free(s->args);
	bl_argv_free(&s->lasting);
	memset(s, 0, sizeof(*s));
}

int bl_machine_spec_make(const struct bl_vm_spec *s, const char *log,
			 struct bl_machine_spec *ret, struct bl_err *err)
{
	BL_CLEANUP(bl_machine_spec_free)
	struct bl_machine_spec m = {
		.accel = s->icount ? "tcg" : bl_image_accel(s->kernel->image),
		.mem_mib = s->mem_mib ? s->mem_mib : BL_VM_MEM_MIB_DEFAULT,
		.cpus = s->cpus ? s->cpus : BL_VM_CPUS_DEFAULT,
		.forward_port = s->forward_port,
		.watched = bl_lasting_any(s),
		.icount = s->icount,
	};
	struct bl_buf args = { 0 };
	int r = bl_guest_kernel_args(&args, s->append);

	m.args = args.data;
	m.name = strdup(s->name);
	m.log = strdup(log);
	m.image = bl_vmlinux_path(s->kernel);
	if (!r)
		r = bl_lasting_argv(s, &m.lasting);
	if (r < 0 || !m.name || !m.log || !m.image)
		return no_memory(err);
	r = bl_image_busybox(&m.busybox, err);
	if (r < 0)
		return r;
	*ret = m;
	m = (struct bl_machine_spec){ 0 };
	return 0;
}

int bl_machine_argv(const struct bl_machine_spec *s,
		    const struct bl_machine_warm *warm, struct bl_argv *ret)
{
	const struct bl_qemu_warm fds = { RAM, JOB, MONITOR };
	const struct bl_qemu_opts o = {
		.binary = "qemu-system-x86_64",
		.name = s->name,
		.accel = s->accel,
		.image = s->image,
		.initrd = "/proc/self/fd/0",
		.kernel_args = s->args,
		.log = s->log,
		.busybox = s->busybox,
		.mem_mib = s->mem_mib,
		.cpus = s->cpus,
		.icount = s->icount,
		.forward_port = s->forward_port,
		.output_fd = PORT,
		.warm = warm ? &fds : NULL,
		.wake = warm && warm->wake,
		.lasting = s->watched ? &s->lasting : NULL,
		.monitor = MONITOR,
	};

	return bl_qemu_argv(&o, ret);
}

static int make_ends(struct bl_machine *m, bool monitor, int ends[2],
		     struct bl_err *err)
{
	int pair[2];

	m->errors = memfd_create("belay-qemu-stderr", MFD_CLOEXEC);
	if (m->errors < 0)
		return bl_err_errno(err, -errno, "cannot start QEMU");
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return bl_err_errno(err, -errno, "cannot make a socket");
	m->port = pair[0];
	ends[0] = pair[1];
	if (!monitor)
		return 0;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return bl_err_errno(err, -errno, "cannot make a socket");
	m->monitor = pair[0];
	ends[1] = pair[1];
	return 0;
}

static int spawn(const struct bl_machine_spec *s, const int *fds, size_t count,
		 const struct bl_machine_warm *warm, struct bl_machine *m,
		 struct bl_err *err)
{
	struct bl_argv argv = { 0 };
	int r;

	if (bl_machine_argv(s, warm, &argv) < 0)
		return no_memory(err);
	r = bl_proc_spawn_fds((const char *const *)argv.words, fds, count,
			      &m->pid, err);
	bl_argv_free(&argv);
	if (r == -ENOENT)
		bl_err_hint(err, "install the package qemu-system-x86, or run "
				 "scripts/setup");
	return r;
}

/* Its monitor tells events only to who has spoken to it. */
static int greet(struct bl_machine *m, struct bl_err *err)
{
	static const char hello[] = "{\"execute\":\"qmp_capabilities\"}\n";

	if (write(m->monitor, hello, strlen(hello)) != (ssize_t)strlen(hello))
		return bl_err_errno(err, -errno, "cannot speak to QEMU");
	return 0;
}

int bl_machine_start(const struct bl_machine_spec *s, int initrd,
		     const struct bl_machine_warm *warm, struct bl_machine *ret,
		     struct bl_err *err)
{
	BL_CLEANUP(bl_machine_free) struct bl_machine m = BL_MACHINE_NONE;
	int ends[2] = { -1, -1 }, fds[DESCRIPTORS];
	int r = make_ends(&m, warm || s->watched, ends, err);

	if (!r && s->watched)
		r = greet(&m, err);
	if (!r) {
		fds[INITRD] = initrd;
		fds[PORT] = ends[0];
		fds[ERRORS] = m.errors;
		fds[MONITOR] = ends[1];
		fds[RAM] = warm ? warm->ram : -1;
		fds[JOB] = warm ? warm->job : -1;
		r = spawn(s, fds,
			  warm	       ? DESCRIPTORS
			  : s->watched ? MONITOR + 1
				       : ERRORS + 1,
			  warm, &m, err);
	}
	if (ends[0] >= 0)
		close(ends[0]);
	if (ends[1] >= 0)
		close(ends[1]);
	if (r < 0)
		return r;
	*ret = m;
	m = (struct bl_machine)BL_MACHINE_NONE;
	return 0;
}

int bl_machine_end(struct bl_machine *m, unsigned timeout_ms)
{
	uint64_t until = bl_clock_mono_ms() + timeout_ms;
	int status = 0;

	if (m->pid <= 0)
		return 0;
	/* Its own status counts: no kill before it has had its time. */
	while (timeout_ms && waitpid(m->pid, &status, WNOHANG) == 0 &&
	       bl_clock_mono_ms() < until)
		bl_clock_sleep_ms(2);
	kill(-m->pid, SIGKILL);
	while (waitpid(m->pid, timeout_ms ? NULL : &status, 0) < 0 &&
	       errno == EINTR)
		;
	m->pid = 0;
	return status;
}

enum bl_machine_end bl_machine_how(struct bl_machine *m)
{
	struct bl_qmp q = { .owed = 1 }; /* the answer to greet */
	enum bl_machine_end how = BL_MACHINE_DOWN;
	char chunk[4096];
	ssize_t n;

	if (m->monitor < 0)
		return how;
	while ((n = recv(m->monitor, chunk, sizeof(chunk), MSG_DONTWAIT)) > 0)
		if (bl_qmp_feed(&q, chunk, (size_t)n, NULL) < 0)
			break;
	if (q.reset)
		how = q.watchdog ? BL_MACHINE_WATCHDOG : BL_MACHINE_RESET;
	bl_qmp_free(&q);
	return how;
}

void bl_machine_free(struct bl_machine *m)
{
	bl_machine_end(m, 0);
	if (m->port >= 0)
		close(m->port);
	if (m->errors >= 0)
		close(m->errors);
	if (m->monitor >= 0)
		close(m->monitor);
	*m = (struct bl_machine)BL_MACHINE_NONE;
}
