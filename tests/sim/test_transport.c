/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between an agent and its controllers on real sockets: connections that break
 * in the middle of a bundle, controllers that say something else than they were
 * asked for, that have too much to do, that are gone, and that hang.
 *
 * Nothing here depends on how fast a machine is: a deadline that passes is that of
 * a hang.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "canary/agent/download.h"
#include "canary/agent/partial.h"
#include "canary/controller/api.h"
#include "canary/controller/http.h"
#include "canary/ledger/protocol.h"
#include "canary/wire/client.h"
#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/bundle/digest.h"
#include "tests/main.h"
#include "tests/support/liar.h"

#define SIZE 300000

static struct liar liar;
static char blob[SIZE], digest[BL_DIGEST_HEX], *dir, *blob_key;
static struct bl_store *store;
static struct bl_http *http;
static struct bl_err err;
static char *url;

static void set_up(void)
{
	const struct bl_store_put put = { .data = blob, .len = SIZE };
	struct bl_store_put puts[1] = { put };
	struct sockaddr_storage address;
	size_t i;

	unsetenv("BELAY_CONTROLLER");
	for (i = 0; i < SIZE; i++)
		blob[i] = (char)(i * 31 + i / 251);
	ck_assert_int_eq(bl_digest(blob, SIZE, digest), 0);
	dir = bl_test_tmpdir();
	blob_key = bl_path("blob/%s", digest);
	puts[0].key = blob_key;
	ck_assert_int_eq(bl_store_open("sqlite::memory:", &store, NULL), 0);
	ck_assert_int_eq(bl_store_txn(store, NULL, 0, puts, 1, NULL), 0);
	ck_assert_int_eq(bl_http_address("127.0.0.1:0", false, &address, NULL),
			 0);
	ck_assert_int_eq(bl_http_start(&address, store, NULL, &http, NULL), 0);
	url = bl_path("http://%s", bl_http_listens(http));
	liar_start(&liar, blob, SIZE);
}

static void tear_down(void)
{
	liar_stop(&liar);
	bl_http_stop(http);
	bl_store_close(store);
	bl_file_rmtree(dir, NULL);
	free(blob_key);
	free(dir);
	free(url);
}

static struct bl_client *open_client(const char *at)
{
	struct bl_client *c = NULL;

	ck_assert_msg(!bl_client_open(at, false, &c, &err), "%s", err.text);
	return c;
}

static size_t came;
static size_t told_have, told_total;

/* What talker and host part do, in one place. */
struct life {
	struct bl_client *client;
	struct bl_partial partial;
	bool (*stop)(void *ctx);
};

static void on_progress(void *ctx, size_t have, size_t total)
{
	(void)ctx;
	told_have = have;
	told_total = total;
}

static int on_bytes(void *ctx, const void *data, size_t len, struct bl_err *e)
{
	struct life *life = ctx;

	return bl_partial_add(&life->partial, data, len, e);
}

static int attempt(void *ctx, struct bl_partial *p, struct bl_err *e)
{
	const struct life *life = ctx;
	const struct bl_download d = { .client = life->client,
				       .digest = p->digest,
				       .have = p->have,
				       .stop = life->stop,
				       .take = on_bytes,
				       .progress = on_progress,
				       .ctx = ctx };
	int64_t retry_ms;

	return bl_download(&d, &retry_ms, e);
}

/* One attempt of one life of an agent. */
static int download(const char *at, bool (*stop)(void *ctx))
{
	BL_CLEANUP(bl_client_closep) struct bl_client *c = open_client(at);
	bl_autobuf struct bl_buf data = { 0 };
	struct life life = { .client = c, .stop = stop };
	int r;

	told_have = told_total = 0;
	r = bl_partial_open(dir, digest, &life.partial, &err);
	if (!r)
		r = bl_partial_gain(&life.partial, attempt, &life, &data, &err);
	came = life.partial.came;
	bl_partial_close(&life.partial);
	if (r) {
		ck_assert_ptr_null(data.data);
		ck_assert_str_ne(err.text, "");
		return r;
	}
	ck_assert_uint_eq(data.len, SIZE);
	ck_assert_mem_eq(data.data, blob, SIZE);
	return 0;
}

static void expect_range(unsigned request, const char *text)
{
	char range[BL_RANGE_LEN];

	liar_range(&liar, request, range);
	ck_assert_str_eq(range, text);
}

/* As if it had come of a request before. */
static void leave(const void *data, size_t len)
{
	bl_autofree char *path = bl_path("%s/%s.part", dir, digest);

	ck_assert_int_eq(bl_file_write(path, data, len, 0600, NULL), 0);
}

