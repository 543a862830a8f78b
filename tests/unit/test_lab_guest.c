/* SPDX-License-Identifier: Apache-2.0 */
/* The pure parts of a microVM: framing, command lines, panics, modules. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/base/proc.h"
#include "loader/lab/guest.h"
#include "loader/lab/modules.h"
#include "loader/lab/stream.h"
#include "tests/main.h"

#define MARK "<belay:0123456789abcdef0123456789abcdef>"

/* --- the stream ----------------------------------------------------------- */

/* Feeds @data in pieces of @piece bytes; the output, and the stream. */
static struct bl_buf feed(struct bl_stream *s, const char *data, size_t len,
			  size_t piece)
{
	struct bl_buf out = { 0 };

	memset(s, 0, sizeof(*s));
	strcpy(s->mark, MARK);
	for (size_t at = 0; at < len; at += piece)
		ck_assert_int_eq(bl_stream_feed(s, data + at,
						len - at < piece ? len - at
								 : piece,
						&out),
				 0);
	return out;
}

START_TEST(output_is_exact_however_it_is_cut)
{
	static const char in[] = "SeaBIOS noise <belay:\n" MARK "start\n"
				 "one\0two\n\xff\r\n<<belay:<belay:0123"
				 "no newline at the end" MARK "exit=042\n"
				 "said after the end";
	static const char want[] = "one\0two\n\xff\r\n<<belay:<belay:0123"
				   "no newline at the end";
	struct bl_stream s;

	for (size_t piece = 1; piece < sizeof(in); piece++) {
		bl_autobuf struct bl_buf out =
			feed(&s, in, sizeof(in) - 1, piece);

		ck_assert_int_eq(s.state, BL_STREAM_ENDED);
		ck_assert_int_eq(s.exit_status, 42);
		ck_assert_uint_eq(out.len, sizeof(want) - 1);
		ck_assert_mem_eq(out.data, want, out.len);
		bl_stream_free(&s);
	}
}
END_TEST

START_TEST(a_forged_frame_is_output)
{
	static const char in[] = MARK "start\n<belay:00>exit=000\n" MARK
				      "exit=0\n" MARK "exit=abc\n" MARK
				      "start\n";
	struct bl_stream s;
	bl_autobuf struct bl_buf out = feed(&s, in, sizeof(in) - 1, 7);

	ck_assert_int_eq(bl_stream_flush(&s, &out), 0);
	ck_assert_int_eq(s.state, BL_STREAM_RUNNING);
	ck_assert_str_eq(out.data, in + sizeof(MARK "start\n") - 1);
	bl_stream_free(&s);
}
END_TEST

START_TEST(an_end_without_a_start_is_none)
{
	struct bl_stream s;
	static const char in[] = MARK "exit=000\n";
	bl_autobuf struct bl_buf out = feed(&s, in, sizeof(in) - 1, 100);

	ck_assert_int_eq(s.state, BL_STREAM_BOOTING);
	ck_assert_uint_eq(out.len, 0);
	bl_stream_free(&s);
}
END_TEST

START_TEST(a_broken_stream_gives_what_came)
{
	static const char in[] = MARK "start\nlast words <belay:0123";
	struct bl_stream s;
	bl_autobuf struct bl_buf out = feed(&s, in, sizeof(in) - 1, 5);

	ck_assert_str_eq(bl_buf_str(&out), "last words ");
	ck_assert_int_eq(bl_stream_flush(&s, &out), 0);
	ck_assert_str_eq(out.data, "last words <belay:0123");
	ck_assert_int_eq(s.state, BL_STREAM_RUNNING);
	bl_stream_free(&s);
}
END_TEST

START_TEST(a_guest_says_once_that_it_waits)
{
	static const char in[] = "noise <bel<belay:read<belay:ready>\nmore";
	static const char late[] = MARK "start\n<belay:ready>\n";
	struct bl_stream s;

	for (size_t piece = 1; piece < sizeof(in); piece++) {
		bl_autobuf struct bl_buf out =
			feed(&s, in, sizeof(in) - 1, piece);

		ck_assert(s.ready);
		ck_assert_int_eq(s.state, BL_STREAM_BOOTING);
		bl_stream_reset(&s);
		ck_assert(!s.ready);
		ck_assert_str_eq(s.mark, MARK);
		bl_stream_free(&s);
	}
	{
		/* From the command it is output. */
		bl_autobuf struct bl_buf out =
			feed(&s, late, sizeof(late) - 1, 5);

		ck_assert_str_eq(bl_buf_str(&out), "<belay:ready>\n");
		bl_stream_free(&s);
	}
}
END_TEST

