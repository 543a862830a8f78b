/* SPDX-License-Identifier: Apache-2.0 */
#include "canary/compare/watch.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "canary/compare/line.h"
#include "canary/ledger/record.h"
#include "loader/base/cleanup.h"
#include "loader/base/clock.h"
#include "loader/base/file.h"
#include "loader/base/text.h"

#define STEP_MS	     50
#define SAID_MAX     (64u << 10) /* bytes kept of what a host says */
#define CONSOLE_MAX  (8u << 20)
#define CONSOLE_TAIL 6000 /* of a console that ended badly */

int64_t bl_watch_now(const struct bl_watch *w)
{
	return (int64_t)(bl_clock_mono_ms() - w->zero_ms);
}

static void note(struct bl_watch *w, int r)
{
	if (r < 0)
		w->failed = r;
}

void bl_watch_say(struct bl_watch *w, size_t i, const char *fmt, ...)
{
	char text[BL_COMPARE_LINE_MAX];
	va_list ap;

	if (!w->pushed)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	note(w,
	     bl_compare_say(w->result, bl_watch_now(w),
			    i < w->count ? w->seen[i].name : "", "%s", text));
}

static void keep(struct bl_watch *w, size_t i, const char *line)
{
	struct bl_buf *said = &w->host[i].said;

	if (said->len < SAID_MAX)
		note(w, bl_buf_printf(said, "%s\n", line));
}

/* What a person wants to know of what belay says there. */
static void hear_log(struct bl_watch *w, size_t i, const char *line)
{
	static const char agent[] = "belay agent: ";
	const char *at = strstr(line, agent);

	keep(w, i, line);
	if (strncmp(line, "recover: ", 9) == 0 &&
	    !strstr(line, "nothing to recover"))
		bl_watch_say(w, i, "%s", line);
	else if (at && at[sizeof(agent) - 1] == 'r')
		bl_watch_say(w, i, "%s", at + sizeof(agent) - 1);
}

/* When the host made the beat that says @made_ms of its own clock. */
static int64_t beat_time(struct bl_watch *w, size_t i, const char *made_ms)
{
	struct bl_watch_host *h = &w->host[i];
	int64_t now = (int64_t)bl_clock_mono_ms();
	int64_t made = strtoll(made_ms, NULL, 10);

	if (!h->beats || now - made < h->offset_ms)
		h->offset_ms = now - made;
	return made + h->offset_ms - (int64_t)w->zero_ms;
}

static void hear_beat(struct bl_watch *w, size_t i, bool good, const char *why)
{
	struct bl_watch_host *h = &w->host[i];

	if (good)
		note(w, bl_observed_beat(&w->seen[i], beat_time(w, i, why)));
	if (good && !h->beats)
		bl_watch_say(w, i, "can be used");
	else if (good && h->bad)
		bl_watch_say(w, i, "can be used again");
	else if (!good && !h->bad)
		bl_watch_say(w, i, "cannot be used: %s", why);
	h->beats |= good;
	h->bad = !good;
}

/* A copy of @text with @as where it had a newline. Caller frees. */
static char *unfold(struct bl_watch *w, const char *text, char as)
{
	char *copy = strdup(text);

	for (char *p = copy; p && *p; p++)
		if (*p == BL_LINE_BREAK)
			*p = as;
	if (!copy)
		note(w, -ENOMEM);
	return copy;
}

static void hear_remains(struct bl_watch *w, size_t i, const char *text)
{
	bl_autofree char *copy = unfold(w, text, '\n');

	if (copy && w->pushed)
		note(w, bl_compare_evidence(w->result, w->seen[i].name, copy));
}

static void hear_history(struct bl_watch *w, size_t i, const char *text)
{
	bl_autofree char *copy = unfold(w, text, ' ');

	if (copy && *w->digest)
		bl_observed_history(&w->seen[i], w->digest, copy, strlen(copy));
}

static void hear_boot(struct bl_watch *w, size_t i)
{
	struct bl_watch_host *h = &w->host[i];

	h->boot_ms = bl_watch_now(w);
	if (h->boots)
		bl_watch_say(w, i, "has booted again");
}

static void hear(void *ctx, size_t i, const char *line)
{
	struct bl_watch *w = ctx;
	struct bl_watch_host *h = &w->host[i];
	const char *rest;
	enum bl_line_kind kind = bl_line_read(line, &rest);

	switch (kind) {
	case BL_LINE_GOOD:
	case BL_LINE_BAD:
		hear_beat(w, i, kind == BL_LINE_GOOD, rest);
		break;
	case BL_LINE_BOOT:
		hear_boot(w, i);
		break;
	case BL_LINE_LOAD:
		bl_text_copy(h->loading, sizeof(h->loading), rest);
		if (strcmp(rest, BL_WATCH_FAULT) == 0)
			w->seen[i].exposed = true;
		bl_watch_say(w, i, "loads %s", rest);
		break;
	case BL_LINE_LOADED:
		bl_text_copy(h->loaded, sizeof(h->loaded), rest);
		break;
	case BL_LINE_REFUSED:
		h->loaded[0] = '\0';
		if (strcmp(h->loading, BL_WATCH_FAULT) == 0)
			w->seen[i].refused = true;
		bl_watch_say(w, i, "its kernel does not take %s", rest);
		break;
	case BL_LINE_HISTORY:
		hear_history(w, i, rest);
		break;
	case BL_LINE_REMAINS:
		hear_remains(w, i, rest);
		break;
	case BL_LINE_ENDED:
	case BL_LINE_KILLED:
		bl_watch_say(w, i, "the agent ended");
		break;
	case BL_LINE_LOG:
		hear_log(w, i, rest);
		break;
	}
}

