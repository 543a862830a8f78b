/* SPDX-License-Identifier: Apache-2.0 */
/* What the two parts of an agent take of each other, and what they refuse. */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "canary/agent/pair.h"
#include "loader/base/cleanup.h"
#include "tests/main.h"

static struct bl_pair_msg m, got;
static struct bl_err err;
static int pair[2];

static void set_up(void)
{
	ck_assert_int_eq(
		socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	err = (struct bl_err){ 0 };
}

static void tear_down(void)
{
	close(pair[0]);
	close(pair[1]);
}

static int decode(enum bl_pair_side from)
{
	return bl_pair_decode(&m, m.head.size, from, &got, &err);
}

static struct bl_order an_order(enum bl_order_kind kind)
{
	struct bl_order o = { .kind = kind,
			      .rollout = "r7",
			      .probation_ms = 3000,
			      .poll_ms = 250,
			      .override_reason = "we looked at it",
			      .reason = "a host failed" };

	memset(o.digest, 'a', BL_DIGEST_HEX - 1);
	return o;
}

START_TEST(an_order_arrives_as_it_was)
{
	struct bl_order o = an_order(BL_ORDER_APPLY), back;

	bl_pair_begin(&m, BL_PAIR_HEARD);
	bl_pair_from_order(&o, &m.heard);
	ck_assert_msg(!decode(BL_PAIR_TALKER), "%s", err.text);
	bl_pair_to_order(&got.heard, &back);
	ck_assert_int_eq(back.kind, o.kind);
	ck_assert_str_eq(back.rollout, o.rollout);
	ck_assert_str_eq(back.digest, o.digest);
	ck_assert_str_eq(back.override_reason, o.override_reason);
	ck_assert_str_eq(back.reason, o.reason);
	ck_assert_int_eq(back.probation_ms, o.probation_ms);
	ck_assert_int_eq(back.poll_ms, o.poll_ms);
}
END_TEST

/* To go back is no occasion to override a tombstone. */
START_TEST(what_an_order_has_no_use_for_stays_behind)
{
	struct bl_order o = an_order(BL_ORDER_ROLLBACK), back;

	bl_pair_begin(&m, BL_PAIR_HEARD);
	bl_pair_from_order(&o, &m.heard);
	ck_assert_int_eq(decode(BL_PAIR_TALKER), 0);
	bl_pair_to_order(&got.heard, &back);
	ck_assert_str_eq(back.override_reason, "");
	ck_assert_int_eq(back.probation_ms, 0);
	ck_assert_str_eq(back.reason, "a host failed");
}
END_TEST

static void an_apply(void)
{
	struct bl_order o = an_order(BL_ORDER_APPLY);

	bl_pair_begin(&m, BL_PAIR_HEARD);
	bl_pair_from_order(&o, &m.heard);
}

static void no_magic(void)
{
	an_apply();
	m.head.magic++;
}
static void version(void)
{
	an_apply();
	m.head.version++;
}
static void no_kind(void)
{
	an_apply();
	m.head.kind = 0;
}
static void unknown_kind(void)
{
	an_apply();
	m.head.kind = BL_PAIR_KINDS;
}
static void short_one(void)
{
	an_apply();
	m.head.size--;
}
static void rest_of_head(void)
{
	an_apply();
	m.head.zero = 1;
}
static void others(void)
{
	bl_pair_begin(&m, BL_PAIR_NEWS);
}
static void unknown_answer(void)
{
	an_apply();
	m.heard.answer = BL_PAIR_ANSWERS;
}
static void no_digest(void)
{
	an_apply();
	memset(m.heard.digest, 0, sizeof(m.heard.digest));
}
static void upper_digest(void)
{
	an_apply();
	m.heard.digest[3] = 'A';
}
static void long_digest(void)
{
	an_apply();
	m.heard.digest[BL_DIGEST_HEX - 1] = 'a';
}
static void path_rollout(void)
{
	an_apply();
	strcpy(m.heard.rollout, "../r7");
}
static void no_rollout(void)
{
	an_apply();
	memset(m.heard.rollout, 0, sizeof(m.heard.rollout));
}
static void unended_reason(void)
{
	an_apply();
	memset(m.heard.reason, 'x', sizeof(m.heard.reason));
}
static void hidden_reason(void)
{
	an_apply();
	m.heard.reason[100] = 'x';
}
static void escape_reason(void)
{
	an_apply();
	m.heard.reason[0] = '\x1b';
}
static void lines_reason(void)
{
	an_apply();
	m.heard.reason[1] = '\n';
}
static void no_utf8_reason(void)
{
	an_apply();
	m.heard.reason[1] = (char)0xff;
}
static void long_probation(void)
{
	an_apply();
	m.heard.probation_ms = INT64_MAX;
}
static void no_probation(void)
{
	an_apply();
	m.heard.probation_ms = -1;
}
static void late_poll(void)
{
	an_apply();
	m.heard.poll_ms = INT64_C(3600001);
}
static void failed_and_ordered(void)
{
	an_apply();
	m.heard.result = -EIO;
}
static void well_and_failed(void)
{
	an_apply();
	m.heard.result = 1;
}
static void override_of_nothing(void)
{
	bl_pair_begin(&m, BL_PAIR_HEARD);
	m.heard.answer = BL_PAIR_NOTHING;
	strcpy(m.heard.override_reason, "please");
}
static void negative_time(void)
{
	an_apply();
	m.heard.begun_ms = UINT64_MAX;
}
static void large_progress(void)
{
	bl_pair_begin(&m, BL_PAIR_PROGRESS);
	m.progress.number = 1;
	m.progress.have = UINT64_C(1) << 40;
}
static void nobodys_bundle(void)
{
	bl_pair_begin(&m, BL_PAIR_FETCHED);
}
static void rest_of_fetched(void)
{
	bl_pair_begin(&m, BL_PAIR_FETCHED);
	m.fetched.number = 1;
	m.fetched.zero = 1;
}
static void empty_note(void)
{
	bl_pair_begin(&m, BL_PAIR_NOTE);
}
static void certificate(void)
{
	bl_pair_begin(&m, BL_PAIR_CERTIFICATE);
	strcpy(m.certificate.pem, "-----BEGIN\tCERTIFICATE-----\n");
}

static void something_got(void)
{
	bl_pair_begin(&m, BL_PAIR_GOT);
	m.got.number = 1;
	m.got.length = 500;
}
static void nobodys_file(void)
{
	something_got();
	m.got.number = 0;
}
static void rest_of_got(void)
{
	something_got();
	m.got.zero = 1;
}
static void endless_file(void)
{
	something_got();
	m.got.length = 5000001;
}
static void got_and_failed(void)
{
	something_got();
	m.got.result = -ENOENT;
}
static void got_more_than_well(void)
{
	something_got();
	m.got.result = 1;
}
static void lines_of_got(void)
{
	something_got();
	strcpy(m.got.why, "one\ntwo");
}
static void wants_itself(void)
{
	bl_pair_begin(&m, BL_PAIR_WANT);
	m.want.number = 1;
	strcpy(m.want.name, "timestamp.json");
}

static void (*const wrong[])(void) = {
	no_magic,	 version,
	no_kind,	 unknown_kind,
	short_one,	 rest_of_head,
	others,		 unknown_answer,
	no_digest,	 upper_digest,
	long_digest,	 path_rollout,
	no_rollout,	 unended_reason,
	hidden_reason,	 escape_reason,
	lines_reason,	 no_utf8_reason,
	long_probation,	 no_probation,
	late_poll,	 failed_and_ordered,
	well_and_failed, override_of_nothing,
	negative_time,	 large_progress,
	nobodys_bundle,	 rest_of_fetched,
	empty_note,	 certificate,
	nobodys_file,	 rest_of_got,
	endless_file,	 got_and_failed,
	lines_of_got,	 got_more_than_well,
	wants_itself,
};

START_TEST(a_message_that_is_none_is_refused_and_changes_nothing)
{
	memset(&got, 0x5a, sizeof(got));
	an_apply();
	ck_assert_int_eq(decode(BL_PAIR_TALKER), 0);
	memset(&got, 0x5a, sizeof(got));
	wrong[_i]();
	ck_assert_int_eq(decode(BL_PAIR_TALKER), -EBADMSG);
	ck_assert_str_ne(err.text, "");
	ck_assert_uint_eq(got.head.magic, 0x5a5a5a5a);
}
END_TEST

/* It becomes a part of a path. */
START_TEST(a_file_is_wanted_by_a_plain_name)
{
	static const struct {
		const char *name;
		int code;
	} names[] = {
		{ "timestamp.json", 0 },
		{ "12.root.json", 0 },
		{ "", -EBADMSG },
		{ "../timestamp.json", -EBADMSG },
		{ "a/timestamp.json", -EBADMSG },
		{ ".json", -EBADMSG },
		{ "timestamp.json?x=1", -EBADMSG },
		{ "%2e%2e", -EBADMSG },
	};

	for (size_t i = 0; i < BL_ARRAY_SIZE(names); i++) {
		bl_pair_begin(&m, BL_PAIR_WANT);
		m.want.number = 1;
		m.want.max = 5000000;
		strcpy(m.want.name, names[i].name);
		ck_assert_msg(decode(BL_PAIR_HOST) == names[i].code, "'%s'",
			      names[i].name);
		m.want.max++;
		ck_assert_int_eq(decode(BL_PAIR_HOST), -EBADMSG);
	}
}
END_TEST

/* One of each kind that is in order, and where its texts begin. */
static size_t one_of(enum bl_pair_kind kind)
{
	bl_pair_begin(&m, kind);
	switch (kind) {
	case BL_PAIR_HEARD:
		an_apply();
		return offsetof(struct bl_pair_heard, rollout);
	case BL_PAIR_PROGRESS:
		m.progress.number = 1;
		return sizeof(m.progress);
	case BL_PAIR_FETCHED:
		m.fetched.number = 1;
		strcpy(m.fetched.why, "not now");
		return offsetof(struct bl_pair_fetched, why);
	case BL_PAIR_CERTIFICATE:
		strcpy(m.certificate.pem, "-----BEGIN CERTIFICATE-----\n");
		return 0;
	case BL_PAIR_NOTE:
		strcpy(m.note.text, "the controller answers");
		return 0;
	case BL_PAIR_SAY:
		strcpy(m.say.text, "{}");
		return offsetof(struct bl_pair_say, text);
	case BL_PAIR_FETCH:
		memset(m.fetch.digest, 'b', BL_DIGEST_HEX - 1);
		m.fetch.number = 1;
		return offsetof(struct bl_pair_fetch, digest);
	case BL_PAIR_LEAVE:
		m.fetch.number = 1;
		return offsetof(struct bl_pair_fetch, digest);
	case BL_PAIR_WANT:
		m.want.number = 1;
		strcpy(m.want.name, "timestamp.json");
		return offsetof(struct bl_pair_want, name) +
		       strlen("timestamp.json");
	case BL_PAIR_GOT:
		m.got.number = 1;
		m.got.result = -EAGAIN;
		strcpy(m.got.why, "not now");
		return offsetof(struct bl_pair_got, why);
	default:
		return 0;
	}
}

START_TEST(no_byte_of_a_text_is_out_of_sight)
{
	size_t texts = one_of((enum bl_pair_kind)_i), i;
	enum bl_pair_side side = m.head.kind >= BL_PAIR_SAY &&
						 m.head.kind != BL_PAIR_GOT
					 ? BL_PAIR_HOST
					 : BL_PAIR_TALKER;
	unsigned char *at = (unsigned char *)&m;

	ck_assert_msg(!decode(side), "%s", err.text);
	for (i = sizeof(m.head) + texts; i < m.head.size; i++) {
		unsigned char was = at[i];

		at[i] = 1;
		ck_assert_msg(decode(side) == -EBADMSG, "byte %zu", i);
		at[i] = was;
	}
}
END_TEST

START_TEST(one_byte_less_or_more_is_another_size)
{
	char more[sizeof(m) + 1] = { 0 };
	size_t len;

	an_apply();
	memcpy(more, &m, sizeof(m));
	for (len = 0; len <= sizeof(more); len++)
		ck_assert_int_eq(bl_pair_decode(more, len, BL_PAIR_TALKER, &got,
						&err),
				 len == m.head.size ? 0 : -EBADMSG);
}
END_TEST

START_TEST(what_is_sent_is_received)
{
	int fd = -1, zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	char byte = 1;

	bl_pair_begin(&m, BL_PAIR_FETCH);
	m.fetch.number = 3;
	memset(m.fetch.digest, 'b', BL_DIGEST_HEX - 1);
	ck_assert_int_eq(bl_pair_send(pair[0], &m, zero, true, &err), 0);
	ck_assert_int_eq(
		bl_pair_receive(pair[1], BL_PAIR_HOST, &got, &fd, &err), 0);
	ck_assert_mem_eq(&m, &got, m.head.size);
	ck_assert_int_eq(read(fd, &byte, 1), 1);
	ck_assert_int_eq(byte, 0);
	ck_assert_int_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
	close(fd);
	close(zero);
}
END_TEST

static int open_files(void)
{
	int n = 0;

	for (int fd = 0; fd < 64; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static ssize_t send_fds(int sock, size_t count)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(8 * sizeof(int))];
	} control = { .room = { 0 } };
	struct iovec part = { .iov_base = &m, .iov_len = m.head.size };
	struct msghdr h = { .msg_iov = &part,
			    .msg_iovlen = 1,
			    .msg_control = &control,
			    .msg_controllen = CMSG_SPACE(count * sizeof(int)) };
	int fds[8] = { 0 };

	control.head.cmsg_level = SOL_SOCKET;
	control.head.cmsg_type = SCM_RIGHTS;
	control.head.cmsg_len = CMSG_LEN(count * sizeof(int));
	memcpy(CMSG_DATA(&control.head), fds, count * sizeof(int));
	return sendmsg(sock, &h, 0);
}

