/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/host/trial/watchdog.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *const mode_names[] = {
	[BL_WATCHDOG_AUTO] = "auto",
	[BL_WATCHDOG_REQUIRE] = "require",
	[BL_WATCHDOG_OFF] = "off",
};

int bl_watchdog_mode_by_name(const char *name)
{
	for (int i = BL_WATCHDOG_AUTO; i <= BL_WATCHDOG_OFF; i++)
		if (!strcmp(mode_names[i], name))
			return i;
	return -1;
}

/* It runs, and restarts the host soon: whoever had it is dead. */
static bool left(const struct bl_guard_device *d)
{
	return d->active && !*d->holder && !d->unstoppable;
}

/* How good a device is, the best first. */
static int rank(const struct bl_guard_device *d)
{
	enum bl_watchdog_choice choice = d->active	  ? BL_WATCHDOG_KEPT
					 : d->unstoppable ? BL_WATCHDOG_UNFIT
							  : BL_WATCHDOG_ARM;

	if (left(d))
		return -1;
	return 2 * (int)choice + d->soft;
}

enum bl_watchdog_choice
bl_watchdog_choose(const struct bl_guard_device *devices, size_t count,
		   size_t *ret_index)
{
	int best = 2 * BL_WATCHDOG_ABSENT;

	for (size_t i = 0; i < count; i++) {
		if (rank(&devices[i]) >= best)
			continue;
		best = rank(&devices[i]);
		*ret_index = i;
	}
	return best < 0 ? BL_WATCHDOG_ARM : (enum bl_watchdog_choice)(best / 2);
}

static void __attribute__((format(printf, 2, 3)))
say(struct bl_watchdog *w, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(w->words, sizeof(w->words), fmt, ap);
	va_end(ap);
}

/* softdog calls itself by a name that nobody knows it by. */
static const char *known_as(const struct bl_guard_device *d)
{
	return d->soft ? "softdog" : *d->identity ? d->identity : d->name;
}

static enum bl_watchdog_choice look(struct bl_watchdog *w)
{
	struct bl_guard_device list[BL_GUARD_DEVICES_MAX];
	struct bl_err why = { 0 };
	enum bl_watchdog_choice choice;
	size_t i = 0;
	int n = w->ops->list(w->ops->ctx, list, &why);

	if (n < 0) {
		say(w, "none: %.120s", why.text);
		return BL_WATCHDOG_ABSENT;
	}
	choice = bl_watchdog_choose(list, (size_t)n, &i);
	if (choice == BL_WATCHDOG_ABSENT) {
		say(w, "none: this host has no watchdog");
		return choice;
	}
	w->taken = left(&list[i]);
	snprintf(w->name, sizeof(w->name), "%s", list[i].name);
	snprintf(w->device, sizeof(w->device), "%s", known_as(&list[i]));
	if (choice == BL_WATCHDOG_ARM)
		say(w, "%s", w->device);
	else if (choice == BL_WATCHDOG_KEPT)
		say(w, "kept by %s: %s",
		    *list[i].holder ? list[i].holder : "another process",
		    w->device);
	else
		say(w, "none: %s (%s) could not be stopped again (nowayout)",
		    w->name, w->device);
	return choice;
}

static int find(struct bl_watchdog *w)
{
	enum bl_watchdog_choice choice;
	struct bl_err why = { 0 };
	int r;

	if (!w->ops) {
		say(w, "none: not looked for");
		return 0;
	}
	choice = look(w);
	if (choice == BL_WATCHDOG_UNFIT || choice == BL_WATCHDOG_ABSENT) {
		char before[BL_WATCHDOG_LEN];

		memcpy(before, w->words, sizeof(before));
		r = w->ops->load_soft(w->ops->ctx, &why);
		w->loaded = r == 0;
		if (r >= 0)
			choice = look(w);
		else
			say(w, "%.80s; softdog: %.60s", before, why.text);
	}
	w->chosen = choice == BL_WATCHDOG_ARM;
	w->guarded = w->chosen || choice == BL_WATCHDOG_KEPT;
	return w->guarded;
}

int bl_watchdog_prepare(struct bl_watchdog *w, enum bl_watchdog_mode mode,
			struct bl_err *err)
{
	w->mode = mode;
	if (mode == BL_WATCHDOG_OFF) {
		say(w, "off");
		return 0;
	}
	if (find(w) || mode == BL_WATCHDOG_AUTO)
		return 0;
	return bl_err_set(err, -EOPNOTSUPP,
			  "a watchdog is required for the trial: %s", w->words);
}

static int arm(struct bl_watchdog *w, struct bl_err *err)
{
	uint64_t ms = w->timeout_ms ? w->timeout_ms : BL_WATCHDOG_MS;
	int r = w->ops->arm(w->ops->ctx, w->name, (unsigned)((ms + 999) / 1000),
			    w->stay, err);

	w->armed = !r;
	return r;
}

int bl_watchdog_arm(struct bl_watchdog *w, struct bl_err *err)
{
	struct bl_err why = { 0 };
	int r = w->chosen ? arm(w, &why) : 0;

	if (!r)
		return 0;
	/* By one that cannot be seen from here. */
	if (r == -EBUSY && w->taken) {
		say(w, "kept by another process: %s", w->device);
		return 0;
	}
	w->guarded = false;
	say(w, "none: %.140s", why.text);
	if (w->mode != BL_WATCHDOG_REQUIRE)
		return 0;
	return bl_err_set(err, why.code, "a watchdog is required: %s",
			  why.text);
}

void bl_watchdog_ping(struct bl_watchdog *w)
{
	if (!w->armed || !w->ops->ping(w->ops->ctx))
		return;
	/* Whoever held it was killed, and the device goes on: without another
	 * holder it restarts the host. */
	arm(w, NULL);
}

void bl_watchdog_disarm(struct bl_watchdog *w)
{
	if (w->armed)
		w->ops->disarm(w->ops->ctx, NULL);
	w->armed = false;
}

void bl_watchdog_stop_left(const struct bl_guard_ops *ops, const char *words)
{
	struct bl_guard_device list[BL_GUARD_DEVICES_MAX];
	int n = ops ? ops->list(ops->ctx, list, NULL) : 0;

	for (int i = 0; i < n; i++) {
		if (!left(&list[i]) || strcmp(known_as(&list[i]), words) != 0)
			continue;
		/* Whoever opens it can stop it. */
		if (!ops->arm(ops->ctx, list[i].name, BL_WATCHDOG_MS / 1000,
			      false, NULL))
			ops->disarm(ops->ctx, NULL);
	}
}

void bl_watchdog_release(struct bl_watchdog *w)
{
	bl_watchdog_disarm(w);
	if (w->loaded)
		w->ops->unload_soft(w->ops->ctx);
	w->loaded = false;
}