START_TEST(a_connection_that_breaks_is_gone_on_with)
{
	liar.script[0] = liar.script[1] = CUT;
	ck_assert_int_eq(download(liar.url, NULL), -ECONNREFUSED);
	ck_assert_uint_eq(came, LIAR_CUT_AT);
	ck_assert_uint_eq(told_have, LIAR_CUT_AT);
	ck_assert_uint_eq(told_total, SIZE);
	ck_assert_int_eq(download(liar.url, NULL), -ECONNREFUSED);
	ck_assert_uint_eq(told_have, 2 * LIAR_CUT_AT);
	ck_assert_uint_eq(told_total, SIZE);
	ck_assert_int_eq(download(liar.url, NULL), 0);
	ck_assert_uint_eq(came, SIZE - 2 * LIAR_CUT_AT);
	expect_range(0, "");
	expect_range(1, "bytes=100000-");
	expect_range(2, "bytes=200000-");
	/* It is there; nobody has to be asked for it. */
	ck_assert_int_eq(download("http://127.0.0.1:1", NULL), 0);
	ck_assert_uint_eq(liar.count, 3);
}
END_TEST

START_TEST(another_controller_goes_on_with_it)
{
	liar.script[0] = CUT;
	ck_assert_int_eq(download(liar.url, NULL), -ECONNREFUSED);
	ck_assert_int_eq(download(url, NULL), 0);
	ck_assert_uint_eq(came, SIZE - LIAR_CUT_AT);
}
END_TEST

START_TEST(what_is_something_else_is_fetched_once_more_from_the_beginning)
{
	leave("something else", 14);
	ck_assert_int_eq(download(liar.url, NULL), 0);
	ck_assert_uint_eq(liar.count, 2);
	expect_range(0, "bytes=14-");
	expect_range(1, "");
	/* The same of a controller of ours. */
	leave("something else", 14);
	ck_assert_int_eq(download(url, NULL), 0);
}
END_TEST

START_TEST(what_is_longer_is_something_else)
{
	bl_autofree char *more = calloc(1, SIZE + 5);

	memcpy(more, blob, SIZE);
	leave(more, SIZE + 5);
	ck_assert_int_eq(download(url, NULL), 0);
	leave(more, SIZE + 5);
	ck_assert_int_eq(download(liar.url, NULL), 0);
	expect_range(0, "bytes=300005-");
	expect_range(1, "");
}
END_TEST

START_TEST(what_is_damaged_in_a_clean_fetch_is_damaged)
{
	liar.script[0] = liar.script[1] = DAMAGED;
	ck_assert_int_eq(download(liar.url, NULL), -EBADMSG);
	ck_assert_ptr_nonnull(strstr(err.text, "arrived damaged"));
	/* Who gives up after a while without progress gives up on that too. */
	ck_assert_uint_eq(came, 0);
	ck_assert_uint_eq(liar.count, 1);
	/* Nothing of it is gone on with. */
	ck_assert_int_eq(download(liar.url, NULL), -EBADMSG);
	expect_range(1, "");
	ck_assert_int_eq(download(liar.url, NULL), 0);
}
END_TEST

START_TEST(who_gives_the_whole_or_another_part_is_understood)
{
	leave(blob, 1000);
	liar.script[0] = DEAF;
	ck_assert_int_eq(download(liar.url, NULL), 0);
	ck_assert_uint_eq(liar.count, 1);
	leave(blob, 1000);
	liar.script[1] = OTHER_PART;
	ck_assert_int_eq(download(liar.url, NULL), 0);
	expect_range(1, "bytes=1000-");
	expect_range(2, "");
}
END_TEST

START_TEST(no_more_is_taken_than_a_bundle_may_have)
{
	liar.script[0] = HUGE;
	ck_assert_int_eq(download(liar.url, NULL), -EFBIG);
	ck_assert_uint_eq(came, 0);
}
END_TEST

static bool stop_now(void *ctx)
{
	(void)ctx;
	return true;
}

START_TEST(a_fetch_can_be_stopped)
{
	liar.script[0] = HANG;
	ck_assert_int_eq(download(liar.url, stop_now), -ECANCELED);
}
END_TEST

static struct bl_fetch_head head;
static struct bl_buf body;

