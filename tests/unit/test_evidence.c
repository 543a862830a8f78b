/* SPDX-License-Identifier: Apache-2.0 */
/* What a dying kernel said: who is convicted, who is not. */
#include <stdio.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/host/boot/evidence.h"
#include "tests/main.h"

#define TAG   "a6e8a738e6c669ba"
#define OTHER "0123456789abcdef"

/* As the journal has a module: its build id, cut to a tag's length. */
#define MODULE	      "belay_sensor:e63794ea012537dc"
#define MODULE_BEFORE "belay_sensor:1111222233334444"
#define NULL_DEREF    "BUG: kernel NULL pointer dereference"

static struct bl_evidence e;

/* --- real records --------------------------------------------------------- */

static const struct {
	const char *file, *tags, *before;
	enum bl_blame blame;
	const char *what, *where, *named, *module;
} records[] = {
	{ "6.1-hang", "bl_open:" OTHER " bl_hang:" TAG, "bl_open:" OTHER,
	  BL_BLAME_CONVICTED, "watchdog: BUG: soft lockup - CPU#0 stuck",
	  "bpf_prog_aa16a07ca4851024_outer+0x5f/0x81",
	  "bpf_prog_" TAG "_bl_hang+0xb8/0xda", "" },
	{ "6.12-hang", "bl_hang:" TAG, "", BL_BLAME_CONVICTED,
	  "watchdog: BUG: soft lockup - CPU#0 stuck",
	  "bpf_prog_a04f5eef06a7f555_inner+0x0/0x19",
	  "bpf_prog_" TAG "_bl_hang+0xbe/0xe0", "" },
	/* Another version's program. */
	{ "6.1-hang", "bl_open:" OTHER, "bl_hang:" TAG, BL_BLAME_SUSPECT,
	  "watchdog: BUG: soft lockup", "_outer+0x5f/0x81", "", "" },
	/* The update changed something else: content, most likely. */
	{ "6.1-hang", "bl_hang:" TAG, "bl_hang:" TAG, BL_BLAME_SUSPECT,
	  "watchdog: BUG: soft lockup", "_outer+0x5f/0x81",
	  "which the version before has too", "" },
	{ "6.1-oob", "bl_open:" OTHER, "", BL_BLAME_SUSPECT,
	  "BUG: kernel NULL pointer dereference", "strncmp+0x16/0x30", "",
	  "oob_kmod" },
	{ "6.1-oob", "oob_kmod:8d3c5e0f6a1b2c3d4e5f60718293a4b5c6d7e8f9", "",
	  BL_BLAME_CONVICTED, "BUG: kernel NULL pointer dereference",
	  "strncmp+0x16/0x30", "content_write.cold+0x12/0xefd", "oob_kmod" },
	{ "5.10-sysrq", "bl_open:" OTHER, "", BL_BLAME_SUSPECT,
	  "Kernel panic - not syncing: sysrq triggered crash", "", "", "" },
	{ "7.3-sysrq", "bl_open:" OTHER, "", BL_BLAME_SUSPECT,
	  "Kernel panic - not syncing: sysrq triggered crash", "", "", "" },
	/* The twin. The version before was a module, too, and not loaded. */
	{ "5.10-kmod-null", MODULE, "", BL_BLAME_CONVICTED, NULL_DEREF,
	  "on_exec+0x17", "on_exec+0x17/", "belay_sensor" },
	{ "6.1-kmod-null", MODULE, "", BL_BLAME_CONVICTED, NULL_DEREF,
	  "on_exec+0x17", "on_exec+0x17/", "belay_sensor" },
	{ "6.12-kmod-null", MODULE, "bl_exec:" TAG, BL_BLAME_CONVICTED,
	  NULL_DEREF, "on_exec+0x1b", "on_exec+0x1b/", "belay_sensor" },
	/* The exchange was not over, and the trace has no build id: it may be
	 * the one whose hooks were being taken out. */
	{ "6.1-kmod-null", MODULE, MODULE_BEFORE, BL_BLAME_SUSPECT, NULL_DEREF,
	  "on_exec+0x17", "which may be of the version before",
	  "belay_sensor" },
	/* The same, and only the content is new. */
	{ "6.1-kmod-null", MODULE, MODULE, BL_BLAME_SUSPECT, NULL_DEREF,
	  "on_exec+0x17", "which may be of the version before",
	  "belay_sensor" },
	/* The module is not what is on trial. */
	{ "6.1-kmod-null", "bl_open:" OTHER, MODULE_BEFORE, BL_BLAME_SUSPECT,
	  NULL_DEREF, "on_exec+0x17", "", "belay_sensor" },
	{ "5.10-kmod-hang", MODULE, "", BL_BLAME_CONVICTED,
	  "watchdog: BUG: soft lockup", "on_exec+0xc6", "on_exec+0xc6/",
	  "belay_sensor" },
	{ "6.12-kmod-stack", MODULE, "", BL_BLAME_CONVICTED,
	  "BUG: TASK stack guard page was hit", "deeper.isra.0",
	  "deeper.isra.0", "belay_sensor" },
	/* It called an address where nothing is: the unwinder is lost, and the
	 * one on top of the stack is who called. */
	{ "6.1-kmod-wild", MODULE, "", BL_BLAME_CONVICTED,
	  "BUG: unable to handle page fault", "0xffffffffdead0000",
	  "on_exec+0x37/0x1f0", "belay_sensor" },
	/* The one that makes room for the one on trial. */
	{ "6.12-kmod-exit", MODULE, MODULE_BEFORE, BL_BLAME_SUSPECT, NULL_DEREF,
	  "sensor_exit+0x1b", "belay_sensor, which was being unloaded",
	  "belay_sensor" },
	{ "6.1-kmod-hook", MODULE, MODULE_BEFORE, BL_BLAME_SUSPECT,
	  "BUG: unable to handle page fault", "0xffffffffc0201c70",
	  "belay_sensor, unloaded, may have left a hook", "" },
	/* Loaded, and somebody else's crash. */
	{ "6.12-kmod-linked", MODULE, "", BL_BLAME_SUSPECT,
	  "Kernel panic - not syncing: sysrq triggered crash", "", "", "" },
};

