/* SPDX-License-Identifier: Apache-2.0 */
#include "canary/operator/news.h"

#include <stdbool.h>

#include "loader/base/cleanup.h"
#include "loader/base/cli.h"
#include "loader/base/clock.h"
#include "loader/net/fetch.h"

/* Between two looks: at least, without a stream, and if nothing happens. */
#define LEAST_MS 200
#define POLL_MS	 500
#define MOST_MS	 2000
/* How soon Ctrl-C is noticed. */
#define SLICE_MS 100
/* Until a stream is asked for again. */
#define RETRY_MS 10000

/* 1: something came; 0: nothing did; less: there is no stream any more. */
static int listen_once(struct bl_news *l)
{
	bl_autobuf struct bl_buf text = { 0 };
	long status = 0;
	int r = bl_fetch_stream_read(l->stream, SLICE_MS, &status, &text, NULL);

	if (r <= 0 || status == 200)
		return r;
	return -1;
}

void bl_news_wait(struct bl_news *l, struct bl_client *c)
{
	uint64_t start_ms = bl_clock_mono_ms(), spent_ms = 0;
	bool changed = false;

	if (!l->stream && start_ms >= l->retry_at_ms) {
		l->retry_at_ms = start_ms + RETRY_MS;
		bl_client_stream(c, "/v1/events", &l->stream, NULL);
	}
	while (l->stream && !bl_cli_interrupted() && spent_ms < MOST_MS &&
	       !(changed && spent_ms >= LEAST_MS)) {
		int r = listen_once(l);

		if (r < 0)
			bl_news_end(l);
		changed |= r > 0;
		spent_ms = bl_clock_mono_ms() - start_ms;
	}
	if (!l->stream && spent_ms < POLL_MS && !bl_cli_interrupted())
		bl_clock_sleep_ms(POLL_MS - spent_ms);
}

void bl_news_end(struct bl_news *l)
{
	bl_fetch_stream_close(l->stream);
	l->stream = NULL;
}
