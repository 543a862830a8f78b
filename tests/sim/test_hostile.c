/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Clients that mean harm, or have lost their mind: what they are answered, and
 * that the ledger is byte for byte what it was (siege.h).
 */
#include <errno.h>
#include <gnutls/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "canary/ledger/protocol.h"
#include "loader/base/cleanup.h"
#include "loader/base/clock.h"
#include "loader/base/file.h"
#include "tests/main.h"
#include "tests/support/siege.h"

#define HUGE_BYTES (100u << 20)
/* Far below what is sent, far above what a request leaves behind, and what the
 * address sanitizer keeps of what was freed: 17 MB were seen. */
#define GROWTH_MAX (48u << 20)

static void set_up(void)
{
	siege_start(NULL, 0);
}

/* Who shows what, and what becomes of a poll as web-1. */
static void another_hosts(const char *to)
{
	siege_cert(siege.server.pki, to, "web-3", -1, 9);
}

static void almost_the_hosts(const char *to)
{
	siege_cert(siege.server.pki, to, "web-1.", -1, 9);
}

static void none(const char *to)
{
	(void)to;
}

static void expired(const char *to)
{
	siege_cert(siege.server.pki, to, "web-1", -9, -1);
}

static void of_another_authority(const char *to)
{
	BL_CLEANUP(bl_pki_freep) struct bl_pki *other = NULL;

	ck_assert_int_eq(bl_pki_make(bl_clock_wall_ms(), &other, NULL), 0);
	siege_cert(other, to, "web-1", 0, 9);
}

/* It says all that a good one says, and nobody has signed it. */
static void self_signed(const char *to)
{
	gnutls_x509_crt_t cert;
	gnutls_x509_privkey_t key;
	gnutls_datum_t cert_pem = { 0 }, key_pem = { 0 };
	time_t now = time(NULL);

	gnutls_x509_crt_init(&cert);
	gnutls_x509_privkey_init(&key);
	ck_assert_int_eq(
		gnutls_x509_privkey_generate(
			key, GNUTLS_PK_ECDSA,
			GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0),
		0);
	gnutls_x509_crt_set_dn(cert, "CN=web-1,OU=host", NULL);
	gnutls_x509_crt_set_version(cert, 3);
	gnutls_x509_crt_set_serial(cert, "\1", 1);
	gnutls_x509_crt_set_activation_time(cert, now - 60);
	gnutls_x509_crt_set_expiration_time(cert, now + 3600);
	gnutls_x509_crt_set_key(cert, key);
	ck_assert_int_eq(gnutls_x509_crt_sign2(cert, cert, key,
					       GNUTLS_DIG_SHA256, 0),
			 0);
	gnutls_x509_crt_export2(cert, GNUTLS_X509_FMT_PEM, &cert_pem);
	gnutls_x509_privkey_export2(key, GNUTLS_X509_FMT_PEM, &key_pem);
	ck_assert_int_eq(bl_pki_dir_write(to, "host",
					  bl_pki_cert(siege.server.pki),
					  (char *)cert_pem.data,
					  (char *)key_pem.data, NULL),
			 0);
	gnutls_free(cert_pem.data);
	gnutls_free(key_pem.data);
	gnutls_x509_crt_deinit(cert);
	gnutls_x509_privkey_deinit(key);
}

static const struct {
	const char *what;
	void (*write)(const char *to);
	int r;
	const char *words;
} certificates[] = {
	{ "another host's", another_hosts, -EPERM, "cannot speak for web-1" },
	{ "one of almost that name", almost_the_hosts, -EPERM,
	  "cannot speak for web-1" },
	{ "none", none, -EACCES, "no certificate was shown" },
	{ "one that is over", expired, -EACCES, "has expired" },
	{ "another authority's", of_another_authority, -EACCES,
	  "not from this fleet's authority" },
	{ "its own", self_signed, -EACCES, "not from this fleet's authority" },
};

START_TEST(who_is_not_the_host_changes_nothing_of_it)
{
	static const char *const closed[] = { "/v1/hosts", "/v1/rollouts" };
	size_t i, k;

	for (i = 0; i < BL_ARRAY_SIZE(certificates); i++) {
		const char *what = certificates[i].what;
		bl_autofree char *in = bl_path("%s/who-%zu", siege.dir, i);
		const char *as = certificates[i].write == none ? siege.dir : in;
		const char *who = certificates[i].write == none ? "nobody"
								: "host";
		struct bl_poll poll = { .boot = "b",
					.session = "new",
					.seq = 99 };

		certificates[i].write(in);
		ck_assert_msg(
			siege_call(as, who, "POST", "/v1/hosts/web-1/poll",
				   bl_poll_json(&poll)) == certificates[i].r,
			"%s: %s", what, siege.err.text);
		ck_assert_msg(strstr(siege.err.text, certificates[i].words),
			      "%s: %s", what, siege.err.text);
		for (k = 0; k < BL_ARRAY_SIZE(closed); k++)
			ck_assert_int_lt(
				siege_call(as, who, "GET", closed[k], NULL), 0);
		ck_assert_int_lt(siege_call(as, who, "POST",
					    "/v1/rollouts/r1/abort",
					    json_object()),
				 0);
		siege_unchanged(what);
	}
	siege_others_are_served();
}
END_TEST