static void holds(const char *text, const char *want)
{
	if (*want)
		ck_assert_msg(strstr(text, want), "'%s' is not in '%s'", want,
			      text);
	else
		ck_assert_str_eq(text, "");
}

START_TEST(a_real_record_says_who)
{
	bl_autofree char *path = bl_path(BL_TEST_SOURCE_DIR
					 "/tests/unit/evidence/%s.txt",
					 records[_i].file);
	bl_autobuf struct bl_buf text = { 0 };

	ck_assert_int_eq(bl_file_read(path, 1 << 20, &text, NULL), 0);
	bl_evidence_read(text.data, text.len, records[_i].tags,
			 records[_i].before, &e);
	ck_assert(e.crashed);
	ck_assert_str_eq(bl_blame_name(e.blame),
			 bl_blame_name(records[_i].blame));
	holds(e.what, records[_i].what);
	holds(e.where, records[_i].where);
	holds(e.named, records[_i].named);
	holds(e.module, records[_i].module);
	ck_assert_int_eq(e.left_hook,
			 !strcmp(records[_i].file, "6.1-kmod-hook") &&
				 strstr(records[_i].tags, "belay_sensor"));
	ck_assert_uint_gt(e.uptime_ms, 1000);
	ck_assert_uint_lt(e.uptime_ms, 60000);
}
END_TEST

/* --- made of them --------------------------------------------------------- */

#define AT(s)	 "<4>[" s "] "
#define LINE(s)	 AT("  9.0") s "\n"
#define OURS	 " bpf_prog_" TAG "_bl_open+0x16/0x30\n"
#define OOPS(s)	 "<1>[" s "] BUG: unable to handle page fault\n"
#define PANIC(s) "<0>[" s "] Kernel panic - not syncing: Fatal exception\n"

