/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/gate/content/contract.h"

#include <errno.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/bundle/content.h"
#include "loader/object/mapdef.h"

#define CHECK	 "content"
#define KEY_SIZE 4 /* of every array */

/* A member as the content has it. */
struct member {
	const char *name;
	uint32_t offset, size; /* bytes */
};

#define MEMBER(type, name)                               \
	{                                                \
#name, offsetof(struct type, name),      \
			sizeof(((struct type *)0)->name) \
	}

static const struct member hdr_members[] = {
	MEMBER(bl_content_hdr, magic),
	MEMBER(bl_content_hdr, contract),
	MEMBER(bl_content_hdr, size),
	MEMBER(bl_content_hdr, bucket_count),
	MEMBER(bl_content_hdr, rule_count),
	MEMBER(bl_content_hdr, deny_count),
	MEMBER(bl_content_hdr, seed),
	MEMBER(bl_content_hdr, kind_rules),
	MEMBER(bl_content_hdr, default_action),
	MEMBER(bl_content_hdr, kind_types),
	MEMBER(bl_content_hdr, net_count),
	MEMBER(bl_content_hdr, net_len),
	MEMBER(bl_content_hdr, reserved),
	MEMBER(bl_content_hdr, prefix_len),
	MEMBER(bl_content_hdr, domain_len),
	MEMBER(bl_content_hdr, type_rules),
};

static const struct member bucket_members[] = {
	MEMBER(bl_content_bucket, hash),   MEMBER(bl_content_bucket, rule),
	MEMBER(bl_content_bucket, type),   MEMBER(bl_content_bucket, kind),
	MEMBER(bl_content_bucket, action), MEMBER(bl_content_bucket, reserved),
};

/* What the content supplies to one map. */
static const struct supply {
	const char *map;
	uint32_t size;
	const struct member *members;
	unsigned count;
} supplies[] = {
	{ "bl_content_hdr", sizeof(struct bl_content_hdr), hdr_members,
	  BL_ARRAY_SIZE(hdr_members) },
	{ "bl_content_slots", sizeof(struct bl_content_bucket), bucket_members,
	  BL_ARRAY_SIZE(bucket_members) },
};

/* --- one map -------------------------------------------------------------- */

/* Empty, or how the object's struct differs from what is supplied. */
static void compare_members(const struct bl_btf *btf,
			    const struct bl_btf_type *t, const struct supply *s,
			    char *ret, size_t size)
{
	unsigned i;

	for (i = 0; i < s->count && i < t->count; i++) {
		struct bl_btf_member m = bl_btf_member(btf, t, i);
		const struct member *own = &s->members[i];
		uint32_t bytes = 0;

		if (bl_btf_size(btf, m.type, &bytes) < 0)
			bytes = 0;
		if (!strcmp(m.name, own->name) &&
		    m.bit_offset == own->offset * 8 && !m.bit_size &&
		    bytes == own->size)
			continue;
		snprintf(
			ret, size,
			"its member %u is %.64s (%u bytes at %u), that of the content is %s (%u bytes at %u)",
			i + 1, m.name, bytes, m.bit_offset / 8, own->name,
			own->size, own->offset);
		return;
	}
	if (t->count != s->count)
		snprintf(ret, size,
			 "it reads %u members, the content supplies %u",
			 t->count, s->count);
	else if (t->size != s->size)
		snprintf(ret, size,
			 "its values have %u bytes, those of the content %u",
			 t->size, s->size);
}

/* Empty, or what about the map itself does not fit. */
static void compare_map(const struct bl_map_def *def, const struct supply *s,
			char *ret, size_t size)
{
	char type[BL_MAP_TYPE_NAME_LEN];

	if (def->type != BPF_MAP_TYPE_ARRAY)
		snprintf(ret, size, "its type is %s, content needs an array",
			 bl_map_type_name(def->type, type));
	else if (def->key_size != KEY_SIZE)
		snprintf(ret, size, "its keys have %u bytes, not %u",
			 def->key_size, KEY_SIZE);
	else if (def->value_size != s->size)
		snprintf(ret, size,
			 "its values have %u bytes, those of the content %u",
			 def->value_size, s->size);
}

