/* SPDX-License-Identifier: Apache-2.0 */
/* Which numbered operations had an event: what is lost and what is doubled is
 * exact, whatever else comes out of a ring. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "loader/base/cleanup.h"
#include "loader/kern/ask/tally.h"
#include "tests/main.h"

static struct bl_tally tally;

static void begin(uint64_t size)
{
	bl_tally_free(&tally);
	ck_assert_int_eq(bl_tally_init(&tally, size), 0);
}

/* The event of operation @number, as the sensor would send it. */
static struct bl_event event(uint64_t number)
{
	struct bl_event e = {
		.size = BL_EVENT_FIXED + sizeof(e.addr),
		.kind = BL_EVENT_CONNECT,
		.action = BL_ACTION_EMIT,
		.addr.family = AF_INET,
	};

	bl_tally_target(number, e.addr.addr, &e.addr.port);
	return e;
}

static void note(unsigned reader, uint64_t number)
{
	struct bl_event e = event(number);

	bl_tally_note(&tally, reader, &e);
}

static void expect(uint64_t sent, uint64_t lost, uint64_t doubled)
{
	struct bl_tally_count c = bl_tally_count(&tally, sent);

	ck_assert_uint_eq(c.lost, lost);
	ck_assert_uint_eq(c.doubled, doubled);
}

START_TEST(every_number_is_known_again)
{
	static const uint64_t numbers[] = {
		0,     1,	255,	  256,	 65535,
		65536, 1 << 20, 0x123456, 77777, BL_TALLY_MAX - 1
	};

	for (size_t i = 0; i < BL_ARRAY_SIZE(numbers); i++) {
		struct bl_event e = event(numbers[i]);
		uint64_t number = UINT64_MAX;

		ck_assert_int_eq(e.addr.addr[0], 127);
		ck_assert(bl_event_ok(&e, e.size));
		ck_assert(bl_tally_number(&e, &number));
		ck_assert_uint_eq(number, numbers[i]);
	}
}
END_TEST

START_TEST(what_no_reader_had_is_lost)
{
	begin(10);
	expect(10, 10, 0);
	for (unsigned i = 0; i < 10; i++)
		if (i != 3 && i != 9)
			note(i % 2, i);
	expect(10, 2, 0);
	/* the last of them was not sent at all */
	expect(9, 1, 0);
}
END_TEST

START_TEST(what_two_readers_had_is_doubled)
{
	begin(4);
	note(2, 3);
	note(1, 3);
	note(0, 1);
	note(1, 1);
	note(0, 2);
	expect(4, 1, 2);
}
END_TEST

/* Three events of one operation are one doubled operation. */
START_TEST(what_one_reader_had_twice_is_doubled)
{
	begin(4);
	note(1, 0);
	note(1, 0);
	note(1, 0);
	note(0, 0);
	note(0, 3);
	expect(4, 2, 1);
}
END_TEST

START_TEST(order_does_not_matter)
{
	begin(1000);
	for (unsigned i = 1000; i-- > 0;)
		note(0, i);
	for (unsigned i = 400; i < 600; i++)
		note(1, (i * 7) % 200 + 400);
	expect(1000, 0, 200);
}
END_TEST

/* What others did on the machine meanwhile, and what a wrong sensor says. */
START_TEST(strangers_change_nothing)
{
	struct bl_event e;

	begin(8);
	note(0, 8); /* never given */
	note(0, BL_TALLY_MAX - 1);
	e = event(5);
	e.kind = BL_EVENT_OPEN;
	bl_tally_note(&tally, 0, &e);
	e = event(5);
	e.addr.family = AF_INET6;
	bl_tally_note(&tally, 0, &e);
	e = event(5);
	e.addr.addr[0] = 10;
	bl_tally_note(&tally, 0, &e);
	e = event(5);
	e.addr.port = 53;
	bl_tally_note(&tally, 0, &e);
	e = event(5);
	e.addr.port++;
	bl_tally_note(&tally, 0, &e);
	memset(&e, 0xff, sizeof(e));
	bl_tally_note(&tally, 1, &e);
	e.kind = BL_EVENT_CONNECT;
	bl_tally_note(&tally, 1, &e);
	expect(8, 8, 0);
}
END_TEST

START_TEST(more_sent_than_known_is_not_read_beyond)
{
	begin(4);
	note(0, 0);
	expect(UINT64_MAX, 3, 0);
	begin(0);
	note(0, 0);
	expect(5, 0, 0);
}
END_TEST

START_TEST(its_size_has_a_limit)
{
	struct bl_tally t = { 0 };

	ck_assert_int_eq(bl_tally_init(&t, BL_TALLY_MAX + 1), -E2BIG);
	ck_assert_ptr_null(t.marks);
	ck_assert_int_eq(bl_tally_init(&t, BL_TALLY_MAX), 0);
	bl_tally_free(&t);
	ck_assert_ptr_null(t.marks);
}
END_TEST

static void end(void)
{
	bl_tally_free(&tally);
}

Suite *bl_test_suite(void)
{
	Suite *s = suite_create("tally");
	TCase *t = tcase_create("count");

	tcase_add_checked_fixture(t, NULL, end);
	tcase_add_test(t, every_number_is_known_again);
	tcase_add_test(t, what_no_reader_had_is_lost);
	tcase_add_test(t, what_two_readers_had_is_doubled);
	tcase_add_test(t, what_one_reader_had_twice_is_doubled);
	tcase_add_test(t, order_does_not_matter);
	tcase_add_test(t, strangers_change_nothing);
	tcase_add_test(t, more_sent_than_known_is_not_read_beyond);
	tcase_add_test(t, its_size_has_a_limit);
	suite_add_tcase(s, t);
	return s;
}
