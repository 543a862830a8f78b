/* SPDX-License-Identifier: Apache-2.0 */
/* What a kernel's types say of signatures; by hand, as no compiler at hand
 * knows a kernel's bpf_attr. */
#include <linux/btf.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/kern/signing.h"
#include "tests/main.h"
#include "tests/support/btf_build.h"

/* union bpf_attr { struct { int NAME; }; }, or of another name. */
static enum bl_kern_signing of(const char *name, const char *member, bool deep)
{
	bl_autobuf struct bl_buf bytes = { 0 };
	bl_autobtf struct bl_btf btf = { 0 };
	struct btf_build b = { 0 };
	uint32_t word = btf_int(&b, "int", 4, 0);
	uint32_t command = btf_type(&b, BTF_KIND_STRUCT, "", 1, false, 4);

	btf_words(&b, 3, btf_name(&b, member), word, 0);
	if (deep) {
		uint32_t more = btf_type(&b, BTF_KIND_STRUCT, "", 1, false, 4);

		btf_words(&b, 3, btf_name(&b, ""), command, 0);
		command = more;
	}
	btf_type(&b, BTF_KIND_UNION, name, 1, false, 4);
	btf_words(&b, 3, btf_name(&b, ""), command, 0);
	btf_finish(&b, &bytes);
	ck_assert_int_eq(bl_btf_open("x", bytes.data, bytes.len, &btf, NULL),
			 0);
	return bl_kern_signing_of(&btf);
}

START_TEST(a_kernel_that_takes_a_keyring_can_check)
{
	ck_assert_int_eq(of("bpf_attr", "keyring_id", false),
			 BL_KERN_SIGNING_ABLE);
}
END_TEST

/* 6.1 and 6.12 have structs with a signature_size of other things. */
START_TEST(another_kernel_cannot)
{
	ck_assert_int_eq(of("bpf_attr", "signature_size", false),
			 BL_KERN_SIGNING_UNABLE);
	ck_assert_int_eq(of("bpf_attr", "keyring_id", true),
			 BL_KERN_SIGNING_UNABLE);
}
END_TEST

START_TEST(what_does_not_describe_bpf_is_not_known)
{
	ck_assert_int_eq(of("bpf_other", "keyring_id", false),
			 BL_KERN_SIGNING_UNKNOWN);
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *s = suite_create("signing");
	TCase *t = tcase_create("kernel");

	tcase_add_test(t, a_kernel_that_takes_a_keyring_can_check);
	tcase_add_test(t, another_kernel_cannot);
	tcase_add_test(t, what_does_not_describe_bpf_is_not_known);
	suite_add_tcase(s, t);
	return s;
}