/* Nor is one left open here. */
START_TEST(a_descriptor_that_nobody_wants_is_refused)
{
	int before = open_files();

	bl_pair_begin(&m, BL_PAIR_ASK);
	ck_assert_int_eq(send_fds(pair[0], (size_t)_i), (ssize_t)m.head.size);
	ck_assert_int_eq(bl_pair_receive(pair[1], BL_PAIR_TALKER, &got, NULL,
					 &err),
			 -EBADMSG);
	ck_assert_int_eq(open_files(), before);
}
END_TEST

/* By the kernel, where it can; the other way they go as before. */
START_TEST(no_descriptor_comes_to_the_host_part)
{
	int host, talker, fd = -1, off = 0, before;
	bool kernel;

	ck_assert_int_eq(bl_pair_make(&host, &talker, &err), 0);
	before = open_files();
	kernel = !setsockopt(pair[0], SOL_SOCKET, 83 /* SO_PASSRIGHTS */, &off,
			     sizeof(off));
	bl_pair_begin(&m, BL_PAIR_ASK);
	ck_assert_int_eq(send_fds(talker, (size_t)_i) < 0, kernel);
	ck_assert_int_eq(bl_pair_send(talker, &m, -1, true, &err), 0);
	ck_assert_int_eq(bl_pair_receive(host, BL_PAIR_TALKER, &got, NULL,
					 &err),
			 kernel ? 0 : -EBADMSG);
	ck_assert_int_eq(open_files(), before);
	one_of(BL_PAIR_FETCH);
	ck_assert_int_eq(bl_pair_send(host, &m, 0, true, &err), 0);
	ck_assert_int_eq(bl_pair_receive(talker, BL_PAIR_HOST, &got, &fd, &err),
			 0);
	ck_assert_int_ge(fd, 0);
	close(fd);
	close(host);
	close(talker);
}
END_TEST

