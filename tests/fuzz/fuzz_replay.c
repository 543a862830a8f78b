/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A recording, up to the first line that is "--", and content in JSON behind
 * it. Events lie within the recording and are what the interpreter takes; if
 * the content compiles, both checks find something to say, and a mistake in the
 * recording is no pass.
 */
#include <string.h>
#include <sys/socket.h>

#include "loader/base/cleanup.h"
#include "loader/bundle/content.h"
#include "loader/gate/content/replay.h"
#include "loader/gate/content/rules.h"
#include "tests/fuzz/fuzz.h"

unsigned fuzz_accepted;

static const char everything[] =
	"{\"contract\":1,\"default\":{\"exec\":\"emit\"},\"rules\":["
	"{\"event\":\"open\",\"prefix\":\"/etc/\",\"action\":\"deny\"}]}";

/* 0 when all of it could be read. */
static int read_events(const struct bl_recording *rec)
{
	struct bl_recording_reader reader = { .recording = rec };
	struct bl_err err = { 0 };
	struct bl_recorded e;
	int r;

	while ((r = bl_recording_next(&reader, &e, &err)) > 0) {
		FUZZ_CHECK(e.kind < BL_EVENT_KINDS && e.count > 0);
		FUZZ_CHECK(e.what >= rec->text && e.what + e.len <= rec->end);
		FUZZ_CHECK(!memchr(e.what, '\0', e.len));
		FUZZ_CHECK(e.kind != BL_EVENT_CONNECT || e.family == AF_INET ||
			   e.family == AF_INET6);
	}
	FUZZ_CHECK_ERR(r, &err);
	return r;
}

static bool any(const struct bl_report *report, enum bl_verdict verdict)
{
	size_t i;

	for (i = 0; i < report->count; i++)
		if (report->findings[i].verdict == verdict)
			return true;
	return false;
}

static void judge(const char *json, size_t len, const struct bl_recording *rec,
		  int readable)
{
	BL_CLEANUP(bl_report_free) struct bl_report report = { 0 };
	bl_autobuf struct bl_buf bin = { 0 };
	size_t before;

	FUZZ_CHECK(bl_report_init(&report, "in", "content") == 0);
	if (bl_content_compile("in", json, len, &bin, NULL, NULL))
		return;
	FUZZ_CHECK(bl_rules_check("in", json, len, bin.data, bin.len,
				  &report) == 0);
	FUZZ_CHECK(report.count > 0 && report.count < 200);
	FUZZ_CHECK(any(&report, BL_VERDICT_PASS) !=
		   any(&report, BL_VERDICT_REJECT));
	before = report.count;
	FUZZ_CHECK(bl_replay_check_with("in", json, len, bin.data, bin.len, rec,
					1, &report) == 0);
	FUZZ_CHECK(report.count > before && report.count < before + 100);
	if (readable < 0)
		FUZZ_CHECK(any(&report, BL_VERDICT_UNDECIDED));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data, *json;
	struct bl_recording rec = { "in", text, text + size };
	int readable;

	json = memmem(text, size, "\n--\n", 4);
	if (json) {
		rec.end = json + 1;
		json += 4;
	}
	readable = read_events(&rec);
	fuzz_accepted += readable == 0;
	judge(everything, sizeof(everything) - 1, &rec, readable);
	if (json)
		judge(json, size - (size_t)(json - text), &rec, readable);
	return 0;
}
