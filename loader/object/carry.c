/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/object/carry.h"

#include <errno.h>
#include <linux/bpf.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/object/mapdiff.h"

/* --- the table ------------------------------------------------------------ */

enum nature {
	OWN, /* of its version; also what is not known here */
	GIVEN,
	STATE,
	LISTED, /* state that user space can list, so it can be copied */
};

static const enum nature natures[] = {
	[BPF_MAP_TYPE_HASH] = LISTED,
	[BPF_MAP_TYPE_LRU_HASH] = LISTED,
	[BPF_MAP_TYPE_PERCPU_HASH] = LISTED,
	[BPF_MAP_TYPE_LRU_PERCPU_HASH] = LISTED,
	[BPF_MAP_TYPE_ARRAY] = LISTED,
	[BPF_MAP_TYPE_PERCPU_ARRAY] = LISTED,
	[BPF_MAP_TYPE_LPM_TRIE] = LISTED,
	[BPF_MAP_TYPE_SK_STORAGE] = STATE,
	[BPF_MAP_TYPE_INODE_STORAGE] = STATE,
	[BPF_MAP_TYPE_TASK_STORAGE] = STATE,
	[BL_MAP_TYPE_CGRP_STORAGE] = STATE,
	[BPF_MAP_TYPE_QUEUE] = STATE,
	[BPF_MAP_TYPE_STACK] = STATE,
	[BPF_MAP_TYPE_BLOOM_FILTER] = STATE,
	[BPF_MAP_TYPE_SOCKMAP] = STATE,
	[BPF_MAP_TYPE_SOCKHASH] = STATE,
	[BPF_MAP_TYPE_DEVMAP] = GIVEN,
	[BPF_MAP_TYPE_DEVMAP_HASH] = GIVEN,
	[BPF_MAP_TYPE_CPUMAP] = GIVEN,
	[BPF_MAP_TYPE_XSKMAP] = GIVEN,
	[BPF_MAP_TYPE_CGROUP_ARRAY] = GIVEN,
	[BPF_MAP_TYPE_REUSEPORT_SOCKARRAY] = GIVEN,
	[BPF_MAP_TYPE_STACK_TRACE] = GIVEN,
};

static bool is_belays(const struct bl_map_def *d)
{
	return strncmp(d->name, "bl_", 3) == 0;
}

static enum nature nature_of(const struct bl_map_def *d)
{
	if (d->implicit || is_belays(d) || d->flags & BPF_F_RDONLY_PROG ||
	    d->type >= BL_ARRAY_SIZE(natures))
		return OWN;
	return natures[d->type];
}

bool bl_carry_is_state(const struct bl_map_def *d)
{
	return nature_of(d) != OWN;
}

/* Why a map that is its version's own is that. */
static const char *own_words(const struct bl_map_def *d)
{
	if (d->implicit)
		return "global variables begin anew with each version: what is to outlive one belongs in a map";
	if (is_belays(d))
		return "it is belay's own, and belongs to its version";
	if (d->flags & BPF_F_RDONLY_PROG)
		return "programs can only read it, so it belongs to its version as its content does";
	return "a map of that type belongs to its version";
}

/* --- words ---------------------------------------------------------------- */

static const char *const words[] = {
	[BL_CARRY_UNSAID] = "",
	[BL_CARRY_KEEP] = "keep",
	[BL_CARRY_RESET] = "reset",
	[BL_CARRY_MIGRATE] = "migrate",
};

const char *bl_carry_word_name(enum bl_carry_word word)
{
	return words[word];
}

int bl_carry_word_find(const char *name, enum bl_carry_word *ret)
{
	for (size_t i = BL_CARRY_KEEP; i < BL_ARRAY_SIZE(words); i++)
		if (strcmp(words[i], name) == 0) {
			*ret = (enum bl_carry_word)i;
			return 0;
		}
	return -ENOENT;
}