/* Recorded on the way and sent again, or sent by the agent's last life. */
START_TEST(a_report_that_comes_again_changes_nothing)
{
	static const struct {
		const char *session;
		int64_t seq;
	} replays[] = {
		{ "now", 10 }, { "now", 9 }, { "first", 50 }, { "first", 51 }
	};
	size_t i;

	for (i = 0; i < BL_ARRAY_SIZE(replays); i++) {
		ck_assert_int_eq(siege_poll(replays[i].session, replays[i].seq),
				 -EBUSY);
		siege_unchanged("a report of long ago");
	}
	ck_assert_int_eq(siege_poll(SIEGE_SESSION, SIEGE_SEQ + 1), 0);
}
END_TEST

#define REPEAT(n, text) \
	{               \
		text, n \
	}
#define POLL  "POST /v1/hosts/web-1/poll HTTP/1.1\r\nHost: x\r\n"
#define JSON  "Content-Type: application/json\r\n"
#define ENDED 0

/* As web-1. What follows @head is @tail, @times times; an answer of ENDED is
 * none: the connection ends. */
static const struct row {
	const char *what, *head;
	unsigned status;
	const char *tail;
	unsigned times;
} rows[] = {
	{ "garbage", "\x16\x03\x01\xff\xff\x01\x02\x03\r\n\r\n", ENDED, 0, 0 },
	{ "no version", "GET /v1/hosts\r\n\r\n", 400, 0, 0 },
	{ "another version", "GET /v1/ca HTTP/9.9\r\nHost: x\r\n\r\n", 505, 0,
	  0 },
	{ "HTTP/1.0 without a host", "GET /v1/rollouts HTTP/1.0\r\n\r\n", 403,
	  0, 0 },
	{ "HTTP/1.1 without a host", "GET /v1/rollouts HTTP/1.1\r\n\r\n", 400,
	  0, 0 },
	{ "a path of above",
	  "GET /v1/hosts/../rollouts HTTP/1.1\r\nHost: x\r\n\r\n", 404, 0, 0 },
	{ "a name of dots",
	  "POST /v1/hosts/../poll HTTP/1.1\r\nHost: x\r\n" JSON
	  "Content-Length: 2\r\n\r\n{}",
	  413, 0, 0 },
	{ "a name of dots in disguise",
	  "POST /v1/hosts/%2e%2e/poll HTTP/1.1\r\nHost: x\r\n\r\n", 404, 0, 0 },
	{ "a name with a way in it",
	  "POST /v1/hosts/web-1%2f..%2fweb-2/poll HTTP/1.1\r\nHost: x\r\n\r\n",
	  404, 0, 0 },
	{ "a name with its end in it",
	  "POST /v1/hosts/web-1%00x/poll HTTP/1.1\r\nHost: x\r\n\r\n", 404, 0,
	  0 },
	{ "a path with its end in it",
	  "POST /v1/hosts/web-1/poll%00/abort HTTP/1.1\r\nHost: x\r\n\r\n", 404,
	  0, 0 },
	{ "a digest with its end in it",
	  "GET /v1/rollouts/r1%00 HTTP/1.1\r\nHost: x\r\n\r\n", 404, 0, 0 },
	{ "half an escape",
	  "POST /v1/hosts/web-1%/poll HTTP/1.1\r\nHost: x\r\n\r\n", 404, 0, 0 },
	{ "a method that fits nothing",
	  "BREW /v1/hosts/web-1/poll HTTP/1.1\r\nHost: x\r\n\r\n", 405, 0, 0 },
	{ "no type", POLL "Content-Length: 2\r\n\r\n{}", 415, 0, 0 },
	{ "no JSON", POLL JSON "Content-Length: 5\r\n\r\nhello", 400, 0, 0 },
	{ "JSON of brackets", POLL JSON "Content-Length: 16000\r\n\r\n", 400,
	  "[", 16000 },
	{ "two lengths",
	  POLL JSON "Content-Length: 2\r\nContent-Length: 20\r\n\r\n{}", 400, 0,
	  0 },
	{ "a length and chunks",
	  POLL JSON "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n"
		    "2\r\n{}\r\n0\r\n\r\n",
	  400, 0, 0 },
	{ "a length below nothing", POLL JSON "Content-Length: -1\r\n\r\n", 400,
	  0, 0 },
	{ "a length with a sign", POLL JSON "Content-Length: +2\r\n\r\n{}", 400,
	  0, 0 },
	{ "a length that is none", POLL JSON "Content-Length: 2x\r\n\r\n{}",
	  400, 0, 0 },
	{ "a length of too many digits",
	  POLL JSON "Content-Length: 99999999999999999999999\r\n\r\n", 413, 0,
	  0 },
	{ "a chunk of too many digits",
	  POLL JSON "Transfer-Encoding: chunked\r\n\r\n"
		    "ffffffffffffffffff\r\n{}",
	  413, 0, 0 },
	{ "a chunk that is none",
	  POLL JSON "Transfer-Encoding: chunked\r\n\r\nhello\r\n", 400, 0, 0 },
	{ "a chunk below nothing",
	  POLL JSON "Transfer-Encoding: chunked\r\n\r\n-2\r\n{}\r\n", 400, 0,
	  0 },
	{ "a chunk of gigabytes",
	  POLL JSON "Transfer-Encoding: chunked\r\n\r\nfffffff\r\n", ENDED,
	  "0123456789abcdef", 65536 },
	{ "chunks without an end",
	  POLL JSON "Transfer-Encoding: chunked\r\n\r\n", ENDED,
	  "10\r\n0123456789abcdef\r\n", 65536 },
	{ "headers without an end", "GET /v1/ca HTTP/1.1\r\nHost: x\r\n", 431,
	  "X: aaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n", 65536 },
	{ "a header without an end", "GET /v1/ca HTTP/1.1\r\nHost: ", 431, "x",
	  1 << 20 },
	{ "a path without an end", "GET /", 414, "x", 1 << 20 },
	{ "a method without an end", "", 414, "G", 1 << 20 },
};