static int ask(struct bl_client *c, const char *path, const char *header,
	       size_t answer_max, const int *wake)
{
	const struct bl_client_request q = { .method = "GET",
					     .path = path,
					     .headers = { header },
					     .timeout_ms = BL_CLIENT_TIMEOUT_MS,
					     .answer_max = answer_max,
					     .wake = wake };

	head = (struct bl_fetch_head){ 0 };
	bl_buf_free(&body);
	return bl_client_ask(c, &q, &head, &body, &err);
}

static const struct {
	const char *range;
	long status;
	size_t at, len;
	const char *said;
} parts[] = {
	{ NULL, 200, 0, SIZE, "" },
	{ "Range: bytes=0-", 206, 0, SIZE, "bytes 0-299999/300000" },
	{ "Range: bytes=5-9", 206, 5, 5, "bytes 5-9/300000" },
	{ "Range: bytes=299999-", 206, 299999, 1,
	  "bytes 299999-299999/300000" },
	{ "Range: bytes=-5", 200, 0, SIZE, "" },
};

START_TEST(a_controller_gives_the_part_that_is_asked_for)
{
	BL_CLEANUP(bl_client_closep) struct bl_client *c = open_client(url);
	bl_autofree char *path = bl_path("/v1/bundles/%s", digest);

	ck_assert_msg(!ask(c, path, parts[_i].range, 0, NULL), "%s", err.text);
	ck_assert_int_eq(head.status, parts[_i].status);
	ck_assert_str_eq(head.range, parts[_i].said);
	ck_assert_uint_eq(body.len, parts[_i].len);
	ck_assert_mem_eq(body.data, blob + parts[_i].at, body.len);
	bl_buf_free(&body);
}
END_TEST

START_TEST(behind_the_end_there_is_nothing)
{
	BL_CLEANUP(bl_client_closep) struct bl_client *c = open_client(url);
	bl_autofree char *path = bl_path("/v1/bundles/%s", digest);

	ck_assert_int_eq(ask(c, path, "Range: bytes=300000-", 0, NULL),
			 -ERANGE);
	ck_assert_str_eq(head.range, "bytes */300000");
}
END_TEST

static const struct {
	const char *header;
	int64_t min_ms, max_ms;
} retries[] = {
	{ "", 0, 0 },
	{ "Retry-After: 7", 7000, 7000 },
	{ "Retry-After: 0", 0, 0 },
	{ "Retry-After: soon", 0, 0 },
	{ "Retry-After: -7", 0, 0 },
	/* Dates count from now; this one is over, and that one far away. */
	{ "Retry-After: Fri, 19 Jul 2024 04:09:00 GMT", 0, 0 },
	{ "Retry-After: Fri, 31 Dec 2100 23:59:59 GMT", 3600000, INT64_MAX },
	{ "Retry-After: 99999999999", 3600000, INT64_MAX },
};

START_TEST(when_to_come_again_is_read)
{
	BL_CLEANUP(bl_client_closep)
	struct bl_client *c = open_client(liar.url);

	liar.header = retries[_i].header;
	liar.script[0] = BUSY;
	liar.script[1] = CROWDED;
	for (unsigned i = 0; i < 2; i++) {
		ck_assert_int_eq(ask(c, "/v1/x", NULL, 0, NULL), -EAGAIN);
		ck_assert_str_eq(err.text, "not now");
		ck_assert_int_ge(head.retry_ms, retries[_i].min_ms);
		ck_assert_int_le(head.retry_ms, retries[_i].max_ms);
	}
}
END_TEST

/* A store of which nobody answers now. */
static int away;

static int away_get(struct bl_store *s, const char *key,
		    struct bl_store_item *ret, struct bl_err *e)
{
	(void)s;
	(void)key;
	(void)ret;
	return bl_err_set(e, away, "the store is away");
}

static int away_count(struct bl_store *s, const char *prefix, size_t *ret,
		      struct bl_err *e)
{
	(void)s;
	(void)prefix;
	(void)ret;
	return bl_err_set(e, away, "the store is away");
}

static int away_revision(struct bl_store *s, int64_t *ret, struct bl_err *e)
{
	(void)s;
	(void)ret;
	return bl_err_set(e, away, "the store is away");
}

static const struct {
	int fails, client;
	int64_t retry_ms;
} moments[] = {
	{ -EHOSTUNREACH, -EAGAIN, BL_API_RETRY_S * 1000 }, /* no quorum */
	{ -EAGAIN, -EAGAIN, BL_API_RETRY_S * 1000 },	   /* contended */
	{ -EBUSY, -EAGAIN, BL_API_RETRY_S * 1000 },	   /* locked */
	{ -EIO, -EPROTO, 0 },				   /* broken */
};

