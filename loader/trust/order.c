/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/trust/order.h"

#include <assert.h>
#include <string.h>
#include <time.h>

#include "loader/base/cleanup.h"
#include "loader/base/clock.h"
#include "loader/base/text.h"
#include "loader/trust/canon.h"
#include "loader/trust/fleet.h"
#include "loader/trust/metadata_body.h"

int64_t bl_told_version(int64_t start_ms, bool rollback)
{
	return 2 * start_ms + rollback;
}

/* As TUF writes it: without fractions. */
static const char *write_time(int64_t s, char ret[static BL_TIME_ISO_LEN])
{
	time_t t = (time_t)s;
	struct tm tm;

	gmtime_r(&t, &tm);
	strftime(ret, BL_TIME_ISO_LEN, "%Y-%m-%dT%H:%M:%SZ", &tm);
	return ret;
}

static json_t *body_of(const struct bl_told *o)
{
	char when[BL_TIME_ISO_LEN];

	return json_pack("{s:s, s:s, s:I, s:s, s:s, s:s, s:s, s:s, s:s, s:I, "
			 "s:s}",
			 "_type", bl_meta_kind_name(BL_META_ORDER),
			 "spec_version", "1.0.31", "version",
			 (json_int_t)o->version, "expires",
			 write_time(o->expires_s, when), "host", o->host,
			 "order", o->rollback ? "rollback" : "apply", "rollout",
			 o->rollout, "digest", o->digest, "override",
			 o->override_reason, "probation_ms",
			 (json_int_t)o->probation_ms, "reason", o->reason);
}

json_t *bl_told_sign(const struct bl_told *order, const struct bl_key *key)
{
	bl_autojson json_t *body = body_of(order);
	bl_autobuf struct bl_buf text = { 0 };
	char sig[BL_ED25519_SIG_HEX];

	if (!body || bl_canon(body, &text, NULL) < 0 ||
	    bl_ed25519_sign(&key->pair, text.data, text.len, sig) < 0)
		return NULL;
	return json_pack("{s:[{s:s, s:s}], s:O}", "signatures", "keyid",
			 key->id, "sig", sig, "signed", body);
}

int bl_meta_read_order(struct bl_meta *m, struct bl_err *err)
{
	struct parts {
		const char *host, *order, *rollout, *digest, *override, *reason;
		int64_t probation_ms;
	};
	static const struct bl_json_field fields[] = {
		{ "host", BL_JSON_STRING, true, offsetof(struct parts, host), 1,
		  BL_NAME_MAX },
		{ "order", BL_JSON_STRING, true, offsetof(struct parts, order),
		  1, 16 },
		{ "rollout", BL_JSON_STRING, true,
		  offsetof(struct parts, rollout), 1, BL_TOLD_ROLLOUT_LEN - 1 },
		{ "digest", BL_JSON_STRING, true,
		  offsetof(struct parts, digest), 1, BL_DIGEST_HEX - 1 },
		{ "override", BL_JSON_STRING, true,
		  offsetof(struct parts, override), 0, BL_TOLD_TEXT_LEN - 1 },
		{ "reason", BL_JSON_STRING, true,
		  offsetof(struct parts, reason), 0, BL_TOLD_TEXT_LEN - 1 },
		{ "probation_ms", BL_JSON_INT, true,
		  offsetof(struct parts, probation_ms), 0, INT64_MAX },
	};
	struct parts v;
	int r = bl_meta_read(&m->doc, m->body, "signed", fields,
			     BL_ARRAY_SIZE(fields), &v, err);

	if (r < 0)
		return r;
	if (strcmp(v.order, "apply") != 0 && strcmp(v.order, "rollback") != 0)
		return bl_json_fail(&m->doc, "signed.order", err,
				    "'%s' is not known", v.order);
	if (!bl_name_valid(v.host) || !bl_name_valid(v.rollout)) {
		bl_json_fail(&m->doc, "signed", err,
			     "host and rollout must be names");
		return BL_TRUST_NAME;
	}
	if (!bl_digest_valid(v.digest))
		return bl_json_fail(&m->doc, "signed.digest", err,
				    "'%s' is not a digest", v.digest);
	return 0;
}

