/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/lab/vm.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "loader/base/cleanup.h"
#include "loader/base/cli.h"
#include "loader/base/clock.h"
#include "loader/base/file.h"
#include "loader/lab/guest.h"
#include "loader/lab/image.h"
#include "loader/lab/lasting.h"
#include "loader/lab/machine.h"
#include "loader/lab/stream.h"
#include "loader/lab/warm.h"

#define BOOT_LIMIT_MS	  120000 /* to the command's start */
#define WAKE_LIMIT_MS	  30000	 /* as above, from a saved state */
#define POWEROFF_LIMIT_MS 20000	 /* from its end to QEMU's */
#define CONSOLE_MAX	  (64u * 1024 * 1024)

struct bl_vm {
	struct bl_vm_result res;
	struct bl_stream stream;
	struct bl_machine_spec spec;
	struct bl_machine machine;
	struct bl_warm *warm; /* NULL: a cold start */
	int output_fd;
	size_t max_output;
	uint64_t start_ms, deadline_ms, up_ms, poweroff_ms;
	off_t log_seen; /* length of the console log at the command's end */
};

const char *bl_vm_outcome_name(enum bl_vm_outcome outcome)
{
	static const char *const names[] = {
		[BL_VM_RUNNING] = "running", [BL_VM_EXITED] = "exited",
		[BL_VM_PANIC] = "panic",     [BL_VM_HANG] = "hang",
		[BL_VM_LOST] = "lost",	     [BL_VM_REBOOTED] = "rebooted",
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
	if (s->icount && s->cpus > 1)
		return bl_err_set(err, -EINVAL,
				  "instructions are counted with one CPU only");
	if (bl_lasting_check(s, err) < 0)
		return -EINVAL;
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
	char hex[2 * sizeof(raw) + 1];

	if (getrandom(raw, sizeof(raw), 0) != (ssize_t)sizeof(raw))
		return bl_err_errno(err, -errno, "no random bytes");
	for (size_t i = 0; i < sizeof(raw); i++)
		snprintf(hex + 2 * i, 3, "%02x", raw[i]);
	snprintf(ret, BL_STREAM_MARK_LEN + 1, "<belay:%s>", hex);
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

static void empty_log(const struct bl_vm *vm)
{
	if (truncate(vm->res.log_path, 0) < 0)
		return; /* QEMU says so, if it cannot write there either */
}

static void expect_up(struct bl_vm *vm, uint64_t limit_ms)
{
	vm->up_ms = bl_clock_mono_ms() + limit_ms;
}

static int start_cold(struct bl_vm *vm, int initrd, struct bl_err *err)
{
	expect_up(vm, BOOT_LIMIT_MS);
	return bl_machine_start(&vm->spec, initrd, NULL, &vm->machine, err);
}

/* The same again as a cold start, after a warm one that came to nothing. */
static int start_again(struct bl_vm *vm, struct bl_err *err)
{
	bl_autoclose int initrd = -1;
	int r;

	bl_machine_free(&vm->machine);
	bl_stream_reset(&vm->stream);
	empty_log(vm);
	r = bl_warm_cold(vm->warm, &initrd, err);
	bl_warm_free(&vm->warm);
	return r ? r : start_cold(vm, initrd, err);
}

static int start_warm(struct bl_vm *vm, struct bl_err *err)
{
	if (bl_warm_start(vm->warm, &vm->machine, NULL) < 0)
		return start_again(vm, err);
	expect_up(vm, bl_warm_woke(vm->warm) ? WAKE_LIMIT_MS : BOOT_LIMIT_MS);
	return 0;
}

static int start(struct bl_vm *vm, const struct bl_vm_spec *s,
		 struct bl_err *err)
{
	bl_autoclose int initrd = -1;
	int r = spec_check(s, err);

	vm->output_fd = s->output_fd > 0 ? s->output_fd : -1;
	vm->max_output = s->max_output ? s->max_output : BL_VM_OUTPUT_DEFAULT;
	vm->start_ms = bl_clock_mono_ms();
	if (s->deadline_ms)
		vm->deadline_ms = vm->start_ms + s->deadline_ms;
	if (!r)
		r = make_mark(vm->stream.mark, err);
	if (!r)
		r = make_log(vm, s, err);
	if (!r)
		r = bl_lasting_make(s, err);
	if (!r)
		r = bl_machine_spec_make(s, vm->res.log_path, &vm->spec, err);
	if (!r)
		r = bl_warm_new(s, vm->stream.mark, &vm->spec, &vm->warm, err);
	if (r < 0)
		return r;
	if (vm->warm)
		return start_warm(vm, err);
	r = bl_image_build(s, vm->stream.mark, &initrd, err);
	return r ? r : start_cold(vm, initrd, err);
}

int bl_vm_start(const struct bl_vm_spec *spec, struct bl_vm **ret,
		struct bl_err *err)
{
	struct bl_vm *vm = calloc(1, sizeof(*vm));
	int r;

	if (!vm)
		return bl_err_set(err, -ENOMEM, "out of memory");
	vm->machine = (struct bl_machine)BL_MACHINE_NONE;
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

void bl_vm_free(struct bl_vm *vm)
{
	if (!vm)
		return;
	bl_machine_free(&vm->machine);
	bl_warm_free(&vm->warm);
	bl_machine_spec_free(&vm->spec);
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
	n = pread(vm->machine.errors, text, sizeof(text) - 1, 0);
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
	vm->res.went_down = WIFEXITED(status) && !WEXITSTATUS(status);
}

/* Whether the guest was reset; only a watched machine tells. */
static bool rebooted(struct bl_vm *vm)
{
	enum bl_machine_end how = bl_machine_how(&vm->machine);

	if (how == BL_MACHINE_DOWN || !vm->spec.watched)
		return false;
	snprintf(vm->res.reason, sizeof(vm->res.reason), "%s before its %s",
		 how == BL_MACHINE_WATCHDOG ? "the watchdog reset the guest"
					    : "the guest was reset",
		 vm->stream.state == BL_STREAM_RUNNING ? "command ended"
						       : "command could start");
	return true;
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
	} else if (rebooted(vm)) {
		res->outcome = BL_VM_REBOOTED;
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
	if (vm->stream.state == BL_STREAM_BOOTING && vm->up_ms < at)
		at = vm->up_ms;
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
	if (before == BL_STREAM_BOOTING && now != BL_STREAM_FAILED) {
		vm->res.boot_ms = bl_clock_mono_ms() - vm->start_ms;
		if (vm->warm) {
			vm->res.warm = bl_warm_woke(vm->warm);
			bl_warm_started(vm->warm);
		}
	}
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
	ssize_t n = recv(vm->machine.port, chunk, sizeof(chunk), MSG_DONTWAIT);
	int r;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 1;
	if (n > 0)
		r = bl_stream_feed(&vm->stream, chunk, (size_t)n, &out);
	else
		r = bl_stream_flush(&vm->stream, &out);
	if (!r && out.len) {
		if (n > 0)
			vm->res.said_ms = bl_clock_mono_ms() - vm->start_ms;
		r = keep_output(vm, &out);
	}
	if (r < 0)
		return r;
	moved_on(vm, before);
	return n > 0;
}

/* A warm start that did not get to its command becomes a cold one. 1: it did,
 * 0: it is none or has no time left, -1: it could not, and the VM has ended. */
static int begin_again(struct bl_vm *vm, uint64_t now)
{
	struct bl_err err = { 0 };

	if (!vm->warm || bl_warm_over(vm->warm))
		return 0;
	bl_warm_distrust(vm->warm);
	if (vm->deadline_ms && now >= vm->deadline_ms)
		return 0;
	if (start_again(vm, &err) == 0)
		return 1;
	vm->res.outcome = BL_VM_LOST;
	snprintf(vm->res.reason, sizeof(vm->res.reason), "%.200s", err.text);
	return -1;
}

/* It is over with this machine. 1: the VM has ended, 0: it has not. */
static int over(struct bl_vm *vm, int status, bool late)
{
	uint64_t now = bl_clock_mono_ms();
	int again = begin_again(vm, now);

	if (again > 0)
		return 0;
	if (!again && late)
		timed_out(vm, now);
	else if (!again)
		finish(vm, status);
	if (vm->warm)
		bl_warm_keep(vm->warm);
	vm->res.total_ms = bl_clock_mono_ms() - vm->start_ms;
	return 1;
}

/* 1: it ended now, 0: not yet, or -ENOMEM. */
static int step(struct bl_vm *vm, bool readable)
{
	int r = readable ? read_port(vm) : 1;

	if (r < 0)
		return r;
	/* The port closes as QEMU exits; what it exits with counts, so no kill
	 * before that, unless it does not come. */
	if (r == 0)
		return over(vm, bl_machine_end(&vm->machine, POWEROFF_LIMIT_MS),
			    false);
	if (bl_clock_mono_ms() >= next_ms(vm)) {
		bl_machine_end(&vm->machine, 0);
		return over(vm, 0, true);
	}
	if (vm->warm && !bl_warm_over(vm->warm) &&
	    bl_warm_step(vm->warm, &vm->machine, vm->stream.ready, NULL) < 0) {
		bl_machine_end(&vm->machine, 0);
		return over(vm, 0, false);
	}
	return 0;
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

/* Two descriptors a VM: its port and, while it is of use, its monitor. */
static int add_fds(struct bl_vm *const *vms, size_t count, struct pollfd *fds)
{
	int running = 0;

	for (size_t i = 0; i < count; i++, fds += 2) {
		const struct bl_vm *vm = vms[i];
		bool on = runs(vm);
		bool monitored = on && vm->warm && !bl_warm_over(vm->warm);

		fds[0] = (struct pollfd){ .fd = on ? vm->machine.port : -1,
					  .events = POLLIN };
		fds[1] = (struct pollfd){ .fd = monitored ? vm->machine.monitor
							  : -1,
					  .events = POLLIN };
		running += on;
	}
	return running;
}

int bl_vm_poll(struct bl_vm **vms, size_t count, int timeout_ms,
	       struct bl_err *err)
{
	bl_autofree struct pollfd *fds = calloc(2 * count + 1, sizeof(*fds));
	uint64_t until = timeout_ms < 0
				 ? UINT64_MAX
				 : bl_clock_mono_ms() + (uint64_t)timeout_ms;
	int ended = 0, r;

	if (!fds)
		return bl_err_set(err, -ENOMEM, "out of memory");
	do {
		if (!add_fds(vms, count, fds))
			break;
		r = poll(fds, 2 * count, wait_ms(vms, count, until));
		if (r < 0)
			return bl_err_errno(err, -errno, "waiting for VMs");
		for (size_t i = 0; i < count; i++) {
			if (!runs(vms[i]))
				continue;
			r = step(vms[i], fds[2 * i].revents != 0);
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
