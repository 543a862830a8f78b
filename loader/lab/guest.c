/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/lab/guest.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/lab/job.h"
#include "loader/lab/vm.h"

/*
 * Few processes: each costs a guest without KVM 20 ms. stty and not a plain
 * close waits until the port is drained: a process that the command left behind
 * may hold it open, and power-off does not wait.
 */
const char bl_guest_init[] =
	"#!/usr/bin/busybox sh\n"
	"export PATH=/usr/bin:/bin HOME=/root TERM=dumb\n"
	"mount -t proc proc /proc\n"
	"mount -a\n"
	"stty -F /dev/ttyS1 raw -echo\n"
	"ifconfig lo 127.0.0.1 up\n"
	"[ -e " BL_GUEST_ENV " ] || belay lab receive >/dev/console 2>&1 ||\n"
	"	poweroff -f\n"
	". " BL_GUEST_ENV "\n"
	"rm -rf /.belay/env /etc/fstab\n"
	"echo \"$name\" >/proc/sys/kernel/hostname\n"
	"say() {\n"
	"	printf '%s%s\\n' \"$mark\" \"$1\" >/dev/ttyS1\n"
	"}\n"
	"end() {\n"
	"	say \"$1\"\n"
	"	stty -F /dev/ttyS1 raw -echo\n"
	"	poweroff -f\n"
	"}\n"
	"for module in $modules; do\n"
	"	insmod \"$module\" || end \"fail=cannot load $module\"\n"
	"done\n"
	"if [ \"$network\" ]; then\n"
	"	tries=50\n"
	"	while [ ! -e /sys/class/net/eth0 ]; do\n"
	"		tries=$((tries - 1))\n"
	"		[ $tries -gt 0 ] || end 'fail=no network card'\n"
	"		sleep 0.1\n"
	"	done\n"
	"	ifconfig eth0 10.0.2.15 netmask 255.255.255.0 up ||\n"
	"		end 'fail=cannot set up eth0'\n"
	"fi\n"
	"for disk in $disks; do\n"
	"	device=/dev/${disk%%:*} folder=${disk#*:} tries=50\n"
	"	while [ ! -b $device ]; do\n"
	"		tries=$((tries - 1))\n"
	"		[ $tries -gt 0 ] || end \"fail=no disk $device\"\n"
	"		sleep 0.1\n"
	"	done\n"
	"	mkdir -p $folder && mount -t ext4 $device $folder ||\n"
	"		end \"fail=cannot mount $device on $folder\"\n"
	"done\n"
	"if [ \"$pstore\" ]; then\n"
	"	mount -t pstore pstore /sys/fs/pstore ||\n"
	"		end 'fail=cannot mount pstore'\n"
	"fi\n"
	"say start\n"
	"setsid sh " BL_GUEST_RUN " </dev/null >/dev/ttyS1 2>&1\n"
	"end \"$(printf 'exit=%03d' $?)\"\n";

const char bl_guest_fstab[] =
	"sysfs /sys sysfs defaults 0 0\n"
	"devtmpfs /dev devtmpfs defaults 0 0\n"
	"tmpfs /run tmpfs mode=755 0 0\n"
	"bpf /sys/fs/bpf bpf defaults 0 0\n"
	"cgroup2 /sys/fs/cgroup cgroup2 defaults 0 0\n"
	"debugfs /sys/kernel/debug debugfs defaults 0 0\n"
	"tracefs /sys/kernel/tracing tracefs defaults 0 0\n"
	"securityfs /sys/kernel/security securityfs defaults 0 0\n";

int bl_shell_quote(struct bl_buf *out, const char *word)
{
	int r = bl_buf_add(out, "'", 1);

	for (; !r && *word; word++)
		r = *word == '\'' ? bl_buf_add(out, "'\\''", 4)
				  : bl_buf_add(out, word, 1);
	return r ? r : bl_buf_add(out, "'", 1);
}

int bl_guest_command(struct bl_buf *out, const char *const *argv)
{
	int r = bl_buf_printf(out, "cd / && exec");

	for (; !r && *argv; argv++) {
		r = bl_buf_add(out, " ", 1);
		if (!r)
			r = bl_shell_quote(out, *argv);
	}
	return r ? r : bl_buf_add(out, "\n", 1);
}

int bl_guest_environment(struct bl_buf *out, const struct bl_guest_env *env)
{
	int r = bl_buf_printf(
		out,
		"mark='%s'\nname='%s'\nnetwork=%s\npstore=%s\ndisks='%s'\n",
		env->mark, env->name, env->network ? "yes" : "",
		env->pstore ? "yes" : "", env->disks ? env->disks : "");

	if (!r)
		r = bl_buf_printf(out, "modules='");
	for (size_t i = 0; !r && i < env->module_count; i++)
		r = bl_buf_printf(out, "%s%s", i ? " " : "", env->modules[i]);
	return r ? r : bl_buf_printf(out, "'\n");
}

