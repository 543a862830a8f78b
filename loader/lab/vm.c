/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/lab/vm.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "loader/base/cleanup.h"
#include "loader/base/cli.h"
#include "loader/base/clock.h"
#include "loader/base/file.h"
#include "loader/base/proc.h"
#include "loader/lab/guest.h"
#include "loader/lab/image.h"
#include "loader/lab/stream.h"
#include "loader/lab/vmlinux.h"

#define BOOT_LIMIT_MS	  120000 /* to the command's start */
#define POWEROFF_LIMIT_MS 5000	 /* from its end to QEMU's */
#define CONSOLE_MAX	  (64u * 1024 * 1024)

struct bl_vm {
	struct bl_vm_result res;
	struct bl_stream stream;
	pid_t pid;
	int port, errors; /* the second serial port; QEMU's messages */
	int output_fd;
	size_t max_output;
	uint64_t start_ms, deadline_ms, poweroff_ms;
	off_t log_seen; /* length of the console log at the command's end */
};

const char *bl_vm_outcome_name(enum bl_vm_outcome outcome)
{
	static const char *const names[] = {
		[BL_VM_RUNNING] = "running", [BL_VM_EXITED] = "exited",
		[BL_VM_PANIC] = "panic",     [BL_VM_HANG] = "hang",
		[BL_VM_LOST] = "lost",
	};

	return names[outcome];
}

void bl_vm_result_free(struct bl_vm_result *res)
{
	bl_buf_free(&res->output);
	free(res->log_path);
	memset(res, 0, sizeof(*res));
}

enum bl_vm_outcome bl_vm_state(const struct bl_vm *vm)
{
	return vm->res.outcome;
}

const struct bl_vm_result *bl_vm_result(const struct bl_vm *vm)
{
	return &vm->res;
}

void bl_vm_take_result(struct bl_vm *vm, struct bl_vm_result *ret)
{
	*ret = vm->res;
	memset(&vm->res, 0, sizeof(vm->res));
	vm->res.outcome = ret->outcome;
}

/* --- starting ------------------------------------------------------------- */

static int spec_check(const struct bl_vm_spec *s, struct bl_err *err)
{
	size_t args = 0;

	while (s->argv && s->argv[args] && args <= BL_VM_ARGS_MAX)
		args++;
	if (!args || args > BL_VM_ARGS_MAX)
		return bl_err_set(err, -EINVAL,
				  "a command of 1 to %d words is needed",
				  BL_VM_ARGS_MAX);
	if (!bl_name_valid(s->name))
		return bl_err_set(err, -EINVAL, "'%s' is no name for a VM",
				  s->name ? s->name : "");
	if (s->file_count > BL_VM_FILES_MAX)
		return bl_err_set(err, -EINVAL, "more than %d files",
				  BL_VM_FILES_MAX);
	if (s->mem_mib &&
	    (s->mem_mib < BL_VM_MEM_MIB_MIN || s->mem_mib > BL_VM_MEM_MIB_MAX))
		return bl_err_set(err, -EINVAL,
				  "memory must be %d to %d MiB, not %u",
				  BL_VM_MEM_MIB_MIN, BL_VM_MEM_MIB_MAX,
				  s->mem_mib);
	if (s->cpus > BL_VM_CPUS_MAX)
		return bl_err_set(err, -EINVAL,
				  "at most %d CPUs, not %u were asked for",
				  BL_VM_CPUS_MAX, s->cpus);
	if (!s->kernel->ready) {
		bl_err_set(err, -ENODEV, "kernel %s is not ready: %s",
			   s->kernel->release, s->kernel->why);
		bl_err_hint(err, "run scripts/kernels");
		return -ENODEV;
	}
	return 0;
}

static int make_mark(char ret[static BL_STREAM_MARK_LEN + 1],
		     struct bl_err *err)
{
	unsigned char raw[(BL_STREAM_MARK_LEN - 8) / 2];
	char *p = ret + sprintf(ret, "<belay:");

	if (getrandom(raw, sizeof(raw), 0) != (ssize_t)sizeof(raw))
		return bl_err_errno(err, -errno, "no random bytes");
	for (size_t i = 0; i < sizeof(raw); i++)
		p += sprintf(p, "%02x", raw[i]);
	*p++ = '>';
	*p = '\0';
	return 0;
}

static int make_log(struct bl_vm *vm, const struct bl_vm_spec *s,
		    struct bl_err *err)
{
	int fd, r = bl_file_mkdirs(s->log_dir, 0755, err);