/* The end of a console: from what looks like the first sign of trouble. */
static void keep_console(struct bl_watch *w, size_t i, const char *path)
{
	static const char *const signs[] = { "BUG: ", "Oops", "Kernel panic" };
	bl_autobuf struct bl_buf text = { 0 };
	char name[BL_COMPARE_NAME_MAX];
	const char *from = NULL;

	if (!path || bl_file_read(path, CONSOLE_MAX, &text, NULL) < 0)
		return;
	for (size_t s = 0; !from && s < BL_ARRAY_SIZE(signs); s++)
		from = strstr(bl_buf_str(&text), signs[s]);
	if (!from)
		from = text.len > CONSOLE_TAIL
			       ? text.data + text.len - CONSOLE_TAIL
			       : bl_buf_str(&text);
	snprintf(name, sizeof(name), "%s console, boot %u", w->seen[i].name,
		 w->host[i].boots + 1);
	note(w, bl_compare_log(w->result, name, from));
}

static void ended(void *ctx, size_t i, const struct bl_vm_result *res)
{
	struct bl_watch *w = ctx;
	struct bl_observed_host *seen = &w->seen[i];

	w->host[i].down = true;
	w->host[i].beats = false;
	w->host[i].loaded[0] = '\0';
	if (!w->pushed)
		return;
	if (res->outcome == BL_VM_PANIC)
		seen->panics++;
	else if (res->outcome == BL_VM_REBOOTED)
		seen->resets++;
	else
		snprintf(w->broken, sizeof(w->broken),
			 "the VM of %s ended as no host does: %s%s%s",
			 seen->name, bl_vm_outcome_name(res->outcome),
			 *res->reason ? ": " : "", res->reason);
	bl_watch_say(w, i, "goes down: %s%s%s",
		     bl_vm_outcome_name(res->outcome), *res->reason ? ": " : "",
		     res->reason);
	keep_console(w, i, res->log_path);
}

void bl_watch_cut(struct bl_watch *w, size_t i)
{
	bl_watch_say(w, i, "its power is cut");
	bl_guests_cut(w->guests, i);
	w->host[i].loaded[0] = '\0';
	w->seen[i].cuts++;
	w->host[i].down = true;
	w->host[i].beats = false;
}

void bl_watch_begin(struct bl_watch *w, struct bl_guests *guests,
		    struct bl_compare_result *result, const char *digest)
{
	const struct bl_guests_sees sees = { hear, ended, w };

	w->guests = guests;
	w->result = result;
	w->count = bl_guests_count(guests);
	w->zero_ms = bl_clock_mono_ms();
	bl_text_copy(w->digest, sizeof(w->digest), digest);
	for (size_t i = 0; i < w->count; i++)
		bl_text_copy(w->seen[i].name, sizeof(w->seen[i].name),
			     bl_guests_name(guests, i));
	bl_guests_tell(guests, &sees);
}

static int boot_again(struct bl_watch *w, size_t i, struct bl_err *err)
{
	struct bl_watch_host *h = &w->host[i];

	h->down = false;
	if (w->seen[i].reboots == BL_WATCH_REBOOTS) {
		w->seen[i].dead = true;
		bl_watch_say(w, i, "is given up: it went down %d times",
			     BL_WATCH_REBOOTS + 1);
		return 0;
	}
	w->seen[i].reboots++;
	h->boots++;
	h->boot_ms = -1;
	return bl_guests_boot(w->guests, i, err);
}

int bl_watch_step(struct bl_watch *w, struct bl_err *err)
{
	int r = bl_guests_poll(w->guests, STEP_MS, err);

	if (!r && w->failed)
		r = bl_err_set(err, w->failed, "out of memory");
	if (!r && *w->broken)
		r = bl_err_set(err, -EIO, "%s", w->broken);
	for (size_t i = 0; !r && i < w->count; i++)
		if (w->host[i].down)
			r = boot_again(w, i, err);
	return r;
}

bool bl_watch_ready(const struct bl_watch *w, const char *version)
{
	for (size_t i = 0; i < w->count; i++)
		if (!w->host[i].beats || w->host[i].down ||
		    !bl_observed_up(&w->seen[i], bl_watch_now(w)) ||
		    (version && strcmp(w->host[i].loaded, version) != 0))
			return false;
	return true;
}

void bl_watch_push(struct bl_watch *w)
{
	for (size_t i = 0; i < w->count; i++) {
		w->seen[i].count = 0;
		w->seen[i].reboots = w->seen[i].cuts = 0;
		w->host[i].boots = 0;
	}
	w->zero_ms = bl_clock_mono_ms();
	w->pushed = true;
}

int bl_watch_end(struct bl_watch *w)
{
	for (size_t i = 0; i < w->count; i++)
		if (w->host[i].said.len)
			note(w, bl_compare_log(w->result, w->seen[i].name,
					       w->host[i].said.data));
	return w->failed;
}

void bl_watch_free(struct bl_watch *w)
{
	for (size_t i = 0; i < w->count; i++) {
		bl_observed_free(&w->seen[i]);
		bl_buf_free(&w->host[i].said);
	}
	*w = (struct bl_watch){ 0 };
}