int bl_guest_kernel_args(struct bl_buf *out, const char *append)
{
	/* lsm: what Debian builds in, and bpf, which 5.10 leaves out. A panic
	 * reboots at once, and QEMU runs with -no-reboot. A kernel that sees no
	 * ticks for a while as it boots panics ("IO-APIC + timer doesn't
	 * work!"), and on a busy machine it may: so it does not look, as under
	 * KVM. */
	int r = bl_buf_printf(
		out, "console=ttyS0,115200 panic=-1 oops=panic panic_on_warn=0 "
		     "lsm=landlock,lockdown,yama,integrity,apparmor,bpf "
		     "net.ifnames=0 no_timer_check");

	if (!r && append && *append)
		r = bl_buf_printf(out, " %s", append);
	return r;
}

/* --- QEMU ----------------------------------------------------------------- */

void bl_argv_free(struct bl_argv *a)
{
	for (size_t i = 0; i < a->count; i++)
		free(a->words[i]);
	free(a->words);
	memset(a, 0, sizeof(*a));
}

int bl_argv_add(struct bl_argv *a, const char *fmt, ...)
{
	char **words = reallocarray(a->words, a->count + 2, sizeof(*words));
	char *word;
	va_list ap;
	int n;

	if (!words)
		return -ENOMEM;
	a->words = words;
	words[a->count] = NULL;
	va_start(ap, fmt);
	n = vasprintf(&word, fmt, ap);
	va_end(ap);
	if (n < 0)
		return -ENOMEM;
	words[a->count++] = word;
	words[a->count] = NULL;
	return 0;
}

int bl_argv_add_all(struct bl_argv *a, const struct bl_argv *more)
{
	int r = 0;

	for (size_t i = 0; !r && i < more->count; i++)
		r = bl_argv_add(a, "%s", more->words[i]);
	return r;
}

char *bl_qemu_value(const char *value)
{
	char *out = malloc(2 * strlen(value) + 1), *p = out;

	if (!out)
		return NULL;
	for (; *value; value++) {
		if (*value == ',')
			*p++ = ',';
		*p++ = *value;
	}
	*p = '\0';
	return out;
}

static int add_all(struct bl_argv *a, const char *const *words)
{
	int r = 0;

	for (; !r && *words; words++)
		r = bl_argv_add(a, "%s", *words);
	return r;
}

/*
 * Without cx16: TCG (seen in QEMU 7.2) computes the flags of a cmpxchg16b
 * without LOCK from a stale operation, so that now and then EFLAGS get a
 * pointer's bits, the trap flag among them. The slab allocator of 6.x uses that
 * instruction all the time, and panics in exc_debug_kernel once in some boots.
 * Without la57: a fifth level of page tables only costs time. Without erms and
 * fsrm: a kernel that has them copies and clears byte by byte (rep movsb), which
 * TCG does in as many steps; without, by words. A fifth of a check's time.
 */
#define TCG_CPU "max,cx16=off,la57=off,erms=off,fsrm=off"

static int add_machine(struct bl_argv *a, const struct bl_qemu_opts *o)
{
	const char *const fixed[] = { "-nodefaults",
				      "-no-user-config",
				      "-display",
				      "none",
				      "-no-reboot",
				      "-machine",
				      o->warm ? "pc,memory-backend=ram" : "pc",
				      NULL };
	/* sleep=off: an idle guest's clock jumps to the next timer. The seed is
	 * that of rdrand and of the kernel's first random bytes. */
	static const char *const icount[] = { "-icount",
					      "shift=0,sleep=off,align=off",
					      "-seed", "1", NULL };
	bool kvm = strcmp(o->accel, "kvm") == 0;
	int r = bl_argv_add(a, "%s", o->binary);

	if (!r)
		r = add_all(a, fixed);
	if (!r)
		r = add_all(a, (const char *const[]){
				       "-name", o->name, "-accel", o->accel,
				       "-cpu", kvm ? "host" : TCG_CPU, NULL });
	if (!r)
		r = bl_argv_add(a, "-smp");
	if (!r)
		r = bl_argv_add(a, "%u", o->cpus);
	if (!r)
		r = bl_argv_add(a, "-m");
	if (!r)
		r = bl_argv_add(a, "%uM", o->mem_mib);
	return r || !o->icount ? r : add_all(a, icount);
}

static int add_monitor(struct bl_argv *a, int fd)
{
	int r = add_all(a, (const char *const[]){
				   "-mon", "chardev=monitor,mode=control",
				   "-chardev", NULL });

	return r ? r : bl_argv_add(a, "socket,id=monitor,fd=%d", fd);
}

/*
 * The memory is a file of ours, and so is the job. What QEMU saves leaves out
 * shared memory (x-ignore-shared): a guest that is to be saved shares its own,
 * and we copy it; one that wakes up has a private view of that copy. The job is
 * never part of a state. It is private on waking up, too, for QEMU then checks
 * where shared memory lay in the guest before the device is put there.
 */