static const struct {
	const char *text;
	enum bl_blame blame;
	const char *named; /* as far as it is told */
} cases[] = {
	/* In the trace of what ended it. */
	{ OOPS("  9.0") AT("  9.0") "Call Trace:\n" AT("  9.0")
		  OURS PANIC("  9.1"),
	  BL_BLAME_CONVICTED, "bpf_prog_" TAG },
	/* No level, no time, as printk.time=0 leaves it. */
	{ "BUG: unable to handle page fault\nCall Trace:\n" OURS
	  "Kernel panic - not syncing: Fatal exception\n",
	  BL_BLAME_CONVICTED, "bpf_prog_" TAG },
	/* With the caller's thread, as some kernels say it. */
	{ "<1>[    9.0][  T104] BUG: unable to handle page fault\n"
	  "<4>[    9.0][  T104] Call Trace:\n"
	  "<4>[    9.0][  T104] " OURS,
	  BL_BLAME_CONVICTED, "bpf_prog_" TAG },
	/* It is the instruction itself. */
	{ OOPS("  9.0") AT("  9.0") "RIP: 0010:bpf_prog_" TAG "+0x3/0x9\n",
	  BL_BLAME_CONVICTED, "bpf_prog_" TAG "+0x3/0x9" },
	/* Its own panic: an Oops record that no panic followed counts too. */
	{ OOPS("  9.0") AT("  9.0") "Call Trace:\n" AT("  9.0") OURS,
	  BL_BLAME_CONVICTED, "bpf_prog_" TAG },
	/* A warning an hour ago is not what ended it. */
	{ AT("  9.0") "WARNING: CPU: 0 PID: 1 at x.c:1\n" AT(
		  "  9.0") "Call Trace:\n" AT("  9.0")
		  OURS AT("  9.0") "---[ end trace 0 ]---\n" PANIC("3609.0"),
	  BL_BLAME_SUSPECT, "" },
	/* ... nor the oops before the one that did. */
	{ OOPS("  9.0") AT("  9.0") "Call Trace:\n" AT("  9.0")
		  OURS OOPS(" 11.0") AT(" 11.0") "Call Trace:\n" AT(
			  " 11.0") " ksys_write+0x1/0x2\n" PANIC(" 11.1"),
	  BL_BLAME_SUSPECT, "" },
	/* What was left on the stack by a call before. */
	{ OOPS("  9.0") AT("  9.0") "Call Trace:\n" AT(
		  "  9.0") " ? bpf_prog_" TAG
			   "_bl_open+0x16/0x30\n" PANIC("  9.1"),
	  BL_BLAME_SUSPECT, "a leftover on the stack" },
	/* A driver's interrupt came while it ran. */
	{ OOPS("  9.0") AT("  9.0") "RIP: 0010:irq+0x1/0x2 [drv]\n" AT("  9.0") "Call Trace:\n" AT("  9.0") " <IRQ>\n" AT("  9.0") " irq+0x1/0x2 [drv]\n" AT(
		  "  9.0") " </IRQ>\n" AT("  9.0") " <TASK>\n" AT("  9.0") "RIP: 0010:bpf_prog_" TAG
									   "_bl_open+0x3/0x9\n" AT(
										   "  9.0") OURS
										   PANIC("  9.1"),
	  BL_BLAME_SUSPECT, "which an interrupt interrupted" },
	/* It ran in the interrupt. */
	{ OOPS("  9.0") AT("  9.0") "Call Trace:\n" AT("  9.0") " <IRQ>\n" AT(
		  "  9.0") OURS AT("  9.0") " </IRQ>\n" PANIC("  9.1"),
	  BL_BLAME_CONVICTED, "bpf_prog_" TAG },
	/* Loaded is not guilty. */
	{ OOPS("  9.0")
		  AT("  9.0") "Modules linked in: module(OE)\n" PANIC("  9.1"),
	  BL_BLAME_SUSPECT, "" },
	{ OOPS("  9.0") AT("  9.0") "Call Trace:\n" AT(
		  "  9.0") " f+0x1/0x2 [module]\n",
	  BL_BLAME_CONVICTED, "f+0x1/0x2" },
	{ OOPS("  9.0") AT("  9.0") "Call Trace:\n" AT(
		  "  9.0") " f+0x1/0x2 [modules]\n",
	  BL_BLAME_SUSPECT, "" },
	/* Kernels that say the build of a module: this one, another one. */
	{ OOPS("  9.0") LINE("Call Trace:")
		  LINE(" f+0x1/0x2 [belay_sensor e63794ea012537dca5b9ca77]"),
	  BL_BLAME_CONVICTED, "f+0x1/0x2" },
	{ OOPS("  9.0") LINE("Call Trace:")
		  LINE(" f+0x1/0x2 [belay_sensor 111122223333444455556666]"),
	  BL_BLAME_SUSPECT, "" },
	/* As a stall says it: the modules before the trace. */
	{ OOPS("  9.0") LINE("Modules linked in: a(E-) belay_sensor(OE)")
		  LINE("Call Trace:") LINE(" f+0x1/0x2 [belay_sensor]"),
	  BL_BLAME_CONVICTED, "f+0x1/0x2" },
	{ OOPS("  9.0") LINE("Modules linked in: a(E) belay_sensor(OE-)")
		  LINE("Call Trace:") LINE(" f+0x1/0x2 [belay_sensor]"),
	  BL_BLAME_SUSPECT, "belay_sensor, which was being unloaded" },
	/* Only the first on the stack is who called, and only if nobody's code
	 * was. */
	{ OOPS("  9.0") LINE("RIP: 0010:0xdead") LINE("Call Trace:")
		  LINE(" ? g+0x1/0x2") LINE(" ? f+0x1/0x2 [belay_sensor]"),
	  BL_BLAME_SUSPECT, "f+0x1/0x2, a leftover on the stack" },
	{ OOPS("  9.0") LINE("RIP: 0010:g+0x1/0x2") LINE("Call Trace:")
		  LINE(" ? f+0x1/0x2 [belay_sensor]"),
	  BL_BLAME_SUSPECT, "f+0x1/0x2, a leftover on the stack" },
	/* A tag that only begins like ours, or ends so. */
	{ OOPS("  9.0") AT("  9.0") "Call Trace:\n" AT(
		  "  9.0") " bpf_prog_" TAG
			   "0_x+0x1/0x2\n" AT("  9.0") " xbpf_prog_" TAG
						       "_x+0x1/0x2\n",
	  BL_BLAME_SUSPECT, "" },
	/* Outside of any trace anybody can write it: a line of a driver. */
	{ OOPS("  9.0") AT("  9.0") OURS PANIC("  9.1"), BL_BLAME_SUSPECT, "" },
};