static void send_row(struct raw *r, const struct row *row)
{
	bl_autobuf struct bl_buf tail = { 0 };
	unsigned i;

	for (i = 0; i < row->times; i++)
		bl_buf_add(&tail, row->tail, strlen(row->tail));
	/* It may be ended before all of it is out. */
	if (raw_send(r, row->head, strlen(row->head)) && tail.len)
		raw_send(r, tail.data, tail.len);
}

START_TEST(a_request_that_is_none_changes_nothing)
{
	char answer[4096];
	unsigned status;
	struct raw r;
	size_t i;

	for (i = 0; i < BL_ARRAY_SIZE(rows); i++) {
		ck_assert(siege_dial(&r, siege.web1, "host"));
		send_row(&r, &rows[i]);
		status = raw_status(&r, answer, sizeof(answer));
		raw_close(&r);
		/* Who goes on sending may not come to read the answer. */
		ck_assert_msg(status == rows[i].status ||
				      (rows[i].times && status == ENDED),
			      "%s: answered with %u", rows[i].what, status);
		siege_unchanged(rows[i].what);
	}
	siege_others_are_served();
}
END_TEST

/* Behind a request that is in order. */
START_TEST(what_comes_behind_a_request_is_not_taken_for_one)
{
	static const char text[] =
		"GET /v1/ca HTTP/1.1\r\nHost: x\r\n\r\n"
		"\1\2\3 nonsense\r\n\r\n"
		"POST /v1/rollouts/r1/abort HTTP/1.1\r\nHost: x\r\n" JSON
		"Content-Length: 2\r\n\r\n{}";
	bl_autobuf struct bl_buf all = { 0 };
	char piece[4096];
	struct raw r;
	size_t n;

	/* An operator's: it could. */
	ck_assert(siege_dial(&r, siege.dir, "operator"));
	ck_assert(raw_send(&r, text, sizeof(text) - 1));
	while ((n = raw_receive(&r, piece, sizeof(piece))) > 0)
		bl_buf_add(&all, piece, n);
	raw_close(&r);
	ck_assert_ptr_nonnull(strstr(bl_buf_str(&all), "HTTP/1.1 200 "));
	siege_unchanged("a request behind garbage");
	siege_others_are_served();
}
END_TEST

