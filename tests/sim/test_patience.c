/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Clients that take their time, or all of the places: they are cut, and others
 * are served meanwhile (siege.h). The server's patience is short here, so that
 * the tests need not wait as long as it would; how long it takes is not looked
 * at.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "canary/controller/callers.h"
#include "canary/controller/enroll.h"
#include "loader/base/cleanup.h"
#include "loader/base/clock.h"
#include "loader/base/file.h"
#include "tests/main.h"
#include "tests/support/siege.h"

#define SILENT	   1000
#define DRIP_MS	   50
#define BIG_BUNDLE (16u << 20) /* more than sockets hold */
#define POLL	   "POST /v1/hosts/web-1/poll HTTP/1.1\r\nHost: x\r\n"
#define JSON	   "Content-Type: application/json\r\n"

/* Slow in each of the ways there are, one byte after the other. */
static const struct drip {
	const char *what, *cert;
	const char *at_once, *slowly;
	bool reads;
} drips[] = {
	{ "nothing", NULL, NULL, NULL, false },
	{ "a handshake", NULL, NULL, "\x16\x03\x01\x02\x00\x01\x00", false },
	{ "headers", "host", "GET /v1/ca HTTP/1.1\r\nHost: x\r\n", "X: ab\r\n",
	  false },
	{ "a body", "host", POLL JSON "Content-Length: 16000\r\n\r\n",
	  "[ [ [ [ ", false },
	{ "chunks", "host", POLL JSON "Transfer-Encoding: chunked\r\n\r\n",
	  "1\r\n[\r\n", false },
	{ "an answer", "host", NULL, NULL, true },
};

static void begin_drip(struct raw *r, const struct drip *d)
{
	bl_autofree char *get = bl_path(
		"GET /v1/bundles/%s HTTP/1.1\r\nHost: x\r\n\r\n", siege.digest);
	const char *at_once = d->reads ? get : d->at_once;

	if (!d->cert) {
		raw_dial(r, siege.port);
		return;
	}
	/* Where the machine is busy, we are too slow for that already. */
	while (!siege_dial(r, siege.web1, d->cert) ||
	       !raw_send(r, at_once, strlen(at_once)))
		raw_close(r);
}

static void drip(struct raw *r, const struct drip *d, size_t turn)
{
	char byte;

	if (d->reads)
		raw_receive(r, &byte, 1);
	else if (d->slowly)
		raw_send(r, &d->slowly[turn % strlen(d->slowly)], 1);
}

/*
 * The time to say all is what is over here: a client that says something now
 * and then is never idle. What was sent to one that does not read stays in the
 * kernel for it, so it is the controller that is asked.
 */
START_TEST(slow_clients_are_cut_and_others_are_served)
{
	static const struct bl_http_limits limits = { .idle_s = 100,
						      .head_ms = 1500,
						      .request_ms = 1500 };
	struct raw r[BL_ARRAY_SIZE(drips)];
	uint64_t end_ms;
	size_t i, turn;

	siege_start(&limits, BIG_BUNDLE);
	for (i = 0; i < BL_ARRAY_SIZE(drips); i++)
		begin_drip(&r[i], &drips[i]);
	siege_others_are_served();
	end_ms = bl_clock_mono_ms() + RAW_PATIENCE_MS;
	for (turn = 0; siege_connections(); turn++) {
		for (i = 0; i < BL_ARRAY_SIZE(drips); i++)
			drip(&r[i], &drips[i], turn);
		ck_assert_msg(bl_clock_mono_ms() < end_ms,
			      "%u slow clients are not cut",
			      siege_connections());
		bl_clock_sleep_ms(DRIP_MS);
	}
	for (i = 0; i < BL_ARRAY_SIZE(drips); i++)
		raw_close(&r[i]);
	siege_unchanged("a slow client");
	siege_others_are_served();
}
END_TEST

/* With fewer places than that, and patience that outlasts the test: those who
 * came first and say nothing make room. Then with little patience: all go. */