	if (r < 0)
		return r;
	vm->res.log_path = bl_path("%s/%s.console.log", s->log_dir, s->name);
	if (!vm->res.log_path)
		return bl_err_set(err, -ENOMEM, "out of memory");
	/* Made here, so that it is there and empty even if QEMU fails. */
	fd = open(vm->res.log_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC,
		  0644);
	if (fd < 0)
		return bl_err_errno(err, -errno, "cannot write %s",
				    vm->res.log_path);
	close(fd);
	return 0;
}

static int spawn(struct bl_vm *vm, const struct bl_vm_spec *s, int initrd,
		 struct bl_err *err)
{
	bl_autobuf struct bl_buf args = { 0 };
	bl_autofree char *image = bl_vmlinux_path(s->kernel);
	bl_autofree char *busybox = NULL;
	struct bl_argv argv = { 0 };
	struct bl_qemu_opts o = {
		.binary = "qemu-system-x86_64",
		.name = s->name,
		.accel = bl_image_accel(s->kernel->image),
		.image = image,
		.initrd = "/proc/self/fd/0",
		.log = vm->res.log_path,
		.mem_mib = s->mem_mib ? s->mem_mib : BL_VM_MEM_MIB_DEFAULT,
		.cpus = s->cpus ? s->cpus : BL_VM_CPUS_DEFAULT,
		.forward_port = s->forward_port,
		.output_fd = 1,
	};
	int pair[2], r;

	if (!image)
		return bl_err_set(err, -ENOMEM, "out of memory");
	r = bl_image_busybox(&busybox, err);
	if (r < 0)
		return r;
	if (bl_guest_kernel_args(&args, s->append) < 0)
		return bl_err_set(err, -ENOMEM, "out of memory");
	o.busybox = busybox;
	o.kernel_args = bl_buf_str(&args);
	if (bl_qemu_argv(&o, &argv) < 0)
		return bl_err_set(err, -ENOMEM, "out of memory");
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) {
		bl_argv_free(&argv);
		return bl_err_errno(err, -errno, "cannot make a socket");
	}
	vm->port = pair[0];
	r = bl_proc_spawn((const char *const *)argv.words, initrd, pair[1],
			  vm->errors, &vm->pid, err);
	close(pair[1]);
	bl_argv_free(&argv);
	if (r == -ENOENT)
		bl_err_hint(err, "install the package qemu-system-x86, or run "
				 "scripts/setup");
	return r;
}

static int start(struct bl_vm *vm, const struct bl_vm_spec *s,
		 struct bl_err *err)
{
	bl_autoclose int initrd = -1;
	int r = spec_check(s, err);

	if (!r)
		r = make_mark(vm->stream.mark, err);
	if (!r)
		r = make_log(vm, s, err);
	if (!r)
		r = bl_image_build(s, vm->stream.mark, &initrd, err);
	if (r < 0)
		return r;
	vm->errors = memfd_create("belay-qemu-stderr", MFD_CLOEXEC);
	if (vm->errors < 0)
		return bl_err_errno(err, -errno, "cannot start QEMU");
	vm->output_fd = s->output_fd > 0 ? s->output_fd : -1;
	vm->max_output = s->max_output ? s->max_output : BL_VM_OUTPUT_DEFAULT;
	vm->start_ms = bl_clock_mono_ms();
	if (s->deadline_ms)
		vm->deadline_ms = vm->start_ms + s->deadline_ms;
	return spawn(vm, s, initrd, err);
}

int bl_vm_start(const struct bl_vm_spec *spec, struct bl_vm **ret,
		struct bl_err *err)
{
	struct bl_vm *vm = calloc(1, sizeof(*vm));
	int r;

	if (!vm)
		return bl_err_set(err, -ENOMEM, "out of memory");
	vm->port = vm->errors = -1;
	r = start(vm, spec, err);
	if (r < 0) {
		bl_vm_free(vm);
		return bl_err_wrap(err, r, "cannot start a VM on %s",
				   spec->kernel->release);
	}
	*ret = vm;
	return 0;
}

/* --- ending --------------------------------------------------------------- */

/* Kills what is left of QEMU's process group; its wait status. */
static int reap(struct bl_vm *vm)
{
	int status = 0;

	if (vm->pid <= 0)
		return 0;
	kill(-vm->pid, SIGKILL);
	while (waitpid(vm->pid, &status, 0) < 0 && errno == EINTR)
		;
	vm->pid = 0;
	return status;
}

void bl_vm_free(struct bl_vm *vm)
{
	if (!vm)
		return;
	reap(vm);
	if (vm->port >= 0)
		close(vm->port);
	if (vm->errors >= 0)
		close(vm->errors);
	bl_stream_free(&vm->stream);
	bl_vm_result_free(&vm->res);
	free(vm);
}