START_TEST(a_guest_can_say_that_it_failed)
{
	static const char in[] = MARK "fail=no network card\n";
	struct bl_stream s;
	bl_autobuf struct bl_buf out = feed(&s, in, sizeof(in) - 1, 3);

	ck_assert_int_eq(s.state, BL_STREAM_FAILED);
	ck_assert_str_eq(s.fail, "no network card");
	bl_stream_free(&s);
}
END_TEST

/* --- texts ---------------------------------------------------------------- */

START_TEST(a_shell_reads_the_command_as_it_was)
{
	const char *const argv[] = { "printf", "%s.",	    "a b", "it's",
				     "$HOME",  "`x`",	    "",	   "\\n",
				     "*",      "new\nline", "-n",  "\xff",
				     NULL };
	bl_autobuf struct bl_buf script = { 0 };
	bl_autoproc struct bl_proc_result res = { 0 };

	ck_assert_int_eq(bl_guest_command(&script, argv), 0);
	{
		const char *const sh[] = { "sh", "-c", script.data, NULL };

		ck_assert_int_eq(bl_proc_run(sh, NULL, &res, NULL), 0);
	}
	ck_assert_int_eq(res.status, 0);
	ck_assert_str_eq(bl_buf_str(&res.out),
			 "a b.it's.$HOME.`x`..\\n.*.new\nline.-n.\xff.");
}
END_TEST

static bool has_word(const char *line, const char *word)
{
	size_t n = strlen(word);

	for (const char *p = line; (p = strstr(p, word)); p++)
		if ((p == line || p[-1] == ' ') && (!p[n] || p[n] == ' '))
			return true;
	return false;
}

START_TEST(the_kernel_is_told_what_makes_a_finding_sure)
{
	bl_autobuf struct bl_buf args = { 0 };

	ck_assert_int_eq(bl_guest_kernel_args(&args, "quiet x=1"), 0);
	ck_assert(has_word(args.data, "console=ttyS0,115200"));
	ck_assert(has_word(args.data, "panic=-1"));
	ck_assert(has_word(args.data, "oops=panic"));
	ck_assert(has_word(args.data, "panic_on_warn=0"));
	/* Or a busy machine is a panic at boot. */
	ck_assert(has_word(args.data, "no_timer_check"));
	ck_assert_ptr_nonnull(strstr(args.data, ",bpf "));
	ck_assert(has_word(args.data, "quiet"));
	ck_assert(has_word(args.data, "x=1"));
}
END_TEST

/* The word behind @option, NULL if there is none. */
static const char *value(const struct bl_argv *a, const char *option)
{
	for (size_t i = 0; i + 1 < a->count; i++)
		if (strcmp(a->words[i], option) == 0)
			return a->words[i + 1];
	return NULL;
}

START_TEST(qemu_gets_the_network_only_when_asked)
{
	struct bl_qemu_opts o = {
		.binary = "qemu",
		.name = "n",
		.accel = "tcg",
		.image = "/k,1/vmlinux",
		.initrd = "/proc/self/fd/0",
		.kernel_args = "a=1,2 b",
		.log = "/l,1/n.log",
		.busybox = "/bin/busybox",
		.mem_mib = 512,
		.cpus = 2,
		.output_fd = 1,
	};
	struct bl_argv a = { 0 };

	ck_assert_int_eq(bl_qemu_argv(&o, &a), 0);
	ck_assert_str_eq(a.words[0], "qemu");
	ck_assert_str_eq(value(&a, "-kernel"), "/k,1/vmlinux");
	ck_assert_str_eq(value(&a, "-append"), "a=1,2 b");
	ck_assert_str_eq(value(&a, "-chardev"),
			 "file,id=console,path=/l,,1/n.log");
	ck_assert_str_eq(value(&a, "-m"), "512M");
	ck_assert_str_eq(value(&a, "-smp"), "2");
	ck_assert_ptr_nonnull(strstr(value(&a, "-cpu"), "cx16=off"));
	ck_assert_ptr_null(value(&a, "-netdev"));
	ck_assert_ptr_null(a.words[a.count]);
	bl_argv_free(&a);

	o.forward_port = 7443;
	ck_assert_int_eq(bl_qemu_argv(&o, &a), 0);
	ck_assert_str_eq(value(&a, "-netdev"),
			 "user,id=net,restrict=on,guestfwd="
			 "tcp:10.0.2.100:7443-cmd:/bin/busybox nc 127.0.0.1 "
			 "7443");
	bl_argv_free(&a);
}
END_TEST

