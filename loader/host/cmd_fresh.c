/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/host/cmd_fresh.h"

#include <errno.h>
#include <stdio.h>

#include "loader/base/cleanup.h"
#include "loader/base/clock.h"
#include "loader/base/file.h"
#include "loader/base/term.h"
#include "loader/trust/fresh.h"

#define HOUR_MS (3600 * INT64_C(1000))

/* null for a time that is none. */
static json_t *time_json(int64_t ms)
{
	char text[BL_TIME_ISO_LEN];

	return ms ? json_string(bl_clock_iso(ms, text)) : json_null();
}

static json_t *roles_json(const struct bl_fresh *f)
{
	json_t *roles = json_object();

	for (int i = 0; i < BL_META_ROLES; i++) {
		json_t *role = json_null();

		if (f->role[i].version)
			role = json_pack(
				"{s:I, s:o}", "version",
				(json_int_t)f->role[i].version, "expires",
				time_json(f->role[i].expires_s * 1000));
		json_object_set_new(
			roles, bl_meta_kind_name((enum bl_meta_kind)i), role);
	}
	return roles;
}

json_t *bl_host_fresh_json(const struct bl_host *host)
{
	enum bl_meta_kind role;
	enum bl_fresh_state state;
	struct bl_fresh f = { .failures = 0 };
	struct bl_err e = { 0 };
	int r = bl_fresh_read(bl_host_trust_dir(host), &f, &e);

	if (r == -ENOENT)
		return json_null();
	if (r < 0)
		return json_pack("{s:s, s:s}", "state", "unknown", "why",
				 e.text);
	state = bl_fresh_state(&f, bl_clock_wall_ms(), &role);
	return json_pack(
		"{s:s, s:o, s:o, s:o, s:o, s:o, s:I, s:s, s:s, s:s, s:o}",
		"state", bl_fresh_state_name(state), "expires_first",
		role < BL_META_ROLES ? json_string(bl_meta_kind_name(role))
				     : json_null(),
		"roles", roles_json(&f), "since", time_json(f.since_ms),
		"refreshed", time_json(f.refreshed_ms), "failed",
		time_json(f.failed_ms), "failures", (json_int_t)f.failures,
		"fault", f.fault, "why", f.why, "hint", f.hint, "next",
		time_json(f.next_ms));
}

static void print_state(const struct bl_fresh *f, int64_t now_ms, bool colour)
{
	static const enum bl_style styles[] = {
		[BL_FRESH_NEVER] = BL_STYLE_BAD,
		[BL_FRESH_GOOD] = BL_STYLE_GOOD,
		[BL_FRESH_SOON] = BL_STYLE_WARN,
		[BL_FRESH_EXPIRED] = BL_STYLE_BAD,
	};
	static const char *const words[] = {
		[BL_FRESH_NEVER] =
			"nothing yet: no repository was asked, and all is refused until one is",
		[BL_FRESH_GOOD] = "fresh",
		[BL_FRESH_SOON] = "expires soon",
		[BL_FRESH_EXPIRED] = "expired: nothing new is taken",
	};
	enum bl_meta_kind role;
	enum bl_fresh_state state = bl_fresh_state(f, now_ms, &role);
	char when[BL_TIME_ISO_LEN];

	printf("trust     %s%s%s", bl_style(colour, styles[state]),
	       words[state], bl_style_end(colour));
	if (state != BL_FRESH_NEVER)
		printf("; the %s is good until %s", bl_meta_kind_name(role),
		       bl_clock_iso(f->role[role].expires_s * 1000, when));
	putchar('\n');
	if (state == BL_FRESH_SOON && role != BL_META_TIMESTAMP)
		printf("          belay trust renew REPO --role %s, by who has its keys\n",
		       bl_meta_kind_name(role));
}

static void print_versions(const struct bl_fresh *f)
{
	const char *before = "          ";

	for (int i = 0; i < BL_META_ROLES; i++) {
		if (!f->role[i].version)
			continue;
		printf("%s%s %lld", before,
		       bl_meta_kind_name((enum bl_meta_kind)i),
		       (long long)f->role[i].version);
		before = ", ";
	}
	putchar('\n');
}

/* How it went when it was asked last. */
static void print_last(const struct bl_fresh *f, bool colour)
{
	char when[BL_TIME_ISO_LEN];

	if (f->refreshed_ms)
		printf("          refreshed %s\n",
		       bl_clock_iso(f->refreshed_ms, when));
	if (!f->failures)
		return;
	printf("          %snot refreshed at %s%s",
	       bl_style(colour, BL_STYLE_WARN),
	       bl_clock_iso(f->failed_ms, when), bl_style_end(colour));
	if (f->failures > 1)
		printf(", %lld times in a row", (long long)f->failures);
	printf(": %s%s%s%s\n", f->why, *f->fault ? " (" : "", f->fault,
	       *f->fault ? ")" : "");
	if (*f->hint)
		printf("          %s\n", f->hint);
}

void bl_host_fresh_print(const struct bl_host *host, bool kept, bool colour)
{
	int64_t now_ms = bl_clock_wall_ms();
	struct bl_fresh f = { .failures = 0 };
	char when[BL_TIME_ISO_LEN];
	struct bl_err e = { 0 };
	int r = bl_fresh_read(bl_host_trust_dir(host), &f, &e);

	if (r == -ENOENT)
		return;
	if (r < 0) {
		printf("trust     not known: %s\n", e.text);
		return;
	}
	print_state(&f, now_ms, colour);
	print_versions(&f);
	print_last(&f, colour);
	/* One that is late by so much has no agent any more. */
	if (kept && f.next_ms > now_ms - HOUR_MS)
		printf("          asks again at %s\n",
		       bl_clock_iso(f.next_ms, when));
	else
		printf("          nobody asks again by itself: start belay agent --name NAME, or belay trust status %s --repo REPO\n",
		       bl_host_trust_dir(host));
}
