/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/host/words.h"

#include <stdio.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/base/term.h"

#define SHORT_DIGEST 12

/* Bytes of the UTF-8 sequence at @s; 0 if it is none. */
static size_t utf8_len(const unsigned char *s)
{
	size_t len = *s < 0xc2	 ? 0
		     : *s < 0xe0 ? 2
		     : *s < 0xf0 ? 3
		     : *s < 0xf5 ? 4
				 : 0;

	for (size_t i = 1; i < len; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	/* Overlong, surrogates, past the end; and U+0080 to U+009F, which some
	 * terminals obey. */
	if ((*s == 0xc2 && s[1] < 0xa0) || (*s == 0xe0 && s[1] < 0xa0) ||
	    (*s == 0xed && s[1] > 0x9f) || (*s == 0xf0 && s[1] < 0x90) ||
	    (*s == 0xf4 && s[1] > 0x8f))
		return 0;
	return len;
}

const char *bl_host_safe(const char *text, char *ret, size_t size)
{
	const unsigned char *s = (const unsigned char *)text;
	size_t at = 0;

	while (*s && at + 5 < size) {
		size_t len = *s >= 0x20 && *s < 0x7f ? 1 : utf8_len(s);

		if (len) {
			memcpy(ret + at, s, len);
			at += len;
			s += len;
		} else {
			at += (size_t)snprintf(ret + at, 5, "\\x%02x", *s++);
		}
	}
	ret[at] = 0;
	return ret;
}

const char *bl_words_what(const char *name, const char *version,
			  const char *digest,
			  char ret[static BL_WORDS_WHAT_LEN])
{
	if (!*digest)
		snprintf(ret, BL_WORDS_WHAT_LEN, "nothing");
	else
		snprintf(ret, BL_WORDS_WHAT_LEN, "%s %s (%.*s)", name, version,
			 SHORT_DIGEST, digest);
	return ret;
}

/* One text on its way: the first failure stays. */
struct words {
	struct bl_buf *buf;
	bool colour;
	int r;
};

static void __attribute__((format(printf, 2, 3)))
say(struct words *w, const char *fmt, ...)
{
	char text[8 * BL_REASON_LEN];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (!w->r)
		w->r = bl_buf_add(w->buf, text, strlen(text));
}

static void head(struct words *w, enum bl_style style, const char *text)
{
	say(w, "%s%s%s", bl_style(w->colour, style), text,
	    bl_style_end(w->colour));
}

/* ": why", if there is a reason. */
static void because(struct words *w, const char *reason)
{
	char safe[4 * BL_REASON_LEN];

	if (*reason)
		say(w, ": %s", bl_host_safe(reason, safe, sizeof(safe)));
	say(w, "\n");
}

static const char *what(const struct bl_host_generation *g,
			char ret[static BL_WORDS_WHAT_LEN])
{
	return bl_words_what(g->name, g->version, g->digest, ret);
}

static void stays(struct words *w, const struct bl_host_generation *live)
{
	char text[BL_WORDS_WHAT_LEN];

	if (*live->digest)
		say(w, "%s stays live\n", what(live, text));
	else
		say(w, "no sensor is live on this host, as before\n");
}

const char *bl_words_maps(const char *maps, char ret[static BL_WORDS_MAPS_LEN])
{
	static const struct {
		const char *way, *head;
	} ways[] = {
		{ "kept", "kept" },
		{ "migrated", "migrated" },
		{ "reset", "begun empty" },
	};
	size_t len = 0;

	*ret = 0;
	for (size_t i = 0; i < BL_ARRAY_SIZE(ways); i++) {
		char text[BL_HOST_MAPS_LEN], *save = NULL;
		const char *before = ways[i].head, *sep = len ? "; " : "";

		snprintf(text, sizeof(text), "%s", maps);
		for (char *map = strtok_r(text, " ", &save); map;
		     map = strtok_r(NULL, " ", &save)) {
			char *way = strchr(map, ':');

			if (!way || strcmp(way + 1, ways[i].way) != 0)
				continue;
			*way = 0;
			len += (size_t)snprintf(ret + len,
						BL_WORDS_MAPS_LEN - len,
						"%s%s %s", sep, before, map);
			sep = "";
			before = ",";
		}
	}
	return ret;
}

/* Versions say nothing of it: that of a content update is the same. */
static void content(struct words *w, const struct bl_apply_result *res)
{
	if (!*res->now.content || !*res->was.digest ||
	    !strcmp(res->now.content, res->was.content))
		return;
	say(w, "content %.*s", SHORT_DIGEST, res->now.content);
	if (*res->was.content)
		say(w, ", before %.*s", SHORT_DIGEST, res->was.content);
	say(w, "\n");
}

/* What was carried over, if there was anything to carry. */
static void carried(struct words *w, const struct bl_host_generation *now)
{
	char text[BL_WORDS_MAPS_LEN];

	if (*now->maps)
		say(w, "maps: %s\n", bl_words_maps(now->maps, text));
}

/* I8, told to whoever made it matter. */
static void lapses(struct words *w, const struct bl_apply_result *res)
{
	if (res->lapses)
		say(w,
		    "its deny rules stop in %u s: nothing renews their lease here; start belay agent\n",
		    BL_KERN_VERDICT_LEASE_MS / 1000);
}

/* Committed, and the slot of the one before would not go. */
static void leftover(struct words *w, const char *reason)
{
	if (!*reason)
		return;
	say(w, "what was live before is not gone yet");
	because(w, reason);
	say(w, "belay recover tries again\n");
}

/* I1 does not hold for modules, and whoever applies one should know. */
static void gap(struct words *w, const struct bl_apply_result *res)
{
	if (res->gap_us > 0)
		say(w,
		    "no sensor was called for %.1f ms, as one module was exchanged for the other\n",
		    (double)res->gap_us / 1000);
	if (res->gap_back_us > 0)
		say(w,
		    "no sensor was called for %.1f ms, until the module before was back\n",
		    (double)res->gap_back_us / 1000);
}

static void committed(struct words *w, const char *tried,
		      const struct bl_apply_result *res)
{
	char text[BL_WORDS_WHAT_LEN];

	head(w, BL_STYLE_GOOD, "committed");
	say(w, ": %s is live", tried);
	if (*res->was.digest && strcmp(res->was.digest, res->now.digest) != 0)
		say(w, ", in the place of %s", what(&res->was, text));
	say(w, "\n");
	content(w, res);
	carried(w, &res->now);
	gap(w, res);
	lapses(w, res);
	leftover(w, res->reason);
}

int bl_words_apply(struct bl_buf *ret, const struct bl_manifest *tried,
		   const struct bl_apply_result *res, bool colour)
{
	struct words w = { .buf = ret, .colour = colour };
	char text[BL_WORDS_WHAT_LEN];

	bl_words_what(tried->name, tried->version, res->digest, text);
	switch (res->outcome) {
	case BL_APPLY_COMMITTED:
		committed(&w, text, res);
		break;
	case BL_APPLY_ROLLED_BACK:
		head(&w, BL_STYLE_BAD, "rolled-back");
		say(&w, ": %s", text);
		because(&w, res->reason);
		stays(&w, &res->now);
		gap(&w, res);
		break;
	case BL_APPLY_REFUSED:
		head(&w,
		     res->refusal == BL_REFUSAL_LIVE ? BL_STYLE_DIM
						     : BL_STYLE_BAD,
		     "refused");
		say(&w, ": %s", text);
		because(&w, res->reason);
		if (*res->hint)
			say(&w, "%s\n", res->hint);
		break;
	}
	if (res->tombstoned || res->refusal == BL_REFUSAL_TOMBSTONE)
		say(&w,
		    "it will not be tried here again (--override REASON forces it)\n");
	return w.r;
}

static void rolled_back(struct words *w, const struct bl_apply_result *res)
{
	char text[BL_WORDS_WHAT_LEN];

	head(w, BL_STYLE_GOOD, "rolled back");
	if (*res->now.digest)
		say(w, " to %s, which is live now\n", what(&res->now, text));
	else
		say(w,
		    " to nothing: no version was committed before, so no sensor is live on this host now\n");
	say(w,
	    "%s was left; it will not be tried here again (apply --override REASON forces it)\n",
	    what(&res->was, text));
	carried(w, &res->now);
	gap(w, res);
	lapses(w, res);
	leftover(w, res->reason);
}

int bl_words_rollback(struct bl_buf *ret, const struct bl_apply_result *res,
		      bool colour)
{
	struct words w = { .buf = ret, .colour = colour };

	switch (res->outcome) {
	case BL_APPLY_COMMITTED:
		rolled_back(&w, res);
		break;
	case BL_APPLY_ROLLED_BACK:
		head(&w, BL_STYLE_BAD, "not rolled back");
		because(&w, res->reason);
		stays(&w, &res->now);
		break;
	case BL_APPLY_REFUSED:
		head(&w, BL_STYLE_BAD,
		     res->refusal == BL_REFUSAL_EMPTY ? "nothing to roll back"
						      : "refused");
		because(&w, res->reason);
		break;
	}
	return w.r;
}

int bl_words_recover(struct bl_buf *ret, const struct bl_recover_result *res,
		     bool colour)
{
	static const struct {
		const char *text;
		enum bl_style style;
	} heads[] = {
		[BL_RECOVER_NOTHING] = { "nothing to recover", BL_STYLE_PLAIN },
		[BL_RECOVER_ROLLED_BACK] = { "rolled-back", BL_STYLE_GOOD },
		[BL_RECOVER_FINISHED] = { "finished", BL_STYLE_GOOD },
		[BL_RECOVER_RESTORED] = { "restored", BL_STYLE_GOOD },
		[BL_RECOVER_BARE] = { "not recovered", BL_STYLE_BAD },
		[BL_RECOVER_BUSY] = { "not looked at, another works here",
				      BL_STYLE_WARN },
	};
	struct words w = { .buf = ret, .colour = colour };
	char text[BL_WORDS_WHAT_LEN];

	head(&w, heads[res->outcome].style, heads[res->outcome].text);
	because(&w, res->reason);
	what(&res->live, text);
	if (res->outcome == BL_RECOVER_BUSY)
		return w.r; /* nor is it known what is live */
	if (res->outcome == BL_RECOVER_BARE)
		say(&w, "%s should be live; belay status shows what is left\n",
		    text);
	else if (*res->live.digest)
		say(&w, "%s is live\n", text);
	else
		say(&w, "no sensor is live on this host\n");
	return w.r;
}

const char *bl_words_ended(const struct bl_host_txn *txn)
{
	bool apply = !strcmp(txn->kind, "apply");

	/* "rollback: rolled-back" would be read as a success. */
	if (!strcmp(txn->phase, "rolled-back"))
		return apply ? txn->phase : "failed";
	if (!strcmp(txn->phase, "done"))
		return apply ? "committed" : txn->phase;
	return txn->phase;
}
