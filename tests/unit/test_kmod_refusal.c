/* SPDX-License-Identifier: Apache-2.0 */
/* Why a kernel does not take a module: each reason by its own words. */
#include <errno.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/kern/kmod/kmod_refusal.h"
#include "tests/main.h"

#define HERE .release = "6.1.0-56-cloud-amd64", .privileged = true
#define OURS .vermagic = "6.1.0-56-cloud-amd64 SMP preempt mod_unload"

static const struct {
	int code;
	struct bl_kmod_facts facts;
	const char *text, *hint;
} cases[] = {
	{ -EPERM,
	  { HERE, OURS, .lockdown = "integrity" },
	  "locked down and takes signed modules only (integrity)",
	  "use the eBPF sensor" },
	{ -EPERM,
	  { HERE, OURS, .lockdown = "integrity", .modules_disabled = true },
	  "kernel.modules_disabled is 1",
	  "reboot" },
	{ -EPERM,
	  { .release = "6.1.0-56-cloud-amd64", .lockdown = "integrity" },
	  "only root",
	  "as root" },
	{ -EPERM, { HERE, OURS }, "does not allow it", "CAP_SYS_MODULE" },
	{ -EKEYREJECTED,
	  { HERE, OURS, .sig_enforced = true },
	  "module.sig_enforce",
	  "sign it" },
	{ -EKEYREJECTED, { HERE, OURS }, "refuses its signature", "sign it" },
	{ -ENOKEY, { HERE, OURS }, "does not know", "enrol" },
	{ -EBADMSG, { HERE, OURS }, "does not fit", "get it again" },
	{ -ENOEXEC,
	  { HERE, .vermagic = "5.10.0-46-cloud-amd64 SMP mod_unload" },
	  "another kernel (5.10.0-46-cloud-amd64 SMP mod_unload, not 6.1.0-56-cloud-amd64)",
	  "kmod/build" },
	/* The beginning of the name is not the name. */
	{ -ENOEXEC,
	  { HERE, .vermagic = "6.1.0-56-cloud-amd64-rt SMP" },
	  "another kernel",
	  "kmod/build" },
	{ -ENOEXEC, { HERE, OURS }, "not a module of this machine", "dmesg" },
	{ -ENOEXEC, { HERE }, "not a module of this machine", "dmesg" },
	{ -ENOENT, { HERE, OURS }, "no function that it needs", "dmesg" },
	{ -EINVAL, { HERE, OURS }, "a parameter is wrong", "dmesg" },
	{ -EEXIST, { HERE, OURS }, "loaded already", "rmmod" },
	{ -EOPNOTSUPP, { HERE, OURS }, "cannot run it as it is meant", "hook" },
	{ -ENOMEM, { HERE, OURS }, "Cannot allocate memory", "" },
};

START_TEST(each_refusal_says_why_and_what_to_do)
{
	struct bl_err err = { 0 };

	ck_assert_int_eq(bl_kmod_explain(&err, "x.ko", cases[_i].code,
					 &cases[_i].facts),
			 cases[_i].code);
	ck_assert_int_eq(err.code, cases[_i].code);
	ck_assert_msg(!strncmp(err.text, "module x.ko: not loaded: ", 25), "%s",
		      err.text);
	ck_assert_msg(strstr(err.text, cases[_i].text), "%s", err.text);
	ck_assert_msg(strstr(err.hint, cases[_i].hint), "%s", err.hint);
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *s = suite_create("kmod_refusal");
	TCase *t = tcase_create("refusal");

	tcase_add_loop_test(t, each_refusal_says_why_and_what_to_do, 0,
			    BL_ARRAY_SIZE(cases));
	suite_add_tcase(s, t);
	return s;
}