/* Looks for a panic in the console log from @from on. */
static bool console_panic(struct bl_vm *vm, off_t from)
{
	bl_autobuf struct bl_buf log = { 0 };

	if (bl_file_read(vm->res.log_path, CONSOLE_MAX, &log, NULL) < 0 ||
	    (size_t)from >= log.len)
		return false;
	return bl_guest_panic(log.data + from, log.len - (size_t)from,
			      vm->res.reason, sizeof(vm->res.reason));
}

/* Why QEMU ended by itself: its status and the last thing it said. */
static void lost_reason(struct bl_vm *vm, int status)
{
	char text[160] = "";
	ssize_t n;

	if (vm->stream.state == BL_STREAM_FAILED) {
		snprintf(vm->res.reason, sizeof(vm->res.reason),
			 "the guest could not be set up: %s", vm->stream.fail);
		return;
	}
	n = pread(vm->errors, text, sizeof(text) - 1, 0);
	text[n > 0 ? n : 0] = '\0';
	text[strcspn(text, "\n")] = '\0';
	if (WIFSIGNALED(status))
		snprintf(vm->res.reason, sizeof(vm->res.reason),
			 "QEMU was ended by signal %d", WTERMSIG(status));
	else if (WEXITSTATUS(status))
		snprintf(vm->res.reason, sizeof(vm->res.reason),
			 "QEMU ended with status %d: %s", WEXITSTATUS(status),
			 text);
	else
		snprintf(vm->res.reason, sizeof(vm->res.reason),
			 "the guest went down %s",
			 vm->stream.state == BL_STREAM_RUNNING
				 ? "before its command ended"
				 : "before its command could start");
}

/* QEMU is gone, or we gave up waiting for it to go. */
static void finish(struct bl_vm *vm, int status)
{
	struct bl_vm_result *res = &vm->res;

	if (vm->stream.state == BL_STREAM_ENDED) {
		res->exit_status = vm->stream.exit_status;
		res->outcome = console_panic(vm, vm->log_seen) ? BL_VM_PANIC
							       : BL_VM_EXITED;
	} else if (console_panic(vm, 0)) {
		res->outcome = BL_VM_PANIC;
	} else {
		res->outcome = BL_VM_LOST;
		lost_reason(vm, status);
	}
}

static void timed_out(struct bl_vm *vm, uint64_t now)
{
	struct bl_vm_result *res = &vm->res;

	if (vm->stream.state == BL_STREAM_ENDED || console_panic(vm, 0)) {
		finish(vm, 0);
		return;
	}
	res->outcome = BL_VM_HANG;
	snprintf(res->reason, sizeof(res->reason), "%s after %.1f s",
		 vm->stream.state == BL_STREAM_RUNNING
			 ? "its command had not ended"
			 : "the guest was not up",
		 (double)(now - vm->start_ms) / 1000);
}

/* --- moving on ------------------------------------------------------------ */

/* When something must happen even if the guest says nothing. */
static uint64_t next_ms(const struct bl_vm *vm)
{
	uint64_t at = vm->deadline_ms ? vm->deadline_ms : UINT64_MAX;

	if (vm->poweroff_ms && vm->poweroff_ms < at)
		at = vm->poweroff_ms;
	if (vm->stream.state == BL_STREAM_BOOTING &&
	    vm->start_ms + BOOT_LIMIT_MS < at)
		at = vm->start_ms + BOOT_LIMIT_MS;
	return at;
}

static void write_all(int fd, const char *data, size_t len)
{
	while (len) {
		ssize_t n = write(fd, data, len);

		if (n < 0 && errno != EINTR)
			return; /* nobody listens; what is kept is complete */
		if (n > 0) {
			data += n;
			len -= (size_t)n;
		}
	}
}

static int keep_output(struct bl_vm *vm, const struct bl_buf *out)
{
	size_t room = vm->max_output - vm->res.output.len;
	size_t take = out->len < room ? out->len : room;

	if (vm->output_fd >= 0)
		write_all(vm->output_fd, out->data, out->len);
	vm->res.output_lost += out->len - take;
	return bl_buf_add(&vm->res.output, bl_buf_str(out), take);
}

/* What the state of the stream means for the VM, once it has changed. */
static void moved_on(struct bl_vm *vm, enum bl_stream_state before)
{
	enum bl_stream_state now = vm->stream.state;
	struct stat st;

	if (now == before)
		return;
	if (before == BL_STREAM_BOOTING && now != BL_STREAM_FAILED)
		vm->res.boot_ms = bl_clock_mono_ms() - vm->start_ms;
	if (now < BL_STREAM_ENDED)
		return;
	vm->poweroff_ms = bl_clock_mono_ms() + POWEROFF_LIMIT_MS;
	if (stat(vm->res.log_path, &st) == 0)
		vm->log_seen = st.st_size;
}