START_TEST(only_the_trace_of_what_ended_it_convicts)
{
	bl_evidence_read(cases[_i].text, strlen(cases[_i].text),
			 "bl_exec:" OTHER " bl_open:" TAG
			 " module:1234 " MODULE,
			 "", &e);
	ck_assert(e.crashed);
	ck_assert_str_eq(bl_blame_name(e.blame),
			 bl_blame_name(cases[_i].blame));
	holds(e.named, cases[_i].named);
}
END_TEST

/* The version before was the same module, and may have been in the kernel. */
static const struct {
	const char *text;
	enum bl_blame blame;
	const char *named;
} exchanges[] = {
	{ OOPS("  9.0") LINE("Call Trace:") LINE(" f+0x1/0x2 [belay_sensor]")
		  LINE("Modules linked in: belay_sensor(OE)"),
	  BL_BLAME_SUSPECT, "f+0x1/0x2, which may be of the version before" },
	/* A build id tells them apart. */
	{ OOPS("  9.0") LINE("Call Trace:")
		  LINE(" f+0x1/0x2 [belay_sensor e63794ea012537dca5b9ca77]"),
	  BL_BLAME_CONVICTED, "f+0x1/0x2" },
	{ OOPS("  9.0") LINE("Call Trace:")
		  LINE(" f+0x1/0x2 [belay_sensor 111122223333444455556666]"),
	  BL_BLAME_SUSPECT, "" },
	/* What comes in is the new one, what goes out the old one. */
	{ OOPS("  9.0") LINE("Call Trace:") LINE(" f+0x1/0x2 [belay_sensor]")
		  LINE("Modules linked in: a(E) belay_sensor(OE+)"),
	  BL_BLAME_CONVICTED, "f+0x1/0x2" },
	{ OOPS("  9.0") LINE("Modules linked in: belay_sensor(OE+)")
		  LINE("Call Trace:") LINE(" f+0x1/0x2 [belay_sensor]"),
	  BL_BLAME_CONVICTED, "f+0x1/0x2" },
	/* Content is given to the new one, hooks are taken out of both. */
	{ OOPS("  9.0") LINE("RIP: 0010:strncmp+0x1/0x2") LINE("Call Trace:")
		  LINE(" f+0x1/0x2 [belay_sensor]") LINE(" ? g+0x1/0x2")
			  LINE(" vfs_write+0x1/0x2")
				  LINE("Modules linked in: belay_sensor(OE)"),
	  BL_BLAME_CONVICTED, "f+0x1/0x2" },
	{ OOPS("  9.0") LINE("RIP: 0010:f+0x1/0x2 [belay_sensor]")
		  LINE("Call Trace:") LINE(" kernfs_fop_write_iter+0x1/0x2")
			  LINE(" vfs_write+0x1/0x2"),
	  BL_BLAME_SUSPECT, "f+0x1/0x2, which may be of the version before" },
	{ OOPS("  9.0") LINE("Call Trace:") LINE(" f+0x1/0x2 [belay_sensor]")
		  LINE("Modules linked in: belay_sensor(OE-) a(E+)"),
	  BL_BLAME_SUSPECT, "belay_sensor, which was being unloaded" },
};