START_TEST(qemu_counts_instructions_only_when_asked)
{
	struct bl_qemu_opts o = {
		.binary = "qemu",
		.name = "n",
		.accel = "tcg",
		.image = "/vmlinux",
		.initrd = "/initrd",
		.kernel_args = "a",
		.log = "/l.log",
		.busybox = "/bin/busybox",
		.mem_mib = 512,
		.cpus = 1,
		.output_fd = 1,
	};
	struct bl_argv a = { 0 };

	ck_assert_int_eq(bl_qemu_argv(&o, &a), 0);
	ck_assert_ptr_null(value(&a, "-icount"));
	bl_argv_free(&a);

	/* One instruction is one nanosecond, whatever the host does. */
	o.icount = true;
	ck_assert_int_eq(bl_qemu_argv(&o, &a), 0);
	ck_assert_str_eq(value(&a, "-icount"), "shift=0,sleep=off,align=off");
	ck_assert_ptr_nonnull(value(&a, "-seed"));
	bl_argv_free(&a);
}
END_TEST

START_TEST(qemu_saves_and_wakes_what_is_not_in_the_job)
{
	const struct bl_qemu_warm fds = { .ram = 4, .job = 5, .monitor = 3 };
	struct bl_qemu_opts o = {
		.binary = "qemu",
		.name = "n",
		.accel = "tcg",
		.image = "/vmlinux",
		.initrd = "/initrd",
		.kernel_args = "a",
		.log = "/l.log",
		.busybox = "/bin/busybox",
		.mem_mib = 512,
		.cpus = 1,
		.output_fd = 1,
		.warm = &fds,
	};
	struct bl_argv a = { 0 };

	ck_assert_int_eq(bl_qemu_argv(&o, &a), 0);
	ck_assert_str_eq(value(&a, "-machine"), "pc,memory-backend=ram");
	ck_assert_str_eq(value(&a, "-object"),
			 "memory-backend-file,id=ram,size=512M,share=on,"
			 "mem-path=/proc/self/fd/4");
	ck_assert_str_eq(value(&a, "-device"),
			 "ivshmem-plain,memdev=job,master=on");
	ck_assert_str_eq(value(&a, "-kernel"), "/vmlinux");
	ck_assert_ptr_null(value(&a, "-incoming"));
	bl_argv_free(&a);

	/* Nobody writes into a state, and the boot's console log is kept. */
	o.wake = true;
	ck_assert_int_eq(bl_qemu_argv(&o, &a), 0);
	for (size_t i = 0; i < a.count; i++)
		ck_assert_ptr_null(strstr(a.words[i], "share=on"));
	ck_assert_str_eq(value(&a, "-incoming"), "defer");
	ck_assert_ptr_null(value(&a, "-kernel"));
	for (size_t i = 0; i < a.count; i++)
		if (strncmp(a.words[i], "file,id=console", 15) == 0)
			ck_assert_ptr_nonnull(strstr(a.words[i], ",append=on"));
	bl_argv_free(&a);
}
END_TEST

static const struct {
	const char *console, *reason;
} panics[] = {
	{ "[    4.1] all is well\n", NULL },
	{ "", NULL },
	{ "[    4.1] sysrq: Trigger a crash\n"
	  "[    4.2] Kernel panic - not syncing: sysrq triggered crash\r\n"
	  "[    4.3] CPU: 0\n",
	  "Kernel panic - not syncing: sysrq triggered crash" },
	{ "[ 1] RIP: 0010:oob+0x1a/0x40 [sensor]\n"
	  "[ 2] RIP: 0033:0x4ef111\n"
	  "[ 3] Kernel panic - not syncing: Fatal exception\n"
	  "[ 4] RIP: 0010:panic+0x1/0x2\n",
	  "Kernel panic - not syncing: Fatal exception "
	  "(RIP: oob+0x1a/0x40 [sensor])" },
	{ "[ 1] Kernel panic - not syncing: cut", /* off in mid-line */
	  "Kernel panic - not syncing: cut" },
};

START_TEST(a_panic_names_what_oopsed)
{
	char reason[256] = "";
	bool found = bl_guest_panic(panics[_i].console,
				    strlen(panics[_i].console), reason,
				    sizeof(reason));

	ck_assert_int_eq(found, panics[_i].reason != NULL);
	if (found)
		ck_assert_str_eq(reason, panics[_i].reason);
}
END_TEST