const char *bl_carry_way_name(enum bl_carry_way way)
{
	static const char *const names[] = {
		[BL_CARRY_FRESH] = "reset",
		[BL_CARRY_SHARE] = "kept",
		[BL_CARRY_COPY] = "migrated",
		[BL_CARRY_REFUSE] = "refused",
	};

	return names[way];
}

bool bl_carry_name_valid(const char *name)
{
	static const char plain[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.";
	size_t len = strlen(name);

	return len && len <= BL_CARRY_NAME_MAX && strspn(name, plain) == len;
}

enum bl_carry_word bl_carry_word_of(const struct bl_carry_rules *rules,
				    const char *name)
{
	for (size_t i = 0; rules && i < rules->count; i++)
		if (strcmp(rules->rules[i].map, name) == 0)
			return rules->rules[i].word;
	return BL_CARRY_UNSAID;
}

/* --- can the words be followed at all? ------------------------------------ */

static const struct bl_map_def *find(const struct bl_map_list *l,
				     const char *name)
{
	for (size_t i = 0; i < l->count; i++)
		if (strcmp(l->defs[i].name, name) == 0)
			return &l->defs[i];
	return NULL;
}

#define NAMES_SHOWN 16

static int unknown(const struct bl_map_list *l, const char *name,
		   struct bl_err *err)
{
	bl_autobuf struct bl_buf known = { 0 };
	int r = 0;

	for (size_t i = 0; r == 0 && i < l->count && i < NAMES_SHOWN; i++)
		r = bl_buf_printf(&known, "%s%.64s", i ? ", " : "",
				  l->defs[i].name);
	if (r == 0 && l->count > NAMES_SHOWN)
		r = bl_buf_printf(&known, " and %zu more",
				  l->count - NAMES_SHOWN);
	if (r < 0)
		return bl_err_errno(err, r, "state of %s", name);
	return bl_err_set(err, -EBADMSG,
			  "state.%s: the object has no such map (it has: %s)",
			  name, l->count ? bl_buf_str(&known) : "none");
}

int bl_carry_check(const struct bl_map_list *maps,
		   const struct bl_carry_rules *rules, struct bl_err *err)
{
	for (size_t i = 0; i < rules->count; i++) {
		const struct bl_carry_rule *rule = &rules->rules[i];
		const struct bl_map_def *d = find(maps, rule->map);
		char type[BL_MAP_TYPE_NAME_LEN];

		if (!d)
			return unknown(maps, rule->map, err);
		if (rule->word == BL_CARRY_RESET)
			continue;
		if (nature_of(d) == OWN)
			return bl_err_set(
				err, -EBADMSG,
				"state.%s: \"%s\" cannot be done with this %s: %s",
				rule->map, words[rule->word],
				bl_map_type_name(d->type, type), own_words(d));
		if (rule->word == BL_CARRY_MIGRATE && nature_of(d) != LISTED)
			return bl_err_set(
				err, -EBADMSG,
				"state.%s: \"migrate\" cannot be done with this %s: its entries cannot be listed (\"keep\" or \"reset\" can)",
				rule->map, bl_map_type_name(d->type, type));
	}
	return 0;
}

/* --- the decision --------------------------------------------------------- */

/* One map on its way. */
struct choice {
	const struct bl_map_def *live, *now;
	const struct bl_map_fact *fact; /* NULL: no kernel was asked */
	const struct bl_map_diff *diff;
	enum bl_carry_word word;
	enum bl_carry_way way;
	struct bl_buf why;
};

static void choice_free(struct choice *c)
{
	bl_buf_free(&c->why);
}

static int __attribute__((format(printf, 3, 4)))
choose(struct choice *c, enum bl_carry_way way, const char *fmt, ...)
{
	bl_autofree char *text = NULL;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (n < 0) {
		text = NULL;
		return -ENOMEM;
	}
	c->way = way;
	return bl_buf_add(&c->why, text, (size_t)n);
}

/* Whether the kernel holds what the live version's object says it does. */
static int ask_kernel(struct choice *c)
{
	const struct bl_map_fact *f = c->fact;
	char type[BL_MAP_TYPE_NAME_LEN];

	if (!f)
		return 0;
	if (f->state == BL_MAP_GONE)
		return choose(
			c, BL_CARRY_REFUSE,
			"the live version's is not among its pins, so what it holds cannot be reached");
	if (f->state != BL_MAP_THERE)
		return choose(c, BL_CARRY_REFUSE,
			      "the live version's cannot be read");
	if (f->type == c->live->type && f->key_size == c->live->key_size &&
	    f->value_size == c->live->value_size)
		return 0;
	return choose(
		c, BL_CARRY_REFUSE,
		"the kernel's is of type %s with %u + %u bytes, which is not what the live version defines",
		bl_map_type_name(f->type, type), f->key_size, f->value_size);
}

static int keep(struct choice *c)
{
	const struct bl_map_diff *d = c->diff;
	const char *why = bl_buf_str(&d->why);

	if (d->alike > BL_ALIKE_EXTENDED)
		return choose(c, BL_CARRY_REFUSE, "%s: %s",
			      bl_alike_name(d->alike), why);
	if (!d->one_form)
		return choose(c, BL_CARRY_REFUSE,
			      "one kernel map cannot be both: %s",
			      *why ? why : "they differ in what BTF says");
	return choose(c, BL_CARRY_SHARE, "%s", why);
}

static int migrate(struct choice *c)
{
	const struct bl_map_diff *d = c->diff;
	const char *why = bl_buf_str(&d->why);

	if (d->alike > BL_ALIKE_EXTENDED)
		return choose(c, BL_CARRY_REFUSE, "%s: %s",
			      bl_alike_name(d->alike), why);
	if (c->now->max_entries < c->live->max_entries)
		return choose(c, BL_CARRY_REFUSE,
			      "there may be more than the new one takes: %s",
			      why);
	if (c->live->flags & BPF_F_WRONLY || c->now->flags & BPF_F_RDONLY)
		return choose(
			c, BL_CARRY_REFUSE,
			"user space, which would copy them, may not read the old one or not write the new one");
	return choose(c, BL_CARRY_COPY, "%s", why);
}

/* Whether "migrate" would be an answer. */
static bool could_migrate(const struct choice *c)
{
	struct choice other = *c;
	bool could;

	if (nature_of(c->live) != LISTED || nature_of(c->now) != LISTED)
		return false;
	other.why = (struct bl_buf){ 0 };
	could = migrate(&other) == 0 && other.way == BL_CARRY_COPY;
	choice_free(&other);
	return could;
}

static int decide(struct choice *c, const struct bl_carry_ask *ask)
{
	int r;

	if (ask->other_sensor)
		return choose(c, BL_CARRY_FRESH, "it is another sensor's");
	if (c->word == BL_CARRY_RESET)
		return choose(c, BL_CARRY_FRESH, "as the manifest says");
	if (c->word == BL_CARRY_UNSAID && nature_of(c->live) == GIVEN &&
	    nature_of(c->now) == GIVEN)
		return choose(
			c, BL_CARRY_FRESH,
			"it is filled from outside, and the manifest does not say \"keep\"");
	r = ask_kernel(c);
	if (r < 0 || c->way == BL_CARRY_REFUSE)
		return r;
	if (c->word != BL_CARRY_MIGRATE)
		return keep(c);
	if (ask->back && c->diff->alike <= BL_ALIKE_EXTENDED &&
	    c->diff->one_form)
		return keep(c);
	return migrate(c);
}

static int hint_of(const struct choice *c, char **ret)
{
	const char *name = c->now->name;
	int n;

	if (c->way != BL_CARRY_REFUSE)
		*ret = strdup("");
	else if ((!c->fact || c->fact->state == BL_MAP_THERE) &&
		 c->word != BL_CARRY_MIGRATE && could_migrate(c)) {
		n = asprintf(
			ret,
			"say in the manifest  \"state\": {\"%.64s\": \"migrate\"}  to have its entries copied, or \"reset\" to begin empty",
			name);
		return n < 0 ? -ENOMEM : 0;
	} else {
		n = asprintf(
			ret,
			"say in the manifest  \"state\": {\"%.64s\": \"reset\"}  to begin empty, or give the new form another name",
			name);
		return n < 0 ? -ENOMEM : 0;
	}
	return *ret ? 0 : -ENOMEM;
}

static int add(struct bl_carry *carry, const struct choice *c)
{
	struct bl_carry_map m = { .way = c->way };
	struct bl_carry_map *more;

	more = reallocarray(carry->maps, carry->count + 1, sizeof(*more));
	if (!more)
		return -ENOMEM;
	carry->maps = more;
	more = &carry->maps[carry->count];
	m.name = strdup(c->now->name);
	m.why = strdup(bl_buf_str(&c->why));
	if (!m.name || !m.why || hint_of(c, &m.hint) < 0) {
		free(m.name);
		free(m.why);
		return -ENOMEM;
	}
	*more = m;
	carry->count++;
	return 0;
}

static int decide_one(const struct bl_carry_ask *ask, size_t live,
		      const struct bl_map_def *now, size_t *fields,
		      struct bl_carry *carry)
{
	BL_CLEANUP(bl_map_diff_free) struct bl_map_diff diff = { 0 };
	/* belay pins no map by name: each slot has its own. */
	struct bl_map_def a = ask->live->defs[live], b = *now;
	BL_CLEANUP(choice_free)
	struct choice c = { .live = &a,
			    .now = &b,
			    .fact = ask->facts ? &ask->facts[live] : NULL,
			    .diff = &diff,
			    .word = ask->same_object
					    ? BL_CARRY_UNSAID
					    : bl_carry_word_of(ask->rules,
							       now->name) };
	int r;

	a.pinned = b.pinned = false;
	r = bl_map_compare(ask->live, &a, ask->now, &b, fields, &diff);
	if (r == 0)
		r = decide(&c, ask);
	if (carry->back && c.way == BL_CARRY_REFUSE)
		c.way = BL_CARRY_FRESH;
	return r < 0 ? r : add(carry, &c);
}

void bl_carry_free(struct bl_carry *c)
{
	for (size_t i = 0; i < c->count; i++) {
		free(c->maps[i].name);
		free(c->maps[i].why);
		free(c->maps[i].hint);
	}
	free(c->maps);
	*c = (struct bl_carry){ 0 };
}

int bl_carry_decide(const struct bl_carry_ask *ask, struct bl_carry *ret,
		    struct bl_err *err)
{
	BL_CLEANUP(bl_carry_free) struct bl_carry carry = { .back = ask->back };
	size_t fields = 0;

	for (size_t i = 0; i < ask->now->count; i++) {
		const struct bl_map_def *now = &ask->now->defs[i];
		const struct bl_map_def *live = find(ask->live, now->name);
		int r;

		if (!live || nature_of(live) == OWN)
			continue;
		r = decide_one(ask, (size_t)(live - ask->live->defs), now,
			       &fields, &carry);
		if (r < 0)
			return bl_err_errno(err, r, "compare map %.64s",
					    now->name);
	}
	*ret = carry;
	carry = (struct bl_carry){ 0 };
	return 0;
}

const struct bl_carry_map *bl_carry_refused(const struct bl_carry *c,
					    size_t *ret_more)
{
	const struct bl_carry_map *first = NULL;
	size_t count = 0;

	for (size_t i = 0; i < c->count; i++)
		if (c->maps[i].way == BL_CARRY_REFUSE && !count++)
			first = &c->maps[i];
	*ret_more = count ? count - 1 : 0;
	return first;
}

int bl_carry_text(const struct bl_carry *c, struct bl_buf *ret)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < c->count; i++)
		r = bl_buf_printf(ret, "%s%s:%s", ret->len ? " " : "",
				  c->maps[i].name,
				  bl_carry_way_name(c->maps[i].way));
	return r;
}