static int add_warm(struct bl_argv *a, const struct bl_qemu_opts *o)
{
	const char *share = o->wake ? "off" : "on";
	int r = bl_argv_add(a, "-object");

	if (!r)
		r = bl_argv_add(
			a,
			"memory-backend-file,id=ram,size=%uM,share=%s,mem-path=/proc/self/fd/%d",
			o->mem_mib, share, o->warm->ram);
	if (!r)
		r = bl_argv_add(a, "-object");
	if (!r)
		r = bl_argv_add(
			a,
			"memory-backend-file,id=job,size=%u,share=%s,mem-path=/proc/self/fd/%d",
			BL_JOB_BYTES, share, o->warm->job);
	if (!r)
		r = add_all(a, (const char *const[]){
				       "-device",
				       "ivshmem-plain,memdev=job,master=on",
				       NULL });
	if (!r)
		r = add_monitor(a, o->warm->monitor);
	if (!r && o->wake)
		r = add_all(a, (const char *const[]){ "-incoming", "defer",
						      NULL });
	return r;
}

static int add_kernel(struct bl_argv *a, const struct bl_qemu_opts *o)
{
	return add_all(a, (const char *const[]){ "-kernel", o->image, "-initrd",
						 o->initrd, "-append",
						 o->kernel_args, NULL });
}

static int add_ports(struct bl_argv *a, const struct bl_qemu_opts *o)
{
	bl_autofree char *log = bl_qemu_value(o->log);
	int r = log ? bl_argv_add(a, "-chardev") : -ENOMEM;

	if (!r)
		r = bl_argv_add(a, "file,id=console,path=%s%s", log,
				o->wake ? ",append=on" : "");
	if (!r)
		r = bl_argv_add(a, "-chardev");
	if (!r)
		r = bl_argv_add(a, "socket,id=output,fd=%d", o->output_fd);
	if (!r)
		r = add_all(a, (const char *const[]){
				       "-serial", "chardev:console", "-serial",
				       "chardev:output", NULL });
	return r;
}

/* restrict=on: nothing but the forward. The forward is a command per
 * connection, since QEMU's own connects once and for all. */
static int add_network(struct bl_argv *a, const struct bl_qemu_opts *o)
{
	bl_autofree char *busybox = bl_qemu_value(o->busybox);
	int r = busybox ? bl_argv_add(a, "-netdev") : -ENOMEM;

	if (!r)
		r = bl_argv_add(a,
				"user,id=net,restrict=on,guestfwd="
				"tcp:" BL_VM_FORWARD_HOST
				":%u-cmd:%s nc 127.0.0.1 %u",
				o->forward_port, busybox, o->forward_port);
	if (!r)
		r = bl_argv_add(a, "-device");
	return r ? r : bl_argv_add(a, "virtio-net-pci,netdev=net,romfile=");
}

int bl_qemu_argv(const struct bl_qemu_opts *o, struct bl_argv *ret)
{
	struct bl_argv a = { 0 };
	int r = add_machine(&a, o);

	if (!r && !o->wake)
		r = add_kernel(&a, o);
	if (!r && o->warm)
		r = add_warm(&a, o);
	if (!r)
		r = add_ports(&a, o);
	if (!r && o->forward_port)
		r = add_network(&a, o);
	if (!r && o->lasting)
		r = bl_argv_add_all(&a, o->lasting);
	if (!r && o->lasting)
		r = add_monitor(&a, o->monitor);
	if (r < 0) {
		bl_argv_free(&a);
		return r;
	}
	*ret = a;
	return 0;
}

/* --- panics --------------------------------------------------------------- */

bool bl_guest_sound(const char *console, size_t len)
{
	static const char *const signs[] = { "as unstable", "detected stall",
					     "soft lockup", "WARNING: ",
					     "BUG: ",	    "Kernel panic" };

	for (size_t i = 0; i < BL_ARRAY_SIZE(signs); i++)
		if (memmem(console, len, signs[i], strlen(signs[i])))
			return false;
	return true;
}

/* The line of @console that holds @what, from there to its end. */
static bool find_line(const char *console, size_t len, const char *what,
		      char *ret, size_t size)
{
	const char *p = memmem(console, len, what, strlen(what));
	size_t n = 0;

	if (!p)
		return false;
	while (p + n < console + len && isprint((unsigned char)p[n]) &&
	       n + 1 < size) {
		ret[n] = p[n];
		n++;
	}
	while (n && ret[n - 1] == ' ')
		n--;
	ret[n] = '\0';
	return true;
}

bool bl_guest_panic(const char *console, size_t len, char *ret, size_t size)
{
	char line[160], rip[160];
	const char *at;

	if (!find_line(console, len, "Kernel panic - not syncing", line,
		       sizeof(line)))
		return false;
	/* The first instruction pointer before the panic is what oopsed. */
	at = memmem(console, len, "Kernel panic", strlen("Kernel panic"));
	if (find_line(console, (size_t)(at - console), "RIP: 0010:", rip,
		      sizeof(rip)))
		snprintf(ret, size, "%s (RIP: %s)", line,
			 rip + strlen("RIP: 0010:"));
	else
		snprintf(ret, size, "%s", line);
	return true;
}
