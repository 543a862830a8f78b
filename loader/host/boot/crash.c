/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/host/boot/crash.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/host/boot/pstore.h"
#include "loader/kern/kmod/kern_kmod.h"

/* Where the evidence about @txn is kept. Caller frees; NULL without memory. */
static char *kept_path(const struct bl_host *h, const struct bl_journal_txn *t)
{
	return bl_path("%s/" BL_EVIDENCE_DIR "/%" PRIu64, h->state_dir,
		       t->row.id);
}

static bool is_exchange(const struct bl_journal_txn *t)
{
	return !strcmp(t->row.strategy, bl_strategy_name(BL_STRATEGY_EXCHANGE));
}

/* Whether it is on record that the module of @t had taken the other's place, and
 * not that it was to leave it again. */
static bool exchange_over(const struct bl_journal_txn *t)
{
	switch (t->phase) {
	case BL_PHASE_TRIAL:
		return t->row.times.live_ms >= 0;
	case BL_PHASE_COMMITTING:
	case BL_PHASE_COMMITTED:
	case BL_PHASE_DONE:
		return true;
	default:
		return false;
	}
}

/* The same in the kernel's own words, which are older than the journal's. */
static bool said_to_be_in(const struct bl_journal_txn *t,
			  const struct bl_buf *text)
{
	char line[80];
	int len = snprintf(line, sizeof(line), BL_KMOD_SAID "\n",
			   (unsigned)t->row.id);

	return (t->phase == BL_PHASE_STAGED || t->phase == BL_PHASE_TRIAL) &&
	       text->len && memmem(text->data, text->len, line, (size_t)len);
}

/* The generation that was live when @txn began; 0: none. */
static uint64_t live_before(struct bl_host *h, const struct bl_journal_txn *t)
{
	struct bl_journal_txn live;

	if (t->kind == BL_TXN_APPLY)
		return t->parent;
	/* Programs of a rollback are those that were good; of modules it is not
	 * known which of the two it was. */
	if (is_exchange(t) && t->kind == BL_TXN_ROLLBACK &&
	    bl_journal_live(h->journal, &live, NULL) > 0)
		return live.row.id;
	return 0;
}

/* Its tags, as far as it may stand in the trace as well; or "". */
static void tags_before(struct bl_host *h, const struct bl_journal_txn *t,
			const struct bl_buf *text, struct bl_buf *ret)
{
	uint64_t before = live_before(h, t);

	if (is_exchange(t) && (exchange_over(t) || said_to_be_in(t, text)))
		return;
	if (before)
		bl_journal_tags(h->journal, before, ret, NULL);
}

/* Between the one module and the other there is none in the kernel. What is
 * called then, and is not there, is what the first one forgot. */
static uint64_t who_left(struct bl_host *h, const struct bl_journal_txn *t,
			 const struct bl_buf *text, const struct bl_evidence *e)
{
	if (!is_exchange(t) || !e->left_hook || exchange_over(t) ||
	    said_to_be_in(t, text))
		return 0;
	return live_before(h, t);
}

static void say_who_left(struct bl_crash *c)
{
	snprintf(
		c->words, sizeof(c->words),
		"not by this version: %.70s; the module before it, unloaded a moment ago, had left a hook",
		c->evidence.what);
}

static void judge(struct bl_host *h, const struct bl_journal_txn *t,
		  const char *kept, struct bl_crash *ret)
{
	bl_autobuf struct bl_buf text = { 0 }, tags = { 0 }, before = { 0 };
	struct bl_crash c = { 0 };

	bl_journal_tags(h->journal, t->row.id, &tags, NULL);
	bl_pstore_read(h->pstore_dir, t->row.started_ms, kept, &text);
	tags_before(h, t, &text, &before);
	bl_evidence_read(bl_buf_str(&text), text.len, bl_buf_str(&tags),
			 bl_buf_str(&before), &c.evidence);
	c.blame = c.evidence.blame;
	c.by = who_left(h, t, &text, &c.evidence);
	if (c.by)
		c.evidence.blame = c.blame = BL_BLAME_NONE;
	*ret = c;
}

static void keep(struct bl_host *h, const struct bl_journal_txn *t,
		 const char *kept)
{
	bl_autofree char *root = bl_path("%s/" BL_EVIDENCE_DIR, h->state_dir);

	bl_pstore_take(h->pstore_dir, t->row.started_ms, kept);
	if (root)
		bl_pstore_prune(root);
}

void bl_crash_of_open(struct bl_host *h, const struct bl_journal_txn *t,
		      struct bl_crash *ret)
{
	bl_autofree char *kept = kept_path(h, t);
	struct bl_crash c = { .blame = BL_BLAME_SUSPECT };

	if (!kept) {
		*ret = c;
		return;
	}
	judge(h, t, kept, &c);
	keep(h, t, kept);
	if (t->kind != BL_TXN_APPLY && !c.evidence.crashed &&
	    bl_pstore_works(h->pstore_dir))
		c.evidence.blame = c.blame = BL_BLAME_CUT;
	if (c.by)
		say_who_left(&c);
	else
		bl_evidence_words(&c.evidence, c.words, sizeof(c.words));
	*ret = c;
}

void bl_crash_of_live(struct bl_host *h, const struct bl_journal_txn *live,
		      struct bl_crash *ret)
{
	bl_autofree char *kept = kept_path(h, live);
	struct bl_crash c = { 0 };

	*ret = c;
	if (!kept)
		return;
	judge(h, live, kept, &c);
	if (c.blame != BL_BLAME_CONVICTED)
		return;
	keep(h, live, kept);
	bl_evidence_words(&c.evidence, c.words, sizeof(c.words));
	*ret = c;
}