START_TEST(a_thousand_that_say_nothing_keep_nobody_out)
{
	static const struct bl_http_limits few = { .connections = 256,
						   .idle_s = 100,
						   .head_ms = 100000 };
	static const struct bl_http_limits short_of_time = { .idle_s = 100,
							     .head_ms = 1500 };
	unsigned stay = _i ? 0 : few.connections;
	static struct raw silent[SILENT];
	struct rlimit files;
	uint64_t end_ms;
	size_t i;

	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &files), 0);
	files.rlim_cur = files.rlim_max;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &files), 0);
	siege_start(_i ? &short_of_time : &few, 0);
	siege_others_are_served();
	for (i = 0; i < SILENT; i++)
		raw_dial(&silent[i], siege.port);
	siege_others_are_served();
	end_ms = bl_clock_mono_ms() + RAW_PATIENCE_MS;
	while (siege_connections() > stay) {
		ck_assert_msg(bl_clock_mono_ms() < end_ms, "%u are still there",
			      siege_connections());
		bl_clock_sleep_ms(DRIP_MS);
	}
	siege_unchanged("who says nothing");
	siege_others_are_served();
	for (i = 0; i < SILENT; i++)
		raw_close(&silent[i]);
}
END_TEST

#define ENROLL_BYTES BL_ENROLL_BYTES_MAX
#define ENROLL                                         \
	"POST /v1/enroll HTTP/1.1\r\nHost: x\r\n" JSON \
	"Content-Length: 20480\r\n\r\n"

/* Without a certificate; all of a body but @short_of bytes. */
static void begin_enroll(struct raw *r, size_t short_of)
{
	char body[ENROLL_BYTES]; /* which is what ENROLL says */

	memset(body, ' ', sizeof(body));
	raw_dial(r, siege.port);
	ck_assert(raw_shake(r, NULL, NULL));
	ck_assert(raw_send(r, ENROLL, strlen(ENROLL)));
	ck_assert(raw_send(r, body, sizeof(body) - short_of));
}

static unsigned enroll(void)
{
	char answer[4096];
	unsigned status;
	struct raw r;

	begin_enroll(&r, 0);
	status = raw_status(&r, answer, sizeof(answer));
	raw_close(&r);
	return status;
}

#define STRANGERS 300

/* Hundreds begin to enroll and never end; who does so gets its answer: that it is
 * no JSON. The room for strangers is for some 200 of these. */
START_TEST(hundreds_who_begin_to_enroll_keep_nobody_from_it)
{
	static const struct bl_http_limits patient = { .idle_s = 100,
						       .request_ms = 100000 };
	static struct raw r[STRANGERS];
	size_t i;

	siege_start(&patient, 0);
	for (i = 0; i < STRANGERS; i++)
		begin_enroll(&r[i], 1);
	for (i = 0; i < 3; i++)
		ck_assert_uint_eq(enroll(), 400);
	siege_others_are_served();
	siege_unchanged("who begins to enroll");
	for (i = 0; i < STRANGERS; i++)
		raw_close(&r[i]);
}
END_TEST

#define OF_A_NAME (BL_CALLERS_OF_A_NAME + 20)

/* One host opens what it can; it keeps its newest, and no more than its share. */
START_TEST(one_host_does_not_take_all_places)
{
	static const char ask[] = "GET /v1/ca HTTP/1.1\r\nHost: x\r\n\r\n";
	static const struct bl_http_limits patient = { .idle_s = 100,
						       .keep_s = 100 };
	static struct raw r[OF_A_NAME];
	char answer[4096];
	uint64_t end_ms;
	size_t i;

	siege_start(&patient, 0);
	for (i = 0; i < OF_A_NAME; i++) {
		ck_assert(siege_dial(&r[i], siege.web1, "host"));
		ck_assert(raw_send(&r[i], ask, strlen(ask)));
		ck_assert_uint_eq(raw_status(&r[i], answer, sizeof(answer)),
				  200);
	}
	end_ms = bl_clock_mono_ms() + RAW_PATIENCE_MS;
	/* Beside it: the one that asks for their number. */
	while (siege_connections() > BL_CALLERS_OF_A_NAME + 1) {
		ck_assert_msg(bl_clock_mono_ms() < end_ms, "%u are still there",
			      siege_connections());
		bl_clock_sleep_ms(DRIP_MS);
	}
	ck_assert(raw_send(&r[OF_A_NAME - 1], ask, strlen(ask)));
	ck_assert_uint_gt(
		raw_receive(&r[OF_A_NAME - 1], answer, sizeof(answer)), 0);
	siege_others_are_served();
	for (i = 0; i < OF_A_NAME; i++)
		raw_close(&r[i]);
}
END_TEST