START_TEST(in_an_exchange_only_the_new_module_is_convicted)
{
	bl_evidence_read(exchanges[_i].text, strlen(exchanges[_i].text), MODULE,
			 MODULE_BEFORE, &e);
	ck_assert_str_eq(bl_blame_name(e.blame),
			 bl_blame_name(exchanges[_i].blame));
	holds(e.named, exchanges[_i].named);
}
END_TEST

START_TEST(no_report_convicts_nobody)
{
	static const char *const none[] = {
		"",
		"\n\n",
		"<6>[    1.0] all is well\n",
		"\xff\x00<<<[[[",
		"<4>[ 1.0] Call Trace:\n<4>[ 1.0] " OURS,
	};

	for (size_t i = 0; i < BL_ARRAY_SIZE(none); i++) {
		bl_evidence_read(none[i], strlen(none[i]), "bl_open:" TAG, "",
				 &e);
		ck_assert(!e.crashed);
		ck_assert_int_eq(e.blame, BL_BLAME_SUSPECT);
	}
}
END_TEST

START_TEST(no_tags_accuse_nobody)
{
	const char *text = cases[0].text;

	bl_evidence_read(text, strlen(text), "", "", &e);
	ck_assert(e.crashed);
	ck_assert_int_eq(e.blame, BL_BLAME_SUSPECT);
}
END_TEST

START_TEST(a_sentence_says_it_all_and_fits_a_reason)
{
	char words[256];

	bl_evidence_read(cases[0].text, strlen(cases[0].text), "x:" TAG, "",
			 &e);
	bl_evidence_words(&e, words, sizeof(words));
	ck_assert_str_eq(words,
			 "convicted: BUG: unable to handle page fault; in its "
			 "bpf_prog_" TAG "_bl_open+0x16/0x30");
	bl_evidence_read(cases[8].text, strlen(cases[8].text), "x:" TAG, "",
			 &e);
	bl_evidence_words(&e, words, sizeof(words));
	ck_assert_str_eq(words,
			 "suspect: BUG: unable to handle page fault at "
			 "irq+0x1/0x2 [drv] [drv]; bpf_prog_" TAG
			 "_bl_open+0x3/0x9, which an interrupt interrupted");
	e = (struct bl_evidence){ .blame = BL_BLAME_SUSPECT };
	bl_evidence_words(&e, words, sizeof(words));
	ck_assert_str_eq(words,
			 "suspect: the kernel left no record of it (power, "
			 "reset, or no pstore)");
}
END_TEST