static const struct {
	const char *console;
	bool sound;
} boots[] = {
	{ "", true },
	{ "[ 1] clocksource: Switched to clocksource tsc\n"
	  "[ 2] sched_clock: Marking stable (1, 2)->(3, 4)\n",
	  true },
	{ "[ 1] clocksource: timekeeping watchdog on CPU0: Marking clocksource "
	  "'tsc' as unstable because the skew is too large:\n",
	  false },
	{ "[ 1] rcu: INFO: rcu_preempt self-detected stall on CPU\n", false },
	{ "[ 1] WARNING: CPU: 0 PID: 1 at x.c:1 f+0x1/0x2\n", false },
};

START_TEST(a_guest_whose_clock_is_wrong_is_not_handed_on)
{
	ck_assert_int_eq(bl_guest_sound(boots[_i].console,
					strlen(boots[_i].console)),
			 boots[_i].sound);
}
END_TEST

/* --- modules -------------------------------------------------------------- */

static const char dep[] =
	"kernel/net/core/failover.ko.xz:\n"
	"kernel/drivers/net/net_failover.ko.xz: kernel/net/core/failover.ko.xz\n"
	"kernel/drivers/net/virtio_net.ko.xz: kernel/drivers/net/net_failover.ko.xz kernel/net/core/failover.ko.xz\n"
	"kernel/crypto/dh-generic.ko.xz:\n";
static const char builtin[] = "kernel/drivers/virtio/virtio_pci.ko\n"
			      "kernel/fs/ext4/ext4.ko\n";

START_TEST(modules_load_what_they_need_first)
{
	struct bl_module_list l = { 0 };
	struct bl_err err = { 0 };

	ck_assert_int_eq(
		bl_module_resolve(dep, builtin, "virtio_pci", &l, &err), 0);
	ck_assert_uint_eq(l.count, 0); /* built in */
	ck_assert_int_eq(
		bl_module_resolve(dep, builtin, "net-failover", &l, &err), 0);
	ck_assert_int_eq(
		bl_module_resolve(dep, builtin, "virtio_net", &l, &err), 0);
	ck_assert_uint_eq(l.count, 3);
	ck_assert_str_eq(l.paths[0], "kernel/net/core/failover.ko.xz");
	ck_assert_str_eq(l.paths[1], "kernel/drivers/net/net_failover.ko.xz");
	ck_assert_str_eq(l.paths[2], "kernel/drivers/net/virtio_net.ko.xz");
	ck_assert_int_eq(
		bl_module_resolve(dep, builtin, "dh_generic", &l, &err), 0);
	ck_assert_uint_eq(l.count, 4);
	ck_assert_int_eq(bl_module_resolve(dep, builtin, "virtio", &l, &err),
			 -ENOENT);
	ck_assert_ptr_nonnull(strstr(err.text, "virtio"));
	ck_assert_int_eq(bl_module_resolve("", "", "x", &l, &err), -ENOENT);
	bl_module_list_free(&l);
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *s = suite_create("lab_guest");
	TCase *t = tcase_create("guest");

	tcase_add_test(t, output_is_exact_however_it_is_cut);
	tcase_add_test(t, a_forged_frame_is_output);
	tcase_add_test(t, an_end_without_a_start_is_none);
	tcase_add_test(t, a_broken_stream_gives_what_came);
	tcase_add_test(t, a_guest_says_once_that_it_waits);
	tcase_add_test(t, a_guest_can_say_that_it_failed);
	tcase_add_test(t, a_shell_reads_the_command_as_it_was);
	tcase_add_test(t, the_kernel_is_told_what_makes_a_finding_sure);
	tcase_add_test(t, qemu_gets_the_network_only_when_asked);
	tcase_add_test(t, qemu_counts_instructions_only_when_asked);
	tcase_add_test(t, qemu_saves_and_wakes_what_is_not_in_the_job);
	tcase_add_loop_test(t, a_panic_names_what_oopsed, 0,
			    (int)BL_ARRAY_SIZE(panics));
	tcase_add_loop_test(t, a_guest_whose_clock_is_wrong_is_not_handed_on, 0,
			    (int)BL_ARRAY_SIZE(boots));
	tcase_add_test(t, modules_load_what_they_need_first);
	suite_add_tcase(s, t);
	return s;
}