/* Reads once. 1: more may come, 0: the port is closed, or -ENOMEM. */
static int read_port(struct bl_vm *vm)
{
	bl_autobuf struct bl_buf out = { 0 };
	enum bl_stream_state before = vm->stream.state;
	char chunk[65536];
	ssize_t n = recv(vm->port, chunk, sizeof(chunk), MSG_DONTWAIT);
	int r;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 1;
	if (n > 0)
		r = bl_stream_feed(&vm->stream, chunk, (size_t)n, &out);
	else
		r = bl_stream_flush(&vm->stream, &out);
	if (!r && out.len)
		r = keep_output(vm, &out);
	if (r < 0)
		return r;
	moved_on(vm, before);
	return n > 0;
}

/* 1: it ended now, 0: not yet, or -ENOMEM. */
static int step(struct bl_vm *vm, bool readable)
{
	uint64_t now;
	int r = readable ? read_port(vm) : 1;

	if (r < 0)
		return r;
	now = bl_clock_mono_ms();
	if (r == 0) {
		/* The port closes as QEMU exits; what it exits with counts, so
		 * no kill before that, unless it does not come. */
		int status = 0;
		uint64_t until = now + POWEROFF_LIMIT_MS;

		while (waitpid(vm->pid, &status, WNOHANG) == 0 &&
		       bl_clock_mono_ms() < until)
			bl_clock_sleep_ms(2);
		kill(-vm->pid, SIGKILL);
		while (waitpid(vm->pid, NULL, 0) < 0 && errno == EINTR)
			;
		vm->pid = 0;
		finish(vm, status);
	} else if (now >= next_ms(vm)) {
		reap(vm);
		timed_out(vm, now);
	} else {
		return 0;
	}
	vm->res.total_ms = bl_clock_mono_ms() - vm->start_ms;
	return 1;
}

static bool runs(const struct bl_vm *vm)
{
	return vm && vm->res.outcome == BL_VM_RUNNING;
}

/* Milliseconds that poll may wait; -1: for ever. */
static int wait_ms(struct bl_vm *const *vms, size_t count, uint64_t until)
{
	uint64_t now = bl_clock_mono_ms(), at = until;

	for (size_t i = 0; i < count; i++)
		if (runs(vms[i]) && next_ms(vms[i]) < at)
			at = next_ms(vms[i]);
	if (at == UINT64_MAX)
		return -1;
	if (at <= now)
		return 0;
	return at - now > 3600000 ? 3600000 : (int)(at - now);
}

int bl_vm_poll(struct bl_vm **vms, size_t count, int timeout_ms,
	       struct bl_err *err)
{
	bl_autofree struct pollfd *fds = calloc(count + 1, sizeof(*fds));
	uint64_t until = timeout_ms < 0
				 ? UINT64_MAX
				 : bl_clock_mono_ms() + (uint64_t)timeout_ms;
	int ended = 0, running, r;

	if (!fds)
		return bl_err_set(err, -ENOMEM, "out of memory");
	do {
		running = 0;
		for (size_t i = 0; i < count; i++) {
			fds[i].fd = runs(vms[i]) ? vms[i]->port : -1;
			fds[i].events = POLLIN;
			fds[i].revents = 0;
			running += runs(vms[i]);
		}
		if (!running)
			break;
		r = poll(fds, count, wait_ms(vms, count, until));
		if (r < 0)
			return bl_err_errno(err, -errno, "waiting for VMs");
		for (size_t i = 0; i < count; i++) {
			if (!runs(vms[i]))
				continue;
			r = step(vms[i], fds[i].revents != 0);
			if (r < 0)
				return bl_err_set(err, r, "out of memory");
			ended += r;
		}
	} while (!ended && bl_clock_mono_ms() < until);
	return ended;
}

int bl_vm_run(const struct bl_vm_spec *spec, struct bl_vm_result *ret,
	      struct bl_err *err)
{
	struct bl_vm *vm;
	int r = bl_vm_start(spec, &vm, err);

	if (r < 0)
		return r;
	do {
		/* In slices, as a signal just before poll would go unseen. */
		r = bl_cli_interrupted() ? -EINTR
					 : bl_vm_poll(&vm, 1, 200, err);
	} while (r == 0 || (r == -EINTR && !bl_cli_interrupted()));
	if (r == -EINTR)
		r = bl_err_set(err, -ECANCELED, "interrupted: VM %s was killed",
			       spec->name);
	if (r >= 0)
		bl_vm_take_result(vm, ret);
	bl_vm_free(vm);
	return r < 0 ? r : 0;
}
