/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a talker brings of a file of metadata, from a controller that may do what
 * it likes: all of it, or why not, and never more than the host part has room for.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "canary/agent/talker_own.h"
#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/trust/fault.h"
#include "tests/main.h"
#include "tests/support/liar.h"

#define SIZE 12345

static struct liar liar, other;
static char blob[SIZE];
static struct bl_talker_opts opts;
static struct bl_talker talker = { .opts = &opts };
static struct bl_client *client;
static struct bl_err err;
static int pair[2], room;

static void set_up(void)
{
	for (size_t i = 0; i < SIZE; i++)
		blob[i] = (char)('a' + i % 26);
	ck_assert_int_eq(
		socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	opts.pair = pair[0];
	room = memfd_create("room", MFD_CLOEXEC);
	ck_assert_int_ge(room, 0);
	liar_start(&liar, blob, SIZE);
	liar.header = "";
}

static void tear_down(void)
{
	bl_client_close(client);
	client = NULL;
	liar_stop(&liar);
	close(room);
	close(pair[0]);
	close(pair[1]);
}

/* Fetches that file, and what the host part is told. */
static struct bl_pair_got get(const char *name, size_t max)
{
	struct bl_talker_want want = { .number = 7,
				       .fd = dup(room),
				       .max = max };
	struct bl_pair_msg m;

	strcpy(want.name, name);
	bl_talker_get(&talker, client, &want);
	ck_assert_int_eq(
		bl_pair_receive(pair[1], BL_PAIR_TALKER, &m, NULL, &err), 0);
	ck_assert_uint_eq(m.head.kind, BL_PAIR_GOT);
	ck_assert_uint_eq(m.got.number, 7);
	return m.got;
}

static void use(const char *url)
{
	ck_assert_int_eq(bl_client_open(url, false, &client, &err), 0);
}

static const struct {
	const char *what;
	enum lie lie;
	size_t max;
	int code; /* 0: any failure that is no attack's */
	const char *said;
} rows[] = {
	{ "without end", ENDLESS, SIZE, BL_TRUST_ENDLESS, "more than 12345" },
	{ "longer by one", HONEST, SIZE - 1, BL_TRUST_ENDLESS,
	  "more than 12344" },
	{ "says it has too much", HUGE, SIZE, 0, "" },
	{ "broken off", CUT, SIZE, 0, "" },
	{ "not there", NOWHERE, SIZE, -ENOENT, "" },
	{ "elsewhere", ELSEWHERE, SIZE, 0, "" },
	{ "a stranger", STRANGER, SIZE, 0, "" },
	{ "broken", BROKEN, SIZE, 0, "" },
	{ "an empty one", HONEST, 0, BL_TRUST_ENDLESS, "more than 0" },
};

START_TEST(what_is_no_file_is_said_to_be_none)
{
	struct bl_pair_got got;
	off_t end;

	use(liar.url);
	liar.script[0] = rows[_i].lie;
	liar.cut_at = 5000;
	got = get("timestamp.json", rows[_i].max);
	ck_assert_msg(got.result < 0, "%s", rows[_i].what);
	if (rows[_i].code)
		ck_assert_msg(got.result == rows[_i].code, "%s: %d: %s",
			      rows[_i].what, got.result, got.why);
	else
		ck_assert_msg(!bl_trust_fault_name(got.result), "%s: %d: %s",
			      rows[_i].what, got.result, got.why);
	ck_assert_msg(strstr(got.why, rows[_i].said), "%s: %s", rows[_i].what,
		      got.why);
	/* Whatever came: no byte beyond what there was room for. */
	end = lseek(room, 0, SEEK_END);
	ck_assert_msg(end <= (off_t)rows[_i].max, "%s: %lld", rows[_i].what,
		      (long long)end);
	ck_assert_uint_eq(liar.count, 1);
	/* And then it comes. */
	got = get("timestamp.json", SIZE);
	ck_assert_msg(!got.result, "%s: afterwards: %s", rows[_i].what,
		      got.why);
	ck_assert_uint_eq(got.length, SIZE);
}
END_TEST

START_TEST(a_file_comes_by_its_name_and_whole)
{
	char read[SIZE];
	struct bl_pair_got got;

	use(liar.url);
	got = get("12.targets.json", SIZE);
	ck_assert_msg(!got.result, "%s", got.why);
	ck_assert_uint_eq(got.length, SIZE);
	ck_assert_int_eq(pread(room, read, SIZE, 0), SIZE);
	ck_assert_mem_eq(read, blob, SIZE);
	ck_assert_ptr_nonnull(strstr(
		liar.asked[0], "GET /v1/trust/metadata/12.targets.json HTTP"));
}
END_TEST

/* When something was released all hosts ask at once. */
START_TEST(a_controller_that_is_busy_is_asked_again)
{
	struct bl_pair_got got;

	use(liar.url);
	liar.header = "Retry-After: 1\r\n";
	liar.script[0] = BUSY;
	liar.script[1] = CROWDED;
	got = get("timestamp.json", SIZE);
	ck_assert_msg(!got.result, "%s", got.why);
	ck_assert_uint_eq(got.length, SIZE);
	ck_assert_uint_eq(liar.count, 3);
}
END_TEST

/* That there is no next root is the usual answer, and no reason to have the rest
 * from a controller whose repository may be another. */
START_TEST(what_follows_a_root_that_is_not_there_is_of_the_same_controller)
{
	bl_autofree char *urls = NULL;
	struct bl_pair_got got;

	liar_start(&other, blob, SIZE);
	other.header = "";
	urls = bl_path("%s,%s", liar.url, other.url);
	use(urls);
	liar.script[0] = other.script[0] = NOWHERE;
	ck_assert_int_eq(get("2.root.json", SIZE).result, -ENOENT);
	got = get("timestamp.json", SIZE);
	ck_assert_msg(!got.result, "%s", got.why);
	ck_assert_uint_eq(liar.count + other.count, 2);
	ck_assert(!liar.count || !other.count);
	liar_stop(&other);
}
END_TEST

START_TEST(without_a_client_it_says_so)
{
	struct bl_pair_got got = get("timestamp.json", SIZE);

	ck_assert_int_lt(got.result, 0);
	ck_assert_str_ne(got.why, "");
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *suite = suite_create("talker trust");
	TCase *tc = tcase_create("talker");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(tc, what_is_no_file_is_said_to_be_none, 0,
			    BL_ARRAY_SIZE(rows));
	tcase_add_test(tc, a_file_comes_by_its_name_and_whole);
	tcase_add_test(tc, a_controller_that_is_busy_is_asked_again);
	tcase_add_test(
		tc,
		what_follows_a_root_that_is_not_there_is_of_the_same_controller);
	tcase_add_test(tc, without_a_client_it_says_so);
	suite_add_tcase(suite, tc);
	return suite;
}
