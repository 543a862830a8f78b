/* SPDX-License-Identifier: Apache-2.0 */
/* Who takes his files slowly takes them from himself, and not from the fleet. */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "canary/controller/callers.h"
#include "canary/controller/http_answer.h"
#include "tests/main.h"

#define MANY (BL_CALLERS_FILES_OF_A_NAME + 1)

static struct bl_callers *callers;
static struct bl_caller *all[2 * MANY];
static int fds[2 * MANY][2];

static struct bl_caller *connect_as(unsigned i, enum bl_role role,
				    const char *name)
{
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds[i]), 0);
	all[i] = bl_callers_add(callers, fds[i][0], UINT64_MAX);
	ck_assert_ptr_nonnull(all[i]);
	all[i]->peer.role = role;
	snprintf(all[i]->peer.name, sizeof(all[i]->peer.name), "%s", name);
	bl_callers_due(callers, all[i], UINT64_MAX);
	return all[i];
}

static void set_up(void)
{
	callers = bl_callers_new(1024);
	ck_assert_ptr_nonnull(callers);
	memset(all, 0, sizeof(all));
}

static void tear_down(void)
{
	for (unsigned i = 0; i < 2 * MANY; i++) {
		if (!all[i])
			continue;
		bl_callers_remove(callers, all[i]);
		close(fds[i][0]);
		close(fds[i][1]);
	}
	bl_callers_free(callers);
}

START_TEST(one_host_cannot_have_all_places_for_files)
{
	for (unsigned i = 0; i < MANY; i++) {
		bool may = bl_callers_file(callers, connect_as(i, BL_ROLE_HOST,
							       "web-1"));

		ck_assert_int_eq(may, i < BL_CALLERS_FILES_OF_A_NAME);
	}
	ck_assert_int_lt(2 * BL_CALLERS_FILES_OF_A_NAME, BL_HTTP_ANSWER_FILES);
	/* Others have their own, an operator of that name, too. */
	ck_assert(bl_callers_file(callers,
				  connect_as(MANY, BL_ROLE_HOST, "web-2")));
	ck_assert(bl_callers_file(
		callers, connect_as(MANY + 1, BL_ROLE_OPERATOR, "web-1")));
}
END_TEST

START_TEST(a_file_that_is_over_leaves_its_place)
{
	for (unsigned i = 0; i < MANY; i++)
		bl_callers_file(callers, connect_as(i, BL_ROLE_HOST, "web-1"));
	/* Its request ended. */
	bl_callers_due(callers, all[0], UINT64_MAX);
	ck_assert(bl_callers_file(callers, all[MANY - 1]));
	ck_assert(!bl_callers_file(callers, all[0]));
	/* Its connection did. */
	bl_callers_remove(callers, all[1]);
	all[1] = NULL;
	close(fds[1][0]);
	close(fds[1][1]);
	ck_assert(bl_callers_file(callers, all[0]));
	/* Once more on the same connection is not one more. */
	ck_assert(bl_callers_file(callers, all[0]));
}
END_TEST

START_TEST(without_tls_nobody_has_a_name)
{
	for (unsigned i = 0; i < MANY; i++)
		ck_assert(bl_callers_file(callers,
					  connect_as(i, BL_ROLE_LOCAL, "")));
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *s = suite_create("callers");
	TCase *tc = tcase_create("callers");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, one_host_cannot_have_all_places_for_files);
	tcase_add_test(tc, a_file_that_is_over_leaves_its_place);
	tcase_add_test(tc, without_tls_nobody_has_a_name);
	suite_add_tcase(s, tc);
	return s;
}