START_TEST(a_store_that_is_away_is_no_fault_of_the_controller)
{
	static const struct bl_store_ops ops = { .get = away_get,
						 .count = away_count,
						 .revision = away_revision };
	struct bl_store store_away = { &ops };
	bl_autofree char *path = bl_path("/v1/bundles/%s", digest);
	struct bl_client_request poll = { .method = "POST",
					  .path = "/v1/hosts/web-1/poll",
					  .timeout_ms = BL_CLIENT_TIMEOUT_MS };
	const struct bl_poll says = {
		.boot = "b", .session = "s", .seq = 1, .kernel = "6.1.0"
	};
	bl_autofree char *text = bl_json_dump(bl_poll_json(&says));
	struct sockaddr_storage address;
	BL_CLEANUP(bl_client_closep) struct bl_client *c = NULL;
	struct bl_http *server = NULL;
	bl_autofree char *at = NULL;

	away = moments[_i].fails;
	ck_assert_int_eq(bl_http_address("127.0.0.1:0", false, &address, NULL),
			 0);
	ck_assert_int_eq(
		bl_http_start(&address, &store_away, NULL, &server, NULL), 0);
	at = bl_path("http://%s", bl_http_listens(server));
	c = open_client(at);
	ck_assert_int_eq(ask(c, path, NULL, 0, NULL), moments[_i].client);
	ck_assert_int_eq(head.retry_ms, moments[_i].retry_ms);
	ck_assert_str_eq(err.text, "the store is away");
	poll.body = text;
	poll.len = strlen(text);
	ck_assert_int_eq(bl_client_ask(c, &poll, &head, &body, &err),
			 moments[_i].client);
	ck_assert_int_eq(head.retry_ms, moments[_i].retry_ms);
	bl_http_stop(server);
}
END_TEST

START_TEST(an_answer_is_no_longer_than_it_may_be)
{
	BL_CLEANUP(bl_client_closep)
	struct bl_client *c = open_client(liar.url);

	liar.script[0] = LONG;
	ck_assert_int_eq(ask(c, "/v1/x", NULL, 16384, NULL), -EFBIG);
	ck_assert_ptr_nonnull(strstr(err.text, "16384"));
}
END_TEST

START_TEST(news_end_the_waiting_for_a_controller_that_hangs)
{
	BL_CLEANUP(bl_client_closep)
	struct bl_client *c = open_client(liar.url);
	uint64_t one = 1;
	int wake = eventfd(1, EFD_CLOEXEC);

	liar.script[0] = liar.script[1] = HANG;
	ck_assert_int_eq(ask(c, "/v1/x", NULL, 0, &wake), -ECANCELED);
	/* It is for the caller to read, and the next one waits again. */
	ck_assert_int_eq(read(wake, &one, sizeof(one)), 8);
	close(wake);
}
END_TEST

/* A port at which nobody is. */
static void nobody(char ret_url[static 64])
{
	int fd = liar_listen(ret_url);

	close(fd);
}

START_TEST(of_several_controllers_one_that_lives_is_found)
{
	char dead[2][64];
	bl_autofree char *urls = NULL;
	unsigned i, first = 0;

	nobody(dead[0]);
	nobody(dead[1]);
	urls = bl_path("%s,%s/,%s", dead[0], url, dead[1]);
	for (i = 0; i < 64; i++) {
		BL_CLEANUP(bl_client_closep)
		struct bl_client *c = open_client(urls);

		first += strcmp(bl_client_url(c), url) == 0;
		ck_assert_msg(!ask(c, "/v1/hosts", NULL, 0, NULL), "%s",
			      err.text);
		/* It stays with that one. */
		ck_assert_str_eq(bl_client_url(c), url);
	}
	/* Clients do not all begin with the same one. */
	ck_assert_uint_gt(first, 0);
	ck_assert_uint_lt(first, 64);
	bl_buf_free(&body);
}
END_TEST

START_TEST(of_several_dead_ones_the_last_is_named)
{
	BL_CLEANUP(bl_client_closep) struct bl_client *c = NULL;
	bl_autofree char *urls = NULL;
	char dead[2][64];

	nobody(dead[0]);
	nobody(dead[1]);
	urls = bl_path("%s,%s", dead[0], dead[1]);
	c = open_client(urls);
	ck_assert_int_eq(ask(c, "/v1/hosts", NULL, 0, NULL), -ECONNREFUSED);
	ck_assert_ptr_nonnull(strstr(err.text, "the last of 2"));
}
END_TEST