START_TEST(bytes_that_are_too_many_are_refused)
{
	static char large[100000];

	ck_assert_int_eq(send(pair[0], large, sizeof(large), 0),
			 (ssize_t)sizeof(large));
	ck_assert_int_eq(bl_pair_receive(pair[1], BL_PAIR_TALKER, &got, NULL,
					 &err),
			 -EBADMSG);
}
END_TEST

START_TEST(the_other_part_is_gone)
{
	bl_pair_begin(&m, BL_PAIR_ASK);
	close(pair[0]);
	ck_assert_int_eq(bl_pair_receive(pair[1], BL_PAIR_TALKER, &got, NULL,
					 &err),
			 -EPIPE);
	ck_assert_int_eq(bl_pair_send(pair[1], &m, -1, true, &err), -EPIPE);
	pair[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
}
END_TEST

START_TEST(who_does_not_read_is_not_waited_for)
{
	int r = 0;

	bl_pair_begin(&m, BL_PAIR_NEWS);
	while (!r)
		r = bl_pair_send(pair[0], &m, -1, false, &err);
	ck_assert_int_eq(r, -EAGAIN);
}
END_TEST

START_TEST(so_many_at_once_and_then_so_many_a_second)
{
	struct bl_pair_rate rate = { .per_s = 10, .burst = 5 };
	unsigned i;

	for (i = 0; i < 5; i++)
		ck_assert_uint_eq(bl_pair_rate_take(&rate, 1000), 0);
	ck_assert_uint_eq(bl_pair_rate_take(&rate, 1000), 100);
	ck_assert_uint_eq(bl_pair_rate_take(&rate, 1060), 40);
	ck_assert_uint_eq(bl_pair_rate_take(&rate, 1100), 0);
	ck_assert_uint_eq(bl_pair_rate_take(&rate, 1100), 100);
	/* However long nobody came: no more than the burst. */
	for (i = 0; i < 5; i++)
		ck_assert_uint_eq(bl_pair_rate_take(&rate, 900000), 0);
	ck_assert_uint_eq(bl_pair_rate_take(&rate, 900000), 100);
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *s = suite_create("pair");
	TCase *t = tcase_create("pair");

	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_add_test(t, an_order_arrives_as_it_was);
	tcase_add_test(t, what_an_order_has_no_use_for_stays_behind);
	tcase_add_loop_test(
		t, a_message_that_is_none_is_refused_and_changes_nothing, 0,
		(int)BL_ARRAY_SIZE(wrong));
	tcase_add_test(t, a_file_is_wanted_by_a_plain_name);
	tcase_add_loop_test(t, no_byte_of_a_text_is_out_of_sight, 1,
			    BL_PAIR_KINDS);
	tcase_add_test(t, one_byte_less_or_more_is_another_size);
	tcase_add_test(t, what_is_sent_is_received);
	tcase_add_loop_test(t, a_descriptor_that_nobody_wants_is_refused, 1, 8);
	tcase_add_loop_test(t, no_descriptor_comes_to_the_host_part, 1, 8);
	tcase_add_test(t, bytes_that_are_too_many_are_refused);
	tcase_add_test(t, the_other_part_is_gone);
	tcase_add_test(t, who_does_not_read_is_not_waited_for);
	tcase_add_test(t, so_many_at_once_and_then_so_many_a_second);
	suite_add_tcase(s, t);
	return s;
}
