/* SPDX-License-Identifier: Apache-2.0 */
/* What the talker sends to the host part, and the other way: what is taken has
 * ended, printable texts and nothing that its kind does not have, of one side
 * only. Every input is tried as both sides'. */
#include <string.h>

#include "canary/agent/pair.h"
#include "loader/base/text.h"
#include "loader/trust/metadata.h"
#include "tests/fuzz/fuzz.h"

unsigned fuzz_accepted;

static void check_line(const char *text, size_t size)
{
	char clean[BL_PAIR_TEXT_MAX];

	FUZZ_CHECK(strnlen(text, size) < size);
	bl_text_copy(clean, sizeof(clean), text);
	FUZZ_CHECK(strcmp(text, clean) == 0);
}

static void check_heard(const struct bl_pair_heard *h)
{
	struct bl_pair_msg again;
	struct bl_order o;

	FUZZ_CHECK(h->answer < BL_PAIR_ANSWERS);
	check_line(h->override_reason, sizeof(h->override_reason));
	check_line(h->reason, sizeof(h->reason));
	check_line(h->proof, sizeof(h->proof));
	FUZZ_CHECK(!*h->proof || h->answer >= BL_PAIR_APPLY);
	if (h->answer < BL_PAIR_NOTHING)
		return;
	bl_pair_to_order(h, &o);
	FUZZ_CHECK(o.kind == BL_ORDER_NONE || bl_digest_valid(o.digest));
	FUZZ_CHECK(o.kind == BL_ORDER_NONE || bl_name_valid(o.rollout));
	/* As an order it says what it said. */
	bl_pair_begin(&again, BL_PAIR_HEARD);
	again.heard.begun_ms = h->begun_ms;
	bl_pair_from_order(&o, &again.heard);
	memcpy(again.heard.proof, h->proof, sizeof(h->proof));
	FUZZ_CHECK(o.kind == BL_ORDER_NONE ||
		   memcmp(&again.heard, h, sizeof(*h)) == 0);
}

static void check_body(const struct bl_pair_msg *m)
{
	switch (m->head.kind) {
	case BL_PAIR_HEARD:
		check_heard(&m->heard);
		break;
	case BL_PAIR_PROGRESS:
		FUZZ_CHECK(m->progress.number);
		break;
	case BL_PAIR_FETCHED:
		check_line(m->fetched.why, sizeof(m->fetched.why));
		check_line(m->fetched.hint, sizeof(m->fetched.hint));
		FUZZ_CHECK(m->fetched.result <= 0);
		break;
	case BL_PAIR_CERTIFICATE:
		FUZZ_CHECK(!strpbrk(m->certificate.pem, "\x1b\r\t"));
		break;
	case BL_PAIR_NOTE:
		check_line(m->note.text, sizeof(m->note.text));
		break;
	case BL_PAIR_SAY:
		check_line(m->say.text, sizeof(m->say.text));
		break;
	case BL_PAIR_FETCH:
		FUZZ_CHECK(bl_digest_valid(m->fetch.digest));
		break;
	case BL_PAIR_WANT:
		FUZZ_CHECK(bl_name_valid(m->want.name));
		FUZZ_CHECK(m->want.max <= BL_META_TARGETS_MAX);
		break;
	case BL_PAIR_GOT:
		check_line(m->got.why, sizeof(m->got.why));
		check_line(m->got.hint, sizeof(m->got.hint));
		FUZZ_CHECK(m->got.length <= BL_META_TARGETS_MAX);
		FUZZ_CHECK(!m->got.result || !m->got.length);
		break;
	default:
		break;
	}
}

static int as(enum bl_pair_side side, const uint8_t *data, size_t size)
{
	struct bl_pair_msg m;
	struct bl_err err = { 0 };
	int r = bl_pair_decode(data, size, side, &m, &err);

	FUZZ_CHECK_ERR(r, &err);
	if (r)
		return 0;
	fuzz_accepted++;
	FUZZ_CHECK(m.head.size == size && memcmp(&m, data, size) == 0);
	check_body(&m);
	return 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* A message is of one side. */
	FUZZ_CHECK(as(BL_PAIR_TALKER, data, size) +
			   as(BL_PAIR_HOST, data, size) <
		   2);
	return 0;
}