void bl_told_read(const struct bl_meta *meta, struct bl_told *ret)
{
	const json_t *b = meta->body;
	struct bl_told o = { .version = meta->version,
			     .expires_s = meta->expires_s };
	const struct {
		const char *key;
		char *to;
		size_t size;
	} texts[] = {
		{ "host", o.host, sizeof(o.host) },
		{ "rollout", o.rollout, sizeof(o.rollout) },
		{ "digest", o.digest, sizeof(o.digest) },
		{ "override", o.override_reason, sizeof(o.override_reason) },
		{ "reason", o.reason, sizeof(o.reason) },
	};

	assert(meta->kind == BL_META_ORDER);
	for (size_t i = 0; i < BL_ARRAY_SIZE(texts); i++)
		bl_text_copy(
			texts[i].to, texts[i].size,
			json_string_value(json_object_get(b, texts[i].key)));
	o.rollback = strcmp(json_string_value(json_object_get(b, "order")),
			    "rollback") == 0;
	o.probation_ms = json_integer_value(json_object_get(b, "probation_ms"));
	*ret = o;
}

static bool is_released(const struct bl_meta *release, const char *digest)
{
	struct bl_meta_target t;
	const char *path;
	json_t *v;

	json_object_foreach (json_object_get(release->body, "targets"), path,
			     v) {
		bl_meta_target(release, path, &t);
		if (strcmp(t.sha256, digest) == 0)
			return true;
	}
	return false;
}

static int check_time(const struct bl_told_to *to, const struct bl_told *o,
		      struct bl_err *err)
{
	char when[BL_TIME_ISO_LEN], now[BL_TIME_ISO_LEN];

	bl_clock_iso(o->expires_s * 1000, when);
	bl_clock_iso(to->now_ms, now);
	if (o->expires_s * 1000 <= to->now_ms)
		return bl_err_set(
			err, BL_TRUST_EXPIRED,
			"the order of %s expired at %s, and here it is %s",
			o->rollout, when, now);
	if (o->expires_s - to->now_ms / 1000 > BL_TOLD_VALID_MAX_S)
		return bl_err_set(
			err, BL_TRUST_EXPIRED,
			"the order of %s is to count until %s, and here it is %s: an order counts for minutes",
			o->rollout, when, now);
	if (o->version / 2 > to->now_ms + BL_TOLD_AHEAD_MS)
		return bl_err_set(
			err, BL_TRUST_REPLAY,
			"the order of %s is of a rollout that began at %s, and here it is %s",
			o->rollout, bl_clock_iso(o->version / 2, when), now);
	return 0;
}

/* To go back is the same however often it is told. */
static int check_version(const struct bl_told_to *to, const struct bl_told *o,
			 struct bl_err *err)
{
	if (o->version > to->version ||
	    (o->version == to->version && (!to->ended || o->rollback)))
		return 0;
	return bl_err_set(err, BL_TRUST_REPLAY,
			  o->version < to->version
				  ? "the order of %s is older than the last one"
				  : "the order of %s was carried out before",
			  o->rollout);
}

int bl_told_check(const struct bl_meta *release, const struct bl_told_to *to,
		  const void *data, size_t len, struct bl_told *ret,
		  struct bl_err *err)
{
	BL_CLEANUP(bl_meta_free) struct bl_meta m = { 0 };
	struct bl_told o;
	int r;

	if (len > BL_TOLD_BYTES_MAX)
		return bl_err_set(err, BL_TRUST_ENDLESS,
				  "the order has more than %d bytes",
				  BL_TOLD_BYTES_MAX);
	r = bl_meta_parse("the order", data, len, BL_META_ORDER, &m, err);
	if (!r)
		r = bl_meta_signed_by(&m, release, BL_FLEET_ROLE, err);
	if (r < 0)
		return r;
	bl_told_read(&m, &o);
	if (strcmp(o.host, to->host) != 0)
		return bl_err_set(err, BL_TRUST_DEPUTY,
				  "the order is for %s, and this host is %s",
				  o.host, to->host);
	r = check_time(to, &o, err);
	if (!r)
		r = check_version(to, &o, err);
	if (!r && !o.rollback && !is_released(release, o.digest))
		r = bl_err_set(
			err, BL_TRUST_ASSIGNED,
			"%s orders %.12s, which the release keys have not signed",
			o.rollout, o.digest);
	if (!r)
		*ret = o;
	return r;
}