static int say(struct bl_report *report, enum bl_verdict verdict,
	       const struct supply *s, const char *why)
{
	bl_autofree char *message = NULL;
	struct bl_finding f = { .verdict = verdict };

	if (asprintf(&message, "map %s: %s", s->map, why) < 0) {
		message = NULL;
		return -ENOMEM;
	}
	f.check = (char *)CHECK;
	f.message = message;
	f.hint =
		(char *)"build the sensor against the bpf/content.h of the belay that makes its content";
	return bl_report_add(report, &f);
}

static int check_map(const struct bl_map_list *maps,
		     const struct bl_map_def *def, const struct supply *s,
		     struct bl_report *report, bool *ret_fits)
{
	struct bl_btf_type t = bl_btf_resolve(&maps->btf, def->value_type);
	char why[320] = "";

	*ret_fits = false;
	/* The members first: they say best where it begins to differ. */
	if (def->value_type && t.kind == BTF_KIND_STRUCT)
		compare_members(&maps->btf, &t, s, why, sizeof(why));
	if (!*why)
		compare_map(def, s, why, sizeof(why));
	if (*why)
		return say(report, BL_VERDICT_REJECT, s, why);
	if (!def->value_type || t.kind != BTF_KIND_STRUCT)
		return say(
			report, BL_VERDICT_UNDECIDED, s,
			"the object does not say which struct its values are");
	*ret_fits = true;
	return 0;
}

/* --- the object ----------------------------------------------------------- */

static int foreign(const void *bin, struct bl_report *report)
{
	if (!bin)
		return bl_report_note(report, BL_VERDICT_PASS, CHECK, NULL,
				      "no content, and no map for it");
	return bl_report_note(
		report, BL_VERDICT_REJECT, CHECK, NULL,
		"the content has %u rules, and the object has no map bl_content_hdr that would read them",
		bl_content_header(bin)->rule_count);
}

static int judge(const struct bl_map_list *maps, const void *bin,
		 struct bl_report *report)
{
	const struct bl_map_def *defs[BL_ARRAY_SIZE(supplies)];
	bool fits, all = true;
	size_t i, found = 0;
	int r = 0;

	for (i = 0; i < BL_ARRAY_SIZE(supplies); i++) {
		defs[i] = bl_map_list_find(maps, supplies[i].map);
		found += !!defs[i];
	}
	if (!found)
		return foreign(bin, report);
	for (i = 0; !r && i < BL_ARRAY_SIZE(supplies); i++) {
		fits = false;
		r = defs[i] ? check_map(maps, defs[i], &supplies[i], report,
					&fits)
			    : say(report, BL_VERDICT_REJECT, &supplies[i],
				  "the object does not have it, and has the other one");
		all = all && fits;
	}
	if (r || !all)
		return r;
	return bl_report_note(
		report, BL_VERDICT_PASS, CHECK, NULL,
		"contract %u: the object reads content as it is supplied, member by member",
		BL_CONTENT_CONTRACT);
}

int bl_contract_check(const struct bl_object *o, const void *bin, size_t len,
		      struct bl_report *report)
{
	bl_automaps struct bl_map_list maps = { 0 };
	struct bl_err why = { 0 };
	int r;

	if (bin) {
		r = bl_content_check_binary("content", bin, len, NULL, &why);
		if (r)
			return bl_report_note(report, BL_VERDICT_REJECT, CHECK,
					      NULL, "%s", why.text);
	}
	r = bl_map_list_read(o, &maps, &why);
	if (r == -ENOMEM)
		return r;
	if (r)
		return bl_report_note(
			report, BL_VERDICT_UNDECIDED, CHECK, NULL,
			"whether the object fits its content is not known: %s",
			why.text);
	return judge(&maps, bin, report);
}