static const struct {
	const char *text;
	bool is;
	unsigned count, part;
} headers[] = {
	{ "Panic#2 Part1\n<4>x", true, 2, 1 },
	{ "Oops#1 Part12\n", true, 1, 12 },
	{ "Panic#2 Part1", true, 2, 1 },
	{ "<4>[ 1.0] Panic", false, 0, 0 },
	{ "", false, 0, 0 },
	{ "#1 Part1\n", false, 0, 0 },
	{ "Panic#99999999999999999999 Part1\n", true, 999999999, 0 },
};

START_TEST(a_header_tells_the_order)
{
	unsigned count, part;

	ck_assert_int_eq(bl_evidence_header(headers[_i].text,
					    strlen(headers[_i].text), &count,
					    &part),
			 headers[_i].is);
	ck_assert_uint_eq(count, headers[_i].count);
	if (headers[_i].part)
		ck_assert_uint_eq(part, headers[_i].part);
}
END_TEST

START_TEST(blames_have_names_that_lead_back)
{
	for (int i = 0; i < BL_BLAMES; i++)
		ck_assert_int_eq(
			bl_blame_by_name(bl_blame_name((enum bl_blame)i)), i);
	ck_assert_int_eq(bl_blame_by_name("guilty"), BL_BLAME_NONE);
}
END_TEST

/* A kernel that went on: a stall of somebody's, then a WARN in ours. */
static const struct {
	const char *trace; /* of the WARN */
	enum bl_blame blame;
} warns[] = {
	{ " bpf_prog_" TAG "_bl_hang+0x1/0x2", BL_BLAME_CONVICTED },
	{ " ? bpf_prog_" TAG "_bl_hang+0x1/0x2", BL_BLAME_SUSPECT },
	{ " </IRQ>\n bpf_prog_" TAG "_bl_hang+0x1/0x2", BL_BLAME_SUSPECT },
	{ " bpf_prog_" OTHER "_bl_hang+0x1/0x2", BL_BLAME_SUSPECT },
	{ " nvme_timeout+0x1/0x2 [nvme]", BL_BLAME_SUSPECT },
	{ "---[ end trace ]---\n bpf_prog_" TAG "+0x1/0x2", BL_BLAME_SUSPECT },
};

START_TEST(each_report_of_a_kernel_that_goes_on_is_read)
{
	char text[512];
	int len = snprintf(text, sizeof(text),
			   "rcu: INFO: rcu_preempt self-detected stall\n"
			   "Call Trace:\n <IRQ>\n irq+0x1/0x2\n </IRQ>\n"
			   "WARNING: CPU: 0 PID: 1 at kernel/x.c:1\n"
			   "Call Trace:\n%s\n",
			   warns[_i].trace);

	bl_evidence_splats(text, (size_t)len, "bl_hang:" TAG, "", &e);
	ck_assert_int_eq(e.blame, warns[_i].blame);
	ck_assert_str_eq(e.what, "rcu: INFO: rcu_preempt self-detected stall");
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *s = suite_create("evidence");
	TCase *t = tcase_create("evidence");

	tcase_add_loop_test(t, a_real_record_says_who, 0,
			    (int)BL_ARRAY_SIZE(records));
	tcase_add_loop_test(t, only_the_trace_of_what_ended_it_convicts, 0,
			    (int)BL_ARRAY_SIZE(cases));
	tcase_add_loop_test(t, each_report_of_a_kernel_that_goes_on_is_read, 0,
			    (int)BL_ARRAY_SIZE(warns));
	tcase_add_loop_test(t, in_an_exchange_only_the_new_module_is_convicted,
			    0, (int)BL_ARRAY_SIZE(exchanges));
	tcase_add_test(t, no_report_convicts_nobody);
	tcase_add_test(t, no_tags_accuse_nobody);
	tcase_add_test(t, a_sentence_says_it_all_and_fits_a_reason);
	tcase_add_loop_test(t, a_header_tells_the_order, 0,
			    (int)BL_ARRAY_SIZE(headers));
	tcase_add_test(t, blames_have_names_that_lead_back);
	suite_add_tcase(s, t);
	return s;
}