START_TEST(who_cannot_now_or_breaks_is_left_for_another)
{
	bl_autofree char *urls = bl_path("%s,%s", liar.url, url);
	BL_CLEANUP(bl_client_closep) struct bl_client *c = open_client(urls);
	unsigned i;

	liar.script[0] = BUSY;
	liar.script[1] = CUT;
	for (i = 0; i < 2; i++) {
		while (strcmp(bl_client_url(c), liar.url) != 0)
			bl_client_draw(c);
		/* It may have been heard: not sent again by itself. */
		ck_assert_int_eq(ask(c, "/v1/hosts", NULL, 0, NULL),
				 i ? -ECONNREFUSED : -EAGAIN);
		ck_assert_str_eq(bl_client_url(c), url);
		ck_assert_int_eq(ask(c, "/v1/hosts", NULL, 0, NULL), 0);
	}
	bl_buf_free(&body);
}
END_TEST

/* What may be wrong with the one controller, and not with another. */
static const struct {
	enum lie lie;
	int code;
} troubles[] = {
	{ BROKEN, -EPROTO },  { GATEWAY, -EPROTO },  { STRANGER, -EACCES },
	{ NOWHERE, -ENOENT }, { CONFUSED, -EINVAL }, { LONG, -EFBIG },
};

START_TEST(who_is_in_trouble_keeps_nobody)
{
	bl_autofree char *urls = bl_path("%s,%s", liar.url, url);
	BL_CLEANUP(bl_client_closep) struct bl_client *c = open_client(urls);

	while (strcmp(bl_client_url(c), liar.url) != 0)
		bl_client_draw(c);
	liar.script[0] = troubles[_i].lie;
	ck_assert_int_eq(ask(c, "/v1/hosts", NULL, 16384, NULL),
			 troubles[_i].code);
	ck_assert_str_eq(bl_client_url(c), url);
	ck_assert_int_eq(ask(c, "/v1/hosts", NULL, 0, NULL), 0);
	bl_buf_free(&body);
}
END_TEST

START_TEST(a_list_of_controllers_has_no_gaps)
{
	struct bl_client *c = NULL;
	bl_autofree char *gap = bl_path("%s,,%s", url, url);
	bl_autofree char *end = bl_path("%s,", url);
	bl_autofree char *far = bl_path("%s,http://192.0.2.1:1", url);

	ck_assert_int_eq(bl_client_open(gap, false, &c, &err), -EINVAL);
	ck_assert_int_eq(bl_client_open(end, false, &c, &err), -EINVAL);
	ck_assert_int_eq(bl_client_open(far, false, &c, &err), -EPERM);
	ck_assert_ptr_null(c);
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *s = suite_create("transport");
	TCase *t = tcase_create("transport");

	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_add_test(t, a_connection_that_breaks_is_gone_on_with);
	tcase_add_test(t, another_controller_goes_on_with_it);
	tcase_add_test(
		t,
		what_is_something_else_is_fetched_once_more_from_the_beginning);
	tcase_add_test(t, what_is_longer_is_something_else);
	tcase_add_test(t, what_is_damaged_in_a_clean_fetch_is_damaged);
	tcase_add_test(t, who_gives_the_whole_or_another_part_is_understood);
	tcase_add_test(t, no_more_is_taken_than_a_bundle_may_have);
	tcase_add_test(t, a_fetch_can_be_stopped);
	tcase_add_loop_test(t, a_controller_gives_the_part_that_is_asked_for, 0,
			    (int)BL_ARRAY_SIZE(parts));
	tcase_add_test(t, behind_the_end_there_is_nothing);
	tcase_add_loop_test(t, when_to_come_again_is_read, 0,
			    (int)BL_ARRAY_SIZE(retries));
	tcase_add_loop_test(t,
			    a_store_that_is_away_is_no_fault_of_the_controller,
			    0, (int)BL_ARRAY_SIZE(moments));
	tcase_add_test(t, an_answer_is_no_longer_than_it_may_be);
	tcase_add_test(t, news_end_the_waiting_for_a_controller_that_hangs);
	tcase_add_test(t, of_several_controllers_one_that_lives_is_found);
	tcase_add_test(t, of_several_dead_ones_the_last_is_named);
	tcase_add_test(t, who_cannot_now_or_breaks_is_left_for_another);
	tcase_add_loop_test(t, who_is_in_trouble_keeps_nobody, 0,
			    (int)BL_ARRAY_SIZE(troubles));
	tcase_add_test(t, a_list_of_controllers_has_no_gaps);
	suite_add_tcase(s, t);
	return s;
}