/* The room for bodies of strangers is for three; the fourth costs the first its
 * own. */
START_TEST(who_has_no_certificate_takes_no_room_of_those_who_have)
{
	static const struct bl_http_limits little = {
		.idle_s = 100,
		.request_ms = 100000,
		.bodies = 3 * ENROLL_BYTES,
		.strangers = 3 * ENROLL_BYTES,
	};
	struct raw r[6];
	char answer[4096];
	size_t i;

	siege_start(&little, 0);
	for (i = 0; i < BL_ARRAY_SIZE(r); i++)
		begin_enroll(&r[i], 1);
	ck_assert_uint_eq(enroll(), 400);
	ck_assert(raw_send(&r[0], " ", 1));
	ck_assert_msg(raw_status(&r[0], answer, sizeof(answer)) == 503,
		      "the bodies of strangers have no limit");
	siege_others_are_served();
	ck_assert_msg(siege_call(siege.dir, "operator", "POST",
				 "/v1/rollouts/r9/abort",
				 json_object()) == -ENOENT,
		      "%s", siege.err.text);
	siege_unchanged("who enrolls");
	for (i = 0; i < BL_ARRAY_SIZE(r); i++)
		raw_close(&r[i]);
}
END_TEST

/* Without a certificate, and what it asks for is nothing that is refused, or is:
 * then it stays. Where it is not let in, that is no harm. */
START_TEST(who_asks_for_something_harmless_keeps_nobody_out)
{
	static const struct bl_http_limits few = { .connections = 64,
						   .idle_s = 100,
						   .keep_s = 100,
						   .head_ms = 100000,
						   .request_ms = 100000 };
	static const char *const asks[] = {
		"GET /v1/ca HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET /v1/nothing HTTP/1.1\r\nHost: x\r\n\r\n",
	};
	struct raw r[100], host;
	char answer[4096];
	size_t i;

	siege_start(&few, 0);
	ck_assert(siege_dial(&host, siege.web1, "host"));
	ck_assert(raw_send(&host, asks[0], strlen(asks[0])));
	ck_assert_uint_eq(raw_status(&host, answer, sizeof(answer)), 200);
	for (i = 0; i < BL_ARRAY_SIZE(r); i++) {
		raw_dial(&r[i], siege.port);
		if (raw_shake(&r[i], NULL, NULL) &&
		    raw_send(&r[i], asks[_i], strlen(asks[_i])))
			raw_status(&r[i], answer, sizeof(answer));
	}
	siege_others_are_served();
	/* Nor is who has a certificate the one that makes room. */
	ck_assert(raw_send(&host, asks[0], strlen(asks[0])));
	do {
		size_t n = raw_receive(&host, answer, sizeof(answer) - 1);

		ck_assert_msg(n, "a host made room for strangers");
		answer[n] = '\0';
	} while (!strstr(answer, "HTTP/1.1 200 "));
	siege_unchanged("who asks for something harmless");
	for (i = 0; i < BL_ARRAY_SIZE(r); i++)
		raw_close(&r[i]);
	raw_close(&host);
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *suite = suite_create("patience");
	TCase *t = tcase_create("patience");

	tcase_add_checked_fixture(t, NULL, siege_end);
	tcase_add_test(t, slow_clients_are_cut_and_others_are_served);
	tcase_add_loop_test(t, a_thousand_that_say_nothing_keep_nobody_out, 0,
			    2);
	tcase_add_test(t,
		       who_has_no_certificate_takes_no_room_of_those_who_have);
	tcase_add_test(t, hundreds_who_begin_to_enroll_keep_nobody_from_it);
	tcase_add_test(t, one_host_does_not_take_all_places);
	tcase_add_loop_test(t, who_asks_for_something_harmless_keeps_nobody_out,
			    0, 2);
	suite_add_tcase(suite, t);
	return suite;
}