/* The most that it ever had, so that nothing in between is missed. */
static size_t peak_bytes(void)
{
	bl_autofree char *path =
		bl_path("/proc/%d/status", (int)siege.controller);
	bl_autobuf struct bl_buf text = { 0 };
	const char *peak;

	ck_assert_int_eq(bl_file_read(path, 65536, &text, NULL), 0);
	peak = strstr(bl_buf_str(&text), "VmHWM:");
	ck_assert_ptr_nonnull(peak);
	return strtoul(peak + strlen("VmHWM:"), NULL, 10) * 1024;
}

static const struct {
	const char *what, *head;
	bool chunks;
	unsigned status;
} floods[] = {
	{ "a report", POLL JSON "Content-Length: 104857600\r\n\r\n", false,
	  413 },
	{ "a report in chunks", POLL JSON "Transfer-Encoding: chunked\r\n\r\n",
	  true, ENDED },
	{ "a bundle of a host's",
	  "PUT /v1/bundles/aa HTTP/1.1\r\nHost: x\r\n"
	  "Content-Type: application/octet-stream\r\n"
	  "Content-Length: 104857600\r\n\r\n",
	  false, 413 },
	{ "something for nobody",
	  "POST /v1/nothing HTTP/1.1\r\nHost: x\r\n"
	  "Transfer-Encoding: chunked\r\n\r\n",
	  true, ENDED },
};

/* How much of a hundred megabytes it took. */
static size_t flood(struct raw *r, bool chunks)
{
	bl_autofree char *piece = calloc(1, 65536);
	size_t sent = 0;
	char size[16];

	snprintf(size, sizeof(size), "%x\r\n", 65536);
	while (sent < HUGE_BYTES &&
	       (!chunks || raw_send(r, size, strlen(size))) &&
	       raw_send(r, piece, 65536) && (!chunks || raw_send(r, "\r\n", 2)))
		sent += 65536;
	return sent;
}

START_TEST(a_huge_report_is_cut_off_and_costs_no_memory)
{
	char answer[4096];
	unsigned status;
	size_t i, was, now, sent;
	struct raw r;

	siege_others_are_served();
	was = peak_bytes();
	for (i = 0; i < BL_ARRAY_SIZE(floods); i++) {
		ck_assert(siege_dial(&r, siege.web1, "host"));
		ck_assert(raw_send(&r, floods[i].head, strlen(floods[i].head)));
		sent = flood(&r, floods[i].chunks);
		status = raw_status(&r, answer, sizeof(answer));
		raw_close(&r);
		now = peak_bytes();
		ck_assert_msg(sent < HUGE_BYTES, "%s: took all of it",
			      floods[i].what);
		ck_assert_msg(status == floods[i].status || status == ENDED,
			      "%s: answered with %u", floods[i].what, status);
		ck_assert_msg(now < was + GROWTH_MAX,
			      "%s: the controller grew by %zu bytes",
			      floods[i].what, now - was);
		siege_unchanged(floods[i].what);
	}
	siege_others_are_served();
}
END_TEST

/* Nothing of the body was sent, so this is not an answer to it. */
START_TEST(who_was_taken_back_is_told_before_its_body)
{
	static const char head[] = "PUT /v1/bundles/aa HTTP/1.1\r\nHost: x\r\n"
				   "Content-Type: application/octet-stream\r\n"
				   "Content-Length: 67108864\r\n\r\n";
	bl_autofree char *alice = bl_path("%s/alice", siege.dir);
	char answer[4096];
	struct raw r;

	ck_assert_int_eq(bl_pki_dir_operator(siege.dir, alice, "alice",
					     bl_clock_wall_ms(), &siege.err),
			 0);
	ck_assert(siege_dial(&r, alice, "operator"));
	ck_assert_int_eq(siege_call(siege.dir, "operator", "POST",
				    "/v1/operators/alice/revoke",
				    json_object()),
			 0);
	ck_assert(raw_send(&r, head, strlen(head)));
	ck_assert_uint_eq(raw_status(&r, answer, sizeof(answer)), 401);
	raw_close(&r);
	siege_unchanged("who was taken back");
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *suite = suite_create("hostile");
	TCase *t = tcase_create("hostile");

	tcase_add_checked_fixture(t, set_up, siege_end);
	tcase_add_test(t, who_is_not_the_host_changes_nothing_of_it);
	tcase_add_test(t, a_report_that_comes_again_changes_nothing);
	tcase_add_test(t, a_request_that_is_none_changes_nothing);
	tcase_add_test(t, what_comes_behind_a_request_is_not_taken_for_one);
	tcase_add_test(t, a_huge_report_is_cut_off_and_costs_no_memory);
	tcase_add_test(t, who_was_taken_back_is_told_before_its_body);
	suite_add_tcase(suite, t);
	return suite;
}
